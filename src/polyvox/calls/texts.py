"""What machines that rewrite an answer's text share: where its tokens stand, and answers that come whole.

The rule: a token's logprob is handed on only where all of its text is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from msgspec import structs

from polyvox.types.events import Event, StreamEnd
from polyvox.types.fold import fold, unfold
from polyvox.types.generate import Alternative, GenerateResponse
from polyvox.types.parts import Part, TokenLogprob


class EventMachine(Protocol):
    """Events in, events out, for one answer."""

    def feed(self, events: list[Event]) -> list[Event]:
        """Return the events to hand on for these."""
        ...

    def close(self) -> list[Event]:
        """Return what was still held back."""
        ...


class Tokens:
    """The logprobs of a text's tokens, waiting for what becomes of the text. Places are offsets in the original."""

    __slots__ = ("_clean", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, int, TokenLogprob]] = deque()
        self._clean = 0

    def add(self, place: int, tokens: Iterable[TokenLogprob]) -> None:
        """Take in the tokens of the text that begins at `place`."""
        for token in tokens:
            end = place + len(token.token)
            self._waiting.append((place, end, token))
            place = end

    def keep(self, until: int) -> tuple[TokenLogprob, ...] | None:
        """Return the tokens that lie wholly in the text handed on, which now reaches up to `until`."""
        kept: list[TokenLogprob] = []
        while self._waiting and self._waiting[0][1] <= until:
            start, _, token = self._waiting.popleft()
            if start >= self._clean:
                kept.append(token)
        return tuple(kept) or None

    def drop(self, until: int) -> None:
        """Forget the tokens of the text before `until`, and one that reaches over it."""
        self._clean = until
        while self._waiting and self._waiting[0][0] < until:
            self._waiting.popleft()


def without_response(events: list[Event]) -> tuple[list[Event], GenerateResponse[Any] | None]:
    """Return the events as a machine is to see them, and the whole answer where they are one."""
    last = events[-1] if events else None
    if type(last) is not StreamEnd or last.response is None:
        return events, None
    return [*events[:-1], structs.replace(last, response=None)], last.response


def rebuild(whole: GenerateResponse[Any], events: list[Event]) -> GenerateResponse[Any]:
    """Return the whole answer as its events say it now, with what no event says kept from `whole`."""
    folded = fold(events)
    rebuilt = structs.replace(
        whole,
        id=folded.id,
        model=folded.model,
        provider=folded.provider,
        adjustments=folded.adjustments,
        content=folded.content,
        finish=folded.finish,
        usage=folded.usage,
        alternatives=folded.alternatives,
        meta=folded.meta,
    )
    return whole if rebuilt == whole else rebuilt


def alternatives_through(
    make: Callable[[], EventMachine], alternatives: tuple[Alternative, ...]
) -> tuple[Alternative, ...]:
    """Return the further answers, each through a machine of its own."""
    return tuple(
        structs.replace(alternative, content=parts_through(make(), alternative.content)) for alternative in alternatives
    )


def parts_through(machine: EventMachine, content: tuple[Part, ...]) -> tuple[Part, ...]:
    """Return the parts that a machine makes of these."""
    events, _ = without_response(unfold(GenerateResponse(content=content)))
    return fold(machine.feed(events)).content
