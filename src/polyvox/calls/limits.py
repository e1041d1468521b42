"""Limits of the caller's own: requests a minute, tokens a minute, and how many calls run at once.

The rules. Each attempt reserves one request and its tokens before it is sent, and waits for them in the order of
asking; a wait that would outlast the call's deadline is not begun, but refused at once. What was reserved is corrected
by what was really used, and given back where nothing was sent. The provider's own word comes on top: what the head of
an answer says is left lowers what may be sent, and a 429 that says how long to wait holds every call back until then.

A `Limiter` is shared by all calls that go out with one key, from any thread and any event loop. What the provider says
of its limits is kept by model, since most count by it. The lock is never held over a wait.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Final, TypeAlias

from polyvox.calls.allowance import Counter, Needs, seconds_for, settle, take, take_at_once
from polyvox.calls.facts import LimitFact
from polyvox.calls.generate import Call, Events
from polyvox.errors import CallTimeoutError, LimitError, ProviderError, RateLimitError
from polyvox.io.base import Context, Signal
from polyvox.io.waiting import wait_within
from polyvox.types.events import Event, StreamEnd, UsageUpdate
from polyvox.types.generate import GenerateRequest
from polyvox.types.parts import Part, ReasoningPart, TextPart, ToolCall, ToolResult
from polyvox.types.policies import RateLimit as RateLimit
from polyvox.types.usage import RateLimits, Usage

Estimate: TypeAlias = Callable[[GenerateRequest], int]
"""How many tokens a request is thought to use, its answer included."""

WAIT_CODE: Final = "rate_limit_wait"
"""The `code` of a `LimitError` for a wait that the call's time does not allow."""


class _Turn:
    """A call that waits."""

    __slots__ = ("needs", "signal")

    def __init__(self, needs: Needs, signal: Signal) -> None:
        self.needs = needs
        self.signal = signal


class Limiter:
    """The state of a `RateLimit`: what is used of it now, and who waits. Shared by calls; safe in any thread."""

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._requests = Counter("requests", "requests_per_minute", limit.requests_per_minute)
        self._tokens = Counter("tokens", "tokens_per_minute", limit.tokens_per_minute)
        # The provider's own limits, which mostly are a model's.
        self._told: dict[str, tuple[Counter, Counter]] = {}
        self._running = 0
        self._held_until = 0.0
        self._waiting: deque[_Turn] = deque()

    def __repr__(self) -> str:
        return f"<Limiter {self.limit!r}, {self._running} running, {len(self._waiting)} waiting>"

    @property
    def running(self) -> int:
        """How many calls hold a reservation now."""
        return self._running

    @property
    def waiting(self) -> int:
        """How many calls wait for one."""
        return len(self._waiting)

    async def reserve(self, context: Context, tokens: int = 0, scope: str = "") -> Reservation:
        """Wait for room for one request of so many tokens, and take it. `scope` names what the provider counts by.

        Raises `LimitError` at once where the wait would pass the call's deadline (its `retry_after` is the wait), and
        at the deadline where all places stayed taken; `Cancelled` where the call is aborted meanwhile.
        """
        context.cancel.check()
        now = context.io.now()
        if context.until is not None and now >= context.until:
            raise context.timed_out()
        with self._lock:
            told = self._told.get(scope)
            if told is None:
                told = self._told[scope] = (Counter("requests"), Counter("tokens"))
            needs: Needs = ((self._requests, 1), (self._tokens, tokens), (told[0], 1), (told[1], tokens))
            most = self.limit.concurrency
            is_free = not self._waiting and self._held_until <= now and (most is None or self._running < most)
            if is_free and take_at_once(needs, now):
                self._running += 1
                return Reservation(self, needs)
            seconds = max(counter.queue_seconds(amount, now) for counter, amount in needs)
            self._refuse_late(context, now, max(seconds, self._held_until - now), needs)
            reason = self._reason(needs, now)[1]
            turn = _Turn(needs, context.io.event())
            self._waiting.append(turn)
            for counter, amount in needs:
                counter.queued += amount
        try:
            reservation = await self._wait(context, turn)
        except BaseException:
            with self._lock:
                if turn in self._waiting:
                    self._leave(turn)
            raise
        if context.notify is not None:
            await self._tell(context, reservation, LimitFact(context.io.now() - now, reason))
        return reservation

    async def _tell(self, context: Context, reservation: Reservation, fact: LimitFact) -> None:
        try:
            assert context.notify is not None
            await context.notify("limit", fact)
        except BaseException:
            reservation.give_back(context.io.now())
            raise

    async def _wait(self, context: Context, turn: _Turn) -> Reservation:
        began = context.io.now()
        while True:
            now = context.io.now()
            with self._lock:
                first = self._waiting[0] is turn
                seconds = self._seconds(turn.needs, now) if first else inf
                if seconds == 0.0:
                    self._leave(turn)
                    return self._take(turn.needs)
                known = max(self._held_until - now, 0.0 if seconds == inf else seconds)
                self._refuse_late(context, now, known, turn.needs)
                turn.signal.clear()
            try:
                # Whoever is not the first, or waits for a place, is woken by others; the first also by time.
                await wait_within(turn.signal, None if seconds == inf else seconds, context)
            except CallTimeoutError:
                raise self._too_late(turn.needs, began, context.io.now()) from None

    def _seconds(self, needs: Needs, now: float) -> float:
        """Return how long the first in the queue must wait: infinite while all places are taken."""
        if self.limit.concurrency is not None and self._running >= self.limit.concurrency:
            return inf
        seconds = seconds_for(needs, now)
        return max(seconds, self._held_until - now) if self._held_until > now else seconds

    def _take(self, needs: Needs) -> Reservation:
        take(needs)
        self._running += 1
        return Reservation(self, needs)

    def _leave(self, turn: _Turn) -> None:
        self._waiting.remove(turn)
        for counter, amount in turn.needs:
            counter.queued -= amount
        self._wake_first()

    def _wake_first(self) -> None:
        if self._waiting:
            self._waiting[0].signal.set()

    def _refuse_late(self, context: Context, now: float, seconds: float, needs: Needs) -> None:
        if context.deadline is None or now + seconds <= context.deadline:
            return
        setting, limit = self._reason(needs, now)
        left = max(0.0, context.deadline - now)
        raise LimitError(
            f"the call would have to wait {seconds:.3g} s for {limit}, and only {left:.3g} s are left of its time: "
            f"raise {setting}, or Timeout(total=…)",
            code=WAIT_CODE,
            retry_after=seconds,
        )

    def _too_late(self, needs: Needs, began: float, now: float) -> LimitError:
        with self._lock:
            setting, limit = self._reason(needs, now)
        return LimitError(
            f"the call's time was over after {now - began:.3g} s of waiting for {limit}: "
            f"raise {setting}, or Timeout(total=…)",
            code=WAIT_CODE,
        )

    def _reason(self, needs: Needs, now: float) -> tuple[str, str]:
        """Return the setting to raise, and the words for the limit that a wait is mostly for."""
        if self._held_until > now:
            return "the limit at the provider", f"the provider, which asks to wait {self._held_until - now:.3g} s"
        waits = [(counter.queue_seconds(amount, now), *counter.words()) for counter, amount in needs if counter.bucket]
        longest = max(waits, default=(0.0, "the limit", "its turn"))
        if longest[0] > 0.0 or self.limit.concurrency is None:
            return longest[1:]
        concurrency = self.limit.concurrency
        return f"RateLimit(concurrency={concurrency})", f"the limit of {concurrency} calls at once"

    # --- what a reservation comes to ------------------------------------------------------------------------------

    def begin(self, reservation: Reservation, said: RateLimits | None, now: float) -> None:
        """The answer has begun: from here on the provider's figures hold this request, and it says them here.

        Where it says none, `now` is not looked at.
        """
        with self._lock:
            if not reservation.seen:
                reservation.seen = True
                for counter, amount in reservation.needs:
                    counter.unseen -= amount
            if said is not None:
                (_, _, (requests, _), (tokens, _)) = reservation.needs
                requests.hear(said.limit_requests, said.remaining_requests, said.reset_requests, now)
                tokens.hear(said.limit_tokens, said.remaining_tokens, said.reset_tokens, now)
                self._wake_first()

    def hold(self, seconds: float, now: float) -> None:
        """Hold every call back for so many seconds: the provider said so. Those who wait already look again."""
        with self._lock:
            self._held_until = max(self._held_until, now + seconds)
            for turn in self._waiting:
                turn.signal.set()

    def settle(self, reservation: Reservation, requests: float, tokens: float, now: float) -> None:
        """End a reservation: so much of it was really used."""
        with self._lock:
            if not reservation._open:
                return
            reservation._open = False
            settle(reservation.needs, requests, tokens, now, seen=reservation.seen)
            self._running -= 1
            if self._waiting:
                self._wake_first()


class Reservation:
    """One request and its tokens, taken from a `Limiter` until they are settled. A second settling does nothing."""

    __slots__ = ("_limiter", "_open", "needs", "seen")

    def __init__(self, limiter: Limiter, needs: Needs) -> None:
        self._limiter = limiter
        self._open = True
        self.needs = needs
        self.seen = False

    def begin(self, rate_limits: RateLimits | None, now: float) -> None:
        """The head of the answer is there, and says this of the provider's limits."""
        self._limiter.begin(self, rate_limits, now)

    def settle(self, tokens: float | None, now: float) -> None:
        """The request was sent and used so many tokens; `None`: nobody said, so that the estimate stands."""
        self._limiter.settle(self, 1, self.needs[1][1] if tokens is None else tokens, now)

    def give_back(self, now: float) -> None:
        """Nothing was sent."""
        self._limiter.settle(self, 0, 0, now)


def estimate_tokens(request: GenerateRequest) -> int:
    """Return a rough figure: a token for four characters of text, and the answer's `max_tokens` where said."""
    characters = 0
    # Plain loops: with limits this runs before every attempt.
    for message in request.messages:
        for part in message.content:
            characters += len(part.text) if type(part) is TextPart else _length(part)
    return characters // 4 + (request.max_tokens or 0) * (request.n or 1)


def _length(part: Part) -> int:
    if isinstance(part, TextPart | ReasoningPart):
        return len(part.text)
    if isinstance(part, ToolCall):
        return len(part.arguments)
    if isinstance(part, ToolResult):
        return sum(_length(inner) for inner in part.content)
    return 0


def limited(inner: Call, limiter: Limiter, estimate: Estimate = estimate_tokens, *, scope: str | None = None) -> Call:
    """Return `inner`, kept within the limits of `limiter`. `estimate` says what a request will use.

    What the provider says of its own limits is kept for each `scope`: the model that is asked, where not said.
    """

    async def generate(context: Context, request: GenerateRequest) -> Events:
        reservation = await limiter.reserve(context, estimate(request), request.model if scope is None else scope)
        io = context.io
        # Nothing of an attempt before this one is ours.
        context.connected = context.rate_limits = None
        outcome = _Outcome()
        try:
            lists = inner(context, request)
            try:
                async for events in lists:
                    if not reservation.seen:
                        said = context.rate_limits
                        limiter.begin(reservation, said, 0.0 if said is None else io.now())
                    outcome.feed(events)
                    yield events
            finally:
                await lists.aclose()
        except ProviderError as error:
            outcome.refused = not outcome.begun
            if isinstance(error, RateLimitError) and error.retry_after:
                limiter.hold(error.retry_after, io.now())
            raise
        finally:
            outcome.settle(reservation, context)

    return generate


class _Outcome:
    """What an attempt came to, as far as its reservation cares."""

    __slots__ = ("_ended", "_usage", "begun", "refused")

    def __init__(self) -> None:
        self._usage: Usage | None = None
        self._ended = False
        self.begun = False
        self.refused = False

    def feed(self, events: list[Event]) -> None:
        self.begun = True
        last = events[-1] if events else None
        if type(last) is StreamEnd and last.response is not None:
            # The whole answer is there, and says what it used.
            self._ended = True
            self._usage = last.usage or last.response.usage
            return
        for event in events:
            kind = type(event)
            if kind is UsageUpdate:
                self._usage = event.usage  # type: ignore[union-attr]
            elif kind is StreamEnd:
                assert isinstance(event, StreamEnd)
                self._ended = True
                self._usage = event.usage or (event.response.usage if event.response else None) or self._usage

    def settle(self, reservation: Reservation, context: Context) -> None:
        now = context.io.now()
        if not reservation.seen and context.rate_limits is not None:
            reservation.begin(context.rate_limits, now)
        if context.connected is None and not self.begun:
            reservation.give_back(now)
        elif self.refused:
            reservation.settle(0, now)
        else:
            # Of an answer that broke off nobody knows what it went on to use: the estimate stands.
            reservation.settle(self._usage.total_tokens if self._ended and self._usage else None, now)
