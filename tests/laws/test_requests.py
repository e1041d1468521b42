"""Laws 1 and 10 for requests of the OpenAI chat wire.

1: what this wire can say is read back as it was said. 10: a body that was decoded and encoded again is the same JSON.
"""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import structs

from polyvox.dialects.openai.chat.encoding import Encoding
from polyvox.dialects.openai.chat.request import decode_request, encode_body, encode_request
from polyvox.dialects.openai.quirks import OpenAIQuirks
from polyvox.errors import BadRequestError, UnsupportedError
from polyvox.types.generate import AudioOutput, GenerateRequest, Output, PromptCache
from polyvox.types.messages import Message
from polyvox.types.normalise import normalise
from polyvox.types.parts import FileId, FilePart, ReasoningPart, TextPart, ToolCall, ToolResult, Url
from polyvox.types.tools import AllowedTools, Grammar, NamedTool, Tool
from tests.recordings import recordings

PLAIN = OpenAIQuirks()

# Law 1: requests in normal form that this wire can say.
# What it cannot is declared in docs/dialects/openai-chat.md and left out here: the exact type of a picture by address
# and of a file by id, a file of bytes without a name, errors and files in results, where a text is from, top_k.

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
WORDS = st.text("abcxyz_09", min_size=1, max_size=6)
URLS = WORDS.map(lambda word: Url(f"https://x.example/{word}"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(WORDS, JSON, max_size=3)
MARKED = st.sampled_from(
    [
        {},
        {"openai": {"cache_control": {"type": "ephemeral"}}},
        {"openai": {"prompt_cache_breakpoint": {"mode": "explicit"}}},
    ]
)

texts = st.builds(TextPart, TEXTS, meta=MARKED)
files = st.one_of(
    st.builds(FilePart, st.just("image/png"), st.binary(max_size=9), meta=MARKED),
    st.builds(FilePart, st.just("image/*"), URLS, meta=st.sampled_from([{}, {"openai": {"detail": "high"}}])),
    st.builds(FilePart, st.sampled_from(["audio/wav", "audio/mpeg"]), st.binary(max_size=9)),
    st.builds(FilePart, st.just("application/pdf"), st.binary(max_size=9), WORDS.map(lambda word: f"{word}.pdf")),
    st.builds(FilePart, st.just("application/octet-stream"), st.builds(FileId, WORDS)),
    st.builds(FilePart, st.just("video/*"), URLS),
)
reasoning = st.one_of(
    st.builds(
        ReasoningPart,
        TEXTS,
        meta=st.sampled_from([{"openai": {"field": "reasoning_content"}}, {"openai": {"field": "reasoning"}}]),
    ),
    st.builds(
        ReasoningPart,
        TEXTS,
        meta=st.just(
            {"openai": {"field": "reasoning", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}}
        ),
    ),
)
functions = st.builds(Tool, WORDS, st.none() | TEXTS, st.none() | OBJECTS, st.none() | st.booleans())
customs = st.builds(
    Tool, WORDS, st.none() | TEXTS, kind=st.just("custom"), grammar=st.none() | st.just(Grammar("regex", "a+"))
)
hosted = st.builds(
    Tool,
    WORDS.map(lambda word: f"svc:{word}"),
    kind=st.just("hosted"),
    settings=st.dictionaries(st.just("parameters"), OBJECTS),
)


@st.composite
def turns(draw, index):
    """A user's turn, an assistant's answer, and the results of the calls it made."""
    said = Message("user", tuple(draw(st.lists(texts | files, min_size=1, max_size=3))))
    calls = tuple(
        ToolCall(f"c{index}_{place}", draw(WORDS), draw(TEXTS), draw(st.sampled_from(["function", "custom"])))
        for place in range(draw(st.integers(0, 2)))
    )
    thoughts = tuple(draw(st.lists(reasoning, max_size=1)))
    answer = tuple(draw(st.lists(st.builds(TextPart, TEXTS), min_size=0 if calls else 1, max_size=2)))
    refusal = (TextPart(draw(TEXTS), refusal=True),) if draw(st.booleans()) else ()
    results = tuple(
        ToolResult(call.id, call.name, tuple(draw(st.lists(st.builds(TextPart, TEXTS), max_size=2)))) for call in calls
    )
    told = Message("assistant", (*thoughts, *answer, *refusal, *calls))
    return [said, told, Message("tool", results)] if calls else [said, told]


@st.composite
def conversations(draw):
    first = draw(st.lists(st.builds(TextPart, TEXTS), max_size=1))
    role = draw(st.sampled_from([{}, {"openai": {"role": "developer"}}]))
    messages = [Message("system", tuple(first), meta=role)] if first else []
    for index in range(draw(st.integers(1, 3))):
        messages += draw(turns(index))
    if draw(st.booleans()):
        messages.append(Message("user", (TextPart(draw(TEXTS)),), meta={"openai": {"name": draw(WORDS)}}))
    return normalise(messages)


@st.composite
def requests(draw):
    def maybe(strategy):
        return draw(st.none() | strategy)

    tools = draw(st.lists(functions | customs | hosted, max_size=3, unique_by=lambda tool: tool.name))
    choices = st.sampled_from(["auto", "none", "required"])
    if tools:
        named = [tool for tool in tools if tool.kind != "hosted"]
        choices |= st.sampled_from([NamedTool(tool.name, tool.kind) for tool in tools])
        choices |= st.just(AllowedTools(tuple(tool.name for tool in named), "required"))
    body_options = st.dictionaries(st.sampled_from(["store", "logit_bias", "verbosity"]), JSON, min_size=1)
    return GenerateRequest(
        model=draw(WORDS),
        messages=draw(conversations()),
        tools=tuple(tools),
        tool_choice=maybe(choices) if tools else None,
        parallel_tools=maybe(st.booleans()) if tools else None,
        output=maybe(
            st.builds(Output, st.none())
            | st.builds(Output, OBJECTS, WORDS, st.none() | TEXTS, st.none() | st.booleans())
        ),
        reasoning=maybe(st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"])),
        max_tokens=maybe(st.integers(1, 9999)),
        temperature=maybe(st.sampled_from([0, 0.5, 1])),
        top_p=maybe(st.floats(0, 1)),
        seed=maybe(st.integers(-(2**63), 2**63 - 1)),
        stop=tuple(draw(st.lists(TEXTS, max_size=2))),
        presence_penalty=maybe(st.floats(-2, 2)),
        frequency_penalty=maybe(st.floats(-2, 2)),
        logprobs=maybe(st.integers(0, 20)),
        n=maybe(st.just(1)),
        modalities=tuple(draw(st.sampled_from([(), ("text",), ("text", "audio")]))),
        audio=maybe(st.builds(AudioOutput, WORDS, st.none() | WORDS)),
        prompt_cache=maybe(
            st.builds(
                PromptCache, WORDS, st.sampled_from([None, "implicit", "explicit"]), st.sampled_from([None, "30m"])
            )
        ),
        user=maybe(WORDS),
        service_tier=maybe(WORDS),
        metadata=maybe(st.dictionaries(WORDS, TEXTS, max_size=2)),
        options={"openai": draw(body_options)} if draw(st.booleans()) else {},
    )


@settings(max_examples=120, deadline=None)
@given(requests(), st.booleans())
def test_what_this_wire_can_say_is_read_back_as_it_was_said(request, stream):
    wire = encode_request(request, PLAIN, stream=stream)
    assert wire.adjustments == ()
    read, streamed = decode_request(wire.body)
    assert streamed is stream
    assert read == request


@settings(max_examples=100, deadline=None)
@given(requests(), st.booleans())
def test_a_request_survives_storage_between_reading_and_saying(request, stream):
    body = encode_request(request, PLAIN, stream=stream).body
    read, _ = decode_request(body)
    stored = msgspec.json.decode(msgspec.json.encode(read), type=GenerateRequest)
    assert json.loads(encode_request(stored, PLAIN, stream=stream).body) == json.loads(body)


# Law 10, made up: bodies as clients may write them, with every other spelling that servers accept.

CONTENT = st.one_of(
    TEXTS,
    st.just(""),
    st.lists(
        st.one_of(
            st.builds(lambda text: {"type": "text", "text": text}, TEXTS),
            st.builds(lambda text, more: {**more, "type": "text", "text": text}, TEXTS, OBJECTS),
            st.just({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "auto"}}),
            st.just({"type": "image_url", "image_url": "https://x.example/a.png"}),
            st.just({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "opus"}}),
            st.just({"type": "file", "file": {"file_data": "AA==", "filename": "a.txt", "odd": 1}}),
            st.just({"type": "file", "file": {"file_id": "f", "filename": None}}),
            st.builds(lambda more: {**more, "type": "widget"}, OBJECTS),
        ),
        max_size=3,
    ),
)
CALLS = st.lists(
    st.one_of(
        st.builds(lambda name: {"id": name, "type": "function", "function": {"name": name, "arguments": ""}}, WORDS),
        st.builds(lambda name: {"id": name, "index": 0, "function": {"name": name, "arguments": "{}", "x": 1}}, WORDS),
        st.builds(lambda name: {"id": name, "type": "custom", "custom": {"name": name, "input": "1"}}, WORDS),
    ),
    max_size=2,
)


@st.composite
def wire_messages(draw):
    role = draw(st.sampled_from(["system", "developer", "user", "assistant", "assistant", "tool", "function"]))
    message = {
        **draw(st.dictionaries(st.sampled_from(["name", "cache_control", "odd"]), WORDS, max_size=1)),
        "role": role,
    }
    if role == "tool":
        message["tool_call_id"] = draw(WORDS)
    if role == "function":
        message["name"] = draw(WORDS)
    if role != "assistant":
        return {**message, "content": draw(CONTENT)}
    optional = {
        "content": CONTENT | st.none(),
        "tool_calls": CALLS | st.none(),
        "refusal": st.none() | TEXTS,
        "reasoning_content": st.none() | TEXTS | st.just(""),
        "reasoning": st.none() | TEXTS,
        "reasoning_details": st.none() | st.lists(OBJECTS, max_size=2),
        "audio": st.none() | st.just({"id": "a"}),
        "function_call": st.none() | st.just({"name": "f", "arguments": "{}"}),
    }
    for name in draw(st.sets(st.sampled_from(list(optional)))):
        message[name] = draw(optional[name])
    return message


def _null_or(*values):
    return st.none() | st.sampled_from(values)


MEMBERS = {
    "stream_options": _null_or({}, {"include_usage": False}, {"include_usage": True, "include_obfuscation": False}),
    "max_tokens": _null_or(1, 2),
    "max_completion_tokens": _null_or(1, 2),
    "temperature": _null_or(0, 1, 0.5),
    "stop": _null_or("a", ["a"], []),
    "logprobs": _null_or(True, False),
    "top_logprobs": _null_or(0, 2),
    "top_k": _null_or(0, 5),
    "n": _null_or(1),
    "user": _null_or("u"),
    "safety_identifier": _null_or("v"),
    "reasoning_effort": _null_or("low", "default", ""),
    "reasoning": _null_or({}, {"effort": "low"}, {"max_tokens": 5, "exclude": True}, {"enabled": True}, "odd"),
    "response_format": _null_or(
        {"type": "text"},
        {"type": "grammar", "x": 1},
        {"type": "json_object", "schema": {}},
        {"type": "json_schema", "json_schema": {"schema": {}, "strict": None, "odd": 1}},
    ),
    "tools": st.none()
    | st.lists(
        st.sampled_from(
            [
                {"type": "function", "function": {"name": "f", "description": None}},
                {"function": {"name": "g", "strict": False, "odd": 1}, "odd": 2},
                {"type": "custom", "custom": {"name": "c", "format": {"type": "text"}, "odd": 1}},
                {"type": "web_search", "x": None},
            ]
        ),
        max_size=3,
    ),
    "functions": _null_or([], [{"name": "h", "parameters": {}}]),
    "function_call": _null_or("auto", {"name": "h"}),
    "tool_choice": _null_or("auto", "any", {"type": "tool", "name": "f"}, {"type": "function", "name": "f"}),
    "parallel_tool_calls": _null_or(True, False),
    "audio": _null_or({"voice": {"id": "x"}}, {"voice": "v", "odd": 1}),
    "prompt_cache_key": _null_or("k"),
    "prompt_cache_options": _null_or({}, {"mode": "odd"}, {"ttl": "30m", "odd": 1}),
    "metadata": _null_or({}, {"a": "b"}),
    "model": st.just("m"),
    "odd": JSON,
}


@st.composite
def bodies(draw):
    body = {"messages": draw(st.lists(wire_messages(), min_size=1, max_size=5))}
    for name in draw(st.sets(st.sampled_from(list(MEMBERS)), max_size=6)):
        body[name] = draw(MEMBERS[name])
    if draw(st.booleans()):
        body["stream"] = draw(st.none() | st.booleans())
    return body


@settings(max_examples=250, deadline=None)
@given(bodies())
def test_any_body_comes_back_as_it_was(body):
    try:
        request, stream = decode_request(json.dumps(body).encode())
    except BadRequestError as error:
        assert "is missing: give a text, or tool_calls" in error.message, "the only thing wrong with these bodies"
        return
    assert canonical(encode_request(request, PLAIN, stream=stream).body) == canonical(json.dumps(body))


@settings(max_examples=150, deadline=None)
@given(bodies())
def test_a_change_wins_and_nothing_else_is_touched(body):
    try:
        request, stream = decode_request(json.dumps(body).encode())
    except BadRequestError:
        return
    plain = encode_body(structs.replace(request, residue=None), Encoding(PLAIN), stream=stream)["messages"]
    # Of two messages that are the same to us, one may get the other's form: there is no telling them apart.
    assume(len({json.dumps(message) for message in plain}) == len(plain))
    added = Message("system", (TextPart("added"),))
    changed = structs.replace(request, messages=(added, *request.messages), temperature=0.25)
    told = json.loads(encode_request(changed, PLAIN, stream=stream).body)
    expected = {**body, "temperature": 0.25, "messages": [{"role": "system", "content": "added"}, *body["messages"]]}
    assert canonical(json.dumps(told)) == canonical(json.dumps(expected))


def canonical(body):
    return json.dumps(json.loads(body), sort_keys=True)


# Law 10, recorded: what clients really sent to every service that speaks this wire.


def _recorded():
    for exchange in recordings("openai.chat"):
        body = exchange.request.get("body")
        if isinstance(body, dict):
            yield exchange.id, body


@pytest.mark.recordings
def test_every_recorded_request_comes_back_as_it_was():
    seen = 0
    for name, body in _recorded():
        request, stream = decode_request(json.dumps(body).encode())
        assert stream is bool(body.get("stream")), name
        assert canonical(
            json.dumps(encode_body(request, Encoding(PLAIN, request.residue), stream=stream))
        ) == canonical(json.dumps(body)), name
        if stream and body.get("n", 1) > 1:
            with pytest.raises(UnsupportedError, match="cannot be streamed at once"):
                encode_request(request, PLAIN, stream=True)
        else:
            wire = encode_request(request, PLAIN, stream=stream)
            assert canonical(wire.body) == canonical(json.dumps(body)), name
            assert wire.adjustments == (), name
        seen += 1
    assert seen > 200


@pytest.mark.recordings
def test_every_recorded_conversation_is_in_normal_form_and_keeps_its_text():
    for name, body in _recorded():
        request, _ = decode_request(json.dumps(body).encode())
        assert normalise(request.messages) == request.messages, name
        told = json.dumps(msgspec.to_builtins(request.messages, enc_hook=repr), ensure_ascii=False)
        for text in _texts(body["messages"]):
            assert json.dumps(text, ensure_ascii=False)[1:-1] in told, name


def _texts(messages):
    """Read with plain dictionaries, by none of the code under test."""
    for message in messages:
        content = message.get("content")
        items = [{"text": content}] if isinstance(content, str) else content or []
        yield from (item["text"] for item in items if isinstance(item.get("text"), str))
        for call in message.get("tool_calls") or []:
            yield call["function"]["arguments"]
        yield from (message[field] for field in ("reasoning", "reasoning_content") if message.get(field))
