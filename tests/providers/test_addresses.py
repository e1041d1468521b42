"""Where each service is, whose variable holds its key, in which header the key goes, and which words it has.

A table written by hand from the services' own documentation, against what a call would really send.
"""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from polyvox import Client, ConfigError
from polyvox.registry.providers import ProviderRegistry

BEARER = ("Authorization", "Bearer ***")
# provider/model: the variable with the key, the address, the header with the key as `explain` shows it
SERVICES: dict[str, tuple[str, str, tuple[str, str]]] = {
    "openai/gpt-5.5": ("OPENAI_API_KEY", "https://api.openai.com/v1/responses", BEARER),
    "openai/gpt-4.1": ("OPENAI_API_KEY", "https://api.openai.com/v1/chat/completions", BEARER),
    "anthropic/claude-opus-5-5": ("ANTHROPIC_API_KEY", "https://api.anthropic.com/v1/messages", ("x-api-key", "***")),
    "gemini/gemini-3.8-flash": (
        "GEMINI_API_KEY",
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.8-flash:generateContent",
        ("x-goog-api-key", "***"),
    ),
    "openrouter/openai/gpt-5.5": ("OPENROUTER_API_KEY", "https://openrouter.ai/api/v1/chat/completions", BEARER),
    "groq/openai/gpt-oss-120b": ("GROQ_API_KEY", "https://api.groq.com/openai/v1/chat/completions", BEARER),
    "deepseek/deepseek-flash": ("DEEPSEEK_API_KEY", "https://api.deepseek.com/chat/completions", BEARER),
    "perplexity/sonar": ("PERPLEXITY_API_KEY", "https://api.perplexity.ai/v1/responses", BEARER),
    "xai/grok-4.7": ("XAI_API_KEY", "https://api.x.ai/v1/responses", BEARER),
    "mistral/mistral-large-4": ("MISTRAL_API_KEY", "https://api.mistral.ai/v1/chat/completions", BEARER),
    "together/some/model": ("TOGETHER_API_KEY", "https://api.together.ai/v1/chat/completions", BEARER),
    "fireworks/accounts/fireworks/models/some-model": (
        "FIREWORKS_API_KEY",
        "https://api.fireworks.ai/inference/v1/chat/completions",
        BEARER,
    ),
    "cerebras/gpt-oss-120b": ("CEREBRAS_API_KEY", "https://api.cerebras.ai/v1/chat/completions", BEARER),
    "moonshot/kimi-k3": ("MOONSHOT_API_KEY", "https://api.moonshot.ai/v1/chat/completions", BEARER),
    "zai/glm-5.3": ("ZAI_API_KEY", "https://api.z.ai/api/paas/v4/chat/completions", BEARER),
    "huggingface/owner/model:fastest": ("HF_TOKEN", "https://router.huggingface.co/v1/chat/completions", BEARER),
    "dashscope/qwen3.6-plus": (
        "DASHSCOPE_API_KEY",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions",
        BEARER,
    ),
    "lmstudio/some-model": ("LMSTUDIO_API_KEY", "http://127.0.0.1:1234/v1/chat/completions", BEARER),
    "vllm/some/model": ("VLLM_API_KEY", "http://127.0.0.1:8000/v1/chat/completions", BEARER),
    "llamacpp/some-model": ("LLAMACPP_API_KEY", "http://127.0.0.1:8080/v1/chat/completions", BEARER),
}
# The word for the limit of the answer, where it is not `max_completion_tokens`.
LIMITS = {
    "openai/gpt-5.5": "max_output_tokens",
    "perplexity/sonar": "max_output_tokens",
    "xai/grok-4.7": "max_output_tokens",
    "openai/gpt-4.1": "max_completion_tokens",
    "groq/openai/gpt-oss-120b": "max_completion_tokens",
    "cerebras/gpt-oss-120b": "max_completion_tokens",
    "gemini/gemini-3.8-flash": None,  # inside `generationConfig`
}
LOCAL = {"lmstudio", "vllm", "llamacpp", "ollama", "local", "openai_compatible"}


def explained(model: str, **settings: Any) -> Any:
    with Client() as client:
        return client.explain(model, "Hi", **settings)


@pytest.mark.parametrize("model", SERVICES)
def test_a_key_in_the_services_variable_goes_to_the_services_address(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable, address, (header, shown) = SERVICES[model]
    monkeypatch.setenv(variable, "sk-from-the-environment")
    told = explained(model)
    assert told.url == address
    assert told.headers[header] == shown
    assert [name for name, value in told.headers.items() if "***" in value] == [header]


@pytest.mark.parametrize("model", [name for name in SERVICES if name.partition("/")[0] not in LOCAL])
def test_without_a_key_the_service_says_which_variable_to_set(model: str) -> None:
    with pytest.raises(ConfigError, match=SERVICES[model][0]):
        explained(model)


@pytest.mark.parametrize("model", [name for name in SERVICES if name.partition("/")[0] in LOCAL])
def test_a_server_of_ones_own_needs_no_key(model: str) -> None:
    told = explained(model)
    assert told.url == SERVICES[model][1] and "Authorization" not in told.headers


@pytest.mark.parametrize("model", SERVICES)
def test_the_limit_of_the_answer_goes_under_the_services_own_word(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SERVICES[model][0], "sk-test")
    word = LIMITS.get(model, "max_tokens")
    body = explained(model, max_tokens=7).body
    assert (body["generationConfig"]["maxOutputTokens"] if word is None else body[word]) == 7


@pytest.mark.parametrize("page", ProviderRegistry().list(), ids=lambda page: page.name)
def test_a_page_says_where_to_read_on(page: Any) -> None:
    doc = importlib.import_module(f"polyvox.providers.{page.name}").__doc__ or ""
    hosted = page.base_url is None or page.base_url.startswith("https://")
    assert all(link.startswith("https://") for link in page.links.values())
    assert {"keys", "models"} <= page.links.keys() if hosted and page.key == "required" else page.links
    assert "https://" in doc or page.name in LOCAL
    assert all(variable.isupper() for variable in (*page.env, *page.base_url_env, *page.header_env.values()))


def test_every_page_is_in_the_table() -> None:
    pages = {page.name for page in ProviderRegistry().list()}
    assert pages - {name.partition("/")[0] for name in SERVICES} <= {"azure", "local", "openai_compatible", "ollama"}
