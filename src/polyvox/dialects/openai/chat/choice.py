"""One choice of an answer: its message, whole or in pieces, becomes events.

The rule: a whole message is read as one delta, so that a stream and a whole answer cannot be understood differently.
"""

from __future__ import annotations

from typing import Any, Final

from polyvox.dialects._parts import Parts
from polyvox.dialects.openai.chat import wire
from polyvox.dialects.openai.chat.calls import CallReader
from polyvox.dialects.openai.chat.extras import Details, decode_annotation, decode_logprobs, readable
from polyvox.dialects.openai.chat.fields import DIALECT
from polyvox.dialects.openai.chat.files import FileReader
from polyvox.types.events import Event, ReasoningDelta, SourceDelta, TextDelta
from polyvox.types.generate import Finish, FinishReason
from polyvox.types.parts import Meta, OpaquePart, ReasoningPart, Source, SourcePart, TextPart, TokenLogprob

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


class ChoiceReader:
    """Deltas of one choice in, events out."""

    __slots__ = (
        "_calls",
        "_details",
        "_files",
        "_hidden",
        "_listed",
        "_reasoning_meta",
        "_refusal",
        "_sources",
        "finish_raw",
        "finished",
        "meta",
        "parts",
        "reasoning",
        "text",
    )

    def __init__(self) -> None:
        self.parts = Parts()
        self.text: int | None = None  # the open text part; read by the decoder's fast path
        self.reasoning: int | None = None
        self._hidden = False
        self._refusal: int | None = None
        self._calls = CallReader(self.parts)
        self._files = FileReader(self.parts)
        self._listed = False
        self._details = Details()
        self._reasoning_meta: dict[str, Any] = {}
        self._sources: list[Source] = []
        self.finish_raw: str | None = None
        self.finished = False
        self.meta: dict[str, Any] = {}

    def feed(self, choice: wire.Choice, message: wire.Message | None, events: list[Event]) -> None:
        """Take in one choice of a frame or of a whole answer, of which `message` is the part to read."""
        if message is not None:
            self.feed_message(message, choice.logprobs, events, whole=message is choice.message)
        if choice.logprobs is not None:
            self._keep_logprobs(choice.logprobs, message)
        self._keep(choice, wire.CHOICE)
        if choice.finish_reason is not None:
            # An empty word may stand in every chunk: it ends a whole message only.
            self.finished = self.finished or bool(choice.finish_reason) or message is choice.message
            self.finish_raw = choice.finish_reason or self.finish_raw or ""

    def feed_message(
        self, message: wire.Message, logprobs: dict[str, Any] | None, events: list[Event], *, whole: bool = False
    ) -> None:
        """Take in one delta, or a whole message."""
        if message.reasoning_content or message.reasoning or message.reasoning_details:
            self._feed_reasoning(message, events, whole=whole)
            if whole:
                self._end_reasoning(events)
        content = message.content
        if content:
            if isinstance(content, str):
                self._write_text(content, decode_logprobs(logprobs, "content"), events)
            else:
                for item in content if isinstance(content, list) else [content]:
                    self._feed_item(item, events)
        elif logprobs and content == "":
            self._write_text("", decode_logprobs(logprobs, "content"), events)
        if message.tool_calls:
            self._calls.feed(message.tool_calls, events, whole=whole)
        self._feed_rest(message, logprobs, events)

    def _feed_rest(self, message: wire.Message, logprobs: dict[str, Any] | None, events: list[Event]) -> None:
        """Take in what most deltas do not have."""
        if message.refusal:
            self._feed_refusal(message.refusal, decode_logprobs(logprobs, "refusal"), events)
        if message.function_call is not None:
            self._calls.feed_legacy(message.function_call, events)
        if message.executed_tools:
            self._calls.feed_executed(message.executed_tools)
        if message.audio is not None:
            self._files.feed_audio(message.audio, events)
        for image in message.images or ():
            self._files.feed_image(image, events)
        for annotation in message.annotations or ():
            self._feed_annotation(annotation, events)
        if message.thought_signature or message.extra_content or message.provider_metadata:
            self._keep(message, wire.MESSAGE)

    def _keep(self, owner: wire.Choice | wire.Message, names: tuple[str, ...]) -> None:
        for name in names:
            value = getattr(owner, name)
            if value:
                # Verdicts of a filter come in pieces: what another chunk said stays.
                known = self.meta.get(name)
                merges = isinstance(known, dict) and isinstance(value, dict)
                self.meta[name] = {**known, **value} if merges else value  # type: ignore[dict-item]

    def close(self, events: list[Event]) -> None:
        """End what is open, and hand on what was held."""
        for source in self._sources:
            # Citations that came with no text to stand on.
            self.parts.whole(SourcePart(source.url, source.title, source.text, source.meta), events)
        metas: dict[int, Meta] = {}
        if self.reasoning is not None:
            metas[self.reasoning] = self._closing_reasoning()
        self._files.close(events, metas)
        self._calls.close(events, metas)
        self.parts.end_all(events, metas)
        self.text = self.reasoning = self._refusal = None

    def finish(self) -> Finish:
        """Return why it ended. Tool calls are told by their presence: many services say `stop` with them."""
        raw = self.finish_raw
        reason = _FINISHES.get((raw or "").lower(), "other")
        if reason in ("stop", "other") and self._calls.any:
            reason = "tool_calls"
        elif reason in ("stop", "other") and self.parts.saw_refusal:
            reason = "content_filter"
        return Finish(reason, raw)

    # Text

    def _write_text(self, text: str, tokens: tuple[TokenLogprob, ...] | None, events: list[Event]) -> None:
        if not (text or tokens):
            return
        if self._listed:
            self._end_reasoning(events)
        if self.text is None:
            self.text = self.parts.start(TextPart(""), events)
            events.extend(SourceDelta(self.text, source) for source in self._sources)
            self._sources = []
        text = self.parts.join(self.text, text)
        if text or tokens:
            events.append(TextDelta(self.text, text, tokens))

    def _feed_item(self, item: Any, events: list[Event]) -> None:
        """Take in an item of a content that is a list (Mistral's thinking and text; pictures elsewhere)."""
        if isinstance(item, str):
            self._write_text(item, None, events)
            return
        kind = item.get("type") if isinstance(item, dict) else None
        if kind == "text" and isinstance(item.get("text"), str):
            self._write_text(item["text"], None, events)
        elif kind == "thinking":
            self._feed_thinking(item, events)
        elif kind == "image_url":
            self._files.feed_image(item, events)
        else:
            held = item if isinstance(item, dict) else {"item": item}
            self.parts.whole(OpaquePart(str(kind), {DIALECT: held}), events)

    def _feed_thinking(self, item: dict[str, Any], events: list[Event]) -> None:
        self._listed = True
        pieces = item.get("thinking")
        texts = [piece.get("text") for piece in pieces if isinstance(piece, dict)] if isinstance(pieces, list) else []
        text = pieces if isinstance(pieces, str) else "".join(piece for piece in texts if isinstance(piece, str))
        if self.text is not None:
            self.parts.end(self.text, events)
            self.text = None
        self._write_reasoning(text, "thinking", events)
        marks = {name: item[name] for name in ("signature", "closed") if item.get(name) is not None}
        self._reasoning_meta.update(marks)

    def _feed_refusal(self, refusal: str, tokens: tuple[TokenLogprob, ...] | None, events: list[Event]) -> None:
        if self._refusal is None:
            self._refusal = self.parts.start(TextPart("", refusal=True), events)
        text = self.parts.join(self._refusal, refusal)
        if text or tokens:
            events.append(TextDelta(self._refusal, text, tokens))

    def _keep_logprobs(self, logprobs: dict[str, Any], message: wire.Message | None) -> None:
        """Keep the probabilities of tokens that are no text of ours: of reasoning, of calls."""
        placed = {
            "content" if message is not None and isinstance(message.content, str) else "",
            "refusal" if message is not None and message.refusal else "",
        }
        for name, tokens in logprobs.items():
            if name not in placed and isinstance(tokens, list) and tokens:
                self.meta.setdefault("logprobs", {}).setdefault(name, []).extend(tokens)

    # Reasoning

    def _feed_reasoning(self, message: wire.Message, events: list[Event], *, whole: bool) -> None:
        content, other = message.reasoning_content, message.reasoning
        if content:
            self._write_reasoning(content, "reasoning_content", events)
        if other and other == content:
            self._reasoning_meta["twin"] = "reasoning"
        elif other:
            self._write_reasoning(other, "reasoning", events)
        details = message.reasoning_details
        if not details:
            return
        said = "field" in self._reasoning_meta  # then its items say the same again
        hidden = not any(readable(item) for item in details)
        if self._hidden and not hidden:
            self._end_reasoning(events)
        if self.reasoning is None:
            self._hidden = hidden
            self.reasoning = self.parts.start(ReasoningPart("", redacted=hidden), events)
        for item in details:
            text = "" if said else self.parts.join(self.reasoning, readable(item))
            if text:
                events.append(ReasoningDelta(self.reasoning, text))
            self._details.feed(item, whole=whole)

    def _write_reasoning(self, text: str, field: str, events: list[Event]) -> None:
        if self._hidden:
            self._end_reasoning(events)  # what comes now can be read: it is another part
        if self.reasoning is None:
            self.reasoning = self.parts.start(ReasoningPart(""), events)
        self._reasoning_meta.setdefault("field", field)
        text = self.parts.join(self.reasoning, text)
        if text:
            events.append(ReasoningDelta(self.reasoning, text))

    def _end_reasoning(self, events: list[Event]) -> None:
        if self.reasoning is not None:
            self.parts.end(self.reasoning, events, self._closing_reasoning())
            self.reasoning = None
            self._hidden = False

    def _closing_reasoning(self) -> Meta:
        marks, details = self._reasoning_meta, self._details.close()
        self._reasoning_meta = {}
        if details:
            marks = {**marks, "reasoning_details": details}
        return {DIALECT: marks} if marks else {}

    # Sources

    def _feed_annotation(self, annotation: Any, events: list[Event]) -> None:
        source = decode_annotation(annotation)
        if source is None:
            return
        if self.text is None:
            self._sources.append(source)
        else:
            events.append(SourceDelta(self.text, source))
