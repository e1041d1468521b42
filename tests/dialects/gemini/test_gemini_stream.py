"""Streamed answers as a client reads them: each trap of the wire."""

from __future__ import annotations

import base64
import json

import pytest

from polyvox.dialects.gemini.stream import StreamDecoder
from polyvox.errors import InterruptedCallError, OverloadedError, RateLimitError
from polyvox.framing.base import Frame
from polyvox.framing.jsonarray import JSONArrayFramer
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
from polyvox.types.fold import fold
from polyvox.types.generate import Finish
from polyvox.types.parts import FilePart, ReasoningPart, Source, SourcePart, TextPart, TokenLogprob, ToolCall
from polyvox.types.usage import Usage
from tests.laws.grammar import broken

SIGNED = {"gemini": {"thoughtSignature": "s"}}
THOUGHT = {"gemini": {"thought": True}}
END = Finish("stop", "STOP")


def chunk(*parts, reason=None, usage=None, beside=None, **said):
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0, **(beside or {})}
    if reason:
        candidate["finishReason"] = reason
    counts = {"usageMetadata": usage} if usage else {}
    return {"candidates": [candidate], **counts, "modelVersion": "m", "responseId": "r", **said}


def text(words, **more):
    return chunk({"text": words}, **more)


def events_of(*chunks):
    decoder = StreamDecoder()
    events = []
    for one in chunks:
        events += decoder.feed(Frame(one if isinstance(one, bytes) else json.dumps(one).encode()))
    events += decoder.close()
    assert broken(events) is None
    return events


def streamed(*chunks):
    return fold(events_of(*chunks))


def test_a_streamed_text_comes_piece_by_piece():
    events = events_of(text("a"), text("é😀"), text("b", reason="STOP"))
    assert events == [
        StreamStart("r", "m"),
        PartStart(0, TextPart("")),
        TextDelta(0, "a"),
        TextDelta(0, "é😀"),
        TextDelta(0, "b"),
        PartEnd(0),
        StreamEnd(END),
    ]


def test_thoughts_come_before_the_text_in_a_part_of_their_own():
    think = {"text": "hm", "thought": True}
    response = streamed(chunk(think), chunk(think), text("a"), chunk(think), text("", reason="STOP"))
    assert response.content == (
        ReasoningPart("hmhm", meta=THOUGHT),
        TextPart("a"),
        ReasoningPart("hm", meta=THOUGHT),
    )


def test_thoughts_come_piece_by_piece():
    think = {"text": "hm", "thought": True}
    events = events_of(chunk(think), chunk(think), chunk(think), text("a", reason="STOP"))
    assert [event.text for event in events if isinstance(event, ReasoningDelta)] == ["hm", "hm", "hm"]


def test_the_last_chunk_may_be_an_empty_text_that_bears_a_signature():
    events = events_of(text("a"), text("b"), chunk({"text": "", "thoughtSignature": "s"}, reason="STOP"))
    assert fold(events).content == (TextPart("ab"), TextPart("", meta=SIGNED))
    assert fold(events).text == "ab"


@pytest.mark.parametrize("bare", [{"thoughtSignature": "s"}, {"text": None, "thoughtSignature": "s"}])
def test_a_signature_alone_is_one_on_an_empty_text(bare):
    assert streamed(text("a"), chunk(bare, reason="STOP")).content == (TextPart("a"), TextPart("", meta=SIGNED))


def test_ratings_and_announcements_may_come_with_every_piece():
    ratings = [[{"category": "HARM_CATEGORY_HARASSMENT", "probability": word}] for word in ("LOW", "HIGH")]
    response = streamed(
        text("a", beside={"safetyRatings": ratings[0]}),
        text("b", beside={"safetyRatings": ratings[1], "groundingMetadata": {}}),
        text("c", beside={"safetyRatings": ratings[1], "groundingMetadata": {}}),
        text("", reason="STOP"),
    )
    assert response.text == "abc"
    assert response.meta == {"gemini": {"candidate": {"safetyRatings": ratings[1], "groundingMetadata": {}}}}


def test_a_text_that_bears_a_signature_is_a_part_of_its_own():
    response = streamed(chunk({"text": "a", "thoughtSignature": "s"}), text("b"), text("c", reason="STOP"))
    assert response.content == (TextPart("a", meta=SIGNED), TextPart("bc"))
    between = streamed(text("a"), chunk({"text": "b", "thoughtSignature": "s"}), text("c", reason="STOP"))
    assert between.content == (TextPart("a"), TextPart("b", meta=SIGNED), TextPart("c"))


def test_text_after_an_empty_signed_one_is_a_new_part_behind_it():
    response = streamed(text("a"), chunk({"text": "", "thoughtSignature": "s"}), text("b", reason="STOP"))
    assert response.content == (TextPart("a"), TextPart("", meta=SIGNED), TextPart("b"))


def test_a_chunk_may_have_no_parts_and_no_content():
    bare = {"candidates": [{"finishReason": "MAX_TOKENS"}]}
    nothing = {"candidates": [{"content": {"role": "model"}, "index": 0}]}
    assert streamed(text("a"), nothing, bare).finish == Finish("length", "MAX_TOKENS")
    assert streamed(bare).content == ()


def test_the_reason_may_come_before_the_last_chunk():
    late = {"usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 3, "candidatesTokenCount": 2}}
    response = streamed(text("a", reason="STOP"), text("b"), late)
    assert (response.text, response.finish, response.usage.output_tokens) == ("ab", END, 2)


def test_a_call_comes_whole():
    call = {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "s"}
    events = events_of(text("a"), chunk(call, {"functionCall": {"name": "g"}}), text("", reason="STOP"))
    begun = PartStart(1, ToolCall("polyvox_r_0", "f", meta=SIGNED))
    assert events[3:] == [
        PartEnd(0),
        begun,
        ToolCallDelta(1, '{"x": 1}'),
        PartEnd(1, SIGNED),
        PartStart(2, ToolCall("polyvox_r_1", "g")),
        PartEnd(2),
        StreamEnd(Finish("tool_calls", "STOP")),
    ]


def test_a_character_cut_between_two_chunks_is_joined():
    first = json.dumps(text("A")).replace("A", "\\ud83d").encode()
    rest = json.dumps(text("A", reason="STOP")).replace("A", "\\ude00").encode()
    assert streamed(text("a"), first, rest).text == "a😀"
    assert streamed(text("a"), first, text("", reason="STOP")).text == "a\ufffd"


def test_a_picture_comes_whole_and_raw_sound_in_pieces():
    def data(kind, held):
        return chunk({"inlineData": {"mimeType": kind, "data": base64.b64encode(held).decode()}})

    sound = "audio/L16;codec=pcm;rate=24000"
    end = chunk(reason="STOP")
    events = events_of(data(sound, b"ab"), data(sound, b"cd"), data("image/png", b"p"), data("image/png", b"q"), end)
    assert [event.data for event in events if isinstance(event, FileDelta)] == [b"ab", b"cd", b"p", b"q"]
    assert fold(events).content == (FilePart(sound, b"abcd"), FilePart("image/png", b"p"), FilePart("image/png", b"q"))


def test_what_ran_there_comes_with_its_result():
    ran = chunk({"executableCode": {"code": "1", "language": "PYTHON"}})
    gave = chunk({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}})
    response = streamed(text("a"), ran, gave, text("b", reason="STOP"))
    call, result = response.content[1:3]
    assert (call.executed, result.id) == (True, call.id)
    assert response.text == "ab"
    assert response.finish == END


# Arguments in pieces


def piece(*parts, more=True, **call):
    given = {"functionCall": {**call, **({"willContinue": True} if more else {})}}
    if parts:
        given["functionCall"]["partialArgs"] = list(parts)
    return chunk(given)


def test_arguments_in_pieces_become_one_call():
    response = streamed(
        piece(name="f", id="x"),
        piece({"jsonPath": "$.city", "stringValue": "New ", "willContinue": True}),
        piece({"jsonPath": "$.city", "stringValue": "York"}, {"jsonPath": "$.days[0].count", "numberValue": 2}),
        piece({"jsonPath": "$.days[1].count", "numberValue": 3}, {"jsonPath": "$['odd.name']", "boolValue": True}),
        piece({"jsonPath": "$.none", "nullValue": "NULL_VALUE"}),
        piece(more=False),
        text("", reason="STOP"),
    )
    (call,) = response.content
    assert (call.id, call.name, call.meta) == ("x", "f", {})
    assert call.decode() == {
        "city": "New York",
        "days": [{"count": 2}, {"count": 3}],
        "odd.name": True,
        "none": None,
    }
    assert response.finish == Finish("tool_calls", "STOP")


def test_a_call_in_pieces_is_told_as_soon_as_its_name_is_known():
    decoder = StreamDecoder()
    frames = [piece(name="f"), piece({"jsonPath": "$.a", "stringValue": "x"}), piece(more=False)]
    told = [decoder.feed(Frame(json.dumps(one).encode())) for one in frames]
    assert told[0][1:] == [PartStart(0, ToolCall("polyvox_r_0", "f"))]
    assert told[1:] == [[], [ToolCallDelta(0, '{"a":"x"}'), PartEnd(0)]]


def test_calls_in_pieces_follow_one_another_and_may_lack_their_end():
    signed = {"functionCall": {"name": "f", "willContinue": True}, "thoughtSignature": "s"}
    first, second = streamed(
        chunk(signed),
        piece({"jsonPath": "$.a", "stringValue": "1"}),
        piece(name="g"),
        piece({"jsonPath": "$.b", "stringValue": "2"}),
        text("", reason="MAX_TOKENS"),
    ).content
    assert (first.name, first.decode(), first.meta) == ("f", {"a": "1"}, SIGNED)
    assert (second.name, second.decode()) == ("g", {"b": "2"})


@pytest.mark.parametrize("path", ["", "$", "city", "$.a..b", "$[0]", "$.a[x]", 5, None, "$.a[0].b.c["])
def test_a_piece_at_an_odd_path_is_kept(path):
    odd = {"jsonPath": path, "stringValue": "x"}
    (call,) = streamed(piece(name="f"), piece(odd, more=False), text("", reason="STOP")).content
    assert call.decode() == {}
    assert call.meta == {"gemini": {"functionCall": {"partialArgs": [odd]}}}


def test_pieces_that_contradict_one_another_do_not_end_the_stream():
    (call,) = streamed(
        piece({"jsonPath": "$.a", "stringValue": "x"}, name="f"),
        piece({"jsonPath": "$.a.b", "stringValue": "y"}, {"jsonPath": "$.c[99999999]", "numberValue": 1}),
        piece({"jsonPath": "$.c[0]", "numberValue": 2}, {"jsonPath": "$.c.d", "numberValue": 2}, 5, more=False),
        text("", reason="STOP"),
    ).content
    assert call.decode() == {"a": "x", "c": [2]}


# Usage


def test_usage_is_a_running_total():
    counts = [{"promptTokenCount": 5, "candidatesTokenCount": n, "totalTokenCount": 5 + n} for n in (1, 2, 3)]
    details = {**counts[2], "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}]}
    chunks = [text("a", usage=counts[0]), text("b", usage=counts[1]), text("c", usage=counts[1])]
    events = events_of(*chunks, text("d", usage=details, reason="STOP"))
    updates = [event.usage for event in events if isinstance(event, UsageUpdate)]
    assert [(usage.input_tokens, usage.output_tokens) for usage in updates] == [(5, 1), (5, 2), (5, 3)]
    assert fold(events).usage == Usage(5, 3, audio_input_tokens=5, raw=details)


def test_counts_beside_a_piece_of_text_are_all_told_at_the_end():
    counts = {
        "promptTokenCount": 5,
        "toolUsePromptTokenCount": 10,
        "cachedContentTokenCount": 2,
        "candidatesTokenCount": 1,
        "thoughtsTokenCount": 4,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}],
    }
    events = events_of(text("a"), text("b", usage=counts), {"candidates": [{"finishReason": "STOP"}]})
    update = next(event.usage for event in events if isinstance(event, UsageUpdate))
    assert update == Usage(15, 5, cache_read_tokens=2, reasoning_tokens=4)
    assert events[-1].usage == Usage(15, 5, 2, reasoning_tokens=4, audio_input_tokens=5, raw=counts)


def test_the_traffic_alone_is_no_total():
    traffic = {"trafficType": "ON_DEMAND"}
    counts = {"promptTokenCount": 5, "totalTokenCount": 5, **traffic}
    events = events_of(
        text("a", usage=traffic),
        text("b", usage=traffic),
        text("c", usage=traffic),
        text("d", usage=counts, reason="STOP"),
    )
    assert [event.usage for event in events if isinstance(event, UsageUpdate)] == [
        Usage(raw=traffic),
        Usage(5, 0, raw=counts),
    ]


@pytest.mark.parametrize("usage", [{"promptTokenCount": "5"}, {"promptTokenCount": 5.0}, {"promptTokensDetails": 5}])
def test_odd_counts_do_not_lose_the_text(usage):
    response = streamed(text("a"), text("b", usage=usage), text("c", reason="STOP"))
    assert response.text == "abc"
    assert response.usage.raw == usage


# Sources


def support(words, start, end, *places):
    return {"segment": {"startIndex": start, "endIndex": end, "text": words}, "groundingChunkIndices": list(places)}


CHUNKS = [{"web": {"uri": "https://x.test", "title": "X"}}, {"web": {"uri": "https://y.test", "title": "Y"}}]


def test_sources_come_last_and_stand_on_the_text():
    metadata = {"groundingChunks": CHUNKS, "groundingSupports": [support("é😀b", 1, 8, 0)]}
    events = events_of(
        text("aé", beside={"groundingMetadata": {}}),
        text("😀b"),
        chunk({"text": "", "thoughtSignature": "s"}, reason="STOP", beside={"groundingMetadata": metadata}),
    )
    assert [event for event in events if isinstance(event, SourceDelta)] == [
        SourceDelta(0, Source(url="https://x.test", title="X", start=1, end=4))
    ]
    assert fold(events).content[1:] == (TextPart("", meta=SIGNED), SourcePart("https://y.test", "Y"))
    assert events[-1].meta == {"gemini": {"candidate": {"groundingMetadata": metadata}}}


def test_where_sources_are_announced_texts_wait_for_them():
    metadata = {"groundingChunks": CHUNKS, "groundingSupports": [support("one", 0, 3, 0), support("two", 3, 6, 1)]}
    response = streamed(
        text("one", beside={"groundingMetadata": {}}),
        chunk({"functionCall": {"name": "f"}}),
        text("two"),
        text("", reason="STOP", beside={"groundingMetadata": metadata}),
    )
    first, _, second = response.content
    assert [source.url for source in first.sources] == ["https://x.test"]
    assert [(source.url, source.start, source.end) for source in second.sources] == [("https://y.test", 0, 3)]


def test_sources_of_a_text_that_has_ended_are_results():
    metadata = {"groundingChunks": CHUNKS[:1], "groundingSupports": [support("one", 0, 3, 0, 0)]}
    call = chunk({"functionCall": {"name": "f"}})
    response = streamed(text("one"), call, text("two", reason="STOP", beside={"groundingMetadata": metadata}))
    assert response.sources == (SourcePart("https://x.test", "X"),)
    assert response.text == "onetwo"


def test_sources_on_a_long_text():
    pieces = [f"w{number} " for number in range(2_000)]
    whole = "".join(pieces)
    words = whole[5_000:5_010]
    metadata = {"groundingChunks": CHUNKS[:1], "groundingSupports": [support(words, 5_000, 5_010, 0)]}
    end = text("", reason="STOP", beside={"groundingMetadata": metadata})
    (part,) = streamed(*map(text, pieces), end).content
    assert part.text[part.sources[0].start : part.sources[0].end] == words


def test_probabilities_come_with_their_text():
    def told(word):
        return text(word, beside={"logprobsResult": {"chosenCandidates": [{"token": word, "logProbability": -1}]}})

    response = streamed(told("a"), told("b"), text("", reason="STOP"))
    assert response.content == (TextPart("ab", logprobs=(TokenLogprob("a", -1.0), TokenLogprob("b", -1.0))),)
    assert len(response.meta["gemini"]["candidate"]["logprobsResult"]["chosenCandidates"]) == 2


# Several candidates


def test_further_candidates_are_put_together_aside():
    def both(first, second, **more):
        sides = [
            {"content": {"parts": [{"text": words}]}, "index": place, **more}
            for place, words in enumerate((first, second))
        ]
        return {"candidates": sides, "responseId": "r"}

    events = events_of(both("a", "x"), both("b", "y"), both("", "", finishReason="STOP"))
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["a", "b"]
    (other,) = events[-1].alternatives
    assert (other.index, other.text, other.finish) == (1, "xy", END)


# How a stream ends


def test_a_stream_without_a_reason_has_broken_off():
    decoder = StreamDecoder()
    decoder.feed(Frame(json.dumps(text("a")).encode()))
    with pytest.raises(InterruptedCallError):
        decoder.close()
    with pytest.raises(InterruptedCallError):
        StreamDecoder().close()


def test_a_blocked_prompt_is_an_end():
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 3}}
    assert streamed(blocked).finish == Finish("content_filter", "PROHIBITED_CONTENT")
    late = streamed(text("a"), blocked)
    assert (late.text, late.finish.reason) == ("a", "content_filter")


def test_a_text_cut_by_a_filter_is_kept():
    ratings = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": True}]
    response = streamed(text("a"), {"candidates": [{"finishReason": "SAFETY", "safetyRatings": ratings}]})
    assert (response.text, response.finish) == ("a", Finish("content_filter", "SAFETY"))
    assert response.meta["gemini"]["candidate"]["safetyRatings"] == ratings


@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: [error]])
def test_an_error_inside_a_stream_raises(wrap):
    decoder = StreamDecoder()
    decoder.feed(Frame(json.dumps(text("a")).encode()))
    error = {"error": {"code": 429, "message": "Resource has been exhausted", "status": "RESOURCE_EXHAUSTED"}}
    with pytest.raises(RateLimitError):
        decoder.feed(Frame(json.dumps(wrap(error)).encode()))
    overloaded = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    with pytest.raises(OverloadedError):
        StreamDecoder().feed(Frame(json.dumps(wrap(overloaded)).encode()))


def test_an_end_mark_of_a_proxys_is_passed_over():
    assert streamed(text("a", reason="STOP"), b"[DONE]").text == "a"


# Framings


def test_events_and_the_array_say_the_same():
    chunks = [text("a"), text("b\u2028"), chunk({"functionCall": {"name": "f", "args": {"x": "}]"}}}, reason="STOP")]
    events = "".join(f"data: {json.dumps(one)}\r\n\r\n" for one in chunks).encode()
    array = json.dumps(chunks).encode()

    def read(framer, body):
        frames = [frame for place in range(0, len(body), 7) for frame in framer.feed(body[place : place + 7])]
        return streamed(*(frame.data for frame in frames + framer.close()))

    assert read(SSEFramer(), events) == read(JSONArrayFramer(), array)
    assert read(SSEFramer(), events).text == "ab\u2028"
