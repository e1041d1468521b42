"""`polyvox.toml`, the environment and a program's own words: which wins, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from polyvox import Client, Secret, Timeout
from polyvox.client.config import load_config
from polyvox.errors import ConfigError

FILE = """
default_model = "openai/gpt-5.5"
timeout = 30

[aliases]
fast = "openai/gpt-5.4-nano"

[providers.openai]
api_key = "sk-in-the-file"
timeout = {first_event = 5.0}

[providers.lab]
base_url = "http://127.0.0.1:8080/v1"
headers = {X-Team = "blue"}
quirks = {max_tokens_field = "max_tokens"}

[models."lab/small"]
context_tokens = 512
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "polyvox.toml"
    path.write_text(FILE)
    monkeypatch.chdir(tmp_path)
    return path


def test_the_file_in_the_working_directory_is_read(file: Path) -> None:
    config = load_config()

    assert config.source == "polyvox.toml"
    assert config.default_model == "openai/gpt-5.5"
    assert config.timeout == Timeout(total=30.0)
    assert config.aliases == {"fast": "openai/gpt-5.4-nano"}
    assert config.providers["openai"].api_key == Secret("sk-in-the-file")
    assert config.providers["openai"].timeout == Timeout(first_event=5.0)
    assert config.providers["lab"].headers == {"X-Team": "blue"}
    assert config.models["lab/small"].context_tokens == 512


def test_polyvox_config_names_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other.toml"
    other.write_text('default_model = "lab/m"')
    monkeypatch.setenv("POLYVOX_CONFIG", str(other))

    assert load_config().default_model == "lab/m"


def test_the_users_own_file_is_read_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "config" / "polyvox"
    own.mkdir(parents=True)
    (own / "polyvox.toml").write_text('default_model = "lab/own"')

    assert load_config().default_model == "lab/own"


def test_what_is_given_in_code_wins_and_the_rest_of_the_file_stays(file: Path) -> None:
    config = load_config(
        providers={"openai": {"base_url": "http://127.0.0.1:9/v1"}}, timeout=5, aliases={"slow": "openai/gpt-5"}
    )

    assert config.providers["openai"].base_url == "http://127.0.0.1:9/v1"
    assert config.providers["openai"].api_key == Secret("sk-in-the-file")
    assert config.timeout == Timeout(total=5.0)
    assert set(config.aliases) == {"fast", "slow"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("providers = 3", ["providers is a table"]),
        ("[provider.openai]\napi_key='x'", ["no setting 'provider'", "providers"]),
        ("[providers.openai]\napikey='sk-very-secret'", ["[providers.openai]", "no setting 'apikey'", "api_key"]),
        ("[providers.openai]\napi_key=3", ["[providers.openai] api_key is int"]),
        ("[providers.openai]\nheaders='x'", ["[providers.openai]", "headers"]),
        ("[providers.lab]\nbase_url='lab.example'", ["base_url 'lab.example' must begin with http"]),
        ("timeout = 'long'", ["timeout is 'long'"]),
        ("timeout = -1", ["timeout is -1"]),
        ("timeout = {idle = 'x'}", ["timeout", "idle"]),
        ("timeout = {silence = 3}", ["no setting 'silence'", "idle"]),
        ("default_model = 3", ["default_model"]),
        ("= nonsense", ["no valid TOML"]),
    ],
)
def test_a_wrong_file_is_one_sentence_with_its_name_and_the_place(
    text: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "polyvox.toml"
    path.write_text(text)

    with pytest.raises(ConfigError) as caught:
        load_config(path)

    assert all(word in str(caught.value) for word in [str(path), *words])
    assert "sk-very-secret" not in str(caught.value)


def test_a_file_that_is_named_and_missing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(tmp_path / "nowhere.toml")
    monkeypatch.setenv("POLYVOX_CONFIG", str(tmp_path / "nowhere.toml"))
    with pytest.raises(ConfigError, match="POLYVOX_CONFIG"):
        load_config()


@pytest.mark.parametrize("given", [{"openai": "sk-x"}, {"openai": {"key": "sk-x"}}])
def test_a_wrong_block_in_code_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"providers\['openai'\]"):
        Client(providers=given)


def test_a_client_refuses_a_setting_it_does_not_have() -> None:
    with pytest.raises(ConfigError, match="no setting 'api_key' of a client"):
        Client(api_key="sk-x")  # type: ignore[call-arg]


def test_no_repr_shows_a_key() -> None:
    client = Client(providers={"openai": {"api_key": "sk-secret-123456"}})

    shown = repr(client) + repr(client.config) + str(client.config.providers["openai"])
    assert "sk-secret" not in shown


def test_an_async_signer_is_refused_by_the_sync_client() -> None:
    async def sign(request: Any) -> Any:
        return request

    with pytest.raises(ConfigError, match="AsyncClient"):
        Client(providers={"openai": {"auth": sign}})
