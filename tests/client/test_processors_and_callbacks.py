"""Processors and callbacks given to a client and to a call: whole answers and streams, on both clients."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from msgspec import structs
from tests.calls.wires import END, ROLE_ONLY, STREAM, answer, ask, failed, lab, streamed
from tests.loopback import chat_chunk

from polyvox import (
    Callbacks,
    CallConfig,
    Coalesce,
    ConfigError,
    GenerateRequest,
    OverloadedError,
    ReasoningPart,
    Redact,
    StreamEnd,
    TextDelta,
    TextPart,
    ThinkTags,
    system,
)
from polyvox.io.scripted import Answer, Pause, ScriptedIO

each_kind = pytest.mark.parametrize("kind", ["generate", "stream"])
SAID = "<think>The code is 4711, héé.</think>\nThe code 4711 is secret, 😀 and 0815 too."
SHOWN = (
    ReasoningPart("The code is [redacted], héé."),
    TextPart("The code [redacted] is secret, 😀 and [redacted] too."),
)
TIDY = CallConfig(post=[ThinkTags(), Redact([r"\b\d{4}\b"], window=8), Coalesce(characters=10)])


def said(text: str, size: int) -> Answer:
    """The text, streamed in deltas of that many characters."""
    pieces = [chat_chunk({"content": text[at : at + size]}) for at in range(0, len(text), size)]
    return Answer(200, STREAM, [ROLE_ONLY, *pieces, END])


def asked(io: ScriptedIO, number: int = 0) -> Any:
    return json.loads(io.requests[number].body)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 200])
def test_the_shipped_ones_do_not_depend_on_where_a_stream_was_cut(make_caller: Any, size: int) -> None:
    caller = make_caller(**lab(ScriptedIO([said(SAID, size)]), call_config=TIDY))
    reader = caller.stream("lab/m", "Hi")
    events = reader.events()
    texts = [event.text for event in events if isinstance(event, TextDelta)]

    assert reader.response.content == SHOWN
    assert "".join(texts) == SHOWN[1].text
    assert all(len(text) >= 10 for text in texts[:-1])
    assert isinstance(events[-1], StreamEnd)


def test_a_whole_answer_comes_out_as_a_stream_does(make_caller: Any) -> None:
    response = make_caller(**lab(ScriptedIO([answer("generate", SAID)]), call_config=TIDY)).generate("lab/m", "Hi")

    assert response.content == SHOWN
    assert response.raw is None  # `Redact`: what it was read from would show it all
    assert response.usage.output_tokens == 2 and response.origin == "lab/m" and len(response.attempts) == 1


@each_kind
def test_functions_on_the_request_say_what_is_sent(make_caller: Any, kind: str) -> None:
    """The client's first, then the call's; plain ones on both clients."""
    io = ScriptedIO([answer(kind)])

    def ruled(request: GenerateRequest) -> GenerateRequest:
        return structs.replace(request, messages=(system("Be brief."), *request.messages), temperature=0.5)

    def cooled(request: GenerateRequest) -> GenerateRequest:
        assert request.temperature == 0.5
        return structs.replace(request, temperature=0.25)

    caller = make_caller(**lab(io, call_config=CallConfig(pre=[ruled])))
    ask(caller, kind, "lab/m", "Hi", call_config=CallConfig(pre=[cooled]))
    body = asked(io)

    assert [message["content"] for message in body["messages"]] == ["Be brief.", "Hi"]
    assert body["temperature"] == 0.25


@each_kind
def test_async_functions_are_awaited_by_the_async_client_and_refused_by_the_plain_one(
    make_caller: Any, kind: str
) -> None:
    io, told = ScriptedIO([answer(kind)]), []

    async def warmed(request: GenerateRequest) -> GenerateRequest:
        await asyncio.sleep(0)
        return structs.replace(request, temperature=1.5)

    async def tell(text: str, event: TextDelta) -> None:
        await asyncio.sleep(0)
        told.append(text)

    for config in (CallConfig(pre=[warmed]), CallConfig(callbacks=Callbacks(on_content=tell))):
        caller = make_caller(**lab(io))
        if caller.kind == "sync":
            with pytest.raises(ConfigError, match=r"is async.*AsyncClient"):
                make_caller(**lab(io, call_config=config))
            with pytest.raises(ConfigError, match=r"is async.*AsyncClient"):
                ask(caller, kind, "lab/m", "Hi", call_config=config)
    if caller.kind == "async":
        both = CallConfig(pre=[warmed], callbacks=Callbacks(on_content=tell))
        ask(make_caller(**lab(io, call_config=both)), kind, "lab/m", "Hi")

        assert asked(io)["temperature"] == 1.5 and told == ["Hello"]


@each_kind
def test_callbacks_of_client_and_call_are_told_of_what_processors_made(make_caller: Any, kind: str) -> None:
    told: list[tuple[str, Any]] = []

    def callbacks(name: str) -> Callbacks:
        return Callbacks(
            on_start=lambda event: told.append((name, event.model)),
            on_content=lambda text, event: told.append((name, text)),
            on_end=lambda response: told.append((name, response.text)),
        )

    def shout(events: list[Any]) -> list[Any]:
        return [
            structs.replace(event, text=event.text.upper()) if isinstance(event, TextDelta) else event
            for event in events
        ]

    caller = make_caller(
        **lab(ScriptedIO([answer(kind)]), call_config=CallConfig(callbacks=callbacks("client"), post=[shout]))
    )
    response = ask(caller, kind, "lab/m", "Hi", call_config=CallConfig(callbacks=callbacks("call")))

    assert response.text == "HELLO"
    assert [name for name, _ in told] == ["client", "call"] * 3
    assert [what for _, what in told[2:]] == ["HELLO"] * 4


class Broken(Exception):
    """What the caller's own code raises."""


@each_kind
@pytest.mark.parametrize("place", ["pre", "post"])
def test_what_a_processor_raises_is_typed_reported_and_closes_the_call(make_caller: Any, kind: str, place: str) -> None:
    heard: list[Any] = []

    def broken(given: Any) -> Any:
        if place == "pre" or any(isinstance(event, TextDelta) for event in given):
            raise Broken("no tenant")
        return given

    io = ScriptedIO([streamed() if kind == "stream" else answer(kind)])
    config = CallConfig(callbacks=Callbacks(on_error=heard.append), **{place: [broken]})
    caller = make_caller(**lab(io, call_config=config))
    with pytest.raises(ConfigError, match=r"the processor .*broken raised Broken: no tenant") as caught:
        ask(caller, kind, "lab/m", "Hi")

    assert isinstance(caught.value.__cause__, Broken)
    assert heard == [caught.value]
    assert len(io.exchanges) == (0 if place == "pre" else 1)
    assert all(exchange.closed is not None for exchange in io.exchanges) and io.open_count == 0


@each_kind
def test_a_processor_sees_only_the_attempt_that_answers(make_caller: Any, kind: str) -> None:
    """One machine for the call, whatever was tried beneath it."""
    made: list[int] = []

    class Counting:
        def __init__(self) -> None:
            made.append(0)

        def feed(self, events: list[Any]) -> list[Any]:
            made[-1] += sum(isinstance(event, TextDelta) for event in events)
            return events

        def close(self) -> list[Any]:
            return []

    io = ScriptedIO([failed(503, "full"), answer(kind)])
    assert ask(make_caller(**lab(io)), kind, "lab/m", "Hi", call_config=CallConfig(post=[Counting])).text == "Hello"
    assert made == [1]


def test_what_was_held_back_is_part_of_the_partial_answer(make_caller: Any) -> None:
    """A stream that breaks off loses nothing of what a processor still held."""
    frames = [
        ROLE_ONLY,
        chat_chunk({"content": "Half an ans"}),
        b'data: {"error": {"message": "no room", "code": 503}}\n\n',
    ]
    io = ScriptedIO([Answer(200, STREAM, frames)])
    config = CallConfig(retry=False, post=[Coalesce(characters=100), Redact(["secret"])])
    reader = make_caller(**lab(io, call_config=config)).stream("lab/m", "Hi")
    with pytest.raises(OverloadedError) as caught:
        reader.drain()

    assert caught.value.partial is not None
    assert caught.value.partial.text == reader.response.text == "Half an ans"


def test_small_deltas_are_merged_by_the_time_at_which_they_come(make_caller: Any) -> None:
    pieces: list[Any] = [ROLE_ONLY]
    for _ in range(20):
        pieces += [chat_chunk({"content": "ab"}), Pause(0.1)]
    caller = make_caller(**lab(ScriptedIO([Answer(200, STREAM, [*pieces, END])])))
    reader = caller.stream("lab/m", "Hi", call_config=CallConfig(post=[Coalesce(seconds=0.45)]))
    texts = [event.text for event in reader.events() if isinstance(event, TextDelta)]

    assert "".join(texts) == "ab" * 20
    assert texts[0] == "ab" and 4 <= len(texts) <= 6
