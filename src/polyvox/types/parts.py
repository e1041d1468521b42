"""Parts: what a message is made of, and what an answer is made of.

The rule: a part says nothing in a vendor's words. What must go back to a wire unharmed (signatures, encrypted
reasoning, cache marks) stands in `meta`, keyed by dialect.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct, field

Meta: TypeAlias = dict[str, dict[str, Any]]
"""What a dialect must see again unharmed: `{"openai": {…}}`. Values are plain JSON."""


class Source(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A citation on a span of text. `start` and `end` are character offsets of our text; `None` where not said."""

    url: str | None = None
    title: str | None = None
    text: str | None = None
    start: int | None = None
    end: int | None = None
    meta: Meta = field(default_factory=dict)


class TokenLogprob(Struct, frozen=True, omit_defaults=True):
    """A token with its natural-log probability. `top` holds the likeliest alternatives at its place, if asked for."""

    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None
    top: tuple[TokenLogprob, ...] = ()


class TextPart(Struct, frozen=True, tag="text", omit_defaults=True):
    """Text. A `refusal` is the model's own words of refusal: kept, but not part of `response.text`."""

    text: str
    sources: tuple[Source, ...] = ()
    logprobs: tuple[TokenLogprob, ...] | None = None
    refusal: bool = False
    meta: Meta = field(default_factory=dict)


class ReasoningPart(Struct, frozen=True, tag="reasoning", omit_defaults=True):
    """The model's reasoning. `text` may be empty where only a signature came (in `meta`); `redacted` = hidden text."""

    text: str = ""
    redacted: bool = False
    meta: Meta = field(default_factory=dict)


class Url(Struct, frozen=True, tag="url"):
    """File data by address."""

    url: str


class FileId(Struct, frozen=True, tag="file_id"):
    """File data by the provider's own id: it means nothing to another provider."""

    id: str


class FilePart(Struct, frozen=True, tag="file", omit_defaults=True):
    """An image, a document, a sound, a film. `data` is the bytes themselves, a `Url` or a `FileId`.

    `media_type` is a MIME type; a bare `image/*` form stands for "an image, exact type not said".
    """

    media_type: str
    data: bytes | Url | FileId
    name: str | None = None
    meta: Meta = field(default_factory=dict)


class SourcePart(Struct, frozen=True, tag="source", omit_defaults=True):
    """A search result that is bound to no text."""

    url: str | None = None
    title: str | None = None
    text: str | None = None
    meta: Meta = field(default_factory=dict)


class ToolCall(Struct, frozen=True, tag="tool_call", omit_defaults=True):
    """A call the model makes. `arguments` is the JSON text as received (or free text where `kind` is `custom`).

    `executed` means that the provider ran it itself; its result follows as a `ToolResult`.
    """

    id: str
    name: str
    arguments: str = ""
    kind: Literal["function", "custom"] = "function"
    executed: bool = False
    meta: Meta = field(default_factory=dict)

    def decode(self) -> Any:
        """Return the arguments as a Python value; an argument-less call (`""` or `null`) gives `{}`.

        Raises `DecodeError` where the text is no valid JSON (cut off by a length limit, say).
        """
        if self.kind == "custom":
            return self.arguments
        if not self.arguments.strip():
            return {}
        try:
            value = msgspec.json.decode(self.arguments)
        except msgspec.DecodeError as error:
            from polyvox.errors import DecodeError

            raise DecodeError(f"the arguments of the call to {self.name!r} are no valid JSON: {error}") from None
        return {} if value is None else value


class ToolResult(Struct, frozen=True, tag="tool_result", omit_defaults=True):
    """What a tool gave back for the call `id`."""

    id: str
    name: str = ""
    content: tuple[Part, ...] = ()
    is_error: bool = False
    meta: Meta = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The text of the result, its text parts joined."""
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


class OpaquePart(Struct, frozen=True, tag="opaque", omit_defaults=True):
    """A part of a kind that Polyvox has no word for. `kind` is the wire's word; the part itself stands in `meta`.

    It goes back unharmed to the dialect it came from, and to no other.
    """

    kind: str
    meta: Meta = field(default_factory=dict)


Part: TypeAlias = TextPart | ReasoningPart | FilePart | SourcePart | ToolCall | ToolResult | OpaquePart
