"""A server's half of an answer: our response as a body, our events as a stream.

The rule: what a client of this wire reads is written as OpenAI writes it; reasoning goes as `reasoning_content`, which
most of its clients know. What the wire has no place for is listed as a loss in docs/dialects/openai-chat.md.
https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from polyvox.dialects._media import encode_base64, encode_data_url
from polyvox.dialects.openai.chat.extras import DIALECT
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
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.parts import (
    FilePart,
    Meta,
    Part,
    ReasoningPart,
    Source,
    SourcePart,
    TextPart,
    TokenLogprob,
    ToolCall,
    Url,
)
from polyvox.types.usage import Usage

_FINISHES: Final = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "pause": "stop",
    "error": "error",
    "other": "stop",
}


def encode_finish(finish: Finish | None) -> str:
    """Return the wire's word for why an answer ended."""
    return _FINISHES[finish.reason] if finish is not None else "stop"


def encode_response(response: GenerateResponse[Any]) -> bytes:
    """Return a `chat.completion` body."""
    choices = [_choice(0, response.content, response.finish)]
    choices += [_choice(other.index, other.content, other.finish) for other in response.alternatives]
    body: dict[str, Any] = {
        "id": response.id or "",
        "object": "chat.completion",
        "created": _created(response.meta),
        "model": response.model or "",
        "choices": choices,
    }
    usage = encode_usage(response.usage)
    if usage is not None:
        body["usage"] = usage
    return json.encode(body)


def _created(meta: Meta) -> Any:
    return meta.get(DIALECT, {}).get("created") or int(time.time())


def _choice(index: int, content: Sequence[Part], finish: Finish | None) -> dict[str, Any]:
    message = _message(content)
    tokens = [token for part in content if isinstance(part, TextPart) for token in part.logprobs or ()]
    return {
        "index": index,
        "message": message,
        "logprobs": {"content": [encode_logprob(token) for token in tokens], "refusal": None} if tokens else None,
        "finish_reason": encode_finish(finish),
    }


def _message(content: Sequence[Part]) -> dict[str, Any]:
    texts = [part for part in content if isinstance(part, TextPart)]
    said = [part.text for part in texts if not part.refusal and not is_transcript(part.meta)]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(said) if said else None}
    refusals = [part.text for part in texts if part.refusal]
    message["refusal"] = "".join(refusals) if refusals else None
    reasoning = [part for part in content if isinstance(part, ReasoningPart)]
    if any(part.text for part in reasoning):
        message["reasoning_content"] = "\n\n".join(part.text for part in reasoning if part.text)
    details = [item for part in reasoning for item in part.meta.get(DIALECT, {}).get("reasoning_details", ())]
    if details:
        message["reasoning_details"] = details
    annotations = encode_annotations(content)
    if annotations:
        message["annotations"] = annotations
    calls = [part for part in content if isinstance(part, ToolCall) and not part.executed]
    if calls:
        message["tool_calls"] = [encode_call(call, call.arguments) for call in calls]
    transcript = "".join(part.text for part in texts if is_transcript(part.meta))
    _add_files(message, content, transcript)
    return message


def _add_files(message: dict[str, Any], content: Sequence[Part], transcript: str) -> None:
    for part in content:
        if not isinstance(part, FilePart):
            continue
        if part.media_type.startswith("audio/") and isinstance(part.data, bytes):
            spoken = part.meta.get(DIALECT, {}).get("audio", {})
            message["audio"] = {**spoken, "data": encode_base64(part.data), "transcript": transcript}
            transcript = ""
        elif (image := _image(part)) is not None:
            message.setdefault("images", []).append(image)
    if transcript:
        message["audio"] = {"transcript": transcript}


def _image(part: FilePart) -> dict[str, Any] | None:
    if isinstance(part.data, bytes):
        url = encode_data_url(part.media_type, part.data)
    elif isinstance(part.data, Url):
        url = part.data.url
    else:
        return None
    return {"type": "image_url", "image_url": {"url": url}, **part.meta.get(DIALECT, {})}


def is_transcript(meta: Meta) -> bool:
    """Tell whether a text is the transcript of a spoken answer."""
    return bool(meta.get(DIALECT, {}).get("transcript"))


def encode_annotations(content: Sequence[Part]) -> list[dict[str, Any]]:
    """Return citations as annotations; offsets count from the start of all the message's text."""
    said: list[dict[str, Any]] = []
    offset = 0
    for part in content:
        if isinstance(part, TextPart) and not part.refusal:
            said += [encode_source(source, offset) for source in part.sources]
            offset += len(part.text)
        elif isinstance(part, SourcePart):
            said.append(encode_source(Source(url=part.url, title=part.title, text=part.text), 0))
    return said


def encode_source(source: Source, offset: int) -> dict[str, Any]:
    """Return one annotation."""
    own = source.meta.get(DIALECT, {})
    if "annotation" in own:
        annotation: dict[str, Any] = own["annotation"]
        return annotation
    held: dict[str, Any] = {"url": source.url or "", "title": source.title or ""}
    if source.text is not None:
        held["content"] = source.text
    if source.start is not None:
        held["start_index"] = source.start + offset
    if source.end is not None:
        held["end_index"] = source.end + offset
    return {"type": "url_citation", "url_citation": {**own, **held}}


def encode_call(call: ToolCall, arguments: str) -> dict[str, Any]:
    """Return one tool call."""
    if call.kind == "custom":
        told: dict[str, Any] = {"type": "custom", "custom": {"name": call.name, "input": arguments}}
    else:
        told = {"type": "function", "function": {"name": call.name, "arguments": arguments}}
    extra = call.meta.get(DIALECT, {}).get("extra_content")
    return {"id": call.id, **told, **({"extra_content": extra} if extra is not None else {})}


def encode_logprob(token: TokenLogprob) -> dict[str, Any]:
    """Return one token's probability."""
    return {
        "token": token.token,
        "logprob": token.logprob,
        "bytes": None if token.bytes is None else list(token.bytes),
        "top_logprobs": [encode_logprob(other) for other in token.top],
    }


class StreamEncoder:
    """Events of one answer in, frames of bytes out. Usage is sent where the request asked for it."""

    def __init__(self, request: GenerateRequest) -> None:
        self._asks_usage = _asks_usage(request)
        self._head: dict[str, Any] = {"id": "", "object": "chat.completion.chunk", "created": 0, "model": ""}
        self._parts: dict[int, Part] = {}
        self._calls: dict[int, int] = {}
        self._lengths: dict[int, int] = {}
        self._rest: dict[int, bytes] = {}
        self._usage: Usage | None = None

    def feed(self, events: Sequence[Event]) -> list[bytes]:
        """Return the frames for these events."""
        frames: list[bytes] = []
        for event in events:
            self._feed(event, frames)
        return frames

    def _feed(self, event: Event, frames: list[bytes]) -> None:
        match event:
            case TextDelta():
                frames.append(self._text(event))
            case ReasoningDelta():
                frames.append(self._delta({"reasoning_content": event.text}))
            case ToolCallDelta():
                frames += self._call_delta(event)
            case StreamStart():
                self._head = {
                    "id": event.id or "",
                    "object": "chat.completion.chunk",
                    "created": int(time.time()),
                    "model": event.model or "",
                }
                frames.append(self._delta({"role": "assistant", "content": ""}))
            case PartStart():
                frames += self._start(event)
            case SourceDelta():
                offset = sum(length for index, length in self._lengths.items() if index < event.index)
                frames.append(self._delta({"annotations": [encode_source(event.source, offset)]}))
            case FileDelta():
                frames += self._file(event)
            case PartEnd():
                frames += self._end(event)
            case UsageUpdate():
                self._usage = event.usage
            case StreamEnd():
                self._finish(event, frames)
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
        logprobs = None
        if event.logprobs:
            logprobs = {"content": [encode_logprob(token) for token in event.logprobs], "refusal": None}
        if isinstance(part, TextPart) and part.refusal:
            return self._delta({"refusal": event.text}, logprobs=logprobs)
        self._lengths[event.index] = self._lengths.get(event.index, 0) + len(event.text)
        return self._delta({"content": event.text}, logprobs=logprobs)

    def _start(self, event: PartStart) -> list[bytes]:
        part = self._parts[event.index] = event.part
        match part:
            case ToolCall() if not part.executed:
                place = self._calls[event.index] = len(self._calls)
                return [self._delta({"tool_calls": [{"index": place, **encode_call(part, part.arguments)}]})]
            case TextPart() if part.text:
                return [self._text(TextDelta(event.index, part.text))]
            case ReasoningPart() if part.text:
                return [self._delta({"reasoning_content": part.text})]
            case SourcePart():
                return [self._delta({"annotations": encode_annotations((part,))})]
            case FilePart() if not part.media_type.startswith("audio/") and part.data != b"":
                image = _image(part)
                return [] if image is None else [self._delta({"images": [image]})]
            case _:
                return []

    def _call_delta(self, event: ToolCallDelta) -> list[bytes]:
        place, part = self._calls.get(event.index), self._parts.get(event.index)
        if place is None:
            return []
        held = {"custom": {"input": event.arguments}}
        if not (isinstance(part, ToolCall) and part.kind == "custom"):
            held = {"function": {"arguments": event.arguments}}
        return [self._delta({"tool_calls": [{"index": place, **held}]})]

    def _file(self, event: FileDelta) -> list[bytes]:
        part = self._parts.get(event.index)
        if not (isinstance(part, FilePart) and part.media_type.startswith("audio/")):
            # A picture goes whole: its bytes are gathered until its end.
            self._rest[event.index] = self._rest.get(event.index, b"") + event.data
            return []
        data = self._rest.pop(event.index, b"") + event.data
        whole = len(data) - len(data) % 3
        if data[whole:]:
            self._rest[event.index] = data[whole:]
        return [self._delta({"audio": {"data": encode_base64(data[:whole])}})] if whole else []

    def _end(self, event: PartEnd) -> list[bytes]:
        part = self._parts.get(event.index)
        own = event.meta.get(DIALECT, {})
        rest = self._rest.pop(event.index, b"")
        frames: list[bytes] = []
        if isinstance(part, FilePart) and part.media_type.startswith("audio/"):
            said = {**own.get("audio", {}), **({"data": encode_base64(rest)} if rest else {})}
            if said:
                frames.append(self._delta({"audio": said}))
        elif isinstance(part, FilePart) and rest:
            url = {"type": "image_url", "image_url": {"url": encode_data_url(part.media_type, rest)}}
            frames.append(self._delta({"images": [url]}))
        elif isinstance(part, ReasoningPart) and own.get("reasoning_details"):
            frames.append(self._delta({"reasoning_details": own["reasoning_details"]}))
        elif isinstance(part, ToolCall) and event.index in self._calls and own.get("extra_content") is not None:
            place = self._calls[event.index]
            frames.append(self._delta({"tool_calls": [{"index": place, "extra_content": own["extra_content"]}]}))
        return frames

    def _finish(self, event: StreamEnd, frames: list[bytes]) -> None:
        for other in event.alternatives:
            message = _message(other.content)
            del message["refusal"]
            for place, call in enumerate(message.get("tool_calls", ())):
                call["index"] = place
            frames.append(self._delta(message, other.index))
            frames.append(self._delta({}, other.index, finish_reason=encode_finish(other.finish)))
        frames.append(self._delta({}, finish_reason=encode_finish(event.finish)))
        usage = encode_usage(event.usage or self._usage or Usage())
        if usage is not None and self._asks_usage:
            frames.append(self._frame({**self._head, "choices": [], "usage": usage}))

    def close(self) -> list[bytes]:
        """Return the end mark."""
        return [b"data: [DONE]\n\n"]


def _asks_usage(request: GenerateRequest) -> bool:
    """Tell whether the client asked for usage. One that is not of this wire has no way to ask: it is sent."""
    residue = request.residue
    if residue is None or residue.dialect != DIALECT:
        return True
    # Our own encoder asks for it: a request that did not differs from ours there.
    return not any(change.path[:1] == ("stream_options",) and change.theirs is not True for change in residue.changes)
