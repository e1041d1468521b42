"""The seam itself: the abort, the limits of a call, and the two ways to run `async def` without an event loop."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from typing import Any

import pytest

from polyvox.errors import CallTimeoutError, Cancelled, Phase, PolyvoxError
from polyvox.io.base import Cancel, Context, HttpRequest, drive, iterate, sanitized_cause, timeout_message
from polyvox.io.scripted import Clock, ScriptedIO
from polyvox.secrets import Secret
from polyvox.types.models import Timeout


@pytest.fixture(autouse=True)
def no_collector() -> Generator[None, None, None]:
    """What closes here, closes by itself and at once: no garbage collector helps."""
    gc.disable()
    yield
    gc.enable()


# --- drive -------------------------------------------------------------------------------------------------------


async def add(one: int, two: int) -> int:
    return one + two


def test_drive_returns_what_the_coroutine_returns_and_raises_what_it_raises() -> None:
    async def fail() -> None:
        await add(1, 2)
        raise KeyError("mine")

    assert drive(add(1, 2)) == 3
    with pytest.raises(KeyError, match="mine"):
        drive(fail())


def test_drive_says_what_is_wrong_when_something_suspends_and_unwinds_it() -> None:
    unwound: list[str] = []

    async def suspends() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            unwound.append("finally")

    async def swallows() -> str:
        try:
            await asyncio.sleep(0)
        except PolyvoxError:
            unwound.append("swallowed")
        return "as if nothing had been"

    async def suspends_again() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)

    for function in (suspends, swallows, suspends_again):
        with pytest.raises(PolyvoxError, match="AsyncClient takes async ones"):
            drive(function())
    assert unwound == ["finally", "swallowed"]


def test_drive_works_inside_a_running_event_loop_and_leaves_its_hooks_alone() -> None:
    async def main() -> None:
        before = sys.get_asyncgen_hooks()
        assert drive(add(1, 2)) == 3
        with pytest.raises(PolyvoxError):
            drive(asyncio.sleep(0))
        assert sys.get_asyncgen_hooks() == before

    asyncio.run(main())


# --- iterate -----------------------------------------------------------------------------------------------------


class Spy:
    """An inner and an outer generator, and what became of them."""

    def __init__(self) -> None:
        self.closed: list[str] = []

    async def inner(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(3):
                await add(number, number)
                yield number
        finally:
            await add(1, 1)
            self.closed.append("inner")

    async def outer(self) -> AsyncGenerator[int, None]:
        try:
            async with aclosing(self.inner()) as numbers:
                async for number in numbers:
                    yield number
        finally:
            self.closed.append("outer")

    async def careless(self) -> AsyncGenerator[int, None]:
        """A layer that forgot `aclosing`."""
        async for number in self.inner():
            yield number


def by_break(numbers: Generator[int, None, None]) -> None:
    for _ in numbers:
        break
    del numbers


def by_close(numbers: Generator[int, None, None]) -> None:
    next(numbers)
    numbers.close()


def by_drop(numbers: Generator[int, None, None]) -> None:
    next(numbers)
    del numbers


def by_exception(numbers: Generator[int, None, None]) -> None:
    next(numbers)
    with pytest.raises(KeyError):
        numbers.throw(KeyError("mine"))


def to_the_end(numbers: Generator[int, None, None]) -> None:
    assert list(numbers) == [0, 1, 2]


@pytest.mark.parametrize("inside_a_loop", [False, True])
@pytest.mark.parametrize("leave", [by_break, by_close, by_drop, by_exception, to_the_end])
def test_however_a_sync_stream_is_left_all_its_layers_are_closed_at_once(
    leave: Callable[[Any], None], inside_a_loop: bool
) -> None:
    spy = Spy()

    def check() -> None:
        leave(iterate(spy.outer()))
        assert spy.closed == ["inner", "outer"]

    async def main() -> None:
        check()

    asyncio.run(main()) if inside_a_loop else check()


@pytest.mark.parametrize("inside_a_loop", [False, True])
def test_a_layer_without_aclosing_is_closed_by_dropping_too(inside_a_loop: bool) -> None:
    spy = Spy()

    def check() -> None:
        by_drop(iterate(spy.careless()))
        assert spy.closed == ["inner"]

    async def main() -> None:
        check()

    asyncio.run(main()) if inside_a_loop else check()


def test_a_sync_stream_survives_the_end_of_the_loop_it_was_begun_in() -> None:
    spy = Spy()

    async def begin() -> Generator[int, None, None]:
        numbers = iterate(spy.outer())
        assert next(numbers) == 0
        return numbers

    numbers = asyncio.run(begin())
    assert spy.closed == []
    assert list(numbers) == [1, 2]
    assert spy.closed == ["inner", "outer"]


def test_a_sync_stream_may_go_from_one_loop_to_another_and_to_another_thread() -> None:
    spy = Spy()
    numbers = iterate(spy.outer())

    async def step() -> int:
        return next(numbers)

    assert asyncio.run(step()) == 0
    assert asyncio.run(step()) == 1
    thread = threading.Thread(target=numbers.close)
    thread.start()
    thread.join()
    assert spy.closed == ["inner", "outer"]


def test_a_loop_never_hears_of_a_sync_streams_generators() -> None:
    async def main() -> None:
        heard: list[Any] = []
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=heard.append, finalizer=heard.append)
        try:
            spy = Spy()
            by_drop(iterate(spy.outer()))
            unread = iterate(spy.outer())
            unread.close()
        finally:
            sys.set_asyncgen_hooks(*hooks)
        assert heard == []

    asyncio.run(main())


def test_a_stream_that_was_never_begun_closes_quietly() -> None:
    spy = Spy()
    numbers = iterate(spy.outer())
    numbers.close()
    del numbers
    assert spy.closed == []


def test_an_error_in_a_layer_reaches_the_reader_and_ends_the_stream() -> None:
    async def fails() -> AsyncGenerator[int, None]:
        yield 1
        raise KeyError("mine")

    numbers = iterate(fails())
    assert next(numbers) == 1
    with pytest.raises(KeyError, match="mine"):
        next(numbers)
    assert list(numbers) == []


def test_a_stream_that_suspends_is_told_so_and_closed() -> None:
    closed: list[int] = []

    async def suspends() -> AsyncGenerator[int, None]:
        try:
            yield 1
            await asyncio.sleep(0)
        finally:
            closed.append(1)

    numbers = iterate(suspends())
    assert next(numbers) == 1
    with pytest.raises(PolyvoxError, match="suspended"):
        next(numbers)
    assert closed == [1]


# --- Cancel ------------------------------------------------------------------------------------------------------


def test_an_abort_wakes_each_listener_once_and_only_once() -> None:
    cancel = Cancel()
    woken: list[str] = []

    def wake() -> None:
        woken.append("twice registered")

    cancel.add(wake)
    cancel.add(wake)
    remove = cancel.add(lambda: woken.append("removed"))
    remove()
    remove()
    assert not cancel.is_set
    cancel.check()
    cancel.set()
    cancel.set()
    assert woken == ["twice registered"] * 2
    assert cancel.is_set
    with pytest.raises(Cancelled):
        cancel.check()
    cancel.add(lambda: woken.append("late"))()
    assert woken[-1] == "late"


def test_listeners_that_come_while_the_abort_is_set_are_all_woken() -> None:
    for _ in range(20):
        cancel = Cancel()
        woken: list[int] = []
        start = threading.Barrier(3)

        def listen(cancel: Cancel = cancel, woken: list[int] = woken, start: threading.Barrier = start) -> None:
            start.wait()
            for _ in range(50):
                cancel.add(lambda: woken.append(1))

        threads = [threading.Thread(target=listen) for _ in range(2)]
        for thread in threads:
            thread.start()
        start.wait()
        cancel.set()
        for thread in threads:
            thread.join()
        assert len(woken) == 100


# --- Context -----------------------------------------------------------------------------------------------------


def test_the_nearer_of_limit_and_deadline_is_in_force_with_its_name() -> None:
    clock = Clock(1000)
    context = Context(ScriptedIO(clock=clock), Timeout(connect=10, first_event=20, idle=None, total=25))
    assert (context.until, context.phase, context.remaining()) == (1025, "total", 25)
    context.limit("connect", 10)
    assert (context.until, context.phase, context.remaining()) == (1010, "connect", 10)
    clock.advance(9)
    context.check()
    context.limit("first_event", 20)
    assert (context.until, context.phase) == (1025, "total")
    context.limit("idle", None)
    assert (context.until, context.phase) == (1025, "total")
    clock.advance(16)
    assert context.remaining() == 0
    with pytest.raises(CallTimeoutError) as caught:
        context.check()
    assert caught.value.phase == "total"
    context.cancel.set()
    with pytest.raises(Cancelled):
        context.check()


def test_without_limits_there_is_none() -> None:
    context = Context(ScriptedIO(), Timeout(idle=None))
    context.limit("idle", None)
    assert (context.until, context.remaining()) == (None, None)
    context.check()


@pytest.mark.parametrize("phase", ["connect", "first_event", "idle", "total"])
def test_a_timeout_says_which_setting_moves_it(phase: Phase) -> None:
    text = timeout_message(phase, Timeout(connect=1.5, first_event=1.5, idle=1.5, total=1.5))
    assert f"within 1.5 s; Timeout({phase}=…) sets this limit" in text


# --- what is shown -----------------------------------------------------------------------------------------------


def test_a_request_does_not_show_its_headers_or_body() -> None:
    request = HttpRequest("POST", "https://host/?key=abc", {"Authorization": "Bearer secret"}, b"secret")
    assert repr(request) == "HttpRequest(POST …, 6 bytes)"


def test_the_cause_kept_of_a_transport_error_is_its_kind_and_words_without_secrets() -> None:
    try:
        try:
            raise ConnectionResetError(104, "reset by odd-secret")
        except ConnectionResetError as error:
            raise RuntimeError("request with sk-0123456789abcdefghij failed") from error
    except RuntimeError as error:
        cause = sanitized_cause(error, [Secret("odd-secret")])
    text = f"{cause} {cause!r} {cause.args}"
    assert "RuntimeError: request with *** failed" in text
    assert "ConnectionResetError" in text
    assert "odd-secret" not in text
    assert "0123456789" not in text
    assert cause.__traceback__ is None
    assert cause.__cause__ is None
    assert cause.__context__ is None


def test_the_seam_loads_no_event_loop_and_no_http_library() -> None:
    import subprocess

    code = (
        "import sys, polyvox.io.base, polyvox.io.scripted\n"
        "print(sorted(m for m in ('asyncio', 'aiohttp', 'urllib3', 'http.client') if m in sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_driving_a_step_costs_little() -> None:
    """Ten microseconds would be felt in every read of a stream; it is about one."""

    async def many() -> AsyncGenerator[int, None]:
        for number in range(20_000):
            yield number

    start = time.process_time()
    for _ in iterate(many()):
        pass
    assert (time.process_time() - start) / 20_000 < 10e-6


def test_of_handles_that_follow_one_none_is_late() -> None:
    """While the first is being woken, the second is set already: it begins nothing any more."""
    leader, first, second = Cancel(), Cancel(), Cancel()
    seen: list[bool] = []
    first.add(lambda: seen.append(second.is_set))
    first.follow(leader)
    end = second.follow(leader)
    leader.set()
    assert seen == [True] and first.is_set and second.is_set
    end()
    later = Cancel()
    later.follow(Cancel())()
    assert not later.is_set


def test_a_handle_that_no_longer_follows_is_left_alone() -> None:
    leader, follower = Cancel(), Cancel()
    follower.follow(leader)()
    leader.set()
    assert not follower.is_set
