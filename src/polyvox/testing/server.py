"""`FaultServer`: a provider on this machine that speaks every wire, and fails in whatever way a test asks for.

Plain HTTP/1.1 on 127.0.0.1 at a free port, on a thread of its own: any client of any library can be pointed at it. The
rule: leaving the `with` closes every connection and joins the thread; what an `answer` function raised is raised there.

    with FaultServer("Hello", faults=[RateLimited(0.1), None]) as server:
        client = openai.OpenAI(base_url=server.base_url("openai"), api_key="any")
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeAlias

from polyvox.errors import ConfigError, ServerError
from polyvox.testing.connection import Connection, Received
from polyvox.testing.faults import Fault, RefuseConnection, ResetOnAccept, refuse
from polyvox.testing.reply import Reply
from polyvox.testing.routes import Answer, Question, respond, route_of, understand

FaultChoice: TypeAlias = Fault | Sequence[Fault | None] | Callable[[Received], Fault | None] | None
"""A fault for every request; one for each request in order, then none; or a function that chooses by the request."""

_START_SECONDS = 10.0
_BACKLOG = 4096


class FaultServer:
    """A server that answers on every wire that Polyvox speaks, and can be told to fail.

    `answer`: a text, a `GenerateResponse`, a function of the request that gives one of them, or a sequence of these,
    one a request, the last one again and again. A stream comes word by word. A function runs on the server's thread.
    `faults`: see `FaultChoice`. `keep`: how many received requests are remembered, `None` for all.
    """

    def __init__(
        self,
        answer: Answer | Sequence[Answer] = "Hello from the fault server.",
        *,
        faults: FaultChoice = None,
        keep: int | None = None,
    ) -> None:
        several = isinstance(answer, Sequence) and not isinstance(answer, str)
        self._answers: tuple[Answer, ...] = tuple(answer) if several else (answer,)  # type: ignore[arg-type,assignment]
        if not self._answers:
            raise ConfigError("answer is an empty sequence: give at least one answer")
        self._faults = faults
        self._received: deque[Received] = deque(maxlen=keep)
        self._count = 0
        self._opened_count = 0
        self._connections: set[Connection] = set()
        self._change = threading.Condition()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self.url = ""

    def __enter__(self) -> FaultServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        if self._failure is not None and error is None:
            raise self._failure

    def start(self) -> None:
        """Listen at a free port of 127.0.0.1. Raises `ConfigError` where it runs already."""
        if self._socket is not None:
            raise ConfigError("this FaultServer runs already")
        # Named as TCP, or asyncio would not turn off the delay of small writes, and each answer would take 40 ms.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        if isinstance(self._faults, RefuseConnection):
            return  # bound and not listening: the port is ours, and nobody answers there
        self._ready.clear()
        self._thread = threading.Thread(target=self._run, name="polyvox-fault-server", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise ConfigError("the fault server did not start")

    def stop(self) -> None:
        """Close every connection and the port. A second call does nothing."""
        thread, self._thread = self._thread, None
        if thread is not None:
            loop, stop = self._loop, self._stop
            assert loop is not None
            assert stop is not None
            loop.call_soon_threadsafe(stop.set)
            thread.join()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def base_url(self, dialect: str = "openai") -> str:
        """Return the base URL for a client of that dialect. Raises `ConfigError` for a dialect that is not spoken."""
        return self.url + route_of(dialect).prefix

    @property
    def requests(self) -> list[Received]:
        """The requests received so far, in order."""
        with self._change:
            return list(self._received)

    @property
    def request_count(self) -> int:
        """How many requests were received, those no longer remembered too."""
        with self._change:
            return self._count

    @property
    def connection_count(self) -> int:
        """How many connections were accepted."""
        with self._change:
            return self._opened_count

    @property
    def open_connections(self) -> int:
        """How many connections are open now, idle ones too."""
        with self._change:
            return len(self._connections)

    def wait_closed(self, timeout: float = 2.0, *, left: int = 0) -> bool:
        """Wait until at most `left` connections are open; `False` where `timeout` seconds were not enough."""
        end = time.monotonic() + timeout
        with self._change:
            while len(self._connections) > left:
                if not self._change.wait(max(0.0, end - time.monotonic())) and time.monotonic() >= end:
                    return len(self._connections) <= left
        return True

    # on the server's thread

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        assert self._socket is not None
        server = await loop.create_server(
            lambda: Connection(self._answer, self._opened, self._closed), sock=self._socket, backlog=_BACKLOG
        )
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            server.close()
            for connection in tuple(self._connections):
                connection.abort()
            # `connection_lost` comes with the loop's next turns.
            if self._connections:
                await asyncio.to_thread(self.wait_closed, _START_SECONDS)

    def _opened(self, connection: Connection) -> bool:
        """Take a connection in; `False` where it is to be reset at once."""
        with self._change:
            self._opened_count += 1
            self._connections.add(connection)
            number = self._count
        faults = self._faults
        if isinstance(faults, Sequence):
            fault = faults[number] if number < len(faults) else None
        else:
            fault = faults if isinstance(faults, Fault) else None
        if isinstance(fault, ResetOnAccept):
            with self._change:
                self._count += 1
            return False
        return True

    def _closed(self, connection: Connection) -> None:
        with self._change:
            self._connections.discard(connection)
            self._change.notify_all()

    def _answer(self, received: Received) -> Reply:
        with self._change:
            number = self._count
            self._count += 1
            self._received.append(received)
        try:
            return self._reply(received, number)
        except Exception as error:  # noqa: BLE001 - a test's own function may raise anything
            # The test's own function failed: the client is told, and the test when it leaves the `with`.
            self._failure = self._failure or error
            return refuse(Reply(path=received.path), ServerError("the test's answer failed"), 500)

    def _reply(self, received: Received, number: int) -> Reply:
        question = understand(received.method, received.path, received.body)
        if not isinstance(question, Question):
            reply = question
        else:
            received.dialect = question.dialect.name
            received.request, received.stream = question.request, question.stream
            answer = self._answers[min(number, len(self._answers) - 1)]
            reply = respond(question, answer, received.target, number)
        fault = self._fault(received, number)
        return reply if fault is None else fault.apply(reply)

    def _fault(self, received: Received, number: int) -> Fault | None:
        faults = self._faults
        if faults is None or isinstance(faults, Fault):
            return faults
        if callable(faults):
            return faults(received)
        return faults[number] if number < len(faults) else None
