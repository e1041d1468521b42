"""Gemini's page: what is sent to each model is what that model takes."""

from __future__ import annotations

import json
import warnings

import pytest

from polyvox import Client, UnsupportedError, assistant, tool, user
from polyvox.calls.generate import prepare
from polyvox.providers.gemini import MODELS, PROVIDER
from polyvox.registry.config import Config
from polyvox.registry.target import Registry
from polyvox.types.generate import GenerateRequest, Output
from polyvox.types.messages import Message
from polyvox.types.parts import FilePart, TextPart, ToolCall, ToolResult
from polyvox.types.tools import Tool

NAMES = [row.id for row in MODELS]
KEYS = {"GEMINI_API_KEY": "gemini-key", "GOOGLE_API_KEY": "google-key"}
SAMPLING = {"temperature": 0.5, "top_p": 0.9, "top_k": 5}
FUNCTION = Tool("f", parameters={"type": "object"})
SEARCH = Tool("googleSearch", kind="hosted")


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    for variable in PROVIDER.base_url_env:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in KEYS.items():
        monkeypatch.setenv(variable, value)
    # Some of the models named here go before long, and say so.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def resolve(name):
    return Registry(Config()).resolve(name)


def sent(name, *messages, stream=False, **said):
    request = GenerateRequest(model=name, messages=messages or (user("hi"),), **said)
    prepared = prepare(resolve(name), request, stream=stream)
    return prepared.http, json.loads(prepared.http.body), [adjustment.setting for adjustment in prepared.adjustments]


def test_a_call_goes_to_the_models_own_address():
    http, body, adjusted = sent("gemini")
    host = "https://generativelanguage.googleapis.com"
    assert http.url == f"{host}/v1beta/models/gemini-3.8-flash:generateContent"
    assert body == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    assert adjusted == []
    http, _, _ = sent("gemini", stream=True)
    assert http.url == f"{host}/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"


def test_a_base_that_names_the_version_is_not_given_it_twice(monkeypatch):
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "https://proxy.example/v1beta")
    assert sent("gemini")[0].url == "https://proxy.example/v1beta/models/gemini-3.8-flash:generateContent"


def test_the_key_is_sent_in_its_own_header_and_geminis_variable_comes_first(monkeypatch):
    assert (PROVIDER.key_header.header, PROVIDER.key_header.scheme) == ("x-goog-api-key", "")
    assert [secret.reveal() for secret in resolve("gemini").auth.secrets] == ["google-key"]
    monkeypatch.delenv("GOOGLE_API_KEY")
    assert [secret.reveal() for secret in resolve("gemini").auth.secrets] == ["gemini-key"]


def test_telemetry_has_its_own_word_for_this_provider():
    assert resolve("gemini").telemetry_name == "gcp.gemini"


@pytest.mark.parametrize("name", NAMES)
def test_no_model_is_sent_a_setting_that_it_does_not_take(name):
    row = next(row for row in MODELS if row.id == name)
    _, body, adjusted = sent(f"gemini/{name}", **SAMPLING, n=1)
    config = body.get("generationConfig", {})
    dropped = {setting for setting in SAMPLING if row.settings.get(setting) == "drop"}
    assert dropped == set(adjusted)
    assert {"temperature", "topP", "topK"} & config.keys() == (set() if dropped else {"temperature", "topP", "topK"})
    if row.settings.get("n") == "refuse":
        assert "candidateCount" not in config
        with pytest.raises(UnsupportedError):
            sent(f"gemini/{name}", n=2)
    else:
        assert config["candidateCount"] == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reasoning", ["none", "minimal", "medium", "max", 500, 40_000])
def test_no_model_is_sent_a_kind_of_thinking_that_it_refuses(name, reasoning):
    quirks = resolve(f"gemini/{name}").quirks
    _, body, adjusted = sent(f"gemini/{name}", reasoning=reasoning)
    if quirks.settings.get("reasoning") == "drop":
        assert "generationConfig" not in body and "reasoning" in adjusted
        return
    thinking = body["generationConfig"]["thinkingConfig"]
    assert ("thinkingLevel" in thinking) is not ("thinkingBudget" in thinking)
    if "thinkingLevel" in thinking:
        assert "level" in quirks.thinking and thinking["thinkingLevel"].lower() in quirks.efforts
    else:
        least, most = quirks.budget
        assert "budget" in quirks.thinking
        assert least <= thinking["thinkingBudget"] <= most or (thinking["thinkingBudget"] == 0 and quirks.thinking_off)


@pytest.mark.parametrize(
    ("name", "reasoning", "thinking"),
    [
        ("gemini-4-argon", "max", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3.8-flash", "minimal", {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-3.5-flash-lite", "none", {"thinkingLevel": "MINIMAL", "includeThoughts": True}),
        ("gemini-3.1-pro-preview", 10_000, {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128, "includeThoughts": True}),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash", "max", {"thinkingBudget": 24_576, "includeThoughts": True}),
        ("gemini-2.5-flash-lite", 100, {"thinkingBudget": 512, "includeThoughts": True}),
        ("gemma-4-31b-it", "low", {"thinkingLevel": "MINIMAL", "includeThoughts": True}),
        ("gemini-9-unheard-of", "xhigh", {"thinkingLevel": "HIGH", "includeThoughts": True}),
    ],
)
def test_the_reasoning_knob_of_each_generation(name, reasoning, thinking):
    assert sent(f"gemini/{name}", reasoning=reasoning)[1]["generationConfig"]["thinkingConfig"] == thinking


TURN = (
    user("weather?"),
    Message("assistant", (ToolCall("call_1", "f", "{}"),), "openai/gpt-5.5"),
    tool(ToolResult("call_1", "f", (TextPart("see"), FilePart("image/png", b"AB")))),
)


def test_a_call_that_another_model_made_passes_the_signature_check():
    _, body, adjusted = sent("gemini/gemini-3.8-flash", *TURN)
    called, answered = body["contents"][1:]
    assert called["parts"] == [
        {
            "functionCall": {"id": "call_1", "name": "f", "args": {}},
            "thoughtSignature": "skip_thought_signature_validator",
        }
    ]
    assert "parts" in answered["parts"][0]["functionResponse"] and adjusted == []
    _, body, adjusted = sent("gemini/gemini-2.5-flash", *TURN)
    called, answered = body["contents"][1:]
    assert "thoughtSignature" not in called["parts"][0]
    assert [list(part) for part in answered["parts"]] == [["functionResponse"], ["inlineData"]]
    assert adjusted == ["messages"]


def test_signatures_go_back_to_the_model_that_made_them_and_to_no_other():
    call = ToolCall("a", "f", "{}", meta={"gemini": {"thoughtSignature": "s"}})
    answer = Message("assistant", (call,), "gemini/gemini-3.8-flash")
    for name, signature in (("gemini-3.8-flash", "s"), ("gemini-4-argon", "skip_thought_signature_validator")):
        _, body, _ = sent(f"gemini/{name}", user("hi"), answer, tool(ToolResult("a", "f")))
        assert body["contents"][1]["parts"][0]["thoughtSignature"] == signature


def test_functions_and_server_tools_go_together_from_gemini_3_on():
    _, body, _ = sent("gemini/gemini-3.8-flash", tools=(FUNCTION, SEARCH))
    assert body["toolConfig"] == {"includeServerSideToolInvocations": True}
    _, body, _ = sent("gemini/gemini-2.5-flash", tools=(FUNCTION, SEARCH))
    assert "toolConfig" not in body


def test_a_form_beside_tools_and_the_beginning_of_an_answer_are_refused_where_they_would_fail():
    form = Output({"type": "object"})
    assert sent("gemini/gemini-3.8-flash", tools=(FUNCTION,), output=form)[2] == []
    with pytest.raises(UnsupportedError, match="tools"):
        sent("gemini/gemini-2.5-flash", tools=(FUNCTION,), output=form)
    begun = (user("hi"), assistant("Well"))
    assert sent("gemini/gemini-3.1-pro-preview", *begun)[1]["contents"][-1]["role"] == "model"
    with pytest.raises(UnsupportedError, match="end with a user message"):
        sent("gemini/gemini-3.8-flash", *begun)


def test_names_of_people_lead_to_rows():
    models = Registry(Config()).models
    for alias, name in {
        "gemini": "gemini-3.8-flash",
        "gemini-pro": "gemini-3.1-pro-preview",
        "gemini/gemini-flash-lite": "gemini-3.5-flash-lite",
        "gemini-2.5-flash": "gemini-2.5-flash",
    }.items():
        assert models.split(alias) == ("gemini", name)


def test_a_client_knows_gemini_by_its_alias():
    with Client() as client:
        assert client.model("gemini").config.id == "gemini-3.8-flash"
