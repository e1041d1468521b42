"""An event that nobody has heard of, wherever it comes in a stream, is passed over: tomorrow's wire is still read."""

from __future__ import annotations

from typing import Any

import pytest

from polyvox.testing.reply import Reply, frame
from polyvox.testing.routes import Question, respond, route_of
from polyvox.types.generate import GenerateRequest
from tests.laws.table import ROWS, Row

TEXT = "Hello wide world"


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_an_unknown_event_is_passed_over(row: Row) -> None:
    question = Question(route_of(row.dialect.name), row.dialect, GenerateRequest(model="m", messages=()), True)
    reply: Reply = respond(question, TEXT, "/", 0)
    pieces: list[Any] = list(reply.body)
    strange = frame(reply, {"type": "vendor.novelty", "x": [1]}, "vendor.novelty")
    for place in range(len(pieces)):
        data = [piece.data for piece in pieces]
        events, error = row.decode([b"".join([*data[:place], strange, *data[place:]])])
        assert (error, row.response(events).text) == (None, TEXT), place
