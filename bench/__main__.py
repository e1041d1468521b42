"""Runs the rounds, and prints the table.

python -m bench [--rounds 5] [--events 2000] [--calls 300] [--flat 100000] [--only polyvox,raw,openai]
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.contestants import IMPORTS

ROWS = {
    "async_event": ("a streamed event, async", "µs"),
    "sync_event": ("a streamed event, sync", "µs"),
    "async_call": ("a call, async, one at a time", "µs"),
    "async_steady": ("a call, async, always 100 at once", "µs"),
    "async_burst": ("a call, async, bursts of 100", "µs"),
    "sync_call": ("a call, sync", "µs"),
    "import": ("import", "ms"),
    "rss": ("peak memory of the run", "MB"),
}
# What the project promises against the openai SDK: its own share of the SDK's cost, at most.
PROMISED = {"async_event": 12, "sync_event": 12, "async_steady": 10, "async_burst": 10, "sync_call": 3, "import": 7}
RIVALS = ("openai", "litellm", "raw")
RESULTS = Path(__file__).parent / "results"
# litellm fetches its price list over the network on import, unless told to use its own copy.
ENVIRONMENT = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*", "no_proxy": "*"}


@contextlib.contextmanager
def server() -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.communicate(timeout=10)


def run(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    if done.returncode:
        raise SystemExit(f"bench: {' '.join(map(str, arguments))} failed:\n{done.stderr[-2000:]}")
    return done.stdout.strip().splitlines()[-1]


def import_cost(name: str) -> float:
    """Milliseconds of CPU for the import alone, in a fresh interpreter."""
    return float(
        run("-c", f"import time; t = time.process_time(); {IMPORTS[name]}; print((time.process_time() - t) * 1e3)")
    )


def keep_best(best: dict[str, dict[str, float]], name: str, costs: dict[str, float]) -> None:
    for row, cost in costs.items():
        best[name][row] = min(cost, best[name].get(row, cost))


def measure(names: list[str], options: argparse.Namespace) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
    best: dict[str, dict[str, float]] = {name: {} for name in names}
    flat: dict[str, Any] = {}
    for name in names:
        import_cost(name)  # so that byte code and file cache are warm for all
    with server() as port:
        for number in range(options.rounds):
            for name in names:
                print(f"round {number + 1} of {options.rounds}: {name:10}", end="\r", file=sys.stderr, flush=True)
                keep_best(best, name, {"import": min(import_cost(name) for _ in range(2))})
                keep_best(best, name, json.loads(run("-m", "bench.worker", name, port, options.events, options.calls)))
        if options.flat and "polyvox" in names:
            print(f"a stream of {options.flat:,} events    ", end="\r", file=sys.stderr, flush=True)
            runs = [json.loads(run("-m", "bench.worker", "polyvox", port, "flat", options.flat)) for _ in range(3)]
            # Each quarter by its best run; memory by the worst.
            flat = {name: max(found[name] for found in runs) for name in ("answer", "grown", "kept")}
            flat["quarters"] = [min(quarter) for quarter in zip(*(found["quarters"] for found in runs), strict=True)]
    return best, flat


def table(names: list[str], best: dict[str, dict[str, float]]) -> list[str]:
    """Costs, then ours as a share of the others'."""
    rivals = [name for name in RIVALS if name in names and "polyvox" in names]
    head = [f"{'CPU, best round':36}", *(f"{name:>12}" for name in names)]
    lines = ["".join([*head, *(f"{'of ' + rival:>14}" for rival in rivals), "    promised"])]
    for row, (title, unit) in ROWS.items():
        cells = [f"{title + ', ' + unit:36}", *(f"{best[name][row]:12.1f}" for name in names)]
        cells += [f"{share(best['polyvox'][row], best[rival][row]):>14}" for rival in rivals]
        if row in PROMISED and "openai" in rivals:
            kept = best["polyvox"][row] * PROMISED[row] <= best["openai"][row]
            cells.append(f"    1/{PROMISED[row]} of openai: {'kept' if kept else 'NOT KEPT'}")
        lines.append("".join(cells))
    return lines


def share(ours: float, theirs: float) -> str:
    return f"1/{theirs / ours:.1f}" if theirs >= ours else f"{ours / theirs:.2f}"


def flatness(flat: dict[str, Any], events: int) -> str:
    quarters = ", ".join(f"{quarter:.2f}" for quarter in flat["quarters"])
    kept, answer, grown = flat["kept"] / 2**20, flat["answer"] / 2**20, flat["grown"] / 2**20
    return f"""
one stream of {events:,} events: {quarters} µs an event in its four quarters
its answer has {answer:.2f} MB of text; memory grew by {grown:.2f} MB at its peak, {kept:.2f} MB after it was dropped"""


def conditions(names: list[str], options: argparse.Namespace) -> str:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names if name != "raw")
    http = f"aiohttp {metadata.version('aiohttp')} (async), urllib3 {metadata.version('urllib3')} (sync), with json"
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"""{datetime.date.today().isoformat()}  CPython {platform.python_version()}  {machine}
{versions}; raw: {http}
{options.rounds} rounds; streams of {options.events} events, 10 in a write; {options.calls} calls
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--flat", type=int, default=100_000, help="events of the long stream; 0: leave it out")
    parser.add_argument("--only", help="contestants, with commas between", default=",".join(IMPORTS))
    options = parser.parse_args()
    names = [name for name in IMPORTS if name in options.only.split(",")]
    best, flat = measure(names, options)
    print(" " * 40, end="\r", file=sys.stderr, flush=True)
    lines = [conditions(names, options), *table(names, best)]
    if flat:
        lines.append(flatness(flat, options.flat))
    RESULTS.mkdir(exist_ok=True)
    text = "\n".join(lines) + "\n"
    (RESULTS / f"{datetime.datetime.now():%Y-%m-%d-%H%M%S}.txt").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
