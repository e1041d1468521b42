"""A circuit breaker: an endpoint that fails again and again is left alone for a while, then tried with one call.

The rules. Only what says that the endpoint is ill counts: no bytes, its own faults, overload; never what the caller did
(a bad request, a refused key, an abort, a limit of his own). While the circuit is open a call is refused at once with a
`LimitError` that is not `retryable`, so that a fallback goes on and a retry does not. An answer counts as good with its
first content; where it breaks off later, as a failure on top.

A `CircuitBreaker` belongs to one endpoint and is shared by all calls to it, from any thread and any event loop.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from polyvox.calls.facts import CircuitFact
from polyvox.calls.generate import Call, Events
from polyvox.calls.startup import is_startup
from polyvox.errors import (
    CallTimeoutError,
    LimitError,
    PolyvoxError,
    ProviderError,
    ServerError,
    TransportError,
)
from polyvox.io.base import Context
from polyvox.types.generate import GenerateRequest
from polyvox.types.policies import Breaker as Breaker

CircuitState: TypeAlias = Literal["closed", "open", "half_open"]
Verdict: TypeAlias = Literal["good", "ill", "neither"]

OPEN_CODE: Final = "circuit_open"
"""The `code` of the `LimitError` that an open circuit raises."""
# How long to wait for what the one probe under way finds out.
_PROBE_SECONDS: Final = 1.0
_SLICES: Final = 10


class Admission(Struct):
    """A call that was let through. `probe`: as the one that finds out whether the endpoint is well again."""

    probe: bool
    counted_good: bool = False


class CircuitBreaker:
    """The state of one endpoint's circuit. `name` is used in messages and must hold no secret."""

    def __init__(self, settings: Breaker | None = None, *, name: str = "the endpoint") -> None:
        self.settings = settings or Breaker()
        self.name = name
        self._lock = threading.Lock()
        self._failures: deque[float] = deque()
        # [end of the slice, good calls in it]: the good ones are many, and their instants matter less.
        self._good: deque[list[float]] = deque()
        self._opened: float | None = None
        self._probe: Admission | None = None

    def __repr__(self) -> str:
        return f"<CircuitBreaker of {self.name}, {len(self._failures)} failures, {self._stored_state()}>"

    def _stored_state(self) -> str:
        return "closed" if self._opened is None else "tripped"

    def state(self, now: float) -> CircuitState:
        """Return the state at this instant of the seam's clock."""
        with self._lock:
            if self._opened is None:
                return "closed"
            return "open" if now < self._opened + self.settings.cooldown else "half_open"

    def admit(self, now: float) -> Admission | float:
        """Let a call through, or return the seconds after which to ask again."""
        with self._lock:
            if self._opened is None:
                return Admission(probe=False)
            rest = self._opened + self.settings.cooldown - now
            if rest > 0:
                return rest
            if self._probe is not None:
                return _PROBE_SECONDS
            self._probe = Admission(probe=True)
            return self._probe

    def report(self, admission: Admission, verdict: Verdict, now: float) -> CircuitState | None:
        """Say how a call that was let through came out; return the new state where that changed it.

        A call may be reported good, with its first content, and ill later. `neither` only ends a probe: the next call
        is the probe then.
        """
        with self._lock:
            was_probe = self._probe is admission
            if was_probe:
                self._probe = None
            if verdict == "good":
                admission.counted_good = True
                self._count_good(now)
                # One that was sent before the circuit opened says nothing of the time since.
                return self._close() if was_probe else None
            if verdict == "ill":
                self._failures.append(now)
                if admission.counted_good and self._good:
                    self._good[-1][1] -= 1  # it is one call, and it failed
                if was_probe or (self._opened is None and self._is_ill(now)):
                    self._opened = now
                    return "open"
            return None

    def reset(self) -> None:
        """Close the circuit and forget what was counted."""
        with self._lock:
            self._close()

    def _close(self) -> CircuitState:
        self._opened = self._probe = None
        self._failures.clear()
        self._good.clear()
        return "closed"

    def _count_good(self, now: float) -> None:
        good = self._good
        if good and now < good[-1][0]:
            good[-1][1] += 1
        else:
            good.append([now + self.settings.window / _SLICES, 1])
            self._forget(now)

    def _forget(self, now: float) -> None:
        since = now - self.settings.window
        while self._failures and self._failures[0] < since:
            self._failures.popleft()
        while self._good and self._good[0][0] < since:
            self._good.popleft()

    def _is_ill(self, now: float) -> bool:
        self._forget(now)
        failed = len(self._failures)
        ended = failed + sum(count for _, count in self._good)
        return failed >= self.settings.failures and failed >= self.settings.share * ended


def guarded(inner: Call, breaker: CircuitBreaker, *, provider: str | None = None, model: str | None = None) -> Call:
    """Return `inner`, refused while the circuit of its endpoint is open. `provider` and `model` name it in the error.

    Raises `LimitError` (`code` is `circuit_open`, `retry_after` the rest of the cooldown).
    """

    async def generate(context: Context, request: GenerateRequest) -> Events:
        io = context.io
        began = io.now()
        admission = breaker.admit(began)
        if not isinstance(admission, Admission):
            raise _refusal(breaker, admission, provider, model)
        verdict: Verdict | None = "neither"
        change: CircuitState | None = None
        try:
            lists = inner(context, request)
            try:
                async for events in lists:
                    if verdict is not None and not is_startup(events):
                        verdict = None
                        change = breaker.report(admission, "good", io.now())
                        if change is not None:
                            await _tell(context, breaker, change, None)
                    yield events
            finally:
                await lists.aclose()
        except PolyvoxError as error:
            said = _verdict(error, context, began)
            if said != "neither" and (said == "ill" or verdict is not None):
                verdict = None
                change = breaker.report(admission, said, io.now())
                if change is not None:
                    await _tell(context, breaker, change, error)
            raise
        finally:
            if verdict is not None:
                breaker.report(admission, verdict, io.now())

    return generate


def _verdict(error: PolyvoxError, context: Context, began: float) -> Verdict:
    """Return what an error says of the endpoint."""
    if isinstance(error, CallTimeoutError) and error.phase == "total":
        # The caller's own deadline: the endpoint's fault only where it used up most of that time, and said nothing.
        total = context.timeout.total
        used = context.io.now() - began
        return "ill" if total is not None and used >= total / 2 and context.first_event is None else "neither"
    if isinstance(error, TransportError | ServerError):
        return "ill"
    # It answered, if only to refuse: the way there is open.
    return "good" if isinstance(error, ProviderError) else "neither"


def _refusal(breaker: CircuitBreaker, seconds: float, provider: str | None, model: str | None) -> LimitError:
    settings = breaker.settings
    return LimitError(
        f"{breaker.name} is left alone for another {seconds:.3g} s: {settings.failures} calls failed within "
        f"{settings.window:g} s; Breaker(failures=…, cooldown=…) sets this limit",
        provider=provider,
        model=model,
        code=OPEN_CODE,
        retryable=False,
        retry_after=seconds,
    )


async def _tell(context: Context, breaker: CircuitBreaker, state: CircuitState, error: PolyvoxError | None) -> None:
    if context.notify is not None:
        await context.notify("circuit", CircuitFact(state, breaker.name, error))
