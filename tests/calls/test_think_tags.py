"""`ThinkTags`: reasoning between tags in the text becomes reasoning, however the stream was cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from msgspec import structs

from polyvox.calls.emulate import emulate
from polyvox.calls.processors import processed
from polyvox.calls.think_tags import ThinkTags
from polyvox.errors import ConfigError, InterruptedCallError
from polyvox.types.events import Event, PartEnd, PartStart, StreamStart, TextDelta
from polyvox.types.fold import fold, unfold
from polyvox.types.generate import Alternative, Finish, GenerateRequest, GenerateResponse
from polyvox.types.parts import Part, ReasoningPart, Source, TextPart, TokenLogprob, ToolCall
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


def split(text: str, **settings: Any) -> tuple[Part, ...]:
    return every_way(ThinkTags(**settings), answer_of(TextPart(text))).content


def think(text: str) -> ReasoningPart:
    return ReasoningPart(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("<think>hm</think>Hello", [think("hm"), TextPart("Hello")]),
        ("\n<think>\nhm \n</think>\n\nHello ", [think("hm"), TextPart("Hello ")]),
        ("<thinking>a < b</thinking>yes", [think("a < b"), TextPart("yes")]),
        ("Well. <think>hm</think> So.", [TextPart("Well. "), think("hm"), TextPart("So.")]),
        ("<think>a</think><think>b</think>c", [think("a"), think("b"), TextPart("c")]),
        ("<think>never closed ", [think("never closed ")]),
        ("<think>\n\n</think>\n\nAt once.", [TextPart("At once.")]),
        ("<think>only</think>", [think("only")]),
        ("<think>a</thinking>b</think>c", [think("a</thinking>b"), TextPart("c")]),
        ("no tags, a < b, <thin", [TextPart("no tags, a < b, <thin")]),
        ("</think> was not opened", [TextPart("</think> was not opened")]),
        ("<thinker>x</thinker>", [TextPart("<thinker>x</thinker>")]),
        ("  indented", [TextPart("  indented")]),
        (" \n ", [TextPart(" \n ")]),
        ("", [TextPart("")]),
        ("<<think>x</think>", [TextPart("<"), think("x")]),
        ("<think>x<</think>y", [think("x<"), TextPart("y")]),
    ],
)
def test_what_stands_between_the_tags_is_reasoning(text: str, parts: list[Part]) -> None:
    assert split(text) == tuple(parts)


def test_the_answers_text_and_reasoning_are_told_apart() -> None:
    answer = every_way(ThinkTags(), answer_of(TextPart("<think>hm</think>\nHello")))

    assert (answer.text, answer.reasoning) == ("Hello", "hm")


def test_a_template_may_have_written_the_opening_tag() -> None:
    assert split("hm\n</think>\nHello", opened=True) == (think("hm"), TextPart("Hello"))
    assert split("hm</thinking>Hello", opened=True) == (think("hm"), TextPart("Hello"))
    assert split("", opened=True) == ()


def test_the_names_of_the_tags_may_be_others() -> None:
    assert split("<reason>hm</reason><think>x</think>", tags=("reason",)) == (think("hm"), TextPart("<think>x</think>"))


@given(text=texts_of("<think>", "</think>", "<thinking>", "</thinking>", "a", " "), cuts=cuts)
def test_no_cut_changes_what_comes_out(text: str, cuts: list[int]) -> None:
    whole = through(ThinkTags(), streamed(answer_of(TextPart(text))))

    assert through(ThinkTags(), text_in_pieces(text, cuts)).content == whole.content


@given(text=texts_of("<thin", "k>", "</", "a", "\n"), cuts=cuts)
def test_a_text_without_tags_comes_out_as_it_was(text: str, cuts: list[int]) -> None:
    if "<think>" in text or "<thinking>" in text:
        return

    assert through(ThinkTags(), text_in_pieces(text, cuts)).content == (TextPart(text),)


def test_other_parts_keep_their_order_and_get_new_numbers() -> None:
    call = ToolCall("c1", "add", '{"a": "<think>"}', meta={"x": {"signature": "s"}})
    answer = answer_of(think("before"), TextPart("<think>hm</think>Hello"), call, TextPart("<think>again</think>Bye"))

    assert every_way(ThinkTags(), answer).content == (
        think("before"), think("hm"), TextPart("Hello"), call, think("again"), TextPart("Bye"),
    )  # fmt: skip


def test_a_refusal_is_left_as_it_is() -> None:
    refusal = TextPart("<think>I will not</think>", refusal=True)

    assert every_way(ThinkTags(), answer_of(refusal)).content == (refusal,)


def test_what_the_wire_says_of_the_part_stays_with_its_text() -> None:
    meta = {"x": {"signature": "s"}}

    assert every_way(ThinkTags(), answer_of(TextPart("<think>a</think>b", meta=meta))).content == (
        think("a"),
        TextPart("b", meta=meta),
    )
    assert every_way(ThinkTags(), answer_of(TextPart("<think>a", meta=meta))).content == (
        think("a"),
        TextPart("", meta=meta),
    )


def test_further_answers_are_split_too() -> None:
    answer = GenerateResponse[Any](
        content=(TextPart("a"),),
        finish=Finish("stop"),
        alternatives=(Alternative(1, (TextPart("<think>x</think>b"),), Finish("stop")),),
    )

    assert every_way(ThinkTags(), answer).alternatives[0].content == (think("x"), TextPart("b"))


def test_citations_keep_their_places_in_the_text() -> None:
    text = "<think>hm</think>\nThe sky is blue."
    start = text.index("sky")
    cited = TextPart(text, sources=(Source(url="u", start=start, end=start + 3), Source(url="v", start=9, end=10)))
    _, part = every_way(ThinkTags(), answer_of(cited)).content

    assert isinstance(part, TextPart)
    assert [(source.url, source.start, source.end) for source in part.sources] == [("u", 4, 7), ("v", None, None)]
    assert part.text[4:7] == "sky"


def test_tokens_stay_with_the_text_they_are_of() -> None:
    tokens = [TokenLogprob(text, -1.0) for text in ("<thi", "nk>", "h", "m", "</think>", "\n\n", "Hel", "lo")]
    text = "".join(token.token for token in tokens)
    _, part = every_way(ThinkTags(), answer_of(TextPart(text, logprobs=tuple(tokens)))).content

    assert isinstance(part, TextPart) and part.logprobs is not None
    assert [token.token for token in part.logprobs] == ["Hel", "lo"]


def test_text_that_can_be_no_tag_is_not_held_back() -> None:
    start: list[Event] = [StreamStart(), PartStart(0, TextPart(""))]
    made = read(processed(played(start, [TextDelta(0, "Hello <b")], [TextDelta(0, "r>, <th")]), [], [ThinkTags()]))

    assert [event for events in made for event in events if isinstance(event, TextDelta)] == [
        TextDelta(0, "Hello <b"),
        TextDelta(0, "r>, "),
        TextDelta(0, "<th"),
    ]


def test_of_an_answer_that_breaks_off_half_a_tag_is_kept() -> None:
    lists = [*streamed(answer_of(TextPart("<think>hm</thi")))[:2], [TextDelta(0, "<think>hm</thi")]]
    call = processed(played(*lists, InterruptedCallError("cut")), [], [ThinkTags()])
    kept: list[Event] = []
    with pytest.raises(InterruptedCallError):
        for events in reading(call):
            kept += events

    assert fold(kept).content == (think("hm</thi"),)


@pytest.mark.parametrize("tags", [(), "think", ("<think>",), ("a b",), (3,)])
def test_a_name_that_is_no_tags_is_refused(tags: Any) -> None:
    with pytest.raises(ConfigError, match="tags"):
        ThinkTags(tags)


def test_an_empty_part_with_an_end_of_its_own_is_kept() -> None:
    lists = [[StreamStart("id-1"), PartStart(0, TextPart("")), PartEnd(0)], *streamed(answer_of())[1:]]

    assert through(ThinkTags(), lists).content == (TextPart(""),)


def test_the_emulation_of_a_models_row_is_the_same_machine() -> None:
    answer = answer_of(TextPart("<think>hm</think>\nHello"))
    _, (adjustment,), transform = emulate("think_tags", GenerateRequest(model="m", messages=()))
    assert transform is not None
    lists = [[event] for events in streamed(answer, 2) for event in events]

    assert (adjustment.kind, adjustment.setting) == ("emulated", "reasoning")
    assert fold(event for events in lists for event in transform.feed(events)).content == (
        think("hm"),
        TextPart("Hello"),
    )


def test_the_emulation_reads_a_whole_answer() -> None:
    answer = structs.replace(answer_of(TextPart("<think>hm</think>\nHello")), request_id="r")
    _, _, transform = emulate("think_tags", GenerateRequest(model="m", messages=()))
    assert transform is not None

    assert fold(transform.feed(unfold(answer))) == structs.replace(answer, content=(think("hm"), TextPart("Hello")))
