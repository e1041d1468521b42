"""What the policies tell the hooks: one frozen struct for each kind of thing that happened inside a call.

The rule: a fact is data about one decision, handed to `context.notify(kind, fact)` when it is taken. `KINDS` has
the word of each.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from polyvox.errors import PolyvoxError


class RetryFact(Struct, frozen=True):
    """The call failed and will be made again.

    `attempt` is the number of the attempt that failed, counted from 1; `delay` the seconds until the next; `error` why;
    `provider` and `model` who failed, `None` where not known.
    """

    attempt: int
    delay: float
    error: PolyvoxError
    provider: str | None = None
    model: str | None = None


class FallbackFact(Struct, frozen=True):
    """Another model is asked instead. `error` is why; `None`: the answer came and was not accepted."""

    from_model: str
    to_model: str
    error: PolyvoxError | None = None


class HedgeFact(Struct, frozen=True):
    """A second request was sent beside the first, or one of the two won.

    `event` is `started` (`after` is the seconds that the first had been silent) or `won` (`winner` is the number of the
    request whose answer is used, counted from 1; the other is aborted). `None` where it does not apply.
    """

    event: Literal["started", "won"]
    after: float | None = None
    winner: int | None = None


class CacheFact(Struct, frozen=True):
    """The cache was asked. `event` is what came of it; `key` the entry's key, `None` where there is none."""

    event: Literal["hit", "miss", "stored", "skipped"]
    key: str | None = None


class CacheErrorFact(Struct, frozen=True):
    """The cache's store failed, and the call goes on without it.

    `operation` is what was asked of the store (`get`, `set`, `delete`; `decode`: it gave back what is no entry);
    `store` the kind of store; `error` what it said, sanitised.
    """

    operation: str
    store: str
    error: str


class LimitFact(Struct, frozen=True):
    """A limit made the call wait: for `waited` seconds. `limit` is its name, `None` where it has none."""

    waited: float
    limit: str | None = None


class CircuitFact(Struct, frozen=True):
    """The circuit of the endpoint `name` changed to `state`. `error` is the last failure, `None` where it closed."""

    state: Literal["closed", "open", "half_open"]
    name: str
    error: PolyvoxError | None = None


Fact: TypeAlias = RetryFact | FallbackFact | HedgeFact | CacheFact | CacheErrorFact | LimitFact | CircuitFact

KINDS: Final[dict[str, type[Any]]] = {
    "retry": RetryFact,
    "fallback": FallbackFact,
    "hedge": HedgeFact,
    "cache": CacheFact,
    "cache_error": CacheErrorFact,
    "limit": LimitFact,
    "circuit": CircuitFact,
}
"""The word for `context.notify`, and the struct that comes with it."""
