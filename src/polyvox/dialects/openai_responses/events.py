"""A server's half of a streamed answer: our events as frames.

The rule: a part that comes in pieces is written as it comes; another is written whole at its end. Each item says what
it is when it begins, and all of it when it is done; the last event says the whole answer once more.
https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import structs

from polyvox.dialects._reading import JSONObject
from polyvox.dialects.openai_responses.answer import (
    encode_envelope,
    encode_finish,
    encode_item,
    head_of,
    name_item,
)
from polyvox.dialects.openai_responses.fields import ITEM, MORE, own
from polyvox.dialects.openai_responses.items import encode_answer_content, encode_reasoning
from polyvox.dialects.openai_responses.sources import encode_annotation, encode_logprobs
from polyvox.dialects.openai_responses.usage import encode_usage
from polyvox.framing import json
from polyvox.types.events import (
    Event,
    FileDelta,
    PartEnd,
    PartStart,
    ReasoningDelta,
    SourceDelta,
    StreamEnd,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    UsageUpdate,
)
from polyvox.types.fold import Fold
from polyvox.types.generate import GenerateRequest
from polyvox.types.parts import Meta, Part, ReasoningPart, TextPart, ToolCall, ToolResult
from polyvox.types.usage import Usage


class _Item:
    """An item that is being written: where it stands, and its parts that are whole."""

    __slots__ = ("id", "kind", "parts", "place", "row")

    def __init__(self, kind: str, name: str, place: int) -> None:
        self.kind = kind
        self.id = name
        self.place = place
        self.parts: list[Part] = []
        self.row = {"content": 0, "summary": 0}


class _Piece:
    """A part that is open: its item, its place there, and what it is so far."""

    __slots__ = ("begun", "counter", "fold", "item", "member", "name", "part", "place")

    def __init__(self, item: _Item, part: Part, member: str) -> None:
        self.item = item
        self.part = part
        self.member = member
        self.place = item.row.get(member, 0)
        self.counter = "summary_index" if member == "summary" else "content_index"
        self.begun = False
        self.name = ""  # of its events
        self.fold = Fold()


class StreamEncoder:
    """Events of one answer in, frames of bytes out."""

    __slots__ = (
        "_begun",
        "_continued",
        "_count",
        "_head",
        "_held",
        "_metas",
        "_next",
        "_output",
        "_pieces",
        "_ran",
        "_start",
        "_usage",
        "_wholes",
    )

    def __init__(self, request: GenerateRequest) -> None:
        self._start = StreamStart(model=request.model or None)
        self._begun = False
        self._head: JSONObject = {}
        self._count = 0
        self._next = 0
        self._output: dict[int, JSONObject] = {}
        self._pieces: dict[int, _Piece] = {}
        self._wholes: dict[int, Fold] = {}
        self._metas: dict[int, Meta] = {}
        self._continued: _Item | None = None
        """The item that the next part belongs to."""
        self._held: dict[Any, list[Part]] = {}
        """Parts of items that are written whole, by the id of their item."""
        self._ran: dict[str, tuple[ToolCall, list[Part]]] = {}
        """Calls that another provider ran, until what they gave is known."""
        self._usage: Usage | None = None

    def feed(self, events: Sequence[Event]) -> list[bytes]:
        """Return the frames for these events."""
        frames: list[bytes] = []
        # A whole answer comes as one list: what its parts end with is known at their start.
        self._metas.update((event.index, event.meta) for event in events if type(event) is PartEnd and event.meta)
        for event in events:
            match event:
                case StreamStart():
                    self._start = event
                case UsageUpdate():
                    self._usage = event.usage
                case StreamEnd():
                    self._begin(frames)
                    self._end(event, frames)
                case PartStart() | PartEnd() | TextDelta() | ReasoningDelta() | ToolCallDelta():
                    self._begin(frames)
                    self._feed(event, frames)
                case FileDelta() | SourceDelta():
                    self._begin(frames)
                    self._feed(event, frames)
                case _:
                    pass  # raw frames and the steps of a tool loop are not of this wire
        return frames

    def _frame(self, kind: str, frames: list[bytes], **members: Any) -> None:
        data = json.encode({"type": kind, "sequence_number": self._count, **members})
        self._count += 1
        frames.append(b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n")

    def _begin(self, frames: list[bytes]) -> None:
        if self._begun:
            return
        self._begun = True
        self._head = head_of(self._start.id, self._start.model)
        response = {**self._head, "status": "in_progress", "error": None, "incomplete_details": None, "output": []}
        self._frame("response.created", frames, response=response)
        self._frame("response.in_progress", frames, response=response)

    def _feed(self, event: Event, frames: list[bytes]) -> None:
        match event:
            case PartStart():
                self._start_part(event, frames)
            case PartEnd():
                self._end_part(event, frames)
            case TextDelta() | ReasoningDelta() | ToolCallDelta() | FileDelta() | SourceDelta():
                piece = self._pieces.get(event.index)
                fold = piece.fold if piece is not None else self._wholes.get(event.index)
                if fold is None:
                    return
                fold.feed((structs.replace(event, index=0),))
                if piece is not None:
                    self._write_piece(piece, event, frames)

    # Parts that come in pieces

    def _start_part(self, event: PartStart, frames: list[bytes]) -> None:
        part = structs.replace(event.part, meta=self._metas.get(event.index) or event.part.meta)
        fold = Fold()
        fold.feed((PartStart(0, event.part),))
        streamed = isinstance(part, TextPart | ReasoningPart) or (isinstance(part, ToolCall) and not part.executed)
        if not streamed:
            self._wholes[event.index] = fold
            return
        item = self._item_of(part, frames)
        member = "content"
        if isinstance(part, ReasoningPart) and own(part.meta).get("type", "summary_text") != "reasoning_text":
            member = "summary"
        piece = self._pieces[event.index] = _Piece(item, part, member)
        piece.fold = fold
        said = event.part
        if isinstance(said, TextPart):
            self._begin_piece(piece, frames)
            if said.text:
                self._write_piece(piece, TextDelta(0, said.text, said.logprobs), frames)
        elif isinstance(said, ReasoningPart) and said.text:
            self._write_piece(piece, ReasoningDelta(0, said.text), frames)
        elif isinstance(said, ToolCall) and said.arguments:
            self._write_piece(piece, ToolCallDelta(0, said.arguments), frames)

    def _item_of(self, part: Part, frames: list[bytes]) -> _Item:
        """Return the item that a part belongs to: the one that is to go on, or a new one."""
        kind = _KINDS[type(part)]
        if isinstance(part, ToolCall) and part.kind == "custom":
            kind = "custom_tool_call"
        held, self._continued = self._continued, None
        if held is not None and held.kind == kind:
            return held
        if held is not None:
            self._finish_item(held, None, frames)
        marks, more = own(part.meta).get(ITEM), own(part.meta).get(MORE)
        marks = marks if isinstance(marks, dict) else {}
        name = marks.get("id") or more
        item = _Item(kind, name if isinstance(name, str) else name_item(_PREFIXES[kind]), self._next)
        self._next += 1
        begun: JSONObject = {"type": kind, **marks, "id": item.id, "status": "in_progress"}
        # Only what is told at the end is whole.
        begun.pop("encrypted_content", None)
        match part:
            case TextPart():
                begun |= {"role": "assistant", "content": []}
            case ReasoningPart():
                begun["summary"] = []
            case ToolCall():
                member = "input" if part.kind == "custom" else "arguments"
                begun |= {"call_id": part.id, "name": part.name, member: ""}
        self._frame("response.output_item.added", frames, output_index=item.place, item=begun)
        return item

    def _begin_piece(self, piece: _Piece, frames: list[bytes]) -> None:
        """Begin a part within its item. A thought that has no words has no place of its own."""
        piece.begun = True
        held: JSONObject
        match piece.part:
            case TextPart(refusal=True):
                piece.name, held = "refusal", {"type": "refusal", "refusal": ""}
            case TextPart():
                piece.name = "output_text"
                held = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            case ReasoningPart() if piece.member == "summary":
                piece.name, held = "reasoning_summary_text", {"type": "summary_text", "text": ""}
            case ReasoningPart():
                piece.name, held = "reasoning_text", {"type": "reasoning_text", "text": ""}
            case _:
                piece.name = _ARGUMENTS[piece.item.kind]
                return
        where = "reasoning_summary_part" if piece.member == "summary" else "content_part"
        self._frame(f"response.{where}.added", frames, **self._place(piece), part=held)

    @staticmethod
    def _place(piece: _Piece) -> JSONObject:
        place: JSONObject = {"item_id": piece.item.id, "output_index": piece.item.place}
        if not isinstance(piece.part, ToolCall):
            place[piece.counter] = piece.place
        return place

    def _write_piece(self, piece: _Piece, event: Event, frames: list[bytes]) -> None:
        if not piece.begun:
            self._begin_piece(piece, frames)
        name, place = piece.name, self._place(piece)
        match event:
            case TextDelta():
                more = {} if name == "refusal" else {"logprobs": encode_logprobs(event.logprobs or ())}
                self._frame(f"response.{name}.delta", frames, **place, delta=event.text, **more)
            case ReasoningDelta():
                self._frame(f"response.{name}.delta", frames, **place, delta=event.text)
            case ToolCallDelta():
                self._frame(f"response.{name}.delta", frames, **place, delta=event.arguments)
            case SourceDelta():
                told = encode_annotation(event.source, foreign=True)
                self._frame("response.output_text.annotation.added", frames, **place, annotation=told)

    def _end_piece(self, piece: _Piece, part: Part, frames: list[bytes]) -> None:
        place, name = self._place(piece), piece.name
        match part:
            case TextPart():
                (held,) = encode_answer_content([part])
                member = "refusal" if part.refusal else "text"
                more = {} if part.refusal else {"logprobs": held["logprobs"]}
                self._frame(f"response.{name}.done", frames, **place, **{member: part.text}, **more)
                self._frame("response.content_part.done", frames, **place, part=held)
            case ReasoningPart() if part.text or "type" in own(part.meta):
                if not piece.begun:
                    self._begin_piece(piece, frames)
                    place, name = self._place(piece), piece.name
                told = encode_reasoning([part], {}).get(piece.member)
                held = told[0] if told else {"type": "reasoning_text", "text": part.text}
                self._frame(f"response.{name}.done", frames, **place, text=part.text)
                where = "reasoning_summary_part" if piece.member == "summary" else "content_part"
                self._frame(f"response.{where}.done", frames, **place, part=held)
            case ToolCall():
                member = "input" if part.kind == "custom" else "arguments"
                name = _ARGUMENTS[piece.item.kind]
                more = {} if part.kind == "custom" else {"name": part.name}
                self._frame(f"response.{name}.done", frames, **place, **{member: part.arguments}, **more)
            case _:
                return
        if piece.member in piece.item.row:
            piece.item.row[piece.member] += 1

    def _end_part(self, event: PartEnd, frames: list[bytes]) -> None:
        piece = self._pieces.pop(event.index, None)
        fold = piece.fold if piece is not None else self._wholes.pop(event.index, None)
        self._metas.pop(event.index, None)
        if fold is None:
            return
        fold.feed((PartEnd(0, event.meta),))
        (part,) = fold.response.content
        marks = own(part.meta)
        if piece is None:
            self._end_whole(part, marks, frames)
            return
        self._end_piece(piece, part, frames)
        piece.item.parts.append(part)
        if MORE in marks:
            self._continued = piece.item
        else:
            told = marks.get(ITEM)
            self._finish_item(piece.item, told if isinstance(told, dict) else None, frames)

    def _finish_item(self, item: _Item, marks: JSONObject | None, frames: list[bytes]) -> None:
        if marks is None:
            # Of another wire, or cut off before the end of the item.
            marks = {"id": item.id} if item.kind == "reasoning" else {"id": item.id, "status": "completed"}
        elif item.kind != "reasoning":
            # The id that it began with stands. (That of reasoning is bound to what is encrypted.)
            marks = {**marks, "id": item.id}
        told = encode_item(item.parts, marks, {}) or {}
        self._output[item.place] = told
        self._frame("response.output_item.done", frames, output_index=item.place, item=told)

    # Parts that are written whole

    def _end_whole(self, part: Part, marks: JSONObject, frames: list[bytes]) -> None:
        told = marks.get(ITEM)
        if MORE in marks:
            self._held.setdefault(marks[MORE], []).append(part)
        elif isinstance(told, dict):
            group = [*self._held.pop(told.get("id") or True, ()), part]
            self._write_whole(encode_item(group, told, {}), frames)
        elif isinstance(part, ToolCall):
            self._ran[part.id] = part, []
        elif isinstance(part, ToolResult) and part.id in self._ran:
            self._write_ran(self._ran.pop(part.id)[0], part, frames)
        else:
            self._write_whole(encode_item([part], None, {}), frames)

    def _write_ran(self, call: ToolCall, result: ToolResult | None, frames: list[bytes]) -> None:
        ran: dict[str, JSONObject] = {}
        item = encode_item([call], None, ran)
        if result is not None:
            encode_item([result], None, ran)
        self._write_whole(item, frames)

    def _write_whole(self, item: JSONObject | None, frames: list[bytes]) -> None:
        if item is None:
            return  # the wire has no place for it
        place = self._next
        self._next += 1
        self._output[place] = item
        self._frame("response.output_item.added", frames, output_index=place, item=item)
        self._frame("response.output_item.done", frames, output_index=place, item=item)

    # The end

    def _end(self, event: StreamEnd, frames: list[bytes]) -> None:
        if self._continued is not None:
            self._finish_item(self._continued, None, frames)
        for group in self._held.values():
            for part in group:
                self._write_whole(encode_item([part], None, {}), frames)
        for call, _ in self._ran.values():
            self._write_ran(call, None, frames)
        items = [self._output[place] for place in sorted(self._output)]
        meta, usage = own(event.meta), encode_usage(event.usage or self._usage or Usage())
        response = encode_envelope(self._head, items, event.finish, meta, usage)
        status, _ = encode_finish(event.finish, items)
        kind = "response.incomplete" if status == "incomplete" else "response.completed"
        self._frame(kind, frames, response=response)

    def close(self) -> list[bytes]:
        """Return the bytes that end the stream: none, the last event is the end mark."""
        return []


_KINDS: Final[dict[type, str]] = {TextPart: "message", ReasoningPart: "reasoning", ToolCall: "function_call"}
_PREFIXES: Final = {"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc"}
_ARGUMENTS: Final = {"function_call": "function_call_arguments", "custom_tool_call": "custom_tool_call_input"}
