"""Changes recorded answers at random, byte by byte, and looks whether anything but a typed error comes out.

    python -m tests.fuzz.run --count 100000 --seed 1
    python -m tests.fuzz.run --seed 1 --only 4711          one case again, with its traceback

The rules: a case is made by its seed and its number alone; only a `PolyvoxError` may come out; the events are no more
than the bytes; no case takes long.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

from polyvox import Client, PolyvoxError
from polyvox.calls.config import CallConfig
from polyvox.calls.generate import _framer as framer_of
from polyvox.io.base import HttpRequest
from polyvox.io.scripted import Answer, ScriptedIO
from polyvox.registry.target import find_dialect
from polyvox.types.events import Event
from polyvox.types.fold import Fold, unfold
from tests.fuzz.samples import Sample, samples

SLOW = 5.0  # seconds: no case takes longer
SPARE = 64  # events that come of no bytes: starts and ends
CLIENT_SHARE = 8  # one case in so many goes through a client
KINDS = ("stream",) * 5 + ("whole",) * 3 + ("error", "request")
TOKENS = (
    b"null", b"true", b"{}", b"[]", b"-1", b"1e999", b"NaN", b"99999999999999999999", b'"', b"\\", b"\\ud83d",
    b"\\u0000", b"\x00", b"\xff", b"\xf0\x9f", b"\r", b"\r\n\r\n", b"\n\n", b"\n", b"data: ", b"data:",
    b"event: error\n", b": x\n", b"[DONE]", b"data: [DONE]\n\n", b'"index":7', b'"error":{"message":"x"}',
    b'"type":"error"', b"[" * 1200,
    b'{"a":' * 1200, b"\xef\xbb\xbf", b"<html>", b",", b":", b"}", b"]", b" " * 100, b'"delta":null', b'"choices":[]',
)  # fmt: skip

LITERAL = re.compile(rb'"(?:[^"\\\n]|\\.)*"|(?<=[:,\[])\s*(?:-?\d[\d.eE+\-]*|true|false|null|\{\}|\[\])')
VALUES = (
    b"null", b"true", b"0", b"-1", b"1.5", b"1e999", b"18446744073709551616", b'""', b'"x"', b'"\\ud83d"', b'"\\u0000"',
    b"{}", b"[]", b"[null]", b"[[]]", b'{"a":null}', b'"NaN"', b"NaN", b'["x",1]', b'"data:;base64,###"',
    b'[{"type":"x"}]',
)  # fmt: skip


class Outcome(NamedTuple):
    """What came of a case: `wrong` says the fault, `None` where there is none."""

    number: int
    sample: Sample
    word: str
    wrong: str | None


class Hang(BaseException):
    """A case that took too long, ended by the alarm."""


def mutate(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """Change bytes in one to four places: half the time so that most of the JSON stays JSON."""
    change = mutate_values if chance.random() < 0.5 else mutate_bytes
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        data = change(chance, data, other)
    return data


def mutate_bytes(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """Flip, overwrite, cut, repeat, splice in or insert bytes anywhere."""
    changed = bytearray(data)
    place = chance.randrange(len(changed) + 1)
    size = min(chance.choice((1, 2, 5, 20, 200)), len(changed) - place)
    match chance.randrange(8):
        case 0 if place < len(changed):
            changed[place] ^= 1 << chance.randrange(8)
        case 1 if place < len(changed):
            changed[place] = chance.randrange(256)
        case 2:
            del changed[place : place + size]
        case 3:
            del changed[place:]
        case 4:
            changed[place:place] = changed[place : place + size] * chance.randint(1, 3)
        case 5:
            start = chance.randrange(len(other) + 1)
            changed[place : place + size] = other[start : start + chance.choice((1, 10, 100, 1000))]
        case 6:
            changed[place:place] = chance.randbytes(chance.randint(1, 8))
        case _:
            changed[place : place + chance.choice((0, 0, size))] = chance.choice(TOKENS)
    return bytes(changed)


def mutate_values(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """Replace a JSON value or a name by another one; leave out, repeat or move a line."""
    if chance.random() < 0.25:
        lines = data.split(b"\n\n") if b"\n\n" in data else data.split(b"\n")
        place = chance.randrange(len(lines))
        match chance.randrange(3):
            case 0:
                del lines[place]
            case 1:
                lines.insert(place, lines[place])
            case _:
                lines.insert(chance.randrange(len(lines)), lines.pop(place))
        return (b"\n\n" if b"\n\n" in data else b"\n").join(lines)
    found = list(LITERAL.finditer(data))
    if not found:
        return data
    one = chance.choice(found)
    if chance.random() < 0.3:
        value = chance.choice(found)[0]
    elif chance.random() < 0.5 and (theirs := LITERAL.findall(other)):
        value = chance.choice(theirs)
    else:
        value = chance.choice(VALUES)
    return data[: one.start()] + value + data[one.end() :]


def pieces_of(chance: random.Random, data: bytes) -> list[bytes]:
    """The data in one to four reads."""
    places = sorted({0, len(data), *(chance.randrange(len(data) + 1) for _ in range(chance.randrange(4)))})
    return [data[start:end] for start, end in pairwise(places)]


def through_codec(sample: Sample, pieces: list[bytes]) -> str:
    """Read with the codec alone; the word says what came out."""
    dialect = find_dialect(sample.dialect)
    codec = dialect.generate
    data = b"".join(pieces)
    match sample.kind:
        case "request":
            codec.decode_request(data)
            return "request"
        case "error":
            return type(dialect.decode_error(429, {}, data)).__name__
        case "whole":
            response = codec.decode_response(data)
            folding = Fold()
            folding.feed(unfold(response))
            assert folding.response is response
            return "answer"
    framer, decoder, folding = framer_of(codec.framing), codec.stream_decoder(), Fold()
    count = 0

    def take(events: list[Event]) -> None:
        nonlocal count
        count += len(events)
        assert count <= len(data) + SPARE, f"{count} events of {len(data)} bytes"
        folding.feed(events)

    try:
        for piece in pieces:
            for frame in framer.feed(piece):
                take(decoder.feed(frame))
        for frame in framer.close():
            take(decoder.feed(frame))
        take(decoder.close())
    finally:
        partial = folding.response  # what an error would carry
        assert sum(len(getattr(part, "text", "") or "") for part in partial.content) <= 4 * len(data) + SPARE
    return "answer"


class Through:
    """Reads with a client, over a scripted network."""

    def __init__(self) -> None:
        self.answer = Answer()
        lab = {
            name: {"base_url": "http://lab.test", "dialect": name, "like": "openai_compatible", "api_key": "any"}
            for name in {sample.dialect for sample in samples()}
        }
        self.client = Client(
            providers={f"lab_{name}": block for name, block in lab.items()},
            io=ScriptedIO(self._next),
            call_config=CallConfig(retry=False),
        )

    def _next(self, request: HttpRequest) -> Answer:
        return self.answer

    def __call__(self, chance: random.Random, sample: Sample, pieces: list[bytes]) -> str:
        status = chance.choice((200, 400, 429, 500)) if sample.kind == "error" else 200
        streamed = sample.kind == "stream" or (sample.kind == "error" and chance.random() < 0.5)
        self.answer = Answer(status=status, headers={"content-type": "text/event-stream"}, body=pieces)
        model = f"lab_{sample.dialect}/m"
        if not streamed:
            self.client.generate(model, "Hi")
            return "answer"
        said, stream = "", self.client.stream(model, "Hi")
        try:
            said = "".join(stream.text)
        except PolyvoxError as error:
            assert error.partial is None or error.partial.text.startswith(said)
            raise
        # Part by part, where parts interleave, is not as it came.
        assert sorted(stream.response.text) == sorted(said)
        return "answer"


_through: list[Through] = []


@cache
def by_kind() -> dict[str, list[Sample]]:
    """The samples by kind, as many dialects as there are in turn: no dialect is left out for having few."""
    found: dict[str, list[Sample]] = {}
    for kind in set(KINDS):
        of_kind: dict[str, list[Sample]] = {}
        for sample in samples():
            if sample.kind == kind:
                of_kind.setdefault(sample.dialect, []).append(sample)
        most = max(map(len, of_kind.values()))
        found[kind] = [held[place % len(held)] for held in of_kind.values() for place in range(most)]
    return found


def run_case(seed: int, number: int) -> Outcome:
    """Run one case."""
    chance = random.Random(f"{seed}:{number}")
    found = by_kind()
    kind = chance.choice(KINDS)
    sample, other = chance.choice(found[kind]), chance.choice(found[chance.choice(KINDS)])
    pieces = pieces_of(chance, mutate(chance, sample.data, other.data))
    if not _through:
        _through.append(Through())
    by_client = sample.kind != "request" and chance.randrange(CLIENT_SHARE) == 0
    started = time.monotonic()
    wrong: str | None = None
    try:
        word = _through[0](chance, sample, pieces) if by_client else through_codec(sample, pieces)
    except PolyvoxError as error:
        word = type(error).__name__
        str(error)
    except (Exception, Hang) as error:
        word = "wrong"
        place = traceback.extract_tb(error.__traceback__)[-1]
        wrong = f"{type(error).__name__}: {str(error)[:200]} ({place.filename.rpartition('/')[2]}:{place.lineno})"
    if wrong is None and time.monotonic() - started > SLOW:
        wrong = f"took {time.monotonic() - started:.1f} s"
    return Outcome(number, sample, f"{word}{' by a client' if by_client else ''}", wrong)


def _ring(*_: Any) -> None:
    raise Hang(f"still running after {SLOW} s")


def run_range(seed: int, start: int, end: int, *, alarm: bool = False) -> list[Outcome]:
    """Run cases `start` to `end`. `alarm`: end one that hangs (in a process of its own)."""
    found = []
    if alarm:
        signal.signal(signal.SIGALRM, _ring)
    for number in range(start, end):
        if alarm:
            signal.setitimer(signal.ITIMER_REAL, SLOW)
        found.append(run_case(seed, number))
    if alarm:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return found


def report(found: list[Outcome], write: Callable[[str], Any] = print) -> bool:
    """Write the counts; tell whether all went well."""
    kinds = Counter((each.sample.dialect, each.sample.kind) for each in found)
    for (dialect, kind), count in sorted(kinds.items()):
        words = Counter(each.word for each in found if (each.sample.dialect, each.sample.kind) == (dialect, kind))
        said = ", ".join(f"{number} {word}" for word, number in words.most_common())
        write(f"{dialect:17} {kind:8} {count:7}: {said}")
    wrong = [each for each in found if each.wrong]
    for each in wrong[:20]:
        write(f"case {each.number} ({each.sample.dialect}, {each.sample.kind}): {each.wrong}")
    write(f"fuzz: {len(found)} cases, {len(wrong)} of them wrong")
    return not wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", type=int, help="one case again")
    given = parser.parse_args()
    if given.only is not None:
        return 0 if report(run_range(given.seed, given.only, given.only + 1, alarm=True)) else 1
    step = 1000
    starts = range(0, given.count, step)
    found: list[Outcome] = []
    with ProcessPoolExecutor(given.workers) as pool:
        jobs = [
            pool.submit(run_range, given.seed, start, min(start + step, given.count), alarm=True) for start in starts
        ]
        for job in jobs:
            found += job.result()
    return 0 if report(found) else 1


if __name__ == "__main__":
    sys.exit(main())
