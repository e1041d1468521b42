"""Errors of this wire, read and written: what a status and a body mean.

The rule: the body's `error.details.error_code` is asked first, then its type, then the status; the words of a message
only where neither says more. https://docs.anthropic.com/en/api/errors
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from polyvox.dialects._failures import kind_of_status, read_date, shown, shown_body, wait_of
from polyvox.dialects._reading import JSONObject
from polyvox.errors import (
    AuthenticationError,
    BadRequestError,
    BillingError,
    CallTimeoutError,
    ConfigError,
    ConflictError,
    ContentPolicyError,
    ContextLengthError,
    DecodeError,
    LimitError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    PolyvoxError,
    ProviderError,
    RateLimitError,
    ServerError,
    TooLargeError,
    TransportError,
    UnsupportedError,
)
from polyvox.framing import json
from polyvox.types.usage import RateLimits

_CODES: Final[dict[str, type[ProviderError]]] = {
    "enforced_spend_limit_reached": BillingError,
    "contract_spend_limit_reached": BillingError,
    "linked_organization_spend_limit_reached": BillingError,
    "linked_organization_billing_unavailable": BillingError,
    "user_profile_not_billable": BillingError,
    "request_body_too_large_after_decoding": TooLargeError,
    # Our own words, where a server of ours says what this wire has no code for.
    "context_length_exceeded": ContextLengthError,
    "content_policy_violation": ContentPolicyError,
}

_TYPES: Final[dict[str, type[ProviderError]]] = {
    "invalid_request_error": BadRequestError,
    "authentication_error": AuthenticationError,
    "billing_error": BillingError,
    "permission_error": PermissionDeniedError,
    "not_found_error": NotFoundError,
    "conflict_error": ConflictError,
    "request_too_large": TooLargeError,
    "rate_limit_error": RateLimitError,
    "api_error": ServerError,
    "timeout_error": ServerError,
    "overloaded_error": OverloadedError,
}

# What `invalid_request_error` covers besides a bad request, by the words of its message (lower case).
_WORDS: Final[tuple[tuple[str, type[ProviderError]], ...]] = (
    ("prompt is too long", ContextLengthError),
    ("exceed context limit", ContextLengthError),
    ("context window", ContextLengthError),
    ("credit balance is too low", BillingError),
    ("spend limit", BillingError),
    ("usage limits", BillingError),
    ("content filtering policy", ContentPolicyError),
    ("exceeds the maximum size", TooLargeError),
)


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> PolyvoxError:
    """Return the error that an answer with an error status is."""
    lowered = {name.lower(): value for name, value in headers.items()}
    try:
        held = json.decode(body) if body.strip() else None
    except DecodeError:
        held = None
    if isinstance(held, dict):
        error = error_of(held, status=status)
    else:
        text = shown_body(status, body)
        error = _classify(status, "", "", text)(text, status=status)
    error.retry_after = wait_of(lowered)
    error.request_id = lowered.get("request-id") or error.request_id
    should = lowered.get("x-should-retry")
    # "false" stands on plain bad requests too; what our own classes never retry, a "true" does not make safe.
    if should == "false":
        error.retryable = False
    return error


def error_of(held: JSONObject, *, status: int | None) -> ProviderError:
    """Return the error that a body, or a frame of a stream (then `status` is `None`), holds."""
    inner = held.get("error")
    facts: JSONObject = inner if isinstance(inner, dict) else held
    details = facts.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    code = code if isinstance(code, str) else ""
    kind = str(facts.get("type") or "")
    message = facts.get("message") or (inner if isinstance(inner, str) else "") or facts.get("detail") or ""
    message = message if isinstance(message, str) else json.encode(message).decode()
    request_id = held.get("request_id")
    return _classify(status, code, kind, message)(
        shown(message),
        status=status,
        code=code or (kind if kind != "error" else "") or None,
        request_id=request_id if isinstance(request_id, str) else None,
    )


def _classify(status: int | None, code: str, kind: str, message: str) -> type[ProviderError]:
    if code in _CODES:
        return _CODES[code]
    known = _TYPES.get(kind)
    if known is BadRequestError or (known is None and status in (400, 413, 422)):
        words = message.lower()
        found = next((found for said, found in _WORDS if said in words), None)
        if found is not None:
            return found
        if status == 413:
            return TooLargeError
    if known is not None:
        return known
    if status is None:
        return ServerError
    return kind_of_status(status)


def decode_headers(headers: Mapping[str, str]) -> tuple[str | None, RateLimits | None]:
    """Return the request's id and the limits that the headers tell. `headers` are by lower-case name.

    Resets are instants (RFC 3339): they become seconds by the answer's own `date`.
    """
    now = read_date(headers.get("date"))
    facts: dict[str, Any] = {}
    for what in ("requests", "tokens"):
        for name in (what, f"input-{what}") if what == "tokens" else (what,):
            prefix = f"anthropic-ratelimit-{name}"
            if f"{prefix}-limit" in headers or f"{prefix}-remaining" in headers:
                facts[f"limit_{what}"] = _count(headers.get(f"{prefix}-limit"))
                facts[f"remaining_{what}"] = _count(headers.get(f"{prefix}-remaining"))
                facts[f"reset_{what}"] = _seconds(headers.get(f"{prefix}-reset"), now)
                break
    limits = RateLimits(**facts)
    return headers.get("request-id"), None if limits == RateLimits() else limits


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and text.strip().isdecimal() else None


def _seconds(instant: str | None, now: float | None) -> float | None:
    if instant is None or now is None:
        return None
    try:
        return max(0.0, datetime.fromisoformat(instant).timestamp() - now)
    except ValueError:
        return None


# Class → status, type, code, for a server that speaks this wire. The first that fits serves.
_SAID: Final[tuple[tuple[type[PolyvoxError], int, str, str | None], ...]] = (
    (ContextLengthError, 400, "invalid_request_error", "context_length_exceeded"),
    (ContentPolicyError, 400, "invalid_request_error", "content_policy_violation"),
    (TooLargeError, 413, "request_too_large", None),
    (BadRequestError, 400, "invalid_request_error", None),
    (AuthenticationError, 401, "authentication_error", None),
    (BillingError, 402, "billing_error", None),
    (PermissionDeniedError, 403, "permission_error", None),
    (NotFoundError, 404, "not_found_error", None),
    (ConflictError, 409, "conflict_error", None),
    (RateLimitError, 429, "rate_limit_error", None),
    (LimitError, 429, "rate_limit_error", None),
    (OverloadedError, 529, "overloaded_error", None),
    (CallTimeoutError, 504, "timeout_error", None),
    (ServerError, 500, "api_error", None),
    (UnsupportedError, 400, "invalid_request_error", None),
    (ConfigError, 500, "api_error", None),
    (TransportError, 502, "api_error", None),
    (DecodeError, 502, "api_error", None),
)


def encode_error(error: PolyvoxError) -> tuple[int, bytes]:
    """Return the status and the body that say `error` in this wire's shape."""
    status, kind, code = next(
        ((status, kind, code) for known, status, kind, code in _SAID if isinstance(error, known)),
        (500, "api_error", None),
    )
    said: JSONObject = {"type": kind, "message": error.message}
    # The wire's own code goes on; another wire's might mean something else here.
    code = code or (error.code if error.code in _CODES and _CODES[error.code] is type(error) else None)
    if code is not None:
        said["details"] = {"error_code": code}
    body: JSONObject = {"type": "error", "error": said}
    if error.request_id is not None:
        body["request_id"] = error.request_id
    return status, json.encode(body)
