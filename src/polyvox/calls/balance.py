"""Load balancing: one provider's calls over several keys or endpoints.

The rules. Which one is next is decided here, how often to try is not: a choice that was refused rests, and the error
says by `retryable` and `retry_after` that the one owner of retries may go on at once with another. Only a choice that
refused before anything was sent (its circuit is open) is passed over right here. Names are for people and for
`response.attempts`; they hold no secret.

A `Balancer` is shared by all calls to that provider, from any thread and any event loop.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import aclosing
from math import inf

from msgspec import Struct

from polyvox.calls.breaker import OPEN_CODE
from polyvox.calls.generate import Call, Events
from polyvox.errors import (
    AuthenticationError,
    BillingError,
    CallTimeoutError,
    ConfigError,
    LimitError,
    PermissionDeniedError,
    PolyvoxError,
    RateLimitError,
    ServerError,
    TransportError,
)
from polyvox.io.base import Context
from polyvox.secrets import sanitize
from polyvox.types.generate import GenerateRequest
from polyvox.types.policies import Balance as Balance


class Choice(Struct, frozen=True):
    """One key or endpoint. `name` says which to people and must hold no secret; `weight` is its share of the calls."""

    name: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigError("Choice(name=…): give a name")
        if sanitize(self.name) != self.name:
            raise ConfigError("Choice(name=…) looks like a key: give a name that says which one it is")
        if isinstance(self.weight, bool) or not isinstance(self.weight, int | float) or not self.weight > 0:
            raise ConfigError(f"Choice({self.name!r}, weight={self.weight!r}): give a number above 0")


class _State:
    """What is known of one choice."""

    __slots__ = ("busy", "choice", "current", "place", "rested_at", "rests_until", "waits")

    def __init__(self, place: int, choice: Choice) -> None:
        self.place = place
        self.choice = choice
        self.busy = 0
        self.current = 0.0
        """Its credit in the smooth weighted order."""
        self.rested_at = self.rests_until = -inf
        self.waits = True
        """Whether its rest ends by waiting: a limit's does, a refused key's hardly."""


class Balancer:
    """The state of a balance: whose turn it is, who is busy, who rests. Safe in any thread."""

    def __init__(self, choices: Sequence[Choice], settings: Balance | None = None) -> None:
        names = [choice.name for choice in choices]
        if not names:
            raise ConfigError("a Balancer needs a choice: give at least one key or endpoint")
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"two choices of a Balancer are named {name!r}: give each its own name")
        self.settings = settings or Balance()
        self._states = [_State(place, choice) for place, choice in enumerate(choices)]
        self._lock = threading.Lock()
        self._next = 0

    def __repr__(self) -> str:
        return f"<Balancer {self.settings.strategy} over {', '.join(self.names)}>"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the choices, in order."""
        return tuple(state.choice.name for state in self._states)

    def resting(self, now: float) -> dict[str, float]:
        """Return the names of those that rest, and for how many seconds more."""
        with self._lock:
            return {state.choice.name: state.rests_until - now for state in self._states if state.rests_until > now}

    def take(self, now: float, passed: Sequence[int] = ()) -> int:
        """Choose one and count it as busy, until `release`. `passed` are places not to choose.

        Where all rest, it is the one that is free first.
        """
        with self._lock:
            left = [state for state in self._states if state.place not in passed]
            awake = [state for state in left if state.rests_until <= now]
            chosen = self._choose(awake) if awake else min(left, key=lambda state: state.rests_until)
            chosen.busy += 1
            return chosen.place

    def release(self, place: int) -> None:
        """A call that took this place is over."""
        with self._lock:
            self._states[place].busy -= 1

    def rest(self, place: int, seconds: float, now: float, *, waits: bool = True) -> None:
        """Let a choice rest. `waits`: whether it is to be tried again just because time has passed."""
        with self._lock:
            state = self._states[place]
            if now + seconds > state.rests_until:
                state.rested_at, state.rests_until, state.waits = now, now + seconds, waits

    def wake(self, place: int, began: float) -> None:
        """A call that began at this instant was answered: what the choice rested for since before that is over."""
        with self._lock:
            state = self._states[place]
            if state.rested_at < began:
                state.rests_until = -inf

    def next_free(self, now: float, *, but: int | None = None, refused: bool = False) -> float | None:
        """Return the seconds until some choice (`but` this one) is free, 0 where one is.

        `None` where waiting frees none; with `refused`, those that were refused count as freed by time, too.
        """
        with self._lock:
            rests = [
                state.rests_until - now
                for state in self._states
                if state.place != but and (refused or state.waits or state.rests_until <= now)
            ]
        return max(0.0, min(rests)) if rests else None

    def _choose(self, awake: list[_State]) -> _State:
        if len(awake) == 1:
            return awake[0]
        if self.settings.strategy == "weighted":
            return _weighted(awake)
        # In turn: those behind the last one chosen come first.
        count = len(self._states)
        turns = sorted(awake, key=lambda state: (state.place - self._next) % count)
        if self.settings.strategy == "least_busy":
            chosen = min(turns, key=lambda state: (state.busy + 1) / state.choice.weight)
        else:
            chosen = turns[0]
        self._next = (chosen.place + 1) % count
        return chosen


def _weighted(awake: list[_State]) -> _State:
    """Smooth weighted round robin: everyone earns its weight, the richest is taken and pays for all.

    https://github.com/nginx/nginx/commit/52327e0627f49dbda1e8db695e63a4b0af4448b1
    """
    total = 0.0
    for state in awake:
        state.current += state.choice.weight
        total += state.choice.weight
    chosen = max(awake, key=lambda state: state.current)
    chosen.current -= total
    return chosen


def balanced(calls: Sequence[Call], balancer: Balancer) -> Call:
    """Return a call that goes out through one of `calls`, which stand in the order of the balancer's choices."""
    if len(calls) != len(balancer.names):
        raise ConfigError(f"{len(calls)} calls for the {len(balancer.names)} choices of {balancer!r}")

    async def generate(context: Context, request: GenerateRequest) -> Events:
        passed: list[int] = []
        before = context.endpoint
        while True:
            began = context.io.now()
            place = balancer.take(began, passed)
            context.endpoint = balancer.names[place]
            answered = False
            try:
                async with aclosing(calls[place](context, request)) as lists:
                    async for events in lists:
                        if not answered:
                            answered = True
                            balancer.wake(place, began)
                        yield events
                return
            except PolyvoxError as error:
                now = context.io.now()
                _rest(balancer, place, error, now)
                passed.append(place)
                if answered or not _was_closed(error) or len(passed) == len(calls):
                    _advise(balancer, place, error, now)
                    raise
            finally:
                context.endpoint = before
                balancer.release(place)

    return generate


def _was_closed(error: PolyvoxError) -> bool:
    """Whether the choice's circuit is open: nothing was sent."""
    return isinstance(error, LimitError) and error.code == OPEN_CODE


def _rest(balancer: Balancer, place: int, error: PolyvoxError, now: float) -> None:
    settings = balancer.settings
    if isinstance(error, RateLimitError):
        seconds = settings.rate_limit_rest if error.retry_after is None else error.retry_after
        balancer.rest(place, seconds, now)
    elif isinstance(error, AuthenticationError | BillingError):
        balancer.rest(place, settings.refused_rest, now, waits=False)
    elif isinstance(error, PermissionDeniedError):
        balancer.rest(place, settings.rate_limit_rest, now, waits=False)
    elif _was_closed(error):
        balancer.rest(place, error.retry_after or 0.0, now, waits=False)
    elif isinstance(error, TransportError | ServerError) and not _is_own_deadline(error):
        balancer.rest(place, settings.failure_rest, now)


def _is_own_deadline(error: PolyvoxError) -> bool:
    return isinstance(error, CallTimeoutError) and error.phase == "total"


_ROTATING = (RateLimitError, AuthenticationError, BillingError, PermissionDeniedError)


def _advise(balancer: Balancer, place: int, error: PolyvoxError, now: float) -> None:
    """Say in an error that concerns one choice only when another is free."""
    if _was_closed(error):
        error.retry_after = balancer.next_free(now, refused=True)
    if not isinstance(error, _ROTATING):
        return
    seconds = balancer.next_free(now, but=place)
    if seconds is None:
        return
    if isinstance(error, RateLimitError) and error.retryable:
        own = balancer.settings.rate_limit_rest if error.retry_after is None else error.retry_after
        seconds = min(seconds, own)
    error.retryable, error.retry_after = True, seconds
