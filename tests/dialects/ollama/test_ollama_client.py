"""Ollama as a user of a client meets it, over HTTP, on both clients; the server speaks through our own other half."""

from __future__ import annotations

import json

import pytest

from polyvox.calls.config import CallConfig
from polyvox.calls.retry import Retry
from polyvox.dialects.ollama.answer import StreamEncoder, encode_response
from polyvox.dialects.ollama.request import decode_request
from polyvox.errors import (
    ConnectError,
    InterruptedCallError,
    NotFoundError,
    OverloadedError,
    ProviderError,
    UnsupportedError,
)
from polyvox.types.events import PartEnd, PartStart, StreamEnd, StreamStart, TextDelta, UsageUpdate
from polyvox.types.fold import unfold
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse, Output
from polyvox.types.messages import tool, user
from polyvox.types.parts import FilePart, ReasoningPart, TextPart, ToolCall, ToolResult
from polyvox.types.tools import NamedTool, Tool
from polyvox.types.usage import Usage
from tests.loopback import LoopbackServer, cut_chunked, error, respond, sequence, sse_frames
from tests.loopback_server import unused_url

# What ollama.com says of its streams is not what they are.
NDJSON = {"Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json; charset=utf-8"}
KEY = "ollama-canary-0123456789"
MODEL = "ollama/qwen3:4b"
ONCE = CallConfig(retry=False)
WEATHER = Tool("weather", "d", {"type": "object", "properties": {"city": {"type": "string"}}})
CALLED = GenerateResponse(
    model="qwen3:4b",
    content=(
        ReasoningPart("hm", meta={"ollama": {"thinking": True}}),
        ToolCall("call_1", "weather", '{"city":"Paris"}'),
        ToolCall("call_2", "weather", '{"city":"Rome"}'),
    ),
    finish=Finish("tool_calls", "stop"),
    usage=Usage(20, 9),
)
TOLD = GenerateResponse(
    model="qwen3:4b", content=(TextPart("Rain."),), finish=Finish("stop", "stop"), usage=Usage(40, 2)
)


def frames(response):
    encoder = StreamEncoder(GenerateRequest(model="m", messages=()))
    *inner, end = unfold(response)
    return [*encoder.feed(inner), *encoder.feed([StreamEnd(end.finish, end.usage)]), *encoder.close()]


def streamed(response, headers=NDJSON):
    return sse_frames(frames(response), headers=headers)


def ollama(server, **more):
    return {"ollama": {"base_url": server.url, **more}}


def test_a_turn_with_tools_goes_there_and_back(make_caller):
    with LoopbackServer(sequence(streamed(CALLED), respond(200, encode_response(TOLD), JSON))) as server:
        caller = make_caller(providers=ollama(server))
        first = caller.stream(MODEL, "Weather?", tools=[WEATHER], reasoning="none").drain()
        assert (first.reasoning, first.finish) == ("hm", Finish("tool_calls", "stop"))
        assert [call.decode() for call in first.tool_calls] == [{"city": "Paris"}, {"city": "Rome"}]
        assert (first.usage.input_tokens, first.usage.output_tokens) == (20, 9)
        results = tool([ToolResult(call.id, call.name, (TextPart("rain"),)) for call in first.tool_calls])
        second = caller.generate(MODEL, [user("Weather?"), first.message, results], tools=[WEATHER])
        assert (second.text, second.provider, second.model) == ("Rain.", "ollama", "qwen3:4b")
        asked, again = server.requests
    assert (asked.path, again.path) == ("/api/chat", "/api/chat")
    assert "authorization" not in asked.headers
    body = json.loads(asked.body)
    assert (body["model"], body["stream"], body["think"]) == ("qwen3:4b", True, False)
    request, stream = decode_request(again.body)
    assert stream is False
    assert request.messages[1].content == CALLED.content
    assert request.messages[2] == results


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/json", "text/plain"])
def test_text_comes_as_it_is_written_whatever_the_stream_is_called(make_caller, kind):
    with LoopbackServer(streamed(TOLD, {"Content-Type": kind})) as server:
        events = make_caller(providers=ollama(server)).stream(MODEL, "hi").events()
    assert isinstance(events[0], StreamStart) and events[0].provider == "ollama"
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Rain."
    assert [type(event) for event in events if isinstance(event, PartStart | PartEnd)] == [PartStart, PartEnd]
    assert isinstance(events[-1], StreamEnd) and events[-1].finish == TOLD.finish
    assert [event.usage.input_tokens for event in events if isinstance(event, UsageUpdate)] == [40]


def test_a_picture_is_sent_and_a_schema_holds_the_answer(make_caller):
    answer = GenerateResponse(model="m", content=(TextPart('{"city": "Rome"}'),), finish=Finish("stop", "stop"))
    with LoopbackServer(respond(200, encode_response(answer), JSON)) as server:
        caller = make_caller(providers=ollama(server))
        asked = [user([FilePart("image/png", b"\x89PNG\r\n\x1a\n"), TextPart("Where?")])]
        assert caller.generate(MODEL, asked, output=Output({"type": "object"})).text == '{"city": "Rome"}'
        body = json.loads(server.requests[0].body)
    assert body["messages"] == [{"role": "user", "content": "Where?", "images": ["iVBORw0KGgo="]}]
    assert body["format"] == {"type": "object"}


@pytest.mark.parametrize("choice", ["required", NamedTool("weather")])
def test_a_call_is_forced_by_a_schema(make_caller, choice):
    answer = GenerateResponse(model="m", content=(TextPart('{"city": "Rome"}'),), finish=Finish("stop", "stop"))
    with LoopbackServer(respond(200, encode_response(answer), JSON)) as server:
        reply = make_caller(providers=ollama(server)).generate(MODEL, "Weather?", tools=[WEATHER], tool_choice=choice)
        body = json.loads(server.requests[0].body)
    assert [(call.name, call.decode()) for call in reply.tool_calls] == [("weather", {"city": "Rome"})]
    assert "tools" not in body and body["format"] == WEATHER.parameters
    assert [(made.kind, made.setting) for made in reply.adjustments] == [("emulated", "tool_choice")]


def test_a_key_is_sent_where_there_is_one_and_never_shown(make_caller):
    refused = error(401, b'{"error": "unauthorized: ' + KEY.encode() + b'"}')
    with LoopbackServer(refused) as server, pytest.raises(ProviderError) as caught:
        make_caller(providers=ollama(server, api_key=KEY), call_config=ONCE).generate(MODEL, "hi")
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in str(caught.value) and KEY not in repr(caught.value)


def test_a_model_that_was_not_fetched_is_told_with_what_helps(make_caller):
    missing = error(404, b'{"error": "model \'qwen3:4b\' not found"}')
    with LoopbackServer(missing) as server, pytest.raises(NotFoundError) as caught:
        make_caller(providers=ollama(server), call_config=ONCE).generate(MODEL, "hi")
    assert "not found" in caught.value.message and "ollama pull qwen3:4b" in caught.value.message


def test_a_server_that_does_not_run_is_told_with_what_helps(make_caller):
    providers = {"ollama": {"base_url": unused_url()}}
    with pytest.raises(ConnectError) as caught:
        make_caller(providers=providers, call_config=ONCE).generate(MODEL, "hi")
    assert "ollama serve" in caught.value.message and str(caught.value).count("ollama serve") == 1


def test_a_full_queue_is_asked_again(make_caller):
    busy = error(503, b'{"error": "server busy, please try again.  maximum pending requests exceeded"}')
    with LoopbackServer(sequence(busy, respond(200, encode_response(TOLD), JSON))) as server:
        twice = CallConfig(retry=Retry(max_attempts=2, initial=0, jitter=0))
        reply = make_caller(providers=ollama(server), call_config=twice).generate(MODEL, "hi")
        assert reply.text == "Rain." and len(server.requests) == 2
    with LoopbackServer(busy) as server, pytest.raises(OverloadedError):
        make_caller(providers=ollama(server), call_config=ONCE).generate(MODEL, "hi")


def test_an_error_amid_a_stream_keeps_what_had_come(make_caller):
    broken = b'{"error":"an error was encountered while running the model"}\n'
    with LoopbackServer(sse_frames([*frames(TOLD)[:1], broken], headers=NDJSON)) as server:
        reader = make_caller(providers=ollama(server), call_config=ONCE).stream(MODEL, "hi")
        with pytest.raises(ProviderError, match="while running the model") as caught:
            reader.drain()
    assert caught.value.partial.text == "Rain."


def test_a_stream_that_breaks_off_says_so(make_caller):
    piece = b'{"model":"m","message":{"role":"assistant","content":"Ra"},"done":false}\n'
    with LoopbackServer(cut_chunked(piece, headers=NDJSON)) as server, pytest.raises(InterruptedCallError) as caught:
        make_caller(providers=ollama(server), call_config=ONCE).stream(MODEL, "hi").drain()
    assert caught.value.partial.text == "Ra"


def test_several_answers_are_refused_before_anything_is_sent(make_caller):
    with LoopbackServer(streamed(TOLD)) as server:
        with pytest.raises(UnsupportedError, match=r"^n is not taken"):
            make_caller(providers=ollama(server)).generate(MODEL, "hi", n=2)
        assert server.requests == []
