"""What we read of the wire's lines and of its answers' exact texts.

The rule: only a line that is nothing but a piece of text or of thinking is typed, and strictly: a member that is not
named here sends the line the long way, where it is read as plain JSON and kept.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct


class PieceMessage(Struct, forbid_unknown_fields=True):
    """The message of a plain piece."""

    role: Literal["assistant"] = "assistant"
    content: str = ""
    thinking: str = ""


class Piece(Struct, forbid_unknown_fields=True):
    """A line in the middle of a stream, with nothing in it but text."""

    message: PieceMessage
    model: str = ""
    created_at: str = ""
    done: Literal[False] = False
    remote_model: str = ""
    remote_host: str = ""


class Function(Struct):
    """A function's arguments as they were written."""

    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class Call(Struct):
    """A call, of which only the exact text of its arguments is read here."""

    function: Function = msgspec.field(default_factory=Function)


class Message(Struct):
    """The calls of a message."""

    tool_calls: list[Call] = []


class Answer(Struct):
    """The calls of a line, or of a whole answer."""

    message: Message = msgspec.field(default_factory=Message)
