"""Emulations: what becomes of a request, and of the events of its answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvox.calls.emulate import apply_emulations, emulate
from polyvox.errors import ConfigError, UnsupportedError
from polyvox.types.events import Event, PartEnd, PartStart, RawFrame, ReasoningDelta, StreamEnd, StreamStart, TextDelta
from polyvox.types.fold import fold, unfold
from polyvox.types.generate import Alternative, Finish, GenerateRequest, GenerateResponse, Output
from polyvox.types.messages import Message, assistant, system, tool, user
from polyvox.types.parts import ReasoningPart, TextPart, ToolCall, ToolResult
from polyvox.types.tools import AllowedTools, NamedTool, Tool

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("get_weather", "Weather of a city", CITY)
CLOCK = Tool("get_time")
ENVELOPE = '{\n  "name": "get_weather", "arguments": {"city": "Paris}\\"", "days": [{"n": 1}]}}\n'
ARGUMENTS = '{"city": "Paris}\\"", "days": [{"n": 1}]}'


def request(**settings: Any) -> GenerateRequest:
    settings.setdefault("messages", (system("Be brief."), user("Weather in Paris?")))
    return GenerateRequest(model="m", **settings)


def stream_of(text: str, size: int, reason: Any = "stop") -> list[Event]:
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    return [
        StreamStart("id-1", "m"),
        PartStart(0, TextPart("")),
        *(TextDelta(0, piece) for piece in pieces),
        PartEnd(0, {"openai": {"kept": 1}}),
        StreamEnd(Finish(reason, reason)),
    ]


def answer(asked: GenerateRequest, events: list[Event]) -> GenerateResponse[Any]:
    """Fold what the forced-tool emulation hands on, fed one event at a time."""
    _, _, transform = emulate("forced_tool", asked)
    assert transform is not None
    return fold([made for event in events for made in transform.feed([event])])


def test_a_system_message_is_added_only_where_none_is_given() -> None:
    said, adjustments, _ = emulate("default_system", request(messages=(user("hi"),)))
    assert said.messages == (system("You are a helpful assistant."), user("hi"))
    assert [adjustment.kind for adjustment in adjustments] == ["emulated"]

    given_one = request()
    assert emulate("default_system", given_one) == (given_one, (), None)


@pytest.mark.parametrize("choice", [None, "auto", "none", AllowedTools(("get_weather",))])
def test_a_free_choice_is_not_forced(choice: Any) -> None:
    asked = request(tools=(WEATHER,), tool_choice=choice)

    assert emulate("forced_tool", asked) == (asked, (), None)


def test_a_named_tool_is_forced_by_its_own_schema() -> None:
    said, adjustments, _ = emulate(
        "forced_tool", request(tools=(WEATHER, CLOCK), tool_choice=NamedTool("get_weather"), parallel_tools=False)
    )

    assert said.output is not None
    assert said.output.schema == CITY
    assert (said.tools, said.tool_choice, said.parallel_tools) == ((), None, None)
    assert [(adjustment.kind, adjustment.setting) for adjustment in adjustments] == [("emulated", "tool_choice")]
    assert len(said.messages) == 2
    assert said.messages[0].text.startswith("Be brief.")
    assert "Weather of a city" in said.messages[0].text


def test_a_required_call_is_forced_by_a_choice_of_schemas() -> None:
    said, _, _ = emulate("forced_tool", request(tools=(WEATHER, CLOCK), tool_choice="required", messages=(user("?"),)))

    assert said.output is not None
    assert said.output.schema is not None
    branches = said.output.schema["anyOf"]
    assert [branch["properties"]["name"]["const"] for branch in branches] == ["get_weather", "get_time"]
    assert [list(branch["properties"]) for branch in branches] == [["name", "arguments"]] * 2, "the name comes first"
    assert branches[0]["properties"]["arguments"] == CITY
    assert said.messages[0].role == "system"


def test_allowed_tools_narrow_the_choice() -> None:
    choice = AllowedTools(("get_time",), "required")
    said, _, _ = emulate("forced_tool", request(tools=(WEATHER, CLOCK), tool_choice=choice))

    assert said.output is not None
    assert said.output.schema == {"type": "object", "properties": {}, "additionalProperties": False}


def test_what_a_forced_call_outdoes_is_named() -> None:
    asked = request(
        tools=(WEATHER,), tool_choice="required", output=Output({"type": "object"}), logprobs=2, parallel_tools=True
    )
    said, adjustments, _ = emulate("forced_tool", asked)

    dropped = {adjustment.setting for adjustment in adjustments if adjustment.kind == "dropped"}
    assert dropped == {"output", "logprobs", "parallel_tools"}
    assert said.logprobs is None


def test_a_tool_that_is_not_there_or_no_function_is_refused() -> None:
    with pytest.raises(ConfigError, match="get_weather"):
        emulate("forced_tool", request(tools=(WEATHER,), tool_choice=NamedTool("other")))
    with pytest.raises(UnsupportedError, match="custom"):
        emulate("forced_tool", request(tools=(Tool("poem", kind="custom"),), tool_choice="required"))


@given(size=st.integers(1, len(ENVELOPE)))
def test_the_envelope_becomes_a_call_however_it_is_cut(size: int) -> None:
    got = answer(request(tools=(WEATHER, CLOCK), tool_choice="required"), stream_of(ENVELOPE, size))

    (call,) = got.content
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("get_weather", ARGUMENTS)
    assert call.decode() == {"city": 'Paris}"', "days": [{"n": 1}]}
    assert call.id.startswith("call_")
    assert call.meta == {"openai": {"kept": 1}}
    assert got.finish == Finish("tool_calls", "stop")


@given(size=st.integers(1, len(ARGUMENTS) + 2))
def test_the_text_becomes_the_named_tools_arguments(size: int) -> None:
    asked = request(tools=(WEATHER, CLOCK), tool_choice=NamedTool("get_weather"))
    got = answer(asked, stream_of(f" {ARGUMENTS}\n", size))

    assert [(call.name, call.arguments) for call in got.tool_calls] == [("get_weather", ARGUMENTS)]


def test_arguments_are_handed_on_as_they_come() -> None:
    _, _, transform = emulate("forced_tool", request(tools=(WEATHER,), tool_choice=NamedTool("get_weather")))
    assert transform is not None
    frame = RawFrame(b"data")
    assert transform.feed([frame, StreamStart("1"), PartStart(0, TextPart(""))]) == [frame, StreamStart("1")]
    made = transform.feed([TextDelta(0, '{"ci')])

    assert [type(event).__name__ for event in made] == ["PartStart", "ToolCallDelta"]


def test_a_call_cut_off_by_its_length_keeps_its_pieces_and_its_reason() -> None:
    cut = '{"name": "get_weather", "arguments": {"city": {"a": 1}'
    got = answer(request(tools=(WEATHER, CLOCK), tool_choice="required"), stream_of(cut, 5, "length"))

    assert [call.arguments for call in got.tool_calls] == ['{"city": {"a": 1}']
    assert got.finish == Finish("length", "length")


@pytest.mark.parametrize("text", ['{"name": "get_w', "I will not.", ""])
def test_text_that_is_no_call_stays_text(text: str) -> None:
    got = answer(request(tools=(WEATHER, CLOCK), tool_choice="required"), stream_of(text, 4, "length"))

    assert got.text == text
    assert not got.tool_calls
    assert got.finish == Finish("length", "length")


def test_reasoning_and_refusals_pass_by() -> None:
    events = [
        StreamStart(),
        PartStart(0, ReasoningPart()),
        ReasoningDelta(0, "hm"),
        PartEnd(0),
        PartStart(1, TextPart("", refusal=True)),
        TextDelta(1, "No."),
        PartEnd(1),
        StreamEnd(Finish("content_filter")),
    ]
    got = answer(request(tools=(WEATHER,), tool_choice="required"), events)

    assert got.content == (ReasoningPart("hm"), TextPart("No.", refusal=True))
    assert got.finish == Finish("content_filter")


def test_a_whole_answer_and_its_alternatives_become_calls() -> None:
    asked = request(tools=(WEATHER, CLOCK), tool_choice="required")
    whole: GenerateResponse[Any] = GenerateResponse(
        id="1",
        content=(TextPart(ENVELOPE),),
        finish=Finish("stop", "stop"),
        alternatives=(Alternative(1, (TextPart(ENVELOPE),), Finish("stop")), Alternative(2, (TextPart("no"),))),
    )
    _, _, transform = emulate("forced_tool", asked)
    assert transform is not None
    events = transform.feed(unfold(whole))
    got = fold(events)

    assert [call.arguments for call in got.tool_calls] == [ARGUMENTS]
    assert got.finish == Finish("tool_calls", "stop")
    first, second = got.alternatives
    assert isinstance(first.content[0], ToolCall)
    assert first.finish == Finish("tool_calls")
    assert second == Alternative(2, (TextPart("no"),))
    streamed = next(event.part for event in events if isinstance(event, PartStart))
    assert isinstance(streamed, ToolCall)
    assert streamed.id == got.tool_calls[0].id


def test_tool_history_is_told_as_text_in_the_right_places() -> None:
    call = ToolCall("1", "get_weather", '{"city":"Paris"}')
    results = (
        ToolResult("1", "get_weather", (TextPart("sunny"),)),
        ToolResult("2", "get_time", (TextPart("broken"),), is_error=True),
    )
    asked = request(messages=(user("?"), assistant(["Let me see.", call]), tool(results), user("And now?")))
    said, adjustments, _ = emulate("tools_as_text", asked)

    assert [message.role for message in said.messages] == ["user", "assistant", "user"]
    assert '{"city":"Paris"}' in said.messages[1].text
    told = said.messages[2].text
    assert told.index("sunny") < told.index("error: broken") < told.index("And now?")
    assert not any(isinstance(part, ToolCall | ToolResult) for message in said.messages for part in message.content)
    assert [adjustment.setting for adjustment in adjustments] == ["messages"]


def test_a_free_choice_of_tools_is_dropped_by_name() -> None:
    said, adjustments, _ = emulate("tools_as_text", request(tools=(WEATHER,), tool_choice="auto", parallel_tools=True))

    assert (said.tools, said.tool_choice, said.parallel_tools) == ((), None, None)
    assert [(adjustment.kind, adjustment.setting) for adjustment in adjustments] == [("dropped", "tools")]


def test_emulations_apply_in_order_and_unknown_names_are_refused() -> None:
    asked = request(messages=(user("?"),), tools=(WEATHER,), tool_choice="required")
    said, adjustments, transforms = apply_emulations(("default_system", "forced_tool", "tools_as_text"), asked)

    assert len(said.messages) == 2
    assert "helpful assistant" in said.messages[0].text
    assert [adjustment.setting for adjustment in adjustments] == ["messages", "tool_choice"]
    assert len(transforms) == 1
    assert apply_emulations((), asked) == (asked, (), ())
    with pytest.raises(ConfigError, match="default_system"):
        apply_emulations(("nope",), asked)


def test_schemas_in_the_note_are_json() -> None:
    said, _, _ = emulate("forced_tool", request(tools=(WEATHER,), tool_choice="required"))

    note = said.messages[0].text
    assert json.loads(note[note.index('{"type"') :]) == CITY
    assert isinstance(said.messages[0], Message)
