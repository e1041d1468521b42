"""Errors of the OpenAI wires: what a status, a body and headers mean to a user, whoever sent them."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any

import pytest

from polyvox.dialects.openai.errors import decode_error, decode_headers, encode_error, parse_duration
from polyvox.errors import (
    AuthenticationError,
    BadRequestError,
    BillingError,
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
    ProviderError,
    RateLimitError,
    ServerError,
    TooLargeError,
    TransportError,
    UnsupportedError,
)
from polyvox.types.usage import RateLimits


def read(status: int, body: Any, **headers: str) -> ProviderError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    error = decode_error(status, named, data)
    assert isinstance(error, ProviderError)
    assert error.status == status
    return error


# One shape each: what every service of RECORDINGS sends.


@pytest.mark.parametrize(
    ("status", "body", "kind", "message", "code"),
    [
        # OpenAI, DeepSeek: code often null, then the type is shown
        (
            400,
            {"error": {"message": "bad owl", "type": "invalid_request_error", "param": "x", "code": None}},
            BadRequestError,
            "bad owl",
            "invalid_request_error",
        ),
        (
            401,
            {"error": {"message": "wrong key", "type": "invalid_request_error", "code": "invalid_api_key"}},
            AuthenticationError,
            "wrong key",
            "invalid_api_key",
        ),
        # OpenRouter, Gemini, Perplexity, llama.cpp: the code is a number
        (404, {"error": {"message": "no owl", "code": 404}, "user_id": "u"}, NotFoundError, "no owl", "404"),
        (500, {"error": {"code": 500, "message": "broken", "type": "server_error"}}, ServerError, "broken", "500"),
        # Azure: the code is a number as text, or a word of its own
        (404, {"error": {"code": "404", "message": "Resource not found"}}, NotFoundError, "Resource not found", "404"),
        (
            404,
            {"error": {"code": "DeploymentNotFound", "message": "no deployment"}},
            NotFoundError,
            "no deployment",
            "DeploymentNotFound",
        ),
        # xAI: both are text
        (
            404,
            {"code": "Some requested entity was not found", "error": "The model is gone."},
            NotFoundError,
            "The model is gone.",
            "Some requested entity was not found",
        ),
        # Mistral: flat, or `detail`, or a list of details
        (
            400,
            {"object": "error", "message": "Invalid model: x", "type": "invalid_model", "param": None, "code": "1500"},
            BadRequestError,
            "Invalid model: x",
            "1500",
        ),
        (401, {"detail": "Invalid API Key"}, AuthenticationError, "Invalid API Key", None),
        (
            422,
            {"detail": [{"loc": ["body", "n"], "msg": "field required"}]},
            BadRequestError,
            '[{"loc":["body","n"],"msg":"field required"}]',
            None,
        ),
        # Cohere, Bedrock, Ollama, DashScope, Voyage, HuggingFace
        (400, {"id": "x", "message": "too odd"}, BadRequestError, "too odd", None),
        (400, {"message": "malformed"}, BadRequestError, "malformed", None),
        (404, {"error": 'model "owl" not found'}, NotFoundError, 'model "owl" not found', None),
        (
            400,
            {"code": "InvalidParameter", "message": "no such size", "request_id": "r"},
            BadRequestError,
            "no such size",
            "InvalidParameter",
        ),
        (400, {"detail": "texts is missing"}, BadRequestError, "texts is missing", None),
        (404, b"Not Found", NotFoundError, "Not Found", None),
        # Google's stream endpoint: a list
        (
            400,
            [{"error": {"code": 400, "message": "bad part", "status": "INVALID_ARGUMENT"}}],
            BadRequestError,
            "bad part",
            "400",
        ),
        # several at once
        (400, {"errors": [{"message": "one"}, {"message": "two"}]}, BadRequestError, None, None),
        (400, {"error": [{"message": "one"}]}, BadRequestError, None, None),
        (400, {"error": {"message": {"en": "deep"}}}, BadRequestError, '{"en":"deep"}', None),
        # nothing to read
        (500, b"", ServerError, "the provider answered 500 without saying why", None),
        (500, {}, ServerError, "the provider reported an error without saying why", None),
        (502, b"null", ServerError, "the provider answered 502 without saying why", None),
        (400, b'"just text"', BadRequestError, "just text", None),
        (400, b"\xff\xfe", BadRequestError, "\ufffd\ufffd", None),
        (400, b"7", BadRequestError, None, None),
        (400, b"[]", BadRequestError, None, None),
    ],
)
def test_every_services_error_is_typed_and_says_what_was_said(status, body, kind, message, code):
    error = read(status, body)
    assert type(error) is kind
    assert error.message
    if message is not None:
        assert error.message == message
        assert error.code == code


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, BadRequestError, False),
        (401, AuthenticationError, False),
        (402, BillingError, False),
        (403, PermissionDeniedError, False),
        (404, NotFoundError, False),
        (408, ServerError, True),
        (409, ConflictError, True),
        (410, NotFoundError, False),
        (413, TooLargeError, False),
        (418, BadRequestError, False),
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
def test_a_status_alone_says_what_it_means(status, kind, retryable):
    error = read(status, {"error": {"message": "the owl is asleep"}})
    assert type(error) is kind
    assert error.retryable is retryable


# 429 is two things.


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            {"message": "Rate limit reached for gpt-5", "type": "requests", "code": "rate_limit_exceeded"},
            RateLimitError,
        ),
        ({"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "x"}, BillingError),
        ({"message": "You exceeded your current quota", "code": "insufficient_quota"}, BillingError),
        ({"message": "hard limit", "code": "billing_hard_limit_reached"}, BillingError),
        ({"message": "Your account is not active", "code": "billing_not_active"}, BillingError),
        ({"message": "Insufficient Balance", "type": "unknown_error", "code": "invalid_request_error"}, BillingError),
        ({"message": "Your team has used all available credits or reached its spending limit"}, BillingError),
        ({"message": "overloaded", "code": "capacity_exceeded"}, OverloadedError),
        ({"message": "Slow down", "code": "slow_down"}, OverloadedError),
        ({"code": "RateLimitReached", "message": "Please retry after 60 seconds"}, RateLimitError),
        ({"code": 429, "message": "Provider returned error"}, RateLimitError),
    ],
)
def test_429_is_a_rate_limit_or_an_empty_purse(error, kind):
    decoded = read(429, {"error": error})
    assert type(decoded) is kind
    assert decoded.retryable is (kind is not BillingError)


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (402, {"message": "Insufficient credits", "code": 402}, BillingError),
        (403, {"code": "x", "message": "Your newly created team doesn't have any credits yet."}, BillingError),
        (400, {"message": "Arrearage", "code": "Arrearage"}, BillingError),
        (400, {"message": "API key not valid. Please pass a valid API key.", "code": 400}, AuthenticationError),
        (400, {"message": "x", "details": [{"reason": "API_KEY_INVALID"}]}, AuthenticationError),
        (
            400,
            {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"},
            ContextLengthError,
        ),
        (400, {"message": "This model's maximum context length is 8192 tokens"}, ContextLengthError),
        (400, {"message": "prompt is too long: 9 tokens > 8 maximum"}, ContextLengthError),
        (413, {"message": "the request exceeds the available context size"}, ContextLengthError),
        (500, {"message": "the request exceeds the available context size", "code": 500}, ContextLengthError),
        (400, {"message": "too many tokens in the prompt"}, ContextLengthError),
        (413, {"message": "body too large"}, TooLargeError),
        (400, {"message": "x", "code": "string_too_long"}, TooLargeError),
        (400, {"message": "x", "code": "content_policy_violation"}, ContentPolicyError),
        (
            400,
            {"code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}, "message": "filtered"},
            ContentPolicyError,
        ),
        (
            400,
            {"code": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}, "message": "x"},
            ContentPolicyError,
        ),
        (400, {"code": "DataInspectionFailed", "message": "x"}, ContentPolicyError),
        (403, {"message": "x", "metadata": {"error_type": "moderation"}}, ContentPolicyError),
        (403, {"message": "You are not allowed to sample from this model", "type": "invalid_request_error"}, None),
        (404, {"message": "x", "type": "invalid_request_error", "code": "model_not_found"}, NotFoundError),
        (400, {"message": "x", "code": "model_not_found"}, NotFoundError),
        (503, {"message": "x", "type": "service_unavailable"}, OverloadedError),
        (500, {"message": "x", "type": "overloaded_error"}, OverloadedError),
    ],
)
def test_the_code_and_the_words_say_more_than_the_status(status, error, kind):
    assert type(read(status, {"error": error})) is (kind or PermissionDeniedError)


def test_what_the_service_behind_openrouter_said_is_told():
    error = read(
        403,
        {"error": {"code": 403, "message": "Provider returned error", "metadata": {"raw": '{"why": "no owls"}'}}},
    )
    assert type(error) is PermissionDeniedError
    assert error.message == 'Provider returned error: {"why": "no owls"}'


@pytest.mark.parametrize("code", ["tool_use_failed", "json_validate_failed"])
def test_bad_output_of_the_model_is_worth_another_try(code):
    error = read(400, {"error": {"message": "x", "type": "invalid_request_error", "code": code}})
    assert type(error) is BadRequestError
    assert error.retryable


# Pages, long texts, secrets.


def test_a_web_page_is_told_by_its_title():
    page = b"<!DOCTYPE html><html><head><TITLE>502 Bad\n Gateway</TITLE></head><body><p>nginx</p></body></html>"
    error = read(502, page)
    assert type(error) is ServerError
    assert error.message == "the server answered with a web page: 502 Bad Gateway"


def test_a_page_without_a_title_is_told_by_its_words():
    assert read(403, b"<html><body><h1>Access</h1> denied</body>").message.endswith("a web page: Access denied")


def test_a_message_is_cut_and_holds_no_key():
    key = "sk-proj-" + "a1B2" * 12
    error = read(401, {"error": {"message": f"Incorrect API key provided: {key}. " + "owl " * 5_000}})
    assert key not in str(error)
    assert len(error.message) <= 2_000


def test_a_broken_surrogate_makes_no_unprintable_message():
    str(read(400, b'{"error": {"message": "half \\ud83d"}}')).encode()


# Fields of a surprising type: one falls, the rest stands.


@pytest.mark.parametrize(
    "odd",
    [
        {"code": {"a": 1}},
        {"code": ["a"]},
        {"code": True},
        {"type": 5},
        {"metadata": "x"},
        {"metadata": {"raw": {"a": 1}}},
        {"innererror": [1]},
        {"details": "x"},
        {"details": {"a": 1}},
        {"details": [1, None, {"violations": 7}, {"violations": [1]}, {"retryDelay": 7}, {"reason": {}}]},
        {"status": None},
        {"param": {"x": []}},
    ],
)
def test_an_odd_field_spoils_nothing(odd):
    error = read(429, {"error": {"message": "slow", **odd}})
    assert type(error) is RateLimitError
    assert error.message == "slow"


# When to try again.


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"Retry_After": "7"}, 7.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "-3"}, 0.0),
        ({"retry_after_ms": "250", "retry_after": "9"}, 0.25),
        ({"retry_after_ms": "soon", "retry_after": "9"}, 9.0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": ""}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0.0),
        ({"retry_after": "Fri, 99 Foo 99999 23:59:59 GMT"}, None),
    ],
)
def test_the_wait_is_read_from_the_headers(headers, seconds):
    assert read(429, {"error": {"message": "slow"}}, **headers).retry_after == seconds


def test_the_wait_may_be_a_date():
    error = read(429, {"error": {"message": "slow"}}, retry_after=formatdate(time.time() + 30, usegmt=True))
    assert error.retry_after is not None
    assert 27 < error.retry_after <= 31


@pytest.mark.parametrize(("said", "retryable"), [("true", True), ("false", False), ("maybe", None)])
def test_the_service_may_say_whether_to_try_again(said, retryable):
    for status in (400, 500):
        expected = status == 500 if retryable is None else retryable
        assert read(status, {"error": {"message": "x"}}, x_should_retry=said).retryable is expected


def test_google_tells_the_wait_in_the_body():
    details = [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"},
        {"violations": [{"quotaId": "GenerateRequestsPerMinutePerProject"}]},
    ]
    error = read(429, {"error": {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED", "details": details}})
    assert type(error) is RateLimitError
    assert (error.retry_after, error.retryable) == (34.5, True)


def test_a_quota_of_a_day_is_not_worth_another_try():
    details = [{"retryDelay": "34s"}, {"violations": [{"quotaId": "GenerateRequestsPerDayPerProject-FreeTier"}]}]
    error = read(429, [{"error": {"code": 429, "message": "x", "details": details}}])
    assert error.retryable is False


def test_the_header_wins_over_the_body():
    error = read(429, {"error": {"message": "x", "details": [{"retryDelay": "34s"}]}}, retry_after="2")
    assert error.retry_after == 2.0


# Headers of any answer.


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("20ms", 0.02),
        ("2m59.56s", 179.56),
        ("1h2m3s", 3723.0),
        ("1d", 86400.0),
        ("7.66s", 7.66),
        ("500us", 0.0005),
        ("12", 12.0),
        ("0", 0.0),
        ("", None),
        ("soon", None),
        ("1s and more", None),
        ("nan", None),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == (None if seconds is None else pytest.approx(seconds))


def test_limits_and_the_requests_id_are_read_from_the_headers():
    headers = {
        "x-request-id": "r1",
        "x-ratelimit-limit-requests": "5000",
        "x-ratelimit-remaining-requests": "4999",
        "x-ratelimit-reset-requests": "6m0.25s",
        "x-ratelimit-limit-tokens": "160000",
        "x-ratelimit-remaining-tokens": "159976",
        "x-ratelimit-reset-tokens": "500ms",
    }
    assert decode_headers(headers) == ("r1", RateLimits(5000, 4999, 360.25, 160000, 159976, 0.5))


def test_odd_limits_are_not_said():
    assert decode_headers({}) == (None, None)
    assert decode_headers({"x-ratelimit-limit-requests": "many"}) == (None, None)
    assert decode_headers({"x-ratelimit-limit-requests": "nan", "x-ratelimit-reset-tokens": "later"}) == (None, None)
    assert decode_headers({"x-ratelimit-remaining-tokens": "-1"})[1] == RateLimits(remaining_tokens=-1)
    assert decode_headers({"x-ratelimit-reset-requests": "1"})[1] == RateLimits(reset_requests=1.0)


@pytest.mark.parametrize("name", ["request-id", "apim-request-id", "x-generation-id", "x-amzn-requestid"])
def test_the_requests_id_has_many_names(name):
    assert decode_headers({name: "r2", "x-request-id": ""})[0] == "r2"
    assert decode_error(500, {name.upper(): "r2"}, b"{}").request_id == "r2"


def test_the_requests_id_may_stand_in_the_body():
    assert read(400, {"code": "x", "message": "y", "request_id": "r3"}).request_id == "r3"
    assert read(400, {"code": "x", "message": "y", "request_id": "r3"}, x_request_id="r4").request_id == "r4"
    assert read(400, {"code": "x", "message": "y", "request_id": 7}).request_id is None


# Written, as a server.


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BadRequestError("x"), 400, None),
        (BadRequestError("x", code="invalid_type"), 400, "invalid_type"),
        (ContextLengthError("x"), 400, "context_length_exceeded"),
        (ContentPolicyError("x"), 400, "content_policy_violation"),
        (TooLargeError("x"), 413, "request_too_large"),
        (AuthenticationError("x"), 401, "invalid_api_key"),
        (RateLimitError("x"), 429, "rate_limit_exceeded"),
        (BillingError("x"), 429, "insufficient_quota"),
        (OverloadedError("x"), 503, "overloaded"),
        (ServerError("x"), 500, "server_error"),
        (LimitError("x"), 429, "rate_limit_exceeded"),
        (TransportError("x"), 502, "upstream_unreachable"),
        (DecodeError("x"), 502, "upstream_unreadable"),
        (UnsupportedError("x"), 400, None),
        (ConfigError("x"), 400, None),
        (Cancelled("x"), 400, None),
    ],
)
def test_an_error_is_written_as_openai_writes_it(error, status, code):
    told, body = encode_error(error)
    assert told == status
    held = json.loads(body)["error"]
    assert held.keys() == {"message", "type", "param", "code"}
    assert (held["message"], held["code"]) == ("x", code)
    assert isinstance(held["type"], str)
