"""Law 2: the cuts between reads mean nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.table import ROWS, Row

pytestmark = [pytest.mark.recordings, pytest.mark.parametrize("row", ROWS, ids=repr)]

_SMALL = 5_000
_SAMPLE = 12


def _outcome(row: Row, pieces):
    events, error = row.decode(pieces)
    return events, type(error), getattr(error, "message", None)


def test_an_answer_is_the_same_whole_and_as_it_arrived(row: Row) -> None:
    for exchange in row.streams():
        whole = _outcome(row, [exchange.body])
        assert _outcome(row, exchange.chunks) == whole, exchange.id
        assert _outcome(row, [exchange.body[at : at + 61] for at in range(0, len(exchange.body), 61)]) == whole


def test_an_answer_is_the_same_byte_by_byte(row: Row) -> None:
    """The smallest stream of every provider, and every short one."""
    seen: set[str] = set()
    for exchange in sorted(row.streams(), key=lambda one: len(one.body)):
        if len(exchange.body) < _SMALL or exchange.provider not in seen:
            pieces = [exchange.body[at : at + 1] for at in range(len(exchange.body))]
            assert _outcome(row, pieces) == _outcome(row, [exchange.body]), exchange.id
        seen.add(exchange.provider)
    assert seen


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_an_answer_is_the_same_however_it_is_cut(row: Row, data: st.DataObject) -> None:
    streams = sorted(row.streams(), key=lambda one: len(one.body))
    exchange = data.draw(st.sampled_from(streams[:: max(1, len(streams) // _SAMPLE)]))
    body = exchange.body
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=9)))
    pieces = [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]
    assert _outcome(row, pieces) == _outcome(row, [body])
