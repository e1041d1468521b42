"""What stands between aiohttp and one call on an event loop: its timer, its abort, its connection, its errors.

The rules: a limit or an abort ends what waits and nothing else (a task's own cancellation passes through untouched);
whatever did not end well closes its socket at once, by `abort`, since a polite close waits for a peer that may never
read again.

Two ways to end a wait. While the request is opened, the task may be anywhere inside aiohttp, so it is cancelled, and
the cancellation is taken back exactly as `asyncio.timeout` does. While the body is read there is one place to wait,
the body's `StreamReader`, which is given an exception: no task is touched, so the body may be read by any task.
"""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError
from yarl import URL

from polyvox.errors import Cancelled, ConfigError, ConnectError, DecodeError, InterruptedCallError, PolyvoxError
from polyvox.io.base import Context, sanitized_cause
from polyvox.secrets import sanitize

if TYPE_CHECKING:
    from aiohttp.connector import Connection


def call_in(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: Any) -> None:
    """Have the loop call a function, from any thread. A loop that is closed has nothing left to be told."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *arguments)


class CallProtocol(ResponseHandler):
    """aiohttp's protocol, that tells the reader of a body when the bytes stop being HTTP, and knows if it was used.

    aiohttp (3.14) gives the error of a broken chunk to the connection only: the body's reader would wait for ever.
    """

    used = False

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """Fail the connection, and the body that it was bringing."""
        body = self._payload
        if exc_cause is None:
            super().set_exception(exc)
        else:
            super().set_exception(exc, exc_cause)
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(exc)


class Connector(aiohttp.TCPConnector):
    """A pool that tells the exchange when its connection stands, and whether it is a used one."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._factory = cast(Any, functools.partial(CallProtocol, loop=self._loop))
        # By task, not in a context variable: the handles of a connection keep the context they were made in, and would
        # keep the call alive as long as the connection is pooled.
        self.opening: dict[asyncio.Task[Any], Exchange] = {}

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """Return a connection, pooled or new, and tell the exchange that asked."""
        connection = await super().connect(req, traces, timeout)
        protocol, task = connection.protocol, asyncio.current_task()
        assert isinstance(protocol, CallProtocol)
        assert task is not None
        self.opening[task].connected(protocol, reused=protocol.used)
        protocol.used = True
        return connection


class Exchange:
    """One request and its answer: the timer, the abort and the connection of a call.

    Nothing that lives longer than its reader (timer, registry of the abort) refers to more than this object, so that a
    response whose reader is gone is closed by its `__del__`.
    """

    __slots__ = (
        "content",
        "context",
        "ended",
        "loop",
        "protocol",
        "response",
        "reused",
        "seen",
        "task",
        "timer",
        "transport",
        "unregister",
        "until",
        "waiting",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, context: Context) -> None:
        self.loop = loop
        self.context = context
        self.task: asyncio.Task[Any] | None = None
        """The task that opens; `None` once the head of the answer is there."""
        self.protocol: ResponseHandler | None = None
        self.transport: asyncio.Transport | None = None
        self.response: aiohttp.ClientResponse | None = None
        self.content: aiohttp.StreamReader | None = None
        self.reused = False
        self.ended: PolyvoxError | None = None
        """Why a wait was ended from here: a limit or the abort."""
        self.timer: asyncio.TimerHandle | None = None
        self.until: float | None = None
        self.waiting = False
        self.seen = 0
        self.unregister: Callable[[], None] | None = None

    def arm(self, until: float | None) -> None:
        """Let the wait that follows end at `until`.

        The timer of a call is moved only when it fires or comes too late, since limits mostly move away from it: so a
        read that is given a later limit costs no timer.
        """
        self.until = until
        if until is not None and (self.timer is None or self.timer.when() > until):
            if self.timer is not None:
                self.timer.cancel()
            self.timer = self.loop.call_later(max(0.0, until - time.monotonic()), self.fire)

    def fire(self) -> None:
        """End the wait whose limit has passed, or wait on where the limit was moved meanwhile."""
        self.timer = None
        if not self.waiting or self.until is None:
            return
        if self.until > time.monotonic():
            self.arm(self.until)
        else:
            self.end(self.context.timed_out())

    def wake(self) -> None:
        """Hear the abort, in the thread of whoever aborts."""
        call_in(self.loop, self.abort)

    def abort(self) -> None:
        """Shut the socket down and end the wait, if there is one; whatever is read later says that it was aborted."""
        self.end(Cancelled("the call was aborted"))
        self.shut()

    def end(self, reason: PolyvoxError) -> None:
        """End the wait, if there is one, for this reason."""
        if not self.waiting:
            return
        if self.task is not None:
            if self.ended is None:
                self.ended = reason
                self.task.cancel()
        elif self.content is not None:
            content = self.content
            # What arrived in this very turn of the loop is handed on: the wait is over already.
            if content.total_bytes == self.seen and not content.is_eof() and content.exception() is None:
                self.ended = reason
                content.set_exception(InterruptedCallError("the wait was ended"))

    def connected(self, protocol: ResponseHandler, *, reused: bool) -> None:
        """The connection stands: from here on the provider's time runs."""
        context = self.context
        self.protocol, self.transport, self.reused = protocol, protocol.transport, reused
        context.connected = time.monotonic()
        context.limit("first_event", context.timeout.first_event)
        self.arm(context.until)

    def opened(self, response: aiohttp.ClientResponse) -> None:
        """The head of the answer is there."""
        self.task = None
        self.waiting = False
        self.response = response
        self.content = response.content

    def shut(self) -> None:
        """Close the connection at once, unless the answer is complete and it went back to the pool."""
        transport, response = self.transport, self.response
        if transport is None:
            return
        # A transport that is closing may still wait for its peer to take the rest of an upload.
        if response is None or response.connection is not None or transport.is_closing():
            transport.abort()
        if response is not None and response.connection is not None:
            response.close()

    def close(self) -> None:
        """Leave: the timer and the abort's registry forget this exchange; a connection still in use is closed."""
        self.task = None
        self.waiting = False
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.unregister is not None:
            self.unregister()
            self.unregister = None
        if not self.loop.is_closed():
            self.shut()
        elif self.response is not None and self.response.connection is not None:
            self.response.connection.close()  # the loop closed the socket; this only tells aiohttp so

    def broken(self, error: Exception) -> PolyvoxError:
        """Return what a failed read means."""
        ended = self.ended
        if ended is not None:
            return ended
        known = self.context.secrets
        reason = sanitize(said(error), known)
        failure: PolyvoxError
        if isinstance(error, HttpProcessingError):
            failure = DecodeError(f"the answer is not HTTP ({reason})")
        else:
            failure = InterruptedCallError(f"the answer broke off ({reason}): try again")
        failure.__cause__ = sanitized_cause(error, known)
        return failure

    def cut_short(self) -> PolyvoxError | None:
        """Return the error of a body that only the end of its connection ended, where that end was a reset.

        The parser takes any end of the connection for the end of such a body.
        """
        response, protocol = self.response, self.protocol
        if response is None or protocol is None:
            return None
        headers = response.headers
        if "Content-Length" in headers or "Transfer-Encoding" in headers:
            return None
        error = protocol.exception()
        return self.broken(error) if isinstance(error, OSError) else None


def said(error: BaseException) -> str:
    """Return the reason of a failure in one line, or its kind where it says nothing."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    text = str(getattr(error, "message", "") or error).strip()
    return text.splitlines()[0].rstrip(":") if text else type(error).__name__


def explain(error: Exception, url: URL, *, reused: bool) -> PolyvoxError | None:
    """Return our error for a request that got no answer: one sentence that names the host and what to check.

    `None` for an exception that is not the transport's.
    """
    where = f"{url.host}:{url.port}"
    if isinstance(error, (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)):
        return ConfigError("the base URL is not an http:// or https:// URL: check it")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        reason = f"HTTP {error.status} for {where}"
        return ConnectError(f"the proxy gave no connection ({reason}): check the proxy settings of the environment")
    if isinstance(error, aiohttp.ClientResponseError):
        return DecodeError(f"what answers at {where} does not speak HTTP: check the base URL's scheme and port")
    if isinstance(error, aiohttp.ClientConnectorError):
        return unconnected(error, where)
    if isinstance(error, (aiohttp.ClientError, OSError)):
        if reused:
            return ConnectError(f"the pooled connection to {where} was dead: try again")
        return InterruptedCallError(f"{where} closed the connection without an answer: try again")
    if isinstance(error, ValueError):
        return ConfigError(
            "the request cannot be sent: a header or the base URL holds a character that HTTP does not allow "
            "(a line break in the API key?)"
        )
    return None


def unconnected(
    error: aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError, where: str
) -> PolyvoxError:
    """Return what a failed connection means."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "") or said(error.certificate_error)
        return ConnectError(
            f"the TLS certificate of {where} is not trusted ({reason}): check the base URL and the clock, or give an "
            "ssl_context that trusts it",
            retryable=False,
        )
    reason = said(error.os_error)
    if isinstance(error, aiohttp.ClientSSLError):
        return ConnectError(f"no TLS connection to {where} ({reason}): check that the base URL should be https")
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        proxy = f"{error.host}:{error.port}"
        return ConnectError(
            f"the proxy {proxy} gave no connection ({reason}): check the proxy settings of the environment"
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return ConnectError(f"the host {error.host} was not found ({reason}): check the base URL and the network")
    if isinstance(error.os_error, ConnectionRefusedError):
        return ConnectError(
            f"nothing listens at {where} (connection refused): check the base URL, and that the server runs"
        )
    return ConnectError(f"no connection to {where} ({reason}): check the base URL and the network")
