"""A streamed answer: frames in, events out.

The rules, each from real traffic: a piece names its item by `output_index`, some services by `item_id` alone; what did
not come in pieces comes with `output_item.done`, or with the last event only; `encrypted_content` is whole in
`output_item.done` and nowhere before; unknown events are skipped, unknown items are kept; an error comes flat or nested
and is told once more by `response.failed`; OpenRouter adds `[DONE]`.
https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from polyvox.dialects._parts import Parts
from polyvox.dialects._reading import JSONObject
from polyvox.dialects.openai_responses import wire
from polyvox.dialects.openai_responses.beside import SOUND, THOUGHTS, BesideReader
from polyvox.dialects.openai_responses.fields import text_of
from polyvox.dialects.openai_responses.item_stream import ItemReader
from polyvox.dialects.openai_responses.response import (
    as_meta,
    decode_finish,
    decode_response,
    raise_error,
    raise_failure,
)
from polyvox.dialects.openai_responses.sources import decode_annotation, decode_logprobs
from polyvox.dialects.openai_responses.usage import decode_usage
from polyvox.errors import InterruptedCallError
from polyvox.framing import json
from polyvox.framing.base import Frame
from polyvox.types.events import Event, SourceDelta, StreamEnd, StreamStart, TextDelta, UsageUpdate
from polyvox.types.fold import unfold
from polyvox.types.parts import Part
from polyvox.types.usage import Usage

_decode_event = msgspec.json.Decoder(wire.StreamEvent).decode

_TEXT: Final = "response.output_text.delta"
# A piece's event → the kind of item it belongs to, the place in it, the event's member that counts the place.
_PIECES: Final = {
    _TEXT: ("message", "content", "content_index"),
    "response.refusal.delta": ("message", "content", "content_index"),
    "response.reasoning_text.delta": ("reasoning", "content", "content_index"),
    "response.reasoning_summary_text.delta": ("reasoning", "summary", "summary_index"),
    "response.function_call_arguments.delta": ("function_call", "call", ""),
    "response.custom_tool_call_input.delta": ("custom_tool_call", "call", ""),
    "response.mcp_call_arguments.delta": ("mcp_call", "call", ""),
    "response.code_interpreter_call_code.delta": ("code_interpreter_call", "call", ""),
}
_ENDS: Final = (
    "response.completed",
    "response.incomplete",
    "response.failed",
    "response.cancelled",
    "response.done",
)
# What an end says of an answer that does not say its own status.
_STATUSES: Final = {"response.incomplete": "incomplete", "response.cancelled": "cancelled"}
_BEGINNINGS: Final = ("response.created", "response.queued", "response.in_progress")


class StreamDecoder:
    """See `polyvox.dialects.base.StreamDecoder`."""

    __slots__ = (
        "_begun",
        "_beside",
        "_content",
        "_done",
        "_ended",
        "_envelope",
        "_hot",
        "_items",
        "_last",
        "_parts",
        "_usage",
        "_whole",
    )

    def __init__(self) -> None:
        self._begun = False
        self._done = False
        self._ended = False  # by an event that tells the whole answer
        self._parts = Parts()
        self._items: list[ItemReader] = []
        self._last: ItemReader | None = None
        self._hot: ItemReader | None = None
        """The item whose text comes: its pieces go the shortest way."""
        self._content: list[Part] = []
        self._beside = BesideReader(self._parts)
        self._envelope: JSONObject = {}
        self._usage: Usage | None = None
        self._whole: Event | None = None

    def feed(self, frame: Frame) -> list[Event]:
        """Return the events that this frame brings. Raises the `ProviderError` that it may hold."""
        try:
            event = _decode_event(frame.data)
        except (ValueError, RecursionError):
            if frame.data.strip() == b"[DONE]":
                self._done = True
                return []
            event = json.decode(frame.data, wire.StreamEvent)
        # The common case goes the shortest way: a piece of the text that is open.
        hot, delta = self._hot, event.delta
        if (
            hot is not None
            and delta
            and event.type == _TEXT
            and event.output_index == hot.output
            and event.content_index == hot.text_place
            and not event.logprobs
            and delta[-1] < "\ud800"
            and not self._parts.mends
        ):
            hot.text_sent += len(delta)
            return [TextDelta(hot.text_index, delta)]
        events: list[Event] = []
        self._feed(event, event.type or frame.event or "", frame.data, events)
        return events

    def _feed(self, event: wire.StreamEvent, kind: str, data: bytes, events: list[Event]) -> None:
        piece = _PIECES.get(kind)
        if piece is not None:
            if event.delta is not None:
                self._begin({}, events)
                self._feed_piece(event, kind, piece, events)
            return
        if kind in SOUND:
            if event.delta is not None:
                self._begin({}, events)
                self._beside.feed_sound(kind, event.delta, events)
            return
        if kind == "error" or (event.error is not None and not kind.startswith("response.")):
            raise_error(json.decode(data))
        if event.object == "response" and not event.type:
            # A service that answers a streamed request whole.
            *told, self._whole = unfold(decode_response(data))
            events += told
            self._begun = self._done = True
            return
        if not kind.startswith("response.") or kind.endswith((".partial_image", ".searching", ".generating")):
            return  # a ping, or an event of tomorrow
        self._feed_rare(event, kind, json.decode(data), events)

    def _feed_rare(self, event: wire.StreamEvent, kind: str, held: Any, events: list[Event]) -> None:
        if not isinstance(held, dict):
            return
        response, item, part = (_object(held, name) for name in ("response", "item", "part"))
        match kind:
            case "response.output_item.added":
                self._begin({}, events)
                self._last = self._add(event, item, events)
            case "response.output_item.done":
                self._begin({}, events)
                reader = self._find(event, item) or self._add(event, item, events)
                self._end_item(reader, item, events)
            case "response.content_part.added" | "response.content_part.done":
                self._feed_part(event, ("content", event.content_index or 0), part, events)
            case "response.reasoning_summary_part.added" | "response.reasoning_summary_part.done":
                self._feed_part(event, ("summary", event.summary_index or 0), part, events)
            case "response.output_text.annotation.added":
                self._feed_annotation(event, held, events)
            case _ if kind.startswith(THOUGHTS):
                self._begin({}, events)
                self._beside.feed_thought(kind, held, events)
            case "response.failed":
                raise_failure(response)
                raise_failure({**held, "status": "failed"})
            case _ if kind in _ENDS:
                self._end({"status": _STATUSES.get(kind), **response}, events)
            case _ if kind in _BEGINNINGS:
                raise_failure(response)
                if self._done:
                    self._turn(events)
                self._begin(response, events)
                self._envelope = self._envelope or response
                self._take_usage(response, events)

    def _begin(self, response: JSONObject, events: list[Event]) -> None:
        if not self._begun:
            self._begun = True
            events.append(StreamStart(text_of(response, "id") or None, text_of(response, "model") or None))

    def _turn(self, events: list[Event]) -> None:
        """A further answer follows in the same body: all that was said before stands."""
        for reader in self._items:
            self._end_item(reader, reader.item, events)
        self._items, self._last = [], None
        self._done = False

    def _take_usage(self, response: JSONObject, events: list[Event]) -> None:
        usage = response.get("usage")
        if isinstance(usage, dict) and usage:
            told = decode_usage(usage)
            if told != self._usage:
                self._usage = told
                events.append(UsageUpdate(told))

    # Items

    def _find(self, event: wire.StreamEvent, item: JSONObject) -> ItemReader | None:
        """Return the item that an event is of: by its id, by its place, else the last one."""
        name = event.item_id or text_of(item, "id")
        if event.output_index is not None:
            for reader in reversed(self._items):
                if reader.output == event.output_index and not reader.ended:
                    return reader
        if name:
            for reader in reversed(self._items):
                if reader.name == name:
                    return reader
        if event.output_index is None and not name:
            last = self._last
            return None if last is None or last.ended else last
        return None

    def _add(self, event: wire.StreamEvent, item: JSONObject, events: list[Event]) -> ItemReader:
        reader = ItemReader(self._parts, item, event.output_index)
        self._items.append(reader)
        reader.begin(events)
        return reader

    def _feed_piece(self, event: wire.StreamEvent, kind: str, piece: tuple[str, str, str], events: list[Event]) -> None:
        implied, place, counter = piece
        reader = self._find(event, {})
        if reader is None:
            # The wire did not begin it.
            item: JSONObject = {"type": implied}
            if event.item_id:
                item["id"] = event.item_id
            reader = self._last = self._add(event, item, events)
        if reader.ended:
            return
        at = (getattr(event, counter) if counter else 0) or 0
        refusal = kind == "response.refusal.delta"
        logprobs = decode_logprobs(event.logprobs) if kind == _TEXT else None
        reader.write((place, at), event.delta or "", logprobs, events, refusal=refusal)
        self._hot = reader if kind == _TEXT and reader.text_place >= 0 else None

    def _feed_part(
        self, event: wire.StreamEvent, place: tuple[str, int], part: JSONObject, events: list[Event]
    ) -> None:
        reader = self._find(event, {})
        if reader is not None and not reader.ended:
            reader.know(place, part, events)

    def _feed_annotation(self, event: wire.StreamEvent, held: JSONObject, events: list[Event]) -> None:
        reader = self._find(event, {})
        if reader is None or reader.ended or "annotation" not in held:
            return
        index = reader.cite(("content", event.content_index or 0), events)
        if index is not None:
            events.append(SourceDelta(index, decode_annotation(held["annotation"])))

    def _end_item(self, reader: ItemReader, item: JSONObject, events: list[Event]) -> None:
        if self._hot is reader:
            self._hot = None
        if not reader.ended:
            self._content += reader.end(item, events)

    # The end

    def _end(self, response: JSONObject, events: list[Event]) -> None:
        """Take in the last event: the answer once more, and what came in no other."""
        raise_failure(response)
        self._begin(response, events)
        items = response.get("output")
        for at, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, dict):
                reader = self._match(at, item)
                if reader is None:
                    reader = self._add(wire.StreamEvent(output_index=at), item, events)
                self._end_item(reader, item, events)
        self._take_usage(response, events)
        self._envelope = response if len(response) > 1 else {**self._envelope, "status": response.get("status")}
        self._done = self._ended = True

    def _match(self, at: int, item: JSONObject) -> ItemReader | None:
        """Return what was streamed of an item, by the first that holds: its id, its place and kind, what it says.

        Some servers call an item by another id, or count other places, in the last event.
        """
        name, kind = text_of(item, "id"), text_of(item, "type")
        alike = [reader for reader in self._items if reader.kind == kind]
        ways: tuple[Callable[[ItemReader], bool], ...] = (
            lambda reader: bool(name) and reader.name == name,
            lambda reader: reader.output == at,
            lambda reader: reader.ended and reader.says(item),
            lambda reader: not reader.ended,
        )
        for way, readers in zip(ways, (self._items, alike, alike, alike), strict=True):
            for reader in readers:
                if way(reader):
                    return reader
        return None

    def close(self) -> list[Event]:
        """Return the events that end the answer. Raises `InterruptedCallError` where no end was seen."""
        if self._whole is not None:
            return [self._whole]
        if not self._done:
            raise InterruptedCallError("the answer broke off before its end")
        events: list[Event] = []
        self._begin({}, events)
        for reader in self._items:
            self._end_item(reader, reader.item, events)
        self._beside.close(self._content, events)
        finish = decode_finish(self._envelope, self._content)
        if finish is None and not self._ended:
            # Last said to be under way, and yet at its end mark: no better word came.
            finish = decode_finish({}, self._content)
        events.append(StreamEnd(finish, meta=as_meta(self._envelope)))
        return events


def _object(owner: JSONObject, name: str) -> JSONObject:
    value = owner.get(name)
    return value if isinstance(value, dict) else {}
