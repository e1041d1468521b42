"""The client of the command line: one a process, from the environment and `polyvox.toml`."""

from __future__ import annotations

import os

from polyvox.client.clients import Client
from polyvox.errors import ConfigError


def make_client() -> Client:
    """Return a new client."""
    return Client()


def default_model(client: Client) -> str:
    """Return the model to ask where none is named.

    Raises `ConfigError` where nothing is configured and the local model is not there either.
    """
    from polyvox.io import local_files

    name = client.registry.default_model()
    chosen = client.config.default_model is not None or os.environ.get(local_files.PATH_VARIABLE, "").strip()
    if name.startswith("local/") and not chosen and not local_files.model_path().is_file():
        raise ConfigError(
            "no model to ask: run `polyvox local install` for the one that needs no key, or set a provider's key "
            "(`polyvox providers` lists their variables)"
        )
    return name
