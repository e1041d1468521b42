"""Law 4: a stream and a whole answer are understood alike."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from polyvox.errors import InterruptedCallError
from polyvox.framing.base import Frame
from polyvox.types.generate import GenerateResponse
from tests.laws.table import ROWS, Row

pytestmark = [pytest.mark.recordings, pytest.mark.parametrize("row", ROWS, ids=repr)]


def _same(response: GenerateResponse[Any]) -> GenerateResponse[Any]:
    return structs.replace(response, raw=None)


def test_a_recorded_body_reads_the_same_as_one_frame_of_a_stream(row: Row) -> None:
    """Nothing is left out of the comparison but `raw`, which a stream does not have.

    An answer that does not say why it ended is whole as a body, and broken off as a stream.
    """
    seen = 0
    for exchange in row.wholes():
        events, error = row.decode_frames([Frame(exchange.body)])
        if isinstance(error, InterruptedCallError):
            finish = row.dialect.generate.decode_response(exchange.body).finish
            assert finish is None or not finish.raw, exchange.id
            continue
        if error is not None:
            with pytest.raises(type(error)):
                row.dialect.generate.decode_response(exchange.body)
            continue
        decoded = row.dialect.generate.decode_response(exchange.body)
        assert _same(row.response(events)) == _same(decoded), exchange.id
        seen += 1
    assert seen


def test_a_recorded_stream_written_as_a_body_reads_the_same(row: Row) -> None:
    """Less what the dialect declares that it cannot write."""
    seen = 0
    for exchange in row.streams():
        events, error = row.decode(exchange.chunks)
        if error is None:
            folded = row.response(events)
            again = row.dialect.generate.decode_response(row.dialect.generate.encode_response(folded))
            assert row.writable(again) == row.writable(folded), exchange.id
            seen += 1
    assert seen
