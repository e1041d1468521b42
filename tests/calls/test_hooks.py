"""Callbacks: each is told of what happens in a call, once, in order, and harms nothing."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from polyvox.calls.facts import KINDS, RetryFact
from polyvox.calls.generate import Call, Events, call
from polyvox.calls.hooks import Callbacks, check_callbacks, hooked, joined
from polyvox.calls.retry import Retry, retry
from polyvox.errors import Cancelled, ConfigError, OverloadedError, PolyvoxError
from polyvox.io.base import Context, iterate
from polyvox.io.scripted import Answer, ScriptedIO
from polyvox.registry.config import Config, ProviderConfig
from polyvox.registry.target import Registry
from polyvox.types.events import (
    Event,
    PartEnd,
    PartStart,
    ReasoningDelta,
    StepEnd,
    StepStart,
    StreamEnd,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    ToolDone,
    UsageUpdate,
)
from polyvox.types.fold import unfold
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.messages import user
from polyvox.types.parts import ReasoningPart, TextPart, ToolCall, ToolResult
from polyvox.types.usage import Usage
from tests.loopback import chat_frames

REQUEST = GenerateRequest(model="m", messages=(user("hi"),))
NAMES = Callbacks.__struct_fields__
USAGE = Usage(input_tokens=3, output_tokens=4)
ANSWER: list[list[Event]] = [
    [StreamStart("id-1", "m", "p")],
    [PartStart(0, ReasoningPart()), ReasoningDelta(0, "hm"), PartEnd(0)],
    [PartStart(1, TextPart("")), TextDelta(1, "Hel"), TextDelta(1, "lo"), PartEnd(1)],
    [PartStart(2, ToolCall("c1", "add")), ToolCallDelta(2, '{"a":'), UsageUpdate(Usage(input_tokens=3))],
    [ToolCallDelta(2, "1}"), PartEnd(2, {"x": {"signature": "s"}})],
    [StreamEnd(Finish("tool_calls"), USAGE)],
]
CALL = ToolCall("c1", "add", '{"a":1}', meta={"x": {"signature": "s"}})
TOLD = [
    ("on_start", "id-1"),
    ("on_reasoning", "hm"),
    ("on_content", "Hel"),
    ("on_content", "lo"),
    ("on_usage", Usage(input_tokens=3)),
    ("on_tool_call", CALL),
    ("on_usage", USAGE),
    ("on_end", "Hello"),
]


class Inner:
    """A call that hands on lists, raises what stands among them, and knows whether it was closed."""

    def __init__(self, *steps: list[Event] | BaseException | Callable[[Context], Any]) -> None:
        self.steps = steps
        self.open = 0
        self.handed = 0

    async def __call__(self, context: Context, request: GenerateRequest) -> Events:
        self.open += 1
        try:
            for step in self.steps:
                context.cancel.check()
                if isinstance(step, BaseException):
                    raise step
                if callable(step):
                    waiting = step(context)
                    if waiting is not None:
                        await waiting
                    continue
                self.handed += 1
                context.first_event = context.io.now()
                yield list(step)
        finally:
            self.open -= 1


class Recorder:
    """Keeps what it was told."""

    def __init__(self, name: str = "", log: list[Any] | None = None) -> None:
        self.name = name
        self.told: list[Any] = [] if log is None else log
        self.errors: list[PolyvoxError] = []
        self.ends: list[GenerateResponse[Any]] = []

    def callbacks(self, *names: str) -> Callbacks:
        functions: dict[str, Any] = {name: functools.partial(self.tell, name) for name in names or NAMES}
        return Callbacks(**functions)

    def tell(self, callback: str, fact: Any, event: Event | None = None) -> None:
        if event is not None:
            assert isinstance(event, TextDelta | ReasoningDelta) and event.text == fact
        if isinstance(fact, PolyvoxError):
            self.errors.append(fact)
        if isinstance(fact, GenerateResponse):
            self.ends.append(fact)
        shown = {"on_start": lambda: fact.id, "on_end": lambda: fact.text, "on_error": lambda: type(fact)}
        said = (callback, shown.get(callback, lambda: fact)())
        self.told.append((self.name, *said) if self.name else said)


def run(inner: Call, context: Context | None = None) -> list[list[Event]]:
    return list(iterate(inner(context or Context(ScriptedIO()), REQUEST)))


def flat(lists: list[list[Event]]) -> list[Event]:
    return [event for events in lists for event in events]


def test_each_callback_is_told_in_the_order_of_the_answer() -> None:
    recorder, inner = Recorder(), Inner(*ANSWER)

    assert run(hooked(inner, recorder.callbacks())) == ANSWER
    assert recorder.told == TOLD
    assert recorder.ends[0].finish == Finish("tool_calls")
    assert recorder.ends[0].tool_calls == (CALL,)


def test_a_whole_answer_tells_the_same_in_one_go() -> None:
    recorder = Recorder()
    answer = GenerateResponse[Any](
        id="id-1",
        content=(ReasoningPart("hm"), TextPart("Hello"), CALL),
        finish=Finish("tool_calls"),
        usage=USAGE,
    )

    assert run(hooked(Inner(unfold(answer)), recorder.callbacks())) == [unfold(answer)]
    assert [name for name, _ in recorder.told] == [
        "on_start", "on_reasoning", "on_content", "on_tool_call", "on_usage", "on_end",
    ]  # fmt: skip
    assert recorder.ends == [answer]
    assert ("on_tool_call", CALL) in recorder.told


def test_a_callback_is_told_before_the_reader_gets_the_events() -> None:
    recorder = Recorder()
    reader = iterate(hooked(Inner(*ANSWER), recorder.callbacks("on_content"))(Context(ScriptedIO()), REQUEST))
    for _ in range(3):
        events = next(reader)

    assert isinstance(events[1], TextDelta)
    assert recorder.told == [("on_content", "Hel"), ("on_content", "lo")]
    reader.close()


@pytest.mark.parametrize("name", [name for name, _ in dict(TOLD).items()])
def test_a_callback_alone_is_told_the_same_as_beside_others(name: str) -> None:
    recorder = Recorder()
    run(hooked(Inner(*ANSWER), recorder.callbacks(name)))

    assert recorder.told == [told for told in TOLD if told[0] == name]


def test_the_words_of_a_refusal_are_no_content() -> None:
    recorder = Recorder()
    refused: list[Event] = [PartStart(0, TextPart("", refusal=True)), TextDelta(0, "I will not."), PartEnd(0)]
    run(hooked(Inner([StreamStart()], refused, [StreamEnd(Finish("content_filter"))]), recorder.callbacks()))

    assert [name for name, _ in recorder.told] == ["on_start", "on_end"]


def test_tool_results_are_told_whoever_ran_the_tool() -> None:
    recorder = Recorder()
    ours, theirs = ToolResult("c1", "add", (TextPart("2"),)), ToolResult("c2", "search")
    run(
        hooked(
            Inner(
                [StepStart(1), StreamStart("id-1"), PartStart(0, theirs), PartEnd(0), StreamEnd(Finish("tool_calls"))],
                [ToolDone(ours), StepEnd(1, GenerateResponse())],
                [StepStart(2), StreamStart("id-2"), PartStart(0, TextPart("")), TextDelta(0, "two"), PartEnd(0)],
                [StreamEnd(Finish("stop"))],
                [StepEnd(2, GenerateResponse())],
            ),
            recorder.callbacks(),
        )
    )

    assert recorder.told == [
        ("on_start", "id-1"),
        ("on_tool_result", theirs),
        ("on_tool_result", ours),
        ("on_content", "two"),
        ("on_end", "two"),
    ]


def test_the_clients_and_the_calls_callbacks_run_in_order() -> None:
    log: list[Any] = []
    client, own = Recorder("client", log), Recorder("call", log)
    several = joined(client.callbacks("on_content", "on_end"), None, [own.callbacks("on_content")])
    run(hooked(Inner(*ANSWER), several))

    assert log == [
        ("client", "on_content", "Hel"),
        ("call", "on_content", "Hel"),
        ("client", "on_content", "lo"),
        ("call", "on_content", "lo"),
        ("client", "on_end", "Hello"),
    ]


def test_callbacks_that_say_nothing_leave_the_call_as_it_is() -> None:
    inner = Inner()

    assert hooked(inner, Callbacks()) is inner
    assert hooked(inner, []) is inner


# --- the end of a call --------------------------------------------------------------------------------------------


def test_an_error_is_told_with_what_had_arrived_and_no_end_after_it() -> None:
    recorder, inner = Recorder(), Inner(*ANSWER[:3], OverloadedError("full"))
    with pytest.raises(OverloadedError) as caught:
        run(hooked(inner, recorder.callbacks()))

    assert recorder.errors == [caught.value]
    assert recorder.errors[0].retryable
    assert recorder.errors[0].partial is not None and recorder.errors[0].partial.text == "Hello"
    assert "on_end" not in dict(recorder.told)
    assert inner.open == 0


def test_an_abort_is_told_as_cancelled() -> None:
    recorder = Recorder()
    inner = Inner(ANSWER[0], lambda context: context.cancel.set(), ANSWER[1])
    with pytest.raises(Cancelled):
        run(hooked(inner, recorder.callbacks()))

    assert recorder.told == [("on_start", "id-1"), ("on_error", Cancelled)]


def test_a_callback_may_abort_the_call() -> None:
    context = Context(ScriptedIO())
    recorder, inner = Recorder(), Inner(*ANSWER)
    abort = Callbacks(on_content=lambda text, event: context.cancel.set())
    with pytest.raises(Cancelled):
        run(hooked(inner, [abort, recorder.callbacks("on_error", "on_end")]), context)

    assert recorder.told == [("on_error", Cancelled)]
    assert inner.open == 0


@pytest.mark.parametrize("lists", [0, 1, 4])
def test_leaving_early_is_told_once_and_closes_the_call(lists: int) -> None:
    recorder, inner = Recorder(), Inner(*ANSWER)
    reader = iterate(hooked(inner, recorder.callbacks("on_error", "on_end"))(Context(ScriptedIO()), REQUEST))
    for _ in range(lists):
        next(reader)
    reader.close()

    assert recorder.told == ([("on_error", Cancelled)] if lists else [])
    assert inner.open == 0


def test_a_reader_that_stops_at_the_last_event_has_seen_the_end() -> None:
    recorder, inner = Recorder(), Inner(*ANSWER)
    reader = iterate(hooked(inner, recorder.callbacks("on_error", "on_end"))(Context(ScriptedIO()), REQUEST))
    while not isinstance(next(reader)[-1], StreamEnd):
        pass
    reader.close()

    assert recorder.told == [("on_end", "Hello")]
    assert inner.open == 0


def test_a_failure_that_is_none_of_ours_is_told_in_our_words_and_raised_as_itself() -> None:
    recorder = Recorder()
    with pytest.raises(ZeroDivisionError):
        run(hooked(Inner(ANSWER[0], ZeroDivisionError("sk-abcdefghijklmnop1234")), recorder.callbacks()))

    assert recorder.errors[0].message == "ZeroDivisionError: ***"


# --- what a callback raises ---------------------------------------------------------------------------------------


def fail(*facts: Any) -> None:
    raise ValueError("broken with sk-abcdefghijklmnop1234")


@pytest.mark.parametrize("name", sorted(dict(TOLD)))
def test_what_a_callback_raises_is_reported_and_kills_nothing(name: str, caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder()
    functions: dict[str, Any] = {name: fail}
    with caplog.at_level(logging.WARNING, "polyvox.hooks"):
        assert run(hooked(Inner(*ANSWER), [Callbacks(**functions), recorder.callbacks()])) == ANSWER

    assert recorder.told == TOLD
    assert {record.name for record in caplog.records} == {"polyvox.hooks"}
    assert {record.getMessage() for record in caplog.records} == {
        f"the callback {name} raised ValueError: broken with ***"
    }
    assert len(caplog.records) == sum(told[0] == name for told in TOLD)


@pytest.mark.parametrize("name", sorted(dict(TOLD)))
def test_asked_for_it_is_raised_as_itself_once_the_call_is_closed(name: str) -> None:
    recorder, inner = Recorder(), Inner(*ANSWER)
    functions: dict[str, Any] = {name: fail}
    with pytest.raises(ValueError, match="broken"):
        run(hooked(inner, [recorder.callbacks("on_error"), Callbacks(**functions)], raise_errors=True))

    assert inner.open == 0
    assert len(recorder.errors) == (name != "on_end")


def test_what_on_error_raises_comes_from_the_error() -> None:
    with pytest.raises(ValueError, match="broken") as caught:
        run(hooked(Inner(OverloadedError("full")), Callbacks(on_error=fail), raise_errors=True))

    assert isinstance(caught.value.__cause__, OverloadedError)


def test_what_on_error_raises_does_not_hide_the_error(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(OverloadedError):
        run(hooked(Inner(OverloadedError("full")), Callbacks(on_error=fail)))

    assert "on_error raised ValueError" in caplog.text


def test_an_error_of_ours_that_a_callback_raises_is_taken_for_no_failure_of_the_call() -> None:
    """A retry below must not repeat a call because a callback was unhappy."""
    inner = Inner(OverloadedError("full"))

    def stop(fact: Any) -> None:
        raise OverloadedError("my own")

    with pytest.raises(OverloadedError, match="my own"):
        run(hooked(retry(inner, Retry(initial=0)), Callbacks(on_retry=stop), raise_errors=True))


# --- facts of the layers below ------------------------------------------------------------------------------------


def test_on_retry_gets_the_facts_of_the_layers_below() -> None:
    recorder, context = Recorder(), Context(ScriptedIO())
    flaky = iter([OverloadedError("full", retry_after=2), None])

    def maybe(context: Context) -> None:
        if (error := next(flaky)) is not None:
            raise error

    calls = retry(Inner(maybe, *ANSWER), Retry(max_attempts=2))

    assert flat(run(hooked(calls, recorder.callbacks()), context)) == flat(ANSWER)
    (kind, fact), *rest = recorder.told
    assert kind == "on_retry"
    assert isinstance(fact, RetryFact)
    assert (fact.attempt, fact.delay, type(fact.error)) == (1, 2, OverloadedError)
    assert rest == TOLD
    assert context.notify is None


def test_nobody_listens_where_no_one_asked() -> None:
    seen: list[Any] = []
    inner = Inner(lambda context: seen.append(context.notify), *ANSWER)
    run(hooked(inner, Callbacks(on_content=lambda text, event: None)))

    assert seen == [None]


def test_a_channel_that_was_there_before_is_told_too() -> None:
    heard: list[str] = []

    async def outer(kind: str, fact: Any) -> None:
        heard.append(kind)

    context = Context(ScriptedIO(), notify=outer)
    recorder = Recorder()
    inner = Inner(lambda context: context.notify("cache", KINDS["cache"]("hit")), *ANSWER)
    run(hooked(inner, recorder.callbacks("on_retry")), context)

    assert heard == ["cache"]
    assert recorder.told == [("on_retry", KINDS["cache"]("hit"))]
    assert context.notify is outer


# --- async callbacks ----------------------------------------------------------------------------------------------


async def arun(inner: Call, context: Context) -> list[list[Event]]:
    async with aclosing(inner(context, REQUEST)) as lists:
        return [events async for events in lists]


def asynchronous(recorder: Recorder) -> Callbacks:
    def make(name: str) -> Callable[..., Awaitable[None]]:
        async def tell(fact: Any, event: Event | None = None) -> None:
            await asyncio.sleep(0)
            recorder.tell(name, fact, event)

        return tell

    functions: dict[str, Any] = {name: make(name) for name in NAMES}
    return Callbacks(**functions)


def test_async_callbacks_are_awaited_in_order() -> None:
    recorder = Recorder()

    assert asyncio.run(arun(hooked(Inner(*ANSWER), asynchronous(recorder)), Context(ScriptedIO()))) == ANSWER
    assert recorder.told == TOLD


def test_what_an_async_callback_raises_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(*facts: Any) -> None:
        await asyncio.sleep(0)
        raise ValueError("broken")

    callbacks = Callbacks(on_content=broken, on_end=broken)

    assert asyncio.run(arun(hooked(Inner(*ANSWER), callbacks), Context(ScriptedIO()))) == ANSWER
    assert [record.getMessage() for record in caplog.records] == [
        *["the callback on_content raised ValueError: broken"] * 2,
        "the callback on_end raised ValueError: broken",
    ]


def test_a_cancelled_task_tells_the_error_and_stays_cancelled() -> None:
    recorder = Recorder()
    inner = Inner(ANSWER[0], lambda context: asyncio.sleep(60), ANSWER[1])

    async def main() -> None:
        task = asyncio.create_task(arun(hooked(inner, asynchronous(recorder)), Context(ScriptedIO())))
        while not recorder.told:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    assert recorder.told == [("on_start", "id-1"), ("on_error", Cancelled)]
    assert inner.open == 0


class Called:
    async def __call__(self, fact: Any) -> None:
        """An object that is called as a coroutine."""


async def coroutine(*facts: Any) -> None:
    """An async callback."""


@pytest.mark.parametrize("callback", [coroutine, functools.partial(coroutine, 1), Called()])
@pytest.mark.parametrize("name", NAMES)
def test_a_plain_client_refuses_async_callbacks_at_once(name: str, callback: Any) -> None:
    functions: dict[str, Any] = {name: callback}
    with pytest.raises(ConfigError, match=rf"{name}.*AsyncClient"):
        check_callbacks([Callbacks(), Callbacks(**functions)], asynchronous=False)
    check_callbacks(Callbacks(**functions), asynchronous=True)


@pytest.mark.parametrize("given", ["print", [print], Callbacks(on_end="print")])  # type: ignore[arg-type]
def test_what_is_no_callback_is_refused_at_once(given: Any) -> None:
    with pytest.raises(ConfigError, match="give a"):
        check_callbacks(given, asynchronous=True)


# --- over the real call -------------------------------------------------------------------------------------------


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    config = Config(providers={"openai": ProviderConfig(api_key="sk-test", base_url="http://127.0.0.1:9/v1")})
    yield Registry(config).resolve("openai/gpt-5.5", dialect="openai")


def test_on_end_gets_the_stamped_answer_with_its_attempts_told_in_full(target: Any) -> None:
    recorder = Recorder()
    body = b"".join(chat_frames(["Hel", "lo"]))
    io = ScriptedIO([Answer(headers={"content-type": "text/event-stream"}, body=[body])])
    run(hooked(call(target, stream=True), recorder.callbacks()), Context(io))
    answer = recorder.ends[0]

    assert (answer.text, answer.origin, answer.provider) == ("Hello", "openai/gpt-5.5", "openai")
    assert [attempt.seconds for attempt in answer.attempts] == [0]
    assert io.open_count == 0
