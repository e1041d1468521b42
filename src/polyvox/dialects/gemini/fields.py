"""What a part keeps of its wire form: the marks, `meta["gemini"]`; and the ids made for calls that came without.

The rule: a mark is a member of the part under the wire's own name (`thoughtSignature`, `videoMetadata`, `thought` …),
so that it goes back as it came and a caller can set any. The one mark of our own is `begins_content`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from polyvox.dialects._reading import JSONObject
from polyvox.types.parts import Meta

DIALECT: Final = "gemini"
"""The key of this wire in `meta`, `options` and residue."""

BEGINS: Final = "begins_content"
"""Here a further content of the same role began on the wire."""

SIGNATURE: Final = "thoughtSignature"

_MADE: Final = "polyvox_"


def own(meta: Meta) -> JSONObject:
    """Return what `meta` holds for this wire."""
    return meta.get(DIALECT) or {}


def kept(block: JSONObject, known: Collection[str]) -> Meta:
    """Return the members of a part that no field of ours holds, as a `meta`. A null says nothing and is left out."""
    marks = {name: value for name, value in block.items() if name not in known and value is not None}
    return {DIALECT: marks} if marks else {}


def marked(block: JSONObject, meta: Meta) -> JSONObject:
    """Return `block` with the marks of `meta` on it; they win, as they are the wire's own words."""
    marks = meta.get(DIALECT)
    if not marks:
        return block
    block |= marks
    block.pop(BEGINS, None)
    return block


def with_marks(meta: Meta, **marks: object) -> Meta:
    """Return `meta` with further marks of this wire."""
    return {**meta, DIALECT: {**own(meta), **marks}}


def make_id(answer: str | None, place: int | str) -> str:
    """Return an id for a call that has none on the wire: the same one however often the answer is read."""
    return f"{_MADE}{answer}_{place}" if answer else f"{_MADE}{place}"


def is_made(name: str) -> bool:
    """Tell whether an id was made by `make_id`: such a one is never sent."""
    return name.startswith(_MADE)


def text_of(owner: Any, name: str) -> str:
    """Return a member that should be a string, `""` where it is none."""
    value = owner.get(name) if isinstance(owner, dict) else None
    return value if isinstance(value, str) else ""
