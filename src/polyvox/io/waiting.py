"""Waiting for one another: the seam's `event()` and `lock()`, in their blocking and their asynchronous form.

The rules: `set` and `release` may come from any thread; a wait obeys the abort and the deadline of the call that waits;
a lock is handed on in the order it was asked for, and one that is given to a call which just gave up is passed on.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from polyvox.errors import CallTimeoutError
from polyvox.io.base import Cancel, Context, Signal, timed_out_total

if TYPE_CHECKING:
    import asyncio


class BlockingSignal:
    """Waits by blocking the thread. `group` gives the abort of the `gather` that the waiting thread works for."""

    def __init__(self, group: Callable[[], Cancel | None] = lambda: None) -> None:
        self._set = False
        self._group = group
        self._changed = threading.Condition()

    @property
    def is_set(self) -> bool:
        """Whether it was set."""
        return self._set

    def set(self) -> None:
        """Wake all who wait, and those who will."""
        with self._changed:
            self._set = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Let the next `wait` wait again."""
        self._set = False

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    async def wait(self, context: Context | None = None) -> None:
        """Wait until it is set. It never suspends."""
        group = self._group()
        cancels = [cancel for cancel in (group, context.cancel if context else None) if cancel is not None]
        removers = [cancel.add(self._wake) for cancel in cancels]
        try:
            with self._changed:
                while not self._set and not any(cancel.is_set for cancel in cancels):
                    self._changed.wait(_time_left(context))
        finally:
            for remove in removers:
                remove()
        for cancel in cancels:
            cancel.check()


class AsyncSignal:
    """Waits on the event loop, which stays free meanwhile."""

    def __init__(self) -> None:
        self._set = False
        self._guard = threading.Lock()
        self._wakers: dict[object, Callable[[], None]] = {}

    @property
    def is_set(self) -> bool:
        """Whether it was set."""
        return self._set

    def set(self) -> None:
        """Wake all who wait, and those who will."""
        with self._guard:
            self._set = True
            wakers = list(self._wakers.values())
        for wake in wakers:
            wake()

    def clear(self) -> None:
        """Let the next `wait` wait again."""
        self._set = False

    async def wait(self, context: Context | None = None) -> None:
        """Wait until it is set."""
        import asyncio

        from polyvox.io.exchange import call_in

        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()

        def finish() -> None:
            if not woken.done():
                woken.set_result(None)

        key = object()
        with self._guard:
            if not self._set:
                self._wakers[key] = lambda: call_in(loop, finish)
            else:
                finish()
        left = None if woken.done() else _time_left(context)
        timer = None if left is None else loop.call_later(left, finish)
        remove = None if context is None else context.cancel.add(lambda: call_in(loop, finish))
        try:
            await woken
        finally:
            with self._guard:
                was_set = self._wakers.pop(key, None) is None or self._set
            if timer is not None:
                timer.cancel()
            if remove is not None:
                remove()
        if context is not None:
            context.cancel.check()
            if not was_set:
                raise timed_out_total(context)


def _time_left(context: Context | None) -> float | None:
    """Return the seconds until the deadline, `None` for no limit. Raises where the call may wait no longer."""
    if context is None:
        return None
    context.cancel.check()
    if context.deadline is None:
        return None
    left = context.deadline - context.io.now()
    if left <= 0:
        raise timed_out_total(context)
    return left


class Lock:
    """One holder at a time, over any seam: `async with lock`, or `acquire(context)` and `release()`."""

    def __init__(self, make_signal: Callable[[], Signal]) -> None:
        self._make_signal = make_signal
        self._guard = threading.Lock()
        self._held = False
        self._waiting: deque[Signal] = deque()

    async def acquire(self, context: Context | None = None) -> None:
        """Wait for the lock. With a context the wait obeys its abort and its deadline."""
        with self._guard:
            if not self._held:
                self._held = True
                return
            turn = self._make_signal()
            self._waiting.append(turn)
        try:
            await turn.wait(context)
        except BaseException:
            with self._guard:
                given = turn not in self._waiting
                if not given:
                    self._waiting.remove(turn)
            if given:
                self.release()
            raise

    def release(self) -> None:
        """Hand the lock on to who asked first."""
        with self._guard:
            if not self._waiting:
                self._held = False
                return
            turn = self._waiting.popleft()
        turn.set()

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


async def wait_within(signal: Signal, seconds: float | None, context: Context) -> bool:
    """Wait for a signal for so many seconds at most (`None`: no limit); say whether it was set.

    The abort and the deadline of the call hold as in every wait.
    """
    if seconds is None:
        await signal.wait(context)
        return True
    waiting = context.branch(seconds=max(0.0, seconds))
    remove = context.cancel.add(waiting.cancel.set)
    try:
        await signal.wait(waiting)
    except CallTimeoutError:
        if context.deadline is not None and context.io.now() >= context.deadline:
            raise
        return False
    finally:
        remove()
    return True
