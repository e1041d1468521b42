"""Errors of the OpenAI wires, read and written: what a status and a body mean, whoever sent them.

The rule: classified by the body's code before the status: 429 is a rate limit or an empty purse, 400 may be a bad key.
The shapes are those of OpenAI, Azure, OpenRouter, Groq, DeepSeek, Mistral, xAI, Perplexity, Cohere, llama.cpp, Google's
OpenAI endpoint and others, as recorded. https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from polyvox.dialects._failures import STATUSES, kind_of_status, read_number, shown, shown_body, wait_of
from polyvox.errors import (
    AuthenticationError,
    BadRequestError,
    BillingError,
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
)
from polyvox.framing import json
from polyvox.types.usage import RateLimits

_CODES: Final[dict[str, type[ProviderError]]] = {
    **dict.fromkeys(
        ("context_length_exceeded", "max_tokens_exceeded", "token_limit_exceeded", "exceed_context_size_error"),
        ContextLengthError,
    ),
    **dict.fromkeys(
        (
            "content_filter",
            "content_policy_violation",
            "invalid_prompt",
            "bio_policy",
            "misalignment_policy_violation",
            "responsibleaipolicyviolation",
            "data_inspection_failed",
            "datainspectionfailed",
            "moderation_blocked",
            "image_content_policy_violation",
            "moderation",
            "refusal",
        ),
        ContentPolicyError,
    ),
    **dict.fromkeys(
        (
            "insufficient_quota",
            "credit_balance_exhausted",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
            "billing_hard_limit_reached",
            "billing_not_active",
            "payment_required",
            "insufficient_balance",
            "arrearage",
            "billing_error",
        ),
        BillingError,
    ),
    **dict.fromkeys(
        ("invalid_api_key", "invalid_authentication", "authentication_error", "authentication", "unauthenticated"),
        AuthenticationError,
    ),
    **dict.fromkeys(("permission_denied", "permission_error", "insufficient_permissions"), PermissionDeniedError),
    **dict.fromkeys(("model_not_found", "deploymentnotfound", "not_found", "not_found_error"), NotFoundError),
    **dict.fromkeys(
        ("rate_limit_exceeded", "rate_limit_error", "resource_exhausted", "too_many_requests"), RateLimitError
    ),
    **dict.fromkeys(
        ("payload_too_large", "request_too_large", "string_too_long", "image_too_large", "image_file_too_large"),
        TooLargeError,
    ),
    **dict.fromkeys(
        (
            "resource_unavailable",
            "slow_down",
            "overloaded",
            "overloaded_error",
            "provider_overloaded",
            "capacity_exceeded",
            "unavailable",
            "unavailable_error",
            "service_unavailable",
        ),
        OverloadedError,
    ),
    **dict.fromkeys(
        ("server_error", "internal_server_error", "provider_unavailable", "internal", "api_error"), ServerError
    ),
    **dict.fromkeys(("conflict", "conflict_error"), ConflictError),
}

# The words of those who give no code. Looked at only where neither code nor status says more.
_WORDS: Final[tuple[tuple[re.Pattern[str], type[ProviderError]], ...]] = (
    (
        re.compile(
            r"(?i)maximum context length|context[_ ](?:length|window|size)|prompt is too long"
            r"|too many (?:input )?tokens|exceeds? the (?:model'?s? )?(?:maximum|available) (?:context|token)"
            r"|length of all messages is too long"
        ),
        ContextLengthError,
    ),
    (
        re.compile(r"(?i)(?:incorrect|invalid|wrong|missing) api[ -]?key|api key not valid|unauthorized"),
        AuthenticationError,
    ),
    (
        re.compile(
            r"(?i)spending limit|(?:run|ran) out of credits|used all available credits"
            r"|insufficient (?:funds|balance|credits?)|credit balance|purchase (?:more )?credits"
            r"|doesn't have any credits"
        ),
        BillingError,
    ),
    (re.compile(r"(?i)content (?:management )?policy|flagged (?:by|as)|safety system"), ContentPolicyError),
)

# What is said of a request under no status, in a stream.
# https://platform.openai.com/docs/api-reference/responses/object#responses/object-error
_CALLERS_FAULT: Final = frozenset(
    {
        *("invalid_request_error", "invalid_request", "bad_request", "badrequest"),
        *("invalid_value", "invalid_type", "missing_required_parameter", "unknown_parameter"),
        *("unsupported_value", "unsupported_parameter", "unsupported_image_media_type"),
        *("invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url", "invalid_image_mode"),
        *("image_too_small", "image_parse_error", "empty_image_file", "failed_to_download_image"),
        *("image_file_not_found", "data_residency_mismatch"),
    }
)

# Bad output of the model, not of the caller: another try may go well (Groq).
_WORTH_ANOTHER_TRY: Final = frozenset({"tool_use_failed", "json_validate_failed"})


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> PolyvoxError:
    """Return the error that an answer with an error status is."""
    lowered = {name.lower(): value for name, value in headers.items()}
    try:
        held = json.decode(body) if body.strip() else None
    except DecodeError:
        held = None
    if held is None:
        text = shown_body(status, body)
        error = _classify(status, set(), text)(text, status=status)
    else:
        error = error_of(held, status=status)
    wait = wait_of(lowered)
    if wait is not None:
        error.retry_after = wait
    should = lowered.get("x-should-retry")
    if should in ("true", "false"):
        error.retryable = should == "true"
    error.request_id = decode_headers(lowered)[0] or error.request_id
    return error


def error_of(held: Any, *, status: int | None) -> ProviderError:
    """Return the error that a JSON value is. `status` is `None` for one that came under status 200."""
    if isinstance(held, list) and held:
        held = held[0]  # Google's stream endpoint wraps its errors in a list
    outer: dict[str, Any] = held if isinstance(held, dict) else {"error": held}
    inner = outer.get("error")
    facts: dict[str, Any] = inner if isinstance(inner, dict) else outer
    message = _message(outer, facts)
    metadata = facts.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("raw"), str):
        message = f"{message}: {metadata['raw']}"  # OpenRouter: what the service behind it said
    words, code = _codes(outer, facts)
    if status is None:
        status = next((int(word) for word in words if word.isdigit() and 400 <= int(word) < 600), None)
    kind = _classify(status, words, message)
    error = kind(shown(message), status=status, code=code)
    if words & _WORTH_ANOTHER_TRY:
        error.retryable = True
    _read_details(error, facts, message)
    request_id = outer.get("request_id")
    error.request_id = request_id if isinstance(request_id, str) else None
    return error


def _message(outer: dict[str, Any], facts: dict[str, Any]) -> str:
    for owner in (facts, outer):
        for name in ("message", "error", "detail", "Message", "title"):
            value = owner.get(name)
            if isinstance(value, str) and value:
                return value
            if isinstance(value, dict | list) and value and name in ("message", "detail"):
                return json.encode(value).decode()
    return ""


def _codes(outer: dict[str, Any], facts: dict[str, Any]) -> tuple[set[str], str | None]:
    """Return every word that classifies (lower case), and the one to show."""
    metadata = facts.get("metadata") if isinstance(facts.get("metadata"), dict) else {}
    innermost = facts.get("innererror") if isinstance(facts.get("innererror"), dict) else {}
    assert isinstance(metadata, dict) and isinstance(innermost, dict)
    found = [
        metadata.get("error_type"),
        innermost.get("code"),
        facts.get("code"),
        outer.get("code") if facts is not outer else None,
        facts.get("type"),
        facts.get("status"),
        facts.get("status_code"),
        outer.get("statusCode"),
        *(_reasons(facts.get("details"))),
    ]
    words = {str(word).lower() for word in found if isinstance(word, str | int) and not isinstance(word, bool)}
    shown = next((word for word in (facts.get("code"), outer.get("code"), facts.get("type")) if word is not None), None)
    return words, str(shown) if isinstance(shown, str | int) else None


def _reasons(details: Any) -> list[Any]:
    return [detail.get("reason") for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def _classify(status: int | None, words: set[str], message: str) -> type[ProviderError]:
    # In this order: what the code says exactly, what the words give away, what the status means.
    exact = [kind for word, kind in _CODES.items() if word in words]
    precise = next((kind for kind in exact if kind in (ContextLengthError, ContentPolicyError, BillingError)), None)
    if precise is not None:
        return precise
    if "api_key_invalid" in words:
        return AuthenticationError
    if status in (None, 400, 403, 413, 422, 429, 500):
        for pattern, kind in _WORDS:
            if pattern.search(message) and not (kind is AuthenticationError and status in (429, 500)):
                return kind
    if status in (401, 402, 404, 409, 413):
        return STATUSES[status]
    if exact:
        return exact[0]
    if status is None:
        return BadRequestError if words & _CALLERS_FAULT else ServerError
    return kind_of_status(status)


def _read_details(error: ProviderError, facts: dict[str, Any], message: str) -> None:
    """Read Google's wait and quota, which stand in the body: `retryDelay: "34s"`, a quota a day."""
    details = facts.get("details")
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, dict):
            continue
        delay = detail.get("retryDelay")
        if isinstance(delay, str):
            error.retry_after = parse_duration(delay)
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict) and "PerDay" in str(violation.get("quotaId")):
                error.retryable = False


_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s|d)")
_UNITS: Final = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def parse_duration(text: str) -> float | None:
    """Return the seconds of a Go-style duration (`1s`, `6m0s`, `20ms`, `2m59.56s`) or of a bare number."""
    bare = read_number(text)
    if bare is not None:
        return bare
    pieces = _DURATION.findall(text)
    if not pieces or "".join(number + unit for number, unit in pieces) != text.strip():
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in pieces)


_REQUEST_IDS: Final = ("x-request-id", "request-id", "apim-request-id", "x-generation-id", "x-amzn-requestid")


def decode_headers(headers: Mapping[str, str]) -> tuple[str | None, RateLimits | None]:
    """Return the request's id and the limits that the headers tell. `headers` are by lower-case name."""
    request_id = next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)
    if not any(name.startswith("x-ratelimit-") for name in headers):
        return request_id, None
    counts = {
        f"{place}_{what}": read_number(headers.get(f"x-ratelimit-{place}-{what}"))
        for place in ("limit", "remaining")
        for what in ("requests", "tokens")
    }
    limits = RateLimits(
        **{name: None if count is None else int(count) for name, count in counts.items()},
        reset_requests=parse_duration(headers.get("x-ratelimit-reset-requests", "")),
        reset_tokens=parse_duration(headers.get("x-ratelimit-reset-tokens", "")),
    )
    return request_id, None if limits == RateLimits() else limits


# Class → status, type, code, for a server that speaks this wire. The first that fits serves.
_SAID: Final[tuple[tuple[type[PolyvoxError], int, str, str | None], ...]] = (
    (ContextLengthError, 400, "invalid_request_error", "context_length_exceeded"),
    (ContentPolicyError, 400, "invalid_request_error", "content_policy_violation"),
    (TooLargeError, 413, "invalid_request_error", "request_too_large"),
    (BadRequestError, 400, "invalid_request_error", None),
    (AuthenticationError, 401, "invalid_request_error", "invalid_api_key"),
    (PermissionDeniedError, 403, "permission_error", "permission_denied"),
    (NotFoundError, 404, "invalid_request_error", "not_found"),
    (ConflictError, 409, "invalid_request_error", "conflict"),
    (RateLimitError, 429, "requests", "rate_limit_exceeded"),
    (BillingError, 429, "insufficient_quota", "insufficient_quota"),
    (OverloadedError, 503, "server_error", "overloaded"),
    (ServerError, 500, "server_error", "server_error"),
    (LimitError, 429, "requests", "rate_limit_exceeded"),
    (TransportError, 502, "server_error", "upstream_unreachable"),
    (DecodeError, 502, "server_error", "upstream_unreadable"),
    (ProviderError, 500, "server_error", "server_error"),
)


def encode_error(error: PolyvoxError) -> tuple[int, bytes]:
    """Return the status and the body that say `error` in this wire's shape."""
    status, kind, code = next(
        ((status, kind, code) for known, status, kind, code in _SAID if isinstance(error, known)),
        (400, "invalid_request_error", None),
    )
    said = {"message": error.message, "type": kind, "param": None, "code": code or error.code}
    return status, json.encode({"error": said})
