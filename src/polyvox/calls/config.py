"""`CallConfig`: what wraps a call. A client has one, a call may have one, and the call's is merged over the client's.

The rules. `None` means "not said": the client's word stands, and where it has none, the default. `False` means "not
this time". What is a list (callbacks, processors) is joined, the client's first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from msgspec import Struct, field, structs

from polyvox.errors import ConfigError
from polyvox.types.models import Timeout

if TYPE_CHECKING:
    from polyvox.calls.budget import Budget
    from polyvox.calls.cache import Cache
    from polyvox.calls.fallback import Fallback
    from polyvox.calls.hedge import Hedge
    from polyvox.calls.hooks import Callbacks
    from polyvox.calls.processors import PostFactory, PreProcessor
    from polyvox.calls.retry import Retry
    from polyvox.calls.telemetry import Telemetry

Off: TypeAlias = Literal[False]
Kind = TypeVar("Kind")


class CallConfig(Struct, frozen=True, kw_only=True):
    """How calls are made: for whole answers and for streams alike.

    `retry` is how often and when a failed call is made again; a number is `Retry(max_attempts=…)`. `fallback` names the
    models to ask where the first fails; a list of names is `Fallback(…)`. `hedge` starts a second try where the first
    brings nothing for a while; a number is the seconds. `cache` answers a request that was asked before. `budget`
    refuses calls once its money is spent. `timeout` is a `Timeout`, or the seconds of the whole call.

    `callbacks` are told what happens; one that raises is reported in the log, and ends the call only with
    `raise_callback_errors`. `pre` are functions, request → request, in order; `post` make machines, events → events.
    `log_bodies` has requests and answers written to the log whole (logger `polyvox.calls`, level DEBUG). `telemetry`
    tells OpenTelemetry. In bodies that are logged and content that is captured, both the keys we know and whatever has
    the shape of one are masked; with `sanitize_secrets=False` only the keys we know. Errors, all other log lines,
    `explain`, facts and reprs are masked always; an answer's own text never is (see `Redact`). `options` are blocks by
    dialect or provider, sent as they stand.
    """

    retry: Retry | int | Off | None = None
    fallback: Fallback | Sequence[str] | Off | None = None
    hedge: Hedge | float | Off | None = None
    cache: Cache | Off | None = None
    budget: Budget | Off | None = None
    timeout: Timeout | float | None = None
    callbacks: Callbacks | Sequence[Callbacks] = ()
    raise_callback_errors: bool | None = None
    pre: Sequence[PreProcessor] = ()
    post: Sequence[PostFactory] = ()
    sanitize_secrets: bool | None = None
    log_bodies: bool | None = None
    telemetry: Telemetry | Off | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def over(self, other: CallConfig) -> CallConfig:
        """Return this one merged over `other`, whose words stand where this one says nothing."""
        said = {name: getattr(self, name) for name in _SINGLE if getattr(self, name) is not None}
        return structs.replace(
            other,
            callbacks=(*as_callbacks(other.callbacks), *as_callbacks(self.callbacks)),
            pre=(*other.pre, *self.pre),
            post=(*other.post, *self.post),
            options=joined_options(other.options, self.options),
            **said,
        )


_SINGLE = (
    "retry",
    "fallback",
    "hedge",
    "cache",
    "budget",
    "timeout",
    "raise_callback_errors",
    "sanitize_secrets",
    "log_bodies",
    "telemetry",
)

DEFAULT = CallConfig()


def as_callbacks(callbacks: Callbacks | Sequence[Callbacks]) -> tuple[Callbacks, ...]:
    """Return the callbacks as a tuple, whether one or several were given."""
    return tuple(callbacks) if isinstance(callbacks, Sequence) else (callbacks,)


def joined_options(
    first: Mapping[str, Mapping[str, Any]], second: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Mapping[str, Any]]:
    """Return the blocks of both; within a block the second's words win."""
    if not first or not second:
        return second or first
    return {name: {**first.get(name, {}), **second.get(name, {})} for name in {**first, **second}}


def read_retry(given: Retry | int | Off | None) -> Retry | None:
    """Return how to retry, `None` for never. Not said, a call is made up to three times."""
    from polyvox.calls.retry import Retry

    if given is False:
        return None
    if given is None:
        return Retry()
    if isinstance(given, Retry):
        return given if given.max_attempts > 1 or given.attempts else None
    if isinstance(given, bool) or not isinstance(given, int):
        raise ConfigError(f"retry is {given!r}: give a Retry, how often to try in all, or False")
    return read_retry(Retry(max_attempts=given))


def read_fallback(given: Fallback | Sequence[str] | Off | None) -> Fallback | None:
    """Return where to go on, `None` for nowhere."""
    if given is None or given is False or given == ():
        return None
    from polyvox.calls.fallback import Fallback

    if isinstance(given, Fallback):
        return given
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ConfigError(f"fallback is {given!r}: give a Fallback, the names of models in a list, or False")
    return Fallback(tuple(given)) if given else None


def read_hedge(given: Hedge | float | Off | None) -> Hedge | None:
    """Return when to start a second try, `None` for never."""
    if given is None or given is False:
        return None
    from polyvox.calls.hedge import Hedge

    if isinstance(given, Hedge):
        return given
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ConfigError(f"hedge is {given!r}: give a Hedge, the seconds after which to try beside, or False")
    return Hedge(delay=float(given))


def read_object(name: str, given: object, kind: type[Kind]) -> Kind:
    """Return an object that is given whole, or tell of what kind it must be."""
    if isinstance(given, kind):
        return given
    raise ConfigError(f"{name} is {given!r}: give a {kind.__name__}, or False")
