"""Answers as a server of this wire writes them."""

from __future__ import annotations

import json

import pytest
from msgspec import structs

from polyvox.dialects.gemini.answer import StreamEncoder, encode_response
from polyvox.dialects.gemini.response import decode_response
from polyvox.dialects.gemini.stream import StreamDecoder
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
from polyvox.types.generate import Alternative, Finish, GenerateRequest, GenerateResponse
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

REQUEST = GenerateRequest(model="m", messages=())
SIGNED = {"gemini": {"thoughtSignature": "s"}}
STOP = Finish("stop")


def frames_of(*lists):
    encoder = StreamEncoder(REQUEST)
    pieces = [frame for events in lists for frame in encoder.feed(list(events))] + encoder.close()
    assert all(piece.startswith(b"data: {") and piece.endswith(b"}\r\n\r\n") for piece in pieces)
    assert all(piece.count(b"\n") == 2 for piece in pieces)
    framer = SSEFramer()
    read = [frame for piece in pieces for frame in framer.feed(piece)]
    return [json.loads(frame.data) for frame in read], read


def read_again(read):
    decoder = StreamDecoder()
    return fold([event for frame in read for event in decoder.feed(frame)] + decoder.close())


def parts_of(chunk):
    return chunk["candidates"][0]["content"]["parts"]


def written(*content, finish=STOP, **facts):
    """A body, and the same answer streamed: what a client reads of both."""
    response = GenerateResponse(id="i", model="m", content=content, finish=finish, **facts)
    body = encode_response(response)
    events = unfold(response)
    singly = read_again(frames_of(*[[event] for event in events])[1])
    together = read_again(frames_of(events)[1])
    whole = decode_response(body)
    return json.loads(body), structs.replace(whole, raw=None), singly, together


def test_a_stream_is_written_as_google_writes_it():
    values, _ = frames_of(
        [StreamStart("i", "n"), UsageUpdate(Usage(12, 1)), PartStart(0, ReasoningPart())],
        [ReasoningDelta(0, "hm"), PartEnd(0), PartStart(1, TextPart("")), TextDelta(1, "a")],
        [TextDelta(1, ""), TextDelta(1, "b"), PartEnd(1)],
        [PartStart(2, ToolCall("c", "f")), ToolCallDelta(2, '{"x":'), ToolCallDelta(2, "1}"), PartEnd(2)],
        [StreamEnd(Finish("tool_calls"), Usage(12, 9, reasoning_tokens=4))],
    )
    assert [parts_of(value) for value in values] == [
        [{"text": "hm", "thought": True}],
        [{"text": "a"}],
        [{"text": "b"}],
        [{"functionCall": {"id": "c", "name": "f", "args": {"x": 1}}}],
        [{"text": ""}],
    ]
    assert {(value["responseId"], value["modelVersion"]) for value in values} == {("i", "n")}
    *others, end = values
    assert not any("finishReason" in value["candidates"][0] or "usageMetadata" in value for value in others)
    assert end["candidates"][0]["finishReason"] == "STOP"
    assert end["usageMetadata"] == {
        "promptTokenCount": 12,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 4,
        "totalTokenCount": 21,
    }


def test_a_body_is_written_as_google_writes_it():
    body, *_ = written(TextPart("a"), finish=Finish("length"), usage=Usage(1, 2))
    assert body == {
        "candidates": [
            {"content": {"parts": [{"text": "a"}], "role": "model"}, "finishReason": "MAX_TOKENS", "index": 0}
        ],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3},
        "modelVersion": "m",
        "responseId": "i",
    }


@pytest.mark.parametrize(
    ("finish", "word", "again"),
    [
        (Finish("stop"), "STOP", Finish("stop", "STOP")),
        (Finish("length", "max_tokens"), "MAX_TOKENS", Finish("length", "MAX_TOKENS")),
        (Finish("content_filter"), "SAFETY", Finish("content_filter", "SAFETY")),
        (Finish("content_filter", "RECITATION"), "RECITATION", Finish("content_filter", "RECITATION")),
        (Finish("pause"), "CONTINUATION", Finish("pause", "CONTINUATION")),
        (Finish("error"), "OTHER", Finish("error", "OTHER")),
        (Finish("error", "NO_IMAGE"), "NO_IMAGE", Finish("error", "NO_IMAGE")),
        (Finish("other", "odd"), "FINISH_REASON_UNSPECIFIED", Finish("other", "FINISH_REASON_UNSPECIFIED")),
        (None, "FINISH_REASON_UNSPECIFIED", Finish("other", "FINISH_REASON_UNSPECIFIED")),
    ],
)
def test_why_an_answer_ended_is_said_in_the_wires_words(finish, word, again):
    body, *read = written(TextPart("a"), finish=finish)
    assert body["candidates"][0]["finishReason"] == word
    assert [response.finish for response in read] == [again] * 3


def test_a_blocked_prompt_has_no_candidates():
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}}
    body, *read = written(finish=Finish("content_filter", "SAFETY"), meta={"gemini": blocked})
    assert "candidates" not in body
    assert body["promptFeedback"] == blocked["promptFeedback"]
    assert [response.finish for response in read] == [Finish("content_filter", "SAFETY")] * 3


def test_a_signature_goes_on_the_very_part_it_belongs_to():
    content = (
        ReasoningPart("hm", meta={"gemini": {"thought": True, "thoughtSignature": "t"}}),
        TextPart("a"),
        TextPart("b", meta=SIGNED),
        TextPart("c"),
        TextPart("", meta=SIGNED),
        ToolCall("x", "f", '{"a": 1}', meta=SIGNED),
    )
    body, whole, _, together = written(*content)
    assert [part.get("thoughtSignature") for part in body["candidates"][0]["content"]["parts"]] == [
        "t", None, "s", None, "s", "s",
    ]  # fmt: skip
    assert whole.content == together.content == content


def test_a_signature_that_comes_at_the_end_of_a_streamed_text_is_not_lost():
    events = [PartStart(0, TextPart("")), TextDelta(0, "a"), PartEnd(0, SIGNED), StreamEnd(STOP)]
    again = read_again(frames_of(*[[event] for event in events])[1])
    assert again.text == "a"
    assert [part.meta for part in again.content if part.meta] == [SIGNED]


def test_texts_side_by_side_stay_two():
    _, whole, singly, together = written(TextPart("a"), TextPart("b"), ReasoningPart("c"), ReasoningPart("d"))
    assert whole.content == singly.content == together.content
    assert [part.text for part in whole.content] == ["a", "b", "c", "d"]


def test_an_empty_text_says_nothing():
    body, whole, singly, _ = written(TextPart(""), ReasoningPart(""), TextPart("a"))
    assert body["candidates"][0]["content"]["parts"] == [{"text": "a"}]
    assert whole.content == singly.content == (TextPart("a"),)


@pytest.mark.parametrize(
    ("call", "args"),
    [
        (ToolCall("c", "f", '{"b": 1.0,"a":2}'), {"b": 1.0, "a": 2}),
        (ToolCall("c", "f", '{"a": "cut'), {}),
        (ToolCall("c", "f", "[1]"), {}),
        (ToolCall("c", "f", '{"a": NaN}'), {"a": None}),
        (ToolCall("c", "f", "null"), {}),
        (ToolCall("c", "f", "free text", "custom"), {"input": "free text"}),
    ],
)
def test_arguments_are_an_object(call, args):
    body, whole, singly, together = written(call)
    assert body["candidates"][0]["content"]["parts"] == [{"functionCall": {"id": "c", "name": "f", "args": args}}]
    assert whole.tool_calls[0].decode() == singly.tool_calls[0].decode() == together.tool_calls[0].decode() == args


def test_arguments_go_as_they_were_written():
    _, whole, singly, _ = written(ToolCall("c", "f", '{"b": 1.0,\n "a":2e3}'))
    assert whole.tool_calls[0].arguments == '{"b": 1.0,\n "a":2e3}'
    assert singly.tool_calls[0].arguments == '{"b": 1.0,  "a":2e3}', "a frame is one line"


def test_half_a_character_does_not_stop_an_answer():
    _, whole, singly, _ = written(TextPart("a\ud83d"), ToolCall("c", "f", '{"x": 1}', meta={"gemini": {"m": "\ud83d"}}))
    assert whole.text == singly.text == "a\ufffd"
    assert whole.tool_calls[0].decode() == {"x": 1}


def test_an_id_that_was_made_is_not_said():
    body, whole, *_ = written(ToolCall("polyvox_i_0", "f", "{}"))
    assert body["candidates"][0]["content"]["parts"] == [{"functionCall": {"name": "f", "args": {}}}]
    assert whole.tool_calls[0].id == "polyvox_i_0"


def test_what_another_provider_ran_goes_as_a_call_of_the_servers():
    call = ToolCall("t", "web_search", '{"q":"x"}', executed=True, meta={"openai": {"a": 1}})
    result = ToolResult("t", "web_search", (TextPart("found"), SourcePart("https://x.test")))
    failure = ToolResult("u", "fetch", (TextPart("gone"),), is_error=True)
    body, whole, singly, _ = written(call, result, failure)
    assert body["candidates"][0]["content"]["parts"] == [
        {"toolCall": {"toolType": "web_search", "id": "t", "args": {"q": "x"}}},
        {"toolResponse": {"toolType": "web_search", "id": "t", "response": {"output": "found"}}},
        {"toolResponse": {"toolType": "fetch", "id": "u", "response": {"error": "gone"}}},
    ]
    assert whole.content == singly.content
    read, found, failed = whole.content
    assert (read.name, read.arguments, read.executed) == ("web_search", '{"q":"x"}', True)
    assert (found.text, failed.text, failed.is_error) == ("found", "gone", True)


def test_what_this_wires_tools_did_goes_back_as_it_came_unless_it_was_changed():
    ran = {"executableCode": {"code": "1", "language": "PYTHON"}, "thoughtSignature": "s"}
    gave = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}}
    answer = {"candidates": [{"content": {"parts": [ran, gave]}, "finishReason": "STOP"}], "responseId": "r"}
    response = decode_response(json.dumps(answer).encode())
    assert parts_of(json.loads(encode_response(response))) == [ran, gave]
    call, result = response.content
    changed = (
        structs.replace(call, arguments='{"code":"2"}'),
        structs.replace(result, content=(TextPart("2\n"),)),
    )
    again = parts_of(json.loads(encode_response(structs.replace(response, content=changed))))
    assert again == [
        {"executableCode": {"code": "2", "language": "PYTHON"}, "thoughtSignature": "s"},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2\n"}},
    ]


def test_files_go_as_bytes_or_by_address():
    content = (
        FilePart("image/png", b"p", "a.png"),
        FilePart("image/png", Url("https://x.test/a.png")),
        FilePart("video/mp4", FileId("files/abc")),
        FilePart("audio/L16;rate=24000", b"abcd"),
    )
    body, whole, singly, together = written(*content)
    assert body["candidates"][0]["content"]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "cA==", "displayName": "a.png"}},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://x.test/a.png"}},
        {"fileData": {"mimeType": "video/mp4", "fileUri": "files/abc"}},
        {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "YWJjZA=="}},
    ]
    assert whole.content == singly.content == together.content


def test_raw_sound_goes_out_as_it_comes_and_two_sounds_stay_two():
    sound = PartStart(0, FilePart("audio/pcm", b""))
    values, read = frames_of(
        [sound, FileDelta(0, b"ab")],
        [FileDelta(0, b"cd"), PartEnd(0)],
        [structs.replace(sound, index=1), FileDelta(1, b"ef"), PartEnd(1), StreamEnd(STOP)],
    )
    assert len(values) == 4
    assert read_again(read).content == (FilePart("audio/pcm", b"abcd"), FilePart("audio/pcm", b"ef"))


def test_a_picture_in_pieces_goes_whole():
    values, read = frames_of(
        [PartStart(0, FilePart("image/png", b"a")), FileDelta(0, b"b")],
        [FileDelta(0, b"c"), PartEnd(0), StreamEnd(STOP)],
    )
    assert len(values) == 2
    assert read_again(read).content == (FilePart("image/png", b"abc"),)


def test_parts_that_interleave_are_written_one_after_the_other():
    values, read = frames_of(
        [PartStart(0, TextPart("")), PartStart(1, ToolCall("c", "f"))],
        [ToolCallDelta(1, "{}"), TextDelta(0, "a"), PartEnd(1)],
        [TextDelta(0, "b"), PartEnd(0), PartStart(2, TextPart("")), TextDelta(2, "c"), PartEnd(2), StreamEnd(STOP)],
    )
    assert [next(iter(parts_of(value)[0])) for value in values] == ["text", "text", "functionCall", "text", "text"]
    assert read_again(read).content == (TextPart("ab"), ToolCall("c", "f", "{}"), TextPart("c"))


def test_parts_of_another_wire_that_only_it_can_read_are_left_out():
    novel = OpaquePart("hologram", {"gemini": {"hologram": {"x": 1}}})
    body, whole, singly, _ = written(OpaquePart("x", {"openai": {"a": 1}}), novel, TextPart("a"))
    assert body["candidates"][0]["content"]["parts"] == [{"hologram": {"x": 1}}, {"text": "a"}]
    assert whole.content == singly.content == (novel, TextPart("a"))


# Sources


def test_sources_are_grounding_that_counts_bytes():
    text = TextPart(
        "Wörld 😀 is round.",
        (
            Source(url="https://x.test", title="X", start=8, end=17),
            Source(url="https://y.test", text="words", start=0, end=5),
            Source(url="https://x.test", title="X"),
        ),
    )
    body, whole, singly, together = written(ReasoningPart("hm"), text, SourcePart("https://z.test", "Z"))
    (candidate,) = body["candidates"]
    assert candidate["groundingMetadata"] == {
        "groundingChunks": [
            {"web": {"uri": "https://x.test", "title": "X"}},
            {"retrievedContext": {"uri": "https://y.test", "text": "words"}},
            {"web": {"uri": "https://z.test", "title": "Z"}},
        ],
        "groundingSupports": [
            {"segment": {"startIndex": 12, "endIndex": 21, "text": "is round."}, "groundingChunkIndices": [0]},
            {"segment": {"startIndex": 0, "endIndex": 6, "text": "Wörld"}, "groundingChunkIndices": [1]},
            {"segment": {}, "groundingChunkIndices": [0]},
        ],
    }
    for read in (whole, singly, together):
        assert read.content[1:] == (text, SourcePart("https://z.test", "Z"))


def test_sources_on_several_texts_stand_on_their_own():
    content = (
        TextPart("same", (Source(url="https://x.test", start=0, end=4),)),
        ToolCall("c", "f", "{}"),
        TextPart("same", (Source(url="https://y.test", start=0, end=4), Source(url="https://x.test", start=1, end=90))),
    )
    _, whole, singly, together = written(*content)
    assert whole.content == singly.content == together.content == content


def test_grounding_goes_back_as_it_came_unless_the_sources_were_changed():
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://x.test", "title": "X", "domain": "x.test"}}],
        "groundingSupports": [{"segment": {"endIndex": 1, "text": "a"}, "groundingChunkIndices": [0]}],
        "webSearchQueries": ["q"],
    }
    candidate = {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP", "groundingMetadata": grounding}
    cited = {"citationSources": [{"startIndex": 0, "endIndex": 1, "uri": "https://c.test"}]}
    response = decode_response(json.dumps({"candidates": [{**candidate, "citationMetadata": cited}]}).encode())
    (again,) = json.loads(encode_response(response))["candidates"]
    assert (again["groundingMetadata"], again["citationMetadata"]) == (grounding, cited)
    _, read = frames_of(unfold(response))
    assert read_again(read).content == response.content
    changed = structs.replace(response, content=(TextPart("a", (Source(url="https://n.test", start=0, end=1),)),))
    (told,) = json.loads(encode_response(changed))["candidates"]
    assert told["groundingMetadata"]["groundingChunks"] == [{"web": {"uri": "https://n.test"}}]
    assert told["groundingMetadata"]["webSearchQueries"] == ["q"]
    assert decode_response(encode_response(changed)).content == changed.content
    bare = structs.replace(response, content=(TextPart("a"),))
    assert decode_response(encode_response(bare)).content == bare.content


def test_a_stream_says_early_that_sources_will_come():
    values, read = frames_of(
        [PartStart(0, TextPart("")), TextDelta(0, "a")],
        [SourceDelta(0, Source(url="https://x.test", start=0, end=1)), PartEnd(0)],
        [PartStart(1, TextPart("")), TextDelta(1, "b"), PartEnd(1), StreamEnd(STOP)],
    )
    assert values[1]["candidates"][0]["groundingMetadata"] == {}
    first, second = read_again(read).content
    assert (first.sources[0].url, second.sources) == ("https://x.test", ())


# What else an answer says


def test_probabilities_go_with_their_text():
    tokens = (TokenLogprob("a", -0.5, top=(TokenLogprob("a", -0.5), TokenLogprob("c", -2.0))), TokenLogprob("b", -1.0))
    for read in written(TextPart("ab", logprobs=tokens))[1:]:
        assert read.content == (TextPart("ab", logprobs=tokens),)
    signed = TextPart("ab", logprobs=tokens, meta=SIGNED)
    assert written(signed)[3].content == (signed,)


def test_further_answers_are_candidates():
    other = Alternative(1, (TextPart("b"), ToolCall("c", "f", "{}")), Finish("tool_calls"))
    body, *read = written(TextPart("a"), alternatives=(other,))
    assert [candidate["index"] for candidate in body["candidates"]] == [0, 1]
    for response in read:
        assert response.text == "a"
        assert response.alternatives == (structs.replace(other, finish=Finish("tool_calls", "STOP")),)


def test_the_envelope_goes_back():
    meta = {"gemini": {"createTime": "now", "candidate": {"safetyRatings": [{"a": 1}], "avgLogprobs": -1.5}}}
    body, *read = written(TextPart("a"), meta=meta)
    assert (body["createTime"], body["candidates"][0]["avgLogprobs"]) == ("now", -1.5)
    assert [response.meta for response in read] == [meta] * 3


def test_an_answer_that_nobody_named_has_no_id():
    values, _ = frames_of([PartStart(0, TextPart("a")), PartEnd(0), StreamEnd(STOP)])
    assert all("responseId" not in value and value["modelVersion"] == "m" for value in values)
    body = json.loads(encode_response(GenerateResponse(content=(TextPart("a"),), finish=STOP)))
    assert set(body) == {"candidates"}
