"""Answers on the Ollama wire, whole and streamed: each trap of it."""

from __future__ import annotations

import json

import pytest
from msgspec import structs

from polyvox.dialects.ollama.response import decode_response
from polyvox.dialects.ollama.stream import StreamDecoder
from polyvox.errors import DecodeError, InterruptedCallError, ServerError
from polyvox.framing.base import Frame
from polyvox.framing.ndjson import NDJSONFramer
from polyvox.types.events import PartEnd, PartStart, ReasoningDelta, StreamEnd, StreamStart, TextDelta, UsageUpdate
from polyvox.types.fold import fold
from polyvox.types.generate import Finish
from polyvox.types.parts import FilePart, ReasoningPart, TextPart, TokenLogprob
from polyvox.types.usage import Usage

END = {"done": True, "done_reason": "stop"}
PNG = "iVBORw0KGgo="
THOUGHT = {"ollama": {"thinking": True}}


def whole(message=None, **members):
    said = {"role": "assistant", "content": "", **(message or {})}
    return decode_response(json.dumps({"model": "m", "message": said, **END, **members}).encode())


def line(content="", **members):
    message = {"role": "assistant", "content": content, **members.pop("message", {})}
    return {"model": "m", "created_at": "t", "message": message, "done": False, **members}


def lists_of(*lines):
    decoder = StreamDecoder()
    return [*(decoder.feed(Frame(json.dumps(one).encode())) for one in lines), decoder.close()]


def streamed(*lines):
    return fold([event for events in lists_of(*lines) for event in events])


def call(name="f", arguments=None, **members):
    return {"function": {"name": name, "arguments": {} if arguments is None else arguments}, **members}


# Text and thinking


def test_a_stream_of_text_is_told_piece_by_piece():
    lists = lists_of(line("Hi"), line(" you"), line("", **END, eval_count=2, prompt_eval_count=5, total_duration=9))
    usage = Usage(5, 2, raw={"eval_count": 2, "prompt_eval_count": 5, "total_duration": 9})
    assert lists == [
        [StreamStart(model="m"), PartStart(0, TextPart("")), TextDelta(0, "Hi")],
        [TextDelta(0, " you")],
        [UsageUpdate(usage)],
        [PartEnd(0), StreamEnd(Finish("stop", "stop"), meta={"ollama": {"created_at": "t"}})],
    ]


def test_thinking_and_text_are_one_part_each_however_they_alternate():
    lines = [
        line(message={"thinking": "a"}),
        line(message={"thinking": "b"}),
        line("x"),
        line(message={"thinking": "c"}),
        line("y", message={"thinking": "d"}),
        line(**END),
    ]
    assert lists_of(*lines)[1] == [ReasoningDelta(0, "b")]
    assert streamed(*lines).content == (ReasoningPart("abcd", meta=THOUGHT), TextPart("xy"))


def test_a_whole_answer_has_its_thinking_first():
    response = whole({"content": "2", "thinking": "hm"})
    assert response.content == (ReasoningPart("hm", meta=THOUGHT), TextPart("2"))
    assert (response.model, response.id, response.finish) == ("m", None, Finish("stop", "stop"))


def test_an_empty_answer_has_no_parts():
    assert whole().content == streamed(line(), line(**END)).content == ()


def test_a_last_line_without_a_message_ends_an_answer():
    assert streamed(line("Hi"), {"model": "m", "done": True}).text == "Hi"


def test_a_last_line_may_hold_the_last_piece():
    assert streamed(line("Hi"), line(" you", **END)).text == "Hi you"


def test_a_character_cut_between_two_lines_is_joined():
    cut = [b'{"message":{"content":"a\\ud83d"},"done":false}', b'{"message":{"content":"\\ude00b"},"done":false}']
    decoder = StreamDecoder()
    events = [event for data in (*cut, b'{"done":true}') for event in decoder.feed(Frame(data))] + decoder.close()
    assert fold(events).text == "a\U0001f600b"


def test_lines_are_cut_at_line_feeds_only():
    body = '{"message":{"content":"a\u2028b\u0085c"},"done":false}\r\n\n{"done":true}'.encode()
    framer, decoder = NDJSONFramer(), StreamDecoder()
    events = [event for frame in framer.feed(body) + framer.close() for event in decoder.feed(frame)]
    assert fold(events + decoder.close()).text == "a\u2028b\u0085c"


# Calls


def test_calls_come_whole_and_end_with_stop():
    response = streamed(
        line(message={"tool_calls": [call("f", {"x": 1}, id="c1")]}),
        line(message={"tool_calls": [call("g", id="c2")]}),
        line(**END),
    )
    assert [(one.id, one.name, one.arguments) for one in response.tool_calls] == [
        ("c1", "f", '{"x": 1}'),
        ("c2", "g", "{}"),
    ]
    assert response.finish == Finish("tool_calls", "stop")
    assert whole({"tool_calls": [call()]}).finish == Finish("tool_calls", "stop")


def test_a_call_that_is_cut_off_by_length_is_told_as_cut_off():
    assert whole({"tool_calls": [call()]}, done_reason="length").finish == Finish("length", "length")


def test_arguments_are_kept_as_they_were_written():
    body = b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"x":1.0, "y":[ ]}}}]},"done":true}'
    assert decode_response(body).tool_calls[0].arguments == '{"x":1.0, "y":[ ]}'


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(None, "{}"), ("", "{}"), ('{"x":1}', '{"x":1}'), ("cut {", "cut {"), ([1], "[1]"), ({}, "{}")],
)
def test_arguments_of_another_type_are_kept(arguments, text):
    held = {"function": {"name": "f", "arguments": arguments}}
    assert whole({"tool_calls": [held]}).tool_calls[0].arguments == text


def test_arguments_that_are_left_out_are_none():
    assert whole({"tool_calls": [{"function": {"name": "f"}}]}).tool_calls[0].arguments == "{}"


def test_a_call_without_an_id_gets_one_of_its_own_each_time_the_same():
    body = {"tool_calls": [call("f", {"x": 1}), call("f", {"x": 1}), call("f", {"x": 2}, id="")]}
    first, second = whole(body).tool_calls, whole(body).tool_calls
    assert len({one.id for one in first}) == 3
    assert [one.id for one in first] == [one.id for one in second]
    assert all(one.id.startswith("made_") for one in first)
    later = whole(body, created_at="later").tool_calls
    assert {one.id for one in later}.isdisjoint(one.id for one in first)


def test_what_else_a_call_says_is_kept():
    held = {"type": "function", "function": {"index": 2, "name": "f", "arguments": {}}, "odd": None, "more": 1}
    (one,) = whole({"tool_calls": [held]}).tool_calls
    assert one.meta == {"ollama": {"type": "function", "more": 1, "function": {"index": 2}}}


def test_pictures_of_an_answer_are_files():
    for response in (whole({"images": [PNG]}), streamed(line(message={"images": [PNG]}), line(**END))):
        assert response.content == (FilePart("image/png", b"\x89PNG\r\n\x1a\n"),)


# The end


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", Finish("stop", "stop")),
        ("length", Finish("length", "length")),
        ("load", Finish("other", "load")),
        ("unload", Finish("other", "unload")),
        ("tomorrow's", Finish("other", "tomorrow's")),
        (None, Finish("other")),
    ],
)
def test_why_an_answer_ended(reason, finish):
    assert whole(done_reason=reason).finish == streamed(line(done=True, done_reason=reason)).finish == finish


def test_a_whole_answer_that_is_not_done_does_not_say_why_it_ended():
    assert whole(done=False, done_reason=None).finish is None


@pytest.mark.parametrize("lines", [[], [line("Hi")], [line("Hi"), {"status": "odd"}]])
def test_a_stream_without_a_last_line_was_broken_off(lines):
    with pytest.raises(InterruptedCallError, match="broke off"):
        lists_of(*lines)


def test_a_line_after_the_last_one_takes_nothing_back():
    response = streamed(line("Hi"), line(done=True, done_reason="length"), {"done": True, "eval_count": 3})
    assert (response.finish, response.usage.output_tokens) == (Finish("length", "length"), 3)
    late = streamed(line(**END), line(message={"tool_calls": [call()]}))
    assert late.finish == Finish("tool_calls", "stop")


def body_of(*lines):
    return "\n".join(json.dumps(one) for one in lines).encode() + b"\n"


def test_a_server_that_streams_whatever_it_is_asked_is_read_as_a_whole():
    lines = [line("Hi", message={"thinking": "hm"}), line(" you"), {**END, "eval_count": 2}]
    body = body_of(*lines)
    response = decode_response(body)
    assert (response.text, response.reasoning, response.raw) == ("Hi you", "hm", body)
    assert structs.replace(response, raw=None) == streamed(*lines)
    assert decode_response(json.dumps(line("Hi", **END), indent=2).encode()).text == "Hi"


@pytest.mark.parametrize(
    ("last", "kind"),
    [(line(), InterruptedCallError), ({"error": "boom"}, ServerError), ({"odd": 1}, DecodeError)],
)
def test_a_stream_that_was_not_asked_for_may_fail_as_any_other(last, kind):
    with pytest.raises(kind):
        decode_response(body_of(line("Hi"), last))


def test_lines_that_are_no_messages_are_passed_over():
    assert streamed({"status": "loading"}, [1], "x", line("Hi"), {"odd": 1}, line(**END)).text == "Hi"


def test_a_whole_answer_in_one_line_is_a_stream_too():
    said = line("Hi", message={"thinking": "hm", "tool_calls": [call("f", {"x": 1})]}, **END, eval_count=3)
    response = decode_response(json.dumps(said).encode())
    assert streamed(said) == structs.replace(response, raw=None)


@pytest.mark.parametrize(
    ("metrics", "usage"),
    [
        ({}, Usage()),
        ({"prompt_eval_count": 5, "eval_count": 2}, Usage(5, 2, raw={"prompt_eval_count": 5, "eval_count": 2})),
        # The prompt was cached: not known, not zero.
        ({"eval_count": 2, "eval_duration": 7}, Usage(None, 2, raw={"eval_count": 2, "eval_duration": 7})),
        ({"prompt_eval_count": 0}, Usage(0, raw={"prompt_eval_count": 0})),
        ({"eval_count": 2.0}, Usage(None, 2, raw={"eval_count": 2.0})),
        ({"eval_count": "2"}, Usage(raw={"eval_count": "2"})),
        ({"eval_count": True}, Usage(raw={"eval_count": True})),
    ],
)
def test_usage_is_what_is_said_of_it(metrics, usage):
    assert whole(**metrics).usage == streamed(line(**END, **metrics)).usage == usage


# What is rare


def test_probabilities_stand_on_the_text_those_of_thinking_before_it():
    lines = [
        line(message={"thinking": "h"}, logprobs=[{"token": "h", "logprob": -1}]),
        line("a", logprobs=[{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]),
        line("b", logprobs=[{"token": "b", "logprob": -2.0}, {"token": 5}, None]),
        line(**END),
    ]
    tokens = (TokenLogprob("h", -1.0), TokenLogprob("a", -0.5, (97,)), TokenLogprob("b", -2.0))
    assert streamed(*lines).content[1] == TextPart("ab", logprobs=tokens)


def test_probabilities_without_a_text_are_kept():
    said = [{"token": "h", "logprob": -1.0}]
    assert whole({"thinking": "h"}, logprobs=said).meta == {"ollama": {"logprobs": said}}


def test_members_that_nobody_knows_are_kept():
    said = {"remote_model": "big", "remote_host": "https://ollama.com", "odd": {"a": 1}}
    assert whole({"odd": 1}, **said).meta == {"ollama": {**said, "message": {"odd": 1}}}
    response = streamed(line("a", **said), line("b", message={"odd": 1}), line("c", odd=2), line(**END))
    assert response.text == "abc"
    assert response.meta == {"ollama": {**said, "odd": 2, "created_at": "t", "message": {"odd": 1}}}


@pytest.mark.parametrize("odd", [5, [1], {"a": 1}, True])
def test_members_of_a_surprising_type_kill_nothing_and_are_kept(odd):
    message = {"content": odd, "thinking": "hm"}
    response = streamed(line(message=message), line("Hi"), line(**END))
    assert (response.reasoning, response.text) == ("hm", "Hi")
    assert response.meta["ollama"]["message"] == {"content": odd}


@pytest.mark.parametrize("message", [{"tool_calls": [5, call()]}, {"images": ["no base64!", PNG]}])
def test_items_that_cannot_be_read_are_kept_beside_those_that_can(message):
    response = whole(message)
    assert len(response.content) == 1
    assert response.meta["ollama"]["unread"] == next(iter(message.values()))[:1]


@pytest.mark.parametrize("body", [b"[]", b"5", b'{"response":"Hi","done":true}', b'{"message":"Hi"}', b"<html>", b""])
def test_a_body_that_is_no_answer_is_named_as_such(body):
    with pytest.raises(DecodeError):
        decode_response(body)
