"""Answers cut into deltas and reads in every way, for machines whose result must not depend on it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from polyvox.calls.generate import Call, Events
from polyvox.calls.processors import processed
from polyvox.io.base import Context, iterate
from polyvox.io.scripted import ScriptedIO
from polyvox.types.events import Event, PartEnd, PartStart, ReasoningDelta, StreamEnd, StreamStart, TextDelta
from polyvox.types.events import ToolCallDelta as ArgumentsDelta
from polyvox.types.fold import Fold, unfold
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.messages import user
from polyvox.types.parts import Part, TextPart

REQUEST = GenerateRequest(model="m", messages=(user("hi"),))


def played(*steps: Any) -> Call:
    """A call that hands on lists, and raises the errors among them."""

    async def generate(context: Context, request: GenerateRequest) -> Events:
        for step in steps:
            if isinstance(step, BaseException):
                raise step
            if callable(step):
                step(context)
                continue
            context.first_event = context.io.now()
            yield list(step)

    return generate


def answer_of(*parts: Part) -> GenerateResponse[Any]:
    return GenerateResponse(id="id-1", model="m", content=parts, finish=Finish("stop"))


def streamed(answer: GenerateResponse[Any], size: int | None = None) -> list[list[Event]]:
    """The answer as a stream in deltas of `size` characters (`None`: as they are), each a read of its own."""
    *events, end = unfold(answer)
    assert isinstance(end, StreamEnd)
    lists: list[list[Event]] = [[piece] for event in events for piece in pieces_of(event, size)]
    return [*lists, [StreamEnd(end.finish, end.usage, alternatives=end.alternatives)]]


def pieces_of(event: Event, size: int | None) -> Iterator[Event]:
    if size is None or not isinstance(event, TextDelta | ReasoningDelta | ArgumentsDelta):
        yield event
    elif isinstance(event, TextDelta) and event.logprobs is not None:
        yield from (TextDelta(event.index, token.token, (token,)) for token in event.logprobs)
    else:
        text = event.arguments if isinstance(event, ArgumentsDelta) else event.text
        kind: Any = type(event)
        yield from (kind(event.index, text[place : place + size]) for place in range(0, len(text), size))


def reading(call: Call, context: Context | None = None) -> Iterator[list[Event]]:
    return iterate(call(context or Context(ScriptedIO()), REQUEST))


def read(call: Call, context: Context | None = None) -> list[list[Event]]:
    return list(reading(call, context))


def through(post: Any, lists: list[list[Event]]) -> GenerateResponse[Any]:
    """What is folded from these lists after a post-processor, its grammar checked."""
    made = read(processed(played(*lists), [], [post]))
    check_grammar([event for events in made for event in events])
    folding = Fold()
    for events in made:
        folding.feed(events)
    return folding.response


def every_way(post: Any, answer: GenerateResponse[Any]) -> GenerateResponse[Any]:
    """What comes out of an answer, the same however it came: whole, in one piece, in small ones."""
    whole = through(post, [unfold(answer)])
    for size in (None, 1, 2, 3, 7):
        made = through(post, streamed(answer, size))
        assert made.content == whole.content, f"in pieces of {size}"
        assert made.alternatives == whole.alternatives
    return whole


def text_in_pieces(text: str, cuts: list[int]) -> list[list[Event]]:
    """A text part cut at these places."""
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    deltas: list[Event] = [TextDelta(0, text[start:end]) for start, end in pairwise(places)]
    start: list[Event] = [StreamStart("id-1"), PartStart(0, TextPart(""))]
    return [start, *([delta] for delta in deltas), [PartEnd(0)], [StreamEnd(Finish("stop"))]]


def texts_of(*words: str) -> st.SearchStrategy[str]:
    """Texts in which these words are likely, whole and in halves."""
    letters = sorted(set("".join(words)) | set(" \nx"))
    return st.lists(st.sampled_from(words) | st.text(st.sampled_from(letters), max_size=3), max_size=8).map("".join)


cuts = st.lists(st.integers(0, 200), max_size=12)


def check_grammar(events: list[Event]) -> None:
    """One turn of the grammar in `polyvox.types.events`."""
    kinds = [type(event) for event in events]
    assert kinds[0] is StreamStart and kinds.count(StreamStart) == 1
    assert kinds[-1] is StreamEnd and kinds.count(StreamEnd) == 1
    begun, ended = 0, set()
    for event in events:
        if isinstance(event, PartStart):
            assert event.index == begun
            begun += 1
        elif isinstance(index := getattr(event, "index", None), int):
            assert index < begun and index not in ended
            if isinstance(event, PartEnd):
                ended.add(index)
    assert len(ended) == begun
