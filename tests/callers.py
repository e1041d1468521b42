"""One way to use both clients, so that every client test runs on both (the law of parity).

A `Caller` has the verbs of a client in plain form; `caller` (in conftest) gives the sync one and the async one in turn.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import polyvox

if TYPE_CHECKING:
    from polyvox import AsyncClient, Event, GenerateResponse, ListedModel


class SyncCaller:
    """`Client` as it is."""

    kind = "sync"

    def __init__(self, **settings: Any) -> None:
        self.client = polyvox.Client(**settings)

    def generate(self, *arguments: Any, **settings: Any) -> GenerateResponse[Any]:
        return self.client.generate(*arguments, **settings)

    def stream(self, *arguments: Any, **settings: Any) -> SyncReader:
        return SyncReader(self.client.stream(*arguments, **settings))

    def list_models(self, *arguments: Any, **settings: Any) -> tuple[ListedModel, ...]:
        return self.client.list_models(*arguments, **settings)

    def bound(self, *arguments: Any, **settings: Any) -> Any:
        return self.client.model(*arguments, **settings)

    def bound_generate(self, model: Any, *arguments: Any, **settings: Any) -> GenerateResponse[Any]:
        return model.generate(*arguments, **settings)

    def close(self) -> None:
        self.client.close()


class SyncReader:
    """A stream read step by step."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self._events: Iterator[Event] | None = None

    def next(self) -> Event:
        if self._events is None:
            self._events = iter(self.stream)
        return next(self._events)

    def events(self) -> list[Event]:
        return list(self.stream)

    def texts(self) -> list[str]:
        return list(self.stream.text)

    def drain(self) -> GenerateResponse[Any]:
        return self.stream.drain()

    @property
    def response(self) -> GenerateResponse[Any]:
        return self.stream.response

    def drop(self) -> None:
        """Drop every reference."""
        self._events = self.stream = None

    def break_loop(self, after: int) -> None:
        for count, _ in enumerate(self.stream, 1):
            if count == after:
                break

    def close(self) -> None:
        self.stream.close()

    def leave_with(self, after: int) -> None:
        with self.stream as stream:
            events = iter(stream)
            for _ in range(after):
                next(events)
        self._events = events


class AsyncCaller:
    """`AsyncClient` on a loop of its own."""

    kind = "async"

    def __init__(self, **settings: Any) -> None:
        self.runner = asyncio.Runner()
        try:
            self.client = self.runner.run(self._make(settings))
        except BaseException:
            self.runner.close()
            raise

    @staticmethod
    async def _make(settings: dict[str, Any]) -> AsyncClient:
        return polyvox.AsyncClient(**settings)

    def generate(self, *arguments: Any, **settings: Any) -> GenerateResponse[Any]:
        return self.runner.run(self.client.generate(*arguments, **settings))

    def stream(self, *arguments: Any, **settings: Any) -> AsyncReader:
        return AsyncReader(self.runner, self.client.stream(*arguments, **settings))

    def list_models(self, *arguments: Any, **settings: Any) -> tuple[ListedModel, ...]:
        return self.runner.run(self.client.list_models(*arguments, **settings))

    def bound(self, *arguments: Any, **settings: Any) -> Any:
        return self.client.model(*arguments, **settings)

    def bound_generate(self, model: Any, *arguments: Any, **settings: Any) -> GenerateResponse[Any]:
        return self.runner.run(model.generate(*arguments, **settings))

    def close(self) -> None:
        self.runner.run(self.client.close())
        self.runner.run(asyncio.sleep(0))
        self.runner.close()


class AsyncReader:
    """An async stream read step by step."""

    def __init__(self, runner: asyncio.Runner, stream: Any) -> None:
        self.runner = runner
        self.stream = stream
        self._events: Any = None

    def _run(self, make: Callable[[], Any]) -> Any:
        async def run() -> Any:
            return await make()

        return self.runner.run(run())

    def next(self) -> Event:
        if self._events is None:
            self._events = self.stream.__aiter__()
        return self._run(lambda: self._events.__anext__())

    def events(self) -> list[Event]:
        async def collect() -> list[Event]:
            return [event async for event in self.stream]

        return self._run(collect)

    def texts(self) -> list[str]:
        async def collect() -> list[str]:
            return [text async for text in self.stream.text]

        return self._run(collect)

    def drain(self) -> GenerateResponse[Any]:
        return self._run(lambda: self.stream.drain())

    @property
    def response(self) -> GenerateResponse[Any]:
        return self.stream.response

    def drop(self) -> None:
        """Drop every reference, and let the loop take notice."""

        async def forget() -> None:
            self._events = self.stream = None
            for _ in range(5):
                await asyncio.sleep(0.01)

        self._run(forget)

    def break_loop(self, after: int) -> None:
        async def read() -> None:
            count = 0
            async for _ in self.stream:
                count += 1
                if count == after:
                    break
            for _ in range(5):
                await asyncio.sleep(0.01)

        self._run(read)

    def close(self) -> None:
        self._run(lambda: self.stream.close())

    def leave_with(self, after: int) -> None:
        async def read() -> None:
            async with self.stream as stream:
                self._events = stream.__aiter__()
                for _ in range(after):
                    await self._events.__anext__()

        self._run(read)


def in_background(function: Callable[[], Any]) -> Callable[[], Any]:
    """Run `function` in a thread; the returned function joins it and gives its result, or raises what it raised."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((True, function()))
        except BaseException as error:
            outcome.append((False, error))

    thread = threading.Thread(target=run)
    thread.start()

    def join(timeout: float = 5.0) -> Any:
        thread.join(timeout)
        assert not thread.is_alive(), "the call is still running"
        good, value = outcome[0]
        if not good:
            raise value
        return value

    return join
