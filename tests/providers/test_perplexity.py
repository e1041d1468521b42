"""Perplexity as a user meets it: answers with what was searched for, sources and cost; conversations; Sonar's old wire.

The frames are those of the Agent API: https://docs.perplexity.ai/docs/agent-api
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.laws.grammar import broken
from tests.loopback import LoopbackServer, error, respond, sequence, sse_frames
from tests.recordings import recordings

from polyvox.calls.config import CallConfig
from polyvox.dialects.openai.dialect import OPENAI
from polyvox.dialects.openai_responses.dialect import OPENAI_RESPONSES
from polyvox.errors import BadRequestError, RateLimitError, ServerError, UnsupportedError
from polyvox.framing.base import Frame
from polyvox.framing.sse import SSEFramer
from polyvox.types.fold import fold
from polyvox.types.messages import tool, user
from polyvox.types.parts import FilePart, ReasoningPart, SourcePart, TextPart, ToolCall, ToolResult
from polyvox.types.tools import Tool

KEY = "pplx-" + "Ab3dE" * 6
JSON = {"Content-Type": "application/json"}
RESULTS = [
    {"id": 1, "url": "https://a.example", "title": "A", "snippet": "The sky.", "date": "2026-11-01", "source": "web"},
    {"id": 2, "url": "https://b.example", "title": "B", "snippet": "Blue."},
]
SEARCHED = {"type": "search_results", "queries": ["sky colour"], "results": RESULTS}
CITED = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 5, "end_index": 8}
SAID = {
    "type": "message",
    "id": "msg_1",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Blue [1].", "annotations": [CITED]}],
}
CALLED = {
    "type": "function_call",
    "id": "fc_1",
    "status": "completed",
    "call_id": "call_1",
    "name": "weather",
    "arguments": "{}",
    "thought_signature": "c2ln",
}
USAGE = {
    "input_tokens": 20,
    "output_tokens": 8,
    "total_tokens": 28,
    "input_tokens_details": {"cache_creation_input_tokens": 4, "cache_read_input_tokens": 6},
    "tool_calls_details": {"search_web": {"invocation": 1}},
    "cost": {
        "currency": "USD",
        "input_cost": 0.001,
        "output_cost": 0.002,
        "tool_calls_cost": 0.005,
        "total_cost": 0.008,
    },
}


def answer(*output: Any, **said: Any) -> dict[str, Any]:
    head = {"id": "resp_1", "object": "response", "created_at": 7, "model": "perplexity/sonar", "status": "completed"}
    return {**head, "output": list(output), "usage": USAGE, **said}


def whole(*output: Any, **said: Any) -> Any:
    return OPENAI_RESPONSES.generate.decode_response(json.dumps(answer(*output, **said)).encode())


def events_of(*frames: dict[str, Any]) -> list[Any]:
    decoder = OPENAI_RESPONSES.generate.stream_decoder()
    events = [event for frame in frames for event in decoder.feed(Frame(json.dumps(frame).encode(), frame["type"]))]
    return [*events, *decoder.close()]


def stream(*more: dict[str, Any], output: tuple[Any, ...] = (SEARCHED, SAID)) -> list[dict[str, Any]]:
    return [
        {"type": "response.created", "response": answer(status="in_progress", usage=None)},
        {"type": "response.in_progress", "response": None},
        *more,
        {"type": "response.completed", "response": answer(*output)},
    ]


THOUGHTS = [
    {"type": "response.reasoning.started", "thought": "Let me see. "},
    {"type": "response.reasoning.search_queries", "queries": ["sky colour"], "thought": "I search."},
    {"type": "response.reasoning.search_results", "results": RESULTS, "usage": None, "thought": None},
    {"type": "response.reasoning.fetch_url_queries", "urls": ["https://c.example"]},
    {
        "type": "response.reasoning.fetch_url_results",
        "contents": [{"url": "https://c.example", "title": "C", "snippet": "More."}],
    },
    {"type": "response.reasoning.stopped", "thought": None},
    {"type": "response.skill.loaded", "skill": "x"},
]
ITEMS = [
    {"type": "response.output_item.added", "output_index": 0, "item": {**SEARCHED, "results": []}},
    {"type": "response.output_item.done", "output_index": 0, "item": SEARCHED},
    {"type": "response.output_item.added", "output_index": 1, "item": {**SAID, "content": [], "status": "in_progress"}},
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "item_id": "msg_1", "delta": "Blue "},
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "item_id": "msg_1", "delta": "[1]."},
    {
        "type": "response.output_text.done",
        "output_index": 1,
        "content_index": 0,
        "item_id": "msg_1",
        "text": "Blue [1].",
    },
    {"type": "response.output_item.done", "output_index": 1, "item": SAID},
]


def sources(response: Any) -> list[tuple[Any, Any, Any]]:
    return [(part.url, part.title, part.text) for part in response.content if isinstance(part, SourcePart)]


def test_an_answer_comes_with_its_sources_citations_and_cost() -> None:
    read = whole(SEARCHED, SAID)
    assert read.text == "Blue [1]."
    assert sources(read) == [("https://a.example", "A", "The sky."), ("https://b.example", "B", "Blue.")]
    (cited,) = read.content[-1].sources
    assert (cited.url, cited.title, cited.start, cited.end) == ("https://a.example", "A", 5, 8)
    assert (read.usage.input_tokens, read.usage.output_tokens) == (20, 8)
    assert (read.usage.cache_read_tokens, read.usage.cache_write_tokens) == (6, 4)
    assert (read.usage.reported_cost, read.finish.reason) == (0.008, "stop")


def test_a_stream_tells_its_thoughts_and_what_was_found_once() -> None:
    events = events_of(*stream(*THOUGHTS, *ITEMS))
    assert broken(events) is None
    read = fold(events)
    assert (read.text, read.reasoning) == ("Blue [1].", "Let me see. I search.")
    assert [url for url, _, _ in sources(read)] == ["https://a.example", "https://b.example", "https://c.example"]
    assert read.usage.reported_cost == 0.008
    assert [part for part in read.content if not isinstance(part, ReasoningPart)][:3] == list(
        whole(SEARCHED, SAID).content
    )


def test_what_was_found_and_stands_in_no_item_is_kept() -> None:
    text = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Blue [1]."}
    read = fold(events_of(*stream(*THOUGHTS, text, output=())))
    assert read.text == "Blue [1]."
    assert [url for url, _, _ in sources(read)] == ["https://a.example", "https://b.example", "https://c.example"]


def test_thoughts_that_are_never_said_to_stop_stop_with_the_answer() -> None:
    events = events_of(*stream(THOUGHTS[0], *ITEMS))
    assert broken(events) is None
    assert fold(events).reasoning == "Let me see. "


@pytest.mark.parametrize("kind", ["people_search_results", "fetch_url_results", "search_results", "shop_results"])
def test_results_of_every_kind_are_sources(kind: str) -> None:
    member = "contents" if kind == "fetch_url_results" else "results"
    assert len(sources(whole({"type": kind, member: RESULTS}, SAID))) == 2


def test_a_run_that_failed_with_status_200_is_an_error() -> None:
    with pytest.raises(ServerError, match="it broke"):
        whole(status="failed", error={"message": "it broke", "code": "internal", "type": "server_error"})
    with pytest.raises(RateLimitError, match="slow"):
        events_of({"type": "response.failed", "error": {"message": "slow", "code": "rate_limit_exceeded"}})


# Over HTTP


def perplexity(server: Any) -> dict[str, Any]:
    return {"perplexity": {"base_url": server.url, "api_key": KEY}}


def body_of(request: Any) -> dict[str, Any]:
    return json.loads(request.body)  # type: ignore[no-any-return]


def test_a_conversation_with_a_tool_is_sent_back_in_the_plainest_form(make_caller: Any) -> None:
    """An unknown member is a 400 there: no ids, no reasoning, no search results; but the signature of a call."""
    script = sequence(
        sse_frames([b"data: " + json.dumps(frame).encode() + b"\r\n\r\n" for frame in stream(*THOUGHTS, *ITEMS)]),
        respond(200, json.dumps(answer(SEARCHED, CALLED)).encode(), JSON),
        respond(200, json.dumps(answer(SAID)).encode(), JSON),
    )
    with LoopbackServer(script) as server:
        caller = make_caller(providers=perplexity(server))
        history: list[Any] = [user("Sky?")]
        first = caller.stream("sonar", history, reasoning="low").drain()
        assert (first.text, first.cost.amount if first.cost else None) == ("Blue [1].", 0.008)
        history += [first.message, user("Weather?")]
        tools = [Tool("weather", "d", {"type": "object"}), Tool("web_search", kind="hosted")]
        second = caller.generate("sonar", history, tools=tools)
        assert (second.finish.reason, len(sources(second))) == ("tool_calls", 2)
        picture = FilePart("image/png", b"\x89PNG")
        gave = ToolResult("call_1", "weather", (TextPart("rain"), TextPart("8 degrees"), picture), is_error=True)
        third = caller.generate("sonar", [*history, second.message, tool(gave)], tools=tools)
        asked, then, last = server.requests
    assert asked.path.endswith("/responses") and asked.headers["authorization"] == f"Bearer {KEY}"
    assert body_of(asked)["model"] == "perplexity/sonar"
    assert body_of(then)["input"] == [
        {"role": "user", "content": "Sky?"},
        {"type": "message", "role": "assistant", "content": "Blue [1]."},
        {"role": "user", "content": "Weather?"},
    ]
    assert body_of(then)["tools"][1] == {"type": "web_search"}
    named = {one.detail for one in second.adjustments}
    assert any("citations" in detail for detail in named) and any("reasoning" in detail for detail in named)
    assert body_of(last)["input"][3:] == [
        {
            "type": "function_call",
            "thought_signature": "c2ln",
            "call_id": "call_1",
            "name": "weather",
            "arguments": "{}",
        },
        {
            "type": "function_call_output",
            "call_id": "call_1",
            "output": "error: rain\n8 degrees",
            "name": "weather",
        },
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Files of the result of weather:"},
                {"type": "input_image", "image_url": "data:image/png;base64,iVBORw=="},
            ],
        },
    ]
    assert third.text == "Blue [1]."


def test_what_it_does_not_take_is_named_or_refused_before_it_is_sent(make_caller: Any) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "number"}}}
    with LoopbackServer(respond(200, json.dumps(answer(SAID)).encode(), JSON)) as server:
        caller = make_caller(providers=perplexity(server))
        told = caller.generate("sonar", "hi", temperature=0.5, stop=["x"], metadata={"a": "b"}, output=schema)
        with pytest.raises(UnsupportedError, match="tool_choice"):
            caller.generate("sonar", "hi", tools=[Tool("f")], tool_choice="required")
        caller.generate("sonar", "hi", options={"perplexity": {"preset": "fast", "max_steps": 3}})
        first, second = (body_of(request) for request in server.requests)
    assert {one.setting for one in told.adjustments} == {"temperature", "stop", "metadata"}
    assert first["response_format"]["json_schema"]["schema"]["properties"] == schema["properties"]
    assert set(first) == {"model", "input", "response_format"}
    assert (second["preset"], second["max_steps"]) == ("fast", 3)


def test_an_error_is_known_by_its_kind(make_caller: Any) -> None:
    said = b'{"error":{"message":"Sonar is now the Agent API","type":"invalid_request","code":400}}'
    with LoopbackServer(error(400, said, {})) as server, pytest.raises(BadRequestError, match="Agent API"):
        make_caller(providers=perplexity(server), call_config=CallConfig(retry=False)).generate("sonar", "hi")


# Sonar's chat wire, as recorded


def _recorded() -> list[Any]:
    return [one for one in recordings("openai.chat") if one.provider == "perplexity" and one.status == 200]


@pytest.mark.recordings
def test_what_sonar_searched_for_is_kept_as_sources() -> None:
    """Read beside by plain `json`: every search result and every cited address is a source of ours."""
    seen = 0
    for exchange in _recorded():
        if exchange.is_stream:
            framer, decoder = SSEFramer(), OPENAI.generate.stream_decoder()
            frames = framer.feed(exchange.body) + framer.close()
            read = fold([*(event for frame in frames for event in decoder.feed(frame)), *decoder.close()])
            values = [json.loads(frame.data) for frame in frames if frame.data[:1] == b"{"]
        else:
            read = OPENAI.generate.decode_response(exchange.body)
            values = [json.loads(exchange.body)]
        last = values[-1]
        assert read.text == last["choices"][0]["message"]["content"], exchange
        found = [(one["url"], one["title"]) for one in last["search_results"]]
        assert [(url, title) for url, title, _ in sources(read)] == found, exchange
        assert {url for url, _ in found} >= set(last["citations"]), exchange
        usage = last["usage"]
        assert (read.usage.input_tokens, read.usage.output_tokens) == (
            usage["prompt_tokens"],
            usage["completion_tokens"],
        ), exchange
        assert read.usage.reported_cost == usage.get("cost", {}).get("total_cost"), exchange
        seen += 1
    assert seen >= 6


@pytest.mark.recordings
def test_sonars_requests_are_read_and_written_as_they_were() -> None:
    for exchange in _recorded():
        request, streamed = OPENAI.generate.decode_request(json.dumps(exchange.request["body"]).encode())
        wire = OPENAI.generate.encode_request(request, OPENAI.quirks(), stream=streamed)
        assert json.loads(wire.body) == exchange.request["body"], exchange


def test_a_call_that_the_service_made_itself_is_none_of_the_callers() -> None:
    asked = {"type": "mcp_call", "id": "m", "server_label": "l", "name": "f", "arguments": "{}", "output": "x"}
    read = whole(asked, SAID)
    assert read.tool_calls == () and read.finish.reason == "stop"
    assert [part.executed for part in read.content if isinstance(part, ToolCall)] == [True]
