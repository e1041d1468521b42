"""A double of the seam: answers are data, time is a number that moves only when something waits.

For tests, ours and users': a stream that stalls for ten minutes takes no time, and every limit fires at its exact
instant. Nothing suspends, so it serves `Client` and `AsyncClient` alike. The rule: it obeys the contract of `IO` to the
letter (limits, abort before bytes, closing), or a test over it would prove nothing.

    io = ScriptedIO([Answer(body=[b"data: 1\n\n", Pause(700), b"data: 2\n\n"]), ConnectError("refused")])
    client = Client(io=io, ...)
    io.requests, io.exchanges[0].closed, io.now()
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

from msgspec import Struct, field

from polyvox.errors import InterruptedCallError, PolyvoxError
from polyvox.io.base import Context, HttpRequest, timed_out_total
from polyvox.io.waiting import Lock

T = TypeVar("T")


class Pause(Struct, frozen=True):
    """Seconds of silence."""

    seconds: float


Piece: TypeAlias = bytes | Pause | Exception | Callable[[], Any]
"""A piece of a body: bytes, a silence, an error to raise, or a function to call when it is reached (`cancel.set`)."""


class Answer(Struct, frozen=True):
    """What one request gets.

    `connect` and `head` happen before the connection stands and before the head is there, in order: silences, errors to
    raise, functions to call. `body` is read piece by piece; after its last piece it has ended.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Sequence[Piece] = ()
    connect: Sequence[Pause | Exception | Callable[[], Any]] = ()
    head: Sequence[Pause | Exception | Callable[[], Any]] = ()


Script: TypeAlias = Answer | Exception | Callable[[HttpRequest], Answer | Exception]
"""An answer, an error to raise instead of connecting, or a function that chooses by the request."""


class Clock:
    """A clock that stands still until it is moved. One clock may serve several `ScriptedIO`."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.now += seconds

    def move_to(self, instant: float) -> None:
        """Let time pass until `instant`; time never goes back."""
        self.now = max(self.now, instant)


class Exchange:
    """One request that was opened: what was asked, what it got, and how far it came.

    `opened` and `closed` are instants of the clock, `None` while it has not come to that; `complete` says whether the
    body was read to its end, `sent` is what of it was handed over.
    """

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.answer: Answer | None = None
        self.opened: float | None = None
        self.closed: float | None = None
        self.complete = False
        self.sent = 0


class ScriptedIO:
    """The seam over a script. `answers` are given in order, one a request; a single function answers every request.

    `requests` are those sent so far; `exchanges` say what became of each; `open_count` is how many answers are open.
    """

    def __init__(
        self,
        answers: Iterable[Script] | Callable[[HttpRequest], Answer | Exception] = (),
        *,
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.exchanges: list[Exchange] = []
        self.closed = False
        self._every = answers if callable(answers) else None
        self._answers = iter(()) if callable(answers) else iter(answers)

    @property
    def requests(self) -> list[HttpRequest]:
        """The requests in the order they were sent."""
        return [exchange.request for exchange in self.exchanges]

    @property
    def open_count(self) -> int:
        """How many answers are open now."""
        return sum(exchange.opened is not None and exchange.closed is None for exchange in self.exchanges)

    def open(self, request: HttpRequest, context: Context) -> ScriptedResponse:
        """Take the next answer; see `IO.open`."""
        return ScriptedResponse(self, request, context)

    async def sleep(self, seconds: float, context: Context | None = None) -> None:
        """Move the clock; see `IO.sleep`."""
        if context is not None:
            context.cancel.check()
            if context.deadline is not None and self.clock.now + seconds > context.deadline:
                self.clock.move_to(context.deadline)
                raise timed_out_total(context)
        self.clock.advance(seconds)

    def now(self) -> float:
        """Return the scripted clock."""
        return self.clock.now

    async def gather(self, calls: Iterable[Callable[[], Awaitable[T]]], limit: int | None = None) -> list[T]:
        """Run the calls one after another: in a script nothing happens at once."""
        return [await call() for call in calls]

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a blocking function: a plain call."""
        return function(*arguments)

    def event(self) -> ScriptedSignal:
        """Return something to wait for; see `IO.event`."""
        return ScriptedSignal(self)

    def lock(self) -> Lock:
        """Return a lock; see `IO.lock`."""
        return Lock(self.event)

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    def take(self, request: HttpRequest) -> Answer:
        """Return the answer that comes next in the script."""
        script: Script | None = self._every or next(self._answers, None)
        if script is None:
            raise PolyvoxError(f"the script has no answer left for request {len(self.exchanges)} ({request.method})")
        if not isinstance(script, (Answer, Exception)):
            script = script(request)
        if isinstance(script, Exception):
            return Answer(connect=[script])
        return script


class ScriptedSignal:
    """Something to wait for where nothing happens at once: a wait for what is not set lasts until the deadline."""

    def __init__(self, io: ScriptedIO) -> None:
        self._io = io
        self.is_set = False

    def set(self) -> None:
        """Let waits end at once."""
        self.is_set = True

    def clear(self) -> None:
        """Let the next `wait` wait again."""
        self.is_set = False

    async def wait(self, context: Context | None = None) -> None:
        """Wait; see `Signal.wait`. Raises `PolyvoxError` for a wait that nothing could ever end."""
        if context is not None:
            context.cancel.check()
        if self.is_set:
            return
        if context is None or context.deadline is None:
            raise PolyvoxError("the script waits for an event that nothing is left to set")
        self._io.clock.move_to(context.deadline)
        raise timed_out_total(context)


class ScriptedResponse:
    """The async context manager of one request, and within it the response."""

    def __init__(self, io: ScriptedIO, request: HttpRequest, context: Context) -> None:
        self._io = io
        self._context = context
        self._exchange = Exchange(request)
        self._pieces: list[Piece] = []
        self.status = 0
        self.headers: Mapping[str, str] = {}

    async def __aenter__(self) -> ScriptedResponse:
        context, exchange = self._context, self._exchange
        context.cancel.check()
        context.limit("connect", context.timeout.connect)
        context.check()
        self._io.exchanges.append(exchange)
        answer = exchange.answer = self._io.take(exchange.request)
        self._play(answer.connect)
        context.connected = self._io.now()
        context.limit("first_event", context.timeout.first_event)
        self._play(answer.head)
        self.status = answer.status
        self.headers = {name.lower(): value for name, value in answer.headers.items()}
        self._pieces = list(reversed(answer.body))
        exchange.opened = self._io.now()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._exchange.closed is None:
            self._exchange.closed = self._io.now()

    async def read(self, until: float | None) -> bytes:
        """Return the next piece; see `HttpResponse.read`."""
        context, exchange = self._context, self._exchange
        context.cancel.check()
        if exchange.closed is not None:
            raise InterruptedCallError("the answer was closed: read it within its `async with`")
        if until is not None and self._io.now() >= until:
            raise context.timed_out()
        while self._pieces:
            data = self._happen(self._pieces.pop(), until)
            context.cancel.check()
            if data:
                exchange.sent += len(data)
                return data
        exchange.complete = True
        return b""

    def _play(self, pieces: Sequence[Piece]) -> None:
        """Let what comes before the head happen, within the limit in force."""
        for piece in pieces:
            self._happen(piece, self._context.until)
            self._context.cancel.check()

    def _happen(self, piece: Piece, until: float | None) -> bytes:
        """Let one piece happen; a silence that outlasts the limit goes on after it."""
        if isinstance(piece, bytes):
            return piece
        if isinstance(piece, Exception):
            raise piece
        if isinstance(piece, Pause):
            clock = self._io.clock
            end = clock.now + piece.seconds
            if until is not None and end > until:
                self._pieces.append(Pause(end - until))
                clock.move_to(until)
                raise self._context.timed_out()
            clock.move_to(end)
        else:
            piece()
        return b""
