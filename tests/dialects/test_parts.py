"""Part bookkeeping: indexes, ends, and the halves of characters, for every dialect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvox.dialects._parts import Parts
from polyvox.types.events import Event, PartEnd, PartStart, ReasoningDelta, TextDelta, ToolCallDelta
from polyvox.types.fold import fold
from polyvox.types.parts import FilePart, ReasoningPart, SourcePart, TextPart, ToolCall

META = {"openai": {"a": 1}}


def test_parts_count_from_0_in_the_order_of_starting_and_end_once() -> None:
    parts, events = Parts(), list[Event]()
    first, second = parts.start(TextPart(""), events), parts.start(ToolCall("c", "f"), events)
    assert (first, second, parts.count) == (0, 1, 2)
    parts.end(second, events, META)
    parts.end(second, events)
    parts.end(7, events)
    assert events == [PartStart(0, TextPart("")), PartStart(1, ToolCall("c", "f")), PartEnd(1, META)]


def test_what_is_still_open_ends_in_order_with_its_meta() -> None:
    parts, events = Parts(), list[Event]()
    for part in (TextPart(""), ReasoningPart(""), TextPart("")):
        parts.start(part, events)
    parts.end(1, events)
    del events[:]
    parts.end_all(events, {2: META})
    assert events == [PartEnd(0), PartEnd(2, META)]
    parts.end_all(events, {})
    assert len(events) == 2


def test_a_whole_part_begins_and_ends_at_once() -> None:
    parts, events = Parts(), list[Event]()
    source = SourcePart(url="https://owl.example", meta=META)
    parts.whole(source, events)
    assert events == [PartStart(0, source), PartEnd(0, META)]


def test_a_refusal_is_remembered() -> None:
    parts, events = Parts(), list[Event]()
    parts.start(TextPart(""), events)
    assert not parts.saw_refusal
    parts.start(TextPart("", refusal=True), events)
    assert parts.saw_refusal


def test_a_character_cut_in_two_is_joined_in_its_own_part() -> None:
    parts, events = Parts(), list[Event]()
    text, reasoning = parts.start(TextPart(""), events), parts.start(ReasoningPart(""), events)
    assert parts.join(text, "a\ud83d") == "a"
    assert parts.mends
    assert parts.join(reasoning, "plain") == "plain"
    assert parts.join(text, "\ude00b") == "😀b"
    assert not parts.mends


@pytest.mark.parametrize(
    ("part", "delta"),
    [
        (TextPart(""), TextDelta(0, "\ufffd")),
        (ReasoningPart(""), ReasoningDelta(0, "\ufffd")),
        (ToolCall("c", "f"), ToolCallDelta(0, "\ufffd")),
    ],
)
def test_a_half_whose_other_half_never_came_is_shown_as_unreadable(part, delta) -> None:
    parts, events = Parts(), list[Event]()
    parts.start(part, events)
    assert parts.join(0, "\ud83d") == ""
    parts.end(0, events)
    assert events[1:] == [delta, PartEnd(0)]
    assert not parts.mends


def test_a_file_holds_no_half() -> None:
    parts, events = Parts(), list[Event]()
    parts.start(FilePart("audio/wav", b""), events)
    parts.end(0, events)
    assert events == [PartStart(0, FilePart("audio/wav", b"")), PartEnd(0)]


def _units(text: str) -> list[str]:
    """The text in UTF-16 code units, as services that cut in the middle of a character send it."""
    data = text.encode("utf-16-le")
    return [data[at : at + 2].decode("utf-16-le", "surrogatepass") for at in range(0, len(data), 2)]


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=20), st.integers(1, 4))
def test_any_text_survives_any_cut(text: str, size: int) -> None:
    parts, events = Parts(), list[Event]()
    index = parts.start(TextPart(""), events)
    units = _units(text)
    for at in range(0, len(units), size):
        events.append(TextDelta(index, parts.join(index, "".join(units[at : at + size]))))
    parts.end_all(events, {})
    assert fold(events).text == text
