"""A streamed answer: frames in, events out.

The rules, each from real traffic: `choices` may be empty in any chunk, the first included; usage comes in any chunk,
the last one wins; a second finish is normal; `[DONE]` may be missing; an error may stand in any frame under status 200;
choices other than 0 are folded aside. https://platform.openai.com/docs/api-reference/chat/streaming
"""

from __future__ import annotations

from typing import Any

import msgspec

from polyvox.dialects.openai.chat import wire
from polyvox.dialects.openai.chat.choice import ChoiceReader
from polyvox.dialects.openai.chat.extras import DIALECT
from polyvox.dialects.openai.chat.response import decode_sources, envelope, raise_error, usage_of
from polyvox.errors import InterruptedCallError
from polyvox.framing import json
from polyvox.framing.base import Frame
from polyvox.types.events import Event, PartEnd, PartStart, StreamEnd, StreamStart, TextDelta, UsageUpdate
from polyvox.types.fold import fold
from polyvox.types.generate import Alternative
from polyvox.types.usage import Usage

_decode_chunk = msgspec.json.Decoder(wire.Chunk).decode


class StreamDecoder:
    """See `polyvox.dialects.base.StreamDecoder`."""

    __slots__ = (
        "_aside",
        "_begun",
        "_citations",
        "_done",
        "_main",
        "_meta",
        "_results",
        "_usage",
    )

    def __init__(self) -> None:
        self._begun = False
        self._done = False
        self._main = ChoiceReader()
        self._aside: dict[int, tuple[ChoiceReader, list[Event]]] = {}
        self._meta: dict[str, Any] = {}
        self._usage: Usage | None = None
        self._citations: list[Any] | None = None
        self._results: list[Any] | None = None

    def feed(self, frame: Frame) -> list[Event]:
        """Return the events that this frame brings. Raises the `ProviderError` that it may hold."""
        data = frame.data
        try:
            chunk = _decode_chunk(data)
        except ValueError:
            return self._feed_odd(data)
        # The common case, a lone piece of text for a part that is open, goes the shortest way.
        choices = chunk.choices
        main = self._main
        if choices is not None and len(choices) == 1 and main.text is not None:
            choice = choices[0]
            delta = choice.delta
            if (
                delta is not None
                and type(content := delta.content) is str
                and content
                and choice.index == 0
                and choice.finish_reason is None
                and choice.logprobs is None
                and choice.message is None
                and chunk.usage is None
                and chunk.error is None
                and chunk.x_groq is None
                and chunk.citations is None
                and delta.tool_calls is None
                and delta.reasoning_content is None
                and delta.reasoning is None
                and delta.annotations is None
                and delta.refusal is None
                and delta.audio is None
                and choice.error is None
                and main.plain
                and content[-1] < "\ud800"
            ):
                return [TextDelta(main.text, content)]
        return self._feed_chunk(chunk, data)

    def _feed_odd(self, data: bytes) -> list[Event]:
        """Take in what the typed decoder cannot read: the end mark, an odd field, a half of a character."""
        if data.strip() == b"[DONE]":
            self._done = True
            return []
        return self._feed_chunk(json.decode(data, wire.Chunk), data)

    def _feed_chunk(self, chunk: wire.Chunk, data: bytes) -> list[Event]:
        choices = chunk.choices or []
        events: list[Event] = []
        if not self._begun and (chunk.id or chunk.model or choices):
            # Azure's first chunk has neither: it bears only the filter's verdict on the prompt.
            self._begun = bool(chunk.id or chunk.model or any(choice.delta or choice.message for choice in choices))
            if self._begun:
                events.append(StreamStart(chunk.id or None, chunk.model or None))
        self._meta.update(envelope(chunk))
        for choice in choices:
            if choice.error is None:
                self._feed_choice(choice, events)
        if chunk.error is not None or chunk.x_groq is not None or not choices or choices[0].error is not None:
            raise_error(chunk, choices, data)
        self._results = chunk.search_results or self._results
        self._citations = chunk.citations or self._citations
        usage = usage_of(chunk)
        if usage is not None and usage != self._usage:
            self._usage = usage
            if self._begun:
                events.append(UsageUpdate(usage))
        return events

    def _feed_choice(self, choice: wire.Choice, events: list[Event]) -> None:
        if choice.index == 0:
            reader, made = self._main, events
        else:
            reader, made = self._aside.setdefault(choice.index, (ChoiceReader(), []))
        # Perplexity sends the message so far beside each delta: the deltas say the same.
        reader.feed(choice, choice.delta or choice.message, made)

    def close(self) -> list[Event]:
        """Return the events that end the answer. Raises `InterruptedCallError` where no end was seen."""
        if not (self._main.finished or self._done):
            raise InterruptedCallError("the answer broke off before its end")
        events: list[Event] = []
        if not self._begun:
            events.append(StreamStart())
        self._main.close(events)
        index = self._main.count
        for source in decode_sources(self._results, self._citations):
            events += [PartStart(index, source), PartEnd(index, source.meta)]
            index += 1
        meta = {**self._meta, **self._main.meta}
        events.append(
            StreamEnd(
                self._main.finish(),
                self._usage if not self._begun else None,
                alternatives=tuple(self._alternative(place) for place in sorted(self._aside)),
                meta={DIALECT: meta} if meta else {},
            )
        )
        return events

    def _alternative(self, place: int) -> Alternative:
        reader, events = self._aside[place]
        reader.close(events)
        return Alternative(place, fold(events).content, reader.finish(), {DIALECT: reader.meta} if reader.meta else {})
