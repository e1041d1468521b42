"""Answers as a server of this wire writes them."""

from __future__ import annotations

import json

import pytest
from msgspec import structs

from polyvox.dialects.anthropic.answer import StreamEncoder, encode_response
from polyvox.dialects.anthropic.response import decode_response
from polyvox.dialects.anthropic.stream import StreamDecoder
from polyvox.framing.sse import SSEFramer
from polyvox.types.events import (
    FileDelta,
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
from polyvox.types.fold import fold, unfold
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.parts import (
    FilePart,
    OpaquePart,
    ReasoningPart,
    Source,
    SourcePart,
    TextPart,
    ToolCall,
    ToolResult,
)
from polyvox.types.usage import Usage

REQUEST = GenerateRequest(model="m", messages=())


def frames_of(*lists):
    encoder = StreamEncoder(REQUEST)
    frames = [frame for events in lists for frame in encoder.feed(list(events))] + encoder.close()
    framer = SSEFramer()
    read = [frame for piece in frames for frame in framer.feed(piece)]
    values = [json.loads(frame.data) for frame in read]
    assert [value["type"] for value in values] == [frame.event for frame in read]
    return values, read


def read_again(read):
    decoder = StreamDecoder()
    return fold([event for frame in read for event in decoder.feed(frame)] + decoder.close())


def test_a_stream_is_written_as_anthropic_writes_it():
    values, _ = frames_of(
        [StreamStart("i", "m"), UsageUpdate(Usage(12, 1, cache_read_tokens=2)), PartStart(0, TextPart(""))],
        [TextDelta(0, "x")],
        [PartEnd(0), UsageUpdate(Usage(12, 5, cache_read_tokens=2)), StreamEnd(Finish("stop", "stop"))],
    )
    usage = {"input_tokens": 10, "cache_read_input_tokens": 2}
    assert values == [
        {
            "type": "message_start",
            "message": {
                "id": "i",
                "type": "message",
                "role": "assistant",
                "model": "m",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {**usage, "output_tokens": 1},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {**usage, "output_tokens": 5},
        },
        {"type": "message_stop"},
    ]


def test_parts_that_interleave_are_written_one_after_the_other():
    values, read = frames_of(
        [StreamStart("i", "m"), PartStart(0, TextPart("")), TextDelta(0, "a")],
        [PartStart(1, ToolCall("c", "f")), ToolCallDelta(1, '{"x":'), PartStart(2, ToolCall("d", "g"))],
        [TextDelta(0, "b"), ToolCallDelta(2, "{}"), PartEnd(2), PartEnd(0), ToolCallDelta(1, "1}"), PartEnd(1)],
        [StreamEnd(Finish("tool_calls"))],
    )
    opened = [value["index"] for value in values if value["type"] == "content_block_start"]
    closed = [value["index"] for value in values if value["type"] == "content_block_stop"]
    assert opened == closed == [0, 1, 2]
    assert read_again(read).content == (TextPart("ab"), ToolCall("c", "f", '{"x":1}'), ToolCall("d", "g", "{}"))


def test_a_stream_without_an_end_has_no_end_mark():
    values, _ = frames_of([StreamStart("i", "m"), PartStart(0, TextPart("")), TextDelta(0, "a")])
    assert values[-1]["type"] == "content_block_delta"


PARTS = [
    TextPart("x", (Source(url="u", title="t", text="w"),)),
    TextPart("no", refusal=True),
    ReasoningPart("hm"),
    ReasoningPart("", redacted=True),
    ToolCall("a", "f", '{"x": 1.0}'),
    ToolCall("a", "f", '{"x": '),
    ToolCall("a", "f", "free text", kind="custom"),
    ToolCall("a", "web_search", '{"q":1}', executed=True),
    ToolResult("a", "web_search", (TextPart("r"), SourcePart("u", "t", "w")), is_error=True),
    FilePart("image/png", b"AB"),
    FilePart("audio/wav", b"AB", "n"),
    SourcePart("u", "t", "w"),
    OpaquePart("item", {"openai": {"x": 1}}),
]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{type(part).__name__}-{PARTS.index(part)}")
def test_parts_of_other_wires_are_written_whole_and_streamed_alike(part):
    response = GenerateResponse(id="i", model="m", content=(part,), finish=Finish("stop"), usage=Usage(1, 2))
    body = decode_response(encode_response(response))
    *inner, end = unfold(response)
    streamed = read_again(frames_of([*inner, structs.replace(end, response=None)])[1])
    if isinstance(part, OpaquePart):
        assert body.content == streamed.content == ()
        return
    (whole,), (piecewise,) = body.content, streamed.content
    if isinstance(part, ToolCall) and part.arguments == '{"x": ':
        assert (whole.arguments, piecewise.arguments) == ("{}", part.arguments)
        return
    assert whole == piecewise
    assert type(whole) is type(part)
    match part:
        case TextPart():
            (source,) = whole.sources or (None,)
            assert whole.text == part.text
            assert source is None or (source.url, source.title, source.text) == ("u", "t", "w")
        case ReasoningPart():
            assert (whole.text, whole.redacted) == (part.text, part.redacted)
        case ToolCall(kind="custom"):
            assert whole.decode() == {"input": "free text"}
        case ToolCall():
            assert (whole.id, whole.name, whole.arguments) == (part.id, part.name, part.arguments)
            assert whole.executed is part.executed
        case ToolResult():
            assert (whole.id, whole.is_error, whole.text) == (part.id, True, "r")
        case FilePart():
            assert (whole.media_type, whole.data) == (part.media_type, part.data)
        case SourcePart():
            assert (whole.url, whole.title, whole.text) == ("u", "t", "w")


def test_pieces_of_every_kind_are_written():
    values, read = frames_of(
        [
            StreamStart("i", "m"),
            PartStart(0, ReasoningPart("")),
            ReasoningDelta(0, "hm"),
            PartEnd(0, {"anthropic": {"signature": "s"}}),
            PartStart(1, TextPart("")),
            SourceDelta(1, Source(url="u", title="t", text="w")),
            PartEnd(1),
            PartStart(2, FilePart("image/png", b"A")),
            FileDelta(2, b"B"),
            PartEnd(2),
            StreamEnd(Finish("content_filter"), Usage(1, 2), meta={"anthropic": {"stop_details": {"a": 1}, "odd": 2}}),
        ]
    )
    response = read_again(read)
    assert response.content[0] == ReasoningPart("hm", meta={"anthropic": {"signature": "s"}})
    assert response.content[1].sources[0].url == "u"
    assert response.content[2].data == b"AB"
    assert response.finish == Finish("content_filter", "refusal")
    assert response.meta == {"anthropic": {"stop_details": {"a": 1}, "odd": 2}}
    assert values[-2]["odd"] == 2


@pytest.mark.parametrize(
    ("finish", "meta", "word"),
    [
        (Finish("stop", "STOP"), {}, "end_turn"),
        (Finish("stop"), {"stop_sequence": "z"}, "stop_sequence"),
        (Finish("length", "length"), {}, "max_tokens"),
        (Finish("length", "model_context_window_exceeded"), {}, "model_context_window_exceeded"),
        (Finish("pause"), {}, "pause_turn"),
        (Finish("content_filter", "SAFETY"), {}, "refusal"),
        (Finish("other", "odd"), {}, "odd"),
        (Finish("error"), {}, "end_turn"),
        (None, {}, None),
    ],
)
def test_why_an_answer_ended_is_said_in_the_wires_words(finish, meta, word):
    response = GenerateResponse(id="i", finish=finish, meta={"anthropic": meta})
    assert json.loads(encode_response(response))["stop_reason"] == word


def test_an_answer_without_an_id_gets_one():
    assert json.loads(encode_response(GenerateResponse()))["id"].startswith("msg_")


def test_a_changed_result_of_the_providers_tool_is_written_as_changed():
    content = [{"type": "web_search_result", "url": "u", "title": "t"}]
    marks = {"anthropic": {"type": "web_search_tool_result", "content": content}}
    result = ToolResult("s", "web_search", (SourcePart("u", "t"),), meta=marks)
    assert json.loads(encode_response(GenerateResponse(content=(result,))))["content"][0]["content"] == content
    changed = structs.replace(result, content=(TextPart("new"),))
    (block,) = json.loads(encode_response(GenerateResponse(content=(changed,))))["content"]
    assert block["content"] == [{"type": "text", "text": "new"}]
    assert structs.asdict(changed)["meta"] == marks
