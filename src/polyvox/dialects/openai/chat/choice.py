"""One choice of an answer: its message, whole or in pieces, becomes events.

The rule: a whole message is read as one delta, so that a stream and a whole answer cannot be understood differently.
"""

from __future__ import annotations

from typing import Any, Final

from polyvox.dialects._media import ANY_AUDIO, ANY_IMAGE, decode_base64, decode_data_url, is_data_url, sniff
from polyvox.dialects._parts import Parts
from polyvox.dialects.openai.chat import wire
from polyvox.dialects.openai.chat.extras import (
    DIALECT,
    arguments_text,
    decode_annotation,
    decode_logprobs,
    merge_detail,
    readable,
)
from polyvox.framing import json
from polyvox.types.events import Event, FileDelta, ReasoningDelta, SourceDelta, TextDelta, ToolCallDelta
from polyvox.types.generate import Finish, FinishReason
from polyvox.types.parts import (
    FilePart,
    Meta,
    OpaquePart,
    ReasoningPart,
    Source,
    SourcePart,
    TextPart,
    TokenLogprob,
    ToolCall,
    Url,
)

_FINISHES: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",  # Mistral: the context is full
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "error": "error",
    "insufficient_system_resource": "error",  # DeepSeek
}


class Call:
    """A tool call as it comes. Its part is started when its name is known."""

    __slots__ = ("held", "id", "index", "kind", "meta", "name")

    def __init__(self) -> None:
        self.index: int | None = None
        self.id = ""
        self.name = ""
        self.kind: Any = "function"
        self.held = ""
        self.meta: dict[str, Any] = {}


class ChoiceReader:
    """Deltas of one choice in, events out."""

    __slots__ = (
        "_audio",
        "_audio_rest",
        "_calls",
        "_details",
        "_halves",
        "_last_call",
        "_listed",
        "_parts",
        "_reasoning_meta",
        "_refusal",
        "_sources",
        "_spoken",
        "_transcript",
        "_unbound_logprobs",
        "finish_raw",
        "finished",
        "meta",
        "reasoning",
        "text",
    )

    def __init__(self) -> None:
        self._parts = Parts()
        self.text: int | None = None  # the open text part; read by the decoder's fast path
        self.reasoning: int | None = None
        self._refusal: int | None = None
        self._transcript: int | None = None
        self._audio: int | None = None
        self._audio_rest = ""
        self._spoken: dict[str, Any] = {}
        self._calls: dict[Any, Call] = {}
        self._last_call: Call | None = None
        self._listed = False
        self._halves: dict[int, str] = {}
        self._details: list[Any] = []
        self._reasoning_meta: dict[str, Any] = {}
        self._sources: list[Source] = []
        self._unbound_logprobs: list[Any] = []
        self.finish_raw: str | None = None
        self.finished = False
        self.meta: dict[str, Any] = {}

    @property
    def plain(self) -> bool:
        """Whether a plain text may be handed on as it is: no half of a character is held."""
        return not self._halves

    @property
    def count(self) -> int:
        """How many parts were started."""
        return self._parts.count

    def feed(self, choice: wire.Choice, message: wire.Message | None, events: list[Event]) -> None:
        """Take in one delta, or a whole message."""
        if message is not None:
            self._feed_reasoning(message, events)
            if message.content is not None:
                self._feed_content(message.content, choice.logprobs, events)
            elif choice.logprobs is not None:
                self._feed_logprobs(choice.logprobs, events)
            self._feed_rest(message, events)
        for name in wire.CHOICE:
            value = getattr(choice, name)
            if value:
                self.meta[name] = value
        if choice.finish_reason is not None:
            self.finished = True
            self.finish_raw = choice.finish_reason or self.finish_raw

    def _feed_rest(self, message: wire.Message, events: list[Event]) -> None:
        """Take in what most deltas do not have."""
        if message.refusal:
            self._feed_refusal(message.refusal, events)
        if message.audio is not None:
            self._feed_audio(message.audio, events)
        for image in message.images or ():
            self._feed_image(image, events)
        for place, call in enumerate(message.tool_calls or ()):
            self._feed_call(call, place, events)
        if message.function_call is not None:
            self._feed_function_call(message.function_call, events)
        for annotation in message.annotations or ():
            self._feed_annotation(annotation, events)
        if message.executed_tools:
            self.meta["executed_tools"] = message.executed_tools
        if message.thought_signature:
            self.meta["thought_signature"] = message.thought_signature

    def close(self, events: list[Event]) -> None:
        """End what is open, and hand on what was held."""
        for index, half in self._halves.items():
            if half:
                events.append(self._delta(index, "\ufffd"))
        self._halves = {}
        for call in self._calls.values():
            if call.index is None:
                self._start_call(call, events)
        if self._audio_rest:
            self._feed_audio_data("", events, last=True)
        for source in self._sources:
            # Citations that came with no text to stand on.
            index = self._parts.start(SourcePart(source.url, source.title, source.text, source.meta), events)
            self._parts.end(index, events, source.meta)
        metas: dict[int, Meta] = {}
        if self.reasoning is not None:
            metas[self.reasoning] = self._closing_reasoning()
        if self._audio is not None:
            metas[self._audio] = {DIALECT: {"audio": self._spoken}}
        if self._transcript is not None:
            metas[self._transcript] = {DIALECT: {"transcript": True}}
        for call in self._calls.values():
            if call.index is not None and call.meta:
                metas[call.index] = {DIALECT: call.meta}
        self._parts.end_all(events, metas)
        self.text = self.reasoning = self._refusal = None

    def finish(self) -> Finish:
        """Return why it ended. Tool calls are told by their presence: many services say `stop` with them."""
        raw = self.finish_raw
        reason = _FINISHES.get((raw or "").lower(), "other")
        if reason in ("stop", "other", "tool_calls") and any(call.name for call in self._calls.values()):
            reason = "tool_calls"
        elif reason in ("stop", "other") and self._refusal_said:
            reason = "content_filter"
        return Finish(reason, raw)

    @property
    def _refusal_said(self) -> bool:
        return self._parts.saw_refusal

    # Text

    def _feed_content(self, content: Any, logprobs: dict[str, Any] | None, events: list[Event]) -> None:
        if isinstance(content, str):
            tokens = decode_logprobs(logprobs)
            if content or tokens:
                self._write_text(content, tokens, events)
            return
        if not isinstance(content, list):
            return
        for item in content:
            self._feed_item(item, events)

    def _write_text(self, text: str, tokens: tuple[TokenLogprob, ...] | None, events: list[Event]) -> None:
        if self._listed and self.reasoning is not None:
            self._end_reasoning(events)
        if self.text is None:
            self.text = self._parts.start(TextPart(""), events)
            events.extend(SourceDelta(self.text, source) for source in self._sources)
            self._sources = []
        text = self._join(self.text, text)
        if text or tokens:
            events.append(TextDelta(self.text, text, tokens))

    def _feed_item(self, item: Any, events: list[Event]) -> None:
        """Take in an item of a content that is a list (Mistral's thinking and text; pictures elsewhere)."""
        kind = item.get("type") if isinstance(item, dict) else None
        if kind == "text" and isinstance(item.get("text"), str):
            if item["text"]:
                self._write_text(item["text"], None, events)
        elif kind == "thinking":
            self._listed = True
            pieces = item.get("thinking")
            texts = (
                [piece.get("text") for piece in pieces if isinstance(piece, dict)] if isinstance(pieces, list) else []
            )
            text = pieces if isinstance(pieces, str) else "".join(piece for piece in texts if isinstance(piece, str))
            self._end_text(events)
            self._write_reasoning(text, "thinking", events)
            marks = {name: item[name] for name in ("signature", "closed") if item.get(name) is not None}
            self._reasoning_meta.update(marks)
        elif kind == "image_url":
            self._feed_image(item, events)
        else:
            index = self._parts.start(OpaquePart(str(kind), {DIALECT: item if isinstance(item, dict) else {}}), events)
            self._parts.end(index, events)

    def _end_text(self, events: list[Event]) -> None:
        if self.text is not None:
            self._parts.end(self.text, events)
            self.text = None

    def _feed_logprobs(self, logprobs: dict[str, Any], events: list[Event]) -> None:
        tokens = decode_logprobs(logprobs)
        if tokens and self.text is not None:
            events.append(TextDelta(self.text, "", tokens))

    def _feed_refusal(self, refusal: str, events: list[Event]) -> None:
        if self._refusal is None:
            self._refusal = self._parts.start(TextPart("", refusal=True), events)
        text = self._join(self._refusal, refusal)
        if text:
            events.append(TextDelta(self._refusal, text))

    def _join(self, index: int, text: str) -> str:
        """Join the halves of a character that was cut between two deltas."""
        held = self._halves.pop(index, "")
        if not held and text.isascii():
            return text
        text, held = json.join_halves(held, text)
        if held:
            self._halves[index] = held
        return text

    def _delta(self, index: int, text: str) -> Event:
        return ReasoningDelta(index, text) if index == self.reasoning else TextDelta(index, text)

    # Reasoning

    def _feed_reasoning(self, message: wire.Message, events: list[Event]) -> None:
        said = {
            name: text
            for name, text in (("reasoning_content", message.reasoning_content), ("reasoning", message.reasoning))
            if text
        }
        if len(said) == 2 and said["reasoning"] == said["reasoning_content"]:
            self._reasoning_meta["twin"] = "reasoning"
            del said["reasoning"]
        for name, text in said.items():
            self._write_reasoning(text, name, events)
        if message.reasoning_details:
            self._feed_details(message.reasoning_details, bool(said), events)

    def _write_reasoning(self, text: str, field: str, events: list[Event]) -> None:
        if self.reasoning is None:
            self.reasoning = self._parts.start(ReasoningPart(""), events)
        self._reasoning_meta.setdefault("field", field)
        text = self._join(self.reasoning, text)
        if text:
            events.append(ReasoningDelta(self.reasoning, text))

    def _feed_details(self, details: list[Any], said: bool, events: list[Event]) -> None:
        """Keep OpenRouter's array whole: it has to go back unchanged. Pieces of one item are joined by its index."""
        if self.reasoning is None:
            hidden = not said and not any(readable(item) for item in details)
            self.reasoning = self._parts.start(ReasoningPart("", redacted=hidden), events)
        for item in details:
            if not said and (text := readable(item)):
                joined = self._join(self.reasoning, text)
                if joined:
                    events.append(ReasoningDelta(self.reasoning, joined))
            merge_detail(self._details, item)

    def _end_reasoning(self, events: list[Event]) -> None:
        if self.reasoning is not None:
            self._parts.end(self.reasoning, events, self._closing_reasoning())
            self.reasoning = None

    def _closing_reasoning(self) -> Meta:
        marks, details = self._reasoning_meta, self._details
        self._reasoning_meta, self._details = {}, []
        if details:
            marks = {**marks, "reasoning_details": details}
        return {DIALECT: marks} if marks else {}

    # Files

    def _feed_audio(self, audio: wire.Audio, events: list[Event]) -> None:
        for name in ("id", "expires_at"):
            value = getattr(audio, name)
            if value is not None:
                self._spoken[name] = value
        if audio.data:
            self._feed_audio_data(audio.data, events)
        if audio.transcript:
            if self._transcript is None:
                self._transcript = self._parts.start(TextPart(""), events)
            text = self._join(self._transcript, audio.transcript)
            if text:
                events.append(TextDelta(self._transcript, text))

    def _feed_audio_data(self, data: str, events: list[Event], *, last: bool = False) -> None:
        # Base64 may be cut anywhere: only whole groups of four can be read.
        data = self._audio_rest + data
        whole = len(data) if last else len(data) - len(data) % 4
        self._audio_rest = data[whole:]
        piece = decode_base64(data[:whole] + "=" * (-whole % 4))
        if self._audio is None:
            self._audio = self._parts.start(FilePart(sniff(piece) or ANY_AUDIO, b""), events)
        if piece:
            events.append(FileDelta(self._audio, piece))

    def _feed_image(self, image: Any, events: list[Event]) -> None:
        held = image.get("image_url") if isinstance(image, dict) else None
        url = held.get("url") if isinstance(held, dict) else held
        if not isinstance(url, str):
            return
        marks = {name: value for name, value in image.items() if name not in ("type", "image_url")}
        meta: Meta = {DIALECT: marks} if marks else {}
        if is_data_url(url):
            media_type, data = decode_data_url(url)
            part = FilePart(media_type, data, meta=meta)
        else:
            part = FilePart(ANY_IMAGE, Url(url), meta=meta)
        self._parts.end(self._parts.start(part, events), events, meta)

    # Tool calls

    def _feed_call(self, piece: wire.ToolCall, place: int, events: list[Event]) -> None:
        call = self._call_of(piece, place)
        if piece.id:
            call.id = call.id or piece.id
        if piece.type == "custom" or piece.custom is not None:
            call.kind = "custom"
        if piece.extra_content is not None:
            call.meta["extra_content"] = piece.extra_content
        name: str | None = None
        text = ""
        if piece.custom is not None:
            name, text = piece.custom.name, piece.custom.input or ""
        elif piece.function is not None:
            name, text = piece.function.name, arguments_text(piece.function.arguments)
        self._write_call(call, name, text, events)

    def _call_of(self, piece: wire.ToolCall, place: int) -> Call:
        """Find the call a piece belongs to: by index; without one, by its id; without that, it is the last one."""
        named = piece.function is not None and bool(piece.function.name)
        if piece.index is None:
            key: Any = piece.id or (f"place {place}" if named or self._last_call is None else None)
            if key is None and self._last_call is not None:
                return self._last_call
        else:
            key = piece.index
        call = self._calls.get(key)
        if call is not None and named and piece.id and call.id and piece.id != call.id:
            # Another call under the same index: some services give every call the index 0.
            self._calls[f"{key} {call.id}"] = self._calls.pop(key)
            call = None
        if call is None:
            call = self._calls[key] = Call()
        self._last_call = call
        return call

    def _write_call(self, call: Call, name: str | None, text: str, events: list[Event]) -> None:
        if name and not call.name:
            call.name = name
        if call.index is None:
            call.held += text
            if not call.name:
                return
            self._start_call(call, events)
            return
        if text:
            events.append(ToolCallDelta(call.index, text))

    def _start_call(self, call: Call, events: list[Event]) -> None:
        call.index = self._parts.start(ToolCall(call.id, call.name, kind=call.kind), events)
        if call.held:
            events.append(ToolCallDelta(call.index, call.held))
            call.held = ""

    def _feed_function_call(self, piece: wire.Function, events: list[Event]) -> None:
        call = self._calls.setdefault("function_call", Call())
        call.id = "function_call"
        call.meta["form"] = "function_call"
        self._write_call(call, piece.name, arguments_text(piece.arguments), events)

    # Sources

    def _feed_annotation(self, annotation: Any, events: list[Event]) -> None:
        source = decode_annotation(annotation)
        if source is None:
            return
        if self.text is None:
            self._sources.append(source)
        else:
            events.append(SourceDelta(self.text, source))
