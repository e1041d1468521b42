"""Requests as Claude reads them: what is put where, and what becomes of what the wire or the model does not take."""

from __future__ import annotations

import json

import pytest

from polyvox.dialects.anthropic.quirks import AnthropicQuirks
from polyvox.dialects.anthropic.request import encode_request
from polyvox.errors import UnsupportedError
from polyvox.types.generate import AudioOutput, GenerateRequest, Output, PromptCache, Residue, ResidueChange
from polyvox.types.messages import Message, assistant, system, tool, user
from polyvox.types.parts import (
    FileId,
    FilePart,
    OpaquePart,
    ReasoningPart,
    Source,
    SourcePart,
    TextPart,
    ToolCall,
    ToolResult,
    Url,
)
from polyvox.types.tools import AllowedTools, NamedTool, Tool

PNG = b"\x89PNG\r\n\x1a\n"
WEATHER = Tool("weather", "d", {"type": "object", "properties": {}})
SEARCH = Tool("web_search_20260318", kind="hosted", settings={"max_uses": 2})


def encode(*messages, quirks=None, stream=False, **said):
    said.setdefault("max_tokens", 100)
    request = GenerateRequest(model="claude", messages=messages or (user("hi"),), **said)
    return encode_request(request, quirks or AnthropicQuirks(), stream=stream)


def body_of(*messages, **said):
    return json.loads(encode(*messages, **said).body)


def notes(wire):
    return [(adjustment.kind, adjustment.setting) for adjustment in wire.adjustments]


def test_a_plain_question_is_sent_with_nothing_that_was_not_asked():
    wire = encode(user("hi"))
    assert (wire.method, wire.path) == ("POST", "/v1/messages")
    assert wire.headers == {"Content-Type": "application/json", "anthropic-version": "2026-10-21"}
    assert json.loads(wire.body) == {
        "model": "claude",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 100,
    }
    assert wire.adjustments == ()


def test_a_stream_is_asked_for():
    assert body_of(stream=True)["stream"] is True


def test_leading_system_messages_are_the_system_prompt():
    assert body_of(system("a"), user("hi"))["system"] == "a"
    blocks = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert body_of(system("a"), system("b"), user("hi"))["system"] == blocks


def test_a_system_message_amid_the_others_keeps_its_place_or_becomes_user_text():
    messages = (user("a"), assistant("b"), system("c"), user("d"))
    assert [message["role"] for message in body_of(*messages)["messages"]] == ["user", "assistant", "system", "user"]
    wire = encode(*messages, quirks=AnthropicQuirks(mid_system=False))
    assert json.loads(wire.body)["messages"][-1] == {
        "role": "user",
        "content": [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}],
    }
    assert notes(wire) == [("emulated", "messages")]


def test_results_stand_first_in_the_user_message_that_follows_their_calls():
    told = body_of(
        user("hi"),
        assistant(ToolCall("a", "weather", '{"x": 1}')),
        tool(ToolResult("a", "weather", (TextPart("sunny"),), is_error=True)),
        user("and?"),
    )["messages"]
    call = {"type": "tool_use", "id": "a", "name": "weather", "input": {"x": 1}}
    assert told[1] == {"role": "assistant", "content": [call]}
    result = {"type": "tool_result", "tool_use_id": "a", "content": "sunny", "is_error": True}
    assert told[2] == {"role": "user", "content": [result, {"type": "text", "text": "and?"}]}


def test_a_result_that_comes_after_words_of_the_user_is_put_before_them():
    told = body_of(user("hi"), tool(ToolResult("a", content=(TextPart("x"),))))["messages"]
    assert [block["type"] for block in told[0]["content"]] == ["tool_result", "text"]


def test_results_hold_pictures_documents_and_search_results():
    content = (
        FilePart("image/png", PNG),
        FilePart("text/plain", b"t", "n"),
        SourcePart("https://x.example", "T", "words"),
    )
    (message,) = body_of(tool(ToolResult("a", content=content)))["messages"]
    image, document, found = message["content"][0]["content"]
    assert image["source"] == {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    assert document == {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "t"},
        "title": "n",
    }
    assert found == {
        "type": "search_result",
        "source": "https://x.example",
        "title": "T",
        "content": [{"type": "text", "text": "words"}],
    }


@pytest.mark.parametrize("arguments", ["", "null", "  "])
def test_a_call_without_arguments_has_an_empty_object(arguments):
    wire = encode(user("hi"), assistant(ToolCall("a", "f", arguments)))
    assert json.loads(wire.body)["messages"][1]["content"][0]["input"] == {}
    assert wire.adjustments == ()


@pytest.mark.parametrize("arguments", ['{"a": ', "[1]", '"x"'])
def test_arguments_that_are_no_object_are_sent_as_an_empty_one_and_named(arguments):
    wire = encode(user("hi"), assistant(ToolCall("a", "f", arguments)))
    assert json.loads(wire.body)["messages"][1]["content"][0]["input"] == {}
    assert notes(wire) == [("dropped", "messages")]


def test_ids_of_other_wires_are_replaced_alike_in_calls_and_results():
    told = body_of(
        user("hi"), assistant(ToolCall("call|1:x", "f", "{}")), tool(ToolResult("call|1:x", "f", (TextPart("r"),)))
    )["messages"]
    name = told[1]["content"][0]["id"]
    assert name.startswith("call_") and name.replace("_", "").isalnum()
    assert told[2]["content"][0]["tool_use_id"] == name


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (FilePart("image/*", PNG), {"type": "image", "source": {"type": "base64", "media_type": "image/png"}}),
        (FilePart("image/*", Url("u")), {"type": "image", "source": {"type": "url", "url": "u"}}),
        (FilePart("image/png", FileId("f")), {"type": "image", "source": {"type": "file", "file_id": "f"}}),
        (
            FilePart("application/pdf", b"%PDF-", "a.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                "title": "a.pdf",
            },
        ),
        (FilePart("application/pdf", Url("u")), {"type": "document", "source": {"type": "url", "url": "u"}}),
        (FilePart("application/pdf", FileId("f")), {"type": "document", "source": {"type": "file", "file_id": "f"}}),
        (
            FilePart("text/plain", b"x", meta={"anthropic": {"context": "c", "citations": {"enabled": True}}}),
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "x"},
                "context": "c",
                "citations": {"enabled": True},
            },
        ),
    ],
)
def test_files_go_as_the_block_of_their_kind(part, block):
    (sent,) = body_of(user([part]))["messages"][0]["content"]
    if block["source"].get("type") == "base64":
        block["source"].setdefault("data", "iVBORw0KGgo=")
    assert sent == block


def test_a_table_goes_as_text_and_says_so():
    wire = encode(user([FilePart("text/csv", b"a,b")]))
    assert json.loads(wire.body)["messages"][0]["content"][0]["source"]["media_type"] == "text/plain"
    assert notes(wire) == [("renamed", "messages")]


@pytest.mark.parametrize(
    "part",
    [
        FilePart("audio/wav", b"x"),
        FilePart("video/mp4", Url("u")),
        FilePart("image/bmp", b"BM"),
        FilePart("application/zip", b"PK"),
        FilePart("text/plain", b"\xff\xfe"),
        OpaquePart("widget"),
        ToolCall("a", "f"),
    ],
)
def test_what_claude_does_not_take_is_refused(part):
    with pytest.raises(UnsupportedError):
        encode(Message("user", (part,)))


def test_a_file_of_an_answer_goes_into_the_user_message_after_it():
    """An assistant message holds none; results of the answer's calls still come first."""
    picture = FilePart("image/png", b"\x89PNG\r\n\x1a\n")
    answer = Message("assistant", (TextPart("Here."), picture, ToolCall("c1", "look", "{}")), origin="other/model")
    wire = encode(user("draw"), answer, tool([ToolResult("c1", "look", (TextPart("fine"),))]), user("thanks"))
    said = json.loads(wire.body)["messages"]
    assert [(message["role"], [block["type"] for block in message["content"]]) for message in said[1:]] == [
        ("assistant", ["text", "tool_use"]),
        ("user", ["tool_result", "text", "image", "text"]),
    ]
    assert notes(wire) == [("emulated", "messages")]


def test_a_spoken_answer_goes_on_as_its_transcript():
    answer = Message("assistant", (TextPart("Hello."), FilePart("audio/wav", b"RIFF")), origin="other/model")
    wire = encode(user("speak"), answer, user("more"))
    assert json.loads(wire.body)["messages"][1] == {"role": "assistant", "content": "Hello."}
    assert notes(wire) == [("dropped", "messages")]


def test_a_document_in_an_assistant_message_stays_where_the_version_takes_it():
    messages = (user("hi"), assistant([FilePart("text/plain", b"x")]))
    wire = encode(*messages, quirks=AnthropicQuirks(version="2023-06-01"))
    assert json.loads(wire.body)["messages"][1]["content"][0]["type"] == "document" and not notes(wire)


def test_thinking_goes_back_as_it_came():
    thinking = ReasoningPart("", meta={"anthropic": {"signature": "s"}})
    redacted = ReasoningPart(redacted=True, meta={"anthropic": {"data": "d"}})
    told = body_of(user("hi"), assistant([thinking, redacted, "x"]), user("go on"))["messages"][1]["content"]
    assert told[:2] == [
        {"type": "thinking", "thinking": "", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
    ]


def test_reasoning_of_another_origin_is_left_out_or_sent_as_text():
    messages = (user("hi"), Message("assistant", (ReasoningPart("hm"), TextPart("x"))), user("go on"))
    wire = encode(*messages)
    assert json.loads(wire.body)["messages"][1] == {"role": "assistant", "content": "x"}
    assert notes(wire) == [("dropped", "messages")]
    wire = encode(*messages, quirks=AnthropicQuirks(reasoning_history="text"))
    assert [block["text"] for block in json.loads(wire.body)["messages"][1]["content"]] == ["hm", "x"]
    assert notes(wire) == [("emulated", "messages")]


def test_an_empty_answer_is_no_message():
    wire = encode(user("a"), Message("assistant", (TextPart(""),), "anthropic/claude"), user("b"))
    texts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert json.loads(wire.body)["messages"] == [{"role": "user", "content": texts}]
    assert notes(wire) == [("dropped", "messages")]


FOUND = {"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "e"}
CITED = {
    "type": "web_search_result_location",
    "url": "u",
    "title": "t",
    "cited_text": "c",
    "encrypted_index": "i",
}


def searched(**meta):
    call = ToolCall("s", "web_search", '{"query": "q"}', executed=True, meta={"anthropic": {"type": "server_tool_use"}})
    result = {"anthropic": {"type": "web_search_tool_result", "content": [FOUND]}}
    cited = TextPart("x", (Source(url="u", title="t", text="c", meta={"anthropic": CITED}),))
    return assistant(
        [call, ToolResult("s", "web_search", (SourcePart("u", "t"),), meta=meta.get("meta", result)), cited]
    )


def test_a_search_of_the_providers_goes_back_whole():
    told = body_of(user("hi"), searched(), user("go on"))["messages"][1]["content"]
    assert told == [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [FOUND]},
        {"type": "text", "text": "x", "citations": [CITED]},
    ]


def test_a_search_of_another_model_is_left_out_with_the_citations_that_point_to_it():
    wire = encode(user("hi"), searched(meta={}), user("go on"))
    told = json.loads(wire.body)["messages"][1]["content"]
    assert {"type": "text", "text": "x"} in told
    assert not any(block["type"].endswith("result") for block in told)
    assert ("dropped", "messages") in notes(wire)


def test_cache_marks_stand_where_the_caller_put_them():
    mark = {"anthropic": {"cache_control": {"type": "ephemeral"}}}
    told = body_of(
        Message("system", (TextPart("s"),), meta=mark),
        user([TextPart("a", meta=mark), "b"]),
        tools=(Tool("f", parameters={"type": "object"}, meta=mark),),
    )
    assert told["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert [("cache_control" in block) for block in told["messages"][0]["content"]] == [True, False]
    assert told["tools"][0]["cache_control"] == {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("cache", "sent", "noted"),
    [
        (PromptCache(), {"type": "ephemeral"}, []),
        (PromptCache(ttl="1h"), {"type": "ephemeral", "ttl": "1h"}, []),
        (PromptCache(ttl="24h"), {"type": "ephemeral", "ttl": "1h"}, [("clamped", "prompt_cache.ttl")]),
        (PromptCache(key="k"), {"type": "ephemeral"}, [("dropped", "prompt_cache.key")]),
        (PromptCache(mode="explicit"), None, []),
    ],
)
def test_cache_hints_are_the_one_mark_at_the_top(cache, sent, noted):
    wire = encode(prompt_cache=cache)
    assert json.loads(wire.body).get("cache_control") == sent
    assert notes(wire) == noted


def test_tools_of_all_kinds():
    told = body_of(tools=(Tool("f"), Tool("g", "d", {"properties": {}}, strict=True), SEARCH))["tools"]
    assert told == [
        {"name": "f", "input_schema": {"type": "object", "properties": {}}},
        {"name": "g", "description": "d", "input_schema": {"type": "object", "properties": {}}, "strict": True},
        {"type": "web_search_20260318", "name": "web_search", "max_uses": 2},
    ]
    names = ("text_editor_20250728", "tool_search_tool_bm25_20251119", "mcp_toolset")
    hosted = body_of(tools=tuple(Tool(name, kind="hosted") for name in names))["tools"]
    assert [tool.get("name") for tool in hosted] == ["str_replace_based_edit_tool", "tool_search_tool_bm25", None]
    with pytest.raises(UnsupportedError, match="custom tool"):
        encode(tools=(Tool("c", kind="custom"),))


@pytest.mark.parametrize(
    ("choice", "parallel", "sent"),
    [
        ("auto", None, {"type": "auto"}),
        ("required", None, {"type": "any"}),
        ("none", None, {"type": "none"}),
        (NamedTool("weather"), False, {"type": "tool", "name": "weather", "disable_parallel_tool_use": True}),
        (NamedTool("web_search_20260318", "hosted"), None, {"type": "tool", "name": "web_search"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("auto", True, {"type": "auto", "disable_parallel_tool_use": False}),
    ],
)
def test_the_choice_among_tools(choice, parallel, sent):
    assert body_of(tools=(WEATHER, SEARCH), tool_choice=choice, parallel_tools=parallel)["tool_choice"] == sent


def test_a_choice_among_some_tools_leaves_the_others_out():
    wire = encode(tools=(WEATHER, SEARCH), tool_choice=AllowedTools(("weather",), "required"))
    told = json.loads(wire.body)
    assert ([tool["name"] for tool in told["tools"]], told["tool_choice"]) == (["weather"], {"type": "any"})
    assert notes(wire) == [("emulated", "tool_choice")]


def test_a_choice_among_no_tools_is_not_sent():
    wire = encode(tool_choice="auto")
    assert "tool_choice" not in json.loads(wire.body)
    assert notes(wire) == [("dropped", "tool_choice")]


def test_a_forced_tool_is_refused_where_the_model_takes_none():
    quirks = AnthropicQuirks(forced_tool="refuse")
    for choice in ("required", NamedTool("weather")):
        with pytest.raises(UnsupportedError, match="output="):
            encode(tools=(WEATHER,), tool_choice=choice, quirks=quirks)
    assert encode(tools=(WEATHER,), tool_choice="auto", quirks=quirks).adjustments == ()


def test_a_forced_tool_wins_over_thinking_where_both_cannot_be():
    quirks = AnthropicQuirks(forced_tool="send_without_thinking")
    wire = encode(tools=(WEATHER,), tool_choice="required", reasoning=2000, max_tokens=9000, quirks=quirks)
    told = json.loads(wire.body)
    assert "thinking" not in told and told["tool_choice"] == {"type": "any"}
    assert notes(wire) == [("dropped", "reasoning")]


def test_the_form_of_the_answer():
    schema = {"type": "object"}
    told = body_of(output=Output(schema, strict=True), reasoning="low")
    assert told["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": schema}}
    wire = encode(output=Output())
    assert "output_config" not in json.loads(wire.body)
    assert notes(wire) == [("dropped", "output")]
    assert notes(encode(output=Output(schema, description="d", strict=False))) == [
        ("dropped", "output.description"),
        ("dropped", "output.strict"),
    ]


def test_settings_with_a_word_and_settings_without():
    wire = encode(
        stop=("a",),
        user="u",
        service_tier="default",
        seed=1,
        presence_penalty=0.5,
        frequency_penalty=0.5,
        logprobs=1,
        audio=AudioOutput(),
        metadata={"a": "b"},
        n=1,
        modalities=("text",),
    )
    told = json.loads(wire.body)
    assert (told["stop_sequences"], told["metadata"], told["service_tier"]) == (
        ["a"],
        {"user_id": "u"},
        "standard_only",
    )
    assert notes(wire) == [
        ("dropped", "metadata"),
        ("renamed", "service_tier"),
        *(("dropped", name) for name in ("seed", "presence_penalty", "frequency_penalty", "logprobs", "audio")),
    ]


def test_what_cannot_be_is_refused():
    with pytest.raises(UnsupportedError, match="n is not taken"):
        encode(n=2)
    with pytest.raises(UnsupportedError, match="text only"):
        encode(modalities=("text", "audio"))
    with pytest.raises(UnsupportedError, match="seed"):
        encode(seed=1, quirks=AnthropicQuirks(on_unsupported="error"))
    with pytest.raises(UnsupportedError, match="temperature"):
        encode(temperature=0.5, quirks=AnthropicQuirks(settings={"temperature": "refuse"}))


def test_a_sampling_setting_is_sent_under_the_old_version():
    wire = encode(temperature=0.5, top_k=3)
    assert wire.headers["anthropic-version"] == "2023-06-01"
    assert json.loads(wire.body)["temperature"] == 0.5


def test_a_sampling_setting_that_the_model_refuses_is_never_sent():
    wire = encode(temperature=1, quirks=AnthropicQuirks(settings={"temperature": "drop"}))
    assert "temperature" not in json.loads(wire.body)
    assert wire.headers["anthropic-version"] == "2026-10-21"
    assert notes(wire) == [("dropped", "temperature")]


def test_sampling_settings_that_do_not_go_together():
    wire = encode(temperature=0.5, top_p=0.9, quirks=AnthropicQuirks(exclusive_sampling=True))
    assert notes(wire) == [("dropped", "top_p")]
    wire = encode(temperature=1.7)
    assert (json.loads(wire.body)["temperature"], notes(wire)) == (1, [("clamped", "temperature")])
    wire = encode(temperature=0.5, top_k=4, top_p=0.97, reasoning="low")
    assert {"temperature", "top_k"}.isdisjoint(json.loads(wire.body))
    assert notes(wire) == [("dropped", "temperature"), ("dropped", "top_k")]


def test_max_tokens_are_the_models_limit_where_the_caller_gives_none():
    wire = encode(max_tokens=None, quirks=AnthropicQuirks(default_max_tokens=64000))
    assert (json.loads(wire.body)["max_tokens"], wire.adjustments) == (64000, ())
    wire = encode(max_tokens=None)
    assert (json.loads(wire.body)["max_tokens"], notes(wire)) == (8192, [("needed", "max_tokens")])


def test_the_beginning_of_an_answer_is_refused_where_the_model_does_not_go_on_from_one():
    quirks = AnthropicQuirks(prefill=False)
    assert body_of(user("hi"), assistant("{"))["messages"][1] == {"role": "assistant", "content": "{"}
    with pytest.raises(UnsupportedError, match="beginning of an answer"):
        encode(user("hi"), assistant("{"), quirks=quirks)
    # A turn that paused is no such beginning.
    assert encode(user("hi"), searched(), quirks=quirks).body


def test_betas_are_a_header_and_options_members():
    quirks = AnthropicQuirks(betas=("a",))
    wire = encode(options={"anthropic": {"betas": ["b", "a"], "container": "c"}}, quirks=quirks)
    assert wire.headers["anthropic-beta"] == "a,b"
    assert json.loads(wire.body)["container"] == "c"


def test_options_are_added_to_what_shares_a_member_and_win():
    options = {"anthropic": {"output_config": {"effort": "max"}, "thinking": {"type": "between_tools"}}}
    told = body_of(output=Output({"type": "object"}), reasoning="low", options=options)
    assert told["output_config"] == {"effort": "max", "format": {"type": "json_schema", "schema": {"type": "object"}}}
    assert told["thinking"] == {"type": "between_tools"}
    assert notes(encode(options={"openai": {"x": 1}})) == [("dropped", "options.openai")]


def test_homes_that_name_the_model_in_the_path_say_the_version_in_the_body():
    wire = encode(quirks=AnthropicQuirks(version_in="body", version="bedrock-2023-05-31", betas=("a",)))
    told = json.loads(wire.body)
    assert wire.headers == {"Content-Type": "application/json"}
    assert (told["anthropic_version"], told["anthropic_beta"], "model" in told) == ("bedrock-2023-05-31", ["a"], False)


def test_what_another_wires_request_had_beside_is_named():
    residue = Residue("openai", (ResidueChange(("store",), theirs=True),))
    assert notes(encode(residue=residue)) == [("dropped", "residue")]
