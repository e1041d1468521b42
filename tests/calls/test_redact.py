"""`Redact`: what matches a pattern leaves no answer, wherever the stream was cut."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvox.calls.processors import processed
from polyvox.calls.redact import Redact
from polyvox.errors import ConfigError, InterruptedCallError
from polyvox.types.events import Event, PartStart, RawFrame, StreamStart, TextDelta
from polyvox.types.fold import fold, unfold
from polyvox.types.generate import Alternative, Finish, GenerateResponse
from polyvox.types.parts import ReasoningPart, Source, SourcePart, TextPart, TokenLogprob, ToolCall, ToolResult
from tests.calls.cutting import (
    answer_of,
    cuts,
    every_way,
    played,
    read,
    reading,
    streamed,
    text_in_pieces,
    texts_of,
    through,
)

CARD = r"\b\d{4} ?\d{4}\b"
MAIL = re.compile(r"[a-z]+@[a-z]+\.org", re.IGNORECASE)


def redacted(text: str, *patterns: str | re.Pattern[str], **settings: Any) -> str:
    return every_way(Redact(patterns, **settings), answer_of(TextPart(text))).text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Pay with 1234 5678.", "Pay with [redacted]."),
        ("1234 5678", "[redacted]"),
        ("12345678, 87654321", "[redacted], [redacted]"),
        ("Write to Ann@Example.org or a@b.org!", "Write to [redacted] or [redacted]!"),
        ("x1234 5678", "x1234 5678"),
        ("1234 56789", "1234 56789"),
        ("nothing", "nothing"),
        ("", ""),
    ],
)
def test_what_matches_is_replaced(text: str, shown: str) -> None:
    assert redacted(text, CARD, MAIL) == shown


def test_the_replacement_is_a_text_not_a_template() -> None:
    assert redacted("1234 5678", CARD, replacement=r"\1 <hidden>") == r"\1 <hidden>"


@pytest.mark.parametrize("window", [8, 9, 64])
@given(text=texts_of("ab12", "ab", "12", "3", "cd", "b1"), cuts=cuts)
def test_no_cut_changes_what_comes_out(window: int, text: str, cuts: list[int]) -> None:
    """Within the window, it is what one search of the whole text gives."""
    patterns = [r"\bab\d\d\b", r"cd\d?", r"(?<=x)3", r"\d+x"]
    expected = re.sub("|".join(patterns), "_", text)
    made = through(Redact(patterns, "_", window=window), text_in_pieces(text, cuts))

    assert made.text == expected


@given(digits=st.integers(1, 300), cuts=cuts)
def test_a_match_longer_than_the_window_is_waited_for(digits: int, cuts: list[int]) -> None:
    text = f"key {'7' * digits} end"

    assert through(Redact([r"\d+"], window=4), text_in_pieces(text, cuts)).text == "key [redacted] end"


def test_a_match_without_end_is_not_waited_for_without_end() -> None:
    made = read(processed(played(*text_in_pieces("x" * 900, list(range(900)))), [], [Redact(["x+"], window=4)]))
    texts = [event.text for events in made for event in events if isinstance(event, TextDelta)]

    assert texts == ["[redacted]"] * 4
    assert "x" not in "".join(texts)


def test_text_is_held_back_by_the_window_and_no_more() -> None:
    start: list[Event] = [StreamStart(), PartStart(0, TextPart(""))]
    made = read(processed(played(start, [TextDelta(0, "a" * 20)]), [], [Redact(["secret"], window=8)]))

    assert made[1] == [TextDelta(0, "a" * 12)]


def test_reasoning_and_refusals_are_searched_too() -> None:
    answer = answer_of(ReasoningPart("so 1234 5678"), TextPart("no: 1234 5678", refusal=True))

    assert every_way(Redact([CARD]), answer).content == (
        ReasoningPart("so [redacted]"),
        TextPart("no: [redacted]", refusal=True),
    )
    assert every_way(Redact([CARD], reasoning=False), answer).content[0] == answer.content[0]


def test_the_arguments_of_tools_are_searched_where_asked() -> None:
    call = ToolCall("c1", "pay", '{"card":"1234 5678"}')
    (searched,) = every_way(Redact([CARD], 'the "card"', arguments=True), answer_of(call)).tool_calls

    assert every_way(Redact([CARD]), answer_of(call)).tool_calls == (call,)
    assert searched.decode() == {"card": 'the "card"'}


def test_what_the_providers_own_tools_found_is_searched() -> None:
    answer = answer_of(
        SourcePart(url="http://x/1234 5678", title="1234 5678", text="of 1234 5678"),
        ToolResult("c1", "search", (TextPart("found 1234 5678"), ReasoningPart("kept"))),
    )

    assert every_way(Redact([CARD], "_"), answer).content == (
        SourcePart(url="http://x/_", title="_", text="of _"),
        ToolResult("c1", "search", (TextPart("found _"), ReasoningPart("kept"))),
    )


def test_citations_are_searched_and_keep_their_places() -> None:
    text = "1234 5678 is Ann's, 8765 4321 is Bob's."
    start = text.index("Bob")
    sources = (Source(text="1234 5678", start=0, end=9), Source(title="b", start=start, end=start + 3))
    (part,) = every_way(Redact([CARD], "_"), answer_of(TextPart(text, sources=sources))).content

    assert part == TextPart(
        "_ is Ann's, _ is Bob's.",
        sources=(Source(text="_", start=0, end=1), Source(title="b", start=17, end=20)),
    )
    assert part.text[17:20] == "Bob"


def test_tokens_of_what_is_redacted_go_with_it() -> None:
    tokens = [TokenLogprob(text, -1.0) for text in ("Pay ", "wi", "th 12", "34", " 5678", ". Or", " not")]
    text = "".join(token.token for token in tokens)
    (part,) = every_way(Redact([CARD]), answer_of(TextPart(text, logprobs=tuple(tokens)))).content

    assert isinstance(part, TextPart) and part.logprobs is not None
    assert part.text == "Pay with [redacted]. Or not"
    assert [token.token for token in part.logprobs] == ["Pay ", "wi", ". Or", " not"]


def test_the_bytes_as_received_are_no_part_of_a_redacted_answer() -> None:
    whole = unfold(GenerateResponse[Any](content=(TextPart("1234 5678"),), finish=Finish("stop"), raw=b"1234 5678"))
    lists = [[RawFrame(b"1234 5678"), *events] for events in streamed(answer_of(TextPart("1234 5678")))]

    assert through(Redact([CARD]), [whole]).raw is None
    assert not any(isinstance(event, RawFrame) for events in read(redacting(lists)) for event in events)
    assert b"1234" not in msgspec.json.encode(read(redacting([whole])))


def redacting(lists: list[list[Event]]) -> Any:
    return processed(played(*lists), [], [Redact([CARD])])


def test_further_answers_are_searched_too() -> None:
    answer = GenerateResponse[Any](
        content=(TextPart("a"),),
        finish=Finish("stop"),
        alternatives=(Alternative(1, (TextPart("1234 5678"),), Finish("stop")),),
    )

    assert every_way(Redact([CARD]), answer).alternatives[0].text == "[redacted]"


def test_of_an_answer_that_breaks_off_what_was_held_back_is_kept_and_searched() -> None:
    lists = streamed(answer_of(TextPart("Pay 1234 5678 and")))[:-2]
    kept: list[Event] = []
    with pytest.raises(InterruptedCallError):
        for events in reading(processed(played(*lists, InterruptedCallError("cut")), [], [Redact([CARD])])):
            kept += events

    assert fold(kept).text == "Pay [redacted] and"


@pytest.mark.parametrize(
    "settings",
    [
        {"patterns": []},
        {"patterns": "abc"},
        {"patterns": ["("]},
        {"patterns": [b"a"]},
        {"patterns": ["a*"]},
        {"patterns": [3]},
        {"patterns": ["a"], "window": 0},
        {"patterns": ["a"], "window": True},
        {"patterns": ["a"], "replacement": None},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="Redact"):
        Redact(**settings)
