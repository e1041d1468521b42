"""A type as a model is told of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvox.errors import ConfigError
from polyvox.schema import schema_of
from polyvox.schema.document import tidy
from tests.schema.shapes import Cat, Options, Owner, Place, Point, Tree, Trip, Unit

PLACE = {
    "description": "A place on the map.",
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "title": {"type": "string", "default": "none"},
        "unit": {"type": "string", "enum": ["c", "f"], "default": "c"},
    },
    "required": ["name"],
    "additionalProperties": False,
}


def test_a_struct_is_a_closed_object_and_a_field_named_title_stays() -> None:
    assert schema_of(Place) == PLACE


def test_what_a_type_refers_to_stands_in_its_place() -> None:
    assert schema_of(Trip) == {
        "description": "A way from place to place.",
        "type": "object",
        "properties": {
            "start": PLACE,
            "days": {"type": "integer", "minimum": 1, "description": "how long"},
            "stops": {"type": "array", "items": PLACE, "default": []},
            "notes": {
                "anyOf": [{"type": "object", "additionalProperties": {"type": "string"}}, {"type": "null"}],
                "default": None,
            },
        },
        "required": ["start", "days"],
        "additionalProperties": False,
    }


def test_a_type_that_holds_itself_is_an_object_with_a_reference() -> None:
    children = {"type": "array", "items": {"$ref": "#/$defs/Tree"}, "default": []}
    tree = {
        "type": "object",
        "properties": {"label": {"type": "string"}, "children": children},
        "required": ["label"],
        "additionalProperties": False,
    }
    assert schema_of(Tree) == {**tree, "$defs": {"Tree": tree}}
    assert schema_of(list[Tree]) == {"type": "array", "items": {"$ref": "#/$defs/Tree"}, "$defs": {"Tree": tree}}


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (str, {"type": "string"}),
        (Any, {}),
        (object, {}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (dict[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Literal["b", "a"], {"type": "string", "enum": ["a", "b"]}),
        (Literal[1, 2], {"type": "integer", "enum": [1, 2]}),
        (Literal["a", 1], {"enum": [1, "a"]}),
        (Unit, {"type": "string", "enum": ["c", "f"]}),
        (
            Annotated[str, msgspec.Meta(min_length=1, description="a word")],
            {"type": "string", "minLength": 1, "description": "a word"},
        ),
    ],
)
def test_plain_types_are_said_plainly(kind: Any, schema: dict[str, Any]) -> None:
    assert schema_of(kind) == schema


def test_dataclasses_and_typed_dicts_are_objects() -> None:
    assert schema_of(Point) == {
        "type": "object",
        "properties": {
            "x": {"type": "number"},
            "y": {"type": "number", "default": 0.0},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["x"],
        "additionalProperties": False,
    }
    assert schema_of(Options) == {
        "type": "object",
        "properties": {"depth": {"type": "integer"}, "mode": {"type": "string", "enum": ["fast", "slow"]}},
        "required": ["depth"],
        "additionalProperties": False,
    }


def test_a_union_of_structs_is_told_apart_by_its_tag() -> None:
    pet = schema_of(Owner)["properties"]["pet"]
    assert set(pet) == {"anyOf"}
    assert [option["properties"]["type"] for option in pet["anyOf"]] == [
        {"type": "string", "enum": ["cat"]},
        {"type": "string", "enum": ["dog"]},
    ]


@pytest.mark.parametrize("kind", [complex, list[complex], type("Strange", (), {})])
def test_a_type_that_json_cannot_say_is_named(kind: Any) -> None:
    with pytest.raises(ConfigError, match=r"(complex|Strange).* is not supported"):
        schema_of(kind)


def test_a_pydantic_model_says_its_own_schema() -> None:
    pydantic = pytest.importorskip("pydantic")
    Inner = pydantic.create_model("Inner", size=(int, pydantic.Field(ge=0, description="how big")))
    Outer = pydantic.create_model("Outer", __doc__="Outer.", inner=(Inner, ...), title=(str, "x"))
    inner = {
        "type": "object",
        "properties": {"size": {"type": "integer", "minimum": 0, "description": "how big"}},
        "required": ["size"],
        "additionalProperties": False,
    }
    outer = {
        "description": "Outer.",
        "type": "object",
        "properties": {"inner": inner, "title": {"type": "string", "default": "x"}},
        "required": ["inner"],
        "additionalProperties": False,
    }
    assert schema_of(Outer) == outer
    assert schema_of(list[Outer]) == {"type": "array", "items": outer}
    Open = pydantic.create_model("Open", __config__=pydantic.ConfigDict(extra="allow"), a=(int, 1))
    assert schema_of(Open)["additionalProperties"] is True


def test_a_pydantic_model_that_holds_itself_keeps_its_definition() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Node(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        next: Node | None = None

    Node.model_rebuild(_types_namespace={"Node": Node})
    schema = schema_of(dict[str, Node])
    assert schema["$defs"]["Node"]["properties"]["next"]["anyOf"][0] == {"$ref": "#/$defs/Node"}
    assert "$defs" not in schema["additionalProperties"]


def test_values_in_defaults_and_enums_are_left_alone() -> None:
    value = {"title": "x", "$ref": "#/$defs/A", "properties": {}}
    schema = {"title": "T", "enum": [value], "default": value, "const": value, "$defs": {"A": {"type": "string"}}}
    assert tidy(schema) == {"enum": [value], "default": value, "const": value}


def test_words_beside_a_reference_win() -> None:
    schema = {
        "properties": {"a": {"$ref": "#/$defs/A", "description": "mine"}},
        "$defs": {"A": {"type": "string", "description": "its own"}},
    }
    assert tidy(schema)["properties"]["a"] == {"type": "string", "description": "mine"}


def test_a_schema_given_to_be_tidied_is_not_changed() -> None:
    schema = msgspec.json.schema(Trip)
    before = msgspec.json.encode(schema)
    tidy(schema)
    assert msgspec.json.encode(schema) == before


@given(st.sampled_from([Place, Trip, Tree, Owner, Cat, Point, Options, list[Tree], dict[str, Trip]]))
def test_tidying_twice_changes_nothing(kind: Any) -> None:
    assert tidy(schema_of(kind)) == schema_of(kind)
