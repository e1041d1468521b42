"""What a part keeps of its item: the marks, `meta["openai_responses"]`.

The rule: an item is one part or several. The last bears `item`, the item's members that no field of ours holds (its
`id`, `status`, `phase`, `encrypted_content` …); those before it bear `more`, the item's id (true where it has none).
Members of a content part stand beside these under the wire's own name, so that a caller can set any
(`prompt_cache_breakpoint`, `detail`); an opaque content part says `place: content`, and what is not so marked is an
item of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from msgspec import structs

from polyvox.dialects._reading import JSONObject
from polyvox.types.parts import Meta, Part

DIALECT: Final = "openai_responses"
"""The key of this wire in `meta`, `options` and residue."""

ITEM: Final = "item"
MORE: Final = "more"
PLACE: Final = "place"
TRANSCRIPT: Final = "transcript"
"""The mark of a text that is the transcript of a spoken answer."""

_OURS: Final = (ITEM, MORE, PLACE, TRANSCRIPT)


def own(meta: Meta) -> JSONObject:
    """Return what `meta` holds for this wire."""
    return meta.get(DIALECT) or {}


def said(marks: JSONObject) -> Meta:
    """Return a `meta` of this wire."""
    return {DIALECT: marks} if marks else {}


def rest(owner: JSONObject, known: Collection[str]) -> JSONObject:
    """Return the members that no field of ours holds. A null says nothing and is left out."""
    return {name: value for name, value in owner.items() if name not in known and value is not None}


def marked(target: JSONObject, meta: Meta) -> JSONObject:
    """Return `target` with the marks of `meta` on it; they win, as they are the wire's own words."""
    marks = meta.get(DIALECT)
    if marks:
        target |= {name: value for name, value in marks.items() if name not in _OURS}
    return target


def with_marks(part: Part, **marks: Any) -> Part:
    """Return the part with further marks."""
    return structs.replace(part, meta={**part.meta, DIALECT: {**own(part.meta), **marks}})


def text_of(owner: JSONObject, name: str) -> str:
    """Return a member that is a string, `""` where it is none."""
    value = owner.get(name)
    return value if isinstance(value, str) else ""


def name_of(item: JSONObject) -> Any:
    """Return the word by which the parts of one item know each other."""
    return text_of(item, "id") or True


def groups(parts: Iterable[Part]) -> Iterator[tuple[list[Part], JSONObject | None]]:
    """Yield the parts of one item together, with the item's own members; `None`: a part that is of no item here.

    What the user left of an item whose end is gone comes as parts of no item.
    """
    begun: dict[Any, list[Part]] = {}
    for part in parts:
        marks = part.meta.get(DIALECT)
        if marks and MORE in marks:
            begun.setdefault(marks[MORE], []).append(part)
        elif marks and isinstance(marks.get(ITEM), dict):
            yield [*begun.pop(name_of(marks[ITEM]), ()), part], marks[ITEM]
        else:
            yield from (([left], None) for held in begun.values() for left in held)
            begun.clear()
            yield [part], None
    yield from (([left], None) for held in begun.values() for left in held)
