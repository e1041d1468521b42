"""The list of messages and the system prompt, both directions.

The rule: results go in a user message, before anything else in it, and neighbours of one role are one message. Our
normal form has a message of its own for results and merges neighbours too; where the wire had cut otherwise, the mark
`begins_message` stands on the first part of the further message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal, assert_never

from msgspec import structs

from polyvox.dialects._encoding import arguments_object, move_files
from polyvox.dialects._reading import JSONObject, read_list, read_object, read_text, read_word, refuse, take
from polyvox.dialects.anthropic.blocks import (
    decode_block,
    encode_citation,
    encode_opaque,
    encode_text,
    encode_thinking_block,
    executed_content,
    is_thinking,
)
from polyvox.dialects.anthropic.encoding import Encoding
from polyvox.dialects.anthropic.fields import BEGINS, marked, own, with_marks
from polyvox.dialects.anthropic.files import encode_file, encode_source_part
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

# What each kind of block must have, and of which type it must be.
_REQUIRED: Final[dict[str, tuple[tuple[str, Any], ...]]] = {
    "text": (("text", read_text),),
    "image": (("source", read_object),),
    "document": (("source", read_object),),
    "thinking": (("thinking", read_text),),
    "redacted_thinking": (("data", read_text),),
    "tool_use": (("id", read_text), ("name", read_text), ("input", read_object)),
    "server_tool_use": (("id", read_text), ("name", read_text), ("input", read_object)),
    "tool_result": (("tool_use_id", read_text),),
}


# ours → wire


def encode_messages(messages: Iterable[Message], encoding: Encoding) -> tuple[str | list[JSONObject], list[JSONObject]]:
    """Return the system prompt (empty where there is none) and the messages of the wire."""
    system: list[JSONObject] = []
    said: list[JSONObject] = []
    for message in move_files(messages, lambda part, message: _is_moved(part, message, encoding), encoding):
        role: Literal["user", "assistant", "system"] = "user" if message.role == "tool" else message.role
        if role == "system":
            if not said:
                system += _encode_system(message, encoding)
                continue
            if not encoding.quirks.mid_system:
                encoding.note("emulated", "messages", "a system message after the first turn is sent as user text")
                role = "user"
        for begins, parts in _cut(message):
            blocks = _encode_blocks(role, parts, message, encoding)
            if not blocks:
                encoding.note("dropped", "messages", "a message without content is not sent")
            elif not begins and said and said[-1]["role"] == role:
                said[-1]["content"] += blocks
            else:
                said.append({"role": role, "content": blocks})
    for told in said:
        told["content"] = _settled(told["content"])
    if not encoding.quirks.prefill and said:
        _check_prefill(said[-1])
    return (_settled(system) if system else ""), said


def _is_moved(part: Part, message: Message, encoding: Encoding) -> bool:
    """Tell whether this is a file that the wire takes from users only. What a decoded request said stays in place."""
    if message.role != "assistant" or not isinstance(part, FilePart):
        return False
    answered = message.origin is not None or encoding.strict_version
    return answered and own(part.meta).get("type") != "container_upload"


def _cut(message: Message) -> Iterator[tuple[bool, Sequence[Part]]]:
    """Cut a message where the wire's own messages began; most are one."""
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


def _settled(blocks: list[JSONObject]) -> str | list[JSONObject]:
    """Put results first, as the wire demands; a lone plain text is a string."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"} and blocks[0]["type"] == "text":
        text: str = blocks[0]["text"]
        return text
    return sorted(blocks, key=lambda block: block["type"] != "tool_result")


def _check_prefill(last: JSONObject) -> None:
    """Refuse the beginning of an answer. What the provider's own tools left unfinished is no such beginning."""
    content = last["content"]
    blocks = [{"type": "text"}] if isinstance(content, str) else content
    if last["role"] != "assistant" or blocks[-1]["type"] != "text":
        return
    if not any(block["type"].endswith("_tool_use") for block in blocks):
        raise UnsupportedError("this model does not go on from the beginning of an answer: end with a user message")


def _encode_system(message: Message, encoding: Encoding) -> list[JSONObject]:
    blocks = [block for part in message.content for block in _encode_told(part, encoding)]
    return _with_cache_mark(blocks, message)


def _with_cache_mark(blocks: list[JSONObject], message: Message) -> list[JSONObject]:
    """A caller may set the mark on the message: it stands on its last block."""
    mark = own(message.meta).get("cache_control")
    if mark is not None and blocks:
        blocks[-1].setdefault("cache_control", mark)
    return blocks


def _encode_blocks(role: str, parts: Sequence[Part], message: Message, encoding: Encoding) -> list[JSONObject]:
    if role == "assistant":
        blocks = [block for part in parts for block in _encode_answered(part, message.origin, encoding)]
    else:
        blocks = [block for part in parts for block in _encode_told(part, encoding)]
    return _with_cache_mark(blocks, message)


def _encode_told(part: Part, encoding: Encoding) -> Iterator[JSONObject]:
    """Say a part of a system, user or tool message, or of a result."""
    match part:
        case TextPart():
            if part.sources and not encoding.strict_version:
                yield from _encode_text(part, encoding)
            elif part.text:
                if part.sources:
                    encoding.note("dropped", "messages", "citations in a user's text are not sent; its text is")
                yield encode_text(part, [])
        case FilePart():
            yield encode_file(part, encoding)
        case SourcePart():
            yield encode_source_part(part)
        case ToolResult():
            yield _encode_result(part, encoding)
        case ReasoningPart():
            if part.text:
                encoding.note("dropped", "messages", "reasoning outside an assistant message is not sent")
        case OpaquePart():
            yield _encode_opaque(part)
        case ToolCall():
            raise UnsupportedError(f"the call of {part.name!r} stands in a message that is not the assistant's")
        case _:
            assert_never(part)


def _encode_opaque(part: OpaquePart) -> JSONObject:
    block = encode_opaque(part)
    if block is None:
        raise UnsupportedError(f"a part of kind {part.kind!r} cannot be said on the Anthropic wire")
    return block


def _encode_answered(part: Part, origin: str | None, encoding: Encoding) -> Iterator[JSONObject]:
    """Say a part of an assistant message. An empty text, which answers may hold, is refused in requests."""
    match part:
        case TextPart():
            if part.text:
                yield from _encode_text(part, encoding)
        case ReasoningPart():
            yield from _encode_reasoning(part, encoding)
        case ToolCall():
            yield from _encode_call(part, encoding)
        case ToolResult():
            yield from _encode_executed(part, encoding)
        case FilePart():
            yield encode_file(part, encoding)
        case SourcePart():
            encoding.note("dropped", "messages", "search results beside a text are not sent back")
        case OpaquePart():
            yield _encode_opaque(part)
        case _:
            assert_never(part)


def _encode_text(part: TextPart, encoding: Encoding) -> Iterator[JSONObject]:
    citations = [citation for source in part.sources if (citation := encode_citation(source)) is not None]
    # A citation of a search whose results are not there (another model made them) points to nothing.
    held = [citation for citation in citations if encoding.searched or citation["type"] != "web_search_result_location"]
    if len(held) < len(part.sources):
        encoding.note("dropped", "messages", "citations of another origin are not sent back; their text is")
    yield encode_text(part, held)


def _encode_reasoning(part: ReasoningPart, encoding: Encoding) -> Iterator[JSONObject]:
    if is_thinking(part):
        yield encode_thinking_block(part)
    elif part.text and encoding.quirks.reasoning_history == "text":
        encoding.note("emulated", "messages", "reasoning of another origin is sent as text")
        yield {"type": "text", "text": part.text}
    elif part.text:
        encoding.note("dropped", "messages", "reasoning of another origin is not sent")


def _encode_call(call: ToolCall, encoding: Encoding) -> Iterator[JSONObject]:
    kind = own(call.meta).get("type")
    if call.executed and kind is None:
        encoding.note("dropped", "messages", "tools that another provider ran itself are not sent; its text is")
        return
    arguments, valid = arguments_object(call)
    if call.kind == "custom":
        encoding.note("emulated", "messages", "the free text of a custom tool's call is sent as its `input`")
    elif not valid:
        encoding.note("dropped", "messages", f"the arguments of the call {call.id} are no JSON object: {{}} is sent")
    block = {"type": "tool_use", "id": encoding.call_id(call.id), "name": call.name, "input": arguments}
    yield marked(block, call.meta)


def _encode_executed(result: ToolResult, encoding: Encoding) -> Iterator[JSONObject]:
    """Say what a tool of the provider's gave. Of another provider's tool, or another model's, only the text is sent."""
    marks = own(result.meta)
    if "type" not in marks:
        encoding.note("dropped", "messages", "tools that another provider ran itself are not sent; its text is")
        return
    encoding.searched = True
    content = executed_content(result)
    block = marked({"type": "", "tool_use_id": encoding.call_id(result.id)}, result.meta)
    if content is None:
        block["content"] = [block for part in result.content for block in _encode_told(part, encoding)]
    if "is_error" in marks:
        block["is_error"] = result.is_error
    yield block


def _encode_result(result: ToolResult, encoding: Encoding) -> JSONObject:
    block: JSONObject = {"type": "tool_result", "tool_use_id": encoding.call_id(result.id)}
    content = [inner for part in result.content for inner in _encode_told(part, encoding)]
    if content:
        block["content"] = _settled(content)
    if result.is_error:
        block["is_error"] = True
    return marked(block, result.meta)


# wire → ours


def decode_system(value: object) -> tuple[Message, ...]:
    """Return the system prompt as a message, nothing where it says nothing."""
    if value is None:
        return ()
    parts = _decode_content(value, "system", {})
    return (Message("system", parts),) if parts else ()


def decode_messages(messages: Sequence[Any], path: str = "messages") -> tuple[Message, ...]:
    """Return the wire's messages in our normal form.

    Raises `BadRequestError` naming the place that is wrong and what would be right there.
    """
    calls: dict[str, str] = {}
    read: list[Message] = []
    before = ""
    for place, given in enumerate(messages):
        where = f"{path}[{place}]"
        message = read_object(given, where, "a message")
        role = read_word(take(message, "role", where), f"{where}.role", ("user", "assistant", "system"))
        parts = _decode_content(take(message, "content", where), f"{where}.content", calls)
        results = [part for part in parts if isinstance(part, ToolResult) and role == "user"]
        others = [part for part in parts if not (isinstance(part, ToolResult) and role == "user")]
        if role == before and role != "system":
            first: list[Any] = results or others
            first[:1] = [structs.replace(part, meta=with_marks(part.meta, **{BEGINS: True})) for part in first[:1]]
        before = role
        if results:
            read.append(Message("tool", tuple(results)))
        if others or not results:
            read.append(Message("user" if role == "user" else _role(role), tuple(others)))
    return normalise(read)


def _role(role: str) -> Literal["assistant", "system"]:
    return "assistant" if role == "assistant" else "system"


def _decode_content(value: object, path: str, calls: dict[str, str]) -> tuple[Part, ...]:
    if isinstance(value, str):
        return (TextPart(value),) if value else ()
    blocks = read_list(value, path, "a string or a list of blocks")
    return tuple(_decode_checked(block, f"{path}[{place}]", calls) for place, block in enumerate(blocks))


def _decode_checked(value: object, path: str, calls: dict[str, str]) -> Part:
    """Return a block's part, once it has what a block of its kind must have."""
    block = read_object(value, path, 'a block, as in {"type": "text", "text": "…"}')
    kind = read_text(take(block, "type", path), f"{path}.type")
    for name, read in _REQUIRED.get(kind, ()):
        read(take(block, name, path), f"{path}.{name}")
    if kind == "tool_result" and isinstance(block.get("content"), list):
        for place, inner in enumerate(block["content"]):
            _decode_checked(inner, f"{path}.content[{place}]", {})
    part = decode_block(block, calls)
    source = block.get("source")
    if isinstance(part, OpaquePart) and kind in ("image", "document") and isinstance(source, dict):
        _check_source(source, f"{path}.source")
    return part


def _check_source(source: JSONObject, path: str) -> None:
    """Tell what is wrong with a source that could not be read, if it is of a kind that we know."""
    kind = read_text(take(source, "type", path), f"{path}.type")
    needs = {"base64": ("media_type", "data"), "url": ("url",), "file": ("file_id",), "text": ("data",)}
    for name in needs.get(kind, ()):
        read_text(take(source, name, path), f"{path}.{name}")
    if kind == "base64":
        refuse(f"{path}.data", "is no valid base64")
