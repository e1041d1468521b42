"""Law 5: what a server writes of an answer is read as that answer, less what its dialect declares it cannot write."""

from __future__ import annotations

import pytest

from polyvox.types.fold import unfold
from tests.laws.grammar import broken
from tests.laws.table import ROWS, Row, as_streamed

pytestmark = [pytest.mark.recordings, pytest.mark.parametrize("row", ROWS, ids=repr)]


def test_every_recorded_stream_written_again_reads_the_same(row: Row) -> None:
    """Event by event as they came."""
    seen = 0
    for exchange in row.streams():
        events, error = row.decode(exchange.chunks)
        if error is not None:
            continue
        again, failure = row.decode(row.encode(events))
        assert failure is None, exchange.id
        assert broken(again) is None, exchange.id
        assert row.writable(row.response(again)) == row.writable(row.response(events)), exchange.id
        seen += 1
    assert seen


def test_every_recorded_answer_written_as_a_stream_reads_the_same(row: Row) -> None:
    """Taken apart into events, which come all at once."""
    for exchange, response in row.answers():
        again, failure = row.decode(row.encode(as_streamed(response, unfold(response)), at_once=True))
        assert failure is None, exchange.id
        assert row.writable(row.response(again)) == row.writable(response), exchange.id


def test_every_recorded_answer_written_as_a_body_reads_the_same(row: Row) -> None:
    codec = row.dialect.generate
    for exchange, response in row.answers():
        again = codec.decode_response(codec.encode_response(response))
        assert row.writable(again) == row.writable(response), exchange.id


def test_what_was_written_once_is_written_the_same_again(row: Row) -> None:
    """Nothing drifts: a body that was read and written twice is the body written first."""
    codec = row.dialect.generate
    for exchange, response in row.answers():
        body = codec.encode_response(codec.decode_response(codec.encode_response(response)))
        assert codec.encode_response(codec.decode_response(body)) == body, exchange.id
