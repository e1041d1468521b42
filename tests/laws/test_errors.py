"""Law 6: an error written on a wire is read from it as the same error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from polyvox.errors import LimitError, PolyvoxError, ProviderError, ServerError, TransportError
from polyvox.framing import json
from polyvox.framing.base import Frame
from tests.laws.table import ROWS, Row


def _below(kind: type[PolyvoxError]) -> Iterator[type[PolyvoxError]]:
    for below in kind.__subclasses__():
        yield below
        yield from _below(below)


@pytest.mark.parametrize("row", ROWS, ids=repr)
@pytest.mark.parametrize("kind", sorted(_below(ProviderError), key=lambda kind: kind.__name__))
def test_an_error_keeps_its_class(row: Row, kind: type[PolyvoxError]) -> None:
    error = kind("the owl is asleep")
    status, body = row.dialect.encode_error(error)
    assert status >= 400
    again = row.dialect.decode_error(status, {}, body)
    assert type(again) is kind
    assert again.message == error.message
    assert again.retryable is error.retryable


@pytest.mark.parametrize("row", ROWS, ids=repr)
@pytest.mark.parametrize("kind", sorted(_below(ProviderError), key=lambda kind: kind.__name__))
def test_an_error_inside_a_stream_keeps_its_class(row: Row, kind: type[PolyvoxError]) -> None:
    """A stream has no status any more: the body alone has to say it."""
    _, body = row.dialect.encode_error(kind("the owl is asleep"))
    events, error = row.decode_frames([Frame(body)])
    assert events == []
    assert type(error) is kind
    assert error.message == "the owl is asleep"


@pytest.mark.parametrize("row", ROWS, ids=repr)
@pytest.mark.parametrize("kind", [ProviderError, TransportError, LimitError])
def test_an_error_that_is_no_providers_is_still_one_on_the_wire(row: Row, kind: type[PolyvoxError]) -> None:
    status, body = row.dialect.encode_error(kind("the owl is asleep"))
    again = row.dialect.decode_error(status, {}, body)
    assert isinstance(again, ProviderError)
    assert again.message == "the owl is asleep"
    if kind is not LimitError:
        assert isinstance(again, ServerError)


@pytest.mark.recordings
@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_every_recorded_error_written_again_reads_the_same(row: Row) -> None:
    for exchange in row.errors():
        error = row.dialect.decode_error(exchange.status, exchange.headers, exchange.body)
        status, body = row.dialect.encode_error(error)
        again = row.dialect.decode_error(status, {}, body)
        assert type(again) is type(error), exchange.id
        assert again.message == error.message, exchange.id
        assert json.decode(body)
