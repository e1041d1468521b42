"""The one order in which policies stand round a call, outermost first:

    hooks → processors → cache → budget → fallback → retry → hedge → balance → breaker → limits → price → call

The rule: a policy that is off is not there at all; nothing here waits, sends or knows which client asks. Above
`fallback` a call has a request; below it, a `Target` too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from polyvox.calls import config as words
from polyvox.calls.config import CallConfig
from polyvox.calls.generate import Call, call
from polyvox.registry.target import Target
from polyvox.types.generate import GenerateRequest

if TYPE_CHECKING:
    from polyvox.calls.budget import Bound
    from polyvox.calls.estimate import PriceBound
    from polyvox.calls.hedge import Hedge
    from polyvox.calls.retry import Retry

Guard = Callable[[Target, Call], Call]
"""What stands round the requests to one endpoint: its breaker and its limits, shared by all calls that go there."""


class Route(Struct, frozen=True):
    """One model of a call, and the guards of its endpoints."""

    target: Target
    guard: Guard | None = None


def compose(routes: Sequence[Route], config: CallConfig, *, stream: bool, raw: bool) -> Call:
    """Return the call for `config`: the first route, and the others where its `fallback` leads."""
    retrying, hedging = words.read_retry(config.retry), words.read_hedge(config.hedge)
    asked = {"stream": stream, "raw": raw, "log_bodies": bool(config.log_bodies)}
    ways = [_way(route, retrying, hedging, asked) for route in routes]
    composed = ways[0]
    falling = words.read_fallback(config.fallback)
    if falling is not None:
        from polyvox.calls.fallback import fallback

        composed = fallback([(route.target.name, way) for route, way in zip(routes, ways, strict=True)], falling)
    if config.budget:
        from polyvox.calls.budget import budgeted

        composed = budgeted(composed, config.budget, _dearest(routes))
    if config.cache:
        from polyvox.calls.cache import cached, scope_of

        accept = falling.accept if falling is not None else None
        composed = cached(composed, config.cache, scope_of(routes[0].target), accept=accept, raw=raw)
    if config.pre or config.post:
        from polyvox.calls.processors import processed

        composed = processed(composed, config.pre, config.post)
    if config.callbacks:
        from polyvox.calls.hooks import hooked

        composed = hooked(composed, config.callbacks, raise_errors=bool(config.raise_callback_errors))
    return composed


def _dearest(routes: Sequence[Route]) -> Bound:
    """Return the bound for a call that may be answered by any of these models: that of the dearest."""

    def bound(request: GenerateRequest) -> PriceBound | None:
        from polyvox.calls.estimate import bound_of

        bounds = [bound_of(request, route.target.row) for route in routes]
        # One price that nobody knows is a call whose price nobody knows.
        known = [one for one in bounds if one is not None]
        return max(known, key=lambda one: one.amount) if len(known) == len(bounds) else None

    return bound


def _way(route: Route, retrying: Retry | None, hedging: Hedge | None, asked: dict[str, bool]) -> Call:
    """Return the call to one model, by whichever of its endpoints."""
    way = call(route.target, **asked)
    if route.guard is not None:
        way = route.guard(route.target, way)
    if hedging is not None:
        from polyvox.calls.hedge import hedged

        way = hedged(way, hedging)
    if retrying is not None:
        from polyvox.calls.retry import retry

        way = retry(way, retrying)
    return way
