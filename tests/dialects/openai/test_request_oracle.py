"""The official SDK as oracle: for the same call our body is the one it sends, less NEEDED."""

from __future__ import annotations

import json

import pytest

from polyvox.dialects.openai.chat.request import NEEDED, decode_request, encode_request
from polyvox.dialects.openai.quirks import OpenAIQuirks
from polyvox.types.generate import AudioOutput, GenerateRequest, Output, PromptCache
from polyvox.types.messages import Message, assistant, system, tool, user
from polyvox.types.parts import FileId, FilePart, TextPart, ToolCall, ToolResult, Url
from polyvox.types.tools import AllowedTools, Grammar, NamedTool, Tool

openai = pytest.importorskip("openai")
httpx2 = pytest.importorskip("httpx2")


def sdk_body(**call):
    """The body that the SDK puts on the wire; the answer is an error, at once."""
    sent = []

    def answer(request):
        sent.append(request)
        return httpx2.Response(400, json={"error": {"message": "seen"}})

    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = openai.OpenAI(api_key="k", base_url="http://sdk.example/v1", max_retries=0, http_client=transport)
    with client, pytest.raises(openai.BadRequestError):
        client.chat.completions.create(**call)
    (request,) = sent
    assert (request.method, request.url.path) == ("POST", "/v1/chat/completions")
    return json.loads(request.read())


def our_body(stream=False, **said):
    request = GenerateRequest(**said)
    body = json.loads(encode_request(request, OpenAIQuirks(), stream=stream).body)
    if stream:
        (usage,) = (needed for needed in NEEDED if needed.field == "stream_options.include_usage")
        assert body.pop("stream_options") == {"include_usage": usage.value}
    return body


HI = [{"role": "user", "content": "hi"}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTION = {
    "type": "function",
    "function": {"name": "weather", "description": "d", "parameters": SCHEMA, "strict": True},
}
GRAMMAR = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /a/"}}
CUSTOM = {"type": "custom", "custom": {"name": "calc", "format": GRAMMAR}}
TOOLS = (Tool("weather", "d", SCHEMA, True), Tool("calc", kind="custom", grammar=Grammar("lark", "start: /a/")))

CALLS = {
    "bare": ({"messages": HI}, {"messages": (user("hi"),)}),
    "stream": ({"messages": HI, "stream": True}, {"messages": (user("hi"),), "stream": True}),
    "settings": (
        {
            "messages": HI,
            "temperature": 0.2,
            "top_p": 0.9,
            "max_completion_tokens": 50,
            "seed": 7,
            "stop": ["a", "b"],
            "presence_penalty": 0.5,
            "frequency_penalty": -0.5,
            "n": 2,
            "logprobs": True,
            "top_logprobs": 2,
            "safety_identifier": "u",
            "service_tier": "flex",
            "metadata": {"a": "b"},
            "reasoning_effort": "low",
            "prompt_cache_key": "k",
            "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
            "store": False,
            "verbosity": "low",
            "logit_bias": {"50256": -100},
        },
        {
            "messages": (user("hi"),),
            "temperature": 0.2,
            "top_p": 0.9,
            "max_tokens": 50,
            "seed": 7,
            "stop": ("a", "b"),
            "presence_penalty": 0.5,
            "frequency_penalty": -0.5,
            "n": 2,
            "logprobs": 2,
            "user": "u",
            "service_tier": "flex",
            "metadata": {"a": "b"},
            "reasoning": "low",
            "prompt_cache": PromptCache("k", "explicit", "30m"),
            "options": {"openai": {"store": False, "verbosity": "low", "logit_bias": {"50256": -100}}},
        },
    ),
    "tools": (
        {"messages": HI, "tools": [FUNCTION, CUSTOM], "tool_choice": "auto", "parallel_tool_calls": False},
        {"messages": (user("hi"),), "tools": TOOLS, "tool_choice": "auto", "parallel_tools": False},
    ),
    "named tool": (
        {"messages": HI, "tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "weather"}}},
        {"messages": (user("hi"),), "tools": TOOLS[:1], "tool_choice": NamedTool("weather")},
    ),
    "allowed tools": (
        {
            "messages": HI,
            "tools": [FUNCTION, CUSTOM],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "custom", "custom": {"name": "calc"}}]},
            },
        },
        {"messages": (user("hi"),), "tools": TOOLS, "tool_choice": AllowedTools(("calc",), "required")},
    ),
    "structured output": (
        {
            "messages": HI,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "city", "schema": SCHEMA, "strict": True},
            },
        },
        {"messages": (user("hi"),), "output": Output(SCHEMA, "city", strict=True)},
    ),
    "spoken answer": (
        {"messages": HI, "modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
        {"messages": (user("hi"),), "modalities": ("text", "audio"), "audio": AudioOutput("alloy", "wav")},
    ),
    "a conversation with calls": (
        {
            "messages": [
                {"role": "developer", "content": "be brief"},
                {"role": "user", "content": "weather in Oslo?", "name": "Ann"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "c1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
                        },
                        {"id": "c2", "type": "custom", "custom": {"name": "calc", "input": "1+1"}},
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "4 °C"},
                {"role": "tool", "tool_call_id": "c2", "content": "2"},
                {"role": "assistant", "content": "Cold.", "refusal": "And no more."},
                {"role": "user", "content": "why?"},
            ]
        },
        {
            "messages": (
                Message("system", (TextPart("be brief"),), meta={"openai": {"role": "developer"}}),
                Message("user", (TextPart("weather in Oslo?"),), meta={"openai": {"name": "Ann"}}),
                assistant([ToolCall("c1", "weather", '{"city":"Oslo"}'), ToolCall("c2", "calc", "1+1", kind="custom")]),
                tool([ToolResult("c1", "weather", (TextPart("4 °C"),)), ToolResult("c2", "calc", (TextPart("2"),))]),
                assistant([TextPart("Cold."), TextPart("And no more.", refusal=True)]),
                user("why?"),
            )
        },
    ),
    "pictures, files and sounds": (
        {
            "messages": [
                {"role": "system", "content": "look"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "what?", "prompt_cache_breakpoint": {"mode": "explicit"}},
                        {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "high"}},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
                        {
                            "type": "file",
                            "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"},
                        },
                        {"type": "file", "file": {"file_id": "file-1"}},
                        {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
                    ],
                },
                {"role": "assistant", "content": None, "audio": {"id": "audio_1"}},
                {"role": "user", "content": "more"},
            ]
        },
        {
            "messages": (
                system("look"),
                user(
                    [
                        TextPart("what?", meta={"openai": {"prompt_cache_breakpoint": {"mode": "explicit"}}}),
                        FilePart("image/*", Url("https://x.example/a.png"), meta={"openai": {"detail": "high"}}),
                        FilePart("image/png", b"\x89PNG"),
                        FilePart("application/pdf", b"%PDF-", "a.pdf"),
                        FilePart("application/octet-stream", FileId("file-1")),
                        FilePart("audio/mpeg", b"ID3"),
                    ]
                ),
                assistant(FilePart("audio/*", FileId("audio_1"))),
                user("more"),
            )
        },
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_sdk_sends_the_same_body_for_the_same_call(name):
    call, said = CALLS[name]
    assert our_body(model="gpt-5.5", **said) == sdk_body(model="gpt-5.5", **call)


@pytest.mark.parametrize("name", CALLS)
def test_what_the_sdk_sends_is_read_as_what_was_said(name):
    call, said = CALLS[name]
    said = {**said, "model": "gpt-5.5"}
    stream = said.pop("stream", False)
    body = sdk_body(model="gpt-5.5", **call)
    request, streamed = decode_request(json.dumps(body).encode())
    assert streamed is stream
    assert (request.residue is None) is not stream, "the SDK asks for no usage in a stream: the residue keeps that"
    expected = GenerateRequest(**said, residue=request.residue)
    assert request == expected
    assert json.loads(encode_request(request, OpenAIQuirks(), stream=stream).body) == body
