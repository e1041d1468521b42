"""`LocalIO`: the seam, answered by a model in this process instead of a socket.

The rule: to everything above it this is HTTP. A POST to `local://…/chat/completions` gets a status, headers and a body
in pieces, SSE where a stream was asked for, so that the OpenAI dialect reads it like any other server's answer; an
error of the model's is a status and an error body of that wire. Limits, the abort and leaving early work as they do on
a socket. Requests to other addresses, and all that is not a request, go to the `IO` inside.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec
from msgspec import Struct

from polyvox.errors import InterruptedCallError, PolyvoxError
from polyvox.io.base import IO, Context, HttpRequest, HttpResponse, Signal
from polyvox.io.local_engine import ENGINES, Failure, Job, LocalSettings
from polyvox.io.local_files import find_model

if TYPE_CHECKING:
    import asyncio

    from polyvox.io.waiting import Lock

T = TypeVar("T")

SCHEME: Final = "local:"
_PATH: Final = "/chat/completions"


class LocalIO:
    """The seam for the in-process model, over another `IO` which it sleeps and gathers by.

    `asynchronous` says which kind the inner one is: whether waiting may block the thread or must leave the event loop
    free. `path` is the model file (`None`: `POLYVOX_LOCAL_MODEL`, else the installed one, looked up at each call).
    """

    def __init__(
        self,
        inner: IO,
        *,
        asynchronous: bool,
        path: str | Path | None = None,
        settings: LocalSettings | None = None,
    ) -> None:
        self._inner = inner
        self._asynchronous = asynchronous
        self._path = None if path is None else Path(path)
        self._settings = settings or LocalSettings()

    def open(self, request: HttpRequest, context: Context) -> AbstractAsyncContextManager[HttpResponse]:
        """Ask the model; see `IO.open`. The abort and the limits hold while the call waits for its turn, too."""
        if not request.url.startswith(SCHEME):
            return self._inner.open(request, context)
        mailbox = AsyncMailbox(context) if self._asynchronous else BlockingMailbox(context)
        return LocalCall(request, context, mailbox, self._path, self._settings)

    async def sleep(self, seconds: float, context: Context | None = None) -> None:
        """Wait; see `IO.sleep`."""
        await self._inner.sleep(seconds, context)

    def now(self) -> float:
        """Return the monotonic clock in seconds."""
        return self._inner.now()

    async def gather(self, calls: Iterable[Callable[[], Awaitable[T]]], limit: int | None = None) -> list[T]:
        """Run the calls; see `IO.gather`."""
        return await self._inner.gather(calls, limit)

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a blocking function; see `IO.run`."""
        return await self._inner.run(function, *arguments)

    def event(self) -> Signal:
        """Return something to wait for; see `IO.event`."""
        return self._inner.event()

    def lock(self) -> Lock:
        """Return a lock; see `IO.lock`."""
        return self._inner.lock()

    async def close(self) -> None:
        """Close the inner `IO`. The loaded model stays: it is shared by every client of the process."""
        await self._inner.close()


class Head(Struct, frozen=True):
    """The head of an answer."""

    status: int
    headers: dict[str, str]


class End(Struct, frozen=True):
    """The end of an answer; `error` where it broke off."""

    error: PolyvoxError | None = None


class Pieces(Struct, frozen=True):
    """The chunks of an answer that is to be handed over whole."""

    chunks: list[bytes]


Item = Head | End | Pieces | bytes


class Mailbox(Protocol):
    """Items from the worker's thread to the one that reads the answer."""

    def put(self, item: Item) -> None:
        """Add an item; from any thread."""
        ...

    def wake(self) -> None:
        """Have a waiting `take` look at the abort; from any thread."""
        ...

    async def take(self, until: float | None) -> Item:
        """Return the next item. Raises `Cancelled` on an abort, `CallTimeoutError` at `until`."""
        ...


class BlockingMailbox:
    """Waits by blocking the thread."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()

    def put(self, item: Item) -> None:
        """Add an item."""
        with self._changed:
            self._items.append(item)
            self._changed.notify()

    def wake(self) -> None:
        """Have a waiting `take` look again."""
        with self._changed:
            self._changed.notify()

    async def take(self, until: float | None) -> Item:
        """Return the next item. It never suspends."""
        context = self._context
        with self._changed:
            while True:
                context.cancel.check()
                if self._items:
                    return self._items.popleft()
                left = None if until is None else until - context.io.now()
                if left is not None and left <= 0:
                    raise context.timed_out()
                self._changed.wait(left)


class AsyncMailbox:
    """Waits on the event loop, which stays free meanwhile."""

    def __init__(self, context: Context) -> None:
        import asyncio

        self._context = context
        self._items: deque[Item] = deque()
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None

    def put(self, item: Item) -> None:
        """Add an item."""
        self._items.append(item)
        self.wake()

    def wake(self) -> None:
        """Have a waiting `take` look again."""
        try:
            self._loop.call_soon_threadsafe(self._look)
        except RuntimeError:
            # The loop is closed, and so nobody waits.
            self._items.clear()

    def _look(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self, until: float | None) -> Item:
        """Return the next item."""
        context = self._context
        while True:
            context.cancel.check()
            if self._items:
                return self._items.popleft()
            left = None if until is None else until - context.io.now()
            if left is not None and left <= 0:
                raise context.timed_out()
            # No suspension lies between the look above and this: an item put meanwhile wakes the new waiter.
            self._waiter = self._loop.create_future()
            timer = None if left is None else self._loop.call_later(left, self._look)
            try:
                await self._waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()


class StreamSink:
    """Gives a streamed answer its HTTP form: one SSE frame a chunk."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._refused = False

    def begin(self, failure: Failure | None) -> None:
        """Give the head; a refusal has its body at once."""
        if failure is None:
            self._mailbox.put(Head(200, {"content-type": "text/event-stream"}))
        else:
            self._refused = True
            put_whole(self._mailbox, failure.status, failure.body)

    def piece(self, chunk: bytes) -> None:
        """Give a frame."""
        self._mailbox.put(b"data: " + chunk + b"\n\n")

    def end(self, error: PolyvoxError | None) -> None:
        """Give the end mark and the end."""
        if error is None and not self._refused:
            self._mailbox.put(b"data: [DONE]\n\n")
        self._mailbox.put(End(error))


class WholeSink:
    """Gives a whole answer its HTTP form.

    The model is asked for a stream all the same, since that is the only way to stop it; the dialect puts it together.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._chunks: list[bytes] = []
        self._refused = False

    def begin(self, failure: Failure | None) -> None:
        """Give a refusal; the head of an answer waits for its end."""
        if failure is not None:
            self._refused = True
            put_whole(self._mailbox, failure.status, failure.body)

    def piece(self, chunk: bytes) -> None:
        """Keep a chunk."""
        self._chunks.append(chunk)

    def end(self, error: PolyvoxError | None) -> None:
        """Give all chunks, and the end."""
        if error is None and not self._refused:
            # Put together by the reader, not in the worker: another call may be waiting for that.
            self._mailbox.put(Pieces(self._chunks))
        self._mailbox.put(End(error))


def put_whole(mailbox: Mailbox, status: int, body: bytes) -> None:
    """Give head and body of a JSON answer."""
    mailbox.put(Head(status, {"content-type": "application/json"}))
    mailbox.put(body)


def whole_answer(chunks: list[bytes]) -> bytes:
    """Return the whole answer that these chunks of a stream make."""
    from polyvox.dialects.base import Frame
    from polyvox.dialects.openai.dialect import OPENAI
    from polyvox.types.fold import fold

    codec = OPENAI.generate
    decoder = codec.stream_decoder()
    events = [event for chunk in chunks for event in decoder.feed(Frame(chunk))]
    return codec.encode_response(fold([*events, *decoder.close()]))


class LocalCall:
    """The async context manager of one request, and the response within it."""

    def __init__(
        self, request: HttpRequest, context: Context, mailbox: Mailbox, path: Path | None, settings: LocalSettings
    ) -> None:
        self._request = request
        self._context = context
        self._mailbox = mailbox
        self._path = path
        self._settings = settings
        self._job: Job | None = None
        self._unregister: Callable[[], None] | None = None
        self._head: Head | None = None
        self._body = b""
        self._ended = False

    @property
    def status(self) -> int:
        """HTTP status."""
        assert self._head is not None
        return self._head.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers by lower-case name."""
        assert self._head is not None
        return self._head.headers

    async def __aenter__(self) -> HttpResponse:
        context = self._context
        context.check()
        context.connected = context.io.now()
        context.limit("first_event", context.timeout.first_event)
        self._unregister = context.cancel.add(self._mailbox.wake)
        try:
            self._submit()
            item = await self._mailbox.take(context.until)
        except BaseException:
            self._leave()
            raise
        if isinstance(item, Head):
            self._head = item
            return self
        self._leave()
        if isinstance(item, Pieces):
            self._body = whole_answer(item.chunks)
            self._head = Head(200, {"content-type": "application/json"})
            return self
        error = item.error if isinstance(item, End) else None
        raise error or InterruptedCallError("the local model gave no answer", provider="local")

    def _submit(self) -> None:
        request = self._request
        if request.method != "POST" or not request.url.split("?")[0].endswith(_PATH):
            self._refuse(404, f"the local model answers POST {_PATH} only")
            return
        try:
            asked = msgspec.json.decode(request.body, type=dict[str, Any])
        except msgspec.DecodeError as error:
            self._refuse(400, f"the request body is no JSON object: {error}")
            return
        engine = ENGINES.get(find_model(self._path), self._settings)
        sink = StreamSink(self._mailbox) if asked.get("stream") else WholeSink(self._mailbox)
        self._job = Job(said_to_model(asked), sink)
        engine.submit(self._job)

    def _refuse(self, status: int, message: str) -> None:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        put_whole(self._mailbox, status, msgspec.json.encode({"error": error}))
        self._mailbox.put(End())

    async def read(self, until: float | None) -> bytes:
        """Return the next bytes of the body; see `HttpResponse.read`."""
        if self._ended:
            self._context.cancel.check()
            return b""
        if self._body:
            body, self._body = self._body, b""
            return body
        item = await self._mailbox.take(until)
        if isinstance(item, bytes):
            return item
        self._ended = True
        if isinstance(item, End) and item.error is not None:
            raise item.error
        return b""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        if self._job is not None:
            self._job.abandon()
        if self._unregister is not None:
            self._unregister()
            self._unregister = None

    def __del__(self) -> None:
        # A call that was dropped without being left: nobody reads the answer, so nobody need write it.
        if self._job is not None:
            self._job.abandon()


def said_to_model(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the request as the model's server is to have it."""
    said = {**asked, "stream": True}
    if not asked.get("stream"):
        said["stream_options"] = {"include_usage": True}
    if asked.get("seed") is not None or asked.get("temperature") == 0:
        # Reusing an earlier prompt changes the arithmetic's order, and with it the answer: a seed must repeat it.
        said.setdefault("cache_prompt", False)
    return said
