"""Requests as Gemini reads them: what is put where, and what becomes of what the wire or the model does not take."""

from __future__ import annotations

import base64
import json

import pytest

from polyvox.dialects.gemini.quirks import GeminiQuirks
from polyvox.dialects.gemini.request import encode_request
from polyvox.errors import UnsupportedError
from polyvox.types.generate import AudioOutput, GenerateRequest, Output, PromptCache, Residue, ResidueChange
from polyvox.types.messages import Message, assistant, system, tool, user
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
from polyvox.types.tools import AllowedTools, NamedTool, Tool

PNG = b"\x89PNG\r\n\x1a\n"
PICTURE = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "$defs": {}}
WEATHER = Tool("weather", "d", SCHEMA)
SEARCH = Tool("googleSearch", kind="hosted")


def encode(*messages, quirks=None, stream=False, model="gemini-x", **said):
    request = GenerateRequest(model=model, messages=messages or (user("hi"),), **said)
    return encode_request(request, quirks or GeminiQuirks(), stream=stream)


def body_of(*messages, **said):
    return json.loads(encode(*messages, **said).body)


def contents_of(*messages, **said):
    return body_of(*messages, **said)["contents"]


def config_of(**said):
    return body_of(**said).get("generationConfig")


def notes(wire):
    return [(adjustment.kind, adjustment.setting) for adjustment in wire.adjustments]


def signed(**marks):
    return {"gemini": marks}


def test_a_plain_question_is_sent_with_nothing_that_was_not_asked():
    wire = encode(user("hi"))
    assert (wire.method, wire.path, wire.query) == ("POST", "/v1beta/models/gemini-x:generateContent", {})
    assert wire.headers == {"Content-Type": "application/json"}
    assert json.loads(wire.body) == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    assert wire.adjustments == ()


def test_a_stream_is_asked_for_in_the_address_alone():
    wire = encode(stream=True)
    assert (wire.path, wire.query) == ("/v1beta/models/gemini-x:streamGenerateContent", {"alt": "sse"})
    assert wire.body == encode().body
    assert encode(stream=True, quirks=GeminiQuirks(alt="json")).query == {}


@pytest.mark.parametrize(
    ("model", "quirks", "path"),
    [
        ("models/gemini-x", GeminiQuirks(), "/v1beta/models/gemini-x:generateContent"),
        ("gemini-x", GeminiQuirks(version="v1"), "/v1/models/gemini-x:generateContent"),
        ("tunedModels/mine", GeminiQuirks(), "/v1beta/tunedModels/mine:generateContent"),
        ("odd?x=1 #", GeminiQuirks(), "/v1beta/models/odd%3Fx%3D1%20%23:generateContent"),
        (
            "gemini-x",
            GeminiQuirks(version="v1", path="/{version}/publishers/google/models/{model}:{verb}"),
            "/v1/publishers/google/models/gemini-x:generateContent",
        ),
    ],
)
def test_the_model_stands_in_the_address(model, quirks, path):
    assert encode(model=model, quirks=quirks).path == path


def test_leading_system_messages_are_the_system_instruction():
    body = body_of(system("a"), system("b"), user("hi"))
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert len(body["contents"]) == 1


def test_a_system_message_amid_the_others_is_sent_as_user_text():
    wire = encode(user("a"), assistant("b"), system("c"), user("d"))
    assert json.loads(wire.body)["contents"][-1] == {"role": "user", "parts": [{"text": "c"}, {"text": "d"}]}
    assert notes(wire) == [("emulated", "messages")]


def test_answers_bear_the_role_of_the_model():
    assert [content["role"] for content in contents_of(user("a"), assistant("b"), user("c"))] == [
        "user",
        "model",
        "user",
    ]


def test_calls_and_their_results_go_with_their_ids():
    told = contents_of(
        user("hi"),
        assistant(ToolCall("a", "weather", '{"x": 1}')),
        tool(ToolResult("a", "weather", (TextPart("sunny"),))),
        user("and?"),
    )
    assert told[1] == {
        "role": "model",
        "parts": [{"functionCall": {"id": "a", "name": "weather", "args": {"x": 1}}}],
    }
    result = {"functionResponse": {"id": "a", "name": "weather", "response": {"output": "sunny"}}}
    assert told[2] == {"role": "user", "parts": [result, {"text": "and?"}]}


def test_an_id_that_was_made_here_is_not_sent():
    told = contents_of(
        assistant(ToolCall("polyvox_r1_0", "f", "{}")), tool(ToolResult("polyvox_r1_0", "f", (TextPart("x"),)))
    )
    assert "id" not in told[0]["parts"][0]["functionCall"]
    assert "id" not in told[1]["parts"][0]["functionResponse"]


def test_a_service_without_ids_gets_none():
    told = contents_of(
        assistant(ToolCall("a", "f", "{}")), tool(ToolResult("a", "f")), quirks=GeminiQuirks(call_ids="never")
    )
    assert told[0]["parts"][0] == {"functionCall": {"name": "f", "args": {}}}
    assert told[1]["parts"][0] == {"functionResponse": {"name": "f", "response": {"output": ""}}}


def test_a_model_that_wants_ids_gets_those_made_here_too():
    messages = (assistant(ToolCall("polyvox_0", "f", "{}")), tool(ToolResult("polyvox_0", "f")))
    told = contents_of(*messages, quirks=GeminiQuirks(call_ids="always"))
    assert told[0]["parts"][0]["functionCall"] == {"id": "polyvox_0", "name": "f", "args": {}}
    assert told[1]["parts"][0]["functionResponse"]["id"] == "polyvox_0"


def test_the_beginning_of_an_answer_is_refused_where_the_model_does_not_go_on_from_it():
    assert contents_of(user("hi"), assistant("Well"))[-1] == {"role": "model", "parts": [{"text": "Well"}]}
    with pytest.raises(UnsupportedError, match="end with a user message"):
        encode(user("hi"), assistant("Well"), quirks=GeminiQuirks(prefill=False))


def test_a_form_beside_tools_is_refused_where_the_model_cannot_hold_both():
    assert encode(tools=(WEATHER,), output=Output(SCHEMA)).adjustments == ()
    quirks = GeminiQuirks(output_beside_tools=False)
    assert encode(output=Output(SCHEMA), quirks=quirks).adjustments == ()
    with pytest.raises(UnsupportedError, match="leave out output= or tools="):
        encode(tools=(WEATHER,), output=Output(SCHEMA), quirks=quirks)


def test_functions_beside_server_tools_are_asked_for_as_the_model_wants_it():
    quirks = GeminiQuirks(server_tool_parts=True)
    body = body_of(tools=(WEATHER, SEARCH), tool_choice="auto", quirks=quirks)
    assert body["toolConfig"] == {
        "functionCallingConfig": {"mode": "AUTO"},
        "includeServerSideToolInvocations": True,
    }
    assert "toolConfig" not in body_of(tools=(WEATHER,), quirks=quirks)
    assert "toolConfig" not in body_of(tools=(SEARCH,), quirks=quirks)


def test_one_answer_may_be_asked_for_where_several_are_refused():
    quirks = GeminiQuirks(settings={"n": "refuse"})
    assert body_of(n=1, quirks=quirks) == body_of()
    with pytest.raises(UnsupportedError, match="n is not taken"):
        encode(n=2, quirks=quirks)


def test_a_failed_call_is_said_in_the_wires_own_word():
    told = contents_of(
        assistant(ToolCall("a", "f")), tool(ToolResult("a", "f", (TextPart("no such city"),), is_error=True))
    )
    assert told[1]["parts"][0]["functionResponse"]["response"] == {"error": "no such city"}


def test_a_result_without_a_name_takes_that_of_its_call_and_without_either_is_refused():
    told = contents_of(assistant(ToolCall("a", "f")), tool(ToolResult("a", content=(TextPart("x"),))))
    assert told[1]["parts"][0]["functionResponse"]["name"] == "f"
    with pytest.raises(UnsupportedError, match="names no function"):
        encode(tool(ToolResult("a", content=(TextPart("x"),))))


def test_results_hold_files_or_are_followed_by_them():
    result = ToolResult("a", "f", (TextPart("see"), FilePart("image/png", PNG)))
    messages = (assistant(ToolCall("a", "f")), tool(result), user("so?"))
    (response, asked) = contents_of(*messages)[1]["parts"]
    assert response["functionResponse"] == {"id": "a", "name": "f", "response": {"output": "see"}, "parts": [PICTURE]}
    assert asked == {"text": "so?"}
    wire = encode(*messages, quirks=GeminiQuirks(result_files=False))
    (response, picture, asked) = json.loads(wire.body)["contents"][1]["parts"]
    assert "parts" not in response["functionResponse"] and picture == PICTURE
    assert notes(wire) == [("emulated", "messages")]


def test_results_stand_first_even_where_the_user_spoke_before():
    told = contents_of(user("hi"), tool(ToolResult("a", "f", (TextPart("x"),))))
    assert [list(part) for part in told[0]["parts"]] == [["functionResponse"], ["text"]]


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (FilePart("image/png", PNG), PICTURE),
        (FilePart("image/*", PNG), PICTURE),
        (
            FilePart("application/pdf", b"AB", "a.pdf"),
            {"inlineData": {"mimeType": "application/pdf", "data": "QUI=", "displayName": "a.pdf"}},
        ),
        (FilePart("image/*", Url("https://x.example/a.png")), {"fileUri": "https://x.example/a.png"}),
        (
            FilePart("video/*", Url("https://youtu.be/x"), meta=signed(videoMetadata={"fps": 1})),
            {"fileData": {"fileUri": "https://youtu.be/x"}, "videoMetadata": {"fps": 1}},
        ),
        (
            FilePart("audio/wav", FileId("files/abc")),
            {
                "fileData": {
                    "mimeType": "audio/wav",
                    "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc",
                }
            },
        ),
        (FilePart("image/png", FileId("gs://b/a.png")), {"mimeType": "image/png", "fileUri": "gs://b/a.png"}),
    ],
)
def test_files_are_sent_as_bytes_or_by_their_address(part, said):
    (told,) = contents_of(user([part]))[0]["parts"]
    if "fileUri" in said:
        assert {**said, **told["fileData"]} == told["fileData"]
    else:
        assert told == said


def test_a_file_that_is_somewhere_else_is_refused():
    with pytest.raises(UnsupportedError, match="file-123"):
        encode(user([FilePart("image/png", FileId("file-123"))]))


def test_a_files_name_is_left_out_where_the_service_takes_none():
    wire = encode(user([FilePart("image/png", PNG, "a.png")]), quirks=GeminiQuirks(file_names=False))
    assert json.loads(wire.body)["contents"][0]["parts"] == [PICTURE]
    assert notes(wire) == [("dropped", "messages")]


def test_a_signature_goes_back_on_the_very_part_that_it_came_on():
    parts = (
        ReasoningPart("hm", meta=signed(thought=True)),
        TextPart("", meta=signed(thoughtSignature="s1")),
        ToolCall("a", "f", '{"x":1}', meta=signed(thoughtSignature="s2")),
        ToolCall("b", "g", "{}"),
    )
    (content,) = contents_of(Message("assistant", parts))
    assert content["parts"] == [
        {"text": "hm", "thought": True},
        {"text": "", "thoughtSignature": "s1"},
        {"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}, "thoughtSignature": "s2"},
        {"functionCall": {"id": "b", "name": "g", "args": {}}},
    ]


def test_a_call_of_another_model_gets_the_signature_that_is_never_checked():
    quirks = GeminiQuirks(dummy_signature="skip")
    messages = (user("hi"), assistant([ToolCall("a", "f", "{}"), ToolCall("b", "g", "{}")]))
    first, second = contents_of(*messages, quirks=quirks)[1]["parts"]
    assert first["thoughtSignature"] == "skip" and "thoughtSignature" not in second
    own = assistant([ToolCall("a", "f", "{}", meta=signed(thoughtSignature="s")), ToolCall("b", "g", "{}")])
    first, second = contents_of(user("hi"), own, quirks=quirks)[1]["parts"]
    assert first["thoughtSignature"] == "s" and "thoughtSignature" not in second


def test_an_empty_text_is_not_sent_and_an_empty_message_is_named():
    assert contents_of(user(["", "hi"]))[0]["parts"] == [{"text": "hi"}]
    wire = encode(user("hi"), assistant(""), user("still there?"))
    assert json.loads(wire.body)["contents"] == [{"role": "user", "parts": [{"text": "hi"}, {"text": "still there?"}]}]
    assert notes(wire) == [("dropped", "messages")]


def test_reasoning_of_another_origin_is_left_out_or_sent_as_text():
    messages = (user("hi"), assistant([ReasoningPart("hm"), TextPart("yes")]))
    wire = encode(*messages)
    assert json.loads(wire.body)["contents"][1]["parts"] == [{"text": "yes"}]
    assert notes(wire) == [("dropped", "messages")]
    wire = encode(*messages, quirks=GeminiQuirks(reasoning_history="text"))
    assert json.loads(wire.body)["contents"][1]["parts"] == [{"text": "hm"}, {"text": "yes"}]
    assert notes(wire) == [("emulated", "messages")]


def test_arguments_that_are_no_object_are_sent_as_an_empty_one_and_named():
    wire = encode(assistant(ToolCall("a", "f", '{"x": ')))
    assert json.loads(wire.body)["contents"][0]["parts"][0]["functionCall"]["args"] == {}
    assert notes(wire) == [("dropped", "messages")]
    wire = encode(assistant(ToolCall("a", "f", "free", kind="custom")))
    assert json.loads(wire.body)["contents"][0]["parts"][0]["functionCall"]["args"] == {"input": "free"}
    assert notes(wire) == [("emulated", "messages")]


def test_what_the_providers_own_tools_did_goes_back_as_it_came():
    code = {"executableCode": {"language": "PYTHON", "code": "1+1", "id": "c"}, "thoughtSignature": "s"}
    found = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2", "id": "c"}}
    parts = (
        ToolCall("c", "code_execution", '{"language":"PYTHON","code":"1+1"}', executed=True, meta={"gemini": code}),
        ToolResult("c", "code_execution", (TextPart("2"),), meta={"gemini": found}),
        TextPart("two"),
    )
    (content,) = contents_of(Message("assistant", parts))
    assert content["parts"] == [code, found, {"text": "two"}]


def test_what_another_providers_tools_did_is_left_out_and_named():
    parts = [ToolCall("c", "web_search", "{}", executed=True), ToolResult("c", "web_search"), TextPart("two")]
    wire = encode(assistant(parts))
    assert json.loads(wire.body)["contents"][0]["parts"] == [{"text": "two"}]
    assert notes(wire) == [("dropped", "messages")]


def test_citations_are_not_sent_back_and_given_search_results_are_text():
    wire = encode(
        user([SourcePart("https://x.example", "T", "words")]),
        assistant([TextPart("so", (Source(url="https://x.example"),)), SourcePart("u")]),
    )
    asked, answered = json.loads(wire.body)["contents"]
    assert asked["parts"] == [{"text": "T\nhttps://x.example\nwords"}]
    assert answered["parts"] == [{"text": "so"}]
    assert {kind for kind, _ in notes(wire)} == {"emulated", "dropped"}


def test_an_unknown_part_goes_back_to_its_own_wire_and_to_no_other():
    own = OpaquePart("widget", {"gemini": {"widget": {"x": 1}}})
    assert contents_of(user([own]))[0]["parts"] == [{"widget": {"x": 1}}]
    with pytest.raises(UnsupportedError, match="widget"):
        encode(user([OpaquePart("widget", {"openai": {"x": 1}})]))


def test_a_call_or_a_result_in_the_wrong_message_is_refused():
    with pytest.raises(UnsupportedError, match="not the assistant's"):
        encode(user([ToolCall("a", "f")]))
    with pytest.raises(UnsupportedError, match="not a tool's"):
        encode(system([ToolResult("a", "f")]), user("hi"))


def test_functions_go_with_json_schemas_and_server_tools_beside_them():
    file_search = Tool("file_search", kind="hosted", settings={"fileSearchStoreNames": ["fileSearchStores/a"]})
    body = body_of(tools=(WEATHER, SEARCH, Tool("plain"), file_search))
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "weather", "description": "d", "parametersJsonSchema": SCHEMA},
                {"name": "plain"},
            ]
        },
        {"googleSearch": {}},
        {"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/a"]}},
    ]


def test_a_custom_tool_is_refused_and_strictness_is_named():
    with pytest.raises(UnsupportedError, match="take JSON"):
        encode(tools=(Tool("c", kind="custom"),))
    assert notes(encode(tools=(Tool("f", strict=True), Tool("g", strict=False)))) == [("dropped", "tools.strict")]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (NamedTool("weather"), {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
        (AllowedTools(("weather", "g"), "required"), {"mode": "ANY", "allowedFunctionNames": ["weather", "g"]}),
        (AllowedTools(("weather",)), {"mode": "VALIDATED", "allowedFunctionNames": ["weather"]}),
    ],
)
def test_the_choice_among_tools(choice, said):
    body = body_of(tools=(WEATHER, Tool("g")), tool_choice=choice)
    assert body["toolConfig"] == {"functionCallingConfig": said}


def test_a_server_tool_cannot_be_forced_and_a_choice_among_none_is_named():
    with pytest.raises(UnsupportedError, match="googleSearch"):
        encode(tools=(SEARCH,), tool_choice=NamedTool("googleSearch", "hosted"))
    wire = encode(tool_choice="auto")
    assert "toolConfig" not in json.loads(wire.body) and notes(wire) == [("dropped", "tool_choice")]


def test_parallel_calls_are_what_the_wire_gives_and_cannot_be_turned_off():
    assert encode(tools=(WEATHER,), parallel_tools=True).adjustments == ()
    assert notes(encode(tools=(WEATHER,), parallel_tools=False)) == [("dropped", "parallel_tools")]


def test_every_setting_has_its_member():
    wire = encode(
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        n=2,
        max_tokens=9,
        seed=1,
        stop=("a", "b"),
        presence_penalty=0.1,
        frequency_penalty=0.2,
        logprobs=3,
        modalities=("text", "image"),
        metadata={"team": "x"},
        service_tier="flex",
    )
    assert wire.adjustments == ()
    assert json.loads(wire.body) == {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {
            "temperature": 0.5,
            "topP": 0.9,
            "topK": 4,
            "candidateCount": 2,
            "maxOutputTokens": 9,
            "seed": 1,
            "stopSequences": ["a", "b"],
            "presencePenalty": 0.1,
            "frequencyPenalty": 0.2,
            "responseLogprobs": True,
            "logprobs": 3,
            "responseModalities": ["TEXT", "IMAGE"],
        },
        "labels": {"team": "x"},
        "serviceTier": "flex",
    }


def test_the_chosen_tokens_probabilities_alone_can_be_asked_for():
    assert config_of(logprobs=0) == {"responseLogprobs": True}


def test_an_answer_in_json_is_asked_for_with_or_without_a_schema():
    assert config_of(output=Output()) == {"responseMimeType": "application/json"}
    config = config_of(output=Output(SCHEMA, "city", strict=True))
    assert config == {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
    wire = encode(output=Output(SCHEMA, description="d", strict=False))
    assert notes(wire) == [("dropped", "output.description"), ("dropped", "output.strict")]


def test_a_voice_is_asked_for_and_with_it_sound():
    assert config_of(audio=AudioOutput("Kore", "pcm16")) == {
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
        "responseModalities": ["AUDIO"],
    }
    wire = encode(audio=AudioOutput(format="mp3"), modalities=("audio",))
    assert json.loads(wire.body)["generationConfig"] == {"responseModalities": ["AUDIO"]}
    assert notes(wire) == [("dropped", "audio.format")]


def test_several_speakers_are_an_option():
    speakers = {"multiSpeakerVoiceConfig": {"speakerVoiceConfigs": [{"speaker": "Ann"}]}}
    config = config_of(modalities=("audio",), options={"gemini": {"generationConfig": {"speechConfig": speakers}}})
    assert config == {"responseModalities": ["AUDIO"], "speechConfig": speakers}


def test_options_are_added_to_what_is_said_and_win_over_it():
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]
    body = body_of(
        temperature=1,
        reasoning="low",
        tools=(WEATHER,),
        tool_choice="auto",
        options={
            "gemini": {
                "safety_settings": safety,
                "generationConfig": {
                    "temperature": 0.5,
                    "thinkingConfig": {"includeThoughts": True},
                    "image_config": {"aspect_ratio": "1:1"},
                },
                "toolConfig": {"includeServerSideToolInvocations": True},
                "tools": [{"urlContext": {}}],
            }
        },
    )
    assert body["safetySettings"] == safety
    assert body["generationConfig"] == {
        "temperature": 0.5,
        "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True},
        "imageConfig": {"aspectRatio": "1:1"},
    }
    assert body["toolConfig"] == {
        "functionCallingConfig": {"mode": "AUTO"},
        "includeServerSideToolInvocations": True,
    }
    assert [list(one) for one in body["tools"]] == [["functionDeclarations"], ["urlContext"]]


def test_what_stands_in_the_cache_is_not_sent_beside_it():
    cached = {"gemini": {"cachedContent": "cachedContents/a"}}
    assert encode(options=cached).adjustments == ()
    wire = encode(system("s"), user("hi"), tools=(WEATHER,), tool_choice="auto", options=cached)
    assert json.loads(wire.body) == {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "cachedContent": "cachedContents/a",
    }
    assert notes(wire) == [("dropped", "messages"), ("dropped", "tools"), ("dropped", "tool_choice")]


def test_what_the_wire_has_no_word_for_is_dropped_and_named_or_refused_where_so_wanted():
    said = {"user": "u", "prompt_cache": PromptCache(key="k")}
    assert notes(encode(**said)) == [("dropped", "user"), ("dropped", "prompt_cache")]
    assert encode(prompt_cache=PromptCache(mode="implicit")).adjustments == ()
    with pytest.raises(UnsupportedError, match="user"):
        encode(user="u", quirks=GeminiQuirks(on_unsupported="error"))


@pytest.mark.parametrize(
    ("tier", "said", "noted"),
    [
        ("priority", "priority", []),
        ("default", "standard", [("renamed", "service_tier")]),
        ("auto", None, [("dropped", "service_tier")]),
    ],
)
def test_the_service_tier(tier, said, noted):
    wire = encode(service_tier=tier)
    assert (json.loads(wire.body).get("serviceTier"), notes(wire)) == (said, noted)


def test_a_setting_that_the_model_does_not_take_is_dropped_or_refused():
    wire = encode(seed=1, temperature=1, quirks=GeminiQuirks(settings={"seed": "drop"}))
    assert json.loads(wire.body)["generationConfig"] == {"temperature": 1}
    assert notes(wire) == [("dropped", "seed")]
    with pytest.raises(UnsupportedError, match="logprobs"):
        encode(logprobs=1, quirks=GeminiQuirks(settings={"logprobs": "refuse"}))


def test_a_dropped_setting_that_options_say_after_all_is_not_named():
    options = {"gemini": {"generationConfig": {"seed": 2}}}
    assert encode(seed=1, options=options, quirks=GeminiQuirks(settings={"seed": "drop"})).adjustments == ()


def test_several_answers_are_not_streamed_at_once():
    with pytest.raises(UnsupportedError, match="stream 2 times"):
        encode(n=2, stream=True)


def test_options_and_residue_of_another_wire_are_named():
    residue = Residue("openai", (ResidueChange(("logit_bias",), theirs={"1": 2}),))
    wire = encode(options={"openai": {"store": True}}, residue=residue)
    assert [adjustment.setting for adjustment in wire.adjustments] == ["options.openai", "residue"]


def test_members_of_a_service_are_added_where_the_body_lacks_them():
    quirks = GeminiQuirks(extra_body={"labels": {"a": "b"}, "contents": []})
    body = body_of(quirks=quirks)
    assert body["labels"] == {"a": "b"} and body["contents"]
