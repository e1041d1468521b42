"""A server's half of an answer: our response as a body, our events as a stream.

The rule: what a client of this wire reads is written as Ollama writes it: text and thinking as they come, calls and
pictures whole, why it ended and the counts in the last line. What the wire has no place for is listed as a loss in
docs/dialects/ollama.md. https://docs.ollama.com/api/chat
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import structs

from polyvox.dialects._media import encode_base64
from polyvox.dialects._reading import JSONObject
from polyvox.dialects.ollama.calls import encode_call
from polyvox.dialects.ollama.fields import own
from polyvox.dialects.ollama.reader import FINISHES, encode_logprob
from polyvox.dialects.ollama.usage import encode_usage
from polyvox.framing import json
from polyvox.types.events import (
    Event,
    FileDelta,
    PartEnd,
    PartStart,
    ReasoningDelta,
    StreamEnd,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    UsageUpdate,
)
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.parts import FilePart, Meta, Part, ReasoningPart, TextPart, TokenLogprob, ToolCall
from polyvox.types.usage import Usage


def encode_finish(finish: Finish | None, called: bool) -> str | None:
    """Return the wire's word for why an answer ended. After calls it is `stop`, as Ollama has it."""
    if finish is None:
        return None
    if finish.reason == "tool_calls":
        return "stop" if called else "tool_calls"
    if finish.raw is not None and FINISHES.get(finish.raw, "other") == finish.reason:
        return finish.raw
    return finish.reason


def encode_response(response: GenerateResponse[Any]) -> bytes:
    """Return the body of a whole answer."""
    meta = dict(own(response.meta))
    message: JSONObject = {"role": "assistant", "content": "", **_pop_message(meta)}
    texts = [part for part in response.content if isinstance(part, TextPart)]
    message["content"] = "".join(part.text for part in texts)
    thinking = "\n\n".join(part.text for part in response.content if isinstance(part, ReasoningPart) and part.text)
    if thinking:
        message["thinking"] = thinking
    calls = [part for part in response.content if isinstance(part, ToolCall) and not part.executed]
    if calls:
        message["tool_calls"] = [encode_call(call, exact=True) for call in calls]
    images = [image for part in response.content if (image := _encode_image(part)) is not None]
    if images:
        message["images"] = images
    said: JSONObject = {"model": response.model or "", "created_at": _now(), **meta, "message": message, "done": True}
    logprobs = [token for part in texts for token in part.logprobs or ()]
    if logprobs:
        said["logprobs"] = [encode_logprob(token) for token in logprobs]
    return _written(said | _ending(response.finish, bool(calls), response.usage))


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _pop_message(meta: JSONObject) -> JSONObject:
    rest = meta.pop("message", None)
    return rest if isinstance(rest, dict) else {}


def _ending(finish: Finish | None, called: bool, usage: Usage) -> JSONObject:
    reason = encode_finish(finish, called)
    return {**({} if reason is None else {"done_reason": reason}), **encode_usage(usage)}


def _encode_image(part: Part) -> str | None:
    """Return a picture's base64; `None` for what is no picture, or only an address of one."""
    if not isinstance(part, FilePart) or not part.media_type.startswith("image/"):
        return None
    return encode_base64(part.data) if isinstance(part.data, bytes) else None


def _written(said: JSONObject) -> bytes:
    """Write a line. Arguments in it stand as they were written."""
    try:
        return msgspec.json.encode(said)
    except UnicodeEncodeError:
        # A lone half of a character: the one writer that mends it takes no raw text.
        calls = said["message"].get("tool_calls") or []
        for call in calls:
            arguments = call["function"]["arguments"]
            if isinstance(arguments, msgspec.Raw):
                call["function"]["arguments"] = json.decode(bytes(arguments))
        return json.encode(said)


# The stream


class StreamEncoder:
    """Events of one answer in, lines of bytes out."""

    __slots__ = ("_calls", "_model", "_parts", "_texts", "_thoughts", "_usage")

    def __init__(self, request: GenerateRequest) -> None:
        self._model = request.model or ""
        self._parts: dict[int, Part] = {}
        self._texts: dict[int, list[Any]] = {}  # of calls and pictures, which are written whole
        self._thoughts: set[int] = set()  # the parts of thinking that were written
        self._calls = 0
        self._usage = Usage()

    def feed(self, events: Sequence[Event]) -> list[bytes]:
        """Return the lines for these events."""
        lines: list[bytes] = []
        for event in events:
            match event:
                case TextDelta():
                    self._say(lines, event.logprobs, content=event.text)
                case ReasoningDelta() if event.text:
                    self._say_thinking(event.index, event.text, lines)
                case ToolCallDelta():
                    self._texts[event.index].append(event.arguments)
                case FileDelta():
                    self._texts[event.index].append(event.data)
                case PartStart():
                    self._start(event.index, event.part, lines)
                case PartEnd():
                    self._end_part(self._parts.get(event.index), event, lines)
                case UsageUpdate():
                    self._usage = event.usage
                case StreamStart():
                    self._model = event.model or self._model
                case StreamEnd():
                    self._usage = event.usage or self._usage
                    self._end(event, lines)
                case _:
                    pass  # sources, raw frames and the steps of a tool loop are not of this wire
        return lines

    def _say(self, lines: list[bytes], logprobs: Iterable[TokenLogprob] | None = None, **members: Any) -> None:
        message = {"role": "assistant", "content": "", **members}
        said: JSONObject = {"model": self._model, "created_at": _now(), "message": message, "done": False}
        if logprobs:
            said["logprobs"] = [encode_logprob(token) for token in logprobs]
        lines.append(_written(said) + b"\n")

    def _start(self, index: int, part: Part, lines: list[bytes]) -> None:
        self._parts[index] = part
        self._texts[index] = []
        match part:
            case TextPart() if part.text or part.logprobs:
                self._say(lines, part.logprobs, content=part.text)
            case ReasoningPart() if part.text:
                self._say_thinking(index, part.text, lines)
            case _:
                pass

    def _say_thinking(self, index: int, text: str, lines: list[bytes]) -> None:
        """Write a piece of thinking; what is another part of it stands apart."""
        if self._thoughts and index not in self._thoughts:
            text = f"\n\n{text}"
        self._thoughts.add(index)
        self._say(lines, thinking=text)

    def _end_part(self, part: Part | None, event: PartEnd, lines: list[bytes]) -> None:
        meta: Meta = event.meta or (part.meta if part is not None else {})
        pieces = self._texts.get(event.index, [])
        if isinstance(part, ToolCall) and not part.executed:
            call = structs.replace(part, arguments=part.arguments + "".join(pieces), meta=meta)
            # A line break in what was written would end the line.
            self._say(lines, tool_calls=[encode_call(call, exact="\n" not in call.arguments)])
            self._calls += 1
        elif isinstance(part, FilePart):
            whole = part.data + b"".join(pieces) if isinstance(part.data, bytes) else part.data
            image = _encode_image(structs.replace(part, data=whole))
            if image is not None:
                self._say(lines, images=[image])

    def _end(self, event: StreamEnd, lines: list[bytes]) -> None:
        meta = dict(own(event.meta))
        message = {"role": "assistant", "content": "", **_pop_message(meta)}
        said = {"model": self._model, "created_at": _now(), **meta, "message": message, "done": True}
        lines.append(_written(said | _ending(event.finish, self._calls > 0, self._usage)) + b"\n")

    def close(self) -> list[bytes]:
        """Return nothing: the last line says that it is the last."""
        return []
