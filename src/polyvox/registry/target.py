"""`resolve`: the only place where provider, model row and the caller's configuration meet.

The rule: what comes out, a `Target`, says everything a call needs to know of where it goes; nothing below asks again.
Quirks are derived provider ← model row ← caller.
"""

from __future__ import annotations

import datetime
import functools
import importlib
import os
import pkgutil
from collections.abc import Container, Mapping
from typing import Any

import msgspec
from msgspec import Struct

import polyvox.dialects
from polyvox.auth.keys import Auth, CallableAuth, KeyAuth, NoAuth
from polyvox.dialects.base import Dialect
from polyvox.errors import ConfigError, UnsupportedError
from polyvox.providers.base import Endpoint, Provider
from polyvox.registry.addresses import read_address
from polyvox.registry.config import Config, ModelOverride, ProviderConfig
from polyvox.registry.models import ModelRegistry
from polyvox.registry.providers import ProviderRegistry
from polyvox.registry.retirement import Today, warn_of_retirement
from polyvox.secrets import Secret, masked_repr
from polyvox.types.models import ModelConfig, Timeout

_COMPATIBLE = "openai_compatible"
_OPERATIONS = {"models": "list of its models"}
"""How an operation is called in a sentence."""
# Knobs of which every layer's entries count, each by itself.
_FATES = frozenset({"settings", "thinking_settings"})


class Target(Struct, frozen=True, kw_only=True):
    """Where a call goes and how it is said there.

    `row` is `None` for a model we know nothing of, `model` is empty where none is asked.
    """

    provider: str
    model: str
    dialect: Dialect
    endpoint: Endpoint
    quirks: Any
    base_url: str
    headers: dict[str, str]
    auth: Auth
    io: str
    emulate: tuple[str, ...]
    timeout: Timeout
    options: dict[str, Any]
    row: ModelConfig | None = None
    telemetry_name: str | None = None
    advice: dict[str, str] = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:
        return masked_repr(self, self.auth.secrets)

    @property
    def name(self) -> str:
        """`provider/model id`: what a message's `origin` is. The provider alone where no model is asked."""
        return f"{self.provider}/{self.model}" if self.model else self.provider


@functools.cache
def dialect_names() -> tuple[str, ...]:
    """Return the name of every dialect."""
    return tuple(found.name for found in pkgutil.iter_modules(polyvox.dialects.__path__) if found.ispkg)


def find_dialect(name: str) -> Dialect:
    """Return the dialect of that name. Raises `ConfigError` where there is none."""
    module_name = f"polyvox.dialects.{name}"
    try:
        module = importlib.import_module(f"{module_name}.dialect")
    except ModuleNotFoundError as error:
        if error.name not in {module_name, f"{module_name}.dialect"}:
            raise
        raise ConfigError(f"no dialect {name!r}; there are {', '.join(dialect_names())}") from None
    dialect = getattr(module, name.upper())
    assert isinstance(dialect, Dialect)
    return dialect


class Registry:
    """Providers, models and configuration together. One object a client."""

    def __init__(
        self, config: Config, providers: ProviderRegistry | None = None, *, today: Today = datetime.date.today
    ) -> None:
        self.config = config
        self.today = today
        self.providers = providers or BUILT_IN
        self.models = ModelRegistry(self.providers, config)

    def provider(self, name: str) -> tuple[Provider, ProviderConfig]:
        """Return the page and the caller's configuration of a provider. Raises `ConfigError` for an unknown name."""
        given = self.config.providers.get(name) or ProviderConfig()
        page_name = given.like or name
        page = self.providers.get(page_name)
        if page is None and given.like:
            raise ConfigError(f"[providers.{name}] like = {given.like!r}: there is no such provider")
        if page is None and given.base_url:
            page = self.providers.get(_COMPATIBLE)
        if page is None:
            raise ConfigError(
                f"[providers.{name}] needs a base_url: no built-in provider bears this name"
                if name in self.config.providers
                else f"no provider {name!r}; there are {', '.join(self.models.provider_names())}"
            )
        return page, given

    def key(self, name: str, environ: Mapping[str, str] | None = None) -> tuple[Secret | None, str | None]:
        """Return a provider's key and where it was found (`configuration`, a variable's name), or (None, None)."""
        environ = os.environ if environ is None else environ
        page, given = self.provider(name)
        if given.api_key:
            return given.api_key, "configuration"
        variables = (given.api_key_env,) if given.api_key_env else page.env
        for variable in variables:
            if environ.get(variable, "").strip():
                return Secret(environ[variable].strip()), variable
        for endpoint in given.endpoints:
            if endpoint.api_key:
                return endpoint.api_key, f"endpoint {endpoint.name}"
            if endpoint.api_key_env and environ.get(endpoint.api_key_env, "").strip():
                return Secret(environ[endpoint.api_key_env].strip()), endpoint.api_key_env
        return None, None

    def configured(self, name: str) -> bool:
        """Whether a call to this provider would have what it needs: a key where one is required, an address."""
        page, given = self.provider(name)
        has_key = page.key != "required" or self.key(name)[0] is not None or given.auth is not None
        return has_key and self._base_url(page, given) is not None

    def base_url(self, name: str) -> str | None:
        """Return a provider's address as it would be asked, `None` where the caller must give one."""
        return self._base_url(*self.provider(name))

    def default_model(self) -> str:
        """Return the model to ask where none is named: the configured one, a configured provider's, else local's."""
        if self.config.default_model:
            return self.config.default_model
        pages = {page.name: page for page in self.providers.list() if page.io != "local"}
        for name in [*self.config.providers, *pages]:
            page, _ = self.provider(name)
            if page.default_model and page.io != "local" and self.configured(name):
                return f"{name}/{page.default_model}"
        return "local/smollm2-135m"

    def resolve(self, name: str, *, operation: str = "generate", dialect: str | None = None) -> Target:
        """Return the target that a model's name stands for.

        Raises `ConfigError` for an unknown name, a missing key or address; `UnsupportedError` where the provider does
        not offer the operation.
        """
        provider_name, model = self.models.split(name)
        page, given = self.provider(provider_name)
        row = self.models.row(provider_name, model, like=page.name)
        if row is not None:
            warn_of_retirement(row, self.today)
        endpoint = _offered(page, operation, provider_name, model)
        override = self.config.models.get(f"{provider_name}/{model}") or ModelOverride()
        chosen = dialect or override.dialect or given.dialect or (row.dialect if row else None)
        written_for = (row.dialect if row else None) or endpoint.dialect
        usual = endpoint.dialect
        if chosen and chosen != endpoint.dialect:
            endpoint = Endpoint(chosen, page.paths.get(chosen) if operation == "generate" else None)
        spoken = find_dialect(endpoint.dialect)
        known = frozenset(spoken.quirks.__struct_fields__)
        own = row.quirks if row and spoken.name == written_for else {}
        overriding = override.quirks if spoken.name == written_for else {}
        target = self._target(
            provider_name, model, endpoint, usual, (_facts(row, known), own), (_facts(override, known), overriding)
        )
        if row is None:
            return target
        return msgspec.structs.replace(target, row=row, emulate=(*target.emulate, *row.emulate))

    def resolve_service(self, name: str, operation: str) -> Target:
        """Return the target of what a provider offers beside its models: a list of them. It names no model.

        Where the configuration says that the provider speaks another wire, it is asked on that one, if that has the
        operation. Raises what `resolve` raises.
        """
        page, given = self.provider(name)
        endpoint = _offered(page, operation, name)
        if given.dialect and given.dialect != endpoint.dialect and getattr(find_dialect(given.dialect), operation):
            endpoint = Endpoint(given.dialect)
        usual = page.operations.get("generate", endpoint).dialect
        return self._target(name, "", endpoint, usual)

    def _target(
        self,
        provider: str,
        model: str,
        endpoint: Endpoint,
        usual: str,
        below: tuple[Mapping[str, Any], ...] = (),
        above: tuple[Mapping[str, Any], ...] = (),
    ) -> Target:
        """Return the target, with the quirks of the page, of `below`, of the provider's block and of `above`."""
        page, given = self.provider(provider)
        block = f"[providers.{provider}]"
        base_url = self._base_url(page, given)
        if base_url is None:
            where = " or ".join((*page.base_url_env, f"{block} base_url in polyvox.toml"))
            raise ConfigError(f"no address for {provider}: set {where}", provider=provider, model=model or None)
        spoken = find_dialect(endpoint.dialect)
        own = _own_quirks(spoken, _for_dialect(spoken, given.quirks, f"{block} quirks"), usual)
        return Target(
            provider=provider,
            model=model,
            dialect=spoken,
            endpoint=endpoint,
            quirks=_quirks(spoken, (page.quirks.get(spoken.name, {}), *below, own, *above)),
            base_url=base_url.rstrip("/"),
            headers={**page.headers, **_environment_headers(page), **given.headers},
            auth=self._auth(provider, model, page, given),
            io=page.io,
            emulate=page.emulate,
            timeout=given.timeout or self.config.timeout,
            options=_for_dialect(spoken, given.options, f"{block} options"),
            telemetry_name=page.telemetry_name,
            advice=page.advice,
        )

    @staticmethod
    def _base_url(page: Provider, given: ProviderConfig) -> str | None:
        named = [os.environ.get(variable, "").strip() for variable in page.base_url_env]
        if page.host_variable is not None:
            rules = page.host_variable
            named = [read_address(address, rules) for address in named if address]
        found = given.base_url or next((address for address in named if address), page.base_url)
        if found is None or not page.base_path:
            return found
        found = found.rstrip("/")
        # Who copies the whole address has said the path already, or its beginning.
        parts = page.base_path.split("/")[1:]
        for count in range(len(parts), 0, -1):
            said = "/" + "/".join(parts[:count])
            if found.endswith(said):
                found = found.removesuffix(said)
                break
        return found + page.base_path

    def _auth(self, name: str, model: str, page: Provider, given: ProviderConfig) -> Auth:
        if given.auth is not None:
            return given.auth if isinstance(given.auth, Auth) else CallableAuth(given.auth)
        if page.key == "none":
            return NoAuth()
        secret, _ = self.key(name)
        if secret is not None:
            return KeyAuth(secret, page.key_header.header, page.key_header.scheme)
        if page.key == "optional":
            return NoAuth()
        variable = given.api_key_env or " or ".join(page.env)
        raise ConfigError(
            f"no API key for {page.title}: set {variable}, or [providers.{name}] api_key in polyvox.toml, "
            f"or Client(providers={{{name!r}: {{'api_key': …}}}})",
            provider=name,
            model=model or None,
        )


def _offered(page: Provider, operation: str, provider: str, model: str | None = None) -> Endpoint:
    endpoint = page.operations.get(operation)
    if endpoint is None:
        raise UnsupportedError(
            f"{page.title} offers no {_OPERATIONS.get(operation, operation)}", provider=provider, model=model
        )
    return endpoint


def _quirks(dialect: Dialect, layers: tuple[Mapping[str, Any], ...]) -> Any:
    """Return the dialect's quirks as the layers say, the last one winning; of the settings, each by itself."""
    known = dialect.quirks.__struct_fields__
    knobs: dict[str, Any] = {}
    fates: dict[str, dict[str, Any]] = {}
    for layer in layers:
        knobs.update(layer)
        for name in _FATES & layer.keys():
            if not isinstance(layer[name], dict):
                raise ConfigError(f"a quirk of {dialect.name} has a wrong value: {name} is a table of settings")
            fates.setdefault(name, {}).update(layer[name])
    knobs.update(fates)
    for unknown in sorted(knobs.keys() - set(known)):
        raise ConfigError(f"no quirk {unknown!r} of {dialect.name}; there are {', '.join(sorted(known))}")
    try:
        return msgspec.convert(knobs, dialect.quirks)
    except msgspec.ValidationError as error:
        raise ConfigError(f"a quirk of {dialect.name} has a wrong value: {error}") from None


def _facts(row: ModelConfig | ModelOverride | None, known: Container[str]) -> dict[str, Any]:
    """Return what a row's facts say to the knobs that a dialect has for them: on any wire, they hold."""
    if row is None:
        return {}
    facts: dict[str, Any] = {
        "default_max_tokens": row.output_tokens,
        "efforts": row.efforts,
        "reasoning_efforts": row.efforts,
        "thinking_settings": row.thinking_settings or None,
    }
    found = {knob: fact for knob, fact in facts.items() if knob in known and fact is not None}
    # A wire that does not tell the two apart does without the setting in either case.
    return {**found, "settings": row.settings if "thinking_settings" in known else row.thinking_settings | row.settings}


def _own_quirks(dialect: Dialect, said: Mapping[str, Any], usual: str) -> dict[str, Any]:
    """Return the quirks that a provider's block gives this wire.

    A word of the provider's usual wire that this one does not have is no mistake: it is said of other models.
    """
    elsewhere = () if dialect.name == usual else find_dialect(usual).quirks.__struct_fields__
    known = dialect.quirks.__struct_fields__
    return {word: value for word, value in said.items() if word in known or word not in elsewhere}


def _for_dialect(dialect: Dialect, said: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return what a block says to this wire: a block in it that is named after a wire is for that one alone."""
    if not said:
        return {}
    names = dialect_names()
    for name, block in said.items():
        if name in names and not isinstance(block, dict):
            raise ConfigError(f"{where}: {name!r} is a wire: give a table of what is said on it")
    own: dict[str, Any] = said.get(dialect.name, {})
    return {**{word: value for word, value in said.items() if word not in names}, **own}


def _environment_headers(page: Provider) -> dict[str, str]:
    return {header: os.environ[variable] for header, variable in page.header_env.items() if os.environ.get(variable)}


BUILT_IN = ProviderRegistry()
"""The registry that every client shares unless it is given its own."""
