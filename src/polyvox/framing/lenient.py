"""A JSON value into its type where not every field is of the type that was expected.

The rule: a number in quotes is read as the number; else the deepest field that has a default falls to it, and the rest
stands; an element of a list, or a member of a mapping, in which no field has one is left out. Only where nothing at all
can be saved is `msgspec.ValidationError` raised.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterable
from typing import Annotated, Any, Final, TypeAlias, Union, get_args, get_origin

import msgspec
from msgspec import Struct, structs

_SURROGATE: Final = "half a character where another type was expected"

Lost: TypeAlias = dict[str, Any]
"""Path → value of each field that fell to its default."""


def convert_lenient(value: Any, type: Any, lost: Lost | None = None) -> Any:  # noqa: A002 - as msgspec names it
    """Return `value` as `type`. Raises `msgspec.ValidationError` where it is not even of the outermost shape."""
    return _convert(value, type, "", {} if lost is None else lost)


def _convert(value: Any, kind: Any, path: str, lost: Lost) -> Any:
    if kind is msgspec.Raw:
        return msgspec.Raw(json.dumps(value).encode())
    try:
        return msgspec.convert(value, kind, str_keys=True)
    except msgspec.ValidationError as error:
        if isinstance(value, dict | list):
            return _repair(value, kind, path, lost, error)
    except UnicodeEncodeError:
        # A lone surrogate where no text is wanted, or in the name of a member.
        if isinstance(value, dict | list):
            return _repair(value, kind, path, lost, msgspec.ValidationError(_SURROGATE))
        raise msgspec.ValidationError(_SURROGATE) from None
    return msgspec.convert(value, kind, strict=False)


def _repair(value: Any, kind: Any, path: str, lost: Lost, error: msgspec.ValidationError) -> Any:
    origin = get_origin(kind) or kind
    if origin is Annotated:
        return _repair(value, get_args(kind)[0], path, lost, error)
    if origin is Union or origin is types.UnionType:
        return _repair(value, _member(value, get_args(kind), error), path, lost, error)
    if isinstance(value, dict):
        if isinstance(origin, type) and issubclass(origin, Struct):
            return _repair_struct(value, kind, path, lost, error)
        if origin is dict:
            name_kind, member_kind = get_args(kind) or (Any, Any)
            return {
                msgspec.convert(name, name_kind, strict=False): member
                for name, given in value.items()
                for member in _kept(given, member_kind, _below(path, name), lost)
            }
    elif isinstance(value, list) and origin in (list, tuple, set, frozenset):
        arguments = get_args(kind)
        if origin is tuple and (len(arguments) != 2 or arguments[1] is not Ellipsis):
            raise error  # a tuple of fixed length has no element to spare
        member_kind = arguments[0] if arguments else Any
        return origin(
            member
            for place, given in enumerate(value)
            for member in _kept(given, member_kind, f"{path}[{place}]", lost)
        )
    raise error


def _repair_struct(value: dict[str, Any], kind: Any, path: str, lost: Lost, error: msgspec.ValidationError) -> Struct:
    members: dict[str, Any] = {}
    for field in structs.fields(kind):
        name = field.encode_name
        if name not in value:
            if field.required:
                raise error
            continue
        below = _below(path, name)
        fallen: Lost = {}
        try:
            members[field.name] = _convert(value[name], field.type, below, fallen)
            lost.update(fallen)
        except msgspec.ValidationError:
            if field.required:
                raise
            if value[name] is not None:
                lost[below] = value[name]
    made: Struct = (get_origin(kind) or kind)(**members)
    return made


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _kept(value: Any, kind: Any, path: str, lost: Lost) -> Iterable[Any]:
    """Give the converted element, or nothing where it cannot be saved."""
    fallen: Lost = {}
    try:
        member = _convert(value, kind, path, fallen)
    except msgspec.ValidationError:
        if value is not None:
            lost[path] = value
        return
    lost.update(fallen)
    yield member


def _member(value: Any, kinds: tuple[Any, ...], error: msgspec.ValidationError) -> Any:
    """Return the member of a union that `value` was meant to be: by its tag, or the only one of its JSON kind."""
    fitting = [kind for kind in kinds if _fits(value, get_origin(kind) or kind)]
    if len(fitting) == 1:
        return fitting[0]
    raise error


def _fits(value: Any, origin: Any) -> bool:
    if isinstance(value, dict):
        if isinstance(origin, type) and issubclass(origin, Struct):
            config = origin.__struct_config__
            return config.tag is None or value.get(config.tag_field) == config.tag
        return origin is dict
    return isinstance(value, list) and origin in (list, tuple, set, frozenset)
