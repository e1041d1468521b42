"""`polyvox.generate` and `polyvox.stream`: one question without a client of one's own.

The rule: one shared `Client`, made on first use from the environment and `polyvox.toml`; no switch of it is global.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from polyvox.client.clients import Client
from polyvox.client.settings import GenerateSettings, Messages
from polyvox.client.streams import Stream
from polyvox.types.generate import GenerateResponse

if TYPE_CHECKING:
    from typing import Unpack

_lock = threading.Lock()
_shared: list[Client] = []


def _client() -> Client:
    with _lock:
        if not _shared:
            _shared.append(Client())
        return _shared[0]


def generate(model: str, messages: Messages, **settings: Unpack[GenerateSettings]) -> GenerateResponse[Any]:
    """Ask `model`, and return its whole answer: `Client.generate` on a shared client."""
    return _client().generate(model, messages, **settings)


def stream(model: str, messages: Messages, *, raw: bool = False, **settings: Unpack[GenerateSettings]) -> Stream[Any]:
    """Return the answer of `model` as a stream: `Client.stream` on a shared client."""
    return _client().stream(model, messages, raw=raw, **settings)
