"""Load balancing: whose turn it is, who rests after what, and what the error tells the one who retries."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import aclosing
from typing import Any

import pytest

from polyvox.calls.balance import Balance, Balancer, Choice, balanced
from polyvox.calls.breaker import Breaker, CircuitBreaker, guarded
from polyvox.calls.hedge import Hedge, hedged
from polyvox.calls.limits import Limiter, RateLimit, limited
from polyvox.calls.retry import Retry, retry
from polyvox.errors import (
    AuthenticationError,
    BadRequestError,
    BillingError,
    Cancelled,
    ConfigError,
    ConnectError,
    LimitError,
    OverloadedError,
    PermissionDeniedError,
    PolyvoxError,
    RateLimitError,
    ServerError,
)
from polyvox.io.aio import AsyncIO
from polyvox.io.base import Context, drive
from polyvox.io.scripted import ScriptedIO
from tests.calls.policies import ANSWER, HELLO, REQUEST, START, Double, Seam, end, read, wire_call
from tests.loopback import LoopbackServer, chat, error, never_answer


def choices(*names: str, **weights: float) -> list[Choice]:
    return [Choice(name) for name in names] + [Choice(name, weight) for name, weight in weights.items()]


class Lab:
    """A provider with a choice for each name, on a clock that stands still."""

    def __init__(self, *names: str, scripts: dict[str, Any] | None = None, **settings: Any) -> None:
        self.io = ScriptedIO()
        self.balancer = Balancer(choices(*names), Balance(**settings))
        self.doubles = {name: Double.of(*(scripts or {}).get(name, [ANSWER])) for name in names}
        self.call = balanced(list(self.doubles.values()), self.balancer)

    def ask(self, inner: Any = None) -> list[str | None]:
        """Make a call and return the endpoints it went to."""
        context = Context(self.io)
        assert drive(read(inner or self.call, context)).text == "Hello"
        return [attempt.endpoint for attempt in context.attempts]

    def fail(self) -> PolyvoxError:
        with pytest.raises(PolyvoxError) as caught:
            self.ask()
        return caught.value

    def retried(self, attempts: int = 3) -> list[str | None]:
        return self.ask(retry(self.call, Retry(max_attempts=attempts, jitter=0)))


# --- whose turn it is ---------------------------------------------------------------------------------------------


def test_in_turn_each_gets_the_same() -> None:
    lab = Lab("one", "two", "three")
    assert [lab.ask() for _ in range(6)] == [["one"], ["two"], ["three"]] * 2


def test_by_weight_they_are_evenly_mixed() -> None:
    balancer = Balancer(choices(a=5, b=1, c=1), Balance(strategy="weighted"))
    order = []
    for _ in range(14):
        place = balancer.take(0.0)
        balancer.release(place)
        order.append(balancer.names[place])
    assert "".join(order) == "aabacaa" * 2  # as nginx does it


def test_the_least_busy_gets_the_next() -> None:
    balancer = Balancer(choices(a=1, b=2), Balance(strategy="least_busy"))
    taken = [balancer.names[balancer.take(0.0)] for _ in range(6)]
    assert Counter(taken) == {"a": 2, "b": 4}
    balancer.release(0)
    balancer.release(0)
    assert [balancer.names[balancer.take(0.0)] for _ in range(2)] == ["a", "a"]


def test_equally_busy_ones_get_their_turn() -> None:
    lab = Lab("one", "two", "three", strategy="least_busy")
    assert [lab.ask() for _ in range(6)] == [["one"], ["two"], ["three"]] * 2


def test_a_call_that_is_over_is_not_busy_however_it_ended() -> None:
    lab = Lab("one", "two", scripts={"one": [[START, HELLO, ServerError("cut")]]}, strategy="least_busy")

    async def leave() -> None:
        async with aclosing(lab.call(Context(lab.io), REQUEST)) as lists:
            async for _ in lists:
                break

    drive(leave())
    lab.ask()
    assert lab.fail().message == "cut"
    assert [state.busy for state in lab.balancer._states] == [0, 0]


# --- who rests ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusal", "seconds"),
    [
        (RateLimitError("slow down", retry_after=25.0), 25),
        (RateLimitError("slow down"), 10),
        (AuthenticationError("wrong key"), 300),
        (BillingError("no money"), 300),
        (PermissionDeniedError("not this key"), 10),
    ],
)
def test_one_that_was_refused_rests_and_a_retry_goes_on_at_once_with_another(refusal: Any, seconds: float) -> None:
    lab = Lab("one", "two", scripts={"one": [[refusal], ANSWER]})
    assert lab.retried() == ["one", "two"] and lab.io.now() == 0
    assert lab.balancer.resting(0) == {"one": seconds}
    assert [lab.ask() for _ in range(3)] == [["two"]] * 3
    lab.io.clock.advance(seconds)
    assert {lab.ask()[0] for _ in range(2)} == {"one", "two"}


def test_the_error_says_that_another_may_be_tried_at_once() -> None:
    lab = Lab("one", "two", scripts={"one": [[AuthenticationError("wrong key")]]})
    refused = lab.fail()
    assert isinstance(refused, AuthenticationError)
    assert (refused.retryable, refused.retry_after) == (True, 0)


def test_with_no_other_the_error_stands_as_it_was() -> None:
    lab = Lab("one", scripts={"one": [[AuthenticationError("wrong key")], [RateLimitError("later", retry_after=9)]]})
    refused = lab.fail()
    assert (refused.retryable, refused.retry_after) == (False, None)
    limited = lab.fail()
    assert (limited.retryable, limited.retry_after) == (True, 9)


def test_where_every_key_is_refused_nothing_is_worth_a_retry() -> None:
    wrong = [[AuthenticationError("wrong key")]]
    lab = Lab("one", "two", scripts={"one": wrong, "two": [[BillingError("no money")]]})
    assert lab.fail().retryable
    last = lab.fail()
    assert isinstance(last, BillingError) and not last.retryable


def test_where_all_are_limited_the_error_says_when_the_first_is_free() -> None:
    lab = Lab(
        "one",
        "two",
        scripts={
            "one": [[RateLimitError("later", retry_after=30.0)]],
            "two": [[RateLimitError("later", retry_after=8.0)], ANSWER],
        },
    )
    assert lab.retried() == ["one", "two", "two"]
    assert lab.io.now() == 8


def test_the_other_keys_limit_ends_sooner_than_this_keys_refusal() -> None:
    lab = Lab(
        "one",
        "two",
        scripts={"one": [[RateLimitError("later", retry_after=12.0)]], "two": [[AuthenticationError("wrong key")]]},
    )
    assert lab.fail().retry_after == 0
    refused = lab.fail()
    assert isinstance(refused, AuthenticationError) and (refused.retryable, refused.retry_after) == (True, 12)


def test_where_all_rest_a_new_call_goes_to_the_one_that_is_free_first() -> None:
    lab = Lab(
        "one",
        "two",
        scripts={
            "one": [[RateLimitError("later", retry_after=30.0)], ANSWER],
            "two": [[RateLimitError("later", retry_after=60.0)], ANSWER],
        },
    )
    lab.fail()
    lab.fail()
    lab.io.clock.advance(1)
    assert lab.ask() == ["one"]
    # It answered: it rests no more.
    assert lab.balancer.resting(lab.io.now()) == {"two": 59}


def test_an_answer_that_began_before_the_refusal_wakes_nobody() -> None:
    io, balancer = ScriptedIO(), Balancer(choices("one"))
    refused = balanced([Double(RateLimitError("later", retry_after=20.0))], balancer)

    def refuse(context: Context) -> None:
        io.clock.advance(1)
        with pytest.raises(RateLimitError):
            drive(read(refused, Context(io)))

    slow = balanced([Double(refuse, *ANSWER)], balancer)
    assert drive(read(slow, Context(io))).text == "Hello"
    assert balancer.resting(io.now()) == {"one": 20}


def test_a_request_that_is_wrong_in_itself_rests_nobody() -> None:
    lab = Lab("one", "two", scripts={"one": [[BadRequestError("bad")]], "two": [[BadRequestError("bad")]]})
    error = lab.fail()
    assert not error.retryable and lab.balancer.resting(0) == {}


@pytest.mark.parametrize("failure", [ConnectError("refused"), OverloadedError("no room")])
def test_one_that_fails_at_once_does_not_draw_all_calls_for_being_least_busy(failure: Any) -> None:
    lab = Lab("one", "two", scripts={"one": [[failure]]}, strategy="least_busy")
    assert lab.fail().retry_after is None
    assert [lab.ask() for _ in range(4)] == [["two"]] * 4
    lab.io.clock.advance(1)
    assert lab.balancer.resting(1) == {}


# --- with the other policies --------------------------------------------------------------------------------------


def test_an_open_circuit_is_passed_over_and_nothing_is_tried_twice() -> None:
    io, doubles = ScriptedIO(), [Double(ServerError("oops")), Double(*ANSWER)]
    breakers = [CircuitBreaker(Breaker(failures=1, cooldown=30), name=name) for name in ("one", "two")]
    calls = [guarded(double, breaker) for double, breaker in zip(doubles, breakers, strict=True)]
    call = balanced(calls, Balancer(choices("one", "two"), Balance(failure_rest=0)))
    with pytest.raises(ServerError):
        drive(read(call, Context(io)))
    for _ in range(4):
        assert drive(read(call, Context(io))).text == "Hello"
    assert (doubles[0].started, doubles[1].started) == (1, 4)


def test_where_every_circuit_is_open_the_error_says_when_the_first_may_be_tried() -> None:
    io = ScriptedIO()
    breakers = [CircuitBreaker(Breaker(failures=1, cooldown=seconds), name="x") for seconds in (30, 20)]
    call = balanced(
        [guarded(Double(ServerError("oops")), breaker) for breaker in breakers], Balancer(choices("one", "two"))
    )
    for _ in range(2):
        with pytest.raises(ServerError):
            drive(read(call, Context(io)))
    io.clock.advance(5)
    with pytest.raises(LimitError) as caught:
        drive(read(call, Context(io)))
    assert (caught.value.code, caught.value.retryable, caught.value.retry_after) == ("circuit_open", False, 15)


@pytest.fixture(params=["sync", "async"])
def seam(request: pytest.FixtureRequest) -> Seam:
    return Seam(request.param)


def test_over_the_wire_a_revoked_key_costs_one_request(seam: Seam) -> None:
    with LoopbackServer(error(401, {"message": "revoked"})) as bad, LoopbackServer(chat("Hello")) as good:
        balancer = Balancer(choices("old key", "new key"))
        call = retry(balanced([wire_call(bad.url), wire_call(good.url)], balancer), Retry(jitter=0))

        async def main() -> list[Any]:
            return [await read(call, seam.context()) for _ in range(4)]

        answers = seam.run(main)
        assert [len(server.requests) for server in (bad, good)] == [1, 4]
        first = answers[0].attempts
        assert [(attempt.endpoint, attempt.error) for attempt in first] == [
            ("old key", "AuthenticationError"),
            ("new key", None),
        ]


def test_a_hedge_goes_to_another_endpoint(seam: Seam) -> None:
    with LoopbackServer(never_answer) as silent, LoopbackServer(chat("Hello")) as good:
        call = balanced([wire_call(silent.url), wire_call(good.url)], Balancer(choices("one", "two")))
        answer = seam.run(lambda: read(hedged(call, Hedge(0.05)), seam.context()))
        assert [(attempt.endpoint, attempt.error) for attempt in answer.attempts] == [
            ("one", "Cancelled"),
            ("two", None),
        ]


def test_with_all_policies_around_it_each_request_is_one_attempt(seam: Seam) -> None:
    """Retry around hedge around balance around breaker and limits: what was sent is what is told."""
    with (
        LoopbackServer(error(500, {"message": "oops"})) as bad,
        LoopbackServer(never_answer) as silent,
        LoopbackServer(chat("Hello")) as good,
    ):
        limiter = Limiter(RateLimit(requests_per_minute=1000, concurrency=8))
        calls = [guarded(limited(wire_call(server.url), limiter), CircuitBreaker()) for server in (bad, silent, good)]
        balancer = Balancer(choices("bad", "silent", "good"))
        call = retry(hedged(balanced(calls, balancer), Hedge(0.05)), Retry(initial=0.01, jitter=0))
        answer = seam.run(lambda: read(call, seam.context()))
        assert answer.text == "Hello"
        told = [(attempt.endpoint, attempt.error) for attempt in answer.attempts]
        assert told == [("bad", "ServerError"), ("silent", "Cancelled"), ("good", None)]
        assert [len(server.requests) for server in (bad, silent, good)] == [1, 1, 1]
        assert limiter.running == limiter.waiting == 0
        assert [state.busy for state in balancer._states] == [0, 0, 0]


def test_an_abort_rests_nobody() -> None:
    lab = Lab("one", "two", scripts={"one": [[Cancelled("aborted")]]})
    with pytest.raises(Cancelled):
        lab.ask()
    assert lab.balancer.resting(0) == {}


def test_the_name_of_the_endpoint_is_not_left_behind() -> None:
    lab = Lab("one")
    context = Context(lab.io)
    drive(read(lab.call, context))
    assert context.endpoint is None


def test_threads_and_tasks_may_share_it() -> None:
    doubles = [Double(START, 0.001, HELLO, end()) for _ in range(3)]
    balancer = Balancer(choices("one", "two", "three"))
    call = balanced(doubles, balancer)

    def work() -> None:
        async def main() -> None:
            io = AsyncIO()
            await asyncio.gather(*(read(call, Context(io)) for _ in range(30)))

        asyncio.run(main())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [double.started for double in doubles] == [30, 30, 30]
    assert [state.busy for state in balancer._states] == [0, 0, 0]


# --- words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Balancer([]), "at least one"),
        (lambda: Balancer(choices("a", "a")), "'a'"),
        (lambda: Choice("a", 0), "above 0"),
        (lambda: Choice(""), "give a name"),
        (lambda: Choice("sk-proj-" + "Abc123" * 8), "looks like a key"),
        (lambda: Balance(strategy="random"), "round_robin, weighted, least_busy"),  # type: ignore[arg-type]
        (lambda: Balance(refused_rest=-1), "refused_rest"),
        (lambda: balanced([], Balancer(choices("a"))), "0 calls for the 1 choices"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        make()
    assert "Abc123" not in str(caught.value)


def test_a_balancer_says_names_and_no_more() -> None:
    assert repr(Balancer(choices("east", "west"))) == "<Balancer round_robin over east, west>"
