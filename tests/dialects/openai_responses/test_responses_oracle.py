"""The official SDK as oracle: it sends what we send, less NEEDED, and reads what we read."""

from __future__ import annotations

import json

import pytest

from polyvox.dialects.openai_responses.dialect import OPENAI_RESPONSES
from polyvox.dialects.openai_responses.quirks import ResponsesQuirks
from polyvox.dialects.openai_responses.request import NEEDED, encode_request
from polyvox.dialects.openai_responses.usage import decode_usage
from polyvox.framing.sse import SSEFramer
from polyvox.types.events import StreamEnd
from polyvox.types.fold import fold, unfold
from polyvox.types.generate import GenerateRequest, Output, PromptCache
from polyvox.types.messages import Message, assistant, system, tool, user
from polyvox.types.parts import FileId, FilePart, ReasoningPart, TextPart, ToolCall, ToolResult, Url
from polyvox.types.tools import AllowedTools, Grammar, NamedTool, Tool
from tests.laws.table import ROWS
from tests.recordings import recordings

openai = pytest.importorskip("openai")
httpx2 = pytest.importorskip("httpx2")

# Bodies in which the answers of four calls were recorded one after the other.
UNLIKE_ONE_ANSWER = ("azure-a72c82cbb69eb573", "openai-facc5cd78e0ae3ba")


def client_of(answer):
    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://sdk.example", max_retries=0, http_client=transport)


def sdk_request(**call):
    """What the SDK puts on the wire; the answer is an error, at once."""
    sent = []

    def answer(request):
        sent.append(request)
        return httpx2.Response(400, json={"error": {"message": "seen"}})

    with client_of(answer) as client, pytest.raises(openai.BadRequestError):
        client.responses.create(model="m", **call)
    (request,) = sent
    assert (request.method, request.url.path) == ("POST", "/responses")
    return json.loads(request.read())


HI = {"input": [{"role": "user", "content": "hi"}]}
SAY_HI = {"messages": (user("hi"),)}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": False}
OWN = "openai_responses"
CALLS = {
    "bare": (HI, SAY_HI),
    "stream": ({**HI, "stream": True}, {**SAY_HI, "stream": True}),
    "settings": (
        {
            **HI,
            "instructions": "s",
            "max_output_tokens": 9,
            "temperature": 0.5,
            "top_p": 0.9,
            "top_logprobs": 2,
            "include": ["message.output_text.logprobs"],
            "safety_identifier": "u",
            "service_tier": "flex",
            "metadata": {"a": "b"},
            "prompt_cache_key": "k",
            "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
            "text": {
                "format": {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True},
                "verbosity": "low",
            },
            "store": False,
            "previous_response_id": "resp_1",
            "background": True,
            "truncation": "auto",
        },
        {
            "messages": (system("s"), user("hi")),
            "max_tokens": 9,
            "temperature": 0.5,
            "top_p": 0.9,
            "logprobs": 2,
            "user": "u",
            "service_tier": "flex",
            "metadata": {"a": "b"},
            "prompt_cache": PromptCache("k", "explicit", "30m"),
            "output": Output(SCHEMA, strict=True),
            "options": {
                OWN: {
                    "text": {"verbosity": "low"},
                    "store": False,
                    "previous_response_id": "resp_1",
                    "background": True,
                    "truncation": "auto",
                }
            },
        },
    ),
    "reasoning": (
        {**HI, "reasoning": {"effort": "high", "summary": "auto"}, "include": ["web_search_call.action.sources"]},
        {
            **SAY_HI,
            "reasoning": "high",
            "options": {OWN: {"reasoning": {"summary": "auto"}, "include": ["web_search_call.action.sources"]}},
        },
    ),
    "files": (
        {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_image", "image_url": "data:image/png;base64,QUI=", "detail": "high"},
                        {"type": "input_image", "image_url": "https://x.example/a.png"},
                        {"type": "input_image", "file_id": "f"},
                        {"type": "input_file", "filename": "t.pdf", "file_data": "data:application/pdf;base64,QUI="},
                        {"type": "input_file", "file_url": "https://x.example/a.pdf"},
                        {"type": "input_file", "file_id": "g"},
                        {"type": "input_text", "text": "and?", "prompt_cache_breakpoint": {"mode": "explicit"}},
                    ],
                }
            ]
        },
        {
            "messages": (
                user(
                    [
                        FilePart("image/png", b"AB", meta={OWN: {"detail": "high"}}),
                        FilePart("image/*", Url("https://x.example/a.png")),
                        FilePart("image/*", FileId("f")),
                        FilePart("application/pdf", b"AB", "t.pdf"),
                        FilePart("application/pdf", Url("https://x.example/a.pdf")),
                        FilePart("application/pdf", FileId("g")),
                        TextPart("and?", meta={OWN: {"prompt_cache_breakpoint": {"mode": "explicit"}}}),
                    ]
                ),
            )
        },
    ),
    "tools": (
        {
            "tools": [
                {"type": "function", "name": "weather", "description": "d", "parameters": SCHEMA, "strict": False},
                {
                    "type": "custom",
                    "name": "sql",
                    "format": {"type": "grammar", "syntax": "regex", "definition": "a+"},
                },
                {"type": "web_search", "search_context_size": "low"},
                {"type": "mcp", "server_label": "l", "server_url": "https://x.example", "require_approval": "never"},
            ],
            "tool_choice": {"type": "function", "name": "weather"},
            "parallel_tool_calls": False,
            "input": [
                {"role": "user", "content": "hi"},
                {
                    "type": "reasoning",
                    "id": "rs_1",
                    "encrypted_content": "e",
                    "summary": [{"type": "summary_text", "text": "hm"}],
                },
                {
                    "type": "message",
                    "id": "msg_1",
                    "status": "completed",
                    "phase": "commentary",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "let me see", "annotations": []}],
                },
                {
                    "type": "function_call",
                    "id": "fc_1",
                    "call_id": "a",
                    "name": "weather",
                    "arguments": '{"city": "x"}',
                    "status": "completed",
                },
                {"type": "custom_tool_call", "call_id": "b", "name": "sql", "input": "select"},
                {"type": "function_call_output", "call_id": "a", "output": "rain"},
                {
                    "type": "custom_tool_call_output",
                    "call_id": "b",
                    "output": [
                        {"type": "input_image", "image_url": "data:image/png;base64,QUI="},
                        {"type": "input_text", "text": "row"},
                    ],
                },
                {"role": "system", "content": "be short"},
                {"role": "developer", "content": "shorter"},
                {"role": "user", "content": "so?"},
                {"role": "assistant", "content": "well"},
                {"role": "user", "content": "and?"},
            ],
        },
        {
            "tools": (
                Tool("weather", "d", SCHEMA, False),
                Tool("sql", kind="custom", grammar=Grammar("regex", "a+")),
                Tool("web_search", kind="hosted", settings={"search_context_size": "low"}),
                Tool(
                    "mcp",
                    kind="hosted",
                    settings={"server_label": "l", "server_url": "https://x.example", "require_approval": "never"},
                ),
            ),
            "tool_choice": NamedTool("weather"),
            "parallel_tools": False,
            "messages": (
                user("hi"),
                assistant(
                    [
                        ReasoningPart("hm", meta={OWN: {"item": {"id": "rs_1", "encrypted_content": "e"}}}),
                        TextPart(
                            "let me see",
                            meta={
                                OWN: {
                                    "item": {
                                        "type": "message",
                                        "id": "msg_1",
                                        "status": "completed",
                                        "phase": "commentary",
                                    }
                                }
                            },
                        ),
                        ToolCall(
                            "a",
                            "weather",
                            '{"city": "x"}',
                            meta={OWN: {"item": {"id": "fc_1", "status": "completed"}}},
                        ),
                        ToolCall("b", "sql", "select", "custom"),
                    ]
                ),
                tool(
                    [
                        ToolResult("a", "weather", (TextPart("rain"),)),
                        ToolResult("b", "sql", (FilePart("image/png", b"AB"), TextPart("row"))),
                    ]
                ),
                Message("system", (TextPart("be short"),)),
                Message("system", (TextPart("shorter"),), meta={"openai": {"role": "developer"}}),
                user("so?"),
                assistant("well"),
                user("and?"),
            ),
        },
    ),
    "some tools": (
        {
            **HI,
            "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}],
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}],
            },
        },
        {
            **SAY_HI,
            "tools": (Tool("f"), Tool("c", kind="custom")),
            "tool_choice": AllowedTools(("f", "c"), "required"),
        },
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_for_the_same_call_our_request_is_the_sdks(name):
    theirs, ours = CALLS[name]
    ours = dict(ours)
    stream = ours.pop("stream", False)
    wire = encode_request(GenerateRequest(model="m", **ours), ResponsesQuirks(), stream=stream)
    said = json.loads(wire.body)
    if "reasoning" in said:
        (needed,) = (one.value for one in NEEDED if one.field == "include[]")
        said["include"].remove(needed)
    assert said == sdk_request(**theirs)
    assert wire.adjustments == ()


def sdk_client(exchange):
    def answer(request):
        kind = "text/event-stream" if exchange.is_stream else "application/json"
        return httpx2.Response(exchange.status, content=exchange.body, headers={"content-type": kind})

    return client_of(answer)


def read_by_sdk(exchange):
    """The SDK's answer: of a stream the last event's, with the items that came before in place of what it repeats."""
    with sdk_client(exchange) as client:
        if not exchange.is_stream:
            return client.responses.create(model="m", input="hi"), None
        ended, done = None, {}
        with client.responses.create(model="m", input="hi", stream=True) as stream:
            for event in stream:
                if event.type == "response.output_item.done":
                    done[event.output_index] = event.item
                elif event.type in ("response.completed", "response.incomplete"):
                    ended = event.response
        return ended, [done[place] for place in sorted(done)]


def read_by_us(exchange):
    codec = OPENAI_RESPONSES.generate
    if not exchange.is_stream:
        return codec.decode_response(exchange.body)
    framer, decoder = SSEFramer(), codec.stream_decoder()
    frames = framer.feed(exchange.body) + framer.close()
    return fold([event for frame in frames for event in decoder.feed(frame)] + decoder.close())


def _answers():
    for exchange in recordings("openai.responses"):
        fails = b'"type":"error"' in exchange.body
        if exchange.status == 200 and not fails and exchange.id not in UNLIKE_ONE_ANSWER:
            yield exchange


@pytest.mark.recordings
def test_the_sdk_reads_the_same_from_every_recorded_answer():
    seen = 0
    for exchange in _answers():
        (theirs, done), ours = read_by_sdk(exchange), read_by_us(exchange)
        items = done or theirs.output
        assert (ours.id, ours.model) == (theirs.id, theirs.model), exchange
        texts = [part for item in items if item.type == "message" for part in item.content]
        assert ours.text == "".join(part.text for part in texts if part.type == "output_text"), exchange
        assert ours.refusal == "".join(part.refusal for part in texts if part.type == "refusal"), exchange
        cited = [len(part.annotations) for part in texts if part.type == "output_text" and part.annotations]
        assert [len(part.sources) for part in ours.content if getattr(part, "sources", ())] == cited, exchange
        thoughts = [
            text.text
            for item in items
            if item.type == "reasoning"
            for text in [*item.summary, *(item.content or ())]
            if text.text
        ]
        assert ours.reasoning == "\n\n".join(thoughts), exchange
        hidden = [item.encrypted_content for item in items if item.type == "reasoning"]
        kept = [part.meta[OWN]["item"] for part in ours.content if _ends_thought(part)]
        assert [marks.get("encrypted_content") for marks in kept] == hidden, exchange
        calls = [
            (item.call_id, item.name, item.arguments if item.type == "function_call" else item.input)
            for item in items
            if item.type in ("function_call", "custom_tool_call")
        ]
        assert [(call.id, call.name, call.arguments) for call in ours.tool_calls] == calls, exchange
        _agree_on_the_end(theirs, ours, exchange)
        seen += 1
    assert seen > 110


def _ends_thought(part):
    return isinstance(part, ReasoningPart) and "item" in part.meta[OWN]


def _agree_on_the_end(theirs, ours, exchange):
    if theirs.incomplete_details:
        assert ours.finish.raw == theirs.incomplete_details.reason, exchange
    elif ours.finish is None:
        assert theirs.status == "queued", exchange
    else:
        assert ours.finish.raw == theirs.status, exchange
    usage = decode_usage(theirs.usage.to_dict(warnings=False)) if theirs.usage else None
    for name in ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens", "total_tokens"):
        assert getattr(ours.usage, name) == getattr(usage, name, None), (exchange, name)


@pytest.mark.recordings
def test_the_sdk_reads_what_our_server_writes():
    """Every recorded answer, read by us and streamed again."""
    codec = OPENAI_RESPONSES.generate
    seen = 0
    for exchange in _answers():
        if not exchange.is_stream:
            continue
        framer, decoder = SSEFramer(), codec.stream_decoder()
        encoder = codec.stream_encoder(GenerateRequest(model="m", messages=()))
        frames = framer.feed(exchange.body) + framer.close()
        pieces = [piece for frame in frames for piece in encoder.feed(decoder.feed(frame))]
        pieces += encoder.feed(decoder.close()) + encoder.close()
        again = _answered(b"".join(pieces), stream=True)
        (written, items), (theirs, done) = read_by_sdk(again), read_by_sdk(exchange)
        assert [_said(item) for item in items] == [_said(item) for item in done], exchange
        assert [_said(item) for item in written.output] == [_said(item) for item in done], exchange
        assert (written.id, written.model, written.status) == (theirs.id, theirs.model, theirs.status), exchange
        assert written.usage == theirs.usage, exchange
        seen += 1
    assert seen > 40


def _said(item):
    told = {name: value for name, value in item.to_dict(warnings=False).items() if value is not None}
    if told["type"] == "reasoning" and told.get("content") == []:
        del told["content"]
    if told["type"] == "message":
        told["content"] = [{"logprobs": [], **part} if "text" in part else part for part in told["content"]]
    return told


@pytest.mark.recordings
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # for kinds of sources that the SDK does not know
def test_the_sdks_own_accumulator_follows_our_servers_stream():
    """The SDK's stream helper keeps its own tally of parts and pieces, and trips over an event out of place."""
    codec = OPENAI_RESPONSES.generate
    for exchange in _answers():
        ours = read_by_us(exchange)
        if not exchange.is_stream or not ours.text or ours.finish.reason == "length":
            continue  # the helper knows no `response.incomplete`
        framer, decoder = SSEFramer(), codec.stream_decoder()
        encoder = codec.stream_encoder(GenerateRequest(model="m", messages=()))
        frames = framer.feed(exchange.body) + framer.close()
        pieces = [piece for frame in frames for piece in encoder.feed(decoder.feed(frame))]
        pieces += encoder.feed(decoder.close()) + encoder.close()
        again = _answered(b"".join(pieces), stream=True)
        with sdk_client(again) as client, client.responses.stream(model="m", input="hi") as stream:
            texts = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
            final = stream.get_final_response()
        assert final.output_text == ours.text, exchange
        assert texts[-1] and ours.text.endswith(texts[-1]), exchange


@pytest.mark.recordings
def test_the_sdk_reads_the_bodies_that_our_server_writes():
    """Every recorded body, read by us and written again."""
    seen = 0
    for exchange in _answers():
        if exchange.is_stream:
            continue
        again = _answered(OPENAI_RESPONSES.generate.encode_response(read_by_us(exchange)))
        (written, _), (theirs, _) = read_by_sdk(again), read_by_sdk(exchange)
        assert [_said(item) for item in written.output] == [_said(item) for item in theirs.output], exchange
        assert (written.id, written.model, written.status) == (theirs.id, theirs.model, theirs.status), exchange
        assert (written.usage, written.incomplete_details) == (theirs.usage, theirs.incomplete_details), exchange
        seen += 1
    assert seen > 60


def _answered(body, *, stream=False):
    return type("Again", (), {"status": 200, "is_stream": stream, "body": body})


@pytest.mark.recordings
@pytest.mark.parametrize("row", [row for row in ROWS if row.dialect is not OPENAI_RESPONSES], ids=repr)
def test_the_sdk_reads_answers_of_other_wires_from_our_server(row):
    """A gateway's client: the answer came on another wire, and is written whole and streamed on this one."""
    answers = list(row.answers())
    seen = 0
    for exchange, response in answers[:: 4 if len(answers) > 50 else 1]:
        codec = OPENAI_RESPONSES.generate
        (whole, _) = read_by_sdk(_answered(codec.encode_response(response)))
        encoder = codec.stream_encoder(GenerateRequest(model="m", messages=()))
        *inner, end = unfold(response)
        pieces = encoder.feed([*inner, StreamEnd(end.finish, end.usage, meta=end.meta)]) + encoder.close()
        streamed, done = read_by_sdk(_answered(b"".join(pieces), stream=True))
        assert [_nameless(item) for item in done] == [_nameless(item) for item in streamed.output], exchange
        for told in (whole, streamed):
            assert told.output_text == response.text, exchange
            calls = [item for item in told.output if item.type in ("function_call", "custom_tool_call")]
            assert [(call.call_id, call.name) for call in calls] == [
                (call.id, call.name) for call in response.tool_calls
            ], exchange
            thoughts = [text.text for item in told.output if item.type == "reasoning" for text in item.summary]
            assert "\n\n".join(filter(None, thoughts)) == response.reasoning, exchange
            spent = (told.usage.input_tokens, told.usage.output_tokens) if told.usage else (None, None)
            ours = (response.usage.input_tokens, response.usage.output_tokens)
            assert spent == (ours if ours == (None, None) else tuple(count or 0 for count in ours)), exchange
        seen += 1
    assert seen > 10


def _nameless(item):
    return {name: value for name, value in _said(item).items() if name != "id"}
