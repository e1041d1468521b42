"""OpenAI's strict mode: every member required, what may be left out may be null, nothing free."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest

from polyvox.errors import ConfigError
from polyvox.schema import decode_as, schema_of, strict_schema
from tests.schema.shapes import Owner, Place, Tree


def test_every_member_is_required_and_optional_ones_may_be_null() -> None:
    assert strict_schema(schema_of(Place)) == {
        "description": "A place on the map.",
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "title": {"type": ["string", "null"]},
            "unit": {"type": ["string", "null"], "enum": ["c", "f", None]},
        },
        "required": ["name", "title", "unit"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("optional", "nullable"),
    [
        ({"type": "string"}, {"type": ["string", "null"]}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": "null"}, {"type": "null"}),
        ({"anyOf": [{"type": "string"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, {"anyOf": [{"type": "null"}, {"type": "string"}]}),
        ({"oneOf": [{"type": "string"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"enum": [1, "a"]}, {"enum": [1, "a", None]}),
        ({"enum": [1, None]}, {"enum": [1, None]}),
        ({"$ref": "#/$defs/A"}, {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}),
        ({"const": 1}, {"anyOf": [{"const": 1}, {"type": "null"}]}),
        ({"allOf": [{"type": "string"}], "default": "x"}, {"type": "string"}),
    ],
)
def test_an_optional_member_may_be_null(optional: dict[str, Any], nullable: dict[str, Any]) -> None:
    made = strict_schema({"type": "object", "properties": {"a": optional}})
    if "allOf" in optional:
        made = strict_schema({"type": "object", "properties": {"a": optional}, "required": ["a"]})
    assert made["properties"]["a"] == nullable
    assert made["required"] == ["a"]


def test_nested_objects_lists_unions_and_definitions_are_closed_too() -> None:
    strict = strict_schema(schema_of(Owner))
    assert all(option["required"] == list(option["properties"]) for option in strict["properties"]["pet"]["anyOf"])
    tree = strict_schema(schema_of(Tree))
    assert tree["$defs"]["Tree"]["required"] == ["label", "children"]
    rows = strict_schema(schema_of(list[Place]))
    assert rows["items"]["required"] == ["name", "title", "unit"]


@pytest.mark.parametrize("kind", [dict[str, int], dict[str, Any], list[dict[str, str]]])
def test_free_keys_are_refused(kind: Any) -> None:
    with pytest.raises(ConfigError, match="free keys"):
        strict_schema(schema_of(kind))


@pytest.mark.parametrize("kind", [Any, list[Any]])
def test_a_value_of_any_type_is_refused(kind: Any) -> None:
    with pytest.raises(ConfigError, match="any type"):
        strict_schema(schema_of(kind))


def test_an_object_without_members_and_a_plain_schema_are_fine() -> None:
    assert strict_schema({"type": "object", "properties": {}}) == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }
    assert strict_schema({"type": "string"}) == {"type": "string"}


def test_the_schema_given_is_not_changed() -> None:
    schema = schema_of(Place)
    before = msgspec.json.encode(schema)
    strict_schema(schema)
    assert msgspec.json.encode(schema) == before
    assert strict_schema(strict_schema(schema)) == strict_schema(schema)


class Choice(msgspec.Struct):
    size: int
    mode: Literal["fast", "slow"] = "fast"
    place: Place | None = None


def test_an_answer_by_the_strict_schema_is_read_into_the_type() -> None:
    """What strict mode makes nullable comes back as the default."""
    answer = '{"size":1,"mode":null,"place":{"name":"x","title":null,"unit":null}}'
    assert decode_as(Choice, answer) == Choice(1, "fast", Place("x"))
