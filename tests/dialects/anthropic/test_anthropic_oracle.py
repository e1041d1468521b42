"""The official SDK as oracle: it sends what we send, less NEEDED, and reads what we read."""

from __future__ import annotations

import json

import pytest

from polyvox.dialects.anthropic.dialect import ANTHROPIC
from polyvox.dialects.anthropic.quirks import AnthropicQuirks
from polyvox.dialects.anthropic.request import encode_request
from polyvox.dialects.anthropic.usage import decode_usage
from polyvox.framing.sse import SSEFramer
from polyvox.types.fold import fold
from polyvox.types.generate import GenerateRequest, Output, PromptCache
from polyvox.types.messages import Message, assistant, system, tool, user
from polyvox.types.parts import FileId, FilePart, ReasoningPart, TextPart, ToolCall, ToolResult, Url
from polyvox.types.tools import NamedTool, Tool
from tests.recordings import recordings

anthropic = pytest.importorskip("anthropic")
httpx2 = pytest.importorskip("httpx2")

NOTHING = ("citations", [])
ENDPOINTS = ("anthropic.messages", "anthropic.rawPredict", "anthropic.streamRawPredict")


def client_of(answer):
    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    return anthropic.Anthropic(api_key="k", base_url="http://sdk.example", max_retries=0, http_client=transport)


def sdk_request(**call):
    """What the SDK puts on the wire; the answer is an error, at once."""
    sent = []

    def answer(request):
        sent.append(request)
        return httpx2.Response(400, json={"type": "error", "error": {"type": "x", "message": "seen"}})

    with client_of(answer) as client, pytest.raises(anthropic.BadRequestError):
        client.messages.create(model="m", max_tokens=9, **call)
    (request,) = sent
    assert (request.method, request.url.path) == ("POST", "/v1/messages")
    return json.loads(request.read()), request.headers


HI = {"messages": [{"role": "user", "content": "hi"}]}
SAY_HI = {"messages": (user("hi"),)}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": False}
MARK = {"type": "ephemeral", "ttl": "1h"}
CALLS = {
    "bare": (HI, SAY_HI),
    "stream": ({**HI, "stream": True}, {**SAY_HI, "stream": True}),
    "settings": (
        {
            **HI,
            "system": "s",
            "stop_sequences": ["a"],
            "metadata": {"user_id": "u"},
            "service_tier": "auto",
            "cache_control": MARK,
            "thinking": {"type": "adaptive"},
            "output_config": {"effort": "xhigh", "format": {"type": "json_schema", "schema": SCHEMA}},
            "inference_geo": "us",
        },
        {
            "messages": (system("s"), user("hi")),
            "stop": ("a",),
            "user": "u",
            "service_tier": "auto",
            "prompt_cache": PromptCache(ttl="1h"),
            "reasoning": "xhigh",
            "output": Output(SCHEMA),
            "options": {"anthropic": {"inference_geo": "us"}},
        },
    ),
    "budget": (
        {**HI, "thinking": {"type": "enabled", "budget_tokens": 1024}},
        {**SAY_HI, "reasoning": 1024},
    ),
    "no thinking": ({**HI, "thinking": {"type": "disabled"}}, {**SAY_HI, "reasoning": "none"}),
    "files": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUI="}},
                        {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
                        {"type": "document", "source": {"type": "file", "file_id": "f"}},
                        {
                            "type": "document",
                            "source": {"type": "base64", "media_type": "application/pdf", "data": "QUI="},
                            "title": "t",
                            "citations": {"enabled": True},
                            "cache_control": MARK,
                        },
                        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
                        {"type": "text", "text": "and?"},
                    ],
                }
            ]
        },
        {
            "messages": (
                user(
                    [
                        FilePart("image/png", b"AB"),
                        FilePart("image/*", Url("https://x.example/a.png")),
                        FilePart("application/pdf", FileId("f")),
                        FilePart(
                            "application/pdf",
                            b"AB",
                            "t",
                            {"anthropic": {"citations": {"enabled": True}, "cache_control": MARK}},
                        ),
                        FilePart("text/plain", b"x"),
                        "and?",
                    ]
                ),
            )
        },
    ),
    "tools": (
        {
            "tools": [
                {"name": "weather", "description": "d", "input_schema": SCHEMA, "strict": True},
                {"type": "web_search_20260318", "name": "web_search", "max_uses": 2},
            ],
            "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
            "messages": [
                {"role": "user", "content": "hi"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "", "signature": "s"},
                        {"type": "redacted_thinking", "data": "d"},
                        {"type": "text", "text": "let me see"},
                        {"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "x"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "a", "content": "rain", "is_error": True},
                        {"type": "text", "text": "and?"},
                    ],
                },
                {"role": "system", "content": "be short"},
                {"role": "user", "content": "so?"},
            ],
        },
        {
            "tools": (
                Tool("weather", "d", SCHEMA, True),
                Tool("web_search_20260318", kind="hosted", settings={"max_uses": 2}),
            ),
            "tool_choice": NamedTool("weather"),
            "parallel_tools": False,
            "messages": (
                user("hi"),
                assistant(
                    [
                        ReasoningPart("", meta={"anthropic": {"signature": "s"}}),
                        ReasoningPart(redacted=True, meta={"anthropic": {"data": "d"}}),
                        "let me see",
                        ToolCall("a", "weather", '{"city": "x"}'),
                    ]
                ),
                tool(ToolResult("a", "weather", (TextPart("rain"),), is_error=True)),
                user("and?"),
                Message("system", (TextPart("be short"),)),
                user("so?"),
            ),
        },
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_for_the_same_call_our_request_is_the_sdks(name):
    theirs, ours = CALLS[name]
    ours = dict(ours)
    stream = ours.pop("stream", False)
    room = 2000 if isinstance(ours.get("reasoning"), int) else 9
    request = GenerateRequest(model="m", **{**ours, "max_tokens": room})
    wire = encode_request(request, AnthropicQuirks(), stream=stream)
    body, headers = sdk_request(**theirs)
    assert json.loads(wire.body) == {**body, "max_tokens": room}
    assert wire.headers["anthropic-version"] == headers["anthropic-version"]
    assert wire.adjustments == ()


def read_by_sdk(exchange):
    def answer(request):
        kind = "text/event-stream" if exchange.is_stream else "application/json"
        # A proxy's own end mark is more than the SDK can read.
        body = exchange.body.replace(b"event: data\ndata: [DONE]\n\n", b"")
        return httpx2.Response(exchange.status, content=body, headers={"content-type": kind})

    with client_of(answer) as client:
        call = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
        if not exchange.is_stream:
            return client.messages.create(**call)
        with client.messages.stream(**call) as stream:
            return stream.get_final_message()


def told(exchange):
    """What the SDK reads, less what says nothing, and a proxy's own member of the envelope (we say it at the end)."""
    return _said({**read_by_sdk(exchange).to_dict(warnings=False), "provider": None})


def _said(value):
    if isinstance(value, dict):
        return {name: _said(held) for name, held in value.items() if held is not None and (name, held) != NOTHING}
    return [_said(item) for item in value] if isinstance(value, list) else value


def read_by_us(exchange):
    codec = ANTHROPIC.generate
    if not exchange.is_stream:
        return codec.decode_response(exchange.body)
    framer, decoder = SSEFramer(), codec.stream_decoder()
    frames = framer.feed(exchange.body) + framer.close()
    return fold([event for frame in frames for event in decoder.feed(frame)] + decoder.close())


@pytest.mark.recordings
def test_the_sdk_reads_the_same_from_every_recorded_answer():
    seen = 0
    for exchange in (exchange for endpoint in ENDPOINTS for exchange in recordings(endpoint)):
        if exchange.status != 200 or b"compaction" in exchange.body:
            continue  # the SDK's stable half does not know the beta's compaction
        theirs, ours = read_by_sdk(exchange), read_by_us(exchange)
        assert (ours.id, ours.model) == (theirs.id, theirs.model), exchange
        assert ours.text == "".join(block.text for block in theirs.content if block.type == "text"), exchange
        thoughts = [block.thinking for block in theirs.content if block.type == "thinking" and block.thinking]
        assert ours.reasoning == "\n\n".join(thoughts), exchange
        signed = [block.signature for block in theirs.content if block.type == "thinking"]
        kept = [part.meta["anthropic"] for part in ours.content if isinstance(part, ReasoningPart)]
        assert [marks["signature"] for marks in kept if "signature" in marks] == signed, exchange
        calls = [(block.id, block.name, block.input) for block in theirs.content if block.type == "tool_use"]
        assert [(call.id, call.name, call.decode()) for call in ours.tool_calls] == calls, exchange
        assert ours.finish.raw == theirs.stop_reason, exchange
        assert ours.meta.get("anthropic", {}).get("stop_sequence") == theirs.stop_sequence, exchange
        usage = decode_usage(theirs.usage.to_dict(warnings=False))
        for name in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"):
            assert getattr(ours.usage, name) == getattr(usage, name), (exchange, name)
        seen += 1
    assert seen > 55


@pytest.mark.recordings
def test_the_sdk_reads_what_our_server_writes():
    """Every recorded answer, read by us and streamed again."""
    codec = ANTHROPIC.generate
    seen = 0
    for exchange in (exchange for endpoint in ENDPOINTS for exchange in recordings(endpoint)):
        if exchange.status != 200 or not exchange.is_stream or b"compaction" in exchange.body:
            continue
        framer, decoder = SSEFramer(), codec.stream_decoder()
        encoder = codec.stream_encoder(GenerateRequest(model="m", messages=()))
        frames = framer.feed(exchange.body) + framer.close()
        pieces = [piece for frame in frames for piece in encoder.feed(decoder.feed(frame))]
        pieces += encoder.feed(decoder.close()) + encoder.close()
        again = type("Again", (), {"status": 200, "is_stream": True, "body": b"".join(pieces)})
        assert told(again) == told(exchange), exchange
        seen += 1
    assert seen > 30
