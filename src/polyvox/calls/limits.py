"""Limits of the caller's own: requests a minute, tokens a minute, and how many calls run at once.

The rules. Each attempt reserves one request and its tokens before it is sent, and waits for them in the order of
asking; a wait that would outlast the call's deadline is not begun, but refused at once. What was reserved is corrected
by what was really used, and given back where nothing was sent. The provider's own word comes on top: what the head of
an answer says is left lowers what may be sent, and a 429 that says how long to wait holds every call back until then.

A `Limiter` is shared by all calls whose requests the provider counts together (one key, mostly one model), from any
thread and any event loop. Its lock is never held over a wait.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from typing import Final, TypeAlias

from polyvox.calls.facts import LimitFact
from polyvox.calls.generate import Call, Events
from polyvox.errors import CallTimeoutError, LimitError, ProviderError, RateLimitError
from polyvox.io.base import Context, Signal
from polyvox.io.waiting import wait_within
from polyvox.types.events import Event, StreamEnd, UsageUpdate
from polyvox.types.generate import GenerateRequest
from polyvox.types.messages import Message
from polyvox.types.parts import Part, ReasoningPart, TextPart, ToolCall, ToolResult
from polyvox.types.policies import RateLimit as RateLimit
from polyvox.types.usage import RateLimits, Usage

Estimate: TypeAlias = Callable[[GenerateRequest], int]
"""How many tokens a request is thought to use, its answer included."""

_MINUTE: Final = 60.0
WAIT_CODE: Final = "rate_limit_wait"
"""The `code` of a `LimitError` for a wait that the call's time does not allow."""
# A wait for a bucket ends when this much is missing still: sums of fractions do not add up to the last bit.
_SLACK: Final = 1e-6


class _Bucket:
    """An allowance that fills up again evenly. It may be overdrawn; then it takes the longer."""

    __slots__ = ("at", "capacity", "level", "rate")

    def __init__(self, capacity: float, rate: float, level: float, at: float) -> None:
        self.capacity = capacity
        self.rate = rate
        self.level = level
        self.at = at

    def fill(self, now: float) -> None:
        """Bring the level up to date. Time that went back (another clock) fills nothing."""
        if now > self.at:
            self.level = min(self.capacity, self.level + (now - self.at) * self.rate)
            self.at = now

    def seconds(self, amount: float) -> float:
        """Return how long until `amount` is there; a full bucket is enough for what it could never hold."""
        missing = min(amount, self.capacity) - self.level
        return missing / self.rate if missing > _SLACK else 0.0

    def queue_seconds(self, queued: float, amount: float) -> float:
        """Return how long until `amount` is there for one who waits behind `queued`, each taken as soon as it is."""
        return max(0.0, queued + min(amount, self.capacity) - self.level) / self.rate

    def add(self, amount: float) -> None:
        """Put back (or, below 0, take)."""
        self.level = min(self.capacity, self.level + amount)


class _Allowance:
    """One kind of thing that is counted: the caller's own limit of it, and what the provider said is left."""

    __slots__ = ("name", "own", "queued", "told", "unseen")

    def __init__(self, name: str, per_minute: float | None) -> None:
        self.name = name
        self.own = None if per_minute is None else _Bucket(per_minute, per_minute / _MINUTE, per_minute, 0.0)
        self.told: _Bucket | None = None
        self.queued = 0.0
        """Wanted by those who wait."""
        self.unseen = 0.0
        """Reserved by requests whose answer has not begun: the provider's figures may not hold them yet."""

    def fill(self, now: float) -> None:
        for bucket in (self.own, self.told):
            if bucket is not None:
                bucket.fill(now)

    def seconds(self, amount: float) -> float:
        own, told = self.own, self.told
        return max(0.0 if own is None else own.seconds(amount), 0.0 if told is None else told.seconds(amount))

    def queue_seconds(self, amount: float) -> float:
        """Return how long one who comes now must wait at least, behind all the others."""
        return max((bucket.queue_seconds(self.queued, amount) for bucket in (self.own, self.told) if bucket), default=0)

    def take(self, amount: float) -> None:
        """Reserve."""
        self.unseen += amount
        for bucket in (self.own, self.told):
            if bucket is not None:
                bucket.add(-amount)

    def settle(self, reserved: float, used: float, *, seen: bool) -> None:
        """Correct a reservation. What the provider has seen stands in its own figures, rightly or not."""
        if not seen:
            self.unseen -= reserved
        for bucket in (self.own,) if seen else (self.own, self.told):
            if bucket is not None:
                bucket.add(reserved - used)

    def hear(self, limit: int | None, remaining: int | None, reset: float | None, now: float) -> None:
        """Take in what the head of an answer says: so much is left, and all of it again in `reset` seconds.

        Taken as an even filling, which it is with most providers; with one that refills at once, at the end of a
        window, this is the cautious reading.
        """
        if remaining is None:
            return
        capacity = float(max(limit or 0, remaining, 1))
        used = capacity - remaining
        rate = used / reset if used and reset else capacity / _MINUTE
        self.told = _Bucket(capacity, rate, remaining - self.unseen, now)


class _Turn:
    """A call that waits."""

    __slots__ = ("signal", "tokens")

    def __init__(self, tokens: int, signal: Signal) -> None:
        self.tokens = tokens
        self.signal = signal


class Limiter:
    """The state of a `RateLimit`: what is used of it now, and who waits. Shared by calls; safe in any thread."""

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._requests = _Allowance("requests_per_minute", limit.requests_per_minute)
        self._tokens = _Allowance("tokens_per_minute", limit.tokens_per_minute)
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

    async def reserve(self, context: Context, tokens: int = 0) -> Reservation:
        """Wait for room for one request of so many tokens, and take it.

        Raises `LimitError` at once where the wait would pass the call's deadline (its `retry_after` is the wait), and
        at the deadline where all places stayed taken; `Cancelled` where the call is aborted meanwhile.
        """
        context.check()
        now = context.io.now()
        with self._lock:
            self._fill(now)
            if not self._waiting and self._seconds(tokens, now) == 0.0:
                return self._take(tokens)
            seconds = max(self._requests.queue_seconds(1), self._tokens.queue_seconds(tokens), self._held_until - now)
            self._refuse_late(context, now, seconds, tokens)
            reason = self._reason(tokens, now)[1]
            turn = _Turn(tokens, context.io.event())
            self._waiting.append(turn)
            self._requests.queued += 1
            self._tokens.queued += tokens
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
                self._fill(now)
                first = self._waiting[0] is turn
                seconds = self._seconds(turn.tokens, now) if first else max(0.0, self._held_until - now)
                if first and seconds == 0.0:
                    self._leave(turn)
                    return self._take(turn.tokens)
                known = max(self._held_until - now, 0.0 if seconds == float("inf") else seconds)
                self._refuse_late(context, now, known, turn.tokens)
                turn.signal.clear()
            # Whoever is not the first, or waits for a place, is woken by others; the first also by time.
            limit = seconds if first and 0.0 < seconds < float("inf") else None
            try:
                await wait_within(turn.signal, limit, context)
            except CallTimeoutError:
                raise self._too_late(turn.tokens, began, context.io.now()) from None

    def _fill(self, now: float) -> None:
        self._requests.fill(now)
        self._tokens.fill(now)

    def _seconds(self, tokens: float, now: float) -> float:
        """Return how long the first in the queue must wait: infinite while all places are taken."""
        if self.limit.concurrency is not None and self._running >= self.limit.concurrency:
            return float("inf")
        return max(self._requests.seconds(1), self._tokens.seconds(tokens), self._held_until - now, 0.0)

    def _take(self, tokens: int) -> Reservation:
        self._requests.take(1)
        self._tokens.take(tokens)
        self._running += 1
        return Reservation(self, tokens)

    def _leave(self, turn: _Turn) -> None:
        self._waiting.remove(turn)
        self._requests.queued -= 1
        self._tokens.queued -= turn.tokens
        self._wake_first()

    def _wake_first(self) -> None:
        if self._waiting:
            self._waiting[0].signal.set()

    def _refuse_late(self, context: Context, now: float, seconds: float, tokens: int) -> None:
        if context.deadline is None or now + seconds <= context.deadline:
            return
        setting, limit = self._reason(tokens, now)
        left = max(0.0, context.deadline - now)
        raise LimitError(
            f"the call would have to wait {seconds:.3g} s for {limit}, and only {left:.3g} s are left of its time: "
            f"raise {setting}, or Timeout(total=…)",
            code=WAIT_CODE,
            retry_after=seconds,
        )

    def _too_late(self, tokens: int, began: float, now: float) -> LimitError:
        with self._lock:
            setting, limit = self._reason(tokens, now)
        return LimitError(
            f"the call's time was over after {now - began:.3g} s of waiting for {limit}: "
            f"raise {setting}, or Timeout(total=…)",
            code=WAIT_CODE,
        )

    def _reason(self, tokens: int, now: float) -> tuple[str, str]:
        """Return the setting to raise, and the words for the limit that a wait is mostly for."""
        if self._held_until > now:
            return "the limit at the provider", f"the provider, which asks to wait {self._held_until - now:.3g} s"
        waits: list[tuple[float, str, str]] = []
        for allowance, unit, amount in ((self._requests, "requests", 1), (self._tokens, "tokens", tokens)):
            own, told = allowance.own, allowance.told
            if own is not None:
                setting = f"RateLimit({allowance.name}={own.capacity:g})"
                limit = f"the limit of {own.capacity:g} {unit} a minute ({max(0.0, own.level):.0f} left"
                queue = f", {allowance.queued:.0f} asked for before it)" if allowance.queued else ")"
                waits.append((own.queue_seconds(allowance.queued, amount), setting, limit + queue))
            if told is not None:
                limit = f"the provider's own limit of {unit} ({max(0.0, told.level):.0f} left)"
                waits.append((told.queue_seconds(allowance.queued, amount), "the limit at the provider", limit))
        longest = max(waits, default=(0.0, "", ""))
        if longest[0] > 0.0 or self.limit.concurrency is None:
            return longest[1:]
        concurrency = self.limit.concurrency
        return f"RateLimit(concurrency={concurrency})", f"the limit of {concurrency} calls at once"

    # --- what a reservation comes to ------------------------------------------------------------------------------

    def hear(self, rate_limits: RateLimits, now: float) -> None:
        """Take in what the head of an answer says of the provider's limits."""
        with self._lock:
            self._fill(now)
            said = rate_limits
            self._requests.hear(said.limit_requests, said.remaining_requests, said.reset_requests, now)
            self._tokens.hear(said.limit_tokens, said.remaining_tokens, said.reset_tokens, now)
            self._wake_first()

    def hold(self, seconds: float, now: float) -> None:
        """Hold every call back for so many seconds: the provider said so. Those who wait already look again."""
        with self._lock:
            self._held_until = max(self._held_until, now + seconds)
            for turn in self._waiting:
                turn.signal.set()

    def settle(self, reservation: Reservation, requests: int, tokens: float, now: float) -> None:
        """End a reservation: so much of it was really used."""
        with self._lock:
            self._fill(now)
            self._requests.settle(1, requests, seen=reservation.seen)
            self._tokens.settle(reservation.tokens, tokens, seen=reservation.seen)
            self._running -= 1
            self._wake_first()

    def see(self, reservation: Reservation) -> None:
        """The answer has begun: from here on the provider's figures hold this request."""
        with self._lock:
            if not reservation.seen:
                reservation.seen = True
                self._requests.unseen -= 1
                self._tokens.unseen -= reservation.tokens


class Reservation:
    """One request and its tokens, taken from a `Limiter` until they are settled. A second settling does nothing."""

    __slots__ = ("_limiter", "_open", "seen", "tokens")

    def __init__(self, limiter: Limiter, tokens: int) -> None:
        self._limiter = limiter
        self._open = True
        self.tokens = tokens
        self.seen = False

    def begin(self, rate_limits: RateLimits | None, now: float) -> None:
        """The head of the answer is there, and says this of the provider's limits."""
        self._limiter.see(self)
        if rate_limits is not None:
            self._limiter.hear(rate_limits, now)

    def settle(self, tokens: float | None, now: float) -> None:
        """The request was sent and used so many tokens; `None`: nobody said, so that the estimate stands."""
        if self._open:
            self._open = False
            self._limiter.settle(self, 1, self.tokens if tokens is None else tokens, now)

    def give_back(self, now: float) -> None:
        """Nothing was sent."""
        if self._open:
            self._open = False
            self._limiter.settle(self, 0, 0, now)


def estimate_tokens(request: GenerateRequest) -> int:
    """Return a rough figure: a token for four characters of text, and the answer's `max_tokens` where said."""
    characters = sum(_characters(message) for message in request.messages)
    return characters // 4 + (request.max_tokens or 0) * (request.n or 1)


def _characters(message: Message) -> int:
    return sum(_length(part) for part in message.content)


def _length(part: Part) -> int:
    if isinstance(part, TextPart | ReasoningPart):
        return len(part.text)
    if isinstance(part, ToolCall):
        return len(part.arguments)
    if isinstance(part, ToolResult):
        return sum(_length(inner) for inner in part.content)
    return 0


def limited(inner: Call, limiter: Limiter, estimate: Estimate = estimate_tokens) -> Call:
    """Return `inner`, kept within the limits of `limiter`. `estimate` says what a request will use."""

    async def generate(context: Context, request: GenerateRequest) -> Events:
        reservation = await limiter.reserve(context, estimate(request))
        io = context.io
        # Nothing of an attempt before this one is ours.
        context.connected = context.rate_limits = None
        outcome = _Outcome()
        try:
            async with aclosing(inner(context, request)) as lists:
                async for events in lists:
                    if not reservation.seen:
                        reservation.begin(context.rate_limits, io.now())
                    outcome.feed(events)
                    yield events
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
