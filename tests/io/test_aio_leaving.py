"""`AsyncIO`: leaving an answer before its end, in every way and at every stage, seen from the server's side."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncGenerator

import pytest

from polyvox.io.aio import AsyncIO
from polyvox.io.base import Context, HttpRequest
from tests import loopback
from tests.loopback import LoopbackServer

STAGES = {
    "before headers": loopback.never_answer,
    "before the first event": loopback.stall_after(),
    "between events": loopback.stall_after(b"data: 1\n\n"),
}
OPEN = [name for name in STAGES if name != "before headers"]


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def tls(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def make(server: LoopbackServer) -> AsyncIO:
    return AsyncIO(ssl_context=server.client_context() if server.tls else None)


async def stream(io: AsyncIO, server: LoopbackServer) -> AsyncGenerator[bytes, None]:
    """A call as the layers above make it. The head is handed on too, as an empty piece."""
    context = Context(io)
    async with io.open(HttpRequest("POST", server.url, {}, b"{}"), context) as response:
        yield b""
        while data := await response.read(context.until):
            yield data


async def reach(pieces: AsyncGenerator[bytes, None], stage: str) -> None:
    await anext(pieces)
    if stage == "between events":
        assert await anext(pieces) == b"data: 1\n\n"


async def assert_left(server: LoopbackServer) -> None:
    """The server sees the end at once, though the client's loop is not closed and nobody collects garbage."""
    assert await asyncio.to_thread(server.client_left.wait, 1.0)
    assert await asyncio.to_thread(server.wait_connections, 0)


@pytest.mark.parametrize("stage", STAGES)
def test_cancelling_the_task(stage: str, tls: bool) -> None:
    with LoopbackServer(STAGES[stage], tls=tls) as server:
        io = make(server)

        async def main() -> None:
            async def consume() -> None:
                async with contextlib.aclosing(stream(io, server)) as pieces:
                    async for _ in pieces:
                        pass

            task = asyncio.create_task(consume())
            assert await asyncio.to_thread(server.arrived.wait, 2)
            await asyncio.sleep(0.03)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await assert_left(server)

        asyncio.run(main())


@pytest.mark.parametrize("stage", OPEN)
def test_break_and_leaving_the_with(stage: str, tls: bool) -> None:
    with LoopbackServer(STAGES[stage], tls=tls) as server:
        io = make(server)

        async def main() -> None:
            async with contextlib.aclosing(stream(io, server)) as pieces:
                async for piece in pieces:
                    if piece or stage == "before the first event":
                        break
            await assert_left(server)

        asyncio.run(main())


@pytest.mark.parametrize("stage", OPEN)
def test_closing_the_generator(stage: str, tls: bool) -> None:
    with LoopbackServer(STAGES[stage], tls=tls) as server:
        io = make(server)

        async def main() -> None:
            pieces = stream(io, server)
            await reach(pieces, stage)
            await pieces.aclose()
            await assert_left(server)

        asyncio.run(main())


@pytest.mark.parametrize("stage", OPEN)
def test_dropping_the_reference(stage: str, tls: bool) -> None:
    with LoopbackServer(STAGES[stage], tls=tls) as server:
        io = make(server)

        async def main() -> None:
            pieces = stream(io, server)
            await reach(pieces, stage)
            gc.disable()
            try:
                del pieces
                await assert_left(server)
            finally:
                gc.enable()

        asyncio.run(main())


def test_dropping_a_response_that_was_never_left(tls: bool) -> None:
    with LoopbackServer(STAGES["between events"], tls=tls) as server:
        io = make(server)

        async def main() -> None:
            opening = io.open(HttpRequest("POST", server.url, {}, b"{}"), Context(io))
            response = await opening.__aenter__()
            assert await response.read(None) == b"data: 1\n\n"
            gc.disable()
            try:
                del opening, response
                await assert_left(server)
            finally:
                gc.enable()

        asyncio.run(main())


def test_an_exception_of_the_consumers_own_passes_through(tls: bool) -> None:
    with LoopbackServer(STAGES["between events"], tls=tls) as server:
        io = make(server)

        async def main() -> None:
            with pytest.raises(KeyError, match="mine"):
                async with io.open(HttpRequest("POST", server.url, {}, b"{}"), Context(io)) as response:
                    await response.read(None)
                    raise KeyError("mine")
            await assert_left(server)

        asyncio.run(main())


def test_the_end_of_the_loop_closes_what_is_open(tls: bool) -> None:
    with LoopbackServer(STAGES["between events"], tls=tls) as server:
        io = make(server)
        kept = []

        async def main() -> None:
            pieces = stream(io, server)
            await reach(pieces, "between events")
            kept.append(pieces)

        asyncio.run(main())
        assert server.client_left.wait(1)


def test_closing_the_io_closes_what_is_open(tls: bool) -> None:
    with LoopbackServer(STAGES["between events"], tls=tls) as server:
        io = make(server)

        async def main() -> None:
            pieces = stream(io, server)
            await reach(pieces, "between events")
            await io.close()
            await assert_left(server)
            await pieces.aclose()

        asyncio.run(main())


def test_an_answer_read_to_its_end_is_not_closed_but_pooled(tls: bool) -> None:
    with LoopbackServer(loopback.sse_chat(["a"]), tls=tls) as server:
        io = make(server)

        async def main() -> None:
            for _ in range(3):
                async with contextlib.aclosing(stream(io, server)) as pieces:
                    async for _piece in pieces:
                        pass
            assert not server.client_left.is_set()
            assert (server.accepted, server.connections) == (1, 1)
            await io.close()

        asyncio.run(main())
