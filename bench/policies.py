"""What the policies cost when nothing goes wrong: each alone and all together, beside the bare call, in one process.

python -m bench.policies [--rounds 15] [--calls 100] [--events 1000]

The bare call and the others take turns, block by block, over the loopback interface, in changing order; the middle of
the rounds' ratios counts, so that a slow moment of the machine is in all or in none. A whole call here is the smallest
there is: a question of one word, and half a kilobyte of answer.
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


NAMES = ("bare", "retry", "fallback", "breaker", "limits", "budget", "callbacks", "all")


def settings(url: str, name: str) -> dict[str, Any]:
    from polyvox import Budget, Callbacks, CallConfig, Retry

    block: dict[str, Any] = {"base_url": url, "api_key": "sk-bench", "dialect": "openai"}
    words: dict[str, Any] = {"retry": False}
    if name in ("retry", "all"):
        words["retry"] = Retry()
    if name in ("fallback", "all"):
        words["fallback"] = ["openai/gpt-5.4"]
    if name in ("breaker", "all"):
        block["breaker"] = {"failures": 5}
    if name in ("limits", "all"):
        block["limits"] = {"requests_per_minute": 10_000_000, "tokens_per_minute": 10_000_000_000, "concurrency": 1000}
    if name in ("budget", "all"):
        words["budget"] = Budget(1e9)
    if name in ("callbacks", "all"):
        words["callbacks"] = Callbacks(
            on_start=lambda event: None,
            on_usage=lambda usage: None,
            on_retry=lambda fact: None,
            on_error=lambda error: None,
            on_end=lambda response: None,
        )
    return {"providers": {"openai": block}, "call_config": CallConfig(**words)}


def sync_jobs(port: int, name: str, calls: int, events: int) -> dict[str, tuple[Job, int]]:
    from polyvox import Client, TextDelta

    short = Client(**settings(f"http://127.0.0.1:{port}/10/10/1/v1", name))
    long = Client(**settings(f"http://127.0.0.1:{port}/{events}/10/0/v1", name))

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


def async_jobs(port: int, name: str, calls: int, events: int) -> dict[str, tuple[Callable[[], Awaitable[None]], int]]:
    from polyvox import AsyncClient, TextDelta

    short = AsyncClient(**settings(f"http://127.0.0.1:{port}/10/10/1/v1", name))
    long = AsyncClient(**settings(f"http://127.0.0.1:{port}/{events}/10/0/v1", name))

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


def measure(port: int, options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Return for each row and each policy the costs of all rounds."""
    sizes = (options.calls, options.events)
    found: dict[str, dict[str, list[float]]] = {row: {name: [] for name in NAMES} for row in ROWS}

    def compare(jobs: dict[str, dict[str, Any]], run: Callable[[Any], Any]) -> None:
        for row in jobs["bare"]:
            for number in range(options.rounds + 1):
                start = number % len(NAMES)
                for name in NAMES[start:] + NAMES[:start]:
                    job, count = jobs[name][row]
                    spent = cost(job, count, run)
                    if number:  # the first round warms up
                        found[row][name].append(spent)

    compare({name: sync_jobs(port, name, *sizes) for name in NAMES}, lambda result: result)
    with asyncio.Runner() as runner:

        async def make(name: str) -> dict[str, Any]:
            return async_jobs(port, name, *sizes)

        compare({name: runner.run(make(name)) for name in NAMES}, runner.run)
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
    print(f"CPython {platform.python_version()}; CPU, {options.rounds} rounds; on top of the bare call:")
    print(f"{'':32}{'bare, µs':>10}" + "".join(f"{name:>11}" for name in NAMES[1:]))
    kept = True
    for row, title in ROWS.items():
        costs = found[row]
        cells = ""
        for name in NAMES[1:]:
            ratio = statistics.median(mine / bare for mine, bare in zip(costs[name], costs["bare"], strict=True))
            kept = kept and ratio < PROMISED
            cells += f"{ratio - 1:>+11.1%}"
        print(f"{title:32}{statistics.median(costs['bare']):>10.2f}{cells}")
    print(f"promised: less than {PROMISED - 1:.0%}: {'kept' if kept else 'NOT KEPT by all'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
