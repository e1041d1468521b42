"""The knobs of the Anthropic wire: what models differ in, and what services that speak it want said otherwise.

The rule: a provider's page and a model's row set these as data; the codec reads them and never asks who is there. The
defaults send everything that the wire has. https://docs.anthropic.com/en/api/messages, as of 2026-11-21.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from polyvox.dialects.base import Fate

ThinkingType = Literal["adaptive", "enabled", "disabled", "between_tools"]


class AnthropicQuirks(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How a model or a service deviates from the plain Messages wire."""

    # The envelope

    version: str = "2026-10-21"
    """The `anthropic-version` header. From 2026-10-21 on, sampling settings, documents in assistant messages and
    citations in user messages are answered with 400."""

    sampling_version: str = "2023-06-01"
    """The version said instead where a sampling setting is sent (old models only: new ones take none at all)."""

    version_in: Literal["header", "body"] = "header"
    """`body`: as `anthropic_version` (and `anthropic_beta`), and the model is named by the path. Bedrock, Vertex."""

    betas: tuple[str, ...] = ()
    """Values of the `anthropic-beta` header. A call adds to them with `options={"anthropic": {"betas": […]}}`."""

    extra_body: dict[str, Any] = field(default_factory=dict)
    """Members added to every body that does not have them."""

    # Settings

    settings: dict[str, Fate] = field(default_factory=dict)
    """The fate of a setting by its unified name: `send` it, `drop` it with an adjustment, or `refuse` it with an
    `UnsupportedError`. Claude since Opus 4.7 takes no `temperature`, `top_p` and `top_k`. What the wire itself has no
    word for (`seed`, the penalties, `logprobs`, `audio`) is dropped; `n` above 1 is refused."""

    on_unsupported: Literal["drop", "error"] = "drop"
    """What becomes of a setting whose fate is `drop`: dropped, or, where the caller says so, an `UnsupportedError`."""

    default_max_tokens: int | None = None
    """`max_tokens` where the caller gave none: the wire demands one. `None`: 8,192, named in an adjustment."""

    exclusive_sampling: bool = False
    """Not both `temperature` and `top_p` (Claude 4.6 and older): the latter is dropped."""

    # Reasoning

    thinking: tuple[ThinkingType, ...] = ("adaptive", "enabled", "disabled", "between_tools")
    """The types of `thinking` that the model takes. `enabled` is the one with a budget. Without `disabled` the least
    that can be asked for is `between_tools`, or adaptive thinking at low effort."""

    efforts: tuple[str, ...] = ("low", "medium", "high", "xhigh", "max")
    """The steps `output_config.effort` takes; another is clamped to the nearest. `()`: the model knows none."""

    display: Literal["summarized", "omitted"] | None = None
    """What to show of the thinking that was asked for. The newest models show nothing unless told (NEEDED)."""

    reasoning_history: Literal["omit", "text"] = "omit"
    """What becomes of reasoning of another origin: left out (with an adjustment), or sent as text."""

    # Messages and tools

    mid_system: bool = True
    """Whether system messages may stand among the others. If not, later ones are sent as user text."""

    prefill: bool = True
    """Whether a conversation may end in the beginning of an answer (up to Claude 4.5)."""

    forced_tool: Literal["send", "send_without_thinking", "refuse"] = "send"
    """Whether the model can be made to call a tool. `send_without_thinking`: only with thinking off, so that is what is
    sent (4.6 and older). `refuse`: Opus 5.5, Sonnet 5.5, Fable 5.1."""
