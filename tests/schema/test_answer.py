"""A model's answer in the type that was asked for, or one sentence that says where it is not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from polyvox.errors import DecodeError
from polyvox.schema import decode_as
from tests.schema.shapes import Cat, Dog, Options, Owner, Place, Point, Tree, Unit


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Place, ' {"name":"x","unit":"f"}\n', Place("x", unit=Unit.FAHRENHEIT)),
        (list[Place], '[{"name":"x"}]', [Place("x")]),
        (Tree, '{"label":"a","children":[{"label":"b"}]}', Tree("a", [Tree("b")])),
        (Owner, '{"pet":{"type":"dog","tricks":["sit"]}}', Owner(Dog(["sit"]))),
        (Point, '{"x":1}', Point(1.0)),
        (Options, '{"depth":1}', {"depth": 1}),
        (int, "3", 3),
        (Cat | None, "null", None),
        (dict[str, object], '{"a":[1]}', {"a": [1]}),
        (Any, '{"a":1}', {"a": 1}),
        ({"type": "object"}, '{"a":"grüß"}', {"a": "grüß"}),
        (Place, '{"name":"x","title":null,"unknown":null}', Place("x")),
        (list[Place], '[{"name":"x","unit":null}]', [Place("x")]),
    ],
)
def test_an_answer_is_read_into_its_type(kind: Any, text: str, value: Any) -> None:
    assert decode_as(kind, text) == value


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        (Place, '{"name":1}', r"answer is no Place: Expected `str`, got `int` - at `\$.name`: '\{\"name\":1\}'"),
        (Place, '{"name":null}', "answer is no Place: Expected `str`, got `null`"),
        (Place, '{"title":null}', r"Expected `str`, got `null` - at `\$.title`"),
        (list[int], '{"a":1}', "answer is no list"),
        (int | str, "[]", r"answer is no int \| str"),
        (Place, "Sure! Here is the JSON", "no valid JSON"),
        (Place, '{"name":"x"', "no valid JSON"),
        (Place, "", "empty"),
        ({"type": "object"}, "{", "no valid JSON"),
        (Owner, '{"pet":{"type":"fish"}}', "Invalid value 'fish'"),
    ],
)
def test_an_answer_of_another_type_is_said_in_one_sentence(kind: Any, text: str, words: str) -> None:
    with pytest.raises(DecodeError, match=words) as caught:
        decode_as(kind, text)
    assert caught.value.__cause__ is None


def test_a_null_that_the_type_allows_stays() -> None:
    class Holder(msgspec.Struct):
        values: dict[str, int | None]

    assert decode_as(Holder, '{"values":{"a":null}}') == Holder({"a": None})


def test_pydantic_models_alone_and_inside_other_types() -> None:
    pydantic = pytest.importorskip("pydantic")
    Model = pydantic.create_model("Model", size=(int, pydantic.Field(ge=1)), unit=(str, "m"))
    assert decode_as(Model, '{"size":2}') == Model(size=2)
    assert decode_as(Model, '{"size":2,"unit":null}') == Model(size=2)
    assert decode_as(dict[str, Model], '{"a":{"size":2}}') == {"a": Model(size=2)}
    with pytest.raises(DecodeError, match=r"answer is no Model: Input should be .* 1 - at `size`") as caught:
        decode_as(Model, '{"size":0}')
    assert "errors.pydantic.dev" not in str(caught.value)
    with pytest.raises(DecodeError, match=r"Input should be .* 1 - at `size` - at `\$\[0\]`"):
        decode_as(list[Model], '[{"size":0}]')
    with pytest.raises(DecodeError, match="no valid JSON"):
        decode_as(Model, "nothing")
