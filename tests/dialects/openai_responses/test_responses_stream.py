"""Streamed answers as a client of the Responses wire reads them: every event, each trap of real traffic."""

from __future__ import annotations

import json

import pytest

from polyvox.dialects.openai_responses.quirks import ResponsesQuirks
from polyvox.dialects.openai_responses.request import encode_request
from polyvox.errors import (
    BadRequestError,
    BillingError,
    DecodeError,
    InterruptedCallError,
    ProviderError,
    RateLimitError,
    ServerError,
)
from polyvox.types.events import (
    PartEnd,
    PartStart,
    ReasoningDelta,
    SourceDelta,
    StreamEnd,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    UsageUpdate,
)
from polyvox.types.fold import fold
from polyvox.types.generate import Finish, GenerateRequest
from polyvox.types.messages import user
from polyvox.types.parts import FilePart, OpaquePart, ReasoningPart, TextPart, ToolCall
from tests.dialects.openai_responses.answers import (
    CREATED,
    HEAD,
    OWN,
    USAGE,
    added,
    call,
    completed,
    done,
    envelope,
    events_of,
    frame,
    message,
    piece,
    reasoning,
    streamed,
    text,
    text_part,
    whole,
)
from tests.laws.grammar import broken

EMPTY = message(status="in_progress")


def of(events, *kinds):
    return [event for event in events if isinstance(event, kinds)]


def test_a_text_comes_piece_by_piece():
    events = events_of(
        CREATED,
        {"type": "response.in_progress", "response": CREATED["response"]},
        added(EMPTY),
        {"type": "response.content_part.added", "output_index": 0, "content_index": 0, "part": text_part("")},
        text("a"),
        text(""),
        text("é😀"),
        {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "aé😀"},
        {"type": "response.content_part.done", "output_index": 0, "content_index": 0, "part": text_part("aé😀")},
        done(message("aé😀")),
        completed(message("aé😀")),
    )
    assert broken(events) is None
    assert events[0] == StreamStart("resp_1", "m")
    assert [event.text for event in of(events, TextDelta)] == ["a", "é😀"]
    assert len(of(events, UsageUpdate)) == 1
    assert events[-1] == StreamEnd(Finish("stop", "completed"), meta={OWN: {"created_at": 7}})


def test_a_streamed_answer_is_the_whole_one():
    items = [reasoning("hm", encrypted_content="e"), message("hi", phase="final_answer"), call('{"a":1}')]
    frames = [
        CREATED,
        added({"type": "reasoning", "id": "rs_1", "summary": []}),
        piece("reasoning_summary_text", "hm", summary_index=0),
        done(items[0]),
        added(EMPTY, 1),
        text("h", 1),
        text("i", 1),
        done(items[1], 1),
        added(call("", status="in_progress"), 2),
        piece("function_call_arguments", '{"a"', 2, item_id="fc_1"),
        piece("function_call_arguments", ":1}", 2, item_id="fc_1"),
        {"type": "response.function_call_arguments.done", "output_index": 2, "arguments": '{"a":1}'},
        done(items[2], 2),
        completed(*items),
    ]
    ours, theirs = streamed(*frames), whole(*items)
    assert ours.content == theirs.content
    assert (ours.finish, ours.usage, ours.meta) == (theirs.finish, theirs.usage, theirs.meta)


def test_a_character_cut_between_two_pieces_is_joined():
    cut, rest = (json.dumps(text("?")).replace('"?"', half).encode() for half in ('"a\\ud83d"', '"\\ude00b"'))
    assert streamed(CREATED, added(EMPTY), text("x"), cut, rest, text("y"), completed()).text == "xa😀by"
    assert streamed(CREATED, added(EMPTY), cut, completed()).text == "a\ufffd"


def test_parts_of_one_message_follow_each_other():
    events = events_of(CREATED, added(EMPTY), text("a"), text("b", place=1), text("c", place=1), completed())
    assert broken(events) is None
    first, second = of(events, PartEnd)
    assert first.meta[OWN] == {"more": "msg_1"}
    assert second.meta[OWN]["item"]["id"] == "msg_1"
    assert streamed(CREATED, added(EMPTY), text("a"), text("b", place=1), completed()).text == "ab"


def test_items_may_come_at_the_same_time():
    """Pieces of two calls in turn: each goes to its own."""
    answer = streamed(
        CREATED,
        added(call("", id="fc_1", call_id="c1", name="f"), 0),
        added(call("", id="fc_2", call_id="c2", name="g"), 1),
        piece("function_call_arguments", "[1", 0),
        piece("function_call_arguments", "[2", 1),
        piece("function_call_arguments", "]", 0),
        piece("function_call_arguments", "]", 1),
        completed(),
    )
    assert [(one.id, one.name, one.arguments) for one in answer.tool_calls] == [("c1", "f", "[1]"), ("c2", "g", "[2]")]
    assert answer.finish.reason == "tool_calls"


# What llama.cpp's server and others leave out


def test_an_answer_that_is_said_to_begin_before_every_piece_begins_once():
    """llama.cpp: `response.created` again and again, and pieces without any place."""
    bare = {"type": "response.output_text.delta", "item_id": "msg_1"}
    events = events_of(
        CREATED,
        {"type": "response.output_item.added", "item": EMPTY},
        {"type": "response.content_part.added", "item_id": "msg_1", "part": text_part("")},
        {**bare, "delta": "a"},
        CREATED,
        {**bare, "delta": "b"},
        CREATED,
        {"type": "response.in_progress", "response": CREATED["response"]},
        {**bare, "delta": "c"},
        {"type": "response.output_item.done", "item": message("abc")},
        completed(message("abc")),
    )
    assert broken(events) is None
    assert len(of(events, StreamStart)) == 1
    assert len(of(events, PartStart)) == 1
    assert [event.text for event in of(events, TextDelta)] == ["a", "b", "c"]


def test_pieces_that_name_nothing_are_the_last_items():
    answer = streamed(
        CREATED,
        {"type": "response.output_item.added", "item": {"type": "reasoning", "id": "rs_1"}},
        {"type": "response.reasoning_text.delta", "delta": "hm"},
        {"type": "response.output_item.done", "item": reasoning(content=[{"type": "reasoning_text", "text": "hm"}])},
        {"type": "response.output_item.added", "item": call("")},
        {"type": "response.function_call_arguments.delta", "delta": "{}"},
        {"type": "response.output_item.done", "item": call()},
        completed(),
    )
    assert (answer.reasoning, answer.tool_calls[0].arguments) == ("hm", "{}")
    assert len(answer.content) == 2


def test_pieces_of_an_item_that_never_began_begin_it():
    answer = streamed(
        text("a"), text("b"), {"type": "response.refusal.delta", "output_index": 1, "delta": "no"}, completed()
    )
    assert (answer.text, answer.refusal) == ("ab", "no")


def test_what_came_in_no_piece_comes_with_its_end():
    """The rest of a text, its citations, its probabilities; a call's arguments."""
    cited = {"type": "url_citation", "url": "https://x.example", "start_index": 0, "end_index": 1}
    likely = [{"token": "ab", "logprob": -1, "top_logprobs": []}]
    ended = message(text_part("ab", annotations=[cited], logprobs=likely))
    events = events_of(
        CREATED, added(EMPTY), text("a"), done(ended), added(call(""), 1), done(call("[1]"), 1), completed()
    )
    assert [event.text for event in of(events, TextDelta)] == ["a", "b"]
    assert of(events, TextDelta)[1].logprobs[0].token == "ab"
    assert [event.source.url for event in of(events, SourceDelta)] == ["https://x.example"]
    assert [event.arguments for event in of(events, ToolCallDelta)] == ["[1]"]


def test_an_item_may_come_with_its_end_alone_or_with_the_last_event_alone():
    expected = whole(reasoning("hm"), message("hi"), call())
    late = streamed(CREATED, done(reasoning("hm")), done(message("hi"), 1), done(call(), 2), completed())
    latest = streamed(CREATED, completed(reasoning("hm"), message("hi"), call()))
    assert late.content == latest.content == expected.content
    assert late.finish == expected.finish


def test_what_is_said_twice_is_read_once():
    item = message("hi")
    answer = streamed(CREATED, added(item), done(item), done(item), completed(item), completed(item))
    assert [part.text for part in answer.content] == ["hi"]


@pytest.mark.parametrize("ended", [True, False])
def test_what_is_called_and_counted_otherwise_at_the_end_is_read_once(ended):
    """Some servers give other ids and places in the last event."""
    frames = [
        CREATED,
        added(EMPTY, 3),
        text("hi", 3),
        *([done(message("hi"), 3)] if ended else []),
        added(call(""), 5),
        piece("function_call_arguments", "[1]", 5),
        *([done(call("[1]"), 5)] if ended else []),
    ]
    items = [reasoning("hm"), message("hi"), call("[1]")]
    last = completed(*({**item, "id": f"other_{item['id']}"} for item in items))
    answer = streamed(*frames, last)
    assert (answer.text, answer.reasoning) == ("hi", "hm")
    assert [one.arguments for one in answer.tool_calls] == ["[1]"]


def test_a_call_begins_when_its_name_is_known():
    nameless = {"type": "function_call", "id": "fc_1", "arguments": ""}
    events = events_of(
        CREATED, added(nameless), piece("function_call_arguments", "[1"), piece("function_call_arguments", "]"),
        done(call("[1]")), completed(),
    )  # fmt: skip
    assert broken(events) is None
    assert of(events, PartStart)[0].part.name == "f"
    assert "".join(event.arguments for event in of(events, ToolCallDelta)) == "[1]"


# Reasoning


def test_each_summary_is_a_part_and_what_is_encrypted_comes_from_the_end_alone():
    events = events_of(
        CREATED,
        added({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "half"}),
        {"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 0, "part": {}},
        piece("reasoning_summary_text", "one", summary_index=0),
        {"type": "response.reasoning_summary_text.done", "output_index": 0, "summary_index": 0, "text": "one"},
        {"type": "response.reasoning_summary_part.done", "output_index": 0, "summary_index": 0, "part": {}},
        piece("reasoning_summary_text", "two", summary_index=1),
        done(reasoning("one", "two", encrypted_content="all of it")),
        completed(),
    )
    assert broken(events) is None
    assert [event.text for event in of(events, ReasoningDelta)] == ["one", "two"]
    first, second = of(events, PartEnd)
    assert first.meta[OWN] == {"more": "rs_1"}
    assert second.meta[OWN]["item"] == {"id": "rs_1", "encrypted_content": "all of it"}


def test_reasoning_without_a_word_is_kept_for_what_is_encrypted():
    answer = streamed(CREATED, added(reasoning()), done(reasoning(encrypted_content="e")), completed())
    assert answer.content == (ReasoningPart(meta={OWN: {"item": {"id": "rs_1", "encrypted_content": "e"}}}),)


def test_reasoning_in_full_is_marked_as_such():
    ended = reasoning(content=[{"type": "reasoning_text", "text": "hm"}])
    answer = streamed(
        CREATED, added(reasoning()), piece("reasoning_text", "h", content_index=0),
        piece("reasoning_text", "m", content_index=0), done(ended), completed(),
    )  # fmt: skip
    assert answer.content == whole(ended).content


# Text, refusals, citations, custom tools


def test_a_refusal_comes_in_pieces_too():
    refused = message({"type": "refusal", "refusal": "no way"})
    answer = streamed(
        CREATED, added(EMPTY), piece("refusal", "no", content_index=0), piece("refusal", " way", content_index=0),
        {"type": "response.refusal.done", "output_index": 0, "content_index": 0, "refusal": "no way"},
        done(refused), completed(refused),
    )  # fmt: skip
    assert (answer.refusal, answer.finish.reason) == ("no way", "content_filter")
    assert answer.content == whole(refused).content


def test_citations_come_as_they_are_added():
    cited = {"type": "url_citation", "url": "https://x.example", "title": "X", "start_index": 0, "end_index": 1}
    ended = message(text_part("a", annotations=[cited, cited]))
    events = events_of(
        CREATED, added(EMPTY), text("a"),
        {"type": "response.output_text.annotation.added", "output_index": 0, "content_index": 0, "annotation": cited},
        done(ended), completed(),
    )  # fmt: skip
    sources = [event.source for event in of(events, SourceDelta)]
    assert sources == list(whole(ended).content[0].sources)


def test_probabilities_come_with_their_pieces():
    likely = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]
    answer = streamed(CREATED, added(EMPTY), text("a", logprobs=likely), done(message("a")), completed())
    assert [(token.token, token.logprob) for token in answer.content[0].logprobs] == [("a", -0.5)]


def test_a_custom_tools_input_comes_in_pieces():
    item = {"type": "custom_tool_call", "id": "ctc", "call_id": "c", "name": "sql", "input": ""}
    answer = streamed(
        CREATED, added(item), piece("custom_tool_call_input", "sel"), piece("custom_tool_call_input", "ect"),
        {"type": "response.custom_tool_call_input.done", "output_index": 0, "input": "select"},
        done({**item, "input": "select"}), completed(),
    )  # fmt: skip
    assert [(one.kind, one.arguments) for one in answer.tool_calls] == [("custom", "select")]


def test_a_spoken_answer_is_a_sound_and_a_text():
    """Base64 cut anywhere; and what was spoken goes back as text."""
    events = events_of(
        CREATED,
        {"type": "response.audio.delta", "delta": "QU"},
        {"type": "response.audio.transcript.delta", "delta": "h"},
        {"type": "response.audio.delta", "delta": "JDRE"},
        {"type": "response.audio.transcript.delta", "delta": "i"},
        {"type": "response.audio.delta", "delta": "U="},
        {"type": "response.audio.done"},
        {"type": "response.audio.transcript.done"},
        completed(),
    )
    assert broken(events) is None
    answer = fold(events)
    assert answer.text == "hi"
    (sound,) = of(answer.content, FilePart)
    assert (sound.media_type, sound.data) == ("audio/*", b"ABCDE")
    request = GenerateRequest(model="m", messages=(answer.message, user("and?")))
    body = json.loads(encode_request(request, ResponsesQuirks(), stream=False).body)
    assert [item["content"] for item in body["input"]] == [
        [{"type": "output_text", "text": "hi", "annotations": []}],
        "and?",
    ]
    with pytest.raises(DecodeError, match="no valid base64"):
        events_of(CREATED, {"type": "response.audio.delta", "delta": "!!!!"}, completed())


# What nobody knows yet


@pytest.mark.parametrize(
    "event",
    [
        {"type": "keepalive", "sequence_number": 4},
        {"type": "response.compaction.compacting"},
        {"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws"},
        {"type": "response.mcp_list_tools.in_progress", "output_index": 0},
        {"type": "response.shell_call_command.delta", "output_index": 0, "command_index": 0, "delta": "ls"},
        {"type": "response.shell_call_output_content.delta", "output_index": 0, "delta": {"stdout": "a"}},
        {"type": "response.audio.done"},
        {"type": "response.hologram.delta", "delta": "x"},
        {"type": "hologram"},
        {},
        {"type": "response.output_item.added"},
        {"type": "response.output_item.added", "item": 5, "output_index": "0"},
        {"type": "response.output_text.delta", "delta": None},
        {"type": "response.output_text.annotation.added", "output_index": 9, "annotation": {}},
        {"type": "response.content_part.added", "output_index": 9, "part": 5},
    ],
    ids=json.dumps,
)
def test_an_event_that_polyvox_does_not_know_is_passed_over(event):
    events = events_of(CREATED, added(EMPTY, 1), text("a", 1), event, text("b", 1), done(message("ab"), 1), completed())
    assert broken(events) is None
    assert "".join(one.text for one in of(events, TextDelta)) == "ab"


def test_an_item_that_polyvox_has_no_word_for_is_kept_as_its_end_tells_it():
    shell = {"type": "shell_call", "id": "sh", "call_id": "c", "action": {"commands": ["ls"]}, "status": "completed"}
    events = events_of(
        CREATED,
        added({**shell, "action": {"commands": []}, "status": "in_progress"}),
        {"type": "response.shell_call_command.added", "output_index": 0, "command_index": 0, "command": ""},
        {"type": "response.shell_call_command.delta", "output_index": 0, "command_index": 0, "delta": "ls"},
        {"type": "response.shell_call_command.done", "output_index": 0, "command_index": 0, "command": "ls"},
        done(shell),
        completed(shell),
    )
    assert broken(events) is None
    assert [event.part for event in of(events, PartStart)] == [OpaquePart("shell_call", {OWN: shell})]


# The end


def test_a_cut_off_answer_ends_incomplete():
    said = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    ended = {"type": "response.incomplete", "response": envelope(message("a"), **said)}
    answer = streamed(CREATED, added(EMPTY), text("a"), done(message("a")), ended)
    assert (answer.text, answer.finish) == ("a", Finish("length", "max_output_tokens"))
    assert answer.usage.output_tokens == 5


@pytest.mark.parametrize(
    ("kind", "finish"),
    [
        ("response.completed", Finish("stop")),
        ("response.done", Finish("stop")),
        ("response.incomplete", Finish("other", "incomplete")),
        ("response.cancelled", Finish("other", "cancelled")),
    ],
)
def test_an_end_without_an_answer_ends_by_its_name(kind, finish):
    answer = streamed(added(EMPTY), text("a"), {"type": kind})
    assert (answer.text, answer.finish) == ("a", finish)


def test_an_end_mark_is_an_end():
    """OpenRouter: no event names, and `[DONE]` after the last."""
    answer = streamed(CREATED, added(EMPTY), text("a"), completed(message("a")), frame(b"[DONE]"))
    assert (answer.text, answer.finish) == ("a", Finish("stop", "completed"))
    assert streamed(CREATED, added(EMPTY), text("a"), frame(b" [DONE]\n")).finish == Finish("stop")


def test_a_stream_that_breaks_off_raises():
    with pytest.raises(InterruptedCallError):
        events_of(CREATED, added(EMPTY), text("a"))
    with pytest.raises(InterruptedCallError):
        events_of()


def test_an_answer_in_the_background_has_no_finish_yet():
    queued = {**HEAD, "status": "queued", "output": []}
    answer = streamed({"type": "response.queued", "response": queued}, {"type": "response.done", "response": queued})
    assert (answer.finish, answer.meta[OWN]["status"]) == (None, "queued")


def test_a_streamed_request_may_be_answered_whole():
    assert streamed(envelope(message("hi"))).text == "hi"
    assert streamed(envelope(message("hi"))).content == whole(message("hi")).content


def test_a_further_answer_in_the_same_body_is_added():
    first = [CREATED, added(EMPTY), text("a"), done(message("a")), completed(message("a"))]
    answer = streamed(*first, *first)
    assert [part.text for part in answer.content] == ["a", "a"]


def test_the_name_of_an_event_may_stand_beside_it_alone():
    said = {"output_index": 0, "content_index": 0, "delta": "a"}
    answer = streamed(CREATED, added(EMPTY), frame(said, "response.output_text.delta"), completed())
    assert answer.text == "a"


def test_usage_so_far_is_told_once_each():
    early = {"type": "response.in_progress", "response": {**CREATED["response"], "usage": USAGE}}
    events = events_of(CREATED, early, early, completed())
    assert len(of(events, UsageUpdate)) == 1


# Errors


NESTED = {"type": "error", "error": {"type": "tokens", "code": "rate_limit_exceeded", "message": "slow down"}}
FLAT = {"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": None}
FAILED = {
    "type": "response.failed",
    "response": envelope(status="failed", error={"code": "rate_limit_exceeded", "message": "slow down"}),
}


@pytest.mark.parametrize("event", [NESTED, FLAT, FAILED], ids=["nested", "flat", "failed"])
def test_an_error_amid_a_stream_raises(event):
    with pytest.raises(RateLimitError, match="slow down") as caught:
        events_of(CREATED, added(EMPTY), text("a"), event)
    assert (caught.value.code, caught.value.retryable) == ("rate_limit_exceeded", True)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "error", "error": {"code": "insufficient_quota", "message": "money"}}, BillingError),
        ({"type": "error", "code": "invalid_value", "message": "odd"}, BadRequestError),
        ({"type": "error", "message": "sorry"}, ServerError),
        ({"type": "error"}, ProviderError),
        ({"type": "error", "error": "plain words"}, ProviderError),
        ({"error": {"message": "Provider returned error", "code": 502}, "user_id": "u"}, ServerError),
        ({"type": "response.failed"}, ServerError),
        ({"type": "response.failed", "error": {"code": "server_error", "message": "sorry"}}, ServerError),
        ({"type": "response.failed", "response": {"status": "failed", "error": None}}, ServerError),
        ({"type": "response.completed", "response": {"status": "failed", "error": {"message": "no"}}}, ServerError),
        ({"type": "response.created", "response": {"error": {"code": "server_error", "message": "no"}}}, ServerError),
    ],
)
def test_each_shape_of_an_error_is_read(event, kind):
    with pytest.raises(kind) as caught:
        events_of(CREATED, event)
    assert caught.value.message


def test_a_frame_that_is_no_event_is_said_to_be_none():
    for data in (b"5", b"[]", b'"x"', b"<html>"):
        with pytest.raises(DecodeError):
            events_of(CREATED, frame(data))


def test_an_error_frame_by_its_event_name():
    with pytest.raises(RateLimitError):
        events_of(CREATED, frame({"error": NESTED["error"]}, "error"))


def test_a_call_keeps_its_arguments_whatever_comes_between():
    answer = streamed(
        CREATED, added(call("")), piece("function_call_arguments", "{"), {"type": "keepalive"}, CREATED,
        piece("function_call_arguments", "}"), completed(call("{}")),
    )  # fmt: skip
    (found,) = answer.content
    assert isinstance(found, ToolCall) and found.arguments == "{}"
    assert not of(answer.content, TextPart)
