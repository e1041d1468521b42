"""The faults: what networks, proxies and providers do to an answer. Each is data, and a function from reply to reply.

The rule: a fault is deterministic; it is a frozen struct with a sentence that says what the client meets, and `a & b`
is both, `a` first. `catalogue()` lists them all.
"""

from __future__ import annotations

import gzip
import time
from email.utils import formatdate
from typing import Any, Literal

from msgspec import Struct

from polyvox.errors import (
    AuthenticationError,
    BillingError,
    OverloadedError,
    PolyvoxError,
    RateLimitError,
    ServerError,
)
from polyvox.framing import json
from polyvox.testing.reply import Body, Close, Piece, Reply, Reset, Sleep, Stall, cut, each_value, frame

_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>{status} – the gateway speaks</title></head>"
    "<body><h1>{status}</h1><p>Something went wrong between you and the service.</p></body></html>\n"
)
BROKEN = b'"#!"'
"""What is put into JSON to break it, inside of a string and outside."""
_RESET_DELAY = 0.05
"""Seconds before a RST: it would destroy what the client has not read yet."""


class Fault(Struct, frozen=True):
    """One thing that goes wrong. Subclass it, with `apply`, for one of your own."""

    def apply(self, reply: Reply) -> Reply:
        """Return the reply as this fault leaves it."""
        return reply

    def __and__(self, other: Fault) -> Fault:
        return Together((self, other))


class Together(Fault, frozen=True):
    """Several faults in one reply, in their order. Written `a & b`."""

    faults: tuple[Fault, ...]

    def apply(self, reply: Reply) -> Reply:
        """Return the reply as all of them leave it."""
        for fault in self.faults:
            reply = fault.apply(reply)
        return reply


# The network


class RefuseConnection(Fault, frozen=True):
    """Nobody listens at the port: each connection is refused. A server has it as its only fault."""


class ResetOnAccept(Fault, frozen=True):
    """The connection is reset before one byte of the request was read."""


class HeaderStall(Fault, frozen=True):
    """The request is taken, and nothing is ever answered."""

    def apply(self, reply: Reply) -> Reply:
        """Never answer."""
        return reply.replace(before=(Stall(),))


class HeaderDrip(Fault, frozen=True):
    """The head comes a byte at a time, so that a limit on each read alone never passes. `seconds` between bytes."""

    seconds: float = 0.02

    def apply(self, reply: Reply) -> Reply:
        """Drip the head."""
        padding = {"x-padding": "x" * 4096}
        return reply.replace(headers={**reply.headers, **padding}, head_drip=self.seconds)


class StallAfter(Fault, frozen=True):
    """The body falls silent after so many bytes, and the connection stays open."""

    after: int = 0

    def apply(self, reply: Reply) -> Reply:
        """Stall."""
        return _ended(reply, cut(reply.body, self.after)[0], Stall())


class ResetAfter(Fault, frozen=True):
    """The connection is reset after so many bytes of the body."""

    after: int = 0

    def apply(self, reply: Reply) -> Reply:
        """Reset."""
        return _ended(reply, cut(reply.body, self.after)[0], Sleep(_RESET_DELAY), Reset())


class CutAfter(Fault, frozen=True):
    """The connection is closed politely after so many bytes of the body, before the end that HTTP promised."""

    after: int = 0

    def apply(self, reply: Reply) -> Reply:
        """Close."""
        return _ended(reply, cut(reply.body, self.after)[0], Close())


class EndAfter(Fault, frozen=True):
    """The body ends well, as HTTP sees it, after so many bytes: only the answer is not whole."""

    after: int = 0

    def apply(self, reply: Reply) -> Reply:
        """End the body early."""
        return reply.replace(body=cut(reply.body, self.after)[0])


class CloseDelimited(Fault, frozen=True):
    """The body has no length: only the connection's end says that it is over. `after`: bytes, `None` for all."""

    after: int | None = None

    def apply(self, reply: Reply) -> Reply:
        """End by closing."""
        body = reply.body if self.after is None else cut(reply.body, self.after)[0]
        return reply.replace(body=body, transfer="close")


class LongLength(Fault, frozen=True):
    """`Content-Length` promises `missing` bytes more than there are, and the connection is closed."""

    missing: int = 10

    def apply(self, reply: Reply) -> Reply:
        """Promise too much."""
        return reply.replace(transfer="length", missing=self.missing)


class SplitUTF8(Fault, frozen=True):
    """Each byte comes by itself, with a pause of `seconds` within each character of several bytes."""

    seconds: float = 0.001

    def apply(self, reply: Reply) -> Reply:
        """Split."""
        body: list[Any] = []
        for piece in reply.body:
            if not isinstance(piece, Piece):
                body.append(piece)
                continue
            for byte in piece.data:
                if 0x80 <= byte < 0xC0 and self.seconds:
                    body.append(Sleep(self.seconds))
                body.append(Piece(bytes((byte,))))
        return reply.replace(body=tuple(body))


class SlowDrip(Fault, frozen=True):
    """The body comes `size` bytes at a time with `seconds` between."""

    size: int = 200
    seconds: float = 0.005

    def apply(self, reply: Reply) -> Reply:
        """Drip."""
        body: list[Any] = []
        for piece in reply.body:
            if not isinstance(piece, Piece):
                body.append(piece)
                continue
            for start in range(0, len(piece.data), self.size):
                body += [Piece(piece.data[start : start + self.size]), Sleep(self.seconds)]
        return reply.replace(body=tuple(body))


class BadGzip(Fault, frozen=True):
    """The body says it is gzip, and breaks in the middle."""

    def apply(self, reply: Reply) -> Reply:
        """Pack, and spoil."""
        packed = bytearray(gzip.compress(reply.data, mtime=0))
        middle = len(packed) // 2
        packed[middle : middle + 8] = bytes(byte ^ 0xFF for byte in packed[middle : middle + 8])
        return reply.replace(headers={**reply.headers, "content-encoding": "gzip"}, body=(Piece(bytes(packed)),))


# The provider's refusals


class RateLimited(Fault, frozen=True):
    """429: too many requests. `retry_after` is in seconds (`None`: not said), told as seconds, a date or in ms."""

    retry_after: float | None = 1.0
    form: Literal["seconds", "date", "ms"] = "seconds"

    def apply(self, reply: Reply) -> Reply:
        """Refuse."""
        told: dict[str, str] = {}
        if self.retry_after is not None:
            match self.form:
                case "seconds":
                    told = {"retry-after": f"{self.retry_after:g}"}
                case "date":
                    told = {"retry-after": formatdate(time.time() + self.retry_after, usegmt=True)}
                case "ms":
                    told = {"retry-after-ms": f"{self.retry_after * 1000:g}"}
        return refuse(reply, RateLimitError("Rate limit reached for requests: slow down."), 429, told)


class BillingExhausted(Fault, frozen=True):
    """No money left, in the wire's own words. `status` 429 or 402; `None`: as the wire does it."""

    status: int | None = None

    def apply(self, reply: Reply) -> Reply:
        """Refuse."""
        error = BillingError("You exceeded your current quota: check your plan and billing details.")
        return refuse(reply, error, self.status)


class Unauthorized(Fault, frozen=True):
    """401: the key is wrong, and the provider repeats it in its message."""

    def apply(self, reply: Reply) -> Reply:
        """Refuse."""
        return refuse(reply, AuthenticationError("Incorrect API key provided."), 401)


class ServerFault(Fault, frozen=True):
    """The provider fails, with a 500, 502, 503 or 529 and an error in the wire's shape."""

    status: int = 500

    def apply(self, reply: Reply) -> Reply:
        """Fail."""
        kind = OverloadedError if self.status in (503, 529) else ServerError
        return refuse(reply, kind("The server had an error while it processed your request."), self.status)


# Answers that are none


class HtmlErrorPage(Fault, frozen=True):
    """A proxy answers with a page of its own, under a 200 or an error's status."""

    status: int = 502

    def apply(self, reply: Reply) -> Reply:
        """Answer with a page."""
        page = _PAGE.format(status=self.status).encode()
        headers = {"content-type": "text/html; charset=utf-8"}
        return reply.replace(status=self.status, headers=headers, body=(Piece(page),), transfer="length")


class WrongContentType(Fault, frozen=True):
    """The answer is right, and its content type is not."""

    content_type: str = "text/plain"

    def apply(self, reply: Reply) -> Reply:
        """Say something else."""
        return reply.replace(headers={**reply.headers, "content-type": self.content_type})


class EmptyBody(Fault, frozen=True):
    """200, and not one byte."""

    def apply(self, reply: Reply) -> Reply:
        """Send nothing."""
        return reply.replace(body=())


class InvalidJson(Fault, frozen=True):
    """The JSON breaks off and goes on with something else: the whole body's, or that of the stream's second half."""

    def apply(self, reply: Reply) -> Reply:
        """Spoil it."""
        middle = len(reply.body) // 2
        body = tuple(
            Piece(piece.data[: len(piece.data) // 2] + BROKEN + piece.data[len(piece.data) // 2 :], piece.kind)
            if isinstance(piece, Piece) and place >= middle
            else piece
            for place, piece in enumerate(reply.body)
        )
        return reply.replace(body=body)


class RedirectLoop(Fault, frozen=True):
    """A redirect to the same address, for ever."""

    def apply(self, reply: Reply) -> Reply:
        """Redirect."""
        return reply.replace(status=307, headers={"location": reply.path}, body=(), transfer="length")


# Streams that go wrong in their own way


class OverloadMidStream(Fault, frozen=True):
    """After so many events of the stream comes the wire's own error frame, and the body ends."""

    events: int = 5

    def apply(self, reply: Reply) -> Reply:
        """Break off with an error frame; a whole answer is refused."""
        error = OverloadedError("Overloaded: the model has no room at the moment.")
        if not reply.stream:
            return refuse(reply, error)
        return reply.replace(body=(*reply.body[: self.events], Piece(error_frame(reply, error))))


class ErrorAfterFinish(Fault, frozen=True):
    """An error frame comes after the finish reason, in place of the end mark."""

    def apply(self, reply: Reply) -> Reply:
        """Add the error frame."""
        if not reply.stream:
            return reply
        error = ServerError("The server had an error while it closed the stream.")
        kept = tuple(piece for piece in reply.body if not (isinstance(piece, Piece) and piece.kind == "end"))
        return reply.replace(body=(*kept, Piece(error_frame(reply, error))))


class NoEndMark(Fault, frozen=True):
    """The stream ends after its finish reason, without the wire's end mark."""

    def apply(self, reply: Reply) -> Reply:
        """Leave out the end mark."""
        kept = tuple(piece for piece in reply.body if not (isinstance(piece, Piece) and piece.kind == "end"))
        return reply.replace(body=kept)


class LateUsage(Fault, frozen=True):
    """The usage comes in a frame of its own, `seconds` after the finish reason."""

    seconds: float = 0.05

    def apply(self, reply: Reply) -> Reply:
        """Send the usage late."""
        body: list[Any] = []
        for piece in reply.body:
            if isinstance(piece, Piece) and piece.kind == "finish":
                for frame_ in each_value(piece, _usage_apart):
                    body += [Sleep(self.seconds), frame_]
            else:
                body.append(piece)
        return reply.replace(body=tuple(body)) if reply.stream else reply


class DuplicateIndex(Fault, frozen=True):
    """Every part of the stream bears index 0, as some services number parallel tool calls."""

    def apply(self, reply: Reply) -> Reply:
        """Number everything 0."""
        if not reply.stream:
            return reply
        body: list[Any] = []
        for piece in reply.body:
            body += each_value(piece, lambda value: [_all_zero(value)]) if isinstance(piece, Piece) else [piece]
        return reply.replace(body=tuple(body))


class GarbageFrames(Fault, frozen=True):
    """Between the frames come comments, pings, blank lines, unknown events and fields, and lines end with CRLF."""

    def apply(self, reply: Reply) -> Reply:
        """Add what a client has to skip."""
        if not reply.stream:
            return reply.replace(body=(Piece(b" \r\n"), *reply.body, Piece(b"\r\n ")))
        ndjson = reply.dialect is not None and reply.dialect.generate.framing == "ndjson"
        noise = (b"\r\n", b" \r\n") if ndjson else (b": ping\r\n\r\n", b"retry: 10\r\n\r\n", b"strange: field\r\n\r\n")
        body: list[Any] = []
        for place, piece in enumerate(reply.body):
            body.append(Piece(noise[place % len(noise)]))
            body.append(Piece(piece.data.replace(b"\n", b"\r\n"), piece.kind) if isinstance(piece, Piece) else piece)
        return reply.replace(body=tuple(body))


class UnknownEvents(Fault, frozen=True):
    """Between the frames come well-formed ones of a kind that nobody has heard of."""

    def apply(self, reply: Reply) -> Reply:
        """Add unknown events."""
        if not reply.stream:
            return reply
        ndjson = reply.dialect is not None and reply.dialect.generate.framing == "ndjson"
        value = {"new_member": {"x": 1}} if ndjson else {"type": "vendor.novelty", "x": 1}
        strange = Piece(frame(reply, value, "vendor.novelty"))
        body = [each for piece in reply.body for each in ((strange, piece) if _is_event(piece) else (piece,))]
        return reply.replace(body=tuple(body))


class TrailingBytes(Fault, frozen=True):
    """After the end of the answer the body goes on with blank lines and white space."""

    data: bytes = b"\n\n \n"

    def apply(self, reply: Reply) -> Reply:
        """Go on."""
        return reply.replace(body=(*reply.body, Piece(self.data)))


class HugeLine(Fault, frozen=True):
    """One line of the stream is `size` bytes long: an unknown member that a client has to read over."""

    size: int = 1_000_000

    def apply(self, reply: Reply) -> Reply:
        """Fatten the second frame, or the whole body."""
        place = min(1, len(reply.body) - 1)
        piece = reply.body[place] if reply.body else None
        if not isinstance(piece, Piece):
            return reply
        fat = each_value(piece, lambda value: [{**value, "padding": "x" * self.size}])
        return reply.replace(body=(*reply.body[:place], *fat, *reply.body[place + 1 :]))


def refuse(
    reply: Reply, error: PolyvoxError, status: int | None = None, headers: dict[str, str] | None = None
) -> Reply:
    """Return the reply turned into an error's, in the wire's own shape. `status`: `None` is the wire's own."""
    if reply.dialect is None:
        said, body = 500, json.encode({"error": {"message": error.message}})
    else:
        said, body = reply.dialect.encode_error(error)
    kept = {name: value for name, value in reply.headers.items() if name.endswith("request-id")}
    return reply.replace(
        status=status or said,
        headers={"content-type": "application/json", **kept, **(headers or {})},
        body=(Piece(body),),
        transfer="length",
        stream=False,
    )


def error_frame(reply: Reply, error: PolyvoxError) -> bytes:
    """Return an error as the wire's stream tells it under a 200."""
    if reply.dialect is None:
        return frame(reply, {"error": {"message": error.message}})
    value = json.decode(reply.dialect.encode_error(error)[1])
    if reply.error_event is not None:
        value = {"type": reply.error_event, **value}
    return frame(reply, value, reply.error_event)


def _ended(reply: Reply, body: Body, *actions: Any) -> Reply:
    # The head promises the whole body: what is missing is missing.
    missing = len(reply.data) - sum(len(piece.data) for piece in body if isinstance(piece, Piece))
    return reply.replace(body=(*body, *actions), missing=reply.missing + missing)


def _is_event(piece: Any) -> bool:
    return isinstance(piece, Piece) and piece.kind != "end"


def _usage_apart(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a frame's value in two, where it says its usage beside something else."""
    name = next((name for name in ("usage", "usageMetadata") if value.get(name)), None)
    told = value.get("choices") or value.get("delta") or value.get("candidates")
    if name is None or not told:
        return [value]
    later = dict(value)
    for held, nothing in (("choices", []), ("delta", {}), ("candidates", [])):
        if held in later:
            later[held] = nothing
    return [{**value, name: {} if "delta" in value else None}, later]


def _all_zero(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: 0 if name in ("index", "output_index") and isinstance(member, int) else _all_zero(member)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [_all_zero(member) for member in value]
    return value
