"""Streams of the OpenAI chat wire: the traps of recorded traffic, each written out by hand."""

from __future__ import annotations

import base64
import json

import pytest

from polyvox.dialects.openai.chat.stream import StreamDecoder
from polyvox.errors import BadRequestError, InterruptedCallError, OverloadedError, ServerError
from polyvox.framing.base import Frame
from polyvox.types.events import (
    FileDelta,
    PartEnd,
    PartStart,
    ReasoningDelta,
    SourceDelta,
    StreamEnd,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    UsageUpdate,
)
from polyvox.types.generate import Finish
from polyvox.types.parts import (
    FilePart,
    ReasoningPart,
    Source,
    SourcePart,
    TextPart,
    TokenLogprob,
    ToolCall,
    ToolResult,
)
from tests.dialects.openai.bodies import DONE, answer_of, chunk, events_of, frame
from tests.laws.grammar import broken


def call_piece(index=0, *, id=None, name=None, arguments=None, **facts):  # noqa: A002 - the wire's word
    function = {"name": name, "arguments": arguments}
    return chunk({"tool_calls": [{"index": index, "id": id, "function": function, **facts}]})


def test_text_comes_as_it_is_written() -> None:
    events = events_of(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, finish="stop"),
        DONE,
    )

    assert events == [
        StreamStart("c1", "m1"),
        PartStart(0, TextPart("")),
        TextDelta(0, "Hel"),
        TextDelta(0, "lo"),
        PartEnd(0),
        StreamEnd(Finish("stop", "stop")),
    ]


def test_the_first_chunk_may_be_nameless() -> None:
    """Azure sends the filter's verdict on the prompt before anything else."""
    verdict = [{"prompt_index": 0, "content_filter_results": {}}]
    first = frame({"id": "", "model": "", "object": "", "created": 0, "choices": [], "prompt_filter_results": verdict})
    events = events_of(first, chunk({"content": "Hi"}), chunk({}, finish="stop"))

    assert events[0] == StreamStart("c1", "m1")
    assert events[-1].meta == {"openai": {"prompt_filter_results": verdict}}


def test_verdicts_of_a_filter_come_in_pieces_and_without_delta() -> None:
    """Azure's asynchronous filter."""
    answer = answer_of(
        chunk({"content": "a"}, content_filter_results={"hate": {"filtered": True}}),
        chunk({"content": "b"}, content_filter_results={}),
        chunk(content_filter_results={"violence": {"filtered": False}}),
        chunk({}, finish="stop"),
    )

    assert answer.text == "ab"
    assert answer.meta["openai"]["content_filter_results"] == {
        "hate": {"filtered": True},
        "violence": {"filtered": False},
    }


@pytest.mark.parametrize("silent", [{"content": None}, {}, {"role": "assistant"}, {"content": "", "obfuscation": "xy"}])
def test_a_delta_that_says_nothing_is_no_event(silent) -> None:
    decoder = StreamDecoder()
    decoder.feed(chunk({"content": "a"}))

    assert decoder.feed(chunk(silent)) == []


def test_usage_comes_in_any_chunk_and_the_last_wins() -> None:
    events = events_of(
        chunk({"content": "a"}, usage={"prompt_tokens": 1, "completion_tokens": 1}),
        chunk({"content": "b"}, usage={"prompt_tokens": 1, "completion_tokens": 2}),
        chunk({}, finish="stop", usage={"prompt_tokens": 1, "completion_tokens": 2}),
        frame({"id": "c1", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 3}}),
        DONE,
    )
    told = [event.usage.output_tokens for event in events if isinstance(event, UsageUpdate)]

    assert told == [1, 2, 3]  # the repeated one is no news
    assert events[-1].usage is None


def test_groqs_own_usage_serves_where_there_is_no_other() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 3}

    assert answer_of(chunk({"content": "a"}, finish="stop", x_groq={"id": "r", "usage": usage})).usage.raw == usage


def test_usage_before_the_answer_has_a_name_is_not_lost() -> None:
    usage = {"prompt_tokens": 1}

    assert answer_of(frame({"choices": [], "usage": usage}), chunk({"content": "a"}, finish="stop")).usage.raw == usage
    assert answer_of(frame({"choices": [], "usage": usage}), DONE).usage.raw == usage


def test_a_second_finish_is_normal_and_what_comes_after_it_counts() -> None:
    """OpenRouter says it again beside the usage."""
    answer = answer_of(
        chunk({"content": "a"}),
        chunk({"content": ""}, finish="stop", native_finish_reason="completed"),
        chunk({"content": ""}, finish="stop", usage={"prompt_tokens": 1, "completion_tokens": 1}),
    )

    assert answer.finish == Finish("stop", "stop")
    assert answer.usage.output_tokens == 1
    assert answer.meta["openai"]["native_finish_reason"] == "completed"


def test_a_stream_ends_well_with_a_finish_or_the_end_mark() -> None:
    assert answer_of(chunk({"content": "a"}, finish="stop")).text == "a"
    assert answer_of(chunk({"content": "a"}), DONE).finish == Finish("other", None)


@pytest.mark.parametrize("frames", [[], [chunk({"content": "a"})], [chunk({"content": "a"}, finish="")]])
def test_a_stream_with_neither_was_interrupted(frames) -> None:
    with pytest.raises(InterruptedCallError):
        events_of(*frames)


def test_a_stream_of_nothing_but_the_end_mark_is_an_empty_answer() -> None:
    assert events_of(DONE) == [StreamStart(), StreamEnd(Finish("other"))]


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (frame({"error": {"message": "broke", "code": 502}, "user_id": "u"}), ServerError),
        (
            frame({"error": {"message": "broke", "status_code": 400, "code": "tool_use_failed"}}, "error"),
            BadRequestError,
        ),
        (frame({"message": "broke", "type": "overloaded_error"}, "error"), OverloadedError),
        (chunk({"content": "b"}, error={"message": "broke", "code": 503}), OverloadedError),
        (
            frame({"id": "c", "choices": [{"index": 0, "delta": {}}], "error": {"message": "broke", "code": 503}}),
            OverloadedError,
        ),
        (frame({"id": "c", "choices": [{"index": 1, "error": {"message": "broke", "code": 503}}]}), OverloadedError),
        (frame({"id": "c", "choices": [], "x_groq": {"error": "broke"}}), ServerError),
        (frame({"object": "error", "message": "broke", "type": "server_error", "code": "3000"}), ServerError),
    ],
)
def test_an_error_in_any_frame_is_raised(bad, kind) -> None:
    decoder = StreamDecoder()
    decoder.feed(chunk({"content": "a"}))

    with pytest.raises(kind, match="broke"):
        decoder.feed(bad)


def test_bad_output_of_the_model_is_worth_another_try() -> None:
    bad = frame({"error": {"message": "broke", "status_code": 400, "code": "tool_use_failed"}}, "error")

    with pytest.raises(BadRequestError) as caught:
        StreamDecoder().feed(bad)
    assert caught.value.retryable
    assert (caught.value.status, caught.value.code) == (400, "tool_use_failed")


def test_pieces_of_calls_belong_together_by_index() -> None:
    """Later pieces have no id, an empty one, no type, arguments of null."""
    events = events_of(
        call_piece(0, id="t0", name="f", arguments="", type="function"),
        call_piece(1, id="t1", name="g", arguments="{"),
        call_piece(0, id="", arguments='{"a":'),
        call_piece(1, arguments="}"),
        call_piece(0, name="", arguments="1}"),
        call_piece(0, arguments=None),
        chunk({}, finish="stop"),
    )

    assert events[1:3] == [PartStart(0, ToolCall("t0", "f")), PartStart(1, ToolCall("t1", "g"))]
    assert [event.arguments for event in events if isinstance(event, ToolCallDelta)] == ["{", '{"a":', "}", "1}"]
    assert broken(events) is None


def test_a_call_starts_when_its_name_is_known() -> None:
    events = events_of(
        call_piece(0, id="t0", arguments='{"a"'),
        call_piece(0, arguments=":"),
        call_piece(0, name="f", arguments="1}"),
        DONE,
    )

    assert events[1:3] == [PartStart(0, ToolCall("t0", "f")), ToolCallDelta(0, '{"a":1}')]


def test_a_call_that_never_gets_a_name_is_kept() -> None:
    answer = answer_of(call_piece(0, id="t0", arguments="{}"), DONE)

    assert answer.content == (ToolCall("t0", "", "{}"),)
    assert answer.finish == Finish("tool_calls")


def test_whole_calls_in_one_delta_need_no_index() -> None:
    """Mistral: neither type nor index."""
    calls = [{"id": f"t{place}", "function": {"name": name, "arguments": "{}"}} for place, name in enumerate("fg")]
    answer = answer_of(chunk({"content": "", "tool_calls": calls}, finish="tool_calls"))

    assert answer.content == (ToolCall("t0", "f", "{}"), ToolCall("t1", "g", "{}"))


def test_pieces_without_index_follow_the_last_call() -> None:
    answer = answer_of(
        chunk({"tool_calls": [{"id": "t0", "function": {"name": "f", "arguments": "{"}}]}),
        chunk({"tool_calls": [{"function": {"arguments": "}"}}]}),
        DONE,
    )

    assert answer.content == (ToolCall("t0", "f", "{}"),)


def test_new_calls_under_the_same_index_are_calls_of_their_own() -> None:
    answer = answer_of(
        call_piece(0, id="t0", name="f", arguments="{}"), call_piece(0, id="t1", name="g", arguments="{}"), DONE
    )

    assert [(call.id, call.name) for call in answer.tool_calls] == [("t0", "f"), ("t1", "g")]


def test_custom_and_legacy_calls_come_in_pieces_too() -> None:
    custom = answer_of(
        chunk({"tool_calls": [{"index": 0, "id": "t", "type": "custom", "custom": {"name": "sum", "input": ""}}]}),
        chunk({"tool_calls": [{"index": 0, "custom": {"input": "4 + 4"}}]}),
        DONE,
    )
    legacy = answer_of(
        chunk({"content": None, "function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk({}, finish="function_call"),
    )

    assert custom.content == (ToolCall("t", "sum", "4 + 4", kind="custom"),)
    assert legacy.content == (ToolCall("function_call", "f", "{}", meta={"openai": {"form": "function_call"}}),)
    assert legacy.finish == Finish("tool_calls", "function_call")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_and_text_may_interleave(field) -> None:
    events = events_of(
        chunk({"content": None, field: "Hm"}),
        chunk({"content": "4", field: ""}),
        chunk({"content": "", field: "!"}),
        chunk({"content": "."}),
        DONE,
    )

    assert [type(event) for event in events[1:5]] == [PartStart, ReasoningDelta, PartStart, TextDelta]
    assert broken(events) is None
    answer = answer_of(*[chunk({"content": "4", field: "Hm"}), DONE])
    assert answer.content == (ReasoningPart("Hm", meta={"openai": {"field": field}}), TextPart("4"))


def test_reasoning_details_are_joined_by_index_and_never_doubled() -> None:
    """OpenRouter says each piece twice, and the seal at the end."""
    answer = answer_of(
        chunk({"reasoning": "H", "reasoning_details": [{"type": "reasoning.text", "text": "H", "index": 0}]}),
        chunk({"reasoning": "m", "reasoning_details": [{"type": "reasoning.text", "text": "m", "index": 0}]}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "signature": "s", "index": 0}]}),
        chunk({"content": "4", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x", "index": 1}]}),
        DONE,
    )

    details = [
        {"type": "reasoning.text", "text": "Hm", "index": 0, "signature": "s"},
        {"type": "reasoning.encrypted", "data": "x", "index": 1},
    ]
    assert answer.content[0] == ReasoningPart(
        "Hm", meta={"openai": {"field": "reasoning", "reasoning_details": details}}
    )


def test_items_of_other_ids_stay_apart() -> None:
    details = [{"type": "reasoning.summary", "summary": text, "index": 0, "id": text} for text in "ab"]
    answer = answer_of(*[chunk({"reasoning_details": [item]}) for item in details], DONE)

    assert answer.reasoning == "ab"
    assert answer.content[0].meta["openai"]["reasoning_details"] == details


def test_a_content_may_be_a_list_in_one_chunk_and_text_in_the_next() -> None:
    """Mistral's thinking."""
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]
    events = events_of(
        chunk({"content": ""}),
        chunk({"content": thinking}),
        chunk({"content": thinking}),
        chunk({"content": "4"}),
        DONE,
    )

    assert events[1:] == [
        PartStart(0, ReasoningPart("")),
        ReasoningDelta(0, "Hm"),
        ReasoningDelta(0, "Hm"),
        PartEnd(0, {"openai": {"field": "thinking"}}),
        PartStart(1, TextPart("")),
        TextDelta(1, "4"),
        PartEnd(1),
        StreamEnd(Finish("other")),
    ]


def test_a_running_message_beside_the_deltas_is_not_read_twice() -> None:
    """Perplexity: the message so far in each chunk, the search results too, and a whole answer at the end."""
    results = [{"url": "https://a.example", "title": "A"}]
    facts = {"search_results": results, "citations": ["https://a.example"]}
    events = events_of(
        chunk({"content": "He"}, message={"content": "He"}, **facts),
        chunk({"content": "llo"}, message={"content": "Hello"}, **facts),
        frame(
            {
                "id": "other",
                "object": "chat.completion",
                "choices": [{"index": 0, "message": {"content": "Hello"}, "delta": {}, "finish_reason": "stop"}],
                **facts,
            }
        ),
    )

    assert [event.text for event in events if isinstance(event, TextDelta)] == ["He", "llo"]
    assert events[0].id == "c1"
    assert [event.part for event in events if isinstance(event, PartStart)][1:] == [
        SourcePart("https://a.example", "A")
    ]


@pytest.mark.parametrize("delta", [None, {}, {"role": "assistant", "content": ""}])
def test_a_stream_may_be_one_whole_answer(delta) -> None:
    choice = {"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}
    if delta is not None:
        choice["delta"] = delta

    assert answer_of(frame({"id": "c1", "object": "chat.completion", "choices": [choice]})).text == "Hello"


def test_a_character_cut_between_two_deltas_is_joined() -> None:
    owl = "🦉"
    high, low = "\\ud83e", "\\udd89"

    def piece(member: str, text: str) -> Frame:
        return Frame(f'{{"id":"c1","choices":[{{"index":0,"delta":{{"{member}":"{text}"}}}}]}}'.encode())

    def argument(text: str) -> Frame:
        call = f'{{"index":0,"id":"t","function":{{"name":"f","arguments":"{text}"}}}}'
        return Frame(f'{{"id":"c1","choices":[{{"index":0,"delta":{{"tool_calls":[{call}]}}}}]}}'.encode())

    assert answer_of(piece("content", f"a{high}"), piece("content", f"{low}b"), DONE).text == f"a{owl}b"
    assert answer_of(piece("reasoning", high), piece("reasoning", low), DONE).reasoning == owl
    assert answer_of(piece("refusal", high), piece("refusal", low), DONE).refusal == owl
    assert answer_of(argument(high), argument(low), DONE).tool_calls[0].arguments == owl
    # A half that stays alone is marked, in its own part.
    events = events_of(piece("content", high), DONE)
    assert events[1:-1] == [PartStart(0, TextPart("")), TextDelta(0, "\ufffd"), PartEnd(0)]
    assert answer_of(argument(high), DONE).tool_calls[0].arguments == "\ufffd"


def test_sound_is_cut_anywhere() -> None:
    """Pieces of base64 that are no whole groups, or have a padding of their own."""
    sound = b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(range(40))
    text = base64.b64encode(sound).decode()
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    frames = [chunk({"audio": {"id": "a1"}}), *(chunk({"audio": {"data": piece}}) for piece in pieces)]
    spoken = [chunk({"audio": {"transcript": word}}) for word in ("Hel", "lo")]
    answer = answer_of(*frames, *spoken, chunk({"audio": {"expires_at": 9}}), DONE)
    padded = [chunk({"audio": {"data": base64.b64encode(sound[at : at + 13]).decode()}}) for at in range(0, 56, 13)]

    assert answer.content == (
        FilePart("audio/wav", sound, meta={"openai": {"audio": {"id": "a1", "expires_at": 9}}}),
        TextPart("Hello", meta={"openai": {"transcript": True}}),
    )
    assert b"".join(event.data for event in events_of(*padded, DONE) if isinstance(event, FileDelta)) == sound


def test_citations_before_the_text_wait_for_it() -> None:
    cited = {"type": "url_citation", "url_citation": {"url": "https://a.example", "start_index": 0, "end_index": 2}}
    source = Source(url="https://a.example", start=0, end=2)
    before = events_of(chunk({"annotations": [cited]}), chunk({"content": "Hi"}), DONE)
    after = events_of(chunk({"content": "Hi"}), chunk({"content": "!", "annotations": [cited]}), DONE)

    assert before[1:4] == [PartStart(0, TextPart("")), SourceDelta(0, source), TextDelta(0, "Hi")]
    assert SourceDelta(0, source) in after
    assert answer_of(chunk({"annotations": [cited]}), DONE).sources == (SourcePart("https://a.example"),)


def test_probabilities_come_with_their_text() -> None:
    token = {"token": "Hi", "logprob": -0.5, "bytes": None, "top_logprobs": []}
    events = events_of(
        chunk({"content": "Hi"}, logprobs={"content": [token]}),
        chunk({"refusal": "No"}, logprobs={"refusal": [token]}),
        chunk({"reasoning_content": "We"}, logprobs={"reasoning_content": [token]}),
        chunk({"reasoning_content": "Us"}, logprobs={"reasoning_content": [token]}),
        chunk({"content": ""}, logprobs={"content": []}),
        DONE,
    )
    deltas = [event for event in events if isinstance(event, TextDelta)]

    assert deltas == [TextDelta(0, "Hi", (TokenLogprob("Hi", -0.5),)), TextDelta(1, "No", (TokenLogprob("Hi", -0.5),))]
    assert events[-1].meta == {"openai": {"logprobs": {"reasoning_content": [token, token]}}}


def test_further_choices_are_folded_aside() -> None:
    events = events_of(
        chunk({"content": "a"}),
        chunk({"content": "b"}, index=1),
        chunk({"content": "A"}),
        chunk({"content": "B"}, index=1),
        chunk({}, finish="stop"),
        chunk({}, index=1, finish="length"),
        DONE,
    )

    assert [event.text for event in events if isinstance(event, TextDelta)] == ["a", "A"]
    (other,) = events[-1].alternatives
    assert (other.index, other.text, other.finish) == (1, "bB", Finish("length", "length"))


def test_calls_that_the_service_ran_itself_are_told_with_their_results() -> None:
    events = events_of(
        chunk({"executed_tools": [{"index": 0, "type": "search", "arguments": "{}"}]}),
        chunk({"executed_tools": [{"index": 0, "output": "Owls."}]}),
        chunk({"executed_tools": [{"index": 1, "type": "visit"}]}),
        chunk({"content": "Owls."}, finish="stop"),
    )
    parts = [event.part for event in events if isinstance(event, PartStart)]

    assert [part.name for part in parts if isinstance(part, ToolCall)] == ["search", "visit"]
    assert [part for part in parts if isinstance(part, ToolResult)] == [
        ToolResult("executed_0", "search", (TextPart("Owls."),))
    ]
    assert events[-1].finish == Finish("stop", "stop")


def test_a_field_of_a_surprising_type_does_not_end_the_stream() -> None:
    answer = answer_of(
        frame({"id": "c1", "choices": [{"index": 0, "delta": {"content": "a", "refusal": {"odd": 1}}}]}),
        frame({"id": 5, "choices": [{"index": "0", "delta": {"content": "b"}}]}),
        DONE,
    )

    assert answer.text == "ab"
    assert answer.meta["openai"]["unread"] == {"choices[0].delta.refusal": {"odd": 1}, "id": 5}


def test_half_a_character_where_no_text_belongs_does_not_end_the_stream() -> None:
    odd = Frame(b'{"id":"c1","created":"\\ud83d","choices":[{"index":0,"delta":{"content":"a","audio":"\\ud83d"}}]}')

    assert answer_of(odd, DONE).text == "a"


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "1e999", "true", '"7"', "[]"])
def test_odd_counts_are_not_said(odd) -> None:
    usage = f'{{"id":"c1","choices":[],"usage":{{"prompt_tokens":{odd},"completion_tokens":2}}}}'
    answer = answer_of(chunk({"content": "a"}), Frame(usage.encode()), DONE)

    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (None, 2)


def test_what_only_the_last_chunk_says_of_the_answer_is_kept() -> None:
    answer = answer_of(
        chunk({"content": "a"}, created=5, service_tier="auto"),
        chunk({}, finish="stop", created=6, service_tier="default", system_fingerprint="fp"),
    )

    assert answer.meta == {"openai": {"created": 6, "service_tier": "default", "system_fingerprint": "fp"}}


def test_a_plain_piece_of_text_takes_the_short_way() -> None:
    """The same text event, whether a chunk has only the text or all that a service may put beside it."""
    beside = {"obfuscation": "x", "usage": None, "system_fingerprint": "fp", "logprobs": None}
    decoder = StreamDecoder()
    decoder.feed(chunk({"content": "a"}))
    plain = Frame(json.dumps({"choices": [{"delta": {"content": "b"}}]}).encode())

    assert (
        decoder.feed(plain)
        == decoder.feed(chunk({"content": "b", "role": "assistant"}, **beside))
        == [TextDelta(0, "b")]
    )
