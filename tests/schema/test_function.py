"""A Python function as a model is told of it."""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal

import msgspec
import pytest

from polyvox.errors import ConfigError
from polyvox.schema import tool_from_function
from polyvox.types.tools import Tool
from tests.schema.shapes import Place, Tree, Unit


def weather(city: str, unit: Unit = Unit.CELSIUS, days: int | None = None) -> str:
    """Say the weather
    of a city.

    It knows every city.

    Args:
        city: The city,
            in English.
        unit (Unit, optional): In which unit.
        days (int or None (today)): How many days
            ahead: up to ten.

    Returns:
        city: no parameter.
    """
    return f"{city} {unit} {days}"


WEATHER = Tool(
    "weather",
    "Say the weather of a city.",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "The city, in English."},
            "unit": {"type": "string", "enum": ["c", "f"], "description": "In which unit.", "default": "c"},
            "days": {
                "anyOf": [{"type": "integer"}, {"type": "null"}],
                "description": "How many days ahead: up to ten.",
            },
        },
        "required": ["city"],
        "additionalProperties": False,
    },
)


def test_a_function_says_its_name_words_and_parameters() -> None:
    assert tool_from_function(weather) == WEATHER
    assert tool_from_function(weather, strict=True).strict is True


def numpy_style(a: int, b: str, c: float, *, d: bool = False) -> None:
    """Do it.

    Parameters
    ----------
    a : int
        The first,
        and best.
    b, c : str
        Two of them.
    d
        A switch.

    Returns
    -------
    e : int
        Nothing.
    """


def sphinx_style(a: int, b: str, c: float = 1.0) -> None:
    """Do it.

    :param a: The first,
        and best.
    :param str b: The second.
    :type b: str
    :keyword c: The third.
    :returns: Nothing.
    """


def test_numpy_docstrings_are_read() -> None:
    tool = tool_from_function(numpy_style)
    assert tool.description == "Do it."
    assert _words(tool) == {"a": "The first, and best.", "b": "Two of them.", "c": "Two of them.", "d": "A switch."}


def test_sphinx_docstrings_are_read() -> None:
    tool = tool_from_function(sphinx_style)
    assert tool.description == "Do it."
    assert _words(tool) == {"a": "The first, and best.", "b": "The second.", "c": "The third."}


def _words(tool: Tool) -> dict[str, Any]:
    assert tool.parameters is not None
    return {name: schema.get("description") for name, schema in tool.parameters["properties"].items()}


async def search(
    query: Annotated[str, "what to look for"], limit: Annotated[int, msgspec.Meta(ge=1, description="at most")] = 3
) -> list[str]:
    """Args:
    query: said otherwise
    """
    return [query] * limit


def test_async_functions_and_annotated_words() -> None:
    assert tool_from_function(search) == Tool(
        "search",
        None,
        {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "what to look for"},
                "limit": {"type": "integer", "minimum": 1, "description": "at most", "default": 3},
            },
            "required": ["query"],
            "additionalProperties": False,
        },
    )


def no_words(anything, place: Place, tree: Tree | None = None, strange: Any = complex(1)):  # type: ignore[no-untyped-def]
    return anything, place, tree, strange


def test_no_docstring_no_annotation_and_a_default_that_json_cannot_say() -> None:
    tool = tool_from_function(no_words)
    assert tool.description is None
    assert tool.parameters is not None
    properties = tool.parameters["properties"]
    assert properties["anything"] == {}
    assert properties["place"]["required"] == ["name"]
    assert properties["place"]["description"] == "A place on the map."
    assert properties["tree"] == {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]}
    assert properties["strange"] == {}
    assert list(tool.parameters["$defs"]) == ["Tree"]
    assert tool.parameters["required"] == ["anything", "place"]


def test_a_tool_without_parameters() -> None:
    def now() -> str:
        """Tell the time."""
        return ""

    assert tool_from_function(now) == Tool(
        "now", "Tell the time.", {"type": "object", "properties": {}, "additionalProperties": False}
    )


def free(name: str, **values: int) -> None:
    """Take anything.

    Args:
        **values: the rest
    """


def free_untyped(**values) -> None:  # type: ignore[no-untyped-def]
    pass


def test_keywords_that_are_not_named_are_free_keys() -> None:
    typed, untyped = tool_from_function(free).parameters, tool_from_function(free_untyped).parameters
    assert typed is not None and untyped is not None
    assert typed["additionalProperties"] == {"type": "integer", "description": "the rest"}
    assert list(typed["properties"]) == ["name"]
    assert untyped["additionalProperties"] is True


class Shop:
    """A shop."""

    def buy(self, item: str, count: int = 1) -> None:
        """Buy it."""

    @classmethod
    def open(cls, hour: int) -> None:
        """Open it."""

    @staticmethod
    def greet(name: str) -> None:
        """Greet."""

    def __call__(self, item: str) -> None:
        """Ask for it."""


@pytest.mark.parametrize(
    ("function", "name", "words", "parameters"),
    [
        (Shop().buy, "buy", "Buy it.", ["item", "count"]),
        (Shop.buy, "buy", "Buy it.", ["item", "count"]),
        (Shop.open, "open", "Open it.", ["hour"]),
        (Shop.greet, "greet", "Greet.", ["name"]),
        (Shop(), "Shop", "Ask for it.", ["item"]),
        (
            functools.partial(weather, unit=Unit.FAHRENHEIT),
            "weather",
            "Say the weather of a city.",
            ["city", "unit", "days"],
        ),
        (
            functools.wraps(weather)(lambda *a, **k: None),
            "weather",
            "Say the weather of a city.",
            ["city", "unit", "days"],
        ),
    ],
)
def test_methods_callables_partials_and_wrapped_functions(
    function: Any, name: str, words: str, parameters: list[str]
) -> None:
    tool = tool_from_function(function)
    assert (tool.name, tool.description) == (name, words)
    assert tool.parameters is not None
    assert list(tool.parameters["properties"]) == parameters


def test_a_struct_class_is_a_tool_of_its_fields() -> None:
    tool = tool_from_function(Place)
    assert (tool.name, tool.description) == ("Place", "A place on the map.")
    assert tool.parameters is not None
    assert tool.parameters["required"] == ["name"]
    assert "description" not in tool.parameters
    with pytest.raises(ConfigError, match="class with fields"):
        tool_from_function(Unit)


def test_pydantic_words_and_models_in_a_signature() -> None:
    pydantic = pytest.importorskip("pydantic")
    Model = pydantic.create_model("Model", a=(int, 1))

    def use(model: Any, size: Any) -> None:
        """Use it."""

    use.__annotations__ = {"model": Model, "size": Annotated[int, pydantic.Field(description="how big")]}
    parameters = tool_from_function(use).parameters
    assert parameters is not None
    assert parameters["properties"]["size"] == {"type": "integer", "description": "how big"}
    assert parameters["properties"]["model"]["properties"] == {"a": {"type": "integer", "default": 1}}


def positional(a: int, /) -> None: ...
def starred(*a: int) -> None: ...
def unknown(a: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def unsayable(a: complex) -> None: ...
def unreadable(a: 1 + "") -> None: ...  # type: ignore[valid-type]  # noqa: F722


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x, "'<lambda>' cannot be the name"),
        (positional, "'positional'.*by names.*a: "),
        (starred, r"'starred'.*by names.*\*a"),
        (unknown, "'unknown'.*Nowhere.*module level"),
        (unsayable, "'unsayable'.*complex"),
        (unreadable, "'unreadable'.*cannot be read"),
        (max, "'max'.*signature cannot be read"),
    ],
)
def test_what_cannot_be_a_tool_is_said_plainly(function: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        tool_from_function(function)


def test_literals_are_choices() -> None:
    def pick(mode: Literal["fast", "slow"] = "fast") -> None:
        """Pick one."""

    parameters = tool_from_function(pick).parameters
    assert parameters is not None
    assert parameters["properties"]["mode"] == {"type": "string", "enum": ["fast", "slow"], "default": "fast"}
    assert "required" not in parameters
