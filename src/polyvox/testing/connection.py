"""One connection of the fault server: requests read off it, replies played to it, byte by byte where so asked.

The rule: whatever is being waited for, the client's leaving ends the wait.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final, cast

from msgspec import Struct, field

from polyvox.testing.reply import Close, Piece, Reply, Reset, Sleep
from polyvox.types.generate import GenerateRequest

_HEAD_END: Final = b"\r\n\r\n"
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class Received(Struct):
    """A request that the server received.

    `path` is without its query, `target` with it; `headers` by lower-case name; `request` is what the dialect's own
    reader made of the body, `None` where it could not. `sent` is what of the answer's body was sent so far.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    dialect: str | None = None
    request: GenerateRequest | None = None
    stream: bool = False
    sent: bytearray = field(default_factory=bytearray)

    @property
    def path(self) -> str:
        """The path without its query."""
        return self.target.partition("?")[0]


class ClientLeft(Exception):
    """The client closed or reset the connection: the reply ends here, and nothing is wrong."""


class Connection(asyncio.Protocol):
    """An accepted connection. `answer(received)` gives each request's reply; `closed(connection)` is told its end."""

    def __init__(
        self,
        answer: Callable[[Received], Reply],
        opened: Callable[[Connection], bool],
        closed: Callable[[Connection], None],
    ) -> None:
        self._answer = answer
        self._opened = opened
        self._closed = closed
        self._buffer = bytearray()
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve, or reset the connection at once."""
        self._transport = cast(asyncio.Transport, transport)
        if not self._opened(self):
            self.reset()
            return
        serving: Coroutine[Any, Any, None] = self._serve()
        self._task = asyncio.get_running_loop().create_task(serving)

    def data_received(self, data: bytes) -> None:
        """Keep what came."""
        self._buffer += data
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """End every wait."""
        self._lost.set()
        self._news.set()
        self._writable.set()
        self._closed(self)

    def pause_writing(self) -> None:
        """The client does not read: wait."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on."""
        self._writable.set()

    # our side

    def reset(self) -> None:
        """End with a RST."""
        assert self._transport is not None
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()

    def abort(self) -> None:
        """End at once, whatever is being sent."""
        if self._transport is not None:
            self._transport.abort()

    async def _serve(self) -> None:
        try:
            while await self._serve_one():
                pass
        except ClientLeft:
            return
        finally:
            assert self._transport is not None
            self._transport.close()

    async def _serve_one(self) -> bool:
        """Serve a request; tell whether another one may follow."""
        received = await self._receive()
        reply = self._answer(received)
        for action in reply.before:
            await self._act(action)
        await self._send_head(reply)
        chunked = reply.transfer == "chunked"
        for piece in reply.body:
            if not isinstance(piece, Piece):
                await self._act(piece)
            elif piece.data:
                received.sent += piece.data
                await self._send(b"%x\r\n%b\r\n" % (len(piece.data), piece.data) if chunked else piece.data)
        if chunked:
            await self._send(b"0\r\n\r\n")
        return reply.transfer != "close" and not reply.missing and received.headers.get("connection") != "close"

    async def _receive(self) -> Received:
        head = (await self._read_until(_HEAD_END)).decode("latin-1")
        first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        method, target, _ = (*first.split(" "), "", "")[:3]
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = b""
        if headers.get("expect", "").lower() == "100-continue":
            await self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int((await self._read_until(b"\r\n")).split(b";")[0], 16):
                body += (await self._read(size + 2))[:-2]
            await self._read_until(b"\r\n")
        else:
            body = await self._read(int(headers.get("content-length", "0")))
        return Received(method, target, headers, body)

    async def _read_until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            await self._more()
        return await self._read(self._buffer.index(end) + len(end))

    async def _read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._more()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def _more(self) -> None:
        if self._lost.is_set():
            raise ClientLeft
        self._news.clear()
        await self._news.wait()

    async def _send_head(self, reply: Reply) -> None:
        try:
            phrase = HTTPStatus(reply.status).phrase
        except ValueError:  # 529 and other numbers of a provider's own
            phrase = "Error"
        headers = dict(reply.headers)
        match reply.transfer:
            case "chunked":
                headers["transfer-encoding"] = "chunked"
            case "length":
                headers["content-length"] = str(len(reply.data) + reply.missing)
            case "close":
                headers["connection"] = "close"
        lines = [f"HTTP/1.1 {reply.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join(lines).encode("latin-1") + _HEAD_END
        if reply.head_drip is None:
            await self._send(head)
            return
        for byte in head:
            await self._send(bytes((byte,)))
            await self._wait(reply.head_drip)

    async def _send(self, data: bytes) -> None:
        assert self._transport is not None
        if self._lost.is_set() or self._transport.is_closing():
            raise ClientLeft
        self._transport.write(data)
        await self._writable.wait()
        if self._lost.is_set():
            raise ClientLeft

    async def _act(self, action: Any) -> None:
        match action:
            case Sleep():
                await self._wait(action.seconds)
            case Reset():
                self.reset()
                raise ClientLeft
            case Close():
                raise ClientLeft
            case _:
                await self._wait(None)

    async def _wait(self, seconds: float | None) -> None:
        """Wait so long, or (`None`) until the client leaves."""
        try:
            async with asyncio.timeout(seconds):
                await self._lost.wait()
        except TimeoutError:
            return
        raise ClientLeft
