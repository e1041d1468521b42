"""The in-process model through the OpenAI codec and the clients: the answers are what any server's would be."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from polyvox import NamedTool, Output, Tool
from polyvox.errors import BadRequestError, ConfigError, ContextLengthError, PolyvoxError, UnsupportedError
from polyvox.io import local_files
from polyvox.types.messages import user
from polyvox.types.parts import FilePart, TextPart

pytestmark = [
    pytest.mark.local_model,
    pytest.mark.skipif(
        not local_files.model_path().is_file() or local_files.binding_version() is None,
        reason="the local model is not installed: run `polyvox local install` and pip install 'polyvox[local]'",
    ),
]

MODEL = "local/smollm2-135m"
WEATHER = Tool(
    "get_weather",
    "Weather of a city",
    {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"]},
)
CLOCK = Tool("get_time", "The time of day", {"type": "object", "properties": {}, "additionalProperties": False})


def test_a_whole_answer_and_a_streamed_one_agree(make_caller: Callable[..., Any]) -> None:
    caller = make_caller()
    whole = caller.generate(MODEL, "Why is the sky blue?", seed=5, max_tokens=12)
    streamed = caller.stream(MODEL, "Why is the sky blue?", seed=5, max_tokens=12).drain()

    assert whole.text.strip()
    assert (whole.text, whole.finish) == (streamed.text, streamed.finish)
    assert whole.usage.output_tokens == streamed.usage.output_tokens == 12
    assert whole.usage.input_tokens == streamed.usage.input_tokens
    assert whole.finish.reason == "length"
    assert whole.cost.amount == 0
    assert [(made.kind, made.setting) for made in whole.adjustments] == [("emulated", "messages")]
    assert streamed.adjustments == whole.adjustments


def test_text_comes_in_many_pieces(make_caller: Callable[..., Any]) -> None:
    texts = make_caller().stream(MODEL, "Tell me a story.", seed=1, max_tokens=12).texts()

    assert len(texts) > 6


@pytest.mark.parametrize("way", ["generate", "stream"])
def test_a_named_tool_is_called(make_caller: Callable[..., Any], way: str) -> None:
    caller = make_caller()
    settings: dict[str, Any] = {
        "tools": [WEATHER, CLOCK],
        "tool_choice": NamedTool("get_weather"),
        "seed": 1,
        "max_tokens": 60,
    }
    if way == "generate":
        reply = caller.generate(MODEL, "Weather in Paris?", **settings)
    else:
        reply = caller.stream(MODEL, "Weather in Paris?", **settings).drain()

    (call,) = reply.tool_calls
    assert call.name == "get_weather"
    assert call.decode()["city"] in ("Paris", "Rome")
    assert reply.finish.reason == "tool_calls"
    assert reply.text == ""
    assert ("emulated", "tool_choice") in [(made.kind, made.setting) for made in reply.adjustments]


def test_some_tool_is_called_where_one_is_required(make_caller: Callable[..., Any]) -> None:
    reply = make_caller().generate(
        MODEL, "Weather in Paris?", tools=[WEATHER, CLOCK], tool_choice="required", seed=2, max_tokens=80
    )

    (call,) = reply.tool_calls
    assert call.name in ("get_weather", "get_time")
    assert isinstance(call.decode(), dict)


def test_structured_output_is_json_by_the_schema(make_caller: Callable[..., Any]) -> None:
    assert WEATHER.parameters is not None
    reply = make_caller().generate(MODEL, "Name a city.", output=Output(WEATHER.parameters), seed=3, max_tokens=40)

    assert json.loads(reply.text)["city"] in ("Paris", "Rome")


def test_a_prompt_too_long_is_a_context_length_error(make_caller: Callable[..., Any]) -> None:
    caller = make_caller()
    with pytest.raises(ContextLengthError, match="4096"):
        caller.generate(MODEL, "word " * 5000)
    with pytest.raises(ContextLengthError):
        caller.stream(MODEL, "word " * 5000).drain()


def test_a_picture_is_refused_in_words(make_caller: Callable[..., Any]) -> None:
    picture = user([TextPart("What is this?"), FilePart("image/png", b"\x89PNG")])
    with pytest.raises((UnsupportedError, BadRequestError), match="image"):
        make_caller().generate(MODEL, [picture])


def test_a_missing_model_says_how_to_get_it(
    make_caller: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("POLYVOX_DATA_DIR", str(tmp_path))
    with pytest.raises(ConfigError, match="run `polyvox local install`") as caught:
        make_caller().generate(MODEL, "hi")
    assert isinstance(caught.value, PolyvoxError)
    assert not caught.value.retryable
