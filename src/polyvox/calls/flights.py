"""Single flight: of calls that ask the same at the same time, one flies and the others wait for what it brings.

The rules. Whoever waits obeys its own deadline and abort. A flight that fails lets the next one try. Nobody waits for a
reader: a streamed answer is read at its own reader's pace (who may be a person, or the very caller that would wait), so
a stream that its reader has not asked to go on for `PATIENCE` seconds is waited for no longer.
"""

from __future__ import annotations

import threading
from typing import Any, Final, Literal

from polyvox.errors import CallTimeoutError
from polyvox.io.base import Context, Signal, timed_out_total
from polyvox.types.generate import GenerateResponse
from polyvox.types.models import Timeout

PATIENCE: Final = 0.5
"""Seconds that a leading stream may lie in its reader's hands before those who wait for it go on by themselves."""

End = Literal["landed", "unshared", "failed"]


class Flight:
    """One call that others may wait for.

    `end` is `None` while it flies; `landed`: `response` is the answer for all; `unshared`: it answered, and the answer
    is not for others; `failed`: it brought nothing, and the next one may try.
    """

    __slots__ = ("_begun", "_guard", "_moves", "_reading", "_signals", "end", "response")

    def __init__(self) -> None:
        self.end: End | None = None
        self.response: GenerateResponse[Any] | None = None
        self._guard = threading.Lock()
        self._signals: list[Signal] = []
        self._begun = False
        self._reading = False
        self._moves = 0

    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.end is not None

    def hand(self) -> None:
        """The leader is about to hand events to its reader."""
        self._reading = True
        if not self._begun:
            with self._guard:
                self._begun = True
            self._wake()

    def go_on(self) -> None:
        """The reader has asked for more."""
        self._reading = False
        self._moves += 1

    def _finish(self, end: End, response: GenerateResponse[Any] | None) -> None:
        with self._guard:
            if self.end is not None:
                return
            self.response = response
            self.end = end
        self._wake()

    def _wake(self) -> None:
        with self._guard:
            signals, self._signals = self._signals, []
        for signal in signals:
            signal.set()

    async def wait(self, context: Context) -> bool:
        """Wait for its end. False: it will not be waited for, its reader keeps it.

        Raises `Cancelled` and `CallTimeoutError` by the waiting call's own abort and deadline.
        """
        while not self.is_over():
            signal = context.io.event()
            with self._guard:
                begun, moves = self._begun, self._moves
                if self.is_over():
                    return True
                self._signals.append(signal)
            try:
                if not begun:
                    await signal.wait(context)
                elif not await _wait_briefly(signal, context) and self._reading and self._moves == moves:
                    return False
            finally:
                with self._guard:
                    if signal in self._signals:
                        self._signals.remove(signal)
        return True


async def _wait_briefly(signal: Signal, context: Context) -> bool:
    """Wait for at most `PATIENCE` seconds. Returns whether it was set."""
    branch = context.branch(seconds=PATIENCE)
    branch.timeout = Timeout(total=PATIENCE)
    release = context.cancel.add(branch.cancel.set)
    try:
        await signal.wait(branch)
    except CallTimeoutError:
        if context.deadline is not None and context.io.now() >= context.deadline:
            raise timed_out_total(context) from None
        return False
    finally:
        release()
    return True


class Flights:
    """The flights under way, by key. Shared by threads and event loops."""

    __slots__ = ("_flying", "_guard")

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._flying: dict[str, Flight] = {}

    def __len__(self) -> int:
        return len(self._flying)

    def join(self, key: str) -> tuple[Flight, bool]:
        """Return the flight for `key`, and whether the caller leads it: then it must call `end`, whatever happens."""
        with self._guard:
            flight = self._flying.get(key)
            if flight is not None:
                return flight, False
            flight = self._flying[key] = Flight()
            return flight, True

    def end(self, key: str, flight: Flight, end: End, response: GenerateResponse[Any] | None = None) -> None:
        """End a flight and wake who waits for it. Only the first call counts."""
        with self._guard:
            if self._flying.get(key) is flight:
                del self._flying[key]
        flight._finish(end, response)
