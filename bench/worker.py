"""One contestant in a process of its own: does the five jobs, and prints what each cost as one line of JSON.

python -m bench.worker NAME PORT EVENTS CALLS
python -m bench.worker NAME PORT flat EVENTS
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import resource
import sys
import time
from typing import Any

from bench.contestants import ASYNC, SYNC
from bench.server import WHOLE_TEXT, WORD, stay_on

BLOCK, PACE = 10, 1
CONCURRENT = 100


def resident() -> int:
    """The bytes of memory now held; the peak, where the system does not tell."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak()


def peak() -> int:
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def counted(got: int, wanted: int) -> None:
    if got != wanted:
        raise SystemExit(f"read {got} characters of {wanted}: the contestants do not do the same work")


def measure_sync(name: str, port: int, events: int, calls: int) -> dict[str, float]:
    long, short = (SYNC[name](f"http://127.0.0.1:{port}/{count}/{BLOCK}/{PACE}/v1") for count in (events, BLOCK))
    for _ in range(5):
        counted(short.call(), len(WHOLE_TEXT))
        counted(short.stream(), BLOCK * WORD)
    gc.collect()
    before = time.process_time()
    for _ in range(calls):
        counted(short.call(), len(WHOLE_TEXT))
    called = time.process_time()
    counted(long.stream(), events * WORD)
    streamed = time.process_time()
    return {"sync_call": (called - before) / calls * 1e6, "sync_event": (streamed - called) / events * 1e6}


async def measure_async(name: str, port: int, events: int, calls: int) -> dict[str, float]:
    long, short = (ASYNC[name](f"http://127.0.0.1:{port}/{count}/{BLOCK}/{PACE}/v1") for count in (events, BLOCK))

    async def call_in_turn(count: int) -> None:
        for _ in range(count):
            counted(await short.call(), len(WHOLE_TEXT))

    await call_in_turn(5)
    counted(await short.stream(), BLOCK * WORD)
    gc.collect()
    marks = [time.process_time()]
    # One at a time comes first, while one connection is pooled: some pools look at every idle one for each call.
    await call_in_turn(calls)
    marks.append(time.process_time())
    counted(await long.stream(), events * WORD)
    marks.append(time.process_time())
    await asyncio.gather(*(call_in_turn(1) for _ in range(CONCURRENT)))
    gc.collect()
    each = max(1, 2 * calls // CONCURRENT)
    marks.append(time.process_time())
    await asyncio.gather(*(call_in_turn(each) for _ in range(CONCURRENT)))
    marks.append(time.process_time())
    for _ in range(each):
        await asyncio.gather(*(call_in_turn(1) for _ in range(CONCURRENT)))
    marks.append(time.process_time())
    for contestant in (long, short):
        await contestant.close()
    single, stream, _, steady, bursts = (after - before for before, after in itertools.pairwise(marks))
    return {
        "async_call": single / calls * 1e6,
        "async_event": stream / events * 1e6,
        "async_steady": steady / (each * CONCURRENT) * 1e6,
        "async_burst": bursts / (each * CONCURRENT) * 1e6,
    }


def measure_flat(name: str, port: int, events: int) -> dict[str, Any]:
    """Read one very long answer: what an event of its first and last quarter costs, and how memory grew."""
    from polyvox import Client, TextDelta

    def read(count: int, block: int) -> tuple[list[float], int]:
        url = f"http://127.0.0.1:{port}/{count}/{block}/{PACE}/v1"
        client = Client(providers={"openai": {"base_url": url, "api_key": "sk-bench", "dialect": "openai"}})
        marks, seen, mark = [time.process_time()], 0, count // 4
        with client.stream("openai/gpt-5.5", "hi") as stream:
            for event in stream:
                if type(event) is TextDelta:
                    seen += 1
                    if seen % mark == 0:
                        marks.append(time.process_time())
            size = len(stream.response.text)
        counted(size, count * WORD)
        return marks, size

    assert name == "polyvox"
    read(2000, BLOCK)
    gc.collect()
    before = resident()
    marks, size = read(events, BLOCK)
    grown = peak() - before
    gc.collect()
    quarters = [(after - start) / (events // 4) * 1e6 for start, after in itertools.pairwise(marks)]
    return {"quarters": quarters, "answer": size, "grown": grown, "kept": resident() - before}


def main() -> None:
    name, port, events, calls = sys.argv[1:]
    stay_on(0)
    if events == "flat":
        print(json.dumps(measure_flat(name, int(port), int(calls))))
        return
    costs = measure_sync(name, int(port), int(events), int(calls))
    costs |= asyncio.run(measure_async(name, int(port), int(events), int(calls)))
    print(json.dumps({**costs, "rss": peak() / 2**20}))


if __name__ == "__main__":
    main()
