"""Messages. The rule: a role is one of four; what a wire adds (a name, `developer`) stands in `meta`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from msgspec import Struct, field

from polyvox.types.parts import Meta, Part, TextPart, ToolCall, ToolResult

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


class Message(Struct, frozen=True, omit_defaults=True):
    """One turn of a conversation.

    `origin` is the target that made it (`provider/model id`, as asked for, after aliases); `None` means that the caller
    wrote it. `meta` holds what a dialect must see again on the message itself.
    """

    role: Role
    content: tuple[Part, ...] = ()
    origin: str | None = None
    meta: Meta = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The text of the message, its text parts joined, refusals left out."""
        return "".join(part.text for part in self.content if isinstance(part, TextPart) and not part.refusal)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls that the caller is to run."""
        return tuple(part for part in self.content if isinstance(part, ToolCall) and not part.executed)


def _parts(content: str | Part | Iterable[str | Part]) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (TextPart(content),)
    if isinstance(content, Struct):
        return (content,)
    return tuple(TextPart(part) if isinstance(part, str) else part for part in content)


def system(content: str | Part | Iterable[str | Part]) -> Message:
    """Return a system message of text or parts."""
    return Message("system", _parts(content))


def user(content: str | Part | Iterable[str | Part]) -> Message:
    """Return a user message of text or parts."""
    return Message("user", _parts(content))


def assistant(content: str | Part | Iterable[str | Part]) -> Message:
    """Return an assistant message of text or parts, written by the caller (it has no origin)."""
    return Message("assistant", _parts(content))


def tool(results: ToolResult | Iterable[ToolResult]) -> Message:
    """Return a tool message of one or more results."""
    return Message("tool", (results,) if isinstance(results, ToolResult) else tuple(results))
