"""`Redact`: what matches a pattern leaves no answer, wherever the stream was cut.

The rule: text is handed on only when no match can begin in it any more, so that the result is that of searching the
whole text at once, for patterns that show within the window. In doubt it holds back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct, structs

from polyvox.calls.texts import Tokens, alternatives_through
from polyvox.errors import ConfigError
from polyvox.types.events import (
    Event,
    PartEnd,
    PartStart,
    RawFrame,
    ReasoningDelta,
    SourceDelta,
    StreamEnd,
    TextDelta,
    ToolCallDelta,
)
from polyvox.types.generate import GenerateResponse
from polyvox.types.parts import (
    FilePart,
    Part,
    ReasoningPart,
    Source,
    SourcePart,
    TextPart,
    TokenLogprob,
    ToolCall,
    ToolResult,
)

if TYPE_CHECKING:
    from polyvox.io.base import Context

_GROWTH: Final = 64
"""A match that reaches the end of what has come is waited for, up to so many windows."""

Kind = Literal["text", "reasoning", "arguments"]


class Redact(Struct, frozen=True):
    """Replace what matches one of `patterns` (regular expressions, or their text) in the answer.

    Searched: text and its citations, refusals, results of the provider's own tools, reasoning unless `reasoning` is
    false, and the arguments of tool calls where `arguments` is true (as JSON text, which stays JSON; the tool then gets
    the replacement).

    `window` is the number of characters that a stream is held back by: so much of a match must be enough for its
    pattern to match. What matches is then waited for as long as it grows (up to 64 windows). Lookahead sees no further
    than the window. Patterns are tried at each place in the order given, and the earliest match counts.

    The bytes as received are no part of a redacted answer: `response.raw` is `None`, and `RawFrame`s are left out. What
    dialects keep in `meta` is not searched.

    Raises `ConfigError` for a pattern that is none, or that matches nothing at all.
    """

    patterns: Sequence[str | re.Pattern[str]]
    replacement: str = "[redacted]"
    window: int = 64
    reasoning: bool = True
    arguments: bool = False

    def __post_init__(self) -> None:
        given: Any = self.patterns
        if not given or isinstance(given, str):
            raise ConfigError("Redact(patterns=…): give the patterns in a list")
        window: Any = self.window
        if isinstance(window, bool) or not isinstance(window, int) or window < 1:
            raise ConfigError(f"Redact(window={self.window!r}): give a number of characters from 1")
        if not isinstance(self.replacement, str):
            raise ConfigError(f"Redact(replacement={self.replacement!r}): give a text")
        for pattern in self.compiled:
            if pattern.match(""):
                raise ConfigError(f"Redact(patterns=…): {pattern.pattern!r} matches the empty text")

    @property
    def compiled(self) -> tuple[re.Pattern[str], ...]:
        """The patterns, ready to search. Raises `ConfigError` for what is no regular expression."""
        try:
            patterns = tuple(re.compile(pattern) for pattern in self.patterns)
            for pattern in patterns:
                pattern.match("")  # refused by a pattern for bytes
            return patterns
        except (re.error, TypeError) as error:
            raise ConfigError(f"Redact(patterns=…): this is no regular expression: {error}") from None

    def start(self, context: Context | None = None) -> RedactMachine:
        """Return a machine for one answer."""
        return RedactMachine(self)


class RedactMachine:
    """Searches the texts of one answer."""

    def __init__(self, settings: Redact) -> None:
        self._settings = settings
        self._patterns = settings.compiled
        self._texts: dict[int, _Text] = {}

    def feed(self, events: list[Event]) -> list[Event]:
        """Return the events to hand on for these."""
        made: list[Event] = []
        for event in events:
            match event:
                case PartStart():
                    self._begin(event, made)
                case TextDelta() | ReasoningDelta() if event.index in self._texts:
                    logprobs = event.logprobs if isinstance(event, TextDelta) else None
                    self._texts[event.index].write(event.text, logprobs, made)
                case ToolCallDelta() if event.index in self._texts:
                    self._texts[event.index].write(event.arguments, None, made)
                case SourceDelta() if event.index in self._texts:
                    # Its place in the new text is known when all matches are.
                    self._texts[event.index].cited.append(event.source)
                case PartEnd() if event.index in self._texts:
                    self._texts.pop(event.index).end(made)
                    made.append(event)
                case StreamEnd() if event.alternatives:
                    others = alternatives_through(self._settings.start, event.alternatives)
                    made.append(structs.replace(event, alternatives=others))
                case RawFrame():
                    pass  # the bytes as received, secrets and all
                case _:
                    made.append(event)
        return made

    def close(self) -> list[Event]:
        """Return what was still held back."""
        made: list[Event] = []
        for text in self._texts.values():
            text.end(made)
        self._texts.clear()
        return made

    def whole(self, response: GenerateResponse[Any]) -> GenerateResponse[Any]:
        """Return the whole answer without the bytes it was read from."""
        return structs.replace(response, raw=None)

    def _begin(self, event: PartStart, made: list[Event]) -> None:
        index, part = event.index, event.part
        if isinstance(part, TextPart):
            made.append(PartStart(index, structs.replace(part, text="", sources=(), logprobs=None)))
            text = self._texts[index] = _Text(self, index, "text")
            text.cited += part.sources
            text.write(part.text, part.logprobs, made)
        elif isinstance(part, ReasoningPart) and self._settings.reasoning:
            made.append(PartStart(index, structs.replace(part, text="")))
            self._texts[index] = _Text(self, index, "reasoning")
            self._texts[index].write(part.text, None, made)
        elif isinstance(part, ToolCall) and self._settings.arguments:
            made.append(PartStart(index, structs.replace(part, arguments="")))
            self._texts[index] = _Text(self, index, "arguments", quoted=part.kind == "function")
            self._texts[index].write(part.arguments, None, made)
        else:
            made.append(PartStart(index, self._part(part)))

    def _part(self, part: Part) -> Part:
        """Return a part that comes whole, searched."""
        match part:
            case TextPart():
                sources = tuple(self.source(source) for source in part.sources)
                return structs.replace(part, text=self.text(part.text), sources=sources, logprobs=None)
            case SourcePart():
                return structs.replace(
                    part, url=self.text(part.url), title=self.text(part.title), text=self.text(part.text)
                )
            case ToolResult():
                return structs.replace(part, content=tuple(self._part(inner) for inner in part.content))
            case FilePart():
                return structs.replace(part, name=self.text(part.name))
            case _:
                return part

    def source(self, source: Source) -> Source:
        """Return a citation, searched."""
        return structs.replace(
            source, url=self.text(source.url), title=self.text(source.title), text=self.text(source.text)
        )

    def text(self, text: Any) -> Any:
        """Return a whole text, searched; `None` for none."""
        if not text:
            return text
        made: list[Event] = []
        searched = _Text(self, 0, "reasoning")
        searched.write(text, None, made)
        searched.end(made)
        return "".join(event.text for event in made if isinstance(event, ReasoningDelta))

    @property
    def window(self) -> int:
        """How many characters are held back."""
        return self._settings.window

    def replacement(self, *, quoted: bool) -> str:
        """Return what stands for a match; `quoted` within JSON text."""
        replacement = self._settings.replacement
        return json.dumps(replacement, ensure_ascii=False)[1:-1] if quoted else replacement

    def search(self, text: str, start: int) -> tuple[int, int] | None:
        """Return where the earliest match from `start` on begins and ends."""
        found: tuple[int, int] | None = None
        for pattern in self._patterns:
            place = start
            while (match := pattern.search(text, place)) is not None:
                if match.end() > match.start():
                    if found is None or match.start() < found[0]:
                        found = match.span()
                    break
                place = match.end() + 1
        return found


class _Text:
    """The text of one part. What was handed on is kept for a window, for patterns that look behind."""

    def __init__(self, machine: RedactMachine, index: int, kind: Kind, *, quoted: bool = False) -> None:
        self._machine = machine
        self._index = index
        self._kind = kind
        self._replacement = machine.replacement(quoted=quoted)
        self._held = ""
        self._done = 0  # so much of what is held was handed on, or redacted
        self._place = 0  # where what is held begins in the text as it came
        self._tokens: Tokens | None = None
        self._kept: list[TokenLogprob] = []
        self._matches: list[tuple[int, int]] = []
        self.cited: list[Source] = []

    def write(self, text: str, logprobs: Any, made: list[Event]) -> None:
        """Take in more text, and hand on what can be."""
        if logprobs is not None:
            self._tokens = self._tokens or Tokens()
            self._tokens.add(self._place + len(self._held), logprobs)
        if text:
            self._held += text
            self._advance(made, last=False)

    def end(self, made: list[Event]) -> None:
        """Hand on all that is held: no more text will come."""
        self._advance(made, last=True)
        for source in self.cited:
            start, end = self._moved(source.start), self._moved(source.end)
            made.append(SourceDelta(self._index, structs.replace(self._machine.source(source), start=start, end=end)))

    def _advance(self, made: list[Event], *, last: bool) -> None:
        held, window = self._held, self._machine.window
        end = len(held)
        limit = end if last else end - window
        pieces: list[str] = []
        while self._done < limit:
            found = self._machine.search(held, self._done)
            if found is None or found[0] >= limit:
                self._keep(limit, pieces)
                break
            self._keep(found[0], pieces)
            self._collect()
            if not last and found[1] == end and found[1] - found[0] < window * _GROWTH:
                break
            pieces.append(self._replacement)
            self._matches.append((self._place + found[0], self._place + found[1]))
            self._done = found[1]
            if self._tokens is not None:
                self._tokens.drop(self._place + self._done)
        if pieces:
            made.append(self._delta("".join(pieces)))
        spare = self._done - window
        if spare > 0:
            self._held, self._done, self._place = held[spare:], window, self._place + spare

    def _keep(self, until: int, pieces: list[str]) -> None:
        if until > self._done:
            pieces.append(self._held[self._done : until])
            self._done = until

    def _collect(self) -> None:
        """Take the tokens of what is handed on, before a match behind it drops its own."""
        if self._tokens is not None:
            self._kept += self._tokens.keep(self._place + self._done) or ()

    def _delta(self, text: str) -> Event:
        if self._kind == "text":
            self._collect()
            kept, self._kept = tuple(self._kept), []
            return TextDelta(self._index, text, kept or None)
        return ReasoningDelta(self._index, text) if self._kind == "reasoning" else ToolCallDelta(self._index, text)

    def _moved(self, offset: int | None) -> int | None:
        """Return where a place in the text as it came stands now; one within a match stands at its replacement."""
        if offset is None:
            return None
        moved = offset
        for start, end in self._matches:
            if end <= offset:
                moved += len(self._replacement) - (end - start)
            elif start < offset:
                moved += start - offset
        return moved
