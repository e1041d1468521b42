"""Answers as a client of the Responses wire reads them, whole: each item, each way to end, each trap."""

from __future__ import annotations

import json

import pytest

from polyvox.dialects.openai_responses.response import decode_response
from polyvox.dialects.openai_responses.usage import decode_usage, encode_usage
from polyvox.errors import (
    BadRequestError,
    BillingError,
    ContentPolicyError,
    DecodeError,
    OverloadedError,
    ProviderError,
    RateLimitError,
    ServerError,
    TooLargeError,
)
from polyvox.types.generate import Finish
from polyvox.types.parts import OpaquePart, ReasoningPart, Source, TextPart, TokenLogprob, ToolCall
from polyvox.types.usage import Usage
from tests.dialects.openai_responses.answers import (
    OWN,
    USAGE,
    call,
    envelope,
    message,
    reasoning,
    text_part,
    whole,
)


def test_a_text_is_read_with_all_that_stands_around_it():
    body = json.dumps(envelope(message("hi"), service_tier="default", instructions=None)).encode()
    answer = decode_response(body)
    assert (answer.id, answer.model, answer.text, answer.raw) == ("resp_1", "m", "hi", body)
    assert answer.finish == Finish("stop", "completed")
    assert answer.usage == Usage(9, 5, cache_read_tokens=4, reasoning_tokens=2, raw=USAGE)
    assert answer.meta == {OWN: {"created_at": 7, "service_tier": "default"}}


def test_each_part_of_a_message_is_a_part_and_the_last_keeps_what_the_item_says():
    first, second = whole(message("a", "b", phase="commentary")).content
    assert first == TextPart("a", meta={OWN: {"more": "msg_1"}})
    item = {"type": "message", "id": "msg_1", "status": "completed", "phase": "commentary"}
    assert second == TextPart("b", meta={OWN: {"item": item}})


def test_an_answer_may_be_a_string_or_nothing():
    assert whole({"type": "message", "content": "hi"}).text == "hi"
    assert whole(message()).content == ()
    assert whole().finish == Finish("stop", "completed")
    assert whole(output=None).content == ()


def test_a_refusal_is_no_text_and_ends_the_answer():
    answer = whole(message({"type": "refusal", "refusal": "no"}))
    assert (answer.text, answer.refusal) == ("", "no")
    assert answer.finish == Finish("content_filter", "completed")


def test_citations_are_sources_of_their_text():
    cited = [
        {"type": "url_citation", "url": "https://x.example", "title": "X", "start_index": 0, "end_index": 2},
        {"type": "file_citation", "file_id": "f", "filename": "a.txt", "index": 1},
        {"type": "container_file_citation", "container_id": "c", "file_id": "f", "filename": "b.png"},
        {"type": "file_path", "file_id": "f", "index": 0},
        5,
    ]
    (part,) = whole(message(text_part("hi", annotations=cited))).content
    assert [(source.url, source.title, source.start, source.end) for source in part.sources] == [
        ("https://x.example", "X", 0, 2),
        (None, "a.txt", None, None),
        (None, "b.png", None, None),
        (None, None, None, None),
        (None, None, None, None),
    ]
    assert part.sources[0] == Source(url="https://x.example", title="X", start=0, end=2, meta={OWN: cited[0]})


def test_probabilities_stand_with_their_text():
    top = [{"token": "hi", "logprob": -0.1, "bytes": [104, 105]}, {"token": "ho", "logprob": -3}]
    (part,) = whole(message(text_part("hi", logprobs=[{**top[0], "top_logprobs": top}]))).content
    best = TokenLogprob("hi", -0.1, (104, 105))
    assert part.logprobs == (TokenLogprob("hi", -0.1, (104, 105), (best, TokenLogprob("ho", -3.0))),)


def test_reasoning_keeps_what_is_encrypted_whether_it_has_words_or_not():
    (silent,) = whole(reasoning(encrypted_content="e")).content
    assert silent == ReasoningPart(meta={OWN: {"item": {"id": "rs_1", "encrypted_content": "e"}}})
    first, second = whole(reasoning("one", "two", encrypted_content="e", status="completed")).content
    assert first == ReasoningPart("one", meta={OWN: {"more": "rs_1"}})
    item = {"id": "rs_1", "encrypted_content": "e", "status": "completed"}
    assert second == ReasoningPart("two", meta={OWN: {"item": item}})


def test_reasoning_may_be_told_in_full():
    """DeepSeek and gpt-oss: in `content`, with or without a summary beside."""
    told = whole(reasoning("short", content=[{"type": "reasoning_text", "text": "long"}]))
    assert told.reasoning == "short\n\nlong"
    assert [part.meta[OWN].get("type") for part in told.content] == [None, "reasoning_text"]
    assert whole({"type": "reasoning", "content": "plain"}).reasoning == "plain"


def test_a_call_is_linked_by_its_call_id_and_its_item_keeps_its_own():
    answer = whole(reasoning(), call('{ "a" : 1 }'))
    (found,) = answer.tool_calls
    assert (found.id, found.name, found.arguments, found.kind) == ("call_1", "f", '{ "a" : 1 }', "function")
    assert found.meta == {OWN: {"item": {"id": "fc_1", "status": "completed"}}}
    assert answer.finish == Finish("tool_calls", "completed")


def test_a_custom_call_is_free_text():
    answer = whole({"type": "custom_tool_call", "id": "ctc", "call_id": "c", "name": "sql", "input": "select 1"})
    (found,) = answer.tool_calls
    assert (found.id, found.name, found.arguments, found.kind) == ("c", "sql", "select 1", "custom")


@pytest.mark.parametrize(
    ("item", "name", "arguments"),
    [
        (call(None), "call_1", ""),
        (call({"a": 1}), "call_1", '{"a":1}'),
        (call(call_id=None), "fc_1", "{}"),
    ],
)
def test_odd_calls_are_read_as_well_as_they_can_be(item, name, arguments):
    (found,) = whole(item).tool_calls
    assert (found.id, found.arguments) == (name, arguments)


UNKNOWN = [
    {"type": "computer_call", "id": "cu", "call_id": "c", "action": {"type": "click", "x": 1, "y": 2}},
    {"type": "shell_call", "id": "sh", "call_id": "c", "action": {"commands": ["ls"]}, "status": "completed"},
    {"type": "shell_call_output", "id": "so", "call_id": "c", "output": [{"stdout": "a"}]},
    {"type": "local_shell_call", "id": "ls", "call_id": "c", "action": {"type": "exec", "command": ["ls"]}},
    {"type": "apply_patch_call", "id": "ap", "call_id": "c", "operation": {"type": "delete_file", "path": "x"}},
    {"type": "mcp_list_tools", "id": "ml", "server_label": "l", "tools": [{"name": "t"}]},
    {"type": "mcp_approval_request", "id": "ma", "name": "t", "arguments": "{}", "server_label": "l"},
    {"type": "tool_search_call", "id": "ts", "arguments": {"query": "q"}},
    {"type": "tool_search_output", "id": "to", "tools": []},
    {"type": "compaction", "id": "co", "encrypted_content": "e"},
    {"type": "program", "id": "p", "code": "x"},
    {"type": "hologram", "id": "h", "depth": None},
    {"id": "?"},
]


@pytest.mark.parametrize("item", UNKNOWN, ids=lambda item: item.get("type", "none"))
def test_an_item_that_polyvox_has_no_word_for_is_kept_as_it_is(item):
    answer = whole(item, message("hi"))
    assert answer.content[0] == OpaquePart(item.get("type", "unknown"), {OWN: item})
    assert answer.text == "hi"
    assert answer.finish == Finish("stop", "completed")


def test_a_part_that_polyvox_has_no_word_for_is_kept_in_its_place():
    odd = {"type": "hologram", "depth": 3}
    first, second = whole(message(odd, "hi")).content
    assert isinstance(first, OpaquePart) and first.kind == "hologram"
    assert first.meta[OWN]["depth"] == 3
    assert second.text == "hi"


# The end


@pytest.mark.parametrize(
    ("said", "finish"),
    [
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            ("length", "max_output_tokens"),
        ),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, ("content_filter",) * 2),
        ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, ("other", "steered")),
        ({"status": "incomplete"}, ("other", "incomplete")),
        ({"status": "cancelled"}, ("other", "cancelled")),
        ({"status": "requires_action"}, ("stop", "requires_action")),
        ({"status": None}, ("stop", None)),
    ],
)
def test_why_an_answer_ended(said, finish):
    assert whole(message("hi"), **said).finish == Finish(*finish)


def test_a_call_that_was_cut_off_is_told_by_its_length():
    answer = whole(call('{"a'), status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert answer.finish.reason == "length"
    assert answer.tool_calls[0].arguments == '{"a'


def test_an_answer_in_the_background_has_not_ended():
    answer = whole(status="queued", usage=None)
    assert (answer.finish, answer.usage, answer.content) == (None, Usage(), ())
    assert answer.meta[OWN]["status"] == "queued"


def test_more_of_what_is_incomplete_is_kept():
    details = {"reason": "max_output_tokens", "limit": 5}
    answer = whole(status="incomplete", incomplete_details=details)
    assert answer.meta[OWN]["incomplete_details"] == details


# Errors with status 200


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "server_error", "message": "sorry"}, ServerError),
        ({"code": "rate_limit_exceeded", "message": "slow"}, RateLimitError),
        ({"code": "insufficient_quota", "message": "money"}, BillingError),
        ({"code": "bio_policy", "message": "no"}, ContentPolicyError),
        ({"code": "slow_down", "message": "busy"}, OverloadedError),
        ({"code": "image_content_policy_violation", "message": "no"}, ContentPolicyError),
        ({"code": "image_too_large", "message": "big"}, TooLargeError),
        ({"code": "invalid_image_url", "message": "where"}, BadRequestError),
        ({"code": "vector_store_timeout", "message": "late"}, ServerError),
    ],
)
def test_an_answer_that_failed_raises_what_it_says(error, kind):
    with pytest.raises(kind, match=error["message"]) as caught:
        whole(status="failed", error=error)
    assert caught.value.code == error["code"]


def test_an_answer_that_failed_and_does_not_say_why_raises_too():
    with pytest.raises(ServerError, match="did not say why"):
        whole(status="failed")


def test_an_error_in_place_of_an_answer_raises():
    with pytest.raises(ProviderError, match="broke"):
        decode_response(b'{"error":{"message":"broke","code":502}}')
    with pytest.raises(BadRequestError, match="odd"):
        decode_response(b'{"type":"error","code":"invalid_value","message":"odd","param":"input"}')


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"{}", b'{"choices":[]}', b"<html>", b""])
def test_what_is_no_answer_is_said_to_be_none(body):
    with pytest.raises(DecodeError):
        decode_response(body)


# Usage: each service's arithmetic


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (USAGE, Usage(9, 5, cache_read_tokens=4, reasoning_tokens=2)),
        (
            {
                "input_tokens": 100,
                "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
                "output_tokens": 5,
            },
            Usage(100, 5, cache_read_tokens=60, cache_write_tokens=30),
        ),
        (
            {
                "input_tokens": 8,
                "output_tokens": 3,
                "input_tokens_details": {"cache_read_input_tokens": 2, "cache_creation_input_tokens": 1},
                "cost": {"currency": "USD", "total_cost": 0.006},
            },
            Usage(8, 3, cache_read_tokens=2, cache_write_tokens=1, reported_cost=0.006),
        ),
        ({"input_tokens": 8, "output_tokens": 3, "cost": 0.5}, Usage(8, 3, reported_cost=0.5)),
        ({"input_tokens": 8, "cost_in_usd_ticks": 5_000_000_000}, Usage(8, reported_cost=0.5)),
        ({"input_tokens": "8", "output_tokens": 1e999, "input_tokens_details": 5, "cost": "free"}, Usage()),
    ],
)
def test_usage_of_each_service(usage, read):
    decoded = decode_usage(usage)
    assert decoded.raw == usage
    for name in Usage.__struct_fields__:
        if name != "raw":
            assert getattr(decoded, name) == getattr(read, name), name


def test_usage_goes_back_as_it_was_or_as_it_was_changed_to():
    assert encode_usage(decode_usage(USAGE)) == USAGE
    assert encode_usage(Usage()) is None
    told = encode_usage(Usage(9, 5, cache_write_tokens=3, reported_cost=0.5))
    assert told == {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 3},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 14,
        "cost": 0.5,
    }
    assert decode_usage(told).reported_cost == 0.5


def test_a_whole_answer_may_hold_every_kind_at_once():
    answer = whole(reasoning("hm"), message("let me see", phase="commentary"), call(), call(call_id="call_2"))
    assert [type(part) for part in answer.content] == [ReasoningPart, TextPart, ToolCall, ToolCall]
    assert [found.id for found in answer.tool_calls] == ["call_1", "call_2"]
    assert answer.finish.reason == "tool_calls"
