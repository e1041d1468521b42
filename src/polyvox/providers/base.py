"""What a provider is: data. Where it is, which dialect for which operation, which auth, which quirks.

The rule: no code stands in a provider's page. What differs from the plain dialect is a quirk, named in the dialect's
quirks struct; a need that no quirk expresses is a new quirk, not an `if`.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field


class Endpoint(Struct, frozen=True, omit_defaults=True):
    """How an operation is spoken here. `path` and `framing` override the dialect's own, where a service has its own."""

    dialect: str
    path: str | None = None
    framing: str | None = None


class KeyHeader(Struct, frozen=True):
    """Which header carries the key, after which scheme word (`""`: none)."""

    header: str = "Authorization"
    scheme: str = "Bearer"


class HostVariable(Struct, frozen=True):
    """How short an address may be in a service's variable: a host, with or without a port, is enough.

    `port` is the one where none is said. `https` are the hosts that are reached by HTTPS, at its own port.
    """

    port: int
    https: tuple[str, ...] = ()


class Provider(Struct, frozen=True, kw_only=True):
    """A service.

    `base_url` is `None` where the caller must give one. `env` names the environment variables that may hold the key,
    first found wins; `base_url_env` likewise for the address. `key` says whether one is `required`, `optional` or
    `none`. `io` is `http` or `local`. `quirks` are by dialect, as fields of its quirks struct. `emulate` names the
    emulations its models need. `default_model` is what is asked where nobody names a model.
    """

    name: str
    title: str
    base_url: str | None
    operations: dict[str, Endpoint]
    env: tuple[str, ...] = ()
    base_url_env: tuple[str, ...] = ()
    paths: dict[str, str] = field(default_factory=dict)
    """Where a wire other than the usual one is spoken here, by dialect, where that is not its own path."""
    host_variable: HostVariable | None = None
    """Where the variable of the address may hold less than a URL: what the rest is."""
    base_path: str = ""
    """What stands behind the caller's address, be it said there or not: `/openai/v1`."""
    key: Literal["required", "optional", "none"] = "required"
    key_header: KeyHeader = KeyHeader()
    headers: dict[str, str] = field(default_factory=dict)
    header_env: dict[str, str] = field(default_factory=dict)
    """Header name → environment variable: sent where the variable is set."""
    io: Literal["http", "local"] = "http"
    quirks: dict[str, dict[str, Any]] = field(default_factory=dict)
    emulate: tuple[str, ...] = ()
    default_model: str | None = None
    telemetry_name: str | None = None
    """OpenTelemetry's word for this provider, where it has another one."""
    advice: dict[str, str] = field(default_factory=dict)
    """Name of an error's class → what helps here, added to its message; `{model}` stands for the model's name."""
    links: dict[str, str] = field(default_factory=dict)
