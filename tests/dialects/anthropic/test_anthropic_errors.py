"""Errors and headers of the wire."""

from __future__ import annotations

import json

import pytest

from polyvox.dialects.anthropic.errors import decode_error, decode_headers, encode_error
from polyvox.errors import (
    AuthenticationError,
    BadRequestError,
    BillingError,
    CallTimeoutError,
    Cancelled,
    ConflictError,
    ContentPolicyError,
    ContextLengthError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    TooLargeError,
    UnsupportedError,
)
from polyvox.types.usage import RateLimits


def body(kind, message="no", **details):
    error = {"type": kind, "message": message, **({"details": details} if details else {})}
    return json.dumps({"type": "error", "error": error, "request_id": "req_1"}).encode()


@pytest.mark.parametrize(
    ("status", "sent", "kind", "retryable"),
    [
        (400, body("invalid_request_error"), BadRequestError, False),
        (400, body("invalid_request_error", "prompt is too long: 9 tokens > 5 maximum"), ContextLengthError, False),
        (400, body("invalid_request_error", "Your credit balance is too low"), BillingError, False),
        (400, body("invalid_request_error", "You have reached your specified API usage limits."), BillingError, False),
        (400, body("invalid_request_error", "Output blocked by content filtering policy"), ContentPolicyError, False),
        (401, body("authentication_error"), AuthenticationError, False),
        (402, body("billing_error"), BillingError, False),
        (403, body("permission_error"), PermissionDeniedError, False),
        (404, body("not_found_error"), NotFoundError, False),
        (409, body("conflict_error"), ConflictError, True),
        (413, body("request_too_large"), TooLargeError, False),
        (413, body("invalid_request_error"), TooLargeError, False),
        (429, body("rate_limit_error"), RateLimitError, True),
        (429, body("rate_limit_error", error_code="enforced_spend_limit_reached"), BillingError, False),
        (500, body("api_error"), ServerError, True),
        (504, body("timeout_error"), ServerError, True),
        (529, body("overloaded_error"), OverloadedError, True),
        (529, b"", OverloadedError, True),
        (418, body("odd_error"), BadRequestError, False),
        (502, b"<html><title>Bad gateway</title>", ServerError, True),
        (408, b"upstream request timeout", ServerError, True),
        (400, b'{"error": "plain words"}', BadRequestError, False),
        (400, b'{"message": "prompt is too long"}', ContextLengthError, False),
        (422, b'{"detail": [{"msg": "x"}]}', BadRequestError, False),
    ],
)
def test_what_an_error_is(status, sent, kind, retryable):
    error = decode_error(status, {}, sent)
    assert type(error) is kind
    assert (error.status, error.retryable) == (status, retryable)
    assert error.message


def test_an_error_tells_its_code_its_request_and_how_long_to_wait():
    error = decode_error(429, {"retry-after": "7", "request-id": "req_h"}, body("rate_limit_error", "slow down"))
    assert (error.code, error.request_id, error.retry_after) == ("rate_limit_error", "req_h", 7.0)
    error = decode_error(400, {}, body("invalid_request_error", error_code="tool_name_conflict"))
    assert (error.code, error.request_id) == ("tool_name_conflict", "req_1")
    assert decode_error(429, {"Retry-After-Ms": "500"}, b"").retry_after == 0.5
    assert decode_error(429, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, b"").retry_after == 0.0
    assert decode_error(429, {"retry-after": "soon"}, b"").retry_after is None


def test_a_service_that_says_not_to_try_again_is_heard():
    assert decode_error(500, {"x-should-retry": "false"}, b"").retryable is False
    assert decode_error(401, {"x-should-retry": "true"}, b"").retryable is False


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (UnsupportedError("no"), 400, "invalid_request_error"),
        (CallTimeoutError("late", phase="idle"), 504, "timeout_error"),
        (OverloadedError("full"), 529, "overloaded_error"),
        (BillingError("no money"), 402, "billing_error"),
        (Cancelled("gone"), 500, "api_error"),
    ],
)
def test_errors_as_a_server_says_them(error, status, kind):
    told, said = encode_error(error)
    assert (told, json.loads(said)) == (
        status,
        {"type": "error", "error": {"type": kind, "message": error.message}},
    )


def test_a_code_of_the_wires_own_goes_on_with_its_request_id():
    error = BillingError("x", code="enforced_spend_limit_reached", request_id="r")
    said = json.loads(encode_error(error)[1])
    assert (said["error"]["details"], said["request_id"]) == ({"error_code": "enforced_spend_limit_reached"}, "r")


def test_limits_are_read_from_the_headers():
    headers = {
        "request-id": "req_1",
        "date": "Tue, 04 Jun 2024 18:39:27 GMT",
        "anthropic-ratelimit-requests-limit": "5",
        "anthropic-ratelimit-requests-remaining": "1",
        "anthropic-ratelimit-requests-reset": "2024-06-04T18:39:57Z",
        "anthropic-ratelimit-input-tokens-limit": "100",
        "anthropic-ratelimit-input-tokens-remaining": "90",
        "anthropic-ratelimit-input-tokens-reset": "odd",
    }
    limits = RateLimits(5, 1, 30.0, 100, 90, None)
    assert decode_headers(headers) == ("req_1", limits)
    assert decode_headers({}) == (None, None)
    without = {name: value for name, value in headers.items() if name != "date"}
    assert decode_headers(without)[1] == RateLimits(5, 1, None, 100, 90, None)
