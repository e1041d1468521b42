"""Requests as a caller of a Responses service sends them."""

from __future__ import annotations

import json

import pytest

from polyvox.dialects.openai_responses.quirks import ResponsesQuirks
from polyvox.dialects.openai_responses.request import decode_request, encode_request
from polyvox.errors import UnsupportedError
from polyvox.types.generate import AudioOutput, GenerateRequest, Output, PromptCache, Residue, ResidueChange
from polyvox.types.messages import Message, assistant, system, tool, user
from polyvox.types.parts import (
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
from polyvox.types.tools import Tool

OWN = "openai_responses"
ENCRYPTED = "reasoning.encrypted_content"


def said(*messages, quirks=None, stream=False, **facts):
    request = GenerateRequest(model="m", messages=messages or (user("hi"),), **facts)
    wire = encode_request(request, quirks or ResponsesQuirks(), stream=stream)
    return json.loads(wire.body), [(one.kind, one.setting, one.detail) for one in wire.adjustments]


def body_of(*messages, **facts):
    body, adjustments = said(*messages, **facts)
    assert adjustments == []
    return body


def items_of(*messages, **facts):
    return body_of(*messages, **facts)["input"]


# Settings


def test_what_was_not_asked_for_is_not_sent():
    assert body_of() == {"model": "m", "input": [{"role": "user", "content": "hi"}]}
    wire = encode_request(GenerateRequest(model="m", messages=(user("hi"),)), ResponsesQuirks(), stream=False)
    assert (wire.method, wire.path, wire.headers) == ("POST", "/responses", {"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("top_k", 5),
        ("seed", 7),
        ("stop", ("x",)),
        ("presence_penalty", 0.5),
        ("frequency_penalty", 0.5),
        ("audio", AudioOutput("ash")),
    ],
)
def test_a_setting_that_the_wire_has_no_word_for_is_dropped_and_named(setting, value):
    body, adjustments = said(**{setting: value})
    assert set(body) == {"model", "input"}
    assert adjustments == [("dropped", setting, "not taken on this wire")]
    with pytest.raises(UnsupportedError, match=setting):
        said(**{setting: value}, quirks=ResponsesQuirks(on_unsupported="error"))


def test_a_service_that_knows_more_settings_gets_them():
    quirks = ResponsesQuirks(settings={"top_k": "send", "stop": "send", "seed": "send"})
    body = body_of(quirks=quirks, top_k=5, stop=("x",), seed=7)
    assert (body["top_k"], body["stop"], body["seed"]) == (5, ["x"], 7)


def test_settings_are_dropped_or_refused_as_the_model_has_it():
    body, adjustments = said(quirks=ResponsesQuirks(settings={"temperature": "drop"}), temperature=0.5)
    assert "temperature" not in body
    assert adjustments == [("dropped", "temperature", "not taken by this model")]
    with pytest.raises(UnsupportedError, match="top_p"):
        said(quirks=ResponsesQuirks(settings={"top_p": "refuse"}), top_p=0.5)


def test_one_answer_in_text_is_all_there_is():
    assert body_of(n=1, modalities=("text",)) == body_of()
    with pytest.raises(UnsupportedError, match="n is not taken"):
        said(n=2)
    with pytest.raises(UnsupportedError, match="image_generation"):
        said(modalities=("text", "image"))


def test_what_options_say_of_a_shared_member_is_added():
    body = body_of(
        output=Output({"type": "object"}, "a"),
        reasoning="low",
        logprobs=3,
        options={
            OWN: {"text": {"verbosity": "low"}, "reasoning": {"summary": "auto"}, "include": ("x",), "store": False}
        },
    )
    assert body["text"] == {
        "format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}},
        "verbosity": "low",
    }
    assert body["reasoning"] == {"effort": "low", "summary": "auto"}
    assert body["include"] == ["x", "message.output_text.logprobs", ENCRYPTED]
    assert (body["top_logprobs"], body["store"]) == (3, False)


def test_options_of_another_wire_are_named():
    body, adjustments = said(options={"anthropic": {"x": 1}})
    assert "x" not in body
    assert adjustments == [("dropped", "options.anthropic", "the Responses wire does not bear this name")]


def test_what_a_request_of_another_wire_said_beside_is_named():
    residue = Residue("openai", (ResidueChange(("logit_bias",), theirs={"5": 1}),))
    _, adjustments = said(residue=residue)
    assert adjustments == [("dropped", "residue", "only the openai wire has logit_bias")]


def test_the_form_of_the_answer():
    assert body_of(output=Output())["text"] == {"format": {"type": "json_object"}}
    nested = ResponsesQuirks(output_field="response_format")
    assert body_of(output=Output({}, "a", "d", True), quirks=nested)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "a", "description": "d", "schema": {}, "strict": True},
    }


def test_words_and_members_by_quirk():
    body = body_of(user="u", quirks=ResponsesQuirks(user_field="user", extra_body={"store": False, "user": "x"}))
    assert (body["user"], body["store"]) == ("u", False)
    assert body_of(prompt_cache=PromptCache(ttl="12h"))["prompt_cache_options"] == {"ttl": "12h"}


def test_a_switch_for_parallel_calls_without_tools_says_nothing():
    _, adjustments = said(parallel_tools=False)
    assert adjustments == [("dropped", "parallel_tools", "there are no tools")]
    assert body_of(parallel_tools=False, tools=(Tool("f"),))["parallel_tool_calls"] is False


def test_a_service_without_custom_tools_refuses_them():
    plain = ResponsesQuirks(custom_tools=False)
    with pytest.raises(UnsupportedError, match="functions only"):
        said(tools=(Tool("c", kind="custom"),), quirks=plain)
    with pytest.raises(UnsupportedError, match="custom tool 'c'"):
        said(user("hi"), assistant(ToolCall("1", "c", "x", "custom")), quirks=plain)


# Reasoning


@pytest.mark.parametrize(
    ("reasoning", "efforts", "effort"),
    [
        ("high", None, "high"),
        ("none", None, "none"),
        ("max", ("low", "medium", "high"), "high"),
        ("minimal", ("none", "low", "high"), "low"),
        ("none", ("none", "low"), "none"),
        ("medium", ("low", "high"), "high"),
        (0, None, "none"),
        (1000, None, "minimal"),
        (20_000, None, "high"),
        (99_999, None, "xhigh"),
    ],
)
def test_the_effort_sent_is_the_nearest_accepted(reasoning, efforts, effort):
    body, adjustments = said(reasoning=reasoning, quirks=ResponsesQuirks(efforts=efforts))
    assert body["reasoning"] == {"effort": effort}
    clamped = [] if effort == reasoning else [("clamped", "reasoning", f"{reasoning} is sent as {effort}")]
    assert adjustments == clamped


def test_a_budget_goes_to_whoever_knows_budgets():
    assert body_of(reasoning=2000, quirks=ResponsesQuirks(budgets=True))["reasoning"] == {"max_tokens": 2000}


def test_a_model_that_does_not_reason_is_not_asked_to():
    body, adjustments = said(reasoning="high", quirks=ResponsesQuirks(efforts=()))
    assert not {"reasoning", "include"} & set(body)
    assert adjustments == [("dropped", "reasoning", "this model does not reason")]


def test_a_summary_is_asked_for_where_the_model_gives_one():
    shows = ResponsesQuirks(summary="auto")
    assert body_of(reasoning="low", quirks=shows)["reasoning"] == {"effort": "low", "summary": "auto"}
    assert body_of(reasoning="none", quirks=shows)["reasoning"] == {"effort": "none"}
    assert "reasoning" not in body_of(quirks=shows)


@pytest.mark.parametrize(
    ("wanted", "facts", "sent"),
    [
        ("asked", {}, False),
        ("asked", {"reasoning": "low"}, True),
        ("asked", {"reasoning": "none"}, False),
        ("asked", {"options": {OWN: {"reasoning": {"summary": "auto"}}}}, True),
        ("always", {}, True),
        ("always", {"reasoning": "none"}, False),
        ("never", {"reasoning": "low"}, False),
    ],
)
def test_reasoning_is_wanted_encrypted_where_the_model_reasons(wanted, facts, sent):
    body = body_of(quirks=ResponsesQuirks(encrypted_reasoning=wanted), **facts)
    assert (ENCRYPTED in body.get("include", [])) is sent


def test_what_is_asked_for_already_is_not_asked_for_twice():
    body = body_of(reasoning="low", options={OWN: {"include": [ENCRYPTED, "x"]}})
    assert body["include"] == [ENCRYPTED, "x"]


# Messages


def test_the_first_system_message_goes_to_the_instructions_and_later_ones_into_the_input():
    body = body_of(system(["a", "b"]), user("hi"), system("c"))
    assert body["instructions"] == "a\n\nb"
    assert body["input"] == [{"role": "user", "content": "hi"}, {"role": "system", "content": "c"}]
    assert items_of(system("a"), user("hi"), quirks=ResponsesQuirks(system="input"))[0] == {
        "role": "system",
        "content": "a",
    }


def test_a_system_message_that_is_more_than_text_goes_into_the_input():
    marked = TextPart("a", meta={OWN: {"prompt_cache_breakpoint": {"mode": "explicit"}}})
    body = body_of(system(marked), user("hi"))
    assert "instructions" not in body
    assert body["input"][0]["content"] == [
        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}
    ]


def test_a_service_without_system_messages_in_between_gets_them_as_user_text():
    body, adjustments = said(user("hi"), system("c"), quirks=ResponsesQuirks(mid_system=False))
    assert [item["role"] for item in body["input"]] == ["user", "user"]
    assert [one[:2] for one in adjustments] == [("emulated", "messages")]


def test_results_go_by_the_kind_of_their_call():
    items = items_of(
        user("hi"),
        assistant([ToolCall("1", "f", "{}"), ToolCall("2", "c", "x", "custom")]),
        tool([ToolResult("1", "f"), ToolResult("2", "c", (TextPart("a"), TextPart("b")))]),
    )
    assert items[1:] == [
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "2", "name": "c", "input": "x"},
        {"type": "function_call_output", "call_id": "1", "output": ""},
        {
            "type": "custom_tool_call_output",
            "call_id": "2",
            "output": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
        },
    ]


def test_an_error_of_a_tool_is_marked_in_its_text():
    failed = ToolResult("1", "f", (FilePart("image/png", b"AB"), TextPart("no")), is_error=True)
    body, adjustments = said(user("hi"), assistant(ToolCall("1", "f")), tool(failed))
    assert body["input"][2]["output"][1] == {"type": "input_text", "text": "error: no"}
    assert adjustments == [("emulated", "messages", "a tool's error is sent as text marked `error: `")]
    body, _ = said(user("hi"), assistant(ToolCall("1", "f")), tool(ToolResult("1", "f", is_error=True)))
    assert body["input"][2]["output"] == "error: "


def test_reasoning_of_another_origin_is_left_out_or_sent_as_text():
    turns = (user("hi"), assistant([ReasoningPart("hm"), "hello"]), user("so?"))
    body, adjustments = said(*turns)
    assert body["input"][1] == {"role": "assistant", "content": "hello"}
    assert adjustments == [("dropped", "messages", "reasoning of another origin is not sent")]
    body, adjustments = said(*turns, quirks=ResponsesQuirks(reasoning_history="text"))
    assert [part["text"] for part in body["input"][1]["content"]] == ["hm", "hello"]
    assert [one[0] for one in adjustments] == ["emulated"]


def thought(**marks):
    return ReasoningPart("", meta={OWN: {"item": {"id": "rs_1", **marks}}})


def test_reasoning_that_cannot_be_read_any_more_is_left_out():
    """An answer that was not stored, and whose reasoning is not encrypted, leaves an id that nobody knows."""
    turns = (user("hi"), assistant([thought(), "hello"]), user("so?"))
    assert items_of(*turns)[1] == {"type": "reasoning", "id": "rs_1", "summary": []}
    body, adjustments = said(*turns, options={OWN: {"store": False}})
    assert [item.get("role") for item in body["input"]] == ["user", "assistant", "user"]
    assert adjustments == [
        ("dropped", "messages", "reasoning that was neither stored nor encrypted cannot be sent back")
    ]
    kept = (user("hi"), assistant([thought(encrypted_content="e"), "hello"]), user("so?"))
    assert items_of(*kept, options={OWN: {"store": False}})[1]["encrypted_content"] == "e"


def test_reasoning_that_nothing_follows_is_left_out():
    """An answer cut off in its thoughts: the wire refuses reasoning without the item after it."""
    body, adjustments = said(user("hi"), assistant(thought(encrypted_content="e")), user("go on"))
    assert [item["role"] for item in body["input"]] == ["user", "user"]
    assert adjustments == [("dropped", "messages", "reasoning that no answer followed is not sent back")]


def test_what_another_provider_did_itself_is_left_out_and_named():
    body, adjustments = said(
        user("hi"),
        assistant(
            [
                ToolCall("1", "search", "{}", executed=True),
                ToolResult("1", "search", (TextPart("x"),)),
                SourcePart("https://x.example"),
                TextPart("hello", (Source(url="https://x.example"),)),
                TextPart("no", refusal=True),
                OpaquePart("widget", {"other": {"a": 1}}),
            ]
        ),
        user("so?"),
    )
    assert body["input"][1] == {
        "role": "assistant",
        "content": [
            {"type": "output_text", "text": "hello", "annotations": []},
            {"type": "refusal", "refusal": "no"},
        ],
    }
    assert {detail for _, _, detail in adjustments} == {
        "tools that another provider ran itself are not sent; its text is",
        "search results beside a text are not sent back",
        "citations of another origin are not sent back; their text is",
        "a part of kind widget of another origin is not sent",
    }


def test_files_of_an_answer_go_into_the_next_user_message():
    picture = FilePart("image/png", b"AB", meta={OWN: {"detail": "low"}})
    body, adjustments = said(
        user("draw"), assistant([picture, FilePart("audio/wav", b"x"), ToolCall("1", "f")]), tool(ToolResult("1", "f"))
    )
    assert [item.get("type") or item["role"] for item in body["input"]] == [
        "user",
        "function_call",
        "function_call_output",
        "user",
    ]
    assert body["input"][3]["content"][1] == {"type": "input_image", "image_url": "data:image/png;base64,QUI="}
    assert len(adjustments) == 2


def test_files_that_the_wire_cannot_say_are_refused():
    with pytest.raises(UnsupportedError, match="no film"):
        said(user(FilePart("video/mp4", b"x")))
    with pytest.raises(UnsupportedError, match="no sound"):
        said(user(FilePart("audio/wav", b"x")))
    hears = ResponsesQuirks(input_audio=True)
    (item,) = items_of(user(FilePart("audio/mpeg", b"AB")), quirks=hears)
    assert item["content"] == [{"type": "input_audio", "input_audio": {"data": "QUI=", "format": "mp3"}}]
    with pytest.raises(UnsupportedError, match="by address"):
        said(user(FilePart("audio/wav", Url("https://x.example/a.wav"))), quirks=hears)
    with pytest.raises(UnsupportedError, match="give wav or mp3"):
        said(user(FilePart("audio/odd", b"x")), quirks=hears)


def test_a_file_without_a_name_gets_one_and_a_picture_its_exact_type():
    png = b"\x89PNG\r\n\x1a\n"
    (item,) = items_of(user([FilePart("text/csv", b"a"), FilePart("image/*", png)]))
    assert item["content"][0]["filename"] == "document.csv"
    assert item["content"][1]["image_url"].startswith("data:image/png;base64,")


def test_what_has_no_place_is_refused():
    with pytest.raises(UnsupportedError, match="not the assistant's"):
        said(user(ToolCall("1", "f")))
    with pytest.raises(UnsupportedError, match="kind 'widget'"):
        said(user(OpaquePart("widget")))


def test_items_that_polyvox_has_no_word_for_can_be_said_by_the_caller():
    approval = OpaquePart(
        "mcp_approval_response",
        {OWN: {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}},
    )
    shell = OpaquePart("shell_call_output", {OWN: {"type": "shell_call_output", "call_id": "c", "output": []}})
    items = items_of(user(["hi", approval, "so?"]), Message("tool", (shell,)))
    assert items == [
        {"role": "user", "content": "hi"},
        {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
        {"role": "user", "content": "so?"},
        {"type": "shell_call_output", "call_id": "c", "output": []},
    ]


# The same dialect in and out


def test_a_change_wins_over_what_the_request_said():
    theirs = {
        "model": "m",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        "odd": 1,
        "text": {"format": {"type": "text"}},
        "reasoning": {"effort": "low", "summary": "auto"},
        "user": "u",
        "stream": False,
    }
    request, _ = decode_request(json.dumps(theirs).encode())
    assert (request.reasoning, request.user) == ("low", "u")
    changed = {**{field: getattr(request, field) for field in request.__struct_fields__}, "reasoning": "high"}
    wire = encode_request(GenerateRequest(**changed), ResponsesQuirks(), stream=False)
    assert json.loads(wire.body) == {**theirs, "reasoning": {"effort": "high", "summary": "auto"}}


def test_a_change_to_what_a_tool_of_the_providers_gave_is_sent():
    """A processor that hides what a search found."""
    item = {
        "type": "file_search_call",
        "id": "fs_1",
        "status": "completed",
        "queries": ["q"],
        "results": [{"file_id": "f", "filename": "n.txt", "text": "secret", "score": 0.9}],
    }
    theirs = {"model": "m", "input": [{"role": "user", "content": "hi"}, item, {"role": "user", "content": "so?"}]}
    request, _ = decode_request(json.dumps(theirs).encode())
    call, result = request.messages[1].content
    assert (call.executed, result.content) == (True, (SourcePart(title="n.txt", text="secret"),))
    hidden = ToolResult(result.id, result.name, (SourcePart(title="n.txt", text="***"),), meta=result.meta)
    messages = (request.messages[0], Message("assistant", (call, hidden)), request.messages[2])
    again = encode_request(GenerateRequest(model="m", messages=messages), ResponsesQuirks(), stream=False)
    assert json.loads(again.body)["input"][1] == {**item, "results": [{"filename": "n.txt", "text": "***"}]}


def test_a_service_that_takes_the_plainest_input_alone_gets_nothing_more():
    """Neither ids nor phases, reasoning or hosted tools; several texts are one."""
    own = {OWN: {"item": {"type": "message", "id": "msg", "phase": "commentary"}}}
    shell = OpaquePart("shell_call", {OWN: {"type": "shell_call", "id": "sh"}})
    search = ToolCall("ws", "web_search", "{}", executed=True, meta={OWN: {"item": {"type": "web_search_call"}}})
    answer = assistant(
        [
            ReasoningPart("hm", meta={OWN: {"item": {"id": "rs", "encrypted_content": "e"}}}),
            search,
            TextPart("one", meta={OWN: {"more": "msg"}}),
            TextPart("two", meta=own),
            TextPart("no", refusal=True),
            shell,
        ]
    )
    told, adjustments = said(user("hi"), answer, user("and?"), quirks=ResponsesQuirks(plain_input=True))
    assert told["input"] == [
        {"role": "user", "content": "hi"},
        {"type": "message", "role": "assistant", "content": "one\n\ntwo\n\nno"},
        {"role": "user", "content": "and?"},
    ]
    assert [kind for kind, _, _ in adjustments] == ["dropped"] * 3
