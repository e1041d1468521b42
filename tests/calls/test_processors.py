"""Processors: the caller's functions on the request and on the events; what they change wins."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from msgspec import structs

from polyvox.calls.coalesce import Coalesce
from polyvox.calls.generate import Call, Events
from polyvox.calls.hooks import Callbacks, hooked
from polyvox.calls.processors import check_processors, processed
from polyvox.calls.redact import Redact
from polyvox.calls.retry import Retry, retry
from polyvox.calls.think_tags import ThinkTags
from polyvox.errors import ConfigError, LimitError, OverloadedError, PolyvoxError
from polyvox.io.base import Context
from polyvox.io.scripted import ScriptedIO
from polyvox.types.events import Event, PartEnd, PartStart, StreamEnd, StreamStart, TextDelta
from polyvox.types.fold import fold, unfold
from polyvox.types.generate import Adjustment, Finish, GenerateRequest, GenerateResponse
from polyvox.types.parts import ReasoningPart, TextPart
from polyvox.types.usage import Cost, Usage
from tests.calls.cutting import REQUEST, answer_of, played, read, reading, streamed, through
from tests.types.strategies import answers

HELLO = answer_of(TextPart("Hello"))
WHOLE = GenerateResponse[Any](
    id="id-1",
    model="m",
    provider="p",
    content=(TextPart("Hello"),),
    finish=Finish("stop"),
    usage=Usage(input_tokens=1, output_tokens=2),
    cost=Cost(0.5),
    adjustments=(Adjustment("dropped", "seed", "not taken"),),
    request_id="r",
    origin="p/m",
    raw=b"{}",
    meta={"x": {"y": 1}},
)


def shout(events: list[Event]) -> list[Event]:
    return [
        structs.replace(event, text=event.text.upper()) if isinstance(event, TextDelta) else event for event in events
    ]


class Count:
    """Puts the number of the deltas so far before each."""

    def __init__(self) -> None:
        self.count = 0

    def feed(self, events: list[Event]) -> list[Event]:
        made: list[Event] = []
        for event in events:
            if isinstance(event, TextDelta):
                self.count += 1
                event = TextDelta(event.index, f"{self.count}{event.text}")
            made.append(event)
        return made

    def close(self) -> list[Event]:
        return []


class Closed:
    """A call that knows whether it was closed, and what it was asked."""

    def __init__(self, *lists: Any) -> None:
        self.inner = played(*lists)
        self.open = 0
        self.requests: list[GenerateRequest] = []

    async def __call__(self, context: Context, request: GenerateRequest) -> Events:
        self.open += 1
        self.requests.append(request)
        try:
            async with aclosing(self.inner(context, request)) as lists:
                async for events in lists:
                    yield events
        finally:
            self.open -= 1


# --- the request --------------------------------------------------------------------------------------------------


def warmer(request: GenerateRequest) -> GenerateRequest:
    return structs.replace(request, temperature=(request.temperature or 0) + 1)


def test_the_request_goes_through_each_function_in_order() -> None:
    inner = Closed(*streamed(HELLO))

    def doubled(request: GenerateRequest) -> GenerateRequest:
        return structs.replace(request, temperature=(request.temperature or 0) * 2)

    read(processed(inner, [warmer, doubled], []))

    assert [request.temperature for request in inner.requests] == [2]
    assert REQUEST.temperature is None


def test_async_functions_are_awaited() -> None:
    inner = Closed(*streamed(HELLO))

    async def later(request: GenerateRequest) -> GenerateRequest:
        await asyncio.sleep(0)
        return warmer(request)

    async def main() -> None:
        async with aclosing(processed(inner, [later, warmer], [])(Context(ScriptedIO()), REQUEST)) as lists:
            async for _ in lists:
                pass

    asyncio.run(main())

    assert inner.requests[0].temperature == 2


@pytest.mark.parametrize("function", [lambda request: None, lambda request: "hi"])
def test_a_function_that_returns_no_request_ends_the_call_before_it_is_sent(function: Any) -> None:
    inner = Closed()
    with pytest.raises(ConfigError, match="give a GenerateRequest"):
        read(processed(inner, [function], []))

    assert not inner.requests


async def coroutine(request: GenerateRequest) -> GenerateRequest:
    return request


def test_a_plain_client_refuses_async_functions_at_once() -> None:
    with pytest.raises(ConfigError, match=r"coroutine is async.*AsyncClient"):
        check_processors([coroutine], [], asynchronous=False)
    check_processors([coroutine, warmer], [shout, Count, lambda: Count(), ThinkTags()], asynchronous=True)
    check_processors([warmer], [shout, Count, functools.partial(Count), Coalesce(seconds=1)], asynchronous=False)


@pytest.mark.parametrize("factory", [Count(), coroutine, "shout", 3, max])
def test_what_is_no_processor_is_refused_at_once(factory: Any) -> None:
    with pytest.raises(ConfigError, match="post: "):
        check_processors([], [factory], asynchronous=True)


def test_what_is_no_function_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="pre: "):
        check_processors(["hi"], [], asynchronous=True)  # type: ignore[list-item]


# --- the events ---------------------------------------------------------------------------------------------------


def test_without_processors_the_call_is_left_as_it_is() -> None:
    inner = played()

    assert processed(inner, [], []) is inner


@pytest.mark.parametrize("lists", [streamed(HELLO, 1), [unfold(HELLO)]], ids=["streamed", "whole"])
def test_a_function_changes_a_stream_and_a_whole_answer_alike(lists: list[list[Event]]) -> None:
    assert through(shout, lists).text == "HELLO"


def test_processors_run_in_the_order_given() -> None:
    made = fold(
        event for events in read(processed(played(*streamed(HELLO, 3)), [], [Count, shout])) for event in events
    )

    assert made.text == "1HEL2LO"


def test_each_call_gets_a_machine_of_its_own() -> None:
    call = processed(played(*streamed(HELLO, 3)), [], [Count])

    assert [fold(event for events in read(call) for event in events).text for _ in range(2)] == ["1Hel2lo"] * 2


def test_an_answer_made_twice_by_a_policy_above_gets_a_machine_each_time() -> None:
    failures = iter([OverloadedError("full"), None])

    def maybe(context: Context) -> None:
        if (error := next(failures)) is not None:
            raise error

    start, *rest = streamed(HELLO, 3)
    call = retry(processed(played(start, maybe, *rest), [], [Count]), Retry(initial=0, jitter=0))

    assert fold(event for events in read(call) for event in events).text == "1Hel2lo"


def test_each_turn_of_a_run_gets_a_machine_of_its_own() -> None:
    turn = streamed(HELLO, 3)
    made = read(processed(played(*turn, *turn), [], [Count]))

    assert [event.text for events in made for event in events if isinstance(event, TextDelta)] == ["1Hel", "2lo"] * 2


def test_a_whole_answer_is_put_together_again_and_keeps_its_identity() -> None:
    (made,) = read(processed(played(unfold(WHOLE)), [], [shout]))
    end = made[-1]

    assert isinstance(end, StreamEnd)
    assert end.response == structs.replace(WHOLE, content=(TextPart("HELLO"),))
    assert fold(made) is end.response


@given(answer=answers)
def test_a_whole_answer_that_is_not_changed_is_the_decoded_object_itself(answer: GenerateResponse[Any]) -> None:
    (made,) = read(processed(played(unfold(answer)), [], [lambda events: events, Coalesce(characters=3)]))

    assert fold(made) is answer


@pytest.mark.parametrize("lists", [streamed(WHOLE), [unfold(WHOLE)]], ids=["streamed", "whole"])
def test_what_a_processor_changes_at_the_ends_wins_too(lists: list[list[Event]]) -> None:
    def change(events: list[Event]) -> list[Event]:
        made: list[Event] = []
        for event in events:
            if isinstance(event, StreamStart):
                event = structs.replace(event, model="other")
            if isinstance(event, StreamEnd):
                event = structs.replace(event, finish=Finish("length"), usage=Usage(output_tokens=9))
            made.append(event)
        return made

    made = through(change, lists)

    assert (made.model, made.finish, made.usage) == ("other", Finish("length"), Usage(output_tokens=9))


def test_an_answer_that_a_processor_makes_itself_is_taken() -> None:
    own = GenerateResponse[Any](id="own")

    def replace(events: list[Event]) -> list[Event]:
        return [structs.replace(event, response=own) if isinstance(event, StreamEnd) else event for event in events]

    assert through(replace, [unfold(WHOLE)]) is own


class KeepsBack:
    """Hands the text on in `close` only."""

    def __init__(self) -> None:
        self.held: list[Event] = []

    def feed(self, events: list[Event]) -> list[Event]:
        self.held += [event for event in events if not isinstance(event, StreamStart | StreamEnd)]
        return [event for event in events if isinstance(event, StreamStart | StreamEnd)]

    def close(self) -> list[Event]:
        return self.held


@pytest.mark.parametrize("lists", [streamed(HELLO, 1), [unfold(HELLO)]], ids=["streamed", "whole"])
def test_what_is_handed_on_at_the_close_goes_before_the_end_and_through_those_behind(lists: list[list[Event]]) -> None:
    made = [event for events in read(processed(played(*lists), [], [KeepsBack, shout])) for event in events]

    assert fold(made).text == "HELLO"
    assert isinstance(made[-1], StreamEnd) and isinstance(made[0], StreamStart)


def test_what_was_held_back_is_handed_on_before_an_error() -> None:
    lists = streamed(HELLO, 2)[:-2]
    kept: list[Event] = []
    with pytest.raises(OverloadedError):
        for events in reading(processed(played(*lists, OverloadedError("full")), [], [KeepsBack, shout])):
            kept += events

    assert fold(kept).text == "HELLO"


def test_a_processor_that_keeps_the_end_back_is_refused() -> None:
    with pytest.raises(ConfigError, match="kept StreamEnd back"):
        read(processed(played(*streamed(HELLO)), [], [lambda events: []]))


def test_the_shipped_ones_work_in_a_row() -> None:
    answer = answer_of(TextPart("<think>call 1234</think>\nCall 1234 now, or 5678."))
    post = [ThinkTags(), Redact([r"\d{4}"], "#", window=4), Coalesce(characters=8)]
    made = read(processed(played(*streamed(answer, 1)), [], post))
    folded = fold(event for events in made for event in events)

    assert folded.content == (ReasoningPart("call #"), TextPart("Call # now, or #."))


def test_callbacks_are_told_of_what_processors_made() -> None:
    told: list[str] = []
    call = hooked(
        processed(played(*streamed(HELLO)), [], [shout]), Callbacks(on_content=lambda text, event: told.append(text))
    )
    read(call)

    assert told == ["HELLO"]


# --- failures -----------------------------------------------------------------------------------------------------


def raising(error: Exception) -> Callable[[list[Event]], list[Event]]:
    def broken(events: list[Event]) -> list[Event]:
        if any(isinstance(event, TextDelta) for event in events):
            raise error
        return events

    return broken


class BreaksAtClose(Count):
    def close(self) -> list[Event]:
        raise ValueError("broken")


def failed(call: Call) -> PolyvoxError:
    with pytest.raises(PolyvoxError) as caught:
        read(call)
    return caught.value


@pytest.mark.parametrize("factory", [raising(ValueError("broken")), BreaksAtClose])
@pytest.mark.parametrize("lists", [streamed(HELLO), [unfold(HELLO)]], ids=["streamed", "whole"])
def test_what_a_processor_raises_is_an_error_of_the_call(factory: Any, lists: list[list[Event]]) -> None:
    inner = Closed(*lists)
    error = failed(processed(inner, [], [factory]))

    assert isinstance(error, ConfigError)
    assert not error.retryable
    assert "raised ValueError: broken" in error.message
    assert isinstance(error.__cause__, ValueError)
    assert inner.open == 0


def test_an_error_of_ours_is_raised_as_it_is() -> None:
    inner, own = Closed(*streamed(HELLO)), LimitError("enough")

    assert failed(processed(inner, [], [raising(own)])) is own
    assert inner.open == 0


def test_what_a_function_on_the_request_raises_is_an_error_of_the_call() -> None:
    def broken(request: GenerateRequest) -> GenerateRequest:
        raise KeyError("tenant")

    inner = Closed()
    error = failed(processed(inner, [broken], []))

    assert isinstance(error, ConfigError) and "KeyError: 'tenant'" in error.message
    assert isinstance(error.__cause__, KeyError)
    assert not inner.requests


def test_a_secret_in_what_a_processor_raises_is_masked() -> None:
    error = failed(processed(played(*streamed(HELLO)), [], [raising(ValueError("sk-abcdefghijklmnop1234"))]))

    assert "sk-abc" not in f"{error} {error.__cause__!r} {error.__context__!r}"


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (lambda events: None, "give a list"),
        (lambda: object(), "no feed, no close"),
        (lambda: KeyError(), "no feed, no close"),
    ],
)
def test_a_processor_that_gives_back_something_else_is_named(factory: Any, words: str) -> None:
    error = failed(processed(played(*streamed(HELLO)), [], [factory]))

    assert isinstance(error, ConfigError) and words in error.message


def test_of_two_failures_the_calls_own_is_raised() -> None:
    error = failed(processed(played(*streamed(HELLO)[:2], OverloadedError("full")), [], [BreaksAtClose]))

    assert isinstance(error, OverloadedError)
    assert "raised ValueError: broken" in error.__notes__[0]


@pytest.mark.parametrize("count", [1, 2])
def test_leaving_early_closes_the_call(count: int) -> None:
    inner = Closed(*streamed(HELLO, 1))
    reader = reading(processed(inner, [warmer], [shout]))
    for _ in range(count):
        next(reader)
    reader.close()  # type: ignore[attr-defined]

    assert inner.open == 0


def test_an_empty_part_stays() -> None:
    lists: list[list[Event]] = [[StreamStart()], [PartStart(0, TextPart("")), PartEnd(0)], [StreamEnd()]]

    assert through(shout, lists).content == (TextPart(""),)
