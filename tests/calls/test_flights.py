"""Equal calls at the same time: one is sent, the others have its answer; nobody waits longer than its own limits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, closing
from typing import Any

import pytest

from polyvox.calls import flights
from polyvox.calls.cache import Cache, MemoryStore, cached, scope_of
from polyvox.calls.generate import Call, call
from polyvox.errors import CallTimeoutError, Cancelled, PolyvoxError, ServerError
from polyvox.io.aio import AsyncIO
from polyvox.io.base import Cancel, Context, iterate
from polyvox.io.blocking import BlockingIO
from polyvox.types.generate import GenerateResponse
from polyvox.types.models import Timeout
from tests.callers import in_background
from tests.calls.runs import REQUEST, SyncRunner, answer_of, lab_target, run_async
from tests.loopback import LoopbackServer, chat, json_chat, sequence, sse_chat, stall_after
from tests.loopback import error as error_answer

each_kind = pytest.mark.parametrize("kind", ["generate", "stream"])
both = pytest.mark.parametrize("seam", ["sync", "async"])
run_sync = SyncRunner()


class SlowStore(MemoryStore):
    """A store that waits, as for a disk."""

    blocking = True

    def get(self, key: str) -> bytes | None:
        time.sleep(0.01)
        return super().get(key)


def slowly(script: Callable[[Any], None], seconds: float = 0.1) -> Callable[[Any], None]:
    def answer(exchange: Any) -> None:
        time.sleep(seconds)
        script(exchange)

    return answer


def through(server: LoopbackServer, cache: Cache, kind: str = "generate") -> Call:
    target = lab_target(server.url + "/v1")
    return cached(call(target, stream=kind == "stream"), cache, scope_of(target))


def outcomes_of(seam: str, inner: Call, count: int) -> list[GenerateResponse[Any] | PolyvoxError]:
    """Make the call `count` times at once; what each of them got or raised."""
    return _async_outcomes(inner, count) if seam == "async" else _sync_outcomes(inner, count)


def _sync_outcomes(inner: Call, count: int) -> list[GenerateResponse[Any] | PolyvoxError]:
    io = BlockingIO()

    def one() -> GenerateResponse[Any] | PolyvoxError:
        try:
            return run_sync(inner, Context(io))
        except PolyvoxError as error:
            return error

    joins = [in_background(one) for _ in range(count)]
    try:
        return [join(20) for join in joins]
    finally:
        for _ in iterate(_closing(io)):
            pass


async def _closing(io: BlockingIO) -> Any:
    await io.close()
    return
    yield


def _async_outcomes(inner: Call, count: int) -> list[GenerateResponse[Any] | PolyvoxError]:
    async def one(io: AsyncIO) -> GenerateResponse[Any] | PolyvoxError:
        context = Context(io)
        try:
            return answer_of(context, await run_async(inner, context))
        except PolyvoxError as error:
            return error

    async def everyone() -> list[Any]:
        io = AsyncIO()
        try:
            return await asyncio.gather(*(one(io) for _ in range(count)))
        finally:
            await io.close()

    return asyncio.run(everyone())


@pytest.fixture(params=[MemoryStore, SlowStore])
def cache(request: pytest.FixtureRequest) -> Iterator[Cache]:
    made = Cache(request.param())
    yield made
    assert len(made.flights) == 0, "a flight was left in the air"


@both
@each_kind
def test_of_many_equal_calls_one_is_sent(seam: str, kind: str, cache: Cache) -> None:
    with LoopbackServer(slowly(chat("Hello"))) as server:
        answers = outcomes_of(seam, through(server, cache, kind), 20)
        assert len(server.requests) == 1
    assert [answer.text for answer in answers if isinstance(answer, GenerateResponse)] == ["Hello"] * 20
    assert sorted(answer.cached for answer in answers if isinstance(answer, GenerateResponse)) == [False] + [True] * 19


@both
def test_without_single_flight_each_is_sent(seam: str) -> None:
    cache = Cache(MemoryStore(), single_flight=False)
    with LoopbackServer(slowly(chat("Hello"))) as server:
        outcomes_of(seam, through(server, cache), 4)
        assert len(server.requests) == 4


def test_threads_and_an_event_loop_share_a_flight(cache: Cache) -> None:
    with LoopbackServer(slowly(chat("Hello"), 0.4)) as server:
        inner = through(server, cache)
        joins = [in_background(lambda seam=seam: outcomes_of(seam, inner, 3)) for seam in ("sync", "async")]
        answers = [answer for join in joins for answer in join(10)]
        assert len(server.requests) == 1
    assert [answer.text for answer in answers] == ["Hello"] * 6


@both
@each_kind
def test_where_the_first_fails_the_next_one_tries(seam: str, kind: str, cache: Cache) -> None:
    script = sequence(slowly(error_answer(500)), slowly(chat("Hello")))
    with LoopbackServer(script) as server:
        got = outcomes_of(seam, through(server, cache, kind), 5)
        assert len(server.requests) == 2
    assert sum(isinstance(outcome, ServerError) for outcome in got) == 1
    assert sum(isinstance(outcome, GenerateResponse) and outcome.text == "Hello" for outcome in got) == 4


@both
def test_an_answer_that_is_not_for_others_lets_them_all_go_at_once(seam: str, cache: Cache) -> None:
    with LoopbackServer(slowly(json_chat("Hel", finish="length"), 0.3)) as server:
        begun = time.monotonic()
        got = outcomes_of(seam, through(server, cache), 6)
        seconds = time.monotonic() - begun
        assert len(server.requests) == 6
    assert all(isinstance(outcome, GenerateResponse) and not outcome.cached for outcome in got)
    assert seconds < 1.5, "they went one after another"


@both
def test_who_waits_obeys_its_own_abort_and_its_own_deadline(seam: str, cache: Cache) -> None:
    release = threading.Event()

    def script(exchange: Any) -> None:
        release.wait(10)
        chat("Hello")(exchange)

    with LoopbackServer(script) as server:
        inner = through(server, cache)
        leader = in_background(lambda: outcomes_of(seam, inner, 1))
        _until(lambda: len(server.requests) == 1)
        cancel = Cancel()
        aborted = in_background(lambda: _outcome(seam, inner, cancel=cancel))
        late = in_background(lambda: _outcome(seam, inner, timeout=Timeout(total=0.1)))
        assert isinstance(late(), CallTimeoutError)
        cancel.set()
        assert isinstance(aborted(), Cancelled)
        release.set()
        [answer] = leader(10)
        assert isinstance(answer, GenerateResponse) and answer.text == "Hello"
        assert len(server.requests) == 1


@both
def test_where_the_first_is_aborted_the_next_one_tries(seam: str, cache: Cache) -> None:
    first = threading.Event()

    def script(exchange: Any) -> None:
        if exchange.number == 0:
            first.set()
            exchange.stall()
        else:
            chat("Hello")(exchange)

    with LoopbackServer(script) as server:
        inner, cancel = through(server, cache), Cancel()
        leader = in_background(lambda: _outcome(seam, inner, cancel=cancel))
        assert first.wait(5)
        waiting = in_background(lambda: _outcome(seam, inner))
        _until(lambda: any(flight._signals for flight in cache.flights._flying.values()))
        cancel.set()
        assert isinstance(leader(), Cancelled)
        answer = waiting()
        assert isinstance(answer, GenerateResponse) and answer.text == "Hello" and not answer.cached


def _outcome(seam: str, inner: Call, **limits: Any) -> GenerateResponse[Any] | PolyvoxError:
    async def asked() -> GenerateResponse[Any]:
        io = AsyncIO()
        try:
            context = Context(io, **limits)
            return answer_of(context, await run_async(inner, context))
        finally:
            await io.close()

    try:
        return asyncio.run(asked()) if seam == "async" else run_sync(inner, Context(BlockingIO(), **limits))
    except PolyvoxError as error:
        return error


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


@pytest.mark.parametrize("who", ["leader", "waiter"])
def test_a_cancelled_task_leaves_nothing_behind(who: str, cache: Cache) -> None:
    async def scenario(server: LoopbackServer) -> None:
        io, inner = AsyncIO(), through(server, cache)
        contexts = [Context(io), Context(io)]
        leader = asyncio.create_task(run_async(inner, contexts[0]))
        while not server.requests:
            await asyncio.sleep(0.005)
        waiter = asyncio.create_task(run_async(inner, contexts[1]))
        await asyncio.sleep(0.05)
        (leader if who == "leader" else waiter).cancel()
        results = await asyncio.gather(leader, waiter, return_exceptions=True)
        gone, stayed = results if who == "leader" else reversed(results)
        assert isinstance(gone, asyncio.CancelledError) and isinstance(stayed, list)
        await io.close()
        assert len(asyncio.all_tasks()) == 1

    with LoopbackServer(slowly(chat("Hello"), 0.3)) as server:
        asyncio.run(scenario(server))
        assert len(server.requests) == (2 if who == "leader" else 1)


def test_a_call_inside_the_reading_of_an_equal_stream_does_not_wait_for_itself(cache: Cache) -> None:
    with LoopbackServer(sse_chat(["Hel", "lo"], delay=0.05)) as server:
        inner, io = through(server, cache, "stream"), BlockingIO()
        with closing(iterate(inner(Context(io), REQUEST))) as reading:
            next(reading)
            begun = time.monotonic()
            nested = run_sync(inner, Context(io))
            assert time.monotonic() - begun < flights.PATIENCE + 2
            rest = list(reading)
        assert nested.text == "Hello" and not nested.cached and rest
        assert len(server.requests) == 2


def test_a_task_inside_the_reading_of_an_equal_stream_does_not_wait_for_itself(cache: Cache) -> None:
    async def scenario(server: LoopbackServer) -> None:
        io = AsyncIO()
        inner = through(server, cache, "stream")
        async with aclosing(inner(Context(io), REQUEST)) as reading:
            await anext(reading)
            context = Context(io)
            nested = answer_of(context, await run_async(inner, context))
            assert nested.text == "Hello" and not nested.cached
        await io.close()

    with LoopbackServer(sse_chat(["Hel", "lo"], delay=0.05)) as server:
        asyncio.run(asyncio.wait_for(scenario(server), 10))
        assert len(server.requests) == 2


def test_a_stream_that_its_reader_still_reads_is_waited_for(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flights, "PATIENCE", 0.1)
    with LoopbackServer(sse_chat(["H", "e", "l", "l", "o"], delay=0.06)) as server:
        answers = outcomes_of("async", through(server, cache, "stream"), 3)
        assert len(server.requests) == 1
    assert [answer.text for answer in answers if isinstance(answer, GenerateResponse)] == ["Hello"] * 3


def test_who_waits_for_a_stream_that_stalls_still_obeys_its_deadline(cache: Cache) -> None:
    from tests.loopback import chat_chunk

    with LoopbackServer(stall_after(chat_chunk({"role": "assistant", "content": "Hel"}))) as server:
        inner, cancel = through(server, cache, "stream"), Cancel()
        leader = in_background(lambda: _outcome("sync", inner, cancel=cancel))
        _until(lambda: any(flight._begun for flight in cache.flights._flying.values()))
        begun = time.monotonic()
        late = _outcome("sync", inner, timeout=Timeout(total=0.7))
        assert isinstance(late, CallTimeoutError) and late.phase == "total"
        assert 0.6 < time.monotonic() - begun < 2
        cancel.set()
        assert isinstance(leader(), Cancelled)
        assert len(server.requests) == 1


@both
def test_a_burst_of_questions_already_answered_sends_nothing(seam: str, cache: Cache) -> None:
    with LoopbackServer(chat("Hello")) as server:
        inner = through(server, cache)
        outcomes_of(seam, inner, 1)
        answers = outcomes_of(seam, inner, 20)
        assert len(server.requests) == 1
    assert all(isinstance(answer, GenerateResponse) and answer.cached for answer in answers)
