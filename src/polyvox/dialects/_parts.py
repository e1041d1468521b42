"""Part bookkeeping, once for all dialects: which part is open, under which index.

The rule: indexes count from 0 in the order of starting; every started part ends once.
"""

from __future__ import annotations

from collections.abc import Mapping

from polyvox.types.events import Event, PartEnd, PartStart
from polyvox.types.parts import Meta, Part, TextPart


class Parts:
    """The parts of one answer."""

    __slots__ = ("_open", "count", "saw_refusal")

    def __init__(self) -> None:
        self.count = 0
        self._open: dict[int, None] = {}
        self.saw_refusal = False

    def start(self, part: Part, events: list[Event]) -> int:
        """Begin a part, and return its index."""
        index = self.count
        self.count += 1
        self._open[index] = None
        if isinstance(part, TextPart) and part.refusal:
            self.saw_refusal = True
        events.append(PartStart(index, part))
        return index

    def end(self, index: int, events: list[Event], meta: Meta | None = None) -> None:
        """End a part. One that has ended already is left alone."""
        if index in self._open:
            del self._open[index]
            events.append(PartEnd(index, meta or {}))

    def end_all(self, events: list[Event], metas: Mapping[int, Meta]) -> None:
        """End every open part, in order."""
        for index in list(self._open):
            self.end(index, events, metas.get(index))
