"""What we read of the wire's streams.

The rule: only what is used on the way of every delta is typed; items and envelopes are open, and read as plain JSON, so
that a member nobody knows yet is kept.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class StreamEvent(Struct):
    """One frame of a stream, told apart by `type`. Members of rarer events are read from the frame itself."""

    type: str = ""
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    item_id: str | None = None
    delta: str | None = None
    logprobs: list[Any] | None = None
    error: Any = None
    object: str | None = None
