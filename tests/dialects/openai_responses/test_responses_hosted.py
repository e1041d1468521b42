"""What the provider's own tools did, as a user sees it: executed calls, what they gave, sources; and back again."""

from __future__ import annotations

import json

import pytest

from polyvox.dialects.openai_responses.answer import encode_response
from polyvox.dialects.openai_responses.quirks import ResponsesQuirks
from polyvox.dialects.openai_responses.request import encode_request
from polyvox.types.events import FileDelta, PartStart, ToolCallDelta
from polyvox.types.generate import GenerateRequest
from polyvox.types.messages import user
from polyvox.types.parts import FilePart, OpaquePart, SourcePart, TextPart, ToolCall, ToolResult, Url
from tests.dialects.openai_responses.answers import (
    CREATED,
    OWN,
    added,
    completed,
    done,
    events_of,
    message,
    piece,
    streamed,
    whole,
)
from tests.laws.grammar import broken

PNG = "iVBORw0KGgoAAAANSUhEUg=="

SEARCH = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {
        "type": "search",
        "query": "sky",
        "queries": ["sky"],
        "sources": [{"type": "url", "url": "https://a.example"}, {"type": "url", "url": "https://b.example"}],
    },
}
FILES = {
    "type": "file_search_call",
    "id": "fs_1",
    "status": "completed",
    "queries": ["sky"],
    "results": [{"file_id": "f", "filename": "a.txt", "score": 0.5, "text": "blue", "attributes": {}}],
}
PROGRAM = {
    "type": "code_interpreter_call",
    "id": "ci_1",
    "status": "completed",
    "container_id": "cntr_1",
    "code": "print(2)",
    "outputs": [{"type": "logs", "logs": "2\n"}, {"type": "image", "url": "https://x.example/a.png"}],
}
PICTURE = {
    "type": "image_generation_call",
    "id": "ig_1",
    "status": "completed",
    "output_format": "png",
    "revised_prompt": "a sky",
    "size": "1024x1024",
    "result": PNG,
}
MCP = {
    "type": "mcp_call",
    "id": "mcp_1",
    "name": "roll",
    "server_label": "dice",
    "arguments": '{"sides": 6}',
    "output": "4",
    "error": None,
    "status": "completed",
}
ALL = [SEARCH, FILES, PROGRAM, PICTURE, MCP]
by_type = pytest.mark.parametrize("item", ALL, ids=lambda item: item["type"])


def told(item):
    """Return the item without its nulls, which say nothing."""
    return {name: value for name, value in item.items() if value is not None}


def read_back(response):
    """Return the items of a conversation that goes on after this answer."""
    request = GenerateRequest(model="m", messages=(user("q"), response.message, user("and?")))
    wire = encode_request(request, ResponsesQuirks(), stream=False)
    assert wire.adjustments == ()
    return json.loads(wire.body)["input"][1:-1]


@pytest.mark.parametrize(
    ("item", "call", "content"),
    [
        (
            SEARCH,
            ("web_search", '{"type":"search","query":"sky","queries":["sky"]}', "function"),
            (SourcePart("https://a.example"), SourcePart("https://b.example")),
        ),
        (FILES, ("file_search", '{"queries":["sky"]}', "function"), (SourcePart(None, "a.txt", "blue"),)),
        (
            PROGRAM,
            ("code_interpreter", "print(2)", "custom"),
            (TextPart("2\n"), FilePart("image/*", Url("https://x.example/a.png"))),
        ),
        (MCP, ("roll", '{"sides": 6}', "function"), (TextPart("4"),)),
    ],
    ids=lambda value: value.get("type") if isinstance(value, dict) else "",
)
def test_a_hosted_tool_is_an_executed_call_and_its_result(item, call, content):
    asked, gave = whole(item).content
    assert (asked.id, asked.executed) == (item["id"], True)
    assert (asked.name, asked.arguments, asked.kind) == call
    assert (gave.id, gave.name, gave.content, gave.is_error) == (item["id"], call[0], content, False)


def test_a_picture_that_was_made_is_a_file():
    asked, picture = whole(PICTURE).content
    assert (asked.name, asked.decode()) == ("image_generation", {"prompt": "a sky"})
    assert (picture.media_type, picture.data[:4]) == ("image/png", b"\x89PNG")
    assert "result" not in picture.meta[OWN]["item"], "the bytes are held once"


@by_type
def test_what_they_did_is_not_to_be_run_by_the_caller(item):
    answer = whole(item, message("done"))
    assert answer.tool_calls == ()
    assert answer.finish.reason == "stop"


@by_type
def test_what_they_did_goes_back_as_it_came(item):
    assert read_back(whole(item)) == [told(item)]
    body = json.loads(encode_response(whole(item)))
    assert body["output"] == [told(item)]


@by_type
def test_a_stream_tells_them_as_a_whole_answer_does(item):
    begun = {**item, "status": "in_progress"}
    events = events_of(CREATED, added(begun), done(item), completed(item))
    assert broken(events) is None
    assert streamed(CREATED, added(begun), done(item), completed(item)).content == whole(item).content
    assert streamed(CREATED, completed(item)).content == whole(item).content


def test_a_program_comes_as_it_is_written():
    name = "code_interpreter_call_code"
    events = events_of(
        CREATED,
        added({**PROGRAM, "code": "", "outputs": None, "status": "in_progress"}),
        {"type": "response.code_interpreter_call.in_progress", "output_index": 0, "item_id": "ci_1"},
        piece(name, "print", item_id="ci_1"),
        piece(name, "(2)", item_id="ci_1"),
        {"type": f"response.{name}.done", "output_index": 0, "code": "print(2)"},
        {"type": "response.code_interpreter_call.interpreting", "output_index": 0, "item_id": "ci_1"},
        {"type": "response.code_interpreter_call.completed", "output_index": 0, "item_id": "ci_1"},
        done(PROGRAM),
        completed(PROGRAM),
    )
    assert broken(events) is None
    assert [event.arguments for event in events if isinstance(event, ToolCallDelta)] == ["print", "(2)"]
    first, second = (event.part for event in events if isinstance(event, PartStart))
    assert isinstance(first, ToolCall) and first.executed
    assert isinstance(second, ToolResult) and second.content[0] == TextPart("2\n")


def test_the_arguments_of_an_mcp_servers_tool_come_as_they_are_written():
    events = events_of(
        CREATED,
        added({**MCP, "arguments": "", "output": None}),
        {"type": "response.mcp_call.in_progress", "output_index": 0},
        piece("mcp_call_arguments", '{"sides"'),
        piece("mcp_call_arguments", ": 6}"),
        {"type": "response.mcp_call_arguments.done", "output_index": 0, "arguments": MCP["arguments"]},
        {"type": "response.mcp_call.completed", "output_index": 0},
        done(MCP),
        completed(MCP),
    )
    assert broken(events) is None
    assert [event.arguments for event in events if isinstance(event, ToolCallDelta)] == ['{"sides"', ": 6}"]


def test_a_picture_comes_once_whatever_was_shown_of_it_before():
    partial = {"type": "response.image_generation_call.partial_image", "output_index": 0, "partial_image_b64": PNG}
    begun = {"type": "image_generation_call", "id": "ig_1", "status": "in_progress", "result": None}
    events = events_of(
        CREATED,
        added(begun),
        {"type": "response.image_generation_call.generating", "output_index": 0},
        partial,
        partial,
        {"type": "response.image_generation_call.completed", "output_index": 0},
        done(PICTURE),
        completed(PICTURE),
    )
    assert broken(events) is None
    assert len([event for event in events if isinstance(event, FileDelta)]) == 1


@pytest.mark.parametrize("error", ["broke", {"type": "http_error", "code": 500, "message": "broke"}])
def test_a_tool_of_an_mcp_server_may_fail(error):
    item = {**MCP, "output": None, "error": error, "status": "failed"}
    _, gave = whole(item).content
    assert (gave.text, gave.is_error) == ("broke", True)
    assert read_back(whole(item)) == [told(item)]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "web_search_call", "id": "ws", "status": "completed"},
        {"type": "web_search_call", "id": "ws", "action": {"type": "open_page", "url": "https://x.example"}},
        {"type": "file_search_call", "id": "fs", "queries": ["a"], "results": None},
        {"type": "code_interpreter_call", "id": "ci", "code": None, "outputs": None},
        {"type": "code_interpreter_call", "id": "ci", "code": "1", "outputs": [{"type": "hologram"}, 5]},
        {"type": "image_generation_call", "id": "ig", "status": "failed", "result": None},
        {"type": "image_generation_call", "id": "ig", "result": "?"},
        {"type": "mcp_call", "id": "mcp", "name": "f", "arguments": {"a": 1}},
    ],
    ids=lambda item: item["type"],
)
def test_a_tool_that_gave_nothing_is_a_call_alone(item):
    (asked,) = whole(item).content
    assert isinstance(asked, ToolCall) and asked.executed
    assert read_back(whole(item)) == [told(item)]


def test_a_search_may_list_what_it_found_beside():
    """Other services list `results` with title and text."""
    found = [{"url": "https://a.example", "title": "A", "snippet": "s"}]
    _, gave = whole({"type": "web_search_call", "id": "ws", "results": found}).content
    assert gave.content == (SourcePart("https://a.example", "A", "s"),)


def test_search_results_that_belong_to_no_call_are_sources():
    """Perplexity: an item of results beside the answer."""
    results = [
        {"id": 1, "url": "https://a.example", "title": "A", "snippet": "s", "date": "2026-01-01"},
        {"id": 2, "url": "https://b.example", "title": "B"},
    ]
    item = {"type": "search_results", "queries": ["q"], "results": results}
    answer = whole(item, message("hi [1]"))
    assert [part for part in answer.content if isinstance(part, SourcePart)] == list(answer.content[:2])
    assert [(part.url, part.title, part.text) for part in answer.content[:2]] == [
        ("https://a.example", "A", "s"),
        ("https://b.example", "B", None),
    ]
    assert read_back(answer)[0] == item
    assert streamed(CREATED, done(item), done(message("hi [1]"), 1), completed()).content == answer.content


def test_pages_that_were_fetched_are_sources():
    item = {"type": "fetch_url_results", "contents": [{"url": "https://a.example", "title": "A", "snippet": "s"}]}
    (source,) = whole(item).content
    assert (source.url, source.title, source.text) == ("https://a.example", "A", "s")
    assert read_back(whole(item, message("x")))[0] == item


def test_results_of_another_kind_are_kept_as_they_are():
    item = {"type": "sandbox_results", "stdout": "2", "results": []}
    assert whole(item).content == (OpaquePart("sandbox_results", {OWN: item}),)


def test_what_a_program_wrote_is_cited_by_its_id():
    cited = {"type": "container_file_citation", "container_id": "c", "file_id": "cfile_1", "filename": "plot.png"}
    (part,) = whole(message({"type": "output_text", "text": "see plot.png", "annotations": [cited]})).content
    assert part.sources[0].title == "plot.png"
    assert part.sources[0].meta[OWN]["file_id"] == "cfile_1"


def test_an_answer_to_what_the_model_asks_of_a_machine_goes_back():
    """A computer, a shell: what Polyvox has no word for is answered with an item of one's own."""
    asked = {"type": "computer_call", "id": "cu", "call_id": "c", "action": {"type": "screenshot"}}
    answer = whole(asked)
    shown = {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot", "file_id": "f"}}
    request = GenerateRequest(
        model="m", messages=(user("q"), answer.message, user([OpaquePart("computer_call_output", {OWN: shown})]))
    )
    body = json.loads(encode_request(request, ResponsesQuirks(), stream=False).body)
    assert body["input"][1:] == [asked, shown]
