"""Work beside the reader of a stream: a task on the event loop, or a thread where there is none.

The rule: whoever starts a worker joins it. A task can be cancelled wherever it waits; a thread ends by the abort of the
calls it makes.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeAlias

from polyvox.io.base import drive

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class Worker(Protocol):
    """A piece of work under way."""

    @property
    def is_done(self) -> bool:
        """Whether it is over."""
        ...

    def cancel(self) -> None:
        """End it where it waits, where that can be done."""
        ...

    async def join(self) -> None:
        """Wait for its end."""
        ...


def start_task(work: Work) -> Worker:
    """Run `work` as a task of the running event loop."""
    return _Task(work)


def start_thread(work: Work) -> Worker:
    """Run `work`, which must not suspend, in a thread, with the caller's context variables."""
    return _Thread(work)


class _Task:
    def __init__(self, work: Work) -> None:
        import asyncio

        self._task = asyncio.get_running_loop().create_task(work())

    @property
    def is_done(self) -> bool:
        return self._task.done()

    def cancel(self) -> None:
        self._task.cancel()

    async def join(self) -> None:
        import asyncio

        interrupted: BaseException | None = None
        while not self._task.done():
            try:
                await asyncio.wait([self._task])
            except asyncio.CancelledError as error:
                # Who waits is cancelled: the work is ended first, or it would run on behind them.
                interrupted = error
                self._task.cancel()
        if interrupted is not None:
            raise interrupted


class _Thread:
    def __init__(self, work: Work) -> None:
        def run() -> None:
            drive(work())

        # A daemon: the end of the program does not wait for a reader that nobody is left to join.
        self._thread = threading.Thread(
            target=contextvars.copy_context().run, args=(run,), name="polyvox-worker", daemon=True
        )
        self._thread.start()

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def cancel(self) -> None:
        """Do nothing: what a thread does is ended by the abort of its calls."""

    async def join(self) -> None:
        self._thread.join()
