"""Record and replay: calls made once over the network, and played back ever after.

    with Client(io=record_replay("cassettes/weather.json")) as client:
        client.generate("openai/gpt-5.5", "Hi")

The rule: only `open` is recorded or played; to wait, to lock, to tell the time is the business of the I/O beneath, so
that limits, aborts and retries are what they are. One cassette serves `Client` and `AsyncClient`, and every wire.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeAlias, TypeVar

from polyvox import errors
from polyvox.errors import (
    CallTimeoutError,
    ConfigError,
    DecodeError,
    InterruptedCallError,
    PolyvoxError,
    TransportError,
)
from polyvox.io.base import IO, Context, HttpRequest, HttpResponse, Signal
from polyvox.io.waiting import Lock
from polyvox.secrets import Secret
from polyvox.testing.cassette import (
    CassetteError,
    RecordedError,
    RecordedExchange,
    Tape,
    read_piece,
    read_request,
)
from polyvox.testing.scrub import Scrubber

T = TypeVar("T")
Mode: TypeAlias = Literal["auto", "record", "replay", "off"]


class _Wrapped:
    """The seam as another I/O does it, all but `open`."""

    def __init__(self, inner: IO) -> None:
        self._inner = inner

    async def sleep(self, seconds: float, context: Context | None = None) -> None:
        """See `IO.sleep`."""
        await self._inner.sleep(seconds, context)

    def now(self) -> float:
        """See `IO.now`."""
        return self._inner.now()

    async def gather(self, calls: Iterable[Callable[[], Awaitable[T]]], limit: int | None = None) -> list[T]:
        """See `IO.gather`."""
        return await self._inner.gather(calls, limit)

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """See `IO.run`."""
        return await self._inner.run(function, *arguments)

    def event(self) -> Signal:
        """See `IO.event`."""
        return self._inner.event()

    def lock(self) -> Lock:
        """See `IO.lock`."""
        return self._inner.lock()

    async def close(self) -> None:
        """Close the I/O beneath."""
        await self._inner.close()


class Recorder(_Wrapped):
    """An I/O that writes what passes through another one to a cassette."""

    def __init__(self, inner: IO, cassette: Cassette) -> None:
        super().__init__(inner)
        self._cassette = cassette

    def open(self, request: HttpRequest, context: Context) -> AbstractAsyncContextManager[HttpResponse]:
        """Send the request; see `IO.open`."""
        return _Recording(self._inner.open(request, context), request, context, self._cassette)


class Replayer(_Wrapped):
    """An I/O that plays a cassette. Nothing is ever sent."""

    def __init__(self, inner: IO, cassette: Cassette) -> None:
        super().__init__(inner)
        self._cassette = cassette
        self._playing = True
        cassette.players += 1

    def open(self, request: HttpRequest, context: Context) -> AbstractAsyncContextManager[HttpResponse]:
        """Find the exchange that answers; see `IO.open`. Raises `CassetteError` where there is none."""
        return _Replaying(request, context, self._cassette)

    async def close(self) -> None:
        """Close the I/O beneath. Raises `CassetteError` where exchanges were not used."""
        await super().close()
        if not self._playing:
            return
        self._playing = False
        self._cassette.players -= 1
        if not self._cassette.players and not self._cassette.entered and sys.exc_info()[1] is None:
            self._cassette.check_used()


class Cassette:
    """A recording, given to a client as `io=`. Made by `record`, `replay` or `record_replay`.

    Used in a `with`, it may serve several clients, and looks at the end whether all of it was used; otherwise the
    client's `close` does. `secrets` are further texts to be masked, beside the call's own and whatever has the shape of
    a key; `secret_headers` further headers. `timing` plays pauses as long as they were. `strict=False` lets exchanges
    go unused.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: Mode = "auto",
        *,
        ignore: Iterable[str] = (),
        secrets: Iterable[Secret | str] = (),
        secret_headers: Iterable[str] = (),
        timing: bool = False,
        strict: bool = True,
    ) -> None:
        if mode not in ("auto", "record", "replay", "off"):
            raise ConfigError(f"mode is {mode!r}: give auto, record, replay or off")
        self.path = Path(path)
        self.mode: Literal["record", "replay", "off"] = (
            mode if mode != "auto" else "replay" if self.path.exists() else "record"
        )
        self.tape = Tape(self.path, ignore=ignore)
        self.timing = timing
        self.strict = strict
        self.entered = False
        self.players = 0
        self._secrets = tuple(secrets)
        self._secret_headers = tuple(secret_headers)
        self._loaded = False

    def __call__(self, inner: IO) -> IO:
        """Return the I/O of a client: `inner` recorded, or played in place of it."""
        if self.mode == "off":
            return inner
        if self.mode == "record":
            return Recorder(inner, self)
        self._load()
        return Replayer(inner, self)

    def _load(self) -> None:
        if not self._loaded:
            self.tape.load()
            self._loaded = True

    def __enter__(self) -> Cassette:
        self.entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.entered = False
        if error is None:
            self.check_used()

    def scrubber(self, context: Context) -> Scrubber:
        """Return what masks the secrets of a call."""
        return Scrubber((*context.secrets, *self._secrets), self._secret_headers)

    def check_used(self) -> None:
        """Raise `CassetteError` where recorded requests were not made. After a mismatch it has been said already."""
        if self.mode != "replay" or not self.strict or self.tape.mismatched:
            return
        if not self._loaded and not self.path.exists():
            return
        self._load()
        left = self.tape.unused()
        if left:
            named = ", ".join(f"{request.method} {request.url}" for request in left[:3])
            raise CassetteError(f"{len(left)} recorded requests of {self.path.name} were not made: {named}")


def record(path: str | os.PathLike[str], **settings: Any) -> Cassette:
    """Return a cassette that is recorded anew. See `Cassette` for the settings."""
    return Cassette(path, "record", **settings)


def replay(path: str | os.PathLike[str], **settings: Any) -> Cassette:
    """Return a cassette that is played. See `Cassette` for the settings."""
    return Cassette(path, "replay", **settings)


def record_replay(path: str | os.PathLike[str], mode: Mode = "auto", **settings: Any) -> Cassette:
    """Return a cassette that is played where its file exists, and recorded where it does not. `off` does neither."""
    return Cassette(path, mode, **settings)


class _Recording:
    """One exchange on its way to the tape."""

    def __init__(
        self,
        inner: AbstractAsyncContextManager[HttpResponse],
        request: HttpRequest,
        context: Context,
        cassette: Cassette,
    ) -> None:
        self._inner = inner
        self._request = request
        self._context = context
        self._cassette = cassette
        self._place = cassette.tape.reserve()
        self._response: HttpResponse | None = None
        self._pieces: list[tuple[bytes, float]] = []
        self._complete = False
        self._error: RecordedError | None = None
        self._last = context.io.now()
        self._after = 0.0
        self.status = 0
        self.headers: Mapping[str, str] = {}

    async def __aenter__(self) -> HttpResponse:
        try:
            self._response = await self._inner.__aenter__()
        except (TransportError, DecodeError) as error:
            self._error = _recorded_error(error, self._cassette.scrubber(self._context))
            self._keep()
            raise
        self.status, self.headers = self._response.status, self._response.headers
        self._after = self._passed()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._inner.__aexit__(kind, error, traceback)
        finally:
            self._keep()

    async def read(self, until: float | None) -> bytes:
        """Return the next piece of the body, and remember it."""
        assert self._response is not None
        try:
            data = await self._response.read(until)
        except (TransportError, DecodeError) as error:
            self._error = _recorded_error(error, self._cassette.scrubber(self._context))
            raise
        if data:
            self._pieces.append((data, self._passed()))
        else:
            self._complete = True
        return data

    def _passed(self) -> float:
        now = self._context.io.now()
        passed, self._last = round(now - self._last, 3), now
        return max(0.0, passed)

    def _keep(self) -> None:
        scrubber = self._cassette.scrubber(self._context)
        pieces = scrubber.pieces([data for data, _ in self._pieces])
        exchange = RecordedExchange(
            request=read_request(self._request, scrubber),
            status=self.status or None,
            headers=scrubber.headers(self.headers),
            body=tuple(read_piece(data, after) for data, (_, after) in zip(pieces, self._pieces, strict=True) if data),
            after=self._after,
            complete=self._complete,
            error=self._error,
        )
        self._cassette.tape.put(self._place, exchange)


class _Replaying:
    """One exchange played from the tape."""

    def __init__(self, request: HttpRequest, context: Context, cassette: Cassette) -> None:
        self._request = request
        self._context = context
        self._cassette = cassette
        self._exchange: RecordedExchange | None = None
        self._next = 0
        self._open = False
        self.status = 0
        self.headers: Mapping[str, str] = {}

    async def __aenter__(self) -> HttpResponse:
        context = self._context
        context.limit("connect", context.timeout.connect)
        context.check()
        asked = read_request(self._request, self._cassette.scrubber(context))
        exchange = self._exchange = self._cassette.tape.find(asked)
        context.limit("first_event", context.timeout.first_event)
        await self._wait(exchange.after, context.until)
        if exchange.status is None:
            raise self._failure()
        self.status, self.headers = exchange.status, exchange.headers
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open = False

    async def read(self, until: float | None) -> bytes:
        """Return the next piece; see `HttpResponse.read`."""
        context, exchange = self._context, self._exchange
        context.cancel.check()
        if exchange is None or not self._open:
            raise InterruptedCallError("the answer was closed: read it within its `async with`")
        if until is not None and context.io.now() >= until:
            raise context.timed_out()
        if self._next == len(exchange.body):
            if exchange.complete:
                return b""
            raise self._failure()
        piece = exchange.body[self._next]
        await self._wait(piece.after, until)
        self._next += 1
        return piece.data

    async def _wait(self, seconds: float, until: float | None) -> None:
        """Let the recorded pause pass, where it is asked for, and no longer than the limit."""
        context = self._context
        if self._cassette.timing and seconds:
            left = None if until is None else until - context.io.now()
            if left is not None and left < seconds:
                await context.io.sleep(max(0.0, left), context)
                raise context.timed_out()
            await context.io.sleep(seconds, context)
        context.cancel.check()

    def _failure(self) -> PolyvoxError:
        exchange = self._exchange
        error = exchange.error if exchange is not None else None
        if error is None:
            return CassetteError(
                f"the recording of this answer in {self._cassette.path.name} stops here: whoever recorded it left early"
            )
        kind = getattr(errors, error.kind, TransportError)
        if kind is CallTimeoutError:
            phase: Any = error.phase or "total"
            return CallTimeoutError(error.message, phase=phase)
        made: PolyvoxError = kind(error.message)
        return made


def _recorded_error(error: PolyvoxError, scrubber: Scrubber) -> RecordedError:
    phase = error.phase if isinstance(error, CallTimeoutError) else None
    return RecordedError(type(error).__name__, scrubber.text(error.message), phase)
