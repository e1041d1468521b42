"""A whole answer: the body read, and what it shares with a streamed one.

The rule: a whole answer is a stream of one line, so both are read by one reader. An answer with status 200 may be an
error: that raises. https://docs.ollama.com/api/chat
"""

from __future__ import annotations

from typing import Any

from msgspec import structs

from polyvox.dialects.ollama.errors import error_of
from polyvox.dialects.ollama.reader import AnswerReader
from polyvox.errors import DecodeError
from polyvox.framing import json
from polyvox.types.events import Event
from polyvox.types.fold import fold
from polyvox.types.generate import GenerateResponse


def decode_response(body: bytes) -> GenerateResponse[Any]:
    """Return the answer. Raises the `ProviderError` that a body with status 200 holds, `DecodeError` for no answer."""
    held = json.decode(body)
    if isinstance(held, dict) and held.get("error"):
        raise error_of(held, status=None)
    if not isinstance(held, dict) or not isinstance(held.get("message"), dict):
        raise DecodeError(f"this is no answer of the Ollama wire: it has no message: {json.excerpt(body)}")
    reader, events = AnswerReader(), list[Event]()
    reader.feed(held, body, events)
    reader.close(events)
    return structs.replace(fold(events), raw=body)
