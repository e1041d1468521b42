"""Scripted streams: the real streams, over an answer that is made up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from polyvox.client.streams import AsyncStream, Stream
from polyvox.errors import CallTimeoutError, Cancelled, DecodeError, OverloadedError
from polyvox.io.base import Cancel
from polyvox.io.scripted import Pause, ScriptedIO
from polyvox.testing.streams import scripted_async_stream, scripted_stream
from polyvox.types.events import (
    Event,
    PartEnd,
    PartStart,
    ReasoningDelta,
    StreamEnd,
    StreamStart,
    TextDelta,
    UsageUpdate,
)
from polyvox.types.generate import Finish, GenerateResponse
from polyvox.types.models import Timeout
from polyvox.types.parts import ReasoningPart, TextPart, ToolCall
from polyvox.types.usage import Usage


@pytest.fixture(params=["sync", "async"])
def play(request: pytest.FixtureRequest) -> Callable[..., tuple[list[Event], Any, Exception | None]]:
    """Read a script to its end: the events, the stream, and what ended it."""

    def plain(*script: Any, **settings: Any) -> Any:
        events: list[Event] = []
        stream = scripted_stream(*script, **settings)
        assert isinstance(stream, Stream)
        try:
            for event in stream:
                events.append(event)
        except Exception as error:
            return events, stream, error
        return events, stream, None

    async def asynchronous(*script: Any, **settings: Any) -> Any:
        events: list[Event] = []
        stream = scripted_async_stream(*script, **settings)
        assert isinstance(stream, AsyncStream)
        try:
            async for event in stream:
                events.append(event)
        except Exception as error:
            return events, stream, error
        return events, stream, None

    return plain if request.param == "sync" else lambda *script, **given: asyncio.run(asynchronous(*script, **given))


@pytest.mark.parametrize("text", ["Why is the sky blue?", " two  spaces\nand a line \n", "x", " "])
def test_a_text_comes_word_by_word(play: Any, text: str) -> None:
    events, stream, _ = play(text)
    deltas = [event.text for event in events if isinstance(event, TextDelta)]

    assert "".join(deltas) == text
    assert len(deltas) == max(1, len(text.split()))
    assert stream.response.text == text
    assert stream.response.finish == Finish("stop")


def test_no_script_is_an_empty_answer(play: Any) -> None:
    events, stream, failure = play()

    assert [type(event) for event in events] == [StreamStart, StreamEnd]
    assert (stream.response.text, failure) == ("", None)


def test_an_answer_comes_event_by_event(play: Any) -> None:
    answer = GenerateResponse[Any](
        id="id-1",
        content=(ReasoningPart("hm"), TextPart("Hello"), ToolCall("c1", "add", "{}")),
        finish=Finish("tool_calls"),
        usage=Usage(output_tokens=3),
    )
    _, stream, _ = play(answer)
    played = stream.response

    assert (played.content, played.finish, played.usage, played.id) == (
        answer.content,
        answer.finish,
        answer.usage,
        "id-1",
    )


def test_what_the_grammar_needs_is_added(play: Any) -> None:
    events, _, _ = play(
        ["Hel", "lo", UsageUpdate(Usage(input_tokens=1)), PartStart(1, ReasoningPart()), ReasoningDelta(1, "hm"),
         PartEnd(1), "!"]
    )  # fmt: skip

    assert events[1:] == [
        PartStart(0, TextPart("")), TextDelta(0, "Hel"), TextDelta(0, "lo"), UsageUpdate(Usage(input_tokens=1)),
        PartEnd(0), PartStart(1, ReasoningPart()), ReasoningDelta(1, "hm"), PartEnd(1),
        PartStart(2, TextPart("")), TextDelta(2, "!"), PartEnd(2), StreamEnd(Finish("stop")),
    ]  # fmt: skip


def test_a_script_that_is_whole_is_played_as_it_stands(play: Any) -> None:
    script: list[Any] = [
        [StreamStart("id-1"), PartStart(0, TextPart(""))],
        [TextDelta(0, "Hello"), PartEnd(0)],
        StreamEnd(Finish("length")),
    ]
    events, stream, _ = play(script)

    assert events == [*script[0], *script[1], script[2]]
    assert stream.response.finish == Finish("length")


def test_an_error_comes_with_what_had_arrived(play: Any) -> None:
    _, stream, failure = play(["Hel", OverloadedError("full")])

    assert isinstance(failure, OverloadedError)
    assert (failure.provider, failure.model) == ("scripted", "script")
    assert failure.partial is not None and failure.partial.text == "Hel"
    assert stream.response.attempts[0].error == "OverloadedError"


@pytest.mark.parametrize(
    ("script", "phase", "seconds"),
    [([Pause(9), "x"], "first_event", 5), (["x", Pause(9)], "idle", 3), (["x", Pause(2), "y", Pause(2.5)], "total", 4)],
)
def test_silences_meet_the_limits_of_a_call(play: Any, script: list[Any], phase: str, seconds: float) -> None:
    io = ScriptedIO()
    limits = Timeout(first_event=5, idle=3, total=4 if phase == "total" else None)
    _, _, failure = play(script, io=io, timeout=limits)

    assert isinstance(failure, CallTimeoutError)
    assert failure.phase == phase
    assert io.now() == seconds


def test_pauses_take_no_time_but_the_clocks(play: Any) -> None:
    io = ScriptedIO()
    _, stream, _ = play([Pause(2), "x", Pause(3), "y"], io=io)

    assert io.now() == 5
    assert (stream.response.timing.first_event, stream.response.text) == (2, "xy")


def test_a_function_in_the_script_may_abort_the_call(play: Any) -> None:
    cancel = Cancel()
    _, stream, failure = play(["x", cancel.set, "y"], cancel=cancel)

    assert isinstance(failure, Cancelled)
    assert stream.response.text == "x"


def test_the_answer_is_parsed_where_a_type_is_asked_for(play: Any) -> None:
    _, stream, _ = play("[1, 2]", output=list[int])
    _, _, failure = play("no list", output=list[int])

    assert stream.response.parsed == [1, 2]
    assert isinstance(failure, DecodeError)


def test_an_async_script_may_wait() -> None:
    async def main() -> str:
        moment = asyncio.Event()
        asyncio.get_running_loop().call_later(0.01, moment.set)
        return (await scripted_async_stream(["x", moment.wait, "y"]).drain()).text

    assert asyncio.run(main()) == "xy"
