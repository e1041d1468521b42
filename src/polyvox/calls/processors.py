"""Processors: the caller's own functions on the request before a call, and on the events after it.

The rules. What a processor changes wins: the whole answer is put together again from the processed events, and its
identity kept. A machine is started for each answer, so that what it remembers is one answer's. What it holds back is
handed on before the end, and before an error. What a processor raises ends the call, its connection closed: an error of
ours as it is, any other as a `ConfigError` with the original as its cause.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final, Protocol, TypeAlias

from msgspec import structs

from polyvox.calls.generate import Call, Events
from polyvox.calls.hooks import is_async
from polyvox.calls.texts import EventMachine, rebuild, without_response
from polyvox.errors import ConfigError, PolyvoxError
from polyvox.io.base import Context, sanitized_cause
from polyvox.secrets import sanitize
from polyvox.types.events import Event, StreamEnd, StreamStart
from polyvox.types.generate import GenerateRequest

PreProcessor: TypeAlias = Callable[[GenerateRequest], "GenerateRequest | Awaitable[GenerateRequest]"]
"""A function, request → request: plain, or (for an `AsyncClient`) `async def`. Requests are frozen: give a new one."""


class PostProcessor(EventMachine, Protocol):
    """A machine for the events of one answer.

    `feed` gets each list of events and returns those to hand on instead; `close` is called once, after the list that
    holds `StreamEnd` or when the answer breaks off, and what it returns is placed before the end. Both keep the grammar
    of `polyvox.types.events`, and `StreamEnd` passes. `StreamEnd.response` is `None` here: a whole answer is built anew
    from what the last processor returns. A method `whole(response)`, where there is one, is given that answer last.
    """


class PostSettings(Protocol):
    """Settings of a post-processor that start a machine for each answer, as `ThinkTags`, `Redact`, `Coalesce` do."""

    def start(self, context: Context) -> EventMachine:
        """Return a machine for one answer."""
        ...


PostFactory: TypeAlias = PostSettings | Callable[[], EventMachine] | Callable[[list[Event]], list[Event]]
"""What makes post-processors: settings with `start`, a class or function without arguments, or (for what remembers
nothing) simply a function, events → events."""

_Start: TypeAlias = Callable[[Context], EventMachine]


def check_processors(pre: Sequence[PreProcessor], post: Sequence[PostFactory], asynchronous: bool) -> None:
    """Check what was given, when it is given. Raises `ConfigError`."""
    for function in pre:
        if not callable(function):
            raise ConfigError(f"pre: {function!r} is no function, request → request")
        if not asynchronous and is_async(function):
            raise ConfigError(f"pre: {_name(function)} is async: a Client takes plain functions; use AsyncClient")
    for factory in post:
        _starter(factory)


def processed(inner: Call, pre: Sequence[PreProcessor], post: Sequence[PostFactory]) -> Call:
    """Return `inner` with each of `pre` called on the request, and each of `post` on the events, in the order given."""
    if not pre and not post:
        return inner
    starters = [(_name(factory), _starter(factory)) for factory in post]

    async def generate(context: Context, request: GenerateRequest) -> Events:
        for function in pre:
            request = await _prepared(context, function, request)
        if not starters:
            async with aclosing(inner(context, request)) as lists:
                async for events in lists:
                    yield events
            return
        line = _Line(starters, context)
        failure: PolyvoxError | _FailedError | None = None
        try:
            async with aclosing(inner(context, request)) as lists:
                async for events in lists:
                    made = line.feed(events)
                    if made:
                        yield made
        except (PolyvoxError, _FailedError) as error:
            failure = error
        if not isinstance(failure, _FailedError):
            rest = line.close(failure)
            if rest:
                yield rest
        if failure is not None:
            # Outside of the `except`: what the caller's code raised may hold a secret, and would hang on it.
            raise failure.error if isinstance(failure, _FailedError) else failure

    return generate


async def _prepared(context: Context, function: PreProcessor, request: GenerateRequest) -> GenerateRequest:
    try:
        given = function(request)
        made = await given if inspect.isawaitable(given) else given
    except PolyvoxError:
        raise
    except Exception as error:  # noqa: BLE001 - the caller's own code: anything may come
        refusal = _refusal(context, _name(function), error)
        refusal.__cause__ = _cause(context, error)
    else:
        if not isinstance(made, GenerateRequest):
            raise ConfigError(f"the processor {_name(function)} returned {type(made).__name__}: give a GenerateRequest")
        return made
    raise refusal  # outside of the `except`, as above


class _FailedError(Exception):
    """Tells a processor's failure from the call's."""

    def __init__(self, error: PolyvoxError) -> None:
        super().__init__()
        self.error = error


class _Line:
    """The machines of one call, one behind the other."""

    def __init__(self, starters: list[tuple[str, _Start]], context: Context) -> None:
        self._starters = starters
        self._context = context
        self._machines: list[tuple[str, EventMachine]] | None = None

    def feed(self, events: list[Event]) -> list[Event]:
        """Return what the machines make of these events."""
        if self._machines is None:
            self._machines = [(name, self._start(name, start)) for name, start in self._starters]
        last = events[-1] if events else None
        if type(last) is not StreamEnd:
            for name, machine in self._machines:
                events = self._made(name, machine.feed, events)
                if not events:
                    break
            return events
        return self._end(events, self._machines)

    def _end(self, events: list[Event], machines: list[tuple[str, EventMachine]]) -> list[Event]:
        """Feed the list that ends the answer; what machines held back goes before the end."""
        self._machines = None  # an answer after this one, in a run, gets machines of its own
        events, whole = without_response(events)
        for name, machine in machines:
            made = self._made(name, machine.feed, events)
            rest = self._made(name, machine.close)
            if not made or type(made[-1]) is not StreamEnd:
                raise _FailedError(ConfigError(f"the processor {name} kept StreamEnd back: it must pass as the last"))
            events = [*made[:-1], *rest, made[-1]] if rest else made
        end = events[-1]
        if whole is not None and type(end) is StreamEnd and end.response is None:
            first = events[0]
            if type(first) is not StreamStart:
                raise _FailedError(ConfigError("a processor kept StreamStart back: it must pass as the first"))
            whole = rebuild(whole, events)
            for name, machine in machines:
                finish = getattr(machine, "whole", None)
                whole = whole if finish is None else self._run(name, finish, whole)
            events[-1] = structs.replace(end, response=whole)
        return events

    def close(self, failure: PolyvoxError | None) -> list[Event]:
        """Return what is held back of an answer that ended without its end, or with that failure."""
        made: list[Event] = []
        machines, self._machines = self._machines or [], None
        own: PolyvoxError | None = None
        try:
            for name, machine in machines:
                made = self._made(name, machine.feed, made) if made else made
                made = [*made, *self._made(name, machine.close)]
        except _FailedError as failed:
            own = failed.error
        if own is not None:
            if failure is None:
                raise own
            failure.add_note(f"Then, too: {own.message}")
        return made

    def _start(self, name: str, start: _Start) -> EventMachine:
        machine: EventMachine = self._run(name, start, self._context)
        if not all(hasattr(machine, method) for method in _MACHINE):
            raise _FailedError(ConfigError(f"the processor {name} made {type(machine).__name__}: no feed, no close"))
        return machine

    def _made(self, name: str, function: Callable[..., list[Event]], *given: list[Event]) -> list[Event]:
        made: Any = self._run(name, function, *given)
        if not isinstance(made, list):
            raise _FailedError(ConfigError(f"the processor {name} returned {type(made).__name__}: give a list"))
        return made

    def _run(self, name: str, function: Callable[..., Any], *given: Any) -> Any:
        try:
            return function(*given)
        except PolyvoxError as error:
            raise _FailedError(error) from None
        except Exception as error:  # noqa: BLE001 - the caller's own code: anything may come
            refusal = _refusal(self._context, name, error)
            refusal.__cause__ = _cause(self._context, error)
            raise _FailedError(refusal) from None


def _refusal(context: Context, name: str, error: Exception) -> ConfigError:
    said = sanitize(f"{type(error).__name__}: {error}", context.secrets)
    return ConfigError(f"the processor {name} raised {said}")


def _cause(context: Context, error: Exception) -> Exception:
    """Return the caller's own exception, traceback and all, unless a secret stands in its text."""
    text = str(error)
    return error if sanitize(text, context.secrets) == text else sanitized_cause(error, context.secrets)


class _Function:
    """A post-processor that remembers nothing."""

    def __init__(self, function: Callable[[list[Event]], list[Event]]) -> None:
        self._function = function

    def feed(self, events: list[Event]) -> list[Event]:
        """Return what the function makes of these events."""
        return self._function(events)

    def close(self) -> list[Event]:
        """Return nothing: nothing is held back."""
        return []


_MACHINE: Final = ("feed", "close")


def _starter(factory: Any) -> _Start:
    """Return what starts a machine. Raises `ConfigError` for what cannot."""
    name = _name(factory)
    if hasattr(factory, "start") and not isinstance(factory, type):
        start: _Start = factory.start
        return start
    if all(hasattr(factory, method) for method in _MACHINE) and not isinstance(factory, type):
        raise ConfigError(f"post: {name} is a machine, and remembers: give its class, or a function that makes one")
    if not callable(factory):
        raise ConfigError(f"post: {name} is no processor: give a class, or a function, events → events")
    if is_async(factory):
        raise ConfigError(f"post: {name} is async: events are processed by plain functions")
    make: Callable[..., Any] = factory
    if isinstance(factory, type) or not _takes_events(factory, name):
        return lambda context: make()
    return lambda context: _Function(make)


def _takes_events(function: Callable[..., Any], name: str) -> bool:
    """Whether a function is to be given events; one without arguments makes a machine."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise ConfigError(f"post: {name} does not say what it takes: wrap it in a function, events → events") from None
    return any(
        parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD) for parameter in parameters
    )


def _name(given: Any) -> str:
    named = getattr(given, "func", given)  # of a partial, the function's name
    return getattr(named, "__qualname__", None) or type(named).__qualname__
