"""Server-sent events, as https://html.spec.whatwg.org/multipage/server-sent-events.html says, with two differences.

An event cut off by the end of the body is given by `close` (services leave out the last blank line), and an event whose
data is empty is given only where it has a name (`data:` alone is a keep-alive).

The rule: one `bytes.split` a read. Two-byte searches and a text decoder both lose to it by far.
"""

from __future__ import annotations

from typing import Any, Final

from polyvox.framing.base import Frame

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class SSEFramer:
    """SSE bytes in, events out. `Frame.headers` holds `id` and `retry` where the event has them, as text."""

    __slots__ = ("_after_cr", "_begun", "_data", "_event", "_fields", "_more", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()  # the line that has not ended
        self._after_cr = False  # the last read ended in "\r": a "\n" at the start of the next is the same line end
        self._begun = False
        self._data: bytes | None = None  # the first data line of the event at hand
        self._more: list[bytes] = []  # its further data lines
        self._event: str | None = None
        self._fields: dict[str, Any] | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """Return the events that these bytes complete."""
        if self._after_cr and data:
            self._after_cr = False
            if data[0] == 10:
                data = data[1:]
        if b"\r" in data:
            self._after_cr = data[-1] == 13
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = data.split(b"\n")
        last = lines.pop()
        if lines:
            if self._rest:
                lines[0] = bytes(self._rest) + lines[0]
                self._rest.clear()
            if not self._begun:
                self._begun = True
                lines[0] = lines[0].removeprefix(_BYTE_ORDER_MARK)
        if last:
            self._rest += last
        return self._take(lines) if lines else []

    def close(self) -> list[Frame]:
        """Return the event that the end of the body cut off, if there is one."""
        line = bytes(self._rest)
        self._rest.clear()
        if not self._begun:
            line = line.removeprefix(_BYTE_ORDER_MARK)
        return self._take([line, b""] if line else [b""])

    def _take(self, lines: list[bytes]) -> list[Frame]:
        frames: list[Frame] = []
        data = self._data
        for line in lines:
            if line[:6] == b"data: ":
                if data is None:
                    data = line[6:]
                else:
                    self._more.append(line[6:])
            elif line:
                name, _, value = line.partition(b":")
                if name != b"data":
                    self._take_field(name, value.removeprefix(b" "))
                elif data is None:
                    data = value.removeprefix(b" ")
                else:
                    self._more.append(value.removeprefix(b" "))
            elif self._event is None and self._fields is None and not self._more:
                # The common case, a lone `data:` line, has to be quick.
                if data:
                    frames.append(Frame(data))
                data = None
            else:
                if self._more and data is not None:
                    data = b"\n".join([data, *self._more])
                if data is not None and (data or self._event is not None):
                    frames.append(Frame(data, self._event, self._fields))
                data = self._event = self._fields = None
                self._more = []
        self._data = data
        return frames

    def _take_field(self, name: bytes, value: bytes) -> None:
        """Take a field other than data. An empty name is a comment, an unknown one is ignored, as the standard says."""
        if name == b"event":
            self._event = value.decode("utf-8", "replace") or None
        elif name in (b"id", b"retry"):
            if self._fields is None:
                self._fields = {}
            self._fields[name.decode()] = value.decode("utf-8", "replace")
