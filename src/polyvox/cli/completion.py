"""What the shell may complete. The rule: completing never fails, asks nobody, and costs what reading the rows costs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, TypeAlias

import typer


def complete_model(incomplete: str) -> Iterable[str]:
    """Return the model names that begin so: full names and aliases; providers alone while no `/` was written."""
    from polyvox.cli.client import make_client
    from polyvox.errors import PolyvoxError

    try:
        with make_client() as client:
            registry = client.registry.models
            names = [*registry.names(), *(f"{provider}/" for provider in registry.provider_names())]
    except PolyvoxError:
        return []  # what is wrong with the configuration is told when the command is run
    if "/" not in incomplete:
        # Thousands of full names help nobody: a provider first, or an alias.
        names = [name for name in names if "/" not in name or name.endswith("/")]
    return sorted({name for name in names if name.startswith(incomplete)})


def complete_capability(incomplete: str) -> Iterable[str]:
    """Return the words that models can be looked up by, those that begin so."""
    from polyvox.types.models import CAPABILITY_WORDS

    return [word for word in CAPABILITY_WORDS if word.startswith(incomplete)]


ModelName: TypeAlias = Annotated[
    str | None,
    typer.Option("-m", "--model", help="provider/model, an alias, or a bare id.", autocompletion=complete_model),
]
"""The option that names a model, the same in every command."""
