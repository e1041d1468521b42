"""What services that speak OpenAI's wire want said otherwise, knob by knob."""

from __future__ import annotations

import json

import msgspec
import pytest

from polyvox.dialects.openai.chat.request import encode_request
from polyvox.dialects.openai.quirks import OpenAIQuirks
from polyvox.errors import UnsupportedError
from polyvox.types.generate import GenerateRequest, Output
from polyvox.types.messages import Message, assistant, system, tool, user
from polyvox.types.parts import FilePart, TextPart, ToolCall, ToolResult, Url
from polyvox.types.tools import Tool


def encode(knobs, *messages, stream=False, **settings):
    request = GenerateRequest(model="m", messages=messages or (user("hi"),), **settings)
    wire = encode_request(request, msgspec.convert(knobs, OpenAIQuirks), stream=stream)
    return json.loads(wire.body), [(adjustment.kind, adjustment.setting) for adjustment in wire.adjustments]


def members(knobs, **settings):
    body, adjustments = encode(knobs, **settings)
    return {name: value for name, value in body.items() if name not in ("model", "messages")}, adjustments


KNOBS = [
    ({"max_tokens_field": "max_tokens"}, {"max_tokens": 5}, {"max_tokens": 5}, []),
    ({"user_field": "user"}, {"user": "u"}, {"user": "u"}, []),
    ({"rename": {"seed": "random_seed"}}, {"seed": 5}, {"random_seed": 5}, []),
    ({"settings": {"seed": "drop"}}, {"seed": 5, "top_p": 1}, {"top_p": 1}, [("dropped", "seed")]),
    ({"settings": {"seed": "send"}}, {"seed": 5}, {"seed": 5}, []),
    (
        {"settings": {"parallel_tools": "drop"}},
        {"tools": (Tool("f"),), "parallel_tools": True},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        [("dropped", "parallel_tools")],
    ),
    ({"extra_body": {"safe_prompt": True}}, {}, {"safe_prompt": True}, []),
    (
        {"extra_body": {"safe_prompt": True}},
        {"options": {"openai": {"safe_prompt": False}}},
        {"safe_prompt": False},
        [],
    ),
    (
        {"json_schema": False},
        {"output": Output({"type": "object"})},
        {"response_format": {"type": "json_object"}},
        [("dropped", "output.schema")],
    ),
    ({"required_word": "any"}, {"tool_choice": "required"}, {"tool_choice": "any"}, []),
    # reasoning
    ({"reasoning_form": "reasoning"}, {"reasoning": "low"}, {"reasoning": {"effort": "low"}}, []),
    ({"reasoning_form": "reasoning"}, {"reasoning": 2000}, {"reasoning": {"max_tokens": 2000}}, []),
    ({"reasoning_form": "thinking"}, {"reasoning": "none"}, {"thinking": {"type": "disabled"}}, []),
    (
        {"reasoning_form": "thinking"},
        {"reasoning": "high"},
        {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
        [],
    ),
    (
        {"reasoning_form": "thinking", "reasoning_efforts": []},
        {"reasoning": "high"},
        {"thinking": {"type": "enabled"}},
        [("clamped", "reasoning")],
    ),
    ({"reasoning_form": "enable_thinking"}, {"reasoning": 500}, {"enable_thinking": True, "thinking_budget": 500}, []),
    ({"reasoning_form": "enable_thinking"}, {"reasoning": "none"}, {"enable_thinking": False}, []),
    ({"reasoning_form": "enable_thinking"}, {"reasoning": 0}, {"enable_thinking": False}, []),
    (
        {"reasoning_form": "enable_thinking"},
        {"reasoning": "high"},
        {"enable_thinking": True},
        [("clamped", "reasoning")],
    ),
]


@pytest.mark.parametrize(("knobs", "settings", "said", "adjustments"), KNOBS)
def test_a_knob_changes_what_is_said(knobs, settings, said, adjustments):
    assert members(knobs, **settings) == (said, adjustments)


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "high"),
        ("high", "high"),
        ("xhigh", "max"),
        ("max", "max"),
        ("none", "low"),
    ],
)
def test_a_step_that_is_not_taken_goes_to_the_nearest(asked, sent):
    body, adjustments = members({"reasoning_efforts": ["low", "high", "max"]}, reasoning=asked)
    assert body == {"reasoning_effort": sent}
    assert adjustments == ([] if asked == sent else [("clamped", "reasoning")])


def test_off_is_not_the_nearest_step_of_a_little():
    assert members({"reasoning_efforts": ["none", "high"]}, reasoning="minimal")[0] == {"reasoning_effort": "high"}
    assert members({"reasoning_efforts": ["none", "high"]}, reasoning="none") == ({"reasoning_effort": "none"}, [])


@pytest.mark.parametrize(
    "knobs", [{"settings": {"seed": "refuse"}}, {"settings": {"seed": "drop"}, "on_unsupported": "error"}]
)
def test_a_refused_setting_raises_and_names_itself(knobs):
    with pytest.raises(UnsupportedError, match="seed is not taken by this model"):
        encode(knobs, seed=1)
    assert members(knobs) == ({}, []), "only where it was given"


def test_top_k_raises_where_the_caller_wants_errors():
    with pytest.raises(UnsupportedError, match="top_k"):
        encode({"on_unsupported": "error"}, top_k=1)


DEVELOPER = Message("system", (TextPart("a"),), meta={"openai": {"role": "developer"}})


@pytest.mark.parametrize(
    ("role", "roles"), [(None, ["developer", "system"]), ("system", ["system"] * 2), ("developer", ["developer"] * 2)]
)
def test_the_role_of_system_messages(role, roles):
    body, _ = encode({"system_role": role}, DEVELOPER, system("b"), user("hi"))
    assert [message["role"] for message in body["messages"]] == [*roles, "user"]


def test_a_later_system_message_goes_as_user_text_where_it_may_not_stand():
    messages = (system("a"), system("b"), user("hi"), system("c"))
    body, adjustments = encode({"mid_system": False}, *messages)
    assert [message["role"] for message in body["messages"]] == ["system", "system", "user", "user"]
    assert adjustments == [("emulated", "messages")]
    assert encode({}, *messages)[1] == []


def test_texts_are_joined_for_servers_that_take_strings_only():
    messages = (
        user(["a", "b"]),
        assistant([TextPart("c"), TextPart("d")]),
        user(["e", FilePart("image/*", Url("https://x.example"))]),
    )
    body, _ = encode({"text_content": "string"}, *messages)
    assert [message["content"] for message in body["messages"][:2]] == ["a\n\nb", "cd"]
    assert isinstance(body["messages"][2]["content"], list)


def test_call_ids_fit_mistral_and_stay_pairs():
    calls = assistant([ToolCall("call_abc-1", "f", "{}"), ToolCall("Ah0BFgzqX", "f", "{}")])
    results = tool([ToolResult("call_abc-1"), ToolResult("Ah0BFgzqX")])
    body, _ = encode({"tool_call_ids": "alnum9"}, calls, results)
    ids = [call["id"] for call in body["messages"][0]["tool_calls"]]
    assert ids == [message["tool_call_id"] for message in body["messages"][1:]]
    assert ids[1] == "Ah0BFgzqX" and len(ids[0]) == 9 and ids[0].isalnum() and ids[0].isascii()


def test_custom_tools_are_refused_where_they_are_unknown():
    for arguments in ((), (assistant(ToolCall("c", "calc", "1", kind="custom")),)):
        tools = () if arguments else (Tool("calc", kind="custom"),)
        with pytest.raises(UnsupportedError, match="custom tool 'calc'"):
            encode({"custom_tools": False}, *arguments, tools=tools)


@pytest.mark.parametrize(
    ("form", "item"),
    [
        ("file_data", {"type": "file", "file": {"file_data": "https://x.example/a.pdf", "filename": "a.pdf"}}),
        ("file_url", {"type": "file_url", "file_url": {"url": "https://x.example/a.pdf"}}),
        ("document_url", {"type": "document_url", "document_url": "https://x.example/a.pdf", "document_name": "a.pdf"}),
    ],
)
def test_a_document_by_address(form, item):
    body, _ = encode({"file_urls": form}, user([FilePart("application/pdf", Url("https://x.example/a.pdf"), "a.pdf")]))
    assert body["messages"][0]["content"] == [item]


def test_more_audio_formats_where_they_are_taken():
    body, _ = encode({"audio_formats": ["flac"]}, user([FilePart("audio/flac", b"fLaC")]))
    assert body["messages"][0]["content"][0]["input_audio"]["format"] == "flac"


def test_every_knob_has_a_word_of_documentation():
    import inspect

    source = inspect.getsource(OpenAIQuirks)
    for knob in OpenAIQuirks.__struct_fields__:
        after = source.split(f"    {knob}: ", 1)[1].split("\n", 1)[1]
        assert after.lstrip().startswith('"""'), knob
