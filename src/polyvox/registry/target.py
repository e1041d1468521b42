"""`resolve`: the only place where provider, model row and the caller's configuration meet.

The rule: what comes out, a `Target`, says everything a call needs to know of where it goes; nothing below asks again.
Quirks are derived provider ← model row ← caller.
"""

from __future__ import annotations

import datetime
import importlib
import os
from collections.abc import Container, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from polyvox.auth.keys import Auth, CallableAuth, KeyAuth, NoAuth
from polyvox.dialects.base import Dialect
from polyvox.errors import ConfigError, UnsupportedError
from polyvox.providers.base import Endpoint, Provider
from polyvox.registry.config import Config, ProviderConfig
from polyvox.registry.models import ModelRegistry
from polyvox.registry.providers import ProviderRegistry
from polyvox.registry.retirement import Today, warn_of_retirement
from polyvox.secrets import Secret, masked_repr
from polyvox.types.models import ModelConfig, Timeout

_COMPATIBLE = "openai_compatible"


class Target(Struct, frozen=True, kw_only=True):
    """Where a call goes and how it is said there. `row` is `None` for a model we know nothing of."""

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

    def __repr__(self) -> str:
        return masked_repr(self, self.auth.secrets)

    @property
    def name(self) -> str:
        """`provider/model id`: what a message's `origin` is."""
        return f"{self.provider}/{self.model}"


def find_dialect(name: str) -> Dialect:
    """Return the dialect of that name. Raises `ConfigError` where there is none."""
    module_name = f"polyvox.dialects.{name}"
    try:
        module = importlib.import_module(f"{module_name}.dialect")
    except ModuleNotFoundError as error:
        if error.name not in {module_name, f"{module_name}.dialect"}:
            raise
        raise ConfigError(f"no dialect {name!r}; there is 'openai' (Chat Completions)") from None
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
        endpoint = page.operations.get(operation)
        if endpoint is None:
            raise UnsupportedError(f"{page.title} offers no {operation}", provider=provider_name, model=model)
        chosen = dialect or given.dialect or (row.dialect if row else None)
        written_for = (row.dialect if row else None) or endpoint.dialect
        if chosen and chosen != endpoint.dialect:
            endpoint = Endpoint(chosen)
        base_url = self._base_url(page, given)
        if base_url is None:
            where = " or ".join((*page.base_url_env, f"[providers.{provider_name}] base_url in polyvox.toml"))
            raise ConfigError(f"no address for {provider_name}: set {where}", provider=provider_name, model=model)
        spoken = find_dialect(endpoint.dialect)
        return Target(
            provider=provider_name,
            model=model,
            dialect=spoken,
            endpoint=endpoint,
            quirks=self._quirks(spoken, page, row, given, written_for),
            base_url=base_url.rstrip("/"),
            headers={**page.headers, **_environment_headers(page), **given.headers},
            auth=self._auth(provider_name, model, page, given),
            io=page.io,
            emulate=(*page.emulate, *(row.emulate if row else ())),
            timeout=given.timeout or self.config.timeout,
            options=given.options,
            row=row,
            telemetry_name=page.telemetry_name,
        )

    @staticmethod
    def _base_url(page: Provider, given: ProviderConfig) -> str | None:
        if given.base_url:
            return given.base_url
        for variable in page.base_url_env:
            if os.environ.get(variable, "").strip():
                return os.environ[variable].strip()
        return page.base_url

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
        variable = given.api_key_env or page.env[0]
        raise ConfigError(
            f"no API key for {page.title}: set {variable}, or [providers.{name}] api_key in polyvox.toml, "
            f"or Client(providers={{{name!r}: {{'api_key': …}}}})",
            provider=name,
            model=model,
        )

    @staticmethod
    def _quirks(
        dialect: Dialect, page: Provider, row: ModelConfig | None, given: ProviderConfig, written_for: str
    ) -> Any:
        # A row's own quirks are words of the wire that it was written for; its facts hold on any.
        knobs: dict[str, Any] = {}
        settings: dict[str, Any] = {}
        known = frozenset(dialect.quirks.__struct_fields__)
        layers = (
            page.quirks.get(dialect.name, {}),
            _knobs_of(row, known) if row else {},
            row.quirks if row and dialect.name == written_for else {},
            given.quirks,
        )
        for layer in layers:
            knobs.update(layer)
            settings.update(layer.get("settings", {}))
        settings.update(row.settings if row else {})
        if settings:
            knobs["settings"] = settings
        for unknown in sorted(knobs.keys() - known):
            raise ConfigError(f"no quirk {unknown!r} of {dialect.name}; there are {', '.join(sorted(known))}")
        try:
            return msgspec.convert(knobs, dialect.quirks)
        except msgspec.ValidationError as error:
            raise ConfigError(f"a quirk of {dialect.name} has a wrong value: {error}") from None


def _knobs_of(row: ModelConfig, known: Container[str]) -> dict[str, Any]:
    """Return what a row's facts say to the knobs that its dialect has for them."""
    facts = {"default_max_tokens": row.output_tokens, "efforts": row.efforts, "reasoning_efforts": row.efforts}
    return {knob: fact for knob, fact in facts.items() if knob in known and fact is not None}


def _environment_headers(page: Provider) -> dict[str, str]:
    return {header: os.environ[variable] for header, variable in page.header_env.items() if os.environ.get(variable)}


BUILT_IN = ProviderRegistry()
"""The registry that every client shares unless it is given its own."""
