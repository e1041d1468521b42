"""A streamed answer: frames in, events out.

The rules, each from real traffic: every chunk has running totals, the last of which count; the last chunk may be an
empty text that bears a signature, or have no parts at all; there is no end mark: why it ended is all that tells; an
error may come as a frame under status 200, and a frame may be an array of chunks.
https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

from __future__ import annotations

import msgspec

from polyvox.dialects.gemini import wire
from polyvox.dialects.gemini.reader import AnswerReader
from polyvox.errors import InterruptedCallError
from polyvox.framing.base import Frame
from polyvox.types.events import Event, ReasoningDelta, TextDelta

_decode_text = msgspec.json.Decoder(wire.TextChunk).decode


class StreamDecoder:
    """See `polyvox.dialects.base.StreamDecoder`."""

    __slots__ = ("_reader",)

    def __init__(self) -> None:
        self._reader = AnswerReader(streamed=True)

    def feed(self, frame: Frame) -> list[Event]:
        """Return the events that this frame brings. Raises the `ProviderError` that it may hold."""
        data = frame.data
        reader = self._reader
        events: list[Event] = []
        if reader.begun:
            try:
                chunk = _decode_text(data)
            except (ValueError, RecursionError):  # the second: nested deeper than anything is
                chunk = None
            if chunk is not None and self._feed_text(chunk, data, events):
                return events
        if data.strip() != b"[DONE]":  # a proxy's
            reader.feed(data, events)
        return events

    def _feed_text(self, chunk: wire.TextChunk, data: bytes, events: list[Event]) -> bool:
        """Take in a chunk that goes on with the text or the thought that is open, and tell whether it was one."""
        reader = self._reader
        main = reader.main
        if len(chunk.candidates) != 1:
            return False
        candidate = chunk.candidates[0]
        if candidate.index or len(candidate.content.parts) != 1 or main.parts.mends:
            return False
        if candidate.groundingMetadata is not None and (candidate.groundingMetadata or not main.grounded):
            return False
        piece = candidate.content.parts[0]
        text = piece.text
        if not text or text[-1] >= "\ud800":
            return False
        if piece.thought:
            if main.thought is None:
                return False
            events.append(ReasoningDelta(main.thought, text))
        else:
            if main.text is None:
                return False
            main.write_more(text)
            events.append(TextDelta(main.text, text))
        if candidate.safetyRatings is not None:
            main.meta["safetyRatings"] = candidate.safetyRatings
        if chunk.createTime:
            reader.keep("createTime", chunk.createTime)
        if chunk.usageMetadata is not None:
            reader.take_counts(chunk.usageMetadata, data, events)
        return True

    def close(self) -> list[Event]:
        """Return the events that end the answer. Raises `InterruptedCallError` where no end was seen."""
        if not self._reader.ended:
            raise InterruptedCallError("the answer broke off before its end")
        events: list[Event] = []
        events.append(self._reader.close(events))
        return events
