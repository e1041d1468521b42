"""One item of a stream: its pieces in, events out.

The rule: a part ends when the next of its item begins, or with the item, since only then is it known whether more of
the item follows; what was not streamed of it is taken from the whole item at its end.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from polyvox.dialects._parts import Parts
from polyvox.dialects._reading import JSONObject
from polyvox.dialects.openai_responses.content import decode_part
from polyvox.dialects.openai_responses.fields import DIALECT, ITEM, MORE, name_of, text_of
from polyvox.dialects.openai_responses.hosted import HOSTED, start_hosted
from polyvox.dialects.openai_responses.items import (
    CALLS,
    Place,
    Slot,
    decode_call,
    decode_item,
    decode_thought,
    marks_of,
)
from polyvox.types.events import Event, FileDelta, ReasoningDelta, SourceDelta, TextDelta, ToolCallDelta
from polyvox.types.parts import FilePart, Meta, Part, ReasoningPart, TextPart, TokenLogprob, ToolCall

_UNUSUAL: Final[Meta] = {DIALECT: {"type": "reasoning_text"}}


class _Open:
    """A part that has begun: its index, and how much of it was handed on."""

    __slots__ = ("index", "part", "probable", "sent", "sources")

    def __init__(self, index: int, part: Part) -> None:
        self.index = index
        self.part = part
        self.sent = 0
        self.sources = 0
        self.probable = False


class ItemReader:
    """See the module."""

    __slots__ = (
        "_held",
        "_known",
        "_now",
        "_open",
        "_parts",
        "ended",
        "item",
        "kind",
        "name",
        "output",
        "text_index",
        "text_place",
        "text_sent",
    )

    def __init__(self, parts: Parts, item: JSONObject, output: int | None) -> None:
        self._parts = parts
        self.item = item
        self.kind = text_of(item, "type")
        self.name = text_of(item, "id")
        self.output = output
        self.ended = False
        self._open: dict[Place, _Open] = {}
        self._now: Place | None = None
        self._known: dict[Place, Part] = {}
        self._held = ""  # arguments of a call whose name is not known
        self.text_index = self.text_place = -1
        """The part and the place of the text that is open: its pieces are counted in `text_sent`."""
        self.text_sent = 0

    def begin(self, events: list[Event]) -> None:
        """Begin a call whose name is known. All else begins with its first piece."""
        call = self._call()
        if call is not None and call.name:
            self._start(("call", 0), call, events)

    def _call(self) -> ToolCall | None:
        if self.kind in CALLS:
            return structs.replace(decode_call(self.item, self.kind), arguments="")
        if self.kind in HOSTED:
            return start_hosted(self.item, self.kind)
        return None

    def know(self, place: Place, part: JSONObject, events: list[Event]) -> None:
        """Take in what is said of a part before its pieces come, or after."""
        if self.kind not in ("message", "reasoning"):
            return
        known = decode_thought(part, place[0]) if self.kind == "reasoning" else decode_part(part)
        self._known[place] = known
        if self.kind == "message" and place not in self._open and isinstance(known, TextPart):
            self._start(place, structs.replace(known, text="", sources=(), logprobs=None), events)

    def _start(self, place: Place, part: Part, events: list[Event]) -> _Open:
        """Begin a part; the one before it has more of the item follow."""
        self._settle()
        if self._now is not None:
            before = self._open[self._now]
            self._parts.end(before.index, events, self._meta(before.part, {MORE: name_of(self.item)}))
        shown = structs.replace(part, meta=self._meta(part, {ITEM: marks_of(self.item)} if self.item else {}))
        if isinstance(part, ToolCall) and self.kind in HOSTED:
            shown = part
        index = self._parts.start(shown, events)
        self._now = place
        opened = self._open[place] = _Open(index, part)
        return opened

    @staticmethod
    def _meta(part: Part, marks: JSONObject) -> Meta:
        return {**part.meta, DIALECT: {**part.meta.get(DIALECT, {}), **marks}} if marks else part.meta

    def write(
        self,
        place: Place,
        text: str,
        logprobs: tuple[TokenLogprob, ...] | None,
        events: list[Event],
        *,
        refusal: bool = False,
    ) -> None:
        """Take in a piece."""
        self._settle()
        opened = self._open.get(place)
        if opened is None:
            part: Part | None = TextPart("", refusal=refusal)
            if self.kind == "reasoning":
                part = ReasoningPart(meta=_UNUSUAL if place[0] == "content" else {})
            elif self.kind != "message":
                part = self._call()
            if isinstance(part, ToolCall) and not part.name:
                self._held += text
                return
            if part is None:
                return  # a piece of an item that has none: it comes whole
            opened = self._start(place, part, events)
        if place != self._now:
            return  # it has ended
        self._hand_on(opened, text, logprobs, events)
        if isinstance(opened.part, TextPart) and not refusal:
            self.text_index, self.text_place, self.text_sent = opened.index, place[1], opened.sent

    def _settle(self) -> None:
        """Take over what the shortest way has counted."""
        if self.text_place >= 0:
            self._open["content", self.text_place].sent = self.text_sent
            self.text_place = -1

    def _hand_on(
        self, opened: _Open, text: str, logprobs: tuple[TokenLogprob, ...] | None, events: list[Event]
    ) -> None:
        opened.sent += len(text)
        text = self._parts.join(opened.index, text)
        if logprobs is not None:
            opened.probable = True
        if not text and logprobs is None:
            return
        match opened.part:
            case TextPart():
                events.append(TextDelta(opened.index, text, logprobs))
            case ReasoningPart():
                events.append(ReasoningDelta(opened.index, text))
            case ToolCall():
                events.append(ToolCallDelta(opened.index, text))

    def cite(self, place: Place, events: list[Event]) -> int | None:
        """Return the part that a citation is on, `None` where it has ended."""
        opened = self._open.get(place)
        if opened is None and self.kind == "message":
            opened = self._start(place, TextPart(""), events)
        if opened is None or place != self._now or not isinstance(opened.part, TextPart):
            return None
        opened.sources += 1
        return opened.index

    def end(self, item: JSONObject, events: list[Event]) -> list[Part]:
        """End the item, and hand on what has not come yet. Return its parts, as far as they are known."""
        self._settle()
        self.ended = True
        if item:
            self.item = item
            self.kind = text_of(item, "type") or self.kind
        slots = decode_item({"type": self.kind, **self.item})
        slots = [self._with_held(slot) for slot in slots]
        # A part of an opaque item is the item.
        whole = len(slots) == 1 and slots[0].place == ("opaque", 0)
        for slot in slots:
            self._complete(slot, events, whole=whole)
        if self._now is not None:
            last = self._open[self._now]
            known = next((slot.part for slot in slots if slot.place == self._now), None)
            known = known or self._known.get(self._now) or last.part
            meta = known.meta if whole else self._meta(known, {ITEM: marks_of({"type": self.kind, **self.item})})
            self._parts.end(last.index, events, meta)
            self._now = None
        return [slot.part for slot in slots] or [opened.part for opened in self._open.values()]

    def says(self, item: JSONObject) -> bool:
        """Tell whether another item says what this one said, whatever it is called."""
        said = _gist(item)
        return any(said) and said == _gist({"type": self.kind, **self.item})

    def _with_held(self, slot: Slot) -> Slot:
        """Give a call what came of its arguments before its name was known."""
        if self._held and isinstance(slot.part, ToolCall) and not slot.part.arguments:
            return Slot(slot.place, structs.replace(slot.part, arguments=self._held))
        return slot

    def _complete(self, slot: Slot, events: list[Event], *, whole: bool) -> None:
        """Hand on what of a part has not come yet."""
        place, part = slot
        opened = self._open.get(place)
        if opened is None:
            if whole:
                self._parts.whole(part, events)
                return
            opened = self._start(place, _bare(part), events)
            if isinstance(part, FilePart) and isinstance(part.data, bytes):
                events.append(FileDelta(opened.index, part.data))
        elif place != self._now or type(opened.part) is not type(part):
            return
        opened.part = structs.replace(opened.part, meta=part.meta)
        match part:
            case TextPart():
                left = part.text[opened.sent :]
                logprobs = None if opened.probable else part.logprobs
                if left or logprobs:
                    self._hand_on(opened, left, logprobs, events)
                events.extend(SourceDelta(opened.index, source) for source in part.sources[opened.sources :])
            case ReasoningPart() if len(part.text) > opened.sent:
                self._hand_on(opened, part.text[opened.sent :], None, events)
            case ToolCall() if len(part.arguments) > opened.sent and isinstance(opened.part, ToolCall):
                self._hand_on(opened, part.arguments[opened.sent :], None, events)


def _gist(item: JSONObject) -> tuple[object, ...]:
    """Return what an item says to a reader, without its id, its status and the like."""
    return (
        item.get("encrypted_content"),
        *((type(part), part.text) for _, part in decode_item(item) if isinstance(part, TextPart | ReasoningPart)),
        *((part.id, part.name, part.arguments) for _, part in decode_item(item) if isinstance(part, ToolCall)),
    )


def _bare(part: Part) -> Part:
    """Return a part as it may stand at its start."""
    match part:
        case TextPart():
            return structs.replace(part, text="", sources=(), logprobs=None)
        case ReasoningPart():
            return structs.replace(part, text="")
        case ToolCall():
            return structs.replace(part, arguments="")
        case FilePart() if isinstance(part.data, bytes):
            return structs.replace(part, data=b"")
    return part
