"""Hooks: the outermost layer of a call, which tells the caller's functions what happens in it.

The rules. A callback is told before the reader of the stream gets the events it is told of. Each call is told of one
end: `on_end`, or `on_error` (with `Cancelled` where it was aborted or left early), never both. What a callback raises
is reported on the logger `polyvox.hooks` and harms nothing, unless `raise_errors` is asked for: then the call is ended,
its connection closed, and the exception raised as itself. A callback that is not given costs nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

from msgspec import Struct, structs

from polyvox.calls.facts import Fact
from polyvox.calls.generate import Call, Events
from polyvox.errors import Cancelled, ConfigError, PolyvoxError
from polyvox.io.base import Context
from polyvox.secrets import sanitize
from polyvox.types.events import (
    Event,
    PartEnd,
    PartStart,
    ReasoningDelta,
    StreamEnd,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    ToolDone,
    UsageUpdate,
)
from polyvox.types.fold import Fold
from polyvox.types.generate import GenerateRequest, GenerateResponse
from polyvox.types.parts import TextPart, ToolCall, ToolResult
from polyvox.types.usage import Usage

Told: TypeAlias = "Awaitable[None] | None"
"""What a callback gives back: nothing, or something to wait for where it is `async def`."""


class Callbacks(Struct, frozen=True, kw_only=True):
    """Functions that are told what happens in a call. Plain ones, or (for an `AsyncClient`) `async def`.

    - `on_start(event)`: the answer begins: a `StreamStart`.
    - `on_content(text, event)`, `on_reasoning(text, event)`: more text, more reasoning, with its delta. As in
      `stream.text`, the words of a refusal are no content. Of a whole answer each part comes as one text.
    - `on_tool_call(call)`: a whole `ToolCall`; `call.executed` says that the provider runs it itself.
    - `on_tool_result(result)`: a `ToolResult`, of a tool that we ran or that the provider ran.
    - `on_usage(usage)`: the totals so far.
    - `on_retry(fact)`: the call takes a turn: one of the structs of `polyvox.calls.facts`.
    - `on_error(error)`: the call failed, with a `PolyvoxError`; `error.retryable` says whether the same call may
      succeed later, `error.partial` what had arrived.
    - `on_end(response)`: the call is over; the whole `GenerateResponse` (not parsed: that comes later).
    """

    on_start: Callable[[StreamStart], Told] | None = None
    on_content: Callable[[str, TextDelta], Told] | None = None
    on_reasoning: Callable[[str, ReasoningDelta], Told] | None = None
    on_tool_call: Callable[[ToolCall], Told] | None = None
    on_tool_result: Callable[[ToolResult], Told] | None = None
    on_usage: Callable[[Usage], Told] | None = None
    on_retry: Callable[[Fact], Told] | None = None
    on_error: Callable[[PolyvoxError], Told] | None = None
    on_end: Callable[[GenerateResponse[Any]], Told] | None = None


def check_callbacks(callbacks: Callbacks | Sequence[Callbacks], asynchronous: bool) -> None:
    """Check what was given, when it is given. Raises `ConfigError` for what is no function, and for an `async def`
    one where nothing could await it."""
    for several in listed(callbacks):
        if not isinstance(several, Callbacks):
            raise ConfigError(f"callbacks are {several!r}: give a Callbacks, or a list of them")
        for name in Callbacks.__struct_fields__:
            callback = getattr(several, name)
            if callback is None:
                continue
            if not callable(callback):
                raise ConfigError(f"Callbacks({name}=…) is a {type(callback).__name__}: give a function")
            if not asynchronous and is_async(callback):
                raise ConfigError(f"Callbacks({name}=…) is async: a Client takes plain functions; use AsyncClient")


def is_async(function: object) -> bool:
    """Whether calling this gives something to be awaited: an `async def`, a partial of one, an object called so."""
    call = getattr(function, "__call__", None)  # noqa: B004 - asked for the method itself
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def listed(callbacks: Callbacks | Sequence[Callbacks]) -> tuple[Callbacks, ...]:
    """Return the callbacks as a tuple, whether one or several were given."""
    return (callbacks,) if isinstance(callbacks, Callbacks) else tuple(callbacks)


def hooked(inner: Call, callbacks: Callbacks | Sequence[Callbacks], *, raise_errors: bool = False) -> Call:
    """Return `inner`, telling each of `callbacks`, in order, what happens.

    With `raise_errors` an exception of a callback ends the call and is raised as itself.
    """
    given = listed(callbacks)
    table = {
        name: functions
        for name in Callbacks.__struct_fields__
        if (functions := tuple(function for several in given if (function := getattr(several, name)) is not None))
    }
    if not table:
        return inner
    plan = _plan(table)

    async def generate(context: Context, request: GenerateRequest) -> Events:
        before = context.notify
        listener = _Listener(plan, context, raise_errors=raise_errors)
        if plan.is_told_of_turns:
            context.notify = listener.notify
        failure: BaseException | None = None
        # The list with the end is handed on when the call is over and its last attempt accounted for, so that a reader
        # who stops at `StreamEnd` has left nothing undone. Decoders make it at the body's end: nobody waits for it.
        last: list[Event] = []
        try:
            lists = inner(context, request)
            try:
                async for events in lists:
                    if last:
                        yield last
                        last = []
                    await listener.take(events)
                    if events and type(events[-1]) is StreamEnd:
                        last = events
                    else:
                        yield events
                await listener.end()
            finally:
                await lists.aclose()
            if last:
                yield last
        except _RaisedError as raised:
            await listener.fail(raised.error, quiet=True)
            failure = raised.error
        except BaseException as error:
            # Nothing that a callback raises replaces the reader's own leaving.
            await listener.fail(error, quiet=not isinstance(error, Exception))
            raise
        finally:
            context.notify = before
        if failure is not None:
            raise failure

    return generate


class _RaisedError(Exception):
    """Carries what a callback raised past the layers that would take it for a failure of the call."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class _Listener:
    """What one call's callbacks are told."""

    __slots__ = (
        "_before",
        "_calls",
        "_context",
        "_fold",
        "_over",
        "_plan",
        "_raise_errors",
        "_refusals",
        "_started",
        "_table",
        "_usage",
        "_whole",
    )

    def __init__(self, plan: _Plan, context: Context, *, raise_errors: bool) -> None:
        self._plan = plan
        self._table = plan.table
        self._context = context
        self._before = context.notify
        self._raise_errors = raise_errors
        # What is put together of the answer, and the list that is a whole one: for that there is nothing to do.
        self._fold: Fold | None = None
        self._whole: list[Event] | None = None
        self._calls: dict[int, tuple[ToolCall, list[str]]] = {}
        self._refusals: set[int] = set()
        self._usage: Usage | None = None
        self._started = self._over = False

    async def take(self, events: list[Event]) -> None:
        """Tell of these events."""
        plan = self._plan
        if plan.folds:
            self._put_together(events)
        content, reasoning, others = plan.content, plan.reasoning, plan.others
        if not (content or reasoning or others):
            return
        for event in events:
            kind = type(event)
            if kind is TextDelta:
                if content and event.index not in self._refusals:  # type: ignore[union-attr]
                    for callback in content:
                        # One frame an event: this runs for each word of an answer.
                        try:
                            waiting = callback(event.text, event)  # type: ignore[union-attr]
                            if waiting is not None and inspect.isawaitable(waiting):
                                await waiting
                        except Exception as error:  # noqa: BLE001 - the caller's own code: anything may come
                            self._failed("on_content", error)
            elif kind is ReasoningDelta:
                if reasoning:
                    await self._tell("on_reasoning", event.text, event)  # type: ignore[union-attr]
            elif (tell := others.get(kind)) is not None:
                await tell(self, event)

    def _put_together(self, events: list[Event]) -> None:
        end = events[-1] if events else None
        whole = type(end) is StreamEnd and end.response is not None and type(events[0]) is StreamStart
        if whole and self._fold is None and self._whole is None:
            self._whole = events
            return
        if self._fold is None:
            self._fold = Fold()
            self._fold.feed(self._whole or ())
        self._fold.feed(events)

    async def end(self) -> None:
        """Tell of the end."""
        self._over = True
        if "on_end" in self._table:
            await self._tell("on_end", self._context.stamp(self._context, self._answer()))

    async def fail(self, error: BaseException, *, quiet: bool = False) -> None:
        """Tell of the failure, unless the end was told. `quiet`: what the callbacks raise is reported only."""
        if self._over:
            return
        self._over = True
        if "on_error" not in self._table:
            return
        if quiet:
            self._raise_errors = False
        told = self._as_told(error)
        if told.partial is None and self._context.first_event is not None:
            told.partial = self._context.stamp(self._context, self._answer())
        try:
            await self._tell("on_error", told)
        except _RaisedError as raised:
            raise raised.error from error

    def _answer(self) -> GenerateResponse[Any]:
        """Return the answer so far."""
        end = self._whole[-1] if self._whole else None
        if self._fold is None and type(end) is StreamEnd and end.response is not None:
            return end.response
        return GenerateResponse() if self._fold is None else self._fold.response

    def _as_told(self, error: BaseException) -> PolyvoxError:
        if isinstance(error, PolyvoxError):
            return error
        if isinstance(error, Exception):
            return PolyvoxError(sanitize(f"{type(error).__name__}: {error}", self._context.secrets))
        return Cancelled("the call was left before its end")

    async def notify(self, kind: str, fact: Any) -> None:
        """Take the facts that the layers below tell: the channel of `Context.notify`."""
        if self._before is not None:
            await self._before(kind, fact)
        await self._tell("on_retry", fact)

    async def _tell(self, name: str, *facts: Any) -> None:
        for callback in self._table[name]:
            try:
                waiting = callback(*facts)
                if waiting is not None and inspect.isawaitable(waiting):
                    await waiting
            except Exception as error:  # noqa: BLE001 - the caller's own code: anything may come
                self._failed(name, error)

    def _failed(self, name: str, error: Exception) -> None:
        if self._raise_errors:
            raise _RaisedError(error) from None
        import logging

        text = sanitize(f"{type(error).__name__}: {error}", self._context.secrets)
        logging.getLogger("polyvox.hooks").warning("the callback %s raised %s", name, text)

    async def _start(self, event: StreamStart) -> None:
        if not self._started:
            self._started = True
            await self._tell("on_start", event)

    async def _part_start(self, event: PartStart) -> None:
        part = event.part
        if isinstance(part, TextPart):
            # A run has several answers, and their parts the same numbers.
            (self._refusals.add if part.refusal else self._refusals.discard)(event.index)
        elif isinstance(part, ToolCall) and "on_tool_call" in self._table:
            self._calls[event.index] = (part, [])
        elif isinstance(part, ToolResult) and "on_tool_result" in self._table:
            await self._tell("on_tool_result", part)

    async def _arguments(self, event: ToolCallDelta) -> None:
        self._calls[event.index][1].append(event.arguments)

    async def _part_end(self, event: PartEnd) -> None:
        call, pieces = self._calls.pop(event.index, (None, []))
        if call is not None:
            arguments = "".join([call.arguments, *pieces])
            await self._tell("on_tool_call", structs.replace(call, arguments=arguments, meta=event.meta or call.meta))

    async def _tool_done(self, event: ToolDone) -> None:
        await self._tell("on_tool_result", event.result)

    async def _used(self, event: UsageUpdate | StreamEnd) -> None:
        usage = event.usage
        if usage is not None and usage is not self._usage and usage != self._usage and usage != _NOTHING:
            self._usage = usage
            await self._tell("on_usage", usage)


_NOTHING: Final = Usage()
_Table: TypeAlias = dict[str, tuple[Callable[..., Any], ...]]


class _Plan(Struct, frozen=True):
    """Who is told of what: worked out once for all calls.

    `folds`: whether somebody is given the answer, so that it must be put together.
    """

    table: _Table
    content: tuple[Callable[..., Any], ...]
    reasoning: tuple[Callable[..., Any], ...]
    others: dict[type[Any], Callable[[_Listener, Any], Awaitable[None]]]
    folds: bool
    is_told_of_turns: bool


def _plan(table: _Table) -> _Plan:
    """Return what is to be done with events; among the `others` nothing for those that nobody is told of."""
    wants = table.__contains__
    plan: dict[type[Any], Callable[[_Listener, Any], Awaitable[None]]] = {}
    if wants("on_start"):
        plan[StreamStart] = _Listener._start
    if wants("on_content") or wants("on_tool_call") or wants("on_tool_result"):
        plan[PartStart] = _Listener._part_start
    if wants("on_tool_call"):
        plan[ToolCallDelta] = _Listener._arguments
        plan[PartEnd] = _Listener._part_end
    if wants("on_tool_result"):
        plan[ToolDone] = _Listener._tool_done
    if wants("on_usage"):
        plan[UsageUpdate] = plan[StreamEnd] = _Listener._used
    return _Plan(
        table,
        table.get("on_content", ()),
        table.get("on_reasoning", ()),
        plan,
        folds=wants("on_error") or wants("on_end"),
        is_told_of_turns=wants("on_retry"),
    )


def joined(*given: Callbacks | Iterable[Callbacks] | None) -> tuple[Callbacks, ...]:
    """Return the callbacks of a client and of a call, in this order, as one list."""
    callbacks: list[Callbacks] = []
    for several in given:
        if several is not None:
            callbacks += (several,) if isinstance(several, Callbacks) else several
    return tuple(callbacks)
