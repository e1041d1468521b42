"""`StreamQueue` and `AsyncStreamQueue`: many streams read as one, and fed while they are read.

The rule: the two differ only in how they wait; what a queue is stands in `polyvox.calls.queue`.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Hashable, Iterator
from contextlib import aclosing, closing, suppress
from types import TracebackType
from typing import Any

from polyvox.calls.queue import OnError, QueueEvent, QueueMachine
from polyvox.client.streams import AsyncStream, Stream
from polyvox.errors import ConfigError
from polyvox.io.base import Cancel, iterate
from polyvox.types.events import Event
from polyvox.types.generate import GenerateResponse


class _Queue:
    """What both queues know. Everything here may be called from any thread or task, while the queue is read."""

    _machine: QueueMachine

    def end(self) -> None:
        """Say that nothing more will come: reading ends when all that was added is read."""
        self._machine.end()

    def abort(self) -> None:
        """Abort every stream, running or waiting; the reader gets `Cancelled`. It may be given to `Cancel.add`."""
        self._machine.abort()

    @property
    def responses(self) -> dict[Hashable, GenerateResponse[Any]]:
        """The answers by key, of every stream that has ended, however it did; a failed one's is what had arrived."""
        return dict(self._machine.responses)

    @property
    def errors(self) -> dict[Hashable, Exception]:
        """What ended streams before their end, by key."""
        return dict(self._machine.errors)


class StreamQueue(_Queue):
    """Many streams read as one, by iterating: `QueueEvent`s, each with the key of its stream.

    With a `concurrency` of 1 the streams are read one after another, in the order they were added. With more, as many
    run at once, each in a thread, and their events interleave; `buffer` is the number of events that may wait for the
    reader before the streams do (one list a stream may come on top).

    `on_error`: `stop` aborts the others and raises a stream's error; `skip` goes on without that stream; `collect` goes
    on too, and raises an `ExceptionGroup` of all errors at the end. In each case they stand in `errors`.
    `keep_responses=False` keeps no answers, for a queue that never ends.

    Iterating ends when `end()` was called and all is read: until then it waits for more. A queue is read once, by one
    thread; leaving it in any way closes every stream. Raises `ConfigError` for settings that make no sense.
    """

    def __init__(
        self, *, concurrency: int = 1, on_error: OnError = "stop", buffer: int = 256, keep_responses: bool = True
    ) -> None:
        from polyvox.io.background import start_thread
        from polyvox.io.waiting import BlockingSignal

        self._machine = QueueMachine(
            BlockingSignal,
            start_thread,
            concurrency=concurrency,
            on_error=on_error,
            buffer=buffer,
            keep_responses=keep_responses,
        )
        # Weak, as a stream's: a dropped reader is closed at once.
        self._reader: weakref.ref[Generator[QueueEvent, None, None]] | None = None

    def add(self, stream: Stream[Any], key: Hashable = None) -> Hashable:
        """Put a stream at the end, and return its key: the one given, or its number, counted from 0.

        Raises `ConfigError` for a key in use, after `end()`, or for an `AsyncStream`; `Cancelled` where the queue is
        over (the stream is then closed).
        """
        if not isinstance(stream, Stream):
            raise ConfigError(f"a StreamQueue takes the streams of a Client, not {type(stream).__name__}")
        return self._machine.add(_Blocking(stream), key)

    def __iter__(self) -> Iterator[QueueEvent]:
        """Iterate the events. Leaving the loop early closes every stream; a queue is not begun twice."""
        reader = self._events(iterate(self._machine.lists()))
        self._reader = weakref.ref(reader)
        return reader

    def _events(self, lists: Generator[tuple[Hashable, list[Event]], None, None]) -> Generator[QueueEvent, None, None]:
        with closing(lists):
            for key, events in lists:
                for event in events:
                    yield QueueEvent(key, event)

    def close(self) -> None:
        """Close every stream now. A reader in another thread gets `Cancelled`."""
        self._machine.close()
        reader = self._reader() if self._reader is not None else None
        if reader is not None:
            # A reader at work in another thread (or the caller itself) was woken, and ends itself.
            with suppress(ValueError):
                reader.close()

    def __enter__(self) -> StreamQueue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncStreamQueue(_Queue):
    """Many streams of an `AsyncClient` read as one, by `async for`; see `StreamQueue`. Each that runs is a task."""

    def __init__(
        self, *, concurrency: int = 1, on_error: OnError = "stop", buffer: int = 256, keep_responses: bool = True
    ) -> None:
        from polyvox.io.background import start_task
        from polyvox.io.waiting import AsyncSignal

        self._machine = QueueMachine(
            AsyncSignal,
            start_task,
            concurrency=concurrency,
            on_error=on_error,
            buffer=buffer,
            keep_responses=keep_responses,
        )
        self._reader: weakref.ref[AsyncGenerator[QueueEvent, None]] | None = None

    def add(self, stream: AsyncStream[Any], key: Hashable = None) -> Hashable:
        """Put a stream at the end, and return its key; see `StreamQueue.add`."""
        if not isinstance(stream, AsyncStream):
            raise ConfigError(f"an AsyncStreamQueue takes the streams of an AsyncClient, not {type(stream).__name__}")
        return self._machine.add(stream, key)

    def __aiter__(self) -> AsyncIterator[QueueEvent]:
        """Iterate the events. Leaving the loop early closes every stream; a queue is not begun twice."""
        reader = self._events(self._machine.lists())
        self._reader = weakref.ref(reader)
        return reader

    async def _events(
        self, lists: AsyncGenerator[tuple[Hashable, list[Event]], None]
    ) -> AsyncGenerator[QueueEvent, None]:
        async with aclosing(lists):
            async for key, events in lists:
                for event in events:
                    yield QueueEvent(key, event)

    async def close(self) -> None:
        """Close every stream now. A reader in another task gets `Cancelled`."""
        self._machine.close()
        reader = self._reader() if self._reader is not None else None
        if reader is not None:
            # "Already running": a reader at work in another task was woken, and ends itself.
            with suppress(RuntimeError):
                await reader.aclose()

    async def __aenter__(self) -> AsyncStreamQueue:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class _Blocking:
    """A plain stream in the form that the machine reads: nothing in it suspends."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream[Any]) -> None:
        self._stream = stream

    @property
    def cancel(self) -> Cancel:
        return self._stream.cancel

    @property
    def response(self) -> GenerateResponse[Any]:
        return self._stream.response

    async def lists(self) -> AsyncGenerator[list[Event], None]:
        with closing(self._stream.lists()) as lists:
            for events in lists:
                yield events
