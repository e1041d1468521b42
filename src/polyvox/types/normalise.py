"""The normal form of a conversation, made before encoding and after decoding.

The rule, three lines: results follow their calls in *one* tool message, in call order; adjacent messages of one role
are merged, save system; system messages keep their place. Pure, and idempotent: `normalise(normalise(m)) ==
normalise(m)`. A result whose call is not there (or comes later) stays where it is.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from polyvox.types.messages import Message
from polyvox.types.parts import Meta, Part, ToolCall, ToolResult


def normalise(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Return the messages in normal form."""
    return tuple(_merge(_place_results(_merge(messages))))


def _merge(messages: Iterable[Message]) -> list[Message]:
    """Merge neighbours. The parts of a run are joined once, at its end, so that the cost is that of the parts."""
    merged: list[Message] = []
    run: list[Part] = []
    for message in messages:
        last = merged[-1] if merged else None
        if last is not None and _belong_together(last, message):
            merged[-1] = structs.replace(last, meta=_merged_meta(last.meta, message.meta))
        else:
            _close_run(merged, run)
            merged.append(message)
            run = []
        run.extend(message.content)
    _close_run(merged, run)
    return merged


def _close_run(merged: list[Message], run: list[Part]) -> None:
    if merged and len(run) != len(merged[-1].content):
        merged[-1] = structs.replace(merged[-1], content=tuple(run))


def _belong_together(last: Message, message: Message) -> bool:
    if last.role != message.role or message.role == "system":
        return False
    if message.role == "tool":
        return True
    # Two speakers (`name`), or marks that belong to one of the two: merging would give one the other's.
    return last.origin == message.origin and (not last.meta or not message.meta or last.meta == message.meta)


def _merged_meta(first: Meta, second: Meta) -> Meta:
    if not first or not second:
        return first or second
    return {name: {**first.get(name, {}), **second.get(name, {})} for name in {**first, **second}}


class _Turn:
    """An assistant message with the results of its calls, which may come late."""

    __slots__ = ("message", "meta", "order", "origin", "results")

    def __init__(self, message: Message, order: dict[str, int]) -> None:
        self.message = message
        self.order = order
        self.meta: Meta = {}
        self.origin: str | None = None
        self.results: list[ToolResult] = []

    def take(self, results: list[ToolResult], carrier: Message) -> None:
        self.results += results
        self.meta = _merged_meta(self.meta, carrier.meta)
        self.origin = self.origin or carrier.origin

    def written(self) -> list[Message]:
        if not self.results:
            return [self.message]
        results = tuple(sorted(self.results, key=lambda result: self.order[result.id]))
        return [self.message, Message("tool", results, self.origin, self.meta)]


def _place_results(messages: Iterable[Message]) -> list[Message]:
    """Put each result right behind the latest message before it that has its call, past whatever stands between."""
    placed: list[Message | _Turn] = []
    made_by: dict[str, _Turn] = {}  # id of a call -> the latest turn that made it: some models count anew each turn
    for message in messages:
        if message.role == "assistant":
            turn = _Turn(message, _call_order(message))
            made_by.update(dict.fromkeys(turn.order, turn))
            placed.append(turn)
        elif message.role == "tool":
            stays = _hand_out(message, made_by)
            if stays is not None:
                placed.append(stays)
        else:
            placed.append(message)
    return [message for item in placed for message in (item.written() if isinstance(item, _Turn) else [item])]


def _hand_out(message: Message, made_by: dict[str, _Turn]) -> Message | None:
    """Give the results of a tool message to the turns that wait for them; return what is left of it."""
    taken: dict[int, tuple[_Turn, list[ToolResult]]] = {}
    left: list[Part] = []
    for part in message.content:
        if isinstance(part, ToolResult) and part.id in made_by:
            turn = made_by[part.id]
            taken.setdefault(id(turn), (turn, []))[1].append(part)
        else:
            left.append(part)
    for turn, results in taken.values():
        turn.take(results, message)
    if not taken:
        return message
    return Message("tool", tuple(left), message.origin, message.meta) if left else None


def _call_order(message: Message) -> dict[str, int]:
    return {part.id: place for place, part in enumerate(message.content) if isinstance(part, ToolCall)}
