"""A budget in money: no call is sent that could break it, and what calls cost is counted to the last cent."""

from __future__ import annotations

import asyncio
import calendar
import threading
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from polyvox.calls.budget import Budget, budgeted
from polyvox.calls.cache import Cache, MemoryStore, cached, scope_of
from polyvox.calls.estimate import PriceBound, bound_of
from polyvox.calls.fallback import Fallback, fallback
from polyvox.calls.generate import Call, Events, call
from polyvox.calls.retry import Retry, retry
from polyvox.errors import (
    CallTimeoutError,
    Cancelled,
    ConfigError,
    ConnectError,
    InterruptedCallError,
    LimitError,
    OverloadedError,
    PolyvoxError,
)
from polyvox.io.aio import AsyncIO
from polyvox.io.base import Context, iterate
from polyvox.io.scripted import Answer, Clock, Pause, ScriptedIO
from polyvox.types.generate import GenerateRequest
from polyvox.types.models import ModelConfig, Price, Timeout
from tests.calls.runs import REQUEST, AsyncRunner, SyncRunner, lab_target, run_async, run_sync
from tests.calls.wires import END, ERROR_FRAME, FIRST, SECOND, failed, streamed, whole
from tests.loopback import LoopbackServer, chat, chat_chunk, chat_usage

# An answer of `whole()` has 3 tokens in and 2 out: 3 × 1 + 2 × 2 = 7 dollars.
ROW = ModelConfig(id="m", provider="lab", price=Price(input=1e6, output=2e6), output_tokens=10)
TARGET = lab_target(row=ROW)
COST = 7.0
BOUND = PriceBound(30.0, 10.0)

each_runner = pytest.mark.parametrize("run", [SyncRunner(), AsyncRunner()], ids=["sync", "async"])
TOTALS = chat_chunk(None, usage=chat_usage()) + b"data: [DONE]\n\n"
# Anthropic's way: usage comes with the first event.
EARLY = chat_chunk({"role": "assistant", "content": "Hel"}, usage=chat_usage(3, 1))


def _always(bound: PriceBound | None = BOUND) -> Callable[[GenerateRequest], PriceBound | None]:
    return lambda request: bound


def _whole(budget: Budget, bound: PriceBound | None = BOUND) -> Call:
    return budgeted(call(TARGET, stream=False), budget, _always(bound))


def _stream(budget: Budget, bound: PriceBound | None = BOUND) -> Call:
    return budgeted(call(TARGET, stream=True), budget, _always(bound))


@each_runner
def test_a_call_costs_what_its_answer_says(run: Any) -> None:
    budget, io = Budget(100), ScriptedIO([whole(), whole()])
    for spent in (7, 14):
        response = run(_whole(budget), Context(io))
        assert response.cost is not None and response.cost.amount == COST
        assert (budget.spent, budget.reserved, budget.remaining) == (spent, 0, 100 - spent)


@each_runner
def test_a_stream_costs_what_its_answer_says(run: Any) -> None:
    budget, io = Budget(100), ScriptedIO([streamed(FIRST, SECOND, chat_chunk({}, finish="stop"), TOTALS)])
    run(_stream(budget), Context(io))
    assert (budget.spent, budget.reserved) == (COST, 0)


@each_runner
def test_a_call_that_could_break_the_budget_is_not_sent(run: Any) -> None:
    budget, io = Budget(35), ScriptedIO([whole(), whole()])
    run(_whole(budget), Context(io))
    with pytest.raises(LimitError) as caught:
        run(_whole(budget), Context(io))
    assert len(io.requests) == 1
    for word in ("budget of $35 ", "$7 is spent", "$0 is reserved", "may cost $30", "limit_usd", "reset()"):
        assert word in str(caught.value)
    assert not caught.value.retryable and caught.value.retry_after is None
    assert (budget.spent, budget.reserved) == (7, 0)

    budget.reset()
    run(_whole(budget), Context(io))
    assert budget.spent == 7


def test_a_budget_may_be_spent_to_the_last_cent() -> None:
    budget = Budget(30)
    budget.reserve(30.0).settle(30.0)
    assert budget.remaining == 0
    with pytest.raises(LimitError):
        budget.reserve(1e-9)


def test_a_call_that_costs_nothing_is_let_through_by_an_empty_budget() -> None:
    budget, io = Budget(0), ScriptedIO([whole()])
    assert SyncRunner()(_whole(budget, PriceBound(0.0, 0.0)), Context(io)).text == "Hello"


def test_calls_under_way_hold_their_money_until_they_end() -> None:
    budget, io = Budget(50), ScriptedIO([streamed(FIRST, SECOND, chat_chunk({}, finish="stop"), TOTALS)])
    reading = iterate(_stream(budget)(Context(io), REQUEST))
    next(reading)
    assert (budget.reserved, budget.remaining) == (30, 20)
    with pytest.raises(LimitError, match=r"\$30 is reserved by calls under way"):
        run_sync(_whole(budget), Context(io))
    list(reading)
    assert (budget.spent, budget.reserved, budget.remaining) == (7, 0, 43)


def test_a_stream_that_is_never_read_holds_no_money() -> None:
    budget = Budget(50)
    made = _stream(budget)(Context(ScriptedIO()), REQUEST)
    assert budget.reserved == 0
    iterate(made).close()


def test_a_reader_that_stops_at_the_end_event_has_paid() -> None:
    budget, io = Budget(50), ScriptedIO([streamed(FIRST, chat_chunk({}, finish="stop"), TOTALS)])
    reading = iterate(_stream(budget)(Context(io), REQUEST))
    for events in reading:
        if type(events[-1]).__name__ == "StreamEnd":
            break
    assert (budget.spent, budget.reserved) == (7, 0)
    reading.close()
    assert (budget.spent, budget.reserved) == (7, 0)


# --- answers that fail --------------------------------------------------------------------------------------------


@each_runner
@pytest.mark.parametrize(
    ("script", "error", "spent"),
    [
        (failed(500), PolyvoxError, 0),
        (failed(429), PolyvoxError, 0),
        (failed(401), PolyvoxError, 0),
        (ConnectError("refused"), ConnectError, 0),
        (Answer(connect=[Pause(11)]), CallTimeoutError, 0),
        (Answer(head=[Pause(700)]), CallTimeoutError, 10),
        (streamed(FIRST), InterruptedCallError, 10),
        (streamed(FIRST, ERROR_FRAME), OverloadedError, 10),
        (streamed(EARLY), InterruptedCallError, 5),
        (streamed(EARLY, ERROR_FRAME), OverloadedError, 5),
    ],
    ids=["500", "429", "401", "refused", "connect", "silent", "cut", "overloaded", "cut-usage", "overloaded-usage"],
)
def test_a_failed_call_costs_what_the_provider_may_ask_for(
    run: Any, script: Any, error: type[PolyvoxError], spent: float
) -> None:
    budget = Budget(100)
    with pytest.raises(error):
        run(_stream(budget), Context(ScriptedIO([script])))
    assert (budget.spent, budget.reserved) == (spent, 0)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(("first", "spent"), [(FIRST, 10), (EARLY, 5)], ids=["unsaid", "said"])
def test_a_stream_that_is_left_costs_its_usage_so_far_or_its_input(
    asynchronous: bool, first: bytes, spent: float
) -> None:
    budget, io = Budget(100), ScriptedIO([streamed(first, SECOND, END)])
    if asynchronous:

        async def leave() -> None:
            async with aclosing(_stream(budget)(Context(io), REQUEST)) as lists:
                async for _ in lists:
                    break

        asyncio.run(leave())
    else:
        reading = iterate(_stream(budget)(Context(io), REQUEST))
        next(reading)
        reading.close()
    assert (budget.spent, budget.reserved, io.open_count) == (spent, 0, 0)


@each_runner
def test_an_aborted_call_gives_its_reservation_back(run: Any) -> None:
    budget = Budget(100)
    context = Context(ScriptedIO([streamed(FIRST, lambda: context.cancel.set(), SECOND)]))
    with pytest.raises(Cancelled):
        run(_stream(budget), context)
    assert (budget.spent, budget.reserved) == (10, 0)


@each_runner
def test_a_call_refused_before_it_was_sent_costs_nothing(run: Any) -> None:
    budget = Budget(100)

    async def refuse(context: Context, request: GenerateRequest) -> Events:
        raise ConfigError("no")
        yield []

    with pytest.raises(ConfigError):
        run(budgeted(refuse, budget, _always()), Context(ScriptedIO()))
    assert (budget.spent, budget.reserved) == (0, 0)


@each_runner
def test_requests_beside_the_one_that_answered_are_paid_where_they_may_have_been_worked_on(run: Any) -> None:
    scripts = [failed(503), ConnectError("refused"), streamed(), whole()]
    io, budget = ScriptedIO([*scripts[:2], Answer(200, {}, [b'{"id": "c", '], head=[]), scripts[3]]), Budget(100)
    policy = Retry(max_attempts=9, jitter=0, attempts={PolyvoxError: 9})
    run(budgeted(retry(call(TARGET, stream=False), policy), budget, _always()), Context(io))
    # Refused twice, then a broken answer (its input), then the answer.
    assert len(io.requests) == 4 and budget.spent == 10 + 7


def test_a_fallbacks_answer_costs_its_own_price() -> None:
    cheap = structs.replace(TARGET, model="cheap", row=structs.replace(ROW, price=Price(input=1e5, output=2e5)))
    routes = [("lab/m", call(TARGET, stream=False)), ("lab/cheap", call(cheap, stream=False))]
    budget, io = Budget(100), ScriptedIO([failed(500), whole()])
    SyncRunner()(budgeted(fallback(routes, Fallback(("lab/cheap",))), budget, _always()), Context(io))
    assert budget.spent == pytest.approx(0.7, abs=1e-12)


def test_a_cached_answer_costs_nothing() -> None:
    budget, io = Budget(30), ScriptedIO([whole()])
    through = cached(_whole(budget), Cache(MemoryStore()), scope_of(TARGET))
    for _ in range(5):
        SyncRunner()(through, Context(io))
    assert budget.spent == 7


# --- what nobody knows --------------------------------------------------------------------------------------------


def test_an_answer_without_usage_costs_its_bound() -> None:
    budget, io = Budget(100), ScriptedIO([streamed()])
    assert SyncRunner()(_stream(budget), Context(io)).cost is None
    assert budget.spent == 30


def test_a_call_of_unknown_price_is_sent_while_there_is_money() -> None:
    budget, io = Budget(10), ScriptedIO([whole(), whole(), whole()])
    for spent in (7, 14):
        SyncRunner()(_whole(budget, None), Context(io))
        assert budget.spent == spent
    with pytest.raises(LimitError, match="what this call costs is not known"):
        SyncRunner()(_whole(budget, None), Context(io))
    assert len(io.requests) == 2 and budget.remaining == 0


def test_a_call_of_unknown_price_is_refused_where_that_is_asked_for() -> None:
    budget, io = Budget(10, on_unknown="refuse"), ScriptedIO([whole()])
    with pytest.raises(LimitError, match="price is not known"):
        SyncRunner()(_whole(budget, None), Context(io))
    assert len(io.requests) == 0
    SyncRunner()(_whole(budget, PriceBound(1.0, 1.0)), Context(io))


def test_an_unknown_price_that_stays_unknown_is_not_counted() -> None:
    bare = lab_target()
    budget = Budget(10)
    SyncRunner()(budgeted(call(bare, stream=False), budget, _always(None)), Context(ScriptedIO([whole()])))
    assert (budget.spent, budget.reserved) == (0, 0)


# --- periods ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("per", "start", "following"),
    [
        ("minute", (2026, 11, 21, 9, 30, 20), (2026, 11, 21, 9, 31, 0)),
        ("hour", (2026, 11, 21, 9, 30, 20), (2026, 11, 21, 10, 0, 0)),
        ("day", (2026, 11, 21, 9, 30, 20), (2026, 11, 22, 0, 0, 0)),
        ("month", (2026, 11, 21, 9, 30, 20), (2026, 12, 1, 0, 0, 0)),
        ("month", (2026, 12, 31, 23, 59, 59), (2027, 1, 1, 0, 0, 0)),
        ("month", (2028, 2, 29, 1, 0, 0), (2028, 3, 1, 0, 0, 0)),
    ],
)
def test_a_budget_begins_anew_with_each_period(per: Any, start: tuple[int, ...], following: tuple[int, ...]) -> None:
    clock = Clock(calendar.timegm(start))
    end = calendar.timegm(following)
    budget = Budget(10, per, clock=lambda: clock.now)
    budget.reserve(10).settle(8)
    with pytest.raises(LimitError, match=f"budget of \\$10 a {per} .* wait for the next {per}") as caught:
        budget.reserve(3)
    assert caught.value.retry_after == end - clock.now
    clock.move_to(end - 0.5)
    assert budget.spent == 8
    clock.move_to(end)
    assert (budget.spent, budget.remaining) == (0, 10)
    budget.reserve(10).settle(0)


def test_what_a_call_costs_counts_in_the_period_in_which_it_ends() -> None:
    clock = Clock(100.0)
    budget = Budget(10, "minute", clock=lambda: clock.now)
    reservation = budget.reserve(6)
    clock.advance(60)
    assert (budget.spent, budget.reserved) == (0, 6)
    reservation.settle(5)
    assert (budget.spent, budget.reserved) == (5, 0)


def test_a_clock_that_is_set_back_gives_no_money_back() -> None:
    clock = Clock(1000.0)
    budget = Budget(10, "minute", clock=lambda: clock.now)
    budget.reserve(8).settle(8)
    clock.now = 10.0
    assert budget.spent == 8


# --- the object ---------------------------------------------------------------------------------------------------


def test_only_the_first_settling_counts() -> None:
    budget = Budget(10)
    reservation = budget.reserve(6)
    reservation.settle(2)
    reservation.settle(5)
    assert (budget.spent, budget.reserved, reservation.amount) == (2, 0, 6)


@pytest.mark.parametrize("cost", [-5.0, float("nan"), float("inf"), float("-inf")])
def test_a_cost_that_is_none_is_not_counted(cost: float) -> None:
    budget = Budget(10)
    budget.reserve(6).settle(cost)
    assert (budget.spent, budget.reserved, budget.remaining) == (0, 0, 10)


@given(st.lists(st.tuples(st.floats(0, 1e-3), st.floats(0, 1e-3), st.booleans()), max_size=50))
def test_no_order_of_calls_makes_it_negative_or_inexact(calls: list[tuple[float, float, bool]]) -> None:
    budget, open_ones, spent = Budget(1), [], 0
    for bound, cost, ends in calls:
        open_ones.append((budget.reserve(bound), cost))
        if ends:
            reservation, cost = open_ones.pop(0)
            reservation.settle(cost)
            spent += round(cost * 10**12)
        assert budget.reserved >= 0
    for reservation, cost in open_ones:
        reservation.settle(cost)
        spent += round(cost * 10**12)
    assert (budget.reserved, budget.spent) == (0, spent / 10**12)


def test_many_threads_never_break_it_together() -> None:
    budget = Budget(10)
    let_in: list[int] = []

    def work() -> None:
        for _ in range(200):
            try:
                reservation = budget.reserve(0.1)
            except LimitError:
                continue
            assert budget.spent + budget.reserved <= 10.000000001
            reservation.settle(0.1)
            let_in.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(let_in) == 100 and budget.spent == 10 and budget.reserved == 0


def test_calls_at_once_are_let_in_as_far_as_the_money_goes() -> None:
    async def everyone(server: LoopbackServer, budget: Budget) -> list[Any]:
        io = AsyncIO()
        target = lab_target(server.url + "/v1", ROW)
        inner = budgeted(call(target, stream=False), budget, lambda request: bound_of(request, ROW))
        calls = (run_async(inner, Context(io)) for _ in range(20))
        try:
            return await asyncio.gather(*calls, return_exceptions=True)
        finally:
            await io.close()

    most = bound_of(REQUEST, ROW)
    assert most is not None
    with LoopbackServer(chat("Hello")) as server:
        budget = Budget(most.amount * 5.5)
        got = asyncio.run(everyone(server, budget))
        assert len(server.requests) == sum(isinstance(outcome, list) for outcome in got) == 5
    assert sum(isinstance(outcome, LimitError) for outcome in got) == 15
    assert (budget.spent, budget.reserved) == (35, 0)


def test_a_cancelled_task_gives_its_reservation_back() -> None:
    async def scenario() -> Budget:
        budget, io = Budget(100), AsyncIO()
        with LoopbackServer(lambda exchange: exchange.stall()) as server:
            target = lab_target(server.url + "/v1", ROW)
            inner = budgeted(call(target, stream=False), budget, _always())
            task = asyncio.create_task(run_async(inner, Context(io, Timeout(total=30))))
            while not server.requests:
                await asyncio.sleep(0.005)
            assert budget.reserved == 30
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await io.close()
        return budget

    budget = asyncio.run(scenario())
    assert (budget.spent, budget.reserved) == (10, 0)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"limit_usd": -1}, "limit_usd"),
        ({"limit_usd": "10"}, "limit_usd"),
        ({"limit_usd": True}, "limit_usd"),
        ({"limit_usd": float("inf")}, "limit_usd"),
        ({"limit_usd": 1, "per": "week"}, "per"),
        ({"limit_usd": 1, "on_unknown": "ask"}, "on_unknown"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        Budget(**settings)


def test_a_budget_shows_where_it_stands() -> None:
    budget = Budget(12.5, "day")
    budget.reserve(2).settle(1.25)
    budget.reserve(3)
    assert repr(budget) == "<Budget of $12.5 a day: 1.25 spent, 3 reserved>"
    assert budget.limit == 12.5
