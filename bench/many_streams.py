"""Thousands of streams at the same moment in one asyncio process: CPU, and memory a stream.

python -m bench.many_streams [--streams 5000] [--events 20] [--rounds 3] [--only polyvox,raw,openai]

Each stream reads its first piece, and waits until all the others have read theirs: at that instant all are open, and
memory is taken. Then all go on. The text of every stream is counted. Each contestant runs in a process of its own; the
server is another one. The openai SDK's own pool holds 1,000 connections: it is given one without that bound.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.server import WORD, WORDS, stay_on
from bench.worker import counted, resident

Seen = Callable[[str], Awaitable[None]]
"""Called with each text of a stream; it waits where the stream is to wait."""
Read = Callable[[Seen], Awaitable[None]]
MODEL, QUESTION = "gpt-5.5", "Why is the sky blue?"


def polyvox(url: str) -> tuple[Read, Callable[[], Awaitable[Any]]]:
    from polyvox import AsyncClient, TextDelta

    client = AsyncClient(
        providers={"openai": {"base_url": url, "api_key": "sk-bench", "dialect": "openai"}}, timeout=600
    )

    async def read(seen: Seen) -> None:
        async with client.stream("openai/" + MODEL, QUESTION) as stream:
            async for event in stream:
                if isinstance(event, TextDelta):
                    await seen(event.text)

    return read, client.close


def openai(url: str) -> tuple[Read, Callable[[], Awaitable[Any]]]:
    import httpx2
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    unbounded = DefaultAsyncHttpxClient(limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None))
    client = AsyncOpenAI(base_url=url, api_key="sk-bench", http_client=unbounded, timeout=600, max_retries=0)
    messages: Any = [{"role": "user", "content": QUESTION}]
    more: Any = {"include_usage": True}

    async def read(seen: Seen) -> None:
        async with await client.chat.completions.create(
            model=MODEL, messages=messages, stream=True, stream_options=more
        ) as chunks:
            async for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    await seen(chunk.choices[0].delta.content)

    return read, client.close


def raw(url: str) -> tuple[Read, Callable[[], Awaitable[Any]]]:
    import aiohttp

    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=600, sock_connect=600)
    )
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": QUESTION}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }

    async def read(seen: Seen) -> None:
        rest = b""
        async with session.post(url + "/chat/completions", json=body) as answer:
            async for data in answer.content.iter_any():
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if line.startswith(b"data: {"):
                        choices = json.loads(line[6:])["choices"]
                        if choices and choices[0]["delta"].get("content"):
                            await seen(choices[0]["delta"]["content"])

    return read, session.close


CONTESTANTS = {"polyvox": polyvox, "raw": raw, "openai": openai}


def open_files() -> int:
    """The files that are open, sockets among them; 0 where the system does not tell."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


async def measure(name: str, port: int, streams: int, events: int) -> dict[str, float]:
    url = f"http://127.0.0.1:{port}/{events}/1/400/v1"
    read, close = CONTESTANTS[name](url)
    all_open, opened = asyncio.Event(), 0

    async def one(meet: bool) -> None:
        nonlocal opened
        said: list[str] = []

        async def seen(text: str) -> None:
            nonlocal opened
            said.append(text)
            if meet and len(said) == 1:
                opened += 1
                if opened == streams:
                    all_open.set()
                await all_open.wait()

        await read(seen)
        counted(sum(map(len, said)), events * WORD)
        assert "".join(said) == WORDS[0] * events, "this is not what the server said"

    await asyncio.gather(one(False), one(False))
    gc.collect()
    before, cpu, started = resident(), time.process_time(), time.monotonic()
    tasks = [asyncio.create_task(one(True)) for _ in range(streams)]
    await all_open.wait()
    held, files = resident(), open_files()
    await asyncio.gather(*tasks)
    costs = {
        "cpu": time.process_time() - cpu,
        "wall": time.monotonic() - started,
        "memory": (held - before) / streams / 1024,
        "files": files,
    }
    await close()
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=5000)
    parser.add_argument("--events", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(CONTESTANTS), help="contestants, with commas between")
    parser.add_argument("--worker", nargs=2, metavar=("NAME", "PORT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = options.streams + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SystemExit(f"{options.streams} streams need {wanted} open files, and the system allows {hard}")
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if options.worker:
        name, port = options.worker
        stay_on(0)
        print(json.dumps(asyncio.run(measure(name, int(port), options.streams, options.events))))
        return
    print("\n".join(rounds(options)))


def rounds(options: argparse.Namespace) -> list[str]:
    """Run all contestants in turn, and return the table: CPU of the best round, memory of the middle one."""
    from bench.__main__ import run, server

    names = [name for name in CONTESTANTS if name in options.only.split(",")]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with server() as port:
        for number in range(options.rounds):
            for name in names:
                print(f"round {number + 1}: {name:10}", end="\r", file=sys.stderr, flush=True)
                sizes = ("--streams", options.streams, "--events", options.events)
                found[name].append(json.loads(run("-m", "bench.many_streams", "--worker", name, port, *sizes)))
    lines = [
        f"{options.streams:,} streams of {options.events} events, all open at the same moment",
        f"{'':10}{'CPU, s':>10}{'wall, s':>10}{'KB a stream':>14}{'open files':>12}",
    ]
    best = {name: min(one["cpu"] for one in found[name]) for name in names}
    memory = {name: statistics.median(one["memory"] for one in found[name]) for name in names}
    for name in names:
        wall = min(one["wall"] for one in found[name])
        files = max(one["files"] for one in found[name])
        lines.append(f"{name:10}{best[name]:>10.2f}{wall:>10.1f}{memory[name]:>14.1f}{files:>12.0f}")
    if "polyvox" in names and "openai" in names:
        cpu, size = best["openai"] / best["polyvox"], memory["openai"] / memory["polyvox"]
        lines.append(f"polyvox takes 1/{cpu:.1f} of the CPU and 1/{size:.1f} of the memory of the openai SDK")
    return lines


if __name__ == "__main__":
    main()
