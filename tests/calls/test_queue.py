"""Many streams read as one: in order or side by side, fed while read, aborted together, nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import pytest

from polyvox.calls.generate import Events
from polyvox.calls.queue import QueuedCall, QueueEvent, QueueMachine
from polyvox.client.queue import AsyncStreamQueue, StreamQueue
from polyvox.errors import Cancelled, ConfigError, OverloadedError, ServerError
from polyvox.io.aio import AsyncIO
from polyvox.io.base import Cancel, Context, iterate
from polyvox.io.blocking import BlockingIO
from polyvox.io.scripted import Pause, ScriptedIO
from polyvox.testing.streams import scripted_async_stream, scripted_stream
from polyvox.types.events import Event, PartEnd, PartStart, StreamEnd, StreamStart, TextDelta
from polyvox.types.generate import Finish, GenerateRequest
from polyvox.types.parts import TextPart


class Sync:
    """`StreamQueue`, read in plain code."""

    name = "sync"
    queue = StreamQueue
    io = BlockingIO

    def stream(self, script: Any = (), **settings: Any) -> Any:
        return scripted_stream(script, **settings)

    def run(self, body: Callable[[], Any]) -> Any:
        return body()

    def read(self, queue: Any, each: Callable[[QueueEvent], Any] | None = None) -> list[QueueEvent]:
        items = []
        for item in queue:
            items.append(item)
            if each is not None and each(item) == "break":
                break
        return items

    def close(self, queue: Any) -> None:
        queue.close()


class Async:
    """`AsyncStreamQueue`, read on a loop of its own."""

    name = "async"
    queue = AsyncStreamQueue
    io = AsyncIO

    def stream(self, script: Any = (), **settings: Any) -> Any:
        return scripted_async_stream(script, **settings)

    def run(self, body: Callable[[], Any]) -> Any:
        return body()

    def read(self, queue: Any, each: Callable[[QueueEvent], Any] | None = None) -> list[QueueEvent]:
        return asyncio.run(self._read(queue, each))

    async def _read(self, queue: Any, each: Callable[[QueueEvent], Any] | None) -> list[QueueEvent]:
        items = []
        async for item in queue:
            items.append(item)
            if each is not None and each(item) == "break":
                break
            await asyncio.sleep(0)
        for _ in range(5):  # what was left is closed by the loop, in a task of its own
            await asyncio.sleep(0.005)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return items

    def close(self, queue: Any) -> None:
        asyncio.run(queue.close())


@pytest.fixture(params=[Sync(), Async()], ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = threading.enumerate()
    yield
    assert [thread.name for thread in threading.enumerate() if thread not in before] == []


both = pytest.mark.parametrize("concurrency", [1, 3])


def texts(items: list[QueueEvent]) -> list[tuple[Hashable, str]]:
    return [(item.key, item.event.text) for item in items if isinstance(item.event, TextDelta)]


def is_closed(stream: Any) -> bool:
    """Whether its call is over, or was never begun and never will be."""
    return all(attempt.seconds is not None for attempt in stream.response.attempts) and (
        bool(stream.response.attempts) or stream.cancel.is_set
    )


# --- order --------------------------------------------------------------------------------------------------------


def test_streams_are_read_one_after_another_in_the_order_they_were_added(kind: Any) -> None:
    queue = kind.queue()
    for name in ("a", "b", "c"):
        queue.add(kind.stream(f"{name}1 {name}2"), key=name)
    queue.end()
    items = kind.read(queue)

    assert texts(items) == [("a", "a1"), ("a", " a2"), ("b", "b1"), ("b", " b2"), ("c", "c1"), ("c", " c2")]
    assert [item.key for item in items if isinstance(item.event, StreamEnd)] == ["a", "b", "c"]
    assert {key: answer.text for key, answer in queue.responses.items()} == {"a": "a1 a2", "b": "b1 b2", "c": "c1 c2"}
    assert queue.errors == {}


def test_one_after_another_the_next_begins_when_the_last_has_ended(kind: Any) -> None:
    queue, begun = kind.queue(), []
    streams = [kind.stream([lambda name=name: begun.append(name), "x", "y"]) for name in "ab"]
    for stream in streams:
        queue.add(stream)
    queue.end()
    kind.read(queue, lambda item: "break" if item.key == 0 else None)

    assert begun == ["a"]


def test_side_by_side_all_contents_are_right_and_each_in_order(kind: Any) -> None:
    queue, io = kind.queue(concurrency=8, buffer=16), kind.io()
    for number in range(40):
        queue.add(kind.stream([f"{number}:", Pause(0.001), *[f" {word}" for word in range(20)]], io=io), key=number)
    queue.end()
    items = kind.read(queue)

    for number in range(40):
        answer = f"{number}:" + "".join(f" {word}" for word in range(20))
        assert "".join(text for key, text in texts(items) if key == number) == answer
        assert queue.responses[number].text == answer
    assert texts(items) != sorted(texts(items), key=lambda text: text[0])  # type: ignore[arg-type, return-value]


def test_so_many_run_at_once_and_no_more(kind: Any) -> None:
    queue, io, running, most = kind.queue(concurrency=3), kind.io(), [0], [0]
    lock = threading.Lock()

    def change(by: int) -> Callable[[], None]:
        def step() -> None:
            with lock:
                running[0] += by
                most[0] = max(most[0], running[0])

        return step

    for _ in range(12):
        queue.add(kind.stream([change(1), "x", Pause(0.01), "y", change(-1)], io=io))
    queue.end()
    kind.read(queue)

    assert most == [3]


@both
def test_an_empty_queue_ends_at_once(kind: Any, concurrency: int) -> None:
    queue = kind.queue(concurrency=concurrency)
    queue.end()

    assert kind.read(queue) == []


# --- fed while it is read -----------------------------------------------------------------------------------------


@both
def test_it_is_fed_by_its_own_reader(kind: Any, concurrency: int) -> None:
    """A loop of steps: each answer leads to the next."""
    queue = kind.queue(concurrency=concurrency)
    queue.add(kind.stream("one"))

    def follow(item: QueueEvent) -> None:
        if isinstance(item.event, StreamEnd):
            if item.key == 2:
                queue.end()
            else:
                queue.add(kind.stream("more"))

    assert texts(kind.read(queue, follow)) == [(0, "one"), (1, "more"), (2, "more")]


@both
def test_a_reader_that_waits_is_woken_from_another_thread(kind: Any, concurrency: int) -> None:
    queue, io = kind.queue(concurrency=concurrency), kind.io()
    added: list[float] = []

    def feed() -> None:
        for number in range(3):
            time.sleep(0.03)
            added.append(time.monotonic())
            queue.add(kind.stream(f"{number}", io=io))
        queue.end()

    feeder = threading.Thread(target=feed)
    feeder.start()
    seen: list[float] = []
    items = kind.read(queue, lambda item: seen.append(time.monotonic()) if isinstance(item.event, TextDelta) else None)
    feeder.join()

    assert texts(items) == [(0, "0"), (1, "1"), (2, "2")]
    assert all(late - early < 2 for early, late in zip(added, seen, strict=True))


def test_a_waiting_reader_looks_at_nothing_until_it_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """No polling: the queue is looked at as often as something happens."""
    looks: list[float] = []
    wait = QueueMachine._wait

    async def counted(self: QueueMachine) -> None:
        looks.append(time.monotonic())
        await wait(self)

    monkeypatch.setattr(QueueMachine, "_wait", counted)
    queue = StreamQueue()
    timer = threading.Timer(0.1, queue.end)
    timer.start()

    assert Sync().read(queue) == []
    assert len(looks) == 1
    timer.join()


# --- back-pressure ------------------------------------------------------------------------------------------------


def test_a_slow_reader_stops_the_streams(kind: Any) -> None:
    queue, handed = kind.queue(concurrency=2, buffer=10), [0]

    def count() -> None:
        handed[0] += 1

    steps = [step for _ in range(200) for step in (count, "x")]
    for _ in range(2):
        queue.add(kind.stream(steps))
    queue.end()
    furthest: list[int] = []

    def dawdle(item: QueueEvent) -> Any:
        if isinstance(item.event, TextDelta):
            time.sleep(0.002)
            furthest.append(handed[0] - len(furthest))
        return "break" if len(furthest) == 60 else None

    kind.read(queue, dawdle)

    # What waits, a list in the hand of each stream, and what the reader holds.
    assert max(furthest) <= 10 + 2 * 2 + 2


def test_a_reader_that_comes_late_finds_the_streams_waiting_and_loses_nothing(kind: Any) -> None:
    queue = kind.queue(concurrency=2, buffer=1)
    for name in "ab":
        queue.add(kind.stream(["x"] * 50), key=name)
    queue.end()
    items = kind.read(queue)

    assert {key: len([None for k, _ in texts(items) if k == key]) for key in "ab"} == {"a": 50, "b": 50}


# --- abort --------------------------------------------------------------------------------------------------------


@both
def test_one_call_aborts_all_running_and_waiting(kind: Any, concurrency: int) -> None:
    queue, io = kind.queue(concurrency=concurrency), kind.io()
    streams = [kind.stream(["x", Pause(30), "y"], io=io) for _ in range(6)]
    for stream in streams:
        queue.add(stream)
    queue.end()
    timer = threading.Timer(0.05, queue.abort)
    timer.start()
    started = time.monotonic()
    with pytest.raises(Cancelled, match="aborted"):
        kind.read(queue)
    timer.join()

    assert time.monotonic() - started < 5
    assert all(is_closed(stream) for stream in streams)
    assert {key: answer.text for key, answer in queue.responses.items()} == dict.fromkeys(range(concurrency), "x")
    assert queue.errors == {}


@both
def test_a_reader_that_waits_for_more_is_woken_by_the_abort(kind: Any, concurrency: int) -> None:
    queue = kind.queue(concurrency=concurrency)
    timer = threading.Timer(0.03, queue.abort)
    timer.start()
    with pytest.raises(Cancelled):
        kind.read(queue)
    timer.join()


@both
def test_it_is_aborted_with_the_handle_of_other_calls(kind: Any, concurrency: int) -> None:
    queue, cancel = kind.queue(concurrency=concurrency), Cancel()
    cancel.add(queue.abort)
    queue.add(stream := kind.stream(["x", "y"]))
    with pytest.raises(Cancelled):
        kind.read(queue, lambda item: cancel.set())

    assert is_closed(stream)


@both
def test_one_stream_may_be_aborted_alone(kind: Any, concurrency: int) -> None:
    queue, io = kind.queue(concurrency=concurrency, on_error="skip"), kind.io()
    alone = kind.stream(["x", Pause(30), "y"], io=io)
    queue.add(alone, key="alone")
    queue.add(kind.stream("other"), key="other")
    queue.end()
    timer = threading.Timer(0.03, alone.cancel.set)
    timer.start()
    items = kind.read(queue)
    timer.join()

    assert sorted(texts(items)) == [("alone", "x"), ("other", "other")]
    assert isinstance(queue.errors["alone"], Cancelled)


# --- errors -------------------------------------------------------------------------------------------------------


@both
def test_stop_raises_the_first_error_after_what_came_before_it(kind: Any, concurrency: int) -> None:
    queue, io = kind.queue(concurrency=concurrency), kind.io()
    streams = [
        kind.stream(["x", "y", OverloadedError("full")]),
        kind.stream([Pause(30), "never"], io=io),
        kind.stream("never"),
        kind.stream([Pause(30), "never"], io=io),
    ]
    for stream in streams:
        queue.add(stream)
    queue.end()
    items: list[QueueEvent] = []
    with pytest.raises(OverloadedError) as caught:
        kind.read(queue, items.append)

    assert [text for key, text in texts(items) if key == 0] == ["x", "y"]
    assert queue.errors == {0: caught.value}
    assert caught.value.partial is not None and caught.value.partial.text == "xy"
    assert queue.responses[0].text == "xy"
    assert all(is_closed(stream) for stream in streams)


@both
def test_skip_goes_on_without_that_stream(kind: Any, concurrency: int) -> None:
    queue = kind.queue(concurrency=concurrency, on_error="skip")
    for script in ("a", ["b", OverloadedError("full")], "c", [ServerError("broken")], "d"):
        queue.add(kind.stream(script))
    queue.end()
    items = kind.read(queue)

    assert sorted(texts(items)) == [(0, "a"), (1, "b"), (2, "c"), (4, "d")]
    assert {key: type(error) for key, error in queue.errors.items()} == {1: OverloadedError, 3: ServerError}


@both
def test_collect_goes_on_and_raises_all_at_the_end(kind: Any, concurrency: int) -> None:
    queue = kind.queue(concurrency=concurrency, on_error="collect")
    for script in ("a", ["b", OverloadedError("full")], [ServerError("broken")], "d"):
        queue.add(kind.stream(script))
    queue.end()
    items: list[QueueEvent] = []
    with pytest.raises(ExceptionGroup, match="2 of the 4 streams") as caught:
        kind.read(queue, items.append)

    assert sorted(texts(items)) == [(0, "a"), (1, "b"), (3, "d")]
    assert {type(error) for error in caught.value.exceptions} == {OverloadedError, ServerError}


@both
def test_an_exception_of_the_callers_own_is_handled_alike(kind: Any, concurrency: int) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    queue = kind.queue(concurrency=concurrency)
    queue.add(kind.stream(["x", broken]))
    queue.end()
    with pytest.raises(ZeroDivisionError):
        kind.read(queue)


@both
def test_a_stream_that_was_read_already_is_an_error_of_that_stream(kind: Any, concurrency: int) -> None:
    queue = kind.queue(concurrency=concurrency, on_error="skip")
    stream = kind.stream("x")
    stream._started = True
    queue.add(stream)
    queue.add(kind.stream("y"))
    queue.end()

    assert texts(kind.read(queue)) == [(1, "y")]
    assert "read or closed already" in str(queue.errors[0])


# --- leaving ------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("after", [1, 7, 20])
def test_leaving_the_loop_closes_every_stream(kind: Any, concurrency: int, after: int) -> None:
    queue, io = kind.queue(concurrency=concurrency), kind.io()
    streams = [kind.stream([*"abcdefgh", Pause(30)], io=io) for _ in range(6)]
    for stream in streams:
        queue.add(stream)
    count = iter(range(1, after + 1))
    if concurrency == 1:
        after = min(after, 10)
        count = iter(range(1, after + 1))
    kind.read(queue, lambda item: "break" if next(count) == after else None)
    gc.collect()

    assert all(is_closed(stream) for stream in streams)
    with pytest.raises(Cancelled, match="over"):
        queue.add(late := kind.stream("late"))
    assert late.cancel.is_set
    with pytest.raises(Cancelled, match="read or closed"):
        kind.read(queue)


@both
def test_leaving_the_with_closes_every_stream(concurrency: int) -> None:
    io = BlockingIO()
    streams = [scripted_stream(["x", Pause(30)], io=io) for _ in range(4)]
    with StreamQueue(concurrency=concurrency) as queue:
        for stream in streams:
            queue.add(stream)
        reader = iter(queue)
        next(reader)

    assert all(is_closed(stream) for stream in streams)
    with pytest.raises(StopIteration):
        next(reader)


@both
def test_leaving_the_async_with_closes_every_stream(concurrency: int) -> None:
    async def main() -> None:
        io = AsyncIO()
        streams = [scripted_async_stream(["x", Pause(30)], io=io) for _ in range(4)]
        async with AsyncStreamQueue(concurrency=concurrency) as queue:
            for stream in streams:
                queue.add(stream)
            reader = queue.__aiter__()
            await reader.__anext__()

        assert all(is_closed(stream) for stream in streams)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        with pytest.raises(StopAsyncIteration):
            await reader.__anext__()

    asyncio.run(main())


@both
def test_a_dropped_reader_closes_every_stream(concurrency: int) -> None:
    io = BlockingIO()
    streams = [scripted_stream(["x", Pause(30)], io=io) for _ in range(4)]
    queue = StreamQueue(concurrency=concurrency)
    for stream in streams:
        queue.add(stream)
    reader = iter(queue)
    next(reader)
    del reader, queue

    assert all(is_closed(stream) for stream in streams)


@both
def test_closing_from_another_thread_wakes_the_reader(concurrency: int) -> None:
    queue = StreamQueue(concurrency=concurrency)
    queue.add(scripted_stream(["x", Pause(30)], io=BlockingIO()))
    timer = threading.Timer(0.05, queue.close)
    timer.start()
    with pytest.raises(Cancelled):
        Sync().read(queue)
    timer.join()


@both
def test_a_cancelled_task_closes_every_stream_and_leaves_no_task(concurrency: int) -> None:
    async def main() -> None:
        io, queue = AsyncIO(), AsyncStreamQueue(concurrency=concurrency)
        streams = [scripted_async_stream(["x", lambda: asyncio.sleep(30)], io=io) for _ in range(4)]
        for stream in streams:
            queue.add(stream)
        seen: list[QueueEvent] = []

        async def read() -> None:
            async for item in queue:
                seen.append(item)

        task = asyncio.create_task(read())
        while len(texts(seen)) < concurrency:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert all(is_closed(stream) for stream in streams)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_a_queue_that_is_never_read_runs_nothing(kind: Any) -> None:
    queue, ran = kind.queue(concurrency=3), []
    queue.add(stream := kind.stream([lambda: ran.append(1)]))
    kind.close(queue)

    assert not ran
    assert stream.cancel.is_set


# --- keys and settings --------------------------------------------------------------------------------------------


def test_keys_are_numbers_unless_given(kind: Any) -> None:
    queue = kind.queue()

    assert [queue.add(kind.stream("x")), queue.add(kind.stream("x"), key=("a", 1)), queue.add(kind.stream("x"))] == [
        0,
        ("a", 1),
        2,
    ]
    with pytest.raises(ConfigError, match="in use"):
        queue.add(kind.stream("x"), key=0)
    queue.end()
    with pytest.raises(ConfigError, match="end"):
        queue.add(kind.stream("x"))
    kind.read(queue)


def test_a_queue_that_never_ends_need_not_keep_the_answers(kind: Any) -> None:
    queue = kind.queue(keep_responses=False)
    queue.add(kind.stream("x"), key="a")

    def again(item: QueueEvent) -> None:
        if isinstance(item.event, StreamEnd):
            queue.end()

    kind.read(queue, again)

    assert queue.responses == {}


@pytest.mark.parametrize(
    "settings",
    [{"concurrency": 0}, {"concurrency": True}, {"buffer": 0}, {"buffer": 1.5}, {"on_error": "ignore"}],
)
def test_settings_that_make_no_sense_are_refused(kind: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        kind.queue(**settings)


def test_each_queue_takes_the_streams_of_its_own_client() -> None:
    with pytest.raises(ConfigError, match="AsyncStream"):
        StreamQueue().add(scripted_async_stream("x"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="AsyncClient"):
        AsyncStreamQueue().add(scripted_stream("x"))  # type: ignore[arg-type]


# --- the machine over a bare call ---------------------------------------------------------------------------------

HELLO: list[list[Event]] = [
    [StreamStart("id-1")],
    [PartStart(0, TextPart("")), TextDelta(0, "Hello"), PartEnd(0)],
    [StreamEnd(Finish("stop"))],
]


def test_the_machine_reads_calls_in_lists_over_any_seam() -> None:
    io, closed = ScriptedIO(), []

    async def call(context: Context, request: GenerateRequest) -> Events:
        try:
            for events in HELLO:
                yield events
        finally:
            closed.append(request.model)

    machine = QueueMachine(io.event)
    for name in ("a", "b"):
        machine.add(QueuedCall(call, Context(io), GenerateRequest(model=name, messages=())), name)
    machine.end()

    assert list(iterate(machine.lists())) == [(name, events) for name in "ab" for events in HELLO]
    assert closed == ["a", "b"]
    assert machine.responses["b"].text == "Hello"
    with pytest.raises(ConfigError, match="beside"):
        QueueMachine(io.event, concurrency=2)
