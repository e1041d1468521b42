"""What the fault server is about to send, as data: a head, and a body in pieces with things that happen between them.

The rule: a fault is a function from one `Reply` to another, so that faults compose, and what a server will do can be
looked at without a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field, structs

from polyvox.dialects.base import Dialect
from polyvox.framing import json
from polyvox.types.generate import GenerateRequest


class Sleep(Struct, frozen=True):
    """Seconds in which nothing is sent; it ends early where the client leaves."""

    seconds: float


class Stall(Struct, frozen=True):
    """Nothing more is sent, and the connection stays open until the client leaves."""


class Reset(Struct, frozen=True):
    """The connection ends with a RST: the client sees a connection reset by its peer."""


class Close(Struct, frozen=True):
    """The connection ends with a FIN, wherever the body stands."""


Action: TypeAlias = Sleep | Stall | Reset | Close
Kind: TypeAlias = Literal["event", "finish", "end", "other"]


class Piece(Struct, frozen=True):
    """Bytes that are written at once. Of a stream each frame is one piece.

    `kind`: an `event` of the answer; the `finish` (finish reason, usage); the wire's `end` mark; or `other` bytes.
    """

    data: bytes
    kind: Kind = "other"


Body: TypeAlias = tuple[Piece | Action, ...]


class Reply(Struct, frozen=True, kw_only=True):
    """An answer on its way out.

    `dialect` and `request` say what was asked (`None`: a request of no known wire). `before` happens before the head is
    sent; `head_drip` sends the head a byte at a time, with so many seconds between. `transfer` is how the body's end is
    told: `chunked`, by its `length`, or by the connection's `close`; `missing` is how many bytes the promised length is
    too long.
    """

    dialect: Dialect | None = None
    request: GenerateRequest | None = None
    stream: bool = False
    error_event: str | None = None
    path: str = "/"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Body = ()
    before: tuple[Action, ...] = ()
    head_drip: float | None = None
    transfer: Literal["chunked", "length", "close"] = "length"
    missing: int = 0

    def replace(self, **changes: Any) -> Reply:
        """Return the reply with other values."""
        return structs.replace(self, **changes)

    @property
    def data(self) -> bytes:
        """All bytes of the body."""
        return b"".join(piece.data for piece in self.body if isinstance(piece, Piece))


def cut(body: Body, after: int) -> tuple[Body, Body]:
    """Return a body in two: its first `after` bytes, and the rest."""
    for place, piece in enumerate(body):
        if not isinstance(piece, Piece):
            continue
        if len(piece.data) > after:
            first, second = Piece(piece.data[:after]), Piece(piece.data[after:])
            return (*body[:place], *((first,) if after else ())), (second, *body[place + 1 :])
        after -= len(piece.data)
    return body, ()


def each_value(piece: Piece, change: Callable[[Any], Iterable[Any]]) -> list[Piece]:
    """Return a frame with its JSON value changed into none, one or several. What holds no JSON object stays."""
    lines = piece.data.split(b"\n")
    place = next((place for place, line in enumerate(lines) if line.startswith((b"data:", b"{"))), None)
    if place is None:
        return [piece]
    mark, text = (b"data: ", lines[place][5:]) if lines[place].startswith(b"data:") else (b"", lines[place])
    if not text.lstrip().startswith(b"{"):
        return [piece]
    return [
        Piece(b"\n".join([*lines[:place], mark + json.encode(value), *lines[place + 1 :]]), piece.kind)
        for value in change(json.decode(text))
    ]


def frame(reply: Reply, value: Any, event: str | None = None) -> bytes:
    """Return a JSON value as one frame of the reply's stream."""
    if reply.dialect is not None and reply.dialect.generate.framing == "ndjson":
        return json.encode(value) + b"\n"
    name = b"event: " + event.encode() + b"\n" if event else b""
    return name + b"data: " + json.encode(value) + b"\n\n"
