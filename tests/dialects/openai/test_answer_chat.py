"""A server that speaks the OpenAI chat wire: what its clients get, whole and streamed."""

from __future__ import annotations

import base64
import json

import pytest

from polyvox.dialects.openai.chat.answer import encode_response
from polyvox.dialects.openai.chat.chunks import StreamEncoder
from polyvox.dialects.openai.chat.request import decode_request
from polyvox.dialects.openai.chat.response import decode_response
from polyvox.framing.base import Frame
from polyvox.types.events import (
    FileDelta,
    PartEnd,
    PartStart,
    RawFrame,
    ReasoningDelta,
    StreamEnd,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    UsageUpdate,
)
from polyvox.types.fold import unfold
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
from tests.dialects.openai.bodies import answer_of, events_of
from tests.laws.table import as_streamed

REQUEST = GenerateRequest(model="m", messages=())


def written(response):
    return json.loads(encode_response(response))


def message(*content, **facts):
    return written(GenerateResponse(content=content, **facts))["choices"][0]["message"]


def stream(events, request=REQUEST):
    encoder = StreamEncoder(request)
    frames = [*encoder.feed(events), *encoder.close()]
    assert all(frame.startswith(b"data: ") and frame.endswith(b"\n\n") for frame in frames)
    assert frames[-1] == b"data: [DONE]\n\n"
    return [json.loads(frame[6:]) for frame in frames[:-1]]


def deltas(events):
    return [chunk["choices"][0]["delta"] for chunk in stream(events) if chunk["choices"]]


def both_ways(response):
    """What clients read of the answer: of the body, of the stream, and of one that was read and passed on piecemeal."""
    yield decode_response(encode_response(response))
    for events in (unfold(response), as_streamed(response, unfold(response))):
        encoder = StreamEncoder(REQUEST)
        yield answer_of(*[Frame(frame[6:].strip()) for frame in [*encoder.feed(events), *encoder.close()]])
    encoder = StreamEncoder(REQUEST)
    frames = [frame for event in events_of(Frame(encode_response(response))) for frame in encoder.feed([event])]
    yield answer_of(*[Frame(frame[6:].strip()) for frame in [*frames, *encoder.close()]])


def test_a_body_is_written_as_openai_writes_it() -> None:
    response = GenerateResponse(
        id="r1",
        model="m1",
        content=(TextPart("Hello"),),
        finish=Finish("stop", "end_turn"),
        usage=Usage(20, 9, 12, 4, 5, reported_cost=0.5, raw={"their": "own"}),
        meta={"openai": {"created": 7, "system_fingerprint": "fp"}},
    )

    assert written(response) == {
        "id": "r1",
        "object": "chat.completion",
        "created": 7,
        "model": "m1",
        "system_fingerprint": "fp",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 20,
            "completion_tokens": 9,
            "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 12, "cache_write_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 5},
            "cost": 0.5,
        },
    }


def test_an_answer_with_nothing_known_has_still_every_member_that_clients_need() -> None:
    said = written(GenerateResponse())

    assert said["created"] > 1_700_000_000
    assert "usage" not in said
    assert said["choices"][0]["finish_reason"] == "stop"
    assert said["choices"][0]["message"]["content"] is None


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("content_filter", "content_filter"),
        ("pause", "stop"),
        ("other", "stop"),
        ("error", "error"),
    ],
)
def test_a_finish_is_said_in_openais_words(reason, word) -> None:
    response = GenerateResponse(finish=Finish(reason, "their own word"))

    assert written(response)["choices"][0]["finish_reason"] == word
    assert stream(unfold(response))[-1]["choices"][0]["finish_reason"] == word


def test_texts_are_one_and_citations_count_from_its_start() -> None:
    response = GenerateResponse(
        content=(
            TextPart("One. "),
            ReasoningPart("Hm"),
            TextPart("Two.", (Source(url="https://a.example", title="A", start=0, end=4),)),
        )
    )
    cited = {"url": "https://a.example", "title": "A", "start_index": 5, "end_index": 9}
    annotation = {"type": "url_citation", "url_citation": cited}

    assert message(*response.content) == {
        "role": "assistant",
        "content": "One. Two.",
        "refusal": None,
        "reasoning_content": "Hm",
        "annotations": [annotation],
    }
    assert {"annotations": [annotation]} in deltas(unfold(response))


def test_reasoning_in_several_parts_stays_apart() -> None:
    response = GenerateResponse(
        content=(ReasoningPart("One"), TextPart("a"), ReasoningPart("Two", meta={"anthropic": {"signature": "s"}}))
    )

    for read in both_ways(response):
        assert read.reasoning == "One\n\nTwo"
        assert read.text == "a"


def test_a_refusal_and_tool_calls_have_their_places() -> None:
    said = message(TextPart("No.", refusal=True), ToolCall("t", "f", "{}"), ToolCall("u", "g", "x", kind="custom"))

    assert (said["content"], said["refusal"]) == (None, "No.")
    assert said["tool_calls"] == [
        {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "u", "type": "custom", "custom": {"name": "g", "input": "x"}},
    ]


def test_a_stream_says_the_role_first_and_the_finish_last() -> None:
    events = [
        StreamStart("r1", "m1"),
        PartStart(0, TextPart("")),
        TextDelta(0, "Hi"),
        PartEnd(0),
        UsageUpdate(Usage(1, 1)),
        UsageUpdate(Usage(1, 2)),
        StreamEnd(Finish("stop")),
    ]
    chunks = stream(events)

    assert {(chunk["id"], chunk["model"], chunk["object"]) for chunk in chunks} == {
        ("r1", "m1", "chat.completion.chunk")
    }
    assert [chunk["choices"][0]["delta"] for chunk in chunks[:-1]] == [
        {"role": "assistant", "content": ""},
        {"content": "Hi"},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None, None, "stop"]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 2


def test_a_call_has_its_id_and_name_once_and_its_pieces_by_index() -> None:
    events = [
        StreamStart(),
        PartStart(0, TextPart("")),
        PartStart(1, ToolCall("t", "f")),
        PartStart(2, ToolCall("u", "g", kind="custom")),
        ToolCallDelta(1, "{"),
        ToolCallDelta(2, "x"),
        ToolCallDelta(1, "}"),
        StreamEnd(Finish("tool_calls")),
    ]

    assert deltas(events)[1:-1] == [
        {"tool_calls": [{"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "id": "u", "type": "custom", "custom": {"name": "g", "input": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]},
        {"tool_calls": [{"index": 1, "custom": {"input": "x"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]},
    ]


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"stream_options": {"include_usage": True}}, True),
        ({"stream_options": {"include_usage": False}}, False),
        ({}, False),
    ],
)
def test_usage_is_streamed_to_a_client_of_this_wire_that_asked_for_it(asked, sent) -> None:
    held = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True, **asked}
    request, streamed = decode_request(json.dumps(held).encode())
    chunks = stream([StreamStart(), UsageUpdate(Usage(1, 2)), StreamEnd(Finish("stop"))], request)

    assert streamed
    assert any("usage" in chunk for chunk in chunks) is sent


def test_events_of_no_place_on_this_wire_are_left_out() -> None:
    events = [StreamStart(), RawFrame(b"x"), PartStart(0, OpaquePart("odd")), PartEnd(0), StreamEnd(Finish("stop"))]

    assert deltas(events) == [{"role": "assistant", "content": ""}, {}]


TOKENS = (TokenLogprob("Hi", -0.5, (72, 105), (TokenLogprob("Ho", -1.0),)),)
SOUND = b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(range(41))
ANSWERS = {
    "text": GenerateResponse(id="r", model="m", content=(TextPart("Hi", logprobs=TOKENS),)),
    "refusal": GenerateResponse(
        content=(TextPart("No", logprobs=TOKENS, refusal=True),), finish=Finish("content_filter")
    ),
    "citations": GenerateResponse(
        content=(
            TextPart(
                "Hi",
                (
                    Source(url="https://a.example", title="A", text="…", start=0, end=2),
                    Source(meta={"openai": {"annotation": {"type": "file", "file": {"hash": "h"}}}}),
                ),
            ),
        )
    ),
    "search results": GenerateResponse(
        content=(TextPart("Hi"), SourcePart("https://a.example", "A", "", {"openai": {"date": "x"}}))
    ),
    "bare citations": GenerateResponse(content=(TextPart("Hi"), SourcePart("https://a.example"))),
    "calls": GenerateResponse(
        content=(
            ToolCall("t", "f", '{"a":"é"}', meta={"openai": {"extra_content": {"google": 1}}}),
            ToolCall("t2", "g", "x", kind="custom"),
        ),
        finish=Finish("tool_calls"),
    ),
    "legacy call": GenerateResponse(
        content=(ToolCall("function_call", "f", "{}", meta={"openai": {"form": "function_call"}}),),
        finish=Finish("tool_calls"),
    ),
    "executed call": GenerateResponse(
        content=(
            TextPart("Hi"),
            ToolCall(
                "executed_0",
                "search",
                "{}",
                executed=True,
                meta={"openai": {"executed_tool": {"index": 0, "type": "search", "arguments": "{}", "output": "Owl"}}},
            ),
            ToolResult("executed_0", "search", (TextPart("Owl"),)),
        )
    ),
    "sealed reasoning": GenerateResponse(
        content=(
            ReasoningPart(
                "Hm",
                meta={
                    "openai": {
                        "field": "reasoning_content",
                        "reasoning_details": [{"type": "reasoning.text", "text": "Hm", "signature": "s", "index": 0}],
                    }
                },
            ),
            TextPart("4"),
        )
    ),
    "hidden reasoning": GenerateResponse(
        content=(
            ReasoningPart("", True, {"openai": {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}}),
            TextPart("4"),
        )
    ),
    "speech": GenerateResponse(
        content=(
            FilePart("audio/wav", SOUND, meta={"openai": {"audio": {"id": "a", "expires_at": 9}}}),
            TextPart("Hi", meta={"openai": {"transcript": True}}),
        )
    ),
    "transcript alone": GenerateResponse(
        content=(TextPart("Hi", meta={"openai": {"transcript": True, "audio": {"id": "a"}}}),)
    ),
    "pictures": GenerateResponse(
        content=(
            FilePart("image/png", b"\x89PNG", meta={"openai": {"index": 0}}),
            FilePart("image/*", Url("https://a.example/b.png")),
        )
    ),
    "alternatives": GenerateResponse(
        content=(TextPart("a"),),
        alternatives=(
            Alternative(1, (TextPart("b", logprobs=TOKENS),), Finish("length"), {"openai": {"stop_reason": 5}}),
            Alternative(2, (ToolCall("t", "f", "{}"), ToolCall("u", "g", "{}")), Finish("tool_calls")),
        ),
    ),
    "beside": GenerateResponse(
        content=(TextPart("a"),),
        usage=Usage(3, 2, 1, 1, 1, 1, 1, 0.5),
        meta={
            "openai": {
                "created": 5,
                "service_tier": "default",
                "extra_content": {"google": 1},
                "native_finish_reason": "x",
                "logprobs": {"reasoning_content": [{"token": "a", "logprob": -1.0}]},
            }
        },
    ),
}


def comparable(response):
    """Less the finish's and the usage's own words, the name of reasoning, and the time."""
    from msgspec import structs

    meta = {name: value for name, value in response.meta.get("openai", {}).items() if name != "created"}
    return structs.replace(
        response,
        finish=Finish((response.finish or Finish("stop")).reason),
        usage=structs.replace(response.usage, raw=None),
        alternatives=tuple(
            structs.replace(other, finish=Finish(other.finish.reason if other.finish else "stop"))
            for other in response.alternatives
        ),
        meta=meta,
        raw=None,
    )


@pytest.mark.parametrize("name", ANSWERS)
def test_what_was_written_is_read_as_it_was(name) -> None:
    response = ANSWERS[name]

    for read in both_ways(response):
        assert comparable(read) == comparable(response)


def test_a_file_known_by_anothers_id_is_left_out() -> None:
    response = GenerateResponse(content=(FilePart("image/png", FileId("file-1")), TextPart("Hi")))

    assert "images" not in message(*response.content)
    for read in both_ways(response):
        assert read.content == (TextPart("Hi"),)


def test_pieces_of_sound_are_whole_groups_of_base64() -> None:
    """A client may join them or read each by itself."""
    events = [StreamStart(), PartStart(0, FilePart("audio/wav", b""))]
    events += [FileDelta(0, SOUND[at : at + 5]) for at in range(0, len(SOUND), 5)]
    events += [PartEnd(0, {"openai": {"audio": {"id": "a"}}}), StreamEnd(Finish("stop"))]
    pieces = [delta["audio"].get("data", "") for delta in deltas(events) if "audio" in delta]

    assert base64.b64decode("".join(pieces)) == SOUND
    assert b"".join(map(base64.b64decode, pieces)) == SOUND


def test_an_executed_call_of_another_wire_is_said_as_groq_does() -> None:
    """Its arguments may come in pieces."""
    events = [
        StreamStart(),
        PartStart(0, ToolCall("s1", "web_search", executed=True)),
        ToolCallDelta(0, '{"q":'),
        ToolCallDelta(0, "1}"),
        PartEnd(0),
        PartStart(1, ToolResult("s1", "web_search", (TextPart("Owl"),))),
        PartEnd(1),
        StreamEnd(Finish("stop")),
    ]
    item = {"index": 0, "type": "web_search", "arguments": '{"q":1}', "output": "Owl"}

    assert {"executed_tools": [item]} in deltas(events)


def test_reasoning_and_text_of_other_wires_go_as_they_come() -> None:
    events = [
        StreamStart(),
        PartStart(0, ReasoningPart("")),
        ReasoningDelta(0, "H"),
        ReasoningDelta(0, "m"),
        PartEnd(0, {"anthropic": {"signature": "s"}}),
        PartStart(1, TextPart("")),
        TextDelta(1, "4"),
        PartEnd(1),
        StreamEnd(Finish("stop")),
    ]

    assert deltas(events)[1:-1] == [{"reasoning_content": "H"}, {"reasoning_content": "m"}, {"content": "4"}]
