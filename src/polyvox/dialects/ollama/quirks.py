"""The knobs of the Ollama wire: what models and servers that speak it differ in.

The rule: a provider's page and a model's row set these as data; the codec reads them and never asks who is there. The
defaults send everything that the wire has. https://docs.ollama.com/api/chat, as of 2026-11-21.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from polyvox.dialects.base import Fate


class OllamaQuirks(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How a model or a server deviates from the plain `/api/chat`."""

    # Settings

    settings: dict[str, Fate] = field(default_factory=dict)
    """The fate of a setting by its unified name: `send` it, `drop` it with an adjustment, or `refuse` it with an
    `UnsupportedError`. What the wire has no word for (`user`, `metadata`, `service_tier`, `prompt_cache`, `audio`,
    `parallel_tools` off) is dropped; `n` above 1 and a tool that must be called are refused, unless this says
    `drop`."""

    on_unsupported: Literal["drop", "error"] = "drop"
    """What becomes of a setting whose fate is `drop`: dropped, or, where the caller says so, an `UnsupportedError`."""

    num_ctx: int | None = None
    """The context to load the model with, in tokens (`options.num_ctx`). `None`: the server's own, which is small
    where memory is: it cuts longer prompts without a word. https://docs.ollama.com/context-length"""

    extra_options: dict[str, Any] = field(default_factory=dict)
    """Members added to the `options` of every body that does not have them (`{"num_gpu": 0}`)."""

    extra_body: dict[str, Any] = field(default_factory=dict)
    """Members added to every body that does not have them (`{"keep_alive": "30m"}`)."""

    # Reasoning

    efforts: tuple[str, ...] | None = None
    """The words that `think` takes (gpt-oss: `low`, `medium`, `high`); another is clamped to the nearest. `None`: only
    true and false, as most models have it. `()`: the model does not think."""

    reasoning_history: Literal["omit", "text"] = "omit"
    """What becomes of reasoning of another origin: left out (with an adjustment), or sent as text."""

    # Messages

    tool_call_ids: bool = True
    """Whether calls and results bear the ids that calls came with. Older servers have no place for them and pass them
    over. Ids that were made here are never sent."""
