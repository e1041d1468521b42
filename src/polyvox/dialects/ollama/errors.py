"""Errors of this wire, read and written: what a status and a text mean.

The rule: the body is `{"error": "text"}`; a code of ours is asked first (a server of ours says what the wire has no
word for), then the words that tell more than the status, then the status, and only where there is none, in a stream,
the words alone. https://docs.ollama.com/api/errors
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from polyvox.dialects._failures import kind_of_status, shown, shown_body, wait_of
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

# What a bad request or a failure is, by the words of its text (lower case).
_TOO_LONG: Final = ("context length", "context window", "prompt is too long", "prompt too long", "exceeds context")
# Of 429: what no waiting of minutes helps. A limit of an hour or a session is one to wait for.
_MONEY: Final = ("weekly", "monthly", "quota", "credit", "balance", "billing", "payment", "spend")
# Where there is no status, in a stream.
_WORDS: Final[tuple[tuple[str, type[ProviderError]], ...]] = (
    ("unauthorized", AuthenticationError),
    ("usage limit", RateLimitError),
    ("too many", RateLimitError),
    ("rate limit", RateLimitError),
    ("not found", NotFoundError),
    ("server busy", OverloadedError),
    ("overloaded", OverloadedError),
    ("does not support", BadRequestError),
    ("invalid", BadRequestError),
)
# Failures that come again however often one asks: the machine has not what the model needs.
_HOPELESS: Final = ("more system memory", "unable to load model", "unsupported model")


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
        error = _classify(status, "", text)(text, status=status)
    error.retry_after = wait_of(lowered)
    error.request_id = lowered.get("x-request-id")
    return error


def error_of(held: JSONObject, *, status: int | None) -> ProviderError:
    """Return the error that a body, or a line of a stream (then `status` is `None`), holds."""
    inner = held.get("error")
    # Proxies before a server say it in their own way.
    facts: JSONObject = inner if isinstance(inner, dict) else held
    said = facts.get("message") or held.get("detail") or "" if facts is inner or inner is None else inner
    message = said if isinstance(said, str) else json.encode(said).decode()
    code = facts.get("code")
    code = code if isinstance(code, str) else ""
    kind = _classify(status, code, message)
    error = kind(shown(message), status=status, code=code or None)
    if isinstance(error, ServerError) and any(words in message.lower() for words in _HOPELESS):
        error.retryable = False
    return error


def _classify(status: int | None, code: str, message: str) -> type[ProviderError]:
    if code in _CODES:
        return _CODES[code]
    words = message.lower()
    if status in (None, 400, 413, 500) and any(said in words for said in _TOO_LONG):
        return ContextLengthError
    if status is None:
        known = next((kind for said, kind in _WORDS if said in words), ServerError)
    else:
        known = kind_of_status(status)
    if known is RateLimitError and any(said in words for said in _MONEY):
        return BillingError
    return known


def decode_headers(headers: Mapping[str, str]) -> tuple[str | None, RateLimits | None]:
    """Return the request's id, where a proxy gives one. `headers` are by lower-case name. Limits are not told here."""
    return headers.get("x-request-id"), None


# Class → status and code, for a server that speaks this wire. The first that fits serves. The wire has no codes: ours
# stand beside the text, for a client to tell in a stream, where there is no status, what happened.
_SAID: Final[tuple[tuple[type[PolyvoxError], int, str], ...]] = (
    (ContextLengthError, 400, "context_length_exceeded"),
    (ContentPolicyError, 400, "content_policy_violation"),
    (TooLargeError, 413, "request_too_large"),
    (BadRequestError, 400, "bad_request"),
    (AuthenticationError, 401, "unauthorized"),
    (BillingError, 402, "billing"),
    (PermissionDeniedError, 403, "forbidden"),
    (NotFoundError, 404, "not_found"),
    (ConflictError, 409, "conflict"),
    (RateLimitError, 429, "rate_limit"),
    (LimitError, 429, "rate_limit"),
    (OverloadedError, 503, "overloaded"),
    (CallTimeoutError, 504, "server_error"),
    (ServerError, 500, "server_error"),
    (UnsupportedError, 400, "bad_request"),
    (ConfigError, 500, "server_error"),
    (TransportError, 502, "server_error"),
    (DecodeError, 502, "server_error"),
)

_CODES: Final[dict[str, type[ProviderError]]] = {
    code: known for known, _, code in reversed(_SAID) if issubclass(known, ProviderError)
}


def encode_error(error: PolyvoxError) -> tuple[int, bytes]:
    """Return the status and the body that say `error` in this wire's shape."""
    status, code = next(
        ((status, code) for known, status, code in _SAID if isinstance(error, known)), (500, "server_error")
    )
    return status, json.encode({"error": error.message, "code": code})
