"""The official SDK as oracle: it reads of every recorded answer what we read, and of our server's answers too."""

from __future__ import annotations

import json

import pytest

from polyvox.dialects.ollama.dialect import OLLAMA
from polyvox.framing.ndjson import NDJSONFramer
from polyvox.types.fold import fold, unfold
from polyvox.types.generate import GenerateRequest
from tests.laws.table import as_streamed
from tests.recordings import recordings

ollama = pytest.importorskip("ollama")
httpx = pytest.importorskip("httpx")

pytestmark = pytest.mark.recordings

METRICS = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)


def sdk_reads(body, *, stream, status=200):
    """What the SDK makes of a body: each of its chunks, or its one answer."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=body))
    with ollama.Client(host="http://sdk.example", transport=transport) as client:
        answer = client.chat(model="m", messages=[], stream=stream)
        return list(answer) if stream else [answer]


def facts_of_sdk(chunks):
    last = chunks[-1]
    assert last.done
    return {
        "model": chunks[0].model,
        "text": "".join(chunk.message.content or "" for chunk in chunks),
        "thinking": "".join(chunk.message.thinking or "" for chunk in chunks),
        "calls": [
            (call.function.name, dict(call.function.arguments))
            for chunk in chunks
            for call in chunk.message.tool_calls or ()
        ],
        "ended": last.done_reason,
        "metrics": {name: count for name in METRICS if (count := getattr(last, name)) is not None},
        "when": last.created_at,
    }


def facts_of_ours(response):
    return {
        "model": response.model,
        "text": response.text,
        "thinking": response.reasoning,
        "calls": [(call.name, json.loads(call.arguments)) for call in response.tool_calls],
        "ended": response.finish.raw,
        "metrics": response.usage.raw,
        "when": response.meta["ollama"]["created_at"],
    }


def decode(exchange):
    if not exchange.is_stream:
        return OLLAMA.generate.decode_response(exchange.body)
    framer, decoder = NDJSONFramer(), OLLAMA.generate.stream_decoder()
    events = [event for frame in framer.feed(exchange.body) + framer.close() for event in decoder.feed(frame)]
    return fold(events + decoder.close())


def answers():
    return [exchange for exchange in recordings("ollama.chat") if exchange.status == 200]


def test_the_sdk_reads_of_every_recorded_answer_what_we_read():
    for exchange in answers():
        read = facts_of_sdk(sdk_reads(exchange.body, stream=exchange.is_stream))
        assert facts_of_ours(decode(exchange)) == read, exchange.id
    assert len(answers()) >= 13


def test_the_sdk_reads_the_same_of_what_our_server_writes_of_it():
    for exchange in answers():
        response = decode(exchange)
        ours = facts_of_ours(response)
        assert facts_of_sdk(sdk_reads(OLLAMA.generate.encode_response(response), stream=False)) == ours, exchange.id
        encoder = OLLAMA.generate.stream_encoder(GenerateRequest(model="m", messages=()))
        lines = [*encoder.feed(as_streamed(response, unfold(response))), *encoder.close()]
        assert facts_of_sdk(sdk_reads(b"".join(lines), stream=True)) == ours, exchange.id


def test_the_sdk_reads_every_error_as_we_do():
    seen = 0
    for exchange in recordings("ollama.chat"):
        if exchange.status < 400:
            continue
        with pytest.raises(ollama.ResponseError) as caught:
            sdk_reads(exchange.body, stream=False, status=exchange.status)
        error = OLLAMA.decode_error(exchange.status, exchange.headers, exchange.body)
        assert (caught.value.error, caught.value.status_code) == (error.message, error.status)
        status, body = OLLAMA.encode_error(error)
        with pytest.raises(ollama.ResponseError, match=error.message):
            sdk_reads(body, stream=False, status=status)
        with pytest.raises(ollama.ResponseError, match=error.message):
            sdk_reads(body + b"\n", stream=True)
        seen += 1
    assert seen
