"""The Responses wire as a user of a client meets it, over HTTP, on both clients; conversations that change the wire."""

from __future__ import annotations

import json

import pytest

from polyvox.calls.config import CallConfig
from polyvox.dialects.openai.chat.answer import encode_response as encode_chat
from polyvox.dialects.openai_responses.answer import encode_response
from polyvox.dialects.openai_responses.events import StreamEncoder
from polyvox.dialects.openai_responses.request import decode_request
from polyvox.errors import InterruptedCallError, RateLimitError, UnsupportedError
from polyvox.types.events import StreamEnd, StreamStart, TextDelta
from polyvox.types.fold import unfold
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.messages import system, tool, user
from polyvox.types.parts import ReasoningPart, TextPart, ToolCall, ToolResult
from polyvox.types.tools import Tool
from polyvox.types.usage import Usage
from tests.loopback import LoopbackServer, cut_chunked, error, respond, sequence, sse_frames

OWN = "openai_responses"
JSON = {"Content-Type": "application/json", "x-request-id": "req_1"}
WEATHER = Tool("weather", "d", {"type": "object", "properties": {"city": {"type": "string"}}})
THOUGHT = ReasoningPart("hm", meta={OWN: {"item": {"id": "rs_1", "encrypted_content": "e"}}})
CALL = ToolCall("call_1", "weather", '{"city":"Paris"}', meta={OWN: {"item": {"id": "fc_1", "status": "completed"}}})
CALLED = GenerateResponse(
    id="resp_1",
    model="gpt-5.5-2026-04-23",
    content=(THOUGHT, CALL),
    finish=Finish("tool_calls", "completed"),
    usage=Usage(20, 9, cache_read_tokens=5, reasoning_tokens=3),
)
TOLD = GenerateResponse(
    id="resp_2", model="gpt-5.5", content=(TextPart("Rain."),), finish=Finish("stop"), usage=Usage(40, 2)
)
MODEL = "openai/a-model-without-a-row"
ON = {"dialect": OWN}


def frames(response):
    encoder = StreamEncoder(GenerateRequest(model="m", messages=()))
    *inner, end = unfold(response)
    return [*encoder.feed([*inner, StreamEnd(end.finish, end.usage)]), *encoder.close()]


def openai(server, **said):
    return {"openai": {"base_url": server.url, "api_key": "sk-canary-0123456789abcdef", **said}}


def inputs(request):
    return json.loads(request.body)["input"]


def test_a_turn_with_a_tool_goes_there_and_back(make_caller):
    script = sequence(sse_frames(frames(CALLED)), respond(200, encode_response(TOLD), JSON))
    with LoopbackServer(script) as server:
        caller = make_caller(providers=openai(server))
        first = caller.stream(MODEL, "Weather?", tools=[WEATHER], reasoning="high", **ON).drain()
        assert (first.reasoning, first.finish.reason) == ("hm", "tool_calls")
        (call,) = first.tool_calls
        assert (call.id, call.decode()) == ("call_1", {"city": "Paris"})
        assert (first.usage.input_tokens, first.usage.cache_read_tokens, first.usage.reasoning_tokens) == (20, 5, 3)
        result = tool(ToolResult(call.id, call.name, (TextPart("rain"),)))
        second = caller.generate(MODEL, [user("Weather?"), first.message, result], tools=[WEATHER], **ON)
        assert (second.text, second.request_id, second.provider) == ("Rain.", "req_1", "openai")
        asked, again = server.requests
    assert asked.path.endswith("/responses")
    assert asked.headers["authorization"] == "Bearer sk-canary-0123456789abcdef"
    assert json.loads(asked.body)["reasoning"] == {"effort": "high"}
    assert json.loads(asked.body)["include"] == ["reasoning.encrypted_content"]
    request, stream = decode_request(again.body)
    assert stream is False
    assert request.messages[1].content == CALLED.content
    assert request.messages[2].content == result.content


def test_a_model_that_reasons_is_asked_on_this_wire_unasked(make_caller):
    """By its row: the caller names the model and nothing else, and its reasoning can travel back."""
    with LoopbackServer(respond(200, encode_response(TOLD), JSON)) as server:
        answer = make_caller(providers=openai(server)).generate("openai/gpt-5.5", [system("s"), user("hi")])
        (asked,) = server.requests
    assert (answer.text, asked.path.rpartition("/")[2]) == ("Rain.", "responses")
    body = json.loads(asked.body)
    assert (body["instructions"], body["input"]) == ("s", [{"role": "user", "content": "hi"}])
    assert body["include"] == ["reasoning.encrypted_content"]


def test_text_comes_as_it_is_written(make_caller):
    with LoopbackServer(sse_frames(frames(TOLD))) as server:
        events = make_caller(providers=openai(server)).stream(MODEL, "hi", **ON).events()
    assert isinstance(events[0], StreamStart) and events[0].provider == "openai"
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Rain."]


def test_the_wire_may_be_named_in_the_configuration(make_caller):
    with LoopbackServer(sse_frames(frames(TOLD))) as server:
        caller = make_caller(providers=openai(server, dialect=OWN))
        assert caller.stream(MODEL, "hi").drain().text == "Rain."
        assert server.requests[0].path.endswith("/responses")


def test_a_conversation_goes_from_chat_to_responses_and_back(make_caller):
    """A call made on one wire is answered on the other; no mark of one wire stands in the other's body."""
    chat = GenerateResponse(
        id="c",
        model="m",
        content=(ToolCall("call_9", "weather", "{}"),),
        finish=Finish("tool_calls"),
        usage=Usage(1, 1),
    )
    script = sequence(
        respond(200, encode_chat(chat), JSON),
        respond(200, encode_response(CALLED), JSON),
        respond(200, encode_chat(TOLD), JSON),
        respond(200, encode_response(TOLD), JSON),
    )
    with LoopbackServer(script) as server:
        caller = make_caller(providers=openai(server))
        history = [user("Weather?")]
        first = caller.generate(MODEL, history, tools=[WEATHER], dialect="openai")
        history += [first.message, tool(ToolResult("call_9", "weather", (TextPart("rain"),)))]
        second = caller.generate(MODEL, history, tools=[WEATHER], **ON)
        history += [second.message, tool(ToolResult("call_1", "weather", (TextPart("sun"),))), user("so?")]
        third = caller.generate(MODEL, history, tools=[WEATHER], dialect="openai")
        assert third.text == "Rain."
        history += [third.message, user("and?")]
        caller.generate(MODEL, history, tools=[WEATHER], **ON)
        _, over, back, last = server.requests
    assert inputs(over) == [
        {"role": "user", "content": "Weather?"},
        {"type": "function_call", "call_id": "call_9", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_9", "output": "rain"},
    ]
    said = json.loads(back.body)["messages"]
    assert [message["role"] for message in said] == ["user", "assistant", "tool", "assistant", "tool", "user"]
    assert said[3]["tool_calls"][0]["id"] == said[4]["tool_call_id"] == "call_1"
    assert b"encrypted_content" not in back.body and b"fc_1" not in back.body
    assert inputs(last)[3:5] == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "encrypted_content": "e",
            "summary": [{"type": "summary_text", "text": "hm"}],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "status": "completed",
            "call_id": "call_1",
            "name": "weather",
            "arguments": '{"city":"Paris"}',
        },
    ]
    assert inputs(last)[-2:] == [{"role": "assistant", "content": "Rain."}, {"role": "user", "content": "and?"}]


def test_encrypted_reasoning_goes_to_no_other_model(make_caller):
    script = sequence(respond(200, encode_response(CALLED), JSON), respond(200, encode_response(TOLD), JSON))
    with LoopbackServer(script) as server:
        caller = make_caller(providers=openai(server))
        first = caller.generate("openai/gpt-5.5", "Weather?", tools=[WEATHER])
        result = tool(ToolResult("call_1", "weather", (TextPart("rain"),)))
        second = caller.generate("openai/gpt-5.4", [user("Weather?"), first.message, result], tools=[WEATHER])
        other = server.requests[1]
    assert [item.get("type") for item in inputs(other)] == [None, "function_call", "function_call_output"]
    assert b'encrypted_content":' not in other.body and b'"e"' not in other.body
    assert any("reasoning of another origin" in one.detail for one in second.adjustments)


def test_a_conversation_may_stand_at_the_provider(make_caller):
    """Kept there: only what is new is sent. Not kept: said so, and what is encrypted goes back all the same."""
    with LoopbackServer(respond(200, encode_response(TOLD), JSON)) as server:
        caller = make_caller(providers=openai(server))
        first = caller.generate(MODEL, "hi", **ON)
        caller.generate(MODEL, "and?", options={OWN: {"previous_response_id": first.id}}, **ON)
        history = [user("hi"), CALLED.message, tool(ToolResult("call_1", "weather", (TextPart("rain"),)))]
        caller.generate(MODEL, history, options={OWN: {"store": False}}, **ON)
        _, kept, alone = server.requests
    assert json.loads(kept.body)["previous_response_id"] == "resp_2"
    assert inputs(kept) == [{"role": "user", "content": "and?"}]
    assert json.loads(alone.body)["store"] is False
    assert inputs(alone)[1]["encrypted_content"] == "e"


def test_an_error_amid_a_stream_keeps_what_had_come(make_caller):
    broken = b'event: error\ndata: {"type":"error","error":{"code":"rate_limit_exceeded","message":"slow"}}\n\n'
    with LoopbackServer(sse_frames([*frames(TOLD)[:5], broken])) as server:
        reader = make_caller(providers=openai(server)).stream(MODEL, "hi", **ON)
        with pytest.raises(RateLimitError, match="slow") as caught:
            reader.drain()
    assert caught.value.partial.text == "Rain."


def test_a_stream_that_breaks_off_says_so(make_caller):
    with LoopbackServer(cut_chunked(*frames(TOLD)[:5])) as server, pytest.raises(InterruptedCallError) as caught:
        make_caller(providers=openai(server)).stream(MODEL, "hi", **ON).drain()
    assert caught.value.partial.text == "Rain."


def test_a_streamed_request_may_be_answered_whole(make_caller):
    with LoopbackServer(respond(200, encode_response(TOLD), JSON)) as server:
        assert make_caller(providers=openai(server)).stream(MODEL, "hi", **ON).drain().text == "Rain."


def test_an_error_tells_its_kind_and_how_long_to_wait(make_caller):
    said = b'{"error":{"type":"requests","code":"rate_limit_exceeded","message":"slow down"}}'
    script = error(429, said, {"retry-after": "7", "x-request-id": "req_9"})
    with LoopbackServer(script) as server, pytest.raises(RateLimitError, match="slow down") as caught:
        make_caller(providers=openai(server), call_config=CallConfig(retry=False)).generate(MODEL, "hi", **ON)
    assert (caught.value.retry_after, caught.value.request_id, caught.value.provider) == (7.0, "req_9", "openai")


def test_what_the_wire_has_no_word_for_is_named_or_refused(make_caller):
    with LoopbackServer(respond(200, encode_response(TOLD), JSON)) as server:
        caller = make_caller(providers=openai(server))
        answer = caller.generate(MODEL, "hi", seed=3, **ON)
        assert [(one.kind, one.setting) for one in answer.adjustments] == [("dropped", "seed")]
        with pytest.raises(UnsupportedError, match="n is not taken"):
            caller.generate(MODEL, "hi", n=2, **ON)
        assert len(server.requests) == 1
