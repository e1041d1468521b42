"""The seam's events and locks: woken from any thread, obeying the abort and the deadline, handed on in order."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from polyvox.errors import CallTimeoutError, Cancelled
from polyvox.io.aio import AsyncIO
from polyvox.io.base import IO, Cancel, Context, drive
from polyvox.io.blocking import BlockingIO
from polyvox.io.scripted import ScriptedIO
from polyvox.types.models import Timeout

KINDS: dict[str, tuple[Callable[[], IO], Callable[[Coroutine[Any, Any, Any]], Any]]] = {
    "sync": (BlockingIO, drive),
    "async": (AsyncIO, asyncio.run),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]


def later(function: Callable[[], None], seconds: float = 0.05) -> threading.Timer:
    timer = threading.Timer(seconds, function)
    timer.start()
    return timer


def test_a_wait_ends_when_another_thread_sets_the_event(kind: Any) -> None:
    make, run = kind
    io = make()
    event = io.event()
    timer = later(event.set)

    run(event.wait(Context(io, Timeout(total=5))))
    assert event.is_set
    run(event.wait())
    event.clear()
    assert not event.is_set
    timer.join()


def test_a_wait_ends_with_an_abort(kind: Any) -> None:
    make, run = kind
    io, cancel = make(), Cancel()
    timer = later(cancel.set)

    with pytest.raises(Cancelled):
        run(io.event().wait(Context(io, cancel=cancel)))
    timer.join()


def test_a_wait_ends_at_the_deadline(kind: Any) -> None:
    make, run = kind
    io = make()
    started = time.monotonic()

    with pytest.raises(CallTimeoutError) as caught:
        run(io.event().wait(Context(io, Timeout(total=0.1))))
    assert caught.value.phase == "total" and 0.09 <= time.monotonic() - started < 2


def test_a_lock_has_one_holder_and_is_handed_on(kind: Any) -> None:
    make, run = kind
    io = make()
    lock, order = io.lock(), []

    async def hold(name: str) -> None:
        async with lock:
            order.append(name)
            await io.sleep(0.02)
            order.append(name)

    run(io.gather([lambda name=name: hold(name) for name in "abc"], 3))
    assert "".join(order[::2]) == "".join(order[1::2]) and sorted(order[::2]) == ["a", "b", "c"]


def test_who_gives_up_waiting_for_a_lock_does_not_keep_it(kind: Any) -> None:
    make, run = kind
    io = make()

    async def scenario() -> None:
        lock = io.lock()
        await lock.acquire()
        with pytest.raises(CallTimeoutError):
            await lock.acquire(Context(io, Timeout(total=0.05)))
        lock.release()
        await lock.acquire(Context(io, Timeout(total=0.05)))

    run(scenario())


def test_in_a_script_a_wait_lasts_until_the_deadline() -> None:
    io = ScriptedIO()
    with pytest.raises(CallTimeoutError):
        drive(io.event().wait(Context(io, Timeout(total=30))))
    assert io.now() == 30
    event = io.event()
    event.set()
    drive(event.wait())


def test_a_failing_call_of_a_gather_wakes_the_others_that_wait(kind: Any) -> None:
    make, run = kind
    io = make()

    async def fail() -> None:
        await io.sleep(0.05)
        raise RuntimeError("the first failure")

    started = time.monotonic()
    with pytest.raises(RuntimeError, match="the first failure"):
        run(io.gather([fail, io.event().wait], 2))
    assert time.monotonic() - started < 2
