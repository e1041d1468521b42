"""Gemini as a user of a client meets it, over HTTP, on both clients; the server speaks through our own other half."""

from __future__ import annotations

import json

import pytest

from polyvox.calls.config import CallConfig
from polyvox.dialects.gemini.answer import StreamEncoder, encode_response
from polyvox.dialects.gemini.request import decode_request
from polyvox.errors import AuthenticationError, InterruptedCallError, OverloadedError, RateLimitError
from polyvox.types.events import PartEnd, PartStart, StreamEnd, StreamStart, TextDelta
from polyvox.types.fold import unfold
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.messages import tool, user
from polyvox.types.parts import FilePart, ReasoningPart, TextPart, ToolCall, ToolResult
from polyvox.types.tools import Tool
from polyvox.types.usage import Usage
from tests.loopback import LoopbackServer, cut_chunked, error, respond, sequence, sse_frames

JSON = {"Content-Type": "application/json; charset=UTF-8"}
KEY = "AIzaCanary0123456789"
WEATHER = Tool("weather", "d", {"type": "object", "properties": {"city": {"type": "string"}}})
CALLED = GenerateResponse(
    id="r1",
    model="gemini-3.8-flash",
    content=(
        ReasoningPart("hm", meta={"gemini": {"thought": True}}),
        ToolCall("call_1", "weather", '{"city":"Paris"}', meta={"gemini": {"thoughtSignature": "s"}}),
        ToolCall("call_2", "weather", '{"city":"Rome"}'),
    ),
    finish=Finish("tool_calls", "STOP"),
    usage=Usage(20, 9, cache_read_tokens=5, reasoning_tokens=3),
)
TOLD = GenerateResponse(
    id="r2", model="gemini-3.8-flash", content=(TextPart("Rain."),), finish=Finish("stop", "STOP"), usage=Usage(40, 2)
)


def frames(response):
    encoder = StreamEncoder(GenerateRequest(model="m", messages=()))
    *inner, end = unfold(response)
    return [*encoder.feed(inner), *encoder.feed([StreamEnd(end.finish, end.usage)]), *encoder.close()]


def gemini(server):
    return {"gemini": {"base_url": server.url, "api_key": KEY}}


def test_a_turn_with_tools_goes_there_and_back(make_caller):
    script = sequence(sse_frames(frames(CALLED)), respond(200, encode_response(TOLD), JSON))
    with LoopbackServer(script) as server:
        caller = make_caller(providers=gemini(server))
        first = caller.stream("gemini", "Weather?", tools=[WEATHER], reasoning="high").drain()
        assert (first.reasoning, first.finish.reason) == ("hm", "tool_calls")
        assert [call.decode() for call in first.tool_calls] == [{"city": "Paris"}, {"city": "Rome"}]
        assert (first.usage.input_tokens, first.usage.cache_read_tokens, first.usage.reasoning_tokens) == (20, 5, 3)
        results = tool([ToolResult(call.id, call.name, (TextPart("rain"),)) for call in first.tool_calls])
        second = caller.generate("gemini", [user("Weather?"), first.message, results], tools=[WEATHER])
        assert (second.text, second.provider) == ("Rain.", "gemini")
        asked, again = server.requests
    assert asked.path == "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
    assert asked.headers["x-goog-api-key"] == KEY
    assert "authorization" not in asked.headers and KEY not in asked.path
    thinking = json.loads(asked.body)["generationConfig"]["thinkingConfig"]
    assert thinking == {"thinkingLevel": "HIGH", "includeThoughts": True}
    request, stream = decode_request(again.body, path=again.path)
    assert (request.model, stream) == ("gemini-3.8-flash", False)
    assert request.messages[1].content == CALLED.content
    assert request.messages[2] == results


def test_text_comes_as_it_is_written(make_caller):
    with LoopbackServer(sse_frames(frames(TOLD))) as server:
        events = make_caller(providers=gemini(server)).stream("gemini", "hi").events()
    assert isinstance(events[0], StreamStart) and events[0].provider == "gemini"
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Rain."
    assert [type(event) for event in events if isinstance(event, PartStart | PartEnd)] == [PartStart, PartEnd]


def test_a_picture_comes_as_a_file(make_caller):
    painted = GenerateResponse(content=(FilePart("image/png", b"AB"),), finish=Finish("stop", "STOP"))
    with LoopbackServer(respond(200, encode_response(painted), JSON)) as server:
        caller = make_caller(providers=gemini(server))
        answer = caller.generate("gemini/gemini-3-pro-image", "draw", modalities=("text", "image"))
        assert answer.content == (FilePart("image/png", b"AB"),)
        assert json.loads(server.requests[0].body)["generationConfig"] == {"responseModalities": ["TEXT", "IMAGE"]}


def test_a_blocked_prompt_is_an_answer_that_says_so(make_caller):
    blocked = b'{"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 3}}'
    with LoopbackServer(respond(200, blocked, JSON)) as server:
        answer = make_caller(providers=gemini(server)).generate("gemini", "hi")
    assert (answer.text, answer.finish) == ("", Finish("content_filter", "PROHIBITED_CONTENT"))


def test_an_error_amid_a_stream_keeps_what_had_come(make_caller):
    broken = b'data: {"error":{"code":503,"message":"Overloaded","status":"UNAVAILABLE"}}\r\n\r\n'
    with LoopbackServer(sse_frames([*frames(TOLD)[:1], broken])) as server:
        reader = make_caller(providers=gemini(server)).stream("gemini", "hi")
        with pytest.raises(OverloadedError) as caught:
            reader.drain()
    assert caught.value.partial.text == "Rain."


def test_a_stream_that_breaks_off_says_so(make_caller):
    piece = b'data: {"candidates":[{"content":{"role":"model","parts":[{"text":"Ra"}]}}]}\r\n\r\n'
    with LoopbackServer(cut_chunked(piece)) as server, pytest.raises(InterruptedCallError) as caught:
        make_caller(providers=gemini(server)).stream("gemini", "hi").drain()
    assert caught.value.partial.text == "Ra"


def test_a_streamed_request_may_be_answered_whole(make_caller):
    with LoopbackServer(respond(200, encode_response(TOLD), JSON)) as server:
        assert make_caller(providers=gemini(server)).stream("gemini", "hi").drain().text == "Rain."


def test_an_error_tells_its_kind_and_how_long_to_wait(make_caller):
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]
    said = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": details}}
    once = CallConfig(retry=False)
    with LoopbackServer(error(429, json.dumps(said).encode())) as server, pytest.raises(RateLimitError) as caught:
        make_caller(providers=gemini(server), call_config=once).generate("gemini", "hi")
    assert "slow down" in caught.value.message
    assert (caught.value.retry_after, caught.value.provider) == (7.0, "gemini")


def test_a_wrong_key_is_told_as_such_and_not_shown(make_caller):
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    said = {"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": details}}
    with LoopbackServer(error(400, json.dumps(said).encode())) as server, pytest.raises(AuthenticationError) as caught:
        make_caller(providers=gemini(server)).generate("gemini", "hi")
    assert KEY not in str(caught.value) and KEY not in repr(caught.value)
