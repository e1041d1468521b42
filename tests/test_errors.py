"""The error tree: what a caller catches, reads and hands on."""

from __future__ import annotations

import copy
import inspect
import pickle
import traceback
from typing import Any

import pytest

import polyvox
from polyvox import errors
from polyvox.errors import (
    AuthenticationError,
    BadRequestError,
    BillingError,
    CallTimeoutError,
    Cancelled,
    ConfigError,
    ConflictError,
    ConnectError,
    ContentPolicyError,
    ContextLengthError,
    DecodeError,
    InterruptedCallError,
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
from polyvox.types.generate import GenerateResponse

TREE: dict[type[PolyvoxError], type[Exception]] = {
    PolyvoxError: Exception,
    ConfigError: PolyvoxError,
    UnsupportedError: PolyvoxError,
    TransportError: PolyvoxError,
    ConnectError: TransportError,
    CallTimeoutError: TransportError,
    InterruptedCallError: TransportError,
    ProviderError: PolyvoxError,
    BadRequestError: ProviderError,
    ContextLengthError: BadRequestError,
    ContentPolicyError: BadRequestError,
    TooLargeError: BadRequestError,
    AuthenticationError: ProviderError,
    PermissionDeniedError: ProviderError,
    NotFoundError: ProviderError,
    ConflictError: ProviderError,
    RateLimitError: ProviderError,
    BillingError: ProviderError,
    ServerError: ProviderError,
    OverloadedError: ServerError,
    DecodeError: PolyvoxError,
    LimitError: PolyvoxError,
    Cancelled: PolyvoxError,
}
RETRYABLE = {
    TransportError,
    ConnectError,
    CallTimeoutError,
    InterruptedCallError,
    ConflictError,
    RateLimitError,
    ServerError,
    OverloadedError,
}


def make(kind: type[PolyvoxError], message: str = "it failed", **facts: Any) -> PolyvoxError:
    if kind is CallTimeoutError:
        facts.setdefault("phase", "idle")
    return kind(message, **facts)


def test_the_tree_is_what_is_drawn_and_public() -> None:
    found = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, PolyvoxError)}
    assert found == set(TREE)
    for kind, parent in TREE.items():
        assert kind.__bases__ == (parent,)
        assert kind.__name__ in (errors.__doc__ or "")
        assert getattr(polyvox, kind.__name__) is kind
        assert kind.__doc__


@pytest.mark.parametrize("kind", TREE)
def test_only_what_may_pass_is_worth_a_retry(kind: type[PolyvoxError]) -> None:
    assert make(kind).retryable is (kind in RETRYABLE)
    assert make(kind, retryable=True).retryable is True
    assert make(kind, retryable=False).retryable is False


@pytest.mark.parametrize("kind", TREE)
def test_what_is_not_known_is_none(kind: type[PolyvoxError]) -> None:
    error = make(kind)
    known = (error.provider, error.model, error.status, error.code, error.request_id, error.retry_after, error.partial)
    assert known == (None,) * 7
    assert error.message == str(error) == "it failed"


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({"provider": "openai"}, "openai: it failed"),
        ({"provider": "openai", "model": "gpt"}, "openai/gpt: it failed"),
        ({"model": "gpt"}, "gpt: it failed"),
        ({"status": 429}, "it failed (HTTP 429)"),
        ({"status": 400, "code": "bad"}, "it failed (HTTP 400, bad)"),
        ({"code": "failed"}, "it failed"),
        ({"provider": "p", "model": "m", "status": 500, "code": "x"}, "p/m: it failed (HTTP 500, x)"),
    ],
)
def test_an_error_says_who_and_what_in_one_line(facts: dict[str, Any], shown: str) -> None:
    assert str(ProviderError("it failed", **facts)) == shown


def test_facts_found_later_are_shown_too() -> None:
    error = DecodeError("it failed")
    error.provider, error.model = "p", "m"
    assert str(error) == "p/m: it failed"


def test_a_timeout_names_its_phase() -> None:
    error = CallTimeoutError("too slow", phase="first_event", provider="p")
    assert (error.phase, error.provider, error.retryable) == ("first_event", "p", True)


@pytest.mark.parametrize("kind", TREE)
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_can_be_copied_and_sent_to_another_process(kind: type[PolyvoxError], again: Any) -> None:
    error = make(kind, provider="p", status=500, retry_after=1.5, partial=GenerateResponse(id="so far"), request_id="r")
    other = again(error)
    assert type(other) is kind
    assert (str(other), vars(other)) == (str(error), vars(error))


KEY = "sk-proj-" + "Ab3" * 12


@pytest.mark.parametrize("kind", TREE)
def test_no_key_stands_in_an_error_s_text_repr_or_traceback(kind: type[PolyvoxError]) -> None:
    error = make(kind, f"Incorrect API key provided: {KEY}.", provider="p")
    try:
        raise error
    except PolyvoxError as caught:
        shown = "".join(traceback.format_exception(caught))
    for text in (str(error), repr(error), error.message, str(error.args), shown):
        assert "Ab3" not in text
        assert "Incorrect API key provided: ***" in text
