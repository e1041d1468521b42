"""The residue of a request: what its wire said otherwise than our encoder would, for the same dialect to say again.

`decode_request` decodes, encodes again, and keeps the `difference`; the encoder of the same dialect builds its body and
`restore`s it. The rule: a change is put back only where the encoder still writes what it wrote then, so whatever a
processor changes wins. Hence changes are as small as they can be without ever being half right:

- members of the body, one by one; within a member only additions (`ours` is absent there), else the whole member;
- runs of items of a list, whole: an item that a processor touched is ours from then on. Runs are looked for at their
  place first, then elsewhere, since items may have been added or removed before them.

What should outlive a change of its own message (a name, a cache mark) is no matter of residue: it stands in `meta`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from msgspec import UNSET

from polyvox.types.generate import Adjustment, Residue, ResidueChange

JSONObject: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str | int, ...]

_IDENTITY = ("role", "type", "id", "tool_call_id")


def difference(ours: JSONObject, theirs: JSONObject) -> tuple[ResidueChange, ...]:
    """Return the changes that make `theirs` of `ours`. Both are plain JSON and are not copied."""
    return tuple(_members(ours, theirs, ()))


def _members(ours: JSONObject, theirs: JSONObject, path: Path) -> Iterator[ResidueChange]:
    for name in (*ours, *(name for name in theirs if name not in ours)):
        yield from _member(ours.get(name, UNSET), theirs.get(name, UNSET), (*path, name))


def _member(ours: Any, theirs: Any, path: Path) -> Iterator[ResidueChange]:
    if _same(ours, theirs):
        return
    if isinstance(ours, dict) and isinstance(theirs, dict) and _extends(theirs, ours):
        yield from _members(ours, theirs, path)
    elif isinstance(ours, list) and isinstance(theirs, list) and ours:
        yield from _runs(ours, theirs, path)
    else:
        yield ResidueChange(path, ours, theirs)


def _extends(theirs: Any, ours: Any) -> bool:
    """Tell whether `theirs` says all that `ours` says and only adds members to it."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return all(name in theirs and _extends(theirs[name], value) for name, value in ours.items())
    return _same(ours, theirs)


def _same(ours: Any, theirs: Any) -> bool:
    """Tell whether two values are the same JSON: to Python `True == 1`, to JSON not."""
    if ours is theirs:
        return True
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_same(value, theirs[name]) for name, value in ours.items())
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    return isinstance(ours, bool) == isinstance(theirs, bool) and bool(ours == theirs)


def _runs(ours: list[Any], theirs: list[Any], path: Path) -> Iterator[ResidueChange]:
    if len(ours) == len(theirs) and all(map(_akin, ours, theirs)):
        for place, (our, their) in enumerate(zip(ours, theirs, strict=True)):
            if not _same(our, their):
                yield ResidueChange((*path, place), [our], [their])
        return
    shorter = min(len(ours), len(theirs))
    start = 0
    while start < shorter and _same(ours[start], theirs[start]):
        start += 1
    end = 0
    while end < shorter - start and _same(ours[-1 - end], theirs[-1 - end]):
        end += 1
    if start + end == len(ours):
        # A run of nothing would fit anywhere: it takes the item before it, or after it, for its mark.
        start, end = (start - 1, end) if start else (start, end - 1)
    yield ResidueChange((*path, start), ours[start : len(ours) - end], theirs[start : len(theirs) - end])


def _akin(ours: Any, theirs: Any) -> bool:
    """Tell whether two items are the same thing said differently; where one does not say what it is, they may be."""
    if not isinstance(ours, dict) or not isinstance(theirs, dict):
        return _same(ours, theirs)
    return all(ours.get(name) == theirs.get(name) for name in _IDENTITY if name in ours and name in theirs)


def restore(built: JSONObject, residue: Residue) -> JSONObject:
    """Return `built` with the changes put back where they still fit. `built` itself is left as it is."""
    if not residue.changes:
        return built
    body = dict(built)
    copied: set[Path] = set()
    runs: dict[Path, list[ResidueChange]] = {}
    for change in residue.changes:
        if isinstance(change.path[-1], int):
            runs.setdefault(change.path[:-1], []).append(change)
        else:
            _restore_member(body, change, copied)
    for path, changes in runs.items():
        parent = _parent(body, path, copied)
        items = parent.get(str(path[-1])) if parent is not None else None
        if parent is not None and isinstance(items, list):
            parent[str(path[-1])] = _restore_runs(items, changes)
    return body


def _parent(body: JSONObject, path: Path, copied: set[Path]) -> JSONObject | None:
    """Return the object that holds the member at `path`, copied first: what was built from may be a caller's own."""
    here: Any = body
    for depth, name in enumerate(path[:-1], 1):
        inner = here.get(name)
        if not isinstance(inner, dict):
            return None
        if path[:depth] not in copied:
            copied.add(path[:depth])
            inner = here[name] = dict(inner)
        here = inner
    return here  # type: ignore[no-any-return]


def _restore_member(body: JSONObject, change: ResidueChange, copied: set[Path]) -> None:
    parent = _parent(body, change.path, copied)
    name = str(change.path[-1])
    if parent is None or parent.get(name, UNSET) != change.ours:
        return
    if change.theirs is UNSET:
        del parent[name]
    else:
        parent[name] = change.theirs


def _restore_runs(items: list[Any], changes: list[ResidueChange]) -> list[Any]:
    claimed: dict[int, ResidueChange] = {}
    shift = 0
    for change in changes:
        place = _find(items, change, shift, claimed)
        if place is not None:
            shift = place - int(change.path[-1])
            claimed.update(dict.fromkeys(range(place, place + len(change.ours)), change))  # type: ignore[arg-type]
    restored: list[Any] = []
    last: ResidueChange | None = None
    for place, item in enumerate(items):
        change_here = claimed.get(place)
        if change_here is None:
            restored.append(item)
        elif change_here is not last:
            restored.extend(change_here.theirs)  # type: ignore[arg-type]
        last = change_here
    return restored


def _find(items: list[Any], change: ResidueChange, shift: int, claimed: dict[int, ResidueChange]) -> int | None:
    """Return where the run stands: at its place, else as far off as the run before it, else the nearest such place."""
    run: Any = change.ours
    length = len(run)
    own = int(change.path[-1])

    def fits(place: int) -> bool:
        return items[place : place + length] == run and not any(place + step in claimed for step in range(length))

    for place in (own, own + shift):
        if 0 <= place <= len(items) - length and fits(place):
            return place
    others = sorted(range(len(items) - length + 1), key=lambda place: abs(place - own))
    return next((place for place in others if fits(place)), None)


def foreign_residue(residue: Residue | None, dialect: str) -> tuple[Adjustment, ...]:
    """Return the adjustment that names what a request of another wire said and `dialect` cannot say."""
    if residue is None or residue.dialect == dialect:
        return ()
    # Other spellings of what was understood are no loss; nor are members that say "not".
    lost = [".".join(map(str, change.path)) for change in residue.changes if change.ours is UNSET and change.theirs]
    if not lost:
        return ()
    return (Adjustment("dropped", "residue", f"only the {residue.dialect} wire has {', '.join(sorted(set(lost)))}"),)
