"""A server's half of the Responses wire: our answers as bodies and as streams, and what clients read of them."""

from __future__ import annotations

import json

import pytest

from polyvox.dialects.openai.errors import decode_error, encode_error
from polyvox.dialects.openai_responses.answer import encode_response
from polyvox.dialects.openai_responses.events import StreamEncoder
from polyvox.dialects.openai_responses.response import decode_response
from polyvox.dialects.openai_responses.stream import StreamDecoder
from polyvox.errors import BadRequestError, BillingError, ContextLengthError, OverloadedError, RateLimitError
from polyvox.framing.sse import SSEFramer
from polyvox.types.events import (
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
from polyvox.types.fold import fold, unfold
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.parts import (
    FilePart,
    OpaquePart,
    ReasoningPart,
    Source,
    SourcePart,
    TextPart,
    TokenLogprob,
    ToolCall,
    ToolResult,
)
from polyvox.types.usage import Usage
from tests.dialects.openai_responses.answers import OWN

REQUEST = GenerateRequest(model="asked", messages=())
STOP = Finish("stop")


def body_of(*content, **said):
    said = {"id": "resp_1", "model": "m", "finish": STOP, **said}
    return json.loads(encode_response(GenerateResponse(content=content, **said)))


def frames_of(events, *, singly=True):
    encoder = StreamEncoder(REQUEST)
    lists = [[event] for event in events] if singly else [events]
    return b"".join([*(frame for one in lists for frame in encoder.feed(one)), *encoder.close()])


def told(events, **how):
    """The events of the stream, each as plain JSON."""
    framer = SSEFramer()
    raw = frames_of(events, **how)
    frames = framer.feed(raw) + framer.close()
    read = [json.loads(frame.data) for frame in frames]
    assert [frame.event for frame in frames] == [event["type"] for event in read]
    assert [event["sequence_number"] for event in read] == list(range(len(read)))
    return read


def again(events, **how):
    framer, decoder = SSEFramer(), StreamDecoder()
    frames = framer.feed(frames_of(events, **how)) + framer.close()
    return fold([*(event for frame in frames for event in decoder.feed(frame)), *decoder.close()])


def spoken(response):
    """Return the events of an answer, as if they had come one by one."""
    *inner, end = unfold(response)
    return [*inner, StreamEnd(end.finish, end.usage, meta=end.meta)]


def test_a_text_of_another_wire_is_written_as_openai_writes_it():
    body = body_of(TextPart("hi"), usage=Usage(9, 5))
    (item,) = body["output"]
    assert item.pop("id").startswith("msg_")
    part = {"type": "output_text", "text": "hi", "annotations": [], "logprobs": []}
    assert item == {"type": "message", "role": "assistant", "status": "completed", "content": [part]}
    assert isinstance(body.pop("created_at"), int)
    assert {name: value for name, value in body.items() if name not in ("output", "usage")} == {
        "id": "resp_1",
        "object": "response",
        "model": "m",
        "status": "completed",
        "error": None,
        "incomplete_details": None,
    }
    assert body["usage"]["total_tokens"] == 14


def test_parts_of_another_wire_are_items_of_their_own():
    body = body_of(
        ReasoningPart("hm"),
        TextPart("no", refusal=True),
        ToolCall("c1", "f", "{}"),
        ToolCall("c2", "sql", "select", "custom"),
        FilePart("image/png", b"AB"),
        SourcePart("https://x.example", "X"),
        OpaquePart("odd", {"anthropic": {"type": "odd"}}),
        finish=Finish("tool_calls"),
    )
    ids = [item.pop("id", None) for item in body["output"]]
    assert [name and name.split("_")[0] for name in ids] == ["rs", "msg", "fc", "fc", "ig", None]
    assert body["output"][0] == {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    assert body["output"][1]["content"] == [{"type": "refusal", "refusal": "no"}]
    assert body["output"][2:] == [
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "sql", "input": "select", "status": "completed"},
        {"type": "image_generation_call", "status": "completed", "output_format": "png", "result": "QUI="},
        {"type": "search_results", "results": [{"url": "https://x.example", "title": "X"}]},
    ]
    assert body["status"] == "completed"


@pytest.mark.parametrize("failed", [False, True])
def test_a_tool_that_another_provider_ran_is_one_of_an_mcp_server(failed):
    call = ToolCall("c", "search", '{"q":1}', executed=True)
    result = ToolResult("c", "search", (TextPart("found"),), failed)
    response = GenerateResponse(content=(call, result), finish=STOP)
    for read in (decode_response(encode_response(response)), again(spoken(response))):
        asked, gave = read.content
        assert (asked.id, asked.name, asked.arguments, asked.executed) == ("c", "search", '{"q":1}', True)
        assert (gave.text, gave.is_error) == ("found", failed)


def test_a_call_without_its_result_and_a_result_without_its_call_are_told_all_the_same():
    call, result = ToolCall("a", "f", "{}", executed=True), ToolResult("b", "g", (TextPart("x"),))
    for parts in ((call,), (result,), (call, result)):
        response = GenerateResponse(content=parts, finish=STOP)
        whole, streamed = decode_response(encode_response(response)), again(spoken(response))
        assert [part.id for part in whole.content if isinstance(part, ToolCall)] == [part.id for part in parts]
        assert sorted(part.id for part in streamed.content if isinstance(part, ToolCall)) == [p.id for p in parts]


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        (Finish("stop", "end_turn"), "completed", None),
        (Finish("tool_calls", "tool_use"), "completed", None),
        (Finish("length", "max_tokens"), "incomplete", "max_tokens"),
        (Finish("length", "MAX_TOKENS"), "incomplete", "max_output_tokens"),
        (Finish("content_filter", "SAFETY"), "incomplete", "content_filter"),
        (Finish("pause", "pause_turn"), "incomplete", "pause_turn"),
        (Finish("error"), "incomplete", "error"),
        (Finish("other", "cancelled"), "cancelled", None),
        (None, "in_progress", None),
    ],
)
def test_why_an_answer_ended_is_told_by_its_status(finish, status, reason):
    body = body_of(TextPart("a"), finish=finish)
    assert body["status"] == status
    assert (body["incomplete_details"] or {}).get("reason") == reason
    last = told([StreamStart("r", "m"), StreamEnd(finish)])[-1]
    assert last["type"] == ("response.incomplete" if status == "incomplete" else "response.completed")
    assert last["response"]["status"] == status


def test_a_refusal_is_a_completed_answer():
    assert body_of(TextPart("no", refusal=True), finish=Finish("content_filter"))["status"] == "completed"


def test_a_streamed_text_is_told_event_by_event():
    source = Source(url="https://x.example", title="X", start=0, end=2)
    events = told(
        [
            StreamStart("resp_1", "m"),
            UsageUpdate(Usage(9)),
            PartStart(0, TextPart("")),
            TextDelta(0, "h", (TokenLogprob("h", -1.0),)),
            TextDelta(0, "i"),
            SourceDelta(0, source),
            PartEnd(0, {}),
            StreamEnd(STOP, Usage(9, 5)),
        ]
    )
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.annotation.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert events[0]["response"]["status"] == "in_progress" and events[0]["response"]["model"] == "m"
    assert events[2]["item"]["status"] == "in_progress" and events[2]["item"]["content"] == []
    assert [event["delta"] for event in events[4:6]] == ["h", "i"]
    assert events[4]["logprobs"] == [{"token": "h", "logprob": -1.0, "top_logprobs": []}]
    assert events[6]["annotation"]["url"] == "https://x.example"
    assert events[7]["text"] == "hi"
    assert len({event["item_id"] for event in events[3:9]}) == 1
    assert events[9]["item"]["content"][0]["annotations"] == [events[6]["annotation"]]
    assert events[10]["response"]["output"] == [events[9]["item"]]
    assert events[10]["response"]["usage"]["output_tokens"] == 5


def test_a_streamed_call_is_told_with_its_name_and_then_its_arguments():
    events = told(
        [
            StreamStart("resp_1"),
            PartStart(0, ToolCall("call_1", "f")),
            ToolCallDelta(0, "{"),
            ToolCallDelta(0, "}"),
            PartEnd(0, {}),
            PartStart(1, ToolCall("call_2", "sql", kind="custom")),
            ToolCallDelta(1, "select"),
            PartEnd(1, {}),
            StreamEnd(Finish("tool_calls")),
        ]
    )
    kinds = [event["type"].removeprefix("response.") for event in events[2:-1]]
    assert kinds == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
    ]
    assert (events[2]["item"]["call_id"], events[2]["item"]["name"]) == ("call_1", "f")
    assert (events[5]["arguments"], events[5]["name"]) == ("{}", "f")
    assert [event["output_index"] for event in events[2:-1]] == [0] * 5 + [1] * 4


def test_streamed_reasoning_is_a_summary_and_what_is_encrypted_comes_at_its_end_alone():
    item = {"id": "rs_1", "encrypted_content": "secret"}
    start = ReasoningPart(meta={OWN: {"item": item}})
    events = told(
        [
            StreamStart("resp_1"),
            PartStart(0, start),
            ReasoningDelta(0, "hm"),
            PartEnd(0, {OWN: {"item": item}}),
            StreamEnd(STOP),
        ]
    )
    kinds = [event["type"].removeprefix("response.") for event in events[2:-1]]
    assert kinds == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    assert "encrypted_content" not in events[2]["item"]
    assert events[7]["item"]["encrypted_content"] == "secret"


def test_an_answer_in_one_list_is_told_as_one_that_came_in_pieces():
    response = GenerateResponse(
        id="resp_1",
        model="m",
        content=(ReasoningPart("hm"), TextPart("hi"), ToolCall("c", "f", "{}"), FilePart("image/png", b"AB")),
        finish=Finish("tool_calls"),
        usage=Usage(9, 5),
    )
    events = spoken(response)
    once, singly = (told(events, singly=singly) for singly in (False, True))
    assert [event["type"] for event in once] == [event["type"] for event in singly]
    assert again(events).text == "hi"
    assert [call.arguments for call in again(events).tool_calls] == ["{}"]


def test_an_answer_of_nothing_is_an_answer():
    assert body_of()["output"] == []
    events = told([StreamEnd(None)])
    assert [event["type"] for event in events] == ["response.created", "response.in_progress", "response.completed"]
    assert decode_response(encode_response(GenerateResponse(content=(), finish=STOP))).finish.reason == "stop"


def test_what_came_from_this_wire_is_written_as_it_came():
    item = {"type": "message", "id": "msg_7", "status": "completed", "phase": "commentary"}
    content = (
        ReasoningPart(meta={OWN: {"item": {"id": "rs_7", "encrypted_content": "e"}}}),
        TextPart("a", meta={OWN: {"more": "msg_7"}}),
        TextPart("b", meta={OWN: {"item": item}}),
        OpaquePart("shell_call", {OWN: {"type": "shell_call", "id": "sh"}}),
    )
    response = GenerateResponse(content=content, finish=STOP, meta={OWN: {"service_tier": "flex", "created_at": 7}})
    body = json.loads(encode_response(response))
    assert body["output"][0] == {"type": "reasoning", "id": "rs_7", "encrypted_content": "e", "summary": []}
    assert [part["text"] for part in body["output"][1]["content"]] == ["a", "b"]
    assert body["output"][1]["phase"] == "commentary"
    assert body["output"][2] == {"type": "shell_call", "id": "sh"}
    assert (body["service_tier"], body["created_at"]) == ("flex", 7)
    assert decode_response(json.dumps(body).encode()).content == content
    assert again(spoken(response), singly=False).content == content


def test_an_item_keeps_the_name_that_it_began_with():
    """Where what it was called comes with its end alone; save reasoning: what is encrypted is bound to the name."""
    item = {"type": "message", "id": "msg_7", "status": "completed", "phase": "commentary"}
    events = told(
        [
            PartStart(0, ReasoningPart()),
            PartEnd(0, {OWN: {"item": {"id": "rs_7", "encrypted_content": "e"}}}),
            PartStart(1, TextPart("a")),
            PartEnd(1, {OWN: {"more": "msg_7"}}),
            PartStart(2, TextPart("b")),
            PartEnd(2, {OWN: {"item": item}}),
            StreamEnd(STOP),
        ]
    )
    names = [event["item"]["id"] for event in events if "item" in event]
    assert names[1] == "rs_7"
    assert names[2] == names[3]
    assert [part["text"] for part in events[-1]["response"]["output"][1]["content"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadRequestError("input: is missing"), 400),
        (ContextLengthError("too long"), 400),
        (RateLimitError("slow"), 429),
        (BillingError("money"), 429),
        (OverloadedError("busy"), 503),
    ],
)
def test_an_error_is_told_so_that_a_client_knows_its_kind(error, status):
    said, body = encode_error(error)
    assert said == status
    read = decode_error(said, {}, body)
    assert type(read) is type(error)
    assert read.message.startswith(error.message)
