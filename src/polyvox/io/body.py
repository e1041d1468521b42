"""The body of an HTTP answer, from bytes as they come: chunks taken apart, compression undone.

Push machines, without input or output of their own. The rule: what is complete is handed on at once, however the bytes
were cut, and a body that is not what it says raises `ValueError`.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

_SIZE: Final = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)
_LONGEST_LINE: Final = 1 << 16


class ChunkDecoder:
    """Takes `Transfer-Encoding: chunked` apart. `done` once the end was seen; `rest` is what came after it."""

    __slots__ = ("_held", "_left", "_place", "done", "rest")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self._held = b""  # an unfinished line
        self._left = 0  # bytes of the current chunk still to come
        self._place = "size"  # what the next line is: the size of a chunk, the end of one, or a trailer

    def feed(self, data: bytes) -> bytes:
        """Return the part of the body in `data`; there may be none yet."""
        if self._held:
            data, self._held = self._held + data, b""
        pieces = []
        position = 0
        while not self.done:
            if self._left:
                piece = data[position : position + self._left]
                pieces.append(piece)
                position += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
            end = data.find(b"\n", position)
            if end < 0:
                self._held = data[position:]
                if len(self._held) > _LONGEST_LINE:
                    raise ValueError("a chunk-size line without end")
                break
            self._read_line(data[position:end].removesuffix(b"\r"))
            position = end + 1
        if self.done:
            self.rest = data[position:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read_line(self, line: bytes) -> None:
        if self._place == "size":
            match = _SIZE.fullmatch(line)
            if match is None:
                raise ValueError("a chunk without a size")
            self._left = int(match[1], 16)
            self._place = "end" if self._left else "trailer"
        elif self._place == "end":
            if line:
                raise ValueError("a chunk longer than its size")
            self._place = "size"
        elif not line:
            self.done = True


class Inflater:
    """Undoes `Content-Encoding: gzip` and `deflate` (both spellings of it). `done` once the end was seen."""

    __slots__ = ("_first", "_gzip", "_machine", "done")

    def __init__(self, encoding: str) -> None:
        self._gzip = encoding.lower() in ("gzip", "x-gzip")
        self._machine = zlib.decompressobj(zlib.MAX_WBITS + (16 if self._gzip else 0))
        self._first: bytes | None = b""  # what was fed so far, until it is clear that the format is the right one
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Return what `data` unpacks to; there may be nothing yet."""
        if self.done and not self._gzip:
            return b""
        pieces = []
        while data:
            if self.done:  # another member follows; what is none is padding
                if not data.startswith(b"\x1f"):  # of the two bytes of a gzip header, the second may not be here yet
                    break
                self._machine = zlib.decompressobj(zlib.MAX_WBITS + 16)
                self.done = False
            pieces.append(self._inflate(data))
            self.done = self._machine.eof
            data = self._machine.unused_data
            if not self._gzip:
                break
        return b"".join(pieces)

    def _inflate(self, data: bytes) -> bytes:
        try:
            piece = self._machine.decompress(data)
        except zlib.error:
            if self._gzip or self._first is None:
                raise ValueError("compressed data that cannot be read") from None
            # "deflate" is zlib's format by the standard, and the bare one from some servers.
            data, self._first = self._first + data, None
            self._machine = zlib.decompressobj(-zlib.MAX_WBITS)
            return self._inflate(data)
        if self._first is not None:
            self._first = None if piece else self._first + data
        return piece
