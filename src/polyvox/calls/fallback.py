"""Fallback: where a model fails, the next of a list is asked.

The rules. Only before the first content: start-up events are held back until some follows. All models share the call's
one deadline, and every request of every model stands in `response.attempts`. The models are names; what each of them
needs (its wire, its key, its own retries) is below this layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from polyvox.calls.facts import FallbackFact
from polyvox.calls.generate import Call, Events
from polyvox.calls.startup import is_startup
from polyvox.errors import (
    AuthenticationError,
    BillingError,
    Cancelled,
    ConfigError,
    LimitError,
    NotFoundError,
    PermissionDeniedError,
    PolyvoxError,
    RateLimitError,
    ServerError,
    TransportError,
)
from polyvox.io.base import Context
from polyvox.types.events import Event, StreamEnd
from polyvox.types.fold import Fold
from polyvox.types.generate import GenerateRequest, GenerateResponse

ELSEWHERE: tuple[type[PolyvoxError], ...] = (
    TransportError,
    RateLimitError,
    ServerError,
    BillingError,
    AuthenticationError,
    PermissionDeniedError,
    NotFoundError,
    LimitError,
)
"""Failures that another model need not share. A request that is wrong in itself would be wrong there too."""


class Fallback(Struct, frozen=True):
    """The models to ask where the first fails, in this order.

    `on` names the error classes that lead on. `accept` is asked about an answer that came: false leads on to the next
    model (the last model's answer is returned whatever it is); `None` accepts every answer. A streamed answer is handed
    on with its first content, so `accept` is asked only of one that ended before any was handed on.
    """

    models: tuple[str, ...]
    on: tuple[type[PolyvoxError], ...] = ELSEWHERE
    accept: Callable[[GenerateResponse[Any]], bool] | None = None

    def __post_init__(self) -> None:
        models: Any = self.models
        if not isinstance(models, tuple | list) or not models or not all(isinstance(name, str) for name in models):
            raise ConfigError(f"Fallback(models={models!r}): give the names of models, as in ('openai/gpt-5.5',)")
        for kind in self.on:
            if not (isinstance(kind, type) and issubclass(kind, PolyvoxError)):
                raise ConfigError(f"Fallback(on=…): {kind!r} is no error class of polyvox")
        if self.accept is not None and not callable(self.accept):
            raise ConfigError(f"Fallback(accept={self.accept!r}): give a function that takes a response")


def fallback(routes: Sequence[tuple[str, Call]], policy: Fallback) -> Call:
    """Return a call that asks each of `routes` (a model's name, the call that reaches it) until one answers."""

    async def generate(context: Context, request: GenerateRequest) -> Events:
        for place, (name, inner) in enumerate(routes):
            is_last = place == len(routes) - 1
            is_judged = policy.accept is not None and not is_last
            held: list[Event] = []
            begun = False
            failure: PolyvoxError | None = None
            try:
                lists = inner(context, request)
                try:
                    async for events in lists:
                        if not begun:
                            if is_startup(events) or (is_judged and _is_unwanted(policy, context, held, events)):
                                held += events
                                continue
                            begun = True
                            events = held + events if held else events
                        yield events
                finally:
                    await lists.aclose()
            except PolyvoxError as error:
                if begun or is_last or not _leads_on(policy, context, error):
                    failure = error
                else:
                    await _tell(context, name, routes[place + 1][0], error)
                    continue
            if failure is not None:
                if held and not begun:
                    yield held
                raise failure
            if begun or is_last:
                if held and not begun:
                    yield held
                return
            await _tell(context, name, routes[place + 1][0], None)

    return generate


def _leads_on(policy: Fallback, context: Context, error: PolyvoxError) -> bool:
    if isinstance(error, Cancelled) or context.cancel.is_set:
        return False
    in_time = context.deadline is None or context.io.now() < context.deadline
    return in_time and isinstance(error, policy.on)


def _is_unwanted(policy: Fallback, context: Context, held: list[Event], events: list[Event]) -> bool:
    """Whether these events, behind those held back, end a whole answer that the caller says is not good."""
    if policy.accept is None or type(events[-1]) is not StreamEnd:
        return False
    folding = Fold()
    folding.feed([*held, *events])
    return not policy.accept(context.stamp(context, folding.response))


async def _tell(context: Context, name: str, following: str, error: PolyvoxError | None) -> None:
    if context.notify is not None:
        await context.notify("fallback", FallbackFact(name, following, error))
