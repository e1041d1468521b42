"""What a client says of a provider: no secret, nothing sent, and the same as a call would find."""

from __future__ import annotations

from typing import Any

import pytest

from polyvox import ConfigError
from polyvox.io.scripted import ScriptedIO


def provider(make_caller: Any, name: str, **blocks: Any) -> Any:
    io = ScriptedIO([])
    found = make_caller(io=io, providers=blocks).client.provider(name)
    assert not io.requests
    return found


def test_a_provider_without_a_key_says_what_to_set(make_caller: Any) -> None:
    found = provider(make_caller, "anthropic")
    assert (found.name, found.title, found.configured) == ("anthropic", "Anthropic", False)
    assert found.key == "set ANTHROPIC_API_KEY"
    assert found.base_url == "https://api.anthropic.com"
    assert found.capabilities.operations["generate"] == "anthropic"
    assert found.capabilities.offers("models") and not found.capabilities.offers("embed")
    assert all(link.startswith("https://") for link in found.links.values()) and found.links


def test_where_the_key_was_found_is_told_and_the_key_is_not(make_caller: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0123456789")
    found = provider(make_caller, "openai")
    assert (found.configured, found.key) == (True, "from OPENAI_API_KEY")
    assert "canary" not in repr(found)


def test_the_configuration_counts(make_caller: Any) -> None:
    block = {"base_url": "http://me:secret-word@host.test/v1", "api_key": "secret-word", "dialect": "anthropic"}
    found = provider(make_caller, "mine", mine=block)
    assert (found.name, found.configured, found.capabilities.operations["generate"]) == ("mine", True, "anthropic")
    assert found.base_url == "http://***@host.test/v1" and "secret-word" not in repr(found)


def test_who_needs_no_key_says_so(make_caller: Any) -> None:
    assert provider(make_caller, "local").key == "needs none"
    assert provider(make_caller, "ollama").key == "may be set by OLLAMA_API_KEY"


def test_the_address_is_the_one_of_the_environment(make_caller: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "gpu-box")
    assert provider(make_caller, "ollama").base_url == "http://gpu-box:11434"


def test_an_unknown_provider_is_refused_with_the_near_miss(make_caller: Any) -> None:
    with pytest.raises(ConfigError, match="openai"):
        provider(make_caller, "opnai")
