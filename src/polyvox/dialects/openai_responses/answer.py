"""A server's half of an answer: our response as a body, and its parts as items.

The rule: what a client of this wire reads is written as OpenAI writes it; what came from this wire is written as it
came. What the wire has no place for is listed as a loss in docs/dialects/openai-responses.md.
https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from polyvox.dialects._media import encode_base64
from polyvox.dialects._reading import JSONObject
from polyvox.dialects.openai_responses.fields import ITEM, MORE, PLACE, groups, own
from polyvox.dialects.openai_responses.hosted import encode_hosted, encode_source
from polyvox.dialects.openai_responses.items import encode_answer_content, encode_call, encode_reasoning
from polyvox.dialects.openai_responses.response import INCOMPLETE, UNDERWAY
from polyvox.dialects.openai_responses.usage import encode_usage
from polyvox.framing import json
from polyvox.types.generate import Finish, GenerateResponse
from polyvox.types.parts import (
    FilePart,
    OpaquePart,
    Part,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCall,
    ToolResult,
    Url,
)

_REASONS: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
_STATUSES: Final = ("cancelled", "failed")


def encode_response(response: GenerateResponse[Any]) -> bytes:
    """Return a `response` body."""
    items = encode_items(response.content)
    head = head_of(response.id, response.model)
    return json.encode(encode_envelope(head, items, response.finish, own(response.meta), encode_usage(response.usage)))


def head_of(name: str | None, model: str | None) -> JSONObject:
    """Return what an answer says first."""
    return {
        "id": name or f"resp_{secrets.token_hex(24)}",
        "object": "response",
        "created_at": int(time.time()),
        "model": model or "",
    }


def encode_envelope(
    head: JSONObject, items: list[JSONObject], finish: Finish | None, meta: JSONObject, usage: Any
) -> JSONObject:
    """Return an answer with all that stands beside its items."""
    status, details = encode_finish(finish, items)
    told: JSONObject = {
        **head,
        "status": status,
        "error": None,
        "incomplete_details": details,
        "output": items,
        **meta,
        "usage": usage,
    }
    return told


def encode_finish(finish: Finish | None, items: Sequence[JSONObject]) -> tuple[str, JSONObject | None]:
    """Return the status, and what is incomplete, for why an answer ended."""
    if finish is None:
        return UNDERWAY[1], None
    raw = finish.raw
    if finish.reason in ("stop", "tool_calls"):
        return "completed", None
    if finish.reason == "content_filter" and raw not in INCOMPLETE and _refuses(items):
        return "completed", None
    if finish.reason == "other" and raw in _STATUSES:
        return str(raw), None
    if raw is not None and INCOMPLETE.get(raw) == finish.reason:
        return "incomplete", {"reason": raw}
    reason = _REASONS.get(finish.reason) or raw or finish.reason
    return "incomplete", {"reason": reason} if reason != "incomplete" else {}


def _refuses(items: Sequence[JSONObject]) -> bool:
    return any(
        part.get("type") == "refusal"
        for item in items
        if item.get("type") == "message"
        for part in item.get("content") or ()
        if isinstance(part, dict)
    )


# Items


def encode_items(parts: Iterable[Part]) -> list[JSONObject]:
    """Return the items of an answer's parts. What another provider ran itself is joined with what it gave."""
    items: list[JSONObject] = []
    ran: dict[str, JSONObject] = {}
    for group, marks in groups(parts):
        told = encode_item(group, marks, ran)
        if told is not None:
            items.append(told)
    return items


def encode_item(group: Sequence[Part], marks: JSONObject | None, ran: dict[str, JSONObject]) -> JSONObject | None:
    """Return the item of a group of parts, `None` for what has none or belongs to one already told (`ran`)."""
    if marks is None:
        return _encode_loose(group[0], ran)
    first = next((part for part in group if not isinstance(part, OpaquePart)), group[0])
    match first:
        case ReasoningPart():
            return encode_reasoning(group, marks)
        case ToolCall(executed=False):
            return encode_call(first, marks)
        case ToolCall() | ToolResult() | SourcePart() | FilePart():
            return encode_hosted(group, marks)
    return {"type": "message", **marks, "role": "assistant", "content": encode_answer_content(group)}


def name_item(prefix: str) -> str:
    """Return the id of an item that has none."""
    return f"{prefix}_{secrets.token_hex(24)}"


def _encode_loose(part: Part, ran: dict[str, JSONObject]) -> JSONObject | None:
    """Return the item of a part that came from another wire."""
    match part:
        case TextPart():
            return {**begin_message(), "status": "completed", "content": encode_answer_content([part])}
        case ReasoningPart():
            return encode_reasoning([part], {"id": name_item("rs")})
        case ToolCall(executed=False):
            return encode_call(part, {"id": name_item("fc"), "status": "completed"})
        case ToolCall():
            ran[part.id] = begin_ran(part)
            return ran[part.id]
        case ToolResult():
            item = ran.get(part.id)
            told = item if item is not None else begin_ran(ToolCall(part.id, part.name, executed=True))
            finish_ran(told, part)
            return None if item is not None else told
        case FilePart():
            return encode_picture(part)
        case SourcePart():
            return {"type": "search_results", "results": [encode_source(part)]}
        case OpaquePart():
            marks = own(part.meta)
            return dict(marks) if marks and not any(name in marks for name in (ITEM, MORE, PLACE)) else None


def begin_message() -> JSONObject:
    """Return the message of a text from another wire."""
    return {"type": "message", "id": name_item("msg"), "role": "assistant"}


def begin_ran(call: ToolCall) -> JSONObject:
    """Return the item of a call that another provider ran: a tool of some server's."""
    return {
        "type": "mcp_call",
        "id": call.id,
        "name": call.name,
        "server_label": "",
        "arguments": call.arguments,
        "output": None,
        "error": None,
        "status": "completed",
    }


def finish_ran(item: JSONObject, result: ToolResult) -> None:
    """Write what a call gave."""
    item["error" if result.is_error else "output"] = result.text
    if result.is_error:
        item["status"] = "failed"


def encode_picture(part: FilePart) -> JSONObject | None:
    """Return the item of a picture that another wire gave, `None` for what is no picture of bytes."""
    if not part.media_type.startswith("image/") or isinstance(part.data, Url) or not isinstance(part.data, bytes):
        return None
    return {
        "type": "image_generation_call",
        "id": name_item("ig"),
        "status": "completed",
        "output_format": part.media_type.partition("/")[2],
        "result": encode_base64(part.data),
    }
