"""`polyvox models` and `polyvox providers`: what there is, and what of it is configured."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from polyvox.cli.completion import complete_capability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polyvox.client.clients import Client
    from polyvox.types.models import ListedModel


def models(
    provider: Annotated[str | None, typer.Option("-p", "--provider", help="Only this provider's.")] = None,
    capability: Annotated[
        list[str] | None,
        typer.Option(
            "-c",
            "--capability",
            help="Only models that can do this: tools, reasoning, vision … Several times: all of it.",
            autocompletion=complete_capability,
        ),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Ask the provider for its own list; --provider says which one.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """List the models that are known. Others of a known provider work too, by their full name."""
    from polyvox.cli.client import make_client
    from polyvox.cli.screen import print_table, tell

    if live:
        if provider is None:
            raise typer.BadParameter("name the provider to ask: --provider NAME", param_hint="--live")
        _list_live(provider, capability or (), as_json=as_json)
        return
    with make_client() as client:
        rows = client.registry.models.list(provider, capability=capability or ())
    if as_json:
        print_json(rows)
        return
    if not rows:
        if capability:
            tell(f"no model is known to have {' and '.join(capability)}")
        else:
            tell(f"no model of {provider} is known by name: ask one by its full name, {provider}/MODEL")
    print_table(
        ("model", "aliases", "context", "can"),
        (
            (
                f"{row.provider}/{row.id}",
                ", ".join((*row.aliases, *_own_aliases(client, f"{row.provider}/{row.id}"))),
                str(row.context_tokens or ""),
                ", ".join(row.capabilities),
            )
            for row in rows
        ),
    )


def _list_live(provider: str, capability: Sequence[str], *, as_json: bool) -> None:
    """Print what the provider itself lists; what is our registry's word stands in brackets."""
    from polyvox.cli.client import make_client
    from polyvox.cli.screen import print_table, tell

    with make_client() as client:
        found = client.list_models(provider, capability=capability)
    if as_json:
        print_json([{"name": model.name, **msgspec.to_builtins(model)} for model in found])
        return
    if not found:
        tell(f"{provider} lists no model{' that is known to have ' + ' and '.join(capability) if capability else ''}")

    def shown(model: ListedModel, field: str) -> str:
        value = getattr(model, field)
        return "" if value is None else f"({value})" if field in model.from_registry else str(value)

    print_table(
        ("model", "context", "output", "can", "created"),
        (
            (
                model.name,
                shown(model, "context_tokens"),
                shown(model, "output_tokens"),
                ", ".join(f"({word})" if word in model.from_registry else word for word in model.capabilities),
                model.created or "",
            )
            for model in found
        ),
    )


def _own_aliases(client: Client, name: str) -> list[str]:
    return [alias for alias, target in client.config.aliases.items() if target == name]


def providers(as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """List the providers, and say which are configured and by what. Never shows a key."""
    from polyvox.cli.client import make_client
    from polyvox.cli.screen import print_table

    with make_client() as client:
        found = [client.provider(name) for name in client.registry.models.provider_names()]
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    heads = ("provider", "configured", "key", "address")
    rows = ((item.name, "yes" if item.configured else "no", item.key, item.base_url or "") for item in found)
    print_table(heads, rows)


def print_json(value: Any) -> None:
    """Print as JSON."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
