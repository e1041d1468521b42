"""Why an answer ended, both directions.

The rule: the wire's word is kept; enums that came as numbers are read as the words they stand for. Function calls end
with `STOP`: they are told by their presence. https://ai.google.dev/api/generate-content#FinishReason
"""

from __future__ import annotations

from typing import Any, Final

from polyvox.types.generate import Finish, FinishReason

UNSPECIFIED: Final = "FINISH_REASON_UNSPECIFIED"

FINISHES: Final[dict[str, FinishReason]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "MALFORMED_RESPONSE": "error",
    "NO_IMAGE": "error",
    "IMAGE_OTHER": "error",
    "OTHER": "error",
    "CONTINUATION": "pause",
}

# With `enum-encoding=int`. From 6 on the Developer API and Vertex number their words differently: these stay numbers.
_NUMBERS: Final = {0: UNSPECIFIED, 1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"}
# What is a filter's word under both numberings.
_FILTERS: Final = ("7", "8")
_BLOCKS: Final = {1: "SAFETY", 2: "OTHER", 3: "BLOCKLIST", 4: "PROHIBITED_CONTENT"}

_REASONS: Final[dict[FinishReason, str]] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "pause": "CONTINUATION",
    "error": "OTHER",
}


def _word(reason: Any, numbers: dict[int, str]) -> str | None:
    if isinstance(reason, str):
        return reason or None
    if isinstance(reason, int) and not isinstance(reason, bool):
        return numbers.get(reason, str(reason))
    return None


def decode_finish(reason: Any, *, calls: bool) -> Finish:
    """Return why an answer ended. `calls` tells whether it holds calls for the caller to run."""
    raw = _word(reason, _NUMBERS)
    found: FinishReason = "content_filter" if raw in _FILTERS else FINISHES.get(raw or "", "other")
    return Finish("tool_calls" if calls and found == "stop" else found, raw)


def decode_block(reason: Any) -> Finish | None:
    """Return the end of an answer whose prompt was blocked, `None` where it was not."""
    raw = _word(reason, _BLOCKS)
    return None if raw is None or raw in ("BLOCK_REASON_UNSPECIFIED", "0") else Finish("content_filter", raw)


def encode_finish(finish: Finish | None) -> str:
    """Return the wire's word for why an answer ended."""
    if finish is None:
        return UNSPECIFIED
    if finish.raw is not None and _fits(finish.raw, finish.reason):
        return finish.raw
    return _REASONS.get(finish.reason, UNSPECIFIED)


def _fits(raw: str, reason: FinishReason) -> bool:
    return raw in FINISHES and decode_finish(raw, calls=reason == "tool_calls").reason == reason
