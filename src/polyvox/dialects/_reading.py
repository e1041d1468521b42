"""Reading a request member by member, as a server must: what is wrong is named by its path, with what would be right.

The rule: every function takes a value and its path, and returns the value in the type it says or raises
`BadRequestError`; nothing is coerced. Nothing here knows a wire.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NoReturn, TypeAlias

from polyvox.errors import BadRequestError

JSONObject: TypeAlias = dict[str, Any]


def refuse(path: str, problem: str, code: str = "invalid_value") -> NoReturn:
    """Raise the error of a bad member."""
    raise BadRequestError(f"{path}: {problem}", status=400, code=code)


def _shown(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the string {value[:40]!r}" if len(value) <= 40 else "a string"
        case int() | float():
            return f"the number {value}"
        case list():
            return "a list"
        case _:
            return "an object"


def _mistyped(path: str, value: object, wanted: str) -> NoReturn:
    refuse(path, f"is {_shown(value)}, but must be {wanted}", "invalid_type")


def take(owner: JSONObject, name: str, path: str) -> Any:
    """Return a member that must be there."""
    if name not in owner:
        refuse(f"{path}.{name}" if path else name, "is missing", "missing_required_parameter")
    return owner[name]


def read_text(value: object, path: str, wanted: str = "a string") -> str:
    """Return a string."""
    return value if isinstance(value, str) else _mistyped(path, value, wanted)


def read_object(value: object, path: str, wanted: str = "an object") -> JSONObject:
    """Return an object."""
    return value if isinstance(value, dict) else _mistyped(path, value, wanted)


def read_list(value: object, path: str, wanted: str = "a list") -> list[Any]:
    """Return a list."""
    return value if isinstance(value, list) else _mistyped(path, value, wanted)


def read_flag(value: object, path: str) -> bool:
    """Return true or false."""
    return value if isinstance(value, bool) else _mistyped(path, value, "true or false")


def read_number(value: object, path: str) -> float:
    """Return a number as it was written (a whole one stays whole)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        _mistyped(path, value, "a number")
    return value


def read_whole(value: object, path: str, low: int | None = None) -> int:
    """Return a whole number not below `low`."""
    wanted = "a whole number" if low is None else f"a whole number from {low}"
    if isinstance(value, bool) or not isinstance(value, int):
        _mistyped(path, value, wanted)
    if low is not None and value < low:
        refuse(path, f"is {value}, but must be {wanted}")
    return value


def read_word(value: object, path: str, words: Collection[str]) -> str:
    """Return one of the words."""
    listed = ", ".join(words)
    text = read_text(value, path, f"one of {listed}")
    if text not in words:
        refuse(path, f"is {text!r}, but must be one of {listed}")
    return text


def read_texts(value: object, path: str) -> tuple[str, ...]:
    """Return a list of strings."""
    return tuple(read_text(item, f"{path}[{place}]") for place, item in enumerate(read_list(value, path)))
