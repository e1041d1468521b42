"""`Fold` puts the events of an answer back together; `unfold` takes a whole answer apart into the same events.

The rule: linear in the answer, in time and in memory, and no chunk is kept for long: text is joined in blocks, bytes
go into a `bytearray`. (CPython 3.11's `io.StringIO` keeps the first 100,000 pieces it is given as they are, at twelve
times the size of their text.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, assert_never

from msgspec import structs

from polyvox.types.events import (
    Event,
    FileDelta,
    PartEnd,
    PartStart,
    RawFrame,
    ReasoningDelta,
    SourceDelta,
    StepEnd,
    StepStart,
    StreamEnd,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    ToolDone,
    UsageUpdate,
)
from polyvox.types.generate import GenerateResponse
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

_BLOCK: Final = 512
"""So many pieces of text are joined at once."""


class _OpenPart:
    """A part being put together. Only the container that the part's kind needs is ever made."""

    __slots__ = ("blocks", "data", "logprobs", "meta", "part", "pieces", "sources")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.blocks: list[str] = []
        self.pieces: list[str] = []
        self.data: bytearray | None = None
        self.sources: list[Source] | None = None
        self.logprobs: list[TokenLogprob] | None = None
        self.meta: Meta | None = None

    def write(self, text: str) -> None:
        pieces = self.pieces
        pieces.append(text)
        if len(pieces) >= _BLOCK:
            self.blocks.append("".join(pieces))
            pieces.clear()

    def build(self) -> Part:
        part = self.part
        changes: dict[str, Any] = {}
        if self.pieces or self.blocks:
            text = "".join([*self.blocks, *self.pieces])
            if isinstance(part, ToolCall):
                changes["arguments"] = part.arguments + text
            elif isinstance(part, TextPart | ReasoningPart):
                changes["text"] = part.text + text
        if self.data is not None and isinstance(part, FilePart):
            changes["data"] = (part.data if isinstance(part.data, bytes) else b"") + bytes(self.data)
        if isinstance(part, TextPart):
            if self.sources is not None:
                changes["sources"] = (*part.sources, *self.sources)
            if self.logprobs is not None:
                changes["logprobs"] = (*(part.logprobs or ()), *self.logprobs)
        if self.meta:
            changes["meta"] = self.meta
        return structs.replace(part, **changes) if changes else part


class Fold:
    """Events in, the answer so far out. Of a tool loop it holds the last step's answer."""

    __slots__ = ("_end", "_parts", "_start", "_usage", "_whole")

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._parts: dict[int, _OpenPart] = {}
        self._start: StreamStart | None = None
        self._end: StreamEnd | None = None
        self._usage: UsageUpdate | None = None
        self._whole: GenerateResponse[Any] | None = None

    @property
    def ended(self) -> bool:
        """Whether `StreamEnd` was seen."""
        return self._end is not None

    def is_refusal(self, index: int) -> bool:
        """Whether part `index` is the model's refusal, whose text is no part of the answer's text."""
        part = self._whole.content[index] if self._whole is not None else self._parts[index].part
        return isinstance(part, TextPart) and part.refusal

    def feed(self, events: Iterable[Event]) -> None:
        """Take in events. A delta for a part never started raises `KeyError`: the decoder broke the grammar."""
        if isinstance(events, list) and self._take_whole(events):
            return
        parts = self._parts
        for event in events:
            kind = type(event)
            if kind is TextDelta:
                open_part = parts[event.index]  # type: ignore[union-attr]
                open_part.write(event.text)  # type: ignore[union-attr]
                if event.logprobs is not None:  # type: ignore[union-attr]
                    if open_part.logprobs is None:
                        open_part.logprobs = []
                    open_part.logprobs.extend(event.logprobs)  # type: ignore[union-attr]
            elif kind is ReasoningDelta:
                parts[event.index].write(event.text)  # type: ignore[union-attr]
            elif kind is ToolCallDelta:
                parts[event.index].write(event.arguments)  # type: ignore[union-attr]
            else:
                self._take(event)
                parts = self._parts

    def _take_whole(self, events: list[Event]) -> bool:
        """Take in an answer that was never streamed: there is nothing to put together."""
        first, last = (events[0], events[-1]) if events else (None, None)
        if not (isinstance(last, StreamEnd) and last.response is not None and isinstance(first, StreamStart)):
            return False
        self._reset()
        self._start, self._end, self._whole = first, last, last.response
        return True

    def _take(self, event: Event) -> None:
        match event:
            case PartStart():
                self._parts[event.index] = _OpenPart(event.part)
            case PartEnd():
                if event.meta:
                    self._parts[event.index].meta = event.meta
            case FileDelta():
                open_part = self._parts[event.index]
                if open_part.data is None:
                    open_part.data = bytearray()
                open_part.data += event.data
            case SourceDelta():
                open_part = self._parts[event.index]
                if open_part.sources is None:
                    open_part.sources = []
                open_part.sources.append(event.source)
            case UsageUpdate():
                self._usage = event
            case StreamStart():
                self._reset()
                self._start = event
            case StreamEnd():
                self._end = event
                self._whole = event.response
            case StepStart() | ToolDone() | StepEnd() | RawFrame() | TextDelta() | ReasoningDelta() | ToolCallDelta():
                pass
            case _:
                assert_never(event)

    @property
    def response(self) -> GenerateResponse[Any]:
        """The answer so far: a new object at each reading, or the decoded object itself of an answer never streamed."""
        if self._whole is not None:
            return self._whole
        start, end = self._start, self._end
        facts: dict[str, Any] = {}
        if start is not None:
            facts.update(id=start.id, model=start.model, provider=start.provider, adjustments=start.adjustments)
        if self._usage is not None:
            facts["usage"] = self._usage.usage
        if end is not None:
            facts.update(finish=end.finish, alternatives=end.alternatives, meta=end.meta)
            facts["adjustments"] = (*facts.get("adjustments", ()), *end.adjustments)
            if end.usage is not None:
                facts["usage"] = end.usage
        content = tuple(self._parts[index].build() for index in sorted(self._parts))
        return GenerateResponse(content=content, **facts)


def fold(events: Iterable[Event]) -> GenerateResponse[Any]:
    """Return the answer that these events make."""
    folding = Fold()
    folding.feed(events)
    return folding.response


def unfold(response: GenerateResponse[Any]) -> list[Event]:
    """Return the events of a whole answer. Folding them gives back `response` itself."""
    events: list[Event] = [StreamStart(response.id, response.model, response.provider, response.adjustments)]
    for index, part in enumerate(response.content):
        match part:
            case TextPart():
                events.append(PartStart(index, TextPart("", refusal=part.refusal)))
                if part.text or part.logprobs is not None:
                    events.append(TextDelta(index, part.text, part.logprobs))
                events.extend(SourceDelta(index, source) for source in part.sources)
            case ReasoningPart():
                events.append(PartStart(index, ReasoningPart("", redacted=part.redacted)))
                if part.text:
                    events.append(ReasoningDelta(index, part.text))
            case ToolCall() if not part.executed:
                events.append(PartStart(index, structs.replace(part, arguments="", meta={})))
                if part.arguments:
                    events.append(ToolCallDelta(index, part.arguments))
            case FilePart() if isinstance(part.data, bytes):
                events.append(PartStart(index, structs.replace(part, data=b"", meta={})))
                if part.data:
                    events.append(FileDelta(index, part.data))
            case FilePart() | SourcePart() | ToolCall() | ToolResult() | OpaquePart():
                events.append(PartStart(index, part))
            case _:
                assert_never(part)
        events.append(PartEnd(index, part.meta))
    events.append(
        StreamEnd(
            response.finish,
            response.usage,
            alternatives=response.alternatives,
            meta=response.meta,
            response=response,
        )
    )
    return events
