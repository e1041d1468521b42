"""What a streamed event costs in each dialect, beside Chat Completions: CPU, best round.

python -m bench.decoders [--words 2000] [--rounds 7] [--write]

The same answer is written by each dialect's own server half, ten frames a read, and read twice: by the framer and the
decoder alone, and by a whole client over a scripted network. Text is counted. Every dialect there is takes part.
`--write` puts the table into docs/performance.md.
"""

from __future__ import annotations

import argparse
import gc
import platform
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.server import WORDS, stay_on
from polyvox import Client, TextDelta
from polyvox.calls.generate import _framer as framer_of
from polyvox.io.base import HttpRequest
from polyvox.io.scripted import Answer, ScriptedIO
from polyvox.registry.target import find_dialect
from polyvox.testing.routes import Question, respond, route_of, spoken
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.parts import TextPart
from polyvox.types.usage import Usage

PROMISED = 2.0
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BLOCK_OF_PAGE = re.compile(r"(<!-- decoders: begin -->\n).*?(<!-- decoders: end -->)", re.DOTALL)
BLOCK = 10


def reads_of(name: str, words: int) -> tuple[list[bytes], str]:
    """The streamed answer as it is read from the network, and its text."""
    text = "".join(WORDS[place % len(WORDS)] for place in range(words))
    answer = GenerateResponse[Any](
        id="a", model="m", content=(TextPart(text),), finish=Finish("stop"), usage=Usage(10, words)
    )
    question = Question(route_of(name), find_dialect(name), GenerateRequest(model="m", messages=()), True)
    pieces: list[Any] = list(respond(question, answer, "/", 0).body)
    data = [piece.data for piece in pieces]
    return [b"".join(data[start : start + BLOCK]) for start in range(0, len(data), BLOCK)], text


def decode(name: str, reads: list[bytes]) -> int:
    """Read with the framer and the decoder alone; return the characters."""
    codec = find_dialect(name).generate
    framer, decoder, count = framer_of(codec.framing), codec.stream_decoder(), 0
    for read in reads:
        for frame in framer.feed(read):
            for event in decoder.feed(frame):
                if type(event) is TextDelta:
                    count += len(event.text)
    return count


def reader(name: str, reads: list[bytes]) -> Callable[[], int]:
    """Return what reads the answer with a client."""
    type_of = {"ndjson": "application/x-ndjson"}.get(find_dialect(name).generate.framing, "text/event-stream")

    def answer(request: HttpRequest) -> Answer:
        return Answer(200, {"content-type": type_of}, reads)

    lab = {"base_url": "http://lab.test", "dialect": name, "like": "openai_compatible", "api_key": "any"}
    client = Client(providers={"lab": lab}, io=ScriptedIO(answer))

    def read() -> int:
        count = 0
        with client.stream("lab/m", "Hi") as stream:
            for event in stream:
                if type(event) is TextDelta:
                    count += len(event.text)
        return count

    return read


def measure(words: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Return for each dialect the microseconds an event: decoding alone, and with a client."""
    jobs: dict[str, tuple[Callable[[], int], Callable[[], int]]] = {}
    for name in spoken():
        reads, text = reads_of(name, words)
        jobs[name] = (lambda name=name, reads=reads: decode(name, reads)), reader(name, reads)  # type: ignore[misc]
        for job in jobs[name]:
            if job() != len(text):
                raise SystemExit(f"bench: {name} read another text than was said")
    best: dict[str, list[float]] = {name: [float("inf")] * 2 for name in jobs}
    for _ in range(rounds):
        for name, both in jobs.items():
            for place, job in enumerate(both):
                gc.collect()
                started = time.process_time()
                job()
                best[name][place] = min(best[name][place], (time.process_time() - started) / words * 1e6)
    return {name: (costs[0], costs[1]) for name, costs in best.items()}


def table(found: dict[str, tuple[float, float]]) -> str:
    """The table of the docs."""
    lines = ["| dialect | decoding | of openai's | with a client | of openai's |", "|---|--:|--:|--:|--:|"]
    for name, costs in sorted(found.items(), key=lambda each: each[1][1]):
        alone, client = (cost / base for cost, base in zip(costs, found["openai"], strict=True))
        lines.append(f"| {name} | {costs[0]:.2f} µs | {alone:.2f} | {costs[1]:.2f} µs | {client:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    stay_on(0)
    found = measure(options.words, options.rounds)
    print(f"CPython {platform.python_version()}; answers of {options.words} words, {BLOCK} frames a read")
    print(f"{'dialect':18}{'decoding, µs':>14}{'of openai':>11}{'a client, µs':>15}{'of openai':>11}")
    kept = True
    for name, (alone, client) in sorted(found.items(), key=lambda each: each[1][1]):
        shares = alone / found["openai"][0], client / found["openai"][1]
        kept = kept and max(shares) <= PROMISED
        print(f"{name:18}{alone:>14.2f}{shares[0]:>11.2f}{client:>15.2f}{shares[1]:>11.2f}")
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(BLOCK_OF_PAGE.sub(lambda match: f"{match[1]}{table(found)}{match[2]}", page), encoding="utf-8")
    print(f"promised: at most {PROMISED:g} × openai's: {'kept' if kept else 'NOT KEPT'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
