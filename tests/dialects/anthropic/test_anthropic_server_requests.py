"""Requests as a server reads them: what is said, what is wrong with it, and that it can be said again."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from polyvox.dialects.anthropic.quirks import AnthropicQuirks
from polyvox.dialects.anthropic.request import decode_request, encode_request
from polyvox.errors import BadRequestError
from polyvox.types.generate import GenerateRequest, Output, PromptCache
from polyvox.types.messages import Message
from polyvox.types.normalise import normalise
from polyvox.types.parts import (
    FileId,
    FilePart,
    OpaquePart,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCall,
    ToolResult,
    Url,
)
from polyvox.types.tools import NamedTool, Tool
from tests.recordings import recordings

PLAIN = AnthropicQuirks()
ENDPOINTS = ("anthropic.messages", "anthropic.rawPredict", "anthropic.streamRawPredict")


def decode(**body):
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **body}
    return decode_request(json.dumps(body).encode())[0]


def content_of(*blocks, role="user"):
    return decode(messages=[{"role": role, "content": list(blocks)}]).messages


def again(body):
    request, stream = decode_request(json.dumps(body).encode())
    return json.loads(encode_request(request, PLAIN, stream=stream).body)


def test_settings_are_read():
    request = decode(
        system="s",
        stream=True,
        temperature=1,
        top_p=0.5,
        top_k=4,
        stop_sequences=["a"],
        metadata={"user_id": "u"},
        service_tier="auto",
        cache_control={"type": "ephemeral", "ttl": "1h"},
        output_config={"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        thinking={"type": "adaptive"},
        container="c",
    )
    assert request.messages[0] == Message("system", (TextPart("s"),))
    assert (request.temperature, request.top_p, request.top_k, request.stop) == (1, 0.5, 4, ("a",))
    assert (request.user, request.service_tier, request.max_tokens) == ("u", "auto", 9)
    assert request.prompt_cache == PromptCache(ttl="1h")
    assert request.output == Output({"type": "object"})
    assert request.reasoning == "low"
    assert request.options == {"anthropic": {"container": "c"}}


@pytest.mark.parametrize(
    ("body", "reasoning", "options"),
    [
        ({"thinking": {"type": "disabled"}}, "none", {}),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, 2000, {}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "output_config": {"effort": "low"}},
            2000,
            {"output_config": {"effort": "low"}},
        ),
        ({"thinking": {"type": "adaptive"}}, None, {"thinking": {"type": "adaptive"}}),
        ({"thinking": {"type": "between_tools"}}, None, {"thinking": {"type": "between_tools"}}),
        ({"output_config": {"effort": "high"}}, "high", {}),
        ({"output_config": {"effort": "odd"}}, None, {"output_config": {"effort": "odd"}}),
    ],
)
def test_the_reasoning_knob_is_read_and_said_again(body, reasoning, options):
    request = decode(**body)
    assert (request.reasoning, request.options.get("anthropic", {})) == (reasoning, options)
    whole = {"model": "m", "max_tokens": 9000, "messages": [{"role": "user", "content": "hi"}], **body}
    assert again(whole) == whole


def test_results_are_a_tool_message_and_bear_the_name_of_their_call():
    request = decode(
        messages=[
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {"x": [1]}}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": "r", "is_error": True},
                    {"type": "text", "text": "and?"},
                ],
            },
        ]
    )
    assert request.messages[1:] == (
        Message("assistant", (ToolCall("a", "f", '{"x":[1]}'),)),
        Message("tool", (ToolResult("a", "f", (TextPart("r"),), is_error=True),)),
        Message("user", (TextPart("and?"),)),
    )


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "thinking", "thinking": "t", "signature": "s"}, ("t", False, {"signature": "s"})),
        ({"type": "thinking", "thinking": "t"}, ("t", False, {"type": "thinking"})),
        ({"type": "redacted_thinking", "data": "d"}, ("", True, {"data": "d"})),
    ],
)
def test_thinking_is_reasoning(block, part):
    (message,) = content_of(block, role="assistant")
    text, redacted, marks = part
    assert message.content == (ReasoningPart(text, redacted, {"anthropic": marks}),)


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUI="}},
            FilePart("image/png", b"AB"),
        ),
        ({"type": "image", "source": {"type": "url", "url": "u"}}, FilePart("image/*", Url("u"))),
        (
            {"type": "document", "source": {"type": "file", "file_id": "f"}, "title": "a.txt", "context": "c"},
            FilePart("text/plain", FileId("f"), "a.txt", {"anthropic": {"context": "c"}}),
        ),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
            FilePart("text/plain", b"x"),
        ),
        ({"type": "container_upload", "file_id": "f"}, FileId("f")),
        ({"type": "widget", "x": 1}, OpaquePart("widget", {"anthropic": {"type": "widget", "x": 1}})),
        (
            {"type": "search_result", "source": "u", "title": "t", "content": [{"type": "text", "text": "x"}]},
            SourcePart("u", "t", "x", {"anthropic": {"type": "search_result"}}),
        ),
    ],
)
def test_blocks_are_read(block, part):
    (read,) = content_of(block)[0].content
    if isinstance(part, FileId):
        assert isinstance(read, FilePart) and read.data == part
    elif isinstance(part, SourcePart):
        assert (read.url, read.title, read.text) == ("u", "t", "x")
    else:
        assert read == part
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [block]}]}
    assert again(body) == body
    assert decode(**body).residue is None


def test_a_document_in_pieces_is_one_text_and_goes_back_in_pieces():
    pieces = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    block = {"type": "document", "source": {"type": "content", "content": pieces}, "title": "t"}
    (message,) = content_of(block)
    (part,) = message.content
    assert (part.media_type, part.data, part.name) == ("text/plain", b"a\n\nb", "t")
    request = decode(messages=[{"role": "user", "content": [block]}])
    assert json.loads(encode_request(request, PLAIN, stream=False).body)["messages"][0]["content"] == [block]
    changed = structs.replace(request, messages=(Message("user", (structs.replace(part, data=b"new"),)),))
    (sent,) = json.loads(encode_request(changed, PLAIN, stream=False).body)["messages"][0]["content"]
    assert sent["source"] == {"type": "text", "media_type": "text/plain", "data": "new"}


def test_tools_and_the_choice_are_read():
    hosted = {"type": "web_search_20260318", "name": "web_search", "max_uses": 1}
    function = {"name": "f", "input_schema": {"type": "object"}, "strict": True, "defer_loading": True}
    request = decode(
        tools=[function, hosted, {"type": "custom", "name": "g", "input_schema": {}}],
        tool_choice={"type": "tool", "name": "web_search", "disable_parallel_tool_use": True},
    )
    assert request.tools == (
        Tool("f", None, {"type": "object"}, True, meta={"anthropic": {"defer_loading": True}}),
        Tool("web_search_20260318", kind="hosted", settings={"name": "web_search", "max_uses": 1}),
        Tool("g", None, {}, meta={"anthropic": {"type": "custom"}}),
    )
    assert (request.tool_choice, request.parallel_tools) == (NamedTool("web_search_20260318", "hosted"), False)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"messages": None}, "messages: is null, but must be a list of messages"),
        ({"messages": []}, "messages: is empty"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role: is 'tool', but must be one of user"),
        ({"messages": [{"role": "user"}]}, "messages[0].content: is missing"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type: is missing"),
        (
            {
                "messages": [
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": "x"}]}
                ]
            },
            "messages[0].content[0].input: is the string 'x', but must be an object",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "x"}]}]},
            "messages[0].content[0].tool_use_id: is missing",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url"}}]}]},
            "messages[0].content[0].source.url: is missing",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "§"}}
                        ],
                    }
                ]
            },
            "messages[0].content[0].source.data: is no valid base64",
        ),
        ({"max_tokens": "9"}, "max_tokens: is the string '9', but must be a whole number from 0"),
        ({"temperature": True}, "temperature: is true, but must be a number"),
        ({"stop_sequences": "a"}, "stop_sequences: is the string 'a', but must be a list"),
        ({"system": 1}, "system: is the number 1, but must be a string or a list of blocks"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema: is missing"),
        ({"tool_choice": {"type": "odd"}}, "tool_choice.type: is 'odd'"),
        ({"stream": 1}, "stream: is the number 1, but must be true or false"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]}]}, "f"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(body, told):
    with pytest.raises(BadRequestError) as caught:
        decode(**body)
    assert told in caught.value.message
    assert caught.value.status == 400


def test_a_body_that_is_no_json_or_lacks_max_tokens_is_a_bad_request():
    for body in (b"{", b"[]", b'{"messages": [{"role": "user", "content": "x"}]}'):
        with pytest.raises(BadRequestError):
            decode_request(body)


# Law 1: what this wire can say is read back as it was said. What it cannot is declared in docs/dialects/anthropic.md.

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
WORDS = st.text("abcxyz_09", min_size=1, max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(WORDS, JSON, max_size=3)
SCHEMAS = OBJECTS.map(lambda held: {"type": "object", **held})
MARKED = st.sampled_from([{}, {"anthropic": {"cache_control": {"type": "ephemeral"}}}])
texts = st.builds(TextPart, TEXTS, meta=MARKED)
files = st.one_of(
    st.builds(FilePart, st.sampled_from(["image/png", "image/webp"]), st.binary(max_size=9), meta=MARKED),
    st.builds(FilePart, st.just("image/*"), st.builds(Url, WORDS) | st.builds(FileId, WORDS)),
    st.builds(FilePart, st.just("application/pdf"), st.binary(max_size=9) | st.builds(Url, WORDS), st.none() | WORDS),
    st.builds(FilePart, st.just("text/plain"), TEXTS.map(str.encode), st.none() | WORDS, MARKED),
)
thoughts = st.one_of(
    st.builds(ReasoningPart, TEXTS | st.just(""), meta=st.just({"anthropic": {"signature": "s"}})),
    st.builds(ReasoningPart, st.just(""), st.just(True), st.just({"anthropic": {"data": "d"}})),
)
tools = st.one_of(
    st.builds(Tool, WORDS, st.none() | TEXTS, SCHEMAS, st.none() | st.booleans(), meta=MARKED),
    st.builds(
        Tool, st.just("web_search_20260318"), kind=st.just("hosted"), settings=st.just({"name": "web_search", "x": 1})
    ),
)


def arguments(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@st.composite
def conversations(draw):
    messages = [Message("system", tuple(draw(st.lists(texts, min_size=1, max_size=2))))] if draw(st.booleans()) else []
    for index in range(draw(st.integers(1, 3))):
        messages.append(Message("user", tuple(draw(st.lists(texts | files, min_size=1, max_size=3)))))
        calls = tuple(
            ToolCall(f"c{index}_{place}", draw(WORDS), arguments(draw(OBJECTS)))
            for place in range(draw(st.integers(0, 2)))
        )
        said = tuple(draw(st.lists(texts, min_size=0 if calls else 1, max_size=2)))
        messages.append(Message("assistant", (*draw(st.lists(thoughts, max_size=1)), *said, *calls)))
        if calls:
            parts = st.lists(texts | files, max_size=2).map(tuple)
            results = tuple(ToolResult(call.id, call.name, draw(parts), draw(st.booleans())) for call in calls)
            messages.append(Message("tool", results))
        if draw(st.booleans()):
            messages.append(Message("system", (draw(texts),)))
    return normalise(messages)


@st.composite
def requests(draw):
    def maybe(strategy):
        return draw(st.none() | strategy)

    offered = tuple(draw(st.lists(tools, max_size=3, unique_by=lambda tool: tool.name)))
    choices = st.sampled_from(["auto", "required", *(NamedTool(tool.name, tool.kind) for tool in offered)])
    choice = maybe(choices) if offered else None
    reasoning = maybe(st.sampled_from(["none", "low", "medium", "high", "xhigh", "max"]) | st.integers(1024, 2000))
    cool = reasoning in (None, "none")
    return GenerateRequest(
        model=draw(WORDS),
        messages=draw(conversations()),
        tools=offered,
        tool_choice=choice,
        parallel_tools=maybe(st.booleans()) if choice else None,
        output=maybe(st.builds(Output, OBJECTS)),
        reasoning=reasoning,
        max_tokens=draw(st.integers(3000, 9999)),
        temperature=maybe(st.sampled_from([0, 0.5, 1])) if cool else None,
        top_p=maybe(st.floats(0, 1)) if cool else None,
        top_k=maybe(st.integers(0, 99)) if cool else None,
        stop=tuple(draw(st.lists(TEXTS, max_size=2))),
        prompt_cache=maybe(st.builds(PromptCache, ttl=st.sampled_from([None, "5m", "1h"]))),
        user=maybe(WORDS),
        service_tier=maybe(st.sampled_from(["auto", "standard_only"])),
        options={"anthropic": {"container": draw(WORDS)}} if draw(st.booleans()) else {},
    )


@settings(max_examples=150, deadline=None)
@given(requests(), st.booleans())
def test_what_this_wire_can_say_is_read_back_as_it_was_said(request, stream):
    wire = encode_request(request, PLAIN, stream=stream)
    assert wire.adjustments == ()
    read, streamed = decode_request(wire.body)
    assert streamed is stream
    assert read == request


# Law 10: a body that was decoded and encoded again is the same JSON, and a change in between wins.

BLOCKS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, TEXTS | st.just("")),
    st.builds(lambda text, more: {**more, "type": "text", "text": text}, TEXTS, OBJECTS),
    st.just({"type": "text", "text": "x", "citations": None, "cache_control": None}),
    st.just({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUI"}}),
    st.just({"type": "document", "source": {"type": "url", "url": "u"}, "title": None, "citations": {"enabled": True}}),
    st.just({"type": "document", "source": {"type": "odd"}}),
    st.just({"type": "document", "source": {"type": "content", "content": "c"}}),
    st.builds(lambda more: {**more, "type": "widget"}, OBJECTS),
    st.just({"type": "search_result", "source": "u", "title": "t", "content": [], "citations": {"enabled": True}}),
)
USERS = BLOCKS | st.one_of(
    st.builds(lambda name: {"type": "tool_result", "tool_use_id": name, "content": ""}, WORDS),
    st.builds(lambda name: {"type": "tool_result", "tool_use_id": name, "is_error": False, "odd": 1}, WORDS),
    st.builds(lambda name, block: {"type": "tool_result", "tool_use_id": name, "content": [block]}, WORDS, BLOCKS),
)
ANSWERS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, TEXTS | st.just("")),
    st.just({"type": "text", "text": "x", "citations": [CITED := {"type": "char_location", "cited_text": "c"}]}),
    st.just({"type": "text", "text": "x", "citations": [{"type": "web_search_result_location", "url": "u"}]}),
    st.just({"type": "thinking", "thinking": "", "signature": "s"}),
    st.just({"type": "thinking", "thinking": "t"}),
    st.just({"type": "redacted_thinking", "data": "d"}),
    st.builds(lambda name, held: {"type": "tool_use", "id": name, "name": name, "input": held}, WORDS, OBJECTS),
    st.just({"type": "tool_use", "id": "a|b", "name": "f", "input": {}, "caller": {"type": "direct"}}),
    st.just({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}),
    st.just({"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "web_search_result"}]}),
    st.just({"type": "web_search_tool_result", "tool_use_id": "s", "content": {"error_code": "max_uses_exceeded"}}),
    st.just({"type": "mcp_tool_result", "tool_use_id": "s", "is_error": False, "content": "x"}),
    st.builds(lambda more: {**more, "type": "widget"}, OBJECTS),
)
MEMBERS = {
    "system": st.sampled_from([None, "", "s", [], [{"type": "text", "text": "s", "cache_control": {"type": "x"}}]]),
    "temperature": st.sampled_from([None, 0, 1, 0.5, 2]),
    "top_p": st.sampled_from([None, 0.5]),
    "stop_sequences": st.sampled_from([None, [], ["a"]]),
    "metadata": st.sampled_from([None, {}, {"user_id": None}, {"user_id": "u", "odd": 1}]),
    "service_tier": st.sampled_from([None, "auto", "odd"]),
    "cache_control": st.sampled_from([None, {"type": "ephemeral", "ttl": "2h"}, {"odd": 1}]),
    "thinking": st.sampled_from(
        [
            None,
            {"type": "disabled"},
            {"type": "adaptive", "display": "omitted"},
            {"type": "enabled", "budget_tokens": 5, "display": "summarized"},
            {"type": "enabled", "budget_tokens": 99999},
            {"type": "odd"},
        ]
    ),
    "output_config": st.sampled_from(
        [None, {}, {"effort": "low"}, {"effort": None}, {"format": {"type": "odd"}}, {"effort": "odd", "x": 1}]
    ),
    "output_format": st.sampled_from([None, {"type": "json_schema", "schema": {}}, {"type": "odd"}]),
    "tools": st.sampled_from(
        [
            None,
            [],
            [{"name": "f", "input_schema": {}, "type": None, "description": None}],
            [{"type": "custom", "name": "f", "input_schema": {"type": "object"}}, {"type": "odd_20250101", "x": 1}],
        ]
    ),
    "tool_choice": st.sampled_from([None, {"type": "none"}, {"type": "any", "disable_parallel_tool_use": False}]),
    "odd": JSON,
    "betas": st.just(None),
}


@st.composite
def bodies(draw):
    messages = []
    for _ in range(draw(st.integers(1, 4))):
        role = draw(st.sampled_from(["user", "assistant", "system"]))
        blocks = {"user": USERS, "assistant": ANSWERS, "system": BLOCKS}[role]
        messages.append({"role": role, "content": draw(TEXTS | st.just("") | st.lists(blocks, max_size=3))})
    body = {"model": "m", "max_tokens": 2000, "messages": messages}
    for name in draw(st.sets(st.sampled_from([name for name in MEMBERS if name != "betas"]), max_size=6)):
        body[name] = draw(MEMBERS[name])
    if draw(st.booleans()):
        body["stream"] = draw(st.none() | st.booleans())
    return body


def canonical(body):
    return json.dumps(body, sort_keys=True)


@settings(max_examples=400, deadline=None)
@given(bodies())
def test_any_body_comes_back_as_it_was(body):
    assert canonical(again(body)) == canonical(body)


@settings(max_examples=200, deadline=None)
@given(bodies())
def test_a_change_wins_and_nothing_else_is_touched(body):
    request, stream = decode_request(json.dumps(body).encode())
    changed = structs.replace(request, max_tokens=1999, stop=("z",))
    told = json.loads(encode_request(changed, PLAIN, stream=stream).body)
    assert (told["max_tokens"], told["stop_sequences"]) == (1999, ["z"])
    for name in ("messages", "system", "tools", "odd"):
        assert canonical(told.get(name)) == canonical(body.get(name))


@pytest.mark.recordings
def test_every_recorded_request_comes_back_as_it_was():
    seen = 0
    for exchange in (exchange for endpoint in ENDPOINTS for exchange in recordings(endpoint)):
        body = exchange.request["body"]
        if exchange.status == 400 and "input_schema" in exchange.body.decode():
            continue  # a schema that is no object: we refuse it too
        request, stream = decode_request(json.dumps(body).encode())
        assert stream is bool(body.get("stream")), exchange
        assert normalise(request.messages) == request.messages, exchange
        wire = encode_request(request, PLAIN, stream=stream)
        assert canonical(json.loads(wire.body)) == canonical(body), exchange
        assert wire.adjustments == (), exchange
        # What is left to the residue is spelling: texts as lists, and flags that say no.
        for change in request.residue.changes if request.residue else ():
            assert canonical(_plain([change.ours])) == canonical(_plain([change.theirs])), exchange
        seen += 1
    assert seen > 60


def _plain(value):
    """Return the value with every spelling of one text alike, and what says nothing left out."""
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items() if member not in (None, False)}
    if isinstance(value, list):
        kept = [_plain(item) for item in value if item not in (None, False) and item.__class__.__name__ != "UnsetType"]
        if len(kept) == 1 and isinstance(kept[0], dict) and kept[0].keys() == {"type", "text"}:
            return kept[0]["text"]
        return kept[0] if len(kept) == 1 and isinstance(kept[0], str | list) else kept
    return value
