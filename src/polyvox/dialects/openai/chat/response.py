"""A whole answer, both directions.

The rule: it is read by the machine that reads streams, as one delta a choice. An answer with status 200 may be an
error: that raises. https://platform.openai.com/docs/api-reference/chat/object
"""

from __future__ import annotations

from typing import Any, Final

from polyvox.dialects.openai.chat import wire
from polyvox.dialects.openai.chat.choice import ChoiceReader
from polyvox.dialects.openai.chat.fields import DIALECT
from polyvox.dialects.openai.chat.usage import decode_usage
from polyvox.dialects.openai.errors import error_of
from polyvox.errors import DecodeError
from polyvox.framing import json
from polyvox.types.events import Event
from polyvox.types.fold import fold
from polyvox.types.generate import Alternative, GenerateResponse
from polyvox.types.parts import Meta, SourcePart
from polyvox.types.usage import Usage

NO_USAGE: Final = Usage()


def decode_response(body: bytes) -> GenerateResponse[Any]:
    """Return the answer. Raises the `ProviderError` that a body with status 200 holds, `DecodeError` for no answer."""
    lost: dict[str, Any] = {}
    answer = json.decode(body, wire.Chunk, lost)
    choices = answer.choices or []
    raise_error(answer, choices, body)
    if not choices and answer.usage is None:
        raise DecodeError(f"this is no answer of the OpenAI chat wire: it has no choices: {json.excerpt(body)}")
    read = [_read(choice) for choice in choices]
    first = min(range(len(choices)), key=lambda place: choices[place].index, default=None)  # not always sent in order
    usage = usage_of(answer)
    meta = envelope(answer)
    if lost:
        meta["unread"] = lost
    sources = decode_sources(answer.search_results, answer.citations)
    if first is None:
        return GenerateResponse(
            id=answer.id, model=answer.model, content=sources, usage=usage or NO_USAGE, meta=_own(meta), raw=body
        )
    content, reader = read[first]
    return GenerateResponse(
        id=answer.id or None,
        model=answer.model or None,
        content=(*content, *sources),
        finish=reader.finish(),
        usage=usage or NO_USAGE,
        alternatives=tuple(
            Alternative(choice.index, parts, other.finish(), _own(other.meta))
            for place, (choice, (parts, other)) in enumerate(zip(choices, read, strict=True))
            if place != first
        ),
        meta=_own({**meta, **reader.meta}),
        raw=body,
    )


def _own(meta: dict[str, Any]) -> Meta:
    return {DIALECT: meta} if meta else {}


def _read(choice: wire.Choice) -> tuple[tuple[Any, ...], ChoiceReader]:
    reader = ChoiceReader()
    events: list[Event] = []
    reader.feed(choice, choice.message or choice.delta, events)
    reader.close(events)
    return fold(events).content, reader


def raise_error(answer: wire.Chunk, choices: list[wire.Choice], data: bytes) -> None:
    """Raise the error that an answer or a frame holds, be it at its top, in a choice, or in Groq's own member."""
    held = answer.error or next((choice.error for choice in choices if choice.error), None)
    if not held and answer.x_groq:
        held = answer.x_groq.get("error")
    if held:
        # The frame whole: the code may stand beside the error (xAI) or in it.
        whole = json.decode(data)
        raise error_of({**whole, "error": held} if isinstance(whole, dict) else {"error": held}, status=None)
    if not choices and answer.usage is None and answer.id is None:
        whole = json.decode(data)
        if isinstance(whole, dict) and "message" in whole and ("code" in whole or whole.get("object") == "error"):
            raise error_of(whole, status=None)


def usage_of(answer: wire.Chunk) -> Usage | None:
    """Return the usage a frame bears, `None` where it bears none. Groq's own member serves where there is no other."""
    usage = answer.usage
    if usage is None and answer.x_groq:
        usage = answer.x_groq.get("usage")
    return decode_usage(usage) if isinstance(usage, dict) and usage else None


def envelope(answer: wire.Chunk) -> dict[str, Any]:
    """Return what is kept of the envelope."""
    return {name: value for name in wire.ENVELOPE if (value := getattr(answer, name))}


def decode_sources(results: list[Any] | None, citations: list[Any] | None) -> tuple[SourcePart, ...]:
    """Return Perplexity's search results, or where there are none the bare addresses it cites."""
    if results:
        return tuple(_source(result) for result in results if isinstance(result, dict))
    return tuple(SourcePart(url=url) for url in citations or () if isinstance(url, str))


def _source(result: dict[str, Any]) -> SourcePart:
    rest = {name: value for name, value in result.items() if name not in ("url", "title", "snippet")}
    url, title, snippet = (result.get(name) for name in ("url", "title", "snippet"))
    return SourcePart(
        url=url if isinstance(url, str) else None,
        title=title if isinstance(title, str) else None,
        text=snippet if isinstance(snippet, str) else None,
        meta={DIALECT: rest} if rest else {},
    )
