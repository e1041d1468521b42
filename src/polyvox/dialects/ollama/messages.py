"""The list of messages, both directions.

The rule: our normal form merges neighbours of one role and gathers results in one tool message; where the wire had cut
otherwise, the mark `begins_message` stands on the first part of the further message (true, or that message's own
marks). A result is a message of its own on the wire. Pictures of results and of answers follow in a user message.
https://docs.ollama.com/api/chat
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from msgspec import structs

from polyvox.dialects._reading import JSONObject, read_list, read_object, read_text, refuse, take
from polyvox.dialects.ollama.calls import arguments_object, decode_call, encode_call
from polyvox.dialects.ollama.content import (
    BETWEEN,
    IN_PLACE,
    decode_content,
    decode_images,
    encode_content,
    encode_image,
    is_text_file,
)
from polyvox.dialects.ollama.encoding import Encoding
from polyvox.dialects.ollama.fields import BEGINS, THINKING, as_meta, is_made, kept, make_id, own, with_marks
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

_ROLES: Final = ("system", "user", "assistant", "tool")
# Said of the conversation itself, as a system message is; `control` turns Granite's thinking on.
_LIKE_SYSTEM: Final = ("developer", "control")
_SAID: Final = frozenset({"role", "content", "images"})
_OF_ANSWERS: Final = frozenset({*_SAID, "thinking", "tool_calls"})
_OF_RESULTS: Final = frozenset({*_SAID, "tool_name", "tool_call_id"})


# ours → wire


def encode_messages(messages: Iterable[Message], encoding: Encoding) -> list[JSONObject]:
    """Return the messages of the wire."""
    said: list[JSONObject] = []
    names: dict[str, str] = {}
    held: list[Part] = []  # what the next user message has to say for an answer or a result
    for message in messages:
        for marks, parts in _cut(message):
            if held and message.role in ("system", "assistant"):
                said.append({"role": "user", **encode_content(held, encoding)})
                held = []
            match message.role:
                case "system":
                    said.append(_marked({"role": "system", **encode_content(parts, encoding)}, marks))
                case "assistant":
                    said.append(_marked(_encode_answer(parts, names, held, encoding), marks))
                case "user" | "tool":
                    said += _encode_user(parts, marks, message.role, names, held, encoding)
    if held:
        said.append({"role": "user", **encode_content(held, encoding)})
    return said


def _cut(message: Message) -> Iterator[tuple[JSONObject, Sequence[Part]]]:
    """Cut a message where the wire's own messages began; most are one."""
    marks = own(message.meta)
    parts: list[Part] = []
    for part in message.content:
        begins = own(part.meta).get(BEGINS) if part.meta else None
        if begins and parts:
            yield marks, parts
            parts = []
            marks = begins if isinstance(begins, dict) else own(message.meta)
        parts.append(part)
    yield marks, parts


def _marked(said: JSONObject, marks: JSONObject) -> JSONObject:
    """Return a message with the marks on it: the wire's own words, which win."""
    said |= {name: value for name, value in marks.items() if name not in (BEGINS, IN_PLACE, THINKING)}
    return said


def _encode_user(
    parts: Sequence[Part],
    marks: JSONObject,
    role: str,
    names: dict[str, str],
    held: list[Part],
    encoding: Encoding,
) -> list[JSONObject]:
    """Say results first, each as a message, then the rest, and what is `held`, as one user message."""
    said: list[JSONObject] = []
    told: list[Part] = []
    for part in parts:
        if isinstance(part, ToolResult):
            said.append(_encode_result(part, names, held, encoding))
        else:
            told.append(part)
    if role == "tool" and not told and said:
        return said  # what is held waits: the user may go on
    told = [*held, *told]
    held.clear()
    said.append(_marked({"role": "user", **encode_content(told, encoding)}, marks))
    return said


def _encode_result(result: ToolResult, names: dict[str, str], held: list[Part], encoding: Encoding) -> JSONObject:
    """Return a result's message; `held` gets the pictures, which stand in a user's message only."""
    content = list(result.content)
    moved = [part for part in content if _is_moved(part)]
    if moved:
        encoding.note("emulated", "messages", "pictures of a tool's result are sent in a user message after it")
        content = [part for part in content if part not in moved] or [TextPart("(The result is in the next message.)")]
        held += [TextPart(f"Pictures of the result of {result.name or names.get(result.id) or 'the tool'}:"), *moved]
    said: JSONObject = {"role": "tool", **encode_content(content, encoding)}
    if result.is_error:
        encoding.note("emulated", "messages", "a tool's error is sent as text marked `error: `")
        said["content"] = f"error: {said['content']}"
    name = result.name or names.get(result.id)
    if name:
        said["tool_name"] = name
    if encoding.quirks.tool_call_ids and result.id and not is_made(result.id):
        said["tool_call_id"] = result.id
    return _marked(said, own(result.meta))


def _is_moved(part: Part) -> bool:
    """Tell whether this is a file that cannot stand in a result. A text file is told in words there."""
    return isinstance(part, FilePart) and IN_PLACE not in own(part.meta) and not is_text_file(part)


class _Answer:
    """An assistant's message in the making."""

    __slots__ = ("calls", "encoding", "held", "images", "names", "texts", "thoughts")

    def __init__(self, names: dict[str, str], held: list[Part], encoding: Encoding) -> None:
        self.encoding = encoding
        self.names = names
        self.held = held
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.images: list[str] = []
        self.calls: list[JSONObject] = []

    def take(self, part: Part) -> None:
        """Take in a part."""
        note = self.encoding.note
        match part:
            case TextPart():
                if part.sources:
                    note("dropped", "messages", "citations are not sent back; their text is")
                self.texts.append(part.text)
            case ReasoningPart():
                self._take_reasoning(part)
            case ToolCall() if not part.executed:
                self._take_call(part)
            case ToolCall() | ToolResult():
                note("dropped", "messages", "tools that another provider ran itself are not sent; its text is")
            case FilePart():
                self._take_file(part)
            case SourcePart():
                note("dropped", "messages", "search results beside a text are not sent back")
            case OpaquePart():
                raise UnsupportedError(f"a part of kind {part.kind!r} cannot be said on the Ollama wire")

    def _take_reasoning(self, part: ReasoningPart) -> None:
        if THINKING in own(part.meta):
            self.thoughts.append(part.text)
        elif part.text and self.encoding.quirks.reasoning_history == "text":
            self.encoding.note("emulated", "messages", "reasoning of another origin is sent as text")
            self.texts.append(f"{part.text}{BETWEEN}")
        elif part.text:
            self.encoding.note("dropped", "messages", "reasoning of another origin is not sent")

    def _take_call(self, call: ToolCall) -> None:
        if call.kind == "custom":
            detail = "the free text of a custom tool's call is sent as its `input`"
            self.encoding.note("emulated", "messages", detail)
        elif not arguments_object(call)[1]:
            detail = f"the arguments of the call {call.id} are no JSON object: {{}} is sent"
            self.encoding.note("dropped", "messages", detail)
        self.names[call.id] = call.name
        self.calls.append(encode_call(call, exact=False, ids=self.encoding.quirks.tool_call_ids))

    def _take_file(self, part: FilePart) -> None:
        if IN_PLACE in own(part.meta):
            self.images.append(encode_image(part))
        elif part.media_type.lower().startswith("audio/"):
            self.encoding.note("dropped", "messages", "a spoken answer of another origin is not sent; its text is")
        else:
            self.encoding.note("emulated", "messages", "files of an answer are sent in the user message after it")
            self.held += [TextPart("Files of the answer before:"), part]


def _encode_answer(parts: Sequence[Part], names: dict[str, str], held: list[Part], encoding: Encoding) -> JSONObject:
    answer = _Answer(names, held, encoding)
    for part in parts:
        answer.take(part)
    said: JSONObject = {"role": "assistant", "content": "".join(answer.texts)}
    if answer.thoughts:
        said["thinking"] = BETWEEN.join(answer.thoughts)
    if answer.images:
        said["images"] = answer.images
    if answer.calls:
        said["tool_calls"] = answer.calls
    return said


# wire → ours


class _Calls:
    """The calls read so far, by which results without an id find theirs."""

    __slots__ = ("names", "waiting")

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.waiting: list[str] = []

    def made(self, call: ToolCall) -> None:
        """Take in a call."""
        self.names[call.id] = call.name
        self.waiting.append(call.id)

    def answered(self, given: str, name: str, place: int) -> str:
        """Return the id of the call whose result this is: without one, of the first of its name that waits."""
        if not given:
            fitting = (call for call in self.waiting if not name or self.names[call] == name)
            given = next(fitting, "") or make_id("result", place, name)
        if given in self.waiting:
            self.waiting.remove(given)
        return given


def decode_messages(messages: Sequence[Any], path: str = "messages") -> tuple[Message, ...]:
    """Return the wire's messages in our normal form.

    Raises `BadRequestError` naming the place that is wrong and what would be right there.
    """
    calls = _Calls()
    read = [
        _decode_message(read_object(message, f"{path}[{place}]", "a message"), f"{path}[{place}]", place, calls)
        for place, message in enumerate(messages)
    ]
    return normalise(_joined(read))


def _decode_message(message: JSONObject, path: str, place: int, calls: _Calls) -> Message:
    given = read_text(take(message, "role", path), f"{path}.role", f"one of {', '.join(_ROLES)}")
    match given.lower():
        case "system" | "user" as role:
            parts = decode_content(message, path)
            return Message("system" if role == "system" else "user", parts, meta=kept(message, _SAID))
        case "assistant":
            return _decode_answer(message, path, place, calls)
        case "tool":
            return Message("tool", (_decode_result(message, path, place, calls),))
        case role:
            if role not in _LIKE_SYSTEM:
                refuse(f"{path}.role", f"is {given!r}, but must be one of {', '.join(_ROLES)}")
            meta = with_marks(kept(message, _SAID), role=given)
            return Message("system", decode_content(message, path), meta=meta)


def _decode_answer(message: JSONObject, path: str, place: int, calls: _Calls) -> Message:
    parts: list[Part] = []
    thinking = message.get("thinking")
    if thinking is not None and read_text(thinking, f"{path}.thinking"):
        parts.append(ReasoningPart(thinking, meta=as_meta({THINKING: True})))
    parts += decode_content({**message, "images": None}, path)
    parts += decode_images(message.get("images"), f"{path}.images", in_place=True)
    given = message.get("tool_calls")
    for number, item in enumerate(() if given is None else read_list(given, f"{path}.tool_calls", "a list of calls")):
        call = _decode_call(item, f"{path}.tool_calls[{number}]", f"{place} {number}")
        calls.made(call)
        parts.append(call)
    return Message("assistant", tuple(parts), meta=kept(message, _OF_ANSWERS))


def _decode_call(given: object, path: str, place: str) -> ToolCall:
    """Return a call, once it has what a call must have."""
    call = read_object(given, path, "a call")
    function = read_object(take(call, "function", path), f"{path}.function")
    read_text(take(function, "name", f"{path}.function"), f"{path}.function.name")
    if function.get("arguments") is not None:
        read_object(function["arguments"], f"{path}.function.arguments")
    if call.get("id") is not None:
        read_text(call["id"], f"{path}.id")
    return decode_call(call, None, place)


def _decode_result(message: JSONObject, path: str, place: int, calls: _Calls) -> ToolResult:
    words = {}
    for member in ("tool_name", "tool_call_id"):
        held = message.get(member)
        words[member] = "" if held is None else read_text(held, f"{path}.{member}")
    call = calls.answered(words["tool_call_id"], words["tool_name"], place)
    name = words["tool_name"] or calls.names.get(call, "")
    return ToolResult(call, name, decode_content(message, path, in_place=True), meta=kept(message, _OF_RESULTS))


def _joined(messages: Iterable[Message]) -> list[Message]:
    """Merge what the normal form merges, but keep the wire's cut in the first part of what comes after it."""
    joined: list[Message] = []
    for message in messages:
        last = joined[-1] if joined else None
        if last is None or not message.content or not _mergeable(last, message):
            joined.append(message)
            continue
        begins: object = True if message.meta == last.meta else own(message.meta) or True
        first, *others = message.content
        cut = structs.replace(first, meta=with_marks(first.meta, **{BEGINS: begins}))
        joined[-1] = structs.replace(last, content=(*last.content, cut, *others))
    return joined


def _mergeable(last: Message, message: Message) -> bool:
    """Tell whether the normal form will merge the two."""
    if last.role != message.role or message.role not in ("user", "assistant"):
        return False
    return not (message.meta and last.meta) or message.meta == last.meta
