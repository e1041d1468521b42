"""What every framing is: bytes in as they arrive, frames out as soon as they are whole.

The rules: no I/O; the cuts between reads mean nothing (byte by byte gives the same frames as all at once); time and
memory are linear in the bytes; bytes are split, never decoded to text and split by Unicode's idea of a line.
"""

from __future__ import annotations

from typing import Any, Protocol

from msgspec import Struct


class Frame(Struct, frozen=True, gc=False):
    """One frame of a streamed body, as the framing cuts it: SSE `event` and joined `data`, an NDJSON line, one AWS
    event-stream message (`event` is its type, `headers` its other headers)."""

    data: bytes
    event: str | None = None
    headers: dict[str, Any] | None = None


class Framer(Protocol):
    """A push machine for one body.

    `feed` gives the frames that these bytes complete. `close` is called at the end of the body and gives what is left:
    a last frame without its end mark, which may be cut short.
    """

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that these bytes complete."""
        ...

    def close(self) -> list[Frame]:
        """Return what is left at the end of the body."""
        ...
