"""A spoken answer of a stream: sound in pieces of base64, and its transcript. It belongs to no item.

The rule: base64 may be cut anywhere, and each piece may have its own padding; only whole groups of four can be read.
https://platform.openai.com/docs/api-reference/responses-streaming/response/audio
"""

from __future__ import annotations

import re
from typing import Final

from polyvox.dialects._media import ANY_AUDIO, decode_base64, sniff
from polyvox.dialects._parts import Parts
from polyvox.dialects.openai_responses.fields import TRANSCRIPT, said
from polyvox.errors import DecodeError
from polyvox.types.events import Event, FileDelta, TextDelta
from polyvox.types.parts import FilePart, TextPart

SOUND: Final = ("response.audio.delta", "response.audio.transcript.delta")
"""The events that bring it."""

_PADDED: Final = re.compile(r"[^=]+=*")


class SoundReader:
    """Pieces in, events out."""

    __slots__ = ("_parts", "_rest", "_sound", "_transcript")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._rest = ""
        self._sound: int | None = None
        self._transcript: int | None = None

    def feed(self, kind: str, delta: str, events: list[Event]) -> None:
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

    def close(self, events: list[Event]) -> None:
        """Hand on the last bytes, and end what is open."""
        self._hand_on(self._rest, events)
        if self._sound is not None:
            self._parts.end(self._sound, events)
        if self._transcript is not None:
            self._parts.end(self._transcript, events, said({TRANSCRIPT: True}))
