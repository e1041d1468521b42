"""`Coalesce`: small deltas are merged by size or by time; nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvox.calls.coalesce import Coalesce
from polyvox.calls.processors import processed
from polyvox.errors import ConfigError, InterruptedCallError
from polyvox.io.base import Context
from polyvox.io.scripted import ScriptedIO
from polyvox.types.events import (
    Event,
    PartEnd,
    PartStart,
    ReasoningDelta,
    StreamEnd,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    UsageUpdate,
)
from polyvox.types.fold import fold, unfold
from polyvox.types.generate import Finish
from polyvox.types.parts import TextPart, TokenLogprob, ToolCall
from polyvox.types.usage import Usage
from tests.calls.cutting import answer_of, cuts, every_way, played, read, reading, text_in_pieces, through
from tests.types.strategies import answers

START: list[Event] = [StreamStart(), PartStart(0, TextPart(""))]
END: list[Event] = [PartEnd(0), StreamEnd(Finish("stop"))]


def texts(made: list[list[Event]]) -> list[str]:
    return [event.text for events in made for event in events if isinstance(event, TextDelta)]


def words(*said: str) -> list[list[Event]]:
    return [[TextDelta(0, word)] for word in said]


def test_deltas_wait_until_they_have_so_many_characters() -> None:
    made = read(processed(played(START, *words("ab", "cd", "e", "fghij", "k"), END), [], [Coalesce(characters=4)]))

    assert texts(made) == ["abcd", "efghij", "k"]


def wait(seconds: float) -> Any:
    return lambda context: context.io.clock.advance(seconds)


def test_deltas_are_handed_on_at_most_once_in_so_many_seconds() -> None:
    steps = [START, *words("a"), wait(0.1), *words("b"), wait(0.1), *words("c"), wait(0.4), *words("d", "e"), END]
    made = read(processed(played(*steps), [], [Coalesce(seconds=0.5)]), Context(ScriptedIO()))

    assert texts(made) == ["a", "bcd", "e"]


def test_of_both_measures_the_first_to_be_reached_counts() -> None:
    steps = [START, *words("a", "bb", "cc"), wait(1), *words("d"), END]
    made = read(processed(played(*steps), [], [Coalesce(characters=4, seconds=0.5)]), Context(ScriptedIO()))

    assert texts(made) == ["a", "bbcc", "d"]


def test_nothing_is_held_back_over_another_event() -> None:
    events: list[Event] = [
        StreamStart(),
        PartStart(0, TextPart("")),
        PartStart(1, ToolCall("c", "f")),
        TextDelta(0, "a"),
        TextDelta(0, "b"),
        ToolCallDelta(1, "{"),
        ToolCallDelta(1, "}"),
        TextDelta(0, "c"),
        UsageUpdate(Usage(input_tokens=1)),
        TextDelta(0, "d"),
        PartEnd(0),
        PartEnd(1),
        StreamEnd(),
    ]
    made = read(processed(played(*[[event] for event in events]), [], [Coalesce(characters=100)]))

    assert [event for merged in made for event in merged] == [
        *events[:3],
        TextDelta(0, "ab"),
        ToolCallDelta(1, "{}"),
        *events[7:],
    ]


def test_lists_in_which_nothing_is_left_are_not_handed_on() -> None:
    made = read(processed(played(START, *words("a", "b", "c"), END), [], [Coalesce(characters=100)]))

    assert len(made) == 2


def test_tokens_are_merged_with_their_text() -> None:
    tokens = [TokenLogprob(word, -1.0) for word in "abc"]
    lists: list[list[Event]] = [[TextDelta(0, token.token, (token,))] for token in tokens]
    made = read(processed(played(START, *lists, END), [], [Coalesce(characters=100)]))

    assert made[-1][0] == TextDelta(0, "abc", tuple(tokens))


@given(text=st.text(max_size=60), cuts=cuts, characters=st.integers(1, 30))
def test_the_answer_stays_the_same(text: str, cuts: list[int], characters: int) -> None:
    assert through(Coalesce(characters=characters), text_in_pieces(text, cuts)).text == text


@given(answer=answers)
def test_a_whole_answer_comes_out_as_itself(answer: Any) -> None:
    made = read(processed(played(unfold(answer)), [], [Coalesce(characters=5, seconds=1)]))

    assert [type(event) for event in made[0]] == [type(event) for event in unfold(answer)]
    assert fold(made[0]) is answer


def test_reasoning_is_merged_as_text_is() -> None:
    answer = answer_of(ToolCall("c", "f", '{"a": 1}'), TextPart("Hello"))

    assert every_way(Coalesce(characters=3), answer) == answer


def test_of_an_answer_that_breaks_off_what_was_held_back_is_kept() -> None:
    kept: list[Event] = []
    lists: list[Any] = [START, [ReasoningDelta(0, "a")], [ReasoningDelta(0, "b")], InterruptedCallError("cut")]
    with pytest.raises(InterruptedCallError):
        for events in reading(processed(played(*lists), [], [Coalesce(characters=9)])):
            kept += events

    assert kept == [*START, ReasoningDelta(0, "ab")]


@pytest.mark.parametrize(
    "settings", [{}, {"characters": 0}, {"characters": 1.5}, {"seconds": -1}, {"seconds": True}, {"seconds": "1"}]
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="Coalesce"):
        Coalesce(**settings)
