"""The error tree. Every failure that leaves Polyvox is one of these; nothing else is raised on purpose.

    PolyvoxError
    ├── ConfigError              missing key, unknown model or provider, bad setting
    ├── UnsupportedError         the model or the wire cannot do what was asked
    ├── TransportError           the bytes did not arrive
    │   ├── ConnectError         no connection (refused, DNS, TLS, pooled connection found dead)
    │   ├── CallTimeoutError     `phase` says which: connect | first_event | idle | total
    │   └── InterruptedCallError the answer broke off before its end
    ├── ProviderError            the provider answered with an error
    │   ├── BadRequestError ── ContextLengthError, ContentPolicyError, TooLargeError
    │   ├── AuthenticationError, PermissionDeniedError, NotFoundError, ConflictError
    │   ├── RateLimitError, BillingError          429 is two things; only the first is worth a retry
    │   └── ServerError ── OverloadedError
    ├── DecodeError              the provider answered 200 with something that is not its wire
    ├── LimitError               a limit or budget of the caller's own
    └── Cancelled                the caller's abort

and one warning, `ModelRetirementWarning`: the model that was named is about to go, or has gone.

The rule: `message` is one clear sentence that says what to do where that is known, and holds no secret; the original
exception is kept as a sanitised `__cause__`. After the first event `partial` holds the response so far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from polyvox.secrets import sanitize

if TYPE_CHECKING:
    from polyvox.types.generate import GenerateResponse
    from polyvox.types.usage import Attempt

Phase = Literal["connect", "first_event", "idle", "total"]


class PolyvoxError(Exception):
    """Root of the tree.

    Attributes (each `None` when not known): `provider` and `model` as asked for; `status`, the HTTP status; `code`, the
    provider's own code; `message`; `request_id`; `retryable`, whether the same call may succeed later; `retry_after`,
    seconds the provider asks to wait; `partial`, the response received before the failure; `attempts`, the requests
    that were sent for the call (empty where none was).
    """

    retryable_by_default: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        partial: GenerateResponse[Any] | None = None,
    ) -> None:
        # The call masks its own secrets; what is shaped like a key is masked wherever the error is made.
        message = sanitize(message)
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.model = model
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retryable = self.retryable_by_default if retryable is None else retryable
        self.retry_after = retry_after
        self.partial = partial
        self.attempts: tuple[Attempt, ...] = ()

    def __reduce__(self) -> Any:
        # Errors travel between processes; those with arguments of their own would not be made again from `args`.
        return _restore, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        where = "/".join(part for part in (self.provider, self.model) if part)
        facts = [f"HTTP {self.status}" if self.status else "", self.code or ""]
        shown = ", ".join(fact for fact in facts if fact and fact not in self.message)
        return f"{where + ': ' if where else ''}{self.message}{f' ({shown})' if shown else ''}"


def _restore(kind: type[PolyvoxError], args: tuple[Any, ...], facts: dict[str, Any]) -> PolyvoxError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(facts)
    return error


class ConfigError(PolyvoxError):
    """Something is missing or wrong in the caller's configuration: a key, a model name, a provider, a setting."""


class UnsupportedError(PolyvoxError):
    """The model, or every wire that reaches it, cannot do what was asked."""


class TransportError(PolyvoxError):
    """The request or its answer did not get through."""

    retryable_by_default = True


class ConnectError(TransportError):
    """No connection was made, or a pooled one was found dead before one byte of the answer."""


class CallTimeoutError(TransportError):
    """A time limit passed. `phase` names it: connect, first_event, idle or total."""

    def __init__(self, message: str, *, phase: Phase, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.phase: Phase = phase


class InterruptedCallError(TransportError):
    """The answer ended before its end mark or finish reason; `partial` keeps what had arrived."""


class ProviderError(PolyvoxError):
    """The provider answered with an error."""


class BadRequestError(ProviderError):
    """The provider refuses the request as it stands."""


class ContextLengthError(BadRequestError):
    """The prompt, or prompt and answer together, are longer than the model's context."""


class ContentPolicyError(BadRequestError):
    """The provider's policy refuses the prompt."""


class TooLargeError(BadRequestError):
    """The request body is larger than the provider takes."""


class AuthenticationError(ProviderError):
    """The key is missing, wrong or expired."""


class PermissionDeniedError(ProviderError):
    """The key is valid but may not do this."""


class NotFoundError(ProviderError):
    """No such model, deployment or object."""


class ConflictError(ProviderError):
    """The object is in a state that does not allow this now."""

    retryable_by_default = True


class RateLimitError(ProviderError):
    """Too many requests or tokens for now: wait and try again."""

    retryable_by_default = True


class BillingError(ProviderError):
    """No money or quota left: trying again does not help."""


class ServerError(ProviderError):
    """The provider failed."""

    retryable_by_default = True


class OverloadedError(ServerError):
    """The provider has no room at the moment."""


class DecodeError(PolyvoxError):
    """The answer is not what this wire sends (an HTML page, truncated JSON, a broken frame)."""


class LimitError(PolyvoxError):
    """A limit or budget set by the caller is reached."""


class Cancelled(PolyvoxError):
    """The caller aborted the call."""


class ModelRetirementWarning(UserWarning):
    """The model is retired soon, or has been: the provider will refuse it. Said once for each model in a process."""
