"""A conversation with tools, a picture and reasoning goes from provider to provider, and home again.

Each server answers in the shape that its service was recorded in. Each request is held against the types of the
service's own SDK, and read back by the server half of its dialect.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from polyvox import FilePart, Message, TextPart, ToolResult, assistant, system, tool, user
from polyvox.dialects.anthropic.dialect import ANTHROPIC
from polyvox.dialects.gemini.dialect import GEMINI
from polyvox.dialects.ollama.dialect import OLLAMA
from polyvox.dialects.openai.dialect import OPENAI
from polyvox.dialects.openai_responses.dialect import OPENAI_RESPONSES
from tests.loopback import LoopbackServer
from tests.loopback_server import Exchange

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(40)
SIGNED = {name: f"signature-of-{name}-" + "x" * 80 for name in ("openai", "anthropic", "gemini")}


def weather(city: str) -> str:
    """Return the weather of a city."""
    return f"rain in {city}"


ANSWERS: dict[str, Any] = {
    "/responses": {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": "completed",
        "model": "gpt-5.5-2026-03-05",
        "output": [
            {
                "id": "rs_1",
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "thought by OpenAI"}],
                "encrypted_content": SIGNED["openai"],
            },
            {
                "id": "fc_1",
                "type": "function_call",
                "status": "completed",
                "call_id": "call_openai",
                "name": "weather",
                "arguments": '{"city":"Lisbon"}',
            },
        ],
        "usage": {"input_tokens": 9, "output_tokens": 8, "total_tokens": 17},
    },
    "/v1/messages": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-5",
        "content": [
            {"type": "thinking", "thinking": "thought by Anthropic", "signature": SIGNED["anthropic"]},
            {"type": "text", "text": "Lisbon is wet."},
            {"type": "tool_use", "id": "toolu_anthropic", "name": "weather", "input": {"city": "Oslo"}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 8},
    },
    ":generateContent": {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [
                        {"text": "thought by Google", "thought": True},
                        {"text": "Oslo is wet too."},
                        {
                            "functionCall": {"name": "weather", "args": {"city": "Rome"}},
                            "thoughtSignature": SIGNED["gemini"],
                        },
                    ],
                },
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 8, "totalTokenCount": 17},
        "modelVersion": "gemini-3.8-flash",
        "responseId": "r_gemini",
    },
    "/api/chat": {
        "model": "qwen3:4b",
        "created_at": "2026-11-20T10:00:00.000000Z",
        "message": {
            "role": "assistant",
            "content": "",
            "thinking": "thought by Ollama",
            "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Bern"}}}],
        },
        "done": True,
        "done_reason": "stop",
        "total_duration": 5,
        "prompt_eval_count": 9,
        "eval_count": 8,
    },
    "/chat/completions": {
        "id": "chatcmpl_1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "gpt-5.5-2026-03-05",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "It rains everywhere.", "refusal": None},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17},
    },
}

MODELS = {
    "openai": ("openai/gpt-5.5", {"dialect": "openai_responses", "reasoning": "low"}),
    "anthropic": ("anthropic/claude-opus-5.5", {"reasoning": "low"}),
    "gemini": ("gemini/gemini-3.8-flash", {"reasoning": "low"}),
    "ollama": ("ollama/qwen3:4b", {}),
    "chat": ("openai/gpt-5.5", {"dialect": "openai"}),
}
DIALECTS = {
    "openai": OPENAI_RESPONSES,
    "anthropic": ANTHROPIC,
    "gemini": GEMINI,
    "ollama": OLLAMA,
    "chat": OPENAI,
}


def answer(exchange: Exchange) -> None:
    path = exchange.path.partition("?")[0]
    for ending, said in ANSWERS.items():
        if path.endswith(ending):
            exchange.respond(200, json.dumps(said).encode(), {"Content-Type": "application/json"})
            return
    exchange.respond(404, b"{}")


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(answer) as running:
        yield running


@pytest.fixture
def caller(make_caller: Any, server: LoopbackServer) -> Any:
    block = {"base_url": server.url, "api_key": "k"}
    return make_caller(providers=dict.fromkeys(("openai", "anthropic", "gemini", "ollama"), block))


def begin() -> list[Message]:
    return [
        system("Be kind."),
        user(["What is this?", FilePart("image/png", PICTURE)]),
        assistant("A map."),
        user("So?"),
    ]


def converse(caller: Any, history: list[Message], *names: str) -> None:
    """Ask one after the other; each call is answered before the next is asked."""
    for name in names:
        model, settings = MODELS[name]
        response = caller.generate(model, history, tools=[weather], max_tokens=4000, **settings)
        assert response.content and response.finish, name
        history.append(response.message)
        if response.tool_calls:
            results = [
                ToolResult(call.id, call.name, (TextPart(weather(**call.decode())),)) for call in response.tool_calls
            ]
            history.append(tool(results))


def test_it_goes_on_at_every_provider(caller: Any, server: LoopbackServer) -> None:
    """OpenAI → Anthropic → Gemini → Ollama → OpenAI, with a call and its result at each of the four."""
    history = begin()
    order = ["openai", "anthropic", "gemini", "ollama", "chat"]
    converse(caller, history, *order)
    assert history[-1].content == (TextPart("It rains everywhere."),)

    said = []
    for name, request in zip(order, server.requests, strict=True):
        _check_by_the_sdk(name, json.loads(request.body))
        words = {"path": request.path} if name == "gemini" else {}
        read, _ = DIALECTS[name].generate.decode_request(request.body, **words)
        said.append(read.messages)
    cities = ["Lisbon", "Oslo", "Rome", "Bern"]
    for turn, messages in enumerate(said):
        text = "".join(part.text for message in messages for part in message.content if isinstance(part, TextPart))
        assert "What is this?" in text and "A map." in text and "So?" in text
        assert any(isinstance(part, FilePart) and part.data == PICTURE for one in messages for part in one.content)
        calls = [call for message in messages for call in message.tool_calls]
        results = [part for message in messages for part in message.content if isinstance(part, ToolResult)]
        assert [call.decode()["city"] for call in calls] == cities[:turn]
        assert [result.text for result in results] == [f"rain in {city}" for city in cities[:turn]]
        assert [result.name or "weather" for result in results] == ["weather"] * turn
        # Each result says whose it is, however the ids had to be written.
        assert [result.id for result in results] == [call.id for call in calls]
        assert ("Lisbon is wet." in text) == (turn > 1) and ("Oslo is wet too." in text) == (turn > 2)


def test_no_provider_sees_anothers_marks_and_each_gets_its_own_back(caller: Any, server: LoopbackServer) -> None:
    history = begin()
    order = ["openai", "anthropic", "gemini", "ollama", "chat", "openai", "anthropic", "gemini"]
    converse(caller, history, *order)
    bodies = [request.body.decode() for request in server.requests]
    for turn, (name, body) in enumerate(zip(order, bodies, strict=True)):
        for owner, signature in SIGNED.items():
            assert (signature in body) == (owner == name and name in order[:turn]), (name, owner, turn)
        # A thought stays with who had it, and so do the ids of items.
        assert ("thought by Anthropic" in body) == (name == "anthropic" and name in order[:turn])


def test_a_strangers_thoughts_are_named_when_they_are_left_out(caller: Any) -> None:
    history = begin()
    converse(caller, history, "anthropic")
    response = caller.generate("gemini/gemini-3.8-flash", history, tools=[weather])
    assert any("reasoning of another origin" in one.detail for one in response.adjustments)


# The types of the official SDKs


def _check_by_the_sdk(name: str, body: dict[str, Any]) -> None:
    """Check a body against the types by which the service's own SDK says what may be sent."""
    pydantic = pytest.importorskip("pydantic", reason="the SDKs' types are pydantic's")
    if name == "gemini":
        types = pytest.importorskip("google.genai.types")
        for content in body["contents"]:
            types.Content.model_validate(content)
        return
    if name == "ollama":
        types = pytest.importorskip("ollama._types")
        types.ChatRequest.model_validate(body)
        return
    if name == "anthropic":
        wanted = pytest.importorskip("anthropic.types.message_create_params").MessageCreateParamsNonStreaming
    elif name == "openai":
        for item in body["input"]:
            for part in item["content"] if isinstance(item.get("content"), list) else ():
                if part["type"] == "input_image":
                    part.setdefault("detail", "auto")  # the SDK's type demands it, the service does not
        wanted = pytest.importorskip("openai.types.responses.response_create_params").ResponseCreateParamsNonStreaming
    else:
        wanted = pytest.importorskip("openai.types.chat.completion_create_params").CompletionCreateParamsNonStreaming
    pydantic.TypeAdapter(wanted).validate_python(body)
