"""urllib3's connections, with sockets that obey their call, wide heads, and bodies handed on as they come.

The rules: a connection is used by one call at a time, which the thread that sends it names in `CURRENT.lease`; a body
read to its end gives its connection back to the pool, one left before it closes the connection at once.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import Any, Final, cast

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from polyvox.errors import ConnectError, DecodeError
from polyvox.io.base import sanitized_cause
from polyvox.io.body import ChunkDecoder, Inflater
from polyvox.io.sockets import CURRENT, Lease, PlainSocket, TlsSocket, connect

# How much of the body one read takes at most; a read returns as soon as there is anything.
_READ: Final = 1 << 16
# http.client stops at 100 headers and at lines of 64 KiB; gateways add dozens of their own, policies among them.
_LONGEST_HEAD: Final = 1 << 20


class Body:
    """The body of one answer, handed on as it comes. Read to its end, the connection goes back to its pool."""

    __slots__ = ("_chunks", "_inflater", "_lease", "_left", "_response", "_started", "done", "head")

    def __init__(self, response: urllib3.HTTPResponse, lease: Lease) -> None:
        self._response = response
        self._lease = lease
        self.head = cast(Head, response._fp)
        self._chunks = ChunkDecoder() if self.head.chunked else None
        self._left: int | None = self.head.length
        encoding = self.head.joined.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            self.close_connection()
            raise DecodeError(f"the answer is compressed as {encoding!r}, which was not asked for")
        self._inflater = None if encoding in ("", "identity") else Inflater(encoding)
        self._started = False
        self.done = False
        if self._left == 0:
            self._finish()

    def read(self) -> bytes:
        """Return the next bytes as soon as there are any, `b""` at the end. The lease's limit holds."""
        self._lease.left()
        while not self.done:
            data = self._take()
            if data and self._inflater is not None:
                self._started = True
                data = self._inflater.feed(data)
            self._check_inflater()
            if data:
                return data
        return b""

    def _check_inflater(self) -> None:
        inflater = self._inflater
        if self.done and inflater is not None and self._started and not inflater.done:
            raise http.client.IncompleteRead(b"")

    def _take(self) -> bytes:
        """Read once, and take the framing off."""
        stream: Any = self.head.fp
        data: bytes = stream.read1(_READ if self._left is None else min(_READ, self._left))
        if self._chunks is not None:
            if not data:
                raise http.client.IncompleteRead(b"")
            data = self._chunks.feed(data)
            if self._chunks.done:
                self._finish(clean=not self._chunks.rest)
        elif self._left is not None:
            if not data:
                raise http.client.IncompleteRead(b"", self._left)
            self._left -= len(data)
            if not self._left:
                self._finish()
        elif not data:
            self._finish()
        return data

    def _finish(self, *, clean: bool = True) -> None:
        """Give the connection back, or close it where nothing more can come over it."""
        self.done = True
        self._lease.let_go()
        if clean and not self.head.will_close:
            self.head.close()
            self._response.release_conn()
        else:
            self.close_connection()

    def close(self) -> None:
        """Close the connection at once, unless the body was read to its end."""
        if not self.done:
            self.done = True
            self._lease.shut()  # the peer sees it now, whoever else still holds the file object
            self.close_connection()

    def close_connection(self) -> None:
        """Close the connection; it does not go back to the pool."""
        self.head.close()
        self._response.close()


class Head(http.client.HTTPResponse):
    """http.client's response with a head of its own: wide limits, all 1xx answers skipped, no e-mail parser."""

    joined: dict[str, str]

    def begin(self) -> None:
        """Read the head, and find out how the body ends."""
        while True:
            version, status, reason = self._read_status()  # type: ignore[attr-defined]
            pairs = self._read_pairs()
            if status >= 200:
                break
        self.code = self.status = status
        self.reason = reason.strip()
        self.version = 11 if version.startswith("HTTP/1.") and version != "HTTP/1.0" else 10
        self.headers = self.msg = http.client.HTTPMessage()
        joined: dict[str, str] = {}
        self.joined = joined
        for name, value in pairs:
            self.msg.set_raw(name, value)
            name = name.lower()
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
        self.chunked = joined.get("transfer-encoding", "").lower().rpartition(",")[2].strip() == "chunked"
        self.chunk_left = None
        self.length = self._find_length(status)
        ends_with_connection = not self.chunked and self.length is None
        self.will_close = ends_with_connection or self._check_close()  # type: ignore[attr-defined]

    def _find_length(self, status: int) -> int | None:
        if status in (204, 304) or self._method == "HEAD":  # type: ignore[attr-defined]
            self.chunked = False
            return 0
        # A length sent twice is joined as "5, 5".
        length = self.joined.get("content-length", "").partition(",")[0].strip()
        return int(length) if length.isascii() and length.isdigit() and not self.chunked else None

    def _read_pairs(self) -> list[tuple[str, str]]:
        pairs: list[tuple[str, str]] = []
        left = _LONGEST_HEAD
        while True:
            line: bytes = self.fp.readline(left + 1)
            left -= len(line)
            if left < 0:
                raise http.client.LineTooLong("header line")
            if line in (b"\r\n", b"\n"):
                return pairs
            if not line.endswith(b"\n"):  # http.client takes this for the end of the head, and loses the rest
                raise http.client.IncompleteRead(line)
            text = line.decode("latin-1").rstrip("\r\n")
            if text[0] in " \t" and pairs:  # a folded line, as old servers send
                name, value = pairs.pop()
                pairs.append((name, f"{value} {text.strip()}"))
                continue
            name, colon, value = text.partition(":")
            if colon:
                pairs.append((name.strip(), value.strip()))


class _Leased:
    """What both connection classes share: sockets of ours, connected and used for the call that is being sent."""

    response_class: Any = Head

    def _new_conn(self: Any) -> PlainSocket:
        failure: ConnectError
        try:
            return connect(self._dns_host, self.port, _lease(), self.socket_options or ())
        except OSError as error:
            failure = _unconnected(error, self)
        except UnicodeError as error:
            failure = _unconnected(OSError(str(error)), self)
        try:
            raise failure
        finally:
            del failure

    def connect(self: Any) -> None:
        """Connect, proxy's tunnel and TLS handshake included, within the connect limit."""
        failure: ConnectError
        try:
            super().connect()  # type: ignore[misc]
            return
        except (OSError, http.client.HTTPException) as error:
            failure = _unconnected(error, self)
        try:
            raise failure
        finally:
            del failure

    def request(self: Any, *arguments: Any, **settings: Any) -> None:
        """Send a request: connect where there is no connection yet, then begin the first-event limit."""
        lease = _lease()
        if self.sock is None:
            self.connect()
        elif lease.sock is None:
            lease.reused = True
            # TLS within a proxy's TLS: the outer socket does the waiting.
            lease.hold(self.sock if isinstance(self.sock, PlainSocket | TlsSocket) else self.sock.socket)
        lease.received = False
        context = lease.context
        context.connected = context.io.now()
        lease.limit("first_event", context.timeout.first_event)
        super().request(*arguments, **settings)  # type: ignore[misc]


class PlainConnection(_Leased, HTTPConnection):
    """A connection over plain TCP."""


class TlsConnection(_Leased, HTTPSConnection):
    """A connection over TLS."""


class PlainPool(HTTPConnectionPool):
    """The idle connections to one host, plain."""

    ConnectionCls = PlainConnection  # pyright: ignore[reportAssignmentType] - urllib3's own classes fail it too


class TlsPool(HTTPSConnectionPool):
    """The idle connections to one host, over TLS."""

    ConnectionCls = TlsConnection  # pyright: ignore[reportAssignmentType]


def _lease() -> Lease:
    """Return the lease of the call that this thread is sending."""
    lease = CURRENT.lease
    assert lease is not None, "a connection is only used within `Opening`"
    return lease


def _unconnected(error: Exception, connection: Any) -> ConnectError:
    """Return what a failed connection means, in one sentence: where to, why, and what to check."""
    where = f"{connection.host}:{connection.port}"
    tunnel = connection._tunnel_host
    retryable = True
    if connection.proxy is not None and not (tunnel and isinstance(error, ssl.SSLError)):
        what = f"the proxy {where} gave no connection ({reason_of(error)}): check the proxy settings of the environment"
    elif isinstance(error, ssl.SSLCertVerificationError):
        retryable = False
        what = (
            f"the TLS certificate of {tunnel or where} is not trusted ({error.verify_message}): check the base URL and "
            "the clock, or give an ssl_context that trusts it"
        )
    elif isinstance(error, ssl.SSLError):
        what = f"no TLS connection to {tunnel or where} ({reason_of(error)}): check that the base URL should be https"
    elif isinstance(error, ConnectionRefusedError):
        what = f"nothing listens at {where} (connection refused): check the base URL, and that the server runs"
    elif isinstance(error, socket.gaierror):
        what = f"the host {connection.host} was not found ({reason_of(error)}): check the base URL and the network"
    else:
        what = f"no connection to {where} ({reason_of(error)}): check the base URL and the network"
    failure = ConnectError(what, retryable=retryable)
    failure.__cause__ = sanitized_cause(error, _lease().context.secrets)
    return failure


def reason_of(error: Exception) -> str:
    """Return the reason of a transport failure in a few words."""
    if isinstance(error, ssl.SSLEOFError):
        return "the connection was closed"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "handshake failed").replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
