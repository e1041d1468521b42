"""The plain call: when it is repeated, what it takes and tells, and that it never outlives its deadline."""

from __future__ import annotations

from typing import Any

import pytest

from polyvox import Cancel, Cancelled, InterruptedCallError, RateLimitError, Retry, ServerError, Timeout
from polyvox.calls.simple import Line, Reply
from polyvox.dialects.base import WireRequest
from polyvox.errors import CallTimeoutError
from polyvox.io.base import Context, drive
from polyvox.io.scripted import Answer, Pause, ScriptedIO
from polyvox.registry.endpoints import EndpointTarget
from tests.calls.runs import Facts, lab_target

WIRE = WireRequest("POST", "/things", b'{"a":1}', headers={"Content-Type": "application/json"}, query={"page": "2/3"})
GOOD = Answer(headers={"x-request-id": "req_7", "x-ratelimit-remaining-requests": "9"}, body=[b'{"ok"', b": true}"])
BUSY = Answer(503, body=[b'{"error": {"message": "later"}}'])
STILL = Retry(jitter=0)


def context_of(io: ScriptedIO, timeout: Timeout | None = None, cancel: Cancel | None = None) -> Context:
    return Context(io, timeout or Timeout(), cancel or Cancel())


def ask(context: Context, retry: Retry | None = STILL, *names: str, **facts: Any) -> Reply:
    endpoints = [EndpointTarget(name, 1.0, lab_target(f"http://{name or 'lab'}.test/v1")) for name in names or ("",)]
    return drive(Line(endpoints, retry=retry, **facts).ask(context, WIRE))


def test_what_was_said_is_sent_and_the_whole_answer_comes_back() -> None:
    io = ScriptedIO([GOOD])
    context = context_of(io)
    reply = ask(context)
    (request,) = io.requests

    assert (request.method, request.url, request.body) == ("POST", "http://lab.test/v1/things?page=2%2F3", b'{"a":1}')
    assert (reply.status, reply.body, reply.request_id) == (200, b'{"ok": true}', "req_7")
    assert reply.rate_limits is not None and reply.rate_limits.remaining_requests == 9
    assert [attempt.error for attempt in context.attempts] == [None]
    assert io.open_count == 0


def test_it_is_made_again_with_growing_waits_and_the_hooks_are_told() -> None:
    io, facts = ScriptedIO([BUSY, BUSY, GOOD]), Facts()
    context = context_of(io)
    context.notify = facts
    reply = ask(context)

    assert reply.body and io.now() == 0.5 + 1.0
    assert [attempt.started for attempt in context.attempts] == [0.0, 0.5, 1.5]
    assert [(kind, fact.attempt, fact.delay) for kind, fact in facts.all] == [("retry", 1, 0.5), ("retry", 2, 1.0)]


def test_the_providers_own_wait_comes_first() -> None:
    io = ScriptedIO([Answer(429, headers={"retry-after": "7"}, body=[b'{"error": {"message": "slow"}}']), GOOD])
    ask(context_of(io))

    assert io.now() == 7.0


def test_what_may_not_be_repeated_is_raised_at_once() -> None:
    for retry, answer, kind in (
        (None, BUSY, ServerError),
        (
            STILL,
            Answer(429, body=[b'{"error": {"message": "slow"}}'], headers={"x-should-retry": "false"}),
            RateLimitError,
        ),
    ):
        io = ScriptedIO([answer])
        with pytest.raises(kind) as caught:
            ask(context_of(io), retry)
        assert len(caught.value.attempts) == len(io.requests) == 1
        assert (caught.value.provider, caught.value.model) == ("lab", "m")


def test_a_body_that_breaks_off_or_is_empty_is_no_answer() -> None:
    io = ScriptedIO([Answer(body=[b'{"ok"', InterruptedCallError("gone")]), Answer(body=[b" "]), GOOD])

    assert ask(context_of(io)).body == b'{"ok": true}'
    assert len(io.requests) == 3


def test_the_attempts_go_from_endpoint_to_endpoint() -> None:
    io = ScriptedIO([BUSY, BUSY, GOOD])
    context = context_of(io)
    ask(context, STILL, "one", "two")

    assert [request.url.split("/")[2] for request in io.requests] == ["one.test", "two.test", "one.test"]
    assert [attempt.endpoint for attempt in context.attempts] == ["one", "two", "one"]


def test_no_wait_outlives_the_deadline() -> None:
    io = ScriptedIO([BUSY, BUSY, GOOD])
    with pytest.raises(ServerError):
        ask(context_of(io, Timeout(total=1.2)))

    assert len(io.requests) == 2 and io.now() == 0.5


def test_silence_ends_it() -> None:
    io = ScriptedIO([Answer(head=[Pause(5)], body=[b"{}"])])
    with pytest.raises(CallTimeoutError) as caught:
        ask(context_of(io, Timeout(first_event=2)))

    assert (caught.value.phase, io.now(), io.open_count) == ("first_event", 2.0, 0)


def test_an_abort_ends_it_also_between_two_attempts() -> None:
    cancel = Cancel()
    io = ScriptedIO([Answer(503, body=[cancel.set, b"{}"]), GOOD])
    with pytest.raises(Cancelled):
        ask(context_of(io, cancel=cancel))

    assert len(io.requests) == 1
