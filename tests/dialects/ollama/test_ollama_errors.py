"""Errors of the Ollama wire: what a status and a text mean, whole and inside a stream."""

from __future__ import annotations

import json

import pytest

from polyvox.dialects.ollama.errors import decode_error, decode_headers, encode_error, error_of
from polyvox.dialects.ollama.response import decode_response
from polyvox.dialects.ollama.stream import StreamDecoder
from polyvox.errors import (
    AuthenticationError,
    BadRequestError,
    BillingError,
    ConflictError,
    ContextLengthError,
    LimitError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    TooLargeError,
    UnsupportedError,
)
from polyvox.framing.base import Frame


def said(text):
    return json.dumps({"error": text}).encode()


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (400, '"gemma3:1b" does not support tools', BadRequestError),
        (400, "invalid options: num_ctx", BadRequestError),
        (400, "the input length exceeds the context length", ContextLengthError),
        (400, "prompt too long; exceeded max context length by 12 tokens", ContextLengthError),
        (500, "input length 9000 exceeds context length 4096", ContextLengthError),
        (401, "unauthorized", AuthenticationError),
        (402, "payment required", BillingError),
        (403, "this model requires a subscription, upgrade for access", PermissionDeniedError),
        (404, "model 'x' not found", NotFoundError),
        (409, "busy", ConflictError),
        (413, "request body too large", TooLargeError),
        (429, "too many concurrent requests", RateLimitError),
        (429, "you have reached your hourly usage limit, please upgrade to continue", RateLimitError),
        (429, "you have reached your weekly usage limit, please upgrade to continue", BillingError),
        (429, "you are out of credits", BillingError),
        (418, "short and stout", BadRequestError),
        (500, "llama runner process has terminated", ServerError),
        (502, "upstream is away", ServerError),
        (503, "server busy, please try again.  maximum pending requests exceeded", OverloadedError),
    ],
)
def test_an_error_is_what_its_status_and_its_words_say(status, text, kind):
    error = decode_error(status, {}, said(text))
    assert type(error) is kind
    assert (error.message, error.status) == (text, status)
    assert error.retryable is kind.retryable_by_default


@pytest.mark.parametrize(
    "text", ["model requires more system memory (9.5 GiB) than is available (4.1 GiB)", "unable to load model: x"]
)
def test_what_the_machine_cannot_hold_is_not_tried_again(text):
    error = decode_error(500, {}, said(text))
    assert type(error) is ServerError
    assert error.retryable is False


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the provider answered 500 without saying why"),
        (b"404 page not found", "404 page not found"),
        (b"<html><body>Bad gateway</body></html>", "the server answered with a web page: Bad gateway"),
        (b"{}", "the provider reported an error without saying why"),
        (b'{"error": {"message": "a proxy says so", "code": "odd"}}', "a proxy says so"),
        (b'{"error": ["a", 1]}', '["a",1]'),
        (b'{"detail": "a proxy says so"}', "a proxy says so"),
        (b'{"message": "a proxy says so"}', "a proxy says so"),
        (b"[1]", "[1]"),
    ],
)
def test_bodies_that_are_not_of_this_wire_are_errors_too(body, message):
    error = decode_error(500, {}, body)
    assert (type(error), error.message) == (ServerError, message)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "-1"}, 0.0),
        ({"retry-after": "Sat, 21 Nov 2020 10:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
    ],
)
def test_the_wait_that_is_asked_for_is_known(headers, seconds):
    assert decode_error(429, headers, said("too many")).retry_after == seconds


def test_a_request_is_named_where_a_proxy_names_it():
    assert decode_error(500, {"X-Request-Id": "r"}, said("x")).request_id == "r"
    assert decode_headers({"x-request-id": "r"}) == ("r", None)
    assert decode_headers({}) == (None, None)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("unauthorized", AuthenticationError),
        ("model 'x' not found, try pulling it first", NotFoundError),
        ("too many concurrent requests", RateLimitError),
        ("you have reached your weekly usage limit", BillingError),
        ("prompt is too long", ContextLengthError),
        ("server busy, please try again", OverloadedError),
        ('"m" does not support thinking', BadRequestError),
        ("an error was encountered while running the model: CUDA error", ServerError),
    ],
)
def test_without_a_status_the_words_tell(text, kind):
    error = error_of({"error": text}, status=None)
    assert type(error) is kind
    with pytest.raises(kind):
        decode_response(said(text))


def test_an_error_line_ends_a_stream_under_status_200():
    decoder = StreamDecoder()
    events = decoder.feed(Frame(b'{"model":"m","message":{"role":"assistant","content":"Hi"},"done":false}'))
    assert len(events) == 3
    with pytest.raises(ServerError, match="the runner has crashed") as caught:
        decoder.feed(Frame(said("the runner has crashed")))
    assert caught.value.status is None


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFoundError("model 'x' not found"), 404, "not_found"),
        (OverloadedError("busy"), 503, "overloaded"),
        (LimitError("enough"), 429, "rate_limit"),
        (UnsupportedError("no"), 400, "bad_request"),
    ],
)
def test_a_server_says_an_error_as_ollama_does_with_a_code_beside_it(error, status, code):
    got, body = encode_error(error)
    assert (got, json.loads(body)) == (status, {"error": error.message, "code": code})
