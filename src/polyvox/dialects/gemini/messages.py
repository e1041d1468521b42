"""The contents and the system instruction, both directions.

The rule: the wire knows two roles, so results go in a user's content, before anything else in it, and neighbours of one
role are one content. Our normal form has a message of its own for results and merges neighbours too; where the wire had
cut otherwise, the mark `begins_content` stands on the first part of the further message.
https://ai.google.dev/api/caching#Content
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal, assert_never

from msgspec import structs

from polyvox.dialects._encoding import arguments_object
from polyvox.dialects._reading import JSONObject, read_list, read_object, read_text, read_word, refuse, take
from polyvox.dialects.gemini.blocks import (
    Calls,
    decode_outcome,
    decode_part,
    encode_call,
    encode_executed_call,
    encode_executed_result,
    encode_opaque,
    encode_outcome,
    encode_text,
    encode_thought,
    is_thought,
    with_more,
)
from polyvox.dialects.gemini.encoding import Encoding
from polyvox.dialects.gemini.fields import BEGINS, DIALECT, SIGNATURE, is_made, own, with_marks
from polyvox.dialects.gemini.files import encode_file
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

# The members that say what a part is and that are objects, with what each of them must have.
_REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "inlineData": ("data",),
    "fileData": ("fileUri",),
    "functionCall": ("name",),
    "functionResponse": ("name",),
    "executableCode": ("code",),
    "codeExecutionResult": (),
}
_ROLES: Final = ("user", "model", "function")


# ours → wire


def encode_messages(messages: Iterable[Message], encoding: Encoding) -> tuple[list[JSONObject], list[JSONObject]]:
    """Return the parts of the system instruction (none where there is none) and the contents."""
    system: list[JSONObject] = []
    said: list[JSONObject] = []
    names: dict[str, str] = {}
    for message in messages:
        role: Literal["user", "model"] = "model" if message.role == "assistant" else "user"
        if message.role == "system":
            if not said:
                system += [block for part in message.content for block in _encode_told(part, encoding)]
                continue
            encoding.note("emulated", "messages", "a system message after the first turn is sent as user text")
        for begins, parts in _cut(message):
            blocks = list(_encode_parts(parts, message, names, encoding))
            if not blocks:
                encoding.note("dropped", "messages", "a message without content is not sent")
            elif not begins and said and said[-1]["role"] == role:
                said[-1]["parts"] += blocks
            else:
                said.append({"role": role, "parts": blocks})
    for content in said:
        # A stable sort: the wire wants results before anything else that the user says.
        content["parts"].sort(key=lambda block: "functionResponse" not in block)
    if said and said[-1]["role"] == "model" and not encoding.quirks.prefill:
        raise UnsupportedError("this model does not go on from the beginning of an answer: end with a user message")
    return system, said


def _cut(message: Message) -> Iterator[tuple[bool, Sequence[Part]]]:
    """Cut a message where the wire's own contents began; most are one."""
    parts: list[Part] = []
    begins = False
    for part in message.content:
        if part.meta and own(part.meta).get(BEGINS):
            if parts:
                yield begins, parts
                parts = []
            begins = True
        parts.append(part)
    yield begins, parts


def _encode_parts(
    parts: Sequence[Part], message: Message, names: dict[str, str], encoding: Encoding
) -> Iterator[JSONObject]:
    if message.role == "assistant":
        unsigned = encoding.quirks.dummy_signature is not None
        for part in parts:
            for block in _encode_answered(part, encoding):
                if "functionCall" in block and unsigned:
                    # Of calls side by side the first alone bears a signature.
                    block.setdefault(SIGNATURE, encoding.quirks.dummy_signature)
                    unsigned = False
                yield block
            if isinstance(part, ToolCall):
                names[part.id] = part.name
        return
    behind: list[JSONObject] = []
    for part in parts:
        if isinstance(part, ToolResult):
            yield _encode_result(part, names, behind, encoding)
        else:
            yield from _encode_told(part, encoding)
    yield from behind


def _encode_told(part: Part, encoding: Encoding) -> Iterator[JSONObject]:
    """Say a part of a system or user message, or of a result."""
    match part:
        case TextPart():
            yield from _encode_text(part)
        case FilePart():
            yield encode_file(part, encoding)
        case SourcePart():
            encoding.note("emulated", "messages", "search results that the caller gives are sent as text")
            yield {"text": "\n".join(line for line in (part.title, part.url, part.text) if line)}
        case ReasoningPart():
            if is_thought(part):
                yield encode_thought(part)
            elif part.text:
                encoding.note("dropped", "messages", "reasoning outside an assistant message is not sent")
        case OpaquePart():
            yield from _encode_opaque(part)
        case ToolResult():
            raise UnsupportedError(f"the result of {part.name!r} stands in a message that is not a tool's")
        case ToolCall():
            raise UnsupportedError(f"the call of {part.name!r} stands in a message that is not the assistant's")
        case _:
            assert_never(part)


def _encode_text(part: TextPart) -> Iterator[JSONObject]:
    """Say a text. An empty one is refused in requests, save where it bears a mark, such as a signature."""
    if part.text or own(part.meta).keys() - {BEGINS}:
        yield encode_text(part)


def _encode_opaque(part: OpaquePart) -> Iterator[JSONObject]:
    """Say a part of a kind that we do not know. One of this wire that holds nothing would be refused."""
    block = encode_opaque(part)
    if block is not None:
        yield block
    elif DIALECT not in part.meta:
        raise UnsupportedError(f"a part of kind {part.kind!r} cannot be said on the Gemini wire")


def _encode_answered(part: Part, encoding: Encoding) -> Iterator[JSONObject]:
    """Say a part of an assistant message."""
    match part:
        case TextPart():
            if part.sources:
                encoding.note("dropped", "messages", "citations are not sent back; their text is")
            yield from _encode_text(part)
        case ReasoningPart():
            yield from _encode_reasoning(part, encoding)
        case ToolCall():
            yield from _encode_call(part, encoding)
        case ToolResult():
            yield from _known(encode_executed_result(part), encoding)
        case FilePart():
            yield encode_file(part, encoding)
        case SourcePart():
            encoding.note("dropped", "messages", "search results beside a text are not sent back")
        case OpaquePart():
            yield from _encode_opaque(part)
        case _:
            assert_never(part)


def _encode_reasoning(part: ReasoningPart, encoding: Encoding) -> Iterator[JSONObject]:
    if is_thought(part):
        yield encode_thought(part)
    elif part.text and encoding.quirks.reasoning_history == "text":
        encoding.note("emulated", "messages", "reasoning of another origin is sent as text")
        yield {"text": part.text}
    elif part.text:
        encoding.note("dropped", "messages", "reasoning of another origin is not sent")


def _encode_call(call: ToolCall, encoding: Encoding) -> Iterator[JSONObject]:
    if call.executed:
        yield from _known(encode_executed_call(call), encoding)
        return
    if call.kind == "custom":
        encoding.note("emulated", "messages", "the free text of a custom tool's call is sent as its `input`")
    elif not arguments_object(call)[1]:
        encoding.note("dropped", "messages", f"the arguments of the call {call.id} are no JSON object: {{}} is sent")
    block = encode_call(call, call_ids=encoding.quirks.call_ids != "never")
    if encoding.quirks.call_ids == "always":
        block["functionCall"] = {"id": call.id, **block["functionCall"]}
    yield block


def _known(block: JSONObject | None, encoding: Encoding) -> Iterator[JSONObject]:
    if block is None:
        encoding.note("dropped", "messages", "tools that another provider ran itself are not sent; its text is")
    else:
        yield block


def _encode_result(
    result: ToolResult, names: dict[str, str], behind: list[JSONObject], encoding: Encoding
) -> JSONObject:
    """Say a result. Files that cannot stand in it go `behind` the results."""
    name = result.name or names.get(result.id)
    if not name:
        raise UnsupportedError(f"the result of the call {result.id!r} names no function, and no call before it has it")
    said: JSONObject = {}
    ids = encoding.quirks.call_ids
    if ids == "always" or (ids == "given" and result.id and not is_made(result.id)):
        said["id"] = result.id
    said["name"] = name
    texts: list[Part] = []
    files: list[JSONObject] = []
    for part in result.content:
        if _is_file(part):
            files += _encode_told(part, encoding)
        else:
            texts += (TextPart(block["text"]) for block in _encode_told(part, encoding))
    if files and not encoding.quirks.result_files:
        encoding.note("emulated", "messages", "the files of a result are sent behind it: the model takes none in it")
        behind += files
        files = []
    said |= encode_outcome(tuple(texts), result.is_error, files)
    return with_more("functionResponse", said, _unchanged_meta(result))


def _is_file(part: Part) -> bool:
    """Tell whether a part of a result is sent among its files, not in its response."""
    return isinstance(part, FilePart) or (isinstance(part, OpaquePart) and bool(own(part.meta)))


def _unchanged_meta(result: ToolResult) -> dict[str, JSONObject]:
    """Return a result's meta, less what it keeps of the response where that says something else by now."""
    marks = own(result.meta)
    held = marks.get("functionResponse")
    if not isinstance(held, dict):
        return result.meta
    left = dict(held)
    texts = tuple(part for part in result.content if not _is_file(part))
    if "response" in held and decode_outcome({"response": held["response"]}) != (texts, result.is_error):
        del left["response"]
    files = tuple(part for part in result.content if _is_file(part))
    if "parts" in held and decode_outcome({"parts": held["parts"]})[0] != files:
        del left["parts"]
    return {DIALECT: {**marks, "functionResponse": left}}


# wire → ours


def decode_system(value: object) -> tuple[Message, ...]:
    """Return the system instruction as a message, nothing where it says nothing."""
    if value is None:
        return ()
    if isinstance(value, str):
        # Not documented, but read by the service.
        return (Message("system", (TextPart(value),)),) if value else ()
    told = read_object(value, "systemInstruction", "a content")
    parts = _decode_parts(told.get("parts"), "systemInstruction.parts", Calls())
    return (Message("system", parts),) if parts else ()


def decode_messages(contents: Sequence[Any], path: str = "contents") -> tuple[Message, ...]:
    """Return the contents in our normal form.

    Raises `BadRequestError` naming the place that is wrong and what would be right there.
    """
    calls = Calls()
    read: list[Message] = []
    before = ""
    for place, given in enumerate(contents):
        where = f"{path}[{place}]"
        content = read_object(given, where, "a content")
        role = "user"
        if content.get("role"):
            role = "model" if read_word(content["role"], f"{where}.role", _ROLES) == "model" else "user"
        parts = _decode_parts(content.get("parts"), f"{where}.parts", calls)
        results = [part for part in parts if isinstance(part, ToolResult) and role == "user"]
        others = [part for part in parts if not (isinstance(part, ToolResult) and role == "user")]
        if role == before:
            first: list[Any] = results or others
            first[:1] = [structs.replace(part, meta=with_marks(part.meta, **{BEGINS: True})) for part in first[:1]]
        before = role
        if results:
            read.append(Message("tool", tuple(results)))
        if others or not results:
            read.append(Message("user" if role == "user" else "assistant", tuple(others)))
    return normalise(read)


def _decode_parts(value: object, path: str, calls: Calls) -> tuple[Part, ...]:
    if value is None:
        return ()
    parts = [value] if isinstance(value, dict) else read_list(value, path, "a list of parts")
    return tuple(_decode_checked(part, f"{path}[{place}]", calls) for place, part in enumerate(parts))


def _decode_checked(value: object, path: str, calls: Calls) -> Part:
    """Return a part, once it has what a part of its kind must have."""
    block = read_object(value, path, 'a part, as in {"text": "…"}')
    if block.get("text") is not None:
        read_text(block["text"], f"{path}.text")
    for kind, names in _REQUIRED.items():
        if block.get(kind) is None:
            continue
        held = read_object(block[kind], f"{path}.{kind}")
        for name in names:
            read_text(take(held, name, f"{path}.{kind}"), f"{path}.{kind}.{name}")
    part = decode_part(block, calls)
    if isinstance(part, OpaquePart) and isinstance(block.get("inlineData"), dict):
        refuse(f"{path}.inlineData.data", "is no valid base64")
    return part
