"""Requests as a server reads them: what is said, what is wrong with it, and that it can be said again."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest
from msgspec import structs

from polyvox.dialects.ollama.quirks import OllamaQuirks
from polyvox.dialects.ollama.request import decode_request, encode_request
from polyvox.errors import BadRequestError
from polyvox.types.generate import Output
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


def test_a_picture_in_a_result_stays_in_it():
    body = {"model": "m", "messages": [{"role": "tool", "content": "x", "images": [PICTURE]}], "stream": False}
    request, stream = decode_request(json.dumps(body).encode())
    ((_, picture),) = [message.content[0].content for message in request.messages]
    assert (picture.media_type, picture.data) == ("image/png", PNG)
    changed = encode_request(structs.replace(request, residue=None), PLAIN, stream=stream)
    assert json.loads(changed.body) == body and changed.adjustments == ()


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


def test_a_setting_beside_the_messages_says_nothing_and_goes_back_as_it_came():
    body = {"model": "m", "messages": [HI], "temperature": 0.5, "options": {"temperature": 1}, "stream": True}
    assert decode(**body).temperature == 1
    assert again(body) == body
    changed = again(body, lambda request: structs.replace(request, temperature=0.25))
    assert changed["options"] == {"temperature": 0.25}


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


def _recorded():
    for exchange in recordings("ollama.chat"):
        body = exchange.request.get("body")
        if isinstance(body, dict):
            yield exchange.id, body


@pytest.mark.recordings
def test_every_recorded_conversation_keeps_its_words():
    for name, body in _recorded():
        request, _ = decode_request(json.dumps(body).encode())
        assert normalise(request.messages) == request.messages, name
        told = json.dumps(msgspec.to_builtins(request.messages, enc_hook=repr), ensure_ascii=False)
        for message in body["messages"]:
            words = [message.get("content"), message.get("thinking"), message.get("tool_name")]
            words += [call["function"]["name"] for call in message.get("tool_calls") or ()]
            for word in filter(None, words):
                assert json.dumps(word, ensure_ascii=False)[1:-1] in told, name
