"""Anthropic's page: what is sent to each Claude is what that Claude takes."""

from __future__ import annotations

import json

import pytest

from polyvox import Client, UnsupportedError, user
from polyvox.calls.generate import prepare
from polyvox.providers.anthropic import MODELS, PROVIDER
from polyvox.registry.config import Config
from polyvox.registry.target import Registry
from polyvox.types.generate import GenerateRequest
from polyvox.types.messages import Message
from polyvox.types.parts import ReasoningPart, TextPart
from polyvox.types.tools import Tool

NAMES = [row.id for row in MODELS]
EVERYTHING = {
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 5,
    "seed": 1,
    "presence_penalty": 0.1,
    "logprobs": 2,
    "user": "u",
    "stop": ("z",),
}


@pytest.fixture(autouse=True)
def key(monkeypatch):
    for variable in (*PROVIDER.base_url_env, *PROVIDER.header_env.values()):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")


def sent(name, **said):
    target = Registry(Config()).resolve(name)
    prepared = prepare(target, GenerateRequest(model=name, messages=(user("hi"),), **said), stream=False)
    return prepared.http, json.loads(prepared.http.body), [adjustment.setting for adjustment in prepared.adjustments]


def test_a_call_goes_to_messages_with_the_version_said():
    http, body, adjusted = sent("claude")
    assert http.url == "https://api.anthropic.com/v1/messages"
    assert http.headers["anthropic-version"] == "2026-10-21"
    assert body == {
        "model": "claude-sonnet-5-5",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 128_000,
    }
    assert adjusted == []


def test_the_key_is_sent_in_its_own_header():
    target = Registry(Config()).resolve("anthropic/claude-opus-5-5")
    assert (PROVIDER.key_header.header, PROVIDER.key_header.scheme) == ("x-api-key", "")
    assert [secret.reveal() for secret in target.auth.secrets] == ["sk-ant-test"]


@pytest.mark.parametrize("name", NAMES)
def test_no_model_is_sent_a_setting_that_it_refuses(name):
    row = next(row for row in MODELS if row.id == name)
    http, body, adjusted = sent(f"anthropic/{name}", **EVERYTHING)
    old = row.settings == {}
    assert ("temperature" in body) is old
    assert "top_p" not in body and "seed" not in body
    assert http.headers["anthropic-version"] == ("2023-06-01" if old else "2026-10-21")
    assert {"top_p", "seed", "presence_penalty", "logprobs"} <= set(adjusted)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reasoning", ["none", "minimal", "medium", "max", 500, 20_000])
def test_no_model_is_sent_a_kind_of_thinking_that_it_refuses(name, reasoning):
    quirks = Registry(Config()).resolve(f"anthropic/{name}").quirks
    _, body, _ = sent(f"anthropic/{name}", reasoning=reasoning)
    thinking = body["thinking"]
    assert thinking["type"] in quirks.thinking
    assert thinking.get("budget_tokens", 1024) >= 1024
    assert thinking.get("budget_tokens", 1024) < body["max_tokens"]
    effort = body.get("output_config", {}).get("effort")
    assert effort is None or effort in quirks.efforts


@pytest.mark.parametrize(
    ("name", "reasoning", "thinking", "effort"),
    [
        ("claude-opus-5-5", "none", {"type": "adaptive", "display": "summarized"}, "low"),
        ("claude-sonnet-5-5", "none", {"type": "between_tools"}, None),
        ("claude-haiku-5-5", "none", {"type": "disabled"}, None),
        ("claude-opus-4-7", "high", {"type": "adaptive", "display": "summarized"}, "high"),
        ("claude-opus-4-6", 2000, {"type": "enabled", "budget_tokens": 2000}, None),
        ("claude-haiku-4-5", "low", {"type": "enabled", "budget_tokens": 4096}, None),
    ],
)
def test_the_reasoning_knob_of_each_generation(name, reasoning, thinking, effort):
    _, body, _ = sent(f"anthropic/{name}", reasoning=reasoning)
    assert (body["thinking"], body.get("output_config", {}).get("effort")) == (thinking, effort)


def test_a_forced_tool_is_refused_before_it_fails():
    tools = (Tool("f", parameters={"type": "object"}),)
    for name in ("claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5-1"):
        with pytest.raises(UnsupportedError):
            sent(f"anthropic/{name}", tools=tools, tool_choice="required")
    _, body, _ = sent("anthropic/claude-opus-4-8", tools=tools, tool_choice="required")
    assert body["tool_choice"] == {"type": "any"}


def test_thinking_goes_back_to_the_model_that_made_it_and_to_no_other():
    signed = ReasoningPart("hm", meta={"anthropic": {"signature": "s"}})
    answer = Message("assistant", (signed, TextPart("x")), "anthropic/claude-opus-5-5")
    for name, kinds in (("claude-opus-5-5", ["thinking", "text"]), ("claude-haiku-5-5", None)):
        target = Registry(Config()).resolve(f"anthropic/{name}")
        request = GenerateRequest(model=name, messages=(user("hi"), answer, user("go on")))
        prepared = prepare(target, request, stream=False)
        content = json.loads(prepared.http.body)["messages"][1]["content"]
        assert content == "x" if kinds is None else [block["type"] for block in content] == kinds
        assert bool(prepared.adjustments) is (kinds is None)


def test_names_of_people_lead_to_rows():
    models = Registry(Config()).models
    for alias, name in {
        "claude": "claude-sonnet-5-5",
        "claude-opus": "claude-opus-5-5",
        "claude-sonnet-5.5": "claude-sonnet-5-5",
        "anthropic/claude-haiku": "claude-haiku-5-5",
    }.items():
        assert models.split(alias) == ("anthropic", name)


def test_a_client_knows_claude_by_its_alias():
    with Client() as client:
        assert client.model("claude").config.id == "claude-sonnet-5-5"
