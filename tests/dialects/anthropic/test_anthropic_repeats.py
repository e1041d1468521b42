"""Streams in which a proxy repeats or moves events: found by `make fuzz`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from polyvox.dialects.anthropic.stream import StreamDecoder
from polyvox.errors import DecodeError
from polyvox.framing.base import Frame
from polyvox.types.events import Event, StreamStart
from polyvox.types.fold import fold

START = {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 3}}}
BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}
WHOLE = {"type": "message", "id": "msg_2", "content": [{"type": "text", "text": "Whole"}], "stop_reason": "end_turn"}


def delta(text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


def read(*values: dict[str, Any]) -> list[Event]:
    decoder = StreamDecoder()
    events = [event for value in values for event in decoder.feed(Frame(json.dumps(value).encode()))]
    return events + decoder.close()


def test_a_start_that_comes_again_throws_nothing_away() -> None:
    events = read(START, BLOCK, delta("Hel"), START, delta("lo"), END)

    assert fold(events).text == "Hello"
    assert sum(isinstance(event, StreamStart) for event in events) == 1
    assert fold(events).usage.output_tokens == 2


def test_a_start_that_comes_late_throws_nothing_away() -> None:
    assert fold(read(BLOCK, delta("Hel"), START, delta("lo"), END)).text == "Hello"


def test_what_follows_a_whole_answer_is_not_said_twice() -> None:
    assert fold(read(WHOLE, START, BLOCK, delta("Whole"), END)).text == "Whole"


def test_a_whole_answer_amid_a_stream_throws_nothing_away() -> None:
    assert fold(read(START, BLOCK, delta("Hel"), WHOLE, delta("lo"), END)).text == "Hello"


def test_nesting_without_end_is_an_error_of_this_wire() -> None:
    with pytest.raises(DecodeError):
        StreamDecoder().feed(Frame(b'{"type":"content_block_start","content_block":' + b'{"a":' * 5000))
