"""Reading a service's list of its models: what the lists of all wires have in common.

The rule: a member whose value is of a surprising type is not read, and stays in `meta`; what no list says is `None`,
never a guess. A member that is read whole is taken out of the row; one that is read in part stays there whole.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from polyvox.errors import DecodeError, PolyvoxError
from polyvox.framing import json
from polyvox.types.models import MODALITIES

Row = dict[str, Any]

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(?=$|[T ])")
_MILLISECONDS: Final = 100_000_000_000
"""An instant from here on is told in milliseconds: as seconds it would be in the year 5138."""
_LADDER: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def decode_rows(
    body: bytes, member: str, error_of: Callable[..., PolyvoxError], *, absent: bool = False
) -> tuple[list[Row], Row]:
    """Return the rows of a list, which stand in `member` or are all there is, and what stands around them.

    `absent`: where the member is not there, there are no rows. Raises `DecodeError` where the body holds no such list,
    and what `error_of` makes of it where an error stands there under a good status.
    """
    held = json.decode(body)
    around = held if isinstance(held, dict) else {}
    if around.get("error") and member not in around:
        raise error_of(around, status=None)
    rows = held
    if isinstance(held, dict):
        rows = held.get(member, [] if absent else held)
        # A server that has none may say so by `null`.
        rows = [] if rows is None else rows
    if not isinstance(rows, list):
        raise DecodeError(f"this is no list of models: {json.excerpt(body)}")
    return [dict(row) for row in rows if isinstance(row, dict)], around


def take_text(row: Row, *members: str) -> str | None:
    """Take out the first of the members that holds a text, and return it."""
    for name in members:
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            del row[name]
            return value.strip()
    return None


def whole(value: object) -> int | None:
    """Return a count above zero, `None` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e15:
        return None
    return int(value)


def take_whole(row: Row, *members: str) -> int | None:
    """Take out the first of the members that holds a count above zero, and return it."""
    for name in members:
        found = whole(row.get(name))
        if found is not None:
            del row[name]
            return found
    return None


def date_of(value: object) -> str | None:
    """Return the day of an instant, YYYY-MM-DD: ISO text, or seconds or milliseconds since 1970; that day is "never".

    https://docs.anthropic.com/en/api/models-list: "may be set to an epoch value if the release date is unknown".
    """
    day: str | None = None
    if isinstance(value, str) and _DATE.match(value):
        day = value[:10]
    elif (seconds := whole(value)) is not None and seconds < 1000 * _MILLISECONDS:
        seconds = seconds // 1000 if seconds >= _MILLISECONDS else seconds
        day = datetime.datetime.fromtimestamp(seconds, datetime.UTC).date().isoformat()
    return None if day is None or day.startswith("1970-01-01") else day


def take_date(row: Row, *members: str) -> str | None:
    """Take out the first of the members that holds an instant, and return its day."""
    for name in members:
        found = date_of(row.get(name))
        if found is not None:
            del row[name]
            return found
    return None


def texts(value: object) -> tuple[str, ...]:
    """Return the texts of a list, none for anything else."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def modalities(value: object) -> tuple[str, ...] | None:
    """Return the modalities that a list names, in our order; `None` where it names none that we know."""
    told = {_MODALITY.get(word.lower(), word.lower()) for word in texts(value)}
    return tuple(word for word in MODALITIES if word in told) or None


_MODALITY: Final[Mapping[str, str]] = {"pdf": "file", "document": "file", "files": "file", "images": "image"}


def efforts(words: Iterable[str]) -> tuple[str, ...]:
    """Return those steps of the reasoning ladder that are named, in its order."""
    told = {word.lower() for word in words}
    return tuple(step for step in _LADDER if step in told)


def flagged(facts: Mapping[str, object], words: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the capabilities that flags say a model has, and those that they deny it. `words`: the flag → our word."""
    has = {word for flag, word in words.items() if facts.get(flag) is True}
    lacks = {word for flag, word in words.items() if facts.get(flag) is False} - has
    return tuple(sorted(has)), tuple(sorted(lacks))


def dollars(value: object, times: int) -> float | None:
    """Return a price times `times`, exactly as it was written; `None` for what is none, and for a variable one (-1)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value)) * times
    except InvalidOperation:
        return None
    return float(amount) if amount.is_finite() and amount >= 0 else None
