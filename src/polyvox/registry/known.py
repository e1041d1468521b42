"""What a client knows of a provider without asking it: where it is, whether a call would have what it needs.

The rule: nothing here is a secret, and nothing is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from polyvox.secrets import sanitize

if TYPE_CHECKING:
    from polyvox.registry.target import Registry


class ProviderCapabilities(Struct, frozen=True, kw_only=True):
    """What a service offers. `operations` names the wire of each operation: `{"generate": "anthropic"}`."""

    operations: dict[str, str]

    def offers(self, operation: str) -> bool:
        """Whether the operation can be asked for: `generate`, `models` (a list of them)."""
        return operation in self.operations


class ConfiguredProvider(Struct, frozen=True, kw_only=True):
    """A provider as a client is configured for it.

    `configured` says whether a call would have what it needs; `key` says in words where its key was found, or what to
    set. `base_url` is `None` where the caller must give one. `default_model` is what is asked where nobody names a
    model, `None` where somebody must. `links` go to its documentation.
    """

    name: str
    title: str
    configured: bool
    key: str
    base_url: str | None
    capabilities: ProviderCapabilities
    default_model: str | None = None
    links: dict[str, str] = field(default_factory=dict)


def describe_provider(registry: Registry, name: str) -> ConfiguredProvider:
    """Return what is known of a provider.

    Raises `ConfigError` for a name that no provider has.
    """
    page, given = registry.provider(name)
    key, where = registry.key(name)
    if key is not None:
        told = f"from {registry.config.source or where}" if where == "configuration" else f"from {where}"
    elif given.auth is not None:
        told = "an auth of its own"
    elif page.key == "none":
        told = "needs none"
    else:
        told = f"{'set' if page.key == 'required' else 'may be set by'} {given.api_key_env or ' or '.join(page.env)}"
    base_url = registry.base_url(name)
    spoken = {operation: endpoint.dialect for operation, endpoint in page.operations.items()}
    if given.dialect and "generate" in spoken:
        spoken["generate"] = given.dialect
    return ConfiguredProvider(
        name=name,
        title=page.title,
        configured=registry.configured(name),
        key=told,
        base_url=sanitize(base_url, [key] if key else []) if base_url else None,
        capabilities=ProviderCapabilities(operations=spoken),
        default_model=page.default_model,
        links=dict(page.links),
    )
