"""What we read of the wire with types: the shortest way of a stream's text, and the exact text of arguments.

The rule: a chunk that is nothing but text has one form, and the typed reader refuses every other: those are read as
plain JSON, so that a member nobody knows yet is kept.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct


class TextPiece(Struct, forbid_unknown_fields=True):
    """A part that is text, or a thought, and nothing else."""

    text: str
    thought: bool = False


class TextContent(Struct, forbid_unknown_fields=True):
    """The content of a piece."""

    parts: list[TextPiece]
    role: str = ""


class TextCandidate(Struct, forbid_unknown_fields=True):
    """A candidate of which more text came."""

    content: TextContent
    index: int = 0
    safetyRatings: list[Any] | None = None  # noqa: N815 - the wire's own names; older models send them every time
    groundingMetadata: dict[str, Any] | None = None  # noqa: N815 - empty until the last chunk


class Counts(Struct):
    """The running totals of a chunk."""

    promptTokenCount: int | None = None  # noqa: N815
    toolUsePromptTokenCount: int | None = None  # noqa: N815
    cachedContentTokenCount: int | None = None  # noqa: N815
    candidatesTokenCount: int | None = None  # noqa: N815
    thoughtsTokenCount: int | None = None  # noqa: N815
    totalTokenCount: int | None = None  # noqa: N815
    trafficType: str = ""  # noqa: N815 - at times all that is said before the last chunk


class TextChunk(Struct, forbid_unknown_fields=True):
    """A chunk that brings nothing but text, and counts."""

    candidates: list[TextCandidate]
    usageMetadata: Counts | None = None  # noqa: N815
    modelVersion: str = ""  # noqa: N815
    responseId: str = ""  # noqa: N815
    createTime: str = ""  # noqa: N815


class Call(Struct):
    """A function call's arguments as they were written."""

    args: msgspec.Raw = msgspec.Raw(b"")


class Part(Struct):
    """A part, as far as it may be a call."""

    functionCall: Call | None = None  # noqa: N815


class Content(Struct):
    """A content of such parts."""

    parts: list[Part] = []


class Candidate(Struct):
    """A candidate with such a content."""

    content: Content | None = None


class Chunk(Struct):
    """A whole answer or a chunk, as far as it holds calls."""

    candidates: list[Candidate] = []
