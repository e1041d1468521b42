"""Assistant messages, both directions: content, refusal, reasoning, spoken answers, tool calls.

The rule: reasoning goes back as it came. A reasoning part says in `meta["openai"]` where it stood: `field`
(`reasoning_content`, `reasoning`, or `thinking` for Mistral's chunks in the content) and `reasoning_details`, the array
that OpenRouter wants back unchanged and in order. Without such a mark it is of another origin, or the caller's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from polyvox.dialects._media import ANY_AUDIO
from polyvox.dialects._reading import (
    JSONObject,
    read_list,
    read_object,
    read_text,
    read_word,
    refuse,
    take,
)
from polyvox.dialects.openai.chat.content import decode_part, encode_content, encode_part, in_place
from polyvox.dialects.openai.chat.encoding import Encoding
from polyvox.dialects.openai.chat.fields import made, mark, own, rest
from polyvox.errors import UnsupportedError
from polyvox.types.parts import (
    FileId,
    FilePart,
    OpaquePart,
    Part,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCall,
    ToolResult,
)

CALL_MARKS: Final = ("extra_content", "cache_control")
"""Members of a tool call that go back unharmed: `extra_content` holds the thought signature of Gemini's OpenAI wire."""

REASONING_FIELDS: Final = ("reasoning_content", "reasoning")
KNOWN: Final = (
    "role",
    "content",
    "refusal",
    "audio",
    "tool_calls",
    "function_call",
    *REASONING_FIELDS,
    "reasoning_details",
)


# ours → wire


def encode_assistant(parts: Sequence[Part], origin: str | None, encoding: Encoding, held: list[Part]) -> JSONObject:
    """Return an assistant message less what its own meta adds. `held` gets the files that it may not hold."""
    said: JSONObject = {"role": "assistant", "content": None}
    content: list[Part] = []
    for part in parts:
        match part:
            case TextPart(refusal=True):
                said["refusal"] = said.get("refusal", "") + part.text
            case TextPart() | OpaquePart():
                content.append(part)
            case ReasoningPart():
                _encode_reasoning(part, origin, said, content, encoding)
            case FilePart() if "place" in own(part.meta):
                content.append(part)
            case FilePart():
                _encode_file(part, said, encoding, held)
            case ToolCall():
                _encode_call(part, said, encoding)
            case ToolResult():
                encoding.note("dropped", "messages", "results of tools that a provider ran itself are not sent back")
            case SourcePart():
                encoding.note("dropped", "messages", "search results beside a text are not sent back")
    if "audio" in said:
        content = [part for part in content if not own(part.meta).get("transcript")]
    if any(isinstance(part, TextPart) and part.sources for part in content):
        encoding.note("dropped", "messages", "citations of an earlier answer are not sent back; its text is")
    _settle(said, content, encoding)
    return said


def _settle(said: JSONObject, content: list[Part], encoding: Encoding) -> None:
    """Give the message its content (null only beside something else that is said) and the reasoning it must have."""
    quirks = encoding.quirks
    calls = "tool_calls" in said or "function_call" in said
    if quirks.reasoning_required and calls and quirks.reasoning_field in REASONING_FIELDS:
        said.setdefault(quirks.reasoning_field, "")
    if any(isinstance(part, ReasoningPart) for part in content):
        said["content"] = [
            _encode_thinking(part) if isinstance(part, ReasoningPart) else encode_part(part, encoding)
            for part in content
        ]
    elif content or len(said) == 2:
        said["content"] = encode_content(content, encoding, glue="")
    elif quirks.empty_content == "string":
        said["content"] = ""
    elif quirks.empty_content == "omit":
        del said["content"]


def _encode_reasoning(
    part: ReasoningPart, origin: str | None, said: JSONObject, content: list[Part], encoding: Encoding
) -> None:
    marks, wanted = own(part.meta), encoding.quirks.reasoning_field
    details = marks.get("reasoning_details")
    if details is not None and wanted in (None, "reasoning_details"):
        said["reasoning_details"] = [*said.get("reasoning_details", ()), *details]
    # The service's own word wins over the one the reasoning came under, and the caller's own reasoning has no other.
    field = marks.get("field")
    if wanted == "reasoning_details":
        field = "reasoning" if part.text and details is None and (field or origin is None) else None
    elif wanted is not None and (marks or origin is None):
        field = wanted
    if field == "thinking":
        content.append(part)
    elif field is not None:
        said[field] = f"{said[field]}\n\n{part.text}" if said.get(field) else part.text
        if wanted is None and "twin" in marks:
            said[marks["twin"]] = part.text
    elif details is None and part.text:
        if encoding.quirks.reasoning_history == "text":
            encoding.note("emulated", "messages", "reasoning of another origin is sent as text")
            content.append(TextPart(part.text))
        else:
            encoding.note("dropped", "messages", "reasoning of another origin is not sent")


def _encode_thinking(part: ReasoningPart) -> JSONObject:
    """Return Mistral's chunk. Its own list of texts goes back as it came, as long as it still says the same."""
    marks = own(part.meta)
    pieces = marks.get("thinking")
    if pieces is None or _joined(pieces) != part.text:
        pieces = [{"type": "text", "text": part.text}]
    chunk: JSONObject = {"type": "thinking", "thinking": pieces}
    mark(chunk, marks, ("signature", "closed"))
    return chunk


def _encode_file(part: FilePart, said: JSONObject, encoding: Encoding, held: list[Part]) -> None:
    """A spoken answer goes back by its id; a picture goes into the next user message."""
    audio = own(part.meta).get("audio")
    name = part.data.id if isinstance(part.data, FileId) else audio.get("id") if isinstance(audio, dict) else None
    if name is not None:
        said["audio"] = {"id": name}
    elif part.media_type.startswith("audio/"):
        encoding.note("dropped", "messages", "a spoken answer of another origin is not sent; its transcript is")
    else:
        encoding.note("emulated", "messages", "files of an answer are sent in the user message after it")
        held += [TextPart("Files of the answer before:"), part] if not held else [part]


def _encode_call(call: ToolCall, said: JSONObject, encoding: Encoding) -> None:
    if call.executed:
        encoding.note("dropped", "messages", "calls of tools that a provider ran itself are not sent back")
        return
    marks = own(call.meta)
    if marks.get("form") == "function_call":
        said["function_call"] = {"name": call.name, "arguments": call.arguments}
        return
    if call.kind == "custom":
        if not encoding.quirks.custom_tools:
            raise UnsupportedError(f"the call of the custom tool {call.name!r} cannot be said to this service")
        told: JSONObject = {"type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    else:
        told = {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
    told = {"id": encoding.call_id(call.id), **told}
    if marks:
        mark(told, marks, CALL_MARKS)
    said.setdefault("tool_calls", []).append(told)


# wire → ours


def decode_assistant(message: JSONObject, path: str, legacy_id: str) -> tuple[Part, ...]:
    """Return the parts of an assistant message. `legacy_id` is for a call by the old `function_call`, without id."""
    parts = _decode_reasoning(message, path)
    parts += _decode_said(message.get("content"), f"{path}.content")
    if message.get("refusal") is not None:
        parts.append(TextPart(read_text(message["refusal"], f"{path}.refusal"), refusal=True))
    if message.get("audio") is not None:
        audio = read_object(message["audio"], f"{path}.audio")
        parts.append(FilePart(ANY_AUDIO, FileId(read_text(take(audio, "id", f"{path}.audio"), f"{path}.audio.id"))))
    if message.get("tool_calls") is not None:
        calls = read_list(message["tool_calls"], f"{path}.tool_calls", "a list of tool calls")
        parts += [_decode_call(call, f"{path}.tool_calls[{place}]") for place, call in enumerate(calls)]
    if message.get("function_call") is not None:
        parts.append(_decode_function_call(message["function_call"], f"{path}.function_call", legacy_id))
    if parts:
        return tuple(parts)
    if message.get("content") is None:
        refuse(f"{path}.content", "is missing: give a text, or tool_calls", "missing_required_parameter")
    return (TextPart(""),) if message["content"] == "" else ()


def _decode_said(content: object, path: str) -> list[Part]:
    """Read the content; an empty text says nothing."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [TextPart(content)]
    items = read_list(content, path, "a string, null or a list of parts")
    return [_decode_item(item, f"{path}[{place}]") for place, item in enumerate(items)]


def _decode_item(value: object, path: str) -> Part:
    pieces = value.get("thinking") if isinstance(value, dict) and value.get("type") == "thinking" else None
    text = _joined(pieces)
    if text is None or not isinstance(value, dict):
        return in_place((decode_part(value, path),))[0]
    plain = pieces == [{"type": "text", "text": text}]
    marks = rest(value, ("type", "thinking"), ("signature", "closed"))
    return ReasoningPart(text, meta=made(field="thinking", thinking=None if plain else pieces, **marks))


def _joined(pieces: Any) -> str | None:
    """Return the text of Mistral's thinking list, `None` where it is not of texts only."""
    if not isinstance(pieces, list) or not all(
        isinstance(piece, dict) and isinstance(piece.get("text"), str) for piece in pieces
    ):
        return None
    return "".join(piece["text"] for piece in pieces)


def _decode_reasoning(message: JSONObject, path: str) -> list[Part]:
    said = {
        name: read_text(message[name], f"{path}.{name}") for name in REASONING_FIELDS if message.get(name) is not None
    }
    details = message.get("reasoning_details")
    if details is not None:
        read_list(details, f"{path}.reasoning_details")
    if not said and not details:
        return []
    # One text under two names is said once; the other name is a mark of its own.
    field = next(iter(said), None)
    twin = next((name for name in said if name != field), None)
    if field is not None and twin is not None and said[twin] != said[field]:
        parts = [ReasoningPart(text, meta=made(field=name)) for name, text in said.items()]
        if details:
            parts.append(ReasoningPart(meta=made(reasoning_details=details)))
        return list(parts)
    text = said[field] if field is not None else _details_text(details)
    redacted = field is None and not text
    return [ReasoningPart(text, redacted, made(field=field, twin=twin, reasoning_details=details or None))]


def _details_text(details: Any) -> str:
    """Return the readable text of a `reasoning_details` array."""
    items = [item for item in details if isinstance(item, dict)]
    texts = [item.get("text") or item.get("summary") for item in items]
    return "".join(text for text in texts if isinstance(text, str))


def _decode_call(value: object, path: str) -> ToolCall:
    call = read_object(value, path, "a tool call")
    kind = read_word(call.get("type") or "function", f"{path}.type", ("function", "custom"))
    name = read_text(take(call, "id", path), f"{path}.id")
    held = read_object(take(call, kind, path), f"{path}.{kind}")
    member = "arguments" if kind == "function" else "input"
    return ToolCall(
        name,
        read_text(take(held, "name", f"{path}.{kind}"), f"{path}.{kind}.name"),
        read_text(take(held, member, f"{path}.{kind}"), f"{path}.{kind}.{member}", _WANTED[member]),
        kind="custom" if kind == "custom" else "function",
        meta=made(**rest(call, ("id", "type", kind), CALL_MARKS)),
    )


_WANTED: Final = {"arguments": "a string of JSON", "input": "a string"}


def _decode_function_call(value: object, path: str, legacy_id: str) -> ToolCall:
    call = read_object(value, path)
    return ToolCall(
        legacy_id,
        read_text(take(call, "name", path), f"{path}.name"),
        read_text(take(call, "arguments", path), f"{path}.arguments", _WANTED["arguments"]),
        meta=made(form="function_call"),
    )
