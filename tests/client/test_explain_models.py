"""What each model is sent: steps it takes, settings it takes, the wire it is asked on. Both clients, by `explain`."""

from __future__ import annotations

from typing import Any

import pytest

from polyvox import UnsupportedError
from polyvox.registry.config import Config, ModelOverride, ProviderConfig
from polyvox.registry.target import Registry
from polyvox.secrets import Secret

pytestmark = pytest.mark.filterwarnings("ignore::polyvox.errors.ModelRetirementWarning")

KEY = Secret("sk-test")
NAMES = ("openai", "anthropic", "deepseek", "xai", "groq", "mistral", "cerebras", "perplexity", "moonshot", "zai")
KEYS = {name: ProviderConfig(api_key=KEY) for name in (*NAMES, "azure")} | {
    "azure": ProviderConfig(api_key=KEY, base_url="https://example.openai.azure.com")
}
CONFIG = Config(providers=KEYS)


@pytest.fixture
def explain(make_caller: Any) -> Any:
    return make_caller(config=CONFIG).client.explain


def kinds(told: Any) -> dict[str, str]:
    return {one.setting: one.kind for one in told.adjustments}


@pytest.mark.parametrize(
    ("model", "wire", "path"),
    [
        ("openai/gpt-6.1-sol", "openai_responses", "/v1/responses"),
        ("openai/gpt-5.5", "openai_responses", "/v1/responses"),
        ("openai/gpt-5.5-pro", "openai_responses", "/v1/responses"),
        ("openai/gpt-5.3-codex", "openai_responses", "/v1/responses"),
        ("openai/gpt-5-mini", "openai_responses", "/v1/responses"),
        ("openai/o3", "openai_responses", "/v1/responses"),
        ("openai/gpt-4.1", "openai", "/v1/chat/completions"),
        ("openai/gpt-4o-mini", "openai", "/v1/chat/completions"),
        ("openai/gpt-audio", "openai", "/v1/chat/completions"),
        ("openai/a-model-of-tomorrow", "openai", "/v1/chat/completions"),
        ("xai/grok-4.7", "openai_responses", "/v1/responses"),
        ("azure/gpt-5.5", "openai", "/openai/v1/chat/completions"),
        ("azure/gpt-5.5-pro", "openai_responses", "/openai/v1/responses"),
        ("azure/my-deployment", "openai", "/openai/v1/chat/completions"),
        ("perplexity/sonar", "openai_responses", "/v1/responses"),
        ("anthropic/claude-opus-5-5", "anthropic", "/v1/messages"),
    ],
)
def test_the_wire_that_a_model_is_asked_on(explain: Any, model: str, wire: str, path: str) -> None:
    told = explain(model, "Hi")
    assert told.dialect == wire and told.url.endswith(path)


def test_the_call_the_model_and_the_provider_override_the_wire_in_that_order(make_caller: Any) -> None:
    def wire(provider: str | None = None, model: str | None = None, call: str | None = None) -> str:
        block = ProviderConfig(api_key=KEY, dialect=provider)
        models = {"openai/gpt-5.5": ModelOverride(dialect=model)} if model else {}
        client = make_caller(config=Config(providers={"openai": block}, models=models)).client
        told = client.explain("openai/gpt-5.5", "Hi", **({"dialect": call} if call else {}))
        # What is true of the model is true on every wire.
        assert told.dialect != "openai" or kinds(
            client.explain("openai/gpt-5.5", "Hi", dialect="openai", stop="x")
        ) == {"stop": "dropped"}
        return str(told.dialect)

    assert wire() == "openai_responses"
    assert wire(provider="openai") == "openai"
    assert wire(provider="openai", model="openai_responses") == "openai_responses"
    assert wire(model="openai") == "openai"
    assert wire(provider="openai", model="openai", call="openai_responses") == "openai_responses"


def test_a_providers_quirks_and_options_can_be_said_of_one_wire(make_caller: Any) -> None:
    said = {
        "api_key": "sk-test",
        "quirks": {"system_role": "developer", "openai_responses": {"summary": "auto"}},
        "options": {"store": False, "openai": {"verbosity": "low"}, "openai_responses": {"text": {"verbosity": "low"}}},
    }
    client = make_caller(config=Config(), providers={"openai": said}).client
    new = client.explain("openai/gpt-5.5", "Hi", system="Be brief.", reasoning="low").body
    old = client.explain("openai/gpt-4.1", "Hi", system="Be brief.").body
    assert new["reasoning"] == {"effort": "low", "summary": "auto"} and old["messages"][0]["role"] == "developer"
    assert new["store"] is False and new["text"] == {"verbosity": "low"} and "verbosity" not in new
    assert old["store"] is False and old["verbosity"] == "low" and "text" not in old


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("openai/gpt-6.1-sol", "none", "low"),
        ("openai/gpt-6.1-sol", "max", "max"),
        ("openai/gpt-6-sol", "none", "none"),
        ("openai/gpt-5.5", "max", "xhigh"),
        ("openai/gpt-5.5", "none", "none"),
        ("openai/gpt-5.5", "minimal", "low"),
        ("openai/gpt-5.5-pro", "low", "medium"),
        ("openai/gpt-5.1", "xhigh", "high"),
        ("openai/gpt-5", "minimal", "minimal"),
        ("openai/gpt-5", "none", "minimal"),
        ("openai/gpt-5", 20_000, "high"),
        ("openai/gpt-5-pro", "low", "high"),
        ("openai/o3", "minimal", "low"),
        ("xai/grok-4.5", "none", "low"),
        ("xai/grok-4.5", "xhigh", "high"),
        ("xai/grok-4.3", "none", "none"),
        ("xai/grok-4.7", "max", "xhigh"),
        ("groq/openai/gpt-oss-120b", "none", "low"),
        ("groq/openai/gpt-oss-120b", "max", "high"),
        ("groq/qwen/qwen3-32b", "none", "none"),
        ("deepseek/deepseek-flash", "medium", "high"),
        ("deepseek/deepseek-flash", "minimal", "low"),
        ("deepseek/deepseek-flash", "max", "max"),
        ("cerebras/gpt-oss-120b", "none", "low"),
        ("perplexity/openai/gpt-5.5", "max", "xhigh"),
        ("azure/gpt-5.1", "xhigh", "high"),
    ],
)
def test_a_step_of_reasoning_that_a_model_does_not_take_is_clamped_and_named(
    explain: Any, model: str, asked: Any, sent: str
) -> None:
    told = explain(model, "Hi", reasoning=asked)
    body = told.body
    assert body.get("reasoning_effort", body.get("reasoning", {}).get("effort")) == sent
    assert kinds(told) == ({} if asked == sent else {"reasoning": "clamped"})


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("openai/gpt-4.1", "high"),
        ("groq/qwen/qwen3-32b", "high"),
        ("groq/groq/compound", "high"),
        ("groq/llama-3.3-70b-versatile", "low"),
        ("xai/grok-4.20-0309-reasoning", "high"),
        ("xai/grok-4.20-0309-non-reasoning", "high"),
        ("mistral/mistral-large-2512", "high"),
        ("perplexity/sonar", "low"),
    ],
)
def test_a_model_without_steps_is_sent_none_and_that_is_named(explain: Any, model: str, asked: str) -> None:
    told = explain(model, "Hi", reasoning=asked)
    assert not {"reasoning", "reasoning_effort", "thinking"} & told.body.keys()
    assert kinds(told) == {"reasoning": "dropped"}


SETTINGS: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 5,
    "stop": "END",
    "seed": 1,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "logprobs": 2,
}


@pytest.mark.parametrize(
    ("model", "more", "kept"),
    [
        # https://platform.openai.com/docs/guides/reasoning
        ("openai/gpt-6.1-sol", {}, set()),
        ("openai/gpt-5.5", {}, set()),
        ("openai/gpt-5.5", {"reasoning": "none"}, {"temperature", "top_p", "logprobs"}),
        ("openai/gpt-5.5", {"reasoning": "low"}, set()),
        ("openai/gpt-5.5", {"reasoning": "none", "dialect": "openai"}, {"temperature", "top_p", "logprobs", "seed"}),
        ("openai/gpt-5", {"dialect": "openai"}, {"seed"}),
        ("openai/gpt-4.1", {}, set(SETTINGS) - {"top_k"}),
        ("azure/gpt-5-mini", {}, {"seed"}),
        # https://docs.x.ai/docs/guides/reasoning
        ("xai/grok-4.7", {}, {"temperature", "top_p", "logprobs"}),
        # https://api-docs.deepseek.com/guides/thinking_mode
        ("deepseek/deepseek-flash", {"seed": None}, {"top_p", "stop", "logprobs"}),
        (
            "deepseek/deepseek-flash",
            {"seed": None, "reasoning": "none"},
            {"temperature", "top_p", "stop", "presence_penalty", "frequency_penalty", "logprobs"},
        ),
        # https://console.groq.com/docs/openai
        ("groq/openai/gpt-oss-120b", {}, {"temperature", "top_p", "stop", "seed"}),
        ("mistral/mistral-large-4", {}, set(SETTINGS)),
        ("perplexity/openai/gpt-5.5", {}, set()),
        ("anthropic/claude-opus-5-5", {}, {"stop"}),
        ("anthropic/claude-haiku-4-5", {}, {"stop", "temperature", "top_k"}),
    ],
)
def test_a_setting_that_a_model_does_not_take_is_dropped_and_named(
    explain: Any, model: str, more: dict[str, Any], kept: set[str]
) -> None:
    told = explain(model, "Hi", **{**SETTINGS, **more})
    given = {name for name, value in {**SETTINGS, **more}.items() if value is not None} & SETTINGS.keys()
    words = {
        "stop_sequences": "stop",
        "random_seed": "seed",
        "top_logprobs": "logprobs",
    }
    sent = {words.get(member, member) for member in told.body} & SETTINGS.keys()
    assert sent == kept
    assert {setting for setting, kind in kinds(told).items() if kind == "dropped"} == given - kept


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("openai/gpt-5.5", {"n": 2}),
        ("deepseek/deepseek-flash", {"seed": 1}),
        ("deepseek/deepseek-flash", {"n": 2}),
        ("groq/openai/gpt-oss-120b", {"n": 2}),
        ("perplexity/sonar", {"tool_choice": "required"}),
        ("anthropic/claude-sonnet-5-5", {"tool_choice": "required"}),
        ("anthropic/claude-opus-5-5", {"temperature": 0.5, "on_unsupported": "error"}),
        ("openai/gpt-5.5", {"temperature": 0.5, "on_unsupported": "error"}),
    ],
)
def test_what_would_change_the_answers_meaning_is_refused_before_it_is_sent(
    explain: Any, model: str, settings: dict[str, Any]
) -> None:
    if "tool_choice" in settings:
        settings = {**settings, "tools": [{"name": "f", "parameters": {"type": "object"}}]}
    with pytest.raises(UnsupportedError):
        explain(model, "Hi", **settings)


def test_the_callers_word_on_a_setting_is_the_last_one(make_caller: Any) -> None:
    quirks = {"settings": {"temperature": "send"}}
    by_provider = Config(providers={"openai": ProviderConfig(api_key=KEY, quirks=quirks)})
    by_model = Config(providers=KEYS, models={"openai/gpt-5.5": ModelOverride(settings={"temperature": "send"})})
    both = Config(
        providers={"openai": ProviderConfig(api_key=KEY, quirks=quirks)},
        models={"openai/gpt-5.5": ModelOverride(settings={"temperature": "refuse"}, efforts=("high",))},
    )
    for config in (by_provider, by_model):
        told = make_caller(config=config).client.explain("openai/gpt-5.5", "Hi", temperature=0.5, top_p=0.5)
        assert told.body["temperature"] == 0.5 and kinds(told) == {"top_p": "dropped"}
    client = make_caller(config=both).client
    with pytest.raises(UnsupportedError):
        client.explain("openai/gpt-5.5", "Hi", temperature=0.5)
    assert client.explain("openai/gpt-5.5", "Hi", reasoning="low").body["reasoning"] == {"effort": "high"}


def test_the_limit_that_the_wire_demands_is_the_models_own(make_caller: Any) -> None:
    said = Config(providers=KEYS, models={"anthropic/claude-opus-5-5": ModelOverride(output_tokens=1234)})
    explain = make_caller(config=CONFIG).client.explain
    assert explain("anthropic/claude-opus-5-5", "Hi").body["max_tokens"] == 128_000
    assert explain("anthropic/claude-haiku-4-5", "Hi").body["max_tokens"] == 64_000
    assert explain("anthropic/a-claude-of-tomorrow", "Hi").body["max_tokens"] == 64_000
    assert make_caller(config=said).client.explain("anthropic/claude-opus-5-5", "Hi").body["max_tokens"] == 1234
    assert "max_output_tokens" not in explain("openai/gpt-5.5", "Hi").body


def test_reasoning_is_asked_for_encrypted_of_models_that_reason_unasked(make_caller: Any) -> None:
    explain = make_caller(config=CONFIG).client.explain
    told = explain("openai/gpt-5.5", "Hi")
    assert told.body["include"] == ["reasoning.encrypted_content"] and [one.field for one in told.needed] == [
        "include[]"
    ]
    assert "include" not in explain("openai/gpt-5.5", "Hi", reasoning="none").body
    assert "include" not in explain("openai/gpt-4.1", "Hi", dialect="openai_responses").body
    assert "include" not in explain("perplexity/openai/gpt-5.5", "Hi", reasoning="low").body


def test_every_language_model_can_be_explained_with_every_step(make_caller: Any) -> None:
    """No row leads to a body with a step that the row does not name."""
    explain = make_caller(config=CONFIG).client.explain
    models = Registry(Config()).models
    for row in models.list():
        if row.kind != "language" or row.provider not in NAMES or row.efforts is None:
            continue
        for asked in ("none", "minimal", "medium", "max", 3000):
            body = explain(f"{row.provider}/{row.id}", "Hi", reasoning=asked).body
            held = body.get("reasoning") or body.get("output_config") or {}
            effort = body.get("reasoning_effort", held.get("effort"))
            assert effort is None or effort in row.efforts, (row.id, asked, effort)
