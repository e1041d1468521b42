"""The official SDK as oracle of requests: it sends what we send, less NEEDED, and our server reads both alike.

The SDK writes some inner members with underscores, which the wire takes for the same: they are compared in camel case.
"""

from __future__ import annotations

import json

import pytest
from msgspec import structs

from polyvox.dialects.gemini.quirks import GeminiQuirks
from polyvox.dialects.gemini.request import decode_request, encode_request
from polyvox.dialects.gemini.spelling import decode_spelling
from polyvox.types.generate import AudioOutput, GenerateRequest, Output
from polyvox.types.messages import Message, assistant, system, tool, user
from polyvox.types.parts import FileId, FilePart, ReasoningPart, TextPart, ToolCall, ToolResult, Url
from polyvox.types.tools import AllowedTools, NamedTool, Tool

genai = pytest.importorskip("google.genai")
httpx2 = pytest.importorskip("httpx2")
types = genai.types

PLAIN = GeminiQuirks(version="v1")
SCHEMA = {"type": "object", "properties": {"home_city": {"type": "string"}}, "additionalProperties": False}
MODEL = "gemini-x"


def text(words, **marks):
    return types.Part(text=words, **marks)


def said(*parts, role="user"):
    return types.Content(role=role, parts=list(parts))


def function(name, **facts):
    return types.FunctionDeclaration(name=name, **facts)


HI = [said(text("hi"))]
SAFETY = {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}
SPEAKERS = [
    {"speaker": name, "voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}
    for name, voice in (("Ann", "Kore"), ("Bo", "Puck"))
]
TOOLS = [
    types.Tool(
        function_declarations=[
            function("weather", description="d", parameters_json_schema=SCHEMA),
            function("now", description="n"),
        ]
    )
]
OUR_TOOLS = (Tool("weather", "d", SCHEMA), Tool("now", "n"))


def choice(mode, *names):
    calling = types.FunctionCallingConfig(mode=mode, allowed_function_names=list(names) or None)
    return types.ToolConfig(function_calling_config=calling)


# What is given to the SDK (contents, configuration), and to us.
CALLS = {
    "bare": (HI, {}, {}),
    "settings": (
        HI,
        {
            "system_instruction": types.Content(parts=[text("s")]),
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 4,
            "candidate_count": 1,
            "max_output_tokens": 9,
            "seed": 7,
            "stop_sequences": ["a"],
            "presence_penalty": 0.1,
            "frequency_penalty": 0.2,
            "response_logprobs": True,
            "logprobs": 2,
            "service_tier": "flex",
            "labels": {"team_name": "x"},
            "safety_settings": [types.SafetySetting(**SAFETY)],
            "media_resolution": "MEDIA_RESOLUTION_LOW",
        },
        {
            "messages": (system("s"), user("hi")),
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 4,
            "n": 1,
            "max_tokens": 9,
            "seed": 7,
            "stop": ("a",),
            "presence_penalty": 0.1,
            "frequency_penalty": 0.2,
            "logprobs": 2,
            "service_tier": "flex",
            "metadata": {"team_name": "x"},
            "options": {
                "gemini": {
                    "safetySettings": [SAFETY],
                    "generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW"},
                }
            },
        },
    ),
    "schema": (
        HI,
        {"response_mime_type": "application/json", "response_json_schema": SCHEMA},
        {"output": Output(SCHEMA)},
    ),
    "any json": (HI, {"response_mime_type": "application/json"}, {"output": Output()}),
    "level": (HI, {"thinking_config": types.ThinkingConfig(thinking_level="high")}, {"reasoning": "high"}),
    "budget": (HI, {"thinking_config": types.ThinkingConfig(thinking_budget=512)}, {"reasoning": 512}),
    "no thinking": (HI, {"thinking_config": types.ThinkingConfig(thinking_budget=0)}, {"reasoning": "none"}),
    "cache": (
        HI,
        {"cached_content": "cachedContents/a"},
        {"options": {"gemini": {"cachedContent": "cachedContents/a"}}},
    ),
    "picture": (
        HI,
        {"response_modalities": ["TEXT", "IMAGE"], "image_config": types.ImageConfig(aspect_ratio="1:1")},
        {
            "modalities": ("text", "image"),
            "options": {"gemini": {"generationConfig": {"imageConfig": {"aspectRatio": "1:1"}}}},
        },
    ),
    "voice": (
        HI,
        {
            "response_modalities": ["AUDIO"],
            "speech_config": types.SpeechConfig(
                voice_config=types.VoiceConfig(prebuilt_voice_config=types.PrebuiltVoiceConfig(voice_name="Kore"))
            ),
        },
        {"modalities": ("audio",), "audio": AudioOutput("Kore")},
    ),
    "voices": (
        HI,
        {
            "response_modalities": ["AUDIO"],
            "speech_config": types.SpeechConfig.model_validate(
                {"multiSpeakerVoiceConfig": {"speakerVoiceConfigs": SPEAKERS}}
            ),
        },
        {
            "modalities": ("audio",),
            "options": {
                "gemini": {
                    "generationConfig": {"speechConfig": {"multiSpeakerVoiceConfig": {"speakerVoiceConfigs": SPEAKERS}}}
                }
            },
        },
    ),
    "files": (
        [
            said(
                types.Part.from_bytes(data=b"AB", mime_type="image/png"),
                types.Part.from_uri(file_uri="https://x.example/a.pdf", mime_type="application/pdf"),
                types.Part.from_uri(
                    file_uri="https://generativelanguage.googleapis.com/v1beta/files/a", mime_type="audio/wav"
                ),
                types.Part(
                    file_data=types.FileData(file_uri="https://youtu.be/x", mime_type="video/mp4"),
                    video_metadata=types.VideoMetadata(fps=1, start_offset="2s"),
                ),
                text("and?"),
            )
        ],
        {},
        {
            "messages": (
                user(
                    [
                        FilePart("image/png", b"AB"),
                        FilePart("application/pdf", Url("https://x.example/a.pdf")),
                        FilePart("audio/wav", FileId("files/a")),
                        FilePart(
                            "video/mp4",
                            Url("https://youtu.be/x"),
                            meta={"gemini": {"videoMetadata": {"fps": 1, "startOffset": "2s"}}},
                        ),
                        "and?",
                    ]
                ),
            )
        },
    ),
    "tools": (
        HI,
        {
            "tools": [
                *TOOLS,
                types.Tool(google_search=types.GoogleSearch()),
                types.Tool(url_context=types.UrlContext()),
                types.Tool(code_execution=types.ToolCodeExecution()),
                types.Tool(file_search=types.FileSearch(file_search_store_names=["fileSearchStores/a"], top_k=2)),
            ],
            "tool_config": choice("ANY", "weather"),
        },
        {
            # The SDK puts functions last.
            "tools": (
                Tool("googleSearch", kind="hosted"),
                Tool("urlContext", kind="hosted"),
                Tool("codeExecution", kind="hosted"),
                Tool(
                    "fileSearch",
                    kind="hosted",
                    settings={"fileSearchStoreNames": ["fileSearchStores/a"], "topK": 2},
                ),
                *OUR_TOOLS,
            ),
            "tool_choice": NamedTool("weather"),
        },
    ),
    "auto": (HI, {"tools": TOOLS, "tool_config": choice("AUTO")}, {"tools": OUR_TOOLS, "tool_choice": "auto"}),
    "never": (HI, {"tools": TOOLS, "tool_config": choice("NONE")}, {"tools": OUR_TOOLS, "tool_choice": "none"}),
    "any": (HI, {"tools": TOOLS, "tool_config": choice("ANY")}, {"tools": OUR_TOOLS, "tool_choice": "required"}),
    "some": (
        HI,
        {"tools": TOOLS, "tool_config": choice("VALIDATED", "weather", "now")},
        {"tools": OUR_TOOLS, "tool_choice": AllowedTools(("weather", "now"))},
    ),
    "a tool's turn": (
        [
            said(text("weather?")),
            said(
                text("hm", thought=True),
                text("let me see", thought_signature=b"sig"),
                types.Part(
                    function_call=types.FunctionCall(id="a", name="weather", args={"home_city": "x"}),
                    thought_signature=b"sig",
                ),
                types.Part(function_call=types.FunctionCall(id="b", name="now", args={})),
                role="model",
            ),
            said(
                types.Part(
                    function_response=types.FunctionResponse(id="a", name="weather", response={"output": "rain"})
                ),
                types.Part(function_response=types.FunctionResponse(id="b", name="now", response={"error": "no"})),
                text("so?"),
            ),
        ],
        {"tools": TOOLS},
        {
            "tools": OUR_TOOLS,
            "messages": (
                user("weather?"),
                assistant(
                    [
                        ReasoningPart("hm", meta={"gemini": {"thought": True}}),
                        TextPart("let me see", meta={"gemini": {"thoughtSignature": "c2ln"}}),
                        ToolCall("a", "weather", '{"home_city":"x"}', meta={"gemini": {"thoughtSignature": "c2ln"}}),
                        ToolCall("b", "now", "{}"),
                    ]
                ),
                tool(
                    [
                        ToolResult("a", "weather", (TextPart("rain"),)),
                        ToolResult("b", "now", (TextPart("no"),), is_error=True),
                    ]
                ),
                user("so?"),
            ),
        },
    ),
    "a program": (
        [
            said(text("1+1?")),
            said(
                types.Part(executable_code=types.ExecutableCode(code="1+1", language="PYTHON")),
                types.Part(code_execution_result=types.CodeExecutionResult(outcome="OUTCOME_OK", output="2")),
                text("two"),
                role="model",
            ),
            said(text("sure?")),
        ],
        {},
        {
            "messages": (
                user("1+1?"),
                Message(
                    "assistant",
                    (
                        ToolCall(
                            "polyvox_0",
                            "code_execution",
                            '{"code":"1+1","language":"PYTHON"}',
                            executed=True,
                            meta={"gemini": {"executableCode": {"code": "1+1", "language": "PYTHON"}}},
                        ),
                        ToolResult(
                            "polyvox_0",
                            "code_execution",
                            (TextPart("2"),),
                            meta={"gemini": {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}}},
                        ),
                        TextPart("two"),
                    ),
                ),
                user("sure?"),
            )
        },
    ),
}


def sdk_request(contents, config, *, stream=False):
    """What the SDK puts on the wire; the answer is an error, at once."""
    sent = []

    def answer(request):
        sent.append(request)
        return httpx2.Response(400, json={"error": {"code": 400, "message": "seen", "status": "INVALID_ARGUMENT"}})

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as transport:
        options = types.HttpOptions(base_url="http://sdk.example", httpx_client=transport)
        with genai.Client(api_key="k", http_options=options) as client, pytest.raises(genai.errors.ClientError):
            call = {"model": MODEL, "contents": contents, "config": types.GenerateContentConfig(**config)}
            if stream:
                list(client.models.generate_content_stream(**call))
            else:
                client.models.generate_content(**call)
    (request,) = sent
    return request


def in_camel_case(body):
    """The SDK's body as we would spell it, less a configuration that says nothing."""
    read = decode_spelling(json.loads(body))[0]
    return {name: value for name, value in read.items() if (name, value) != ("generationConfig", {})}


@pytest.mark.parametrize("name", CALLS)
def test_for_the_same_call_our_request_is_the_sdks(name):
    contents, config, ours = CALLS[name]
    request = GenerateRequest(model=MODEL, **{"messages": (user("hi"),), **ours})
    wire = encode_request(request, PLAIN, stream=False)
    sent = sdk_request(contents, config)
    assert (wire.method, wire.path) == (sent.method, sent.url.path)
    assert json.loads(wire.body) == in_camel_case(sent.read())
    assert wire.adjustments == ()


@pytest.mark.parametrize("name", CALLS)
def test_our_server_reads_what_the_sdk_sends_as_the_same_request(name):
    contents, config, ours = CALLS[name]
    sent = sdk_request(contents, config)
    read, _ = decode_request(sent.read(), path=sent.url.path)
    assert json.loads(encode_request(read, PLAIN, stream=False).body) == json.loads(sent.read())
    told = json.loads(encode_request(structs.replace(read, residue=None), PLAIN, stream=False).body)
    request = GenerateRequest(model=MODEL, **{"messages": (user("hi"),), **ours})
    assert told == json.loads(encode_request(request, PLAIN, stream=False).body)


def test_a_stream_is_asked_for_as_the_sdk_does():
    wire = encode_request(GenerateRequest(model=MODEL, messages=(user("hi"),)), PLAIN, stream=True)
    sent = sdk_request(HI, {}, stream=True)
    assert (wire.path, wire.query) == (sent.url.path, dict(sent.url.params))
    assert json.loads(wire.body) == in_camel_case(sent.read())


def test_a_schema_in_the_wires_own_words_is_read_as_json_schema():
    schema = {"type": "object", "properties": {"a": {"type": "string", "nullable": True}, "b": {"type": "integer"}}}
    sent = sdk_request(HI, {"response_mime_type": "application/json", "response_schema": schema})
    read, _ = decode_request(sent.read(), path=sent.url.path)
    assert json.loads(sent.read())["generationConfig"]["responseSchema"]["type"] == "OBJECT"
    assert read.output == Output(
        {
            "type": "object",
            "properties": {"a": {"type": ["string", "null"]}, "b": {"type": "integer"}},
            "propertyOrdering": ["a", "b"],
        }
    )
