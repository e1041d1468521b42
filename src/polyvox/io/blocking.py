"""The seam without an event loop: urllib3 for connections, proxies and TLS; sockets that obey their call.

Its coroutines never suspend: they block, so that `drive` finishes each with one step, in the caller's own thread. The
rules: urllib3 decides nothing (no retries, no redirects, no reading ahead, no timeouts of its own); each wait has the
limit of its call (`io.sockets`); the body is handed on as it comes; an answer left before its end closes its connection
at once, one read to its end gives it back to the pool.

Name resolution is the one thing that no limit and no abort reaches: the system offers no way to interrupt it.
"""

from __future__ import annotations

import contextvars
import http.client
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Final, TypeVar, cast
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.util import Url, make_headers, parse_url

from polyvox.errors import (
    Cancelled,
    ConfigError,
    ConnectError,
    DecodeError,
    InterruptedCallError,
    PolyvoxError,
    TransportError,
)
from polyvox.io.base import Cancel, Context, HttpRequest, drive, sanitized_cause, timed_out_total
from polyvox.io.connections import Body, PlainPool, TlsPool, reason_of
from polyvox.io.sockets import CURRENT, Lease, TlsSocket
from polyvox.io.waiting import BlockingSignal, Lock
from polyvox.secrets import sanitize

T = TypeVar("T")

# `gather` without a limit: more threads than this help nobody.
_MOST_THREADS: Final = 32
_HOSTS: Final = 64
_MISSING: Final[Any] = object()


class BlockingIO:
    """The seam for plain code. It may be shared between threads; a plain call uses no thread of its own.

    `pool_size` is how many idle connections are kept for each host. `ssl_context` replaces the default one (the
    system's certificates); its `sslsocket_class` is set to one that is an ordinary TLS socket for everybody else.
    Proxies are those of the environment, or the system, at the time this object is made.
    """

    def __init__(self, *, pool_size: int = 32, ssl_context: ssl.SSLContext | None = None) -> None:
        self._pool_size = max(1, pool_size)
        self._ssl = ssl_context
        self._proxies = getproxies()
        self._lock = threading.Lock()
        self._managers: dict[tuple[bool, str | None], urllib3.PoolManager] = {}
        self._routes: dict[tuple[str, str, int | None], urllib3.PoolManager] = {}

    def open(self, request: HttpRequest, context: Context) -> Opening:
        """Send the request; see `IO.open`."""
        return Opening(self, request, context)

    async def sleep(self, seconds: float, context: Context | None = None) -> None:
        """Wait; see `IO.sleep`."""
        wait, late = max(0.0, seconds), False
        if context is not None and context.deadline is not None and context.deadline - self.now() < wait:
            wait, late = max(0.0, context.deadline - self.now()), True
        cancels = [] if context is None else [context.cancel]
        cancels += CURRENT.groups[-1:]
        woken = threading.Event()
        removers = [cancel.add(woken.set) for cancel in cancels]
        try:
            woken.wait(wait)
        finally:
            for remove in removers:
                remove()
        for cancel in cancels:
            cancel.check()
        if late and context is not None:
            raise timed_out_total(context)

    def now(self) -> float:
        """Return the monotonic clock in seconds."""
        return time.monotonic()

    async def gather(self, calls: Iterable[Callable[[], Awaitable[T]]], limit: int | None = None) -> list[T]:
        """Run the calls and return their results in order; see `IO.gather`.

        One after another with a limit of 1; otherwise in threads, each with the caller's context variables. The first
        failure ends the rest: what they have open is shut, what sleeps is woken.
        """
        pending = list(calls)
        width = min(_MOST_THREADS if limit is None else max(1, limit), len(pending))
        if width <= 1:
            return [await call() for call in pending]
        return Gathering(pending, CURRENT.groups).run(width)

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a blocking function: here, a plain call."""
        return function(*arguments)

    def event(self) -> BlockingSignal:
        """Return something to wait for; see `IO.event`."""
        return BlockingSignal(lambda: CURRENT.groups[-1] if CURRENT.groups else None)

    def lock(self) -> Lock:
        """Return a lock; see `IO.lock`."""
        return Lock(self.event)

    async def close(self) -> None:
        """Close the pooled connections. Afterwards this object may be used again."""
        with self._lock:
            managers = list(self._managers.values())
            self._managers.clear()
            self._routes.clear()
        for manager in managers:
            # Each by itself: urllib3 leaves it to the garbage collector, and an error that is kept keeps its pool.
            for key in manager.pools.keys():  # noqa: SIM118 - it cannot be iterated: it is locked
                if (pool := manager.pools.get(key)) is not None:
                    pool.close()
            manager.clear()

    def manager(self, url: Url) -> urllib3.PoolManager:
        """Return the pools through which this URL is reached: the direct ones, or those of a proxy."""
        key = (url.scheme or "", url.host or "", url.port)
        manager = self._routes.get(key)
        if manager is None:
            proxy = self._proxy(url)
            with self._lock:
                place = (url.scheme == "https", proxy)
                if place not in self._managers:
                    self._managers[place] = self._make_manager(*place)
                manager = self._routes[key] = self._managers[place]
        return manager

    def _proxy(self, url: Url) -> str | None:
        """Return the proxy that the environment names for this URL."""
        host = (url.host or "").strip("[]")
        named = self._proxies.get(url.scheme or "") or self._proxies.get("all")
        if not named or proxy_bypass(f"{host}:{url.port}" if url.port else host):
            return None
        return named if "://" in named else f"http://{named}"

    def _make_manager(self, tls: bool, proxy: str | None) -> urllib3.PoolManager:
        scheme = None if proxy is None else urlsplit(proxy).scheme
        if scheme not in (None, "http", "https"):
            raise ConfigError(f"the {scheme} proxy set in the environment is not supported: set an http:// proxy")
        settings: dict[str, Any] = {
            "num_pools": _HOSTS,
            "maxsize": self._pool_size,
            "block": False,
            "retries": False,
            "timeout": urllib3.Timeout(None),
        }
        if tls or scheme == "https":
            if self._ssl is None:
                self._ssl = ssl.create_default_context()
            self._ssl.sslsocket_class = TlsSocket
            settings["ssl_context"] = self._ssl
        manager: urllib3.PoolManager
        if proxy is None:
            manager = urllib3.PoolManager(**settings)
        else:
            parts = urlsplit(proxy)
            credentials = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
            manager = urllib3.ProxyManager(
                parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(),
                proxy_headers=make_headers(proxy_basic_auth=credentials) if parts.username else None,
                proxy_ssl_context=settings.get("ssl_context") if scheme == "https" else None,
                **settings,
            )
        manager.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}
        return manager


class Opening:
    """The async context manager of one request, and within it the response."""

    __slots__ = ("_body", "_context", "_io", "_lease", "_request", "headers", "status")

    def __init__(self, io: BlockingIO, request: HttpRequest, context: Context) -> None:
        self._io = io
        self._request = request
        self._context = context
        self._lease: Lease | None = None
        self._body: Body | None = None
        self.status = 0
        self.headers: Mapping[str, str] = {}

    async def __aenter__(self) -> Opening:
        """Connect within the connect limit; send and await the head within the first-event one, begun once."""
        context = self._context
        context.cancel.check()
        context.limit("connect", context.timeout.connect)
        lease = Lease(context)
        try:
            response = self._send(lease)
            self._lease, self._body = lease, Body(response, lease)
        except BaseException:
            lease.end()
            raise
        head = self._body.head
        self.status, self.headers = head.status, head.joined
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        body, lease = self._body, self._lease
        self._body = self._lease = None
        if body is not None and lease is not None:
            body.close()
            lease.end()

    async def read(self, until: float | None) -> bytes:
        """Return the next bytes; see `HttpResponse.read`."""
        body, lease = self._body, self._lease
        if body is None or lease is None:
            self._context.cancel.check()
            raise InterruptedCallError("the answer was closed: read it within its `async with`")
        lease.until = until
        # Raised outside of the `except`: nothing of the transport's hangs on it. Deleted: no cycle through the frame.
        failure: PolyvoxError
        try:
            return body.read()
        except PolyvoxError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            failure = _broken(error, self._context)
        try:
            raise failure
        finally:
            del failure

    def _send(self, lease: Lease) -> urllib3.HTTPResponse:
        """Send the request and return the response at its head."""
        request, context = self._request, self._context
        failure: PolyvoxError
        settings: dict[str, Any] = {
            "headers": request.headers,
            "body": request.body or None,
            "redirect": False,
            "preload_content": False,
            "decode_content": False,
        }
        CURRENT.lease = lease
        try:
            url = parse_url(request.url)
            if url.scheme not in ("http", "https") or not url.host:
                raise ConfigError("the base URL is not an http:// or https:// URL: check it")
            manager = self._io.manager(url)
            if isinstance(manager, urllib3.ProxyManager):
                response = manager.urlopen(request.method, request.url, **settings)
            else:
                pool = manager.connection_from_host(url.host, url.port, url.scheme)
                response = pool.urlopen(request.method, url.request_uri, assert_same_host=False, **settings)
            return cast(urllib3.HTTPResponse, response)
        except PolyvoxError as error:
            # Raised by a socket of ours, beneath urllib3: whoever reports errors shows the locals of its frames, and
            # the signed headers are among them.
            failure = error.with_traceback(None)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            failure = _unanswered(error, request, lease)
        except ValueError:
            # Not kept as the cause: it quotes the header, which may well be the key.
            failure = ConfigError(
                "the request cannot be sent: a header or the base URL holds a character that HTTP does not allow "
                "(a line break in the API key?)"
            )
        finally:
            CURRENT.lease = None
            settings.clear()
        failure.message = sanitize(failure.message, context.secrets)
        failure.args = (failure.message,)
        try:
            raise failure
        finally:
            del failure


class Gathering:
    """Some calls in threads, and the abort that ends what is left of them when one has failed."""

    def __init__(self, calls: list[Callable[[], Awaitable[Any]]], outer: tuple[Cancel, ...]) -> None:
        self._calls = calls
        self._outer = outer
        self._pending = iter(range(len(calls)))
        self._results: list[Any] = [_MISSING] * len(calls)
        self._failure: BaseException | None = None
        self._lock = threading.Lock()
        self._group = Cancel()

    def run(self, width: int) -> list[Any]:
        """Run the calls in `width` threads and return their results, or raise the first failure."""
        removers = [outer.add(self._group.set) for outer in self._outer[-1:]]
        threads = [
            # Each thread gets its own copy: a context cannot be entered twice.
            threading.Thread(target=contextvars.copy_context().run, args=(self._work,), name="polyvox-gather")
            for _ in range(width)
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:  # the user's Ctrl-C, here or in the caller's thread: nothing runs on behind it
            self._group.set()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
            raise
        finally:
            for remove in removers:
                remove()
        if self._failure is not None:
            raise self._failure
        if any(result is _MISSING for result in self._results):
            raise Cancelled("the call was aborted")
        return self._results

    def _work(self) -> None:
        CURRENT.groups = (*self._outer, self._group)
        while not self._group.is_set:
            with self._lock:
                index = next(self._pending, None)
            if index is None:
                return
            try:
                self._results[index] = drive(_finish(self._calls[index]))
            except BaseException as error:  # noqa: BLE001 - raised again by `run`, in the caller's thread
                with self._lock:
                    self._failure = self._failure or error
                self._group.set()


async def _finish(call: Callable[[], Awaitable[T]]) -> T:
    return await call()


def _unanswered(error: Exception, request: HttpRequest, lease: Lease) -> PolyvoxError:
    """Return what a failure before the end of the head means."""
    link: BaseException | None = error
    causes: list[BaseException] = []
    while link is not None and link not in causes:
        causes.append(link)
        link = link.__cause__ or link.__context__
    if any(isinstance(cause, urllib3.exceptions.LocationParseError | http.client.InvalidURL) for cause in causes):
        return ConfigError("the base URL is not a URL: check it")
    where = urlsplit(request.url).netloc.rpartition("@")[2]
    failure: PolyvoxError
    if lease.reused and not lease.received:
        failure = ConnectError(f"the pooled connection to {where} was dead: try again")
    elif lease.received and any(
        isinstance(cause, http.client.BadStatusLine | http.client.UnknownProtocol | http.client.LineTooLong)
        and not isinstance(cause, http.client.RemoteDisconnected)
        for cause in causes
    ):
        failure = DecodeError(f"what answers at {where} does not speak HTTP: check the base URL's scheme and port")
    elif lease.received:
        failure = InterruptedCallError(f"{where} closed the connection in the midst of the answer's head: try again")
    else:
        failure = InterruptedCallError(f"{where} closed the connection without an answer: try again")
    failure.__cause__ = sanitized_cause(error, lease.context.secrets)
    return failure


def _broken(error: Exception, context: Context) -> TransportError:
    """Return what a body that broke off means."""
    if isinstance(error, http.client.IncompleteRead | ssl.SSLEOFError):
        why = "the connection was closed before the end of the body"
    elif isinstance(error, ValueError):
        why = f"its body is damaged: {error}"
    else:
        why = reason_of(error)
    failure = InterruptedCallError(f"the answer broke off ({why}): try again")
    failure.__cause__ = sanitized_cause(error, context.secrets)
    return failure
