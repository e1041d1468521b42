"""The official SDK as oracle of requests: it sends what we send, less NEEDED, and our server reads both alike.

The SDK writes no empty content and knows no ids of calls: both are taken out of ours before the comparison.
"""

from __future__ import annotations

import base64
import json

import pytest

from polyvox.dialects.ollama.quirks import OllamaQuirks
from polyvox.dialects.ollama.request import decode_request, encode_request
from polyvox.providers.ollama import PROVIDER
from polyvox.registry.addresses import read_address
from polyvox.types.generate import GenerateRequest, Output
from polyvox.types.messages import assistant, system, tool, user
from polyvox.types.parts import FilePart, ReasoningPart, TextPart, ToolCall, ToolResult
from polyvox.types.tools import Tool

ollama = pytest.importorskip("ollama")
httpx = pytest.importorskip("httpx")

PLAIN = OllamaQuirks(efforts=("none", "low", "medium", "high"))
PNG = b"\x89PNG\r\n\x1a\n"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "weather", "description": "d", "parameters": SCHEMA}}
HI = [{"role": "user", "content": "hi"}]

# What is given to the SDK, and to us.
CALLS = {
    "bare": ({"messages": HI}, {}),
    "stream": ({"messages": HI, "stream": True}, {}),
    "settings": (
        {
            "messages": [{"role": "system", "content": "s"}, *HI],
            "options": {
                "num_predict": 9,
                "temperature": 0.5,
                "top_p": 0.9,
                "top_k": 4,
                "seed": 7,
                "stop": ["a"],
                "presence_penalty": 0.1,
                "frequency_penalty": 0.2,
                "num_ctx": 8192,
            },
            "keep_alive": "5m",
            "logprobs": True,
            "top_logprobs": 2,
        },
        {
            "messages": (system("s"), user("hi")),
            "max_tokens": 9,
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 4,
            "seed": 7,
            "stop": ("a",),
            "presence_penalty": 0.1,
            "frequency_penalty": 0.2,
            "logprobs": 2,
            "options": {"ollama": {"keep_alive": "5m", "options": {"num_ctx": 8192}}},
        },
    ),
    "any json": ({"messages": HI, "format": "json"}, {"output": Output()}),
    "schema": ({"messages": HI, "format": SCHEMA}, {"output": Output(SCHEMA)}),
    "no thinking": ({"messages": HI, "think": False}, {"reasoning": "none"}),
    "thinking": ({"messages": HI, "think": "high"}, {"reasoning": "high"}),
    "picture": (
        {"messages": [{"role": "user", "content": "see", "images": [PNG]}]},
        {"messages": (user([TextPart("see"), FilePart("image/png", PNG)]),)},
    ),
    "tools": ({"messages": HI, "tools": [TOOL]}, {"tools": (Tool("weather", "d", SCHEMA),)}),
    "a turn with tools": (
        {
            "messages": [
                *HI,
                {
                    "role": "assistant",
                    "thinking": "hm",
                    "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Rome"}}}],
                },
                {"role": "tool", "tool_name": "weather", "content": "sun"},
            ],
            "tools": [TOOL],
        },
        {
            "messages": (
                user("hi"),
                assistant(
                    [
                        ReasoningPart("hm", meta={"ollama": {"thinking": True}}),
                        ToolCall("call_1", "weather", '{"city": "Rome"}'),
                    ]
                ),
                tool(ToolResult("call_1", "weather", (TextPart("sun"),))),
            ),
            "tools": (Tool("weather", "d", SCHEMA),),
        },
    ),
}


def sdk_request(**said):
    """Return the request that the SDK sends."""
    sent = []

    def answer(request):
        sent.append(request)
        done = {"message": {"role": "assistant", "content": "x"}, "done": True, "done_reason": "stop"}
        return httpx.Response(200, json={"model": "m", "created_at": "2026-01-01T00:00:00Z", **done})

    answered = ollama.Client("http://host:11434", transport=httpx.MockTransport(answer)).chat("m", **said)
    if said.get("stream"):
        list(answered)
    return sent[0]


def less_ours(body):
    """Take out of our body what the SDK never says."""
    for message in body["messages"]:
        if message["content"] == "":
            del message["content"]
        message.pop("tool_call_id", None)
        for call in message.get("tool_calls", ()):
            call.pop("id", None)
    return body


@pytest.mark.parametrize("name", CALLS)
def test_the_sdk_sends_what_we_send(name):
    theirs, ours = CALLS[name]
    sent = sdk_request(**theirs)
    stream = theirs.get("stream", False)
    request = GenerateRequest(model="m", **{"messages": (user("hi"),), **ours})
    wire = encode_request(request, PLAIN, stream=stream)
    assert (sent.method, sent.url.path) == (wire.method, wire.path)
    # Sent by the SDK whether there are some or not.
    plain = {word: value for word, value in json.loads(sent.content).items() if value not in ([], {})}
    assert less_ours(json.loads(wire.body)) == plain
    assert wire.adjustments == ()


@pytest.mark.parametrize("name", CALLS)
def test_a_request_of_the_sdk_is_read_and_comes_back_as_it_was(name):
    theirs, ours = CALLS[name]
    body = sdk_request(**theirs).content
    request, stream = decode_request(body)
    assert stream is theirs.get("stream", False)
    assert json.loads(encode_request(request, OllamaQuirks(), stream=stream).body) == json.loads(body)
    for setting, value in ours.items():
        if setting != "messages":
            assert getattr(request, setting) == value, setting
    told = ours.get("messages", (user("hi"),))
    assert [message.role for message in request.messages] == [message.role for message in told]
    assert [message.text for message in request.messages] == [message.text for message in told]


@pytest.mark.parametrize(
    "said",
    [
        *("example.com", "example.com:1234", "http://example.com:1234", "http://1.2.3.4:80", "https://1.2.3.4:443"),
        *("example.com/", "example.com:99/", "example.com/path", "https://example.com:1234/path", ":1234"),
        *("[0001:002:003:0004::1]", "[0001:002:003:0004::1]:1234", "[0001:002:003:0004::1]:1234/path/"),
    ],
)
def test_the_server_is_looked_for_where_the_sdk_looks(said):
    from ollama._client import _parse_host

    ours, theirs = httpx.URL(read_address(said, PROVIDER.host_variable)), httpx.URL(_parse_host(said))
    assert (ours.scheme, ours.host, ours.port, ours.path) == (theirs.scheme, theirs.host, theirs.port, theirs.path)


def test_a_picture_is_written_as_the_sdk_writes_it():
    (message,) = json.loads(sdk_request(messages=[{"role": "user", "images": [PNG]}]).content)["messages"]
    assert message["images"] == [base64.b64encode(PNG).decode()]
