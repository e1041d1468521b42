"""The one owner of retries: a failed call is made again, after a wait, until it answers or may not be repeated.

The rules. Only before the first content: what only starts an answer is held back until some follows, so that nothing is
ever handed on twice. The provider's own word comes first (`Retry-After`, `retry-after-ms`, `x-should-retry`, read by
the dialects into `error.retry_after` and `error.retryable`); backoff with jitter otherwise. The waits spend from the
call's one deadline, and a wait that would outlast it is not begun: the failure itself is raised, not a time-out. A time
limit of the caller's own is the caller's word, and ends the call unless the caller says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from polyvox.calls.facts import RetryFact
from polyvox.calls.generate import Call, Events
from polyvox.calls.startup import is_startup
from polyvox.errors import CallTimeoutError, Cancelled, ConfigError, PolyvoxError
from polyvox.io.base import Context
from polyvox.types.events import Event
from polyvox.types.generate import GenerateRequest

if TYPE_CHECKING:
    from tenacity import RetryCallState

_NONE: Mapping[type[PolyvoxError], int] = MappingProxyType({})


class Retry(Struct, frozen=True, kw_only=True):
    """How often a call is made, and how long to wait in between.

    `max_attempts` counts the first request too: 1 never retries. `attempts` says otherwise for single error classes
    (the nearest class of the error's own line counts): `{RateLimitError: 6, DecodeError: 2, ServerError: 1}`; a class
    named there is repeated whether or not its errors are `retryable`. `CallTimeoutError` is repeated only if named:
    else a limit of 10 s would let a call last for 30. Waits are in seconds: `initial` doubles with each attempt up to
    `maximum`, and up to `jitter` is added at random. `wait` replaces that: any wait strategy of `tenacity`. Where the
    provider says how long to wait, that is obeyed, but for more than `max_retry_after` the call fails at once (`None`:
    however long).
    """

    max_attempts: int = 3
    attempts: Mapping[type[PolyvoxError], int] = _NONE
    initial: float = 0.5
    maximum: float = 8.0
    jitter: float = 0.25
    max_retry_after: float | None = 120.0
    wait: Callable[[RetryCallState], float] | None = None

    def __post_init__(self) -> None:
        for name, least in (("max_attempts", 1), ("initial", 0), ("maximum", 0), ("jitter", 0)):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
                raise ConfigError(f"Retry({name}={value!r}): give a number from {least}")
        for kind, attempts in self.attempts.items():
            if not (isinstance(kind, type) and issubclass(kind, PolyvoxError)):
                raise ConfigError(f"Retry(attempts=…): {kind!r} is no error class of polyvox")
            if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
                raise ConfigError(f"Retry(attempts={{{kind.__name__}: {attempts!r}}}): give a whole number from 1")

    def attempts_for(self, error: PolyvoxError) -> int:
        """Return how many requests may be sent in all where they fail with this error."""
        if isinstance(error, Cancelled):
            return 1
        for kind in type(error).__mro__:
            if kind in self.attempts:
                return self.attempts[kind]
        return self.max_attempts if error.retryable and not isinstance(error, CallTimeoutError) else 1

    def seconds_after(self, error: PolyvoxError, attempt: int) -> float | None:
        """Return how long to wait after attempt number `attempt` failed, `None` where the call is to fail now."""
        if attempt >= self.attempts_for(error):
            return None
        if error.retry_after is not None:
            too_long = self.max_retry_after is not None and error.retry_after > self.max_retry_after
            return None if too_long else max(0.0, error.retry_after)
        return self._backoff(error, attempt)

    def _backoff(self, error: PolyvoxError, attempt: int) -> float:
        import tenacity

        # Its strategies read the number of the attempt from this; nothing else of it is in use.
        state = tenacity.RetryCallState(retry_object=tenacity.Retrying(), fn=None, args=(), kwargs={})
        state.attempt_number = attempt
        state.set_exception((type(error), error, error.__traceback__))
        wait = self.wait or tenacity.wait_exponential_jitter(self.initial, self.maximum, jitter=self.jitter)
        return max(0.0, float(wait(state)))


def retry(inner: Call, policy: Retry) -> Call:
    """Return `inner`, made again as `policy` says while it fails before its first content."""

    async def generate(context: Context, request: GenerateRequest) -> Events:
        attempt = 0
        while True:
            attempt += 1
            held: list[Event] = []
            begun = False
            try:
                lists = inner(context, request)
                try:
                    async for events in lists:
                        if not begun:
                            if is_startup(events):
                                held += events
                                continue
                            begun = True
                            events = held + events if held else events
                        yield events
                finally:
                    await lists.aclose()
            except PolyvoxError as error:
                seconds = None if begun else seconds_before_retry(policy, context, error, attempt)
                failure = error
            else:
                if not begun and held:
                    yield held
                return
            if seconds is None:
                if held and not begun:
                    yield held  # what had arrived stays with the error, as its `partial`
                raise failure
            if context.notify is not None:
                await context.notify("retry", RetryFact(attempt, seconds, failure, failure.provider, failure.model))
            await context.io.sleep(seconds, context)

    return generate


def seconds_before_retry(policy: Retry, context: Context, error: PolyvoxError, attempt: int) -> float | None:
    """Return the wait that the policy says, `None` where there is none or the deadline would come first."""
    seconds = policy.seconds_after(error, attempt)
    if seconds is None or context.cancel.is_set:
        return None
    if context.deadline is not None and context.io.now() + seconds >= context.deadline:
        return None
    return seconds
