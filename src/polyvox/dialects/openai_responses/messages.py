"""The input of a request: our messages as instructions and items. The other way is `input.py`.

The rule: what this wire itself said goes back as it came (`items.py`); what another wire said goes as well as it can,
and what cannot is named in the adjustments. Reasoning goes with the item that followed it, or not at all.
https://platform.openai.com/docs/guides/conversation-state
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, assert_never

from msgspec import structs

from polyvox.dialects._reading import JSONObject
from polyvox.dialects.openai_responses.content import encode_content, is_plain
from polyvox.dialects.openai_responses.encoding import Encoding
from polyvox.dialects.openai_responses.fields import DIALECT, ITEM, MORE, PLACE, groups, own
from polyvox.dialects.openai_responses.hosted import encode_hosted
from polyvox.dialects.openai_responses.items import encode_call, encode_reasoning
from polyvox.errors import UnsupportedError
from polyvox.types.messages import Message
from polyvox.types.parts import (
    FilePart,
    OpaquePart,
    Part,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCall,
    ToolResult,
)

_RESULTS: Final = ("function_call_output", "custom_tool_call_output")


def encode_input(messages: Sequence[Message], encoding: Encoding) -> tuple[str | None, list[JSONObject]]:
    """Return the instructions, `None` where there are none, and the items of the input."""
    instructions = _instructions(messages, encoding)
    items: list[JSONObject] = []
    held: list[Part] = []  # files that the message before could not hold
    for message in messages[1:] if instructions is not None else messages:
        if held and message.role != "tool":
            items += _encode_said("user", held, encoding)
            held = []
        match message.role:
            case "system":
                items += _encode_system(message, items, encoding)
            case "assistant":
                begins = len(items)
                _encode_assistant(message, items, held, encoding)
                _drop_loose_reasoning(items, begins, encoding)
            case "user" | "tool":
                items += _encode_user(message.content, held, encoding)
    if held:
        items += _encode_said("user", held, encoding)
    return instructions, items


def _instructions(messages: Sequence[Message], encoding: Encoding) -> str | None:
    """Return the text of the first message where it is one to go there: a system message of plain text."""
    first = messages[0] if messages else None
    if first is None or first.role != "system" or encoding.quirks.system != "instructions":
        return None
    texts = [part for part in first.content if isinstance(part, TextPart) and is_plain(part)]
    in_place = any(isinstance(own(part.meta).get(ITEM), dict) for part in first.content)
    if not texts or len(texts) < len(first.content) or in_place:
        return None
    return "\n\n".join(part.text for part in texts)


def _encode_system(message: Message, before: list[JSONObject], encoding: Encoding) -> list[JSONObject]:
    role = "developer" if (message.meta.get("openai") or {}).get("role") == "developer" else "system"
    if not encoding.quirks.mid_system and any(item.get("role") not in ("system", "developer") for item in before):
        encoding.note("emulated", "messages", "a system message after the first turn is sent as user text")
        role = "user"
    return _encode_said(role, message.content, encoding)


def _encode_said(role: str, parts: Iterable[Part], encoding: Encoding) -> list[JSONObject]:
    """Say parts as messages: those that came as one item, and what stands between as one."""
    items: list[JSONObject] = []
    loose: list[Part] = []

    def settle() -> None:
        if loose:
            items.append({"role": role, "content": encode_content(loose, encoding)})
            loose.clear()

    for group, item in groups(parts):
        if item is None:
            loose.extend(group)
        else:
            settle()
            items.append({**item, "role": role, "content": encode_content(group, encoding)})
    settle()
    return items


def _encode_user(parts: Sequence[Part], held: list[Part], encoding: Encoding) -> list[JSONObject]:
    items: list[JSONObject] = []
    told: list[Part] = []
    for part in parts:
        if isinstance(part, ToolResult):
            items += _encode_said("user", told, encoding)
            told = []
            items.append(_encode_result(part, held, encoding))
        elif isinstance(part, ToolCall):
            raise UnsupportedError(f"the call of {part.name!r} stands in a message that is not the assistant's")
        elif _is_item(part):
            items += _encode_said("user", told, encoding)
            told = []
            items.append(dict(own(part.meta)))
        else:
            told.append(part)
    if told or not items:
        items += _encode_said("user", told, encoding) or [{"role": "user", "content": ""}]
    return items


def _is_item(part: Part) -> bool:
    """Tell whether an opaque part is an item of its own, not a part of some item's content."""
    if not isinstance(part, OpaquePart) or part.kind.startswith(("input_", "output_")):
        return False
    marks = own(part.meta)
    return bool(marks) and not any(name in marks for name in (ITEM, MORE, PLACE))


def _encode_result(result: ToolResult, held: list[Part], encoding: Encoding) -> JSONObject:
    item = own(result.meta).get(ITEM) or {}
    kind = item.get("type") or _RESULTS[result.id in encoding.customs]
    content = result.content
    if result.is_error:
        encoding.note("emulated", "messages", "a tool's error is sent as text marked `error: `")
        content = _mark_error(content)
    if encoding.quirks.plain_input:
        return _encode_plain_result(result, content, held, encoding)
    return {"type": kind, **item, "call_id": result.id, "output": encode_content(content, encoding)}


def _encode_plain_result(
    result: ToolResult, content: Sequence[Part], held: list[Part], encoding: Encoding
) -> JSONObject:
    """Return a result that is a text. Its files go into a user message right after the results."""
    files = [part for part in content if isinstance(part, FilePart)]
    if files:
        encoding.note("emulated", "messages", "files of a tool's result are sent in a user message after the results")
        held += [TextPart(f"Files of the result of {result.name or result.id}:"), *files]
    text = "\n".join(part.text for part in content if isinstance(part, TextPart))
    told = {"type": _RESULTS[0], "call_id": result.id, "output": text}
    return {**told, "name": result.name} if result.name else told


def _mark_error(content: Sequence[Part]) -> tuple[Part, ...]:
    for place, part in enumerate(content):
        if isinstance(part, TextPart):
            told = structs.replace(part, text=f"error: {part.text}")
            return (*content[:place], told, *content[place + 1 :])
    return (TextPart("error: "), *content)


# Assistant messages


def _encode_assistant(message: Message, items: list[JSONObject], held: list[Part], encoding: Encoding) -> None:
    loose: list[Part] = []

    def settle() -> None:
        if loose:
            items.append(_encode_answered({}, encode_content(loose, encoding, answered=True), encoding))
            loose.clear()

    plain = encoding.quirks.plain_input
    for group, item in groups(_bare(part, encoding) for part in message.content) if plain else groups(message.content):
        if item is not None:
            settle()
            told = _encode_own(group, item, encoding)
            if told is not None:
                items.append(told)
            continue
        (part,) = group
        if isinstance(part, TextPart) or (isinstance(part, OpaquePart) and own(part.meta) and not _is_item(part)):
            loose.append(part)
            continue
        told = _encode_loose(part, loose, held, encoding)
        if told is not None:
            settle()
            items.append(told)
    settle()


def _bare(part: Part, encoding: Encoding) -> Part:
    """Return a part of an answer with nothing of its item, save the signature of a call."""
    marks = own(part.meta)
    kept: JSONObject = {}
    if isinstance(part, ToolCall) and not part.executed:
        kept = {name: value for name, value in (marks.get(ITEM) or {}).items() if name == "thought_signature"}
    elif isinstance(part, TextPart) and part.sources:
        encoding.note("dropped", "messages", "citations are not sent back to this service; their text is")
        part = structs.replace(part, sources=())
    others = {name: value for name, value in part.meta.items() if name != DIALECT}
    return structs.replace(part, meta={**others, DIALECT: {ITEM: kept}} if kept else others)


def _encode_own(group: list[Part], item: JSONObject, encoding: Encoding) -> JSONObject | None:
    """Return an item that came from this wire; `None` for reasoning that nobody can read any more."""
    if any(isinstance(part, ReasoningPart) for part in group):
        told = encode_reasoning(group, item)
        kept = "encrypted_content" in told or told.get("content") or encoding.stores
        if not kept:
            encoding.note("dropped", "messages", "reasoning that was neither stored nor encrypted cannot be sent back")
        return told if kept else None
    for part in group:
        if isinstance(part, ToolCall) and not part.executed:
            if part.kind == "custom":
                encoding.customs.add(part.id)
            return encode_call(part, item)
    if any(isinstance(part, ToolCall | ToolResult | SourcePart | FilePart) for part in group) and "type" in item:
        return encode_hosted(group, item)
    return _encode_answered(item, encode_content(group, encoding, answered=True), encoding)


def _encode_answered(item: JSONObject, content: str | list[JSONObject], encoding: Encoding) -> JSONObject:
    """Return what the assistant said as a message: in full where it is an item of an answer, or must look like one."""
    in_full = encoding.quirks.full_answers
    if encoding.quirks.plain_input:
        if not isinstance(content, str):
            content = "\n\n".join(part.get("text") or part.get("refusal") or "" for part in content)
        return {"type": "message", "role": "assistant", "content": content}
    if isinstance(content, str) and (in_full or "id" in item):
        content = [{"type": "output_text", "text": content, "annotations": []}]
    return {**({"type": "message"} if in_full else {}), **item, "role": "assistant", "content": content}


def _encode_loose(part: Part, loose: list[Part], held: list[Part], encoding: Encoding) -> JSONObject | None:
    """Return the item of a part that came from elsewhere, `None` where it has none."""
    match part:
        case ToolCall(executed=False):
            return _encode_call(part, encoding)
        case ReasoningPart():
            if part.text and encoding.quirks.reasoning_history == "text":
                encoding.note("emulated", "messages", "reasoning of another origin is sent as text")
                loose.append(TextPart(part.text))
            elif part.text:
                encoding.note("dropped", "messages", "reasoning of another origin is not sent")
        case ToolCall() | ToolResult():
            encoding.note("dropped", "messages", "tools that another provider ran itself are not sent; its text is")
        case SourcePart():
            encoding.note("dropped", "messages", "search results beside a text are not sent back")
        case FilePart():
            _hold_file(part, held, encoding)
        case OpaquePart():
            if _is_item(part):
                return dict(own(part.meta))
            encoding.note("dropped", "messages", f"a part of kind {part.kind} of another origin is not sent")
        case TextPart():
            loose.append(part)
        case _:
            assert_never(part)
    return None


def _encode_call(call: ToolCall, encoding: Encoding) -> JSONObject:
    if call.kind == "custom":
        if not encoding.quirks.custom_tools:
            raise UnsupportedError(f"the call of the custom tool {call.name!r} cannot be said to this service")
        encoding.customs.add(call.id)
    return encode_call(call, {})


def _hold_file(part: FilePart, held: list[Part], encoding: Encoding) -> None:
    """A picture goes into the next user message: the wire has no place for it among what the assistant says."""
    if part.media_type.startswith("audio/"):
        encoding.note("dropped", "messages", "a spoken answer of another origin is not sent; its transcript is")
        return
    encoding.note("emulated", "messages", "files of an answer are sent in the user message after it")
    # Marks of an answer's item are none of a user's file.
    plain = structs.replace(part, meta={name: marks for name, marks in part.meta.items() if name != DIALECT})
    held += [TextPart("Files of the answer before:"), plain] if not held else [plain]


def _drop_loose_reasoning(items: list[JSONObject], begins: int, encoding: Encoding) -> None:
    """Leave out reasoning that nothing follows, as in an answer that was cut off: the wire refuses it."""
    while len(items) > begins and items[-1].get("type") == "reasoning":
        del items[-1]
        encoding.note("dropped", "messages", "reasoning that no answer followed is not sent back")
