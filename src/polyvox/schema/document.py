"""A type → its JSON Schema. The rule: references are put in place, save where a type holds itself.

Many wires take no `$ref` at all, and models read a schema better that stands in one piece.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from polyvox.errors import ConfigError

Schema: TypeAlias = dict[str, Any]

_DEFINITIONS: Final = ("$defs", "definitions")
_MAPS_OF_SCHEMAS: Final = frozenset({"properties", "patternProperties", "dependentSchemas", *_DEFINITIONS})
_LISTS_OF_SCHEMAS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SCHEMAS: Final = frozenset(
    {"items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else", "unevaluatedProperties"}
)


def schema_of(type: Any) -> Schema:  # noqa: A002 - the plain word
    """Return the JSON Schema of a type: a struct, dataclass, TypedDict, Pydantic model, enum, union, `Literal` …

    Raises `ConfigError` for a type that JSON cannot say.
    """
    (schema,) = schemas_of([type])
    return tidy(schema)


def schemas_of(types: Sequence[Any]) -> list[Schema]:
    """Return a schema for each type, as msgspec writes them, each with the `$defs` of all."""
    try:
        schemas, definitions = msgspec.json.schema_components(types, schema_hook=_foreign_schema)
    except TypeError as error:
        raise ConfigError(f"no JSON schema can be made: {error}") from None
    return [{**schema, "$defs": definitions} if definitions else schema for schema in schemas]


def _foreign_schema(kind: type) -> Schema:
    """The schema of a type that msgspec does not know: a Pydantic model says its own; `object` is anything."""
    if is_model(kind):
        return tidy(kind.model_json_schema())  # type: ignore[attr-defined]
    if kind is object:
        return {"title": "anything"}  # msgspec takes an empty schema for none; `tidy` takes the title off
    raise TypeError(f"the type {kind.__module__}.{kind.__qualname__} is not supported")


def is_model(kind: Any) -> bool:
    """Whether this is a Pydantic model, known by what it can do: Pydantic is never imported here."""
    return isinstance(kind, type) and hasattr(kind, "model_json_schema") and hasattr(kind, "model_validate_json")


def tidy(schema: Schema) -> Schema:
    """Return the schema with references put in place, objects closed, and nothing that only tools need."""
    definitions: dict[str, Schema] = {}
    root = _hoist(schema, definitions)
    recursive = {name for name in definitions if name in _reachable(definitions[name], definitions)}

    def expand(part: Schema) -> Schema:
        name = _referred(part)
        if name not in definitions:
            return _tidied(rebuilt(part, expand))
        beside = rebuilt({key: value for key, value in part.items() if key != "$ref"}, expand)
        return {**({"$ref": f"#/$defs/{name}"} if name in recursive else expand(definitions[name])), **beside}

    name = _referred(root)
    if name in recursive:
        # Wires want an object at the root, not a reference to one.
        root = {**definitions[name], **{key: value for key, value in root.items() if key != "$ref"}}
    expanded = expand(root)
    kept = {
        name: _tidied(rebuilt(definitions[name], expand)) for name in sorted(recursive & _reachable(root, definitions))
    }
    return {**expanded, "$defs": kept} if kept else expanded


def rebuilt(schema: Schema, visit: Callable[[Schema], Schema]) -> Schema:
    """Return the schema with `visit` done to each schema directly in it; defaults and enums are left as they are."""
    made: Schema = {}
    for key, value in schema.items():
        if key in _MAPS_OF_SCHEMAS and isinstance(value, Mapping):
            made[key] = {name: visit(dict(part)) if isinstance(part, Mapping) else part for name, part in value.items()}
        elif key in _LISTS_OF_SCHEMAS and isinstance(value, list):
            made[key] = [visit(dict(part)) if isinstance(part, Mapping) else part for part in value]
        elif key in _SCHEMAS and isinstance(value, Mapping):
            made[key] = visit(dict(value))
        else:
            made[key] = value
    return made


def _hoist(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Take the definitions out of a schema, wherever in it they stand."""
    for key in _DEFINITIONS:
        for name, part in schema.get(key, {}).items():
            definitions[name] = _hoist(part, definitions)
    rest = {key: value for key, value in schema.items() if key not in _DEFINITIONS}
    return rebuilt(rest, lambda part: _hoist(part, definitions))


def _referred(schema: Schema) -> str:
    """The name that the schema's `$ref` refers to, `""` where it has none."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _reachable(schema: Schema, definitions: Mapping[str, Schema]) -> set[str]:
    """The names of all definitions that a schema refers to, directly or not."""
    reached: set[str] = set()

    def visit(part: Schema) -> Schema:
        name = _referred(part)
        if name in definitions and name not in reached:
            reached.add(name)
            visit(definitions[name])
        return rebuilt(part, visit)

    visit(schema)
    return reached


def _tidied(schema: Schema) -> Schema:
    """One schema less what only tools need (`title`, `discriminator`), closed, and with the type of its enum said."""
    made = {key: value for key, value in schema.items() if key not in ("title", "discriminator")}
    if "properties" in made:
        made.setdefault("additionalProperties", False)
        if not made.get("required", True):
            del made["required"]
    if "enum" in made and "type" not in made:
        kinds = {_KINDS.get(type(value), "") for value in made["enum"]}
        if len(kinds) == 1 and "" not in kinds:
            made = {"type": kinds.pop(), **made}
    return made


_KINDS: Final[dict[type, str]] = {str: "string", int: "integer", bool: "boolean"}
