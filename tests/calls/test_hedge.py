"""Hedged calls: a second request beside a silent first, one answer, and nothing left of the other."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import aclosing
from typing import Any

import pytest

from polyvox.calls.facts import HedgeFact
from polyvox.calls.hedge import Hedge, hedged
from polyvox.calls.limits import Limiter, RateLimit, limited
from polyvox.errors import CallTimeoutError, Cancelled, ConfigError, OverloadedError, ServerError
from polyvox.io.base import Cancel, Context, drive, iterate
from polyvox.io.scripted import ScriptedIO
from polyvox.types.events import StreamEnd, TextDelta, UsageUpdate
from polyvox.types.generate import GenerateRequest
from polyvox.types.messages import user
from polyvox.types.models import Timeout
from polyvox.types.usage import Usage
from tests.calls.policies import ANSWER, HELLO, REQUEST, START, Double, Seam, end, read, wait_until, wire_call
from tests.loopback import (
    LoopbackServer,
    chat,
    chat_chunk,
    chat_frames,
    error,
    json_chat,
    never_answer,
    sequence,
    sse_chat,
    sse_frames,
    stall_after,
)

DELAY = 0.08


@pytest.fixture(params=["sync", "async"])
def seam(request: pytest.FixtureRequest) -> Seam:
    return Seam(request.param)


def hedge_of(url: str, *, stream: bool = True, delay: float = DELAY, most: int = 2) -> Any:
    return hedged(wire_call(url, stream=stream), Hedge(delay, most))


def errors(response: Any) -> list[str | None]:
    return [attempt.error for attempt in response.attempts]


# --- over sockets -------------------------------------------------------------------------------------------------


def left(server: LoopbackServer) -> bool:
    """Whether no connection is in use any more."""
    return server.connections == 0


@pytest.mark.parametrize("stream", [True, False])
def test_a_call_that_answers_in_time_is_sent_once(seam: Seam, stream: bool) -> None:
    with LoopbackServer(chat("Hello you")) as server:
        response = seam.run(lambda: read(hedge_of(server.url, stream=stream, delay=2.0), seam.context()))
        assert response.text == "Hello you" and len(server.requests) == 1
        assert errors(response) == [None] and response.usage.output_tokens == 2
        assert response.timing.first_event is not None and response.request_id == "req_loopback"


@pytest.mark.parametrize("stream", [True, False])
def test_a_silent_first_is_left_for_the_second_and_its_socket_is_closed_at_once(seam: Seam, stream: bool) -> None:
    gone: list[float] = []

    def silent(exchange: Any) -> None:
        if exchange.stall():
            gone.append(time.monotonic())

    with LoopbackServer(sequence(silent, chat("Hello"))) as server:
        started = time.monotonic()
        response = seam.run(lambda: read(hedge_of(server.url, stream=stream), seam.context(Timeout(total=20))))
        assert DELAY <= time.monotonic() - started < 2
        assert response.text == "Hello" and len(server.requests) == 2
        assert errors(response) == ["Cancelled", None]
        assert [attempt.started >= place * DELAY for place, attempt in enumerate(response.attempts)] == [True, True]
        assert all(attempt.seconds is not None for attempt in response.attempts[:1])
        wait_until(lambda: gone)
        wait_until(lambda: left(server))


def test_the_first_wins_where_it_brings_content_before_the_second(seam: Seam) -> None:
    def late(exchange: Any) -> None:
        if not exchange.client_gone(2.5 * DELAY):
            sse_chat(["Fir", "st"], delay=0.01)(exchange)

    with LoopbackServer(sequence(late, never_answer)) as server:
        response = seam.run(lambda: read(hedge_of(server.url), seam.context()))
        assert response.text == "First" and len(server.requests) == 2
        assert errors(response) == [None, "Cancelled"]
        wait_until(lambda: left(server))


def test_what_only_starts_an_answer_is_no_content(seam: Seam) -> None:
    role = chat_chunk({"role": "assistant", "content": ""})
    with LoopbackServer(sequence(stall_after(role), sse_chat(["Sec", "ond"]))) as server:
        response = seam.run(lambda: read(hedge_of(server.url), seam.context()))
        assert response.text == "Second" and errors(response) == ["Cancelled", None]


def test_a_first_that_fails_in_time_is_not_hedged(seam: Seam) -> None:
    with LoopbackServer(sequence(error(503, {"message": "no room"}), chat("never"))) as server:
        context = seam.context()
        with pytest.raises(OverloadedError):
            seam.run(lambda: read(hedge_of(server.url), context))
        assert len(server.requests) == 1 and [attempt.error for attempt in context.attempts] == ["OverloadedError"]


def test_a_second_that_fails_leaves_the_first_its_time(seam: Seam) -> None:
    def late(exchange: Any) -> None:
        if not exchange.client_gone(3 * DELAY):
            sse_chat(["Fir", "st"])(exchange)

    with LoopbackServer(sequence(late, error(500, {"message": "oops"}))) as server:
        response = seam.run(lambda: read(hedge_of(server.url), seam.context()))
        assert response.text == "First" and errors(response) == [None, "ServerError"]


def test_where_both_fail_the_firsts_error_is_raised(seam: Seam) -> None:
    def late(exchange: Any) -> None:
        if not exchange.client_gone(3 * DELAY):
            error(500, {"message": "the first"})(exchange)

    with LoopbackServer(sequence(late, error(503, {"message": "the second"}))) as server:
        context = seam.context()
        with pytest.raises(ServerError, match="the first"):
            seam.run(lambda: read(hedge_of(server.url), context))
        assert [attempt.error for attempt in context.attempts] == ["ServerError", "OverloadedError"]


def test_three_may_run_beside_each_other(seam: Seam) -> None:
    with LoopbackServer(sequence(never_answer, never_answer, chat("Third"))) as server:
        response = seam.run(lambda: read(hedge_of(server.url, most=3), seam.context()))
        assert response.text == "Third" and errors(response) == ["Cancelled", "Cancelled", None]
        assert len(server.requests) == 3
        wait_until(lambda: left(server))


def test_an_abort_while_all_are_silent_ends_them_all(seam: Seam) -> None:
    cancel = Cancel()
    with LoopbackServer(never_answer) as server:
        context = seam.context(cancel=cancel)
        timer = threading.Timer(2 * DELAY, cancel.set)
        timer.start()
        started = time.monotonic()
        with pytest.raises(Cancelled):
            seam.run(lambda: read(hedge_of(server.url), context))
        assert time.monotonic() - started < 2
        assert [attempt.error for attempt in context.attempts] == ["Cancelled", "Cancelled"]
        timer.join()
        wait_until(lambda: left(server))


def test_an_abort_reaches_the_winners_socket(seam: Seam) -> None:
    cancel = Cancel()
    text = chat_chunk({"role": "assistant", "content": "Hel"})
    with LoopbackServer(sequence(never_answer, stall_after(text))) as server:
        context = seam.context(cancel=cancel)

        async def main() -> str:
            heard = ""
            async with aclosing(hedge_of(server.url)(context, REQUEST)) as lists:
                with pytest.raises(Cancelled):
                    async for events in lists:
                        heard += "".join(event.text for event in events if isinstance(event, TextDelta))
                        threading.Timer(0.05, cancel.set).start()
            return heard

        assert seam.run(main) == "Hel"
        assert [attempt.error for attempt in context.attempts] == ["Cancelled", "Cancelled"]
        wait_until(lambda: left(server))


def test_the_deadline_reaches_the_winners_socket(seam: Seam) -> None:
    text = chat_chunk({"role": "assistant", "content": "Hel"})
    with LoopbackServer(sequence(never_answer, stall_after(text))) as server:
        context = seam.context(Timeout(total=0.5))
        started = time.monotonic()
        with pytest.raises(CallTimeoutError) as caught:
            seam.run(lambda: read(hedge_of(server.url), context))
        assert caught.value.phase == "total" and 0.45 <= time.monotonic() - started < 2
        assert [attempt.error for attempt in context.attempts] == ["Cancelled", "CallTimeoutError"]
        wait_until(lambda: left(server))


def test_the_deadline_ends_both_silent_ones(seam: Seam) -> None:
    with LoopbackServer(never_answer) as server:
        context = seam.context(Timeout(total=0.3))
        with pytest.raises(CallTimeoutError) as caught:
            seam.run(lambda: read(hedge_of(server.url), context))
        assert caught.value.phase == "total"
        assert [attempt.error for attempt in context.attempts] == ["CallTimeoutError"] * 2
        wait_until(lambda: left(server))


def test_leaving_early_closes_the_winners_socket(seam: Seam) -> None:
    text = chat_chunk({"role": "assistant", "content": "Hel"})
    with LoopbackServer(sequence(never_answer, stall_after(text))) as server:
        context = seam.context()

        async def main() -> None:
            async with aclosing(hedge_of(server.url)(context, REQUEST)) as lists:
                async for _ in lists:
                    break
            if seam.kind == "async":
                await seam.io.sleep(0.05)

        seam.run(main)
        wait_until(lambda: left(server))
        assert [attempt.seconds is not None for attempt in context.attempts] == [True, True]


def test_a_dropped_stream_closes_the_winners_socket(seam: Seam) -> None:
    """Nobody closed it: the last reference went away, and with it the connection, before any garbage collection."""
    text = chat_chunk({"role": "assistant", "content": "Hel"})
    with LoopbackServer(sequence(never_answer, stall_after(text))) as server:
        if seam.kind == "sync":
            lists = iterate(hedge_of(server.url)(seam.context(), REQUEST))
            next(lists)
            del lists
            wait_until(lambda: left(server))
            return

        async def main() -> None:
            lists = hedge_of(server.url)(seam.context(), REQUEST)
            await anext(lists)
            del lists
            async with asyncio.timeout(2):
                while not left(server):
                    await asyncio.sleep(0.01)

        seam.run(main)


def test_a_cancelled_task_leaves_nothing() -> None:
    seam = Seam("async")

    async def main() -> None:
        for until in (0.5 * DELAY, 2 * DELAY):
            task = asyncio.create_task(read(hedge_of(server.url), seam.context()))
            await asyncio.sleep(until)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        async with asyncio.timeout(1):
            while not left(server):
                await asyncio.sleep(0.01)

    with LoopbackServer(never_answer) as server:
        seam.run(main)
        assert len(server.requests) == 3


def test_a_failing_neighbour_of_a_gather_ends_the_winner_too(seam: Seam) -> None:
    """Where several calls run side by side, the failure of one ends the others, hedged or not."""
    text = chat_chunk({"role": "assistant", "content": "Hel"})
    with LoopbackServer(sequence(never_answer, stall_after(text))) as server:

        async def fail() -> None:
            await seam.io.sleep(4 * DELAY)
            raise ServerError("the neighbour")

        async def hedge() -> None:
            await read(hedge_of(server.url), seam.context())

        async def main() -> None:
            started = time.monotonic()
            with pytest.raises(ServerError, match="the neighbour"):
                await seam.io.gather([hedge, fail], limit=2)
            assert time.monotonic() - started < 2

        seam.run(main)
        wait_until(lambda: left(server))


def test_many_hedged_calls_at_once_each_keep_their_own_answer(seam: Seam) -> None:
    def script(exchange: Any) -> None:
        # Every other request stays silent; each answer says what was asked.
        if exchange.number % 2 == 0:
            exchange.stall(1)
        text = exchange.json()["messages"][0]["content"]
        sse_frames(chat_frames([text, "!"]))(exchange)

    with LoopbackServer(script) as server:

        async def one(number: int) -> None:
            request = GenerateRequest(model="m", messages=(user(f"question {number}"),))
            response = await read(hedge_of(server.url, most=3), seam.context(), request)
            assert response.text == f"question {number}!"
            assert errors(response).count(None) == 1

        async def main() -> None:
            await seam.io.gather([lambda number=number: one(number) for number in range(12)], limit=6)

        seam.run(main)
        wait_until(lambda: left(server))


# --- over doubles -------------------------------------------------------------------------------------------------


def test_the_time_counts_from_when_the_request_was_sent(seam: Seam) -> None:
    """A call that waits for its own limits is not slow: only silence after sending starts the second."""
    started: list[float] = []

    async def waits(context: Context, request: Any) -> Any:
        begun = context.io.now()
        started.append(begun)
        await context.io.sleep(3 * DELAY if len(started) == 1 else 0, context)
        sent = inner(context, request)
        async with aclosing(sent) as lists:
            async for events in lists:
                yield events

    inner = Double(0.4 * DELAY, *ANSWER)
    response = seam.run(lambda: read(hedged(waits, Hedge(DELAY)), seam.context()))
    assert response.text == "Hello" and len(started) == 1 and inner.started == 1


def test_a_second_that_waits_for_a_place_is_taken_out_of_the_queue(seam: Seam) -> None:
    """With one place only, the second never gets it while the first has it: one request, and nothing reserved after."""
    limiter, inner = Limiter(RateLimit(concurrency=1)), Double(START, 3 * DELAY, HELLO, end())
    response = seam.run(lambda: read(hedged(limited(inner, limiter), Hedge(DELAY)), seam.context()))
    assert response.text == "Hello" and inner.started == 1
    assert limiter.running == limiter.waiting == 0


def test_the_loser_keeps_what_it_said_it_used_and_it_is_added_nowhere(seam: Seam) -> None:
    used = UsageUpdate(Usage(input_tokens=90, output_tokens=1))
    inner = Double.of([[*START, used], 5.0, *ANSWER], ANSWER)
    context = seam.context()
    response = seam.run(lambda: read(hedged(inner, Hedge(DELAY)), context))
    assert response.usage == Usage(input_tokens=3, output_tokens=2)
    first, second = context.attempts
    assert (first.error, first.usage) == ("Cancelled", used.usage)
    assert (second.error, second.usage) == (None, None)
    assert inner.open == 0


def test_the_hooks_hear_of_the_start_and_of_the_winner(seam: Seam) -> None:
    told: list[Any] = []

    async def notify(kind: str, fact: Any) -> None:
        told.append((kind, fact))

    inner = Double.of([5.0, *ANSWER], ANSWER)
    seam.run(lambda: read(hedged(inner, Hedge(DELAY)), seam.context(notify=notify)))
    assert told == [("hedge", HedgeFact("started", after=DELAY)), ("hedge", HedgeFact("won", winner=2))]


def test_what_had_arrived_stays_with_the_error(seam: Seam) -> None:
    inner = Double(START, ServerError("gone"))

    async def main() -> list[Any]:
        heard = []
        with pytest.raises(ServerError, match="gone"):
            async for events in hedged(inner, Hedge(DELAY))(seam.context(), REQUEST):
                heard += events
        return heard

    assert seam.run(main) == START and inner.open == 0


def test_a_fault_of_another_kind_comes_out_as_it_is(seam: Seam) -> None:
    inner = Double.of([5.0, *ANSWER], [KeyError("ours")])
    with pytest.raises(KeyError, match="ours"):
        seam.run(lambda: read(hedged(inner, Hedge(DELAY)), seam.context()))
    assert inner.open == 0


def test_both_may_start_at_once(seam: Seam) -> None:
    inner = Double.of([5.0, *ANSWER], [0.02, *ANSWER])
    started = time.monotonic()
    assert seam.run(lambda: read(hedged(inner, Hedge(0)), seam.context())).text == "Hello"
    assert inner.started == 2 and time.monotonic() - started < 2


def test_an_empty_answer_is_an_answer(seam: Seam) -> None:
    inner = Double(START, end())

    async def main() -> Any:
        return [type(event) async for events in hedged(inner, Hedge(5))(seam.context(), REQUEST) for event in events]

    assert seam.run(main)[-1] is StreamEnd


def test_in_a_script_nothing_happens_at_once_so_nothing_is_hedged() -> None:
    io = ScriptedIO()
    inner = Double(START, 60, HELLO, end())
    assert drive(read(hedged(inner, Hedge(1)), Context(io))).text == "Hello"
    assert inner.started == 1 and io.now() == 60


def test_one_attempt_is_the_call_itself() -> None:
    inner = Double()
    assert hedged(inner, Hedge(1, max_attempts=1)) is inner


@pytest.mark.parametrize("settings", [{"delay": -1}, {"delay": "1"}, {"delay": 1, "max_attempts": 0}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"Hedge\("):
        Hedge(**settings)


def test_a_whole_answer_is_hedged_like_a_stream(seam: Seam) -> None:
    with LoopbackServer(sequence(never_answer, json_chat("whole"))) as server:
        response = seam.run(lambda: read(hedge_of(server.url, stream=False), seam.context()))
        assert response.text == "whole" and errors(response) == ["Cancelled", None]
