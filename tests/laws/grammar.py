"""The grammar of stream events, checked. See `polyvox.types.events`."""

from __future__ import annotations

from collections.abc import Sequence

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
from polyvox.types.parts import FilePart, OpaquePart, Part, ReasoningPart, SourcePart, TextPart, ToolCall, ToolResult

_DELTAS = {
    TextDelta: TextPart,
    SourceDelta: TextPart,
    ReasoningDelta: ReasoningPart,
    ToolCallDelta: ToolCall,
    FileDelta: FilePart,
}


def broken(events: Sequence[Event], *, ended: bool = True) -> str | None:
    """Return what is wrong with the events of one turn, `None` where nothing is.

    `ended=False` is for an answer that an error cut off: it may lack its end, and its parts theirs.
    """
    if not events:
        return "there are no events" if ended else None
    if not isinstance(events[0], StreamStart):
        return f"it begins with {events[0]!r}"
    inner = events[1:]
    if ended:
        if not isinstance(events[-1], StreamEnd):
            return f"it ends with {events[-1]!r}"
        inner = events[1:-1]
    parts: list[Part] = []
    still_open: set[int] = set()
    for event in inner:
        wrong = _wrong(event, parts, still_open)
        if wrong is not None:
            return f"{wrong}: {event!r}"
        if isinstance(event, PartStart):
            parts.append(event.part)
            still_open.add(event.index)
        elif isinstance(event, PartEnd):
            still_open.discard(event.index)
    return f"parts {sorted(still_open)} never end" if ended and still_open else None


def _wrong(event: Event, parts: list[Part], still_open: set[int]) -> str | None:
    match event:
        case UsageUpdate():
            return None
        case PartStart():
            if event.index != len(parts):
                return f"part {len(parts)} should come next"
            return None if _fits_start(event.part) else "more is in the part than may be known at its start"
        case PartEnd():
            return None if event.index in still_open else "a part ends that is not open"
        case TextDelta() | ReasoningDelta() | ToolCallDelta() | FileDelta() | SourceDelta():
            if event.index not in still_open:
                return "a delta comes outside its part"
            fits = isinstance(parts[event.index], _DELTAS[type(event)])
            return None if fits else f"a delta of another kind than its part {parts[event.index]!r}"
        case _:
            return "no such event inside a turn"


def _fits_start(part: Part) -> bool:
    match part:
        case TextPart():
            return part == TextPart("", refusal=part.refusal, meta=part.meta)
        case ReasoningPart():
            return part.text == ""
        case ToolCall():
            return part.executed or (bool(part.name) and part.arguments == "")
        case FilePart() | SourcePart() | ToolResult() | OpaquePart():
            return True
