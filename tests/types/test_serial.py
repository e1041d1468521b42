"""One serial form: whatever the types hold is written as JSON and read again unchanged."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from msgspec import UNSET

from polyvox.types import events, generate, messages, models, parts, tools, usage
from polyvox.types.events import Event, RawFrame, StepEnd, StepStart, ToolDone
from polyvox.types.fold import unfold
from polyvox.types.generate import (
    Adjustment,
    AudioOutput,
    Finish,
    GenerateRequest,
    GenerateResponse,
    Output,
    PromptCache,
    Residue,
    ResidueChange,
)
from polyvox.types.messages import Message, assistant, user
from polyvox.types.models import ModelConfig, Price, Timeout
from polyvox.types.parts import FileId, FilePart, Part, TextPart, ToolCall, ToolResult, Url
from polyvox.types.tools import AllowedTools, Grammar, NamedTool, Tool
from polyvox.types.usage import Attempt, Cost, RateLimits, Timing, Usage
from tests.types.strategies import answers, conversations
from tests.types.strategies import parts as any_parts

REQUEST = GenerateRequest(
    model="openai/gpt",
    messages=(user(["hi", FilePart("image/png", b"\x00\xff", "x.png")]), assistant(ToolCall("c", "f", "{}"))),
    tools=(
        Tool("f", "Do it.", {"type": "object"}, True, meta={"openai": {"x": 1}}),
        Tool("g", kind="custom", grammar=Grammar("lark", "start: A")),
        Tool("web", kind="hosted", settings={"size": "high"}),
    ),
    tool_choice=AllowedTools(("f",), "required"),
    parallel_tools=False,
    output=Output({"type": "object"}, "answer", "words", True),
    reasoning="high",
    max_tokens=5,
    temperature=0.0,
    top_p=0.5,
    top_k=3,
    seed=7,
    stop=("x",),
    presence_penalty=0.1,
    frequency_penalty=0.2,
    logprobs=0,
    n=2,
    modalities=("text", "audio"),
    audio=AudioOutput("alloy", "wav"),
    prompt_cache=PromptCache("k", "explicit", "1h"),
    user="u",
    service_tier="flex",
    metadata={"a": "b"},
    options={"openai": {"store": False}},
    residue=Residue("openai", (ResidueChange(("messages", 0, "x"), UNSET, 1), ResidueChange(("y",), None, UNSET))),
)
EXAMPLES: list[Any] = [
    REQUEST,
    GenerateRequest(model="m", messages=(), tool_choice=NamedTool("f"), reasoning=1024),
    GenerateRequest(model="m", messages=(), tool_choice="none"),
    GenerateResponse(
        cost=Cost(0.5, "USD", "table", "2026-11-01"),
        attempts=(Attempt("p", "m", 1.0, 2.0, "timeout"),),
        timing=Timing(0.1, 0.2, 0.3),
        rate_limits=RateLimits(1, 2, 3.0, 4, 5, 6.0),
        request_id="r",
        origin="p/m",
        raw=b"{}",
    ),
    ModelConfig(id="m", provider="p", aliases=("x",), price=Price(1.0, 2.0), settings={"seed": "drop"}),
    Timeout(None, 1.0, None, 3.0),
    Usage(1, 2, 3, 4, 5, 6, 7, 0.5, {"x": 1}),
    Adjustment("renamed", "a", "b"),
    Finish("other"),
    Url("https://x"),
    FileId("f"),
]


@pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: type(value).__name__)
def test_a_struct_is_read_again_as_it_was_written(value: Any) -> None:
    assert msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value
    assert msgspec.convert(msgspec.to_builtins(value), type(value)) == value


@given(any_parts)
def test_every_part_is_known_again_among_all_parts(part: Part) -> None:
    assert msgspec.json.decode(msgspec.json.encode(part), type=Part) == part


@given(conversations())
def test_a_history_is_read_again(history: list[Message]) -> None:
    assert msgspec.json.decode(msgspec.json.encode(history), type=list[Message]) == history


@given(answers)
def test_an_answer_and_its_events_are_read_again(answer: GenerateResponse[Any]) -> None:
    assert msgspec.json.decode(msgspec.json.encode(answer), type=GenerateResponse[Any]) == answer
    stream = [*unfold(answer), RawFrame(b"\x00"), StepStart(1), ToolDone(ToolResult("a")), StepEnd(1, answer)]
    assert msgspec.json.decode(msgspec.json.encode(stream), type=list[Event]) == stream


def test_what_is_not_said_is_not_written() -> None:
    assert msgspec.json.encode(user("hi")) == b'{"role":"user","content":[{"type":"text","text":"hi"}]}'
    assert msgspec.json.encode(GenerateRequest(model="m", messages=())) == b'{"model":"m","messages":[]}'
    assert msgspec.json.encode(GenerateResponse()) == b"{}"


def _structs() -> list[type[msgspec.Struct]]:
    modules = (events, generate, messages, models, parts, tools, usage)
    return [
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__module__ == module.__name__
    ]


@pytest.mark.parametrize("kind", _structs(), ids=lambda kind: kind.__name__)
def test_every_type_is_frozen_and_says_what_it_is(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen
    assert kind.__doc__


def test_tags_are_told_apart() -> None:
    tags = [kind.__struct_config__.tag for kind in _structs() if kind.__module__ == events.__name__]
    assert len(tags) == len(set(tags))
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"type":"nothing"}', type=Part)
    with pytest.raises(AttributeError):
        TextPart("x").text = "y"  # type: ignore[misc]
