"""One JSON array sent over time (Gemini without `alt=sse`): each element as soon as it is whole.

The rule: every byte is looked at once, by a search for the next byte that means something. A body that is no array (an
error object in place of the stream, values one after another) is framed value by value.
"""

from __future__ import annotations

import re
from typing import Final

from polyvox.framing.base import Frame

_MEANS_OUTSIDE: Final = re.compile(rb'["{}\[\],]')
_MEANS_IN_TEXT: Final = re.compile(rb'["\\]')


class JSONArrayFramer:
    """Bytes of a JSON array in, its elements out."""

    __slots__ = ("_base", "_depth", "_escaped", "_in_text", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()  # the element that has not ended
        self._depth = 0
        self._base = 0  # the depth at which elements stand: 1 inside the array, 0 where there is none
        self._in_text = False
        self._escaped = False  # the last read ended in a backslash

    def feed(self, data: bytes) -> list[Frame]:
        """Return the elements that these bytes complete."""
        frames: list[Frame] = []
        start = position = 0
        while position < len(data):
            if self._in_text:
                position = self._skip_text(data, position)
                continue
            found = _MEANS_OUTSIDE.search(data, position)
            if found is None:
                break
            position = found.end()
            byte = found.group()
            if byte == b'"':
                self._in_text = True
            elif byte in (b"{", b"["):
                if byte == b"[" and self._depth == 0:
                    self._base = 1
                    self._give(data[start : position - 1], frames)
                    start = position
                self._depth += 1
            elif byte == b",":
                if self._depth == self._base:
                    self._give(data[start : position - 1], frames)
                    start = position
            elif self._depth > self._base:
                self._depth -= 1
                if self._depth == self._base:
                    self._give(data[start:position], frames)
                    start = position
            elif byte == b"]" and self._base:
                self._give(data[start : position - 1], frames)
                start = position
                self._depth = self._base = 0
        self._rest += data[start:]
        return frames

    def close(self) -> list[Frame]:
        """Return what is left: an element cut short, or a body that was no JSON."""
        frames: list[Frame] = []
        self._give(b"", frames)
        return frames

    def _skip_text(self, data: bytes, position: int) -> int:
        """Go on to the end of the string, or of the bytes."""
        if self._escaped:
            self._escaped = False
            return position + 1
        found = _MEANS_IN_TEXT.search(data, position)
        if found is None:
            return len(data)
        if found.group() == b"\\":
            self._escaped = True
        else:
            self._in_text = False
        return found.end()

    def _give(self, end: bytes, frames: list[Frame]) -> None:
        text = (bytes(self._rest) + end).strip()
        self._rest.clear()
        if text:
            frames.append(Frame(text))
