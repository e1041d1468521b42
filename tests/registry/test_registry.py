"""What a model's name means, where its key comes from, and what is said where either is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from polyvox.client.config import load_config
from polyvox.errors import ConfigError, UnsupportedError
from polyvox.providers.base import Endpoint, Provider
from polyvox.registry.providers import ProviderRegistry
from polyvox.registry.target import Registry
from polyvox.types.models import ModelConfig


def registry(**settings: Any) -> Registry:
    return Registry(load_config(**settings))


def test_a_full_name_is_split_at_the_first_slash() -> None:
    lab = registry(providers={"lab": {"base_url": "http://lab/v1"}})

    target = lab.resolve("lab/meta-llama/Llama-4")

    assert (target.provider, target.model, target.name) == ("lab", "meta-llama/Llama-4", "lab/meta-llama/Llama-4")


def test_a_bare_id_goes_to_its_makers_own_provider() -> None:
    assert registry().models.split("gpt-5.5") == ("openai", "gpt-5.5")


def test_an_alias_of_a_row_and_one_of_the_callers_own() -> None:
    known = registry(aliases={"fast": "openai/gpt-5.4-nano"})

    assert known.models.split("gpt") == ("openai", "gpt-6.1-sol")
    assert known.models.split("openai/gpt") == ("openai", "gpt-6.1-sol")
    assert known.models.split("fast") == ("openai", "gpt-5.4-nano")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("opnai/gpt-5.5", ["no provider 'opnai'", "did you mean 'openai'"]),
        ("gpt-5.55", ["no model 'gpt-5.55'", "did you mean", "openai/gpt-5.5"]),
        ("", ["no model is named"]),
        ("openai/", ["names no model"]),
    ],
)
def test_a_wrong_name_is_one_sentence_with_the_near_misses(name: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        registry().resolve(name)

    assert all(word in str(caught.value) for word in words)


def test_an_id_that_several_providers_offer_lists_the_candidates() -> None:
    pages = ProviderRegistry()
    for name in ("one", "two"):
        page = Provider(name=name, title=name, base_url="http://x", operations={"generate": Endpoint("openai")})
        pages.register(page, (ModelConfig(id="shared", provider=name),))
    both = Registry(load_config(), pages)

    with pytest.raises(ConfigError, match=r"several providers.*one/shared, two/shared"):
        both.models.split("shared")
    only = Registry(load_config(providers={"two": {"api_key": "k"}}), pages)
    assert only.models.split("shared") == ("two", "shared")


def test_an_unknown_model_of_a_known_provider_works_with_its_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")

    target = registry().resolve("openai/gpt-99")

    assert target.row is None and target.base_url == "https://api.openai.com/v1"


def test_a_missing_key_says_where_to_put_it() -> None:
    with pytest.raises(ConfigError) as caught:
        registry().resolve("openai/gpt-5.5")

    assert all(word in str(caught.value) for word in ("OPENAI_API_KEY", "polyvox.toml", "Client(providers="))


def test_a_missing_address_says_where_to_put_it() -> None:
    with pytest.raises(ConfigError, match="OPENAI_COMPATIBLE_BASE_URL"):
        registry().resolve("openai_compatible/some-model")


def test_a_configured_name_without_address_or_page_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[providers\.lab\] needs a base_url"):
        registry(providers={"lab": {"api_key": "k"}}).resolve("lab/model")


def test_like_starts_from_another_page(monkeypatch: pytest.MonkeyPatch) -> None:
    second = registry(providers={"work": {"like": "openai", "api_key": "sk-work", "headers": {"X-Team": "blue"}}})

    target = second.resolve("work/gpt-5.5")

    assert target.base_url == "https://api.openai.com/v1"
    assert target.headers == {"X-Team": "blue"}
    assert target.row is not None and target.row.provider == "work"


def test_the_configurations_key_wins_over_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")

    secret, where = registry(providers={"openai": {"api_key": "sk-given"}}).key("openai")
    assert secret is not None and (secret.reveal(), where) == ("sk-given", "configuration")
    secret, where = registry().key("openai")
    assert secret is not None and (secret.reveal(), where) == ("sk-environment", "OPENAI_API_KEY")


def test_a_key_variable_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-mine")

    secret, where = registry(providers={"openai": {"api_key_env": "MY_KEY"}}).key("openai")

    assert secret is not None and (secret.reveal(), where) == ("sk-mine", "MY_KEY")


def test_environment_headers_and_address_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1/")

    target = registry().resolve("openai/gpt-5.5")

    assert target.headers == {"OpenAI-Organization": "org-1"}
    assert target.base_url == "http://127.0.0.1:1/v1"


def test_an_operation_that_the_provider_does_not_offer_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="offers no embed"):
        registry(providers={"openai": {"api_key": "k"}}).resolve("openai/gpt-5.5", operation="embed")


def test_an_unknown_dialect_is_refused() -> None:
    with pytest.raises(ConfigError, match="no dialect 'klingon'"):
        registry(providers={"openai": {"api_key": "k"}}).resolve("openai/gpt-5.5", dialect="klingon")


def test_quirks_come_from_provider_row_and_caller_in_that_order() -> None:
    page = Provider(
        name="house",
        title="House",
        base_url="http://house",
        key="none",
        operations={"generate": Endpoint("openai")},
        quirks={"openai": {"max_tokens_field": "max_tokens", "settings": {"seed": "drop"}}},
    )
    pages = ProviderRegistry()
    pages.register(page, (ModelConfig(id="m", provider="house", settings={"top_p": "refuse"}),))

    plain = Registry(load_config(), pages).resolve("house/m")
    given = {"house": {"quirks": {"max_tokens_field": "max_completion_tokens"}}}
    changed = Registry(load_config(providers=given), pages).resolve("house/m")

    assert plain.quirks.max_tokens_field == "max_tokens"
    assert plain.quirks.settings == {"seed": "drop", "top_p": "refuse"}
    assert changed.quirks.max_tokens_field == "max_completion_tokens"


def test_a_quirk_that_does_not_exist_is_refused() -> None:
    given = {"lab": {"base_url": "http://lab", "quirks": {"max_token_field": "x"}}}

    with pytest.raises(ConfigError, match="no quirk 'max_token_field'"):
        registry(providers=given).resolve("lab/m")


def test_registering_and_unregistering_at_run_time() -> None:
    pages = ProviderRegistry()
    page = Provider(name="mine", title="Mine", base_url="http://x", operations={"generate": Endpoint("openai")})

    pages.register(page)
    assert pages.get("mine") is page and page in pages.list()
    pages.unregister("mine")
    assert pages.get("mine") is None and page not in pages.list()
    with pytest.raises(ConfigError, match="no provider 'mine'"):
        pages.unregister("mine")


def test_a_built_in_page_can_be_taken_out() -> None:
    pages = ProviderRegistry()
    pages.unregister("openai")

    assert pages.get("openai") is None
    names = {page.name for page in pages.list()}
    assert "openai" not in names and {"local", "openai_compatible"} <= names


def test_a_row_must_name_its_own_provider() -> None:
    page = Provider(name="mine", title="Mine", base_url="http://x", operations={"generate": Endpoint("openai")})
    with pytest.raises(ConfigError, match="names the provider 'other'"):
        ProviderRegistry().register(page, (ModelConfig(id="m", provider="other"),))


def test_the_default_model_is_the_configured_one_then_a_configured_providers_then_local(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert registry().default_model() == "local/smollm2-135m"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    assert registry().default_model() == "openai/gpt-6.1-sol"
    assert registry(default_model="lab/m").default_model() == "lab/m"
