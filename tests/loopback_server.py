"""A loopback HTTP/1.1 server for the tests: raw sockets and threads, so that it can misbehave in any way a network can.

A *script* is called with an `Exchange` for every request and does as it likes with the socket: answers, drips, stalls,
cuts, resets. The rule it keeps: no test ever hangs on it. Every wait is bounded, leaving the `with` wakes and joins all
its threads, and a script that failed by its own fault raises there.

    with LoopbackServer(sse_chat(["Hel", "lo"])) as server:
        ... server.url, server.requests, server.connections

Over TLS: `LoopbackServer(script, tls=True)`; `server.client_context()` trusts its certificate.
"""

from __future__ import annotations

import contextlib
import functools
import json
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import trustme

Script = Callable[["Exchange"], None]

LONGEST = 20.0  # seconds: no wait of the server is longer, whatever a script asks for
TICK = 0.02  # how often a waiting script looks whether the server is being stopped
HEAD_END = b"\r\n\r\n"


class ClientLeft(Exception):
    """The client closed or reset the connection: the script ends here, and nothing is wrong."""


@functools.cache
def authority() -> trustme.CA:
    """One certificate authority for the whole run: making a key takes time."""
    return trustme.CA()


@functools.cache
def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


def client_context() -> ssl.SSLContext:
    """A new client context that trusts every TLS `LoopbackServer`."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


def encode_head(status: int, headers: Mapping[str, str] | Iterable[tuple[str, str]], reason: str = "OK") -> bytes:
    """Return the bytes of a response head, blank line included."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in pairs)]
    return "\r\n".join(lines).encode("latin-1") + HEAD_END


def unused_url() -> str:
    """Return a URL at which nobody listens: a connection is refused."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


class Connection:
    """One accepted connection: its socket, what was read ahead, and how many requests it brought."""

    def __init__(self, server: LoopbackServer, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock
        self.buffer = bytearray()
        self.count = 0
        self.open = True

    def receive(self, until: float) -> bool:
        """Read once into the buffer. False at `until` or when the server stops; raises `ClientLeft` at the end."""
        while True:
            if self.server.stopping.is_set():
                return False
            left = until - time.monotonic()
            if left <= 0:
                return False
            self.sock.settimeout(min(TICK, left))
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                data = b""
            if not data:
                self.server.client_left.set()
                raise ClientLeft
            self.buffer += data
            return True

    def read_until(self, end: bytes) -> bytes | None:
        """Read up to and with `end`; `None` when the server stops first."""
        while end not in self.buffer:
            if not self.receive(time.monotonic() + LONGEST):
                return None
        return self.take(self.buffer.index(end) + len(end))

    def read_exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            if not self.receive(time.monotonic() + LONGEST):
                raise ClientLeft
        return self.take(size)

    def take(self, size: int) -> bytes:
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def send(self, data: bytes) -> None:
        self.sock.settimeout(LONGEST)
        try:
            self.sock.sendall(data)
        except OSError:
            self.server.client_left.set()
            raise ClientLeft from None

    def close(self) -> None:
        if self.open:
            self.open = False
            self.sock.close()


class Exchange:
    """One request, and the primitives with which a script answers it."""

    def __init__(self, connection: Connection, head: bytes) -> None:
        lines = head[: -len(HEAD_END)].decode("latin-1").split("\r\n")
        self.method, self.path, _ = lines[0].split(" ", 2)
        self.headers: dict[str, str] = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self.head = head
        self.body = b""
        self.connection = connection
        self.server = connection.server
        self.number = len(self.server.requests)  # how many requests the server had before this one
        self.nth = connection.count  # the same for this connection
        self._left: int | None = None
        self._chunked = False
        self._complete = False
        self._closing = False

    # --- the request ---------------------------------------------------------------------------------------------

    def read_body(self) -> bytes:
        """Read the request's body. Done before the script is called, save with `read_body=False`."""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int((self.connection.read_until(b"\r\n") or b"0").split(b";")[0], 16):
                self.body += self.connection.read_exactly(size + 2)[:-2]
            self.connection.read_until(b"\r\n")
        else:
            self.body = self.connection.read_exactly(int(self.headers.get("content-length", "0")))
        return self.body

    def json(self) -> Any:
        return json.loads(self.body)

    # --- answers -------------------------------------------------------------------------------------------------

    def send_head(
        self,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        chunked: bool = False,
        length: int | None = None,
        close: bool = False,
    ) -> None:
        """Send a head. Without `chunked` and `length` the body ends where the connection does."""
        self.send(self.head_bytes(status, headers, chunked=chunked, length=length, close=close), counted=False)

    def head_bytes(
        self,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        chunked: bool = False,
        length: int | None = None,
        close: bool = False,
    ) -> bytes:
        """Return the bytes `send_head` would send, to be dripped or cut."""
        pairs = dict(headers or {})
        if chunked:
            pairs["Transfer-Encoding"] = "chunked"
        if length is not None:
            pairs["Content-Length"] = str(length)
        if close or (not chunked and length is None):
            pairs["Connection"] = "close"
            self._closing = True
        self._chunked, self._left, self._complete = chunked, length, length == 0
        return encode_head(status, pairs)

    def send(self, data: bytes, *, counted: bool = True) -> None:
        """Send bytes as they are."""
        self.connection.send(data)
        if counted and self._left is not None:
            self._left -= len(data)
            self._complete = self._left <= 0

    def send_chunk(self, data: bytes) -> None:
        """Send one chunk of a chunked body."""
        self.connection.send(b"%x\r\n%b\r\n" % (len(data), data))

    def end_chunks(self) -> None:
        """End a chunked body."""
        self.connection.send(b"0\r\n\r\n")
        self._complete = True

    def respond(self, status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Send a whole answer."""
        self.send_head(status, headers, length=len(body))
        self.send(body)
        self._complete = True

    def drip(self, data: bytes, delay: float = 0.03) -> bool:
        """Send `data` byte by byte, `delay` seconds apart. True when the client left before its end."""
        for index in range(len(data)):
            try:
                self.send(data[index : index + 1])
            except ClientLeft:
                return True
            if self.client_gone(delay):
                return True
            if self.server.stopping.is_set():
                break
        return False

    # --- waiting and breaking ------------------------------------------------------------------------------------

    def client_gone(self, timeout: float = 5.0) -> bool:
        """Watch this side of the connection: True as soon as the client closed or reset it, False after `timeout`.

        What the client sends meanwhile (the rest of an upload) is read away.
        """
        until = time.monotonic() + min(timeout, LONGEST)
        try:
            while self.connection.receive(until):
                pass
        except ClientLeft:
            return True
        return False

    def stall(self, seconds: float = LONGEST) -> bool:
        """Send nothing for `seconds`, or until `server.release()`, or until the client left: then True.

        What the client sends meanwhile is read; `hold` does not read.
        """
        until = time.monotonic() + min(seconds, LONGEST)
        while time.monotonic() < until and not self.server.released.is_set() and not self.server.stopping.is_set():
            if self.client_gone(TICK):
                return True
        return False

    def hold(self, seconds: float = LONGEST) -> None:
        """Do nothing and read nothing for `seconds`, or until `server.release()`: an upload stays stuck."""
        until = time.monotonic() + min(seconds, LONGEST)
        while time.monotonic() < until and not self.server.stopping.is_set():
            if self.server.released.wait(TICK):
                return

    def close(self) -> None:
        """Close the connection now, without TLS's goodbye."""
        self._closing = True
        self.connection.close()

    def end(self) -> None:
        """Close the connection as a good server does: over TLS with its goodbye first."""
        self._closing = True
        if isinstance(self.connection.sock, ssl.SSLSocket):
            self.connection.sock.settimeout(0.05)  # the goodbye is sent at once; few clients answer it
            with contextlib.suppress(OSError):
                self.connection.sock = self.connection.sock.unwrap()
        self.connection.close()

    def reset(self) -> None:
        """Break the connection with a RST."""
        self._closing = True
        self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def tunnel(self, address: tuple[str, int] | None = None) -> None:
        """Be a proxy: answer a CONNECT with 200 and pass the bytes on to `address` (by default the one asked for)."""
        host, _, port = self.path.rpartition(":")
        self.send(b"HTTP/1.1 200 Connection established\r\n\r\n", counted=False)
        self._closing = True
        with socket.create_connection(address or (host, int(port)), timeout=LONGEST) as upstream:
            ends = {self.connection.sock: upstream, upstream: self.connection.sock}
            while not self.server.stopping.is_set():
                for ready in select.select(list(ends), [], [], TICK)[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    ends[ready].sendall(data)

    @property
    def reusable(self) -> bool:
        """Whether the connection may bring another request."""
        asked = self.headers.get("connection", "").lower() == "close"
        return self._complete and not self._closing and not asked and self.connection.open


class LoopbackServer:
    """The server. `script` is called with every request, in the thread of its connection.

    `read_body=False` leaves the upload unread (`exchange.read_body()` reads it); `handshake=False` accepts a TLS
    connection and never says a word; `accept=False` leaves connections in the backlog.
    """

    def __init__(
        self,
        script: Script,
        *,
        tls: bool = False,
        read_body: bool = True,
        handshake: bool = True,
        accept: bool = True,
        backlog: int = 64,
        receive_buffer: int | None = None,
    ) -> None:
        self.script = script
        self.tls = tls
        self.requests: list[Exchange] = []
        self.accepted = 0
        self.stopping = threading.Event()
        self.released = threading.Event()
        self.client_left = threading.Event()
        self.arrived = threading.Event()  # the head of a request was read
        self._read_body = read_body
        self._handshake = handshake
        self._accept = accept
        self._failures: list[BaseException] = []
        self._lock = threading.Lock()
        self._connections: list[Connection] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(backlog)
        self._listener.settimeout(TICK)
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections are open at this moment, seen from this side."""
        with self._lock:
            return sum(connection.open for connection in self._connections)

    def client_context(self) -> ssl.SSLContext:
        """A client context that trusts this server (and any other `LoopbackServer`)."""
        return client_context()

    def release(self) -> None:
        """Let stalling scripts go on."""
        self.released.set()

    def wait_connections(self, count: int, timeout: float = 2.0) -> bool:
        """Wait until exactly `count` connections are open."""
        until = time.monotonic() + timeout
        while self.connections != count:
            if time.monotonic() >= until:
                return False
            time.sleep(0.005)
        return True

    def __enter__(self) -> LoopbackServer:
        self._start(self._serve)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.released.set()
        with self._lock:
            threads = list(self._threads)
            sockets = [connection.sock for connection in self._connections if connection.open]
        for sock in sockets:  # wakes a thread that is stuck in a send
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        until = time.monotonic() + 5.0
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._listener.close()
        if any(thread.is_alive() for thread in threads):
            raise AssertionError("a script of the loopback server did not end")
        if self._failures:
            raise AssertionError("a script of the loopback server failed") from self._failures[0]

    def _start(self, function: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=function, args=arguments, daemon=True, name=f"loopback:{self.port}")
        with self._lock:
            self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        while not self.stopping.is_set():
            if not self._accept:
                self.stopping.wait(TICK)
                continue
            try:
                sock, _ = self._listener.accept()
            except TimeoutError:
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(self, sock)
            with self._lock:
                self._connections.append(connection)
                self.accepted += 1
            self._start(self._talk, connection)

    def _talk(self, connection: Connection) -> None:
        try:
            if self.tls and not self._greet(connection):
                return
            while self._answer(connection):
                pass
        except ClientLeft:
            pass
        except BaseException as error:  # a fault of the script: shown when the `with` ends
            if not self.stopping.is_set():
                self._failures.append(error)
        finally:
            connection.close()

    def _greet(self, connection: Connection) -> bool:
        """Do the TLS handshake, or (with `handshake=False`) wait in silence until the client leaves."""
        if not self._handshake:
            until = time.monotonic() + LONGEST
            while connection.receive(until):
                pass
            return False
        connection.sock.settimeout(5.0)
        try:
            connection.sock = server_context().wrap_socket(connection.sock, server_side=True)
        except OSError:  # the client did not trust us, or left
            self.client_left.set()
            return False
        return True

    def _answer(self, connection: Connection) -> bool:
        head = connection.read_until(HEAD_END)
        if head is None:
            return False
        with self._lock:
            exchange = Exchange(connection, head)
            self.requests.append(exchange)
        connection.count += 1
        self.arrived.set()
        if self._read_body:
            exchange.read_body()
        self.script(exchange)
        return exchange.reusable
