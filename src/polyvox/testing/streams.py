"""Streams without a provider: `Stream` and `AsyncStream` objects that play a script.

For programs that read streams, and for queues. The rule: they are the real streams over a call that is made up: aborts,
limits, partial answers and closing are those of a provider's.

    stream = scripted_stream("Why is the sky blue?")
    stream = scripted_stream(["Hel", Pause(2), "lo", OverloadedError("full")])
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from msgspec import structs

from polyvox.auth.keys import NoAuth
from polyvox.calls.generate import Call, Events
from polyvox.client.engine import Job
from polyvox.client.streams import AsyncStream, Stream
from polyvox.errors import PolyvoxError
from polyvox.io.base import IO, Cancel, Context
from polyvox.io.scripted import Pause, ScriptedIO
from polyvox.providers.base import Endpoint
from polyvox.registry.target import Target, find_dialect
from polyvox.types.events import Event, PartEnd, PartStart, StreamEnd, StreamStart, TextDelta
from polyvox.types.fold import unfold
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.models import Timeout
from polyvox.types.parts import TextPart
from polyvox.types.usage import Attempt, Timing

Step: TypeAlias = str | Event | list[Event] | Pause | Exception | Callable[[], Any]
"""What happens next: more text, an event, a list of events that come together, a silence, an error, or a function to
call (for an async stream it may be `async def`)."""

Script: TypeAlias = str | GenerateResponse[Any] | Iterable[Step]
"""A text comes word by word, an answer event by event; nothing at all is an empty answer."""


def scripted_stream(
    script: Script = (),
    *,
    io: IO | None = None,
    timeout: Timeout | None = None,
    cancel: Cancel | None = None,
    output: Any = None,
) -> Stream[Any]:
    """Return a stream that plays `script`, as `Client.stream` would give one.

    What the grammar needs around the steps (start, parts round the text, end) is added where the script has none. `io`
    is the clock by which pauses pass: a `ScriptedIO` of its own where none is given, in which they take no time.
    `timeout`, `cancel` and `output` are those of a call.
    """
    return Stream(_job(script, io, timeout, cancel, output))


def scripted_async_stream(
    script: Script = (),
    *,
    io: IO | None = None,
    timeout: Timeout | None = None,
    cancel: Cancel | None = None,
    output: Any = None,
) -> AsyncStream[Any]:
    """Return an async stream that plays `script`, as `AsyncClient.stream` would give one; see `scripted_stream`.

    With the `ScriptedIO` of the default nothing suspends: give `io=AsyncIO()` where other tasks are to run in pauses.
    """
    return AsyncStream(_job(script, io, timeout, cancel, output))


def _job(script: Script, io: IO | None, timeout: Timeout | None, cancel: Cancel | None, output: Any) -> Job:
    target = Target(
        provider="scripted",
        model="script",
        dialect=find_dialect("openai"),
        endpoint=Endpoint("openai"),
        quirks=None,
        base_url="",
        headers={},
        auth=NoAuth(),
        io="http",
        emulate=(),
        timeout=timeout or Timeout(),
        options={},
    )
    request = GenerateRequest(model="script", messages=())
    return Job(target, _played(_steps(script), target), request, target.timeout, cancel, output, io or ScriptedIO())


def _steps(script: Script) -> list[Step]:
    if isinstance(script, str):
        return list(re.findall(r"\s*\S+\s*$|\s*\S+|\s+", script))
    if isinstance(script, GenerateResponse):
        *events, end = unfold(script)
        assert isinstance(end, StreamEnd)
        return [*events, structs.replace(end, response=None)]
    return list(script)


def _played(steps: list[Step], target: Target) -> Call:
    async def generate(context: Context, request: GenerateRequest) -> Events:
        attempt = Attempt(target.provider, target.model, context.io.now() - context.started)
        context.attempts.append(attempt)
        context.stamp = _stamp
        writer = _Writer()
        try:
            context.check()
            context.connected = context.io.now()
            context.limit("first_event", context.timeout.first_event)
            for step in steps:
                events = await _play(step, writer, context)
                if events:
                    context.first_event = context.io.now() if context.first_event is None else context.first_event
                    yield events
                    context.limit("idle", context.timeout.idle)
            if rest := writer.end():
                yield rest
        except PolyvoxError as error:
            error.provider, error.model = error.provider or target.provider, error.model or target.model
            attempt = structs.replace(attempt, error=type(error).__name__)
            raise
        finally:
            context.attempts[-1] = structs.replace(
                attempt, seconds=context.io.now() - context.started - attempt.started
            )

    return generate


async def _play(step: Step, writer: _Writer, context: Context) -> list[Event]:
    context.cancel.check()
    if callable(step):
        waiting = step()
        if inspect.isawaitable(waiting):
            await waiting
        context.cancel.check()
        return []
    match step:
        case str():
            return writer.text(step)
        case Pause():
            await _pause(step.seconds, context)
        case Exception():
            raise step
        case list():
            return writer.events(step)
        case _:
            return writer.events([step])
    return []


async def _pause(seconds: float, context: Context) -> None:
    """Be silent, as long as the limit in force allows."""
    left = context.remaining()
    if left is None or seconds < left:
        await context.io.sleep(seconds, context)
        return
    phase = context.phase
    await context.io.sleep(left, context)
    context.phase = phase
    raise context.timed_out()


def _stamp(context: Context, answer: GenerateResponse[Any]) -> GenerateResponse[Any]:
    now = context.io.now()
    return structs.replace(
        answer,
        provider=answer.provider or "scripted",
        origin=answer.origin or "scripted/script",
        attempts=tuple(context.attempts),
        timing=Timing(
            connect=None if context.connected is None else context.connected - context.started,
            first_event=None if context.first_event is None else context.first_event - context.started,
            total=now - context.started,
        ),
    )


class _Writer:
    """Adds what the grammar needs and the script leaves out."""

    def __init__(self) -> None:
        self._started = self._ended = False
        self._next = 0
        self._open: int | None = None  # the text part that we opened

    def text(self, text: str) -> list[Event]:
        """Return the events for more text."""
        made = self._start()
        if self._open is None:
            self._open, self._next = self._next, self._next + 1
            made.append(PartStart(self._open, TextPart("")))
        return [*made, TextDelta(self._open, text)]

    def events(self, given: list[Event]) -> list[Event]:
        """Return these events, with what must stand before them."""
        made: list[Event] = []
        for event in given:
            if isinstance(event, StreamStart):
                self._started = True
            elif isinstance(event, StreamEnd):
                made += [*self._start(), *self._close()]
                self._ended = True
            else:
                made += self._start()
            if isinstance(event, PartStart):
                made += self._close()
                self._next = event.index + 1
            made.append(event)
        return made

    def end(self) -> list[Event]:
        """Return the events that end the answer."""
        if self._ended:
            return []
        return [*self._start(), *self._close(), StreamEnd(Finish("stop"))]

    def _start(self) -> list[Event]:
        started, self._started = self._started, True
        return [] if started else [StreamStart(model="script", provider="scripted")]

    def _close(self) -> list[Event]:
        index, self._open = self._open, None
        return [] if index is None else [PartEnd(index)]
