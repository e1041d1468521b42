"""A call whose arguments come in pieces: `partialArgs`, each a value, or some of a text, at a JSON path.

The rule: pieces of text at one path are joined; the arguments are whole when `willContinue` is no longer said.
https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-fc
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Final

from polyvox.dialects._reading import JSONObject
from polyvox.dialects.gemini.fields import text_of

_STEP: Final = re.compile(r"""\.([^.\[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""")
_MOST: Final = 10_000
"""No list of arguments is longer: a place beyond is taken for the next."""


class PartialArguments:
    """The pieces of one call."""

    __slots__ = ("_arguments", "_block", "_call", "_unread", "index")

    def __init__(self) -> None:
        self.index: int | None = None  # of the call's part, once that has begun
        self._block: JSONObject = {}
        self._call: JSONObject = {}
        self._arguments: JSONObject = {}
        self._unread: list[Any] = []

    @property
    def name(self) -> str:
        """The function's name, `""` as long as it is not known."""
        return text_of(self._call, "name")

    def feed(self, block: JSONObject, call: JSONObject) -> None:
        """Take in a chunk of the call."""
        self._block |= {name: value for name, value in block.items() if value is not None}
        known = ("partialArgs", "willContinue", "args")
        self._call |= {name: value for name, value in call.items() if name not in known and value not in (None, "")}
        given = call.get("args")
        if isinstance(given, dict):
            self._arguments |= given
        pieces = call.get("partialArgs")
        for piece in pieces if isinstance(pieces, list) else ():
            if not self._take(piece):
                self._unread.append(piece)

    def block(self) -> JSONObject:
        """Return the call's part, as if it had come whole."""
        call = {**self._call, "args": self._arguments}
        if self._unread:
            call["partialArgs"] = self._unread
        return {**self._block, "functionCall": call}

    def _take(self, piece: Any) -> bool:
        path = piece.get("jsonPath") if isinstance(piece, dict) else None
        steps = _steps(path) if isinstance(path, str) else []
        if not steps:
            return False
        value = _value(piece)
        here: Any = self._arguments
        for step, below in pairwise(steps):
            here = _into(here, step, [] if isinstance(below, int) else {})
            if here is None:
                return False
        return _put(here, steps[-1], value)


def _steps(path: str) -> list[str | int]:
    """Return the steps of a path (`$.items[0].name`), none where it is of another form."""
    steps: list[str | int] = []
    rest = path.removeprefix("$")
    place = 0
    for match in _STEP.finditer(rest):
        if match.start() != place:
            return []
        place = match.end()
        name, number, quoted, doubly = match.groups()
        word = next((one for one in (name, quoted, doubly) if one is not None), "")
        steps.append(int(number) if number is not None else re.sub(r"\\(.)", r"\1", word))
    return steps if place == len(rest) else []


def _value(piece: JSONObject) -> Any:
    return next((piece[name] for name in ("stringValue", "numberValue", "boolValue") if name in piece), None)


def _into(owner: Any, step: str | int, empty: Any) -> Any:
    """Return what is at a step, made where nothing was there; `None` where the owner has no such step."""
    if isinstance(step, str):
        return owner.setdefault(step, empty) if isinstance(owner, dict) else None
    if not isinstance(owner, list):
        return None
    if step >= len(owner):
        owner.append(empty)
        return empty
    return owner[step]


def _put(owner: Any, step: str | int, value: Any) -> bool:
    if isinstance(step, str) and isinstance(owner, dict):
        was = owner.get(step)
        owner[step] = was + value if isinstance(was, str) and isinstance(value, str) else value
        return True
    if isinstance(step, int) and isinstance(owner, list):
        if step >= len(owner) or step > _MOST:
            owner.append(value)
        else:
            was = owner[step]
            owner[step] = was + value if isinstance(was, str) and isinstance(value, str) else value
        return True
    return False
