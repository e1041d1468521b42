"""The tests' loopback server and its ready-made scripts: how a provider answers, and all the ways a network misbehaves.

with LoopbackServer(sse_chat(["Hel", "lo"])) as server:
    ... server.url, server.requests, server.connections
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from tests.loopback_server import ClientLeft, Exchange, LoopbackServer, Script, client_context, encode_head, unused_url

__all__ = ["ClientLeft", "LoopbackServer", "client_context", "encode_head", "unused_url"]

# --- ready-made scripts: misbehaviour -----------------------------------------------------------------------------

SSE_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8"}


def sequence(*scripts: Script) -> Script:
    """The first request gets the first script, and so on; the last one serves all further requests."""

    def script(exchange: Exchange) -> None:
        scripts[min(exchange.number, len(scripts) - 1)](exchange)

    return script


def never_answer(exchange: Exchange) -> None:
    """Take the request and say nothing until the client leaves."""
    exchange.stall()


def drip_head(exchange: Exchange) -> None:
    """Send the head a byte at a time, for ever: each byte would restart a plain read timeout."""
    exchange.drip(exchange.head_bytes(200, {"X-Slow": "x" * 500}, length=2))


def drip_chunk_size(*pieces: bytes) -> Script:
    """Send `pieces` as chunks, then a chunk-size line that never ends, a byte at a time."""

    def script(exchange: Exchange) -> None:
        exchange.send_head(200, SSE_HEADERS, chunked=True)
        for piece in pieces:
            exchange.send_chunk(piece)
        exchange.drip(b"5;" + b"x" * 500)

    return script


def cut_length(body: bytes, sent: int) -> Script:
    """Promise `body` by Content-Length, send its first `sent` bytes, and close."""

    def script(exchange: Exchange) -> None:
        exchange.send_head(200, length=len(body))
        exchange.send(body[:sent])
        exchange.close()

    return script


def cut_chunked(*pieces: bytes, headers: Mapping[str, str] = SSE_HEADERS) -> Script:
    """Send `pieces` as chunks and close without the end of the body."""

    def script(exchange: Exchange) -> None:
        exchange.send_head(200, headers, chunked=True)
        for piece in pieces:
            exchange.send_chunk(piece)
        exchange.close()

    return script


def until_close(body: bytes, headers: Mapping[str, str] = SSE_HEADERS, *, clean: bool = True) -> Script:
    """Send a `Connection: close` body, whose only end is the connection's; `clean=False`: without TLS's goodbye."""

    def script(exchange: Exchange) -> None:
        exchange.send_head(200, headers, close=True)
        exchange.send(body)
        exchange.end() if clean else exchange.close()

    return script


def reset_after(*pieces: bytes) -> Script:
    """Send `pieces` as chunks, then a RST."""

    def script(exchange: Exchange) -> None:
        exchange.send_head(200, SSE_HEADERS, chunked=True)
        for piece in pieces:
            exchange.send_chunk(piece)
        time.sleep(0.05)  # a RST destroys what the client has not read yet
        exchange.reset()

    return script


def stall_after(*pieces: bytes) -> Script:
    """Send `pieces` as chunks, then nothing until the client leaves."""

    def script(exchange: Exchange) -> None:
        exchange.send_head(200, SSE_HEADERS, chunked=True)
        for piece in pieces:
            exchange.send_chunk(piece)
        exchange.stall()

    return script


def die_on_reuse(first: Script) -> Script:
    """Answer a connection's first request with `first`, keep it alive, and close it when the next request arrives."""

    def script(exchange: Exchange) -> None:
        if exchange.nth == 0:
            first(exchange)
        else:
            exchange.close()

    return script


# --- ready-made scripts: OpenAI chat ------------------------------------------------------------------------------


def chat_chunk(
    delta: Mapping[str, Any] | None = None,
    *,
    finish: str | None = None,
    usage: Mapping[str, Any] | None = None,
    model: str = "test-model",
    **extra: Any,
) -> bytes:
    """Return one frame of a chat completions stream."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    chunk: dict[str, Any] = {
        "id": "chatcmpl-loopback",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": model,
        "choices": choices,
        **extra,
    }
    if usage is not None:
        chunk["usage"] = usage
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def chat_usage(input_tokens: int = 3, output_tokens: int = 2) -> dict[str, Any]:
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }


def chat_frames(pieces: Iterable[str], *, model: str = "test-model", finish: str | None = "stop") -> list[bytes]:
    """Return the frames of a whole stream: role, text, finish reason, usage, `[DONE]`."""
    frames = [chat_chunk({"role": "assistant", "content": ""}, model=model)]
    frames += [chat_chunk({"content": piece}, model=model) for piece in pieces]
    if finish is not None:
        frames.append(chat_chunk({}, finish=finish, model=model))
    frames.append(chat_chunk(None, usage=chat_usage(), model=model))
    return [*frames, b"data: [DONE]\n\n"]


def sse_frames(frames: Iterable[bytes], *, delay: float = 0.0, headers: Mapping[str, str] | None = None) -> Script:
    """Send byte strings as a whole, well-ended SSE answer, a chunk each."""
    frames = list(frames)

    def script(exchange: Exchange) -> None:
        exchange.send_head(200, {**SSE_HEADERS, "x-request-id": "req_loopback", **(headers or {})}, chunked=True)
        for index, frame in enumerate(frames):
            if delay and index and exchange.client_gone(delay):
                return
            exchange.send_chunk(frame)
        exchange.end_chunks()

    return script


def sse_chat(pieces: Iterable[str], *, model: str = "test-model", finish: str = "stop", delay: float = 0.0) -> Script:
    """Stream a chat completion whose text comes in `pieces`."""
    return sse_frames(chat_frames(pieces, model=model, finish=finish), delay=delay)


def json_chat(text: str, *, model: str = "test-model", finish: str = "stop", **message: Any) -> Script:
    """Answer with a whole chat completion."""
    body = json.dumps(
        {
            "id": "chatcmpl-loopback",
            "object": "chat.completion",
            "created": 1_760_000_000,
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text, **message},
                    "logprobs": None,
                    "finish_reason": finish,
                }
            ],
            "usage": chat_usage(),
        }
    ).encode()
    return respond(200, body, {"Content-Type": "application/json", "x-request-id": "req_loopback"})


def respond(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Script:
    """Answer with these bytes."""

    def script(exchange: Exchange) -> None:
        exchange.respond(status, body, headers)

    return script


def error(status: int, body: bytes | Mapping[str, Any] = b"", headers: Mapping[str, str] | None = None) -> Script:
    """Answer with an error; a mapping becomes the wire's `{"error": …}`."""
    if not isinstance(body, bytes):
        body = json.dumps({"error": dict(body)}).encode()
    return respond(status, body, {"Content-Type": "application/json", **(headers or {})})


def chat(text: str, *, pieces: int = 3) -> Script:
    """Answer as was asked: a stream where the request says `stream`, a whole answer otherwise."""
    size = max(1, -(-len(text) // pieces))
    parts = [text[start : start + size] for start in range(0, len(text), size)]

    def script(exchange: Exchange) -> None:
        (sse_chat(parts) if exchange.json().get("stream") else json_chat(text))(exchange)

    return script
