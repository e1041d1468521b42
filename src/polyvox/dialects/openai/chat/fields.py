"""What a part or a message keeps of its wire form: the marks, `meta["openai"]`.

The rule: a mark that the codec knows stands under its own name; members it does not know stand under `extra`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from polyvox.dialects._reading import JSONObject
from polyvox.types.parts import Meta

DIALECT: Final = "openai"
"""The key of this wire in `meta`, `options` and residue."""

CUT: Final = "begins_message"
"""The mark of the first part of a further wire message: true, or that message's own marks."""


def own(meta: Meta) -> JSONObject:
    """Return what `meta` holds for this wire."""
    return meta.get(DIALECT) or {}


def made(**marks: Any) -> Meta:
    """Return a `meta` for this wire of the marks that say something."""
    said = {name: value for name, value in marks.items() if value is not None}
    return {DIALECT: said} if said else {}


def rest(owner: JSONObject, known: Collection[str], marks: Collection[str]) -> JSONObject:
    """Return the members not known, as marks of a `meta`: those named by `marks` by name, the others under `extra`."""
    marked = {name: owner[name] for name in marks if name in owner and name not in known}
    extra = {name: value for name, value in owner.items() if name not in known and name not in marks}
    return {**marked, "extra": extra} if extra else marked


def mark(target: JSONObject, marks: JSONObject, names: Collection[str]) -> None:
    """Write the marks of a `meta` back as members of `target`, none over what it says already."""
    for name in names:
        if name in marks:
            target.setdefault(name, marks[name])
    for name, value in (marks.get("extra") or {}).items():
        target.setdefault(name, value)
