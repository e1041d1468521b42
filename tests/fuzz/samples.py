"""What is mutated: streams, bodies, errors and requests of every dialect, recorded ones and ones of our own making."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from polyvox import (
    Finish,
    GenerateRequest,
    GenerateResponse,
    OverloadedError,
    RateLimitError,
    ReasoningPart,
    Source,
    SourcePart,
    TextPart,
    Tool,
    ToolCall,
    Usage,
    user,
)
from polyvox.dialects.base import Dialect
from polyvox.registry.target import find_dialect
from polyvox.testing.reply import Reply
from polyvox.testing.routes import Question, respond, route_of, spoken
from tests.laws.table import ROWS
from tests.recordings import FOLDER

LONGEST = 12_000
"""Bytes of a sample: a longer one is cut, so that each case stays quick."""


class Sample(NamedTuple):
    """Bytes of one kind: `stream`, `whole`, `error` or `request`."""

    dialect: str
    kind: str
    data: bytes


ANSWERS: tuple[GenerateResponse[Any], ...] = (
    GenerateResponse(content=(TextPart("Hello, wörld 😀!"),), finish=Finish("stop"), usage=Usage(3, 4)),
    GenerateResponse(
        content=(
            ReasoningPart("Let me think.\nTwice."),
            TextPart("It is so", sources=(Source(url="https://x.test", title="X", text="so", start=6, end=8),)),
            ToolCall(id="call_1", name="look", arguments='{"where":"up","deep":[1,2,{"a":null}]}'),
            ToolCall(id="call_2", name="wait", arguments="{}"),
            SourcePart(url="https://y.test", title="Y"),
        ),
        finish=Finish("tool_calls"),
        usage=Usage(100, 20, cache_read_tokens=50, reasoning_tokens=5),
    ),
    GenerateResponse(content=(TextPart("No.", refusal=True),), finish=Finish("content_filter")),
    GenerateResponse(content=(TextPart("cut"),), finish=Finish("length")),
)
TOOL = Tool("look", "Look there.", {"type": "object", "properties": {"where": {"type": "string"}}})
REQUEST = GenerateRequest(
    model="m", messages=(user("Hi"),), tools=(TOOL,), temperature=0.5, max_tokens=100, stop=("x",)
)


def made(dialect: Dialect) -> Iterator[Sample]:
    """Samples that our own server half writes."""
    route = route_of(dialect.name)
    codec = dialect.generate
    for stream in (False, True):
        wire = codec.encode_request(REQUEST, dialect.quirks(), stream=stream)
        yield Sample(dialect.name, "request", wire.body)
        for number, answer in enumerate(ANSWERS):
            reply: Reply = respond(Question(route, dialect, REQUEST, stream), answer, "/", number)
            yield Sample(dialect.name, "stream" if stream else "whole", reply.data)
    for error in (RateLimitError("Slow down: try again in 3s."), OverloadedError("Overloaded.")):
        yield Sample(dialect.name, "error", dialect.encode_error(error)[1])


def recorded(dialect: str) -> Iterator[Sample]:
    """Samples that services sent, where the recordings are."""
    if not FOLDER.is_dir():
        return
    for exchange in (exchange for row in ROWS if row.dialect.name == dialect for exchange in row.exchanges()):
        kind = "error" if exchange.status >= 400 else "stream" if exchange.is_stream else "whole"
        if exchange.body:
            yield Sample(dialect, kind, exchange.body[:LONGEST])
        asked = exchange.request.get("body")
        if isinstance(asked, dict):
            yield Sample(dialect, "request", json.dumps(asked).encode()[:LONGEST])


@cache
def samples() -> tuple[Sample, ...]:
    """Every sample, of every dialect that there is."""
    found: list[Sample] = []
    for name in spoken():
        found += made(find_dialect(name))
        found += recorded(name)
    return tuple(sample for sample in found if sample.data)
