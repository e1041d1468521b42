"""Every built-in provider's page: data that holds together, and a request that its service takes."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest

from polyvox import Client, ToolCall, ToolResult, assistant, tool, user
from polyvox.calls.generate import prepare
from polyvox.client.config import load_config
from polyvox.client.settings import build_request
from polyvox.errors import ConfigError, UnsupportedError
from polyvox.registry.providers import ProviderRegistry
from polyvox.registry.target import Registry
from polyvox.types.generate import Output
from polyvox.types.messages import Message
from polyvox.types.parts import ReasoningPart

PAGES = ProviderRegistry().list()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_holds_together(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(f"polyvox.providers.{page.name}")
    assert module.PROVIDER is page and module.__doc__ and page.links
    assert page.base_url is None or page.base_url.startswith(("https://", "http://127.0.0.1", "local://"))
    assert page.key == "none" or page.env
    assert page.base_url or page.base_url_env
    if page.key == "required":
        monkeypatch.setenv(page.env[0], "sk-test")
    if page.base_url is None:
        monkeypatch.setenv(page.base_url_env[0], "https://example.test")
    registry = Registry(load_config())
    rows = registry.models.list(page.name)
    assert all(row.provider == page.name for row in rows) and len({row.id for row in rows}) == len(rows)
    if page.default_model and rows:
        assert page.default_model in {row.id for row in rows}
    for name in {page.default_model or "some-model", *(row.id for row in rows)}:
        target = registry.resolve(f"{page.name}/{name}")
        assert prepare(target, build_request(target.name, "Hi", {}), stream=True).http.url.startswith(target.base_url)


def test_no_alias_means_two_models() -> None:
    rows = Registry(load_config()).models.list()
    aliases = [alias for row in rows for alias in row.aliases]
    assert len(aliases) == len(set(aliases))


def body(name: str, messages: Any = "Hi", monkeypatch: Any = None, **settings: Any) -> tuple[dict[str, Any], Any]:
    """Return the body that would be sent, and what was adjusted."""
    given = {name.partition("/")[0]: {"api_key": "sk-test"}}
    target = Registry(load_config(providers=given)).resolve(name)
    prepared = prepare(target, build_request(name, messages, settings), stream=settings.pop("stream", False))  # type: ignore[arg-type]
    return json.loads(prepared.http.body), prepared.adjustments


TURN = [
    user("Weather?"),
    assistant([ToolCall("call_123456", "weather", "{}")]),
    tool(ToolResult("call_123456", "weather")),
]


def test_deepseek_gets_its_reasoning_back_and_an_empty_one_where_there_is_none() -> None:
    said, _ = body("deepseek/deepseek-flash", TURN, reasoning="medium")
    assert said["messages"][1]["reasoning_content"] == ""
    assert said["thinking"] == {"type": "enabled"} and said["reasoning_effort"] in ("low", "high")

    thought = Message(
        "assistant",
        (ReasoningPart("so", meta={"openai": {"field": "reasoning_content"}}), *TURN[1].content),
        "deepseek/deepseek-flash",
    )
    said, _ = body("deepseek/deepseek-flash", [TURN[0], thought, TURN[2]])
    assert said["messages"][1]["reasoning_content"] == "so"


def test_deepseek_has_no_schema_and_no_seed() -> None:
    said, adjustments = body("deepseek/deepseek-flash", output=Output({"type": "object"}))
    assert said["response_format"] == {"type": "json_object"} and adjustments
    with pytest.raises(UnsupportedError, match="seed"):
        body("deepseek/deepseek-flash", seed=3)


def test_mistral_has_its_own_words_and_nine_character_ids() -> None:
    said, _ = body("mistral/mistral-large", TURN, seed=3, max_tokens=5, top_k=4)
    assert (said["random_seed"], said["max_tokens"], said["top_k"]) == (3, 5, 4)
    name = said["messages"][1]["tool_calls"][0]["id"]
    assert len(name) == 9 and name.isalnum() and said["messages"][2]["tool_call_id"] == name


def test_openrouter_says_reasoning_its_way_and_asks_for_no_usage() -> None:
    given = {"openrouter": {"api_key": "sk-test"}}
    target = Registry(load_config(providers=given)).resolve("openrouter/anthropic/claude-sonnet-5.5")
    request = build_request(target.name, "Hi", {"reasoning": "high"})
    said = json.loads(prepare(target, request, stream=True).http.body)
    assert said["model"] == "anthropic/claude-sonnet-5.5"
    assert said["reasoning"] == {"effort": "high"} and "stream_options" not in said


def test_groq_drops_what_it_ignores_and_says_so() -> None:
    said, adjustments = body("groq/some-model", presence_penalty=1.0)
    assert "presence_penalty" not in said
    assert [adjustment.setting for adjustment in adjustments if adjustment.kind == "dropped"] == ["presence_penalty"]


def test_azure_takes_the_resources_address_and_a_key_in_its_own_header() -> None:
    given = {"azure": {"api_key": "sk-test", "base_url": "https://example.openai.azure.com/"}}
    target = Registry(load_config(providers=given)).resolve("azure/my-deployment")
    prepared = prepare(target, build_request(target.name, "Hi", {}), stream=False)
    assert prepared.http.url == "https://example.openai.azure.com/openai/v1/chat/completions"
    assert json.loads(prepared.http.body)["model"] == "my-deployment"
    with pytest.raises(ConfigError, match="AZURE_OPENAI_ENDPOINT"):
        Client(providers={"azure": {"api_key": "sk-test"}}).generate("azure/my-deployment", "Hi")


def test_dashscope_switches_thinking() -> None:
    on, _ = body("dashscope/qwen-plus", reasoning="high")
    off, _ = body("dashscope/qwen-plus", reasoning="none")
    assert (on["enable_thinking"], off["enable_thinking"]) == (True, False)
