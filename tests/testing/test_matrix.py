"""Every fault of the catalogue, on both clients, whole and streamed, without retries and with one, in every dialect.

What holds in each cell: a typed error or a recovered answer, in time; nothing said twice, nothing lost of what had
arrived; as many requests as attempts; no socket left open, no task left running. What came out of all cells is the
table of docs/reliability.md, which `make reliability` rewrites; the suite runs each fault in two of the dialects, the
pair moving on from fault to fault, and holds the table to it.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from polyvox import (
    AsyncClient,
    CallTimeoutError,
    Client,
    GenerateResponse,
    PolyvoxError,
    TextDelta,
    TextPart,
    Timeout,
    ToolCall,
    TransportError,
    Usage,
)
from polyvox.calls.config import CallConfig
from polyvox.calls.retry import Retry
from polyvox.framing import json
from polyvox.registry.target import find_dialect
from polyvox.testing.connection import Received
from polyvox.testing.entries import Entry, catalogue
from polyvox.testing.faults import (
    BROKEN,
    DuplicateIndex,
    HeaderDrip,
    HeaderStall,
    RefuseConnection,
    ResetOnAccept,
    StallAfter,
    Together,
)
from polyvox.testing.routes import spoken
from polyvox.testing.server import FaultServer
from polyvox.types.generate import Finish

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BLOCK = re.compile(r"(<!-- matrix: begin -->\n).*?(<!-- matrix: end -->)", re.DOTALL)
SHORT = 0.3  # seconds: the limit of calls that meet silence
LONG = 20.0  # and of those that do not: they must not fail on a busy machine
SLACK = 3.0  # seconds within which a limit that passed has ended the call, on a busy machine
SILENT = (HeaderStall, HeaderDrip, StallAfter)
# Each word is said once, so that one said twice or left out is seen; characters of two, three and four bytes.
WORDS = tuple(f"w{number:02}{'é漢😀~'[number % 4]} " for number in range(60))
TEXT = "".join(WORDS)
CALLS = (
    ToolCall(id="call_a", name="get_weather", arguments='{"city":"Zürich"}'),
    ToolCall(id="call_b", name="get_time", arguments='{"zone":"Europe/Zurich"}'),
)
USAGE = Usage(input_tokens=10, output_tokens=60)
KEY = "sk-canary-0123456789abcdef"
FULL = bool(os.environ.get("POLYVOX_UPDATE"))
SAMPLED = 2  # dialects of each fault, where not all are run
COLUMNS = (("generate", False), ("stream", False), ("generate", True), ("stream", True))
HEADS = ("whole", "streamed", "whole, retried", "streamed, retried")


class Cell(NamedTuple):
    """One place of the matrix."""

    entry: Entry
    kind: str
    verb: str
    dialect: str
    retried: bool
    """Whether there is a second try, which meets no fault."""

    def __str__(self) -> str:
        retried = " / retried" if self.retried else ""
        return f"{self.entry.name} / {self.kind} / {self.verb} / {self.dialect}{retried}"


class Outcome(NamedTuple):
    """What came out of a cell: `word` for the table, and what was wrong with it, if anything."""

    cell: Cell
    word: str
    wrong: tuple[str, ...]


class Read(NamedTuple):
    """What a caller saw of a call."""

    response: GenerateResponse[Any] | None
    error: BaseException | None
    text: str
    seconds: float


def answer_to(fault: Any) -> GenerateResponse[Any]:
    parts: tuple[Any, ...] = (TextPart(TEXT), *(CALLS if isinstance(fault, DuplicateIndex) else ()))
    reason: Any = "tool_calls" if len(parts) > 1 else "stop"
    return GenerateResponse(content=parts, finish=Finish(reason), usage=USAGE)


def is_silent(fault: Any) -> bool:
    return any(map(is_silent, fault.faults)) if isinstance(fault, Together) else isinstance(fault, SILENT)


def settings_for(cell: Cell, server: FaultServer) -> dict[str, Any]:
    fault = cell.entry.fault
    limit = SHORT if is_silent(fault) else LONG
    # A stream that falls silent in its midst is to be cut for its silence, however late a busy machine begins it.
    begins = cell.verb == "stream" and isinstance(fault, StallAfter) and fault.after > 0
    # The wire alone is looked at: who speaks it is a provider of our own.
    lab = {"base_url": server.base_url(cell.dialect), "dialect": cell.dialect, "api_key": KEY}
    return {
        "providers": {"lab": lab},
        "timeout": Timeout(connect=LONG, first_event=LONG if begins else limit, idle=limit, total=LONG),
        "call_config": CallConfig(retry=Retry(max_attempts=2, initial=0, jitter=0) if cell.retried else False),
    }


def read_sync(cell: Cell, server: FaultServer) -> Read:
    started, text = time.monotonic(), ""
    with Client(**settings_for(cell, server)) as client:
        try:
            if cell.verb == "generate":
                response = client.generate("lab/m", "Say it.")
                text = response.text
            else:
                with client.stream("lab/m", "Say it.") as stream:
                    for event in stream:
                        text += event.text if isinstance(event, TextDelta) else ""
                    response = stream.response
        except Exception as error:
            return Read(None, error, text, time.monotonic() - started)
    return Read(response, None, text, time.monotonic() - started)


async def read_async(cell: Cell, server: FaultServer) -> Read:
    started, text = time.monotonic(), ""
    async with AsyncClient(**settings_for(cell, server)) as client:
        try:
            if cell.verb == "generate":
                response = await client.generate("lab/m", "Say it.")
                text = response.text
            else:
                async with client.stream("lab/m", "Say it.") as stream:
                    async for event in stream:
                        text += event.text if isinstance(event, TextDelta) else ""
                    response = stream.response
        except Exception as error:
            return Read(None, error, text, time.monotonic() - started)
    return Read(response, None, text, time.monotonic() - started)


async def left_running(cell: Cell, server: FaultServer) -> tuple[Read, int]:
    read = await read_async(cell, server)
    await asyncio.sleep(0)
    return read, len(asyncio.all_tasks()) - 1


def run(cell: Cell) -> Outcome:
    fault = cell.entry.fault
    once = cell.retried and not isinstance(fault, RefuseConnection)  # nobody listens: no second time either
    with FaultServer(answer_to(fault), faults=[fault] if once else fault) as server:
        tasks = 0
        if cell.kind == "sync":
            read = read_sync(cell, server)
        else:
            read, tasks = asyncio.run(left_running(cell, server))
        wrong = [f"{tasks} tasks left running"] if tasks else []
        if not server.wait_closed(SLACK):
            wrong.append(f"{server.open_connections} sockets left open")
        wrong += faults_of(cell, read, server)
    return Outcome(cell, word_of(cell, read), tuple(wrong))


def word_of(cell: Cell, read: Read) -> str:
    if read.error is None:
        return "answer"
    if isinstance(cell.entry.fault, ResetOnAccept) and isinstance(read.error, TransportError):
        return "TransportError"  # whether the request was out when the reset came is a matter of luck
    name = type(read.error).__name__
    return f"{name} ({read.error.phase})" if isinstance(read.error, CallTimeoutError) else name


def faults_of(cell: Cell, read: Read, server: FaultServer) -> list[str]:
    """What is wrong with what a caller saw."""
    wrong = []
    fault = cell.entry.fault
    limit = SHORT if is_silent(fault) else LONG
    outcome: Any = read.error or read.response
    attempts = getattr(outcome, "attempts", ())
    if not isinstance(cell.entry.fault, RefuseConnection) and len(attempts) != server.request_count:
        wrong.append(f"{len(attempts)} attempts, {server.request_count} requests")
    if len(attempts) > 1 + cell.retried:
        wrong.append(f"{len(attempts)} attempts")
    if read.seconds > limit + SLACK:
        wrong.append(f"took {read.seconds:.1f} s")
    if not TEXT.startswith(read.text):
        wrong.append(f"the text is no beginning of what was said: {read.text!r}")
    if read.error is None:
        assert read.response is not None
        if read.text != TEXT or read.response.text != TEXT:
            wrong.append(f"answered {read.response.text!r}")
        if isinstance(cell.entry.fault, DuplicateIndex):
            seen = [(call.name, json.decode(call.arguments)) for call in read.response.tool_calls]
            if seen != [(call.name, json.decode(call.arguments)) for call in CALLS]:
                wrong.append(f"called {seen}")
        if read.response.usage.output_tokens != USAGE.output_tokens:
            wrong.append(f"counted {read.response.usage}")
        return wrong
    if not isinstance(read.error, PolyvoxError):
        return [*wrong, f"raised {type(read.error).__name__}: {read.error}"]
    if KEY in str(read.error) or KEY in repr(read.error.__cause__):
        wrong.append("the key stands in the error")
    if cell.verb == "stream":
        partial = read.error.partial.text if read.error.partial is not None else ""
        if partial != read.text:
            wrong.append(f"partial is {partial!r}, the events said {read.text!r}")
        lost = [word for received in server.requests[-1:] for word in arrived(received) if word not in read.text]
        if lost:
            wrong.append(f"lost {lost}")
    return wrong


def arrived(received: Received) -> list[str]:
    """The words that stood in whole frames of what was sent."""
    ndjson = find_dialect(received.dialect or "").generate.framing == "ndjson"
    sent, end = bytes(received.sent), b"\n" if ndjson else b"\n\n"
    sent = sent.partition(BROKEN)[0]
    place = sent.rfind(end)
    whole = sent[: place + len(end)].decode("utf-8", "replace") if place >= 0 else ""
    return [word for word in WORDS if word in whole]


def cells() -> list[Cell]:
    return [
        Cell(entry, kind, verb, dialect, retried)
        for place, entry in enumerate(catalogue())
        for turn, (verb, retried) in enumerate(COLUMNS)
        for dialect in chosen(place + turn)
        for kind in ("sync", "async")
    ]


def chosen(place: int) -> list[str]:
    """All dialects, or the two whose turn it is."""
    names = spoken()
    count = len(names) if FULL else min(SAMPLED, len(names))
    return [names[(SAMPLED * place + offset) % len(names)] for offset in range(count)]


@cache
def outcomes() -> tuple[tuple[Outcome, ...], set[str]]:
    """Run the matrix, many cells at a time; also the names of the threads that it left."""
    before = set(threading.enumerate())
    with ThreadPoolExecutor(24) as pool:
        found = tuple(pool.map(run, cells()))
    left = {thread.name for thread in set(threading.enumerate()) - before if thread.is_alive()}
    return found, left


def words_of(found: tuple[Outcome, ...]) -> dict[tuple[str, str, bool], dict[str, str]]:
    """What came out, by fault, verb and retry, then by dialect: both clients give the same."""
    words: dict[tuple[str, str, bool], dict[str, str]] = {}
    for each in found:
        place = (each.cell.entry.name, each.cell.verb, each.cell.retried)
        words.setdefault(place, {})[each.cell.dialect] = each.word
    return words


def table(found: tuple[Outcome, ...]) -> str:
    """The table of the docs: what both clients gave, by fault and verb; by dialect too, where they differ."""
    words = words_of(found)
    lines = [["fault", "what the client meets", *HEADS], ["---"] * (2 + len(HEADS))]
    for entry in catalogue():
        lines.append([entry.name, entry.sentence, *(said_by(words[entry.name, *column]) for column in COLUMNS)])
    counts = Counter(each.word for each in found)
    said = "".join(f"- {count} × {word}\n" for word, count in sorted(counts.items()))
    rows = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{size(len(found))}:\n\n{said}\n{rows}"


def size(count: int) -> str:
    return (
        f"{len(catalogue())} faults × 2 clients × 2 verbs × with and without a retry × {len(spoken())} dialects "
        f"({', '.join(spoken())}) = {count:,} cells"
    )


def said_by(words: dict[str, str]) -> str:
    """One word where all dialects agree, else each word with those that say it."""
    dialects: dict[str, list[str]] = {}
    for dialect, word in sorted(words.items()):
        dialects.setdefault(word if word == "answer" else f"`{word}`", []).append(dialect)
    if len(dialects) == 1:
        return next(iter(dialects))
    return "; ".join(f"{word} ({', '.join(names)})" for word, names in dialects.items())


def told_of(said: str, dialect: str) -> str:
    """Read a cell of the page: the word for a dialect."""
    for part in said.split("; "):
        word, _, names = part.partition(" (") if part.endswith(")") else (part, "", "")
        if not names or dialect in names.removesuffix(")").split(", "):
            return word.strip("`")
    return "nothing"


@pytest.mark.timeout(180)
def test_every_fault_ends_in_a_typed_error_or_in_the_whole_answer() -> None:
    found, threads = outcomes()

    assert [f"{each.cell}: {fault}" for each in found for fault in each.wrong] == []
    assert not threads


@pytest.mark.timeout(180)
def test_both_clients_meet_a_fault_alike() -> None:
    found, _ = outcomes()
    words: dict[Any, set[str]] = {}
    for each in found:
        words.setdefault(each.cell._replace(kind=""), set()).add(each.word)

    assert {str(cell): said for cell, said in words.items() if len(said) > 1} == {}


@pytest.mark.timeout(180)
def test_the_table_of_the_docs_is_what_came_out() -> None:
    found, _ = outcomes()
    page = PAGE.read_text(encoding="utf-8")
    if FULL:
        page = BLOCK.sub(lambda match: f"{match[1]}{table(found)}{match[2]}", page)
        PAGE.write_text(page, encoding="utf-8")
    rows = [line.strip("| \n").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    told = {(row[0], *column): said for row in rows for column, said in zip(COLUMNS, row[2:], strict=True)}
    count = 4 * 2 * len(catalogue()) * len(spoken())

    assert size(count) in page, "the page is of other faults or dialects: run `make reliability`"
    assert {
        f"{place} / {dialect}": (word, told_of(told.get(place, ""), dialect))
        for place, words in words_of(found).items()
        for dialect, word in words.items()
        if told_of(told.get(place, ""), dialect) != word
    } == {}, "(what came out, what the page says): run `make reliability`"
