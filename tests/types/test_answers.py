"""What a caller reads of parts, messages and answers."""

from __future__ import annotations

from typing import Any

import pytest

from polyvox.errors import DecodeError
from polyvox.types.generate import Alternative, GenerateResponse
from polyvox.types.messages import Message, assistant, system, tool, user
from polyvox.types.parts import FilePart, ReasoningPart, SourcePart, TextPart, ToolCall, ToolResult, Url
from polyvox.types.usage import Usage

CONTENT = (
    ReasoningPart("first"),
    ReasoningPart("", meta={"x": {"signature": "s"}}),
    TextPart("Hello "),
    TextPart("No.", refusal=True),
    SourcePart("u"),
    ReasoningPart("second"),
    ToolCall("1", "f", '{"a":1}'),
    ToolCall("2", "search", "{}", executed=True),
    ToolResult("2", "search", (TextPart("found"), FilePart("image/png", Url("u")), TextPart("!"))),
    TextPart("world"),
)


def test_an_answer_is_read_by_what_is_asked_of_it() -> None:
    answer: GenerateResponse[Any] = GenerateResponse(content=CONTENT, origin="p/m")
    assert answer.text == "Hello world"
    assert answer.refusal == "No."
    assert answer.reasoning == "first\n\nsecond"
    assert [call.id for call in answer.tool_calls] == ["1"]
    assert answer.sources == (SourcePart("u"),)
    assert answer.message == Message("assistant", CONTENT, "p/m")
    assert answer.message.text == "Hello world"
    assert [call.id for call in answer.message.tool_calls] == ["1"]
    assert Alternative(1, CONTENT).text == "Hello world"
    assert ToolResult("2", content=(TextPart("a"), TextPart("b"))).text == "ab"


@pytest.mark.parametrize(
    ("arguments", "value"),
    [("", {}), (" \n", {}), ("null", {}), ('{"a":[1]}', {"a": [1]}), ("[]", []), ("3", 3)],
)
def test_arguments_are_read_as_json(arguments: str, value: Any) -> None:
    assert ToolCall("c", "f", arguments).decode() == value


def test_arguments_cut_short_are_an_error_that_names_the_tool() -> None:
    with pytest.raises(DecodeError, match="call to 'f' are no valid JSON"):
        ToolCall("c", "f", '{"a":').decode()


def test_a_custom_tool_is_given_text() -> None:
    assert ToolCall("c", "f", "SELECT 1", "custom").decode() == "SELECT 1"
    assert ToolCall("c", "f", "", "custom").decode() == ""


def test_messages_are_made_of_words_and_parts() -> None:
    picture = FilePart("image/png", b"x")
    assert user("hi") == Message("user", (TextPart("hi"),))
    assert user(["hi", picture]) == Message("user", (TextPart("hi"), picture))
    assert system(TextPart("s")) == Message("system", (TextPart("s"),))
    assert assistant("a").origin is None
    assert tool(ToolResult("1")) == tool([ToolResult("1")]) == Message("tool", (ToolResult("1"),))


def test_total_tokens_are_not_zero_where_nothing_is_known() -> None:
    assert Usage().total_tokens is None
    assert Usage(input_tokens=3).total_tokens == 3
    assert Usage(output_tokens=0).total_tokens == 0
    assert Usage(3, 4).total_tokens == 7
