"""Circuit breakers: what opens one, who is refused, and how it closes again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from polyvox.calls.breaker import Breaker, CircuitBreaker, guarded
from polyvox.calls.facts import CircuitFact
from polyvox.calls.retry import Retry, retry
from polyvox.errors import (
    AuthenticationError,
    BadRequestError,
    CallTimeoutError,
    Cancelled,
    ConfigError,
    ConnectError,
    InterruptedCallError,
    LimitError,
    OverloadedError,
    PolyvoxError,
    RateLimitError,
    ServerError,
)
from polyvox.io.aio import AsyncIO
from polyvox.io.base import Cancel, Context, drive
from polyvox.io.scripted import ScriptedIO
from polyvox.types.models import Timeout
from tests.calls.policies import ANSWER, HELLO, REQUEST, START, Double, Seam, end, read, wire_call
from tests.loopback import LoopbackServer, chat, error, sequence


def ask(breaker: CircuitBreaker, io: ScriptedIO, *steps: Any, **facts: Any) -> Double:
    """Make one call that comes out as the steps say, and return it."""
    inner = Double(*(steps or ANSWER))
    drive(read(guarded(inner, breaker, provider="lab", model="m"), Context(io, **facts)))
    return inner


def fail(breaker: CircuitBreaker, io: ScriptedIO, times: int = 1, make: Callable[[], Any] | None = None) -> None:
    for _ in range(times):
        raised = make() if make else ServerError("oops")
        with pytest.raises(type(raised)):
            ask(breaker, io, raised)


def opened(io: ScriptedIO) -> CircuitBreaker:
    breaker = CircuitBreaker(name="lab's endpoint")
    fail(breaker, io, 5)
    assert breaker.state(io.now()) == "open"
    return breaker


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConnectError("refused"),
        lambda: CallTimeoutError("silent", phase="first_event"),
        lambda: InterruptedCallError("cut"),
        lambda: ServerError("500"),
        lambda: OverloadedError("503"),
    ],
)
def test_five_failures_within_a_minute_open_the_circuit(make: Callable[[], PolyvoxError]) -> None:
    io, breaker = ScriptedIO(), CircuitBreaker()
    for number in range(5):
        assert breaker.state(io.now()) == "closed", number
        fail(breaker, io, make=make)
        io.clock.advance(14.9)
    assert breaker.state(io.now()) == "open"


def test_failures_further_apart_open_nothing() -> None:
    io, breaker = ScriptedIO(), CircuitBreaker()
    for _ in range(20):
        fail(breaker, io)
        io.clock.advance(15.1)
    assert breaker.state(io.now()) == "closed"


@pytest.mark.parametrize(
    "make",
    [
        lambda: BadRequestError("the caller's"),
        lambda: AuthenticationError("the caller's"),
        lambda: RateLimitError("the caller's"),
        lambda: LimitError("the caller's"),
        lambda: ConfigError("the caller's"),
        lambda: Cancelled("the caller's"),
    ],
)
def test_the_callers_own_faults_open_nothing(make: Callable[[], PolyvoxError]) -> None:
    io, breaker = ScriptedIO(), CircuitBreaker()
    fail(breaker, io, 50, make)
    assert breaker.state(io.now()) == "closed"


def test_an_impatient_caller_opens_nothing_but_a_silent_endpoint_does() -> None:
    """The deadline counts where this endpoint used it up, not where earlier attempts had."""
    io, breaker = ScriptedIO(), CircuitBreaker()

    def late(before: float) -> None:
        context = Context(io, Timeout(total=10))
        io.clock.advance(before)
        with pytest.raises(CallTimeoutError):
            drive(read(guarded(Double(60, *ANSWER), breaker), context))

    for _ in range(10):
        late(before=9)
    assert breaker.state(io.now()) == "closed"
    for _ in range(5):
        late(before=1)
    assert breaker.state(io.now()) == "open"


def test_a_few_failures_among_many_good_answers_open_nothing() -> None:
    io, breaker = ScriptedIO(), CircuitBreaker()
    for _ in range(200):
        fail(breaker, io)
        ask(breaker, io)
        ask(breaker, io)
        io.clock.advance(0.1)
    assert breaker.state(io.now()) == "closed"
    always = CircuitBreaker(Breaker(share=0))
    for _ in range(5):
        ask(always, io)
        fail(always, io)
    assert always.state(io.now()) == "open"


def test_while_it_is_open_calls_are_refused_at_once_and_nothing_is_sent() -> None:
    io = ScriptedIO()
    breaker = opened(io)
    io.clock.advance(12)
    inner = Double(*ANSWER)
    with pytest.raises(LimitError) as caught:
        drive(read(guarded(inner, breaker, provider="lab", model="m"), Context(io)))
    refused = caught.value
    assert inner.started == 0
    assert (refused.code, refused.provider, refused.model) == ("circuit_open", "lab", "m")
    assert (refused.retryable, refused.retry_after) == (False, 18.0)
    assert "lab's endpoint is left alone for another 18 s: 5 calls failed within 60 s" in refused.message
    assert "lab's endpoint" in repr(breaker)


def test_a_retry_does_not_go_on_against_an_open_circuit() -> None:
    io, breaker = ScriptedIO(), CircuitBreaker(Breaker(failures=2))
    inner = Double(ServerError("oops"))
    with pytest.raises(LimitError):
        drive(read(retry(guarded(inner, breaker), Retry(max_attempts=9, jitter=0)), Context(io)))
    assert inner.started == 2


def test_after_the_cooldown_one_good_call_closes_it() -> None:
    io = ScriptedIO()
    breaker = opened(io)
    io.clock.advance(30)
    assert breaker.state(io.now()) == "half_open"
    ask(breaker, io)
    assert breaker.state(io.now()) == "closed"
    fail(breaker, io, 4)  # what was counted before is forgotten
    assert breaker.state(io.now()) == "closed"


def test_a_probe_that_fails_opens_it_for_another_cooldown() -> None:
    io = ScriptedIO()
    breaker = opened(io)
    io.clock.advance(30)
    fail(breaker, io)
    assert breaker.state(io.now()) == "open"
    with pytest.raises(LimitError) as caught:
        ask(breaker, io)
    assert caught.value.retry_after == 30


def test_a_probe_that_is_refused_for_the_callers_fault_closes_it() -> None:
    """A 400 comes from a server that is well."""
    io = ScriptedIO()
    breaker = opened(io)
    io.clock.advance(30)
    fail(breaker, io, make=lambda: BadRequestError("bad"))
    assert breaker.state(io.now()) == "closed"


def test_while_the_probe_is_under_way_the_others_are_refused() -> None:
    io = ScriptedIO()
    breaker = opened(io)
    io.clock.advance(31)

    def meanwhile(context: Context) -> None:
        for _ in range(3):
            with pytest.raises(LimitError) as caught:
                ask(breaker, io)
            assert caught.value.code == "circuit_open" and caught.value.retry_after == 1

    assert ask(breaker, io, START, meanwhile, HELLO, end()).started == 1
    assert breaker.state(io.now()) == "closed"


@pytest.mark.parametrize("way", ["abort", "leave", "own limit"])
def test_a_probe_that_finds_out_nothing_leaves_its_turn_to_the_next(way: str) -> None:
    io = ScriptedIO()
    breaker = opened(io)
    io.clock.advance(30)

    async def leave() -> None:
        async with aclosing(guarded(Double(*ANSWER), breaker)(Context(io), REQUEST)) as lists:
            async for _ in lists:
                break  # after the start-up events

    if way == "abort":
        cancel = Cancel()
        cancel.set()
        with pytest.raises(Cancelled):
            ask(breaker, io, cancel=cancel)
    elif way == "leave":
        drive(leave())
    else:
        fail(breaker, io, make=lambda: LimitError("too many tokens"))
    assert breaker.state(io.now()) == "half_open"
    ask(breaker, io)
    assert breaker.state(io.now()) == "closed"


def test_a_stream_that_breaks_off_later_counts_as_a_failure() -> None:
    io, breaker = ScriptedIO(), CircuitBreaker(Breaker(share=1))
    for _ in range(5):
        with pytest.raises(InterruptedCallError):
            ask(breaker, io, START, HELLO, InterruptedCallError("cut"))
    assert breaker.state(io.now()) == "open"


def test_the_first_content_of_the_probe_closes_it_before_the_end() -> None:
    io = ScriptedIO()
    breaker = opened(io)
    io.clock.advance(30)
    states = []

    def look(context: Context) -> None:
        states.append(breaker.state(io.now()))

    ask(breaker, io, START, look, HELLO, look, end())
    assert states == ["half_open", "closed"]


def test_what_was_sent_before_it_opened_neither_closes_nor_prolongs_it() -> None:
    io, breaker = ScriptedIO(), CircuitBreaker()
    early = [breaker.admit(io.now()) for _ in range(2)]
    fail(breaker, io, 5)
    io.clock.advance(10)
    breaker.report(early[0], "good", io.now())  # type: ignore[arg-type]
    breaker.report(early[1], "ill", io.now())  # type: ignore[arg-type]
    assert breaker.state(io.now()) == "open"
    io.clock.advance(20)
    assert breaker.state(io.now()) == "half_open"


def test_it_can_be_closed_by_hand() -> None:
    io = ScriptedIO()
    breaker = opened(io)
    breaker.reset()
    ask(breaker, io)
    assert breaker.state(io.now()) == "closed"


def test_the_hooks_hear_when_it_opens_and_closes() -> None:
    told: list[Any] = []

    async def notify(kind: str, fact: Any) -> None:
        told.append((kind, fact))

    io, breaker = ScriptedIO(), CircuitBreaker(Breaker(failures=2), name="lab")
    last = ServerError("the last")
    for raised in (ServerError("one"), last):
        with pytest.raises(ServerError):
            ask(breaker, io, raised, notify=notify)
    io.clock.advance(30)
    ask(breaker, io, notify=notify)
    assert told == [
        ("circuit", CircuitFact("open", "lab", last)),
        ("circuit", CircuitFact("closed", "lab", None)),
    ]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_over_the_wire_so_many_requests_are_sent_and_no_more(kind: str) -> None:
    seam, breaker = Seam(kind), CircuitBreaker(Breaker(failures=3, cooldown=0.2))
    broken = [error(503, {"message": "no room"})] * 3
    with LoopbackServer(sequence(*broken, chat("Hello"))) as server:
        inner = guarded(wire_call(server.url), breaker)

        async def main() -> None:
            for _ in range(3):
                with pytest.raises(OverloadedError):
                    await read(inner, seam.context())
            for _ in range(5):
                with pytest.raises(LimitError):
                    await read(inner, seam.context())
            assert len(server.requests) == 3
            await seam.io.sleep(0.25)
            assert (await read(inner, seam.context())).text == "Hello"

        seam.run(main)
        assert len(server.requests) == 4


def test_of_many_tasks_at_once_exactly_one_is_the_probe() -> None:
    breaker, inner = CircuitBreaker(Breaker(failures=1, cooldown=0.01)), Double(START, 0.02, HELLO, end())

    async def main() -> list[Any]:
        io = AsyncIO()
        with pytest.raises(ServerError):
            await read(guarded(Double(ServerError("oops")), breaker), Context(io))
        await asyncio.sleep(0.02)
        calls = [read(guarded(inner, breaker), Context(io)) for _ in range(30)]
        return await asyncio.gather(*calls, return_exceptions=True)

    outcomes = asyncio.run(main())
    assert inner.started == 1
    assert sum(isinstance(one, LimitError) for one in outcomes) == 29


def test_threads_may_share_it() -> None:
    breaker = CircuitBreaker(Breaker(failures=100_000))

    def work() -> None:
        for _ in range(500):
            admission = breaker.admit(0.0)
            breaker.report(admission, "ill", 0.0)  # type: ignore[arg-type]

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "4000 failures" in repr(breaker)


@pytest.mark.parametrize(
    "settings", [{"failures": 0}, {"window": 0}, {"cooldown": -1}, {"share": 1.5}, {"failures": True}]
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"Breaker\({next(iter(settings))}="):
        Breaker(**settings)
