"""OpenAI's strict mode: the subset of JSON Schema in which every member is said.

https://platform.openai.com/docs/guides/structured-outputs#supported-schemas. The rule: nothing of the type's meaning is
given up; a member that may be left out becomes one that may be `null`, and what the mode cannot say is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polyvox.errors import ConfigError
from polyvox.schema.document import Schema, rebuilt


def strict_schema(schema: Mapping[str, Any]) -> Schema:
    """Return the schema as strict mode wants it: every member required, optional ones nullable, objects closed.

    Raises `ConfigError` for a mapping with free keys or a value of any type: strict mode has neither.
    """
    return _strict(dict(schema))


def _strict(schema: Schema) -> Schema:
    made = {key: value for key, value in schema.items() if key != "default"}
    if "oneOf" in made and "anyOf" not in made:
        made["anyOf"] = made.pop("oneOf")
    if len(made.get("allOf", ())) == 1:
        (only,) = made.pop("allOf")
        made = {**only, **made}
    if not made.keys() & {"type", "anyOf", "allOf", "enum", "const", "$ref"} or _is_free_list(made):
        raise ConfigError("strict mode takes no value of any type: give the parameter or field a type")
    if made.get("type") == "object" or "properties" in made:
        made = _closed(made)
    return rebuilt(made, _strict)


def _is_free_list(schema: Schema) -> bool:
    return schema.get("type") == "array" and not schema.keys() & {"items", "prefixItems"}


def _closed(schema: Schema) -> Schema:
    if schema.get("additionalProperties", "properties" not in schema) is not False:
        raise ConfigError("strict mode takes no mapping with free keys: name its members, or leave strict mode off")
    properties: Mapping[str, Schema] = schema.get("properties", {})
    required = schema.get("required", ())
    return {
        **schema,
        "properties": {name: part if name in required else _nullable(dict(part)) for name, part in properties.items()},
        "required": list(properties),
        "additionalProperties": False,
    }


def _nullable(schema: Schema) -> Schema:
    """Return the schema with `null` among its values."""
    for union in ("anyOf", "oneOf"):
        if union in schema:
            has_null = any(part.get("type") == "null" for part in schema[union])
            return schema if has_null else {**schema, union: [*schema[union], {"type": "null"}]}
    kind = schema.get("type")
    if kind is None:
        enum = schema.get("enum")
        if enum is not None:
            return schema if None in enum else {**schema, "enum": [*enum, None]}
        return {"anyOf": [schema, {"type": "null"}]} if schema else schema
    kinds = [kind] if isinstance(kind, str) else list(kind)
    made = schema if "null" in kinds else {**schema, "type": [*kinds, "null"]}
    if "enum" in made and None not in made["enum"]:
        made = {**made, "enum": [*made["enum"], None]}
    return made
