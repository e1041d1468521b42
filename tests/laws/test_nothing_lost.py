"""Law 9: nothing that a service said is lost, against a plain reading with `json` and dictionaries."""

from __future__ import annotations

import json
from typing import Any

import pytest

from polyvox.errors import (
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    PermissionDeniedError,
    PolyvoxError,
    ProviderError,
    RateLimitError,
    ServerError,
)
from tests.laws.table import ROWS, Row
from tests.recordings import Exchange

pytestmark = [pytest.mark.recordings, pytest.mark.parametrize("row", ROWS, ids=repr)]

BY_STATUS = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    429: RateLimitError,
    500: ServerError,
}


def _values(exchange: Exchange) -> list[Any]:
    """The JSON of a body: it itself, or that of each event."""
    text = exchange.body.decode("utf-8", "surrogatepass")
    if not exchange.is_stream:
        return [json.loads(text)]
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    data = [line.removeprefix("data:").strip() for line in lines if line.startswith(("data:", "{"))]
    return [json.loads(line) for line in data if line not in ("", "[DONE]")]


def _says_error(value: Any) -> bool:
    """Whether an error stands in it: at its top, in a choice, or one level down; in a chunk of a list of them."""
    if isinstance(value, list):
        return any(map(_says_error, value))
    members = [value, *value.values(), *(value.get("choices") or [])]
    return any(isinstance(member, dict) and member.get("error") for member in members)


def test_every_answer_says_what_was_sent(row: Row) -> None:
    seen = 0
    for exchange, response in row.answers():
        values = _values(exchange)
        assert row.tell(response) == row.read(values, exchange.is_stream), exchange.id
        seen += 1
    assert seen


def test_every_answer_is_read_and_every_error_under_status_200_is_raised(row: Row) -> None:
    answered = {exchange.id for exchange, _ in row.answers()}
    for exchange in [*row.streams(), *row.wholes()]:
        fails = any(_says_error(value) for value in _values(exchange))
        assert (exchange.id in answered) is not fails, exchange.id
        if fails:
            error = _error(row, exchange)
            assert isinstance(error, ProviderError), exchange.id
            assert error.message, exchange.id


def _error(row: Row, exchange: Exchange) -> PolyvoxError | None:
    if exchange.is_stream:
        return row.decode(exchange.chunks)[1]
    with pytest.raises(PolyvoxError) as caught:
        row.dialect.generate.decode_response(exchange.body)
    return caught.value


def test_every_error_is_typed_and_says_what_the_service_said(row: Row) -> None:
    for exchange in row.errors():
        error = row.dialect.decode_error(exchange.status, exchange.headers, exchange.body)
        assert isinstance(error, _expected(exchange)), (exchange.id, error)
        assert error.status == exchange.status, exchange.id
        assert error.message, exchange.id
        words = [text for text in _texts(json.loads(exchange.body)) if len(text) > 25]
        assert not words or any(text[:25] in error.message for text in words), (exchange.id, error.message)


def _expected(exchange: Exchange) -> type[PolyvoxError]:
    """Some say under 400 what others say under a status of its own."""
    if b'"model_not_found"' in exchange.body:
        return NotFoundError
    if b"Incorrect API key" in exchange.body or b"API_KEY_INVALID" in exchange.body:
        return AuthenticationError
    return BY_STATUS[exchange.status]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for member in members for text in _texts(member)]
