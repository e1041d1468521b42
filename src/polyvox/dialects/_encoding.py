"""What the encoder of one request carries along in every dialect: the quirks, the request's own spellings, adjustments.

The rule: a setting has three fates (send, drop with an adjustment, refuse); content that the wire cannot say raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

from msgspec import structs

from polyvox.dialects._reading import JSONObject
from polyvox.dialects._residue import foreign_residue, restore
from polyvox.dialects.base import Fate
from polyvox.errors import DecodeError, UnsupportedError
from polyvox.framing import json
from polyvox.types.generate import Adjustment, Residue
from polyvox.types.messages import Message
from polyvox.types.parts import FilePart, Part, TextPart, ToolCall


class Knobs(Protocol):
    """What the quirks of every dialect have."""

    @property
    def settings(self) -> Mapping[str, Fate]: ...

    @property
    def on_unsupported(self) -> Literal["drop", "error"]: ...

    @property
    def extra_body(self) -> dict[str, Any]: ...


Q = TypeVar("Q", bound=Knobs)


class RequestEncoding(Generic[Q]):
    """One request on its way to the wire. A dialect's own `Encoding` names its wire, and what has no word there."""

    __slots__ = ("adjustments", "quirks", "spelled")

    dialect: ClassVar[str]
    no_word: ClassVar[Mapping[str, Fate]] = MappingProxyType({})
    """The fate of settings that the wire cannot say."""

    def __init__(self, quirks: Q, residue: Residue | None = None) -> None:
        self.quirks = quirks
        own = residue is not None and residue.dialect == self.dialect
        self.spelled = frozenset(residue.spelled) if residue is not None and own else frozenset[str]()
        self.adjustments: list[Adjustment] = []

    def note(
        self, kind: Literal["dropped", "clamped", "renamed", "emulated", "needed"], setting: str, detail: str
    ) -> None:
        """Name something that is not sent as asked: the same thing once, however often it occurs."""
        adjustment = Adjustment(kind, setting, detail)
        if adjustment not in self.adjustments:
            self.adjustments.append(adjustment)

    def fate(self, setting: str) -> Fate:
        """Return what becomes of a setting. What the wire has no word for cannot be sent, whatever the quirks say."""
        fate = self.quirks.settings.get(setting, "send")
        return self.no_word.get(setting, fate) if fate == "send" else fate

    def sends(self, setting: str) -> bool:
        """Tell whether a setting that was given is sent.

        Raises `UnsupportedError` where it is refused, or dropped and the caller wants an error then.
        """
        fate = self.fate(setting)
        if fate == "send":
            return True
        why = "not taken on this wire" if setting in self.no_word else "not taken by this model"
        if fate == "refuse" or self.quirks.on_unsupported == "error":
            raise UnsupportedError(f"{setting} is {why}: leave it out")
        self.note("dropped", setting, why)
        return False

    def complete(self, body: JSONObject, residue: Residue | None) -> JSONObject:
        """Return the body with what its own wire said otherwise, and the quirks' further members where it has none."""
        if residue is not None:
            if residue.dialect == self.dialect:
                body = restore(body, residue)
            for adjustment in foreign_residue(residue, self.dialect):
                self.note(adjustment.kind, adjustment.setting, adjustment.detail)
        extra = self.quirks.extra_body
        return {**extra, **body} if extra else body


def arguments_object(call: ToolCall) -> tuple[JSONObject, bool]:
    """Return a call's arguments as the object that some wires want, and whether they were one."""
    if call.kind == "custom":
        return {"input": call.arguments}, False
    text = call.arguments.strip()
    if not text or text == "null":
        return {}, True
    try:
        value = json.decode(text)
    except DecodeError:
        return {}, False
    return (value, True) if isinstance(value, dict) else ({}, False)


def move_files(
    messages: Iterable[Message], is_moved: Callable[[Part, Message], bool], encoding: RequestEncoding[Any]
) -> Iterator[Message]:
    """Move files of answers into a user message after the answer, and after the results of its calls.

    For wires that take files from users only. `is_moved` tells which: what a decoded request said stays in place.
    """
    held: list[FilePart] = []
    for message in messages:
        if held and message.role != "tool":
            yield Message("user", (TextPart("Files of the answer before:"), *held))
            held = []
        moved = [part for part in message.content if isinstance(part, FilePart) and is_moved(part, message)]
        if moved:
            message = structs.replace(message, content=tuple(part for part in message.content if part not in moved))
            held = [part for part in moved if not part.media_type.startswith("audio/")]
            if len(held) < len(moved):
                encoding.note("dropped", "messages", "a spoken answer of another origin is not sent; its transcript is")
            if held:
                encoding.note("emulated", "messages", "files of an answer are sent in the user message after it")
        if message.content or not moved:
            yield message
    if held:
        yield Message("user", (TextPart("Files of the answer before:"), *held))
