"""Answers as a client reads them, whole and streamed: each trap of the wire."""

from __future__ import annotations

import json

import pytest

from polyvox.dialects.anthropic.response import decode_response
from polyvox.dialects.anthropic.stream import StreamDecoder
from polyvox.dialects.anthropic.usage import decode_usage, encode_usage
from polyvox.errors import (
    BillingError,
    DecodeError,
    InterruptedCallError,
    OverloadedError,
    RateLimitError,
    ServerError,
)
from polyvox.framing.base import Frame
from polyvox.types.events import PartStart, StreamEnd, StreamStart, TextDelta, ToolCallDelta, UsageUpdate
from polyvox.types.fold import fold
from polyvox.types.generate import Finish
from polyvox.types.parts import (
    FileId,
    FilePart,
    OpaquePart,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCall,
    ToolResult,
)
from polyvox.types.usage import Usage

USAGE = {"input_tokens": 3, "output_tokens": 1}
CITED = {"type": "char_location", "cited_text": "c", "document_index": 0, "document_title": "d"}


def whole(*blocks, **said):
    body = {"id": "msg", "type": "message", "role": "assistant", "model": "m", "content": list(blocks), "usage": USAGE}
    return decode_response(json.dumps({"stop_reason": "end_turn", "stop_sequence": None, **body, **said}).encode())


def start(**said):
    return {"type": "message_start", "message": {"id": "msg", "model": "m", "content": [], "usage": USAGE, **said}}


def block(index, **given):
    return {"type": "content_block_start", "index": index, "content_block": given}


def delta(index, **given):
    return {"type": "content_block_delta", "index": index, "delta": given}


def stop(index):
    return {"type": "content_block_stop", "index": index}


def end(reason="end_turn", **said):
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {}, **said}


STOP = {"type": "message_stop"}


def events_of(*frames):
    decoder = StreamDecoder()
    events = []
    for frame in frames:
        events += decoder.feed(Frame(frame if isinstance(frame, bytes) else json.dumps(frame).encode()))
    return events + decoder.close()


def streamed(*frames):
    return fold(events_of(start(), *frames, end(), STOP))


def test_a_streamed_text_comes_piece_by_piece():
    events = events_of(
        start(),
        {"type": "ping"},
        block(0, type="text", text=""),
        delta(0, type="text_delta", text="a"),
        delta(0, type="text_delta", text=""),
        delta(0, type="text_delta", text="é😀"),
        stop(0),
        end(),
        STOP,
    )
    assert events[:2] == [StreamStart("msg", "m"), UsageUpdate(decode_usage(USAGE))]
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["a", "é😀"]
    assert events[-1] == StreamEnd(Finish("stop", "end_turn"))


def test_a_character_cut_between_two_pieces_is_joined():
    cut = [b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\\ud83d"}}']
    rest = [b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\\ude00"}}']
    assert streamed(block(0, type="text", text=""), *cut, *rest, stop(0)).text == "😀"
    assert streamed(block(0, type="text", text=""), *cut, stop(0)).text == "\ufffd"


def test_thinking_keeps_its_signature_and_may_have_no_text():
    part = ReasoningPart("hm", meta={"anthropic": {"signature": "s"}})
    assert whole({"type": "thinking", "thinking": "hm", "signature": "s"}).content == (part,)
    opened = block(0, type="thinking", thinking="", signature="")
    signed = delta(0, type="signature_delta", signature="s")
    assert streamed(opened, delta(0, type="thinking_delta", thinking="hm"), signed, stop(0)).content == (part,)
    assert streamed(opened, signed, stop(0)).content == (ReasoningPart("", meta={"anthropic": {"signature": "s"}}),)


def test_redacted_thinking_is_kept():
    part = ReasoningPart("", True, {"anthropic": {"data": "d"}})
    given = {"type": "redacted_thinking", "data": "d"}
    assert whole(given).content == streamed(block(0, **given), stop(0)).content == (part,)


def test_a_call_without_arguments_is_an_empty_object():
    opened = block(0, type="tool_use", id="a", name="f", input={})
    for pieces in ([], [delta(0, type="input_json_delta", partial_json="")]):
        (call,) = streamed(opened, *pieces, stop(0)).content
        assert call == ToolCall("a", "f", "{}")
    (call,) = whole({"type": "tool_use", "id": "a", "name": "f", "input": {}}).content
    assert (call.arguments, call.decode()) == ("{}", {})


def test_arguments_come_in_pieces_and_are_kept_as_they_were_written():
    opened = block(0, type="tool_use", id="a", name="f", input={}, caller={"type": "direct"})
    pieces = [delta(0, type="input_json_delta", partial_json=piece) for piece in ("", '{"x": ', "1.0}")]
    events = events_of(start(), opened, *pieces, stop(0), end("tool_use"), STOP)
    assert [event.arguments for event in events if isinstance(event, ToolCallDelta)] == ['{"x": ', "1.0}"]
    response = fold(events)
    assert response.finish == Finish("tool_calls", "tool_use")
    assert response.content == (ToolCall("a", "f", '{"x": 1.0}', meta={"anthropic": {"caller": {"type": "direct"}}}),)
    body = b'{"content": [{"type":"tool_use","id":"a","name":"f","input":{"x":  1.0}}], "stop_reason": "tool_use"}'
    assert decode_response(body).tool_calls[0].arguments == '{"x":  1.0}'


def test_arguments_cut_by_the_limit_stay_as_they_came():
    opened = block(0, type="tool_use", id="a", name="f", input={})
    piece = delta(0, type="input_json_delta", partial_json='{"x": "un')
    response = fold(events_of(start(), opened, piece, stop(0), end("max_tokens"), STOP))
    assert (response.tool_calls[0].arguments, response.finish.reason) == ('{"x": "un', "length")
    with pytest.raises(DecodeError):
        response.tool_calls[0].decode()


def test_citations_are_sources_on_their_text():
    cited = {"type": "web_search_result_location", "url": "u", "title": "t", "cited_text": "w", "encrypted_index": "i"}
    response = whole({"type": "text", "text": "x", "citations": [CITED, cited]})
    again = streamed(
        block(0, type="text", text="", citations=[]),
        delta(0, type="citations_delta", citation=CITED),
        delta(0, type="citations_delta", citation=cited),
        delta(0, type="text_delta", text="x"),
        stop(0),
    )
    assert response.content == again.content
    (part,) = response.content
    assert [(source.url, source.title, source.text) for source in part.sources] == [(None, "d", "c"), ("u", "t", "w")]
    assert part.sources[1].meta == {"anthropic": cited}


OUTCOMES = [
    ("web_search_tool_result", [{"type": "web_search_result", "url": "u", "title": "t"}], (SourcePart("u", "t"),)),
    ("web_search_tool_result", {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}, None),
    (
        "bash_code_execution_tool_result",
        {
            "type": "bash_code_execution_result",
            "stdout": "out",
            "stderr": "",
            "return_code": 0,
            "content": [{"type": "bash_code_execution_output", "file_id": "f"}],
        },
        (TextPart("out"), FilePart("application/octet-stream", FileId("f"))),
    ),
    (
        "web_fetch_tool_result",
        {
            "type": "web_fetch_result",
            "url": "u",
            "content": {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "page"},
                "title": "t",
            },
        },
        (SourcePart("u", "t", "page"),),
    ),
    (
        "tool_search_tool_result",
        {"type": "x", "tool_references": [{"type": "tool_reference", "tool_name": "f"}]},
        (TextPart("f"),),
    ),
    ("mcp_tool_result", [{"type": "text", "text": "x"}], (TextPart("x"),)),
    ("text_editor_code_execution_tool_result", {"type": "view", "content": "shown"}, (TextPart("shown"),)),
    ("odd_tool_result", {"type": "odd"}, (OpaquePart("odd"),)),
]


@pytest.mark.parametrize(("kind", "content", "parts"), OUTCOMES)
def test_what_the_providers_own_tools_did_is_a_call_and_its_result(kind, content, parts):
    call = {"type": "server_tool_use", "id": "s", "name": "tool", "input": {"q": 1}}
    result = {"type": kind, "tool_use_id": "s", "content": content}
    response = whole(call, result)
    made, gave = response.content
    assert made == ToolCall("s", "tool", '{"q": 1}', executed=True, meta={"anthropic": {"type": "server_tool_use"}})
    if parts is None:
        assert gave.is_error and gave.text == "max_uses_exceeded"
    else:
        assert gave == ToolResult("s", "tool", parts, meta={"anthropic": {"type": kind, "content": content}})
    assert response.tool_calls == ()
    opened = block(0, **{**call, "input": {}})
    pieces = delta(0, type="input_json_delta", partial_json='{"q": 1}')
    assert streamed(opened, pieces, stop(0), block(1, **result), stop(1)).content == response.content


def test_a_block_of_tomorrow_is_kept_with_all_that_came_for_it():
    (part,) = streamed(
        block(0, type="compaction", content=None),
        delta(0, type="compaction_delta", content="a"),
        delta(0, type="compaction_delta", content="b"),
        delta(0, type="odd_delta", more=[1]),
        stop(0),
    ).content
    assert part == OpaquePart("compaction", {"anthropic": {"type": "compaction", "content": "ab", "more": [1]}})
    (part,) = whole({"type": "compaction", "content": "ab"}).content
    assert part == OpaquePart("compaction", {"anthropic": {"type": "compaction", "content": "ab"}})


def test_a_delta_of_tomorrow_on_a_text_is_kept():
    (part,) = streamed(block(0, type="text", text=""), delta(0, type="odd_delta", mark=1), stop(0)).content
    assert part == TextPart("", meta={"anthropic": {"mark": 1}})


def test_events_of_tomorrow_and_a_proxys_end_mark_are_skipped():
    response = streamed({"type": "odd", "x": 1}, block(0, type="text", text="x"), stop(0), b"[DONE]")
    assert response.text == "x"


def test_blocks_that_were_never_begun_or_never_ended_are_read_all_the_same():
    response = fold(
        events_of(
            delta(0, type="text_delta", text="a"), delta(1, type="thinking_delta", thinking="b"), end("max_tokens")
        )
    )
    assert [type(part) for part in response.content] == [TextPart, ReasoningPart]
    assert (response.text, response.reasoning, response.finish.reason) == ("a", "b", "length")


def test_blocks_may_interleave():
    response = streamed(
        block(0, type="text", text=""),
        block(1, type="tool_use", id="a", name="f", input={}),
        delta(1, type="input_json_delta", partial_json="{}"),
        delta(0, type="text_delta", text="x"),
        stop(1),
        stop(0),
    )
    assert response.content == (TextPart("x"), ToolCall("a", "f", "{}"))


def test_an_empty_answer_is_an_answer():
    assert whole().content == streamed().content == ()
    assert whole(stop_reason="stop_sequence", stop_sequence="z").meta == {"anthropic": {"stop_sequence": "z"}}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "pause"),
        ("compaction", "pause"),
        ("refusal", "content_filter"),
        ("odd", "other"),
    ],
)
def test_why_an_answer_ended(raw, reason):
    assert whole(stop_reason=raw).finish == Finish(reason, raw)
    assert fold(events_of(start(), end(raw))).finish == Finish(reason, raw)


def test_a_refusal_tells_its_category_whole_and_streamed():
    details = {"type": "refusal", "category": "cyber"}
    ending = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}, "usage": {}}
    response = fold(events_of(start(), ending, STOP))
    assert whole(stop_reason="refusal", stop_details=details).meta == response.meta
    assert response.meta == {"anthropic": {"stop_details": details}}


def test_usage_is_replaced_never_added():
    response = fold(
        events_of(
            start(usage={"input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 5, "service_tier": "x"}),
            end(usage={"output_tokens": 7, "input_tokens": 12, "cache_read_input_tokens": None}),
            end(usage={"output_tokens": 9}),
            STOP,
        )
    )
    assert (response.usage.input_tokens, response.usage.output_tokens) == (17, 9)
    assert response.usage.cache_read_tokens == 5
    assert response.usage.raw["service_tier"] == "x"


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        ({}, Usage()),
        ({"input_tokens": 3, "output_tokens": 2}, Usage(3, 2)),
        (
            {
                "input_tokens": 3,
                "output_tokens": 9,
                "cache_creation_input_tokens": 5,
                "cache_read_input_tokens": 7,
                "output_tokens_details": {"thinking_tokens": 4},
            },
            Usage(15, 9, cache_read_tokens=7, cache_write_tokens=5, reasoning_tokens=4),
        ),
        (
            {
                "input_tokens": 181,
                "output_tokens": 8,
                "iterations": [
                    {"type": "compaction", "input_tokens": 100, "output_tokens": 83, "cache_read_input_tokens": 50},
                    {"type": "message", "input_tokens": 181, "output_tokens": 8, "cache_read_input_tokens": 0},
                ],
            },
            Usage(331, 91, cache_read_tokens=50),
        ),
        ({"input_tokens": 1, "output_tokens": 1, "cost": 0.5}, Usage(1, 1, reported_cost=0.5)),
    ],
)
def test_the_arithmetic_of_usage(raw, usage):
    decoded = decode_usage(raw)
    assert (decoded.input_tokens, decoded.output_tokens) == (usage.input_tokens, usage.output_tokens)
    assert (decoded.cache_read_tokens, decoded.cache_write_tokens) == (
        usage.cache_read_tokens,
        usage.cache_write_tokens,
    )
    assert (decoded.reasoning_tokens, decoded.reported_cost) == (usage.reasoning_tokens, usage.reported_cost)
    if usage.input_tokens is not None:
        assert decode_usage(encode_usage(usage)).total_tokens == usage.total_tokens
        assert encode_usage(decoded) is raw


def test_an_error_may_come_amid_a_stream():
    decoder = StreamDecoder()
    decoder.feed(Frame(json.dumps(start()).encode()))
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "r"}
    with pytest.raises(OverloadedError, match="Overloaded") as caught:
        decoder.feed(Frame(json.dumps(error).encode(), "error"))
    assert (caught.value.code, caught.value.request_id, caught.value.retryable) == ("overloaded_error", "r", True)
    with pytest.raises(ServerError):
        StreamDecoder().feed(Frame(b'{"error": {"message": "x"}}'))


def test_an_answer_that_breaks_off_is_no_answer():
    with pytest.raises(InterruptedCallError):
        events_of(start(), block(0, type="text", text="x"))
    with pytest.raises(InterruptedCallError):
        events_of()
    assert fold(events_of(start(), STOP)).finish == Finish("other")


def test_a_streamed_request_may_be_answered_whole():
    body = {"type": "message", "id": "i", "model": "m", "content": [{"type": "text", "text": "x"}], "usage": USAGE}
    events = events_of({**body, "stop_reason": "end_turn"})
    assert isinstance(events[1], PartStart)
    assert fold(events).text == "x"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}', RateLimitError),
        (
            b'{"error":{"type":"rate_limit_error","message":"x","details":{"error_code":"enforced_spend_limit_reached"}}}',
            BillingError,
        ),
        (b'{"choices": []}', DecodeError),
        (b"[]", DecodeError),
        (b"<html>", DecodeError),
    ],
)
def test_a_body_that_is_no_answer_raises(body, kind):
    with pytest.raises(kind):
        decode_response(body)


def test_odd_members_do_not_kill_an_answer():
    response = whole(
        {"type": "text", "text": None}, {"type": "tool_use", "id": 1, "name": None, "input": None}, "odd", usage="none"
    )
    assert response.content == (TextPart(""), ToolCall("", "", "{}"))
    assert response.usage == Usage()
    response = streamed(block(0, type="text", text=""), delta(0, type="text_delta", text=5), stop(0))
    assert response.content == (TextPart(""),)
