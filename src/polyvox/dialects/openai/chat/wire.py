"""What we read of the wire: whole answers and chunks of streams.

The rule: only the fields that are used, each with a default, lenient where services differ (a content may be text, null
or Mistral's list; arguments may be an object). Unknown members are ignored here; what is kept of them stands in `meta`.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Function(Struct):
    """A function's name and its arguments: text, or an object where a service forgets to write it as text."""

    name: str | None = None
    arguments: Any = None


class Custom(Struct):
    """A custom tool's name and its free text."""

    name: str | None = None
    input: str | None = None


class ToolCall(Struct):
    """A call, or a piece of one."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: Function | None = None
    custom: Custom | None = None
    extra_content: Any = None


class Audio(Struct):
    """A spoken answer, or a piece of one."""

    id: str | None = None
    data: str | None = None
    transcript: str | None = None
    expires_at: Any = None


class Message(Struct):
    """A message, or a delta of one: they have the same members."""

    content: Any = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[Any] | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: Function | None = None
    audio: Audio | None = None
    annotations: list[Any] | None = None
    images: list[Any] | None = None
    executed_tools: list[Any] | None = None
    thought_signature: Any = None
    extra_content: Any = None
    provider_metadata: Any = None


class Choice(Struct):
    """One answer of several. A stream has `delta`, a whole answer `message`; Perplexity's streams have both."""

    index: int = 0
    delta: Message | None = None
    message: Message | None = None
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None
    error: Any = None
    native_finish_reason: str | None = None
    content_filter_results: Any = None
    stop_reason: Any = None


class Chunk(Struct):
    """A whole answer, or one frame of a stream. `choices` may be empty, null or absent in any frame."""

    id: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    object: str | None = None
    created: int | float | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    provider: str | None = None
    x_groq: dict[str, Any] | None = None
    prompt_filter_results: Any = None
    citations: list[Any] | None = None
    search_results: list[Any] | None = None
    moderation: Any = None
    timings: Any = None
    time_info: Any = None
    latency_checkpoint: Any = None
    related_questions: Any = None


ENVELOPE = (
    "created",
    "system_fingerprint",
    "service_tier",
    "provider",
    "prompt_filter_results",
    "moderation",
    "timings",
    "time_info",
    "latency_checkpoint",
    "related_questions",
)
"""Members of the envelope that are kept in the answer's meta."""

CHOICE = ("native_finish_reason", "content_filter_results", "stop_reason")
"""Members of a choice that are kept in the answer's meta."""

MESSAGE = ("thought_signature", "extra_content", "provider_metadata")
"""Members of a message that are kept in the answer's meta."""
