"""A server's half of an answer: our response as a body, our events as a stream.

The rule: what a client of this wire reads is written as Google writes it: a piece of text a chunk, calls whole, why it
ended in the last chunk. Parts bear no number there, so events of parts that interleave wait for the part that is open.
What the wire has no place for is listed as a loss in docs/dialects/gemini.md.
https://ai.google.dev/api/generate-content#generatecontentresponse
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import structs

from polyvox.dialects._reading import JSONObject
from polyvox.dialects.gemini.blocks import (
    encode_call,
    encode_executed_call,
    encode_executed_result,
    encode_opaque,
    encode_outcome,
    encode_text,
    encode_thought,
    is_sound_piece,
)
from polyvox.dialects.gemini.candidate import LOGPROBS, encode_logprobs
from polyvox.dialects.gemini.fields import own
from polyvox.dialects.gemini.files import encode_file
from polyvox.dialects.gemini.finishes import decode_block, encode_finish
from polyvox.dialects.gemini.reader import CANDIDATE
from polyvox.dialects.gemini.sources import GROUNDING, Cited, Text, encode_sources
from polyvox.dialects.gemini.usage import encode_usage
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
from polyvox.types.generate import Alternative, Finish, GenerateRequest, GenerateResponse
from polyvox.types.parts import (
    FilePart,
    Meta,
    OpaquePart,
    Part,
    ReasoningPart,
    Source,
    SourcePart,
    TextPart,
    TokenLogprob,
    ToolCall,
    ToolResult,
)
from polyvox.types.usage import Usage


def encode_response(response: GenerateResponse[Any]) -> bytes:
    """Return a `GenerateContentResponse` body."""
    meta = own(response.meta)
    said: JSONObject = {}
    if not _is_blocked(meta, response.finish, response.content, response.alternatives):
        candidate = _encode_candidate(0, response.content, response.finish, meta.get(CANDIDATE))
        said["candidates"] = [candidate, *map(_encode_alternative, response.alternatives)]
    return _write(said | _frame_of(meta, response.id, response.model, response.usage))


def _is_blocked(
    meta: JSONObject, finish: Finish | None, content: tuple[Part, ...], alternatives: tuple[Alternative, ...]
) -> bool:
    """Tell whether this is the answer to a prompt that was blocked: it has no candidates."""
    feedback = meta.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    return finish is not None and finish == decode_block(reason) and not content and not alternatives


def _frame_of(meta: JSONObject, name: str | None, model: str | None, usage: Usage) -> JSONObject:
    """Return the members that stand beside the candidates."""
    said: JSONObject = {}
    counts = encode_usage(usage)
    if counts:
        said["usageMetadata"] = counts
    if model:
        said["modelVersion"] = model
    if name:
        said["responseId"] = name
    return said | {key: value for key, value in meta.items() if key != CANDIDATE}


def _encode_alternative(alternative: Alternative) -> JSONObject:
    return _encode_candidate(alternative.index, alternative.content, alternative.finish, own(alternative.meta))


def _encode_candidate(index: int, content: tuple[Part, ...], finish: Finish | None, meta: Any) -> JSONObject:
    parts: list[JSONObject] = []
    cited: list[Cited] = []
    loose: list[SourcePart] = []
    tokens: list[TokenLogprob] = []
    for part in content:
        if isinstance(part, SourcePart):
            loose.append(part)
            continue
        block = encode_part(part)
        if block is None:
            continue
        if isinstance(part, TextPart):
            if part.text:
                cited.append(Cited(len(parts), part.text, part.sources))
            tokens.extend(part.logprobs or ())
        parts.append(block)
    metadata = dict(meta) if isinstance(meta, dict) else {}
    if tokens and LOGPROBS not in metadata:
        metadata[LOGPROBS] = encode_logprobs(tuple(tokens))
    said: JSONObject = {"content": {"parts": parts, "role": "model"}, "finishReason": encode_finish(finish)}
    return {**said, "index": index, **encode_sources(metadata, cited, loose)}


# Parts


def encode_part(part: Part) -> JSONObject | None:
    """Return a part of an answer; `None` for an empty text, which says nothing, and for another wire's own."""
    match part:
        case TextPart():
            block = encode_text(part)
            return block if part.text or len(block) > 1 else None
        case ReasoningPart():
            block = encode_thought(part)
            return block if part.text or len(block) > 2 else None
        case ToolCall(executed=True):
            return encode_executed_call(part) or _encode_foreign_call(part)
        case ToolCall():
            return _encode_call(part)
        case ToolResult():
            return encode_executed_result(part) or _encode_foreign_result(part)
        case FilePart():
            return encode_file(part, None)
        case OpaquePart():
            return encode_opaque(part)
        case SourcePart():
            return None


def _encode_call(call: ToolCall) -> JSONObject:
    """Return a call's part, its arguments as they were written where they are an object."""
    block = encode_call(call)
    if call.kind == "custom" or not call.arguments.strip():
        return block
    try:
        # Read by the strict reader: the other one takes what no client would.
        written = call.arguments.strip().encode()
        if isinstance(msgspec.json.decode(written), dict):
            block["functionCall"]["args"] = msgspec.Raw(written)
    except ValueError:
        return block
    return block


def _encode_foreign_call(call: ToolCall) -> JSONObject:
    """Return the part of what another wire's provider ran itself."""
    said = _encode_call(structs.replace(call, meta={}))["functionCall"]
    return {"toolCall": {"toolType": said.pop("name"), **said}}


def _encode_foreign_result(result: ToolResult) -> JSONObject:
    said: JSONObject = {"toolType": result.name, "id": result.id}
    if result.text or result.is_error:
        said |= encode_outcome(result.content, result.is_error)
    return {"toolResponse": said}


def _write(value: JSONObject) -> bytes:
    try:
        return json.encode(value)
    except TypeError:
        # Half a character somewhere: what is kept as it was written has to be read, to be mended with the rest.
        return json.encode(_read_raw(value))


def _read_raw(value: Any) -> Any:
    if isinstance(value, msgspec.Raw):
        return json.decode(bytes(value))
    if isinstance(value, dict):
        return {name: _read_raw(member) for name, member in value.items()}
    return [_read_raw(member) for member in value] if isinstance(value, list) else value


# The stream

_EMPTY: Final[JSONObject] = {"text": ""}
"""A part that says nothing. Put before another it tells that this one does not go on with the last chunk's."""


class StreamEncoder:
    """Events of one answer in, frames of bytes out."""

    __slots__ = (
        "_announced",
        "_cited",
        "_held",
        "_last",
        "_loose",
        "_meta",
        "_metas",
        "_open",
        "_pieces",
        "_place",
        "_sources",
        "_start",
        "_streams",
        "_text",
        "_tokens",
        "_told",
        "_usage",
        "_whole",
        "_written",
    )

    def __init__(self, request: GenerateRequest) -> None:
        self._start = StreamStart(model=request.model or None)
        self._usage: Usage | None = None
        self._open: int | None = None  # the part that is written
        self._whole: Part | None = None  # the same, less what comes in deltas
        self._streams = False  # whether its deltas go out as they come
        self._meta: Meta = {}
        self._pieces: list[str] | bytearray = []
        self._text = Text()
        self._sources: list[Source] = []
        self._written = False  # whether something of the part that is open went out
        self._last = ""  # the kind of what the next piece would go on with
        self._place = 0
        self._announced = False
        self._tokens: list[TokenLogprob] = []  # of the piece that is next
        self._told = False  # whether tokens went out
        self._cited: list[Cited] = []
        self._loose: list[SourcePart] = []
        self._held: dict[int, list[Event]] = {}  # what came for parts that wait
        self._metas: dict[int, Meta] = {}  # of parts whose end is known when they begin

    def feed(self, events: Sequence[Event]) -> list[bytes]:
        """Return the frames for these events."""
        frames: list[bytes] = []
        for event in events:
            if type(event) is PartEnd and event.meta:
                self._metas[event.index] = event.meta
        for event in events:
            match event:
                case UsageUpdate():
                    self._usage = event.usage
                case StreamStart():
                    self._start = event
                case StreamEnd():
                    self._end(event, frames)
                case (
                    TextDelta()
                    | ReasoningDelta()
                    | ToolCallDelta()
                    | SourceDelta()
                    | FileDelta()
                    | PartStart()
                    | PartEnd()
                ):
                    self._route(event, frames)
                case _:
                    pass  # raw frames and the steps of a tool loop are not of this wire
        return frames

    def close(self) -> list[bytes]:
        """Return the end of the stream: this wire has no mark for it."""
        return []

    def _route(self, event: Any, frames: list[bytes]) -> None:
        """Write an event of the open part; others wait until its part is whole."""
        if self._open is not None and event.index != self._open:
            self._held.setdefault(event.index, []).append(event)
            return
        self._take(event, frames)
        while self._open is None and self._held:
            index = next(iter(self._held))
            for held in self._held.pop(index):
                self._take(held, frames)

    def _take(self, event: Any, frames: list[bytes]) -> None:
        match event:
            case TextDelta():
                self._text.write(event.text)
                self._take_text(event.text, event.logprobs, frames)
            case ReasoningDelta():
                self._take_text(event.text, None, frames)
            case ToolCallDelta():
                self._pieces.append(event.arguments)  # type: ignore[arg-type]
            case SourceDelta():
                self._sources.append(event.source)
                self._announce(frames)
            case FileDelta():
                self._take_data(event.data, frames)
            case PartStart():
                self._begin(event.index, event.part, frames)
            case PartEnd():
                self._finish_part(event.meta or self._meta, frames)

    def _announce(self, frames: list[bytes]) -> None:
        """Say, as Google does, that sources will come at the end."""
        if not self._announced:
            self._announced = True
            candidate: JSONObject = {"content": {"parts": [_EMPTY], "role": "model"}, "index": 0, GROUNDING: {}}
            frames.append(self._chunk(candidate))

    def _begin(self, index: int, part: Part, frames: list[bytes]) -> None:
        self._open, self._whole = index, part
        self._meta = self._metas.pop(index, part.meta)
        self._text, self._sources, self._written = Text(), [], False
        self._pieces = bytearray() if isinstance(part, FilePart) else []
        marked = any(name != "thought" for name in own(self._meta))
        match part:
            case TextPart():
                self._streams = not marked
                self._sources.extend(part.sources)
                if part.sources:
                    self._announce(frames)
                if part.text or part.logprobs:
                    self._take(TextDelta(index, part.text, part.logprobs), frames)
            case ReasoningPart():
                self._streams = not marked
                if part.text:
                    self._take_text(part.text, None, frames)
            case FilePart() if isinstance(part.data, bytes):
                self._streams = is_sound_piece(part) and not marked and part.name is None
                if part.data:
                    self._take_data(part.data, frames)
            case ToolCall():
                self._streams = False
                self._pieces.append(part.arguments)  # type: ignore[arg-type]
            case _:
                self._streams = False

    def _take_text(self, text: str, tokens: tuple[TokenLogprob, ...] | None, frames: list[bytes]) -> None:
        self._tokens.extend(tokens or ())
        if not self._streams:
            self._pieces.append(text)  # type: ignore[arg-type]
        elif text or tokens:
            thought = isinstance(self._whole, ReasoningPart)
            piece: JSONObject = {"text": text, "thought": True} if thought else {"text": text}
            self._write_piece(piece, "thought" if thought else "text", frames)

    def _take_data(self, data: bytes, frames: list[bytes]) -> None:
        part = self._whole
        if not self._streams or not isinstance(part, FilePart):
            self._pieces.extend(data)  # type: ignore[arg-type]
        elif data:
            self._write_piece(encode_file(structs.replace(part, data=data), None), part.media_type, frames)

    def _write_piece(self, piece: JSONObject, kind: str, frames: list[bytes]) -> None:
        """Write a piece of the part that is open, so that it does not seem to go on with the part before it."""
        parts = [piece] if self._written or self._last != kind else [_EMPTY, piece]
        self._written = True
        self._last = kind
        self._write_chunk(parts, frames)

    def _write_chunk(self, parts: list[JSONObject], frames: list[bytes]) -> None:
        candidate: JSONObject = {"content": {"parts": parts, "role": "model"}, "index": 0}
        if self._tokens:
            candidate[LOGPROBS] = encode_logprobs(tuple(self._tokens))
            self._tokens.clear()
            self._told = True
        frames.append(self._chunk(candidate))

    def _chunk(self, candidate: JSONObject) -> bytes:
        return _frame({"candidates": [candidate], **_frame_of({}, self._start.id, self._start.model, Usage())})

    def _finish_part(self, meta: Meta, frames: list[bytes]) -> None:
        part, self._open, self._whole = self._whole, None, None
        if part is None:
            return
        if isinstance(part, SourcePart):
            self._loose.append(part)
            return
        if not self._streams:
            self._written = self._write_whole(_joined(part, self._pieces, meta), frames)
        if self._written:
            text = str(self._text)
            if isinstance(part, TextPart) and text:
                self._cited.append(Cited(self._place, text, tuple(self._sources)))
            self._place += 1
            if self._streams and own(meta) != own(self._meta) and isinstance(part, TextPart | ReasoningPart):
                # A signature that came behind its words: Google, too, sends it on an empty text then.
                self._place += self._write_whole(structs.replace(part, text="", meta=meta), frames)

    def _write_whole(self, part: Part, frames: list[bytes]) -> bool:
        """Write a part that is whole, and tell whether this wire has a form for it."""
        block = encode_part(part)
        if block is None:
            return False
        self._last = ""
        self._write_chunk([block], frames)
        return True

    def _end(self, event: StreamEnd, frames: list[bytes]) -> None:
        meta = own(event.meta)
        usage = event.usage or self._usage or Usage()
        said: JSONObject = {}
        content = (TextPart(""),) if self._place else ()
        if not _is_blocked(meta, event.finish, content, event.alternatives):
            said["candidates"] = [self._last_candidate(event, meta), *map(_encode_alternative, event.alternatives)]
        frames.append(_frame(said | _frame_of(meta, self._start.id, self._start.model, usage)))

    def _last_candidate(self, event: StreamEnd, meta: JSONObject) -> JSONObject:
        given = meta.get(CANDIDATE)
        metadata = dict(given) if isinstance(given, dict) else {}
        if self._told:
            metadata.pop(LOGPROBS, None)  # said already, chunk by chunk
        said: JSONObject = {
            "content": {"parts": [_EMPTY], "role": "model"},
            "finishReason": encode_finish(event.finish),
        }
        return {**said, "index": 0, **encode_sources(metadata, self._cited, self._loose)}


def _joined(part: Part, pieces: list[str] | bytearray, meta: Meta) -> Part:
    """Return a part with what came of it in deltas."""
    if isinstance(part, FilePart):
        data = bytes(pieces) if isinstance(part.data, bytes) else part.data  # type: ignore[arg-type]
        return structs.replace(part, data=data, meta=meta)
    text = "".join(pieces)  # type: ignore[arg-type]
    if isinstance(part, ToolCall):
        return structs.replace(part, arguments=text, meta=meta)
    if isinstance(part, TextPart | ReasoningPart):
        return structs.replace(part, text=text, meta=meta)
    return structs.replace(part, meta=meta)


def _frame(value: JSONObject) -> bytes:
    # A frame is one line. Line ends stand in no JSON text but between its words, in arguments as they were written.
    line = _write(value).replace(b"\n", b" ").replace(b"\r", b" ")
    return b"data: " + line + b"\r\n\r\n"
