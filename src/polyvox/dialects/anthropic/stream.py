"""A streamed answer: frames in, events out.

The rules, each from real traffic: pings come anywhere; unknown events are skipped, unknown blocks and deltas are kept;
counts are cumulative and replace what was said; a call's first piece is `""`, and may be its only one; an error may
come as a frame under status 200; a proxy may add `[DONE]`.
https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from polyvox.dialects._parts import Parts
from polyvox.dialects._reading import JSONObject
from polyvox.dialects.anthropic import wire
from polyvox.dialects.anthropic.blocks import decode_block, decode_citation
from polyvox.dialects.anthropic.errors import error_of
from polyvox.dialects.anthropic.response import as_meta, decode_finish, decode_response, envelope
from polyvox.dialects.anthropic.usage import decode_usage, merge_usage
from polyvox.errors import InterruptedCallError
from polyvox.framing import json
from polyvox.framing.base import Frame
from polyvox.types.events import (
    Event,
    ReasoningDelta,
    SourceDelta,
    StreamEnd,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    UsageUpdate,
)
from polyvox.types.fold import unfold
from polyvox.types.generate import Finish
from polyvox.types.parts import ReasoningPart, TextPart, ToolCall

_decode_event = msgspec.json.Decoder(wire.StreamEvent).decode

_Kind = Literal["text", "thinking", "call", "whole"]

# The block that a piece belongs to, where the wire did not begin it.
_IMPLIED: Final = {"thinking_delta": "thinking", "signature_delta": "thinking"}


class _Block:
    """A block that is open: its part's index, and itself with what came since."""

    __slots__ = ("block", "half", "index", "kind", "written")

    def __init__(self, block: JSONObject, kind: _Kind) -> None:
        self.block = block
        self.kind = kind
        self.index = -1
        self.half = ""  # of a character cut between two deltas
        self.written = False


class StreamDecoder:
    """See `polyvox.dialects.base.StreamDecoder`."""

    __slots__ = ("_begun", "_blocks", "_calls", "_done", "_finish", "_meta", "_parts", "_usage", "_whole")

    def __init__(self) -> None:
        self._begun = False
        self._done = False
        self._parts = Parts()
        self._blocks: dict[int | None, _Block] = {}
        self._calls: dict[str, str] = {}
        self._usage: JSONObject = {}
        self._meta: JSONObject = {}
        self._finish: Finish | None = None
        self._whole: Event | None = None

    def feed(self, frame: Frame) -> list[Event]:
        """Return the events that this frame brings. Raises the `ProviderError` that it may hold."""
        try:
            event = _decode_event(frame.data)
        except (ValueError, RecursionError):  # the second: nested deeper than anything is
            return self._feed_odd(frame.data)
        # The common case, a piece of text for a block that is open, goes the shortest way.
        if event.type == "content_block_delta":
            block, delta = self._blocks.get(event.index), event.delta
            if (
                delta is not None
                and block is not None
                and delta.type == "text_delta"
                and block.kind == "text"
                and not block.half
                and delta.text
            ):
                return [TextDelta(block.index, delta.text)]
        return self._feed_event(event, frame.data)

    def _feed_odd(self, data: bytes) -> list[Event]:
        """Take in what the typed decoder cannot read: a proxy's end mark, an odd field, a half of a character."""
        if data.strip() == b"[DONE]":
            return []
        return self._feed_event(json.decode(data, wire.StreamEvent), data)

    def _feed_event(self, event: wire.StreamEvent, data: bytes) -> list[Event]:
        events: list[Event] = []
        if self._whole is not None and event.type != "error":
            return events  # it was told whole: what a service says after it is said twice
        match event.type:
            case "content_block_delta" if event.delta is not None:
                self._feed_delta(event, event.delta, data, events)
            case "content_block_start":
                self._begin(events)
                self._start(event.index, event.content_block or {"type": "text"}, events)
            case "content_block_stop":
                self._stop(event.index, events)
            case "message_start":
                self._take_message(event.message or {}, events)
            case "message_delta":
                self._take_end(json.decode(data), events)
            case "message_stop":
                self._done = True
            case "message" if not self._begun:
                # A service that answers a streamed request whole.
                *events, self._whole = unfold(decode_response(data))
                self._begun = self._done = True
            case "error":
                raise error_of(json.decode(data), status=None)
            case _ if event.error is not None:
                raise error_of(json.decode(data), status=None)
            case _:
                pass  # a ping, or an event of tomorrow: the wire's versioning says to skip it
        return events

    def _begin(self, events: list[Event]) -> None:
        if not self._begun:
            self._begun = True
            events.append(StreamStart())

    def _take_message(self, message: JSONObject, events: list[Event]) -> None:
        name, model = message.get("id"), message.get("model")
        if not self._begun:  # a start that comes again must not throw away what has come
            self._begun = True
            events.append(
                StreamStart(
                    name if isinstance(name, str) and name else None,
                    model if isinstance(model, str) and model else None,
                )
            )
        self._meta.update(envelope(message))
        self._take_usage(message.get("usage"), events)
        blocks = message.get("content")
        for place, block in enumerate(blocks if isinstance(blocks, list) else ()):
            if isinstance(block, dict):
                self._start(-1 - place, block, events)
                self._stop(-1 - place, events)

    def _take_usage(self, usage: Any, events: list[Event]) -> None:
        if isinstance(usage, dict) and usage:
            self._usage = merge_usage(self._usage, usage)
            events.append(UsageUpdate(decode_usage(self._usage)))

    def _take_end(self, held: JSONObject, events: list[Event]) -> None:
        """Take in the end's facts: why it ended stands in `delta`, other members beside it."""
        self._begin(events)
        delta = held.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        if delta.get("stop_reason") is not None:
            self._finish = decode_finish(delta["stop_reason"])
        self._meta.update(envelope(delta))
        self._meta.update({name: value for name, value in envelope(held).items() if name != "delta"})
        self._take_usage(held.get("usage"), events)

    # Blocks

    def _start(self, place: int | None, given: JSONObject, events: list[Event]) -> None:
        if place in self._blocks:
            self._stop(place, events)
        part = decode_block(given, self._calls, "")
        match part:
            case TextPart():
                block = _Block({**given, "text": ""}, "text")
                block.index = self._parts.start(TextPart("", meta=part.meta), events)
                if part.text:
                    events.append(TextDelta(block.index, part.text))
                events.extend(SourceDelta(block.index, source) for source in part.sources)
            case ReasoningPart(redacted=False):
                block = _Block({**given, "thinking": ""}, "thinking")
                block.index = self._parts.start(ReasoningPart(meta=part.meta), events)
                if part.text:
                    events.append(ReasoningDelta(block.index, part.text))
            case _:
                block = _Block(dict(given), "call" if isinstance(part, ToolCall) else "whole")
                block.index = self._parts.start(part, events)
        self._blocks[place] = block

    def _feed_delta(self, event: wire.StreamEvent, delta: wire.Delta, data: bytes, events: list[Event]) -> None:
        self._begin(events)
        block = self._blocks.get(event.index)
        if block is None:
            self._start(event.index, {"type": _IMPLIED.get(delta.type, "text")}, events)
            block = self._blocks[event.index]
        match delta.type, block.kind:
            case "text_delta", "text":
                text, block.half = json.join_halves(block.half, delta.text)
                if text:
                    events.append(TextDelta(block.index, text))
            case "thinking_delta", "thinking":
                text, block.half = json.join_halves(block.half, delta.thinking)
                if text:
                    events.append(ReasoningDelta(block.index, text))
            case "input_json_delta", "call":
                if delta.partial_json:
                    block.written = True
                    text, block.half = json.join_halves(block.half, delta.partial_json)
                    events.append(ToolCallDelta(block.index, text))
            case _:
                odd = json.decode(data).get("delta")
                if isinstance(odd, dict):
                    self._feed_rare(block, odd, events)

    def _feed_rare(self, block: _Block, delta: JSONObject, events: list[Event]) -> None:
        """Take in a citation, a signature, a compaction's text; what is not known yet becomes the block's own."""
        if delta.get("type") == "citations_delta" and block.kind == "text":
            events.append(SourceDelta(block.index, decode_citation(delta.get("citation"))))
            return
        for name, value in delta.items():
            known = block.block.get(name)
            if name == "type":
                continue
            # A signature comes whole; other text is taken for pieces of one.
            if isinstance(known, str) and isinstance(value, str) and name != "signature":
                block.block[name] = known + value
            elif isinstance(known, list) and isinstance(value, list):
                block.block[name] = [*known, *value]
            else:
                block.block[name] = value
        block.written = block.written or block.kind == "whole"

    def _stop(self, place: int | None, events: list[Event]) -> None:
        block = self._blocks.pop(place, None)
        if block is None:
            return
        if block.half:
            kind = {"text": TextDelta, "thinking": ReasoningDelta}.get(block.kind, ToolCallDelta)
            events.append(kind(block.index, "\ufffd"))
        if block.kind == "call" and not block.written:
            # No piece came: the input stands in the block itself, `{}` where there are no arguments.
            events.append(ToolCallDelta(block.index, json.encode(block.block.get("input") or {}).decode()))
        self._parts.end(block.index, events, decode_block(block.block, {}, "").meta)

    def close(self) -> list[Event]:
        """Return the events that end the answer. Raises `InterruptedCallError` where no end was seen."""
        if self._whole is not None:
            return [self._whole]
        if self._finish is None and not self._done:
            raise InterruptedCallError("the answer broke off before its end")
        events: list[Event] = []
        self._begin(events)
        for place in list(self._blocks):
            self._stop(place, events)
        events.append(StreamEnd(self._finish or decode_finish(None), meta=as_meta(self._meta)))
        return events
