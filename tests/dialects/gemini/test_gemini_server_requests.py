"""Requests as a server reads them: what is said, what is wrong with it, and that it can be said again."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from polyvox.dialects.gemini.encoding import Encoding
from polyvox.dialects.gemini.quirks import GeminiQuirks
from polyvox.dialects.gemini.request import decode_request, encode_body, encode_request
from polyvox.errors import BadRequestError
from polyvox.types.generate import AudioOutput, GenerateRequest, Output
from polyvox.types.messages import Message, system
from polyvox.types.normalise import normalise
from polyvox.types.parts import FilePart, OpaquePart, ReasoningPart, TextPart, ToolCall, ToolResult, Url
from polyvox.types.tools import AllowedTools, NamedTool, Tool
from tests.recordings import recordings

PLAIN = GeminiQuirks()
HI = {"role": "user", "parts": [{"text": "hi"}]}


def decode(**body):
    return decode_request(json.dumps({"contents": [HI], **body}).encode())[0]


def content_of(*parts, role="user"):
    (message,) = decode(contents=[{"role": role, "parts": list(parts)}]).messages
    return message.content


def again(body, change=lambda request: request):
    request, stream = decode_request(json.dumps(body).encode())
    return json.loads(encode_request(change(request), PLAIN, stream=stream).body)


def config(**said):
    return {"generationConfig": said}


@pytest.mark.parametrize(
    ("path", "model", "stream"),
    [
        ("/v1beta/models/gemini-x:generateContent", "gemini-x", False),
        ("/v1beta/models/gemini-x:streamGenerateContent?alt=sse", "gemini-x", True),
        ("https://host/v1/projects/p/locations/l/publishers/google/models/g:streamGenerateContent", "g", True),
        ("/v1beta/tunedModels/mine:generateContent", "tunedModels/mine", False),
        ("", "", False),
    ],
)
def test_the_model_and_the_wish_for_a_stream_are_read_from_the_address(path, model, stream):
    request, streamed = decode_request(json.dumps({"contents": [HI]}).encode(), path=path)
    assert (request.model, streamed) == (model, stream)


def test_a_model_in_the_body_is_read_too_and_follows_a_change():
    body = {"model": "models/gemini-x", "contents": [HI]}
    assert decode(**body).model == "gemini-x"
    assert again(body) == body
    assert again(body, lambda request: structs.replace(request, model="gemini-y"))["model"] == "gemini-y"


def test_settings_are_read():
    request = decode(
        systemInstruction={"parts": [{"text": "s"}]},
        generationConfig={
            "temperature": 1,
            "topP": 0.5,
            "topK": 4,
            "candidateCount": 1,
            "maxOutputTokens": 9,
            "seed": 7,
            "stopSequences": ["a"],
            "presencePenalty": 0.1,
            "frequencyPenalty": 0.2,
            "responseLogprobs": True,
            "logprobs": 2,
            "responseModalities": ["TEXT", "IMAGE"],
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object"},
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
            "thinkingConfig": {"thinkingLevel": "low"},
            "mediaResolution": "MEDIA_RESOLUTION_LOW",
        },
        serviceTier="flex",
        labels={"team": "x"},
        safetySettings=[],
    )
    assert request.messages[0] == Message("system", (TextPart("s"),))
    assert (request.temperature, request.top_p, request.top_k, request.stop) == (1, 0.5, 4, ("a",))
    assert (request.n, request.max_tokens, request.seed, request.logprobs) == (1, 9, 7, 2)
    assert (request.presence_penalty, request.frequency_penalty) == (0.1, 0.2)
    assert (request.modalities, request.audio) == (("text", "image"), AudioOutput("Kore"))
    assert (request.output, request.reasoning) == (Output({"type": "object"}), "low")
    assert (request.service_tier, request.metadata) == ("flex", {"team": "x"})
    assert request.options == {
        "gemini": {"safetySettings": [], "generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW"}}
    }


def test_a_whole_number_may_be_written_with_a_point():
    request = decode(**config(topK=4.0, maxOutputTokens=9.0))
    assert (request.top_k, request.max_tokens) == (4, 9) and isinstance(request.top_k, int)
    with pytest.raises(BadRequestError, match="topK: is the number"):
        decode(**config(topK=4.5))


@pytest.mark.parametrize(
    ("thinking", "reasoning", "left"),
    [
        ({"thinkingBudget": 0}, "none", {}),
        ({"thinkingBudget": 512, "includeThoughts": True}, 512, {"includeThoughts": True}),
        ({"thinkingBudget": -1}, None, {"thinkingBudget": -1}),
        ({"thinkingLevel": "HIGH"}, "high", {}),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, None, {"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}),
        ({"thinkingLevel": "LOW", "thinkingBudget": 1}, None, {"thinkingLevel": "LOW", "thinkingBudget": 1}),
        ({"includeThoughts": True}, None, {"includeThoughts": True}),
    ],
)
def test_the_reasoning_knob_is_read_and_said_again(thinking, reasoning, left):
    request = decode(**config(thinkingConfig=thinking))
    options = request.options.get("gemini", {}).get("generationConfig", {}).get("thinkingConfig", {})
    assert (request.reasoning, options) == (reasoning, left)
    body = {"contents": [HI], **config(thinkingConfig=thinking)}
    assert again(body) == body


def test_members_spelled_with_underscores_are_read_and_written_so_again():
    body = {
        "contents": [{"role": "user", "parts": [{"inline_data": {"mime_type": "image/png", "data": "QUI="}}]}],
        "system_instruction": {"parts": [{"text": "s"}]},
        "generation_config": {"max_output_tokens": 5, "stop_sequences": ["a_b"]},
        "tools": [{"google_search": {}}],
        "safety_settings": [],
    }
    request = decode(**body)
    assert (request.max_tokens, request.stop, request.tools) == (5, ("a_b",), (Tool("googleSearch", kind="hosted"),))
    assert request.messages[1].content == (FilePart("image/png", b"AB"),)
    assert again(body) == body
    changed = again(body, lambda request: structs.replace(request, max_tokens=6))
    assert changed == {**body, "generation_config": {"max_output_tokens": 6, "stop_sequences": ["a_b"]}}


def test_a_member_spelled_both_ways_in_one_body_is_written_both_ways_again():
    body = {
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [{"function_call": {"name": "f", "args": {"a_b": 1}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"c_d": 2}}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
        ]
    }
    assert again(body) == body
    assert [call.name for message in decode(**body).messages for call in message.tool_calls] == ["f", "f"]


def test_results_are_a_tool_message_and_belong_to_their_calls_by_id_or_by_order():
    called = [{"functionCall": {"name": "f", "args": {"x": 1}}}, {"functionCall": {"name": "f"}}]
    answered = [
        {"functionResponse": {"name": "f", "response": {"output": "one"}}},
        {"functionResponse": {"name": "f", "response": {"error": "two"}}},
        {"text": "and?"},
    ]
    messages = decode(contents=[HI, {"role": "model", "parts": called}, {"role": "user", "parts": answered}]).messages
    first, second = messages[1].tool_calls
    assert (first.arguments, second.arguments) == ('{"x":1}', "")
    assert first.id != second.id
    assert messages[2] == Message(
        "tool",
        (
            ToolResult(first.id, "f", (TextPart("one"),)),
            ToolResult(second.id, "f", (TextPart("two"),), is_error=True),
        ),
    )
    assert messages[3] == Message("user", (TextPart("and?"),))


def test_a_response_of_any_shape_is_kept_until_it_is_changed():
    call = {"functionCall": {"id": "a", "name": "f", "args": {}}}
    result = {"functionResponse": {"id": "a", "name": "f", "response": {"result": 42}, "willContinue": True}}
    body = {"contents": [{"role": "model", "parts": [call]}, {"role": "user", "parts": [result]}]}
    (told,) = decode(**body).messages[1].content
    assert told.text == '{"result":42}'
    assert again(body) == body

    def change(request):
        called, (answered,) = request.messages[0], request.messages[1].content
        new = structs.replace(answered, content=(TextPart("new"),))
        return structs.replace(request, messages=(called, Message("tool", (new,))))

    response = again(body, change)["contents"][1]["parts"][0]["functionResponse"]
    assert response == {"id": "a", "name": "f", "response": {"output": "new"}, "willContinue": True}


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"text": "x"}, TextPart("x")),
        ({"text": "x", "thought": False}, TextPart("x", meta={"gemini": {"thought": False}})),
        ({"text": "x", "thought": True}, ReasoningPart("x", meta={"gemini": {"thought": True}})),
        ({"text": "", "thoughtSignature": "s"}, TextPart("", meta={"gemini": {"thoughtSignature": "s"}})),
        ({"inlineData": {"mimeType": "image/png", "data": "QUI="}}, FilePart("image/png", b"AB")),
        (
            {"fileData": {"mimeType": "video/mp4", "fileUri": "u"}, "videoMetadata": {"fps": 1}},
            FilePart("video/mp4", Url("u"), meta={"gemini": {"videoMetadata": {"fps": 1}}}),
        ),
        ({"widget": {"x": 1}}, OpaquePart("widget", {"gemini": {"widget": {"x": 1}}})),
    ],
)
def test_parts_are_read_and_said_again(block, part):
    assert content_of(block, role="model") == (part,)
    body = {"contents": [{"role": "model", "parts": [block]}]}
    assert again(body) == body
    assert decode(**body).residue is None


def test_programs_that_the_provider_ran_are_calls_with_their_results():
    code = {"executableCode": {"language": "PYTHON", "code": "1+1"}}
    found = {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "no"}}
    call, result = content_of(code, found, role="model")
    assert (call.name, call.executed, call.decode()["code"]) == ("code_execution", True, "1+1")
    assert (result.id, result.text, result.is_error) == (call.id, "no", True)


def test_bytes_in_the_alphabet_of_addresses_are_read_and_said_again():
    body = {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "-_8="}}]}]}
    assert decode(**body).messages[0].content == (FilePart("image/png", b"\xfb\xff"),)
    assert again(body) == body


def test_tools_of_both_kinds_of_schema_are_read_as_json_schema():
    openapi = {
        "type": "OBJECT",
        "properties": {
            "n": {"type": "STRING", "nullable": True, "enum": ["a"]},
            "l": {"type": "ARRAY", "minItems": "1"},
        },
        "propertyOrdering": ["n", "l"],
    }
    request = decode(
        tools=[
            {"functionDeclarations": [{"name": "f", "description": "d", "parameters": openapi}], "codeExecution": {}},
            {
                "functionDeclarations": [
                    {"name": "g", "parametersJsonSchema": {"type": "object"}, "behavior": "BLOCKING"}
                ]
            },
            {"googleSearch": None},
        ]
    )
    assert request.tools == (
        Tool(
            "f",
            "d",
            {
                "type": "object",
                "properties": {
                    "n": {"type": ["string", "null"], "enum": ["a", None]},
                    "l": {"type": "array", "minItems": 1},
                },
                "propertyOrdering": ["n", "l"],
            },
        ),
        Tool("codeExecution", kind="hosted"),
        Tool("g", None, {"type": "object"}, meta={"gemini": {"behavior": "BLOCKING"}}),
    )


@pytest.mark.parametrize(
    ("said", "choice"),
    [
        ({"mode": "AUTO"}, "auto"),
        ({"mode": "NONE"}, "none"),
        ({"mode": "ANY"}, "required"),
        ({"mode": 2}, "required"),
        ({"mode": "any", "allowedFunctionNames": ["f"]}, NamedTool("f")),
        ({"mode": "ANY", "allowedFunctionNames": ["f", "g"]}, AllowedTools(("f", "g"), "required")),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["f"]}, AllowedTools(("f",))),
        ({"mode": "VALIDATED"}, "auto"),
        ({"mode": "MODE_UNSPECIFIED"}, None),
        ({"mode": "AUTO", "streamFunctionCallArguments": True}, "auto"),
        ({}, None),
        ({"allowedFunctionNames": ["f"]}, None),
    ],
)
def test_the_choice_among_tools_is_read_and_said_again(said, choice):
    tools = [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]
    body = {
        "contents": [HI],
        "tools": tools,
        "toolConfig": {"functionCallingConfig": said, "retrievalConfig": {"x": 1}},
    }
    assert decode(**body).tool_choice == choice
    assert again(body) == body


@pytest.mark.parametrize(
    ("said", "output"),
    [
        ({"responseMimeType": "application/json"}, Output()),
        (
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
            Output({"type": "object"}),
        ),
        ({"responseMimeType": "application/json", "responseSchema": {"type": "STRING"}}, Output({"type": "string"})),
        ({"responseMimeType": "text/plain"}, None),
        ({"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}}, None),
        ({"responseFormat": [{"type": "x"}]}, None),
    ],
)
def test_the_form_of_the_answer_is_read_and_said_again(said, output):
    body = {"contents": [HI], **config(**said)}
    assert decode(**body).output == output
    assert again(body) == body


@pytest.mark.parametrize(
    "body",
    [
        {"contents": [HI, HI]},
        {"contents": [{"parts": [{"text": "hi"}]}]},
        {"contents": [{"role": "user", "parts": {"text": "hi"}}]},
        {"contents": [{"role": "user"}, HI]},
        {"contents": [HI], "systemInstruction": None, "tools": None, "generationConfig": {}},
        {"contents": [HI], "system_instruction": {"role": "system", "parts": [{"text": "s"}]}},
        {"contents": [HI], "cachedContent": "cachedContents/a", "tools": [{"googleSearch": {}}]},
        {"contents": [HI], "generationConfig": {"responseModalities": [1, 2], "temperature": None}},
        {"contents": [HI], "generationConfig": {"speechConfig": {"multiSpeakerVoiceConfig": {"a": []}}}},
        {"contents": [HI], "serviceTier": "unspecified", "store": False, "continuationToken": "x"},
        {"contents": [{"role": "function", "parts": [{"functionResponse": {"name": "f", "response": {}}}]}]},
    ],
)
def test_unusual_bodies_come_back_as_they_were(body):
    assert again(body) == body


def test_contents_that_the_client_cut_apart_stay_apart():
    body = {"contents": [HI, {"role": "user", "parts": [{"text": "there"}]}]}
    request = decode(**body)
    (message,) = request.messages
    assert message.text == "hithere" and request.residue is None
    assert again(body) == body


def test_a_change_wins_over_what_was_read():
    body = {
        "contents": [HI],
        "systemInstruction": {"role": "user", "parts": [{"text": "s"}]},
        "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}], "codeExecution": None}],
        "generationConfig": {"temperature": 1, "mediaResolution": "X", "thinkingConfig": {"thinkingLevel": "low"}},
        "toolConfig": None,
    }

    def change(request):
        messages = (system("new"), *request.messages[1:])
        return structs.replace(request, messages=messages, temperature=0.5, tools=(Tool("g"),))

    assert again(body, change) == {
        **body,
        "systemInstruction": {"role": "user", "parts": [{"text": "new"}]},
        "tools": [{"functionDeclarations": [{"name": "g"}]}],
        "generationConfig": {"temperature": 0.5, "mediaResolution": "X", "thinkingConfig": {"thinkingLevel": "LOW"}},
    }


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"contents": None}, "contents: is null, but must be a list of contents"),
        ({"contents": []}, "contents: is empty"),
        ({"contents": ["hi"]}, "contents[0]: is the string 'hi', but must be a content"),
        ({"contents": [{"role": "tool", "parts": []}]}, "contents[0].role: is 'tool', but must be one of user, model"),
        ({"contents": [{"parts": "hi"}]}, "contents[0].parts: is the string 'hi', but must be a list of parts"),
        ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text: is the number 1"),
        ({"contents": [{"parts": [{"inlineData": {}}]}]}, "contents[0].parts[0].inlineData.data: is missing"),
        ({"contents": [{"parts": [{"inlineData": {"data": "§"}}]}]}, "inlineData.data: is no valid base64"),
        ({"contents": [{"parts": [{"fileData": {"fileUri": 3}}]}]}, "fileData.fileUri: is the number 3"),
        ({"contents": [{"role": "model", "parts": [{"functionCall": {}}]}]}, "functionCall.name: is missing"),
        ({"contents": [{"role": "model", "parts": [{"functionCall": []}]}]}, "functionCall: is a list"),
        ({"contents": [{"parts": [{"functionCall": {"name": "f"}}]}]}, "not the assistant's"),
        ({"contents": [{"parts": [{"functionResponse": {"response": {}}}]}]}, "functionResponse.name: is missing"),
        ({"systemInstruction": 1}, "systemInstruction: is the number 1, but must be a content"),
        ({"tools": {}}, "tools: is an object, but must be a list of tools"),
        ({"tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name: is missing"),
        (
            {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {}, "parametersJsonSchema": {}}]}]},
            "tools[0].functionDeclarations[0].parameters: stands beside parametersJsonSchema",
        ),
        ({"tools": [{"googleSearch": 1}]}, "tools[0].googleSearch: is the number 1, but must be an object"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "odd"}}}, "functionCallingConfig.mode: is 'odd'"),
        ({"toolConfig": {"functionCallingConfig": {"mode": True}}}, "functionCallingConfig.mode: is true"),
        (
            config(maxOutputTokens="9"),
            "generationConfig.maxOutputTokens: is the string '9', but must be a whole number",
        ),
        (config(temperature=True), "generationConfig.temperature: is true, but must be a number"),
        (config(stopSequences="a"), "generationConfig.stopSequences: is the string 'a', but must be a list"),
        (config(responseModalities="TEXT"), "generationConfig.responseModalities: is the string 'TEXT'"),
        (config(responseLogprobs=1), "generationConfig.responseLogprobs: is the number 1"),
        (config(thinkingConfig={"thinkingBudget": "many"}), "thinkingConfig.thinkingBudget: is the string 'many'"),
        (config(thinkingConfig=True), "generationConfig.thinkingConfig: is true"),
        (config(responseMimeType="application/json", responseSchema="x"), "responseSchema: is the string 'x'"),
        ({"generationConfig": []}, "generationConfig: is a list, but must be an object"),
        ({"labels": {"a": 1}}, "labels.a: is the number 1, but must be a string"),
        ({"model": 1}, "model: is the number 1"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(body, told):
    with pytest.raises(BadRequestError) as caught:
        decode(**body)
    assert told in caught.value.message
    assert caught.value.status == 400


def test_a_body_that_is_no_json_object_is_a_bad_request():
    for body in (b"{", b"[]", b"{}", b'"x"'):
        with pytest.raises(BadRequestError):
            decode_request(body)


# Law 1: what this wire can say is read back as it was said. What it cannot is declared in docs/dialects/gemini.md.

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
WORDS = st.text("abcxyz09", min_size=1, max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(WORDS | st.just("snake_case"), JSON, max_size=3)
INNER = st.dictionaries(WORDS, JSON, max_size=2)
SIGNED = st.sampled_from([{}, {"gemini": {"thoughtSignature": "s"}}])
texts = st.builds(TextPart, TEXTS, meta=SIGNED)
files = st.one_of(
    st.builds(FilePart, st.sampled_from(["image/png", "audio/wav"]), st.binary(max_size=9), st.none() | WORDS, SIGNED),
    st.builds(FilePart, st.just("application/pdf"), st.builds(Url, WORDS), st.none() | WORDS),
)
thoughts = st.builds(ReasoningPart, TEXTS | st.just(""), meta=st.just({"gemini": {"thought": True}}))
functions = st.builds(Tool, WORDS, st.none() | TEXTS, st.none() | OBJECTS)
hosted = st.builds(Tool, st.sampled_from(["googleSearch", "urlContext"]), kind=st.just("hosted"), settings=INNER)


def arguments(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@st.composite
def conversations(draw):
    messages = [Message("system", tuple(draw(st.lists(texts, min_size=1, max_size=2))))] if draw(st.booleans()) else []
    for index in range(draw(st.integers(1, 3))):
        messages.append(Message("user", tuple(draw(st.lists(texts | files, min_size=1, max_size=3)))))
        calls = tuple(
            ToolCall(f"c{index}_{place}", draw(WORDS), arguments(draw(OBJECTS)), meta=draw(SIGNED))
            for place in range(draw(st.integers(0, 2)))
        )
        said = tuple(draw(st.lists(texts | files, min_size=0 if calls else 1, max_size=2)))
        messages.append(Message("assistant", (*draw(st.lists(thoughts, max_size=1)), *said, *calls)))
        if calls:
            held = st.tuples(st.builds(TextPart, TEXTS)) | st.tuples(st.builds(TextPart, TEXTS), files) | st.just(())
            results = tuple(ToolResult(call.id, call.name, draw(held), draw(st.booleans())) for call in calls)
            messages.append(Message("tool", results))
    return normalise(messages)


@st.composite
def requests(draw):
    def maybe(strategy):
        return draw(st.none() | strategy)

    offered = draw(st.lists(functions, max_size=2, unique_by=lambda tool: tool.name))
    names = tuple(tool.name for tool in offered)
    offered += draw(st.lists(hosted, max_size=1))
    choices = st.sampled_from(["auto", "none", "required", *(NamedTool(name) for name in names), AllowedTools(names)])
    modalities = draw(st.sampled_from([(), ("text",), ("audio",)]))
    member = st.sampled_from(["safetySettings", "cachedTwice", "store"])
    options = draw(st.dictionaries(member, JSON.filter(lambda value: value is not None), max_size=2))
    inside = draw(st.dictionaries(st.just("mediaResolution"), WORDS))
    options = {**options, "generationConfig": inside} if inside else options
    return GenerateRequest(
        model=draw(WORDS),
        messages=draw(conversations()),
        tools=tuple(offered),
        tool_choice=maybe(choices) if names else None,
        output=maybe(st.builds(Output, st.none() | OBJECTS)),
        reasoning=maybe(
            st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh"]) | st.integers(1, 30_000)
        ),
        max_tokens=maybe(st.integers(1, 9999)),
        temperature=maybe(st.sampled_from([0, 0.5, 1])),
        top_p=maybe(st.floats(0, 1)),
        top_k=maybe(st.integers(1, 99)),
        seed=maybe(st.integers(-(2**31), 2**31 - 1)),
        stop=tuple(draw(st.lists(TEXTS, max_size=2))),
        presence_penalty=maybe(st.floats(-2, 2)),
        frequency_penalty=maybe(st.floats(-2, 2)),
        logprobs=maybe(st.integers(0, 20)),
        n=maybe(st.just(1)),
        modalities=modalities,
        audio=maybe(st.builds(AudioOutput, WORDS)) if modalities else None,
        service_tier=maybe(st.sampled_from(["flex", "standard", "priority"])),
        metadata=maybe(st.dictionaries(WORDS, TEXTS, max_size=2)),
        options={"gemini": options} if options else {},
    )


@settings(max_examples=120, deadline=None)
@given(requests(), st.booleans())
def test_what_this_wire_can_say_is_read_back_as_it_was_said(request, stream):
    wire = encode_request(request, PLAIN, stream=stream)
    assert wire.adjustments == ()
    read, streamed = decode_request(wire.body, path=wire.path)
    assert streamed is stream
    assert read == request


@settings(max_examples=60, deadline=None)
@given(requests())
def test_a_request_survives_storage_between_reading_and_saying(request):
    wire = encode_request(request, PLAIN, stream=False)
    read, _ = decode_request(wire.body, path=wire.path)
    stored = msgspec.json.decode(msgspec.json.encode(read), type=GenerateRequest)
    assert json.loads(encode_request(stored, PLAIN, stream=False).body) == json.loads(wire.body)


# Law 10, made up: bodies as clients may write them.

CAMEL = ["functionCall", "functionResponse", "inlineData", "fileData", "thoughtSignature", "mimeType"]
PARTS = st.one_of(
    st.builds(lambda text, more: {**more, "text": text}, TEXTS | st.just(""), OBJECTS),
    st.builds(lambda text: {"text": text, "thought": True}, TEXTS),
    st.sampled_from(
        [
            {"text": None, "functionCall": {"name": "f", "args": None}},
            {"function_call": {"name": "f", "args": {"a_b": {"c_d": 1}}}, "thought_signature": "s"},
            {"functionCall": {"name": "f", "args": {"a": 1}, "id": ""}},
            {"inline_data": {"mime_type": "image/png", "data": "AAAA"}},
            {"inlineData": {"mimeType": "image/png", "data": "_-A", "odd": 1}},
            {"fileData": {"fileUri": "u"}},
            {"fileData": {"fileUri": "u", "mimeType": "", "displayName": None}},
            {"executableCode": {"language": "PYTHON", "code": "1"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK"}},
            {"toolCall": {"toolType": "X", "args": {"a_b": 1}}},
            {"toolResponse": {"toolType": "X", "response": {"a_b": 1}, "id": "i"}},
            {"widget": {"a_b": 1}},
            {},
        ]
    ),
)
RESULTS = st.sampled_from(
    [
        {"functionResponse": {"name": "f", "response": {"output": "x"}}},
        {"functionResponse": {"name": "f", "response": {"output": 1}, "scheduling": "SILENT"}},
        {"function_response": {"name": "f", "response": {"error": "x", "a_b": 1}}},
        {"functionResponse": {"name": "f"}},
        {"functionResponse": {"name": "f", "response": {}, "parts": [{"inlineData": {"mimeType": "a/b", "data": ""}}]}},
    ]
)
MEMBERS = {
    "systemInstruction": st.none()
    | st.just({"parts": []})
    | st.just({"role": "x", "parts": [{"text": "s"}], "odd": 1}),
    "tools": st.none()
    | st.lists(
        st.sampled_from(
            [
                {},
                {"functionDeclarations": []},
                {"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "a_b": 1}, "odd": 1}]},
                {"function_declarations": [{"name": "g", "parameters_json_schema": {"a_b": 1}}], "codeExecution": None},
                {"google_search": {}, "urlContext": {"x": None}},
            ]
        ),
        max_size=3,
    ),
    "toolConfig": st.none() | st.sampled_from([{}, {"functionCallingConfig": {"mode": "ANY"}}, {"x": None}]),
    "generationConfig": st.none()
    | st.dictionaries(
        st.sampled_from(["temperature", "seed", "logprobs", "responseSchema", "odd"]),
        st.none() | st.integers(0, 5),
        max_size=3,
    ),
    "safety_settings": st.none() | st.just([{"category": "X", "threshold": 1}]),
    "cachedContent": st.none() | st.just("cachedContents/a"),
    "labels": st.none() | st.just({"a_b": "c"}),
    "model": st.none() | st.sampled_from(["m", "models/m"]),
    "odd": JSON,
}


@st.composite
def bodies(draw):
    contents = []
    for _ in range(draw(st.integers(1, 4))):
        role = draw(st.sampled_from(["user", "model", "function", None]))
        parts = draw(st.lists(PARTS if role == "model" else RESULTS | PARTS, max_size=3))
        if role != "model":
            parts = [part for part in parts if not {"functionCall", "function_call", "toolCall"} & part.keys()]
            parts = [part for part in parts if not {"executableCode"} & part.keys()]
        contents.append({"parts": parts} if role is None else {"role": role, "parts": parts})
    names = draw(st.sets(st.sampled_from(list(MEMBERS)), max_size=5))
    return {"contents": contents, **{name: draw(MEMBERS[name]) for name in sorted(names)}}


@settings(max_examples=300, deadline=None)
@given(bodies())
def test_any_body_comes_back_as_it_was(body):
    request, stream = decode_request(json.dumps(body).encode())
    assert canonical(encode_request(request, PLAIN, stream=stream).body) == canonical(json.dumps(body))


def changed(request):
    messages = (*request.messages, Message("assistant", (TextPart("added"),)), Message("user", (TextPart("more"),)))
    return structs.replace(request, messages=normalise(messages), temperature=0.25, tools=(*request.tools, Tool("new")))


def meaning(request):
    """A request less the words it was said in, and less the marks of where a content began."""
    messages = tuple(
        structs.replace(message, content=tuple(_without_beginning(part) for part in message.content))
        for message in request.messages
    )
    stripped = structs.replace(request, messages=messages, residue=None)
    return json.loads(encode_request(stripped, PLAIN, stream=False).body)


def _without_beginning(part):
    if "begins_content" not in part.meta.get("gemini", {}):
        return part
    marks = {name: mark for name, mark in part.meta["gemini"].items() if name != "begins_content"}
    return structs.replace(part, meta={"gemini": marks})


@settings(max_examples=100, deadline=None)
@given(bodies())
def test_a_change_wins_and_the_rest_means_what_it_meant(body):
    if body.get("cachedContent"):
        return  # beside a cache nothing is sent that a change of tools would show in
    request, _ = decode_request(json.dumps(body).encode())
    told = encode_request(changed(request), PLAIN, stream=False).body
    assert meaning(decode_request(told)[0]) == meaning(changed(request))


def canonical(body):
    return json.dumps(json.loads(body), sort_keys=True)


# Law 10, recorded.


def _recorded():
    for endpoint in ("gemini.generateContent", "gemini.streamGenerateContent"):
        for exchange in recordings(endpoint):
            if isinstance(exchange.request.get("body"), dict):
                yield exchange, exchange.request["body"], exchange.request["url"]


@pytest.mark.recordings
def test_every_recorded_request_comes_back_as_it_was():
    seen = 0
    for exchange, body, url in _recorded():
        request, stream = decode_request(json.dumps(body).encode(), path=url)
        assert stream is (":stream" in url), exchange
        assert f"/{request.model}:" in url, exchange
        wire = encode_request(request, PLAIN, stream=stream)
        assert canonical(wire.body) == canonical(json.dumps(body)), exchange
        assert wire.adjustments == (), exchange
        whole = encode_body(request, Encoding(PLAIN, request.residue))
        assert canonical(json.dumps(whole)) == canonical(wire.body), exchange
        if "cachedContent" not in body:
            told = encode_request(changed(request), PLAIN, stream=False).body
            assert meaning(decode_request(told)[0]) == meaning(changed(request)), exchange
        seen += 1
    assert seen > 100


@pytest.mark.recordings
def test_every_recorded_conversation_is_in_normal_form_and_keeps_its_text():
    for exchange, body, _ in _recorded():
        request, _ = decode_request(json.dumps(body).encode())
        assert normalise(request.messages) == request.messages, exchange
        told = json.dumps(msgspec.to_builtins(request.messages, enc_hook=repr), ensure_ascii=False)
        for content in body["contents"]:
            for part in content["parts"]:
                if isinstance(part.get("text"), str):
                    assert json.dumps(part["text"], ensure_ascii=False)[1:-1] in told, exchange
