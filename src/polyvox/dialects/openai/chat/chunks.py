"""A server's half of a streamed answer: our events as `chat.completion.chunk` frames.

The rule: what can only be told at the end (citations of no text, what services said beside the answer, further
choices) goes with the last chunks; a call's id and name go once, and pieces by index; the end mark comes last.
https://platform.openai.com/docs/api-reference/chat/streaming
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from msgspec import structs

from polyvox.dialects._media import encode_base64
from polyvox.dialects.openai.chat import wire
from polyvox.dialects.openai.chat.answer import (
    encode_call,
    encode_executed,
    encode_finish,
    encode_image,
    encode_logprob,
    encode_logprobs,
    encode_message,
    encode_search,
    encode_source,
    is_legacy,
    is_transcript,
    marks,
    own,
)
from polyvox.dialects.openai.chat.fields import DIALECT
from polyvox.dialects.openai.chat.usage import encode_usage
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
from polyvox.types.generate import Alternative, GenerateRequest
from polyvox.types.parts import FilePart, Meta, Part, ReasoningPart, SourcePart, TextPart, ToolCall, ToolResult
from polyvox.types.usage import Usage

END_MARK: Final = b"data: [DONE]\n\n"


class StreamEncoder:
    """Events of one answer in, frames of bytes out. Usage is sent where the request asked for it."""

    def __init__(self, request: GenerateRequest) -> None:
        self._asks_usage = _asks_usage(request)
        self._head: dict[str, Any] = {"id": "", "object": "chat.completion.chunk", "created": 0, "model": ""}
        self._parts: dict[int, Part] = {}
        self._metas: dict[int, Meta] = {}
        self._calls: dict[int, int] = {}
        self._executed: dict[int, Part] = {}
        self._lengths: dict[int, int] = {}
        self._bytes: dict[int, bytearray] = {}
        self._legacy: int | None = None
        self._thought = False  # whether reasoning was said: what is said after it in another part stands apart
        self._gap = ""
        self._usage: Usage | None = None

    def feed(self, events: Sequence[Event]) -> list[bytes]:
        """Return the frames for these events."""
        frames: list[bytes] = []
        # A whole answer comes as one list: what its parts end with is known at their start.
        self._metas.update((event.index, event.meta) for event in events if type(event) is PartEnd and event.meta)
        for event in events:
            self._feed(event, frames)
        return frames

    def _feed(self, event: Event, frames: list[bytes]) -> None:
        match event:
            case TextDelta():
                frames.append(self._text(event))
            case ReasoningDelta():
                frames.append(self._delta({"reasoning_content": self._gap + event.text}))
                self._gap, self._thought = "", True
            case ToolCallDelta():
                frames += self._call_delta(event)
            case FileDelta():
                frames += self._file(event)
            case StreamStart():
                self._head |= {"id": event.id or "", "created": int(time.time()), "model": event.model or ""}
                frames.append(self._delta({"role": "assistant", "content": ""}))
            case PartStart():
                frames += self._start(event)
            case SourceDelta():
                offset = sum(length for index, length in self._lengths.items() if index < event.index)
                frames.append(self._delta({"annotations": [encode_source(event.source, offset)]}))
            case PartEnd():
                frames += self._end(event)
            case UsageUpdate():
                self._usage = event.usage
            case StreamEnd():
                frames += self._finish(event)
            case _:
                pass  # raw frames and the steps of a tool loop are not of this wire

    def _delta(self, delta: dict[str, Any], index: int = 0, **facts: Any) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None, **facts}
        return self._frame({**self._head, "choices": [choice]})

    @staticmethod
    def _frame(body: dict[str, Any]) -> bytes:
        return b"data: " + json.encode(body) + b"\n\n"

    def _text(self, event: TextDelta) -> bytes:
        part = self._parts.get(event.index)
        refused = isinstance(part, TextPart) and part.refusal
        name = "refusal" if refused else "content"
        logprobs = None
        if event.logprobs:
            logprobs = {"content": None, "refusal": None, name: [encode_logprob(token) for token in event.logprobs]}
        if is_transcript(self._metas.get(event.index) or (part.meta if part is not None else {})):
            return self._delta({"audio": {"transcript": event.text}}, logprobs=logprobs)
        if not refused:
            self._lengths[event.index] = self._lengths.get(event.index, 0) + len(event.text)
        return self._delta({name: event.text}, logprobs=logprobs)

    def _start(self, event: PartStart) -> list[bytes]:
        part = event.part
        if isinstance(part, ReasoningPart) and self._thought:
            self._gap = "\n\n"
        self._parts[event.index] = part
        match part:
            case ToolCall() if not part.executed and is_legacy(self._metas.get(event.index) or part.meta):
                self._legacy = event.index
                return [self._delta({"function_call": {"name": part.name, "arguments": part.arguments}})]
            case ToolCall() if not part.executed:
                place = self._calls[event.index] = len(self._calls)
                return [self._delta({"tool_calls": [{"index": place, **encode_call(part, part.arguments)}]})]
            case ToolCall() | ToolResult():
                self._executed[event.index] = part
            case TextPart() if part.text:
                return [self._text(TextDelta(event.index, part.text))]
            case ReasoningPart() if part.text:
                return [self._delta({"reasoning_content": part.text})]
            case FilePart() if isinstance(part.data, bytes):
                self._bytes[event.index] = bytearray(part.data)
        return []

    def _call_delta(self, event: ToolCallDelta) -> list[bytes]:
        place, part = self._calls.get(event.index), self._parts.get(event.index)
        if not isinstance(part, ToolCall):
            return []
        if event.index == self._legacy:
            return [self._delta({"function_call": {"arguments": event.arguments}})]
        if place is None:
            self._executed[event.index] = self._parts[event.index] = structs.replace(
                part, arguments=part.arguments + event.arguments
            )
            return []
        held = "custom" if part.kind == "custom" else "function"
        member = "input" if part.kind == "custom" else "arguments"
        return [self._delta({"tool_calls": [{"index": place, held: {member: event.arguments}}]})]

    def _file(self, event: FileDelta) -> list[bytes]:
        part, held = self._parts.get(event.index), self._bytes.setdefault(event.index, bytearray())
        held += event.data
        if not (isinstance(part, FilePart) and part.media_type.startswith("audio/")):
            return []  # a picture goes whole, at its end
        whole = len(held) - len(held) % 3
        data = bytes(held[:whole])
        del held[:whole]
        return [self._delta({"audio": {"data": encode_base64(data)}})] if data else []

    def _end(self, event: PartEnd) -> list[bytes]:
        part, said = self._parts.get(event.index), own(event.meta)
        if isinstance(part, FilePart):
            return self._end_file(event.index, part, event.meta)
        if isinstance(part, TextPart) and "audio" in said:
            return [self._delta({"audio": said["audio"]})]
        if isinstance(part, ReasoningPart) and said.get("reasoning_details"):
            return [self._delta({"reasoning_details": said["reasoning_details"]})]
        if isinstance(part, ToolCall) and event.index in self._calls and "extra_content" in said:
            place = self._calls[event.index]
            return [self._delta({"tool_calls": [{"index": place, "extra_content": said["extra_content"]}]})]
        return []

    def _end_file(self, index: int, part: FilePart, meta: Meta) -> list[bytes]:
        rest = bytes(self._bytes.pop(index, b""))
        if part.media_type.startswith("audio/") and isinstance(part.data, bytes):
            audio = {**own(meta).get("audio", {}), **({"data": encode_base64(rest)} if rest else {})}
            return [self._delta({"audio": audio})] if audio else []
        data = rest if isinstance(part.data, bytes) else part.data
        image = encode_image(structs.replace(part, data=data, meta=meta or part.meta))
        return [self._delta({"images": [image]})] if image is not None else []

    def _finish(self, event: StreamEnd) -> list[bytes]:
        frames = [frame for other in event.alternatives for frame in self._alternative(other)]
        executed = encode_executed(
            structs.replace(part, meta=self._metas.get(index, part.meta)) for index, part in self._executed.items()
        )
        if executed:
            frames.append(self._delta({"executed_tools": executed}))
        word = encode_finish(event.finish, legacy=self._legacy is not None)
        facts = {"finish_reason": word, **marks(event.meta, wire.CHOICE)}
        if (logprobs := encode_logprobs((), event.meta)) is not None:
            facts["logprobs"] = logprobs
        choice = {"index": 0, "delta": marks(event.meta, wire.MESSAGE), "logprobs": None, **facts}
        sources = [
            structs.replace(part, meta=self._metas.get(index, part.meta))
            for index, part in self._parts.items()
            if isinstance(part, SourcePart)
        ]
        envelope = marks(event.meta, (name for name in wire.ENVELOPE if name != "created"))
        frames.append(self._frame({**self._head, **envelope, "choices": [choice], **encode_search(sources)}))
        usage = encode_usage(event.usage or self._usage or Usage())
        if usage is not None and self._asks_usage:
            frames.append(self._frame({**self._head, "choices": [], "usage": usage}))
        return frames

    def _alternative(self, other: Alternative) -> list[bytes]:
        message = {**encode_message(other.content), **marks(other.meta, wire.MESSAGE)}
        for place, call in enumerate(message.get("tool_calls", ())):
            call["index"] = place
        facts = {"finish_reason": encode_finish(other.finish), **marks(other.meta, wire.CHOICE)}
        return [
            self._delta(message, other.index, logprobs=encode_logprobs(other.content, other.meta)),
            self._delta({}, other.index, **facts),
        ]

    def close(self) -> list[bytes]:
        """Return the end mark."""
        return [END_MARK]


def _asks_usage(request: GenerateRequest) -> bool:
    """Tell whether the client asked for usage. One that is not of this wire has no way to ask: it is sent."""
    residue = request.residue
    if residue is None or residue.dialect != DIALECT:
        return True
    # Our own encoder asks for it: a request that did not differs from ours there.
    return not any(change.path[:1] == ("stream_options",) and change.theirs is not True for change in residue.changes)
