"""`QueueMachine`: many streams read as one.

The rules. Streams are taken in the order they were added, as many at once as `concurrency` says; the events of each
keep their order. Nothing polls: who waits is woken. A slow reader stops the streams: what waits to be read is bounded.
However the reader leaves, every stream is closed, and no task or thread runs on behind it.

With a concurrency of 1 the reader itself reads the streams, one after another: no task, no thread, no buffer. The state
is guarded by one lock, never held over an `await`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import aclosing
from typing import Any, Literal, Protocol, TypeAlias

from msgspec import Struct

from polyvox.calls.generate import Call
from polyvox.errors import Cancelled, ConfigError
from polyvox.io.background import Work, Worker
from polyvox.io.base import Cancel, Context, Signal
from polyvox.types.events import Event
from polyvox.types.fold import Fold
from polyvox.types.generate import GenerateRequest, GenerateResponse

OnError: TypeAlias = Literal["stop", "skip", "collect"]
"""What one stream's error means for the others: `stop` aborts them and raises it; `skip` goes on without that stream;
`collect` goes on too, and raises an `ExceptionGroup` of all errors at the end."""

Keyed: TypeAlias = AsyncGenerator[tuple[Hashable, list[Event]], None]


class QueueEvent(Struct, frozen=True, gc=False):
    """An event, and the key of the stream that it belongs to."""

    key: Hashable
    event: Event


class QueuedStream(Protocol):
    """What can be queued: it begins when `lists` is iterated, and ends at once when `cancel` is set."""

    @property
    def cancel(self) -> Cancel:
        """Its abort."""
        ...

    @property
    def response(self) -> GenerateResponse[Any]:
        """The answer so far."""
        ...

    def lists(self) -> AsyncGenerator[list[Event], None]:
        """Return its events, one list a read."""
        ...


class QueuedCall:
    """A call as a stream for the queue. The clock of its context is the caller's affair."""

    def __init__(self, call: Call, context: Context, request: GenerateRequest) -> None:
        self._call = call
        self._context = context
        self._request = request
        self._fold = Fold()

    @property
    def cancel(self) -> Cancel:
        """The abort of the call."""
        return self._context.cancel

    @property
    def response(self) -> GenerateResponse[Any]:
        """The answer so far, with its identity."""
        return self._context.stamp(self._context, self._fold.response)

    async def lists(self) -> AsyncGenerator[list[Event], None]:
        """Return the call's events."""
        async with aclosing(self._call(self._context, self._request)) as lists:
            async for events in lists:
                self._fold.feed(events)
                yield events


class _Entry(Struct):
    key: Hashable
    stream: QueuedStream


class QueueMachine:
    """The queue over any seam. `make_signal` is `io.event`; `start` runs work beside, for a concurrency above 1.

    `buffer` is the number of events that may wait for the reader before the streams do. `add`, `end` and `abort` may be
    called from any thread. `responses` and `errors` are by key.
    """

    def __init__(
        self,
        make_signal: Callable[[], Signal],
        start: Callable[[Work], Worker] | None = None,
        *,
        concurrency: int = 1,
        on_error: OnError = "stop",
        buffer: int = 256,
        keep_responses: bool = True,
    ) -> None:
        for name, number in (("concurrency", concurrency), ("buffer", buffer)):
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise ConfigError(f"StreamQueue({name}={number!r}): give a whole number from 1")
        if on_error not in ("stop", "skip", "collect"):
            raise ConfigError(f"StreamQueue(on_error={on_error!r}): give 'stop', 'skip' or 'collect'")
        if start is None and concurrency > 1:
            raise ConfigError("this queue reads its streams one after another: nothing was given to read them beside")
        self.responses: dict[Hashable, GenerateResponse[Any]] = {}
        self.errors: dict[Hashable, Exception] = {}
        self._start = start
        self._concurrency = concurrency
        self._on_error = on_error
        self._buffer = buffer
        self._keep = keep_responses
        self._lock = threading.Lock()
        self._changed, self._room = make_signal(), make_signal()
        self._keys: set[Hashable] = set()
        self._waiting: deque[_Entry] = deque()
        self._running: dict[Hashable, _Entry] = {}
        self._ready: deque[tuple[Hashable, list[Event] | Exception]] = deque()
        self._buffered = self._active = self._count = 0
        self._ended = self._aborted = self._closed = self._begun = False

    # --- from any thread ------------------------------------------------------------------------------------------

    def add(self, stream: QueuedStream, key: Hashable = None) -> Hashable:
        """Put a stream at the end, and return its key: the one given, or its number, counted from 0.

        Raises `ConfigError` for a key in use or after `end()`, `Cancelled` where the queue is over (the stream is then
        closed).
        """
        with self._lock:
            over = self._closed
            if not over:
                if self._ended:
                    raise ConfigError("end() was called: nothing more can be added to this queue")
                key = self._count if key is None else key
                if key in self._keys:
                    raise ConfigError(f"the key {key!r} is in use in this queue: give another")
                self._count += 1
                self._keys.add(key)
                self._waiting.append(_Entry(key, stream))
        if over:
            stream.cancel.set()
            raise Cancelled("this queue is over: make a new one")
        self._changed.set()
        return key

    def end(self) -> None:
        """Say that nothing more will come: the reader ends when all that was added is read."""
        with self._lock:
            self._ended = True
        self._changed.set()

    def abort(self) -> None:
        """Abort every stream, running or waiting; the reader gets `Cancelled`. It neither waits nor raises."""
        with self._lock:
            self._aborted = True
        self.close()

    def close(self) -> None:
        """Close every stream, running or waiting. For the reader it is an abort, unless the reader itself closes."""
        with self._lock:
            self._closed = True
            entries = [*self._running.values(), *self._waiting]
            self._waiting.clear()
        for entry in entries:
            entry.stream.cancel.set()
        self._changed.set()
        self._room.set()

    # --- the reader -----------------------------------------------------------------------------------------------

    def lists(self) -> Keyed:
        """Return the reader: lists of events with the key of their stream. A queue is read once.

        Raises, when iterated, what `on_error` says; `Cancelled` after an abort.
        """
        with self._lock:
            if self._begun or self._closed:
                raise Cancelled("this queue was read or closed already: make a new one")
            self._begun = True
        return self._one_by_one() if self._concurrency == 1 else self._side_by_side()

    async def _one_by_one(self) -> Keyed:
        try:
            while not self._is_over():
                entry = self._next()
                if entry is None:
                    await self._wait()
                    continue
                try:
                    async with aclosing(entry.stream.lists()) as lists:
                        async for events in lists:
                            yield entry.key, events
                except Exception as error:  # noqa: BLE001 - whatever ends a stream ends it alone, or is raised below
                    self._failed(entry, error)
                finally:
                    self._left(entry)
                self._raise_first()
            self._raise_all()
        finally:
            self.close()

    async def _side_by_side(self) -> Keyed:
        workers: list[Worker] = []
        try:
            while True:
                self._employ(workers)
                item = self._take()
                if item is None:
                    if self._is_over():
                        break
                    await self._wait()
                elif isinstance(item[1], Exception):
                    raise item[1]
                else:
                    yield item[0], item[1]
            self._raise_all()
        finally:
            self.close()
            for worker in workers:
                worker.cancel()
            for worker in workers:
                await worker.join()

    def _is_over(self) -> bool:
        """Whether all is read. Raises `Cancelled` after an abort."""
        with self._lock:
            if self._closed:
                raise Cancelled("the queue was aborted")
            return self._is_drained()

    def _is_drained(self) -> bool:
        return self._ended and not (self._waiting or self._running or self._ready)

    async def _wait(self) -> None:
        """Wait until something changes. What changed since it was looked at counts."""
        with self._lock:
            can_begin = self._waiting and self._active < self._concurrency
            if self._closed or self._ready or can_begin or self._is_drained():
                return
            self._changed.clear()
        await self._changed.wait()

    def _next(self) -> _Entry | None:
        with self._lock:
            return self._begin()

    def _begin(self) -> _Entry | None:
        if self._closed or not self._waiting:
            return None
        entry = self._waiting.popleft()
        self._running[entry.key] = entry
        return entry

    def _left(self, entry: _Entry) -> None:
        response = entry.stream.response if self._keep else None
        with self._lock:
            self._running.pop(entry.key, None)
            if response is not None:
                self.responses[entry.key] = response
            else:
                self._keys.discard(entry.key)
        self._changed.set()

    def _failed(self, entry: _Entry, error: Exception) -> None:
        """Note what ended a stream. The aborts that an abort of the whole brings are no errors of theirs."""
        with self._lock:
            if self._closed:
                return
            self.errors[entry.key] = error
            if self._on_error != "stop":
                return
            self._ready.append((entry.key, error))
        self.close()

    def _raise_first(self) -> None:
        item = self._take()
        if item is not None and isinstance(item[1], Exception):
            raise item[1]

    def _raise_all(self) -> None:
        if self.errors and self._on_error == "collect":
            count = f"{len(self.errors)} of the {self._count} streams"
            raise ExceptionGroup(f"{count} in the queue failed", list(self.errors.values()))

    # --- beside the reader ----------------------------------------------------------------------------------------

    def _employ(self, workers: list[Worker]) -> None:
        """Start workers for the streams that wait, as many as may run."""
        assert self._start is not None
        while True:
            with self._lock:
                if self._closed or not self._waiting or self._active >= self._concurrency:
                    return
                self._active += 1
            workers[:] = [worker for worker in workers if not worker.is_done]
            workers.append(self._start(self._work))

    async def _work(self) -> None:
        while True:
            with self._lock:
                entry = self._begin()
                if entry is None:
                    # Given up in the same breath: a stream added from now on finds a place free.
                    self._active -= 1
                    return
            await self._pump(entry)

    async def _pump(self, entry: _Entry) -> None:
        try:
            async with aclosing(entry.stream.lists()) as lists:
                async for events in lists:
                    await self._put(entry.key, events)
        except Exception as error:  # noqa: BLE001 - raised again by the reader, or kept in `errors`
            self._failed(entry, error)
        finally:
            self._left(entry)

    async def _put(self, key: Hashable, events: list[Event]) -> None:
        while True:
            with self._lock:
                if self._closed:
                    raise Cancelled("the queue was aborted")
                if self._buffered < self._buffer:
                    self._buffered += len(events)
                    self._ready.append((key, events))
                    break
                self._room.clear()
            await self._room.wait()
        self._changed.set()

    def _take(self) -> tuple[Hashable, list[Event] | Exception] | None:
        with self._lock:
            if self._aborted or not self._ready:
                return None
            item = self._ready.popleft()
            was_full = self._buffered >= self._buffer
            if isinstance(item[1], list):
                self._buffered -= len(item[1])
            makes_room = was_full and self._buffered < self._buffer
        if makes_room:
            self._room.set()
        return item
