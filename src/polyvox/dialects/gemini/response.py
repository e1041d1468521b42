"""A whole answer, read.

The rule: it is read as a stream of one chunk. A body that is an array is the stream that was asked for without
`alt=sse`; one without candidates is a prompt that was blocked. An answer with status 200 may be an error: that raises.
https://ai.google.dev/api/generate-content#generatecontentresponse
"""

from __future__ import annotations

from typing import Any

from msgspec import structs

from polyvox.dialects.gemini.reader import AnswerReader
from polyvox.types.events import Event
from polyvox.types.fold import fold
from polyvox.types.generate import GenerateResponse


def decode_response(body: bytes) -> GenerateResponse[Any]:
    """Return the answer. Raises the `ProviderError` that a body with status 200 holds, `DecodeError` for no answer."""
    reader = AnswerReader()
    events: list[Event] = []
    reader.feed(body, events)
    events.append(reader.close(events))
    return structs.replace(fold(events), raw=body)
