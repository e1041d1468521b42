"""Policies that belong to a place rather than to a call: what a configuration may say of a provider's endpoints.

The rule: these are words only, checked when they are said; what keeps them is in `calls/`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from msgspec import Struct

from polyvox.errors import ConfigError

Strategy: TypeAlias = Literal["round_robin", "weighted", "least_busy"]


class RateLimit(Struct, frozen=True, kw_only=True):
    """How much may be sent; `None` means no limit.

    `requests_per_minute` and `tokens_per_minute` allow a burst of one minute's worth and fill up again evenly; tokens
    are those of prompt and answer. `concurrency` is how many calls may be under way at once.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    concurrency: int | None = None

    def __post_init__(self) -> None:
        for name in ("requests_per_minute", "tokens_per_minute", "concurrency"):
            value = getattr(self, name)
            if value is None:
                continue
            whole = name == "concurrency"
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not value > 0:
                kind = "a whole number from 1" if whole else "a number above 0"
                raise ConfigError(f"RateLimit({name}={value!r}): give {kind}, or None for no limit")


class Breaker(Struct, frozen=True):
    """When to leave an endpoint alone.

    The circuit opens when `failures` calls have failed within `window` seconds, and they are at least `share` of the
    calls that ended in that time (so that one in a hundred of very many opens nothing). `cooldown` is the seconds until
    one call is let through as a probe.
    """

    failures: int = 5
    window: float = 60.0
    cooldown: float = 30.0
    share: float = 0.5

    def __post_init__(self) -> None:
        if isinstance(self.failures, bool) or not isinstance(self.failures, int) or self.failures < 1:
            raise ConfigError(f"Breaker(failures={self.failures!r}): give a whole number from 1")
        for name in ("window", "cooldown"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise ConfigError(f"Breaker({name}={value!r}): give seconds above 0")
        if isinstance(self.share, bool) or not isinstance(self.share, int | float) or not 0 <= self.share <= 1:
            raise ConfigError(f"Breaker(share={self.share!r}): give a share from 0 to 1")


class Balance(Struct, frozen=True, kw_only=True):
    """How to choose among several keys or endpoints, and how long one rests that was refused. Times in seconds.

    `round_robin` takes them in turn; `weighted` in proportion to their weights, evenly mixed; `least_busy` takes the
    one with the fewest calls under way for its weight. A rate limit rests a choice for as long as the provider says,
    else for `rate_limit_rest`; a refused key or an empty purse for `refused_rest`; a permission that is missing (which
    may concern a single model) for `rate_limit_rest`; a failed connection or server for `failure_rest`.
    """

    strategy: Strategy = "round_robin"
    rate_limit_rest: float = 10.0
    refused_rest: float = 300.0
    failure_rest: float = 1.0

    def __post_init__(self) -> None:
        if self.strategy not in get_args(Strategy):
            raise ConfigError(f"Balance(strategy={self.strategy!r}): there are {', '.join(get_args(Strategy))}")
        for name in ("rate_limit_rest", "refused_rest", "failure_rest"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise ConfigError(f"Balance({name}={value!r}): give seconds, from 0")
