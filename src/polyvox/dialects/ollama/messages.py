"""The list of messages, both directions.

The rule: a message of the wire is one text, with pictures and, of the assistant's, thinking and calls beside it; each
result is a message of its own. Our normal form merges neighbours: where the wire had cut them, the mark
`begins_message` stands on the first part of the further message. https://docs.ollama.com/api/chat
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal, assert_never

from msgspec import structs

from polyvox.dialects._encoding import arguments_object, move_files
from polyvox.dialects._reading import JSONObject, read_list, read_object, read_text, read_word, refuse, take
from polyvox.dialects.ollama.calls import decode_call, encode_call
from polyvox.dialects.ollama.encoding import Encoding
from polyvox.dialects.ollama.fields import BEGINS, DIALECT, IMAGES, THINKING, as_meta, is_made, make_id, own, with_marks
from polyvox.dialects.ollama.files import encode_document, encode_image, encode_source_part, is_image
from polyvox.dialects.ollama.reader import decode_image
from polyvox.errors import UnsupportedError
from polyvox.types.messages import Message
from polyvox.types.normalise import normalise
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

# `control` is a word of Granite's template, said beside the system message. https://ollama.com/library/granite3.3
_ROLES: Final = ("system", "user", "assistant", "tool")
_LIKE_SYSTEM: Final = ("developer", "control")
"""Said of the conversation itself, as a system message is; `control` turns the thinking of Granite on."""
_BREAK: Final = "\n\n"
"""Between texts that a caller gave apart: the server joins neighbouring messages so too."""


# ours → wire


def encode_messages(messages: Iterable[Message], encoding: Encoding) -> list[JSONObject]:
    """Return the messages of the wire."""
    said: list[JSONObject] = []
    names: dict[str, str] = {}
    for message in move_files(messages, lambda _, message: _is_answer(message), encoding):
        files: list[FilePart] = []
        for parts in _cut(message):
            if message.role == "assistant":
                names.update({part.id: part.name for part in parts if isinstance(part, ToolCall)})
                said += _encode_answered(parts, encoding)
                continue
            results = [part for part in parts if isinstance(part, ToolResult)]
            others = [part for part in parts if not isinstance(part, ToolResult)]
            said += [_encode_result(result, names, files, encoding) for result in results]
            if others or not results:
                said.append(_encode_told(_wire_role(message), others, encoding))
        if files:
            encoding.note("emulated", "messages", "files of a result are sent in a user message after it")
            said.append(_encode_told("user", [TextPart("Files of the results before:"), *files], encoding))
    return said


def _is_answer(message: Message) -> bool:
    return message.role == "assistant" and message.origin is not None


def _wire_role(message: Message) -> str:
    """Return the role of a message that is not the assistant's."""
    if message.role == "system":
        return str(own(message.meta).get("role") or "system")
    return "user"


def _cut(message: Message) -> Iterator[Sequence[Part]]:
    """Cut a message where the wire's own messages began; most are one."""
    parts: list[Part] = []
    for part in message.content:
        if parts and part.meta and own(part.meta).get(BEGINS):
            yield parts
            parts = []
        parts.append(part)
    yield parts


def _encode_told(role: str, parts: Sequence[Part], encoding: Encoding) -> JSONObject:
    """Say a system or user message."""
    texts: list[str] = []
    images: list[str] = []
    amid: set[int] = set()  # how many texts there were before each picture
    for part in parts:
        match part:
            case FilePart() if is_image(part):
                images.append(encode_image(part))
                amid.add(len(texts))
            case TextPart() | FilePart() | SourcePart():
                texts.append(_encode_text(part, encoding))
            case ReasoningPart():
                if part.text:
                    encoding.note("dropped", "messages", "reasoning outside an assistant message is not sent")
            case ToolCall():
                raise UnsupportedError(f"the call of {part.name!r} stands in a message that is not the assistant's")
            case OpaquePart():
                _refuse_opaque(part)
            case ToolResult():
                pass  # said before, as a message of its own
            case _:
                assert_never(part)
    if amid - {0, len(texts)}:
        encoding.note("emulated", "messages", "pictures amid texts are sent beside them: the wire has no place amid")
    said: JSONObject = {"role": role, "content": _BREAK.join(filter(None, texts))}
    if images:
        said["images"] = images
    return said


def _encode_text(part: TextPart | FilePart | SourcePart, encoding: Encoding) -> str:
    match part:
        case TextPart():
            if part.sources:
                encoding.note("dropped", "messages", "citations are not sent; their text is")
            return part.text
        case FilePart():
            return encode_document(part, encoding)
        case SourcePart():
            return encode_source_part(part, encoding)


def _refuse_opaque(part: OpaquePart) -> None:
    raise UnsupportedError(f"a part of kind {part.kind!r} cannot be said on the Ollama wire")


def _encode_result(result: ToolResult, names: dict[str, str], files: list[FilePart], encoding: Encoding) -> JSONObject:
    """Say a result; the pictures in it are put aside into `files`, save those that the wire had in one."""
    images = [part for part in result.content if isinstance(part, FilePart) and is_image(part) and not _stays(part)]
    files += images
    others = [part for part in result.content if part not in images]
    if images and not others:
        others = [TextPart("(The result is in the next user message.)")]
    said = _encode_told("tool", others, encoding)
    if result.is_error:
        encoding.note("emulated", "messages", "an error of a tool is sent as text: the wire has no mark for it")
        said["content"] = f"error: {said['content']}"
    name = result.name or names.get(result.id, "")
    if name:
        said["tool_name"] = name
    if encoding.quirks.tool_call_ids and result.id and not is_made(result.id):
        said["tool_call_id"] = result.id
    return said


def _stays(part: FilePart) -> bool:
    return bool(own(part.meta).get(IMAGES))


def _encode_answered(parts: Sequence[Part], encoding: Encoding) -> list[JSONObject]:
    """Say an assistant message: none where nothing of it is left."""
    texts: list[str] = []
    thinking: list[str] = []
    images: list[str] = []
    calls: list[JSONObject] = []
    for part in parts:
        match part:
            case TextPart():
                texts.append(_encode_text(part, encoding))
            case ReasoningPart():
                _encode_reasoning(part, thinking, texts, encoding)
            case ToolCall(executed=False):
                calls.append(_encode_call(part, encoding))
            case ToolCall() | ToolResult():
                encoding.note("dropped", "messages", "tools that another provider ran itself are not sent; its text is")
            case FilePart() if is_image(part):
                images.append(encode_image(part))
            case FilePart() if part.media_type.startswith("audio/"):
                encoding.note("dropped", "messages", "a spoken answer of another origin is not sent; its transcript is")
            case FilePart():
                texts.append(encode_document(part, encoding))
            case SourcePart():
                encoding.note("dropped", "messages", "search results beside a text are not sent back")
            case OpaquePart():
                _refuse_opaque(part)
            case _:
                assert_never(part)
    said: JSONObject = {"role": "assistant", "content": "".join(texts)}
    said |= {"thinking": _BREAK.join(thinking)} if thinking else {}
    said |= {"images": images} if images else {}
    said |= {"tool_calls": calls} if calls else {}
    if parts and said == {"role": "assistant", "content": ""}:
        encoding.note("dropped", "messages", "a message without content is not sent")
        return []
    return [said]


def _encode_reasoning(part: ReasoningPart, thinking: list[str], texts: list[str], encoding: Encoding) -> None:
    if own(part.meta).get(THINKING):
        thinking.append(part.text)
    elif part.text and encoding.quirks.reasoning_history == "text":
        encoding.note("emulated", "messages", "reasoning of another origin is sent as text")
        texts.append(part.text)
    elif part.text:
        encoding.note("dropped", "messages", "reasoning of another origin is not sent")


def _encode_call(call: ToolCall, encoding: Encoding) -> JSONObject:
    if call.kind == "custom":
        encoding.note("emulated", "messages", "the free text of a custom tool's call is sent as its `input`")
    elif not arguments_object(call)[1]:
        encoding.note("dropped", "messages", f"the arguments of the call {call.id} are no JSON object: {{}} is sent")
    return encode_call(call, exact=False, ids=encoding.quirks.tool_call_ids)


# wire → ours


class _Waiting:
    """Calls that have no result yet, for results that do not say whose they are."""

    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []

    def take(self, call_id: str, name: str) -> ToolCall | None:
        """Return the call that a result is of: by its id, else by its name, else the next in turn."""
        found = next((call for call in self.calls if call.id == call_id), None)
        if found is None and not call_id:
            found = next((call for call in self.calls if call.name == name), None)
            if found is None and not name and self.calls:
                found = self.calls[0]
        if found is not None:
            self.calls.remove(found)
        return found


def decode_messages(messages: Sequence[Any], path: str = "messages") -> tuple[Message, ...]:
    """Return the wire's messages in our normal form.

    Raises `BadRequestError` naming the place that is wrong and what would be right there.
    """
    read: list[Message] = []
    waiting = _Waiting()
    before = ""
    for place, given in enumerate(messages):
        where = f"{path}[{place}]"
        message = read_object(given, where, "a message")
        told = read_text(take(message, "role", where), f"{where}.role").lower()
        role = "system" if told in _LIKE_SYSTEM else _role(read_word(told, f"{where}.role", _ROLES))
        if role == "tool":
            parts: tuple[Part, ...] = (_decode_result(message, where, waiting),)
        else:
            parts = _decode_parts(message, role, where)
        if role == "assistant":
            waiting.calls += [part for part in parts if isinstance(part, ToolCall)]
        if role == before and role in ("user", "assistant") and parts:
            first = parts[0]
            parts = (structs.replace(first, meta=with_marks(first.meta, **{BEGINS: True})), *parts[1:])
        before = role
        read.append(Message(role, parts, meta=as_meta({"role": told} if told in _LIKE_SYSTEM else {})))
    return normalise(read)


def _role(word: str) -> Literal["system", "user", "assistant", "tool"]:
    match word:
        case "user" | "assistant" | "tool":
            return word
        case _:
            return "system"


def _decode_parts(message: JSONObject, role: str, where: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    thinking = message.get("thinking")
    if thinking is not None and read_text(thinking, f"{where}.thinking") and role == "assistant":
        parts.append(ReasoningPart(thinking, meta={DIALECT: {THINKING: True}}))
    parts += _decode_content(message, where)
    calls = message.get("tool_calls")
    if calls is not None and role == "assistant":
        for place, held in enumerate(read_list(calls, f"{where}.tool_calls", "a list of calls")):
            parts.append(_decode_call(held, f"{where}.tool_calls[{place}]"))
    return tuple(parts)


def _decode_content(message: JSONObject, where: str) -> list[Part]:
    content, images = message.get("content"), message.get("images")
    parts: list[Part] = []
    if content is not None and read_text(content, f"{where}.content"):
        parts.append(TextPart(content))
    for place, image in enumerate(read_list(images, f"{where}.images") if images is not None else ()):
        part = decode_image(read_text(image, f"{where}.images[{place}]", "base64"))
        if part is None:
            refuse(f"{where}.images[{place}]", "is no valid base64")
        parts.append(part)
    return parts


def _decode_call(value: object, path: str) -> ToolCall:
    held = read_object(value, path, "a call")
    function = read_object(take(held, "function", path), f"{path}.function", "a function")
    read_text(take(function, "name", f"{path}.function"), f"{path}.function.name")
    if function.get("arguments") is not None:
        read_object(function["arguments"], f"{path}.function.arguments")
    if held.get("id") is not None:
        read_text(held["id"], f"{path}.id")
    return decode_call(held, None, path)


def _decode_result(message: JSONObject, where: str, waiting: _Waiting) -> ToolResult:
    call_id, name = message.get("tool_call_id"), message.get("tool_name")
    call_id = read_text(call_id, f"{where}.tool_call_id") if call_id is not None else ""
    name = read_text(name, f"{where}.tool_name") if name is not None else ""
    call = waiting.take(call_id, name)
    if call is not None:
        call_id, name = call.id, name or call.name
    content = tuple(
        structs.replace(part, meta=with_marks(part.meta, **{IMAGES: True})) if isinstance(part, FilePart) else part
        for part in _decode_content(message, where)
    )
    return ToolResult(call_id or make_id(where, name), name, content)
