"""What we read of the wire's streams and of its answers' exact texts.

The rule: only what is used on the way of every delta is typed; blocks, usage and envelopes are open, and read as plain
JSON, so that a member nobody knows yet is kept.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct


class Delta(Struct):
    """A piece of a block. Members of rarer pieces are read from the frame itself."""

    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""


class StreamEvent(Struct):
    """One frame of a stream, told apart by `type`; an error frame may lack all but `error`."""

    type: str = ""
    index: int | None = None
    delta: Delta | None = None
    content_block: dict[str, Any] | None = None
    message: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


class Input(Struct):
    """A block's `input` as it was written."""

    input: msgspec.Raw = msgspec.Raw(b"{}")


class Inputs(Struct):
    """The inputs of a whole answer's blocks."""

    content: list[Input] = []
