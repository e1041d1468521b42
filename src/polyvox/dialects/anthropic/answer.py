"""A server's half of an answer: our response as a body, our events as a stream.

The rule: what a client of this wire reads is written as Anthropic writes it, one block after the other: events of parts
that interleave wait for the block that is open. What the wire has no place for is listed as a loss in
docs/dialects/anthropic.md. https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import structs

from polyvox.dialects._encoding import arguments_object
from polyvox.dialects._media import encode_base64
from polyvox.dialects._reading import JSONObject
from polyvox.dialects.anthropic.blocks import (
    encode_citation,
    encode_opaque,
    encode_text,
    encode_thinking_block,
    executed_content,
    is_thinking,
)
from polyvox.dialects.anthropic.fields import marked, own
from polyvox.dialects.anthropic.files import IMAGES, encode_source_part
from polyvox.dialects.anthropic.response import FINISHES
from polyvox.dialects.anthropic.usage import encode_usage
from polyvox.framing import json
from polyvox.types.events import (
    Event,
    FileDelta,
    PartEnd,
    PartStart,
    ReasoningDelta,
    SourceDelta,
    StreamEnd,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    UsageUpdate,
)
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.parts import (
    FileId,
    FilePart,
    Meta,
    OpaquePart,
    Part,
    ReasoningPart,
    Source,
    SourcePart,
    TextPart,
    ToolCall,
    ToolResult,
    Url,
)
from polyvox.types.usage import Usage

_REASONS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "pause": "pause_turn",
}
# Of the envelope, what stands in the end's `delta`; the rest stands beside it.
_IN_DELTA: Final = ("stop_sequence", "stop_details", "container")


def encode_finish(finish: Finish | None, meta: JSONObject) -> str | None:
    """Return the wire's word for why an answer ended."""
    if finish is None:
        return None
    if finish.raw is not None and FINISHES.get(finish.raw, "other") == finish.reason:
        return finish.raw
    if finish.reason == "stop" and meta.get("stop_sequence") is not None:
        return "stop_sequence"
    return _REASONS.get(finish.reason, "end_turn")


def encode_response(response: GenerateResponse[Any]) -> bytes:
    """Return a `message` body."""
    meta = own(response.meta)
    blocks = [block for part in response.content if (block := _encode_block(part)) is not None]
    reason = encode_finish(response.finish, meta)
    head = _head(response.id, response.model)
    ending = {"stop_reason": reason, "stop_sequence": None, **meta, "usage": encode_usage(response.usage)}
    # Put together as text, so that arguments go as they were written.
    return json.encode(head)[:-1] + b',"content":[' + b",".join(blocks) + b"]," + json.encode(ending)[1:]


def _head(name: str | None, model: str | None) -> JSONObject:
    return {
        "id": name or f"msg_{secrets.token_hex(12)}",
        "type": "message",
        "role": "assistant",
        "model": model or "",
    }


# Blocks


def encode_part(part: Part) -> JSONObject | None:
    """Return a part of an answer as a block, `None` for a part of another wire that only that wire can read."""
    match part:
        case TextPart():
            return encode_text(part, [_encode_source(source) for source in part.sources])
        case ReasoningPart():
            return _encode_reasoning(part)
        case ToolCall():
            return {**_encode_call(part), "input": arguments_object(part)[0]}
        case ToolResult():
            return _encode_result(part)
        case FilePart():
            return _encode_file(part)
        case SourcePart():
            return encode_source_part(part)
        case OpaquePart():
            return encode_opaque(part)


def _encode_source(source: Source) -> JSONObject:
    citation = encode_citation(source)
    if citation is not None:
        return citation
    return {
        "type": "web_search_result_location",
        "cited_text": source.text or "",
        "url": source.url or "",
        "title": source.title,
        "encrypted_index": "",
    }


def _encode_reasoning(part: ReasoningPart) -> JSONObject:
    if is_thinking(part):
        return encode_thinking_block(part)
    if part.redacted:
        return {"type": "redacted_thinking", "data": ""}
    return {"type": "thinking", "thinking": part.text, "signature": ""}


def _encode_call(call: ToolCall) -> JSONObject:
    """Return a call's block less its input. What another provider ran itself goes as a server's call of any name."""
    if call.executed and "type" not in own(call.meta):
        return {"type": "mcp_tool_use", "id": call.id, "name": call.name, "server_name": ""}
    return marked({"type": "tool_use", "id": call.id, "name": call.name}, call.meta)


def _encode_block(part: Part) -> bytes | None:
    """Return a part's block as JSON text; a call's input as it was written, where it is an object."""
    block = encode_part(part)
    if block is None:
        return None
    if not isinstance(part, ToolCall) or not arguments_object(part)[1]:
        return json.encode(block)
    try:
        # Read once more by the strict reader: the other one takes what no client would.
        written = part.arguments.strip().encode()
        if not isinstance(msgspec.json.decode(written), dict):
            return json.encode(block)
    except ValueError:
        return json.encode(block)
    del block["input"]
    return json.encode(block)[:-1] + b',"input":' + written + b"}"


def _encode_result(result: ToolResult) -> JSONObject:
    marks = own(result.meta)
    block: JSONObject = {"type": "mcp_tool_result", "tool_use_id": result.id, "is_error": result.is_error}
    if "type" in marks:
        block = marked({"type": "", "tool_use_id": result.id}, result.meta)
        if "is_error" in marks:
            block["is_error"] = result.is_error
    content = executed_content(result)
    if content is None:
        content = [said for part in result.content if (said := encode_part(part)) is not None]
    block["content"] = content
    return block


def _encode_file(part: FilePart) -> JSONObject:
    """Return a file that an answer holds. The wire has no answers in pictures: requests' blocks are used for them."""
    kind = "image" if part.media_type in (*IMAGES, "image/*") else "document"
    match part.data:
        case bytes():
            source: JSONObject = {"type": "base64", "media_type": part.media_type, "data": encode_base64(part.data)}
        case Url():
            source = {"type": "url", "url": part.data.url}
        case FileId():
            if own(part.meta).get("type") == "container_upload":
                return marked({"type": "container_upload", "file_id": part.data.id}, part.meta)
            source = {"type": "file", "file_id": part.data.id}
    block: JSONObject = {"type": kind, "source": source}
    if part.name is not None and kind == "document":
        block["title"] = part.name
    return marked(block, part.meta)


# The stream


class StreamEncoder:
    """Events of one answer in, frames of bytes out."""

    __slots__ = ("_begun", "_ends", "_files", "_held", "_metas", "_next", "_open", "_part", "_start", "_usage")

    def __init__(self, request: GenerateRequest) -> None:
        self._start = StreamStart(model=request.model or None)
        self._begun = False
        self._open: int | None = None  # the part whose block is open
        self._part: Part | None = None
        self._next = 0  # the wire's index of the next block
        self._held: dict[int, list[Event]] = {}  # what came for parts that wait
        self._metas: dict[int, Meta] = {}  # of parts whose end is known when they begin
        self._files = bytearray()
        self._usage: Usage | None = None
        self._ends = False

    def feed(self, events: Sequence[Event]) -> list[bytes]:
        """Return the frames for these events."""
        frames: list[bytes] = []
        for event in events:
            if type(event) is PartEnd and event.meta:
                self._metas[event.index] = event.meta
        for event in events:
            match event:
                case (
                    TextDelta()
                    | ReasoningDelta()
                    | ToolCallDelta()
                    | SourceDelta()
                    | FileDelta()
                    | PartStart()
                    | PartEnd()
                ):
                    self._begin(frames)
                    self._route(event, frames)
                case UsageUpdate():
                    self._usage = event.usage
                case StreamStart():
                    self._start = event
                case StreamEnd():
                    self._begin(frames)
                    self._end(event, frames)
                case _:
                    pass  # raw frames and the steps of a tool loop are not of this wire
        if events:
            self._begin(frames)
        return frames

    def _begin(self, frames: list[bytes]) -> None:
        if self._begun:
            return
        self._begun = True
        head = _head(self._start.id, self._start.model)
        usage = encode_usage(self._usage or Usage())
        message = {**head, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
        frames.append(_frame("message_start", message=message))

    def _route(self, event: Any, frames: list[bytes]) -> None:
        """Write an event of the open part; others wait until its block is whole."""
        if self._open is not None and event.index != self._open:
            self._held.setdefault(event.index, []).append(event)
            return
        self._write(event, frames)
        while self._open is None and self._held:
            index = next(iter(self._held))
            for held in self._held.pop(index):
                self._write(held, frames)

    def _write(self, event: Any, frames: list[bytes]) -> None:
        match event:
            case TextDelta():
                self._delta(frames, type="text_delta", text=event.text)
            case ReasoningDelta():
                self._delta(frames, type="thinking_delta", thinking=event.text)
            case ToolCallDelta():
                if isinstance(self._part, ToolCall) and self._part.kind == "custom":
                    self._files += event.arguments.encode("utf-8", "surrogatepass")
                else:
                    self._delta(frames, type="input_json_delta", partial_json=event.arguments)
            case SourceDelta():
                self._delta(frames, type="citations_delta", citation=_encode_source(event.source))
            case FileDelta():
                self._files += event.data
            case PartStart():
                self._open, self._part = event.index, event.part
                self._write_start(event.part, self._metas.pop(event.index, event.part.meta), frames)
            case PartEnd():
                self._write_end(event.meta, frames)
                self._open = self._part = None
                self._files.clear()

    def _delta(self, frames: list[bytes], **delta: Any) -> None:
        frames.append(_frame("content_block_delta", index=self._next, delta=delta))

    def _write_start(self, part: Part, meta: Meta, frames: list[bytes]) -> None:
        """Begin the block of a part that comes in pieces; another is written whole at its end."""
        match part:
            case TextPart():
                block = encode_text(structs.replace(part, text="", meta=meta), [])
                self._write_block(block, frames)
                if part.text:
                    self._delta(frames, type="text_delta", text=part.text)
            case ReasoningPart() if not _is_redacted(part, meta):
                block = {**_encode_reasoning(structs.replace(part, text="", meta=meta)), "signature": ""}
                self._write_block(block, frames)
                if part.text:
                    self._delta(frames, type="thinking_delta", thinking=part.text)
            case ToolCall():
                self._write_block({**_encode_call(structs.replace(part, meta=meta)), "input": {}}, frames)
                self._delta(frames, type="input_json_delta", partial_json="")
                if part.kind == "custom":
                    self._files += part.arguments.encode("utf-8", "surrogatepass")
                elif part.arguments:
                    self._delta(frames, type="input_json_delta", partial_json=part.arguments)

    def _write_block(self, block: JSONObject, frames: list[bytes]) -> None:
        frames.append(_frame("content_block_start", index=self._next, content_block=block))

    def _write_end(self, meta: Meta, frames: list[bytes]) -> None:
        part = self._part
        match part:
            case None:
                return
            case TextPart():
                pass
            case ReasoningPart() if not _is_redacted(part, meta):
                signature = own(meta or part.meta).get("signature")
                if signature:
                    self._delta(frames, type="signature_delta", signature=signature)
            case ToolCall():
                if part.kind == "custom":
                    said = json.encode({"input": self._files.decode("utf-8", "replace")}).decode()
                    self._delta(frames, type="input_json_delta", partial_json=said)
            case _:
                whole = structs.replace(part, meta=meta or part.meta)
                if isinstance(whole, FilePart) and isinstance(whole.data, bytes):
                    whole = structs.replace(whole, data=whole.data + bytes(self._files))
                written = encode_part(whole)
                if written is None:
                    return
                self._write_block(written, frames)
        frames.append(_frame("content_block_stop", index=self._next))
        self._next += 1

    def _end(self, event: StreamEnd, frames: list[bytes]) -> None:
        meta = own(event.meta)
        delta = {"stop_reason": encode_finish(event.finish, meta), "stop_sequence": None}
        delta |= {name: value for name, value in meta.items() if name in _IN_DELTA}
        beside = {name: value for name, value in meta.items() if name not in _IN_DELTA}
        usage = encode_usage(event.usage or self._usage or Usage())
        frames.append(_frame("message_delta", delta=delta, **beside, usage=usage))
        self._ends = True

    def close(self) -> list[bytes]:
        """Return the end mark; none where the answer itself had no end."""
        return [_frame("message_stop")] if self._ends else []


def _is_redacted(part: ReasoningPart, meta: Meta) -> bool:
    return part.redacted or "data" in own(meta)


def _frame(kind: str, **members: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + json.encode({"type": kind, **members}) + b"\n\n"
