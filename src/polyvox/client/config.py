"""Where a configuration comes from: the program's own words, then the environment, then `polyvox.toml`.

The rule: what is given in code wins over the file; keys and addresses that neither names are looked for in the
environment when a model is first called. A word the file may not hold is an error that names the file and the place.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from polyvox.client.settings import read_timeout
from polyvox.errors import ConfigError
from polyvox.registry.config import Config, EndpointConfig, ModelOverride, ProviderConfig
from polyvox.secrets import Secret
from polyvox.types.models import Timeout
from polyvox.types.policies import Balance, Breaker, RateLimit

S = TypeVar("S", bound=msgspec.Struct)

FILE_NAME = "polyvox.toml"
_PROVIDER_WORDS = tuple(ProviderConfig.__struct_fields__)
_POLICIES: dict[str, type[msgspec.Struct]] = {"limits": RateLimit, "breaker": Breaker, "balance": Balance}
_FILE_WORDS = ("providers", "models", "aliases", "default_model", "timeout", "pool_size")


def user_config_directory() -> Path:
    """Return the directory of the user's own `polyvox.toml`."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "polyvox"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "polyvox"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "polyvox"


def find_file() -> Path | None:
    """Return the file to read: `$POLYVOX_CONFIG`, `./polyvox.toml`, or the user's own; `None` where there is none.

    Raises `ConfigError` where `POLYVOX_CONFIG` names a file that is not there.
    """
    named = os.environ.get("POLYVOX_CONFIG")
    if named:
        path = Path(named)
        if not path.is_file():
            raise ConfigError(f"POLYVOX_CONFIG names {named!r}, and there is no such file")
        return path
    for path in (Path(FILE_NAME), user_config_directory() / FILE_NAME):
        if path.is_file():
            return path
    return None


def load_config(
    config: Config | str | os.PathLike[str] | None = None,
    *,
    providers: Mapping[str, Mapping[str, Any] | ProviderConfig] | None = None,
    aliases: Mapping[str, str] | None = None,
    default_model: str | None = None,
    timeout: Timeout | float | None = None,
) -> Config:
    """Return the configuration: `config` (a `Config`, a path, or `None` for the file found) with the rest over it.

    Raises `ConfigError` naming the file, the place and what would be right.
    """
    if not isinstance(config, Config):
        path = find_file() if config is None else Path(config)
        config = Config() if path is None else read_file(path)
    merged = dict(config.providers)
    for name, given in (providers or {}).items():
        merged[name] = _merge(merged.get(name), given, f"providers[{name!r}]")
    return msgspec.structs.replace(
        config,
        providers=merged,
        aliases={**config.aliases, **(aliases or {})},
        default_model=default_model or config.default_model,
        timeout=read_timeout(timeout) or config.timeout,
    )


def read_file(path: Path) -> Config:
    """Return the configuration that a TOML file holds."""
    import tomllib

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no valid TOML: {error}") from None
    try:
        return _from_table(table, str(path))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}") from None


def _from_table(table: dict[str, Any], source: str) -> Config:
    _known(table, _FILE_WORDS, "")
    for name in ("providers", "models", "aliases"):
        if not isinstance(table.get(name, {}), dict):
            raise ConfigError(f"{name} is a table: write [{name}.NAME]")
    plain = {name: table[name] for name in _PlainConfig.__struct_fields__ if name in table}
    facts = msgspec.structs.asdict(_convert(plain, _PlainConfig, ""))
    if "timeout" in table:
        facts["timeout"] = _timeout(table["timeout"], "") or Timeout()
    providers = {name: _merge(None, block, f"[providers.{name}]") for name, block in table.get("providers", {}).items()}
    models = {
        name: _convert(block, ModelOverride, f'[models."{name}"]') for name, block in table.get("models", {}).items()
    }
    return Config(providers=providers, models=models, source=source, **facts)


def _merge(given: ProviderConfig | None, block: Mapping[str, Any] | ProviderConfig, where: str) -> ProviderConfig:
    if isinstance(block, ProviderConfig):
        return block
    if not isinstance(block, Mapping):
        raise ConfigError(f"{where} is {type(block).__name__}: give a table with {', '.join(_PROVIDER_WORDS)}")
    _known(block, _PROVIDER_WORDS, where)
    facts = dict(block)
    if "api_key" in facts:
        key = facts["api_key"]
        if key is not None and not isinstance(key, str | Secret):
            raise ConfigError(f"{where} api_key is {type(key).__name__}: give text")
        facts["api_key"] = Secret(key) if key else None
    if "timeout" in facts:
        facts["timeout"] = _timeout(facts["timeout"], where)
    for name, kind in _POLICIES.items():
        if facts.get(name) is not None and not isinstance(facts[name], kind):
            facts[name] = _convert(facts[name], kind, f"{where} {name}")
    if "endpoints" in facts:
        facts["endpoints"] = _endpoints(facts["endpoints"], where)
    checked = {"api_key", "timeout", "auth", "endpoints", *_POLICIES}
    plain = {name: value for name, value in facts.items() if name not in checked}
    fresh = _convert(plain, _PlainProvider, where)
    changes = {name: getattr(fresh, name) for name in plain} | {name: facts[name] for name in checked & facts.keys()}
    return msgspec.structs.replace(given or ProviderConfig(), **changes)


class _PlainConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The words of the file's top level that msgspec can check."""

    aliases: dict[str, str] = {}
    default_model: str | None = None
    pool_size: Annotated[int, msgspec.Meta(ge=1)] = 10


class _PlainProvider(msgspec.Struct, frozen=True, kw_only=True):
    """The words of a provider's block that msgspec can check; the secret, the limits and the signer are read apart."""

    api_key_env: str | None = None
    base_url: str | None = None
    headers: dict[str, str] = {}
    dialect: str | None = None
    like: str | None = None
    quirks: dict[str, Any] = {}
    options: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if self.base_url is not None and not self.base_url.startswith(("http://", "https://", "local://")):
            raise ValueError(f"base_url {self.base_url!r} must begin with http:// or https://")


def _endpoints(value: Any, where: str) -> tuple[EndpointConfig, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{where} endpoints is {type(value).__name__}: give a list of tables, each with a name")
    read: list[EndpointConfig] = []
    for place, item in enumerate(value):
        at = f"{where} endpoints[{place}]"
        endpoint = item if isinstance(item, EndpointConfig) else _convert(item, EndpointConfig, at)
        if any(other.name == endpoint.name for other in read):
            raise ConfigError(f"{at}: another endpoint is named {endpoint.name!r}, too")
        read.append(endpoint)
    return tuple(read)


def _timeout(value: Any, where: str) -> Timeout | None:
    if isinstance(value, dict):
        return _convert(value, Timeout, f"{where} timeout".strip())
    try:
        return read_timeout(value)
    except ConfigError as error:
        raise ConfigError(f"{where} {error.message}".strip()) from None


def _convert(value: Any, kind: type[S], where: str) -> S:
    if isinstance(value, Mapping):
        _known(value, kind.__struct_fields__, where)
    try:
        return msgspec.convert(value, kind, dec_hook=_read_secret)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where + ': ' if where else ''}{error}") from None


def _read_secret(kind: type[Any], value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise ValueError(f"{type(value).__name__} where text is due")


def _known(table: Mapping[str, Any], words: tuple[str, ...], where: str) -> None:
    for name in table:
        if name not in words:
            raise ConfigError(f"{where + ': ' if where else ''}no setting {name!r}; there are {', '.join(words)}")
