"""What a part keeps of its block: the marks, `meta["anthropic"]`.

The rule: a mark is a member of the block under the wire's own name, so that it goes back as it came and a caller can
set any (`cache_control`, `citations`, `context`, `defer_loading` …); `type` stands there only where it is not the usual
one for a part of its kind. The one mark of our own is `begins_message`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from polyvox.dialects._reading import JSONObject
from polyvox.types.parts import Meta

DIALECT: Final = "anthropic"
"""The key of this wire in `meta`, `options` and residue."""

BEGINS: Final = "begins_message"
"""Here a further message of the same role began on the wire."""


def own(meta: Meta) -> JSONObject:
    """Return what `meta` holds for this wire."""
    return meta.get(DIALECT) or {}


def kept(block: JSONObject, known: Collection[str]) -> Meta:
    """Return the members of a block that no field of ours holds, as a `meta`. A null says nothing and is left out."""
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
