r"""Newline-delimited JSON: one value a line.

The rule: only `\n` ends a line. U+2028 and U+0085 may stand unescaped inside JSON text.
"""

from __future__ import annotations

from polyvox.framing.base import Frame


class NDJSONFramer:
    """NDJSON bytes in, lines out; blank ones are keep-alives and are skipped."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()  # the line that has not ended

    def feed(self, data: bytes) -> list[Frame]:
        """Return the lines that these bytes complete."""
        lines = data.split(b"\n")
        last = lines.pop()
        if lines and self._rest:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        if last:
            self._rest += last
        return [Frame(text) for line in lines if (text := line.strip())]

    def close(self) -> list[Frame]:
        """Return the last line, where no newline ended it."""
        text = bytes(self._rest).strip()
        self._rest.clear()
        return [Frame(text)] if text else []
