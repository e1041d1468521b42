"""Exactly as many requests as attempts where every attempt is hedged, in every combination with the other policies."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest

from polyvox import CallConfig, Hedge, PolyvoxError, Retry
from tests.calls.wires import ask
from tests.loopback import chat, error, never_answer
from tests.loopback_server import Exchange, LoopbackServer

each_kind = pytest.mark.parametrize("kind", ["generate", "stream"])
SWITCHES = ("retry", "fallback", "limits")
COMBINATIONS = [
    {name for name, is_on in zip(SWITCHES, switched, strict=True) if is_on}
    for switched in itertools.product((False, True), repeat=len(SWITCHES))
]
each_combination = pytest.mark.parametrize("on", COMBINATIONS, ids=lambda on: "+".join(sorted(on)) or "none")


def fail_in_pairs(exchange: Exchange) -> None:
    """Answer with a failure once the other one of its pair is there too."""
    end = time.monotonic() + 5
    while len(exchange.connection.server.requests) <= exchange.number | 1 and time.monotonic() < end:
        time.sleep(0.001)
    error(500, {"message": "oops"})(exchange)


def answer_the_second(exchange: Exchange) -> None:
    (chat("Hello") if exchange.number == 1 else never_answer)(exchange)


def caller_of(make_caller: Any, server: LoopbackServer, on: set[str]) -> Any:
    limits = {"requests_per_minute": 6000, "concurrency": 2} if "limits" in on else None
    block = {"base_url": server.url, "limits": limits}
    config = CallConfig(
        hedge=Hedge(0.01),
        retry=Retry(max_attempts=3, initial=0, jitter=0) if "retry" in on else False,
        fallback=["second/n"] if "fallback" in on else None,
    )
    return make_caller(providers={"first": block, "second": block}, call_config=config)


@each_kind
@each_combination
def test_every_attempt_sends_two_requests_where_all_are_silent_and_fail(
    make_caller: Any, kind: str, on: set[str]
) -> None:
    with LoopbackServer(fail_in_pairs) as server:
        with pytest.raises(PolyvoxError, match="oops") as caught:
            ask(caller_of(make_caller, server, on), kind, "first/m", "Hi")
        expected = 2 * (3 if "retry" in on else 1) * (2 if "fallback" in on else 1)
        assert len(server.requests) == len(caught.value.attempts) == expected


@each_kind
@each_combination
def test_two_requests_where_the_second_answers(make_caller: Any, kind: str, on: set[str]) -> None:
    with LoopbackServer(answer_the_second) as server:
        response = ask(caller_of(make_caller, server, on), kind, "first/m", "Hi")
        assert response.text == "Hello" and len(server.requests) == 2
        assert sorted(str(attempt.error) for attempt in response.attempts) == ["Cancelled", "None"]
