"""Laws 1 and 10 for requests of the Ollama wire.

1: what this wire can say is read back as it was said. What it cannot is declared in docs/dialects/ollama.md.
10: a body that was read and written again is the same JSON, whatever its spelling; a change wins, and nothing else is
touched.
"""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import structs

from polyvox.dialects.ollama.encoding import Encoding
from polyvox.dialects.ollama.quirks import OllamaQuirks
from polyvox.dialects.ollama.request import decode_request, encode_body, encode_request
from polyvox.types.generate import GenerateRequest, Output
from polyvox.types.messages import Message
from polyvox.types.normalise import normalise
from polyvox.types.parts import FilePart, ReasoningPart, TextPart, ToolCall, ToolResult
from polyvox.types.tools import Tool
from tests.recordings import recordings

PLAIN = OllamaQuirks()
PNG = b"\x89PNG\r\n\x1a\n"

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
WORDS = st.text("abcxyz_09", min_size=1, max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(WORDS, JSON, max_size=3)


def maybe(strategy):
    return st.lists(strategy, max_size=1).map(tuple)


texts = maybe(st.builds(TextPart, TEXTS))
pictures = st.lists(st.binary(max_size=5).map(lambda data: FilePart("image/png", PNG + data)), max_size=2).map(tuple)
thoughts = maybe(st.builds(ReasoningPart, TEXTS, meta=st.just({"ollama": {"thinking": True}})))
tools = st.builds(Tool, WORDS, st.none() | TEXTS, st.dictionaries(WORDS, JSON, min_size=1, max_size=3))


@st.composite
def turns(draw, index):
    """A user's turn, an assistant's answer, and the results of the calls it made."""
    said = Message("user", draw(texts) + draw(pictures))
    calls = tuple(
        ToolCall(f"c{index}_{place}", draw(WORDS), json.dumps(draw(OBJECTS), separators=(",", ":"), ensure_ascii=False))
        for place in range(draw(st.integers(0, 2)))
    )
    answer = draw(thoughts) + (draw(texts) if calls else (TextPart(draw(TEXTS)),))
    results = tuple(ToolResult(call.id, call.name, draw(texts)) for call in calls)
    told = Message("assistant", (*answer, *calls))
    return [said, told, Message("tool", results)] if calls else [said, told]


@st.composite
def requests(draw):
    messages = [Message("system", (TextPart(draw(TEXTS)),))] if draw(st.booleans()) else []
    for index in range(draw(st.integers(1, 3))):
        messages += draw(turns(index))
    some = lambda strategy: draw(st.none() | strategy)  # noqa: E731 - said eleven times below
    return GenerateRequest(
        model=draw(WORDS),
        messages=normalise(messages),
        tools=tuple(draw(st.lists(tools, max_size=2))),
        output=some(st.just(Output()) | st.builds(Output, OBJECTS)),
        max_tokens=some(st.integers(1, 999)),
        temperature=some(st.sampled_from([0, 0.5, 1])),
        top_p=some(st.floats(0, 1)),
        top_k=some(st.integers(0, 50)),
        seed=some(st.integers(-(2**31), 2**31)),
        stop=tuple(draw(st.lists(TEXTS, max_size=2))),
        presence_penalty=some(st.floats(-2, 2)),
        frequency_penalty=some(st.floats(-2, 2)),
        logprobs=some(st.integers(0, 20)),
        options={"ollama": {"keep_alive": "5m", "options": {"num_ctx": 4096}}} if draw(st.booleans()) else {},
    )


@settings(max_examples=60, deadline=None)
@given(requests(), st.booleans())
def test_what_this_wire_can_say_is_read_back_as_it_was_said(request, stream):
    wire = encode_request(request, PLAIN, stream=stream)
    assert wire.adjustments == ()
    read, streamed = decode_request(wire.body)
    assert streamed is stream
    assert read == request


@pytest.mark.parametrize("efforts", [("low", "medium", "high"), ("low", "high", "max")])
@pytest.mark.parametrize("reasoning", ["low", "high"])
def test_a_level_of_thinking_is_read_back_as_it_was_said(efforts, reasoning):
    request = GenerateRequest(model="m", messages=(), reasoning=reasoning)
    wire = encode_request(request, OllamaQuirks(efforts=efforts), stream=False)
    assert (json.loads(wire.body)["think"], wire.adjustments) == (reasoning, ())
    assert decode_request(wire.body)[0].reasoning == reasoning


# Law 10: bodies as clients may write them, with every other spelling that the server accepts.

CALLS = st.lists(
    st.one_of(
        st.builds(lambda name: {"function": {"name": name, "arguments": {}}}, WORDS),
        st.builds(lambda name, said: {"id": name, "function": {"name": name, "arguments": said}}, WORDS, OBJECTS),
        st.builds(lambda name: {"type": "function", "function": {"index": 1, "name": name, "odd": 1}}, WORDS),
    ),
    max_size=2,
)


@st.composite
def wire_messages(draw):
    role = draw(st.sampled_from(["system", "developer", "control", "User", "user", "assistant", "assistant", "tool"]))
    message = {"role": role, **draw(st.dictionaries(st.sampled_from(["odd", "name"]), WORDS, max_size=1))}
    for name, strategy in {
        "content": TEXTS | st.just("") | st.none(),
        "images": st.none() | st.lists(st.sampled_from(["iVBORw0KGgo=", "AAAA", "AAA"]), max_size=2),
        "thinking": TEXTS | st.just("") | st.none(),
        "tool_calls": CALLS | st.none(),
        "tool_name": WORDS | st.none(),
        "tool_call_id": WORDS | st.just(""),
    }.items():
        if draw(st.booleans()):
            message[name] = draw(strategy)
    return message


def null_or(*values):
    return st.none() | st.sampled_from(values)


MEMBERS = {
    "stream": null_or(True, False),
    "think": null_or(True, False, "low", "high", "max"),
    "format": null_or("", "json", {}, {"type": "object", "properties": {}}),
    "options": null_or(
        {},
        {"num_predict": -1, "odd": 1},
        {"num_predict": 5.0, "temperature": None, "stop": "x"},
        {"num_ctx": 8, "stop": [], "seed": 1, "temperature": 0},
    ),
    "keep_alive": null_or("5m", -1, 0),
    "num_ctx": null_or(9),
    "logprobs": null_or(True, False),
    "top_logprobs": null_or(0, 3),
    "tools": null_or(
        [],
        [{"type": "function", "function": {"name": "f"}}],
        [{"function": {"name": "f", "description": None, "parameters": {}, "strict": True}, "odd": 2}],
        [{"type": "browser", "x": 1}],
    ),
    "odd": JSON,
}


@st.composite
def bodies(draw):
    body = {"model": "m", "messages": draw(st.lists(wire_messages(), max_size=5))}
    for name in draw(st.sets(st.sampled_from(list(MEMBERS)), max_size=6)):
        body[name] = draw(MEMBERS[name])
    return body


def canonical(body):
    return json.dumps(json.loads(body), sort_keys=True)


@settings(max_examples=120, deadline=None)
@given(bodies())
def test_any_body_comes_back_as_it_was(body):
    request, stream = decode_request(json.dumps(body).encode())
    assert stream is (body.get("stream") is not False)
    assert canonical(encode_request(request, PLAIN, stream=stream).body) == canonical(json.dumps(body))


@settings(max_examples=40, deadline=None)
@given(bodies())
def test_a_body_survives_storage_between_reading_and_saying(body):
    request, stream = decode_request(json.dumps(body).encode())
    stored = msgspec.json.decode(msgspec.json.encode(request), type=GenerateRequest)
    # As JSON, not to the letter: our own form writes a temperature of 0 as 0.0.
    assert json.loads(encode_request(stored, PLAIN, stream=stream).body) == body


@settings(max_examples=60, deadline=None)
@given(bodies())
def test_a_change_wins_and_nothing_else_is_touched(body):
    request, stream = decode_request(json.dumps(body).encode())
    plain = encode_body(structs.replace(request, residue=None), Encoding(PLAIN), stream=stream)["messages"]
    # Of two messages that are the same to us, one may get the other's form: there is no telling them apart.
    assume(len({json.dumps(message) for message in plain}) == len(plain))
    added = Message("system", (TextPart("added"),))
    changed = structs.replace(request, messages=(added, *request.messages))
    told = encode_request(changed, PLAIN, stream=stream).body
    expected = {**body, "messages": [{"role": "system", "content": "added"}, *body["messages"]]}
    assert canonical(told) == canonical(json.dumps(expected))


def test_a_changed_setting_wins_over_how_it_was_spelled():
    body = {"model": "m", "messages": [], "think": "high", "options": {"stop": "a", "num_predict": 5.0}, "format": ""}
    request, _ = decode_request(json.dumps(body).encode())
    changed = structs.replace(request, reasoning="low", stop=("b",), max_tokens=9, output=Output())
    told = json.loads(encode_request(changed, PLAIN, stream=True).body)
    assert (told["think"], told["options"], told["format"]) == ("low", {"stop": ["b"], "num_predict": 9}, "json")
    off = structs.replace(request, reasoning="none")
    assert json.loads(encode_request(off, PLAIN, stream=True).body)["think"] is False


@pytest.mark.recordings
def test_every_recorded_request_comes_back_as_it_was():
    seen = 0
    for exchange in recordings("ollama.chat"):
        body = exchange.request.get("body")
        if not isinstance(body, dict):
            continue
        request, stream = decode_request(json.dumps(body).encode())
        wire = encode_request(request, PLAIN, stream=stream)
        assert canonical(wire.body) == canonical(json.dumps(body)), exchange.id
        assert wire.adjustments == (), exchange.id
        seen += 1
    assert seen >= 13
