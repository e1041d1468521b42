"""The server that all contestants talk to: OpenAI's Chat Completions from bytes made beforehand.

It runs in a process of its own and does as little as it can. The base URL says how to answer:
`http://127.0.0.1:PORT/EVENTS/BLOCK/PACE/v1`: so many text chunks in a stream, so many in one write, so many
milliseconds between writes. It ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import sys

# Ten words of one length: litellm takes an answer that repeats itself for a fault of the model.
WORDS = (" many", " long", " days", " were", " warm", " blue", " seas", " kept", " calm", " till")
WORD = len(WORDS[0])
_HEAD = {"id": "chatcmpl-CqZk1", "created": 1790000000, "model": "gpt-5.5", "service_tier": "default"}
WHOLE_TEXT = "The sky looks blue because air scatters short waves of light more than long ones. " * 6
_USAGE = {
    "prompt_tokens": 13,
    "completion_tokens": 128,
    "total_tokens": 141,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}


def _chunk(choices: list[object], usage: object = None) -> bytes:
    body = {**_HEAD, "object": "chat.completion.chunk", "system_fingerprint": None, "choices": choices, "usage": usage}
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


def _delta(delta: dict[str, object], finish: str | None = None) -> bytes:
    return _chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}])


def _deltas(count: int) -> bytes:
    return b"".join(_delta({"content": WORDS[place % len(WORDS)]}) for place in range(count))


def _framed(block: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(block), block)


@functools.cache
def stream_blocks(events: int, block: int) -> tuple[bytes, ...]:
    """The writes of one streamed answer; equal writes are one object."""
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: req_1\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
    )
    start = _framed(_delta({"role": "assistant", "content": "", "refusal": None}))
    full, rest = divmod(events, block)
    middle = (_framed(_deltas(block)),) * full
    if rest:
        middle += (_framed(_deltas(rest)),)
    end = _framed(_delta({}, "stop") + _chunk([], _USAGE) + b"data: [DONE]\n\n") + b"0\r\n\r\n"
    return (head + start, *middle, end)


def _whole() -> bytes:
    message = {"role": "assistant", "content": WHOLE_TEXT, "refusal": None, "annotations": []}
    choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    body = json.dumps({**_HEAD, "object": "chat.completion", "choices": choices, "usage": _USAGE}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_1\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


WHOLE = _whole()


class Answering(asyncio.Protocol):
    """One connection, kept alive; requests come one after another."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if len(body) < length:
            return
        self.buffer = body[length:]
        if b'"stream":true' not in body and b'"stream": true' not in body:
            self.transport.write(WHOLE)
            return
        events, block, pace = (int(word) for word in head.split(b" ", 2)[1].split(b"/")[1:4])
        self.send(iter(stream_blocks(events, block)), pace / 1000)

    def send(self, blocks: object, pace: float) -> None:
        if self.transport.is_closing():
            return
        loop = asyncio.get_running_loop()
        for block in blocks:  # type: ignore[attr-defined]
            self.transport.write(block)
            loop.call_later(pace, self.send, blocks, pace)
            return


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def stay_on(place: int) -> None:
    """Keep this process on one core: the client on the first, the server on the last, the same for all contestants.

    Where the scheduler moves them about, the kernel's share of a read goes up and down by half from run to run.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > 1:
            os.sched_setaffinity(0, {cores[place]})


if __name__ == "__main__":
    stay_on(-1)
    asyncio.run(serve())
