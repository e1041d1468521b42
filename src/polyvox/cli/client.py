"""The client of the command line: one a process, from the environment and `polyvox.toml`."""

from __future__ import annotations

from polyvox.client.clients import Client


def make_client() -> Client:
    """Return a new client."""
    return Client()
