"""Law 7: an answer taken apart into events and put together again is that answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from msgspec import structs

from polyvox.types.fold import fold, unfold
from polyvox.types.parts import ToolCall
from tests.laws.grammar import broken
from tests.laws.table import ROWS, Row, as_streamed
from tests.types.strategies import answers


@given(answers)
def test_any_answer_comes_back_from_its_events(response):
    events = unfold(response)
    assert fold(events) is response
    streamed = as_streamed(response, events)
    assert fold(streamed) == response
    if all(part.name for part in response.content if isinstance(part, ToolCall)):
        assert broken(streamed) is None


@pytest.mark.recordings
@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_every_recorded_answer_comes_back_from_its_events(row: Row) -> None:
    for exchange, response in row.answers():
        events = unfold(response)
        assert fold(events) is response, exchange.id
        assert fold(as_streamed(response, events)) == structs.replace(response, raw=None), exchange.id
