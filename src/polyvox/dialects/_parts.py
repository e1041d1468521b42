"""Part bookkeeping, once for all dialects: which part is open, under which index, and the half of a character it holds.

The rule: indexes count from 0 in the order of starting; every started part ends once, and no delta comes after its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from polyvox.framing.json import join_halves
from polyvox.types.events import Event, PartEnd, PartStart, ReasoningDelta, TextDelta, ToolCallDelta
from polyvox.types.parts import Meta, Part, ReasoningPart, TextPart, ToolCall

_REPLACEMENT: Final = "\ufffd"


class Parts:
    """The parts of one answer."""

    __slots__ = ("_halves", "_open", "count", "saw_refusal")

    def __init__(self) -> None:
        self.count = 0
        self._open: dict[int, Part] = {}
        self._halves: dict[int, str] = {}
        self.saw_refusal = False

    @property
    def mends(self) -> bool:
        """Whether half a character is held, which the next delta of its part completes."""
        return bool(self._halves)

    def start(self, part: Part, events: list[Event]) -> int:
        """Begin a part, and return its index."""
        index = self.count
        self.count += 1
        self._open[index] = part
        if isinstance(part, TextPart) and part.refusal:
            self.saw_refusal = True
        events.append(PartStart(index, part))
        return index

    def whole(self, part: Part, events: list[Event]) -> None:
        """Begin and end a part that has no deltas."""
        self.end(self.start(part, events), events, part.meta)

    def join(self, index: int, text: str) -> str:
        """Return what of the text of part `index` can be shown: a character cut between two deltas is joined."""
        if text.isascii() and not self._halves:
            return text
        text, held = join_halves(self._halves.pop(index, ""), text)
        if held:
            self._halves[index] = held
        return text

    def end(self, index: int, events: list[Event], meta: Meta | None = None) -> None:
        """End a part. One that has ended already is left alone."""
        part = self._open.pop(index, None)
        if part is None:
            return
        if self._halves.pop(index, None) is not None:
            # The other half never came.
            match part:
                case TextPart():
                    events.append(TextDelta(index, _REPLACEMENT))
                case ReasoningPart():
                    events.append(ReasoningDelta(index, _REPLACEMENT))
                case ToolCall():
                    events.append(ToolCallDelta(index, _REPLACEMENT))
        events.append(PartEnd(index, meta or {}))

    def end_all(self, events: list[Event], metas: Mapping[int, Meta]) -> None:
        """End every open part, in order."""
        for index in list(self._open):
            self.end(index, events, metas.get(index))
