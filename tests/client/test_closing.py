"""Closing a stream in any way, at any stage, closes the socket at the server's end at once: the server watches."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.callers import in_background
from tests.loopback import Exchange, LoopbackServer, chat_chunk, never_answer, stall_after

from polyvox import AsyncClient, Cancel, Cancelled, Client, StreamStart

AT_ONCE = 2.0  # seconds: generous for a busy machine; every limit of the calls themselves is far longer
FIRST = chat_chunk({"role": "assistant", "content": "Hel"})
SECOND = chat_chunk({"content": "lo"})


class Watched:
    """A script that stalls where it is told, and notes when it saw the client leave."""

    def __init__(self, *pieces: bytes, head: bool = True) -> None:
        self.pieces = pieces
        self.head = head
        self.stalled = threading.Event()
        self.left = threading.Event()

    def __call__(self, exchange: Exchange) -> None:
        if self.head:
            exchange.send_head(200, {"Content-Type": "text/event-stream"}, chunked=True)
            for piece in self.pieces:
                exchange.send_chunk(piece)
        self.stalled.set()
        if exchange.client_gone(10):
            self.left.set()


STAGES: dict[str, Callable[[], Watched]] = {
    "before headers": lambda: Watched(head=False),
    "before the first event": lambda: Watched(b": keep-alive\n\n"),
    "between events": lambda: Watched(FIRST),
}


def lab(url: str) -> dict[str, Any]:
    return {"lab": {"base_url": url}}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("stage", STAGES)
def test_an_abort_from_another_thread_at_every_stage(make_caller: Any, stage: str, tls: bool) -> None:
    watched, cancel = STAGES[stage](), Cancel()
    with LoopbackServer(watched, tls=tls) as server:
        caller = make_caller(providers=lab(server.url), **({"ssl_context": server.client_context()} if tls else {}))
        stream = caller.stream("lab/m", "Hi", cancel=cancel)
        join = in_background(stream.drain)
        assert watched.stalled.wait(AT_ONCE)
        time.sleep(0.05)
        cancel.set()
        with pytest.raises(Cancelled) as caught:
            join(AT_ONCE)
        assert watched.left.wait(AT_ONCE)

    assert stream.response.text == ("Hel" if stage == "between events" else "")
    assert (caught.value.partial is not None) == (stage == "between events")


@pytest.mark.parametrize("stage", ["before headers", "before the first event"])
def test_a_whole_call_is_aborted_from_another_thread(make_caller: Any, stage: str) -> None:
    watched, cancel = STAGES[stage](), Cancel()
    with LoopbackServer(watched) as server:
        caller = make_caller(providers=lab(server.url))
        join = in_background(lambda: caller.generate("lab/m", "Hi", cancel=cancel))
        assert watched.stalled.wait(AT_ONCE)
        cancel.set()
        with pytest.raises(Cancelled):
            join(AT_ONCE)
        assert watched.left.wait(AT_ONCE)


def test_one_handle_aborts_many_calls_and_closing_one_stream_spares_the_others(make_caller: Any) -> None:
    cancel = Cancel()
    with LoopbackServer(stall_after(FIRST)) as server:
        caller = make_caller(providers=lab(server.url))
        first, second = (caller.stream("lab/m", "Hi", cancel=cancel) for _ in range(2))
        for stream in (first, second):
            while stream.response.text != "Hel":
                stream.next()
        first.close()
        assert not cancel.is_set and server.wait_connections(1)
        cancel.set()
        with pytest.raises(Cancelled):
            while True:  # what was decoded already is still handed on
                second.next()
        assert server.wait_connections(0)


def test_a_call_with_a_handle_that_is_set_already_sends_nothing(make_caller: Any) -> None:
    cancel = Cancel()
    cancel.set()
    with LoopbackServer(never_answer) as server:
        caller = make_caller(providers=lab(server.url))
        with pytest.raises(Cancelled):
            caller.generate("lab/m", "Hi", cancel=cancel)
        assert server.accepted == 0


@pytest.mark.parametrize("way", ["break", "close", "leave", "drop"])
def test_leaving_between_events_closes_at_once_and_keeps_the_answer_so_far(make_caller: Any, way: str) -> None:
    watched = Watched(FIRST)
    with LoopbackServer(watched) as server:
        stream = make_caller(providers=lab(server.url)).stream("lab/m", "Hi")
        if way == "break":
            stream.break_loop(after=3)
        elif way == "leave":
            stream.leave_with(after=3)
        else:
            assert isinstance(stream.next(), StreamStart)
            stream.next()
            stream.next()
            if way == "close":
                stream.close()
            else:
                stream.drop()
        assert watched.left.wait(AT_ONCE)
        assert server.wait_connections(0)

    if way != "drop":
        assert stream.response.text == "Hel" and stream.response.finish is None


def test_closing_before_reading_sends_nothing(make_caller: Any) -> None:
    with LoopbackServer(never_answer) as server:
        stream = make_caller(providers=lab(server.url)).stream("lab/m", "Hi")
        stream.close()
        assert server.accepted == 0


@pytest.mark.parametrize("stage", STAGES)
def test_cancelling_the_task_closes_at_every_stage(stage: str) -> None:
    watched = STAGES[stage]()

    async def scenario(url: str) -> str:
        async with AsyncClient(providers=lab(url)) as client:
            stream = client.stream("lab/m", "Hi")
            task = asyncio.create_task(stream.drain())
            while not watched.stalled.is_set():
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(watched.left.wait, AT_ONCE)
            return stream.response.text

    with LoopbackServer(watched) as server:
        assert asyncio.run(scenario(server.url)) == ("Hel" if stage == "between events" else "")


@pytest.mark.parametrize("stage", STAGES)
def test_another_task_closes_the_stream_at_every_stage(stage: str) -> None:
    watched = STAGES[stage]()

    async def scenario(url: str) -> str:
        async with AsyncClient(providers=lab(url)) as client:
            stream = client.stream("lab/m", "Hi")
            task = asyncio.create_task(stream.drain())
            while not watched.stalled.is_set():
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            await stream.close()
            with pytest.raises(Cancelled):
                await task
            assert await asyncio.to_thread(watched.left.wait, AT_ONCE)
            return stream.response.text

    with LoopbackServer(watched) as server:
        assert asyncio.run(scenario(server.url)) == ("Hel" if stage == "between events" else "")


@pytest.mark.parametrize("stage", STAGES)
def test_another_thread_closes_the_stream_at_every_stage(stage: str) -> None:
    watched = STAGES[stage]()
    with LoopbackServer(watched) as server:
        stream = Client(providers=lab(server.url)).stream("lab/m", "Hi")
        join = in_background(stream.drain)
        assert watched.stalled.wait(AT_ONCE)
        time.sleep(0.05)
        stream.close()
        with pytest.raises(Cancelled):
            join(AT_ONCE)
        assert watched.left.wait(AT_ONCE)
    assert stream.response.text == ("Hel" if stage == "between events" else "")


@pytest.mark.parametrize("stage", STAGES)
def test_dropping_an_async_stream_with_its_task_closes_at_every_stage(stage: str) -> None:
    watched = STAGES[stage]()

    async def scenario(url: str) -> None:
        async with AsyncClient(providers=lab(url)) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    async for _ in client.stream("lab/m", "Hi"):
                        pass
            assert await asyncio.to_thread(watched.left.wait, AT_ONCE)

    with LoopbackServer(watched) as server:
        asyncio.run(scenario(server.url))


def test_an_outer_timeout_of_asyncio_stays_the_callers_own() -> None:
    async def scenario(url: str) -> None:
        async with AsyncClient(providers=lab(url)) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.stream("lab/m", "Hi").drain()

    with LoopbackServer(stall_after(FIRST)) as server:
        asyncio.run(scenario(server.url))


def test_a_sync_stream_dropped_inside_a_running_event_loop_closes_at_once() -> None:
    watched = Watched(FIRST)

    async def scenario(url: str) -> None:
        client = Client(providers=lab(url))
        events = iter(client.stream("lab/m", "Hi"))
        next(events)
        del events
        assert watched.left.wait(AT_ONCE)

    with LoopbackServer(watched) as server:
        asyncio.run(scenario(server.url))


def test_a_sync_stream_begun_inside_an_event_loop_survives_its_end() -> None:
    class Paused(Watched):
        def __call__(self, exchange: Exchange) -> None:
            exchange.send_head(200, {"Content-Type": "text/event-stream"}, chunked=True)
            exchange.send_chunk(FIRST)
            exchange.stall(5)
            exchange.send_chunk(SECOND + chat_chunk({}, finish="stop"))
            exchange.end_chunks()

    async def begin(client: Client) -> Any:
        stream = client.stream("lab/m", "Hi")
        events = iter(stream)
        next(events)
        return stream, events

    with LoopbackServer(Paused()) as server:
        stream, events = asyncio.run(begin(Client(providers=lab(server.url))))
        server.release()
        for _ in events:
            pass
    assert stream.response.text == "Hello"


def test_threads_may_share_a_client() -> None:
    with LoopbackServer(stall_after(FIRST)) as server:
        client = Client(providers=lab(server.url))
        streams = [client.stream("lab/m", "Hi") for _ in range(5)]
        joins = [in_background(stream.drain) for stream in streams]
        assert server.wait_connections(5)
        for stream in streams:
            stream.close()
        for join in joins:
            with pytest.raises(Cancelled):
                join(AT_ONCE)
        assert server.wait_connections(0)
