"""Law 3: what every decoder gives out keeps the grammar of events."""

from __future__ import annotations

import pytest
from hypothesis import given

from polyvox.types.events import PartEnd, PartStart, StreamEnd, StreamStart, TextDelta, ToolCallDelta
from polyvox.types.fold import unfold
from polyvox.types.parts import TextPart, ToolCall
from tests.laws.grammar import broken
from tests.laws.table import ROWS, Row
from tests.types.strategies import answers

TEXT = PartStart(0, TextPart(""))


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        ([], "no events"),
        ([TEXT, StreamEnd()], "begins with"),
        ([StreamStart()], "ends with"),
        ([StreamStart(), TEXT, StreamEnd()], "never end"),
        ([StreamStart(), PartStart(1, TextPart("")), PartEnd(1), StreamEnd()], "should come next"),
        ([StreamStart(), TextDelta(0, "a"), StreamEnd()], "outside its part"),
        ([StreamStart(), TEXT, PartEnd(0), TextDelta(0, "a"), StreamEnd()], "outside its part"),
        ([StreamStart(), TEXT, PartEnd(0), PartEnd(0), StreamEnd()], "not open"),
        ([StreamStart(), TEXT, ToolCallDelta(0, "{}"), PartEnd(0), StreamEnd()], "another kind"),
        ([StreamStart(), PartStart(0, ToolCall("c", "")), PartEnd(0), StreamEnd()], "at its start"),
        ([StreamStart(), PartStart(0, TextPart("a")), PartEnd(0), StreamEnd()], "at its start"),
        ([StreamStart(), StreamStart(), StreamEnd()], "no such event"),
    ],
)
def test_broken_grammar_is_seen(events, problem):
    assert problem in (broken(events) or "")


@given(answers)
def test_a_whole_answer_taken_apart_keeps_the_grammar(response):
    if all(part.name for part in response.content if isinstance(part, ToolCall)):
        assert broken(unfold(response)) is None


@pytest.mark.recordings
@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_every_recorded_answer_keeps_the_grammar(row: Row) -> None:
    for exchange in row.streams():
        events, error = row.decode(exchange.chunks)
        assert broken(events, ended=error is None) is None, exchange.id
    for exchange, response in row.answers():
        assert broken(unfold(response)) is None, exchange.id
