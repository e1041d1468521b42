"""Whole answers as a client reads them: each trap of the wire."""

from __future__ import annotations

import base64
import json

import pytest

from polyvox.dialects.gemini.response import decode_response
from polyvox.dialects.gemini.usage import decode_usage, encode_usage, merge_usage
from polyvox.errors import AuthenticationError, DecodeError, OverloadedError
from polyvox.types.generate import Alternative, Finish
from polyvox.types.parts import (
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

SIGNED = {"gemini": {"thoughtSignature": "s"}}
THOUGHT = {"gemini": {"thought": True}}


def whole(*parts, reason="STOP", beside=None, **said):
    candidate = {"content": {"parts": list(parts), "role": "model"}, "finishReason": reason, "index": 0}
    body = {"candidates": [{**candidate, **(beside or {})}], "modelVersion": "m", "responseId": "r", **said}
    return decode_response(json.dumps(body).encode())


def test_an_answer_says_who_answered_and_why_it_ended():
    response = whole({"text": "hi"}, createTime="2026-01-01T00:00:00Z")
    assert (response.id, response.model, response.text) == ("r", "m", "hi")
    assert response.finish == Finish("stop", "STOP")
    assert response.meta == {"gemini": {"createTime": "2026-01-01T00:00:00Z"}}
    assert response.raw is not None


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("STOP", Finish("stop", "STOP")),
        ("MAX_TOKENS", Finish("length", "MAX_TOKENS")),
        ("SAFETY", Finish("content_filter", "SAFETY")),
        ("RECITATION", Finish("content_filter", "RECITATION")),
        ("MODEL_ARMOR", Finish("content_filter", "MODEL_ARMOR")),
        ("IMAGE_SAFETY", Finish("content_filter", "IMAGE_SAFETY")),
        ("MALFORMED_FUNCTION_CALL", Finish("error", "MALFORMED_FUNCTION_CALL")),
        ("OTHER", Finish("error", "OTHER")),
        ("CONTINUATION", Finish("pause", "CONTINUATION")),
        ("FINISH_REASON_UNSPECIFIED", Finish("other", "FINISH_REASON_UNSPECIFIED")),
        ("TOMORROWS_WORD", Finish("other", "TOMORROWS_WORD")),
        # With `enum-encoding=int`; from 6 on the two services number their words differently.
        (1, Finish("stop", "STOP")),
        (2, Finish("length", "MAX_TOKENS")),
        (3, Finish("content_filter", "SAFETY")),
        (8, Finish("content_filter", "8")),
        (10, Finish("other", "10")),
        (None, None),
        ("", None),
        (True, Finish("other", None)),
    ],
)
def test_why_an_answer_ended(word, finish):
    assert whole({"text": "hi"}, reason=word).finish == finish


def test_calls_end_with_stop_and_are_told_by_their_presence():
    call = {"functionCall": {"name": "f", "args": {}}}
    assert whole(call).finish == Finish("tool_calls", "STOP")
    assert whole(call, reason="MAX_TOKENS").finish == Finish("length", "MAX_TOKENS")
    assert whole(call, reason="UNEXPECTED_TOOL_CALL").finish == Finish("error", "UNEXPECTED_TOOL_CALL")
    run = {"executableCode": {"code": "1", "language": "PYTHON"}}
    assert whole(run).finish == Finish("stop", "STOP"), "what the provider ran itself is not for the caller to run"


def test_a_blocked_prompt_is_an_empty_answer():
    blocked = {"promptFeedback": {"blockReason": "MODEL_ARMOR", "blockReasonMessage": "no"}, "responseId": "r"}
    response = decode_response(json.dumps(blocked).encode())
    assert response.content == ()
    assert response.finish == Finish("content_filter", "MODEL_ARMOR")
    assert response.meta["gemini"] == {"promptFeedback": blocked["promptFeedback"]}
    by_number = decode_response(b'{"promptFeedback": {"blockReason": 1}}')
    assert by_number.finish == Finish("content_filter", "SAFETY")


def test_ratings_of_a_prompt_are_no_block():
    feedback = {"safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}]}
    response = whole({"text": "hi"}, promptFeedback=feedback)
    assert response.finish == Finish("stop", "STOP")
    assert response.meta["gemini"]["promptFeedback"] == feedback


@pytest.mark.parametrize("content", [{}, {"role": "model"}, {"parts": []}, {"parts": [{}]}, {"parts": [None, 1]}, None])
def test_an_answer_may_have_no_parts(content):
    body = {"candidates": [{"content": content, "finishReason": "MAX_TOKENS"}], "usageMetadata": {}}
    response = decode_response(json.dumps(body).encode())
    assert response.content == ()
    assert response.finish == Finish("length", "MAX_TOKENS")


def test_texts_and_thoughts_are_parts_in_order_and_empty_ones_say_nothing():
    response = whole(
        {"text": "hm", "thought": True},
        {"text": "a"},
        {"text": ""},
        {"text": "", "thought": True},
        {"text": "b", "thought": False},
    )
    assert response.content == (
        ReasoningPart("hm", meta=THOUGHT),
        TextPart("a"),
        TextPart("b", meta={"gemini": {"thought": False}}),
    )


def test_a_signature_stays_on_its_own_part_even_on_an_empty_text():
    response = whole(
        {"text": "hm", "thought": True, "thoughtSignature": "t"},
        {"text": "a"},
        {"text": "", "thoughtSignature": "s"},
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c"},
        {"functionCall": {"name": "g", "args": {}}},
    )
    thought, text, empty, first, second = response.content
    assert thought.meta == {"gemini": {"thought": True, "thoughtSignature": "t"}}
    assert (text.meta, empty) == ({}, TextPart("", meta=SIGNED))
    assert first.meta == {"gemini": {"thoughtSignature": "c"}}
    assert second.meta == {}
    assert response.text == "a"


def test_arguments_are_kept_as_they_were_written():
    body = (
        b'{"candidates":[{"content":{"parts":[{"text":"a"},'
        b'{"functionCall":{"name":"f","args":{"b": 1.0, "a":"\\u00e9", "n":12345678901234567890}}}]}}]}'
    )
    (call,) = decode_response(body).tool_calls
    assert call.arguments == '{"b": 1.0, "a":"\\u00e9", "n":12345678901234567890}'
    assert call.decode() == {"b": 1.0, "a": "é", "n": 12345678901234567890}


def test_a_call_may_lack_arguments():
    without, null = whole({"functionCall": {"name": "f"}}, {"functionCall": {"name": "g", "args": None}}).tool_calls
    assert (without.arguments, null.arguments) == ("", "")
    assert without.decode() == null.decode() == {}


def test_a_call_without_an_id_gets_one_that_is_the_same_at_each_reading():
    parts = [
        {"functionCall": {"name": "f"}},
        {"functionCall": {"name": "f"}},
        {"functionCall": {"name": "f", "id": "x"}},
    ]
    first, again = whole(*parts), whole(*parts)
    assert [call.id for call in first.tool_calls] == [call.id for call in again.tool_calls]
    assert [call.id for call in first.tool_calls] == ["polyvox_r_0", "polyvox_r_1", "x"]


def test_what_else_a_call_says_is_kept():
    (call,) = whole({"functionCall": {"name": "f", "args": {}, "novel": 1}, "partMetadata": {"a": 1}}).content
    assert call.meta == {"gemini": {"functionCall": {"novel": 1}, "partMetadata": {"a": 1}}}


def test_a_program_that_ran_there_is_a_call_and_its_result():
    ran = {"executableCode": {"code": "print(1)", "language": "PYTHON", "id": "p"}}
    gave = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n", "id": "p"}}
    call, result = whole(ran, gave).content
    assert call == ToolCall(
        "p", "code_execution", '{"code":"print(1)","language":"PYTHON"}', executed=True, meta={"gemini": ran}
    )
    assert result == ToolResult("p", "code_execution", (TextPart("1\n"),), meta={"gemini": gave})


def test_a_program_without_an_id_and_its_failure_belong_together():
    ran = {"executableCode": {"code": "1/0", "language": "PYTHON"}}
    gave = {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "ZeroDivisionError"}}
    call, result = whole(ran, gave).content
    assert result.id == call.id
    assert result.is_error


def test_a_tool_of_the_servers_is_a_call_and_its_result():
    called = {"toolCall": {"toolType": "FILE_SEARCH", "id": "t", "args": {"q": "x"}}, "thoughtSignature": "s"}
    gave = {"toolResponse": {"toolType": "FILE_SEARCH", "id": "t", "response": {"output": "found"}}}
    call, result = whole(called, gave).content
    assert call == ToolCall("t", "FILE_SEARCH", '{"q":"x"}', executed=True, meta={"gemini": called})
    assert result == ToolResult("t", "FILE_SEARCH", (TextPart("found"),), meta={"gemini": gave})


def test_pictures_and_sounds_are_files():
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
    response = whole(
        {"inlineData": {"mimeType": "image/png", "data": data}},
        {"inlineData": {"data": data}},
        {"fileData": {"mimeType": "video/mp4", "fileUri": "https://x.test/a"}, "videoMetadata": {"fps": 1}},
    )
    picture, guessed, film = response.content
    assert picture == guessed == FilePart("image/png", b"\x89PNG\r\n\x1a\n")
    assert film == FilePart("video/mp4", Url("https://x.test/a"), meta={"gemini": {"videoMetadata": {"fps": 1}}})


def test_what_is_not_known_is_kept():
    novel = {"hologram": {"x": 1}, "thoughtSignature": "s"}
    broken = {"inlineData": {"mimeType": "image/png", "data": "not base64!"}}
    assert whole(novel, broken).content == (
        OpaquePart("hologram", {"gemini": novel}),
        OpaquePart("inlineData", {"gemini": broken}),
    )


def test_further_candidates_are_alternatives():
    body = {
        "candidates": [
            {
                "content": {"parts": [{"text": "b"}, {"functionCall": {"name": "f"}}]},
                "index": 1,
                "finishReason": "STOP",
            },
            {"content": {"parts": [{"text": "a"}]}, "finishReason": "MAX_TOKENS", "avgLogprobs": -1.0},
        ],
        "responseId": "r",
    }
    response = decode_response(json.dumps(body).encode())
    assert response.text == "a"
    assert response.meta == {"gemini": {"candidate": {"avgLogprobs": -1.0}}}
    call = ToolCall("polyvox_r_1_0", "f", "")
    assert response.alternatives == (Alternative(1, (TextPart("b"), call), Finish("tool_calls", "STOP")),)


# Sources


def grounded(*texts, chunks, supports, **more):
    grounding = {"groundingChunks": chunks, "groundingSupports": supports, **more}
    return whole(*({"text": text} for text in texts), beside={"groundingMetadata": grounding})


WEB = {"web": {"uri": "https://x.test", "title": "X"}}


def test_a_segment_counts_bytes_and_a_source_counts_characters():
    text = "Wörld 😀 is round."
    start = len("Wörld 😀 ".encode())
    segment = {"startIndex": start, "endIndex": len(text.encode()), "text": "is round."}
    response = grounded(text, chunks=[WEB], supports=[{"segment": segment, "groundingChunkIndices": [0]}])
    (part,) = response.content
    assert part.sources == (Source(url="https://x.test", title="X", start=8, end=17),)
    assert part.text[8:17] == "is round."


def test_a_segment_without_a_start_begins_at_the_beginning():
    response = grounded(
        "ab cd", chunks=[WEB], supports=[{"segment": {"endIndex": 2, "text": "ab"}, "groundingChunkIndices": [0]}]
    )
    assert response.content[0].sources[0].start == 0


@pytest.mark.parametrize(
    "segment",
    [
        {"partIndex": 1, "startIndex": 0, "endIndex": 3, "text": "two"},  # as documented: within the part
        {"startIndex": 4, "endIndex": 7, "text": "two"},  # as a stream has it: over all the text
        {"startIndex": 90, "endIndex": 93, "text": "two"},  # wrong numbers, right words
    ],
)
def test_the_segments_words_tell_what_its_numbers_count(segment):
    response = grounded("one ", "two", chunks=[WEB], supports=[{"segment": segment, "groundingChunkIndices": [0]}])
    first, second = response.content
    assert first.sources == ()
    assert [(source.start, source.end) for source in second.sources] == [(0, 3)]


def test_results_that_no_segment_points_to_stand_at_the_end():
    found = {"retrievedContext": {"uri": "gs://b/f", "title": "f", "text": "words"}}
    supports = [
        {"segment": {"endIndex": 1}, "groundingChunkIndices": [1, 7, -1, "x"]},
        {"groundingChunkIndices": "no"},
        5,
    ]
    response = grounded("a", chunks=[WEB, found, 5, None], supports=supports, webSearchQueries=["q"])
    assert response.content[0].sources == (Source(url="gs://b/f", title="f", text="words", start=0, end=1),)
    assert response.sources == (SourcePart("https://x.test", "X"),)
    assert response.meta["gemini"]["candidate"]["groundingMetadata"]["webSearchQueries"] == ["q"]


def test_sources_without_any_text_are_results():
    supports = [{"segment": {"endIndex": 3}, "groundingChunkIndices": [0]}]
    assert grounded(chunks=[WEB], supports=supports).content == (SourcePart("https://x.test", "X"),)


def test_a_recitation_is_a_source():
    cited = {"citationSources": [{"startIndex": 1, "endIndex": 3, "uri": "https://x.test", "license": "mit"}]}
    (part,) = whole({"text": "abcd"}, beside={"citationMetadata": cited}).content
    assert part.sources == (Source(url="https://x.test", start=1, end=3),)


def test_probabilities_stand_on_the_text():
    result = {
        "chosenCandidates": [{"token": "a", "tokenId": 5, "logProbability": -0.5}, {"token": 7}, {"token": "b"}],
        "topCandidates": [
            {"candidates": [{"token": "a", "logProbability": -0.5}, {"token": "c", "logProbability": -2}]}
        ],
    }
    (part,) = whole({"text": "ab"}, beside={"logprobsResult": result}).content
    top = (TokenLogprob("a", -0.5), TokenLogprob("c", -2.0))
    assert part.logprobs == (TokenLogprob("a", -0.5, top=top), TokenLogprob("b", 0.0))


# Bodies of other forms


def test_a_stream_that_came_as_an_array_is_one_answer():
    chunks = [
        {
            "candidates": [{"content": {"parts": [{"text": "a"}]}}],
            "responseId": "r",
            "usageMetadata": {"totalTokenCount": 1},
        },
        {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {"x": 1.50}}}]}}]},
        {
            "candidates": [{"content": {"parts": [{"text": "b"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"totalTokenCount": 2},
        },
    ]
    body = json.dumps(chunks).replace("1.5", "1.50").encode()
    response = decode_response(body)
    assert response.content == (TextPart("a"), ToolCall("polyvox_r_0", "f", '{"x": 1.50}'), TextPart("b"))
    assert response.usage.raw == {"totalTokenCount": 2}
    assert response.raw == body


def test_an_error_under_status_200_raises():
    with pytest.raises(OverloadedError, match="model is overloaded") as caught:
        decode_response(b'{"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}')
    assert caught.value.status is None
    with pytest.raises(AuthenticationError):
        decode_response(b'[{"error": {"code": 401, "message": "no", "status": "UNAUTHENTICATED"}}]')


@pytest.mark.parametrize("body", [b"", b"<html>", b"5", b'"x"', b"{}", b'{"hello": 1}', b"[5]", b'{"candidates": 5'])
def test_what_is_no_answer_is_refused(body):
    with pytest.raises(DecodeError):
        decode_response(body)


# Usage


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ({}, Usage()),
        ({"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8}, Usage(5, 3)),
        # Thoughts are not among the candidates' tokens; the cache is inside the prompt.
        (
            {"promptTokenCount": 5, "cachedContentTokenCount": 4, "candidatesTokenCount": 3, "thoughtsTokenCount": 7},
            Usage(5, 10, cache_read_tokens=4, reasoning_tokens=7),
        ),
        # What tools put before the model is not inside the prompt.
        ({"promptTokenCount": 5, "toolUsePromptTokenCount": 20, "candidatesTokenCount": 1}, Usage(25, 1)),
        # A zero is not written.
        ({"promptTokenCount": 5, "totalTokenCount": 5}, Usage(5, 0)),
        ({"promptTokenCount": 5}, Usage(5, None)),
        ({"candidatesTokenCount": 23, "thoughtsTokenCount": 67}, Usage(None, 90, reasoning_tokens=67)),
        (
            {
                "promptTokenCount": 9,
                "candidatesTokenCount": 8,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2}, {"modality": "AUDIO", "tokenCount": 7}],
                "candidatesTokensDetails": [{"modality": 4, "tokenCount": 8}],
            },
            Usage(9, 8, audio_input_tokens=7, audio_output_tokens=8),
        ),
        ({"promptTokenCount": "5", "candidatesTokenCount": True, "thoughtsTokenCount": float("inf")}, Usage()),
        ({"promptTokenCount": 5.0, "candidatesTokenCount": None, "promptTokensDetails": 5}, Usage(5)),
    ],
)
def test_totals_are_totals(said, usage):
    raw = decode_usage(said)
    assert raw.raw == said
    assert raw == Usage(**{name: getattr(usage, name) for name in usage.__struct_fields__ if name != "raw"}, raw=said)


def test_what_this_wire_said_of_usage_goes_back_as_it_was():
    said = {"promptTokenCount": 5, "candidatesTokenCount": 3, "serviceTier": "standard"}
    assert encode_usage(decode_usage(said)) == said


def test_another_wires_totals_are_told_in_this_ones_words():
    usage = Usage(10, 8, cache_read_tokens=4, reasoning_tokens=5, audio_input_tokens=2, raw={"prompt_tokens": 10})
    said = encode_usage(usage)
    assert said == {
        "promptTokenCount": 10,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 5,
        "cachedContentTokenCount": 4,
        "totalTokenCount": 18,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 2}],
    }
    again = decode_usage(said)
    assert (again.input_tokens, again.output_tokens, again.reasoning_tokens) == (10, 8, 5)


def test_the_last_totals_count_and_one_without_any_adds_to_them():
    first = {"promptTokenCount": 5, "candidatesTokenCount": 9, "totalTokenCount": 14}
    assert merge_usage(first, {"promptTokenCount": 6, "totalTokenCount": 6}) == {
        "promptTokenCount": 6,
        "totalTokenCount": 6,
    }
    assert merge_usage(first, {"trafficType": "ON_DEMAND"}) == {**first, "trafficType": "ON_DEMAND"}
