"""The one order in which policies stand round a call, outermost first:

    hooks → processors → cache → budget → fallback → retry → hedge → balance → breaker → limits → price → call

The rule: a policy that is off is not there at all; nothing here waits, sends or knows which client asks. Above
`fallback` a call has a request; below it, a `Target` too.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from polyvox.calls import config as words
from polyvox.calls.config import CallConfig
from polyvox.calls.generate import Call, call
from polyvox.calls.log import is_heard, logged
from polyvox.registry.config import ProviderConfig
from polyvox.registry.target import Registry, Target

if TYPE_CHECKING:
    from polyvox.calls.balance import Balancer
    from polyvox.calls.breaker import CircuitBreaker
    from polyvox.calls.hedge import Hedge
    from polyvox.calls.limits import Limiter
    from polyvox.calls.retry import Retry


class Place(Struct, frozen=True):
    """One endpoint of a route, with what guards it: state shared by all calls that go there. `None`: nothing does."""

    target: Target
    limiter: Limiter | None = None
    breaker: CircuitBreaker | None = None


class Route(Struct, frozen=True):
    """One model of a call: the endpoints that lead there, and whose turn it is (`None` where there is one)."""

    places: tuple[Place, ...]
    balancer: Balancer | None = None

    @property
    def target(self) -> Target:
        """The first endpoint's; in what the caller asked for, all are alike."""
        return self.places[0].target


class Shared:
    """The state that calls share: the limits and the breaker of each endpoint, whose turn it is. One object a client.

    An endpoint's limits hold for all models behind it, since a key is what a provider counts by.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limiters: dict[tuple[str, str], Limiter] = {}
        self._breakers: dict[tuple[str, str], CircuitBreaker] = {}
        self._balancers: dict[str, Balancer] = {}

    def route(self, registry: Registry, target: Target) -> Route:
        """Return the way to a target, as the configuration says of its provider."""
        _, given = registry.provider(target.provider)
        if not given.endpoints:
            return Route((self._place(target, given, ""),))
        from polyvox.calls.balance import Balancer, Choice
        from polyvox.registry.endpoints import endpoints_of

        endpoints = endpoints_of(registry, target)
        with self._lock:
            balancer = self._balancers.get(target.provider)
            if balancer is None:
                choices = [Choice(endpoint.name, endpoint.weight) for endpoint in endpoints]
                balancer = self._balancers[target.provider] = Balancer(choices, given.balance)
        return Route(tuple(self._place(one.target, given, one.name) for one in endpoints), balancer)

    def _place(self, target: Target, given: ProviderConfig, name: str) -> Place:
        key = (target.provider, name)
        limiter: Limiter | None = None
        breaker: CircuitBreaker | None = None
        if given.limits is not None:
            from polyvox.calls.limits import Limiter

            with self._lock:
                limiter = self._limiters.setdefault(key, Limiter(given.limits))
        if given.breaker is not None:
            from polyvox.calls.breaker import CircuitBreaker

            where = f"{target.provider} ({name})" if name else target.provider
            with self._lock:
                breaker = self._breakers.setdefault(key, CircuitBreaker(given.breaker, name=where))
        return Place(target, limiter, breaker)


def compose(routes: Sequence[Route], config: CallConfig, *, stream: bool, raw: bool) -> Call:
    """Return the call for `config`: the first route, and the others where its `fallback` leads."""
    retrying, hedging = words.read_retry(config.retry), words.read_hedge(config.hedge)
    masks = config.sanitize_secrets is not False
    asked = {"stream": stream, "raw": raw, "log_bodies": bool(config.log_bodies), "sanitize_secrets": masks}
    ways = [_way(route, retrying, hedging, asked) for route in routes]
    composed = ways[0]
    falling = words.read_fallback(config.fallback)
    if falling is not None:
        from polyvox.calls.fallback import fallback

        composed = fallback([(route.target.name, way) for route, way in zip(routes, ways, strict=True)], falling)
    if config.budget is not None and config.budget is not False:
        from polyvox.calls.budget import Budget, budgeted
        from polyvox.calls.estimate import bound_among

        bound = bound_among([route.target.row for route in routes])
        composed = budgeted(composed, words.read_object("budget", config.budget, Budget), bound)
    if config.cache is not None and config.cache is not False:
        from polyvox.calls.cache import Cache, cached, scope_of

        accept = falling.accept if falling is not None else None
        cache = words.read_object("cache", config.cache, Cache)
        composed = cached(composed, cache, scope_of(routes[0].target), accept=accept, raw=raw)
    if config.pre or config.post:
        from polyvox.calls.processors import processed

        composed = processed(composed, config.pre, config.post)
    if is_heard():
        composed = logged(composed, routes[0].target.name)
    if config.callbacks:
        from polyvox.calls.hooks import hooked

        composed = hooked(composed, config.callbacks, raise_errors=bool(config.raise_callback_errors))
    if config.telemetry is not None and config.telemetry is not False:
        from polyvox.calls.telemetry import Telemetry, traced

        telemetry = words.read_object("telemetry", config.telemetry, Telemetry)
        composed = traced(composed, telemetry, routes[0].target, stream=stream, sanitize_secrets=masks)
    return composed


def _way(route: Route, retrying: Retry | None, hedging: Hedge | None, asked: dict[str, bool]) -> Call:
    """Return the call to one model, by whichever of its endpoints."""
    ways = [_guarded(place, call(place.target, **asked)) for place in route.places]
    way = ways[0]
    if route.balancer is not None:
        from polyvox.calls.balance import balanced

        way = balanced(ways, route.balancer)
    if hedging is not None:
        from polyvox.calls.hedge import hedged

        way = hedged(way, hedging)
    if retrying is not None:
        from polyvox.calls.retry import retry

        way = retry(way, retrying)
    return way


def _guarded(place: Place, way: Call) -> Call:
    """Return the call to one endpoint, behind its limits and its breaker."""
    if place.limiter is not None:
        from polyvox.calls.limits import limited

        way = limited(way, place.limiter, scope=place.target.model)
    if place.breaker is not None:
        from polyvox.calls.breaker import guarded

        way = guarded(way, place.breaker, provider=place.target.provider, model=place.target.model)
    return way
