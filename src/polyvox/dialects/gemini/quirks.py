"""The knobs of the Gemini wire: what models differ in, and what services that speak it want said otherwise.

The rule: a provider's page and a model's row set these as data; the codec reads them and never asks who is there. The
defaults send everything that the wire has. https://ai.google.dev/api/generate-content, as of 2026-11-21.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from polyvox.dialects.base import Fate


class GeminiQuirks(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How a model or a service deviates from the plain `generateContent` wire."""

    # The address

    version: str = "v1beta"
    """The API version in the path: `v1`, `v1beta`, `v1alpha`; at Vertex `v1`, `v1beta1`. Much of this wire (thinking
    levels, server tools, JSON schemas) is documented for `v1beta` first. https://ai.google.dev/gemini-api/docs/api-versions"""

    path: str = "/{version}/models/{model}:{verb}"
    """Where a model is asked. `{model}` is its id, less a leading `models/`; a service with other paths says so."""

    alt: Literal["sse", "json"] = "sse"
    """How a stream is to come: as events (`alt=sse`), or as one JSON array (the endpoint's framing is then `json`)."""

    extra_body: dict[str, Any] = field(default_factory=dict)
    """Members added to every body that does not have them."""

    # Settings

    settings: dict[str, Fate] = field(default_factory=dict)
    """The fate of a setting by its unified name: `send` it, `drop` it with an adjustment, or `refuse` it with an
    `UnsupportedError`. What the wire itself has no word for (`user`, `prompt_cache`) is dropped."""

    on_unsupported: Literal["drop", "error"] = "drop"
    """What becomes of a setting whose fate is `drop`: dropped, or, where the caller says so, an `UnsupportedError`."""

    # Reasoning

    thinking: tuple[Literal["level", "budget"], ...] = ("level", "budget")
    """How the model is told how hard to think: by `thinkingLevel` (Gemini 3 and later), by `thinkingBudget` (2.5). Both
    in one request are a 400. `()`: it does not think."""

    efforts: tuple[str, ...] = ("minimal", "low", "medium", "high", "xhigh")
    """The levels that the model takes; another step is clamped to the nearest."""

    budget: tuple[int, int] = (1, 32768)
    """The least and the largest budget. https://ai.google.dev/gemini-api/docs/thinking#set-budget"""

    thinking_off: bool = True
    """Whether thinking can be turned off, by a budget of 0."""

    include_thoughts: bool = False
    """Ask for summaries of the thoughts where reasoning was asked for (NEEDED): they are not shown unless told."""

    reasoning_history: Literal["omit", "text"] = "omit"
    """What becomes of reasoning of another origin: left out (with an adjustment), or sent as text."""

    dummy_signature: str | None = None
    """The signature for a function call that has none, being another model's: Gemini 3 and later answer 400 to a call
    without (`skip_thought_signature_validator`). https://ai.google.dev/gemini-api/docs/thought-signatures"""

    # Messages and tools

    call_ids: Literal["given", "always", "never"] = "given"
    """Which calls and results bear ids: those that came with one, all of them (Gemini 3.5 and later want one on each
    result), or none."""

    prefill: bool = True
    """Whether a conversation may end in the beginning of an answer (up to Gemini 3.5 Flash)."""

    output_beside_tools: bool = True
    """Whether the model can be held to a form (`output`) while it is offered tools (Gemini 3 and later)."""

    server_tool_parts: bool = False
    """Say `includeServerSideToolInvocations` where functions stand beside the provider's own tools (NEEDED): Gemini 3
    and later take both together only so. https://ai.google.dev/gemini-api/docs/tool-combination"""

    result_files: bool = True
    """Whether a function's response can hold pictures and files (Gemini 3 and later). If not, they follow the results
    in the same turn."""

    file_names: bool = True
    """Whether files may bear names (`displayName`): Vertex takes them, the Developer API does not."""

    files_url: str = "https://generativelanguage.googleapis.com/v1beta/"
    """What is put before a file's id (`files/abc`) to make its address."""
