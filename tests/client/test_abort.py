"""`cancel.set()` from another thread ends a call wherever it waits, and what had arrived stays: on both clients."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.callers import in_background
from tests.calls.wires import ask
from tests.loopback import Exchange, LoopbackServer, chat_chunk, error, sse_chat
from tests.loopback_server import ClientLeft

from polyvox import (
    AsyncStreamQueue,
    Cache,
    Callbacks,
    CallConfig,
    Cancel,
    Cancelled,
    Hedge,
    MemoryStore,
    RateLimit,
    Retry,
    StreamQueue,
)

AT_ONCE = 2.0  # seconds: generous for a busy machine; what is waited for is far longer
each_kind = pytest.mark.parametrize("kind", ["generate", "stream"])
FIRST = chat_chunk({"role": "assistant", "content": "Hel"})


class Stalling:
    """A server's script: each request is held, and counted when its client has left."""

    def __init__(self, *pieces: bytes, refuse: int = 0) -> None:
        self.pieces = pieces
        self.refuse = refuse  # so many requests first are answered "overloaded", to wait half a minute
        self.count = self.left = 0
        self.changed = threading.Condition()

    def __call__(self, exchange: Exchange) -> None:
        with self.changed:
            self.count += 1
            refused = self.count <= self.refuse
            self.changed.notify_all()
        if refused:
            error(503, {"message": "full"}, {"retry-after": "30"})(exchange)
            return
        try:
            if self.pieces:
                exchange.send_head(200, {"Content-Type": "text/event-stream"}, chunked=True)
                for piece in self.pieces:
                    exchange.send_chunk(piece)
            has_left = exchange.client_gone(10)
        except ClientLeft:
            has_left = True  # before it was answered
        if has_left:
            with self.changed:
                self.left += 1
                self.changed.notify_all()

    def wait(self, *, count: int = 0, left: int = 0) -> bool:
        """Wait for so many requests, and so many clients that left."""
        with self.changed:
            return self.changed.wait_for(lambda: self.count >= count and self.left >= left, AT_ONCE)


def lab(server: LoopbackServer, **words: Any) -> dict[str, Any]:
    return {"providers": {"lab": {"base_url": server.url, **words}}}


def aborted(join: Callable[..., Any], cancel: Cancel) -> Cancelled:
    """Abort, and return the error of the call, which must end at once."""
    cancel.set()
    with pytest.raises(Cancelled) as caught:
        join(AT_ONCE)
    return caught.value


def all_at_once(caller: Any, calls: list[dict[str, Any]]) -> list[Any]:
    """Make these calls at the same time, in threads or tasks; return the answers, or what was raised."""
    if caller.kind == "async":

        async def gather() -> list[Any]:
            asked = (caller.client.generate("lab/m", "Hi", **settings) for settings in calls)
            return await asyncio.gather(*asked, return_exceptions=True)

        return caller.runner.run(gather())

    def one(settings: dict[str, Any]) -> Any:
        try:
            return caller.client.generate("lab/m", "Hi", **settings)
        except Exception as failure:
            return failure

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(one, calls))


# --- where a call waits -------------------------------------------------------------------------------------------


@each_kind
def test_in_the_pause_before_a_retry(make_caller: Any, kind: str) -> None:
    script, cancel, pausing = Stalling(refuse=1), Cancel(), threading.Event()
    config = CallConfig(retry=Retry(max_attempts=3), callbacks=Callbacks(on_retry=lambda fact: pausing.set()))
    with LoopbackServer(script) as server:
        caller = make_caller(**lab(server), call_config=config)
        join = in_background(lambda: ask(caller, kind, "lab/m", "Hi", cancel=cancel))
        assert pausing.wait(AT_ONCE)
        time.sleep(0.05)
        failure = aborted(join, cancel)

    assert script.count == 1
    assert [attempt.error for attempt in failure.attempts] == ["OverloadedError"]


@each_kind
def test_in_a_fallback(make_caller: Any, kind: str) -> None:
    script, cancel = Stalling(refuse=1), Cancel()
    with LoopbackServer(script) as server:
        caller = make_caller(**lab(server), call_config=CallConfig(retry=False, fallback=["lab/other"]))
        join = in_background(lambda: ask(caller, kind, "lab/m", "Hi", cancel=cancel))
        assert script.wait(count=2)
        failure = aborted(join, cancel)
        assert script.wait(left=1)

    assert [attempt.model for attempt in failure.attempts] == ["m", "other"]


@each_kind
def test_in_a_hedge_both_requests_are_closed(make_caller: Any, kind: str) -> None:
    script, cancel = Stalling(), Cancel()
    with LoopbackServer(script) as server:
        caller = make_caller(**lab(server), call_config=CallConfig(retry=False, hedge=Hedge(delay=0.05)))
        join = in_background(lambda: ask(caller, kind, "lab/m", "Hi", cancel=cancel))
        assert script.wait(count=2)
        aborted(join, cancel)
        assert script.wait(left=2)

    assert script.count == 2


@each_kind
def test_in_the_wait_for_a_limit(make_caller: Any, kind: str) -> None:
    script, cancel = Stalling(refuse=1), Cancel()
    with LoopbackServer(script) as server:
        limits = RateLimit(requests_per_minute=1)
        caller = make_caller(**lab(server, limits=limits), call_config=CallConfig(retry=Retry(max_attempts=1)))
        with pytest.raises(Exception, match="full"):
            ask(caller, kind, "lab/m", "Hi")
        join = in_background(lambda: ask(caller, kind, "lab/m", "Hi", cancel=cancel))
        time.sleep(0.1)
        failure = aborted(join, cancel)

    assert script.count == 1
    assert failure.attempts == ()


def test_in_the_wait_for_a_place(make_caller: Any) -> None:
    """One call holds the only place, one waits for it."""
    script, waiting, cancel = Stalling(), Cancel(), Cancel()
    with LoopbackServer(script) as server:
        caller = make_caller(**lab(server, limits=RateLimit(concurrency=1)), call_config=CallConfig(retry=False))
        join = in_background(lambda: all_at_once(caller, [{"cancel": cancel}, {"cancel": waiting}]))
        assert script.wait(count=1)
        time.sleep(0.05)
        assert script.count == 1
        waiting.set()
        cancel.set()
        outcomes = join(AT_ONCE)

    assert [type(outcome) for outcome in outcomes] == [Cancelled, Cancelled]
    # Which of the two held the place is the machine's to say: both are ended, and the other has sent nothing.
    assert sorted(len(outcome.attempts) for outcome in outcomes) == [0, 1]
    assert script.count == 1


def test_in_the_wait_for_the_same_answer(make_caller: Any) -> None:
    """Two identical calls share one request by the cache; the one that waits for the other can be aborted alone."""
    script, first, second = Stalling(), Cancel(), Cancel()
    with LoopbackServer(script) as server:
        caller = make_caller(**lab(server), call_config=CallConfig(retry=False, cache=Cache(MemoryStore())))
        join = in_background(lambda: all_at_once(caller, [{"cancel": first}, {"cancel": second}]))
        assert script.wait(count=1)
        time.sleep(0.05)
        second.set()
        first.set()
        outcomes = join(AT_ONCE)

    assert [type(outcome) for outcome in outcomes] == [Cancelled, Cancelled]


# --- one handle, many calls ---------------------------------------------------------------------------------------


def test_one_handle_ends_all_the_calls_it_was_given_to(make_caller: Any) -> None:
    script, cancel = Stalling(), Cancel()
    with LoopbackServer(script) as server:
        caller = make_caller(**lab(server))
        join = in_background(lambda: all_at_once(caller, [{"cancel": cancel}] * 6))
        assert script.wait(count=6)
        cancel.set()
        outcomes = join(AT_ONCE)
        assert script.wait(left=6)

    assert [type(outcome) for outcome in outcomes] == [Cancelled] * 6
    assert not cancel._wakers


@each_kind
def test_a_handle_that_is_set_already_ends_a_call_before_it_is_sent(make_caller: Any, kind: str) -> None:
    script, cancel = Stalling(), Cancel()
    cancel.set()
    with LoopbackServer(script) as server:
        caller = make_caller(**lab(server))
        with pytest.raises(Cancelled):
            ask(caller, kind, "lab/m", "Hi", cancel=cancel)

    assert script.count == 0


def test_closing_one_stream_leaves_the_others_of_its_handle_alone(make_caller: Any) -> None:
    cancel = Cancel()
    with LoopbackServer(sse_chat(["Hel", "lo"])) as server:
        caller = make_caller(**lab(server))
        first, second = (caller.stream("lab/m", "Hi", cancel=cancel) for _ in range(2))
        first.next()
        first.close()

        assert second.drain().text == "Hello"
    assert not cancel.is_set


# --- what is left -------------------------------------------------------------------------------------------------


START = b"""event: message_start
data: {"type": "message_start", "message": {"id": "m1", "role": "assistant", "content": [], "model": "m",
data:  "usage": {"input_tokens": 7, "output_tokens": 1}}}

event: content_block_start
data: {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}

event: content_block_delta
data: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Air scatters"}}

"""


def test_the_partial_answer_and_its_usage_stay(make_caller: Any) -> None:
    """A wire that tells its usage at the start: what was used is known of an answer that was broken off."""
    script, cancel, began = Stalling(START), Cancel(), threading.Event()
    config = CallConfig(callbacks=Callbacks(on_content=lambda text, event: began.set()))
    with LoopbackServer(script) as server:
        caller = make_caller(**lab(server, dialect="anthropic"), call_config=config)
        stream = caller.stream("lab/m", "Hi", cancel=cancel)
        join = in_background(stream.drain)
        assert began.wait(AT_ONCE)
        time.sleep(0.05)
        failure = aborted(join, cancel)
        assert script.wait(left=1)

    assert failure.partial is not None
    assert failure.partial.text == stream.response.text == "Air scatters"
    assert failure.partial.usage.input_tokens == stream.response.usage.input_tokens == 7
    assert [attempt.error for attempt in failure.attempts] == ["Cancelled"]


# --- queues -------------------------------------------------------------------------------------------------------


class Aborting:
    """Reads a queue of three stalled streams in the background of each client."""

    def __init__(self, caller: Any, concurrency: int, handles: list[Cancel]) -> None:
        self.caller, self.concurrency, self.handles = caller, concurrency, handles
        self.queue: Any = None
        self.texts: list[str] = []

    def read(self) -> Any:
        if self.caller.kind == "sync":
            return self._plain()
        return self.caller.runner.run(self._asynchronous())

    def _fill(self) -> None:
        for number, cancel in enumerate(self.handles):
            self.queue.add(self.caller.client.stream("lab/m", "Hi", cancel=cancel), key=number)
        self.queue.end()

    def _plain(self) -> None:
        with StreamQueue(concurrency=self.concurrency, on_error="skip") as self.queue:
            self._fill()
            for _ in self.queue:
                pass

    async def _asynchronous(self) -> None:
        async with AsyncStreamQueue(concurrency=self.concurrency, on_error="skip") as self.queue:
            self._fill()
            async for _ in self.queue:
                pass


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_queue_is_aborted_as_a_whole(make_caller: Any, concurrency: int) -> None:
    script = Stalling(FIRST)
    with LoopbackServer(script) as server:
        reader = Aborting(make_caller(**lab(server)), concurrency, [Cancel() for _ in range(3)])
        join = in_background(reader.read)
        assert script.wait(count=concurrency)
        time.sleep(0.1)
        reader.queue.abort()
        with pytest.raises(Cancelled):
            join(AT_ONCE)
        assert script.wait(left=concurrency)

    assert script.count == concurrency
    assert reader.queue.responses[0].text == "Hel"


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_handle_shared_by_the_streams_of_a_queue_ends_them_all(make_caller: Any, concurrency: int) -> None:
    script, cancel = Stalling(FIRST), Cancel()
    with LoopbackServer(script) as server:
        reader = Aborting(make_caller(**lab(server)), concurrency, [cancel] * 3)
        join = in_background(reader.read)
        assert script.wait(count=concurrency)
        time.sleep(0.1)
        cancel.set()
        join(AT_ONCE)
        assert script.wait(left=concurrency)

    assert {key: type(failure) for key, failure in reader.queue.errors.items()} == dict.fromkeys(range(3), Cancelled)
    assert reader.queue.responses[0].text == "Hel"
    assert script.count == concurrency


def test_one_stream_of_a_queue_can_be_aborted_alone(make_caller: Any) -> None:
    script, handles = Stalling(FIRST), [Cancel() for _ in range(3)]
    with LoopbackServer(script) as server:
        reader = Aborting(make_caller(**lab(server)), 3, handles)
        join = in_background(reader.read)
        assert script.wait(count=3)
        handles[1].set()
        assert script.wait(left=1)
        assert not handles[0].is_set and script.left == 1
        for handle in handles:
            handle.set()
        join(AT_ONCE)

    assert set(reader.queue.errors) == {0, 1, 2}


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    deadline = time.monotonic() + AT_ONCE
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before
