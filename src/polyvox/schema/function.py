"""A Python function → the `Tool` that a model is told of.

The rule: the signature says the types, the docstring the words. A parameter without annotation takes any value; one
with a default may be left out; what cannot be called by name is a `ConfigError` that says so.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import msgspec

from polyvox.errors import ConfigError
from polyvox.schema.docstring import read_docstring
from polyvox.schema.document import Schema, schema_of, schemas_of, tidy
from polyvox.types.tools import Tool

# The names that every wire takes (OpenAI's and Anthropic's pattern, seen 2026-11).
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def tool_from_function(function: Callable[..., Any], *, strict: bool | None = None) -> Tool:
    """Return the tool for a function (plain, async, a method, a partial, an object with `__call__`).

    A struct or model class makes a tool whose parameters are its fields.

    The description is the docstring's first paragraph. A parameter's is what `Annotated` says (a plain string,
    `msgspec.Meta`, Pydantic's `Field`), else what the docstring says.
    """
    name, described = _identify(function)
    summary, words = read_docstring(described.__doc__)
    if inspect.isclass(described):
        return Tool(name, summary, _fields(described, name), strict)
    hints = _hints(described, name)
    parameters = _parameters(function, name)
    anything = [parameter for parameter in parameters if parameter.kind is parameter.VAR_KEYWORD]
    named = [parameter for parameter in parameters if parameter not in anything]
    try:
        schemas = schemas_of([hints.get(parameter.name, Any) for parameter in parameters])
    except ConfigError as error:
        raise ConfigError(f"the tool {name!r}: {error.message}") from None
    properties: dict[str, Schema] = {}
    definitions: dict[str, Schema] = {}
    for parameter, schema in zip(parameters, schemas, strict=True):
        definitions.update(schema.pop("$defs", {}))
        description = (
            schema.get("description") or _annotated_words(hints.get(parameter.name)) or words.get(parameter.name)
        )
        if description:
            schema["description"] = description
        schema.update(_default(parameter))
        properties[parameter.name] = schema
    free = properties.pop(anything[0].name) if anything else None
    return Tool(
        name,
        summary,
        tidy(
            {
                "type": "object",
                "properties": properties,
                "required": [parameter.name for parameter in named if parameter.default is parameter.empty],
                "additionalProperties": (free or True) if anything else False,
                "$defs": definitions,
            }
        ),
        strict,
    )


def _identify(function: Callable[..., Any]) -> tuple[str, Callable[..., Any]]:
    """Return the tool's name, and the function that has the docstring and the annotations."""
    described = function
    while isinstance(described, functools.partial):
        described = described.func
    described = inspect.unwrap(described)
    name = getattr(described, "__name__", None) or type(described).__name__
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be the name of a tool: give a function with a name of letters, digits, _ or -"
        )
    if not inspect.isroutine(described) and not inspect.isclass(described):
        described = type(described).__call__
    return name, described


def _fields(kind: type, name: str) -> Schema:
    """The parameters of a class; its description is the tool's own."""
    schema = schema_of(kind)
    if schema.get("type") != "object":
        raise ConfigError(f"the tool {name!r}: a model calls it by names, so it must be a class with fields")
    return {key: value for key, value in schema.items() if key != "description"}


def _hints(described: Callable[..., Any], name: str) -> dict[str, Any]:
    try:
        return get_type_hints(described, include_extras=True)
    except NameError as error:
        raise ConfigError(
            f"the tool {name!r}: {error} where its annotations are read: define it at module level"
        ) from None
    except TypeError as error:
        raise ConfigError(f"the tool {name!r}: its annotations cannot be read: {error}") from None


def _parameters(function: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the tool {name!r}: its signature cannot be read: {error}") from None
    if parameters and parameters[0].name in ("self", "cls") and parameters[0].annotation is parameters[0].empty:
        parameters = parameters[1:]
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            raise ConfigError(
                f"the tool {name!r}: a model calls it by names, so {parameter} must have a name of its own"
            )
    return parameters


def _annotated_words(hint: Any) -> str | None:
    """The description in `Annotated[…]`: a plain string, or that of an object (Pydantic's `Field`, `typing.Doc`)."""
    if get_origin(hint) is not Annotated:
        return None
    for extra in get_args(hint)[1:]:
        words = (
            extra
            if isinstance(extra, str)
            else getattr(extra, "description", None) or getattr(extra, "documentation", None)
        )
        if isinstance(words, str):
            return words
    return None


def _default(parameter: inspect.Parameter) -> Schema:
    """The default, where JSON can say it. `None` for a parameter that takes no `None` only means "may be left out"."""
    if parameter.default is parameter.empty:
        return {}
    try:
        return {"default": msgspec.to_builtins(parameter.default)} if parameter.default is not None else {}
    except (TypeError, ValueError):
        return {}
