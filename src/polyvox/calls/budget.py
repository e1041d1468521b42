"""A budget in money: a call that could break it is not sent.

The rules. Before a call is sent the most that it can cost is reserved, so that calls which run at once never break the
budget together; at its end the reservation is replaced by what it did cost. Where that is not known, the budget is
charged on the safe side: see `budgeted`. Amounts are kept as whole trillionths of a dollar: their sums are exact.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

from polyvox import errors
from polyvox.calls.estimate import PriceBound
from polyvox.calls.generate import Call, Events
from polyvox.errors import CallTimeoutError, ConfigError, LimitError, PolyvoxError
from polyvox.io.base import Context
from polyvox.types.events import Event, RawFrame, StreamEnd, StreamStart, UsageUpdate
from polyvox.types.generate import GenerateRequest, GenerateResponse
from polyvox.types.usage import Usage

Period: TypeAlias = Literal["minute", "hour", "day", "month"]
Bound: TypeAlias = Callable[[GenerateRequest], PriceBound | None]
"""The most that a request can cost, `None` where no price is known."""

_TRILLION: Final = 10**12
_SECONDS: Final[dict[str, int]] = {"minute": 60, "hour": 3600, "day": 86400}


class Budget:
    """So many US dollars, in all or `per` a period; shared by all calls and clients that it is given to.

    Periods are those of the calendar, in UTC; what calls cost counts in the period in which they end. `on_unknown` says
    what becomes of a call whose price nobody knows: `allow` (it is sent as long as there is money left, and is charged
    where the provider says what it cost) or `refuse`. Every method may be called from any thread.
    """

    def __init__(
        self,
        limit_usd: float,
        per: Period | None = None,
        *,
        on_unknown: Literal["allow", "refuse"] = "allow",
        clock: Callable[[], float] = time.time,
    ) -> None:
        value: Any = limit_usd
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise ConfigError(f"Budget(limit_usd={limit_usd!r}): give US dollars from 0")
        if per is not None and per not in ("minute", "hour", "day", "month"):
            raise ConfigError(f"Budget(per={per!r}): give minute, hour, day, month, or None for a budget in all")
        if on_unknown not in ("allow", "refuse"):
            raise ConfigError(f"Budget(on_unknown={on_unknown!r}): give allow or refuse")
        self._limit = _units(limit_usd)
        self._per, self._on_unknown, self._clock = per, on_unknown, clock
        self._guard = threading.Lock()
        self._spent = 0
        self._reserved = 0
        self._period = self._now()

    def __repr__(self) -> str:
        per = f" a {self._per}" if self._per else ""
        return f"<Budget of {_dollars(self._limit)}{per}: {self.spent:.6g} spent, {self.reserved:.6g} reserved>"

    @property
    def limit(self) -> float:
        """US dollars, in all or for each period."""
        return self._limit / _TRILLION

    @property
    def spent(self) -> float:
        """US dollars spent, in this period where there are periods."""
        with self._guard:
            self._roll()
            return self._spent / _TRILLION

    @property
    def reserved(self) -> float:
        """US dollars that calls under way may yet cost."""
        return self._reserved / _TRILLION

    @property
    def remaining(self) -> float:
        """US dollars left for further calls, never below 0."""
        with self._guard:
            self._roll()
            return max(0, self._limit - self._spent - self._reserved) / _TRILLION

    def reset(self) -> None:
        """Begin anew with nothing spent. What calls under way have reserved stays."""
        with self._guard:
            self._spent, self._period = 0, self._now()

    def reserve(self, amount: float | None) -> Reservation:
        """Set `amount` US dollars aside (`None`: nobody knows how much) until the reservation is settled.

        Raises `LimitError` where the budget has no room for it; its `retry_after` is the rest of the period.
        """
        units = None if amount is None or amount != amount else _units(amount)
        with self._guard:
            if self._per is not None:
                self._roll()
            taken = self._spent + self._reserved
            if units is None and self._on_unknown == "refuse":
                raise LimitError(
                    f"the budget of {self._name()} takes no call whose price is not known: give the model a price, or "
                    "Budget(on_unknown='allow')"
                )
            # A call that costs nothing is let through even where nothing is left.
            if (taken >= self._limit) if units is None else (units > 0 and taken + units > self._limit):
                raise self._exceeded(units)
            self._reserved += units or 0
        return Reservation(self, units or 0)

    def _settle(self, reservation: Reservation, cost: int) -> None:
        with self._guard:
            if not reservation._open:
                return
            reservation._open = False
            if self._per is not None:
                self._roll()
            self._reserved -= reservation._units
            self._spent += cost

    def _name(self) -> str:
        return f"{_dollars(self._limit)}{f' a {self._per}' if self._per else ''}"

    def _exceeded(self, units: int | None) -> LimitError:
        costs = "what this call costs is not known" if units is None else f"this call may cost {_dollars(units)}"
        return LimitError(
            f"the budget of {self._name()} has no room: {_dollars(self._spent)} is spent, {_dollars(self._reserved)} "
            f"is reserved by calls under way, and {costs}. Raise Budget(limit_usd=…), lower max_tokens"
            + (f", or wait for the next {self._per}" if self._per else ", or call budget.reset()"),
            retry_after=self._seconds_left(),
        )

    def _now(self) -> tuple[int, ...]:
        """Return the period of the moment."""
        if self._per is None:
            return ()
        if self._per == "month":
            return time.gmtime(self._clock())[:2]
        return (int(self._clock() // _SECONDS[self._per]),)

    def _roll(self) -> None:
        period = self._now()
        # A clock that is set back opens no new period.
        if period > self._period:
            self._spent, self._period = 0, period

    def _seconds_left(self) -> float | None:
        if self._per is None:
            return None
        now = self._clock()
        if self._per != "month":
            length = _SECONDS[self._per]
            return length - now % length
        from calendar import timegm

        year, month = time.gmtime(now)[:2]
        return timegm((year + month // 12, month % 12 + 1, 1, 0, 0, 0)) - now


class Reservation:
    """Money set aside for one call, until `settle` says what it cost."""

    __slots__ = ("_budget", "_open", "_units")

    def __init__(self, budget: Budget, units: int) -> None:
        self._budget = budget
        self._units = units
        self._open = True

    @property
    def amount(self) -> float:
        """US dollars set aside."""
        return self._units / _TRILLION

    def settle(self, cost: float) -> None:
        """Replace the reservation by what the call cost. Only the first call counts."""
        self._budget._settle(self, _units(cost))


def _units(amount: float) -> int:
    """Return trillionths; a price below 0 or none at all counts as nothing."""
    return round(amount * _TRILLION) if 0 < amount < math.inf else 0


def _dollars(units: int) -> str:
    return f"${units / _TRILLION:,.6f}".rstrip("0").removesuffix(".")


def _names(kind: type[PolyvoxError]) -> set[str]:
    return {kind.__name__}.union(*(_names(child) for child in kind.__subclasses__()))


_UNBILLED_KINDS: Final = (
    errors.ProviderError,
    errors.ConnectError,
    errors.ConfigError,
    errors.UnsupportedError,
    errors.LimitError,
)
_UNBILLED: Final = frozenset[str]().union(*(_names(kind) for kind in _UNBILLED_KINDS))
"""Names of the errors of requests that no provider asks money for: they were refused, or never came there."""


def budgeted(inner: Call, budget: Budget, bound: Bound) -> Call:
    """Return `inner` within `budget`. `bound` says the most that a request can cost.

    Raises `LimitError` before anything is sent. What is charged at the end: the answer's cost; where the provider says
    no usage, the bound. For an answer that failed or was left: what the usage so far costs, else the bound's input
    part. For each request beside the one that answered (a retry, a hedge): the bound's input part where the provider
    may have worked on it (it timed out, broke off, was aborted), nothing where it was refused.
    """

    async def generate(context: Context, request: GenerateRequest) -> Events:
        most = bound(request)
        reservation = budget.reserve(None if most is None else most.amount)
        meter = _Meter(context, most)
        try:
            lists = inner(context, request)
            try:
                async for events in lists:
                    if meter.take(events) and reservation._open:
                        # Before the end is handed on: its reader may ask for nothing after it.
                        reservation.settle(meter.cost())
                    yield events
            finally:
                await lists.aclose()
        except PolyvoxError as error:
            reservation.settle(meter.cost(error))
            raise
        finally:
            if reservation._open:
                reservation.settle(meter.cost())

    return generate


class _Meter:
    """What one call has cost so far."""

    __slots__ = ("_amount", "_answer", "_begun", "_context", "_ended", "_first", "_input", "_usage")

    def __init__(self, context: Context, most: PriceBound | None) -> None:
        self._context = context
        self._first = len(context.attempts)
        self._amount = most.amount if most else 0.0
        self._input = most.input_amount if most else 0.0
        self._answer: GenerateResponse[Any] | None = None
        self._usage: Usage | None = None
        self._begun = False
        self._ended = False

    def take(self, events: list[Event]) -> bool:
        """Take note of events; true where the answer has ended."""
        end = events[-1] if events else None
        if type(end) is StreamEnd:
            self._ended = True
            self._answer = end.response
            if end.response is not None:
                # The whole answer is there, and says what it used.
                self._begun = True
                return True
        for event in events:
            kind = type(event)
            if kind is UsageUpdate:
                self._usage = event.usage  # type: ignore[union-attr]
            elif kind is StreamStart:
                # Another answer: what an attempt before it used is no part of its usage.
                self._usage = None
            if not self._begun and kind is not RawFrame:
                self._begun = True
        if type(end) is StreamEnd:
            self._usage = end.usage or self._usage
        return self._ended

    def cost(self, error: PolyvoxError | None = None) -> float:
        """Return US dollars. `error` is what the call failed with."""
        attempts = self._context.attempts[self._first :]
        if self._ended and len(attempts) == 1:
            # One request, and its answer: nothing beside it is to be paid.
            known = self._known()
            return self._amount if known is None else known
        worked = [attempt.error not in _UNBILLED for attempt in attempts]
        if worked and isinstance(error, CallTimeoutError) and error.phase == "connect":
            worked[-1] = False
        known = self._known()
        if known is None and self._ended:
            known = self._amount
        if known is None:
            # Something came and then the provider failed: it had read the request.
            known = self._input if self._begun and not (worked and worked[-1]) else 0.0
            others = sum(worked)
        else:
            others = sum(worked) - bool(worked and worked[-1])
        return known + others * self._input

    def _known(self) -> float | None:
        """Return what the usage so far costs, `None` where nobody says."""
        if not self._begun:
            return None
        answer = self._answer or GenerateResponse(usage=self._usage or Usage())
        cost = self._context.stamp(self._context, answer).cost
        return cost.amount if cost is not None and cost.currency == "USD" else None
