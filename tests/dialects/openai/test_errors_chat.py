"""Errors of the OpenAI wires: every shape that a service sends, and what a user is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from polyvox.dialects.openai.errors import decode_error, decode_headers, encode_error, parse_duration
from polyvox.errors import (
    AuthenticationError,
    BadRequestError,
    BillingError,
    ConfigError,
    ConflictError,
    ContentPolicyError,
    ContextLengthError,
    InterruptedCallError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    TooLargeError,
    UnsupportedError,
)
from polyvox.types.usage import RateLimits


def decode(status, held, **headers):
    data = held if isinstance(held, bytes) else json.dumps(held).encode()
    return decode_error(status, {name.replace("_", "-"): value for name, value in headers.items()}, data)


def openai_shape(message="m", *, code=None, kind=None):
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "held", "message", "code"),
    [
        pytest.param(400, openai_shape("bad", code="c"), "bad", "c", id="openai"),
        pytest.param(
            400, openai_shape("bad", kind="invalid_request_error"), "bad", "invalid_request_error", id="deepseek"
        ),
        pytest.param(400, {"error": {"message": "bad", "code": 400}, "user_id": "u"}, "bad", "400", id="openrouter"),
        pytest.param(400, [{"error": {"message": "bad", "code": 400, "status": "INVALID"}}], "bad", "400", id="gemini"),
        pytest.param(400, {"code": "Client specified", "error": "bad"}, "bad", "Client specified", id="xai"),
        pytest.param(400, {"error": "bad"}, "bad", None, id="ollama"),
        pytest.param(
            400, {"object": "error", "message": "bad", "type": "x", "code": "1500"}, "bad", "1500", id="mistral"
        ),
        pytest.param(422, {"detail": "bad"}, "bad", None, id="mistral, 401"),
        pytest.param(
            422,
            {"detail": [{"loc": ["body"], "msg": "bad"}]},
            '[{"loc":["body"],"msg":"bad"}]',
            None,
            id="mistral, 422",
        ),
        pytest.param(
            422,
            {"object": "error", "message": {"detail": [{"msg": "bad"}]}, "code": None},
            '{"detail":[{"msg":"bad"}]}',
            None,
            id="mistral, older",
        ),
        pytest.param(400, {"statusCode": 400, "message": "bad"}, "bad", None, id="azure's gateway"),
        pytest.param(400, {"id": "1", "message": "bad"}, "bad", None, id="cohere"),
        pytest.param(400, b"bad", "bad", None, id="text"),
        pytest.param(
            400,
            {"error": {"message": "Provider returned error", "metadata": {"raw": "bad"}}},
            "Provider returned error: bad",
            None,
            id="behind openrouter",
        ),
    ],
)
def test_every_shape_is_read(status, held, message, code) -> None:
    error = decode(status, held)

    assert type(error) is BadRequestError
    assert (error.message, error.code, error.status) == (message, code, status)


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, BadRequestError, False),
        (401, AuthenticationError, False),
        (402, BillingError, False),
        (403, PermissionDeniedError, False),
        (404, NotFoundError, False),
        (405, BadRequestError, False),
        (408, ServerError, True),
        (409, ConflictError, True),
        (410, NotFoundError, False),
        (413, TooLargeError, False),
        (422, BadRequestError, False),
        (429, RateLimitError, True),
        (498, OverloadedError, True),
        (500, ServerError, True),
        (502, ServerError, True),
        (503, OverloadedError, True),
        (504, ServerError, True),
        (529, OverloadedError, True),
    ],
)
@pytest.mark.parametrize("held", [b"", b"   ", b"null", b"{}", openai_shape("m")])
def test_a_status_alone_says_the_class(status, kind, retryable, held) -> None:
    error = decode(status, held)

    assert type(error) is kind
    assert error.retryable is retryable
    assert error.message


@pytest.mark.parametrize(
    ("status", "held", "kind"),
    [
        (429, openai_shape(kind="insufficient_quota", code="insufficient_quota"), BillingError),
        (429, openai_shape(code="project_spend_limit_exceeded"), BillingError),
        (429, openai_shape(kind="tokens", code="rate_limit_exceeded"), RateLimitError),
        (429, openai_shape("Your team has used all available credits"), BillingError),
        (429, openai_shape(code="resource_unavailable"), OverloadedError),
        (
            403,
            {"code": "The caller does not have permission", "error": "reached its monthly spending limit"},
            BillingError,
        ),
        (403, openai_shape(code="model_not_found"), NotFoundError),
        (400, openai_shape(code="context_length_exceeded"), ContextLengthError),
        (400, openai_shape("This model's maximum context length is 8192 tokens."), ContextLengthError),
        (400, openai_shape("prompt too long; exceeded max context length by 9 tokens"), ContextLengthError),
        (
            400,
            {
                "error": {
                    "code": 400,
                    "message": "the request exceeds the available context size",
                    "type": "exceed_context_size_error",
                }
            },
            ContextLengthError,
        ),
        (
            400,
            {
                "error": {
                    "message": "m",
                    "code": "content_filter",
                    "innererror": {"code": "ResponsibleAIPolicyViolation"},
                }
            },
            ContentPolicyError,
        ),
        (400, openai_shape(code="DataInspectionFailed"), ContentPolicyError),
        (
            400,
            {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xx."},
            AuthenticationError,
        ),
        (
            400,
            [{"error": {"code": 400, "message": "API key not valid.", "details": [{"reason": "API_KEY_INVALID"}]}}],
            AuthenticationError,
        ),
        (
            403,
            {"error": {"code": 403, "message": "m", "metadata": {"error_type": "content_policy_violation"}}},
            ContentPolicyError,
        ),
        (
            502,
            {"error": {"code": 502, "message": "m", "metadata": {"error_type": "provider_overloaded"}}},
            OverloadedError,
        ),
        (500, openai_shape("Invalid API key in our own upstream"), ServerError),
        (429, openai_shape("Unauthorized use of too much"), RateLimitError),
    ],
)
def test_the_body_says_more_than_the_status(status, held, kind) -> None:
    assert type(decode(status, held)) is kind


@pytest.mark.parametrize("code", ["tool_use_failed", "json_validate_failed"])
def test_bad_output_of_the_model_is_worth_another_try(code) -> None:
    error = decode(400, openai_shape(code=code))

    assert type(error) is BadRequestError
    assert error.retryable


def test_a_web_page_is_told_by_its_title() -> None:
    error = decode(502, b"<!DOCTYPE html><html><head><title>502\n Bad  Gateway</title></head><body>x</body></html>")

    assert type(error) is ServerError
    assert error.message == "the server answered with a web page: 502 Bad Gateway"


def test_a_message_is_short_and_holds_no_key() -> None:
    key = "sk-" + "a1" * 20
    error = decode(400, openai_shape(f"no such key: {key} " + "x" * 10_000))

    assert key not in str(error)
    assert len(error.message) <= 2_000


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": "-3"}, 0.0),
        ({"retry_after_ms": "250", "retry_after": "7"}, 0.25),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "nan"}, None),
        ({"Retry_After": "7"}, 7.0),
        ({}, None),
    ],
)
def test_the_wait_is_read(headers, seconds) -> None:
    assert decode(429, openai_shape(), **headers).retry_after == seconds


def test_the_wait_may_be_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=90), usegmt=True)
    wait = decode(429, openai_shape(), retry_after=date).retry_after

    assert wait is not None and 80 < wait <= 90
    assert decode(429, openai_shape(), retry_after=past).retry_after == 0.0


def test_googles_wait_and_quota_stand_in_the_body() -> None:
    wait = {"@type": "RetryInfo", "retryDelay": "34.5s"}
    quota = {"@type": "QuotaFailure", "violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}
    shape = {"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED", "details": [wait]}}

    error = decode(429, [shape])
    assert (type(error), error.retry_after, error.retryable) == (RateLimitError, 34.5, True)
    shape["error"]["details"].append(quota)
    assert not decode(429, [shape]).retryable


@pytest.mark.parametrize(
    ("said", "status", "retryable"), [("true", 400, True), ("false", 503, False), ("maybe", 503, True)]
)
def test_the_server_may_say_whether_to_try_again(said, status, retryable) -> None:
    assert decode(status, openai_shape(), x_should_retry=said).retryable is retryable


def test_an_error_has_the_requests_id() -> None:
    assert decode(500, openai_shape(), x_request_id="r1").request_id == "r1"
    assert decode(500, {**openai_shape(), "request_id": "r2"}).request_id == "r2"


def test_headers_tell_the_request_and_the_limits() -> None:
    request_id, limits = decode_headers(
        {
            "x-request-id": "r1",
            "x-ratelimit-limit-requests": "500",
            "x-ratelimit-remaining-requests": "499",
            "x-ratelimit-reset-requests": "6m0s",
            "x-ratelimit-limit-tokens": "30000",
            "x-ratelimit-remaining-tokens": "29000",
            "x-ratelimit-reset-tokens": "20ms",
        }
    )

    assert request_id == "r1"
    assert limits == RateLimits(500, 499, 360.0, 30000, 29000, 0.02)


@pytest.mark.parametrize("headers", [{}, {"date": "x"}, {"x-ratelimit-limit-requests": "many"}])
def test_no_limits_are_none(headers) -> None:
    assert decode_headers(headers) == (None, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("2m59.56s", 179.56),
        ("1h2m", 3720.0),
        ("120ms", 0.12),
        ("4", 4.0),
        ("", None),
        ("1 s", None),
        ("s", None),
    ],
)
def test_a_duration_is_read(text, seconds) -> None:
    assert parse_duration(text) == (seconds if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (ContextLengthError("m"), 400, "invalid_request_error", "context_length_exceeded"),
        (AuthenticationError("m"), 401, "invalid_request_error", "invalid_api_key"),
        (RateLimitError("m"), 429, "requests", "rate_limit_exceeded"),
        (BillingError("m"), 429, "insufficient_quota", "insufficient_quota"),
        (OverloadedError("m"), 503, "server_error", "overloaded"),
        (InterruptedCallError("m"), 502, "server_error", "upstream_unreachable"),
        (
            BadRequestError("m", code="missing_required_parameter"),
            400,
            "invalid_request_error",
            "missing_required_parameter",
        ),
        (UnsupportedError("m"), 400, "invalid_request_error", None),
        (ConfigError("m"), 400, "invalid_request_error", None),
    ],
)
def test_a_server_says_an_error_as_openai_does(error, status, kind, code) -> None:
    said, data = encode_error(error)

    assert said == status
    assert json.loads(data) == {"error": {"message": "m", "type": kind, "param": None, "code": code}}
