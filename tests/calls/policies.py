"""What the tests of policies share: both seams in turn, the chat wire's own call, and doubles of a call."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextlib import aclosing
from typing import Any, TypeVar

from polyvox.calls.generate import Call, Events, call
from polyvox.io.aio import AsyncIO
from polyvox.io.base import IO, Cancel, Context, drive
from polyvox.io.blocking import BlockingIO
from polyvox.registry.config import Config, ProviderConfig
from polyvox.registry.target import Registry, Target
from polyvox.types.events import Event, PartEnd, PartStart, StreamEnd, StreamStart, TextDelta
from polyvox.types.fold import Fold
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.messages import user
from polyvox.types.models import Timeout
from polyvox.types.parts import TextPart
from polyvox.types.usage import Attempt, Usage

T = TypeVar("T")

REQUEST = GenerateRequest(model="m", messages=(user("hi there"),))
START: list[Event] = [StreamStart("id", "m", "p")]
HELLO: list[Event] = [PartStart(0, TextPart("")), TextDelta(0, "Hello"), PartEnd(0)]


def end(usage: Usage | None = None) -> list[Event]:
    return [StreamEnd(Finish("stop"), usage)]


ANSWER: list[list[Event]] = [START, HELLO, end(Usage(input_tokens=3, output_tokens=2))]


class Seam:
    """One of the two real seams, and the way to run what is written over it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.io: IO = BlockingIO() if kind == "sync" else AsyncIO()

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run to the end, close the pool, and see that no task and no thread is left."""
        threads = set(threading.enumerate())

        async def closing() -> T:
            try:
                return await main()
            finally:
                await self.io.close()
                if self.kind == "async":
                    await asyncio.sleep(0)
                    others = asyncio.all_tasks() - {asyncio.current_task()}
                    assert not others, others

        result = drive(closing()) if self.kind == "sync" else asyncio.run(closing())
        left = {thread for thread in set(threading.enumerate()) - threads if thread.name.startswith("polyvox")}
        assert not left, left
        return result

    def context(self, timeout: Timeout | None = None, cancel: Cancel | None = None, notify: Any = None) -> Context:
        return Context(self.io, timeout, cancel, notify)


def target(url: str, model: str = "m") -> Target:
    config = Config(providers={"lab": ProviderConfig(base_url=url)})
    return Registry(config).resolve(f"lab/{model}")


def wire_call(url: str, *, stream: bool = True) -> Call:
    """The chat wire's call to a server."""
    return call(target(url), stream=stream)


async def read(inner: Call, context: Context, request: GenerateRequest = REQUEST) -> GenerateResponse[Any]:
    """Read to the end and return the stamped answer."""
    fold = Fold()
    async with aclosing(inner(context, request)) as lists:
        async for events in lists:
            fold.feed(events)
    return context.stamp(context, fold.response)


class Double:
    """A call that hands on lists, raises errors, waits and calls functions as told, and counts itself.

    `started` is how often it was begun, `open` how many are under way. One `Double` may have a script for each start.
    """

    def __init__(self, *steps: Any, connected: bool = True) -> None:
        self.scripts: list[tuple[Any, ...]] = [steps]
        self.connected = connected
        self.started = self.open = self.most = 0
        self._lock = threading.Lock()

    @classmethod
    def of(cls, *scripts: Iterable[Any]) -> Double:
        double = cls()
        double.scripts = [tuple(script) for script in scripts]
        return double

    async def __call__(self, context: Context, request: GenerateRequest) -> Events:
        with self._lock:
            steps = self.scripts[min(self.started, len(self.scripts) - 1)]
            self.started += 1
            self.open += 1
            self.most = max(self.most, self.open)
        io = context.io
        if self.connected:
            attempt = Attempt("p", request.model, io.now() - context.started, endpoint=context.endpoint)
            context.attempts.append(attempt)
        try:
            context.check()
            for step in steps:
                if isinstance(step, BaseException):
                    raise step
                if isinstance(step, int | float):
                    await io.sleep(step, context)
                elif callable(step):
                    made = step(context)
                    if isinstance(made, Awaitable):
                        await made
                else:
                    context.connected = io.now()
                    context.first_event = context.first_event or io.now()
                    yield list(step)
        finally:
            with self._lock:
                self.open -= 1


def wait_until(condition: Callable[[], Any], seconds: float = 3.0) -> None:
    """Wait, in the test's own thread, until something is so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came to be"
        time.sleep(0.005)


def lists(generator: AsyncGenerator[list[Event], None]) -> Any:
    """Hold a generator that is read step by step."""
    return aclosing(generator)
