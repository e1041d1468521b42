"""The wire's own kind of schema, a part of OpenAPI's, read as JSON Schema.

The rule: what it says is said in JSON Schema's words; words that JSON Schema does not have stay, in camel case.
https://ai.google.dev/api/caching#Schema
"""

from __future__ import annotations

from typing import Any, Final

from polyvox.dialects._reading import JSONObject
from polyvox.dialects.gemini.spelling import camel

# Enums may come as numbers. https://ai.google.dev/api/caching#Type
_NUMBERS: Final = {1: "string", 2: "number", 3: "integer", 4: "boolean", 5: "array", 6: "object", 7: "null"}
# Whole numbers of 64 bits, which this wire writes as strings.
_COUNTS: Final = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


def decode_schema(schema: JSONObject) -> JSONObject:
    """Return the schema in JSON Schema's words."""
    words = ((camel(name), value) for name, value in schema.items())
    read = {word: _decode_member(word, value) for word, value in words if word != "nullable"}
    if schema.get("nullable") is True:
        kind = read.get("type")
        if isinstance(kind, str) and kind != "null":
            read["type"] = [kind, "null"]
            if isinstance(read.get("enum"), list) and None not in read["enum"]:
                read["enum"] = [*read["enum"], None]
        elif isinstance(read.get("anyOf"), list):
            read["anyOf"] = [*read["anyOf"], {"type": "null"}]
    return read


def _decode_member(name: str, value: Any) -> Any:
    match name, value:
        case "type", str():
            return value.lower()
        case "type", int() if value in _NUMBERS:
            return _NUMBERS[value]
        case "type", list():
            return [kind.lower() if isinstance(kind, str) else kind for kind in value]
        case (("items" | "additionalProperties" | "not"), dict()):
            return decode_schema(value)
        case (("properties" | "$defs" | "defs"), dict()):
            return {name: decode_schema(inner) if isinstance(inner, dict) else inner for name, inner in value.items()}
        case (("anyOf" | "oneOf" | "allOf" | "prefixItems"), list()):
            return [decode_schema(inner) if isinstance(inner, dict) else inner for inner in value]
        case _, str() if name in _COUNTS and value.isascii() and value.isdigit():
            return int(value)
    return value
