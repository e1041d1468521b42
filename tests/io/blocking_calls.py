"""Plain calls over `BlockingIO` for its tests: one whole read of an answer, and a clock around it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from polyvox.io.base import Cancel, Context, HttpRequest, drive
from polyvox.io.blocking import BlockingIO
from polyvox.types.models import Timeout
from tests.loopback import LoopbackServer

KEY = "sk-loopbacksecret1234567890"
SHORT = Timeout(connect=2, first_event=0.25, idle=0.25)
PATIENT = Timeout(connect=5, first_event=5, idle=5)


def make_io(server: LoopbackServer | None = None, pool_size: int = 4) -> BlockingIO:
    context = server.client_context() if server is not None and server.tls else None
    return BlockingIO(ssl_context=context, pool_size=pool_size)


def make_request(url: str, body: bytes = b"{}", path: str = "/v1/chat/completions") -> HttpRequest:
    return HttpRequest("POST", url + path, {"authorization": f"Bearer {KEY}", "content-type": "application/json"}, body)


class Answer:
    """What a call received before it ended, one way or another."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.reads: list[bytes] = []
        self.error: BaseException | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.reads)


def call(
    io: BlockingIO,
    url: str,
    timeout: Timeout = PATIENT,
    cancel: Cancel | None = None,
    *,
    body: bytes = b"{}",
    reads: int | None = None,
    path: str = "/v1/chat/completions",
    answer: Answer | None = None,
) -> Answer:
    """Make one call, reading to the end of the body or `reads` times; each read has the idle limit."""
    answer = Answer() if answer is None else answer

    async def run() -> None:
        context = Context(io, timeout, cancel)
        async with io.open(make_request(url, body, path), context) as response:
            answer.status, answer.headers = response.status, dict(response.headers)
            while reads is None or len(answer.reads) < reads:
                context.limit("idle", timeout.idle)
                data = await response.read(context.until)
                if not data:
                    return
                answer.reads.append(data)

    drive(run())
    return answer


@contextmanager
def within(least: float, most: float) -> Iterator[None]:
    """Assert that the block takes at least `least` and at most `most` seconds."""
    start = time.monotonic()
    yield
    took = time.monotonic() - start
    assert least <= took <= most, f"took {took:.3f} s"


@contextmanager
def soon(action: object, delay: float = 0.1) -> Iterator[list[float]]:
    """Do `action` from another thread after `delay`; yields the list that gets the instant at which it was done."""
    done: list[float] = []

    def run() -> None:
        done.append(time.monotonic())
        action()  # type: ignore[operator]

    timer = threading.Timer(delay, run)
    timer.start()
    try:
        yield done
    finally:
        timer.join()
