"""What a program changes between reading and writing is said; the rest stays as it came. And what is rare."""

from __future__ import annotations

import json

import pytest
from msgspec import structs

from polyvox.dialects.openai_responses.answer import encode_response
from polyvox.dialects.openai_responses.content import decode_part
from polyvox.dialects.openai_responses.events import StreamEncoder
from polyvox.dialects.openai_responses.quirks import ResponsesQuirks
from polyvox.dialects.openai_responses.request import encode_request
from polyvox.errors import UnsupportedError
from polyvox.types.events import (
    FileDelta,
    PartEnd,
    PartStart,
    SourceDelta,
    StepEnd,
    StreamEnd,
    StreamStart,
    TextDelta,
    ToolCallDelta,
)
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.messages import assistant, user
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
from tests.dialects.openai_responses.answers import OWN, message, text_part, whole


def changed(item, **changes):
    """Return the item as it is written after its call or its result was changed."""
    read = whole(item)
    content = tuple(
        structs.replace(part, **{name: changes[name] for name in changes if hasattr(part, name)})
        if type(part) in (ToolCall, ToolResult)
        else part
        for part in read.content
    )
    (told,) = json.loads(encode_response(structs.replace(read, content=content)))["output"]
    return told


SOURCES = [{"type": "url", "url": "https://a.example"}]


@pytest.mark.parametrize(
    ("item", "arguments", "member", "said"),
    [
        (
            {"type": "web_search_call", "id": "x", "action": {"type": "search", "query": "q", "sources": SOURCES}},
            '{"type":"search","query":"other"}',
            "action",
            {"type": "search", "query": "other", "sources": SOURCES},
        ),
        ({"type": "web_search_call", "id": "x", "action": {"query": "q"}}, '{"query":"p"}', "action", {"query": "p"}),
        ({"type": "file_search_call", "id": "x", "queries": ["q"]}, '{"queries":["p"]}', "queries", ["p"]),
        ({"type": "file_search_call", "id": "x", "queries": ["q"]}, "no object", "queries", None),
        ({"type": "code_interpreter_call", "id": "x", "code": "1"}, "2", "code", "2"),
        ({"type": "mcp_call", "id": "x", "name": "f", "arguments": "{}"}, '{"a":1}', "arguments", '{"a":1}'),
        ({"type": "image_generation_call", "id": "x", "revised_prompt": "a"}, '{"prompt":"b"}', "revised_prompt", "b"),
        ({"type": "image_generation_call", "id": "x", "prompt": "a"}, '{"prompt":"b"}', "prompt", "b"),
    ],
)
def test_a_hosted_tools_question_that_was_changed_is_said(item, arguments, member, said):
    assert changed(item, arguments=arguments)[member] == said


@pytest.mark.parametrize(
    ("item", "content", "member", "said"),
    [
        (
            {"type": "web_search_call", "id": "x", "action": {"query": "q", "sources": SOURCES}},
            (SourcePart("https://b.example"),),
            "action",
            {"query": "q", "sources": [{"type": "url", "url": "https://b.example"}]},
        ),
        (
            {"type": "file_search_call", "id": "x", "results": [{"filename": "a", "text": "t", "score": 1}]},
            (SourcePart(None, "a", "less"),),
            "results",
            [{"filename": "a", "text": "less"}],
        ),
        (
            {"type": "code_interpreter_call", "id": "x", "code": "1", "outputs": [{"type": "logs", "logs": "1"}]},
            (TextPart("2"),),
            "outputs",
            [{"type": "logs", "logs": "2"}],
        ),
        ({"type": "mcp_call", "id": "x", "name": "f", "output": "1"}, (TextPart("2"),), "output", "2"),
    ],
)
def test_what_a_hosted_tool_gave_that_was_changed_is_said(item, content, member, said):
    assert changed(item, content=content)[member] == said


def test_a_result_that_became_an_error_is_one():
    told = changed({"type": "mcp_call", "id": "x", "name": "f", "output": "1"}, is_error=True)
    assert (told["error"], "output" in told) == ("1", False)


def test_search_results_that_were_taken_out_are_not_said():
    found = [{"url": "https://a.example", "title": "A"}, {"url": "https://b.example", "date": "d"}]
    read = whole({"type": "search_results", "results": found})
    fewer = structs.replace(read, content=read.content[1:])
    (told,) = json.loads(encode_response(fewer))["output"]
    assert told == {"type": "search_results", "results": [{"url": "https://b.example"}]}


def test_a_citation_that_was_changed_is_said_with_all_else_it_said():
    cited = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 1, "x": 5}
    file = {"type": "file_citation", "file_id": "f", "filename": "a.txt", "index": 0}
    (part,) = whole(message(text_part("a", annotations=[cited, file, 5]))).content
    sources = (
        structs.replace(part.sources[0], url="https://b.example", end=2),
        structs.replace(part.sources[1], title="b.txt"),
        part.sources[2],
        Source(url="https://c.example"),
    )
    answer = GenerateResponse(content=(structs.replace(part, sources=sources),), finish=Finish("stop"))
    (item,) = json.loads(encode_response(answer))["output"]
    assert item["content"][0]["annotations"] == [
        {**cited, "url": "https://b.example", "end_index": 2},
        {**file, "filename": "b.txt"},
        5,
        {"type": "url_citation", "url": "https://c.example", "title": "", "start_index": 0, "end_index": 0},
    ]


# What a message may hold


def sent(*messages, **quirks):
    request = GenerateRequest(model="m", messages=messages)
    wire = encode_request(request, ResponsesQuirks(**quirks), stream=False)
    return json.loads(wire.body)["input"], [one.detail for one in wire.adjustments]


def test_sources_and_thoughts_beside_a_users_text_are_left_out_and_named():
    items, named = sent(user([TextPart("a"), SourcePart("https://x.example"), ReasoningPart("hm"), ReasoningPart()]))
    assert items == [{"role": "user", "content": "a"}]
    assert len(named) == 2


def test_a_part_of_another_wire_is_refused_among_a_users_contents():
    with pytest.raises(UnsupportedError, match="'container_upload' cannot be said"):
        sent(user([OpaquePart("container_upload", {"anthropic": {"type": "container_upload"}})]))


def test_citations_of_another_wire_are_named_and_their_text_goes():
    items, named = sent(user("q"), assistant([TextPart("a", (Source(url="https://x.example"),))]), user("and?"))
    assert items[1] == {
        "role": "assistant",
        "content": [{"type": "output_text", "text": "a", "annotations": []}],
    }
    assert named == ["citations of another origin are not sent back; their text is"]


def test_pictures_and_files_by_id_go_as_what_they_are():
    parts = [FilePart("image/*", FileId("f")), FilePart("application/pdf", FileId("g"), name="a.pdf")]
    items, _ = sent(user(parts))
    assert items[0]["content"] == [
        {"type": "input_image", "file_id": "f"},
        {"type": "input_file", "file_id": "g", "filename": "a.pdf"},
    ]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_image"},
        {"type": "input_image", "image_url": "data:image/png;base64,?"},
        {"type": "input_file"},
        {"type": "input_file", "file_data": "?"},
        {"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": "QUI="}},
        {"type": "output_text"},
        {"type": "refusal"},
        {},
    ],
    ids=json.dumps,
)
def test_a_part_that_cannot_be_read_in_full_is_kept_as_it_is(part):
    read = decode_part(part)
    assert isinstance(read, OpaquePart)
    assert {name: value for name, value in read.meta[OWN].items() if name != "place"} == part


# Streams of another wire, written


def frames(*events):
    encoder = StreamEncoder(GenerateRequest(model="m", messages=()))
    raw = b"".join([*(frame for event in events for frame in encoder.feed([event])), *encoder.close()])
    lines = raw.decode().splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def test_parts_that_have_begun_with_their_words_are_told_in_full():
    told = frames(
        PartStart(0, TextPart("a")),
        TextDelta(0, "b"),
        PartEnd(0, {}),
        PartStart(1, ReasoningPart("c")),
        PartEnd(1, {}),
        PartStart(2, ToolCall("i", "f", "[")),
        ToolCallDelta(2, "]"),
        PartEnd(2, {}),
        StreamEnd(Finish("tool_calls")),
    )
    deltas = [event["delta"] for event in told if event["type"].endswith(".delta")]
    assert deltas == ["a", "b", "c", "[", "]"]
    first, second, third = told[-1]["response"]["output"]
    assert (first["content"][0]["text"], second["summary"][0]["text"], third["arguments"]) == ("ab", "c", "[]")


def test_a_picture_in_pieces_is_written_whole_and_what_has_no_place_is_left_out():
    told = frames(
        StreamStart("r", "m"),
        PartStart(0, FilePart("image/png", b"")),
        FileDelta(0, b"AB"),
        PartEnd(0, {}),
        PartStart(1, FilePart("audio/wav", b"")),
        FileDelta(1, b"AB"),
        PartEnd(1, {}),
        PartStart(2, FilePart("image/*", Url("https://x.example"))),
        PartEnd(2, {}),
        SourceDelta(9, Source(url="https://x.example")),
        PartEnd(9, {}),
        StepEnd(1, GenerateResponse(content=())),
        StreamEnd(Finish("stop")),
    )
    (item,) = told[-1]["response"]["output"]
    assert (item["type"], item["result"]) == ("image_generation_call", "QUI=")


def test_an_item_whose_end_never_came_is_ended_with_the_answer():
    """Cut off in the middle of an item of several parts, and of one that is written whole."""
    told = frames(
        PartStart(0, TextPart("a")),
        PartEnd(0, {OWN: {"more": "msg_1"}}),
        PartStart(1, ToolCall("x", "web_search", "{}", executed=True)),
        PartEnd(1, {OWN: {"more": "ws_1"}}),
        PartStart(2, ToolCall("y", "search", "{}", executed=True)),
        PartEnd(2, {}),
        StreamEnd(Finish("length")),
    )
    output = told[-1]["response"]["output"]
    assert sorted(item["type"] for item in output) == ["mcp_call", "mcp_call", "message"]
    assert told[-1]["type"] == "response.incomplete"


def test_another_kind_of_item_ends_one_that_was_to_go_on():
    told = frames(
        PartStart(0, TextPart("a")),
        PartEnd(0, {OWN: {"more": "msg_1"}}),
        PartStart(1, ToolCall("i", "f")),
        PartEnd(1, {}),
        StreamEnd(Finish("tool_calls")),
    )
    assert [item["type"] for item in told[-1]["response"]["output"]] == ["message", "function_call"]
