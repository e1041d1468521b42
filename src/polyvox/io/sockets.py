"""Sockets that ask their call, in every `recv` and `send`, how long they may wait.

A read timeout alone restarts with every byte: a head dripped byte by byte would outlive any of them. So the socket
itself knows the instant until which its call may wait. A pooled connection serves many calls, one after another; each
holds it by a `Lease`, from checkout to release. The rules: the abort is looked at before and after every operation, so
that a socket which an abort shut never looks like a clean end; and nobody shuts a socket that is no longer the call's.

Both classes behave like the ordinary ones as long as no lease holds them.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from urllib3.util.connection import allowed_gai_family
from urllib3.util.wait import wait_for_write

from polyvox.errors import Cancelled, PolyvoxError
from polyvox.io.base import Cancel, Context

T = TypeVar("T")

# Shutting a socket wakes a thread that waits on it, on every system but for one still connecting: there we look.
_CONNECT_TICK: Final = 0.1
_CONNECTING: Final = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN})

SocketOptions = Sequence[tuple[int, int, int | bytes]]


class _Thread(threading.local):
    """What this thread is about: the lease of the call it sends, and the `gather`s it works for, outermost first."""

    lease: Lease | None = None
    groups: tuple[Cancel, ...] = ()


CURRENT: Final = _Thread()


class Lease:
    """One call's hold on one socket: its limit, its abort, and whether anything of the answer has arrived."""

    __slots__ = ("_lock", "_removers", "context", "groups", "received", "reused", "sock", "until")

    def __init__(self, context: Context) -> None:
        self.context = context
        # All of them: a call begun within an inner `gather` may be read on when only the outer one is left.
        self.groups = CURRENT.groups
        self.until = context.until
        self.sock: PlainSocket | TlsSocket | None = None
        self.received = False
        self.reused = False
        self._lock = threading.Lock()
        self._removers = [cancel.add(self.shut) for cancel in (context.cancel, *self.groups)]

    def limit(self, phase: Any, seconds: float | None) -> None:
        """Put a limit of the call in force, for the socket too."""
        self.context.limit(phase, seconds)
        self.until = self.context.until

    def hold(self, sock: PlainSocket | TlsSocket) -> None:
        """Take a socket: from here on an abort shuts it. Also used to follow it through its TLS wrapping."""
        with self._lock:
            if self.sock is not None:
                self.sock.lease = None
            self.sock = sock
            sock.lease = self
        self.check_abort()

    def let_go(self, sock: PlainSocket | TlsSocket | None = None) -> None:
        """Give the socket (only `sock`, where given) up: an abort no longer reaches it."""
        with self._lock:
            if self.sock is not None and (sock is None or sock is self.sock):
                self.sock.lease = None
                self.sock = None

    def end(self) -> None:
        """The call is over: nothing wakes it any more."""
        for remove in self._removers:
            remove()
        self.let_go()

    def shut(self) -> None:
        """Shut the socket, from any thread: whoever waits on it wakes. The lock keeps it from being another's."""
        with self._lock:
            if self.sock is not None:
                try:
                    # Not SSLSocket.shutdown: that would take the TLS away under the reading thread.
                    socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
                except OSError:
                    return  # not connected yet, or gone already: the flag is looked at there

    @property
    def aborted(self) -> bool:
        """Whether the call, or a `gather` it belongs to, was aborted."""
        return self.context.cancel.is_set or (bool(self.groups) and any(group.is_set for group in self.groups))

    def check_abort(self) -> None:
        """Raise `Cancelled` where the call was aborted."""
        if self.aborted:
            raise Cancelled("the call was aborted")

    def left(self) -> float | None:
        """Return the seconds that may still be waited; raise where there are none, or the call was aborted."""
        self.check_abort()
        if self.until is None:
            return None
        left = self.until - time.monotonic()
        if left <= 0:
            raise self.context.timed_out()
        return left

    def failure(self, error: OSError) -> PolyvoxError | None:
        """Return what an operation's failure means for the call; `None` where the network itself failed."""
        if self.aborted:
            return Cancelled("the call was aborted")
        # The system's own ETIMEDOUT (a peer that stopped acknowledging) has a number; ours has none.
        if isinstance(error, TimeoutError) and error.errno is None:
            return self.context.timed_out()
        return None

    def obey(self, sock: PlainSocket | TlsSocket, operation: Callable[..., T], *arguments: Any) -> T:
        """Run a blocking operation of the socket within the call's limit."""
        sock.settimeout(self.left())
        try:
            result = operation(*arguments)
        except OSError as error:
            failure = self.failure(error)
            if failure is None:
                raise
            raise failure from None
        self.check_abort()
        return result


class PlainSocket(socket.socket):
    """A TCP socket that obeys the call which holds it."""

    lease: Lease | None = None

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receive, within the call's limit."""
        lease = self.lease
        if lease is None:
            return super().recv(bufsize, flags)
        data = lease.obey(self, super().recv, bufsize, flags)
        lease.received = lease.received or bool(data)
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Receive into a buffer, within the call's limit."""
        lease = self.lease
        if lease is None:
            return super().recv_into(buffer, nbytes, flags)
        count = lease.obey(self, super().recv_into, buffer, nbytes, flags)
        lease.received = lease.received or bool(count)
        return count

    def send(self, data: Any, flags: int = 0, /) -> int:
        """Send some, within the call's limit."""
        lease = self.lease
        return super().send(data, flags) if lease is None else lease.obey(self, super().send, data, flags)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send all, within the call's limit: the whole of it, not a limit a packet."""
        lease = self.lease
        if lease is None:
            super().sendall(data, flags)
        else:
            lease.obey(self, super().sendall, data, flags)

    def _real_close(self, *arguments: Any) -> None:
        # The descriptor's number may be another socket's a moment later: no abort may reach it then.
        if self.lease is not None:
            self.lease.let_go(self)
        super()._real_close(*arguments)  # type: ignore[misc]

    def __del__(self) -> None:
        # To drop a stream is a way to close it. Where it is part of a cycle, the socket may be finalised before the
        # generator that would close it: that is no leak to be warned of.
        self._real_close()


class TlsSocket(ssl.SSLSocket):
    """The same over TLS: what `SSLContext.sslsocket_class` makes. `recv`, `recv_into`, `sendall` come through here."""

    lease: Lease | None = None

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands, within the connect limit. The first thing a new TLS socket does: the lease takes it up here."""
        lease = CURRENT.lease
        if lease is None:
            super().do_handshake(block)
            return
        # An end without TLS's goodbye must not look like a clean one.
        self.suppress_ragged_eofs = False
        try:
            lease.hold(self)
            lease.obey(self, super().do_handshake, block)
        except BaseException:
            self.close()  # nobody else holds it yet
            raise

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002 - the standard library's name
        """Receive, within the call's limit."""
        lease = self.lease
        if lease is None:
            return super().read(len, buffer)
        result = lease.obey(self, super().read, len, buffer)
        lease.received = lease.received or bool(result)
        return result

    def send(self, data: Any, flags: int = 0) -> int:
        """Send some, within the call's limit."""
        lease = self.lease
        return super().send(data, flags) if lease is None else lease.obey(self, super().send, data, flags)

    def _real_close(self) -> None:
        if self.lease is not None:
            self.lease.let_go(self)
        super()._real_close()  # type: ignore[misc]

    def __del__(self) -> None:
        self._real_close()  # as above


def connect(host: str, port: int, lease: Lease, options: SocketOptions = ()) -> PlainSocket:
    """Connect to the first address of `host` that answers, within the lease's limit, and let the lease hold the socket.

    Each address gets its share of the time that is left, so that a dead one does not eat the others'. Raises the last
    `OSError` where none answers. Name resolution itself is the one thing that no limit reaches.
    """
    lease.left()
    addresses = socket.getaddrinfo(host, port, allowed_gai_family(), socket.SOCK_STREAM)
    failure: OSError = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        left = lease.left()
        until = None if left is None else time.monotonic() + left / (len(addresses) - index)
        sock = PlainSocket(family, kind, protocol)
        try:
            for option in options:
                sock.setsockopt(*option)
            lease.hold(sock)
            _connect(sock, address, lease, until)
        except OSError as error:
            failure = error
            sock.close()
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def _connect(sock: PlainSocket, address: Any, lease: Lease, until: float | None) -> None:
    sock.settimeout(0)
    code = sock.connect_ex(address)
    if code in _CONNECTING:
        while True:
            left = lease.left()  # the call's own limit raises here
            if until is not None and time.monotonic() >= until:
                raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
            share = _CONNECT_TICK if until is None else min(_CONNECT_TICK, until - time.monotonic())
            if wait_for_write(sock, max(0.0, share if left is None else min(share, left))):
                break
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    left = lease.left()  # an abort shut the socket: that is no connection
    if code:
        raise OSError(code, os.strerror(code))
    sock.settimeout(left)
