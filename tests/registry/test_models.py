"""Models by name and by what they can: aliases lead to current models, filters take all that is asked."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import pytest

from polyvox.calls.generate import prepare
from polyvox.client.config import load_config, read_file
from polyvox.client.settings import build_request
from polyvox.errors import ConfigError
from polyvox.registry.target import Registry
from polyvox.types.models import Price

TODAY = datetime.date(2026, 11, 21)


def registry(**settings: Any) -> Registry:
    return Registry(load_config(**settings))


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("gpt", "openai/gpt-6.1-sol"),
        ("gpt-mini", "openai/gpt-5.4-mini"),
        ("claude", "anthropic/claude-sonnet-5-5"),
        ("sonnet", "anthropic/claude-sonnet-5-5"),
        ("opus", "anthropic/claude-opus-5-5"),
        ("haiku", "anthropic/claude-haiku-5-5"),
        ("gemini", "gemini/gemini-3.8-flash"),
        ("gemini-pro", "gemini/gemini-3.1-pro-preview"),
        ("grok", "xai/grok-4.7"),
        ("deepseek", "deepseek/deepseek-flash"),
        ("mistral", "mistral/mistral-large-4"),
        ("qwen", "dashscope/qwen3.6-plus"),
        ("kimi", "moonshot/kimi-k3.1-pro"),
        ("glm", "zai/glm-5.3"),
        ("sonar", "perplexity/perplexity/sonar"),
        ("perplexity/sonar", "perplexity/perplexity/sonar"),
        ("local", "local/smollm2-135m"),
    ],
)
def test_the_name_of_a_family_leads_to_its_current_model(alias: str, name: str) -> None:
    assert "/".join(registry().models.split(alias)) == name


def test_the_name_of_a_family_leads_to_no_model_that_is_about_to_go() -> None:
    """An alias that says the version stays with it: `claude-sonnet-4.5`."""
    families = [row for row in registry().models.list() for alias in row.aliases if not re.search(r"\d", alias)]
    soon = str(TODAY + datetime.timedelta(days=60))
    assert len(families) > 20 and [row.id for row in families if row.retires and row.retires < soon] == []


def test_a_default_model_has_a_row() -> None:
    known = registry()
    for page in known.providers.list():
        if page.default_model:
            assert known.models.row(page.name, page.default_model) is not None, page.name


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("tools", {"deepseek-flash", "deepseek-v4-pro"}),
        (["tools", "vision"], {"deepseek-flash"}),
        (["tools", "image_input"], {"deepseek-flash"}),
        (["tools", "batch"], set()),
        ((), {"deepseek-flash", "deepseek-v4-pro"}),
    ],
)
def test_models_are_filtered_by_all_that_is_asked(words: Any, kept: set[str]) -> None:
    assert {row.id for row in registry().models.list("deepseek", capability=words)} == kept


def test_a_wrong_word_or_provider_is_told_with_what_was_meant() -> None:
    with pytest.raises(ConfigError, match="no capability 'visoin': did you mean 'vision'"):
        registry().models.list(capability=["tools", "visoin"])
    with pytest.raises(ConfigError, match="no provider 'opnai': did you mean 'openai'"):
        registry().models.list("opnai")


def test_the_models_of_a_second_address_are_those_of_the_service() -> None:
    both = registry(providers={"work": {"like": "deepseek", "api_key": "k"}})
    assert {row.id for row in both.models.list("work")} == {row.id for row in both.models.list("deepseek")}
    assert {row.provider for row in both.models.list("work")} == {"work"}
    # The family's name is still the maker's own.
    assert both.models.split("deepseek") == ("deepseek", "deepseek-flash")
    assert both.models.split("work/deepseek") == ("work", "deepseek-flash")


def test_the_file_can_say_every_fact_of_a_model(tmp_path: Path) -> None:
    file = tmp_path / "polyvox.toml"
    file.write_text(
        """
[providers.mine]
base_url = "http://127.0.0.1:8000/v1"

[models."mine/big"]
kind = "language"
dialect = "openai_responses"
aliases = ["big", "best"]
context_tokens = 100_000
output_tokens = 4_000
input_modalities = ["text", "image"]
output_modalities = ["text"]
capabilities = ["streaming", "tools", "reasoning"]
efforts = ["low", "high"]
settings = { temperature = "drop", user = "refuse" }
quirks = { system = "input" }
emulate = ["default_system"]
price = { input = 0.5, output = 2.0, cache_read = 0.1, tariffs = { flex = { input = 0.25, output = 1.0 } } }
retires = 2099-12-01
"""
    )
    known = Registry(read_file(file))
    row = known.models.row("mine", "big")

    assert row is not None and row.kind == "language" and row.dialect == "openai_responses"
    assert (row.context_tokens, row.output_tokens, row.efforts) == (100_000, 4_000, ("low", "high"))
    assert row.can("vision") and row.can("tools") and not row.can("audio_input")
    assert row.price == Price(
        input=0.5, output=2.0, cache_read=0.1, source="configuration", tariffs=row.price.tariffs if row.price else {}
    )
    assert row.retires == "2099-12-01" and row.emulate == ("default_system",)
    assert known.models.split("best") == ("mine", "big")
    target = known.resolve("big")
    assert (target.dialect.name, target.quirks.efforts, target.quirks.system) == (
        "openai_responses",
        ("low", "high"),
        "input",
    )
    assert target.quirks.settings == {"temperature": "drop", "user": "refuse"}


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ('capabilities = ["telepathy"]', "telepathy"),
        ('input_modalities = ["smell"]', "smell"),
        ('efforts = ["enormous"]', "enormous"),
        ('settings = { temperature = "forget" }', "forget"),
        ('emulate = ["everything"]', "everything"),
        ('dialect = "klingon"', "klingon"),
        ('kind = "oracle"', "kind"),
        ("context = 5", "context"),
        ("price = { inpt = 5.0 }", "inpt"),
    ],
)
def test_a_word_that_nothing_would_read_is_refused_with_its_place(tmp_path: Path, block: str, words: str) -> None:
    file = tmp_path / "polyvox.toml"
    file.write_text(f'[providers.mine]\nbase_url = "http://127.0.0.1:1"\n[models."mine/m"]\n{block}\n')
    with pytest.raises(ConfigError) as caught:
        prepare(Registry(read_file(file)).resolve("mine/m"), build_request("mine/m", "Hi", {}), stream=False)
    assert words in caught.value.message and "m" in caught.value.message


def test_a_dated_snapshot_has_the_facts_of_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    known = registry()
    for name in ("gpt-5.5-2026-04-23", "openai/gpt-5.5-2026-04-23", "gpt-5.5-20260423"):
        target = known.resolve(name)
        assert target.dialect.name == "openai_responses" and target.quirks.efforts[-1] == "xhigh"
        assert target.model == name.removeprefix("openai/") and target.row is not None and target.row.price is not None
    assert known.resolve("openai/gpt-5-2025-08-07").row.retires is None  # type: ignore[union-attr]
    assert known.resolve("openai/gpt-99-2026-01-01").row is None
    with pytest.raises(ConfigError, match="no model 'gpt-99-2026-01-01'"):
        known.resolve("gpt-99-2026-01-01")
