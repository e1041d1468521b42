"""Several keys or endpoints of one provider, as targets of their own.

The rule: an endpoint says only what is its own (a key, an address, headers); all else is the provider's.
"""

from __future__ import annotations

import os

from msgspec import Struct, structs

from polyvox.auth.keys import KeyAuth
from polyvox.errors import ConfigError
from polyvox.registry.config import EndpointConfig
from polyvox.registry.target import Registry, Target
from polyvox.secrets import Secret


class EndpointTarget(Struct, frozen=True):
    """One of a provider's endpoints: its name, its share of the calls, and the target that leads there."""

    name: str
    weight: float
    target: Target


def endpoints_of(registry: Registry, target: Target) -> tuple[EndpointTarget, ...]:
    """Return the endpoints that the configuration names for a target's provider, none where it names none.

    Raises `ConfigError` for an endpoint whose key cannot be found.
    """
    _, given = registry.provider(target.provider)
    return tuple(
        EndpointTarget(endpoint.name, endpoint.weight, _target(registry, target, endpoint))
        for endpoint in given.endpoints
    )


def _target(registry: Registry, target: Target, endpoint: EndpointConfig) -> Target:
    page, _ = registry.provider(target.provider)
    auth = target.auth
    secret = endpoint_key(endpoint)
    if secret is not None:
        auth = KeyAuth(secret, page.key_header.header, page.key_header.scheme)
    elif endpoint.api_key_env is not None:
        raise ConfigError(
            f"endpoint {endpoint.name!r} of {target.provider}: {endpoint.api_key_env} is not set",
            provider=target.provider,
            model=target.model,
        )
    return structs.replace(
        target,
        auth=auth,
        base_url=(endpoint.base_url or target.base_url).rstrip("/"),
        headers={**target.headers, **endpoint.headers},
    )


def endpoint_key(endpoint: EndpointConfig) -> Secret | None:
    """Return an endpoint's own key, `None` where it has none (then the provider's is used)."""
    if endpoint.api_key:
        return endpoint.api_key
    found = os.environ.get(endpoint.api_key_env, "").strip() if endpoint.api_key_env else ""
    return Secret(found) if found else None
