"""A model's JSON text → the type that was asked for.

The rule: the type holds, or `DecodeError` says where not. One thing is forgiven: `null` for a member that may be left
out, since strict mode has no other way to leave one out (see `strict_schema`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar, overload

import msgspec

from polyvox.errors import DecodeError
from polyvox.framing import json
from polyvox.schema.document import is_model

T = TypeVar("T")


@overload
def decode_as(type: type[T], text: str) -> T: ...
@overload
def decode_as(type: Any, text: str) -> Any: ...
def decode_as(type: Any, text: str) -> Any:  # noqa: A002 - the plain word
    """Return the value of JSON `text` in `type`; where that is a JSON schema, the plain value.

    Raises `DecodeError` where the text is no JSON, or not of the type.
    """
    if type is Any or isinstance(type, Mapping):
        return json.decode(text)
    try:
        return _decode_exactly(type, text)
    except (ValueError, RecursionError) as error:
        reason = _reason(error)
    value = json.decode(text)
    said = _without_nulls(value)
    if said != value:
        with suppress(ValueError):
            return _decode_exactly(type, json.encode(said))
    name = getattr(type, "__name__", str(type))
    # Outside of the `except`, so that the validator's error, which holds the whole text, is not chained to ours.
    raise DecodeError(f"the model's answer is no {name}: {reason}: {json.excerpt(text)}")


def _decode_exactly(type: Any, text: str | bytes) -> Any:  # noqa: A002
    if is_model(type):
        return type.model_validate_json(text)
    return msgspec.json.decode(text, type=type, dec_hook=_decode_foreign)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    return [_without_nulls(member) for member in value] if isinstance(value, list) else value


def _decode_foreign(kind: type, value: Any) -> Any:
    """Read what msgspec does not know: a Pydantic model inside of another type; `object` is anything."""
    if kind is object:
        return value
    try:
        return kind.model_validate(value)  # type: ignore[attr-defined]
    except ValueError as error:
        raise ValueError(_reason(error)) from None


def _reason(error: Exception) -> str:
    """The first thing that is wrong, in one line. Pydantic's errors are lists."""
    errors: Callable[..., list[dict[str, Any]]] | None = getattr(error, "errors", None)
    if errors is None:
        return str(error)
    first = errors(include_url=False, include_input=False)[0]
    place = ".".join(str(step) for step in first["loc"])
    return f"{first['msg']}{f' - at `{place}`' if place else ''}"
