"""What may travel back: one pure pass before encoding.

The rule: meta of another origin is stripped as the dialect's `replay` constant allows, so that no signature ever
reaches a stranger; meta of a message without origin is the caller's and is kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from polyvox.dialects.base import Dialect
from polyvox.errors import UnsupportedError
from polyvox.types.generate import Adjustment
from polyvox.types.messages import Message
from polyvox.types.parts import FileId, FilePart, Meta, OpaquePart, Part, ReasoningPart, TextPart


def _may_return(origin: str, target: str, replay: str) -> bool:
    if replay == "dialect":
        return True
    if replay == "provider":
        return origin.partition("/")[0] == target.partition("/")[0]
    return origin == target


def _without(meta: Meta, dialect: str) -> Meta:
    return {name: value for name, value in meta.items() if name != dialect} if dialect in meta else meta


def _strip_part(part: Part, dialect: str, origin: str) -> Part | None:
    """Return the part as a stranger may see it, `None` where nothing is left that it could understand."""
    if isinstance(part, OpaquePart):
        return None
    if isinstance(part, FilePart) and isinstance(part.data, FileId):
        raise UnsupportedError(
            f"the file {part.data.id!r} stands at {origin} and cannot be read elsewhere: give its bytes or a URL"
        )
    stripped = _without(part.meta, dialect)
    if isinstance(part, ReasoningPart) and not part.text and not stripped:
        return None
    if stripped is not part.meta:
        part = structs.replace(part, meta=stripped)
    if isinstance(part, TextPart) and any(dialect in source.meta for source in part.sources):
        sources = tuple(structs.replace(source, meta=_without(source.meta, dialect)) for source in part.sources)
        return structs.replace(part, sources=sources)
    return part


def strip_foreign(
    messages: Iterable[Message], dialect: Dialect, target: str
) -> tuple[tuple[Message, ...], tuple[Adjustment, ...]]:
    """Return the messages with the meta of other origins taken out, and what had to be left out whole.

    Raises `UnsupportedError` for a file id of another provider.
    """
    kept: list[Message] = []
    lost: list[str] = []
    for message in messages:
        if message.origin is None or _may_return(message.origin, target, dialect.replay):
            kept.append(message)
            continue
        content = []
        for part in message.content:
            stripped = _strip_part(part, dialect.name, message.origin)
            if stripped is not None:
                content.append(stripped)
            elif isinstance(part, OpaquePart):
                lost.append(f"{part.kind} of {message.origin}")
        kept.append(structs.replace(message, content=tuple(content), meta=_without(message.meta, dialect.name)))
    adjustments = tuple(Adjustment("dropped", "messages", f"{kind}: it means nothing to {target}") for kind in lost)
    return tuple(kept), adjustments
