"""`Stream` and `AsyncStream`: an answer as it comes.

The rule: nothing is sent until the stream is iterated (or drained); leaving it in any way (break, close, leaving the
`with`, cancelling the task, dropping the reference) closes the connection at once; what had arrived stays readable.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing, closing, suppress
from types import TracebackType
from typing import Any, Generic, TypeVar

from polyvox.client.engine import Job, Running
from polyvox.errors import Cancelled, PolyvoxError
from polyvox.io.base import Cancel, iterate
from polyvox.types.events import Event, TextDelta
from polyvox.types.generate import GenerateResponse

T = TypeVar("T")


class Stream(Generic[T]):
    """A streamed answer, read by iterating: typed events, or `for text in stream.text`.

    A stream is read once, by one thread; `close()` and `cancel.set()` may come from any thread.
    """

    def __init__(self, job: Job) -> None:
        self._running = Running(job)
        self._response: GenerateResponse[T] | None = None
        self._started = False
        # Weak: a strong one would be a ring, and a dropped stream would wait for the collector to be closed.
        self._reader: weakref.ref[Generator[Any, None, None]] | None = None

    @property
    def response(self) -> GenerateResponse[T]:
        """The answer so far; after the end, what `generate()` returns."""
        return self._response if self._response is not None else self._running.response

    @property
    def cancel(self) -> Cancel:
        """The abort of this call."""
        return self._running.context.cancel

    @property
    def text(self) -> Iterator[str]:
        """The answer's text as it comes, refusals and reasoning left out."""
        return _text_of(self)

    def __iter__(self) -> Iterator[Event]:
        """Iterate the events. Leaving the loop early closes the connection; a stream is not begun twice."""
        _begin(self)
        reader = self._events()
        self._reader = weakref.ref(reader)
        return reader

    def lists(self) -> Generator[list[Event], None, None]:
        """Iterate the events in lists, as they came: one list a read. Otherwise it is like iterating the stream."""
        _begin(self)
        reader = self._lists()
        self._reader = weakref.ref(reader)
        return reader

    def _events(self) -> Generator[Event, None, None]:
        with closing(self._lists()) as lists:
            for events in lists:
                yield from events

    def _lists(self) -> Generator[list[Event], None, None]:
        running, feed = self._running, self._running.fold.feed
        running.context.start()
        try:
            with closing(iterate(running.events)) as lists:
                for events in lists:
                    feed(events)
                    yield events
            self._response = running.parsed()
        except PolyvoxError as error:
            running.failed(error)
            raise
        finally:
            running.release()

    def drain(self) -> GenerateResponse[T]:
        """Read to the end, and return the whole answer. Of a stream that was read already: its answer."""
        if not self._started:
            for _ in self:
                pass
        return self.response

    def close(self) -> None:
        """End the call now. From another thread, the reader gets `Cancelled`; the answer so far stays readable."""
        self._started = True
        self.cancel.set()
        self._running.release()
        reader = self._reader() if self._reader is not None else None
        if reader is not None:
            # A reader at work in another thread (or the caller itself) was woken by the abort, and ends itself.
            with suppress(ValueError):
                reader.close()

    def __enter__(self) -> Stream[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Stream of {self._running.job.target.name}>"


class AsyncStream(Generic[T]):
    """A streamed answer, read by `async for`: typed events, or `async for text in stream.text`.

    A stream is read once, by one task; `close()` may come from any task, `cancel.set()` from any thread.
    """

    def __init__(self, job: Job) -> None:
        self._running = Running(job)
        self._response: GenerateResponse[T] | None = None
        self._started = False
        self._reader: weakref.ref[AsyncGenerator[Any, None]] | None = None

    @property
    def response(self) -> GenerateResponse[T]:
        """The answer so far; after the end, what `generate()` returns."""
        return self._response if self._response is not None else self._running.response

    @property
    def cancel(self) -> Cancel:
        """The abort of this call."""
        return self._running.context.cancel

    @property
    def text(self) -> AsyncIterator[str]:
        """The answer's text as it comes, refusals and reasoning left out."""
        return _async_text_of(self)

    def __aiter__(self) -> AsyncIterator[Event]:
        """Iterate the events. Leaving the loop early closes the connection; a stream is not begun twice."""
        _begin(self)
        reader = self._events()
        self._reader = weakref.ref(reader)
        return reader

    def lists(self) -> AsyncGenerator[list[Event], None]:
        """Iterate the events in lists, as they came: one list a read. Otherwise it is like iterating the stream."""
        _begin(self)
        reader = self._lists()
        self._reader = weakref.ref(reader)
        return reader

    async def _events(self) -> AsyncGenerator[Event, None]:
        async with aclosing(self._lists()) as lists:
            async for events in lists:
                for event in events:
                    yield event

    async def _lists(self) -> AsyncGenerator[list[Event], None]:
        running, feed = self._running, self._running.fold.feed
        running.context.start()
        try:
            async with aclosing(running.events) as lists:
                async for events in lists:
                    feed(events)
                    yield events
            self._response = running.parsed()
        except PolyvoxError as error:
            running.failed(error)
            raise
        finally:
            running.release()

    async def drain(self) -> GenerateResponse[T]:
        """Read to the end, and return the whole answer. Of a stream that was read already: its answer."""
        if not self._started:
            async for _ in self:
                pass
        return self.response

    async def close(self) -> None:
        """End the call now. A reader in another task gets `Cancelled`; the answer so far stays readable."""
        self._started = True
        self.cancel.set()
        self._running.release()
        reader = self._reader() if self._reader is not None else None
        if reader is not None:
            # "Already running": a reader at work in another task was woken by the abort, and ends itself.
            with suppress(RuntimeError):
                await reader.aclose()

    async def __aenter__(self) -> AsyncStream[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncStream of {self._running.job.target.name}>"


def _begin(stream: Stream[Any] | AsyncStream[Any]) -> None:
    if stream._started:
        raise Cancelled("this stream was read or closed already: ask for a new one")
    stream._started = True


def _text_of(stream: Stream[Any]) -> Iterator[str]:
    refusals = stream._running.fold.is_refusal
    for event in stream:
        if type(event) is TextDelta and not refusals(event.index):
            yield event.text


async def _async_text_of(stream: AsyncStream[Any]) -> AsyncIterator[str]:
    refusals = stream._running.fold.is_refusal
    async with aclosing(stream.__aiter__()) as events:  # type: ignore[type-var]
        async for event in events:
            if type(event) is TextDelta and not refusals(event.index):
                yield event.text
