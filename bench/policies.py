"""What the policies cost when nothing goes wrong: all of them on, beside the bare call, in one process.

python -m bench.policies [--rounds 15] [--calls 100] [--events 1000]

Full: retry, fallback, circuit breaker, limits, a budget and callbacks. The two take turns, block by block, over the
loopback interface, in alternating order; the middle of the pairs' ratios counts, so that a slow moment of the machine
is in both or in neither.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import platform
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bench.server import WHOLE_TEXT, WORD, stay_on
from bench.worker import counted

PROMISED = 1.15
CONCURRENT = 50
ROWS = {
    "sync_call": "a call, sync",
    "async_call": "a call, async, one at a time",
    "async_many": f"a call, async, {CONCURRENT} at once",
    "sync_event": "a streamed event, sync",
    "async_event": "a streamed event, async",
}
Job = Callable[[], Any]


def settings(url: str, full: bool) -> dict[str, Any]:
    from polyvox import Budget, Callbacks, CallConfig, Retry

    block: dict[str, Any] = {"base_url": url, "api_key": "sk-bench", "dialect": "openai"}
    if not full:
        return {"providers": {"openai": block}, "call_config": CallConfig(retry=False)}
    block["breaker"] = {"failures": 5}
    block["limits"] = {"requests_per_minute": 10_000_000, "tokens_per_minute": 10_000_000_000, "concurrency": 1000}
    return {
        "providers": {"openai": block},
        "call_config": CallConfig(
            retry=Retry(),
            fallback=["openai/gpt-5.4"],
            budget=Budget(1e9),
            callbacks=Callbacks(
                on_start=lambda event: None,
                on_usage=lambda usage: None,
                on_retry=lambda fact: None,
                on_error=lambda error: None,
                on_end=lambda response: None,
            ),
        ),
    }


def sync_jobs(port: int, full: bool, calls: int, events: int) -> dict[str, tuple[Job, int]]:
    from polyvox import Client, TextDelta

    short = Client(**settings(f"http://127.0.0.1:{port}/10/10/1/v1", full))
    long = Client(**settings(f"http://127.0.0.1:{port}/{events}/10/0/v1", full))

    def call() -> None:
        for _ in range(calls):
            counted(len(short.generate("openai/gpt-5.5", "Hi").text), len(WHOLE_TEXT))

    def stream() -> None:
        count = 0
        with long.stream("openai/gpt-5.5", "Hi") as read:
            for event in read:
                if type(event) is TextDelta:
                    count += len(event.text)
        counted(count, events * WORD)

    return {"sync_call": (call, calls), "sync_event": (stream, events)}


def async_jobs(port: int, full: bool, calls: int, events: int) -> dict[str, tuple[Callable[[], Awaitable[None]], int]]:
    from polyvox import AsyncClient, TextDelta

    short = AsyncClient(**settings(f"http://127.0.0.1:{port}/10/10/1/v1", full))
    long = AsyncClient(**settings(f"http://127.0.0.1:{port}/{events}/10/0/v1", full))

    async def call() -> None:
        for _ in range(calls):
            counted(len((await short.generate("openai/gpt-5.5", "Hi")).text), len(WHOLE_TEXT))

    async def one() -> None:
        for _ in range(2):
            counted(len((await short.generate("openai/gpt-5.5", "Hi")).text), len(WHOLE_TEXT))

    async def many() -> None:
        await asyncio.gather(*(one() for _ in range(CONCURRENT)))

    async def stream() -> None:
        count = 0
        async with long.stream("openai/gpt-5.5", "Hi") as read:
            async for event in read:
                if type(event) is TextDelta:
                    count += len(event.text)
        counted(count, events * WORD)

    return {"async_call": (call, calls), "async_many": (many, 2 * CONCURRENT), "async_event": (stream, events)}


def cost(job: Job, count: int, run: Callable[[Any], Any]) -> float:
    gc.collect()
    started = time.process_time()
    run(job())
    return (time.process_time() - started) / count * 1e6


def measure(port: int, options: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
    """Return for each row the pairs of costs, bare and full, of each round."""
    sizes = (options.calls, options.events)
    found: dict[str, list[tuple[float, float]]] = {row: [] for row in ROWS}

    def compare(bare: dict[str, Any], full: dict[str, Any], run: Callable[[Any], Any]) -> None:
        for row, (_, count) in bare.items():
            for number in range(options.rounds + 1):
                pair = [(bare[row][0], 0), (full[row][0], 1)]
                costs = [0.0, 0.0]
                for job, place in pair if number % 2 else reversed(pair):
                    costs[place] = cost(job, count, run)
                if number:  # the first one warms up
                    found[row].append((costs[0], costs[1]))

    compare(sync_jobs(port, False, *sizes), sync_jobs(port, True, *sizes), lambda result: result)
    with asyncio.Runner() as runner:

        async def make(full: bool) -> dict[str, Any]:
            return async_jobs(port, full, *sizes)

        compare(runner.run(make(False)), runner.run(make(True)), runner.run)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--worker", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        stay_on(0)
        print(json.dumps(measure(options.worker, options)))
        return 0
    from bench.__main__ import run, server

    with server() as port:
        sizes = ("--rounds", options.rounds, "--calls", options.calls, "--events", options.events)
        found = json.loads(run("-m", "bench.policies", "--worker", port, *sizes))
    print(f"CPython {platform.python_version()}; {options.rounds} pairs of blocks, CPU")
    print(f"{'':34}{'bare, µs':>10}{'full, µs':>10}{'ratio':>8}")
    kept = True
    for row, title in ROWS.items():
        bare, full = (statistics.median(pair[place] for pair in found[row]) for place in (0, 1))
        ratio = statistics.median(pair[1] / pair[0] for pair in found[row])
        kept = kept and ratio < PROMISED
        print(f"{title:34}{bare:>10.2f}{full:>10.2f}{ratio:>8.3f}")
    print(f"promised: less than {PROMISED:g}: {'kept' if kept else 'NOT KEPT'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
