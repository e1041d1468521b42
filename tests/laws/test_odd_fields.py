"""A new spelling never kills an answer: whatever type a field has, what comes is an answer or one of our errors."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyvox.errors import PolyvoxError
from polyvox.framing.base import Frame
from tests.laws.grammar import broken
from tests.laws.table import ROWS, Row

# A dialect joins when it holds.
HELD = [row for row in ROWS if row.dialect.name in ("openai", "anthropic", "openai_responses", "gemini", "ollama")]

pytestmark = [pytest.mark.recordings, pytest.mark.parametrize("row", HELD, ids=repr)]

ODD: list[Any] = [
    *(None, 0, -1, 1.5, True, "", "x", "\ud83d", float("nan"), float("inf"), 10**30),
    *([], {}, [1], ["a"], [None], [[]], {"a": 1}, {"type": "text"}, [{"type": 5}], [{"index": 0}]),
]
_FRAMES = 40


def _altered(value: Any, random: Random) -> Any:
    """The same JSON with some fields left out and some of another type."""
    if random.random() < 0.05:
        return random.choice(ODD)
    if isinstance(value, dict):
        return {name: _altered(member, random) for name, member in value.items() if random.random() > 0.02}
    if isinstance(value, list):
        return [_altered(member, random) for member in value]
    return value


def _altered_frame(frame: Frame, random: Random) -> Frame:
    if frame.data[:1] != b"{":
        return frame
    return Frame(json.dumps(_altered(json.loads(frame.data), random)).encode(), frame.event)


def _named(problem: str | None) -> str | None:
    # A call whose name is spoilt is kept without one.
    return None if problem is None or ("ToolCall" in problem and "name=''" in problem) else problem


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_odd_fields_in_a_stream(row: Row, seed: int) -> None:
    random = Random(seed)
    exchange = random.choice(row.streams())
    frames = [_altered_frame(frame, random) for frame in row.frames(exchange.chunks)[:_FRAMES]]
    events, error = row.decode_frames(frames)
    assert _named(broken(events, ended=error is None)) is None
    row.response(events)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_odd_fields_in_a_body(row: Row, seed: int) -> None:
    random = Random(seed)
    body = json.loads(random.choice(row.wholes()).body)
    try:
        response = row.dialect.generate.decode_response(json.dumps(_altered(body, random)).encode())
    except PolyvoxError as error:
        assert error.message
    else:
        row.dialect.generate.encode_response(response)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_odd_fields_in_an_error(row: Row, seed: int) -> None:
    random = Random(seed)
    exchange = random.choice(row.errors())
    body = json.dumps(_altered(json.loads(exchange.body), random)).encode()
    error = row.dialect.decode_error(exchange.status, exchange.headers, body)
    assert error.message
    assert str(error)
