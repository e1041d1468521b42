"""`Fold` puts together what `unfold` takes apart, and what any stream says, and holds no more than the answer."""

from __future__ import annotations

import sys
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from polyvox.types.events import (
    Event,
    FileDelta,
    PartEnd,
    PartStart,
    RawFrame,
    ReasoningDelta,
    SourceDelta,
    StepEnd,
    StepStart,
    StreamEnd,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    ToolDone,
    UsageUpdate,
)
from polyvox.types.fold import Fold, fold, unfold
from polyvox.types.generate import Adjustment, Alternative, Finish, GenerateResponse
from polyvox.types.parts import (
    FilePart,
    ReasoningPart,
    Source,
    SourcePart,
    TextPart,
    TokenLogprob,
    ToolCall,
    ToolResult,
)
from polyvox.types.usage import Cost, Timing, Usage
from tests.types.strategies import answers


@given(answers)
def test_folding_an_unfolded_answer_gives_the_answer_itself(answer: GenerateResponse[Any]) -> None:
    assert fold(unfold(answer)) is answer


def _streamed(answer: GenerateResponse[Any]) -> list[Event]:
    """The events as a stream would give them: without the whole answer at the end."""
    *events, end = unfold(answer)
    assert isinstance(end, StreamEnd)
    return [*events, structs.replace(end, response=None)]


@given(answers)
def test_the_events_alone_say_all_that_a_stream_can_say(answer: GenerateResponse[Any]) -> None:
    assert fold(_streamed(answer)) == answer


@given(answers, st.data())
def test_it_does_not_matter_how_the_events_are_handed_on(answer: GenerateResponse[Any], data: st.DataObject) -> None:
    events = _streamed(answer)
    place = data.draw(st.integers(0, len(events)))
    folding = Fold()
    folding.feed(events[:place])
    _ = folding.response
    folding.feed(events[place:])
    assert folding.response == answer


@given(answers)
def test_unfolded_events_keep_the_grammar(answer: GenerateResponse[Any]) -> None:
    started: set[int] = set()
    open_parts: set[int] = set()
    events = unfold(answer)
    assert isinstance(events[0], StreamStart) and isinstance(events[-1], StreamEnd)
    for event in events[1:-1]:
        match event:
            case PartStart(index=index):
                assert index == len(started)
                started.add(index)
                open_parts.add(index)
            case PartEnd(index=index):
                open_parts.remove(index)
            case TextDelta() | ReasoningDelta() | ToolCallDelta() | FileDelta() | SourceDelta():
                assert event.index in open_parts
            case _:
                pytest.fail(f"{event} has no place here")
    assert not open_parts


def test_what_a_stream_cannot_say_is_kept_with_the_answer() -> None:
    answer: GenerateResponse[Any] = GenerateResponse(
        cost=Cost(1.0), timing=Timing(1.0), request_id="r", origin="p/m", parsed=[1], raw=b"{}"
    )
    assert fold(unfold(answer)) is answer
    assert fold(_streamed(answer)) == GenerateResponse()


TURN: list[Event] = [
    StreamStart("id", "m", "p", (Adjustment("dropped", "seed"),)),
    UsageUpdate(Usage(1, 1)),
    PartStart(0, ReasoningPart()),
    PartStart(1, TextPart("")),
    TextDelta(1, "Hel", (TokenLogprob("Hel", -1.0),)),
    ReasoningDelta(0, "I "),
    ReasoningDelta(0, "think"),
    PartEnd(0, {"x": {"signature": "s"}}),
    PartStart(2, ToolCall("c", "f", meta={"x": {"a": 1}})),
    ToolCallDelta(2, '{"a":'),
    TextDelta(1, "lo", (TokenLogprob("lo", -2.0),)),
    ToolCallDelta(2, "1}"),
    SourceDelta(1, Source(url="u", start=0, end=5)),
    SourceDelta(1, Source(url="v")),
    PartEnd(2),
    PartStart(3, FilePart("audio/wav", b"", "x")),
    FileDelta(3, b"RI"),
    FileDelta(3, b"FF"),
    PartEnd(3),
    PartStart(4, SourcePart("u")),
    PartEnd(4),
    PartStart(5, ToolCall("e", "search", '{"q":', executed=True)),
    ToolCallDelta(5, "1}"),
    PartEnd(5),
    RawFrame(b"data"),
    UsageUpdate(Usage(5, 2)),
    PartEnd(1),
    StreamEnd(
        Finish("stop", "end"),
        Usage(5, 3),
        (Adjustment("clamped", "n"),),
        (Alternative(1),),
        {"x": {"fingerprint": "f"}},
    ),
]
ANSWER: GenerateResponse[Any] = GenerateResponse(
    id="id",
    model="m",
    provider="p",
    content=(
        ReasoningPart("I think", meta={"x": {"signature": "s"}}),
        TextPart(
            "Hello",
            (Source(url="u", start=0, end=5), Source(url="v")),
            (TokenLogprob("Hel", -1.0), TokenLogprob("lo", -2.0)),
        ),
        ToolCall("c", "f", '{"a":1}', meta={"x": {"a": 1}}),
        FilePart("audio/wav", b"RIFF", "x"),
        SourcePart("u"),
        ToolCall("e", "search", '{"q":1}', executed=True),
    ),
    finish=Finish("stop", "end"),
    usage=Usage(5, 3),
    adjustments=(Adjustment("dropped", "seed"), Adjustment("clamped", "n")),
    alternatives=(Alternative(1),),
    meta={"x": {"fingerprint": "f"}},
)


def test_interleaved_parts_are_put_together_each_for_itself() -> None:
    assert fold(TURN) == ANSWER


def test_the_answer_so_far_can_be_read_after_every_event() -> None:
    folding = Fold()
    seen: list[str] = []
    for event in TURN:
        folding.feed([event])
        seen.append(folding.response.text)
        assert folding.ended is isinstance(event, StreamEnd)
        assert (folding.response.finish is None) is not folding.ended
    assert sorted(set(seen), key=len) == ["", "Hel", "Hello"]
    assert Fold().response == GenerateResponse()


def test_the_last_usage_wins_and_a_last_none_does_not() -> None:
    assert fold([UsageUpdate(Usage(1)), UsageUpdate(Usage(2)), StreamEnd()]).usage == Usage(2)
    assert fold([UsageUpdate(Usage(1)), StreamEnd(usage=Usage(3))]).usage == Usage(3)
    assert fold([StreamEnd()]).usage == Usage()


def test_of_a_tool_loop_the_last_answer_is_held() -> None:
    second: list[Event] = [StreamStart("2"), PartStart(0, TextPart("")), TextDelta(0, "done"), PartEnd(0), StreamEnd()]
    run: list[Event] = [
        StepStart(1),
        *TURN,
        ToolDone(ToolResult("c")),
        StepEnd(1, ANSWER),
        StepStart(2),
        *second,
        StepEnd(2, fold(second)),
    ]
    assert fold(run) == fold(second) == GenerateResponse(id="2", content=(TextPart("done"),))


def test_refusals_are_told_apart() -> None:
    folding = Fold()
    folding.feed([PartStart(0, TextPart("", refusal=True)), PartStart(1, TextPart("")), PartStart(2, ReasoningPart())])
    assert [folding.is_refusal(index) for index in range(3)] == [True, False, False]


@pytest.mark.parametrize(
    "event",
    [TextDelta(0, "x"), ReasoningDelta(0, "x"), ToolCallDelta(0, "x"), FileDelta(0, b"x"), SourceDelta(0, Source())],
)
def test_a_delta_without_its_part_is_a_fault_that_shows(event: Event) -> None:
    with pytest.raises(KeyError):
        fold([event])


def test_no_chunk_is_kept_for_long() -> None:
    """The fold holds no event, and no text for longer than a block: nothing refers to them but the test."""
    folding = Fold()
    folding.feed([PartStart(0, TextPart("")), PartStart(1, FilePart("a/b", b"")), PartStart(2, ToolCall("c", "f"))])
    text, data = "".join(["some ", "text"]), bytes(bytearray(b"some bytes"))
    events: list[Event] = [TextDelta(0, text), FileDelta(1, data), ToolCallDelta(2, text)]
    kept_events = [sys.getrefcount(event) for event in events]
    kept_texts = [sys.getrefcount(text), sys.getrefcount(data)]
    folding.feed(events)
    assert [sys.getrefcount(event) for event in events] == kept_events
    folding.feed([TextDelta(0, "x"), ToolCallDelta(2, "x")] * 600)
    assert [sys.getrefcount(text), sys.getrefcount(data)] == kept_texts
    assert folding.response.text == text + "x" * 600


@pytest.mark.parametrize("pieces", [20_000, 120_000])
def test_memory_grows_by_the_answer_only(pieces: int) -> None:
    folding = Fold()
    folding.feed([PartStart(0, TextPart(""))])
    tracemalloc.start()
    try:
        for start in range(0, pieces, 100):
            folding.feed(TextDelta(0, f"piece{place:06}") for place in range(start, start + 100))
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 1.2 * pieces * len("piece000000") + 50_000
    assert folding.response.text == "".join(f"piece{place:06}" for place in range(pieces))
