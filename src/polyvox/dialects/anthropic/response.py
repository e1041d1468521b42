"""A whole answer: the body read, and what it shares with a streamed one.

The rule: blocks by type, in order; of the envelope everything said is kept in the answer's meta. An answer with status
200 may be an error: that raises. https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

from typing import Any, Final

from polyvox.dialects._reading import JSONObject
from polyvox.dialects.anthropic import wire
from polyvox.dialects.anthropic.blocks import decode_block
from polyvox.dialects.anthropic.errors import error_of
from polyvox.dialects.anthropic.fields import DIALECT
from polyvox.dialects.anthropic.usage import decode_usage
from polyvox.errors import DecodeError
from polyvox.framing import json
from polyvox.types.generate import Finish, FinishReason, GenerateResponse
from polyvox.types.parts import Meta, Part, TextPart
from polyvox.types.usage import Usage

FINISHES: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "compaction": "pause",
    "refusal": "content_filter",
}

_FIELDS: Final = frozenset({"id", "type", "role", "content", "model", "stop_reason", "usage"})


def decode_response(body: bytes) -> GenerateResponse[Any]:
    """Return the answer. Raises the `ProviderError` that a body with status 200 holds, `DecodeError` for no answer."""
    held = json.decode(body)
    if isinstance(held, dict) and "content" not in held and ("error" in held or held.get("type") == "error"):
        raise error_of(held, status=None)
    content = held.get("content") if isinstance(held, dict) else None
    if not isinstance(content, list | str):
        raise DecodeError(f"this is no answer of the Anthropic wire: it has no content: {json.excerpt(body)}")
    usage, reason = held.get("usage"), held.get("stop_reason")
    return GenerateResponse(
        id=_said(held.get("id")),
        model=_said(held.get("model")),
        content=(TextPart(content),) if isinstance(content, str) else _decode_blocks(content, body),
        finish=decode_finish(reason),
        usage=decode_usage(usage) if isinstance(usage, dict) else Usage(),
        meta=as_meta(envelope(held)),
        raw=body,
    )


def _said(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _decode_blocks(blocks: list[Any], body: bytes) -> tuple[Part, ...]:
    calls: dict[str, str] = {}
    texts: list[str | None] = [None] * len(blocks)
    if any(isinstance(block, dict) and "input" in block for block in blocks):
        # Arguments are kept as they were written.
        inputs = json.decode(body, wire.Inputs).content
        if len(inputs) == len(blocks):
            texts = [bytes(one.input).decode("utf-8", "replace") for one in inputs]
    return tuple(
        decode_block(block, calls, text if block.get("input") is not None else None)
        for block, text in zip(blocks, texts, strict=True)
        if isinstance(block, dict)
    )


def decode_finish(reason: Any) -> Finish:
    """Return why the answer ended. A word that we do not know is kept."""
    raw = reason if isinstance(reason, str) else None
    return Finish(FINISHES.get(raw or "", "other"), raw)


def envelope(held: JSONObject) -> JSONObject:
    """Return what an answer says beside its fields: `stop_sequence`, `stop_details`, `container` and the like."""
    return {name: value for name, value in held.items() if name not in _FIELDS and value is not None}


def as_meta(said: JSONObject) -> Meta:
    """Return a `meta` of this wire."""
    return {DIALECT: said} if said else {}
