"""`Coalesce`: many small deltas become fewer, larger ones.

The rule: nothing is reordered, and nothing is held back over any other event. There is no timer: what is held goes on
when something follows it, at the latest the part's end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from polyvox.errors import ConfigError
from polyvox.types.events import Event, ReasoningDelta, TextDelta, ToolCallDelta

if TYPE_CHECKING:
    from polyvox.io.base import Context

_MERGED = frozenset({TextDelta, ReasoningDelta, ToolCallDelta})


class Coalesce(Struct, frozen=True, kw_only=True):
    """Merge deltas of text, reasoning and tool arguments that follow each other in one part.

    `characters`: hold them back until they have so many together. `seconds`: hand them on at most once in so many
    seconds, by the clock at which they come; the first goes at once. With both, whichever comes first. `None`: not by
    this measure; one of the two must be given.

    Raises `ConfigError` for a measure that is no number above 0, or none at all.
    """

    characters: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.characters is None and self.seconds is None:
            raise ConfigError("Coalesce(): give characters, seconds or both")
        for name, kinds in (("characters", int), ("seconds", (int, float))):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, kinds) or value <= 0):
                raise ConfigError(f"Coalesce({name}={value!r}): give a number above 0")

    def start(self, context: Context) -> CoalesceMachine:
        """Return a machine for one answer."""
        return CoalesceMachine(self, context.io.now)


class CoalesceMachine:
    """Holds the deltas of one part at a time."""

    def __init__(self, settings: Coalesce, now: Callable[[], float]) -> None:
        self._characters = settings.characters
        self._seconds = settings.seconds
        self._now = now
        self._held: list[Any] = []
        self._length = 0
        self._handed = float("-inf")

    def feed(self, events: list[Event]) -> list[Event]:
        """Return the events to hand on for these."""
        made: list[Event] = []
        now = self._now() if self._seconds is not None else 0.0
        for event in events:
            if type(event) not in _MERGED:
                self._flush(made, now)
                made.append(event)
                continue
            held = self._held
            if held and (type(held[0]) is not type(event) or held[0].index != event.index):  # type: ignore[union-attr]
                self._flush(made, now)
            self._held.append(event)
            self._length += len(event.arguments if type(event) is ToolCallDelta else event.text)  # type: ignore[union-attr]
            if self._characters is not None and self._length >= self._characters:
                self._flush(made, now)
        # Looked at once a list: what came in one read came at one time.
        if self._seconds is not None and self._held and now - self._handed >= self._seconds:
            self._flush(made, now)
        return made

    def close(self) -> list[Event]:
        """Return what was still held back."""
        made: list[Event] = []
        self._flush(made, self._handed)
        return made

    def _flush(self, made: list[Event], now: float) -> None:
        held = self._held
        if not held:
            return
        made.append(held[0] if len(held) == 1 else _merged(held))
        self._held, self._length, self._handed = [], 0, now


def _merged(held: list[Any]) -> Event:
    first = held[0]
    kind: Any = type(first)
    if kind is ToolCallDelta:
        return ToolCallDelta(first.index, "".join([event.arguments for event in held]))
    text = "".join([event.text for event in held])
    if kind is ReasoningDelta:
        return ReasoningDelta(first.index, text)
    told = [event.logprobs for event in held if event.logprobs is not None]
    return TextDelta(first.index, text, tuple(token for tokens in told for token in tokens) if told else None)
