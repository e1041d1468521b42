"""The one order in which policies stand round a call, outermost first:

    hooks → processors → cache → budget → fallback → retry → hedge → balance → breaker → limits → price → call

The rule: a policy that is off is not there at all; nothing here waits, sends or knows which client asks. Above
`fallback` a call has a request; below it, a `Target` too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from polyvox.calls import config as words
from polyvox.calls.config import CallConfig
from polyvox.calls.generate import Call, call
from polyvox.registry.target import Target

Guard = Callable[[Target, Call], Call]
"""What stands round the requests to one endpoint: its breaker and its limits, shared by all calls that go there."""


class Route(Struct, frozen=True):
    """One model of a call, and the guards of its endpoints."""

    target: Target
    guard: Guard | None = None


def compose(routes: Sequence[Route], config: CallConfig, *, stream: bool, raw: bool) -> Call:
    """Return the call for `config`: the first route, and the others where its `fallback` leads."""
    retrying, hedging = words.read_retry(config.retry), words.read_hedge(config.hedge)
    ways = [_way(route, stream=stream, raw=raw, retrying=retrying, hedging=hedging) for route in routes]
    composed = ways[0]
    falling = words.read_fallback(config.fallback)
    if falling is not None:
        from polyvox.calls.fallback import fallback

        composed = fallback([(route.target.name, way) for route, way in zip(routes, ways, strict=True)], falling)
    return composed


def _way(route: Route, *, stream: bool, raw: bool, retrying: Any, hedging: Any) -> Call:
    """Return the call to one model, by whichever of its endpoints."""
    way = call(route.target, stream=stream, raw=raw)
    if route.guard is not None:
        way = route.guard(route.target, way)
    if hedging is not None:
        from polyvox.calls.hedge import hedged

        way = hedged(way, hedging)
    if retrying is not None:
        from polyvox.calls.retry import retry

        way = retry(way, retrying)
    return way
