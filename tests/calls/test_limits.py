"""Limits of the caller's own: who waits, for how long, in which order, and what is refused at once."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from contextlib import aclosing
from typing import Any

import pytest

from polyvox.calls.facts import LimitFact
from polyvox.calls.generate import call
from polyvox.calls.limits import Limiter, RateLimit, estimate_tokens, limited
from polyvox.errors import (
    BadRequestError,
    CallTimeoutError,
    Cancelled,
    ConfigError,
    ConnectError,
    InterruptedCallError,
    LimitError,
    RateLimitError,
    UnsupportedError,
)
from polyvox.io.aio import AsyncIO
from polyvox.io.base import Cancel, Context, drive
from polyvox.io.blocking import BlockingIO
from polyvox.io.scripted import Answer, ScriptedIO
from polyvox.types.events import UsageUpdate
from polyvox.types.generate import GenerateRequest
from polyvox.types.messages import Message, user
from polyvox.types.models import Timeout
from polyvox.types.parts import TextPart, ToolCall, ToolResult
from polyvox.types.usage import RateLimits, Usage
from tests.calls.policies import ANSWER, HELLO, REQUEST, START, Double, Seam, end, read, target
from tests.calls.wires import failed, streamed, whole


@pytest.fixture(params=["sync", "async"])
def seam(request: pytest.FixtureRequest) -> Seam:
    return Seam(request.param)


def limiter_of(**limits: Any) -> Limiter:
    return Limiter(RateLimit(**limits))


def spend(limiter: Limiter, io: ScriptedIO, tokens: int = 10, inner: Any = None, **facts: Any) -> Context:
    """Make one call under a limiter, and return its context."""
    context = Context(io, **facts)
    drive(read(limited(inner or Double(*ANSWER), limiter, lambda _: tokens), context))
    return context


def used(tokens: int) -> list[Any]:
    return [*START, *HELLO, *end(Usage(input_tokens=tokens, output_tokens=0))]


# --- requests and tokens a minute, on a clock that stands still ---------------------------------------------------


def test_a_minutes_worth_goes_at_once_and_then_one_after_another() -> None:
    io, limiter = ScriptedIO(), limiter_of(requests_per_minute=6)
    instants = []
    for _ in range(10):
        spend(limiter, io)
        instants.append(round(io.now(), 6))
    assert instants == [0, 0, 0, 0, 0, 0, 10, 20, 30, 40]


def test_what_was_not_used_for_a_while_is_there_again_but_never_more_than_a_minutes_worth() -> None:
    io, limiter = ScriptedIO(), limiter_of(requests_per_minute=6)
    for _ in range(6):
        spend(limiter, io)
    io.clock.advance(3600)
    for _ in range(6):
        spend(limiter, io)
    assert io.now() == 3600
    spend(limiter, io)
    assert round(io.now(), 6) == 3610


def test_tokens_are_taken_by_the_estimate_and_corrected_by_what_was_used() -> None:
    io, limiter = ScriptedIO(), limiter_of(tokens_per_minute=600)
    spend(limiter, io, 500, Double(used(100)))  # 500 left
    spend(limiter, io, 500, Double(used(500)))  # none
    assert io.now() == 0
    spend(limiter, io, 100, Double(used(400)))  # 100 come in 10 s, 300 are owed then
    assert round(io.now(), 6) == 10
    spend(limiter, io, 100, Double(used(100)))
    assert round(io.now(), 6) == 50


def test_usage_before_the_end_counts_where_the_end_says_none() -> None:
    io, limiter = ScriptedIO(), limiter_of(tokens_per_minute=600)
    spend(limiter, io, 600, Double(START, [UsageUpdate(Usage(input_tokens=100))], HELLO, end()))
    spend(limiter, io, 500)
    assert io.now() == 0


def test_a_request_larger_than_a_minutes_worth_waits_for_a_full_minute_and_is_paid_for_after() -> None:
    io, limiter = ScriptedIO(), limiter_of(tokens_per_minute=600)
    spend(limiter, io, 60, Double(used(60)))
    spend(limiter, io, 1200, Double(used(1200)))
    assert round(io.now(), 6) == 6
    spend(limiter, io, 10)
    assert round(io.now(), 6) == 6 + 61


def test_a_wait_that_would_pass_the_deadline_is_refused_at_once() -> None:
    io, limiter = ScriptedIO(), limiter_of(requests_per_minute=2)
    for _ in range(2):
        spend(limiter, io)
    inner = Double(*ANSWER)
    with pytest.raises(LimitError) as caught:
        spend(limiter, io, inner=inner, timeout=Timeout(total=20))
    error = caught.value
    assert io.now() == 0 and inner.started == 0
    assert error.code == "rate_limit_wait" and error.retry_after == 30 and not error.retryable
    assert "wait 30 s" in error.message and "2 requests a minute" in error.message
    assert "only 20 s are left" in error.message and "RateLimit(requests_per_minute=2)" in error.message
    spend(limiter, io, timeout=Timeout(total=31))
    assert io.now() == 30


def test_the_refusal_names_the_limit_that_is_the_tightest() -> None:
    io, limiter = ScriptedIO(), limiter_of(requests_per_minute=1, tokens_per_minute=100)
    spend(limiter, io, 100, Double(used(100)))
    with pytest.raises(LimitError, match=r"RateLimit\(requests_per_minute=1\)"):
        spend(limiter, io, 10, timeout=Timeout(total=1))
    limiter = limiter_of(requests_per_minute=60, tokens_per_minute=100)
    spend(limiter, io, 100, Double(used(100)))
    with pytest.raises(LimitError, match=r"100 tokens a minute \(0 left\).*RateLimit\(tokens_per_minute=100\)"):
        spend(limiter, io, 10, timeout=Timeout(total=1))


def test_no_limit_is_no_limit() -> None:
    io, limiter = ScriptedIO(), limiter_of()
    for _ in range(1000):
        spend(limiter, io, 10**9)
    assert io.now() == 0 and limiter.running == 0


def test_the_hooks_hear_of_a_wait_and_of_nothing_else() -> None:
    told: list[Any] = []

    async def notify(kind: str, fact: Any) -> None:
        told.append((kind, fact))

    io, limiter = ScriptedIO(), limiter_of(requests_per_minute=1)
    spend(limiter, io, notify=notify)
    assert told == []
    spend(limiter, io, notify=notify)
    assert told == [("limit", LimitFact(60.0, "the limit of 1 requests a minute (0 left)"))]


# --- what is given back -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ConnectError("refused"), UnsupportedError("no"), ConfigError("no")])
def test_a_call_that_was_not_sent_costs_nothing(error: Exception) -> None:
    io, limiter = ScriptedIO(), limiter_of(requests_per_minute=1, tokens_per_minute=100)
    for _ in range(3):
        with pytest.raises(type(error)):
            spend(limiter, io, 100, Double(error))
    spend(limiter, io, 100)
    assert io.now() == 0


def test_a_refused_request_costs_a_request_and_no_tokens() -> None:
    io, limiter = ScriptedIO([failed(400), streamed()]), limiter_of(requests_per_minute=2, tokens_per_minute=100)
    inner = call(target("http://lab.test/v1"), stream=True)
    with pytest.raises(BadRequestError):
        spend(limiter, io, 100, inner)
    spend(limiter, io, 100, inner)
    assert io.now() == 0
    spend(limiter, io, 0)
    assert round(io.now(), 6) == 30


def test_an_answer_that_broke_off_costs_its_estimate() -> None:
    io, limiter = ScriptedIO(), limiter_of(tokens_per_minute=600)
    broken = Double([*START, UsageUpdate(Usage(input_tokens=5, output_tokens=1))], HELLO, InterruptedCallError("cut"))
    with pytest.raises(InterruptedCallError):
        spend(limiter, io, 600, broken)
    spend(limiter, io, 60)
    assert round(io.now(), 6) == 6


def test_a_stream_left_early_gives_its_place_back_and_costs_its_estimate() -> None:
    io, limiter = ScriptedIO(), limiter_of(tokens_per_minute=600, concurrency=1)
    inner = Double(*ANSWER)

    async def main() -> None:
        async with aclosing(limited(inner, limiter, lambda _: 600)(Context(io), REQUEST)) as lists:
            async for _ in lists:
                assert limiter.running == 1
                break

    drive(main())
    assert limiter.running == 0 and inner.open == 0
    spend(limiter, io, 60)
    assert round(io.now(), 6) == 6


# --- what the provider says ---------------------------------------------------------------------------------------


def heads(**headers: str) -> dict[str, str]:
    return {f"x-ratelimit-{name.replace('_', '-')}": value for name, value in headers.items()}


def test_what_the_head_of_an_answer_says_is_left_lowers_what_is_sent() -> None:
    head = heads(limit_requests="600", remaining_requests="1", reset_requests="59.9s")
    io = ScriptedIO([Answer(200, head, whole().body), whole(), whole()])
    limiter = limiter_of(requests_per_minute=1000)
    inner = call(target("http://lab.test/v1"), stream=False)
    context = spend(limiter, io, inner=inner)
    assert context.rate_limits == RateLimits(600, 1, 59.9)
    spend(limiter, io, inner=inner)
    assert io.now() == 0  # the one that was left
    spend(limiter, io, inner=inner)
    assert round(io.now(), 6) == 0.1  # 599 come back in 59.9 s


def test_the_headers_of_an_error_are_heard_too() -> None:
    head = heads(limit_tokens="6000", remaining_tokens="0", reset_tokens="60s")
    io = ScriptedIO([failed(500, headers=head)])
    limiter = limiter_of(tokens_per_minute=100_000)
    with pytest.raises(Exception, match="oops"):
        spend(limiter, io, inner=call(target("http://lab.test/v1"), stream=True))
    with pytest.raises(LimitError, match="the provider's own limit of tokens"):
        spend(limiter, io, 600, timeout=Timeout(total=5))
    spend(limiter, io, 600)
    assert round(io.now(), 6) == 6


def hear(**said: Any) -> Any:
    def step(context: Context) -> None:
        context.rate_limits = RateLimits(**said)

    return Double(step, *ANSWER)


def test_a_limit_for_the_whole_day_fills_up_as_slowly_as_it_says() -> None:
    """14,400 requests a day, one of them used: it is back in six seconds."""
    io, limiter = ScriptedIO(), limiter_of()
    spend(limiter, io, inner=hear(limit_requests=14_400, remaining_requests=0, reset_requests=86_400.0))
    for _ in range(3):
        spend(limiter, io)
    assert round(io.now(), 6) == 18


def test_newer_figures_replace_older_ones() -> None:
    io, limiter = ScriptedIO(), limiter_of()
    spend(limiter, io, inner=hear(limit_requests=60, remaining_requests=0, reset_requests=60.0))
    spend(limiter, io, inner=hear(limit_requests=60, remaining_requests=59, reset_requests=1.0))
    assert round(io.now(), 6) == 1
    for _ in range(59):
        spend(limiter, io)
    assert round(io.now(), 6) == 1


def test_figures_without_a_reset_are_worth_a_minute_and_never_a_stop_for_ever() -> None:
    io, limiter = ScriptedIO(), limiter_of()
    spend(limiter, io, inner=hear(remaining_requests=0))
    spend(limiter, io)
    assert round(io.now(), 6) == 60


def test_requests_under_way_are_not_in_the_providers_figures_yet() -> None:
    """Ten were sent before the first answer says that three are left: none of those three is free."""
    io, limiter = ScriptedIO(), limiter_of()

    async def main() -> None:
        context = Context(io)
        reservations = [await limiter.reserve(context) for _ in range(4)]
        reservations[0].begin(RateLimits(limit_requests=60, remaining_requests=3, reset_requests=57.0), io.now())
        await limiter.reserve(context)
        assert round(io.now(), 6) == 1
        # Each answer brings newer figures, until none is under way.
        reservations[1].begin(RateLimits(limit_requests=60, remaining_requests=20, reset_requests=40.0), io.now())
        for _ in range(17):
            await limiter.reserve(context)
        assert round(io.now(), 6) == 1

    drive(main())


def test_one_models_figures_hold_back_no_other_model() -> None:
    io, limiter = ScriptedIO(), limiter_of()
    spend(limiter, io, inner=hear(limit_requests=60, remaining_requests=0, reset_requests=60.0))
    other = GenerateRequest(model="other", messages=(user("hi"),))
    drive(read(limited(Double(*ANSWER), limiter), Context(io), other))
    drive(read(limited(Double(*ANSWER), limiter, scope="another"), Context(io)))
    assert io.now() == 0
    spend(limiter, io)
    assert io.now() == 1


def test_a_429_that_says_how_long_holds_every_call_back() -> None:
    io, limiter = ScriptedIO(), limiter_of()
    with pytest.raises(RateLimitError):
        spend(limiter, io, inner=Double(RateLimitError("slow down", retry_after=12.0)))
    with pytest.raises(LimitError, match="the provider, which asks to wait 12 s"):
        spend(limiter, io, timeout=Timeout(total=11))
    spend(limiter, io)
    assert io.now() == 12


def test_a_429_with_its_header_over_the_wire_holds_too() -> None:
    io, limiter = ScriptedIO([failed(429, headers={"retry-after": "7"}), whole()]), limiter_of()
    inner = call(target("http://lab.test/v1"), stream=False)
    with pytest.raises(RateLimitError):
        spend(limiter, io, inner=inner)
    spend(limiter, io, inner=inner)
    assert io.now() == 7


# --- side by side, on real clocks ---------------------------------------------------------------------------------


def test_so_many_run_at_once_and_no_more(seam: Seam) -> None:
    limiter, inner = limiter_of(concurrency=3), Double(START, 0.01, HELLO, end())
    limit = limited(inner, limiter)

    async def main() -> None:
        calls = [lambda: read(limit, seam.context()) for _ in range(20)]
        answers = await seam.io.gather(calls, limit=10)
        assert all(answer.text == "Hello" for answer in answers)

    seam.run(main)
    assert inner.started == 20 and inner.most == 3 and limiter.running == limiter.waiting == 0


def test_places_are_given_in_the_order_of_asking(seam: Seam) -> None:
    limiter, order = limiter_of(concurrency=1), []

    async def one(number: int) -> None:
        await seam.io.sleep(0.03 * number)
        reservation = await limiter.reserve(seam.context())
        order.append(number)
        await seam.io.sleep(0.05)
        reservation.settle(None, seam.io.now())

    seam.run(lambda: seam.io.gather([lambda number=number: one(number) for number in range(6)], limit=6))
    assert order == list(range(6))


def test_a_large_request_at_the_head_is_not_overtaken_by_small_ones(seam: Seam) -> None:
    limiter, order = limiter_of(tokens_per_minute=60_000), []  # 1,000 a second

    async def one(number: int, tokens: int) -> None:
        await seam.io.sleep(0.02 * number)
        await limiter.reserve(seam.context(), tokens)
        order.append(number)

    wants = [60_000, 150, 10, 10]
    seam.run(
        lambda: seam.io.gather(
            [lambda number=number, tokens=tokens: one(number, tokens) for number, tokens in enumerate(wants)], limit=4
        )
    )
    assert order == [0, 1, 2, 3]


def test_an_abort_while_waiting_leaves_the_queue_at_once(seam: Seam) -> None:
    limiter, cancel = limiter_of(concurrency=1), Cancel()

    async def main() -> None:
        held = await limiter.reserve(seam.context())

        async def wait() -> None:
            started = time.monotonic()
            with pytest.raises(Cancelled):
                await limiter.reserve(seam.context(cancel=cancel))
            assert time.monotonic() - started < 1

        async def behind() -> None:
            await seam.io.sleep(0.03)
            (await limiter.reserve(seam.context(Timeout(total=5)))).settle(None, seam.io.now())

        async def abort() -> None:
            await seam.io.sleep(0.06)
            assert limiter.waiting == 2
            cancel.set()
            await seam.io.sleep(0.06)
            assert limiter.waiting == 1
            held.settle(None, seam.io.now())

        await seam.io.gather([wait, behind, abort], limit=3)

    seam.run(main)
    assert limiter.running == limiter.waiting == 0


def test_a_place_that_never_comes_free_is_waited_for_until_the_deadline(seam: Seam) -> None:
    limiter = limiter_of(concurrency=2)

    async def main() -> None:
        for _ in range(2):
            await limiter.reserve(seam.context())
        with pytest.raises(LimitError, match=r"the limit of 2 calls at once.*RateLimit\(concurrency=2\)") as caught:
            await limiter.reserve(seam.context(Timeout(total=0.1)))
        assert caught.value.code == "rate_limit_wait" and not caught.value.retryable

    seam.run(main)
    assert limiter.waiting == 0 and limiter.running == 2


def test_a_deadline_that_is_over_is_a_deadline(seam: Seam) -> None:
    limiter = limiter_of()
    context = seam.context(Timeout(total=0.001))
    time.sleep(0.01)
    with pytest.raises(CallTimeoutError):
        seam.run(lambda: read(limited(Double(*ANSWER), limiter), context))
    assert limiter.running == 0


def test_who_stands_behind_others_is_refused_by_the_wait_for_all_of_them(seam: Seam) -> None:
    limiter = limiter_of(requests_per_minute=600)  # one in 0.1 s

    async def main() -> None:
        for _ in range(600):
            await limiter.reserve(seam.context())

        async def wait() -> None:
            await limiter.reserve(seam.context())

        async def late() -> None:
            await seam.io.sleep(0.03)
            with pytest.raises(LimitError, match="3 asked for before it") as caught:
                await limiter.reserve(seam.context(Timeout(total=0.25)))
            assert 0.25 < (caught.value.retry_after or 0) < 0.4
            await limiter.reserve(seam.context(Timeout(total=0.6)))

        await seam.io.gather([wait, wait, wait, late], limit=4)

    seam.run(main)


def test_a_hold_that_comes_while_waiting_refuses_those_who_have_no_time_for_it(seam: Seam) -> None:
    limiter = limiter_of(concurrency=1)

    async def main() -> None:
        await limiter.reserve(seam.context())

        async def wait() -> None:
            with pytest.raises(LimitError, match="asks to wait"):
                await limiter.reserve(seam.context(Timeout(total=5)))

        async def hold() -> None:
            await seam.io.sleep(0.05)
            limiter.hold(60, seam.io.now())

        started = time.monotonic()
        await seam.io.gather([wait, wait, hold], limit=3)
        assert time.monotonic() - started < 2

    seam.run(main)


def test_room_that_comes_early_is_used_at_once(seam: Seam) -> None:
    """A call that used less than thought lets the one that waits for tokens go on, long before its time."""
    limiter = limiter_of(tokens_per_minute=600)

    async def main() -> None:
        first = await limiter.reserve(seam.context(), 600)

        async def wait() -> None:
            await limiter.reserve(seam.context(), 300)

        async def settle() -> None:
            await seam.io.sleep(0.05)
            first.settle(10, seam.io.now())

        started = time.monotonic()
        await seam.io.gather([wait, settle], limit=2)
        assert time.monotonic() - started < 2

    seam.run(main)


def test_one_limiter_serves_threads_and_event_loops_together() -> None:
    limiter, inner = limiter_of(concurrency=4), Double(START, 0.002, HELLO, end())
    limit = limited(inner, limiter)

    def sync() -> None:
        io = BlockingIO()
        for _ in range(10):
            drive(read(limit, Context(io, Timeout(total=20))))

    def on_loop() -> None:
        async def main() -> None:
            io = AsyncIO()
            await asyncio.gather(*(read(limit, Context(io, Timeout(total=20))) for _ in range(20)))

        asyncio.run(main())

    threads = [threading.Thread(target=function) for function in [sync] * 6 + [on_loop] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert inner.started == 100 and inner.most == 4 and inner.open == 0
    assert limiter.running == limiter.waiting == 0


def test_tasks_cancelled_at_any_moment_leave_nothing_reserved() -> None:
    limiter, inner = limiter_of(concurrency=2), Double(START, 0.003, HELLO, end())
    limit = limited(inner, limiter)

    async def main() -> None:
        io = AsyncIO()
        dice = random.Random(7)
        tasks = [asyncio.create_task(read(limit, Context(io))) for _ in range(60)]
        for task in dice.sample(tasks, 30):
            await asyncio.sleep(dice.random() * 0.003)
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) or one.text == "Hello" for one in outcomes)

    asyncio.run(main())
    assert limiter.running == limiter.waiting == 0 and inner.open == 0
    assert limiter._requests.queued == limiter._tokens.queued == limiter._tokens.unseen == 0


def test_what_hooks_raise_leaves_nothing_reserved() -> None:
    async def notify(kind: str, fact: Any) -> None:
        raise KeyError("a hook")

    io, limiter = ScriptedIO(), limiter_of(requests_per_minute=1, concurrency=3)
    spend(limiter, io)
    with pytest.raises(KeyError):
        spend(limiter, io, notify=notify)
    assert limiter.running == 0


# --- words --------------------------------------------------------------------------------------------------------


def test_the_estimate_is_a_token_for_four_characters_and_the_answers_limit() -> None:
    result = ToolResult("c", "add", (TextPart("x" * 20),))
    messages = (user("x" * 40), Message("assistant", (ToolCall("c", "add", "y" * 20),)), Message("tool", (result,)))
    assert estimate_tokens(GenerateRequest(model="m", messages=messages)) == 20
    assert estimate_tokens(GenerateRequest(model="m", messages=messages, max_tokens=100, n=2)) == 220


@pytest.mark.parametrize(
    "settings", [{"requests_per_minute": 0}, {"tokens_per_minute": -1}, {"concurrency": 1.5}, {"concurrency": True}]
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"RateLimit\({next(iter(settings))}="):
        RateLimit(**settings)


def test_a_limiter_says_what_it_is_about() -> None:
    limiter = limiter_of(concurrency=2)
    drive(limiter.reserve(Context(ScriptedIO())))
    assert "concurrency=2" in repr(limiter) and "1 running, 0 waiting" in repr(limiter)
