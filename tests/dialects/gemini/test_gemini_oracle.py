"""The official SDK as oracle of answers: it reads what we read, and what our server writes."""

from __future__ import annotations

import json
import warnings

import pytest

from polyvox.dialects.gemini.dialect import GEMINI
from polyvox.dialects.gemini.usage import decode_usage
from polyvox.framing.sse import SSEFramer
from polyvox.types.fold import fold, unfold
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.parts import ReasoningPart, TextPart, ToolCall
from polyvox.types.usage import Usage
from tests.recordings import recordings

genai = pytest.importorskip("google.genai")
httpx2 = pytest.importorskip("httpx2")

ENDPOINTS = ("gemini.generateContent", "gemini.streamGenerateContent")


def answered():
    """The recorded answers that the SDK can read: a stream that came as an array is none, nor are enums as numbers."""
    for exchange in (exchange for endpoint in ENDPOINTS for exchange in recordings(endpoint)):
        numbered = b'"finishReason": 1' in exchange.body or b'"finishReason":1' in exchange.body
        if exchange.status == 200 and not exchange.body.lstrip().startswith(b"[") and not numbered:
            yield exchange


@pytest.fixture(scope="module")
def sdk():
    """Return what reads a body as the SDK does: the answers of each chunk. Its client is made once: that takes long."""
    held = {}

    def answer(request):
        kind = "text/event-stream" if held["stream"] else "application/json"
        return httpx2.Response(200, content=held["body"], headers={"content-type": kind})

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as transport:
        options = genai.types.HttpOptions(base_url="http://sdk.example", httpx_client=transport)
        with genai.Client(api_key="k", http_options=options) as client:

            def read(body, *, stream):
                held.update(body=body, stream=stream)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of words newer than the SDK
                    if stream:
                        return list(client.models.generate_content_stream(model="m", contents="hi"))
                    return [client.models.generate_content(model="m", contents="hi")]

            yield read


def read_by_us(body, *, stream):
    codec = GEMINI.generate
    if not stream:
        return codec.decode_response(body)
    framer, decoder = SSEFramer(), codec.stream_decoder()
    frames = framer.feed(body) + framer.close()
    return fold([event for frame in frames for event in decoder.feed(frame)] + decoder.close())


def parts_of(chunks):
    contents = [candidate.content for chunk in chunks for candidate in (chunk.candidates or [])[:1]]
    return [part for content in contents if content for part in content.parts or []]


def told(chunks):
    """What the SDK read, joined over its chunks."""
    parts = parts_of(chunks)
    texts = [part for part in parts if part.text is not None]
    reasons = [candidate.finish_reason for chunk in chunks for candidate in (chunk.candidates or [])[:1]]
    usages = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    usage = usages[-1].model_dump(mode="json", by_alias=True, exclude_none=True) if usages else {}
    return {
        "id": chunks[0].response_id,
        "model": chunks[0].model_version,
        "text": "".join(part.text for part in texts if not part.thought),
        "reasoning": "".join(part.text for part in texts if part.thought),
        "calls": [(call.name, call.args or {}) for part in parts if (call := part.function_call)],
        "code": [part.executable_code.code for part in parts if part.executable_code],
        "output": [part.code_execution_result.output for part in parts if part.code_execution_result],
        "files": [(part.inline_data.mime_type, part.inline_data.data) for part in parts if part.inline_data],
        "signatures": [part.thought_signature for part in parts if part.thought_signature],
        "finish": next((reason.value for reason in reversed(reasons) if reason), None),
        "others": [candidate.content.parts[-1].text for chunk in chunks for candidate in (chunk.candidates or [])[1:]],
        "usage": decode_usage(usage),
    }


def said(response):
    """The same of our response."""
    marks = [part.meta.get("gemini", {}) for part in response.content]
    blocked = response.meta.get("gemini", {}).get("promptFeedback", {}).get("blockReason")
    finish = response.finish.raw if response.finish else None
    return {
        "id": response.id,
        "model": response.model,
        "text": response.text,
        "reasoning": "".join(part.text for part in response.content if isinstance(part, ReasoningPart)),
        "calls": [(call.name, call.decode()) for call in response.tool_calls],
        "code": [mark["executableCode"]["code"] for mark in marks if "executableCode" in mark],
        "output": [mark["codeExecutionResult"]["output"] for mark in marks if "codeExecutionResult" in mark],
        "files": [(part.media_type, part.data) for part in response.content if hasattr(part, "media_type")],
        "signatures": [_bytes(mark["thoughtSignature"]) for mark in marks if "thoughtSignature" in mark],
        "finish": None if finish == blocked else finish,
        "others": [other.content[-1].text for other in response.alternatives],
        "usage": response.usage,
    }


def _bytes(signature):
    return genai.types.Part(thought_signature=signature).thought_signature


COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens", "audio_output_tokens")


def same(ours, theirs, name):
    usage, expected = ours.pop("usage"), theirs.pop("usage")
    assert ours == theirs, name
    assert [getattr(usage, count) for count in COUNTS] == [getattr(expected, count) for count in COUNTS], name


@pytest.mark.recordings
def test_the_sdk_reads_the_same_from_every_recorded_answer(sdk):
    seen = 0
    for exchange in answered():
        chunks = sdk(exchange.body, stream=exchange.is_stream)
        same(said(read_by_us(exchange.body, stream=exchange.is_stream)), told(chunks), exchange.id)
        seen += 1
    assert seen > 75


@pytest.mark.recordings
def test_the_sdk_reads_what_our_server_writes(sdk):
    """Every recorded answer, read by us and written again: as it came, and the other way."""
    codec = GEMINI.generate
    seen = 0
    for exchange in answered():
        expected = told(sdk(exchange.body, stream=exchange.is_stream))
        framer, decoder = SSEFramer(), codec.stream_decoder()
        if exchange.is_stream:
            encoder = codec.stream_encoder(GenerateRequest(model="m", messages=()))
            frames = framer.feed(exchange.body) + framer.close()
            pieces = [piece for frame in frames for piece in encoder.feed(decoder.feed(frame))]
            pieces += encoder.feed(decoder.close()) + encoder.close()
            again = sdk(b"".join(pieces), stream=True)
        else:
            body = codec.encode_response(codec.decode_response(exchange.body))
            again = sdk(body, stream=False)
        same(told(again), expected, exchange.id)
        seen += 1
    assert seen > 75


def test_the_sdk_reads_an_answer_of_another_wire(sdk):
    content = (ReasoningPart("hm"), TextPart("hi"), ToolCall("c", "f", '{"x": 1}'))
    codec = GEMINI.generate
    response = GenerateResponse(id="i", model="m", content=content, finish=Finish("tool_calls"), usage=Usage(5, 7))
    encoder = codec.stream_encoder(GenerateRequest(model="m", messages=()))
    pieces = encoder.feed(unfold(response)) + encoder.close()
    for chunks in (
        sdk(codec.encode_response(response), stream=False),
        sdk(b"".join(pieces), stream=True),
    ):
        read = told(chunks)
        assert (read["id"], read["model"], read["finish"]) == ("i", "m", "STOP")
        assert (read["text"], read["reasoning"], read["calls"]) == ("hi", "hm", [("f", {"x": 1})])
        assert [part.function_call.id for part in parts_of(chunks) if part.function_call] == ["c"]
        assert (read["usage"].input_tokens, read["usage"].output_tokens) == (5, 7)


@pytest.mark.recordings
def test_the_sdk_and_we_tell_errors_by_the_same_facts():
    for exchange in (exchange for endpoint in ENDPOINTS for exchange in recordings(endpoint)):
        if exchange.status < 400:
            continue
        ours = GEMINI.decode_error(exchange.status, exchange.headers, exchange.body)
        theirs = genai.errors.APIError(exchange.status, json.loads(exchange.body))
        assert (ours.status, ours.message) == (theirs.code, theirs.message), exchange.id
        assert ours.code in (theirs.status, "API_KEY_INVALID"), exchange.id
