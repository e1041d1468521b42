"""What a part keeps of its wire form: the marks, `meta["ollama"]`; and the ids made for calls that came without.

The rule: a mark is a member of the wire under its own name, so that it goes back as it came and a caller can set any;
`thinking` and `images` mark what stood there, and `begins_message` is the one mark of our own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any, Final

from polyvox.dialects._reading import JSONObject
from polyvox.types.parts import Meta

DIALECT: Final = "ollama"
"""The key of this wire in `meta`, `options` and residue."""

BEGINS: Final = "begins_message"
"""Here a further message of the same role began on the wire."""

THINKING: Final = "thinking"
"""This reasoning stood in a message's `thinking`."""

IMAGES: Final = "images"
"""This picture stood in the `images` of a result, where ours go into a user message."""

_MADE: Final = "made_"


def own(meta: Meta) -> JSONObject:
    """Return what `meta` holds for this wire."""
    return meta.get(DIALECT) or {}


def kept(held: JSONObject, known: Collection[str]) -> Meta:
    """Return the members that no field of ours holds, as a `meta`. A null says nothing and is left out."""
    return as_meta({name: value for name, value in held.items() if name not in known and value is not None})


def as_meta(said: JSONObject) -> Meta:
    """Return a `meta` of this wire."""
    return {DIALECT: said} if said else {}


def with_marks(meta: Meta, **marks: object) -> Meta:
    """Return `meta` with further marks of this wire."""
    return {**meta, DIALECT: {**own(meta), **marks}}


def make_id(*told: Any) -> str:
    """Return an id for a call that came without: of what is told of it, so that the same call has the same id."""
    digest = hashlib.sha256("\0".join(map(str, told)).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_MADE}{digest[:24]}"


def is_made(name: str) -> bool:
    """Tell whether an id was made by `make_id`: such a one is never sent."""
    return name.startswith(_MADE)


def text_of(held: JSONObject, name: str) -> str:
    """Return a member that is text, `""` where it is none."""
    value = held.get(name)
    return value if isinstance(value, str) else ""
