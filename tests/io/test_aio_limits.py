"""`AsyncIO`: time limits, aborts and the task's own cancellation, on real sockets. Plain and over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator

import pytest

from polyvox.errors import CallTimeoutError, Cancelled
from polyvox.io.aio import AsyncIO
from polyvox.io.base import Cancel, Context, HttpRequest
from polyvox.types.models import Timeout
from tests import loopback
from tests.loopback import LoopbackServer

LARGE = b"u" * (24 * 2**20)  # more than the buffers of a loopback connection take


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def tls(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def post(server: LoopbackServer, body: bytes = b"{}") -> HttpRequest:
    return HttpRequest("POST", server.url + "/v1", {}, body)


def make(server: LoopbackServer) -> AsyncIO:
    return AsyncIO(ssl_context=server.client_context() if server.tls else None)


async def stream(io: AsyncIO, request: HttpRequest, context: Context) -> AsyncIterator[bytes]:
    """Read as a call does: the idle limit begins anew with each piece."""
    async with io.open(request, context) as response:
        while data := await response.read(context.until):
            context.limit("idle", context.timeout.idle)
            yield data


async def read_all(io: AsyncIO, request: HttpRequest, context: Context) -> bytes:
    async with contextlib.aclosing(stream(io, request, context)) as pieces:
        return b"".join([piece async for piece in pieces])


async def expect_timeout(io: AsyncIO, request: HttpRequest, timeout: Timeout, phase: str, seconds: float) -> None:
    start = time.monotonic()
    with pytest.raises(CallTimeoutError, match=rf"Timeout\({phase}=") as caught:
        await read_all(io, request, Context(io, timeout))
    assert caught.value.phase == phase
    assert seconds <= time.monotonic() - start < seconds + 3
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


# --- time limits -------------------------------------------------------------------------------------------------


def test_connect_limit_while_tls_says_nothing() -> None:
    with LoopbackServer(loopback.never_answer, tls=True, handshake=False) as server:
        asyncio.run(expect_timeout(make(server), post(server), Timeout(connect=0.1), "connect", 0.1))
        assert server.client_left.wait(1)


def test_connect_limit_while_the_backlog_is_full() -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(LoopbackServer(loopback.never_answer, accept=False, backlog=0))
        for _ in range(3):
            blocker = stack.enter_context(socket.socket())
            blocker.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                blocker.connect(("127.0.0.1", server.port))
        asyncio.run(expect_timeout(make(server), post(server), Timeout(connect=0.1), "connect", 0.1))


def test_connect_limit_within_a_proxys_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    with LoopbackServer(loopback.never_answer) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        request = HttpRequest("POST", "https://provider.test/", {}, b"{}")
        asyncio.run(expect_timeout(AsyncIO(), request, Timeout(connect=0.1), "connect", 0.1))
        assert server_saw(proxy)


def server_saw(server: LoopbackServer) -> bool:
    return server.client_left.wait(1)


@pytest.mark.parametrize("script", [loopback.never_answer, loopback.drip_head], ids=["silent", "header drip"])
def test_first_event_limit_before_the_head(script: loopback.Script, tls: bool) -> None:
    with LoopbackServer(script, tls=tls) as server:
        asyncio.run(expect_timeout(make(server), post(server), Timeout(first_event=0.15), "first_event", 0.15))
        assert server_saw(server)


def test_first_event_limit_while_the_upload_is_stuck(tls: bool) -> None:
    with LoopbackServer(lambda exchange: exchange.hold(), tls=tls, read_body=False) as server:
        asyncio.run(expect_timeout(make(server), post(server, LARGE), Timeout(first_event=0.15), "first_event", 0.15))


def test_a_stuck_upload_is_not_waited_for_when_the_call_is_over(tls: bool) -> None:
    """A polite close would keep the socket until the peer has taken the rest."""

    def script(exchange: loopback.Exchange) -> None:
        time.sleep(0.3)
        gone.append(exchange.client_gone(3))

    gone: list[bool] = []
    with LoopbackServer(script, tls=tls, read_body=False) as server:

        async def main() -> None:
            await expect_timeout(make(server), post(server, LARGE), Timeout(first_event=0.1), "first_event", 0.1)
            assert await asyncio.to_thread(server.client_left.wait, 2)

        asyncio.run(main())
    assert gone == [True]


def test_first_event_limit_in_a_body_that_only_begins(tls: bool) -> None:
    with LoopbackServer(loopback.drip_chunk_size(), tls=tls) as server:
        asyncio.run(expect_timeout(make(server), post(server), Timeout(first_event=0.15), "first_event", 0.15))
        assert server_saw(server)


@pytest.mark.parametrize(
    "script",
    [loopback.stall_after(b"x"), loopback.drip_chunk_size(b"x")],
    ids=["silent", "chunk-size drip"],
)
def test_idle_limit_between_two_pieces(script: loopback.Script, tls: bool) -> None:
    with LoopbackServer(script, tls=tls) as server:
        asyncio.run(expect_timeout(make(server), post(server), Timeout(idle=0.15), "idle", 0.15))
        assert server_saw(server)


def test_each_piece_moves_the_idle_limit() -> None:
    frames = [b"x"] * 8
    with LoopbackServer(loopback.sse_frames(frames, delay=0.04)) as server:
        io = make(server)
        context = Context(io, Timeout(first_event=5, idle=0.2))
        assert asyncio.run(read_all(io, post(server), context)) == b"x" * 8


@pytest.mark.parametrize("script", [loopback.never_answer, loopback.sse_frames([b"x"] * 500, delay=0.02)])
def test_total_limit_before_and_within_the_answer(script: loopback.Script, tls: bool) -> None:
    with LoopbackServer(script, tls=tls) as server:
        asyncio.run(expect_timeout(make(server), post(server), Timeout(total=0.2), "total", 0.15))
        assert server_saw(server)


def test_a_limit_that_is_past_ends_the_read_though_bytes_are_waiting() -> None:
    """Pings that come faster than they are read must not carry a silent answer past its limit."""
    with LoopbackServer(loopback.sse_frames([b": ping\n\n"] * 3)) as server:
        io = make(server)

        async def main() -> None:
            context = Context(io)
            async with io.open(post(server), context) as response:
                await asyncio.sleep(0.05)
                context.limit("idle", 0.0)
                with pytest.raises(CallTimeoutError) as caught:
                    await response.read(context.until)
                assert caught.value.phase == "idle"

        asyncio.run(main())


def test_a_later_limit_costs_no_timer_and_a_nearer_one_counts() -> None:
    with LoopbackServer(loopback.stall_after(b"x")) as server:
        io = make(server)

        async def main() -> None:
            context = Context(io, Timeout(first_event=60))
            async with io.open(post(server), context) as response:
                assert await response.read(context.until) == b"x"
                armed = response._exchange.timer
                context.limit("idle", 120)
                reading = asyncio.create_task(response.read(context.until))
                await asyncio.sleep(0.01)
                assert response._exchange.timer is armed
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reading
                context.limit("idle", 0.05)
                start = time.monotonic()
                with pytest.raises(CallTimeoutError):
                    await response.read(context.until)
                assert time.monotonic() - start < 3

        asyncio.run(main())


# --- the abort ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["thread", "task"])
@pytest.mark.parametrize(
    "script",
    [loopback.never_answer, loopback.drip_head, loopback.stall_after(b"x"), loopback.drip_chunk_size(b"x")],
    ids=["before headers", "within headers", "mid-body", "within a chunk size"],
)
def test_an_abort_ends_the_call_and_its_connection_at_once(script: loopback.Script, by: str, tls: bool) -> None:
    with LoopbackServer(script, tls=tls) as server:
        io = make(server)
        cancel = Cancel()

        async def main() -> None:
            if by == "thread":
                timer = threading.Timer(0.1, cancel.set)
                timer.start()
            else:
                asyncio.get_running_loop().call_later(0.1, cancel.set)
            start = time.monotonic()
            with pytest.raises(Cancelled):
                await read_all(io, post(server), Context(io, cancel=cancel))
            assert 0.05 < time.monotonic() - start < 5
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0
            assert await asyncio.to_thread(server.client_left.wait, 1)
            assert not cancel._wakers

        asyncio.run(main())


def test_an_abort_while_connecting() -> None:
    with LoopbackServer(loopback.never_answer, tls=True, handshake=False) as server:
        io = make(server)
        cancel = Cancel()

        async def main() -> None:
            asyncio.get_running_loop().call_later(0.05, cancel.set)
            with pytest.raises(Cancelled):
                await read_all(io, post(server), Context(io, cancel=cancel))
            assert await asyncio.to_thread(server.client_left.wait, 1)

        asyncio.run(main())


def test_an_abort_while_the_upload_is_stuck(tls: bool) -> None:
    with LoopbackServer(lambda exchange: exchange.hold(), tls=tls, read_body=False) as server:
        io = make(server)
        cancel = Cancel()

        async def main() -> None:
            threading.Timer(0.1, cancel.set).start()
            with pytest.raises(Cancelled):
                await read_all(io, post(server, LARGE), Context(io, cancel=cancel))

        asyncio.run(main())


def test_an_abort_wins_over_a_failure_that_comes_with_it() -> None:
    io = AsyncIO()
    context = Context(io)

    async def main() -> None:
        opening = io.open(HttpRequest("POST", loopback.unused_url(), {}, b"{}"), context)
        task = asyncio.create_task(opening.__aenter__())
        await asyncio.sleep(0)
        # The refusal is seen in the very turn of the loop in which the abort would be heard.
        context.cancel._flag = True
        with pytest.raises(Cancelled):
            await task

    asyncio.run(main())


def test_an_abort_before_the_call_sends_nothing() -> None:
    with LoopbackServer(loopback.never_answer) as server:
        io = make(server)
        cancel = Cancel()
        cancel.set()
        with pytest.raises(Cancelled):
            asyncio.run(read_all(io, post(server), Context(io, cancel=cancel)))
        assert server.accepted == 0


def test_an_abort_is_never_a_clean_end() -> None:
    """The whole answer is there, unread, when the abort comes."""
    with LoopbackServer(loopback.respond(200, b"whole")) as server:
        io = make(server)

        async def main() -> None:
            context = Context(io)
            async with io.open(post(server), context) as response:
                context.cancel.set()
                with pytest.raises(Cancelled):
                    await response.read(None)
                await asyncio.sleep(0.01)
                with pytest.raises(Cancelled):
                    await response.read(None)

        asyncio.run(main())


def test_an_abort_between_two_reads_closes_the_connection_before_the_next() -> None:
    with LoopbackServer(loopback.stall_after(b"x")) as server:
        io = make(server)

        async def main() -> None:
            context = Context(io)
            async with io.open(post(server), context) as response:
                assert await response.read(None) == b"x"
                context.cancel.set()
                assert await asyncio.to_thread(server.client_left.wait, 1)
                with pytest.raises(Cancelled):
                    await response.read(None)

        asyncio.run(main())


def test_a_late_abort_does_not_touch_the_connection_that_another_call_now_uses() -> None:
    scripts = loopback.sequence(
        loopback.respond(200, b"one"), loopback.sse_frames([b"a", b"b"], delay=0.1), loopback.respond(200, b"three")
    )
    with LoopbackServer(scripts) as server:
        io = make(server)

        async def main() -> None:
            first = Context(io)
            async with io.open(post(server), first) as response:
                while await response.read(None):
                    pass
                other = asyncio.create_task(read_all(io, post(server), Context(io)))
                await asyncio.sleep(0.05)
                first.cancel.set()
            assert await other == b"ab"
            assert server.accepted == 1

        asyncio.run(main())


def test_one_abort_for_many_calls() -> None:
    with LoopbackServer(loopback.stall_after(b"x")) as server:
        io = make(server)
        cancel = Cancel()

        async def call() -> str:
            try:
                await read_all(io, post(server), Context(io, cancel=cancel))
            except Cancelled:
                return "cancelled"
            return "ended"

        async def main() -> None:
            threading.Timer(0.2, cancel.set).start()
            assert await io.gather([call] * 10) == ["cancelled"] * 10
            assert await asyncio.to_thread(server.wait_connections, 0)

        asyncio.run(main())


def test_an_abort_after_the_loop_has_ended_is_harmless() -> None:
    with LoopbackServer(loopback.stall_after(b"x")) as server:
        io = make(server)
        context = Context(io)
        kept = []

        async def main() -> None:
            opening = io.open(post(server), context)
            kept.append(await opening.__aenter__())

        asyncio.run(main())
        context.cancel.set()
        assert server_saw(server)
        kept.clear()


# --- the task's own cancellation ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script", [loopback.never_answer, loopback.stall_after(b"x")], ids=["before headers", "mid-body"]
)
def test_cancelling_the_task_passes_through_and_closes_the_connection(script: loopback.Script, tls: bool) -> None:
    with LoopbackServer(script, tls=tls) as server:
        io = make(server)

        async def main() -> None:
            task = asyncio.create_task(read_all(io, post(server), Context(io)))
            assert await asyncio.to_thread(server.arrived.wait, 2)
            await asyncio.sleep(0.03)
            task.cancel("mine")
            with pytest.raises(asyncio.CancelledError):
                await task
            assert task.cancelled()
            assert task.cancelling() == 1
            assert await asyncio.to_thread(server.client_left.wait, 1)

        asyncio.run(main())


@pytest.mark.parametrize(
    "script", [loopback.never_answer, loopback.stall_after(b"x")], ids=["before headers", "mid-body"]
)
def test_an_outer_asyncio_timeout_stays_the_callers_own(script: loopback.Script) -> None:
    with LoopbackServer(script) as server:
        io = make(server)

        async def main() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await read_all(io, post(server), Context(io))
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0
            assert await asyncio.to_thread(server.client_left.wait, 1)

        asyncio.run(main())


def test_when_our_limit_and_the_tasks_cancellation_meet_the_cancellation_wins() -> None:
    with LoopbackServer(loopback.never_answer) as server:
        io = make(server)

        async def main() -> None:
            task = asyncio.create_task(read_all(io, post(server), Context(io, Timeout(first_event=0.1))))
            # Both in one turn of the loop, the limit first: the loop is held until both are due.
            await asyncio.sleep(0.05)
            asyncio.get_running_loop().call_later(0.02, time.sleep, 0.12)
            asyncio.get_running_loop().call_later(0.1, task.cancel)
            with pytest.raises(asyncio.CancelledError):
                await task
            assert task.cancelling() == 1

        asyncio.run(main())


def test_inside_a_task_group_a_timeout_of_ours_is_an_ordinary_error() -> None:
    with LoopbackServer(loopback.never_answer) as server:
        io = make(server)

        async def main() -> None:
            with pytest.raises(ExceptionGroup) as caught:
                async with asyncio.TaskGroup() as group:
                    group.create_task(read_all(io, post(server), Context(io, Timeout(first_event=0.1))))
                    group.create_task(asyncio.sleep(10))
            assert [type(error) for error in caught.value.exceptions] == [CallTimeoutError]

        asyncio.run(main())
