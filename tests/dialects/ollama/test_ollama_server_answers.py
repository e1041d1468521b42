"""Answers as a server of this wire writes them."""

from __future__ import annotations

import json

import pytest
from msgspec import structs

from polyvox.dialects.ollama.answer import StreamEncoder, encode_response
from polyvox.dialects.ollama.response import decode_response
from polyvox.dialects.ollama.stream import StreamDecoder
from polyvox.framing.ndjson import NDJSONFramer
from polyvox.types.events import (
    FileDelta,
    PartEnd,
    PartStart,
    ReasoningDelta,
    StreamEnd,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    UsageUpdate,
)
from polyvox.types.fold import fold, unfold
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.parts import (
    FileId,
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

STOP = Finish("stop")
PNG = b"\x89PNG\r\n\x1a\n"
WHEN = {"ollama": {"created_at": "2026-11-21T10:00:00Z"}}


def body_of(*content, **facts):
    facts = {"model": "m", "finish": STOP, "meta": WHEN, **facts}
    return json.loads(encode_response(GenerateResponse(content=content, **facts)))


def lines_of(*lists):
    encoder = StreamEncoder(GenerateRequest(model="asked", messages=()))
    pieces = [line for events in lists for line in encoder.feed(list(events))] + encoder.close()
    assert all(piece.endswith(b"}\n") and piece.count(b"\n") == 1 for piece in pieces)
    framer = NDJSONFramer()
    frames = [frame for piece in pieces for frame in framer.feed(piece)]
    return [json.loads(frame.data) for frame in frames], frames


def read_again(frames):
    decoder = StreamDecoder()
    return fold([event for frame in frames for event in decoder.feed(frame)] + decoder.close())


# Whole


def test_a_text_is_written_as_ollama_writes_it():
    usage = Usage(input_tokens=5, output_tokens=2)
    assert body_of(TextPart("Hi"), usage=usage) == {
        "model": "m",
        "created_at": "2026-11-21T10:00:00Z",
        "message": {"role": "assistant", "content": "Hi"},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 5,
        "eval_count": 2,
    }


def test_the_hour_is_said_where_nobody_knows_it():
    assert body_of(TextPart("Hi"), meta={})["created_at"].startswith("20")
    assert body_of(TextPart("Hi"), meta={})["created_at"].endswith("Z")


def test_thinking_calls_and_pictures_stand_beside_the_text():
    body = body_of(
        ReasoningPart("hm"),
        TextPart("a"),
        ToolCall("c1", "f", '{"x":1.0}'),
        TextPart("b"),
        ReasoningPart("so"),
        FilePart("image/png", PNG),
        finish=Finish("tool_calls"),
    )
    assert body["message"] == {
        "role": "assistant",
        "content": "ab",
        "thinking": "hm\n\nso",
        "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": {"x": 1.0}}}],
        "images": ["iVBORw0KGgo="],
    }
    assert body["done_reason"] == "stop"


def test_arguments_are_written_as_they_were():
    call = ToolCall("c", "f", '{"x": 1.0,\n "big": 123456789012345678901234567890}')
    body = encode_response(GenerateResponse(content=(call,), finish=STOP))
    assert b'"arguments":{"x": 1.0,\n "big": 123456789012345678901234567890}' in body
    assert decode_response(body).tool_calls[0].arguments == call.arguments


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        (ToolCall("c", "f", ""), {}),
        (ToolCall("c", "f", "null"), {}),
        (ToolCall("c", "f", '{"cut": '), {}),
        (ToolCall("c", "f", "[1]"), {}),
        (ToolCall("c", "f", "free", kind="custom"), {"input": "free"}),
    ],
)
def test_arguments_that_are_no_object_are_an_empty_one(call, arguments):
    assert body_of(call)["message"]["tool_calls"] == [{"id": "c", "function": {"name": "f", "arguments": arguments}}]


def test_an_id_that_was_made_here_is_not_written_and_another_is():
    made = decode_response(b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":true}')
    assert made.tool_calls[0].id
    assert "id" not in body_of(*made.content)["message"]["tool_calls"][0]
    given = body_of(structs.replace(made.tool_calls[0], id="call_1"))
    assert given["message"]["tool_calls"][0]["id"] == "call_1"


@pytest.mark.parametrize(
    ("finish", "content", "word"),
    [
        (Finish("stop", "end_turn"), (), "stop"),
        (Finish("length", "max_tokens"), (), "length"),
        (Finish("tool_calls", "tool_use"), (ToolCall("c", "f"),), "stop"),
        (Finish("tool_calls"), (), "tool_calls"),
        (Finish("content_filter", "refusal"), (), "content_filter"),
        (Finish("pause"), (), "pause"),
        (Finish("error"), (), "error"),
        (Finish("other", "load"), (), "load"),
        (Finish("other", "odd"), (), "odd"),
        (Finish("other"), (), "other"),
    ],
)
def test_why_it_ended_is_said_in_a_word_and_read_again(finish, content, word):
    body = encode_response(GenerateResponse(content=content, finish=finish))
    assert json.loads(body)["done_reason"] == word
    assert decode_response(body).finish == Finish(finish.reason, word)


def test_an_end_that_is_not_said_is_not_written():
    assert "done_reason" not in body_of(TextPart("Hi"), finish=None)


def test_what_this_wire_said_of_usage_goes_back_as_it_was_unless_it_was_changed():
    raw = {"prompt_eval_count": 5, "eval_count": 2, "total_duration": 9}
    usage = Usage(input_tokens=5, output_tokens=2, raw=raw)
    assert body_of(usage=usage)["total_duration"] == 9
    changed = body_of(usage=structs.replace(usage, output_tokens=3))
    assert (changed["eval_count"], changed.get("total_duration")) == (3, None)
    of_another = body_of(usage=Usage(input_tokens=5, raw={"prompt_tokens": 5}))
    assert of_another["prompt_eval_count"] == 5 and "eval_count" not in of_another


def test_what_the_wire_has_no_place_for_is_left_out():
    body = body_of(
        TextPart("a", (Source(url="https://x.example"),)),
        TextPart("no", refusal=True),
        SourcePart("https://x.example"),
        ToolCall("s", "search", executed=True),
        ToolResult("s", "search"),
        FilePart("audio/wav", b"x"),
        FilePart("image/png", Url("https://x.example/a.png")),
        FilePart("image/png", FileId("f")),
        OpaquePart("odd"),
    )
    assert body["message"] == {"role": "assistant", "content": "ano"}


def test_probabilities_and_members_nobody_knows_go_back():
    said = {
        "model": "m",
        "created_at": "now",
        "message": {"role": "assistant", "content": "a", "odd": 1},
        "done": True,
        "done_reason": "stop",
        "remote_model": "big",
        "logprobs": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1.5}]}],
    }
    response = decode_response(json.dumps(said).encode())
    assert response.content == (TextPart("a", logprobs=(TokenLogprob("a", -0.5, (97,), (TokenLogprob("b", -1.5),)),)),)
    assert json.loads(encode_response(response)) == said


def test_half_a_character_does_not_keep_an_answer_from_being_written():
    body = encode_response(GenerateResponse(content=(TextPart("a\ud83d"), ToolCall("c", "f", '{"x":1}')), finish=STOP))
    assert json.loads(body)["message"]["content"] == "a\ufffd"
    assert json.loads(body)["message"]["tool_calls"][0]["function"]["arguments"] == {"x": 1}


@pytest.mark.parametrize(
    ("arguments", "written"),
    [('{"x": NaN}', {"x": None}), ('{"x":"a\ud83d"}', {"x": "a\ufffd"}), (r'{"x":"a\ud83d"}', {"x": "a\ufffd"})],
)
def test_arguments_that_no_other_reader_takes_are_mended(arguments, written):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    body = encode_response(GenerateResponse(content=(ToolCall("c", "f", arguments),), finish=STOP))
    read = json.loads(body, parse_constant=refuse)
    assert read["message"]["tool_calls"][0]["function"]["arguments"] == written


# Streamed


def test_a_stream_is_lines_of_pieces_and_a_last_line():
    lines, frames = lines_of(
        [StreamStart(model="m")],
        [PartStart(0, ReasoningPart()), ReasoningDelta(0, "hm"), PartEnd(0)],
        [PartStart(1, TextPart("")), TextDelta(1, "Hi"), TextDelta(1, " you"), PartEnd(1)],
        [UsageUpdate(Usage(input_tokens=5))],
        [StreamEnd(STOP, Usage(input_tokens=5, output_tokens=2), meta=WHEN)],
    )
    assert [line["message"] for line in lines] == [
        {"role": "assistant", "content": "", "thinking": "hm"},
        {"role": "assistant", "content": "Hi"},
        {"role": "assistant", "content": " you"},
        {"role": "assistant", "content": ""},
    ]
    assert [line["done"] for line in lines] == [False, False, False, True]
    assert {line["model"] for line in lines} == {"m"}
    assert (lines[-1]["done_reason"], lines[-1]["prompt_eval_count"], lines[-1]["eval_count"]) == ("stop", 5, 2)
    again = read_again(frames)
    assert (again.text, again.reasoning, again.finish) == ("Hi you", "hm", Finish("stop", "stop"))


def test_a_call_is_written_whole_when_it_is():
    lines, frames = lines_of(
        [StreamStart()],
        [PartStart(0, ToolCall("c1", "f")), PartStart(1, ToolCall("c2", "g"))],
        [ToolCallDelta(0, '{\n"x":'), ToolCallDelta(1, "{}"), PartEnd(1)],
        [ToolCallDelta(0, " 1}"), PartEnd(0)],
        [StreamEnd(Finish("tool_calls"))],
    )
    calls = [call for line in lines for call in line["message"].get("tool_calls", [])]
    assert calls == [
        {"id": "c2", "function": {"name": "g", "arguments": {}}},
        {"id": "c1", "function": {"name": "f", "arguments": {"x": 1}}},
    ]
    assert lines[-1]["done_reason"] == "stop"
    assert read_again(frames).finish == Finish("tool_calls", "stop")
    assert lines[0]["model"] == "asked"


def test_a_picture_is_written_whole_and_parts_of_other_wires_are_not():
    lines, frames = lines_of(
        [StreamStart(), PartStart(0, FilePart("image/png", PNG[:4])), FileDelta(0, PNG[4:]), PartEnd(0)],
        [PartStart(1, SourcePart("https://x.example")), PartEnd(1), PartStart(2, OpaquePart("odd")), PartEnd(2)],
        [PartStart(3, ToolCall("s", "search", executed=True)), PartEnd(3)],
        [StreamEnd(STOP)],
    )
    assert len(lines) == 2
    assert read_again(frames).content == (FilePart("image/png", PNG),)


def test_parts_of_reasoning_and_text_are_joined_as_in_a_body():
    whole = GenerateResponse(
        model="m",
        content=(ReasoningPart("one"), TextPart("a"), ReasoningPart("two"), TextPart("b")),
        finish=STOP,
        meta=WHEN,
    )
    *events, end = unfold(whole)
    _, frames = lines_of([*events, structs.replace(end, response=None)])
    streamed, written = read_again(frames), decode_response(encode_response(whole))
    assert streamed == structs.replace(written, raw=None)
    assert streamed.reasoning == "one\n\ntwo"


def test_parts_of_thinking_that_interleave_stand_apart():
    lines, frames = lines_of(
        [StreamStart(), PartStart(0, ReasoningPart()), PartStart(1, ReasoningPart())],
        [ReasoningDelta(0, ""), ReasoningDelta(1, "two"), ReasoningDelta(1, "!"), ReasoningDelta(0, "one")],
        [PartEnd(0), PartEnd(1), StreamEnd(STOP)],
    )
    assert [line["message"].get("thinking") for line in lines] == ["two", "!", "\n\none", None]
    assert read_again(frames).reasoning == "two!\n\none"


def test_a_stream_that_breaks_off_has_no_last_line():
    lines, _ = lines_of([StreamStart(), PartStart(0, TextPart("")), TextDelta(0, "Hi")])
    assert [line["done"] for line in lines] == [False]
