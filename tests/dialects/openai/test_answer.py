"""Answers written as a server of the OpenAI chat wire: what its clients get to see, whole and streamed."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyvox.dialects.openai.chat.answer import encode_response
from polyvox.dialects.openai.chat.chunks import StreamEncoder
from polyvox.dialects.openai.chat.request import decode_request
from polyvox.dialects.openai.chat.response import decode_response
from polyvox.dialects.openai.chat.stream import StreamDecoder
from polyvox.framing.sse import SSEFramer
from polyvox.types.events import (
    Event,
    FileDelta,
    PartEnd,
    PartStart,
    RawFrame,
    ReasoningDelta,
    StepEnd,
    StepStart,
    StreamEnd,
    StreamStart,
    TextDelta,
    ToolDone,
    UsageUpdate,
)
from polyvox.types.fold import fold, unfold
from polyvox.types.generate import Alternative, Finish, GenerateRequest, GenerateResponse
from polyvox.types.parts import (
    FileId,
    FilePart,
    OpaquePart,
    ReasoningPart,
    Source,
    SourcePart,
    TextPart,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Url,
)
from polyvox.types.usage import Usage
from tests.laws.grammar import broken
from tests.laws.reading_openai_chat import writable
from tests.laws.table import as_streamed

REQUEST = GenerateRequest(model="m", messages=())
STOP = Finish("stop")


def response(*content: Any, finish: Finish | None = STOP, **facts: Any) -> GenerateResponse[Any]:
    return GenerateResponse(id="c1", model="m1", content=content, finish=finish, **facts)


def body_of(answer: GenerateResponse[Any]) -> dict[str, Any]:
    return json.loads(encode_response(answer))


def message_of(*content: Any, **facts: Any) -> dict[str, Any]:
    (choice,) = body_of(response(*content, **facts))["choices"]
    return choice["message"]


def streamed(events: list[Event], request: GenerateRequest = REQUEST, *, at_once: bool = False) -> list[bytes]:
    encoder = StreamEncoder(request)
    lists = [events] if at_once else [[event] for event in events]
    return [*(frame for one in lists for frame in encoder.feed(one)), *encoder.close()]


def chunks_of(frames: list[bytes]) -> list[dict[str, Any]]:
    *said, last = frames
    assert last == b"data: [DONE]\n\n"
    assert all(frame.startswith(b"data: {") and frame.endswith(b"}\n\n") for frame in said)
    return [json.loads(frame[6:]) for frame in said]


def deltas_of(events: list[Event], **facts: Any) -> list[dict[str, Any]]:
    chunks = chunks_of(streamed(events, **facts))
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"] if choice["delta"]]


def read_stream(frames: list[bytes]) -> tuple[list[Event], GenerateResponse[Any]]:
    framer, decoder = SSEFramer(), StreamDecoder()
    events = [event for one in framer.feed(b"".join(frames)) for event in decoder.feed(one)] + decoder.close()
    return events, fold(events)


# What a client of this wire sees.


def test_a_plain_answer_is_written_as_openai_writes_it() -> None:
    usage = Usage(10, 4, cache_read_tokens=6, reasoning_tokens=1)
    written = body_of(response(TextPart("hoo"), usage=usage, meta={"openai": {"created": 7, "service_tier": "flex"}}))
    assert written == {
        "id": "c1",
        "object": "chat.completion",
        "created": 7,
        "model": "m1",
        "service_tier": "flex",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hoo", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 4,
            "total_tokens": 14,
            "prompt_tokens_details": {"cached_tokens": 6},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    }


def test_an_empty_answer_has_null_for_content_and_no_usage() -> None:
    written = body_of(GenerateResponse())
    assert written["choices"][0]["message"] == {"role": "assistant", "content": None, "refusal": None}
    assert written["choices"][0]["finish_reason"] == "stop"
    assert "usage" not in written
    assert (written["id"], written["model"]) == ("", "")


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("content_filter", "content_filter"),
        ("pause", "stop"),
        ("error", "error"),
        ("other", "stop"),
    ],
)
def test_a_finish_is_one_of_the_wires_own_words(reason: Any, word: str) -> None:
    """`raw` may be another vendor's word: no client of this wire knows it."""
    answer = response(TextPart("a"), finish=Finish(reason, "end_turn"))
    assert body_of(answer)["choices"][0]["finish_reason"] == word
    assert chunks_of(streamed(unfold(answer)))[-1]["choices"][0]["finish_reason"] == word


def test_parts_of_a_kind_are_joined() -> None:
    assert message_of(
        TextPart("a"), ReasoningPart("r"), TextPart("b"), ReasoningPart("s"), TextPart("n", refusal=True)
    ) == {
        "role": "assistant",
        "content": "ab",
        "refusal": "n",
        "reasoning_content": "r\n\ns",
    }


def test_citations_count_from_the_start_of_all_the_text() -> None:
    first = TextPart("owls", sources=(Source(url="u1", title="t", start=0, end=4),))
    second = TextPart(" fly", sources=(Source(url="u2", start=1, end=4, text="x", meta={"openai": {"rank": 1}}),))
    spoken = TextPart("aside", meta={"openai": {"transcript": True}})
    expected = [
        {"type": "url_citation", "url_citation": {"url": "u1", "title": "t", "start_index": 0, "end_index": 4}},
        {
            "type": "url_citation",
            "url_citation": {"rank": 1, "url": "u2", "title": "", "content": "x", "start_index": 5, "end_index": 8},
        },
    ]
    assert message_of(first, TextPart("no", refusal=True), spoken, second)["annotations"] == expected
    answer = response(first, TextPart("no", refusal=True), spoken, second)
    deltas = deltas_of(unfold(answer), at_once=True)
    assert [note for delta in deltas for note in delta.get("annotations", ())] == expected


def test_calls_are_written_whole_with_their_exact_arguments() -> None:
    calls = (
        ToolCall("c1", "f", '{ "a":1}', meta={"openai": {"extra_content": {"google": {"thought_signature": "s"}}}}),
        ToolCall("c2", "calc", "1+1", "custom"),
        ToolCall("c3", "search", "{}", executed=True),
    )
    message = message_of(*calls, ToolResult("c3", "search", (TextPart("owls"),)))
    assert message["content"] is None
    assert message["tool_calls"] == [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "f", "arguments": '{ "a":1}'},
            "extra_content": {"google": {"thought_signature": "s"}},
        },
        {"id": "c2", "type": "custom", "custom": {"name": "calc", "input": "1+1"}},
    ]
    assert message["executed_tools"] == [{"index": 0, "type": "search", "arguments": "{}", "output": "owls"}]


def test_a_call_streams_its_name_once_and_its_arguments_in_pieces_by_its_place_among_calls() -> None:
    answer = response(
        TextPart("a"), ToolCall("c1", "f", "{}"), ToolCall("c2", "g", "1", "custom"), finish=Finish("tool_calls")
    )
    calls = [delta["tool_calls"][0] for delta in deltas_of(unfold(answer)) if "tool_calls" in delta]
    assert calls == [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "function": {"arguments": "{}"}},
        {"index": 1, "id": "c2", "type": "custom", "custom": {"name": "g", "input": ""}},
        {"index": 1, "custom": {"input": "1"}},
    ]


def test_who_asked_in_the_old_form_reads_the_old_form() -> None:
    old = ToolCall("function_call", "f", "{}", meta={"openai": {"form": "function_call"}})
    answer = response(old, finish=Finish("tool_calls"))
    (choice,) = body_of(answer)["choices"]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "function_call"


def test_a_picture_goes_as_its_bytes_or_its_address_and_other_files_do_not_go() -> None:
    message = message_of(
        FilePart("image/png", b"abc", meta={"openai": {"index": 0}}),
        FilePart("image/*", Url("https://x.example/a.png")),
        FilePart("image/png", FileId("f1")),
        OpaquePart("widget", {"openai": {"type": "widget"}}),
    )
    assert message["images"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,YWJj"}, "index": 0},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
    ]


def test_a_picture_that_comes_in_pieces_is_written_whole() -> None:
    events: list[Event] = [StreamStart("c1", "m1"), PartStart(0, FilePart("image/png", b""))]
    events += [FileDelta(0, b"a"), FileDelta(0, b"bc"), PartEnd(0, {"openai": {"index": 3}}), StreamEnd(STOP)]
    images = [delta["images"] for delta in deltas_of(events) if "images" in delta]
    assert images == [[{"type": "image_url", "image_url": {"url": "data:image/png;base64,YWJj"}, "index": 3}]]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7])
def test_sound_cut_anywhere_is_base64_that_joins(size: int) -> None:
    """A client joins the pieces as text: only the last may be padded."""
    data = bytes(range(50))
    events: list[Event] = [StreamStart("c1", "m1"), PartStart(0, FilePart("audio/wav", b""))]
    events += [FileDelta(0, data[at : at + size]) for at in range(0, len(data), size)]
    events += [PartEnd(0, {"openai": {"audio": {"id": "a1"}}}), StreamEnd(STOP)]
    audio = [delta["audio"] for delta in deltas_of(events) if "audio" in delta]
    joined = "".join(piece.get("data", "") for piece in audio)
    assert base64.b64decode(joined, validate=True) == data
    assert [piece["id"] for piece in audio if "id" in piece] == ["a1"]


def test_probabilities_stand_on_text_and_refusal_apart() -> None:
    token = TokenLogprob("a", -0.5, (97,), (TokenLogprob("b", -1.0),))
    answer = response(
        TextPart("a", logprobs=(token,)), TextPart("n", logprobs=(TokenLogprob("n", -2.0),), refusal=True)
    )
    written = {
        "content": [
            {
                "token": "a",
                "logprob": -0.5,
                "bytes": [97],
                "top_logprobs": [{"token": "b", "logprob": -1.0, "bytes": None, "top_logprobs": []}],
            }
        ],
        "refusal": [{"token": "n", "logprob": -2.0, "bytes": None, "top_logprobs": []}],
    }
    assert body_of(answer)["choices"][0]["logprobs"] == written
    chunks = chunks_of(streamed(unfold(answer)))
    assert [choice["logprobs"] for chunk in chunks for choice in chunk["choices"] if choice["logprobs"]] == [
        {"content": written["content"], "refusal": None},
        {"content": None, "refusal": written["refusal"]},
    ]


def test_sources_of_no_text_go_beside_the_choices() -> None:
    sources = (SourcePart("u1", "t", "s", {"openai": {"date": "2026"}}), SourcePart("u2"))
    results = [{"url": "u1", "title": "t", "snippet": "s", "date": "2026"}, {"url": "u2"}]
    for written in (body_of(response(*sources)), chunks_of(streamed(unfold(response(*sources))))[-1]):
        assert written["search_results"] == results
        assert written["citations"] == ["u1", "u2"]
    assert "search_results" not in body_of(response(SourcePart("u2")))


def test_further_choices_are_written_whole() -> None:
    other = Alternative(1, (TextPart("b"), ToolCall("c", "f", "{}")), Finish("tool_calls"))
    answer = response(TextPart("a"), alternatives=(other,))
    choices = body_of(answer)["choices"]
    assert [(choice["index"], choice["finish_reason"]) for choice in choices] == [(0, "stop"), (1, "tool_calls")]
    chunks = [choice for chunk in chunks_of(streamed(unfold(answer))) for choice in chunk["choices"]]
    assert [chunk["finish_reason"] for chunk in chunks if chunk["index"] == 1] == [None, "tool_calls"]


def test_a_lone_half_of_a_character_is_written_as_unreadable() -> None:
    assert message_of(TextPart("a\ud83d"))["content"] == "a\ufffd"


# The stream as a whole.


def _asked(body: dict[str, Any]) -> GenerateRequest:
    full = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True, **body}
    return decode_request(json.dumps(full).encode())[0]


@pytest.mark.parametrize(
    ("request_", "sent"),
    [
        (REQUEST, True),
        (_asked({}), False),
        (_asked({"stream_options": {"include_usage": True}}), True),
        (_asked({"stream_options": {"include_usage": False}}), False),
        (_asked({"stream_options": None}), False),
    ],
)
def test_usage_is_sent_where_it_was_asked_for(request_: GenerateRequest, sent: bool) -> None:
    events: list[Event] = [StreamStart("c1", "m1"), UsageUpdate(Usage(1, 1)), UsageUpdate(Usage(1, 2)), StreamEnd(STOP)]
    *_, last = chunks_of(streamed(events, request_))
    if sent:
        assert last["choices"] == []
        assert last["usage"] == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    else:
        assert "usage" not in last
        assert last["choices"][0]["finish_reason"] == "stop"


def test_every_chunk_bears_the_head_and_the_first_the_role() -> None:
    chunks = chunks_of(streamed(unfold(response(TextPart("hoo")))))
    assert {(chunk["id"], chunk["model"], chunk["object"]) for chunk in chunks} == {
        ("c1", "m1", "chat.completion.chunk")
    }
    assert len({chunk["created"] for chunk in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}


def test_events_of_no_place_on_this_wire_are_not_written() -> None:
    silent: list[Event] = [
        RawFrame(b"x"),
        StepStart(1),
        ToolDone(ToolResult("c", "f")),
        StepEnd(1, response()),
    ]
    assert StreamEncoder(REQUEST).feed(silent) == []


def test_two_reasonings_are_told_apart_by_a_blank_line() -> None:
    events: list[Event] = [StreamStart("c1", "m1")]
    events += [PartStart(0, ReasoningPart("")), ReasoningDelta(0, "a"), PartEnd(0)]
    events += [PartStart(1, TextPart("")), TextDelta(1, "x"), PartEnd(1)]
    events += [PartStart(2, ReasoningPart("")), ReasoningDelta(2, "b"), ReasoningDelta(2, "c"), PartEnd(2)]
    events.append(StreamEnd(STOP))
    assert read_stream(streamed(events))[1].reasoning == "a\n\nbc"


def test_reasoning_items_are_not_said_twice() -> None:
    items = [{"type": "reasoning.text", "text": "ab", "signature": "s", "index": 0}]
    part = ReasoningPart("ab", meta={"openai": {"field": "reasoning", "reasoning_details": items}})
    for answer in (
        decode_response(encode_response(response(part))),
        read_stream(streamed(unfold(response(part))))[1],
        read_stream(streamed(unfold(response(part)), at_once=True))[1],
    ):
        (read,) = answer.content
        assert isinstance(read, ReasoningPart)
        assert read.text == "ab"
        assert read.meta["openai"]["reasoning_details"] == items


# Law 5 of made-up answers: what is read of what was written is the answer, less what docs/dialects declares as lost.

WORDS = st.text("abcö😀 ", min_size=1, max_size=6)
SOURCES = st.builds(
    Source, url=WORDS, title=WORDS, text=st.none() | WORDS, start=st.none() | st.integers(0, 9), end=st.integers(0, 9)
)
TOKENS = st.none() | st.lists(st.builds(TokenLogprob, WORDS, st.floats(-9, 0)), min_size=1, max_size=2).map(tuple)
DETAILS = st.lists(
    st.fixed_dictionaries({"type": st.just("reasoning.encrypted"), "data": WORDS}), min_size=1, max_size=2
)
TEXTS = st.builds(TextPart, WORDS, st.lists(SOURCES, max_size=2).map(tuple), TOKENS)
REFUSALS = st.builds(TextPart, WORDS, logprobs=TOKENS, refusal=st.just(True))
THOUGHTS = st.builds(
    ReasoningPart, WORDS, meta=st.just({}) | DETAILS.map(lambda items: {"openai": {"reasoning_details": items}})
)
SIGNED = DETAILS.map(lambda items: ReasoningPart("", redacted=True, meta={"openai": {"reasoning_details": items}}))
EXTRAS = st.sampled_from([{}, {"openai": {"extra_content": {"google": {"thought_signature": "x"}}}}])
PICTURES = st.builds(FilePart, st.just("image/png"), st.binary(min_size=1, max_size=5))
SOUNDS = st.builds(
    FilePart,
    st.just("audio/*"),
    st.binary(min_size=1, max_size=9).filter(lambda data: data[:1] not in b"\xffBGIOPRf\x89\x1a%"),
    meta=st.just({}) | st.just({"openai": {"audio": {"id": "a1"}}}),
)
RESULTS = st.builds(SourcePart, WORDS, st.none() | WORDS, st.none() | WORDS)


@st.composite
def answers(draw: st.DrawFn) -> GenerateResponse[Any]:
    calls = [
        ToolCall(
            f"c{place}", draw(WORDS), draw(WORDS), draw(st.sampled_from(["function", "custom"])), meta=draw(EXTRAS)
        )
        for place in range(draw(st.integers(0, 2)))
    ]
    content = draw(st.lists(THOUGHTS | SIGNED, max_size=2))
    content += draw(st.lists(TEXTS, max_size=2)) + draw(st.lists(REFUSALS, max_size=1))
    content += draw(st.lists(SOUNDS, max_size=1)) or draw(st.lists(PICTURES, max_size=2))
    content += [*calls, *draw(st.lists(RESULTS, max_size=2))]
    reason: Any = "tool_calls" if calls else draw(st.sampled_from(["length", "content_filter", "error"]))
    return response(
        *content,
        finish=Finish(reason),
        usage=Usage(*draw(st.tuples(st.integers(0, 9), st.integers(0, 9), st.none() | st.just(0)))),
        meta=draw(st.sampled_from([{}, {"openai": {"service_tier": "flex", "native_finish_reason": "x"}}])),
    )


@settings(max_examples=150, deadline=None)
@given(answers())
def test_what_is_written_is_read_as_it_was(answer: GenerateResponse[Any]) -> None:
    assert writable(decode_response(encode_response(answer))) == writable(answer)


@settings(max_examples=150, deadline=None)
@given(answers(), st.booleans())
def test_what_is_streamed_is_read_as_it_was(answer: GenerateResponse[Any], at_once: bool) -> None:
    events, again = read_stream(streamed(as_streamed(answer, unfold(answer)), at_once=at_once))
    assert broken(events) is None
    assert writable(again) == writable(answer)
