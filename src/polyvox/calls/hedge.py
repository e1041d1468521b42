"""Hedging: where a call stays silent for a while, the same request is sent once more beside it, and the first to bring
content is the answer.

The rules. Silence starts another attempt, failure does not: to make a failed call again is retry's business. The time
counts from when the request was sent: a call that waits for its own limits is not slow. The loser is aborted at once
and stands in `attempts` as `Cancelled`, with what it said it used. Whatever ends the call ends every attempt: their
generators are closed here, and nobody else holds them.

In sync each attempt begins in a thread of its own, and the winner is read on in the caller's; the threads are gone by
then. Name resolution in sync and the signing of a request are reached by no abort: a loser caught there holds the
winner up until it is done.
"""

from __future__ import annotations

import threading
from contextlib import aclosing
from functools import partial
from typing import Final

from msgspec import Struct, structs

from polyvox.calls.facts import HedgeFact
from polyvox.calls.generate import Call, Events
from polyvox.calls.startup import is_startup
from polyvox.errors import CallTimeoutError, Cancelled, ConfigError, PolyvoxError
from polyvox.io.base import Context
from polyvox.io.waiting import wait_within
from polyvox.types.events import Event, StreamEnd, UsageUpdate
from polyvox.types.generate import GenerateRequest
from polyvox.types.usage import Usage

_TICK: Final = 0.005


class Hedge(Struct, frozen=True):
    """When to try once more beside a silent call.

    `delay` is the seconds without content after which the next attempt starts; the time to first content that nine of
    ten calls keep is a good figure. `max_attempts` is how many may run at once, the first included.
    """

    delay: float
    max_attempts: int = 2

    def __post_init__(self) -> None:
        if isinstance(self.delay, bool) or not isinstance(self.delay, int | float) or not self.delay >= 0:
            raise ConfigError(f"Hedge(delay={self.delay!r}): give seconds, from 0")
        if isinstance(self.max_attempts, bool) or not isinstance(self.max_attempts, int) or self.max_attempts < 1:
            raise ConfigError(f"Hedge(max_attempts={self.max_attempts!r}): give a whole number from 1")


def hedged(inner: Call, hedge: Hedge) -> Call:
    """Return `inner`, started once more beside itself where it brings nothing within `hedge.delay`."""
    if hedge.max_attempts == 1:
        return inner

    async def generate(context: Context, request: GenerateRequest) -> Events:
        race = _Race(inner, hedge, context, request)
        try:
            runner = await race.run()
            if runner.held:
                yield runner.held
            failure, runner.error = runner.error, None
            if failure is not None:
                try:
                    raise failure
                finally:
                    del failure  # no cycle of error, frame and attempt
            async with aclosing(runner.answer) as answer:
                async for events in answer:
                    yield events
        finally:
            await race.close()

    return generate


class _Runner:
    """One attempt: its context, its events so far, and how it came out."""

    def __init__(self, inner: Call, context: Context, request: GenerateRequest) -> None:
        self.context = context.branch()
        # Kept apart until the race is decided, so that each attempt's own are known.
        self.context.attempts = []
        self.unlink = context.cancel.add(self.context.cancel.set)
        self.answer = inner(self.context, request)
        self.held: list[Event] = []
        self.error: PolyvoxError | None = None

    async def first_content(self) -> None:
        """Read until there is content, or the end."""
        async for events in self.answer:
            self.held += events
            if not is_startup(events):
                return

    @property
    def sent(self) -> float | None:
        """The instant at which the first request of this attempt was sent, `None` where none was."""
        attempts = self.context.attempts
        return self.context.started + attempts[0].started if attempts else None

    def count_lost(self) -> None:
        """Say in the attempt that it was cancelled, unless it had failed by itself, and what it said it used."""
        attempts = self.context.attempts
        if attempts and (self.error is None or isinstance(self.error, Cancelled)):
            attempts[-1] = structs.replace(attempts[-1], error=Cancelled.__name__, usage=_usage(self.held))


class _Race:
    """The attempts of one call, from the first's start to the last's end."""

    def __init__(self, inner: Call, hedge: Hedge, context: Context, request: GenerateRequest) -> None:
        self._hedge = hedge
        self._context = context
        self._make = partial(_Runner, inner, context, request)
        self._lock = threading.Lock()
        self._decided = context.io.event()  # nothing further starts: one has won, or one has failed
        self._runners: list[_Runner] = []
        self._winner: _Runner | None = None
        self._joined = False

    async def run(self) -> _Runner:
        """Return the attempt that brought content first, or, where none did, the first that was started."""
        context, most = self._context, self._hedge.max_attempts
        context.check()
        await context.io.gather([partial(self._attempt, place) for place in range(most)], limit=most)
        winner = self._winner
        if winner is None:
            context.cancel.check()
            await self._join_attempts()
            context.adopt(self._runners[0].context)
            return self._runners[0]
        await self._join_attempts()
        context.adopt(winner.context)
        if len(self._runners) > 1 and context.notify is not None:
            await context.notify("hedge", HedgeFact("won", winner=self._runners.index(winner) + 1))
        return winner

    async def close(self) -> None:
        """End every attempt, whatever came of it."""
        await self._join_attempts()
        if self._winner is not None:
            await self._winner.answer.aclose()
        for runner in self._runners:
            runner.unlink()

    async def _join_attempts(self) -> None:
        """End all but the winner, and give the call their attempts in the order they were started.

        The winner goes on to keep its own there.
        """
        if self._joined:
            return
        self._joined = True
        attempts = self._context.attempts
        for runner in self._runners:
            if runner is not self._winner:
                await runner.answer.aclose()
                if self._winner is not None:
                    runner.count_lost()
            attempts += runner.context.attempts
            runner.context.attempts = attempts

    async def _attempt(self, place: int) -> None:
        if place and not await self._silent(place):
            return
        with self._lock:
            if self._winner is not None or self._decided.is_set:
                return
            runner = self._make()
            self._runners.append(runner)
        if place and self._context.notify is not None:
            await self._context.notify("hedge", HedgeFact("started", after=self._hedge.delay * place))
        try:
            await runner.first_content()
        except PolyvoxError as error:
            runner.error = error
            self._decided.set()
            return
        self._settle(runner)

    def _settle(self, runner: _Runner) -> None:
        with self._lock:
            if self._winner is not None:
                return
            self._winner = runner
            others = [other for other in self._runners if other is not runner]
        self._decided.set()
        for other in others:
            other.context.cancel.set()

    async def _silent(self, place: int) -> bool:
        """Wait until the first attempt has been silent for the time after which number `place` starts.

        False where it is decided before that, or the call is over: the first attempt itself says why.
        """
        delay = self._hedge.delay * place
        left = delay
        try:
            while not await wait_within(self._decided, left, self._context):
                sent = self._runners[0].sent if self._runners else None
                # Not sent yet (it waits for a limit): looked at again when it may be due at the earliest.
                left = max(delay, _TICK) if sent is None else sent + delay - self._context.io.now()
                if left <= 0:
                    return True
        except (Cancelled, CallTimeoutError):
            return False
        return False


def _usage(events: list[Event]) -> Usage | None:
    usage = None
    for event in events:
        if isinstance(event, UsageUpdate):
            usage = event.usage
        elif isinstance(event, StreamEnd):
            usage = event.usage or (event.response.usage if event.response else None) or usage
    return usage
