"""The seam: everything Polyvox asks of the outside world, and the two ways to run what is written over it.

Everything above this module is ordinary `async def`. In async it runs on the event loop. In sync it runs on `drive` and
`iterate` below: the coroutines of a blocking `IO` never suspend (they block instead), so a single `send(None)` finishes
them, with no event loop and no thread. That is why nothing above may await anything but the seam.

The rules: no timeout scope ever stands round a `yield` (it would cancel the consumer's own code): limits are instants
that each read is given; after every read the cancel flag is looked at before the bytes, so that an abort never looks
like a clean end; state shared between calls is guarded by a `threading.Lock` that is never held over an `await`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar, cast

from msgspec import Struct, field, structs

from polyvox.errors import CallTimeoutError, Cancelled, Phase, PolyvoxError
from polyvox.secrets import Secret, sanitize
from polyvox.types.generate import GenerateResponse
from polyvox.types.models import Timeout
from polyvox.types.usage import Attempt, RateLimits

if TYPE_CHECKING:
    from polyvox.io.waiting import Lock

T = TypeVar("T")


class HttpRequest(Struct, frozen=True):
    """A request ready to be sent: the whole URL, signed headers, the body. Its repr masks nothing: never log it."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __repr__(self) -> str:
        return f"HttpRequest({self.method} …, {len(self.body)} bytes)"


class HttpResponse(Protocol):
    """The head of an answer, and its body as it comes."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers by lower-case name; repeated ones are joined by commas."""
        ...

    async def read(self, until: float | None) -> bytes:
        """Return the next bytes of the body as soon as there are any; `b""` at its end.

        Raises `CallTimeoutError` at the monotonic instant `until` (`None`: no limit), `InterruptedCallError` where the
        body broke off, `Cancelled` where the call was aborted.
        """
        ...


class IO(Protocol):
    """The whole seam. Two real ones (`AsyncIO`, `BlockingIO`), a double (`ScriptedIO`), and the local model's."""

    def open(self, request: HttpRequest, context: Context) -> AbstractAsyncContextManager[HttpResponse]:
        """Send the request; inside the `async with` the answer can be read; leaving it early shuts the connection.

        The limits in force are those of `context`: connecting obeys its connect limit, the rest its current limit.
        """
        ...

    async def sleep(self, seconds: float, context: Context | None = None) -> None:
        """Wait. With a context: wakes at once and raises `Cancelled` on an abort, or times out at its deadline."""
        ...

    def now(self) -> float:
        """Return the monotonic clock in seconds."""
        ...

    async def gather(self, calls: Iterable[Callable[[], Awaitable[T]]], limit: int | None = None) -> list[T]:
        """Run the calls, at most `limit` at once, and return their results in order.

        The first failure cancels the rest and is raised itself.
        """
        ...

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a blocking function: in a thread where there is an event loop, as a plain call where there is none."""
        ...

    def event(self) -> Signal:
        """Return something to wait for, which anyone may set."""
        ...

    def lock(self) -> Lock:
        """Return a lock that may be held over an `await`, handed on in the order it was asked for."""
        ...

    async def close(self) -> None:
        """Close pooled connections."""
        ...


class Signal(Protocol):
    """Something to wait for: `IO.event()`."""

    @property
    def is_set(self) -> bool:
        """Whether it was set."""
        ...

    def set(self) -> None:
        """Wake all who wait, and those who will; from any thread."""
        ...

    def clear(self) -> None:
        """Let the next `wait` wait again."""
        ...

    async def wait(self, context: Context | None = None) -> None:
        """Wait until it is set. With a context: raises `Cancelled` on an abort, times out at its deadline."""
        ...


class Cancel:
    """The abort of a call: `set()` from any thread or task. One handle may be given to many calls.

    Whoever can be woken registers a function with `add`; `set` calls each of them once, in the caller's thread.
    """

    __slots__ = ("_flag", "_leader", "_lock", "_wakers")

    def __init__(self) -> None:
        self._flag = False
        self._leader: Cancel | None = None
        self._lock = threading.Lock()
        self._wakers: dict[object, Callable[[], None]] = {}

    @property
    def is_set(self) -> bool:
        """Whether the abort was asked for."""
        return self._flag or (self._leader is not None and self._leader._flag)

    def set(self) -> None:
        """Abort: shut the sockets down, wake the sleepers, cancel the tasks. A second call does nothing."""
        with self._lock:
            if self._flag:
                return
            self._flag = True
            wakers = list(self._wakers.values())
            self._wakers.clear()
        for wake in wakers:
            wake()

    def add(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Register `wake` and return the function that takes it out again. Already set: `wake` is called at once.

        `wake` must not raise, block or take long: it runs in the thread of whoever aborts.
        """
        key = object()  # two registrations of one function are two entries
        with self._lock:
            if not self._flag:
                self._wakers[key] = wake

                def remove() -> None:
                    with self._lock:
                        self._wakers.pop(key, None)

                return remove
        wake()
        return lambda: None

    def follow(self, leader: Cancel) -> Callable[[], None]:
        """Be set when `leader` is, and return the function that ends that.

        `is_set` and `check` look at the leader itself: of several handles that follow it, none is late.
        """
        self._leader = leader
        remove = leader.add(self.set)

        def end() -> None:
            self._leader = None
            remove()

        return end

    def check(self) -> None:
        """Raise `Cancelled` if the abort was asked for."""
        if self._flag or (self._leader is not None and self._leader._flag):
            raise Cancelled("the call was aborted")


Stamp: TypeAlias = "Callable[[Context, GenerateResponse[Any]], GenerateResponse[Any]]"
"""Gives a folded answer its identity, timing and cost."""

Notify: TypeAlias = "Callable[[str, Any], Awaitable[None]]"
"""The channel to the hooks: the name of what happened (`retry`, `fallback` …) and a struct with the facts."""


def no_stamp(context: Context, response: GenerateResponse[Any]) -> GenerateResponse[Any]:
    """Return the answer as it is: no call has begun to answer."""
    return response


class Context:
    """One mutable object a call: what every layer of it shares.

    `deadline` is the monotonic instant of `timeout.total`, shared by retries, fallbacks and tool loops. `secrets` are
    those of the call, for the sanitiser. `attempts` grows by one a request sent. `await notify(kind, fact)` tells the
    hooks; `None` where there are none. The limit now in force is (`until`, `phase`).
    """

    __slots__ = (
        "attempts",
        "cancel",
        "connected",
        "deadline",
        "endpoint",
        "first_event",
        "io",
        "notify",
        "phase",
        "rate_limits",
        "request_id",
        "secrets",
        "stamp",
        "started",
        "timeout",
        "until",
    )

    def __init__(
        self,
        io: IO,
        timeout: Timeout | None = None,
        cancel: Cancel | None = None,
        notify: Notify | None = None,
    ) -> None:
        self.io = io
        self.timeout = timeout or Timeout()
        self.cancel = cancel or Cancel()
        self.notify = notify
        self.attempts: list[Attempt] = []
        self.secrets: list[Secret] = []
        self.started = 0.0
        self.deadline: float | None = None
        self.connected: float | None = None
        self.first_event: float | None = None
        # Which of several keys or endpoints the next request goes to, and what the head of the last answer said.
        self.endpoint: str | None = None
        self.request_id: str | None = None
        self.rate_limits: RateLimits | None = None
        # Set by the call whose answer is being read. It is given the context, and so need not hold it: a ring of
        # references in every call would leave the garbage collector more work than the call itself.
        self.stamp: Stamp = no_stamp
        self.until: float | None = None
        self.phase: Phase = "total"
        self.start()

    def start(self) -> None:
        """Let the clock of the call begin now: a stream may be made long before it is read."""
        self.started = self.io.now()
        total = self.timeout.total
        self.deadline = None if total is None else self.started + total
        self.until, self.phase = self.deadline, "total"

    def branch(self, *, seconds: float | None = None) -> Context:
        """Return a context for work beside the call: with its deadline, secrets, attempts and hooks, and its own abort.

        The call's abort must reach the branch: `context.cancel.add(branch.cancel.set)`, taken out again at its end.
        `seconds` sets an earlier deadline for the branch alone.
        """
        branch = Context(self.io, self.timeout, Cancel(), self.notify)
        branch.started, branch.attempts, branch.secrets = self.started, self.attempts, self.secrets
        branch.deadline = self.deadline
        if seconds is not None:
            end = self.io.now() + seconds
            if self.deadline is None or end < self.deadline:
                # What passes then is this limit, and the error says so.
                branch.deadline, branch.timeout = end, structs.replace(self.timeout, total=seconds)
        branch.until, branch.phase = branch.deadline, "total"
        return branch

    def adopt(self, branch: Context) -> None:
        """Go on as that branch: its answer is the call's answer. Its abort stays linked to the call's by the caller."""
        self.connected, self.first_event, self.stamp = branch.connected, branch.first_event, branch.stamp
        self.endpoint, self.request_id, self.rate_limits = branch.endpoint, branch.request_id, branch.rate_limits

    def limit(self, phase: Phase, seconds: float | None) -> None:
        """Put a new limit in force from now on: `seconds` for `phase`, or the deadline where that comes first."""
        until = None if seconds is None else self.io.now() + seconds
        if self.deadline is not None and (until is None or self.deadline <= until):
            self.until, self.phase = self.deadline, "total"
        else:
            self.until, self.phase = until, phase

    def remaining(self) -> float | None:
        """Return the seconds left of the limit in force (never below 0), `None` where there is none."""
        return None if self.until is None else max(0.0, self.until - self.io.now())

    def check(self) -> None:
        """Raise `Cancelled` or `CallTimeoutError` where the call may not go on. The abort is looked at first."""
        self.cancel.check()
        if self.until is not None and self.io.now() >= self.until:
            raise self.timed_out()

    def timed_out(self) -> CallTimeoutError:
        """Return the error for the limit in force."""
        return CallTimeoutError(timeout_message(self.phase, self.timeout), phase=self.phase)


def timeout_message(phase: Phase, timeout: Timeout) -> str:
    """Return the sentence that says which limit passed, and which setting moves it."""
    seconds = getattr(timeout, phase)
    what = {
        "connect": "no connection was made",
        "first_event": "the provider sent no answer",
        "idle": "the answer fell silent",
        "total": "the call was not done",
    }[phase]
    return f"{what} within {seconds:g} s; Timeout({phase}=…) sets this limit"


def sanitized_cause(error: BaseException, known: Iterable[Secret | str] = ()) -> Exception:
    """Return a stand-in for a transport library's exception, to be the `__cause__` of ours.

    The exceptions of HTTP libraries hold request objects with signed headers, and proxies with passwords; a stand-in
    holds the kind and the sanitised text of each link of the chain, and no frames.
    """
    links: list[str] = []
    link: BaseException | None = error
    while link is not None and len(links) < 4:
        line = f"{type(link).__name__}: {link}".rstrip(": ")
        if not any(line in other or str(link) in other for other in links):
            links.append(line)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return OSError(sanitize(" <- ".join(links), known))


def timed_out_total(context: Context) -> CallTimeoutError:
    """Return the error for the deadline of the whole call, whatever limit is in force."""
    return CallTimeoutError(timeout_message("total", context.timeout), phase="total")


SUSPENDED: Final = "a blocking call suspended: Client takes plain functions only; AsyncClient takes async ones"


def _step(start: Callable[[], Any]) -> Any:
    """Finish the awaitable that `start` makes, in one step, outside of any event loop's knowledge.

    asyncio's asyncgen hooks are taken out meanwhile: they are read when a generator is first iterated, and an event
    loop that knew of ours would close it at its own end, and would put off to a task (which nobody may ever run) the
    closing of one that is dropped. With none, the interpreter closes a dropped generator at once, in place.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        awaitable = start()
        try:
            awaitable.send(None)
        except StopIteration as stop:
            return stop.value
        # It suspended. The error is thrown in where it waits, so that its `finally` blocks run.
        with suppress(StopIteration):
            awaitable.throw(PolyvoxError(SUSPENDED))
        awaitable.close()
    finally:
        sys.set_asyncgen_hooks(*hooks)
    raise PolyvoxError(SUSPENDED)


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine over a blocking `IO` to its end. It must not suspend: that would be a fault of ours."""
    return cast(T, _step(lambda: coroutine))


def iterate(generator: AsyncGenerator[T, None]) -> Generator[T, None, None]:
    """Iterate an async generator over a blocking `IO`. Leaving the loop early closes it, in `finally`."""
    try:
        while True:
            try:
                item = _step(generator.__anext__)
            except StopAsyncIteration:
                return
            yield item
    finally:
        _step(generator.aclose)
