"""What a stream brings beside its items: a spoken answer with its transcript; Perplexity's thoughts and what it found.

The rules: base64 may be cut anywhere, and each piece may have its own padding; only whole groups of four can be read.
Thoughts stand in no item; what was found stands in an item later on, and where it does not it is told at the end.
https://platform.openai.com/docs/api-reference/responses-streaming/response/audio
https://docs.perplexity.ai/docs/agent-api
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from polyvox.dialects._media import ANY_AUDIO, decode_base64, sniff
from polyvox.dialects._parts import Parts
from polyvox.dialects._reading import JSONObject
from polyvox.dialects.openai_responses.fields import TRANSCRIPT, said, text_of
from polyvox.dialects.openai_responses.hosted import decode_sources
from polyvox.errors import DecodeError
from polyvox.types.events import Event, FileDelta, ReasoningDelta, TextDelta
from polyvox.types.parts import FilePart, Part, ReasoningPart, SourcePart, TextPart

SOUND: Final = ("response.audio.delta", "response.audio.transcript.delta")
"""The events that bring a spoken answer."""
THOUGHTS: Final = "response.reasoning."
"""How the events begin that bring thoughts and what was found."""

_PADDED: Final = re.compile(r"[^=]+=*")


class BesideReader:
    """Events of such kinds in, our events out."""

    __slots__ = ("_found", "_parts", "_rest", "_sound", "_thought", "_transcript")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._rest = ""
        self._sound: int | None = None
        self._transcript: int | None = None
        self._thought: int | None = None
        self._found: list[SourcePart] = []

    def feed_sound(self, kind: str, delta: str, events: list[Event]) -> None:
        """Take in a piece of the sound or of its transcript."""
        if kind == SOUND[0]:
            data = self._rest + delta
            whole = len(data) - len(data) % 4
            self._rest = data[whole:]
            self._hand_on(data[:whole], events)
            return
        if self._transcript is None:
            self._transcript = self._parts.start(TextPart("", meta=said({TRANSCRIPT: True})), events)
        text = self._parts.join(self._transcript, delta)
        if text:
            events.append(TextDelta(self._transcript, text))

    def _hand_on(self, data: str, events: list[Event]) -> None:
        if not data:
            return
        try:
            piece = b"".join(decode_base64(run) for run in _PADDED.findall(data))
        except ValueError:
            raise DecodeError("the sound of the answer is no valid base64") from None
        if self._sound is None:
            self._sound = self._parts.start(FilePart(sniff(piece) or ANY_AUDIO, b""), events)
        events.append(FileDelta(self._sound, piece))

    def feed_thought(self, kind: str, held: JSONObject, events: list[Event]) -> None:
        """Take in what is thought, and remember what was found."""
        thought = text_of(held, "thought")
        if thought:
            if self._thought is None:
                self._thought = self._parts.start(ReasoningPart(), events)
            text = self._parts.join(self._thought, thought)
            if text:
                events.append(ReasoningDelta(self._thought, text))
        if kind == THOUGHTS + "stopped" and self._thought is not None:
            self._parts.end(self._thought, events)
            self._thought = None
        self._found.extend(decode_sources(held))

    def close(self, content: Iterable[Part], events: list[Event]) -> None:
        """End what is open; hand on the last bytes, and what was found and stands nowhere in the content."""
        self._hand_on(self._rest, events)
        if self._sound is not None:
            self._parts.end(self._sound, events)
        if self._transcript is not None:
            self._parts.end(self._transcript, events, said({TRANSCRIPT: True}))
        if self._thought is not None:
            self._parts.end(self._thought, events)
        told = {part.url or part.title for part in content if isinstance(part, SourcePart)}
        for source in self._found:
            name = source.url or source.title
            if name not in told:
                told.add(name)
                self._parts.whole(source, events)
