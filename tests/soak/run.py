"""Many calls over many faults, with both clients at once, in one process: what is held afterwards is what was before.

    python -m tests.soak.run --seconds 120

A tenth of the calls fail, are aborted, are left in the middle, or go well by a retry. After each round, with nothing
under way, memory, open files, threads and tasks are counted; after a warm-up they have to stay flat. Retry, breaker,
limits, budget, cache and callbacks are on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, NamedTuple

from polyvox import (
    AsyncClient,
    Budget,
    Cache,
    Callbacks,
    CallConfig,
    Cancel,
    Client,
    MemoryStore,
    PolyvoxError,
    Retry,
    Timeout,
)
from polyvox.testing.routes import route_of, spoken
from tests.soak.server import FAULTS, ONCE, TEXT

THREADS, TASKS = 4, 16
ROUND = 500  # calls of each client in a round
STREAMS = 4  # one call in so many is a stream
PATIENT = Timeout(connect=20, first_event=20, idle=20, total=60)
SHORT = Timeout(connect=20, first_event=0.1, idle=0.1, total=60)  # for calls that meet silence
WARM_UP = 0.25  # of the time
SLOPE = 0.05  # of its memory that a process may grow by in the time after the warm-up
BLOCKED = 64  # bytes a call may leave behind, where that is more


class Held(NamedTuple):
    """What the process holds, with nothing under way."""

    calls: int
    memory: int
    files: int
    threads: int
    tasks: int


class Plan(NamedTuple):
    """What happens to a call: `fault` is asked of the server; `left` is how the caller leaves it."""

    number: int
    model: str
    stream: bool
    fault: str | None
    once: str | None
    left: str | None

    @property
    def settings(self) -> dict[str, Any]:
        """The keywords of the call."""
        told = {"x-fault": self.fault} if self.fault else {}
        if self.once:
            told["x-once"] = f"{self.once} {self.number}"
        return {"headers": told, "timeout": SHORT if self.fault in ("silence", "stall") else PATIENT}


def plan(number: int) -> Plan:
    """The call of this number: nine of ten go well, and the tenth does something in turn."""
    models = spoken()
    model, stream = f"lab_{models[number % len(models)]}/m", number % STREAMS == 0
    turn, odd = divmod(number, 10)
    fault = once = left = None
    if odd == 7:
        things = (*FAULTS, "broken off", *FAULTS, "dropped", "aborted", *(f"once {name}" for name in ONCE))
        thing = things[turn % len(things)]
        if thing in FAULTS:
            fault = thing
        elif thing.startswith("once "):
            once = thing.removeprefix("once ")
        else:
            left, stream = thing, True
    return Plan(number, model, stream, fault, once, left)


class Tally:
    """What came of the calls, by name. Safe in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.words: Counter[str] = Counter()
        self.wrong: list[str] = []

    def add(self, asked: Plan, word: str, wrong: str | None = None) -> None:
        with self._lock:
            self.words[word] += 1
            self.words["a stream" if asked.stream else "a whole call"] += 1
            if wrong:
                self.wrong.append(f"call {asked}: {wrong}")

    def judge(self, asked: Plan, text: str, error: BaseException | None) -> None:
        """Count a call, and look whether it did what it should."""
        if error is not None:
            expected = asked.fault or asked.left == "aborted"
            wrong = None if isinstance(error, PolyvoxError) and expected else f"raised {error!r}"
            self.add(asked, f"{type(error).__name__}", wrong)
        elif asked.left:
            self.add(asked, asked.left, None if TEXT.startswith(text) else f"said {text!r}")
        else:
            self.add(asked, "answered", None if text == TEXT and not asked.fault else f"said {text!r}")


def settings(url: str) -> dict[str, Any]:
    lab = {
        f"lab_{name}": {
            "base_url": url + route_of(name).prefix,
            "dialect": name,
            "like": "openai_compatible",
            "api_key": "any",
            "limits": {"concurrency": 64},
            "breaker": {"failures": 1_000_000, "window": 5},
        }
        for name in spoken()
    }
    told: list[int] = [0]

    def tell(*_: Any) -> None:
        told[0] += 1

    return {
        "providers": lab,
        "call_config": CallConfig(
            retry=Retry(max_attempts=2, initial=0.001, jitter=0),
            budget=Budget(1e9),
            cache=Cache(MemoryStore(100)),
            callbacks=Callbacks(on_content=tell, on_end=tell, on_error=tell, on_retry=tell),
        ),
    }


def call_sync(client: Client, asked: Plan, tally: Tally) -> None:
    question, text, cancel = f"Say it, {asked.number}.", "", Cancel()
    try:
        if not asked.stream:
            text = client.generate(asked.model, question, **asked.settings).text
        else:
            stream = client.stream(asked.model, question, cancel=cancel, **asked.settings)
            for place, piece in enumerate(stream.text):
                text += piece
                if place == 5 and asked.left == "aborted":
                    threading.Thread(target=cancel.set).start()
                elif place == 5 and asked.left:
                    break
            if asked.left == "broken off":
                stream.close()
    except Exception as error:
        tally.judge(asked, text, error)
    else:
        tally.judge(asked, text, None)


async def call_async(client: AsyncClient, asked: Plan, tally: Tally) -> None:
    question, text, cancel = f"Say it, {asked.number}.", "", Cancel()
    try:
        if not asked.stream:
            text = (await client.generate(asked.model, question, **asked.settings)).text
        else:
            stream = client.stream(asked.model, question, cancel=cancel, **asked.settings)
            place = 0
            async for piece in stream.text:
                text += piece
                place += 1
                if place == 5 and asked.left == "aborted":
                    cancel.set()
                elif place == 5 and asked.left:
                    break
            if asked.left == "broken off":
                await stream.close()
    except Exception as error:
        tally.judge(asked, text, error)
    else:
        tally.judge(asked, text, None)


async def play_round(clients: tuple[Client, AsyncClient], pool: ThreadPoolExecutor, start: int, tally: Tally) -> None:
    """Make so many calls with both clients at the same time, and wait for them."""
    numbers = iter(range(start + ROUND, start + 2 * ROUND))

    async def work() -> None:
        for number in numbers:
            await call_async(clients[1], plan(number), tally)

    loop = asyncio.get_running_loop()
    share = range(start, start + ROUND)
    blocking = [
        loop.run_in_executor(
            pool, lambda at=at: [call_sync(clients[0], plan(each), tally) for each in share[at::THREADS]]
        )
        for at in range(THREADS)
    ]
    await asyncio.gather(*blocking, *(work() for _ in range(TASKS)))


async def held(calls: int) -> Held:
    """Count, once what was let go has gone."""
    for _ in range(3):
        await asyncio.sleep(0.01)
        gc.collect()
    with open("/proc/self/statm") as statm:
        memory = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return Held(calls, memory, len(os.listdir("/proc/self/fd")), threading.active_count(), len(asyncio.all_tasks()))


async def soak(url: str, seconds: float, tally: Tally) -> tuple[list[Held], Held, Held]:
    """Play rounds for so long; return what was held after each, before the first, and when all was closed."""
    before = await held(0)
    found, numbers, end = [], count(0, 2 * ROUND), time.monotonic() + seconds
    clients = Client(**settings(url)), AsyncClient(**settings(url))
    with ThreadPoolExecutor(THREADS) as pool:
        while time.monotonic() < end or not found:
            start = next(numbers)
            await play_round(clients, pool, start, tally)
            found.append(await held(start + 2 * ROUND))
    clients[0].close()
    await clients[1].close()
    return found, before, await held(found[-1].calls)


def slope(found: list[Held]) -> float:
    """Bytes a call, by least squares."""
    calls = sum(each.calls for each in found) / len(found)
    memory = sum(each.memory for each in found) / len(found)
    spread = sum((each.calls - calls) ** 2 for each in found)
    return sum((each.calls - calls) * (each.memory - memory) for each in found) / spread if spread else 0.0


@contextlib.contextmanager
def server() -> Iterator[tuple[str, Any]]:
    command = [sys.executable, "-m", "tests.soak.server"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdin is not None
        yield process.stdout.readline().strip(), process
    finally:
        process.communicate(timeout=20)


def report(tally: Tally, found: list[Held], before: Held, after: Held, left: int, requests: int) -> bool:
    """Write what came out; tell whether all stayed flat."""
    steady = [each for each in found if each.calls >= WARM_UP * found[-1].calls]
    for word, number in sorted(tally.words.items()):
        print(f"{number:8} {word}")
    print(f"{requests:8} requests")
    print(f"{'calls':>9} {'memory':>10} {'files':>6} {'threads':>8} {'tasks':>6}")
    for each in (before, *found[:: max(1, len(found) // 12)], found[-1], after):
        print(f"{each.calls:9} {each.memory / 2**20:7.1f} MB {each.files:6} {each.threads:8} {each.tasks:6}")
    growth, span = slope(steady), steady[-1].calls - steady[0].calls
    print(
        f"after the warm-up memory grows by {growth:.1f} bytes a call, {growth * span / 2**20:.2f} MB in {span} calls"
    )
    wrong = [*tally.wrong[:20]]
    if growth * span > max(SLOPE * steady[0].memory, BLOCKED * span):
        wrong.append("memory grows")
    if max(each.files for each in steady) > before.files + THREADS * 4 * len(spoken()) + TASKS * len(spoken()):
        wrong.append("open files grow")
    if len({each.threads for each in steady}) > 1 or len({each.tasks for each in steady}) > 1:
        wrong.append("threads or tasks grow")
    if (after.files, after.threads, after.tasks) != (before.files, before.threads, before.tasks):
        wrong.append(f"not all was closed: {before} before, {after} after")
    if left:
        wrong.append(f"{left} connections left open at the server")
    for each in wrong:
        print(f"WRONG: {each}")
    print(f"soak: {found[-1].calls} calls, {len(wrong)} things wrong")
    return not wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    given = parser.parse_args()
    tally = Tally()
    with server() as (url, process):
        found, before, after = asyncio.run(soak(url, given.seconds, tally))
        process.stdin.write("left\n")
        process.stdin.flush()
        left, requests = (int(word) for word in process.stdout.readline().split())
    return 0 if report(tally, found, before, after, left, requests) else 1


if __name__ == "__main__":
    sys.exit(main())
