"""`ScriptedIO`: answers as data, limits at their exact instant, in sync and in async alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import pytest

from polyvox.errors import CallTimeoutError, Cancelled, ConnectError, InterruptedCallError, PolyvoxError
from polyvox.io.base import IO, Context, HttpRequest, drive, iterate
from polyvox.io.scripted import Answer, Clock, Pause, ScriptedIO
from polyvox.types.models import Timeout

REQUEST = HttpRequest("POST", "https://provider.test/v1", {"A": "1"}, b"{}")

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=[drive, asyncio.run], ids=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Run:
    return request.param  # type: ignore[no-any-return]


async def stream(io: IO, context: Context) -> AsyncGenerator[bytes, None]:
    async with io.open(REQUEST, context) as response:
        while data := await response.read(context.until):
            context.limit("idle", context.timeout.idle)
            yield data


async def collect(io: IO, context: Context | None = None) -> list[bytes]:
    return [piece async for piece in stream(io, context or Context(io))]


def expect_timeout(run: Run, io: ScriptedIO, timeout: Timeout, phase: str, at: float) -> None:
    with pytest.raises(CallTimeoutError) as caught:
        run(collect(io, Context(io, timeout)))
    assert caught.value.phase == phase
    assert io.now() == at


def test_an_answer_is_read_piece_by_piece_and_what_happened_is_kept(run: Run) -> None:
    io = ScriptedIO([Answer(201, {"X-Id": "7"}, [b"a", b"", b"bc"])])

    async def main() -> None:
        async with io.open(REQUEST, Context(io)) as response:
            assert (response.status, response.headers) == (201, {"x-id": "7"})
            assert io.open_count == 1
            assert [await response.read(None) for _ in range(4)] == [b"a", b"bc", b"", b""]

    run(main())
    exchange = io.exchanges[0]
    assert io.requests == [REQUEST]
    assert (exchange.sent, exchange.complete, exchange.closed, io.open_count) == (3, True, 0.0, 0)


def test_time_moves_by_pauses_and_sleep_and_nothing_else(run: Run) -> None:
    io = ScriptedIO(
        [Answer(connect=[Pause(1)], head=[Pause(2)], body=[b"a", Pause(4), b"b", Pause(8)])], clock=Clock(100)
    )

    async def main() -> None:
        context = Context(io)
        assert await collect(io, context) == [b"a", b"b"]
        assert context.connected == 101
        assert io.now() == 115
        await io.sleep(5)
        await io.sleep(5, context)

    run(main())
    assert io.now() == 125


def test_each_limit_fires_at_its_exact_instant_with_its_phase(run: Run) -> None:
    limits = Timeout(connect=10, first_event=20, idle=30, total=None)
    expect_timeout(run, ScriptedIO([Answer(connect=[Pause(10.5)])]), limits, "connect", 10)
    expect_timeout(run, ScriptedIO([Answer(connect=[Pause(9)], head=[Pause(21)])]), limits, "first_event", 29)
    expect_timeout(run, ScriptedIO([Answer(head=[Pause(15)], body=[Pause(6), b"a"])]), limits, "first_event", 20)
    expect_timeout(run, ScriptedIO([Answer(body=[Pause(20), b"a", Pause(31), b"b"])]), limits, "idle", 50)


@pytest.mark.parametrize(
    "answer",
    [Answer(connect=[Pause(50)]), Answer(head=[Pause(50)]), Answer(body=[b"a", Pause(3), b"b", Pause(50)])],
    ids=["connecting", "before the head", "between pieces"],
)
def test_the_deadline_of_the_whole_call_holds_everywhere(run: Run, answer: Answer) -> None:
    expect_timeout(run, ScriptedIO([answer]), Timeout(connect=10, first_event=10, idle=10, total=5), "total", 5)


def test_a_silence_that_ends_with_the_limit_is_in_time(run: Run) -> None:
    io = ScriptedIO([Answer(body=[Pause(20), b"a"])])
    assert run(collect(io, Context(io, Timeout(first_event=20)))) == [b"a"]


def test_a_silence_goes_on_after_a_limit_that_was_shorter(run: Run) -> None:
    io = ScriptedIO([Answer(body=[Pause(10), b"a"])])

    async def main() -> None:
        async with io.open(REQUEST, Context(io)) as response:
            with pytest.raises(CallTimeoutError):
                await response.read(4)
            with pytest.raises(CallTimeoutError):
                await response.read(4)
            assert io.now() == 4
            assert await response.read(None) == b"a"
            assert io.now() == 10

    run(main())


def test_errors_are_raised_where_the_script_says(run: Run) -> None:
    broken = InterruptedCallError("cut")
    io = ScriptedIO([ConnectError("refused"), Answer(head=[broken]), Answer(body=[b"a", broken])])
    context = Context(io)
    with pytest.raises(ConnectError, match="refused"):
        run(collect(io, context))
    with pytest.raises(InterruptedCallError):
        run(collect(io, context))

    async def main() -> None:
        async with io.open(REQUEST, context) as response:
            assert await response.read(None) == b"a"
            with pytest.raises(InterruptedCallError):
                await response.read(None)

    run(main())
    assert [exchange.opened is not None for exchange in io.exchanges] == [False, False, True]
    assert io.exchanges[2].closed is not None


@pytest.mark.parametrize("place", ["connect", "head", "body"])
def test_an_abort_at_any_place_is_cancelled_and_never_a_clean_end(run: Run, place: str) -> None:
    io = ScriptedIO([])
    context = Context(io)
    io = ScriptedIO([Answer(**{"body": [b"b"], place: [context.cancel.set]})])
    with pytest.raises(Cancelled):
        run(collect(io, context))
    assert io.open_count == 0


def test_an_abort_before_the_call_takes_no_answer(run: Run) -> None:
    io = ScriptedIO([Answer()])
    context = Context(io)
    context.cancel.set()
    with pytest.raises(Cancelled):
        run(collect(io, context))
    with pytest.raises(Cancelled):
        run(io.sleep(1, context))
    assert io.exchanges == []
    assert io.now() == 0


def test_sleep_stops_at_the_deadline(run: Run) -> None:
    io = ScriptedIO()
    context = Context(io, Timeout(total=7))
    run(io.sleep(7, context))
    with pytest.raises(CallTimeoutError) as caught:
        run(io.sleep(1, context))
    assert caught.value.phase == "total"
    assert io.now() == 7


def test_answers_may_be_chosen_by_the_request(run: Run) -> None:
    io = ScriptedIO(lambda request: Answer(body=[request.body]))
    assert run(collect(io)) == [b"{}"]
    assert run(collect(io)) == [b"{}"]
    io = ScriptedIO([lambda request: ConnectError(request.method)])
    with pytest.raises(ConnectError, match="POST"):
        run(collect(io))


def test_a_script_that_is_over_says_so(run: Run) -> None:
    io = ScriptedIO([Answer()])
    assert run(collect(io)) == []
    with pytest.raises(PolyvoxError, match="no answer left for request 2"):
        run(collect(io))


def test_leaving_early_closes_and_a_closed_answer_is_not_read(run: Run) -> None:
    io = ScriptedIO([Answer(body=[b"a", b"b"])])

    async def main() -> Any:
        async with io.open(REQUEST, Context(io)) as response:
            await response.read(None)
        with pytest.raises(InterruptedCallError, match="closed"):
            await response.read(None)

    run(main())
    assert (io.exchanges[0].complete, io.exchanges[0].closed) == (False, 0.0)


def test_dropping_a_sync_stream_closes_its_answer_at_once() -> None:
    io = ScriptedIO([Answer(body=[b"a", b"b"])])
    pieces = iterate(stream(io, Context(io)))
    assert next(pieces) == b"a"
    assert io.open_count == 1
    del pieces
    assert io.open_count == 0


def test_gather_run_and_close(run: Run) -> None:
    io = ScriptedIO()

    async def one() -> int:
        return 1

    async def main() -> None:
        assert await io.gather([one, one], limit=1) == [1, 1]
        assert await io.run(max, 1, 2) == 2
        await io.close()

    run(main())
    assert io.closed


def test_two_of_them_may_share_a_clock(run: Run) -> None:
    clock = Clock()
    run(ScriptedIO(clock=clock).sleep(3))
    assert ScriptedIO(clock=clock).now() == 3
