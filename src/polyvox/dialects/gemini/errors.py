"""Errors of this wire, read and written: `google.rpc.Status` with its details.

The rule: what the details say is asked first (`ErrorInfo.reason`, the quota's id), then the words of a message where
one status covers several things, then the status. The time to wait stands in the body (`RetryInfo`), at times in the
message alone. https://ai.google.dev/gemini-api/docs/troubleshooting, https://google.aip.dev/193
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from polyvox.dialects._failures import STATUSES, kind_of_status, shown, shown_body, wait_of
from polyvox.dialects._reading import JSONObject
from polyvox.errors import (
    AuthenticationError,
    BadRequestError,
    BillingError,
    CallTimeoutError,
    Cancelled,
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

_TYPE: Final = "type.googleapis.com/google.rpc."

_REASONS: Final[dict[str, type[ProviderError]]] = {
    "API_KEY_INVALID": AuthenticationError,
    "ACCESS_TOKEN_EXPIRED": AuthenticationError,
    "ACCESS_TOKEN_TYPE_UNSUPPORTED": AuthenticationError,
    "ACCOUNT_STATE_INVALID": AuthenticationError,
    "CREDENTIALS_MISSING": AuthenticationError,
    "BILLING_DISABLED": BillingError,
    # Our own words, where a server of ours says what this wire has no word for.
    "CONTEXT_LENGTH_EXCEEDED": ContextLengthError,
    "CONTENT_POLICY_VIOLATION": ContentPolicyError,
}

_STATES: Final[dict[str, type[ProviderError]]] = {
    "INVALID_ARGUMENT": BadRequestError,
    "FAILED_PRECONDITION": BadRequestError,
    "OUT_OF_RANGE": BadRequestError,
    "UNIMPLEMENTED": BadRequestError,
    "UNAUTHENTICATED": AuthenticationError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "NOT_FOUND": NotFoundError,
    "ABORTED": ConflictError,
    "ALREADY_EXISTS": ConflictError,
    "RESOURCE_EXHAUSTED": RateLimitError,
    "CANCELLED": ServerError,
    "INTERNAL": ServerError,
    "UNKNOWN": ServerError,
    "DATA_LOSS": ServerError,
    "UNAVAILABLE": OverloadedError,
    "DEADLINE_EXCEEDED": ServerError,
}

# What one status covers besides its own meaning, by the words of the message (lower case), for those that may mean it.
_WORDS: Final[tuple[tuple[type[ProviderError], str, type[ProviderError]], ...]] = (
    (BadRequestError, "api key not valid", AuthenticationError),
    (BadRequestError, "api key expired", AuthenticationError),
    (BadRequestError, "api key not found", AuthenticationError),
    (BadRequestError, "exceeds the maximum number of tokens", ContextLengthError),
    (BadRequestError, "token count exceeds", ContextLengthError),
    (BadRequestError, "exceeds the model's context", ContextLengthError),
    (BadRequestError, "payload size exceeds", TooLargeError),
    (BadRequestError, "responsible ai practices", ContentPolicyError),
    (BadRequestError, "usage guidelines", ContentPolicyError),
    (BadRequestError, "location is not supported", BillingError),
    (BadRequestError, "enable billing", BillingError),
    (BadRequestError, "not in an active state", ConflictError),
    (PermissionDeniedError, "requires billing", BillingError),
    (PermissionDeniedError, "billing to be enabled", BillingError),
    # Not "check your plan and billing details", which every free quota's message says too.
    (RateLimitError, "credits are depleted", BillingError),
    (RateLimitError, "prepayment", BillingError),
    (RateLimitError, "spending cap", BillingError),
    (RateLimitError, "spending limit", BillingError),
    (RateLimitError, "spend cap", BillingError),
)

_RETRY_IN: Final = re.compile(r"retry in (\d+(?:\.\d+)?)\s*(ms|s)\b", re.IGNORECASE)
_NOTHING_ALLOWED: Final = re.compile(r"\blimit: 0\b")


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> PolyvoxError:
    """Return the error that an answer with an error status is."""
    lowered = {name.lower(): value for name, value in headers.items()}
    try:
        held = json.decode(body) if body.strip() else None
    except DecodeError:
        held = None
    if isinstance(held, list):  # a stream that was asked for as an array
        held = next((one for one in held if isinstance(one, dict)), None)
    if isinstance(held, dict):
        error = error_of(held, status=status)
    else:
        text = shown_body(status, body)
        error = _classify(status, "", "", text)(text, status=status)
    waits = wait_of(lowered)
    error.retry_after = error.retry_after if waits is None else waits
    return error


def error_of(held: JSONObject, *, status: int | None) -> ProviderError:
    """Return the error that a body, or a frame of a stream (then `status` is `None`), holds."""
    inner = held.get("error")
    facts: JSONObject = inner if isinstance(inner, dict) else held
    listed = facts.get("details")
    details = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    reason = next((one["reason"] for one in details if isinstance(one.get("reason"), str)), "")
    state = facts.get("status")
    state = state if isinstance(state, str) else ""
    code = facts.get("code")
    number = code if isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600 else None
    words = [facts.get("message"), facts.get("error_description"), inner]
    message = next((one for one in words if isinstance(one, str) and one), "")
    kind = _classify(status or number, reason, state, message)
    error = kind(
        shown(message),
        status=status,
        code=reason or state or (inner if isinstance(inner, str) else None) or None,
        request_id=next((one["requestId"] for one in details if isinstance(one.get("requestId"), str)), None),
        retry_after=_told_wait(details, message),
    )
    if state == "CANCELLED" or (kind is RateLimitError and _is_hopeless(details, message)):
        error.retryable = False
    return error


def _classify(status: int | None, reason: str, state: str, message: str) -> type[ProviderError]:
    if reason in _REASONS:
        return _REASONS[reason]
    if status in (402, 413):
        return STATUSES[status]
    known = _STATES.get(state)
    if known is None:
        known = kind_of_status(status or 500)
    words = message.lower()
    return next((found for kind, said, found in _WORDS if kind is known and said in words), known)


def _is_hopeless(details: list[JSONObject], message: str) -> bool:
    """Tell whether a quota is one that no short wait gives back: a day's, or one that allows nothing at all."""
    for detail in details:
        violations = detail.get("violations")
        for one in violations if isinstance(violations, list) else ():
            if isinstance(one, dict) and ("PerDay" in str(one.get("quotaId")) or one.get("quotaValue") in ("0", 0)):
                return True
    return _NOTHING_ALLOWED.search(message) is not None


def _told_wait(details: list[JSONObject], message: str) -> float | None:
    """Return the seconds to wait that the body tells: a duration (`34s`, or its members), else the message's."""
    for detail in details:
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and delay.endswith("s"):
            try:
                return max(0.0, float(delay[:-1]))
            except ValueError:
                continue
        if isinstance(delay, dict):
            seconds, nanos = (_amount(delay.get(name)) for name in ("seconds", "nanos"))
            return max(0.0, seconds + nanos / 1e9)
    found = _RETRY_IN.search(message)
    if found is None:
        return None
    return float(found.group(1)) / (1000 if found.group(2).lower() == "ms" else 1)


def _amount(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def decode_headers(headers: Mapping[str, str]) -> tuple[str | None, RateLimits | None]:
    """Return the request's id, where a service in front tells one. The wire has no headers that tell limits."""
    return headers.get("x-request-id") or headers.get("x-goog-request-id"), None


# Class → status, the wire's word, our reason, for a server that speaks this wire. The first that fits serves.
_SAID: Final[tuple[tuple[type[PolyvoxError], int, str, str | None], ...]] = (
    (ContextLengthError, 400, "INVALID_ARGUMENT", "CONTEXT_LENGTH_EXCEEDED"),
    (ContentPolicyError, 400, "INVALID_ARGUMENT", "CONTENT_POLICY_VIOLATION"),
    (TooLargeError, 413, "INVALID_ARGUMENT", None),
    (BadRequestError, 400, "INVALID_ARGUMENT", None),
    (AuthenticationError, 401, "UNAUTHENTICATED", None),
    (BillingError, 402, "RESOURCE_EXHAUSTED", None),
    (PermissionDeniedError, 403, "PERMISSION_DENIED", None),
    (NotFoundError, 404, "NOT_FOUND", None),
    (ConflictError, 409, "ABORTED", None),
    (RateLimitError, 429, "RESOURCE_EXHAUSTED", None),
    (LimitError, 429, "RESOURCE_EXHAUSTED", None),
    (OverloadedError, 503, "UNAVAILABLE", None),
    (CallTimeoutError, 504, "DEADLINE_EXCEEDED", None),
    (ServerError, 500, "INTERNAL", None),
    (UnsupportedError, 400, "INVALID_ARGUMENT", None),
    (ConfigError, 500, "INTERNAL", None),
    (TransportError, 502, "INTERNAL", None),
    (DecodeError, 502, "INTERNAL", None),
    (Cancelled, 499, "CANCELLED", None),
)


def encode_error(error: PolyvoxError) -> tuple[int, bytes]:
    """Return the status and the body that say `error` in this wire's shape."""
    status, state, reason = next(
        ((status, state, reason) for known, status, state, reason in _SAID if isinstance(error, known)),
        (500, "INTERNAL", None),
    )
    # The wire's own reason goes on; another wire's might mean something else here.
    reason = reason or (error.code if error.code in _REASONS and _REASONS[error.code] is type(error) else None)
    details: list[JSONObject] = []
    if reason is not None:
        details.append({"@type": f"{_TYPE}ErrorInfo", "reason": reason, "domain": "googleapis.com"})
    if error.retry_after is not None:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{error.retry_after:g}s"})
    if error.request_id is not None:
        details.append({"@type": f"{_TYPE}RequestInfo", "requestId": error.request_id})
    said: JSONObject = {"code": status, "message": error.message, "status": state}
    if details:
        said["details"] = details
    return status, json.encode({"error": said})
