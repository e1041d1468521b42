"""`polyvox models` and `polyvox providers`: what there is, and what of it is configured."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import msgspec
import typer


def models(
    provider: Annotated[str | None, typer.Option("-p", "--provider", help="Only this provider's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """List the models that are known. Others of a known provider work too, by their full name."""
    from polyvox.cli.client import make_client
    from polyvox.cli.screen import print_table
    from polyvox.errors import ConfigError

    with make_client() as client:
        registry = client.registry
        if provider is not None and not registry.models.knows_provider(provider):
            raise ConfigError(f"no provider {provider!r}; there are {', '.join(registry.models.provider_names())}")
        rows = registry.models.list(provider)
    if as_json:
        print_json(rows)
        return
    print_table(
        ("model", "aliases", "context", "can"),
        (
            (
                f"{row.provider}/{row.id}",
                ", ".join(row.aliases),
                str(row.context_tokens or ""),
                ", ".join(row.capabilities),
            )
            for row in rows
        ),
    )


def providers(as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """List the providers, and say which are configured and by what. Never shows a key."""
    from polyvox.cli.client import make_client
    from polyvox.cli.screen import print_table

    with make_client() as client:
        registry = client.registry
        found = [describe(registry, name) for name in registry.models.provider_names()]
    if as_json:
        print_json(found)
        return
    heads = ("provider", "configured", "key", "address")
    rows = (
        (item["name"], "yes" if item["configured"] else "no", item["key"], item["base_url"] or "") for item in found
    )
    print_table(heads, rows)


def describe(registry: Any, name: str) -> dict[str, Any]:
    """Return what is said of one provider."""
    from polyvox.secrets import sanitize

    page, given = registry.provider(name)
    key, where = registry.key(name)
    if key is not None:
        told = f"from {where}"
    elif page.key == "none":
        told = "needs none"
    else:
        told = f"{'set' if page.key == 'required' else 'may be set by'} {given.api_key_env or page.env[0]}"
    base_url = given.base_url or page.base_url
    return {
        "name": name,
        "title": page.title,
        "configured": registry.configured(name),
        "key": told,
        "base_url": sanitize(base_url) if base_url else None,
    }


def print_json(value: Any) -> None:
    """Print as JSON."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
