"""A streamed answer: lines in, events out.

The rules: a line that is a plain piece goes the shortest way; whatever is odd about a line sends it the long one. An
error may come as a line under status 200; a line that is neither a message nor an end is passed over.
https://docs.ollama.com/api/streaming
"""

from __future__ import annotations

import msgspec

from polyvox.dialects.ollama import wire
from polyvox.dialects.ollama.errors import error_of
from polyvox.dialects.ollama.reader import AnswerReader
from polyvox.errors import InterruptedCallError
from polyvox.framing import json
from polyvox.framing.base import Frame
from polyvox.types.events import Event, ReasoningDelta, TextDelta

_decode_piece = msgspec.json.Decoder(wire.Piece).decode


class StreamDecoder:
    """See `polyvox.dialects.base.StreamDecoder`."""

    __slots__ = ("_reader",)

    def __init__(self) -> None:
        self._reader = AnswerReader()

    def feed(self, frame: Frame) -> list[Event]:
        """Return the events that this line brings. Raises the `ProviderError` that it may hold."""
        reader = self._reader
        try:
            message = _decode_piece(frame.data).message
        except (ValueError, RecursionError):  # not a plain piece; the second: nested deeper than anything is
            return self._feed_odd(frame.data)
        if reader.begun and not reader.parts.mends:
            content, thinking = message.content, message.thinking
            if content and not thinking and reader.text is not None:
                return [TextDelta(reader.text, content)]
            if thinking and not content and reader.thinking is not None:
                return [ReasoningDelta(reader.thinking, thinking)]
        return self._feed_odd(frame.data)

    def _feed_odd(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        held = json.decode(data)
        if not isinstance(held, dict):
            return events
        if held.get("error"):
            raise error_of(held, status=None)
        if isinstance(held.get("message"), dict) or "done" in held:
            self._reader.feed(held, data, events)
        return events

    def close(self) -> list[Event]:
        """Return the events that end the answer. Raises `InterruptedCallError` where no end was seen."""
        if not self._reader.done:
            raise InterruptedCallError("the answer broke off before its end")
        events: list[Event] = []
        self._reader.close(events)
        return events
