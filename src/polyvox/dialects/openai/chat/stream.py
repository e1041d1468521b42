"""A streamed answer: frames in, events out.

The rules, each from real traffic: `choices` may be empty in any chunk, the first included; usage comes in any chunk,
the last one wins; a second finish is normal; `[DONE]` may be missing; an error may stand in any frame under status 200;
choices other than 0 are folded aside. https://platform.openai.com/docs/api-reference/chat/streaming
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from polyvox.dialects.openai.chat import wire
from polyvox.dialects.openai.chat.choice import ChoiceReader
from polyvox.dialects.openai.chat.fields import DIALECT
from polyvox.dialects.openai.chat.response import decode_sources, envelope, raise_error, usage_of
from polyvox.dialects.openai.errors import error_of
from polyvox.errors import InterruptedCallError
from polyvox.framing import json
from polyvox.framing.base import Frame
from polyvox.types.events import Event, StreamEnd, StreamStart, TextDelta, UsageUpdate
from polyvox.types.fold import fold
from polyvox.types.generate import Alternative
from polyvox.types.usage import Usage

_decode_chunk = msgspec.json.Decoder(wire.Chunk).decode
_NOTHING: Final = wire.Message()
"""A delta with none of the members that we read. Compared with it whole, no member can be forgotten."""


class StreamDecoder:
    """See `polyvox.dialects.base.StreamDecoder`."""

    __slots__ = ("_aside", "_begun", "_citations", "_done", "_main", "_meta", "_results", "_told", "_usage")

    def __init__(self) -> None:
        self._begun = False
        self._done = False
        self._main = ChoiceReader()
        self._aside: dict[int, tuple[ChoiceReader, list[Event]]] = {}
        self._meta: dict[str, Any] = {}
        self._usage: Usage | None = None
        self._told: Usage | None = None
        self._citations: list[Any] | None = None
        self._results: list[Any] | None = None

    def feed(self, frame: Frame) -> list[Event]:
        """Return the events that this frame brings. Raises the `ProviderError` that it may hold."""
        data = frame.data
        try:
            chunk = _decode_chunk(data)
        except (ValueError, RecursionError):  # the second: nested deeper than anything is
            return self._feed_odd(frame)
        # The common case goes the shortest way: a lone delta, with nothing beside it that has to be kept.
        choices = chunk.choices
        if (
            self._begun
            and choices is not None
            and len(choices) == 1
            and chunk.usage is None
            and chunk.error is None
            and chunk.x_groq is None
            and chunk.citations is None
            and chunk.search_results is None
            and chunk.moderation is None
            and chunk.prompt_filter_results is None
            and chunk.timings is None
            and chunk.time_info is None
            and chunk.latency_checkpoint is None
            and chunk.related_questions is None
            and frame.event is None
        ):
            choice = choices[0]
            delta = choice.delta
            if (
                delta is not None
                and choice.index == 0
                and choice.finish_reason is None
                and choice.logprobs is None
                and choice.error is None
                and choice.message is None
                and choice.native_finish_reason is None
                and choice.stop_reason is None
                and not choice.content_filter_results
            ):
                return self._feed_delta(delta)
        return self._feed_chunk(chunk, frame)

    def _feed_delta(self, delta: wire.Message) -> list[Event]:
        main = self._main
        content = delta.content
        if type(content) is str and content and main.text is not None:
            delta.content = None
            if delta == _NOTHING and content[-1] < "\ud800" and not main.parts.mends:
                return [TextDelta(main.text, content)]
            delta.content = content
        events: list[Event] = []
        main.feed_message(delta, None, events)
        return events

    def _feed_odd(self, frame: Frame) -> list[Event]:
        """Take in what the typed decoder cannot read: the end mark, an odd field, a half of a character."""
        if frame.data.strip() == b"[DONE]":
            self._done = True
            return []
        lost: dict[str, Any] = {}
        chunk = json.decode(frame.data, wire.Chunk, lost)
        if lost:
            self._meta.setdefault("unread", {}).update(lost)
        return self._feed_chunk(chunk, frame)

    def _feed_chunk(self, chunk: wire.Chunk, frame: Frame) -> list[Event]:
        choices = chunk.choices or []
        if frame.event == "error":
            raise error_of(json.decode(frame.data), status=None)
        if chunk.error or chunk.x_groq or not choices or any(choice.error for choice in choices):
            raise_error(chunk, choices, frame.data)
        events: list[Event] = []
        # Azure's first chunk has neither id nor model: it bears only the filter's verdict on the prompt.
        if not self._begun and (chunk.id or chunk.model or choices):
            self._begun = True
            events.append(StreamStart(chunk.id or None, chunk.model or None))
        kept = envelope(chunk)
        if kept:
            self._meta.update(kept)
        for choice in choices:
            self._feed_choice(choice, events)
        self._results = chunk.search_results or self._results
        self._citations = chunk.citations or self._citations
        if chunk.usage is not None or chunk.x_groq is not None:
            self._usage = usage_of(chunk) or self._usage
        if self._begun and self._usage != self._told and self._usage is not None:
            self._told = self._usage
            events.append(UsageUpdate(self._usage))
        return events

    def _feed_choice(self, choice: wire.Choice, events: list[Event]) -> None:
        if choice.index == 0:
            reader, made = self._main, events
        else:
            reader, made = self._aside.setdefault(choice.index, (ChoiceReader(), []))
        # Perplexity sends the message so far beside each delta, and at times a whole answer as the only frame. As long
        # as nothing was said the message is all there is; after that its deltas say the same.
        message = choice.delta if reader.parts.count else choice.message or choice.delta
        reader.feed(choice, message, made)

    def close(self) -> list[Event]:
        """Return the events that end the answer. Raises `InterruptedCallError` where no end was seen."""
        if not (self._main.finished or self._done):
            raise InterruptedCallError("the answer broke off before its end")
        events: list[Event] = []
        if not self._begun:
            events.append(StreamStart())
        self._main.close(events)
        for source in decode_sources(self._results, self._citations):
            self._main.parts.whole(source, events)
        meta = {**self._meta, **self._main.meta}
        events.append(
            StreamEnd(
                self._main.finish(),
                None if self._usage == self._told else self._usage,
                alternatives=tuple(self._alternative(place) for place in sorted(self._aside)),
                meta={DIALECT: meta} if meta else {},
            )
        )
        return events

    def _alternative(self, place: int) -> Alternative:
        reader, events = self._aside[place]
        reader.close(events)
        return Alternative(place, fold(events).content, reader.finish(), {DIALECT: reader.meta} if reader.meta else {})
