"""The seam over asyncio: aiohttp with its own timeouts, retries, redirects and cookies off.

One session an event loop; `exchange` does what a single call needs. The rules: no timeout scope round a `yield`; the
abort is looked at before the bytes; leaving an answer before its end closes its connection at once.
"""

from __future__ import annotations

import asyncio
import io
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from polyvox.errors import Cancelled, ConfigError, InterruptedCallError, PolyvoxError
from polyvox.io.base import Context, HttpRequest, sanitized_cause, timed_out_total
from polyvox.io.exchange import Connector, Exchange, call_in, explain
from polyvox.io.waiting import AsyncSignal, Lock
from polyvox.secrets import sanitize

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")

# A gateway's trace and policy headers outgrow aiohttp's 8 KiB; 64 KiB is what nginx and Envoy can be made to send.
MAX_HEADER_BYTES: Final = 65536
MAX_HEADERS: Final = 1024
# aiohttp warns of larger bodies given as `bytes`: it writes them in one piece. A file is written piece by piece.
LARGE_BODY: Final = 2**20
NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
MISSING: Final[Any] = object()

Proxy = tuple[URL, Mapping[str, str] | None]


class AsyncIO:
    """The seam on an event loop. It belongs to the loop that first used it, until it is closed.

    `ssl_context` replaces the default one (the system's certificates). A pool that nobody closed is closed when this
    object is dropped, or when its loop ends by `asyncio.run`.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._ssl: ssl.SSLContext | bool = ssl_context or True
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None
        self._opening: dict[asyncio.Task[Any], Exchange] = {}
        self._keeper: AsyncGenerator[None, None] | None = None
        self._proxies: dict[tuple[str, str | None], Proxy | None] = {}

    def open(self, request: HttpRequest, context: Context) -> Opening:
        """Send the request; see `IO.open`."""
        return Opening(self, request, context)

    async def sleep(self, seconds: float, context: Context | None = None) -> None:
        """Wait; see `IO.sleep`."""
        if context is None:
            await asyncio.sleep(seconds)
            return
        context.cancel.check()
        loop = asyncio.get_running_loop()
        late = False
        if context.deadline is not None and (left := context.deadline - self.now()) < seconds:
            seconds, late = max(0.0, left), True
        woken: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        timer = loop.call_later(seconds, wake)
        remove = context.cancel.add(lambda: call_in(loop, wake))
        try:
            await woken
        finally:
            timer.cancel()
            remove()
        context.cancel.check()
        if late:
            raise timed_out_total(context)

    def now(self) -> float:
        """Return the monotonic clock in seconds; asyncio's loops have the same."""
        return time.monotonic()

    async def gather(self, calls: Iterable[Callable[[], Awaitable[T]]], limit: int | None = None) -> list[T]:
        """Run the calls side by side; see `IO.gather`."""
        pending = list(enumerate(calls))
        results: list[Any] = [MISSING] * len(pending)
        queue = iter(pending)

        async def work() -> None:
            for index, call in queue:
                results[index] = await call()

        failure: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(limit or len(pending), len(pending))):
                    group.create_task(work())
        except BaseExceptionGroup as failures:
            failure = failures.exceptions[0]
        if failure is not None:
            raise failure  # outside of the `except`, so that the group does not become its context
        if any(result is MISSING for result in results):
            raise Cancelled("a call that was gathered was cancelled from within")
        return results

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a blocking function in a thread."""
        return await asyncio.to_thread(function, *arguments)

    def event(self) -> AsyncSignal:
        """Return something to wait for; see `IO.event`."""
        return AsyncSignal()

    def lock(self) -> Lock:
        """Return a lock; see `IO.lock`."""
        return Lock(AsyncSignal)

    async def close(self) -> None:
        """Close the pool, and calls still open with it. Afterwards this object may be used again, in any loop."""
        keeper, self._keeper, self._session, self._loop = self._keeper, None, None, None
        if keeper is not None:
            await keeper.aclose()

    def __del__(self) -> None:
        # A loop that runs closes a dropped keeper by itself. One that was closed without `shutdown_asyncgens` cannot:
        # then at least the session does not complain.
        if self._session is not None and self._loop is not None and self._loop.is_closed():
            connector = self._session.connector
            self._session.detach()
            if connector is not None:
                connector.__exit__(None, None, None)

    def session(self) -> tuple[aiohttp.ClientSession, dict[asyncio.Task[Any], Exchange]]:
        """Return the session of this loop, made on first use, and the register of the exchanges that are opening."""
        loop = asyncio.get_running_loop()
        if self._session is not None and self._loop is loop:
            return self._session, self._opening
        if self._session is not None:
            raise ConfigError(
                "this client belongs to the event loop that first used it; make one AsyncClient for each event loop, "
                "or close it before the next loop uses it"
            )
        self._loop = loop
        connector = Connector(limit=0, ssl=self._ssl)
        self._opening = connector.opening
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=NO_TIMEOUT,
            cookie_jar=aiohttp.DummyCookieJar(),
            # Not `trust_env`: that reads ~/.netrc too (and then refuses a request with its own Authorization), in two
            # jumps to a thread for every request. The proxies of the environment are looked up in `proxy`.
            trust_env=False,
            # A body's type is said by the dialect or not at all.
            skip_auto_headers=("Content-Type",),
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )
        self._session._retry_connection = False  # one owner of retries, and it is not aiohttp
        # A started generator is closed by its loop when dropped, and by `asyncio.run` at its end: that closes the pool.
        self._keeper = keep(self._session)
        with suppress(StopIteration):
            self._keeper.__anext__().send(None)
        return self._session, self._opening

    def proxy(self, url: URL) -> Proxy | None:
        """Return the proxy that the environment names for this URL, and its credentials as a header."""
        key = (url.scheme, url.host)
        if key not in self._proxies:
            self._proxies[key] = environment_proxy(url)
        return self._proxies[key]


async def keep(session: aiohttp.ClientSession) -> AsyncGenerator[None, None]:
    """Hold a session until closed."""
    try:
        yield
    finally:
        await session.close()


def environment_proxy(url: URL) -> Proxy | None:
    """Return what `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` (or the system's settings) say of this URL."""
    host = url.host or ""
    proxies = getproxies()
    named = proxies.get(url.scheme) or proxies.get("all")
    if not named or proxy_bypass(f"{host}:{url.port}" if url.port else host):
        return None
    proxy = URL(named if "://" in named else f"http://{named}")
    if proxy.scheme not in ("http", "https"):
        raise ConfigError(f"the {proxy.scheme} proxy set in the environment is not supported: set an http:// proxy")
    headers = None
    if proxy.user:
        credentials = b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
        headers = {"Proxy-Authorization": f"Basic {credentials}"}
    return proxy.with_user(None), headers


class Opening:
    """The async context manager of one request, and within it the response."""

    __slots__ = ("_context", "_exchange", "_headers", "_io", "_joined", "_request", "status")

    def __init__(self, io: AsyncIO, request: HttpRequest, context: Context) -> None:
        self._io = io
        self._request = request
        self._context = context
        self._exchange: Exchange | None = None
        self._headers: Mapping[str, str] = {}
        self._joined: dict[str, str] | None = None
        self.status = 0

    async def __aenter__(self) -> Opening:
        request, context = self._request, self._context
        context.cancel.check()
        session, opening = self._io.session()
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        context.limit("connect", context.timeout.connect)
        context.check()
        settings = self._settings()
        exchange = Exchange(loop, context)
        cancelling = task.cancelling()
        exchange.task, exchange.waiting = task, True
        exchange.arm(context.until)
        exchange.unregister = context.cancel.add(exchange.wake)
        opening[task] = exchange
        failure: PolyvoxError | None = None
        try:
            exchange.opened(await session.request(request.method, **settings))
        except BaseException as error:
            exchange.close()
            failure = self._failure(error, exchange)
            # An outer cancellation wins; ours is taken back (as `asyncio.timeout` does).
            if (
                exchange.ended is not None
                and task.uncancel() > cancelling
                and isinstance(error, asyncio.CancelledError)
            ):
                raise
            if failure is None:
                raise
        finally:
            settings.clear()  # whoever reports an error shows the locals of its frames: no signed header among them
            del opening[task]
        if failure is None and context.cancel.is_set:
            exchange.close()
            failure = Cancelled("the call was aborted")
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # no cycle of error, frame and exchange
        self._exchange = exchange
        assert exchange.response is not None
        self.status, self._headers = exchange.response.status, exchange.response.headers
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.close()

    def __del__(self) -> None:
        # Dropped while still open: by any thread, or by the garbage collector in the midst of aiohttp.
        exchange = self._exchange
        if exchange is None:
            return
        if exchange.loop.is_closed():
            exchange.close()
        else:
            call_in(exchange.loop, exchange.close)

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers by lower-case name; repeated ones are joined by commas."""
        if self._joined is None:
            joined = self._joined = {}
            for name, value in self._headers.items():
                name = name.lower()
                joined[name] = f"{joined[name]}, {value}" if name in joined else value
        return self._joined

    async def read(self, until: float | None) -> bytes:
        """Return the next bytes; see `HttpResponse.read`."""
        context, exchange = self._context, self._exchange
        context.cancel.check()
        if exchange is None or exchange.content is None:
            raise InterruptedCallError("the answer was closed: read it within its `async with`")
        if until is not None and time.monotonic() >= until:
            raise context.timed_out()
        content = exchange.content
        # Bytes that came before the connection broke are handed on first; the public method would raise at once.
        data = content.read_nowait() if content.exception() is None else content._read_nowait(-1)
        if data:
            return data
        failure: PolyvoxError | None = None
        if not content.is_eof():
            exchange.seen = content.total_bytes
            exchange.waiting = True
            exchange.arm(until)
            try:
                data = await content.readany()
            except Exception as error:  # noqa: BLE001 - whatever aiohttp raises here, the body broke off
                failure = exchange.broken(error)
                error.__traceback__ = None  # aiohttp keeps the exception; its frames would keep the response alive
            finally:
                exchange.waiting = False
            context.cancel.check()
        if not data and failure is None:
            failure = exchange.cut_short()
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # no cycle of error, frame and exchange
        return data

    def _settings(self) -> dict[str, Any]:
        """Return aiohttp's arguments for this request."""
        request = self._request
        try:
            url = URL(request.url, encoded=True)  # signed as it stands: it must not be quoted anew
        except ValueError as error:
            raise ConfigError("the base URL is not an http:// or https:// URL: check it") from sanitized_cause(
                error, self._context.secrets
            )
        headers, body = request.headers, request.body
        settings: dict[str, Any] = {"url": url, "allow_redirects": False}
        proxy = self._io.proxy(url)
        if proxy is not None:
            settings["proxy"], credentials = proxy
            if credentials and url.scheme == "https":
                settings["proxy_headers"] = credentials
            elif credentials:
                headers = {**headers, **credentials}
        settings["headers"] = headers
        if body:
            settings["data"] = io.BytesIO(body) if len(body) > LARGE_BODY else body
        return settings

    def _failure(self, error: BaseException, exchange: Exchange) -> PolyvoxError | None:
        """Return what a failed opening means; `None` for what is not ours to explain."""
        if not isinstance(error, (Exception, asyncio.CancelledError)):
            return None
        if exchange.ended is not None:
            return exchange.ended
        if isinstance(error, (asyncio.CancelledError, PolyvoxError)):
            return None
        if self._context.cancel.is_set:
            return Cancelled("the call was aborted")
        failure = explain(error, URL(self._request.url, encoded=True), reused=exchange.reused)
        if failure is not None:
            known = self._context.secrets
            failure.message = sanitize(failure.message, known)
            failure.args = (failure.message,)
            failure.__cause__ = sanitized_cause(error, known)
        return failure
