"""Items of the wire, both directions, in requests and answers alike.

The rule: an item is read into slots, each a part with its place in the item, so that a stream, which brings the places
one by one, and a whole answer are read by the same code. What this wire itself said goes back as it came, with what was
changed of it. An item of a kind that we have no word for is an `OpaquePart`.
https://platform.openai.com/docs/api-reference/responses/object#responses/object-output
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from polyvox.dialects._reading import JSONObject
from polyvox.dialects.openai_responses.content import decode_part, encode_text
from polyvox.dialects.openai_responses.fields import (
    DIALECT,
    ITEM,
    MORE,
    marked,
    name_of,
    own,
    rest,
    said,
    text_of,
    with_marks,
)
from polyvox.dialects.openai_responses.hosted import HOSTED, SOURCES, decode_hosted, decode_sources, hosted_marks
from polyvox.dialects.openai_responses.sources import encode_logprobs
from polyvox.framing import json
from polyvox.types.parts import OpaquePart, Part, ReasoningPart, TextPart, ToolCall

Place = tuple[str, int]

CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input"}
"""Calls for the caller to run, and the member that holds their arguments."""

_KNOWN: Final = {
    "message": ("role", "content"),
    "reasoning": ("type", "summary", "content"),
    "function_call": ("type", "call_id", "name", "arguments"),
    "custom_tool_call": ("type", "call_id", "name", "input"),
}


class Slot(NamedTuple):
    """A part of an item, and its place there: what it is, and the how-manieth."""

    place: Place
    part: Part


# wire → ours


def decode_item(item: JSONObject) -> list[Slot]:
    """Return the parts of an item, each with its own marks; those of the item are `marks_of`. A message may be empty.

    An opaque item is one part, which bears the item itself.
    """
    kind = text_of(item, "type")
    match kind:
        case "message":
            return _decode_message(item)
        case "reasoning":
            return _decode_reasoning(item)
        case "function_call" | "custom_tool_call":
            return [Slot(("call", 0), decode_call(item, kind))]
        case _ if kind in HOSTED:
            return [Slot(place, part) for place, part in decode_hosted(item, kind)]
        case _ if kind in SOURCES or kind.endswith("_results"):
            found = decode_sources(item)
            if found:
                return [Slot(("source", place), part) for place, part in enumerate(found)]
    return [Slot(("opaque", 0), OpaquePart(kind or "unknown", {DIALECT: dict(item)}))]


def _decode_message(item: JSONObject) -> list[Slot]:
    content = item.get("content")
    if isinstance(content, str):
        return [Slot(("content", 0), TextPart(content))]
    parts = content if isinstance(content, list) else []
    return [Slot(("content", at), decode_part(part)) for at, part in enumerate(parts) if isinstance(part, dict)]


def _decode_reasoning(item: JSONObject) -> list[Slot]:
    slots = []
    for member, usual in (("summary", "summary_text"), ("content", "reasoning_text")):
        held = item.get(member)
        texts = [{"type": usual, "text": held}] if isinstance(held, str) and held else held
        for at, text in enumerate(texts if isinstance(texts, list) else ()):
            if isinstance(text, dict):
                slots.append(Slot((member, at), decode_thought(text, member)))
    return slots or [Slot(("summary", 0), ReasoningPart())]


def decode_thought(text: JSONObject, member: str) -> ReasoningPart:
    """Return a text of a reasoning item. Its type tells whether it is of the summary, and that it was there at all."""
    marks = rest(text, ("text",))
    if member == "summary" and text_of(text, "text") and marks.get("type") == "summary_text":
        del marks["type"]
    elif "type" not in marks and member == "content":
        marks["type"] = "reasoning_text"
    return ReasoningPart(text_of(text, "text"), meta=said(marks))


def decode_call(item: JSONObject, kind: str) -> ToolCall:
    """Return a call for the caller to run."""
    arguments = item.get(CALLS[kind])
    text = arguments if isinstance(arguments, str) else "" if arguments is None else json.encode(arguments).decode()
    name = text_of(item, "call_id") or text_of(item, "id")
    return ToolCall(name, text_of(item, "name"), text, "custom" if kind == "custom_tool_call" else "function")


def marks_of(item: JSONObject) -> JSONObject:
    """Return the members of an item that no field of ours holds; of one that its parts do not make up, all."""
    kind = text_of(item, "type")
    if kind in HOSTED:
        return hosted_marks(item)
    return rest(item, _KNOWN.get(kind, ()))


def bind(parts: Sequence[Part], item: JSONObject) -> list[Part]:
    """Return the parts of an item with the marks that hold them together."""
    if not parts or (isinstance(parts[0], OpaquePart) and own(parts[0].meta) == item):
        return list(parts)
    name = name_of(item)
    marks = marks_of(item)
    return [*(with_marks(part, **{MORE: name}) for part in parts[:-1]), with_marks(parts[-1], **{ITEM: marks})]


def decode_output(items: Iterable[Any]) -> tuple[Part, ...]:
    """Return the parts of an answer's items."""
    return tuple(
        part
        for item in items
        if isinstance(item, dict)
        for part in bind([slot.part for slot in decode_item(item)], item)
    )


# ours → wire: what requests and answers say alike


def encode_reasoning(parts: Sequence[Part], item: JSONObject) -> JSONObject:
    """Return a reasoning item."""
    told: JSONObject = {"type": "reasoning", **item, "summary": []}
    for part in parts:
        if not isinstance(part, ReasoningPart):
            continue
        marks = own(part.meta)
        kind = marks.get("type", "summary_text")
        if not part.text and "type" not in marks:
            continue  # nothing but what is encrypted
        member = "content" if kind == "reasoning_text" else "summary"
        told.setdefault(member, []).append(marked({"type": kind, "text": part.text}, part.meta))
    return told


def encode_call(call: ToolCall, item: JSONObject) -> JSONObject:
    """Return the item of a call for the caller to run."""
    kind = "custom_tool_call" if call.kind == "custom" else "function_call"
    return {"type": kind, **item, "call_id": call.id, "name": call.name, CALLS[kind]: call.arguments}


def encode_answer_content(parts: Iterable[Part]) -> list[JSONObject]:
    """Return the content of an answer's message. A part that has no place in one is left out."""
    content: list[JSONObject] = []
    for part in parts:
        if isinstance(part, TextPart):
            told = encode_text(part, answered=True)
            if not part.refusal:
                told.setdefault("logprobs", encode_logprobs(part.logprobs or ()))
            content.append(told)
        elif isinstance(part, OpaquePart) and own(part.meta):
            content.append(marked({}, part.meta))
    return content
