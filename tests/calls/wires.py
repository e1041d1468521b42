"""Scripted answers of the chat wire, and a laboratory of providers that speak it."""

from __future__ import annotations

import json
from typing import Any

from polyvox.io.scripted import Answer, ScriptedIO
from tests.loopback import chat_chunk, chat_usage

FIRST = chat_chunk({"role": "assistant", "content": "Hel"})
SECOND = chat_chunk({"content": "lo"})
END = chat_chunk({}, finish="stop") + b"data: [DONE]\n\n"
ROLE_ONLY = chat_chunk({"role": "assistant"})
STREAM = {"content-type": "text/event-stream"}
ERROR_FRAME = b'data: {"error": {"message": "no room", "type": "overloaded_error", "code": 503}}\n\n'


def lab(io: ScriptedIO, *names: str, **settings: Any) -> dict[str, Any]:
    """The keywords of a client with a provider for each name (`lab`), all reached through `io`."""
    providers = {name: {"base_url": f"http://{name}.test/v1"} for name in names or ("lab",)}
    return {"io": io, "providers": providers, **settings}


def streamed(*pieces: Any, **facts: Any) -> Answer:
    return Answer(200, STREAM, pieces or (FIRST, SECOND, END), **facts)


def whole(text: str = "Hello", finish: str = "stop", **facts: Any) -> Answer:
    message = {"role": "assistant", "content": text}
    body = {"id": "c", "object": "chat.completion", "choices": [{"message": message, "finish_reason": finish}]}
    return Answer(200, {}, [json.dumps({**body, "usage": chat_usage()}).encode()], **facts)


def failed(status: int, message: str = "oops", headers: dict[str, str] | None = None, **error: Any) -> Answer:
    return Answer(status, headers or {}, [json.dumps({"error": {"message": message, **error}}).encode()])


def answer(kind: str, text: str = "Hello") -> Answer:
    """A good answer for `generate` or `stream`."""
    return whole(text) if kind == "generate" else streamed(chat_chunk({"role": "assistant", "content": text}), END)


def ask(caller: Any, kind: str, *arguments: Any, **settings: Any) -> Any:
    """Ask whole or streamed, and return the response."""
    if kind == "generate":
        return caller.generate(*arguments, **settings)
    return caller.stream(*arguments, **settings).drain()
