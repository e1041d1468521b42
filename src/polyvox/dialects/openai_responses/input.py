"""The input of a request, read: instructions and items as our messages, in our normal form.

The rule: what is wrong is named by its place, with what would be right; what is not known is kept as it is, as an
opaque part. Neighbours of one role are one message for us: the marks say where an item ended, wherever that matters.
https://platform.openai.com/docs/api-reference/responses/create#responses-create-input
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from polyvox.dialects._reading import JSONObject, read_list, read_object, read_text, read_word, take
from polyvox.dialects.openai_responses.content import decode_part
from polyvox.dialects.openai_responses.fields import DIALECT, ITEM, MORE, name_of, rest, said, text_of, with_marks
from polyvox.dialects.openai_responses.items import bind, decode_item
from polyvox.types.messages import Message, Role
from polyvox.types.normalise import normalise
from polyvox.types.parts import OpaquePart, Part, TextPart, ToolCall, ToolResult

_ROLES: Final = ("assistant", "system", "developer", "user")
_OUTPUTS: Final = ("function_call_output", "custom_tool_call_output")
# What each kind of item and of content must have.
_REQUIRED: Final[dict[str, tuple[tuple[str, Any], ...]]] = {
    "function_call": (("call_id", read_text), ("name", read_text), ("arguments", read_text)),
    "custom_tool_call": (("call_id", read_text), ("name", read_text), ("input", read_text)),
    "function_call_output": (("call_id", read_text),),
    "custom_tool_call_output": (("call_id", read_text),),
    "input_text": (("text", read_text),),
    "output_text": (("text", read_text),),
    "refusal": (("refusal", read_text),),
}
# Items that a caller says, not the model; of the others, what ends in `_output` is the result of a caller's tool.
_CALLERS: Final = ("mcp_approval_response", "additional_tools", "compaction_trigger", "configuration_update")
_SERVERS: Final = ("tool_search_output", "program_output")


def decode_input(instructions: Any, value: Any) -> tuple[Message, ...]:
    """Return the conversation of a request. Raises `BadRequestError` naming the place that is wrong."""
    messages: list[Message] = []
    if instructions is not None:
        text = read_text(instructions, "instructions")
        if text:
            messages.append(Message("system", (TextPart(text),)))
    if isinstance(value, str):
        return (*messages, Message("user", (TextPart(value),)))
    if value is None:
        return tuple(messages)
    calls: dict[str, str] = {}
    read: list[Message] = []
    before: str | None = "system" if messages else None
    for place, given in enumerate(read_list(value, "input", "a string or a list of items")):
        where = f"input[{place}]"
        item = read_object(given, where, "an item")
        kind = item.get("type") or ("message" if "role" in item else "unknown")
        read.append(_decode_item(item, read_text(kind, f"{where}.type"), where, before, calls))
        before = read[-1].role if kind == "message" else ""
    return normalise([*messages, *read])


def _decode_item(item: JSONObject, kind: str, path: str, before: str | None, calls: dict[str, str]) -> Message:
    for name, read in _REQUIRED.get(kind, ()):
        read(take(item, name, path), f"{path}.{name}")
    if kind == "message":
        return _decode_message(item, path, before)
    if kind in _OUTPUTS:
        return Message("tool", (_decode_result(item, path, kind, calls),))
    if kind == "unknown" or kind in _CALLERS:
        return Message("assistant" if "id" in item else "user", (OpaquePart(kind, {DIALECT: dict(item)}),))
    parts = bind([slot.part for slot in decode_item(item)], item)
    calls.update((part.id, part.name) for part in parts if isinstance(part, ToolCall))
    if kind.endswith("_output") and kind not in _SERVERS:
        return Message("tool", tuple(parts))
    return Message("assistant", tuple(parts))


def _decode_message(item: JSONObject, path: str, before: str | None) -> Message:
    said_role = read_word(take(item, "role", path), f"{path}.role", _ROLES)
    role: Role = "system" if said_role in ("system", "developer") else "user" if said_role == "user" else "assistant"
    parts = decode_content(take(item, "content", path), f"{path}.content")
    marks = rest(item, ("role", "content"))
    # Where nothing else tells that an item begins here, the marks do: neighbours of one role are merged, and a first
    # system message would go to the instructions.
    begins = before is None if role == "system" else before == role
    if parts and (marks or begins):
        name = name_of(marks)
        parts = [*(with_marks(part, **{MORE: name}) for part in parts[:-1]), with_marks(parts[-1], **{ITEM: marks})]
    meta = {"openai": {"role": "developer"}} if said_role == "developer" else {}
    return Message(role, tuple(parts), meta=meta)


def decode_content(value: Any, path: str) -> list[Part]:
    """Return the parts of a content member."""
    if isinstance(value, str):
        return [TextPart(value)]
    parts: list[Part] = []
    for place, given in enumerate(read_list(value, path, "a string or a list of parts")):
        where = f"{path}[{place}]"
        part = read_object(given, where, 'a part, as in {"type": "input_text", "text": "…"}')
        kind = read_text(take(part, "type", where), f"{where}.type")
        for name, read in _REQUIRED.get(kind, ()):
            read(take(part, name, where), f"{where}.{name}")
        parts.append(decode_part(part))
    return parts


def _decode_result(item: JSONObject, path: str, kind: str, calls: dict[str, str]) -> ToolResult:
    call_id = text_of(item, "call_id")
    output = take(item, "output", path)
    content: Sequence[Part] = ()
    if output is not None and output != "":
        content = decode_content(output, f"{path}.output")
    marks = rest(item, ("type", "call_id", "output"))
    if kind == "custom_tool_call_output":
        marks["type"] = kind
    return ToolResult(call_id, calls.get(call_id, ""), tuple(content), meta=said({ITEM: marks} if marks else {}))
