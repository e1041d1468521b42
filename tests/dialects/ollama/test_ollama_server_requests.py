"""Requests as a server reads them: what is said, what is wrong with it, and that it can be said again."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from polyvox.dialects.ollama.quirks import OllamaQuirks
from polyvox.dialects.ollama.request import decode_request, encode_request
from polyvox.errors import BadRequestError
from polyvox.types.generate import GenerateRequest, Output
from polyvox.types.messages import Message, system
from polyvox.types.normalise import normalise
from polyvox.types.parts import FilePart, ReasoningPart, TextPart, ToolCall, ToolResult
from polyvox.types.tools import Tool
from tests.recordings import recordings

PLAIN = OllamaQuirks()
HI = {"role": "user", "content": "hi"}
PNG = b"\x89PNG\r\n\x1a\n"
PICTURE = base64.b64encode(PNG).decode()
CALL = {"function": {"name": "f", "arguments": {"a": 1}}}


def decode(**body):
    return decode_request(json.dumps({"model": "m", "messages": [HI], **body}).encode())[0]


def messages_of(*messages):
    return decode(messages=list(messages)).messages


def again(body, change=lambda request: request):
    request, stream = decode_request(json.dumps(body).encode())
    return json.loads(encode_request(change(request), PLAIN, stream=stream).body)


def canonical(body):
    return json.dumps(json.loads(body), sort_keys=True)


# What is said


@pytest.mark.parametrize(("said", "stream"), [({}, True), ({"stream": None}, True), ({"stream": False}, False)])
def test_a_stream_is_asked_for_unless_it_is_not(said, stream):
    body = {"model": "m", "messages": [HI], **said}
    assert decode_request(json.dumps(body).encode())[1] is stream
    assert again(body) == body


def test_settings_are_read():
    request = decode(
        options={
            "num_predict": 9,
            "temperature": 0,
            "top_p": 0.5,
            "top_k": 4.0,
            "seed": 7,
            "stop": ["a"],
            "presence_penalty": 0.1,
            "frequency_penalty": 0.2,
            "num_ctx": 99,
            "min_p": None,
        },
        format={"type": "object"},
        think=False,
        logprobs=True,
        top_logprobs=2,
        keep_alive="5m",
        tools=[{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}],
    )
    assert (request.max_tokens, request.temperature, request.top_p, request.top_k) == (9, 0, 0.5, 4)
    assert (request.seed, request.stop, request.presence_penalty, request.frequency_penalty) == (7, ("a",), 0.1, 0.2)
    assert isinstance(request.top_k, int)
    assert (request.output, request.reasoning, request.logprobs) == (Output({"type": "object"}), "none", 2)
    assert request.tools == (Tool("f", "d", {"type": "object"}),)
    assert request.options == {"ollama": {"keep_alive": "5m", "options": {"num_ctx": 99}}}


@pytest.mark.parametrize(
    ("think", "reasoning"),
    [(True, "medium"), (False, "none"), ("low", "low"), ("high", "high"), ("max", "max"), (None, None)],
)
def test_thinking_is_the_one_knob(think, reasoning):
    body = {"model": "m", "messages": [HI], "think": think}
    assert decode(think=think).reasoning == reasoning
    request, stream = decode_request(json.dumps(body).encode())
    wire = encode_request(request, PLAIN, stream=stream)
    assert json.loads(wire.body) == body and wire.adjustments == ()


def test_a_switch_that_a_processor_turns_is_turned():
    body = {"model": "m", "messages": [HI], "think": True}
    assert again(body, lambda request: structs.replace(request, reasoning="none"))["think"] is False
    assert "think" not in again(body, lambda request: structs.replace(request, reasoning=None))


@pytest.mark.parametrize(("said", "output"), [("json", Output()), ("", None), (None, None), ({}, Output({}))])
def test_the_form_of_the_answer_is_read(said, output):
    assert decode(format=said).output == output


@pytest.mark.parametrize("count", [-1, -2])
def test_an_answer_without_end_is_no_number_of_tokens(count):
    request = decode(options={"num_predict": count})
    assert request.max_tokens is None and request.options == {"ollama": {"options": {"num_predict": count}}}


def test_messages_are_read():
    told = messages_of(
        {"role": "system", "content": "s"},
        {"role": "User", "content": "look", "images": [PICTURE]},
        {
            "role": "assistant",
            "content": "well",
            "thinking": "hm",
            "tool_calls": [{"id": "c1", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}}],
        },
        {"role": "tool", "content": "done", "tool_name": "f", "tool_call_id": "c1"},
        {"role": "developer", "content": "d"},
    )
    assert told == (
        Message("system", (TextPart("s"),)),
        Message("user", (TextPart("look"), FilePart("image/png", PNG))),
        Message(
            "assistant",
            (
                ReasoningPart("hm", meta={"ollama": {"thinking": True}}),
                TextPart("well"),
                ToolCall("c1", "f", '{"a":1}', meta={"ollama": {"function": {"index": 0}}}),
            ),
        ),
        Message("tool", (ToolResult("c1", "f", (TextPart("done"),)),)),
        Message("system", (TextPart("d"),), meta={"ollama": {"role": "developer"}}),
    )


def test_results_without_ids_are_of_the_first_call_of_their_name_that_waits_else_of_the_next():
    calls = [{"function": {"name": name, "arguments": {}}} for name in ("f", "g", "f", "h")]
    _, made, told = messages_of(
        HI,
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "content": "1", "tool_name": "f"},
        {"role": "tool", "content": "2", "tool_name": "f"},
        {"role": "tool", "content": "3"},
        {"role": "tool", "content": "4"},
    )
    ids = [call.id for call in made.content]
    assert len(set(ids)) == 4
    assert [(result.id, result.name, result.text) for result in told.content] == [
        (ids[0], "f", "1"),
        (ids[1], "g", "3"),
        (ids[2], "f", "2"),
        (ids[3], "h", "4"),
    ]


def test_made_ids_are_the_same_at_each_reading_and_are_never_sent():
    body = {"model": "m", "messages": [HI, {"role": "assistant", "tool_calls": [CALL]}], "stream": False}
    first, second = decode(**body), decode(**body)
    assert first.messages == second.messages
    assert "made_" not in json.dumps(again({**body, "odd": 1}, lambda request: structs.replace(request, seed=1)))


def test_a_result_of_no_call_stays_where_it_is():
    (told,) = messages_of({"role": "tool", "content": "x", "tool_name": "f"})
    assert told.role == "tool" and told.content[0].name == "f"


def test_two_messages_of_one_role_stay_two():
    body = {
        "model": "m",
        "messages": [HI, HI, {"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}],
        "stream": True,
    }
    request, _ = decode_request(json.dumps(body).encode())
    assert [message.role for message in request.messages] == ["user", "assistant"]
    assert again(body) == body
    changed = again(body, lambda request: structs.replace(request, messages=(system("s"), *request.messages)))
    assert changed["messages"] == [{"role": "system", "content": "s"}, *body["messages"]]


def test_a_request_without_messages_loads_the_model():
    body = {"model": "m", "keep_alive": -1}
    request, stream = decode_request(json.dumps(body).encode())
    assert request.messages == () and stream and again(body) == body


# What is wrong


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"model": None}, "model"),
        ({"messages": {}}, "messages"),
        ({"messages": ["hi"]}, r"messages\[0\]"),
        ({"messages": [{"content": "x"}]}, r"messages\[0\]\.role"),
        ({"messages": [{"role": "boss", "content": "x"}]}, r"messages\[0\]\.role"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, r"messages\[0\]\.content"),
        ({"messages": [{"role": "user", "images": "x"}]}, r"messages\[0\]\.images"),
        ({"messages": [{"role": "user", "images": ["%%"]}]}, r"messages\[0\]\.images\[0\]"),
        ({"messages": [{"role": "assistant", "thinking": 1}]}, r"messages\[0\]\.thinking"),
        ({"messages": [{"role": "assistant", "tool_calls": {}}]}, r"messages\[0\]\.tool_calls"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, r"tool_calls\[0\]\.function"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {}}]}]}, r"tool_calls\[0\]\.function\.name"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}]},
            r"tool_calls\[0\]\.function\.arguments",
        ),
        ({"messages": [{"role": "tool", "tool_name": 1}]}, r"messages\[0\]\.tool_name"),
        ({"options": []}, "options"),
        ({"options": {"num_predict": "9"}}, r"options\.num_predict"),
        ({"options": {"num_predict": 4.5}}, r"options\.num_predict"),
        ({"options": {"temperature": True}}, r"options\.temperature"),
        ({"options": {"stop": [1]}}, r"options\.stop"),
        ({"format": 1}, "format"),
        ({"format": "xml"}, "format"),
        ({"think": "hard"}, "think"),
        ({"think": 1}, "think"),
        ({"stream": "yes"}, "stream"),
        ({"logprobs": 1}, "logprobs"),
        ({"top_logprobs": -1}, "top_logprobs"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "function"}]}, r"tools\[0\]\.function"),
        ({"tools": [{"type": "function", "function": {}}]}, r"tools\[0\]\.function\.name"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]}, r"function\.parameters"),
    ],
)
def test_a_bad_member_is_named(said, place):
    with pytest.raises(BadRequestError, match=place) as caught:
        decode(**said)
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"messages": []}'])
def test_a_body_that_is_no_request_is_refused(body):
    with pytest.raises(BadRequestError):
        decode_request(body)


# Law 1: what this wire can say is read back as it was said. What it cannot is left out here, and told in
# docs/dialects/ollama.md: the place of a picture among texts, texts given apart, where a text is from.

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
WORDS = st.text("abcxyz_09", min_size=1, max_size=6)
OBJECTS = st.dictionaries(WORDS, st.none() | st.booleans() | st.integers(-9, 9) | TEXTS, max_size=3)
PICTURES = st.just(FilePart("image/png", PNG))
THOUGHTS = st.builds(ReasoningPart, TEXTS, meta=st.just({"ollama": {"thinking": True}}))


@st.composite
def turns(draw, index):
    said = (TextPart(draw(TEXTS)), *draw(st.lists(PICTURES, max_size=2)))
    calls = tuple(
        ToolCall(f"c{index}_{place}", draw(WORDS), json.dumps(draw(OBJECTS), separators=(",", ":"), ensure_ascii=False))
        for place in range(draw(st.integers(0, 2)))
    )
    answer = (*draw(st.lists(THOUGHTS, max_size=1)), TextPart(draw(TEXTS)), *calls)
    results = tuple(
        ToolResult(call.id, call.name, tuple(draw(st.lists(st.builds(TextPart, TEXTS), max_size=1)))) for call in calls
    )
    told = [Message("user", said), Message("assistant", answer)]
    return [*told, Message("tool", results)] if results else told


@st.composite
def requests(draw):
    def maybe(strategy):
        return draw(st.none() | strategy)

    messages = [Message("system", (TextPart(draw(TEXTS)),))] if draw(st.booleans()) else []
    for index in range(draw(st.integers(1, 3))):
        messages += draw(turns(index))
    schema = st.fixed_dictionaries({"type": st.just("object")}, optional={"title": TEXTS})
    return GenerateRequest(
        model=draw(WORDS),
        messages=normalise(messages),
        tools=tuple(draw(st.lists(st.builds(Tool, WORDS, st.none() | TEXTS, schema), max_size=2))),
        output=maybe(st.just(Output()) | st.builds(Output, schema)),
        max_tokens=maybe(st.integers(1, 9999)),
        temperature=maybe(st.sampled_from([0, 0.5, 1])),
        top_p=maybe(st.floats(0, 1)),
        top_k=maybe(st.integers(1, 99)),
        seed=maybe(st.integers(-(2**63), 2**63 - 1)),
        stop=tuple(draw(st.lists(TEXTS, max_size=2))),
        presence_penalty=maybe(st.floats(-2, 2)),
        frequency_penalty=maybe(st.floats(-2, 2)),
        logprobs=maybe(st.integers(0, 20)),
        options={"ollama": {"keep_alive": draw(TEXTS)}} if draw(st.booleans()) else {},
    )


@settings(max_examples=80, deadline=None)
@given(requests(), st.booleans())
def test_what_this_wire_can_say_is_read_back_as_it_was_said(request, stream):
    wire = encode_request(request, PLAIN, stream=stream)
    assert wire.adjustments == ()
    read, streamed = decode_request(wire.body)
    assert streamed is stream
    assert read == request


# Law 10: a body that was decoded and encoded again is the same JSON.

CALLS = st.lists(
    st.sampled_from([CALL, {"id": "c", "type": "function", **CALL}, {"function": {"name": "g", "index": 1}}]),
    max_size=2,
)
OPTIONAL = {
    "content": TEXTS | st.just("") | st.none(),
    "thinking": TEXTS | st.just("") | st.none(),
    "images": st.none() | st.lists(st.sampled_from([PICTURE, "AA=="]), max_size=2),
    "tool_calls": CALLS | st.none(),
    "tool_name": WORDS | st.none(),
    "tool_call_id": WORDS | st.none(),
    "odd": OBJECTS,
}
MEMBERS = {
    "stream": st.none() | st.booleans(),
    "format": st.sampled_from([None, "", "json", {}, {"type": "object", "odd": 1}]),
    "think": st.sampled_from([None, True, False, "low", "max"]),
    "options": st.none()
    | st.dictionaries(
        st.sampled_from(["num_predict", "top_k", "num_ctx", "seed", "odd"]), st.none() | st.integers(-2, 9), max_size=3
    )
    | st.just({"stop": []})
    | st.just({"stop": ["a"], "temperature": 0.5}),
    "keep_alive": st.sampled_from([None, 0, -1, "5m"]),
    "logprobs": st.none() | st.booleans(),
    "top_logprobs": st.sampled_from([None, 0, 2]),
    "num_ctx": st.integers(1, 9),
    "tools": st.none()
    | st.lists(
        st.sampled_from(
            [
                {"type": "function", "function": {"name": "f", "description": None}},
                {"function": {"name": "g", "parameters": {"type": "object"}, "strict": True, "odd": 1}, "odd": 2},
                {"type": "web_search", "x": None},
            ]
        ),
        max_size=2,
    ),
    "odd": OBJECTS,
}


@st.composite
def bodies(draw):
    told = []
    for _ in range(draw(st.integers(0, 4))):
        members = draw(st.sets(st.sampled_from(list(OPTIONAL)), max_size=3))
        roles = ["system", "user", "USER", "assistant", "assistant", "tool", "tool", "control"]
        told.append({"role": draw(st.sampled_from(roles)), **{name: draw(OPTIONAL[name]) for name in sorted(members)}})
    members = draw(st.sets(st.sampled_from(list(MEMBERS)), max_size=5))
    return {"model": "m", "messages": told, **{name: draw(MEMBERS[name]) for name in sorted(members)}}


@settings(max_examples=200, deadline=None)
@given(bodies())
def test_any_body_comes_back_as_it_was(body):
    request, stream = decode_request(json.dumps(body).encode())
    assert normalise(request.messages) == request.messages
    stored = msgspec.json.decode(msgspec.json.encode(request), type=GenerateRequest)
    assert canonical(encode_request(stored, PLAIN, stream=stream).body) == canonical(json.dumps(body))


@settings(max_examples=100, deadline=None)
@given(bodies())
def test_a_change_wins_and_nothing_else_is_touched(body):
    request, stream = decode_request(json.dumps(body).encode())
    changed = structs.replace(request, messages=(system("added"), *request.messages), temperature=0.25)
    told = json.loads(encode_request(changed, PLAIN, stream=stream).body)
    assert told["options"]["temperature"] == 0.25
    assert told["messages"][0] == {"role": "system", "content": "added"}
    assert {name: value for name, value in told.items() if name not in ("messages", "options", "stream")} == {
        name: value for name, value in body.items() if name not in ("messages", "options", "stream")
    }


def _recorded():
    for exchange in recordings("ollama.chat"):
        body = exchange.request.get("body")
        if isinstance(body, dict):
            yield exchange.id, body


@pytest.mark.recordings
def test_every_recorded_request_comes_back_as_it_was():
    seen = 0
    for name, body in _recorded():
        request, stream = decode_request(json.dumps(body).encode())
        assert stream is (body.get("stream") is not False), name
        assert normalise(request.messages) == request.messages, name
        wire = encode_request(request, PLAIN, stream=stream)
        assert canonical(wire.body) == canonical(json.dumps(body)), name
        assert wire.adjustments == (), name
        seen += 1
    assert seen >= 10


@pytest.mark.recordings
def test_every_recorded_conversation_keeps_its_words():
    for name, body in _recorded():
        request, _ = decode_request(json.dumps(body).encode())
        told = json.dumps(msgspec.to_builtins(request.messages, enc_hook=repr), ensure_ascii=False)
        for message in body["messages"]:
            words = [message.get("content"), message.get("thinking"), message.get("tool_name")]
            words += [call["function"]["name"] for call in message.get("tool_calls") or ()]
            for word in filter(None, words):
                assert json.dumps(word, ensure_ascii=False)[1:-1] in told, name
