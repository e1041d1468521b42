"""Every fault, by name, with the sentence that says what a client meets: for tables, and for tests over all of them.

The rule: a fault that is not here is not tested.
"""

from __future__ import annotations

from msgspec import Struct

from polyvox.testing import faults
from polyvox.testing.faults import Fault


class Entry(Struct, frozen=True):
    """A fault of the catalogue. `fault` has values that fit an answer of some 500 bytes of text and more."""

    name: str
    sentence: str
    fault: Fault


def _entry(name: str, fault: Fault, sentence: str | None = None) -> Entry:
    said = sentence or (type(fault).__doc__ or "").strip().split("\n")[0]
    return Entry(name, said, fault)


def catalogue(after: int = 400) -> tuple[Entry, ...]:
    """Return every fault. `after` is the number of bytes after which bodies stall, break or end."""
    return (
        _entry("refuse connection", faults.RefuseConnection(), "Nobody listens at the port."),
        _entry("reset on accept", faults.ResetOnAccept()),
        _entry("header stall", faults.HeaderStall()),
        _entry("header drip", faults.HeaderDrip(), "The head comes a byte at a time, for ever."),
        _entry("stall at once", faults.StallAfter(0), "The head comes, and nothing of the body."),
        _entry("stall", faults.StallAfter(after)),
        _entry("reset", faults.ResetAfter(after)),
        _entry("cut", faults.CutAfter(after), "The connection is closed politely in the middle of the body."),
        _entry("early end", faults.EndAfter(after), "The body ends well for HTTP, in the middle of the answer."),
        _entry("cut, no length", faults.CloseDelimited(after), "As before, where only closing says the body's end."),
        _entry("no length", faults.CloseDelimited(), "Only the connection's end says that the body is over."),
        _entry("long length", faults.LongLength(), "`Content-Length` promises more than comes; then a close."),
        _entry("split UTF-8", faults.SplitUTF8(), "Each byte by itself, with pauses inside characters."),
        _entry("slow drip", faults.SlowDrip(), "A few bytes at a time, with pauses."),
        _entry("bad gzip", faults.BadGzip()),
        _entry("429, seconds", faults.RateLimited(1.0), "Too many requests; `Retry-After` in seconds."),
        _entry("429, date", faults.RateLimited(2.0, "date"), "Too many requests; `Retry-After` as a date."),
        _entry("429, ms", faults.RateLimited(0.5, "ms"), "Too many requests; `retry-after-ms`."),
        _entry("no money", faults.BillingExhausted(), "No money left, in the wire's own words."),
        _entry("401", faults.Unauthorized(), "The key is wrong."),
        _entry("500", faults.ServerFault(500), "The provider fails."),
        _entry("502", faults.ServerFault(502), "A gateway in front of the provider fails."),
        _entry("503", faults.ServerFault(503), "The provider has no room."),
        _entry("529", faults.ServerFault(529), "The provider is overloaded."),
        _entry("page, 502", faults.HtmlErrorPage(502), "A proxy's HTML page under a 502."),
        _entry("page, 200", faults.HtmlErrorPage(200), "A proxy's HTML page under a 200."),
        _entry("content type", faults.WrongContentType()),
        _entry("empty body", faults.EmptyBody()),
        _entry("invalid JSON", faults.InvalidJson(), "The JSON is broken: the body's, or that of half the frames."),
        _entry("redirect loop", faults.RedirectLoop()),
        _entry("overload", faults.OverloadMidStream(), "The wire's own error frame after five events."),
        _entry("late error", faults.ErrorAfterFinish(), "An error frame after the finish reason."),
        _entry("no end mark", faults.NoEndMark()),
        _entry("late usage", faults.LateUsage(), "Usage in a frame of its own, after the finish reason."),
        _entry("same index", faults.DuplicateIndex()),
        _entry("garbage", faults.GarbageFrames(), "Comments, pings, unknown fields, and lines that end with CRLF."),
        _entry("unknown events", faults.UnknownEvents()),
        _entry("trailing bytes", faults.TrailingBytes(), "Blank lines after the end."),
        _entry("huge line", faults.HugeLine(), "One line of a million bytes."),
        _entry(
            "split and stall",
            faults.SplitUTF8() & faults.StallAfter(after),
            "Each byte by itself, then silence: faults add up.",
        ),
    )
