"""The recorded exchanges, read once: what services really sent.

They stand in the folder that `POLYVOX_RECORDINGS` names, or beside the repository. Whether a body is a stream is told
by looking at it, never by what a header claims.
"""

from __future__ import annotations

import base64
import gc
import json
import os
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(os.environ.get("POLYVOX_RECORDINGS") or Path(__file__).parents[1].parent / "shared" / "wire")


class Exchange:
    """One request and its answer, as recorded."""

    def __init__(self, recorded: dict[str, Any]) -> None:
        self.id: str = recorded["id"]
        self.provider: str = recorded["provider"]
        self.endpoint: str = recorded["endpoint"]
        self.request: dict[str, Any] = recorded["request"]
        self._response: dict[str, Any] = recorded["response"]

    def __repr__(self) -> str:
        return self.id

    @property
    def status(self) -> int:
        return self._response["status"]

    @cached_property
    def headers(self) -> dict[str, str]:
        """The headers of the answer, by lower-case name; of several lines of one name, the last."""
        headers = self._response["headers"] or {}
        pairs = headers.items() if isinstance(headers, dict) else headers
        return {name.lower(): value if isinstance(value, str) else str(value[-1]) for name, value in pairs}

    @cached_property
    def body(self) -> bytes:
        """The bytes of the answer."""
        held = self._response.get("body_b64")
        if held is not None:
            return base64.b64decode(held)
        return (self._response.get("body") or "").encode("utf-8", "surrogatepass")

    @property
    def chunks(self) -> list[bytes]:
        """The body in the pieces in which it arrived: one where that was not recorded."""
        sizes = self._response.get("chunk_sizes")
        if not sizes:
            return [self.body]
        places = [sum(sizes[:count]) for count in range(len(sizes) + 1)]
        return [self.body[start:end] for start, end in zip(places, [*places[1:-1], len(self.body)], strict=False)]

    @cached_property
    def is_stream(self) -> bool:
        """Whether the body is a stream. Comments may come first (`: OPENROUTER PROCESSING`), and so may blank lines."""
        if "body_b64" in self._response:
            return "eventstream" in self.headers.get("content-type", "")
        start = self.body.lstrip()[:10]
        if start.startswith((b"data:", b"event:", b"id:", b"retry:", b":")):
            return True
        lines = [line for line in self.body.splitlines() if line.strip()]
        return len(lines) > 1 and all(line[:1] == b"{" and line.rstrip()[-1:] == b"}" for line in lines)


@cache
def _all() -> tuple[Exchange, ...]:
    read = tuple(Exchange(json.loads(path.read_bytes())) for path in sorted(FOLDER.glob("*/*.json")))
    gc.freeze()  # they stay: a collection that goes through them all takes so long that time limits fail
    return read


@cache
def recordings(endpoint: str) -> tuple[Exchange, ...]:
    """Return every exchange of an endpoint, errors among them. Skips the test where there are no recordings."""
    if not FOLDER.is_dir():
        pytest.skip(f"no recordings at {FOLDER}: set POLYVOX_RECORDINGS")
    return tuple(exchange for exchange in _all() if exchange.endpoint == endpoint)
