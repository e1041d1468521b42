"""Whole answers of the OpenAI chat wire: what each service really sends, and what a user gets of it."""

from __future__ import annotations

import base64
import json

import pytest

from polyvox.dialects.openai.chat.response import decode_response
from polyvox.errors import DecodeError, OverloadedError, RateLimitError, ServerError
from polyvox.types.generate import Finish
from polyvox.types.parts import (
    FilePart,
    OpaquePart,
    ReasoningPart,
    Source,
    SourcePart,
    TextPart,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Url,
)
from polyvox.types.usage import Usage
from tests.dialects.openai.bodies import body, read

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


def test_a_plain_answer_has_id_model_text_finish_usage_and_its_own_bytes() -> None:
    data = body({"content": "Hello"}, usage={"prompt_tokens": 3, "completion_tokens": 1}, created=7)
    response = decode_response(data)

    assert (response.id, response.model, response.text) == ("c1", "m1", "Hello")
    assert response.finish == Finish("stop", "stop")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (3, 1)
    assert response.raw == data
    assert response.meta == {"openai": {"created": 7}}


def test_white_space_before_the_body_is_no_part_of_it() -> None:
    """OpenRouter keeps the line alive with it."""
    assert decode_response(b"\n   \n\n        " + body({"content": "Hi"}) + b"\n").text == "Hi"


@pytest.mark.parametrize(
    ("held", "kind", "message"),
    [
        ({"error": {"code": 502, "message": "upstream broke"}, "user_id": "u"}, ServerError, "upstream broke"),
        ({"error": "it broke"}, ServerError, "it broke"),
        ({"code": "429", "error": "slow down"}, RateLimitError, "slow down"),
        ({"object": "error", "message": "no room", "code": "capacity_exceeded"}, OverloadedError, "no room"),
        (
            {"id": "c1", "choices": [{"error": {"code": 503, "message": "gone"}, "finish_reason": "error"}]},
            OverloadedError,
            "gone",
        ),
        (
            {
                "id": "c1",
                "choices": [
                    {"index": 0, "message": {"content": "fine"}, "finish_reason": "stop"},
                    {"index": 1, "error": {"code": 503, "message": "gone"}},
                ],
            },
            OverloadedError,
            "gone",
        ),
    ],
)
def test_an_error_under_status_200_is_raised(held, kind, message) -> None:
    with pytest.raises(kind, match=message):
        decode_response(json.dumps(held).encode())


@pytest.mark.parametrize("error", [None, {}, ""])
def test_an_empty_error_member_is_no_error(error) -> None:
    assert decode_response(body({"content": "Hi"}, error=error)).text == "Hi"


@pytest.mark.parametrize("data", [b"{}", b'{"object":"list","data":[]}', b"[]", b'"hello"', b"<html>", b"", b'{"id":'])
def test_what_is_no_answer_is_a_decode_error(data) -> None:
    with pytest.raises(DecodeError):
        decode_response(data)


@pytest.mark.parametrize("content", [None, "", []])
def test_an_answer_without_text_is_an_answer(content) -> None:
    """All tokens were spent on thinking."""
    response = read({"content": content}, finish="length")

    assert response.content == ()
    assert response.finish == Finish("length", "length")


@pytest.mark.parametrize("message", [{"content": None}, {"content": ""}, {}])
def test_tool_calls_may_come_with_no_text_of_any_spelling(message) -> None:
    call = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    response = read({**message, "tool_calls": [call]}, finish="tool_calls")

    assert response.content == (ToolCall("t1", "f", "{}"),)


@pytest.mark.parametrize(
    ("arguments", "text"), [("", ""), ("null", "null"), (None, ""), ('{"a":1}', '{"a":1}'), ({"a": 1}, '{"a":1}')]
)
def test_arguments_are_kept_as_received(arguments, text) -> None:
    response = read({"tool_calls": [{"id": "t1", "function": {"name": "f", "arguments": arguments}}]})

    assert response.tool_calls[0].arguments == text
    assert response.tool_calls[0].decode() in ({}, {"a": 1})


def test_several_calls_stay_several_though_they_share_index_and_id() -> None:
    """Some services give every call the index 0, some the same id, some no id at all."""
    calls = [{"index": 0, "id": "", "function": {"name": name, "arguments": "{}"}} for name in "fgf"]
    same = [{"id": "t", "function": {"name": name, "arguments": "{}"}} for name in "fg"]

    assert [call.name for call in read({"tool_calls": calls}).tool_calls] == ["f", "g", "f"]
    assert [call.name for call in read({"tool_calls": same}).tool_calls] == ["f", "g"]


def test_a_custom_tools_call_has_its_free_text() -> None:
    response = read({"tool_calls": [{"id": "t1", "type": "custom", "custom": {"name": "sum", "input": "4 + 4"}}]})

    assert response.tool_calls == (ToolCall("t1", "sum", "4 + 4", kind="custom"),)


def test_members_filled_with_empty_text_are_no_calls() -> None:
    """Snowflake fills in every member it knows."""
    function = {"name": "f", "arguments": "{}"}
    call = {"id": "t1", "type": "function", "function": function, "custom": {"name": "", "input": ""}}
    empty = {
        "function_call": {"name": "", "arguments": ""},
        "audio": {"id": "", "data": "", "transcript": "", "expires_at": 0},
    }

    assert read({"content": "Hi", "refusal": "", **empty}, finish="").content == (TextPart("Hi"),)
    assert read({"content": None, "tool_calls": [call], **empty}, finish="").content == (ToolCall("t1", "f", "{}"),)


def test_the_old_function_call_is_a_tool_call_that_remembers_its_form() -> None:
    response = read({"content": None, "function_call": {"name": "f", "arguments": '{"a":1}'}}, finish="function_call")

    assert response.tool_calls == (
        ToolCall("function_call", "f", '{"a":1}', meta={"openai": {"form": "function_call"}}),
    )
    assert response.finish == Finish("tool_calls", "function_call")


def test_the_thought_signature_of_a_call_is_kept() -> None:
    extra = {"google": {"thought_signature": "AbC"}}
    response = read({"tool_calls": [{"id": "", "function": {"name": "f"}, "extra_content": extra}]})

    assert response.tool_calls[0].meta == {"openai": {"extra_content": extra}}


def test_what_a_service_says_beside_its_message_is_kept() -> None:
    extra = {"google": {"thought_signature": "AbC"}}
    response = read(
        {"content": "Hi", "extra_content": extra}, system_fingerprint="fp", provider="Someone", timings={"a": 1}
    )

    assert response.meta == {
        "openai": {"extra_content": extra, "system_fingerprint": "fp", "provider": "Someone", "timings": {"a": 1}}
    }


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("tool_calls", "tool_calls"),
        ("content_filter", "content_filter"),
        ("insufficient_system_resource", "error"),
        ("error", "error"),
        ("", "other"),
        (None, "other"),
        ("brand_new_word", "other"),
    ],
)
def test_a_finish_has_a_reason_and_the_wires_own_word(finish, reason) -> None:
    assert read({"content": "Hi"}, finish=finish).finish == Finish(reason, finish)


@pytest.mark.parametrize("finish", ["stop", "", None, "tool_calls"])
def test_tool_calls_are_known_by_being_there(finish) -> None:
    """A forced tool ends with `stop` at OpenAI, with an empty word at Snowflake."""
    response = read({"tool_calls": [{"id": "t", "function": {"name": "f", "arguments": "{}"}}]}, finish=finish)

    assert response.finish == Finish("tool_calls", finish)


def test_a_call_cut_off_by_the_length_limit_is_not_whole() -> None:
    response = read({"tool_calls": [{"id": "t", "function": {"name": "f", "arguments": '{"a'}}]}, finish="length")

    assert response.finish == Finish("length", "length")
    with pytest.raises(DecodeError):
        response.tool_calls[0].decode()


def test_a_refusal_is_kept_and_is_no_text() -> None:
    response = read({"content": None, "refusal": "I will not."})

    assert (response.text, response.refusal) == ("", "I will not.")
    assert response.finish == Finish("content_filter", "stop")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_remembers_the_name_it_came_under(field) -> None:
    response = read({"content": "4", field: "2 + 2"})

    assert response.content == (ReasoningPart("2 + 2", meta={"openai": {"field": field}}), TextPart("4"))


def test_reasoning_under_two_names_is_said_once() -> None:
    response = read({"content": "4", "reasoning_content": "2 + 2", "reasoning": "2 + 2"})

    assert response.reasoning == "2 + 2"
    assert response.content[0].meta == {"openai": {"field": "reasoning_content", "twin": "reasoning"}}


def test_reasoning_details_are_kept_whole_and_in_order() -> None:
    """They have to go back unchanged: a whole answer's items are never joined, though they share an index."""
    details = [
        {"type": "reasoning.text", "text": "one", "index": 0},
        {"type": "reasoning.text", "text": "two", "index": 0, "signature": "s"},
        {"type": "reasoning.encrypted", "data": "xyz", "index": 0},
    ]
    response = read({"content": "4", "reasoning": "onetwo", "reasoning_details": details})
    hidden = read({"content": "4", "reasoning_details": details[2:]})

    assert response.content[0] == ReasoningPart(
        "onetwo", meta={"openai": {"field": "reasoning", "reasoning_details": details}}
    )
    assert hidden.content[0] == ReasoningPart("", True, {"openai": {"reasoning_details": details[2:]}})
    assert read({"reasoning_details": details}).reasoning == "onetwo"


def test_mistrals_thinking_is_reasoning_where_it_stood() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}], "closed": True, "signature": "s"}
    response = read({"content": [thinking, {"type": "text", "text": "4"}, thinking, {"type": "text", "text": "."}]})

    part = ReasoningPart("Hm", meta={"openai": {"field": "thinking", "closed": True, "signature": "s"}})
    assert response.content == (part, TextPart("4"), part, TextPart("."))


def test_an_item_of_no_known_kind_is_kept_as_it_is() -> None:
    item = {"type": "reference", "reference_ids": [1]}

    assert read({"content": [item]}).content == (OpaquePart("reference", {"openai": item}),)


def test_citations_stand_on_the_text() -> None:
    cited = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 5}
    page = {"type": "file", "file": {"hash": "h", "name": "a.pdf"}}
    response = read({"content": "Hello", "annotations": [{"type": "url_citation", "url_citation": cited}, page]})

    assert response.content == (
        TextPart(
            "Hello",
            (
                Source(url="https://a.example", title="A", start=0, end=5),
                Source(meta={"openai": {"annotation": page}}),
            ),
        ),
    )


def test_citations_of_no_text_are_sources() -> None:
    cited = {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}

    assert read({"content": None, "annotations": [cited]}).content == (SourcePart("https://a.example", "A"),)


def test_search_results_are_sources_and_bare_citations_where_there_are_none() -> None:
    result = {"url": "https://a.example", "title": "A", "snippet": "…", "date": "2026-01-01"}
    found = read({"content": "Hi"}, search_results=[result], citations=["https://a.example"])
    cited = read({"content": "Hi"}, citations=["https://a.example"])

    assert found.sources == (SourcePart("https://a.example", "A", "…", {"openai": {"date": "2026-01-01"}}),)
    assert cited.sources == (SourcePart("https://a.example"),)


def test_a_spoken_answer_is_a_file_and_its_transcript() -> None:
    sound = b"ID3" + bytes(20)
    audio = {"id": "a1", "data": base64.b64encode(sound).decode(), "transcript": "Hello", "expires_at": 9}
    response = read({"content": None, "audio": audio})

    assert response.content == (
        FilePart("audio/mpeg", sound, meta={"openai": {"audio": {"id": "a1", "expires_at": 9}}}),
        TextPart("Hello", meta={"openai": {"transcript": True}}),
    )


def test_sound_that_is_no_base64_is_a_decode_error() -> None:
    with pytest.raises(DecodeError, match="base64"):
        read({"audio": {"data": "!!!! this is no sound !!!!"}})


def test_pictures_are_files() -> None:
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    images = [
        {"type": "image_url", "image_url": {"url": url}, "index": 0},
        {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,!"}},
    ]
    response = read({"content": "", "images": images})

    assert response.content == (
        FilePart("image/png", PNG, meta={"openai": {"index": 0}}),
        FilePart("image/*", Url("https://a.example/b.png")),
        FilePart("image/*", Url("data:image/png;base64,!")),
    )


def test_calls_that_the_service_ran_itself_come_with_their_results() -> None:
    """Groq's compound systems."""
    item = {"index": 0, "type": "search", "arguments": '{"query":"owls"}', "output": "Owls are birds."}
    response = read({"content": "Birds.", "executed_tools": [item]})

    _, call, result = response.content
    assert call == ToolCall(
        "executed_0", "search", '{"query":"owls"}', executed=True, meta={"openai": {"executed_tool": item}}
    )
    assert result == ToolResult("executed_0", "search", (TextPart("Owls are birds."),))
    assert response.tool_calls == ()
    assert response.finish == Finish("stop", "stop")


def test_probabilities_stand_on_the_text_and_those_of_no_text_are_kept() -> None:
    token = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": [{"token": "Ho", "logprob": -1}]}
    thought = {"token": "We", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    choice = {"message": {"content": "Hi"}, "logprobs": {"content": [token], "reasoning_content": [thought]}}
    response = decode_response(json.dumps({"choices": [choice]}).encode())

    assert response.content == (
        TextPart("Hi", logprobs=(TokenLogprob("Hi", -0.5, (72, 105), (TokenLogprob("Ho", -1.0),)),)),
    )
    assert response.meta == {"openai": {"logprobs": {"reasoning_content": [thought]}}}


def test_further_choices_are_alternatives_whatever_their_order() -> None:
    choices = [
        {"index": index, "message": {"content": text}, "finish_reason": "stop"}
        for index, text in ((2, "c"), (0, "a"), (1, "b"))
    ]
    response = decode_response(json.dumps({"id": "c1", "choices": choices}).encode())

    assert response.text == "a"
    assert [(other.index, other.text) for other in response.alternatives] == [(2, "c"), (1, "b")]


def test_a_field_of_a_surprising_type_is_kept_aside_and_the_rest_stands() -> None:
    response = decode_response(body({"content": "Hi", "refusal": 7}, created="soon"))

    assert response.text == "Hi"
    assert response.meta["openai"]["unread"] == {"choices[0].message.refusal": 7, "created": "soon"}


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        pytest.param(
            {
                "prompt_tokens": 20,
                "completion_tokens": 9,
                "total_tokens": 29,
                "prompt_tokens_details": {"cached_tokens": 12, "cache_write_tokens": 4, "audio_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 1},
            },
            Usage(20, 9, 12, 4, 5, 2, 1),
            id="openai",
        ),
        pytest.param(
            {
                "prompt_tokens": 20,
                "completion_tokens": 9,
                "total_tokens": 129,
                "completion_tokens_details": {"reasoning_tokens": 100},
                "cost_in_usd_ticks": 5_000_000_000,
            },
            Usage(20, 109, reasoning_tokens=100, reported_cost=0.5),
            id="xai: completion excludes reasoning",
        ),
        pytest.param(
            {
                "prompt_tokens": 29,
                "completion_tokens": 6,
                "total_tokens": 35,
                "prompt_tokens_details": {"cached_tokens": 157},
            },
            Usage(186, 6, 157),
            id="xai: cached beside prompt",
        ),
        pytest.param(
            {"prompt_tokens": 20, "completion_tokens": 9, "prompt_cache_hit_tokens": 12, "prompt_cache_miss_tokens": 8},
            Usage(20, 9, 12),
            id="deepseek",
        ),
        pytest.param(
            {
                "prompt_tokens": 11,
                "completion_tokens": 15,
                "total_tokens": 401,
                "prompt_tokens_details": {"audio_tokens": 375},
            },
            Usage(386, 15, audio_input_tokens=375),
            id="mistral: sound beside prompt",
        ),
        pytest.param(
            {"prompt_tokens": 20, "completion_tokens": 9, "num_cached_tokens": 3}, Usage(20, 9, 3), id="mistral"
        ),
        pytest.param(
            {"prompt_tokens": 66, "completion_tokens": 6, "total_tokens": 100},
            Usage(66, 34),
            id="gemini: thinking only in the total",
        ),
        pytest.param(
            {"prompt_tokens": 2, "completion_tokens": 3, "cost": {"total_cost": 0.006}},
            Usage(2, 3, reported_cost=0.006),
            id="perplexity",
        ),
        pytest.param(
            {"prompt_tokens": 2, "completion_tokens": 3, "cost": 0.25}, Usage(2, 3, reported_cost=0.25), id="openrouter"
        ),
        pytest.param({"prompt_tokens": 2}, Usage(2), id="what is not said is not zero"),
        pytest.param({"prompt_tokens": "many", "completion_tokens": 3}, Usage(None, 3), id="odd"),
    ],
)
def test_usage_is_totals(wire, usage) -> None:
    from msgspec import structs

    response = read({"content": "Hi"}, usage=wire)

    assert response.usage == structs.replace(usage, raw=wire)


def test_an_answer_of_usage_alone_is_an_answer() -> None:
    response = decode_response(b'{"id":"c1","choices":[],"usage":{"prompt_tokens":2}}')

    assert response.content == ()
    assert response.usage.input_tokens == 2
    assert response.finish is None
