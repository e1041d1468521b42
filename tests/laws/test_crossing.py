"""Law 5, across wires: an answer that came on one wire and is written on another says the same, less declared losses.

And its conversation goes on there: the message travels as history into every other wire's request.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from polyvox.calls.replay import strip_foreign
from polyvox.types.fold import unfold
from polyvox.types.generate import Adjustment, GenerateRequest, GenerateResponse
from polyvox.types.messages import Message, tool, user
from polyvox.types.normalise import normalise
from polyvox.types.parts import Part, ReasoningPart, TextPart, ToolCall, ToolResult
from tests.laws.losses import LOSSES, Gist, gist
from tests.laws.table import ROWS, Row, as_streamed

DIALECT_PAGES = Path(__file__).parents[2] / "docs" / "dialects"
PAIRS = [pytest.param(one, other, id=f"{one}-{other}") for one in ROWS for other in ROWS if one is not other]


def test_every_declared_loss_stands_on_the_page_of_its_dialect() -> None:
    assert set(LOSSES) == {row.dialect.name for row in ROWS}
    for name, losses in LOSSES.items():
        page = " ".join((DIALECT_PAGES / losses.page).read_text("utf-8").split())
        assert losses.words, name
        assert [words for words in losses.words if words not in page] == [], name


def _expected(response: GenerateResponse[Any], wire: str, again: Gist) -> Gist:
    told = gist(response)
    LOSSES[wire].lose(told)
    # A wire that must have names makes some where there were none.
    told["id"] = told["id"] or again["id"]
    told["word"] = again["word"]
    told["calls"] = [
        (name or made, *said) for (name, *said), (made, *_) in zip(told["calls"], again["calls"], strict=True)
    ]
    return told


@pytest.mark.recordings
@pytest.mark.parametrize(("source", "wire"), PAIRS)
def test_an_answer_of_one_wire_says_the_same_on_another(source: Row, wire: Row) -> None:
    seen = 0
    for exchange, response in source.answers():
        codec = wire.dialect.generate
        whole = gist(codec.decode_response(codec.encode_response(response)))
        assert whole == _expected(response, wire.dialect.name, whole), exchange.id
        events, error = wire.decode(wire.encode(as_streamed(response, unfold(response))))
        assert error is None, exchange.id
        streamed = gist(wire.response(events))
        expected = _expected(response, wire.dialect.name, streamed)
        if streamed["calls"] != expected["calls"]:
            # A stream can keep the text of arguments that are no object; a body of some wires cannot.
            expected["calls"] = gist(response)["calls"]
        assert streamed == expected, exchange.id
        seen += 1
    assert seen


def _history(response: GenerateResponse[Any], origin: str) -> tuple[Message, ...]:
    """Return a conversation that this answer stands in: its calls are answered, and the user goes on."""
    results = [ToolResult(call.id, call.name, (TextPart(f"result of {call.name}"),)) for call in response.tool_calls]
    message = structs.replace(response, origin=origin).message
    return normalise((user("a question"), message, *([tool(results)] if results else []), user("and then?")))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from _strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from _strings(member)


def _check_part(part: Part, said: list[str], everything: str, adjustments: Sequence[Adjustment], name: str) -> None:
    """Check that a part of the answer goes along as history, or that an adjustment says what became of it."""
    match part:
        case TextPart():
            assert part.text.strip() in everything, name
        case ToolCall(executed=False):
            assert part.name in said and f"result of {part.name}" in everything, name
        case ToolCall() | ToolResult():
            assert any("tools that a" in one.detail and " ran itself" in one.detail for one in adjustments), name
        case ReasoningPart():
            assert not part.text or any("reasoning of another origin" in one.detail for one in adjustments), name


@pytest.mark.recordings
@pytest.mark.parametrize(("source", "wire"), PAIRS)
def test_a_conversation_begun_on_one_wire_goes_on_on_another(source: Row, wire: Row) -> None:
    """Texts, calls and results go along; no mark of the other wire does; what is left out is named."""
    seen = 0
    for exchange, response in source.answers():
        if response.finish is None or any(not call.id for call in response.tool_calls):
            continue
        messages, _ = strip_foreign(_history(response, "one/model"), wire.dialect, "two/model")
        request = GenerateRequest(model="m", messages=messages)
        sent = wire.dialect.generate.encode_request(request, wire.dialect.quirks(), stream=False)
        said = list(_strings(json.loads(sent.body)))
        everything = "\n".join(said)
        for part in response.content:
            _check_part(part, said, everything, sent.adjustments, exchange.id)
        for mark in (mark for part in response.content for marks in part.meta.values() for mark in _strings(marks)):
            if len(mark) > 60 and mark not in response.text and mark not in response.reasoning:
                assert mark not in everything, exchange.id
        seen += 1
    assert seen
