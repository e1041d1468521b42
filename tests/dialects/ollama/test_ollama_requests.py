"""Requests as Ollama reads them: what is put where, and what becomes of what the wire or the model does not take."""

from __future__ import annotations

import base64
import json

import pytest

from polyvox.dialects.ollama.quirks import OllamaQuirks
from polyvox.dialects.ollama.request import encode_request
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
PICTURE = base64.b64encode(PNG).decode()
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "$defs": {}}
WEATHER = Tool("weather", "d", SCHEMA)
NOW = Tool("now")
THOUGHT = {"ollama": {"thinking": True}}


def encode(*messages, quirks=None, stream=False, model="llama", **said):
    request = GenerateRequest(model=model, messages=messages or (user("hi"),), **said)
    return encode_request(request, quirks or OllamaQuirks(), stream=stream)


def body_of(*messages, **said):
    return json.loads(encode(*messages, **said).body)


def messages_of(*messages, **said):
    return body_of(*messages, **said)["messages"]


def notes(wire):
    return [(adjustment.kind, adjustment.setting) for adjustment in wire.adjustments]


# The call


def test_it_is_always_told_whether_to_stream():
    wire = encode()
    assert (wire.method, wire.path, wire.query) == ("POST", "/api/chat", {})
    assert json.loads(wire.body) == {
        "model": "llama",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": False,
    }
    assert body_of(stream=True)["stream"] is True


def test_settings_go_into_the_options_under_the_words_of_the_model_file():
    body = body_of(
        max_tokens=9,
        temperature=0,
        top_p=0.5,
        top_k=4,
        seed=7,
        stop=("a", "b"),
        presence_penalty=0.1,
        frequency_penalty=0.2,
    )
    assert body["options"] == {
        "num_predict": 9,
        "temperature": 0,
        "top_p": 0.5,
        "top_k": 4,
        "seed": 7,
        "stop": ["a", "b"],
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
    }


def test_options_of_ones_own_are_added_and_win():
    own = {"ollama": {"options": {"num_ctx": 8192, "temperature": 1}, "keep_alive": "5m", "truncate": False}}
    body = body_of(temperature=0, seed=1, options=own)
    assert body["options"] == {"temperature": 1, "seed": 1, "num_ctx": 8192}
    assert (body["keep_alive"], body["truncate"]) == ("5m", False)


def test_an_option_that_the_server_would_pass_over_beside_the_messages_goes_where_it_counts():
    body = body_of(options={"ollama": {"num_ctx": 8192, "keep_alive": 0}})
    assert body["options"] == {"num_ctx": 8192} and body["keep_alive"] == 0 and "num_ctx" not in body


def test_options_of_another_wire_are_named():
    wire = encode(options={"openai": {"store": True}})
    assert notes(wire) == [("dropped", "options.openai")] and "store" not in json.loads(wire.body)


def test_quirks_add_a_context_and_members_where_nobody_says_otherwise():
    quirks = OllamaQuirks(num_ctx=4096, extra_options={"num_gpu": 0}, extra_body={"keep_alive": "30m"})
    body = body_of(quirks=quirks)
    assert body["options"] == {"num_gpu": 0, "num_ctx": 4096} and body["keep_alive"] == "30m"
    own = {"ollama": {"options": {"num_ctx": 99}, "keep_alive": 0}}
    body = body_of(quirks=quirks, options=own)
    assert body["options"] == {"num_gpu": 0, "num_ctx": 99} and body["keep_alive"] == 0


@pytest.mark.parametrize(
    ("output", "said", "adjusted"),
    [
        (Output(), "json", []),
        (Output(SCHEMA), SCHEMA, []),
        (Output(SCHEMA, strict=True), SCHEMA, []),
        (Output(SCHEMA, strict=False), SCHEMA, [("dropped", "output.strict")]),
        (Output(SCHEMA, description="d"), SCHEMA, [("dropped", "output.description")]),
    ],
)
def test_the_form_of_the_answer_is_a_word_or_a_schema(output, said, adjusted):
    wire = encode(output=output)
    assert json.loads(wire.body)["format"] == said and notes(wire) == adjusted


@pytest.mark.parametrize(
    ("asked", "said", "adjusted"),
    [
        (0, {"logprobs": True}, []),
        (3, {"logprobs": True, "top_logprobs": 3}, []),
        (30, {"logprobs": True, "top_logprobs": 20}, [("clamped", "logprobs")]),
    ],
)
def test_probabilities_are_asked_for(asked, said, adjusted):
    wire = encode(logprobs=asked)
    body = json.loads(wire.body)
    assert {name: body[name] for name in body if "logprobs" in name} == said and notes(wire) == adjusted


# What the wire has no word for


@pytest.mark.parametrize(
    "said",
    [
        {"user": "u"},
        {"metadata": {"a": "b"}},
        {"service_tier": "flex"},
        {"prompt_cache": PromptCache("k")},
        {"audio": AudioOutput("v")},
        {"parallel_tools": False, "tools": (WEATHER,)},
    ],
)
def test_what_the_wire_has_no_word_for_is_dropped_and_named_or_refused(said):
    plain = body_of(tools=said.get("tools", ()))
    wire = encode(**said)
    assert json.loads(wire.body) == plain and notes(wire) == [("dropped", next(iter(said)))]
    with pytest.raises(UnsupportedError, match=next(iter(said))):
        encode(**said, quirks=OllamaQuirks(on_unsupported="error"))


@pytest.mark.parametrize(
    "said",
    [{"n": 1}, {"modalities": ("text",)}, {"prompt_cache": PromptCache()}, {"metadata": {}}, {"parallel_tools": True}],
)
def test_what_is_so_anyway_is_not_sent(said):
    wire = encode(**said)
    assert json.loads(wire.body) == body_of() and wire.adjustments == ()


@pytest.mark.parametrize("stream", [False, True])
def test_several_answers_are_refused(stream):
    with pytest.raises(UnsupportedError, match=r"^n is not taken"):
        encode(n=2, stream=stream)


def test_an_answer_that_is_no_text_is_refused():
    with pytest.raises(UnsupportedError, match="image"):
        encode(modalities=("text", "image"))


def test_a_setting_that_the_model_does_not_take_has_its_fate():
    wire = encode(top_k=3, quirks=OllamaQuirks(settings={"top_k": "drop"}))
    assert "options" not in json.loads(wire.body) and notes(wire) == [("dropped", "top_k")]
    with pytest.raises(UnsupportedError, match="top_k"):
        encode(top_k=3, quirks=OllamaQuirks(settings={"top_k": "refuse"}))


def test_what_the_options_say_after_all_is_not_called_dropped():
    wire = encode(top_k=3, options={"ollama": {"top_k": 3}}, quirks=OllamaQuirks(settings={"top_k": "drop"}))
    assert json.loads(wire.body)["options"] == {"top_k": 3} and wire.adjustments == ()


# Tools


def test_tools_are_functions_and_one_without_a_schema_gets_an_empty_one():
    assert body_of(tools=(WEATHER, NOW))["tools"] == [
        {"type": "function", "function": {"name": "weather", "description": "d", "parameters": SCHEMA}},
        {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
    ]


def test_a_schema_held_to_is_no_word_here():
    assert notes(encode(tools=(Tool("f", parameters=SCHEMA, strict=True),))) == [("dropped", "tools")]
    assert encode(tools=(Tool("f", parameters=SCHEMA, strict=False),)).adjustments == ()


@pytest.mark.parametrize("made", [Tool("f", kind="custom"), Tool("web_search", kind="hosted")])
def test_tools_that_are_no_functions_are_refused(made):
    with pytest.raises(UnsupportedError, match=made.name):
        encode(tools=(made,))


@pytest.mark.parametrize(
    ("choice", "offered", "adjusted"),
    [
        (None, ["weather", "now"], []),
        ("auto", ["weather", "now"], []),
        ("none", None, [("emulated", "tool_choice")]),
        (AllowedTools(("now",)), ["now"], [("emulated", "tool_choice")]),
    ],
)
def test_a_choice_is_made_by_what_is_offered(choice, offered, adjusted):
    wire = encode(tools=(WEATHER, NOW), tool_choice=choice)
    body = json.loads(wire.body)
    names = [given["function"]["name"] for given in body["tools"]] if "tools" in body else None
    assert names == offered and notes(wire) == adjusted and "tool_choice" not in body


@pytest.mark.parametrize("choice", ["required", NamedTool("now"), AllowedTools(("now",), "required")])
def test_a_call_cannot_be_forced_by_the_wire(choice):
    with pytest.raises(UnsupportedError, match="tool_choice"):
        encode(tools=(WEATHER, NOW), tool_choice=choice)
    dropped = encode(tools=(WEATHER, NOW), tool_choice=choice, quirks=OllamaQuirks(settings={"tool_choice": "drop"}))
    assert ("dropped", "tool_choice") in notes(dropped)


# Messages


def test_a_conversation_is_one_message_a_turn_and_one_a_result():
    turns = (
        system("s"),
        user("Weather in Paris and Rome?"),
        assistant(
            [
                ReasoningPart("hm", meta=THOUGHT),
                TextPart("Let me see. "),
                TextPart("Now."),
                ToolCall("call_1", "weather", '{"city": "Paris"}'),
                ToolCall("made_2", "weather", '{"city": "Rome"}', meta={"ollama": {"function": {"index": 1}}}),
            ]
        ),
        tool([ToolResult("call_1", "weather", (TextPart("rain"),)), ToolResult("made_2", "", (TextPart("sun"),))]),
        system("be brief"),
        assistant("Rain, sun."),
    )
    assert messages_of(*turns) == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "Weather in Paris and Rome?"},
        {
            "role": "assistant",
            "content": "Let me see. Now.",
            "thinking": "hm",
            "tool_calls": [
                {"id": "call_1", "function": {"name": "weather", "arguments": {"city": "Paris"}}},
                {"function": {"name": "weather", "arguments": {"city": "Rome"}, "index": 1}},
            ],
        },
        {"role": "tool", "content": "rain", "tool_name": "weather", "tool_call_id": "call_1"},
        {"role": "tool", "content": "sun", "tool_name": "weather"},
        {"role": "system", "content": "be brief"},
        {"role": "assistant", "content": "Rain, sun."},
    ]
    assert encode(*turns).adjustments == ()


def test_ids_can_be_left_out_for_older_servers():
    turns = (assistant([ToolCall("call_1", "f", "{}")]), tool(ToolResult("call_1", "f")))
    assert messages_of(*turns, quirks=OllamaQuirks(tool_call_ids=False)) == [
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
        {"role": "tool", "content": "", "tool_name": "f"},
    ]


@pytest.mark.parametrize(
    ("call", "said", "adjusted"),
    [
        (ToolCall("c", "f", ""), {}, []),
        (ToolCall("c", "f", "null"), {}, []),
        (ToolCall("c", "f", '{"a": [1'), {}, [("dropped", "messages")]),
        (ToolCall("c", "f", "[1]"), {}, [("dropped", "messages")]),
        (ToolCall("c", "f", "free text", "custom"), {"input": "free text"}, [("emulated", "messages")]),
    ],
)
def test_arguments_are_an_object_whatever_was_written(call, said, adjusted):
    wire = encode(assistant([call]))
    (message,) = json.loads(wire.body)["messages"]
    assert message["tool_calls"][0]["function"]["arguments"] == said and notes(wire) == adjusted


def test_a_tool_that_failed_says_so_in_words():
    wire = encode(assistant([ToolCall("c", "f")]), tool(ToolResult("c", "f", (TextPart("no"),), is_error=True)))
    assert json.loads(wire.body)["messages"][1]["content"] == "error: no" and notes(wire) == [("emulated", "messages")]


def test_texts_given_apart_stand_apart_and_those_of_an_answer_do_not():
    assert messages_of(user(["a", "", "b"]), assistant(["c", "d"])) == [
        {"role": "user", "content": "a\n\nb"},
        {"role": "assistant", "content": "cd"},
    ]


def test_what_another_providers_own_tools_did_is_left_out():
    parts = (ToolCall("c", "search", "{}", executed=True), ToolResult("c", "search"), SourcePart("https://x"))
    cited = TextPart("found", (Source(url="https://x"),))
    wire = encode(Message("assistant", (*parts, cited), origin="openai/x"))
    assert json.loads(wire.body)["messages"] == [{"role": "assistant", "content": "found"}]
    assert {setting for _, setting in notes(wire)} == {"messages"} and len(wire.adjustments) == 3


def test_an_answer_of_which_nothing_is_left_is_named():
    wire = encode(user("q"), Message("assistant", (ReasoningPart("x"),), origin="openai/x"), user("r"))
    assert [message["content"] for message in json.loads(wire.body)["messages"]] == ["q", "r"]
    assert ("dropped", "messages") in notes(wire)


def test_parts_in_a_place_where_they_make_no_sense_are_refused():
    for message in (
        user([ToolCall("c", "f")]),
        user([OpaquePart("widget", {"openai": {"a": 1}})]),
        assistant([OpaquePart("widget", {"openai": {"a": 1}})]),
    ):
        with pytest.raises(UnsupportedError, match=r"f|widget"):
            encode(message)


def test_search_results_of_the_callers_are_told_as_text():
    wire = encode(user([SourcePart("https://x", "Title", "words"), TextPart("So?")]))
    content = json.loads(wire.body)["messages"][0]["content"]
    assert all(word in content for word in ("https://x", "Title", "words", "So?"))
    assert notes(wire) == [("emulated", "messages")]


# Files


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("image/png", PNG),
        ("image/*", PNG),
        ("application/octet-stream", PNG),
        ("image/png", Url(f"data:image/png;base64,{PICTURE}")),
    ],
)
def test_pictures_stand_beside_the_text_as_plain_base64(kind, data):
    wire = encode(user([TextPart("See:"), FilePart(kind, data)]))
    assert json.loads(wire.body)["messages"] == [{"role": "user", "content": "See:", "images": [PICTURE]}]
    assert wire.adjustments == ()


def test_pictures_amid_texts_lose_their_place_and_that_is_said():
    wire = encode(user([TextPart("a"), FilePart("image/png", PNG), TextPart("b")]))
    assert json.loads(wire.body)["messages"] == [{"role": "user", "content": "a\n\nb", "images": [PICTURE]}]
    assert notes(wire) == [("emulated", "messages")]


@pytest.mark.parametrize(
    ("part", "why"),
    [
        (FilePart("image/png", Url("https://x.example/a.png")), "address"),
        (FilePart("image/png", FileId("file-1")), "another provider"),
        (FilePart("application/pdf", b"%PDF-"), "application/pdf"),
        (FilePart("audio/wav", b"RIFF"), "audio/wav"),
        (FilePart("text/plain", b"\xff\xfe\xfa"), "UTF-8"),
        (FilePart("image/png", Url("data:image/png;base64,%%")), "base64"),
    ],
)
def test_a_file_that_the_wire_cannot_take_is_refused(part, why):
    with pytest.raises(UnsupportedError, match=why):
        encode(user([part]))


@pytest.mark.parametrize("kind", ["text/plain", "text/csv; charset=utf-8", "application/json"])
def test_a_document_of_text_is_told_as_text(kind):
    wire = encode(user([FilePart(kind, "größe".encode(), "a.txt"), TextPart("Well?")]))
    content = json.loads(wire.body)["messages"][0]["content"]
    assert "größe" in content and content.endswith("Well?") and notes(wire) == [("emulated", "messages")]


def test_pictures_of_a_result_follow_it():
    result = ToolResult("c", "shot", (FilePart("image/png", PNG),))
    wire = encode(assistant([ToolCall("c", "shot")]), tool(result), user("And?"))
    _, told, shown, asked = json.loads(wire.body)["messages"]
    assert told["role"] == "tool" and told["content"] and "images" not in told
    assert (shown["role"], shown["images"]) == ("user", [PICTURE])
    assert asked["content"] == "And?" and notes(wire) == [("emulated", "messages")]


def test_files_of_an_answer_follow_it_and_the_results_of_its_calls():
    drawn = (TextPart("Here."), FilePart("image/png", PNG), ToolCall("c", "f"))
    turns = (user("Draw"), Message("assistant", drawn, origin="gemini/x"), tool(ToolResult("c", "f")), user("Nice"))
    wire = encode(*turns)
    said = json.loads(wire.body)["messages"]
    assert [message["role"] for message in said] == ["user", "assistant", "tool", "user", "user"]
    assert said[3]["images"] == [PICTURE] and "images" not in said[1]
    assert notes(wire) == [("emulated", "messages")]


def test_a_spoken_answer_is_left_out_and_its_words_are_sent():
    spoken = Message("assistant", (FilePart("audio/wav", b"RIFF"), TextPart("Hi.")), origin="openai/x")
    wire = encode(user("Say hi"), spoken)
    assert json.loads(wire.body)["messages"][1] == {"role": "assistant", "content": "Hi."}
    assert notes(wire) == [("dropped", "messages")]


def test_what_only_another_wire_has_is_named():
    residue = Residue("openai", (ResidueChange(("logit_bias",), theirs={"1": 2}),))
    wire = encode(residue=residue)
    assert notes(wire) == [("dropped", "residue")] and "logit_bias" not in json.loads(wire.body)
