"""Limits, aborts and closing in plain calls, on real sockets: each ends when it should, and the server sees it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator

import pytest

from polyvox.errors import CallTimeoutError, Cancelled, ConnectError
from polyvox.io.base import Cancel, Context, drive, iterate
from polyvox.io.blocking import BlockingIO
from polyvox.types.models import Timeout
from tests.io.blocking_calls import PATIENT, SHORT, Answer, call, make_io, make_request, soon, within
from tests.loopback import (
    ClientLeft,
    Exchange,
    LoopbackServer,
    Script,
    drip_chunk_size,
    drip_head,
    json_chat,
    never_answer,
    sequence,
    stall_after,
)

BOTH = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
UPLOAD = b"x" * 20_000_000  # more than the buffers of both sides hold


def drip_status(exchange: Exchange) -> None:
    exchange.drip(b"HTTP/1.1 200 " + b"O" * 500)


def drip_chunks(exchange: Exchange) -> None:
    """A byte of body at a time: each is progress for a read, none is for the whole call."""
    exchange.send_head(200, chunked=True)
    for _ in range(500):
        exchange.send_chunk(b"x")
        if exchange.client_gone(0.03):
            return


def drip_until_close(exchange: Exchange) -> None:
    """On `Connection: close` the standard library lets go of the socket: no timeout could be set on it any more."""
    exchange.send_head(200, close=True)
    exchange.drip(b"x" * 500)


def stall_after_head(exchange: Exchange) -> None:
    exchange.send_head(200, close=True)
    exchange.stall()


def hold(exchange: Exchange) -> None:
    exchange.hold()


@contextlib.contextmanager
def deaf_listener() -> Iterator[str]:
    """A listener whose backlog is full: further connections get no answer at all."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        time.sleep(0.02)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


# --- limits -----------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("script", [drip_head, drip_status, never_answer], ids=["drip-head", "drip-status", "silence"])
def test_a_head_that_does_not_come_ends_at_the_first_event_limit(tls: bool, script: Script) -> None:
    with LoopbackServer(script, tls=tls) as server:
        io = make_io(server)
        with within(0.24, 1.0), pytest.raises(CallTimeoutError, match=r"Timeout\(first_event=…\)") as caught:
            call(io, server.url, SHORT)
        assert caught.value.phase == "first_event"
        assert server.client_left.wait(0.5)


@BOTH
def test_a_stalled_upload_ends_at_the_first_event_limit(tls: bool) -> None:
    with LoopbackServer(hold, tls=tls, read_body=False, receive_buffer=4096) as server:
        io = make_io(server)
        with within(0.24, 0.8), pytest.raises(CallTimeoutError) as caught:
            call(io, server.url, SHORT, body=UPLOAD)
        assert caught.value.phase == "first_event"


@BOTH
@pytest.mark.parametrize("script", [drip_chunk_size(b"abc"), stall_after(b"abc")], ids=["drip-chunk-size", "silence"])
def test_a_body_that_falls_silent_ends_at_the_idle_limit(tls: bool, script: Script) -> None:
    """Half a chunk-size line, a byte at a time, is silence; what came before it was handed on."""
    with LoopbackServer(script, tls=tls) as server:
        io, answer = make_io(server), Answer()
        with within(0.24, 1.0), pytest.raises(CallTimeoutError) as caught:
            call(io, server.url, SHORT, answer=answer)
        assert caught.value.phase == "idle"
        assert answer.body == b"abc"
        assert server.client_left.wait(0.5)


@BOTH
def test_a_close_delimited_body_that_falls_silent_ends_at_the_idle_limit(tls: bool) -> None:
    with LoopbackServer(stall_after_head, tls=tls) as server:
        io = make_io(server)
        with within(0.24, 1.0), pytest.raises(CallTimeoutError) as caught:
            call(io, server.url, SHORT)
        assert caught.value.phase == "idle"
        assert server.client_left.wait(0.5)


@BOTH
@pytest.mark.parametrize("script", [drip_chunks, drip_until_close, drip_head, drip_chunk_size(b"abc")])
def test_a_drip_that_idle_lets_pass_ends_at_the_deadline(tls: bool, script: Script) -> None:
    with LoopbackServer(script, tls=tls) as server:
        io = make_io(server)
        with within(0.29, 1.0), pytest.raises(CallTimeoutError, match=r"Timeout\(total=…\)") as caught:
            call(io, server.url, Timeout(total=0.3))
        assert caught.value.phase == "total"
        assert server.client_left.wait(0.5)


def test_the_first_limit_of_two_ends_the_call() -> None:
    for timeout, phase in ((Timeout(first_event=0.2, total=0.4), "first_event"), (Timeout(total=0.2), "total")):
        with LoopbackServer(never_answer) as server, within(0.19, 0.39):
            with pytest.raises(CallTimeoutError) as caught:
                call(make_io(), server.url, timeout)
            assert caught.value.phase == phase


def test_a_read_ends_at_the_instant_it_was_given() -> None:
    """`until` of each read counts, also where bytes lie ready; after a timeout the answer can be read on."""
    io = make_io()

    async def run(url: str) -> bytes:
        context = Context(io, PATIENT)
        async with io.open(make_request(url), context) as response:
            time.sleep(0.1)
            with pytest.raises(CallTimeoutError):
                await response.read(io.now() - 0.01)
            first = await response.read(io.now() + 1)
            with within(0.1, 0.4), pytest.raises(CallTimeoutError):
                await response.read(io.now() + 0.1)
            server.release()
            return first + await response.read(None)

    def script(exchange: Exchange) -> None:
        exchange.send_head(200, chunked=True)
        exchange.send_chunk(b"abc")
        exchange.stall()
        exchange.send_chunk(b"def")

    with LoopbackServer(script) as server:
        assert drive(run(server.url)) == b"abcdef"


def test_a_connection_that_is_not_made_ends_at_the_connect_limit() -> None:
    with deaf_listener() as url, within(0.24, 1.0):
        with pytest.raises(CallTimeoutError, match=r"Timeout\(connect=…\)") as caught:
            call(make_io(), url, Timeout(connect=0.25))
        assert caught.value.phase == "connect"


def test_a_dead_address_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def two(host: str, port: int, *arguments: int) -> list[object]:
        return [*resolve("127.0.0.1", dead, *arguments), *resolve("127.0.0.1", port, *arguments)]

    with deaf_listener() as url, LoopbackServer(json_chat("x")) as server, within(0.2, 0.6):
        dead = int(url.rpartition(":")[2])
        monkeypatch.setattr(socket, "getaddrinfo", two)
        assert call(make_io(), server.url, Timeout(connect=0.5)).status == 200


def test_all_addresses_dead_end_at_the_connect_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo
    with deaf_listener() as url, within(0.24, 1.0):
        monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: 3 * resolve(*arguments))
        with pytest.raises((CallTimeoutError, ConnectError)) as caught:
            call(make_io(), url, Timeout(connect=0.25))
        assert isinstance(caught.value, CallTimeoutError)
        assert caught.value.phase == "connect"


def test_a_tls_handshake_that_never_ends_ends_at_the_connect_limit() -> None:
    with LoopbackServer(never_answer, tls=True, handshake=False) as server:
        with within(0.24, 1.0), pytest.raises(CallTimeoutError) as caught:
            call(make_io(server), server.url, Timeout(connect=0.25))
        assert caught.value.phase == "connect"
        assert server.client_left.wait(0.5)


# --- aborts from another thread ---------------------------------------------------------------------------------------


def aborted(io: BlockingIO, server: LoopbackServer, **settings: object) -> Answer:
    """Make a call, abort it from another thread, and assert that it ended at once and the server saw it."""
    cancel, answer = Cancel(), Answer()
    with soon(cancel.set, 0.15) as done, pytest.raises(Cancelled):
        call(io, server.url, PATIENT, cancel, answer=answer, **settings)  # type: ignore[arg-type]
    assert time.monotonic() - done[0] < 5
    return answer


@BOTH
@pytest.mark.parametrize("script", [never_answer, drip_head], ids=["silence", "drip"])
def test_an_abort_before_the_head_ends_the_call_at_once(tls: bool, script: Script) -> None:
    with LoopbackServer(script, tls=tls) as server:
        aborted(make_io(server), server)
        assert server.client_left.wait(0.5)


@BOTH
@pytest.mark.parametrize("script", [stall_after(b"abc"), drip_chunk_size(b"abc"), stall_after_head, drip_chunks])
def test_an_abort_in_mid_body_ends_the_call_at_once(tls: bool, script: Script) -> None:
    """Also where the end of the connection is the end of the body: an abort never looks like a clean one."""
    with LoopbackServer(script, tls=tls) as server:
        aborted(make_io(server), server)
        assert server.client_left.wait(0.5)


@BOTH
def test_an_abort_of_a_stalled_upload_ends_the_call_at_once(tls: bool) -> None:
    with LoopbackServer(hold, tls=tls, read_body=False, receive_buffer=4096) as server:
        aborted(make_io(server), server, body=UPLOAD)


@BOTH
def test_an_abort_reaches_a_call_on_a_pooled_connection(tls: bool) -> None:
    with LoopbackServer(sequence(json_chat("x"), never_answer), tls=tls) as server:
        io = make_io(server)
        call(io, server.url)
        aborted(io, server)
        assert server.accepted == 1
        assert server.client_left.wait(0.5)


def test_an_abort_while_connecting_ends_the_call_at_once() -> None:
    cancel = Cancel()
    with deaf_listener() as url, soon(cancel.set, 0.15) as done, pytest.raises(Cancelled):
        call(make_io(), url, PATIENT, cancel)
    assert time.monotonic() - done[0] < 5


def test_an_abort_in_the_tls_handshake_ends_the_call_at_once() -> None:
    with LoopbackServer(never_answer, tls=True, handshake=False) as server:
        aborted(make_io(server), server)
        assert server.client_left.wait(0.5)


def test_a_call_aborted_before_it_began_sends_nothing() -> None:
    cancel = Cancel()
    cancel.set()
    with LoopbackServer(json_chat("x")) as server:
        with pytest.raises(Cancelled):
            call(make_io(), server.url, PATIENT, cancel)
        assert server.accepted == 0


def test_bytes_that_lie_ready_are_not_read_after_an_abort() -> None:
    io, cancel = make_io(), Cancel()

    async def run(url: str) -> None:
        context = Context(io, PATIENT, cancel)
        async with io.open(make_request(url), context) as response:
            cancel.set()
            await response.read(None)

    with LoopbackServer(json_chat("x")) as server, pytest.raises(Cancelled):
        drive(run(server.url))


@BOTH
def test_an_abort_does_not_reach_the_next_call_of_the_connection(tls: bool) -> None:
    """The first call is over and its connection pooled: aborting it now is nobody's business."""
    cancel = Cancel()
    with LoopbackServer(json_chat("x"), tls=tls) as server:
        io = make_io(server)
        call(io, server.url, PATIENT, cancel)
        cancel.set()
        assert call(io, server.url).status == 200
        assert server.accepted == 1
        drive(io.close())


def test_one_handle_aborts_many_calls() -> None:
    cancel, ended = Cancel(), []
    with LoopbackServer(never_answer) as server:
        io = make_io()

        def work() -> None:
            with contextlib.suppress(Cancelled):
                call(io, server.url, PATIENT, cancel)
            ended.append(time.monotonic())

        threads = [threading.Thread(target=work) for _ in range(5)]
        for thread in threads:
            thread.start()
        assert server.wait_connections(5)
        start = time.monotonic()
        cancel.set()
        for thread in threads:
            thread.join(1)
        assert len(ended) == 5
        assert max(ended) - start < 0.5
        assert server.wait_connections(0)


# --- closing ----------------------------------------------------------------------------------------------------------


def read_stream(io: BlockingIO, url: str) -> AsyncGenerator[bytes, None]:
    async def stream() -> AsyncGenerator[bytes, None]:
        context = Context(io, PATIENT)
        async with io.open(make_request(url), context) as response:
            yield b"head"
            while data := await response.read(None):
                yield data

    return stream()


@BOTH
@pytest.mark.parametrize("taken", [1, 2], ids=["before-the-first-bytes", "between-bytes"])
@pytest.mark.parametrize("way", ["close", "break", "drop", "throw"])
def test_a_stream_that_is_left_closes_its_connection_at_once(tls: bool, taken: int, way: str) -> None:
    with LoopbackServer(stall_after(b"abc"), tls=tls) as server:
        io = make_io(server)
        stream = iterate(read_stream(io, server.url))
        for _ in range(taken):
            next(stream)
        if way == "close":
            stream.close()
        elif way == "throw":
            with pytest.raises(KeyboardInterrupt):
                stream.throw(KeyboardInterrupt())
        elif way == "break":
            del stream
        else:
            holder = [stream]
            holder.append(holder)  # a cycle, as a traceback makes one: the collector drops it
            del stream, holder
            gc.collect()
        assert server.client_left.wait(0.5)
        assert server.wait_connections(0, 0.3)


def test_a_stream_dropped_inside_a_running_event_loop_closes_its_connection_at_once() -> None:
    """The event loop knows nothing of our generators: neither does it close them late, nor at its own end."""
    with LoopbackServer(stall_after(b"abc")) as server:
        io = make_io()

        async def main() -> bool:
            stream = iterate(read_stream(io, server.url))
            next(stream)
            next(stream)
            del stream
            return server.client_left.wait(0.5)

        assert asyncio.run(main())


def test_a_stream_outlives_the_event_loop_it_was_begun_in() -> None:
    with LoopbackServer(lambda exchange: finish_when_released(exchange)) as server:
        io = make_io()

        async def main() -> Iterator[bytes]:
            stream = iterate(read_stream(io, server.url))
            next(stream)
            return stream

        stream = asyncio.run(main())
        server.release()
        assert b"".join(stream) == b"abc"


def finish_when_released(exchange: Exchange) -> None:
    exchange.send_head(200, chunked=True)
    if exchange.stall():
        raise ClientLeft
    exchange.send_chunk(b"abc")
    exchange.end_chunks()


@BOTH
def test_an_error_in_the_with_closes_the_connection_at_once(tls: bool) -> None:
    with LoopbackServer(stall_after(b"abc"), tls=tls) as server:
        io = make_io(server)

        async def run() -> None:
            async with io.open(make_request(server.url), Context(io, PATIENT)):
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            drive(run())
        assert server.client_left.wait(0.5)


# --- sleep, gather, run -----------------------------------------------------------------------------------------------


def test_sleep_waits_and_wakes() -> None:
    io = make_io()
    with within(0.1, 0.3):
        drive(io.sleep(0.1))
    with within(0.1, 0.3):
        drive(io.sleep(0.1, Context(io)))
    cancel = Cancel()
    with soon(cancel.set, 0.05), within(0.04, 0.3), pytest.raises(Cancelled):
        drive(io.sleep(5, Context(io, cancel=cancel)))
    with within(0, 0.05), pytest.raises(Cancelled):
        drive(io.sleep(5, Context(io, cancel=cancel)))
    with within(0.09, 0.3), pytest.raises(CallTimeoutError) as caught:
        drive(io.sleep(5, Context(io, Timeout(total=0.1))))
    assert caught.value.phase == "total"


def test_run_is_a_plain_call_in_the_same_thread() -> None:
    assert drive(make_io().run(threading.get_ident)) == threading.get_ident()


def sleeper(io: BlockingIO, seconds: float, value: int, seen: list[int]) -> Callable[[], object]:
    async def run() -> int:
        seen.append(threading.get_ident())
        await io.sleep(seconds)
        return value

    return run


def test_gather_returns_results_in_order() -> None:
    io = make_io()
    seen: list[int] = []
    with within(0.1, 0.35):
        calls = [sleeper(io, 0.1 - value / 100, value, seen) for value in range(8)]
        assert drive(io.gather(calls)) == list(range(8))  # type: ignore[arg-type]
    assert len(set(seen)) == 8


@pytest.mark.parametrize(("count", "limit"), [(3, 1), (1, None), (0, None), (1, 5)])
def test_gather_needs_no_thread_for_one_call_at_a_time(count: int, limit: int | None) -> None:
    io = make_io()
    seen: list[int] = []
    calls = [sleeper(io, 0, value, seen) for value in range(count)]
    assert drive(io.gather(calls, limit)) == list(range(count))  # type: ignore[arg-type]
    assert set(seen) <= {threading.get_ident()}


def test_gather_keeps_its_limit() -> None:
    io = make_io()
    running: list[int] = []
    most: list[int] = []

    def make() -> Callable[[], object]:
        async def run() -> None:
            running.append(1)
            most.append(len(running))
            await io.sleep(0.03)
            running.pop()

        return run

    drive(io.gather([make() for _ in range(9)], 3))  # type: ignore[arg-type]
    assert max(most) == 3


def test_the_first_failure_of_a_gather_ends_the_rest() -> None:
    """A call that waits for its answer, one that sleeps, and one that was not begun: all end with the first failure."""
    with LoopbackServer(never_answer) as server:
        io = make_io()
        begun: list[str] = []

        async def wait() -> None:
            begun.append("wait")
            async with io.open(make_request(server.url), Context(io, PATIENT)):
                raise AssertionError("there is no answer")

        async def sleep() -> None:
            begun.append("sleep")
            await io.sleep(10, Context(io))

        async def nap() -> None:
            await io.gather([sleep, sleep])

        async def fail() -> None:
            assert server.arrived.wait(5)
            raise ZeroDivisionError

        async def late() -> None:
            begun.append("late")

        with within(0, 0.5), pytest.raises(ZeroDivisionError):
            drive(io.gather([wait, sleep, nap, fail, late], 4))
        assert "late" not in begun
        assert server.client_left.wait(0.5)
        assert not [thread for thread in threading.enumerate() if thread.name == "polyvox-gather"]
