"""A client's body → our request: what is understood, what is kept, what is refused and how the refusal reads."""

from __future__ import annotations

import json

import pytest
from msgspec import structs

from polyvox.dialects.openai.chat.request import decode_messages, decode_request, decode_tools, encode_request
from polyvox.dialects.openai.quirks import OpenAIQuirks
from polyvox.errors import BadRequestError, UnsupportedError
from polyvox.types.generate import AudioOutput, Output, PromptCache
from polyvox.types.messages import Message, assistant, system, tool, user
from polyvox.types.parts import FileId, FilePart, OpaquePart, ReasoningPart, TextPart, ToolCall, ToolResult, Url
from polyvox.types.tools import AllowedTools, Grammar, NamedTool, Tool

HI = [{"role": "user", "content": "hi"}]


def body_of(**members):
    return {"model": "m", "messages": HI, **members}


def decode(body):
    return decode_request(json.dumps(body).encode())


PLAIN = OpenAIQuirks()


def encode(request, stream, quirks=PLAIN):
    return json.loads(encode_request(request, quirks, stream=stream).body)


def read(**members):
    """The request of a body, which must come back as it was."""
    body = body_of(**members)
    request, stream = decode(body)
    assert encode(request, stream) == body
    assert not encode_request(request, OpenAIQuirks(), stream=stream).adjustments
    return request


SETTINGS = [
    ({"max_completion_tokens": 5}, {"max_tokens": 5}),
    ({"max_tokens": 5}, {"max_tokens": 5}),
    ({"temperature": 0, "top_p": 0.5}, {"temperature": 0, "top_p": 0.5}),
    ({"top_k": 40}, {"top_k": 40}),
    ({"seed": 1, "n": 2}, {"seed": 1, "n": 2}),
    ({"stop": "x"}, {"stop": ("x",)}),
    ({"stop": ["x", "y"]}, {"stop": ("x", "y")}),
    ({"logprobs": True, "top_logprobs": 3}, {"logprobs": 3}),
    ({"logprobs": True}, {"logprobs": 0}),
    ({"logprobs": False}, {"logprobs": None}),
    ({"reasoning_effort": "xhigh"}, {"reasoning": "xhigh"}),
    ({"reasoning": {"effort": "low", "exclude": True}}, {"reasoning": "low"}),
    ({"reasoning": {"max_tokens": 99}}, {"reasoning": 99}),
    ({"safety_identifier": "u"}, {"user": "u"}),
    ({"user": "u"}, {"user": "u"}),
    ({"service_tier": "flex", "metadata": {"a": "b"}}, {"service_tier": "flex", "metadata": {"a": "b"}}),
    ({"modalities": ["text", "audio"]}, {"modalities": ("text", "audio")}),
    ({"audio": {"voice": "alloy", "format": "wav"}}, {"audio": AudioOutput("alloy", "wav")}),
    ({"audio": {"voice": {"id": "v1"}, "format": "wav"}}, {"audio": AudioOutput(format="wav")}),
    ({"prompt_cache_key": "k"}, {"prompt_cache": PromptCache("k")}),
    (
        {"prompt_cache_key": "k", "prompt_cache_options": {"mode": "explicit", "ttl": "30m"}},
        {"prompt_cache": PromptCache("k", "explicit", "30m")},
    ),
    ({"response_format": {"type": "text"}}, {"output": None}),
    ({"response_format": {"type": "json_object"}}, {"output": Output()}),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"x": 1}, "strict": True}}},
        {"output": Output({"x": 1}, "a", strict=True)},
    ),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}, {"output": Output({})}),
    ({"tools": [], "tool_choice": None}, {"tools": (), "tool_choice": None}),
    ({"store": True, "logit_bias": {"5": -100}}, {"options": {"openai": {"store": True, "logit_bias": {"5": -100}}}}),
    ({"thinking": {"type": "disabled"}}, {"options": {"openai": {"thinking": {"type": "disabled"}}}}),
    ({"reasoning_effort": "default"}, {"options": {"openai": {"reasoning_effort": "default"}}, "reasoning": None}),
    ({"max_tokens": 1, "max_completion_tokens": 2}, {"max_tokens": 2, "options": {"openai": {"max_tokens": 1}}}),
    ({"temperature": None, "stop": None, "user": None, "tools": None}, {"temperature": None, "stop": ()}),
]


@pytest.mark.parametrize(("members", "settings"), SETTINGS, ids=lambda value: ",".join(value))
def test_settings_are_read_and_come_back_in_their_own_words(members, settings):
    request = read(**members)
    assert {name: getattr(request, name) for name in settings} == settings


@pytest.mark.parametrize(
    ("members", "stream"),
    [
        ({}, False),
        ({"stream": False}, False),
        ({"stream": None}, False),
        ({"stream": True}, True),
        ({"stream": True, "stream_options": {"include_usage": True}}, True),
        ({"stream": True, "stream_options": {"include_usage": False, "include_obfuscation": False}}, True),
        ({"stream": True, "stream_options": None}, True),
    ],
)
def test_whether_a_stream_was_asked_for(members, stream):
    request, asked = decode(body_of(**members))
    assert asked is stream
    assert encode(request, asked) == body_of(**members)


def test_a_stream_of_several_answers_decodes_and_is_refused_when_sent_on():
    request, stream = decode(body_of(stream=True, n=2))
    assert (request.n, stream) == (2, True)
    with pytest.raises(UnsupportedError, match="n=2"):
        encode(request, stream)


def test_a_body_without_model_is_read_for_addresses_that_name_it():
    request, _ = decode({"messages": HI})
    assert request.model == ""
    assert encode(request, False) == {"messages": HI}


FUNCTION = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
}
TOOLS = [
    (FUNCTION, Tool("f", "d", {"type": "object"}, True)),
    ({"function": {"name": "f"}}, Tool("f")),
    (
        {"type": "function", "function": {"name": "f", "odd": 1}, "cache_control": {"type": "ephemeral"}, "x": 2},
        Tool(
            "f",
            meta={
                "openai": {"function": {"extra": {"odd": 1}}, "cache_control": {"type": "ephemeral"}, "extra": {"x": 2}}
            },
        ),
    ),
    ({"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}}, Tool("c", kind="custom")),
    (
        {
            "type": "custom",
            "custom": {"name": "c", "format": {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}}},
        },
        Tool("c", kind="custom", grammar=Grammar("regex", "a+")),
    ),
    (
        {"type": "openrouter:web_search", "parameters": {"a": 1}},
        Tool("openrouter:web_search", kind="hosted", settings={"parameters": {"a": 1}}),
    ),
]


@pytest.mark.parametrize(("definition", "tool"), TOOLS)
def test_tools_are_read(definition, tool):
    assert read(tools=[definition]).tools == (tool,) == decode_tools([definition])


CHOICES = [
    ("none", "none"),
    ("auto", "auto"),
    ("required", "required"),
    ("any", "required"),
    ({"type": "function", "function": {"name": "f"}}, NamedTool("f")),
    ({"type": "custom", "custom": {"name": "f"}}, NamedTool("f", "custom")),
    ({"type": "tool", "name": "f"}, NamedTool("f")),
    ({"type": "web_search"}, NamedTool("web_search", "hosted")),
    (
        {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
        },
        AllowedTools(("f",)),
    ),
]


@pytest.mark.parametrize(("said", "choice"), CHOICES)
def test_the_choice_among_tools_is_read(said, choice):
    assert read(tools=[FUNCTION], tool_choice=said).tool_choice == choice


def test_another_form_of_choice_does_not_mix_with_a_changed_one():
    request = read(tools=[FUNCTION], tool_choice={"type": "tool", "name": "f"})
    changed = structs.replace(request, tool_choice=NamedTool("g"))
    assert encode(changed, False)["tool_choice"] == {"type": "function", "function": {"name": "g"}}


def said(*messages):
    return read(messages=list(messages)).messages


PNG = b"\x89PNG\r\n\x1a\n0"
PDF = "data:application/pdf;base64,JVBERi0x"
PARTS = [
    ({"type": "text", "text": "x"}, TextPart("x")),
    (
        {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}, "odd": None},
        TextPart("x", meta={"openai": {"cache_control": {"type": "ephemeral"}, "extra": {"odd": None}}}),
    ),
    ({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgow"}}, FilePart("image/png", PNG)),
    (
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}},
        FilePart("image/*", Url("https://x.example/a.png"), meta={"openai": {"detail": "low"}}),
    ),
    (
        {"type": "image_url", "image_url": "https://x.example/a.png"},
        FilePart("image/*", Url("https://x.example/a.png")),
    ),
    (
        {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}},
        FilePart("application/pdf", b"%PDF-1", "a.pdf"),
    ),
    (
        {"type": "file", "file": {"file_data": "JVBERi0x", "filename": "a.pdf"}},
        FilePart("application/pdf", b"%PDF-1", "a.pdf"),
    ),
    ({"type": "file", "file": {"file_data": PDF}}, FilePart("application/pdf", b"%PDF-1")),
    ({"type": "file", "file": {"file_id": "file-1"}}, FilePart("application/octet-stream", FileId("file-1"))),
    (
        {"type": "file", "file": {"file_data": "https://x.example/a", "filename": "a.pdf"}},
        FilePart("application/pdf", Url("https://x.example/a"), "a.pdf", {"openai": {"form": "file"}}),
    ),
    (
        {"type": "file_url", "file_url": {"url": "https://x.example/a"}},
        FilePart("application/octet-stream", Url("https://x.example/a"), meta={"openai": {"form": "file_url"}}),
    ),
    (
        {"type": "document_url", "document_url": "https://x.example/a", "document_name": "a.pdf"},
        FilePart("application/pdf", Url("https://x.example/a"), "a.pdf", {"openai": {"form": "document_url"}}),
    ),
    ({"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}}, FilePart("audio/mpeg", b"ID3")),
    (
        {"type": "input_audio", "input_audio": {"data": "ZkxhQw==", "format": "flac"}},
        FilePart("audio/flac", b"fLaC", meta={"openai": {"format": "flac"}}),
    ),
    (
        {"type": "input_audio", "input_audio": "SUQz"},
        FilePart("audio/mpeg", b"ID3", meta={"openai": {"form": "input_audio"}}),
    ),
    (
        {"type": "input_audio", "input_audio": "https://x.example/a.mp3"},
        FilePart("audio/*", Url("https://x.example/a.mp3"), meta={"openai": {"form": "input_audio"}}),
    ),
    (
        {"type": "audio_url", "audio_url": {"url": "https://x.example/a.mp3"}},
        FilePart("audio/*", Url("https://x.example/a.mp3"), meta={"openai": {"form": "audio_url"}}),
    ),
    (
        {"type": "video_url", "video_url": {"url": "https://x.example/v"}},
        FilePart("video/*", Url("https://x.example/v")),
    ),
    ({"type": "widget", "id": 1}, OpaquePart("widget", {"openai": {"type": "widget", "id": 1}})),
]


@pytest.mark.parametrize(("item", "part"), PARTS)
def test_parts_are_read_and_come_back_in_their_own_form(item, part):
    assert said({"role": "user", "content": [item]}) == (Message("user", (part,)),)


@pytest.mark.parametrize(("item", "part"), [case for case in PARTS if case[0]["type"] not in ("text", "widget")])
def test_files_keep_their_form_when_the_text_beside_them_changes(item, part):
    request, _ = decode(body_of(messages=[{"role": "user", "content": [item, {"type": "text", "text": "old"}]}]))
    new = structs.replace(request, messages=(user([part, "new"]),))
    told = encode(new, False)["messages"][0]["content"]
    assert told[0]["type"] == item["type"] and told[1]["text"] == "new"


def test_roles_names_and_marks_of_messages():
    assert said(
        {"role": "developer", "content": "a"},
        {"role": "system", "content": [{"type": "text", "text": "b"}]},
        {"role": "user", "content": "c", "name": "Ann"},
        {"role": "assistant", "content": "d", "prefix": True, "annotations": []},
    ) == (
        Message("system", (TextPart("a"),), meta={"openai": {"role": "developer"}}),
        system("b"),
        Message("user", (TextPart("c"),), meta={"openai": {"name": "Ann"}}),
        Message("assistant", (TextPart("d"),), meta={"openai": {"prefix": True, "extra": {"annotations": []}}}),
    )


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1 }'}}
CUSTOM = {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "1+1"}}


@pytest.mark.parametrize("content", ["", None, [], ...])
def test_an_assistant_that_only_calls_tools_says_nothing_whatever_its_content(content):
    message = {"role": "assistant", "content": content, "tool_calls": [CALL, CUSTOM]}
    if content is ...:
        del message["content"]
    calls = (ToolCall("c1", "f", '{"a": 1 }'), ToolCall("c2", "g", "1+1", kind="custom"))
    assert said(message) == (Message("assistant", calls),)


def test_an_assistant_message_as_an_sdk_dumps_it():
    message = {
        "role": "assistant",
        "content": "hi",
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "tool_calls": None,
    }
    assert said(message)[0].content == (TextPart("hi"),)


def test_refusals_audio_and_marks_of_calls():
    assert said({"role": "assistant", "content": None, "refusal": "No."})[0].content == (TextPart("No.", refusal=True),)
    listed = {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "b"}]}
    assert said(listed)[0].content == (TextPart("a"), TextPart("b", refusal=True))
    audio = {"role": "assistant", "audio": {"id": "audio_1"}}
    assert said(audio)[0].content == (FilePart("audio/*", FileId("audio_1")),)
    call = {**CALL, "index": 0, "extra_content": {"google": {"thought_signature": "s"}}}
    (part,) = said({"role": "assistant", "tool_calls": [call]})[0].content
    assert part.meta == {"openai": {"extra_content": {"google": {"thought_signature": "s"}}, "extra": {"index": 0}}}


def marked(text="", **marks):
    return ReasoningPart(text, meta={"openai": marks})


REASONING = [
    ({"reasoning_content": "t"}, [marked("t", field="reasoning_content")]),
    ({"reasoning_content": ""}, [marked("", field="reasoning_content")]),
    ({"reasoning": "t"}, [marked("t", field="reasoning")]),
    ({"reasoning": "t", "reasoning_content": "t"}, [marked("t", field="reasoning_content", twin="reasoning")]),
    (
        {"reasoning": "t", "reasoning_content": "u"},
        [marked("u", field="reasoning_content"), marked("t", field="reasoning")],
    ),
    (
        {"reasoning": "t", "reasoning_details": [{"type": "reasoning.text", "text": "t", "signature": "s"}]},
        [marked("t", field="reasoning", reasoning_details=[{"type": "reasoning.text", "text": "t", "signature": "s"}])],
    ),
    (
        {"reasoning_details": [{"summary": "a"}, {"data": "x"}]},
        [marked("a", reasoning_details=[{"summary": "a"}, {"data": "x"}])],
    ),
    (
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
        [ReasoningPart("", True, {"openai": {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}})],
    ),
]


@pytest.mark.parametrize(("members", "parts"), REASONING)
def test_reasoning_is_read_wherever_it_stands(members, parts):
    messages = said({"role": "assistant", "content": "ok", **members})
    assert messages[0].content == (*parts, TextPart("ok"))
    # and goes back there after a change, when no residue can help
    changed = structs.replace(messages[0], content=(*messages[0].content, TextPart("!")))
    request, _ = decode(body_of(messages=[{"role": "assistant", "content": "ok", **members}]))
    told = encode(structs.replace(request, messages=(changed,)), False)["messages"][0]
    assert {name: told[name] for name in members} == members


def test_mistral_s_thinking_chunks():
    chunk = {
        "type": "thinking",
        "thinking": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        "closed": True,
    }
    plain = {"type": "thinking", "thinking": [{"type": "text", "text": "c"}]}
    odd = {"type": "thinking", "thinking": [{"type": "reference", "ids": [1]}]}
    parts = said({"role": "assistant", "content": [chunk, plain, odd, {"type": "text", "text": "ok"}]})[0].content
    assert parts == (
        marked("ab", field="thinking", thinking=chunk["thinking"], closed=True),
        marked("c", field="thinking"),
        OpaquePart("thinking", {"openai": odd}),
        TextPart("ok"),
    )


def test_results_follow_their_calls_in_one_message_and_bear_their_names():
    second = {**CALL, "id": "c9", "function": {"name": "h", "arguments": "{}"}}
    messages = said(
        {"role": "assistant", "tool_calls": [CALL, second]},
        {"role": "tool", "tool_call_id": "c9", "content": ""},
        {"role": "user", "content": "quick!"},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "1"}], "name": "g"},
    )
    assert messages[1:] == (
        tool(
            [
                ToolResult("c1", "g", (TextPart("1"),), meta={"openai": {"name": "g"}}),
                ToolResult("c9", "h"),
            ]
        ),
        user("quick!"),
    )


def test_a_picture_in_a_result_stays_there_for_the_same_wire():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgow"}}
    content = [{"type": "text", "text": "see"}, image]
    messages = said(
        {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c1", "content": content}
    )
    picture = FilePart("image/png", PNG, meta={"openai": {"place": "content"}})
    assert messages[1].content == (ToolResult("c1", "f", (TextPart("see"), picture)),)


def test_a_picture_in_an_assistant_message_stays_there_for_the_same_wire():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgow"}}
    picture = FilePart("image/png", PNG, meta={"openai": {"place": "content"}})
    assert said({"role": "assistant", "content": [image]}) == (Message("assistant", (picture,)),)


def test_neighbours_are_one_message_of_ours_and_stay_two_of_theirs():
    wire = [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b", "name": "Ann"},
        {"role": "user", "content": "c", "name": "Ann"},
        {"role": "user", "content": "d", "name": "Bob"},
        {"role": "assistant", "content": "e"},
        {"role": "assistant", "tool_calls": [CALL]},
    ]
    messages = said(*wire)
    assert [message.text for message in messages] == ["abcd", "e"]
    request, _ = decode(body_of(messages=wire))
    longer = structs.replace(request, messages=(*request.messages, tool(ToolResult("c1"))))
    assert encode(longer, False)["messages"][:5] == wire[:5]


def test_a_cut_before_an_unknown_part_is_no_member_of_it():
    wire = [{"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "widget", "id": 1}]}]
    request, _ = decode(body_of(messages=wire))
    assert encode(structs.replace(request, residue=None), False)["messages"] == wire


def test_the_old_functions_are_tools_and_go_back_as_functions():
    request = read(
        messages=[
            *HI,
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
        ],
        functions=[{"name": "f", "description": "d", "parameters": {}}],
        function_call={"name": "f"},
    )
    call, result = request.messages[1].content[0], request.messages[2].content[0]
    assert (call.name, call.id, result.name, result.text) == ("f", result.id, "f", "1")
    assert request.tools[0].name == "f" and request.tool_choice == NamedTool("f")
    warmer = structs.replace(request, temperature=1.0, messages=(*request.messages, assistant("so"), user("on")))
    told = encode(warmer, False)
    assert (
        told["functions"]
        and told["function_call"] == {"name": "f"}
        and told["messages"][1]["function_call"]["name"] == "f"
    )


@pytest.mark.parametrize(("said", "choice"), [("none", "none"), ("auto", "auto")])
def test_the_old_choice_among_functions(said, choice):
    assert read(functions=[{"name": "f"}], function_call=said).tool_choice == choice


# what a processor changes wins


def test_a_changed_setting_keeps_its_word_and_wins():
    request = read(
        max_tokens=100, user="u", temperature=0.5, top_k=5, reasoning={"effort": "low", "exclude": True}, stop="x"
    )
    changed = structs.replace(request, max_tokens=50, user="v", temperature=1.0, top_k=6, reasoning="high", stop=("y",))
    assert encode(changed, False) == body_of(
        max_tokens=50, user="v", temperature=1.0, top_k=6, reasoning={"effort": "high", "exclude": True}, stop=["y"]
    )
    gone = structs.replace(request, max_tokens=None, user=None, temperature=None, top_k=None, reasoning=None, stop=())
    assert encode(gone, False) == body_of()


def test_quirks_of_the_service_win_over_the_words_of_the_request():
    request, _ = decode(body_of(max_tokens=5, user="u", top_k=3, seed=1))
    quirks = OpenAIQuirks(
        max_tokens_field="max_completion_tokens",
        user_field="safety_identifier",
        settings={"top_k": "drop", "seed": "drop"},
    )
    assert encode(request, False, quirks) == body_of(max_completion_tokens=5, safety_identifier="u")


def test_messages_may_come_and_go_and_the_others_keep_their_form():
    listed = {"role": "user", "content": [{"type": "text", "text": "a"}]}
    marked = {"role": "user", "content": "b", "cache_control": {"type": "ephemeral"}}
    empty = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "1"}
    request, _ = decode(body_of(messages=[listed, empty, result, marked], store=True))
    longer = structs.replace(request, messages=(system("new"), *request.messages, assistant("more")))
    assert encode(longer, False) == body_of(
        messages=[
            {"role": "system", "content": "new"},
            listed,
            empty,
            result,
            marked,
            {"role": "assistant", "content": "more"},
        ],
        store=True,
    )
    shorter = structs.replace(request, messages=request.messages[1:])
    assert encode(shorter, False)["messages"] == [empty, result, marked]
    redacted = structs.replace(request.messages[-1], content=(TextPart("***"),))
    assert encode(structs.replace(request, messages=(redacted,)), False)["messages"] == [{**marked, "content": "***"}]


def test_a_stream_that_the_server_asks_for_itself_is_a_stream():
    request, _ = decode(body_of(stream=False))
    assert encode(request, True) == body_of(stream=True, stream_options={"include_usage": True})


# as a server: what is wrong, and what would be right


def of(members):
    return body_of(**members)


def of_messages(*messages):
    return {"messages": list(messages)}


def of_part(item):
    return of_messages({"role": "user", "content": [item]})


def of_call(call):
    return of_messages({"role": "assistant", "tool_calls": [call]})


GRAMMAR = {"type": "grammar", "grammar": {"syntax": "ebnf", "definition": ""}}
WRONG = [
    (b"{", "the body: "),
    (b"[]", "the body: is a list, but must be a JSON object"),
    ({"model": "m"}, "messages: is missing"),
    ({"model": "m", "messages": []}, "messages: is empty, but must hold at least one message"),
    ({"model": "m", "messages": "hi"}, "messages: is the string 'hi', but must be a list of messages"),
    ({"model": 5, "messages": HI}, "model: is the number 5, but must be a model's name"),
    (of_messages("hi"), "messages[0]: is the string 'hi', but must be a message"),
    (of_messages({"content": "x"}), "messages[0].role: is missing"),
    (
        of_messages({"role": "bot", "content": "x"}),
        "messages[0].role: is 'bot', but must be one of system, developer, user, assistant, tool, function",
    ),
    (of_messages({"role": "user"}), "messages[0].content: is missing"),
    (
        of_messages({"role": "user", "content": None}),
        "messages[0].content: is null, but must be a string or a list of parts",
    ),
    (of_part("x"), "messages[0].content[0]: is the string 'x', but must be a part"),
    (of_part({"text": "x"}), "messages[0].content[0].type: is missing"),
    (of_part({"type": "text"}), "messages[0].content[0].text: is missing"),
    (of_part({"type": "text", "text": 1}), "messages[0].content[0].text: is the number 1, but must be a string"),
    (of_part({"type": "image_url", "image_url": {}}), "messages[0].content[0].image_url.url: is missing"),
    (of_part({"type": "image_url", "image_url": {"url": ""}}), "messages[0].content[0].image_url.url: is empty"),
    (
        of_part({"type": "image_url", "image_url": {"url": "data:image/png;base64,!"}}),
        "messages[0].content[0].image_url.url: is a data: URL of no valid base64",
    ),
    (of_part({"type": "image_url", "image_url": {"url": "data:image/*;base64,AAAA"}}), "must say the exact type"),
    (
        of_part({"type": "input_audio", "input_audio": {"data": "AAAA"}}),
        "messages[0].content[0].input_audio.format: is missing",
    ),
    (
        of_part({"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}}),
        "messages[0].content[0].input_audio.data: is no valid base64",
    ),
    (of_part({"type": "file", "file": {}}), "messages[0].content[0].file.file_data: is missing"),
    (of_messages({"role": "assistant"}), "messages[0].content: is missing: give a text, or tool_calls"),
    (
        of_messages({"role": "assistant", "content": 1}),
        "messages[0].content: is the number 1, but must be a string, null or a list of parts",
    ),
    (of_call({"type": "function", "function": {}}), "messages[0].tool_calls[0].id: is missing"),
    (of_call({"id": "a", "function": {"name": "f"}}), "messages[0].tool_calls[0].function.arguments: is missing"),
    (
        of_call({"id": "a", "function": {"name": "f", "arguments": {}}}),
        "messages[0].tool_calls[0].function.arguments: is an object, but must be a string of JSON",
    ),
    (
        of_call({"id": "a", "type": "mcp"}),
        "messages[0].tool_calls[0].type: is 'mcp', but must be one of function, custom",
    ),
    (of_messages(*HI, {"role": "tool", "content": "x"}), "messages[1].tool_call_id: is missing"),
    (of({"tools": {}}), "tools: is an object, but must be a list of tools"),
    (of({"tools": [{"type": "function"}]}), "tools[0].function: is missing"),
    (
        of({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]}),
        "tools[0].function.parameters: is a list, but must be a JSON Schema object",
    ),
    (
        of({"tools": [{"type": "custom", "custom": {"name": "c", "format": GRAMMAR}}]}),
        "tools[0].custom.format.grammar.syntax: is 'ebnf', but must be one of lark, regex",
    ),
    (of({"tool_choice": "maybe"}), "tool_choice: is 'maybe', but must be one of none, auto, required, any"),
    (of({"tool_choice": {"type": "function", "function": {}}}), "tool_choice.function.name: is missing"),
    (of({"temperature": "1"}), "temperature: is the string '1', but must be a number"),
    (of({"temperature": True}), "temperature: is true, but must be a number"),
    (of({"n": 0}), "n: is 0, but must be a whole number from 1"),
    (of({"max_tokens": 1.5}), "max_tokens: is the number 1.5, but must be a whole number from 1"),
    (of({"stop": [1]}), "stop[0]: is the number 1, but must be a string"),
    (of({"stream": "yes"}), "stream: is the string 'yes', but must be true or false"),
    (
        of({"stream_options": {"include_usage": 1}}),
        "stream_options.include_usage: is the number 1, but must be true or false",
    ),
    (of({"logprobs": 5}), "logprobs: is the number 5, but must be true or false"),
    (of({"top_logprobs": -1}), "top_logprobs: is -1, but must be a whole number from 0"),
    (of({"response_format": {"type": "json_schema"}}), "response_format.json_schema: is missing"),
    (
        of({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}),
        "response_format.json_schema.schema: is missing",
    ),
    (of({"metadata": {"a": 1}}), "metadata.a: is the number 1, but must be a string"),
    (of({"reasoning_effort": 5}), "reasoning_effort: is the number 5, but must be a string"),
]


@pytest.mark.parametrize(("body", "word"), WRONG, ids=[word[:60] for _, word in WRONG])
def test_a_bad_member_is_named_with_what_would_be_right(body, word):
    with pytest.raises(BadRequestError) as caught:
        decode_request(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert word in caught.value.message
    assert caught.value.status == 400 and caught.value.code


def test_a_long_text_is_not_repeated_in_the_error():
    with pytest.raises(BadRequestError) as caught:
        decode(body_of(temperature="x" * 1000))
    assert len(caught.value.message) < 100


# the reader that users' own messages go through


def test_openai_shaped_messages_are_read_alone():
    assert decode_messages([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]) == (
        user("hi"),
        assistant("yes"),
    )
    with pytest.raises(BadRequestError, match=r"messages\[0\]\.content: is missing"):
        decode_messages([{"role": "user"}])
    with pytest.raises(BadRequestError, match=r"tools\[0\]: is the string 'f', but must be a tool"):
        decode_tools(["f"])
