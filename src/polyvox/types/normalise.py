"""The normal form of a conversation, made before encoding and after decoding.

The rule, three lines: results follow their calls in *one* tool message, in call order; adjacent messages of one role are
merged, save system; system messages keep their place. Pure, and idempotent: `normalise(normalise(m)) == normalise(m)`.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from polyvox.types.messages import Message
from polyvox.types.parts import Meta, ToolCall, ToolResult


def _merged_meta(first: Meta, second: Meta) -> Meta:
    if not first or not second:
        return first or second
    return {name: {**first.get(name, {}), **second.get(name, {})} for name in {**first, **second}}


def _merge(messages: Iterable[Message]) -> list[Message]:
    merged: list[Message] = []
    for message in messages:
        last = merged[-1] if merged else None
        if last is None or last.role != message.role or message.role == "system" or last.origin != message.origin:
            merged.append(message)
        elif message.meta != last.meta and message.meta and last.meta and message.role != "tool":
            # Two speakers (`name`), or marks that belong to one of the two: merging would give one the other's.
            merged.append(message)
        else:
            merged[-1] = Message(
                last.role, last.content + message.content, last.origin, _merged_meta(last.meta, message.meta)
            )
    return merged


def _call_order(message: Message) -> dict[str, int]:
    return {part.id: place for place, part in enumerate(message.content) if isinstance(part, ToolCall)}


def _sorted_results(message: Message, order: dict[str, int]) -> Message:
    results = [part for part in message.content if isinstance(part, ToolResult)]
    if len(results) < 2 or len(results) != len(message.content):
        return message
    ordered = tuple(sorted(results, key=lambda result: order.get(result.id, len(order))))
    return message if ordered == message.content else structs.replace(message, content=ordered)


def _pull_results(messages: list[Message]) -> list[Message]:
    """Move tool messages up to the assistant message whose calls they answer, past what stands between."""
    placed: list[Message] = []
    waiting: dict[str, int] = {}  # id of an unanswered call -> place in `placed` of the message that made it
    for message in messages:
        if message.role == "assistant":
            placed.append(message)
            waiting.update(dict.fromkeys(_call_order(message), len(placed) - 1))
            continue
        homes = {waiting.get(part.id) for part in message.content if isinstance(part, ToolResult)}
        home = homes.pop() if message.role == "tool" and len(homes) == 1 else None
        if home is None or home >= len(placed) - 1:
            placed.append(message)
            continue
        place = home + 1
        while place < len(placed) and placed[place].role == "tool":
            place += 1
        placed.insert(place, message)
        waiting = {call: at + 1 if at >= place else at for call, at in waiting.items()}
    return placed


def normalise(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Return the messages in normal form."""
    merged = _merge(_pull_results(list(messages)))
    order: dict[str, int] = {}
    normal: list[Message] = []
    for message in merged:
        if message.role == "assistant":
            order = _call_order(message)
        normal.append(_sorted_results(message, order) if message.role == "tool" else message)
    return tuple(normal)
