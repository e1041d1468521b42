"""Claude as a user of a client meets it, over HTTP, on both clients; the server speaks through our own other half."""

from __future__ import annotations

import json

import pytest

from polyvox.calls.config import CallConfig
from polyvox.dialects.anthropic.answer import StreamEncoder, encode_response
from polyvox.dialects.anthropic.request import decode_request
from polyvox.errors import InterruptedCallError, OverloadedError, RateLimitError
from polyvox.types.events import PartEnd, PartStart, StreamEnd, StreamStart, TextDelta, ToolCallDelta
from polyvox.types.fold import unfold
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.messages import tool, user
from polyvox.types.parts import ReasoningPart, TextPart, ToolCall, ToolResult
from polyvox.types.tools import Tool
from polyvox.types.usage import Usage
from tests.loopback import LoopbackServer, cut_chunked, error, respond, sequence, sse_frames

JSON = {"Content-Type": "application/json", "request-id": "req_1"}
WEATHER = Tool("weather", "d", {"type": "object", "properties": {"city": {"type": "string"}}})
THOUGHT = ReasoningPart("hm", meta={"anthropic": {"signature": "s"}})
CALLED = GenerateResponse(
    id="msg_1",
    model="claude-opus-5-5",
    content=(THOUGHT, ToolCall("toolu_1", "weather", '{"city":"Paris"}')),
    finish=Finish("tool_calls", "tool_use"),
    usage=Usage(20, 9, cache_read_tokens=5, reasoning_tokens=3),
)
TOLD = GenerateResponse(
    id="msg_2", model="claude-opus-5-5", content=(TextPart("Rain."),), finish=Finish("stop"), usage=Usage(40, 2)
)


def frames(response):
    encoder = StreamEncoder(GenerateRequest(model="m", messages=()))
    *inner, end = unfold(response)
    return [*encoder.feed(inner), *encoder.feed([StreamEnd(end.finish, end.usage)]), *encoder.close()]


def claude(server):
    return {"anthropic": {"base_url": server.url, "api_key": "sk-ant-canary-0123456789"}}


def test_a_turn_with_a_tool_goes_there_and_back(make_caller):
    script = sequence(sse_frames(frames(CALLED)), respond(200, encode_response(TOLD), JSON))
    with LoopbackServer(script) as server:
        caller = make_caller(providers=claude(server))
        first = caller.stream("claude-opus", "Weather?", tools=[WEATHER], reasoning="high").drain()
        assert (first.reasoning, first.finish.reason) == ("hm", "tool_calls")
        (call,) = first.tool_calls
        assert call.decode() == {"city": "Paris"}
        assert (first.usage.input_tokens, first.usage.cache_read_tokens, first.usage.reasoning_tokens) == (20, 5, 3)
        result = tool(ToolResult(call.id, call.name, (TextPart("rain"),)))
        second = caller.generate("claude-opus", [user("Weather?"), first.message, result], tools=[WEATHER])
        assert (second.text, second.request_id, second.provider) == ("Rain.", "req_1", "anthropic")
        asked, again = server.requests
    assert asked.path == "/v1/messages"
    assert asked.headers["x-api-key"] == "sk-ant-canary-0123456789"
    assert "authorization" not in asked.headers
    assert asked.headers["anthropic-version"] == "2026-10-21"
    assert json.loads(asked.body)["thinking"] == {"type": "adaptive", "display": "summarized"}
    request, stream = decode_request(again.body)
    assert stream is False
    assert request.messages[1].content == CALLED.content
    assert request.messages[2] == result


def test_text_comes_as_it_is_written(make_caller):
    with LoopbackServer(sse_frames(frames(TOLD))) as server:
        events = make_caller(providers=claude(server)).stream("claude", "hi").events()
    assert isinstance(events[0], StreamStart) and events[0].provider == "anthropic"
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Rain."]
    assert [type(event) for event in events if isinstance(event, PartStart | PartEnd)] == [PartStart, PartEnd]
    assert not any(isinstance(event, ToolCallDelta) for event in events)


def test_an_error_amid_a_stream_keeps_what_had_come(make_caller):
    broken = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    with LoopbackServer(sse_frames([*frames(TOLD)[:3], broken])) as server:
        reader = make_caller(providers=claude(server)).stream("claude", "hi")
        with pytest.raises(OverloadedError) as caught:
            reader.drain()
    assert caught.value.partial.text == "Rain."


def test_a_stream_that_breaks_off_says_so(make_caller):
    with LoopbackServer(cut_chunked(*frames(TOLD)[:3])) as server, pytest.raises(InterruptedCallError) as caught:
        make_caller(providers=claude(server)).stream("claude", "hi").drain()
    assert caught.value.partial.text == "Rain."


def test_a_streamed_request_may_be_answered_whole(make_caller):
    with LoopbackServer(respond(200, encode_response(TOLD), JSON)) as server:
        assert make_caller(providers=claude(server)).stream("claude", "hi").drain().text == "Rain."


def test_an_error_tells_its_kind_and_how_long_to_wait(make_caller):
    said = b'{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}'
    script = error(429, said, {"retry-after": "7", "request-id": "req_9"})
    with LoopbackServer(script) as server, pytest.raises(RateLimitError, match="slow down") as caught:
        make_caller(providers=claude(server), call_config=CallConfig(retry=False)).generate("claude", "hi")
    assert (caught.value.retry_after, caught.value.request_id, caught.value.provider) == (7.0, "req_9", "anthropic")
