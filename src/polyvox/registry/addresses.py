"""A server's address as its own tools take it from the environment: a host, a host with a port, a URL.

The rule: what is not said is the server's own (its port, plain HTTP); an address that servers listen on, not one to
call (`0.0.0.0`), is this machine.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from polyvox.providers.base import HostVariable

_LISTENED: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound


def read_address(said: str, rules: HostVariable) -> str:
    """Return the URL that an address given shortly stands for. A port that is none is the server's own."""
    said = said.strip().strip("\"'").strip()
    if said.rstrip("/") in rules.https:
        return f"https://{said.rstrip('/')}"
    scheme, separator, rest = said.partition("://")
    if not separator:
        scheme, rest = "http", f"[{said}]" if said.count(":") > 1 and "[" not in said else said
    parts = urlsplit(f"//{rest}")
    host = parts.hostname or ""
    host = _LISTENED.get(host, host)
    port = _port(parts.netloc.rpartition("@")[2])
    if port is None and not separator:
        port = rules.port
    written = f"[{host}]" if ":" in host else host
    return f"{scheme}://{written}{'' if port is None else f':{port}'}{parts.path.rstrip('/')}"


def _port(netloc: str) -> int | None:
    """Return the port that is said, `None` where none is or what is said is none."""
    said = netloc.rpartition("]")[2].rpartition(":")[2] if ":" in netloc.rpartition("]")[2] else ""
    return int(said) if said.isascii() and said.isdigit() and int(said) < 65536 else None
