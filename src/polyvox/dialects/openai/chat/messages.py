"""The list of messages, both directions.

The rule: our normal form merges neighbours of one role and gathers results in one tool message; the wire's own cut is
kept in the first part of each further wire message, `meta["openai"]["begins_message"]` (true, or that message's own
meta). A result is a message of its own on the wire; what it may not hold there follows in a user message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from msgspec import structs

from polyvox.dialects._reading import (
    JSONObject,
    read_list,
    read_object,
    read_text,
    read_word,
    take,
)
from polyvox.dialects.openai.chat.assistant import KNOWN as ASSISTANT_KNOWN
from polyvox.dialects.openai.chat.assistant import decode_assistant, encode_assistant
from polyvox.dialects.openai.chat.content import decode_content, encode_content, in_place
from polyvox.dialects.openai.chat.encoding import Encoding
from polyvox.dialects.openai.chat.fields import CUT, DIALECT, made, mark, own, rest
from polyvox.errors import UnsupportedError
from polyvox.types.messages import Message
from polyvox.types.normalise import normalise
from polyvox.types.parts import FilePart, Meta, Part, TextPart, ToolCall, ToolResult

MESSAGE_MARKS: Final = ("name", "prefix", "cache_control")
"""Members of a message that a caller may set through `meta["openai"]`: `prefix` asks Mistral and DeepSeek to go on from
an assistant message, `cache_control` is OpenRouter's and DashScope's."""

_ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")


# ours → wire


def encode_messages(messages: Iterable[Message], encoding: Encoding) -> list[JSONObject]:
    """Return the messages of the wire."""
    said: list[JSONObject] = []
    held: list[Part] = []
    for message in messages:
        for meta, parts in _cut(message):
            if held and message.role in ("system", "assistant"):
                said.append({"role": "user", "content": encode_content(held, encoding)})
                held = []
            match message.role:
                case "system":
                    said.append(_encode_system(parts, meta, encoding, first=_leads(said)))
                case "assistant":
                    told = encode_assistant(parts, message.origin, encoding, held)
                    mark(told, meta, MESSAGE_MARKS)
                    said.append(told)
                case "user" | "tool":
                    said += _encode_user([*parts, *held] if message.role == "tool" else [*held, *parts], meta, encoding)
                    held = []
    if held:
        said.append({"role": "user", "content": encode_content(held, encoding)})
    return said


def _leads(said: list[JSONObject]) -> bool:
    return all(message["role"] in ("system", "developer") for message in said)


def _cut(message: Message) -> Iterator[tuple[JSONObject, Sequence[Part]]]:
    """Cut a message where the wire's own messages began; most are one."""
    meta = own(message.meta)
    parts: list[Part] = []
    for part in message.content:
        begins = own(part.meta).get(CUT)
        if begins is not None and parts:
            yield meta, parts
            parts = []
            meta = begins if isinstance(begins, dict) else own(message.meta)
        parts.append(part)
    yield meta, parts


def _encode_system(parts: Sequence[Part], meta: JSONObject, encoding: Encoding, *, first: bool) -> JSONObject:
    role: str = encoding.quirks.system_role or ("developer" if meta.get("role") == "developer" else "system")
    if not (first or encoding.quirks.mid_system):
        encoding.note("emulated", "messages", "a system message after the first turn is sent as user text")
        role = "user"
    told: JSONObject = {"role": role, "content": encode_content(parts, encoding)}
    mark(told, meta, MESSAGE_MARKS)
    return told


def _encode_user(parts: Sequence[Part], meta: JSONObject, encoding: Encoding) -> list[JSONObject]:
    """Say results first, each as a message, then the rest as one user message."""
    said: list[JSONObject] = []
    told: list[Part] = []
    for part in parts:
        if isinstance(part, ToolResult):
            said.append(_encode_result(part, encoding, told))
        elif isinstance(part, ToolCall):
            raise UnsupportedError(f"the call of {part.name!r} stands in a message that is not the assistant's")
        else:
            told.append(part)
    if told or not said:
        message: JSONObject = {"role": "user", "content": encode_content(told, encoding)}
        mark(message, meta, MESSAGE_MARKS)
        said.append(message)
    return said


def _encode_result(result: ToolResult, encoding: Encoding, told: list[Part]) -> JSONObject:
    """Return a result's message; `told` gets what it may not hold."""
    marks = own(result.meta)
    content = list(result.content)
    if result.is_error:
        encoding.note("emulated", "messages", "a tool's error is sent as text marked `error: `")
        content = _mark_error(content)
    if not encoding.quirks.tool_result_parts:
        files = [part for part in content if _is_moved(part)]
        if files:
            encoding.note(
                "emulated", "messages", "files of a tool's result are sent in a user message after the results"
            )
            content = [part for part in content if not _is_moved(part)]
            content = content or [TextPart("(The result is in the next user message.)")]
            told += [TextPart(f"Files of the result of the tool call {encoding.call_id(result.id)}:"), *files]
    if marks.get("role") == "function":
        return {"role": "function", "name": result.name, "content": encode_content(content, encoding)}
    message: JSONObject = {
        "role": "tool",
        "tool_call_id": encoding.call_id(result.id),
        "content": encode_content(content, encoding),
    }
    mark(message, marks, MESSAGE_MARKS)
    return message


def _is_moved(part: Part) -> bool:
    return isinstance(part, FilePart) and "place" not in own(part.meta)


def _mark_error(content: list[Part]) -> list[Part]:
    for place, part in enumerate(content):
        if isinstance(part, TextPart):
            content[place] = structs.replace(part, text=f"error: {part.text}")
            return content
    return [TextPart("error: "), *content]


# wire → ours


def decode_messages(messages: Sequence[Any], path: str = "messages") -> tuple[Message, ...]:
    """Return OpenAI-shaped messages in our normal form.

    Raises `BadRequestError` naming the place that is wrong and what would be right there.
    """
    calls: dict[str, str] = {}
    read = [
        _decode_message(read_object(message, f"{path}[{place}]", "a message"), f"{path}[{place}]", place, calls)
        for place, message in enumerate(read_list(list(messages), path))
    ]
    return normalise(_joined(read))


def _decode_message(message: JSONObject, path: str, place: int, calls: dict[str, str]) -> Message:
    role = read_word(take(message, "role", path), f"{path}.role", _ROLES)
    match role:
        case "assistant":
            parts = decode_assistant(message, path, f"function_call_{place}")
            calls |= {part.id: part.name for part in parts if isinstance(part, ToolCall)}
            marks = rest(message, ASSISTANT_KNOWN, MESSAGE_MARKS)
            return Message("assistant", parts, meta=made(**marks))
        case "tool":
            return Message("tool", (_decode_result(message, path, calls),))
        case "function":
            return Message("tool", (_decode_function_result(message, path, calls),))
        case _:
            marks = rest(message, ("role", "content"), MESSAGE_MARKS)
            parts = decode_content(take(message, "content", path), f"{path}.content")
            ours = "user" if role == "user" else "system"
            meta = made(role="developer" if role == "developer" else None, **marks)
            return Message("user" if ours == "user" else "system", parts, meta=meta)


def _decode_result(message: JSONObject, path: str, calls: dict[str, str]) -> ToolResult:
    call = read_text(take(message, "tool_call_id", path), f"{path}.tool_call_id")
    parts = in_place(decode_content(take(message, "content", path), f"{path}.content"))
    name = message.get("name")
    if name is not None:
        read_text(name, f"{path}.name")
    marks = rest(message, ("role", "content", "tool_call_id"), MESSAGE_MARKS)
    return ToolResult(call, name or calls.get(call, ""), _without_nothing(parts), meta=made(**marks))


def _decode_function_result(message: JSONObject, path: str, calls: dict[str, str]) -> ToolResult:
    """Read the result of an old `function_call`: it answers the last call of its name."""
    name = read_text(take(message, "name", path), f"{path}.name")
    content = take(message, "content", path)
    parts = () if content is None else decode_content(content, f"{path}.content")
    made_by = [call for call, called in calls.items() if called == name and call.startswith("function_call_")]
    return ToolResult(
        made_by[-1] if made_by else f"function_call_{name}", name, _without_nothing(parts), meta=made(role="function")
    )


def _without_nothing(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    return () if parts == (TextPart(""),) else parts


def _joined(messages: Iterable[Message]) -> list[Message]:
    """Merge what the normal form merges, but keep the wire's cut in the first part of what comes after it."""
    joined: list[Message] = []
    for message in messages:
        last = joined[-1] if joined else None
        if last is None or not message.content or not _mergeable(last, message):
            joined.append(message)
        else:
            begins = True if message.meta == last.meta else own(message.meta)
            first, *others = message.content
            marked = structs.replace(first, meta=_marked(first.meta, begins))
            joined[-1] = structs.replace(last, content=(*last.content, marked, *others))
    return joined


def _mergeable(last: Message, message: Message) -> bool:
    """Tell whether the normal form will merge the two."""
    if last.role != message.role or message.role not in ("user", "assistant"):
        return False
    return not (message.meta and last.meta) or message.meta == last.meta


def _marked(meta: Meta, begins: bool | JSONObject) -> Meta:
    return {**meta, DIALECT: {**own(meta), CUT: begins}}
