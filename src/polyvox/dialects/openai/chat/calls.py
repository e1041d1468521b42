"""Tool calls of a choice, whole or in pieces.

The rules, each from real traffic: pieces belong together by index; later pieces may have no id, or an empty one, and no
type; a call may come whole in one delta, without an index; some services fill every member they know with empty text,
which is no call. A part is started when the call's name is known.
"""

from __future__ import annotations

from typing import Any, Literal

from polyvox.dialects._parts import Parts
from polyvox.dialects.openai.chat import wire
from polyvox.dialects.openai.chat.extras import arguments_text
from polyvox.dialects.openai.chat.fields import DIALECT
from polyvox.types.events import Event, ToolCallDelta
from polyvox.types.parts import Meta, TextPart, ToolCall, ToolResult


class Call:
    """A tool call as it comes."""

    __slots__ = ("held", "id", "index", "kind", "meta", "name")

    def __init__(self) -> None:
        self.index: int | None = None
        self.id = ""
        self.name = ""
        self.kind: Literal["function", "custom"] = "function"
        self.held = ""
        self.meta: dict[str, Any] = {}


class CallReader:
    """Pieces of one choice's calls in, events out."""

    __slots__ = ("_calls", "_executed", "_last", "_parts")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._calls: dict[Any, Call] = {}
        self._last: Call | None = None
        self._executed: dict[Any, dict[str, Any]] = {}

    @property
    def any(self) -> bool:
        """Whether there is a call for the caller to run."""
        return any(call.name or call.id or call.held for call in self._calls.values())

    def feed(self, pieces: list[wire.ToolCall], events: list[Event], *, whole: bool) -> None:
        """Take in pieces. In a `whole` message each is a call of its own, whatever its index and id say."""
        for place, piece in enumerate(pieces):
            self._feed(piece, self._find(piece, place, whole), events)

    def _feed(self, piece: wire.ToolCall, call: Call, events: list[Event]) -> None:
        if piece.id:
            call.id = call.id or piece.id
        if piece.extra_content is not None:
            call.meta["extra_content"] = piece.extra_content
        function, custom = piece.function, piece.custom
        if custom is not None and (piece.type == "custom" or custom.name or custom.input):
            call.kind = "custom"
            self._write(call, custom.name, custom.input or "", events)
        elif function is not None:
            self._write(call, function.name, arguments_text(function.arguments), events)
        elif piece.type == "custom":
            call.kind = "custom"

    def _find(self, piece: wire.ToolCall, place: int, whole: bool) -> Call:
        """Find the call a piece belongs to: by index; without one, by its id; without that, it is the last one."""
        held = piece.custom if piece.function is None else piece.function
        name = held.name if held is not None else None
        index: Any = place if whole else piece.index
        if index is None:
            if not (piece.id or name) and self._last is not None:
                return self._last
            # A name without an id begins a call: those who send no index send their calls whole.
            index = piece.id or f"nameless {len(self._calls)}"
        call = self._calls.get(index)
        if call is not None and name and not whole and _differs(call, piece.id, name):
            # Another call under the same index: some services give every call the index 0.
            self._calls[f"{index} {len(self._calls)}"] = self._calls.pop(index)
            call = None
        if call is None:
            call = self._calls[index] = Call()
        self._last = call
        return call

    def _write(self, call: Call, name: str | None, text: str, events: list[Event]) -> None:
        if name and not call.name:
            call.name = name
        if call.index is None:
            call.held += text
            # An id may come after the name; once there are arguments it is waited for no longer.
            if call.name and (call.id or call.held):
                self._start(call, events)
        elif text:
            self._hand_on(call.index, text, events)

    def _start(self, call: Call, events: list[Event]) -> None:
        meta: Meta = {DIALECT: dict(call.meta)} if call.meta else {}
        call.index = self._parts.start(ToolCall(call.id, call.name, kind=call.kind, meta=meta), events)
        if call.held:
            self._hand_on(call.index, call.held, events)
            call.held = ""

    def _hand_on(self, index: int, text: str, events: list[Event]) -> None:
        text = self._parts.join(index, text)
        if text:
            events.append(ToolCallDelta(index, text))

    def feed_legacy(self, piece: wire.Function, events: list[Event]) -> None:
        """Take in the old `function_call`, which has no id."""
        text = arguments_text(piece.arguments)
        if not (piece.name or text):
            return
        call = self._calls.setdefault("function_call", Call())
        call.id = "function_call"
        call.meta["form"] = "function_call"
        self._write(call, piece.name, text, events)

    def feed_executed(self, items: list[Any]) -> None:
        """Take in calls that the service ran itself (Groq): an item may come again, with its output by then."""
        for place, item in enumerate(items):
            if isinstance(item, dict):
                known = self._executed.setdefault(item.get("index", place), {})
                known.update((name, value) for name, value in item.items() if value is not None)

    def close(self, events: list[Event], metas: dict[int, Meta]) -> None:
        """Start what never got a name, hand on executed calls, and say in `metas` what is kept of each call."""
        for call in self._calls.values():
            if call.index is None and (call.id or call.name or call.held):
                self._start(call, events)
            if call.index is not None and call.meta:
                metas[call.index] = {DIALECT: call.meta}
        for place, item in self._executed.items():
            name, output = item.get("type"), item.get("output")
            call_id, name = f"executed_{place}", name if isinstance(name, str) else ""
            arguments = arguments_text(item.get("arguments"))
            meta: Meta = {DIALECT: {"executed_tool": item}}
            self._parts.whole(ToolCall(call_id, name, arguments, executed=True, meta=meta), events)
            if output is not None:
                result = ToolResult(call_id, name, (TextPart(arguments_text(output)),))
                self._parts.whole(result, events)


def _differs(call: Call, call_id: str | None, name: str) -> bool:
    """Tell whether a piece with a name, and perhaps an id, is of another call than the one begun under its index."""
    if call_id:
        return bool(call.id) and call_id != call.id
    return bool(call.name) and name != call.name
