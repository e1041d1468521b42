"""Our request → the body that OpenAI's chat wire wants, setting by setting and part by part."""

from __future__ import annotations

import json

import pytest
from msgspec import UNSET

from polyvox.dialects.openai.chat.request import NEEDED, encode_request
from polyvox.dialects.openai.quirks import OpenAIQuirks
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
from polyvox.types.tools import AllowedTools, Grammar, NamedTool, Tool

HI = (user("hi"),)
PLAIN = OpenAIQuirks()


def encode(*messages: Message, quirks: OpenAIQuirks = PLAIN, stream: bool = False, **settings):
    request = GenerateRequest(model="gpt-5.5", messages=messages or HI, **settings)
    wire = encode_request(request, quirks, stream=stream)
    assert (wire.method, wire.path, wire.headers) == ("POST", "/chat/completions", {"Content-Type": "application/json"})
    return json.loads(wire.body), wire.adjustments


def said(*messages: Message, quirks: OpenAIQuirks = PLAIN):
    """The messages of the body."""
    return encode(*messages, quirks=quirks)[0]["messages"]


def settings_of(quirks: OpenAIQuirks = PLAIN, **settings):
    """The body less model and messages."""
    body, _ = encode(quirks=quirks, **settings)
    return {name: value for name, value in body.items() if name not in ("model", "messages")}


def adjusted(*messages: Message, quirks: OpenAIQuirks = PLAIN, **settings):
    _, adjustments = encode(*messages, quirks=quirks, **settings)
    return [(adjustment.kind, adjustment.setting) for adjustment in adjustments]


def test_a_bare_request_says_nothing_that_was_not_asked():
    assert encode() == ({"model": "gpt-5.5", "messages": [{"role": "user", "content": "hi"}]}, ())


def test_members_stand_in_the_usual_order():
    body, _ = encode(tools=(WEATHER,), temperature=1, max_tokens=5, stream=True)
    assert list(body) == [
        "model",
        "messages",
        "tools",
        "max_completion_tokens",
        "temperature",
        "stream",
        "stream_options",
    ]


WEATHER = Tool("get_weather", "Weather of a city", {"type": "object", "properties": {"city": {"type": "string"}}})

SETTINGS = [
    ({"max_tokens": 5}, {"max_completion_tokens": 5}),
    ({"temperature": 0}, {"temperature": 0}),
    ({"top_p": 0.5}, {"top_p": 0.5}),
    ({"seed": 7}, {"seed": 7}),
    ({"stop": ("a", "b")}, {"stop": ["a", "b"]}),
    ({"presence_penalty": 0.5, "frequency_penalty": -0.5}, {"presence_penalty": 0.5, "frequency_penalty": -0.5}),
    ({"logprobs": 0}, {"logprobs": True}),
    ({"logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
    ({"n": 2}, {"n": 2}),
    (
        {"modalities": ("text", "audio"), "audio": AudioOutput("alloy", "wav")},
        {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
    ),
    ({"prompt_cache": PromptCache("k")}, {"prompt_cache_key": "k"}),
    (
        {"prompt_cache": PromptCache(mode="explicit", ttl="30m")},
        {"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}},
    ),
    ({"user": "u1"}, {"safety_identifier": "u1"}),
    ({"service_tier": "flex"}, {"service_tier": "flex"}),
    ({"metadata": {"a": "b"}}, {"metadata": {"a": "b"}}),
    ({"output": Output()}, {"response_format": {"type": "json_object"}}),
    (
        {"output": Output({"type": "object"}, "person", "A person", True)},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "person",
                    "description": "A person",
                    "schema": {"type": "object"},
                    "strict": True,
                },
            }
        },
    ),
    ({"reasoning": "high"}, {"reasoning_effort": "high"}),
    ({"reasoning": "none"}, {"reasoning_effort": "none"}),
    ({"options": {"openai": {"store": False, "verbosity": "low"}}}, {"store": False, "verbosity": "low"}),
    ({"temperature": 1, "options": {"openai": {"temperature": 0}}}, {"temperature": 0}),
]


@pytest.mark.parametrize(("settings", "members"), SETTINGS, ids=lambda value: ",".join(value))
def test_a_setting_is_sent_under_its_wire_name(settings, members):
    assert settings_of(**settings) == members
    assert adjusted(**settings) == []


@pytest.mark.parametrize(
    ("tool", "definition"),
    [
        (
            WEATHER,
            {
                "type": "function",
                "function": {
                    "name": "get_weather",
                    "description": "Weather of a city",
                    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
                },
            },
        ),
        (Tool("now", strict=True), {"type": "function", "function": {"name": "now", "strict": True}}),
        (
            Tool("calc", "Sums", kind="custom", grammar=Grammar("lark", "start: /[0-9]+/")),
            {
                "type": "custom",
                "custom": {
                    "name": "calc",
                    "description": "Sums",
                    "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /[0-9]+/"}},
                },
            },
        ),
        (
            Tool("openrouter:web_search", kind="hosted", settings={"parameters": {"max_uses": 1}}),
            {"type": "openrouter:web_search", "parameters": {"max_uses": 1}},
        ),
        (
            Tool("f", meta={"openai": {"cache_control": {"type": "ephemeral"}}}),
            {"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral"}},
        ),
    ],
)
def test_a_tool_is_defined(tool, definition):
    assert settings_of(tools=(tool,)) == {"tools": [definition]}


CALC = Tool("calc", kind="custom")


@pytest.mark.parametrize(
    ("choice", "member"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        (NamedTool("get_weather"), {"type": "function", "function": {"name": "get_weather"}}),
        (NamedTool("calc", "custom"), {"type": "custom", "custom": {"name": "calc"}}),
        (NamedTool("web_search", "hosted"), {"type": "web_search"}),
        (
            AllowedTools(("get_weather", "calc"), "required"),
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [
                        {"type": "function", "function": {"name": "get_weather"}},
                        {"type": "custom", "custom": {"name": "calc"}},
                    ],
                },
            },
        ),
    ],
)
def test_the_choice_among_tools(choice, member):
    assert settings_of(tools=(WEATHER, CALC), tool_choice=choice)["tool_choice"] == member


def test_parallel_calls_are_only_spoken_of_where_there_are_tools():
    assert settings_of(tools=(CALC,), parallel_tools=False)["parallel_tool_calls"] is False
    assert settings_of(parallel_tools=False) == {}
    assert adjusted(parallel_tools=False) == [("dropped", "parallel_tools")]


def test_a_stream_asks_for_usage_and_the_table_says_so():
    body, _ = encode(stream=True)
    assert body["stream"] is True and body["stream_options"] == {"include_usage": True}
    assert "stream_options.include_usage" in [needed.field for needed in NEEDED]
    body, _ = encode(stream=True, quirks=OpenAIQuirks(include_usage=False))
    assert "stream_options" not in body


def test_several_answers_cannot_be_streamed():
    with pytest.raises(UnsupportedError, match=r"n=3 answers cannot be streamed at once"):
        encode(stream=True, n=3)
    assert encode(stream=True, n=1)[0]["n"] == 1


def test_top_k_is_dropped_by_name_unless_the_service_takes_it():
    assert settings_of(top_k=5) == {} and adjusted(top_k=5) == [("dropped", "top_k")]
    assert settings_of(OpenAIQuirks(settings={"top_k": "send"}), top_k=5) == {"top_k": 5}


def test_options_of_another_name_are_named_as_not_sent():
    assert settings_of(options={"anthropic": {"x": 1}}) == {}
    assert adjusted(options={"anthropic": {"x": 1}}) == [("dropped", "options.anthropic")]


def test_a_setting_that_options_send_after_all_is_not_called_dropped():
    assert adjusted(top_k=5, options={"openai": {"top_k": 5}}) == []


@pytest.mark.parametrize(
    ("budget", "effort"),
    [(0, "none"), (500, "minimal"), (4096, "low"), (10_000, "medium"), (32_000, "high"), (60_000, "xhigh")],
)
def test_a_budget_of_thought_becomes_a_step(budget, effort):
    assert settings_of(reasoning=budget) == {"reasoning_effort": effort}
    assert adjusted(reasoning=budget) == [("clamped", "reasoning")]


# messages


def test_roles():
    assert said(system("be brief"), user("hi"), assistant("hello"), user("bye")) == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "bye"},
    ]


def test_marks_of_a_message():
    assert said(
        Message("system", (TextPart("a"),), meta={"openai": {"role": "developer"}}),
        Message("user", (TextPart("b"),), meta={"openai": {"name": "Ann"}}),
        Message("assistant", (TextPart("{"),), meta={"openai": {"prefix": True, "extra": {"odd": 1}}}),
    ) == [
        {"role": "developer", "content": "a"},
        {"role": "user", "content": "b", "name": "Ann"},
        {"role": "assistant", "content": "{", "prefix": True, "odd": 1},
    ]


def test_meta_of_other_dialects_says_nothing_here():
    assert said(
        Message("user", (TextPart("b", meta={"anthropic": {"cache_control": 1}}),), meta={"gemini": {"a": 1}})
    ) == [{"role": "user", "content": "b"}]


PNG = b"\x89PNG\r\n\x1a\n0"

PARTS = [
    (
        TextPart("x", meta={"openai": {"prompt_cache_breakpoint": {"mode": "explicit"}}}),
        {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
    ),
    (FilePart("image/png", PNG), {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgow"}}),
    (FilePart("image/*", PNG), {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgow"}}),
    (
        FilePart("image/*", Url("https://x.example/a.png"), meta={"openai": {"detail": "high"}}),
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "high"}},
    ),
    (
        FilePart("application/pdf", b"%PDF-1", "a.pdf"),
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0x", "filename": "a.pdf"}},
    ),
    (
        FilePart("application/pdf", b"%PDF-1"),
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0x", "filename": "document.pdf"}},
    ),
    (FilePart("application/pdf", FileId("file-1")), {"type": "file", "file": {"file_id": "file-1"}}),
    (FilePart("audio/mpeg", b"ID3"), {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}}),
    (FilePart("audio/x-wav", b"RIFF"), {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
    (
        FilePart("video/mp4", Url("https://x.example/v.mp4")),
        {"type": "video_url", "video_url": {"url": "https://x.example/v.mp4"}},
    ),
    (OpaquePart("widget", {"openai": {"type": "widget", "widget": 1}}), {"type": "widget", "widget": 1}),
    (
        FilePart("application/pdf", Url("https://x.example/a.pdf"), "a.pdf", {"openai": {"form": "document_url"}}),
        {"type": "document_url", "document_url": "https://x.example/a.pdf", "document_name": "a.pdf"},
    ),
]


@pytest.mark.parametrize(("part", "item"), PARTS)
def test_a_part_of_the_user(part, item):
    assert said(user(["look: ", part])) == [{"role": "user", "content": [{"type": "text", "text": "look: "}, item]}]


@pytest.mark.parametrize(
    ("part", "word"),
    [
        (FilePart("application/pdf", Url("https://x.example/a.pdf")), "takes no application/pdf by address"),
        (FilePart("audio/flac", b"fLaC"), "audio of type audio/flac cannot be sent here: give one of wav, mp3"),
        (FilePart("audio/mpeg", Url("https://x.example/a.mp3")), "takes audio as bytes only"),
        (FilePart("image/*", b"what?"), "say the exact media type"),
        (OpaquePart("thing", {"gemini": {"x": 1}}), "a part of kind 'thing' cannot be said"),
        (ToolCall("1", "f", "{}"), "the call of 'f' stands in a message that is not the assistant's"),
    ],
)
def test_what_the_wire_cannot_say_is_refused_with_a_clear_word(part, word):
    with pytest.raises(UnsupportedError, match=word):
        said(user([part]))


def test_an_assistant_that_calls_tools():
    message = assistant(
        [
            TextPart("Let me see."),
            ToolCall("c1", "get_weather", '{"city": "Oslo" }'),
            ToolCall("c2", "calc", "1+1", kind="custom"),
            ToolCall("c3", "x", "", meta={"openai": {"extra_content": {"google": {"thought_signature": "s"}}}}),
        ]
    )
    assert said(message) == [
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo" }'}},
                {"id": "c2", "type": "custom", "custom": {"name": "calc", "input": "1+1"}},
                {
                    "id": "c3",
                    "type": "function",
                    "function": {"name": "x", "arguments": ""},
                    "extra_content": {"google": {"thought_signature": "s"}},
                },
            ],
        }
    ]


def test_content_is_null_only_beside_something_that_is_said():
    call = ToolCall("c", "f", "{}")
    told = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert said(assistant(call)) == [{"role": "assistant", "content": None, "tool_calls": [told]}]
    assert said(assistant([])) == [{"role": "assistant", "content": ""}]
    assert said(assistant(TextPart("No.", refusal=True))) == [{"role": "assistant", "content": None, "refusal": "No."}]
    assert said(assistant(call), quirks=OpenAIQuirks(empty_content="string"))[0]["content"] == ""
    assert "content" not in said(assistant(call), quirks=OpenAIQuirks(empty_content="omit"))[0]


def test_a_spoken_answer_goes_back_by_its_id():
    spoken = FilePart("audio/wav", b"RIFF", meta={"openai": {"audio": {"id": "audio_1"}}})
    assert said(assistant(spoken)) == [{"role": "assistant", "content": None, "audio": {"id": "audio_1"}}]
    assert said(assistant(FilePart("audio/*", FileId("audio_1"))))[0]["audio"] == {"id": "audio_1"}


def test_a_spoken_answer_from_elsewhere_leaves_its_transcript():
    message = assistant([FilePart("audio/wav", b"RIFF"), TextPart("hello")])
    assert said(message) == [{"role": "assistant", "content": "hello"}]
    assert adjusted(message) == [("dropped", "messages")]


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgow"}}


@pytest.mark.parametrize("others", [[], [user("bigger")], [system("on"), user("bigger")], [assistant("so")]])
def test_a_picture_that_the_model_made_goes_into_the_next_user_message(others):
    drawn = Message("assistant", (TextPart("here"), FilePart("image/png", PNG)), origin="openrouter/painter")
    files = [{"type": "text", "text": "Files of the answer before:"}, PICTURE]
    first, second, *later = said(drawn, *others)
    assert first == {"role": "assistant", "content": "here"}
    if others[:1] == [user("bigger")]:
        assert second == {"role": "user", "content": [*files, {"type": "text", "text": "bigger"}]} and not later
    else:
        assert second == {"role": "user", "content": files} and len(later) == len(others)
    assert adjusted(drawn, *others) == [("emulated", "messages")]


def test_a_picture_beside_calls_does_not_part_them_from_their_results():
    drawn = assistant([FilePart("image/png", PNG), ToolCall("c1", "f", "{}")])
    told = said(drawn, tool(ToolResult("c1", content=(TextPart("1"),))))
    assert [message["role"] for message in told] == ["assistant", "tool", "user"]
    assert told[2]["content"][1] == PICTURE


def test_the_transcript_of_a_spoken_answer_is_not_said_twice():
    spoken = FilePart("audio/wav", b"RIFF", meta={"openai": {"audio": {"id": "audio_1"}}})
    transcript = TextPart("hello", meta={"openai": {"transcript": True}})
    assert said(assistant([spoken, transcript])) == [{"role": "assistant", "content": None, "audio": {"id": "audio_1"}}]
    assert said(assistant([transcript])) == [{"role": "assistant", "content": "hello"}]


def test_what_a_provider_ran_itself_and_where_texts_come_from_is_named_once():
    message = assistant(
        [
            ToolCall("1", "search", "{}", executed=True),
            ToolResult("1", content=(TextPart("r"),)),
            SourcePart("https://x.example"),
            SourcePart("https://y.example"),
            TextPart("so", sources=(Source(url="https://x.example"),)),
        ]
    )
    assert said(message) == [{"role": "assistant", "content": "so"}]
    _, adjustments = encode(message)
    assert len(adjustments) == 4 and {adjustment.kind for adjustment in adjustments} == {"dropped"}


def test_results_are_a_message_each():
    message = tool(
        [
            ToolResult("c1", "f", (TextPart("1"),)),
            ToolResult("c2", "g", (TextPart("a"), TextPart("b"))),
            ToolResult("c3"),
        ]
    )
    assert said(message) == [
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {
            "role": "tool",
            "tool_call_id": "c2",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        },
        {"role": "tool", "tool_call_id": "c3", "content": ""},
    ]


def test_a_failed_tool_says_so_in_its_text():
    message = tool(
        [ToolResult("c1", content=(TextPart("no such city"),), is_error=True), ToolResult("c2", is_error=True)]
    )
    assert [told["content"] for told in said(message)] == ["error: no such city", "error: "]
    assert adjusted(message) == [("emulated", "messages")]


def test_a_picture_in_a_result_follows_in_a_user_message():
    message = tool(
        [ToolResult("c1", content=(FilePart("image/png", PNG),)), ToolResult("c2", content=(TextPart("ok"),))]
    )
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgow"}}
    assert said(message) == [
        {"role": "tool", "tool_call_id": "c1", "content": "(The result is in the next user message.)"},
        {"role": "tool", "tool_call_id": "c2", "content": "ok"},
        {"role": "user", "content": [{"type": "text", "text": "Files of the result of the tool call c1:"}, picture]},
    ]
    assert adjusted(message) == [("emulated", "messages")]
    quirks = OpenAIQuirks(tool_result_parts=True)
    assert said(message, quirks=quirks)[0] == {"role": "tool", "tool_call_id": "c1", "content": [picture]}
    assert adjusted(message, quirks=quirks) == []


# reasoning


def thought(text="hm", **marks):
    return ReasoningPart(text, meta={"openai": marks} if marks else {})


@pytest.mark.parametrize(
    ("part", "members"),
    [
        (thought(field="reasoning_content"), {"reasoning_content": "hm"}),
        (thought(field="reasoning"), {"reasoning": "hm"}),
        (thought("", field="reasoning_content"), {"reasoning_content": ""}),
        (thought(reasoning_details=[{"type": "reasoning.text"}]), {"reasoning_details": [{"type": "reasoning.text"}]}),
        (
            thought(field="reasoning", reasoning_details=[{"d": 1}]),
            {"reasoning": "hm", "reasoning_details": [{"d": 1}]},
        ),
        (
            thought(field="thinking", signature="s"),
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "signature": "s"},
                    {"type": "text", "text": "ok"},
                ]
            },
        ),
    ],
)
def test_reasoning_goes_back_where_it_came_from(part, members):
    message = assistant([part, TextPart("ok")])
    assert said(message) == [{"role": "assistant", "content": "ok", **members}]
    assert adjusted(message) == []


def test_reasoning_of_another_origin_is_left_out_by_name():
    message = Message("assistant", (thought(), TextPart("ok")), origin="anthropic/claude")
    assert said(message) == [{"role": "assistant", "content": "ok"}]
    assert adjusted(message) == [("dropped", "messages")]
    quirks = OpenAIQuirks(reasoning_field="reasoning_content")
    assert said(message, quirks=quirks) == [{"role": "assistant", "content": "ok"}]
    empty = Message("assistant", (thought(""), TextPart("ok")), origin="anthropic/claude")
    assert adjusted(empty) == [], "nothing that can be read is lost"


def test_reasoning_of_another_origin_can_go_as_text():
    message = Message("assistant", (thought(), TextPart("ok")), origin="anthropic/claude")
    quirks = OpenAIQuirks(reasoning_history="text")
    assert said(message, quirks=quirks)[0]["content"] == [
        {"type": "text", "text": "hm"},
        {"type": "text", "text": "ok"},
    ]
    assert adjusted(message, quirks=quirks) == [("emulated", "messages")]


@pytest.mark.parametrize(
    ("field", "members"),
    [
        ("reasoning_content", {"reasoning_content": "hm"}),
        ("reasoning", {"reasoning": "hm"}),
        ("reasoning_details", {"reasoning": "hm"}),
    ],
)
def test_the_service_s_own_field_wins(field, members):
    quirks = OpenAIQuirks(reasoning_field=field)
    for part in (thought(field="reasoning_content"), thought(field="reasoning"), thought()):
        assert said(assistant([part, TextPart("ok")]), quirks=quirks) == [
            {"role": "assistant", "content": "ok", **members}
        ]


def test_openrouter_s_array_goes_back_unchanged_and_alone():
    quirks = OpenAIQuirks(reasoning_field="reasoning_details")
    part = thought(field="reasoning", reasoning_details=[{"type": "reasoning.encrypted", "data": "x"}])
    (message,) = said(assistant([part]), quirks=quirks)
    assert message["reasoning_details"] == [{"type": "reasoning.encrypted", "data": "x"}] and "reasoning" not in message


def test_deepseek_gets_its_empty_reasoning_beside_tool_calls():
    quirks = OpenAIQuirks(reasoning_field="reasoning_content", reasoning_required=True)
    foreign = Message("assistant", (thought(), ToolCall("c", "f", "{}")), origin="openai/gpt-5.5")
    assert said(foreign, quirks=quirks)[0]["reasoning_content"] == ""
    assert "reasoning_content" not in said(assistant("ok"), quirks=quirks)[0]
    own = assistant([thought(field="reasoning_content"), ToolCall("c", "f", "{}")])
    assert said(own, quirks=quirks)[0]["reasoning_content"] == "hm"


def test_what_stands_in_a_user_message_by_mistake_is_named_or_refused():
    message = user([SourcePart("https://x.example"), thought(), thought(""), TextPart("so")])
    assert said(message) == [{"role": "user", "content": "so"}]
    assert adjusted(message) == [("dropped", "messages")] * 2
    assert said(user([TextPart("No.", refusal=True)])) == [
        {"role": "user", "content": [{"type": "refusal", "refusal": "No."}]}
    ]
    with pytest.raises(UnsupportedError, match="a ToolCall has no place in the content of this message"):
        said(system(ToolCall("1", "f")))


@pytest.mark.parametrize(
    ("part", "word"),
    [
        (FilePart("image/png", PNG, meta={"openai": {"form": "odd"}}), "no form 'odd' for a file"),
        (
            FilePart("image/png", FileId("file-1"), meta={"openai": {"form": "image_url"}}),
            "'file-1' cannot be sent as image/png",
        ),
    ],
)
def test_a_form_that_does_not_fit_is_refused(part, word):
    with pytest.raises(UnsupportedError, match=word):
        said(user([part]))


def test_the_residue_of_another_wire_is_named_and_not_sent():
    changes = (ResidueChange(("thinking",), UNSET, {"type": "adaptive"}), ResidueChange(("stream",), UNSET, False))
    residue = Residue("anthropic", changes, ("max_tokens",))
    body, adjustments = encode(residue=residue, max_tokens=5)
    assert body["max_completion_tokens"] == 5 and "thinking" not in body
    assert [(adjustment.kind, adjustment.setting) for adjustment in adjustments] == [("dropped", "residue")]
    assert "thinking" in adjustments[0].detail
