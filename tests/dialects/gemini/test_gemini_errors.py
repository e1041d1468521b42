"""Errors and headers of the wire."""

from __future__ import annotations

import json

import pytest

from polyvox.dialects.gemini.errors import decode_error, decode_headers, encode_error
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

INFO = "type.googleapis.com/google.rpc.ErrorInfo"
RETRY = "type.googleapis.com/google.rpc.RetryInfo"
QUOTA = "type.googleapis.com/google.rpc.QuotaFailure"
# What every free quota's message says, money or not.
EXCEEDED = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error, "
    "head over to: https://ai.google.dev/gemini-api/docs/rate-limits. \n"
    "* Quota exceeded for metric: generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: {}\n"
    "Please retry in 34.074824224s."
)


def body(status, message="no", *details, code=None):
    error = {"code": code, "message": message, "status": status}
    return json.dumps({"error": {**error, **({"details": list(details)} if details else {})}}).encode()


def reason(word):
    return {"@type": INFO, "reason": word, "domain": "googleapis.com", "metadata": {"service": "x"}}


@pytest.mark.parametrize(
    ("status", "sent", "kind", "retryable"),
    [
        (400, body("INVALID_ARGUMENT"), BadRequestError, False),
        (400, body("INVALID_ARGUMENT", "API key not valid. Please pass one."), AuthenticationError, False),
        (400, body("INVALID_ARGUMENT", "no", reason("API_KEY_INVALID")), AuthenticationError, False),
        (400, body("INVALID_ARGUMENT", "API key expired. Please renew the API key."), AuthenticationError, False),
        (
            400,
            body("INVALID_ARGUMENT", "The input token count (2) exceeds the maximum number of tokens allowed (1)."),
            ContextLengthError,
            False,
        ),
        (
            400,
            body("INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."),
            TooLargeError,
            False,
        ),
        (400, body("INVALID_ARGUMENT", "It violates Google's Responsible AI practices."), ContentPolicyError, False),
        (400, body("FAILED_PRECONDITION"), BadRequestError, False),
        (400, body("FAILED_PRECONDITION", "User location is not supported for the API use."), BillingError, False),
        (400, body("FAILED_PRECONDITION", "The File x is not in an ACTIVE state"), ConflictError, True),
        (400, body("OUT_OF_RANGE"), BadRequestError, False),
        (401, body("UNAUTHENTICATED"), AuthenticationError, False),
        (402, body("RESOURCE_EXHAUSTED"), BillingError, False),
        (403, body("PERMISSION_DENIED"), PermissionDeniedError, False),
        (403, body("PERMISSION_DENIED", "no", reason("SERVICE_DISABLED")), PermissionDeniedError, False),
        (403, body("PERMISSION_DENIED", "no", reason("BILLING_DISABLED")), BillingError, False),
        (403, body("PERMISSION_DENIED", "This API method requires billing to be enabled."), BillingError, False),
        (404, body("NOT_FOUND"), NotFoundError, False),
        (409, body("ABORTED"), ConflictError, True),
        (413, b"", TooLargeError, False),
        (429, body("RESOURCE_EXHAUSTED"), RateLimitError, True),
        (429, body("RESOURCE_EXHAUSTED", EXCEEDED.format(20)), RateLimitError, True),
        (429, body("RESOURCE_EXHAUSTED", EXCEEDED.format(0)), RateLimitError, False),
        (429, body("RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."), BillingError, False),
        (429, body("RESOURCE_EXHAUSTED", "Your project has exceeded its monthly spending cap."), BillingError, False),
        (499, body("CANCELLED"), ServerError, False),
        (500, body("INTERNAL"), ServerError, True),
        (501, body("UNIMPLEMENTED"), BadRequestError, False),
        (503, body("UNAVAILABLE", "The model is overloaded."), OverloadedError, True),
        (503, b"", OverloadedError, True),
        (504, body("DEADLINE_EXCEEDED"), ServerError, True),
        (502, b"<html><title>502</title>", ServerError, True),
        (418, body("TOMORROWS_STATE"), BadRequestError, False),
        (400, b'{"error": "invalid_grant", "error_description": "Token has expired"}', BadRequestError, False),
        (401, b"[" + body("UNAUTHENTICATED") + b"]", AuthenticationError, False),
        (400, b'{"error": {"code": "x", "message": 5, "status": null, "details": {"a": 1}}}', BadRequestError, False),
        (500, b"[]", ServerError, True),
        (500, b"null", ServerError, True),
    ],
)
def test_each_error_has_its_class(status, sent, kind, retryable):
    error = decode_error(status, {}, sent)
    assert (type(error), error.retryable, error.status) == (kind, retryable, status)
    assert error.message


def test_an_error_says_what_the_service_said():
    error = decode_error(400, {}, body("INVALID_ARGUMENT", "API key not valid.", reason("API_KEY_INVALID")))
    assert (error.message, error.code) == ("API key not valid.", "API_KEY_INVALID")
    plain = decode_error(404, {}, body("NOT_FOUND", "models/x is not found"))
    assert (plain.message, plain.code) == ("models/x is not found", "NOT_FOUND")
    oauth = decode_error(400, {}, b'{"error": "invalid_grant", "error_description": "Token has expired"}')
    assert (oauth.message, oauth.code) == ("Token has expired", "invalid_grant")
    page = decode_error(502, {}, b"<html><title>502</title>")
    assert page.message == "the server answered with a web page: 502"


@pytest.mark.parametrize(
    ("headers", "details", "message", "seconds"),
    [
        ({}, [{"@type": RETRY, "retryDelay": "34s"}], "no", 34.0),
        ({}, [{"@type": RETRY, "retryDelay": "0.5s"}], "no", 0.5),
        ({}, [{"@type": RETRY, "retryDelay": {"seconds": "3", "nanos": 500_000_000}}], "no", 3.5),
        ({}, [{"@type": RETRY, "retryDelay": "soon"}], "no", None),
        ({}, [], EXCEEDED.format(20), 34.074824224),
        ({}, [], "Please retry in 700ms.", 0.7),
        ({"Retry-After": "7"}, [{"@type": RETRY, "retryDelay": "34s"}], "no", 7.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, [], "no", 0.0),
        ({"retry-after": "soon"}, [], "no", None),
        ({}, [], "no", None),
    ],
)
def test_the_time_to_wait_stands_in_the_body(headers, details, message, seconds):
    error = decode_error(429, headers, body("RESOURCE_EXHAUSTED", message, *details))
    assert error.retry_after == (pytest.approx(seconds) if seconds is not None else None)


@pytest.mark.parametrize(
    ("violation", "retryable"),
    [
        ({"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "quotaValue": "20"}, True),
        ({"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "20"}, False),
        ({"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "quotaValue": "0"}, False),
        (5, True),
    ],
)
def test_a_days_quota_is_not_worth_a_retry(violation, retryable):
    failure = {"@type": QUOTA, "violations": [violation]}
    error = decode_error(429, {}, body("RESOURCE_EXHAUSTED", "no", failure, {"@type": RETRY, "retryDelay": "9s"}))
    assert (type(error), error.retryable, error.retry_after) == (RateLimitError, retryable, 9.0)


def test_an_error_is_written_as_google_writes_it():
    status, said = encode_error(RateLimitError("wait", retry_after=2.5, request_id="q"))
    assert status == 429
    assert json.loads(said) == {
        "error": {
            "code": 429,
            "message": "wait",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {"@type": RETRY, "retryDelay": "2.5s"},
                {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "q"},
            ],
        }
    }
    again = decode_error(status, {}, said)
    assert (again.retry_after, again.request_id) == (2.5, "q")


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (UnsupportedError("no"), 400, "INVALID_ARGUMENT"),
        (CallTimeoutError("late", phase="total"), 504, "DEADLINE_EXCEEDED"),
        (Cancelled("gone"), 499, "CANCELLED"),
        (AuthenticationError("no", code="API_KEY_INVALID"), 401, "UNAUTHENTICATED"),
        (BadRequestError("no", code="invalid_type"), 400, "INVALID_ARGUMENT"),
    ],
)
def test_other_errors_are_said_in_the_nearest_words(error, status, word):
    told, said = encode_error(error)
    facts = json.loads(said)["error"]
    assert (told, facts["code"], facts["status"]) == (status, status, word)
    reasons = [detail["reason"] for detail in facts.get("details", ())]
    assert reasons == (["API_KEY_INVALID"] if error.code == "API_KEY_INVALID" else [])


def test_a_request_has_an_id_where_a_service_in_front_gives_one():
    assert decode_headers({"x-request-id": "q"}) == ("q", None)
    assert decode_headers({"server-timing": "gfet4t7; dur=9"}) == (None, None)
