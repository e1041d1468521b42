"""A whole answer: the body read, and what it shares with a streamed one.

The rule: a whole answer is a stream of one line, so both are read by one reader; a body of several lines comes from a
server that streams whatever it is asked. An answer with status 200 may be an error: that raises.
https://docs.ollama.com/api/chat
"""

from __future__ import annotations

from typing import Any

from msgspec import structs

from polyvox.dialects.ollama.errors import error_of
from polyvox.dialects.ollama.reader import AnswerReader
from polyvox.errors import DecodeError, InterruptedCallError
from polyvox.framing import json
from polyvox.types.events import Event
from polyvox.types.fold import fold
from polyvox.types.generate import GenerateResponse


def decode_response(body: bytes) -> GenerateResponse[Any]:
    """Return the answer. Raises the `ProviderError` that a body with status 200 holds, `DecodeError` for no answer."""
    lines = _lines_of(body)
    reader, events = AnswerReader(), list[Event]()
    for line in lines:
        held = json.decode(line)
        if isinstance(held, dict) and held.get("error"):
            raise error_of(held, status=None)
        if not isinstance(held, dict) or not (
            isinstance(held.get("message"), dict) or (reader.begun and "done" in held)
        ):
            raise DecodeError(f"this is no answer of the Ollama wire: it has no message: {json.excerpt(line)}")
        reader.feed(held, line, events)
    if len(lines) > 1 and not reader.done:
        raise InterruptedCallError("the answer broke off before its end")
    reader.close(events)
    return structs.replace(fold(events), raw=body)


def _lines_of(body: bytes) -> list[bytes]:
    """Return the lines of a body that is a stream, as of a server that always streams; else the body."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    streams = len(lines) > 1 and all(line.lstrip()[:1] == b"{" and line.rstrip()[-1:] == b"}" for line in lines)
    return lines if streams else [body]
