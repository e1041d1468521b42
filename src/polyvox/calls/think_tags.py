"""`ThinkTags`: reasoning that a model writes into its text, between tags, becomes reasoning parts.

Some open models, and servers without a parser for them, answer `<think>…</think>` in plain text. The rule: the result
depends on the text alone, never on how it was cut into deltas; the tags and the white space inside their edges go, and
nothing else does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, structs

from polyvox.calls.texts import Tokens, alternatives_through
from polyvox.errors import ConfigError
from polyvox.types.events import (
    Event,
    FileDelta,
    PartEnd,
    PartStart,
    ReasoningDelta,
    SourceDelta,
    StreamEnd,
    TextDelta,
    ToolCallDelta,
)
from polyvox.types.parts import Meta, ReasoningPart, Source, TextPart

if TYPE_CHECKING:
    from polyvox.io.base import Context

_NAME: Final = re.compile(r"[A-Za-z][\w\-]{0,31}")


class ThinkTags(Struct, frozen=True):
    """Take what stands between `<think>` and `</think>` out of the text and into reasoning parts.

    `tags` are the names, as they are written. With `opened` the answer begins within: the chat template has written the
    opening tag, and the model writes only the closing one. A tag that is never closed holds to the end of its text.
    White space behind the opening tag, and on both sides of the closing one, goes with the tag; so does white space
    before an opening tag that begins the text. Citations keep their places where these can be told, and lose them
    otherwise.

    Raises `ConfigError` for a name that can be no tag's.
    """

    tags: tuple[str, ...] = ("think", "thinking")
    opened: bool = False

    def __post_init__(self) -> None:
        given: Any = self.tags
        if not given or isinstance(given, str):
            raise ConfigError(f"ThinkTags(tags={self.tags!r}): give the names in a tuple, as in ('think',)")
        for tag in self.tags:
            if not isinstance(tag, str) or not _NAME.fullmatch(tag):
                raise ConfigError(f"ThinkTags(tags=…): {tag!r} is no tag's name; give it without its brackets")

    def start(self, context: Context | None = None) -> ThinkTagMachine:
        """Return a machine for one answer."""
        return ThinkTagMachine(self)


class ThinkTagMachine:
    """Splits the text parts of one answer, and numbers its parts anew."""

    def __init__(self, settings: ThinkTags) -> None:
        self._settings = settings
        self._numbers: dict[int, int] = {}
        self._texts: dict[int, _Text] = {}
        self._opened = settings.opened
        self._count = 0

    def number(self) -> int:
        """Return the number of the part that begins now."""
        self._count += 1
        return self._count - 1

    def feed(self, events: list[Event]) -> list[Event]:
        """Return the events to hand on for these."""
        made: list[Event] = []
        for event in events:
            kind = type(event)
            if kind is TextDelta and event.index in self._texts:  # type: ignore[union-attr]
                self._texts[event.index].write(event.text, event.logprobs, made)  # type: ignore[union-attr]
            else:
                self._take(event, made)
        return made

    def close(self) -> list[Event]:
        """Return what was held back: an answer that broke off may end in half a tag."""
        made: list[Event] = []
        for text in self._texts.values():
            text.flush(made)
        self._texts.clear()
        return made

    def _take(self, event: Event, made: list[Event]) -> None:
        match event:
            case PartStart(index, TextPart(refusal=False) as part):
                text = self._texts[index] = _Text(self, self._settings, opened=self._opened)
                self._opened = False
                text.begin(part, made)
            case PartStart():
                self._numbers[event.index] = self.number()
                made.append(self._renumbered(event))
            case SourceDelta() if event.index in self._texts:
                self._texts[event.index].cite(event.source, made)
            case PartEnd() if event.index in self._texts:
                self._texts.pop(event.index).end(event.meta, made)
            case TextDelta() | ReasoningDelta() | ToolCallDelta() | FileDelta() | SourceDelta() | PartEnd():
                made.append(self._renumbered(event))
            case StreamEnd() if event.alternatives:
                others = alternatives_through(self._settings.start, event.alternatives)
                made.append(structs.replace(event, alternatives=others))
            case _:
                made.append(event)

    def _renumbered(self, event: Any) -> Any:
        number = self._numbers[event.index]
        return event if number == event.index else structs.replace(event, index=number)


class _Text:
    """One text part, on its way to become several. Places are offsets in the text as it came."""

    def __init__(self, machine: ThinkTagMachine, settings: ThinkTags, *, opened: bool) -> None:
        self._machine = machine
        self._names = settings.tags
        self._opening = re.compile(f"<({'|'.join(map(re.escape, settings.tags))})>")
        self._openings = [f"<{tag}>" for tag in settings.tags]
        self._closings = [f"</{tag}>" for tag in settings.tags]
        self._closing = re.compile("|".join(map(re.escape, self._closings)))
        self._thinks = opened
        self._bare = not opened  # no tag was seen yet
        self._index: int | None = None  # of the part that is open
        self._from = 0  # where its text begins
        self._held = ""
        self._place = 0  # where what is held begins
        self._tokens: Tokens | None = None
        self._cited: list[Source] = []
        self._meta: Meta = {}

    def begin(self, part: TextPart, made: list[Event]) -> None:
        """Take in what stood in the part at its start."""
        self._meta = part.meta
        if part.text:
            self.write(part.text, part.logprobs, made)
        for source in part.sources:
            self.cite(source, made)

    def write(self, text: str, logprobs: Any, made: list[Event]) -> None:
        """Take in more text."""
        if logprobs is not None:
            self._tokens = self._tokens or Tokens()
            self._tokens.add(self._place + len(self._held), logprobs)
        self._held += text
        while self._step(made):
            pass

    def _step(self, made: list[Event]) -> bool:
        """Handle what is held up to the next tag; return whether there was one."""
        held = self._held
        if self._index is None and not self._is_waiting() and held[:1].isspace():
            self._skip(len(held) - len(held.lstrip()))
            held = self._held
        found = (self._closing if self._thinks else self._opening).search(held)
        if found is None:
            self._emit(self._safe(held), made)
            return False
        before = held[: found.start()]
        if self._thinks:
            before = before.rstrip()
        elif self._index is None and not before.strip():
            before = ""
        self._emit(len(before), made)
        self._skip(found.end() - len(before))
        self._leave(made)
        if self._thinks:
            self._closing = re.compile("|".join(map(re.escape, self._closings)))
        else:
            self._closing = re.compile(f"</{re.escape(found[1])}>")
        self._thinks, self._bare = not self._thinks, False
        return True

    def _is_waiting(self) -> bool:
        """Whether white space at the start is kept until it is known what follows: a tag, or text."""
        return self._bare and not self._thinks

    def _safe(self, held: str) -> int:
        """Return how much of the text can be no part of a tag, nor the white space round one."""
        tags = self._closings if self._thinks else self._openings
        end = len(held)
        least = max(0, end - max(map(len, tags)) + 1)
        start = held.find("<", least)
        while start >= 0:
            if any(tag.startswith(held[start:]) for tag in tags):
                end = start
                break
            start = held.find("<", start + 1)
        if self._thinks:
            return len(held[:end].rstrip())
        if self._index is None and not held[:end].strip():
            return 0
        return end

    def _emit(self, length: int, made: list[Event]) -> None:
        if not length:
            return
        self._enter(made)
        piece, place = self._held[:length], self._place
        self._held, self._place = self._held[length:], place + length
        if self._thinks:
            if self._tokens is not None:
                self._tokens.drop(self._place)
            made.append(ReasoningDelta(self._index, piece))  # type: ignore[arg-type]
        else:
            kept = None if self._tokens is None else self._tokens.keep(self._place)
            made.append(TextDelta(self._index, piece, kept))  # type: ignore[arg-type]

    def _skip(self, length: int) -> None:
        self._held, self._place = self._held[length:], self._place + length
        if self._tokens is not None:
            self._tokens.drop(self._place)

    def _enter(self, made: list[Event]) -> None:
        """Begin a part, where none is open."""
        if self._index is None:
            self._index, self._from = self._machine.number(), self._place
            made.append(PartStart(self._index, ReasoningPart() if self._thinks else TextPart("")))
        if not self._thinks:
            made += [self._placed(source) for source in self._cited]
            self._cited = []

    def _leave(self, made: list[Event], meta: Meta | None = None) -> None:
        if self._index is not None:
            made.append(PartEnd(self._index, meta or {}))
            self._index = None

    def cite(self, source: Source, made: list[Event]) -> None:
        """Take in a citation; it waits for a text to stand in."""
        if self._index is None or self._thinks:
            self._cited.append(source)
        else:
            made.append(self._placed(source))

    def _placed(self, source: Source) -> SourceDelta:
        assert self._index is not None
        start, end = source.start, source.end
        if start is not None and self._from and start >= self._from:
            source = structs.replace(source, start=start - self._from, end=None if end is None else end - self._from)
        elif self._from and (start is not None or end is not None):
            source = structs.replace(source, start=None, end=None)
        return SourceDelta(self._index, source)

    def flush(self, made: list[Event]) -> None:
        """Hand on all that is held: no more text will come."""
        self._emit(len(self._held), made)

    def end(self, meta: Meta, made: list[Event]) -> None:
        """End the part. What the wire says of it belongs to its text, even where none is left."""
        self.flush(made)
        meta = meta or self._meta
        if (self._thinks and (meta or self._cited)) or (self._index is None and (self._bare or meta or self._cited)):
            self._leave(made)
            self._thinks = False
            self._enter(made)
        self._leave(made, {} if self._thinks else meta)
