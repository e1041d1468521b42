"""Anthropic. https://docs.anthropic.com/en/api/overview

What each model takes is the table of https://docs.anthropic.com/en/docs/about-claude/models and of the migration guides
there, as of 2026-11-21. A model that the table does not name has the strictest rules of its generation.
"""

from __future__ import annotations

from typing import Any

from polyvox.providers.base import Endpoint, KeyHeader, Provider
from polyvox.types.models import ModelConfig

PROVIDER = Provider(
    name="anthropic",
    title="Anthropic",
    base_url="https://api.anthropic.com",
    base_url_env=("ANTHROPIC_BASE_URL",),
    env=("ANTHROPIC_API_KEY",),
    key_header=KeyHeader("x-api-key", ""),
    header_env={"anthropic-workspace-id": "ANTHROPIC_WORKSPACE_ID"},
    operations={"generate": Endpoint("anthropic"), "models": Endpoint("anthropic")},
    # The wire demands a limit. Where none is published for a model, what every model since 4.5 can answer.
    quirks={"anthropic": {"default_max_tokens": 64_000}},
    default_model="claude-sonnet-5-5",
    links={
        "keys": "https://console.anthropic.com/settings/keys",
        "models": "https://docs.anthropic.com/en/docs/about-claude/models",
        "status": "https://status.anthropic.com",
    },
)

_LADDER = ("low", "medium", "high", "xhigh", "max")
_NO_SAMPLING = {"temperature": "drop", "top_p": "drop", "top_k": "drop"}

# Since 5.1: always thinking, and nothing forced.
_ALWAYS: dict[str, Any] = {"thinking": ("adaptive",), "display": "summarized", "prefill": False}
_UNFORCED: dict[str, Any] = {**_ALWAYS, "forced_tool": "refuse"}
# On by default, off when told so; no budgets.
_SWITCHED: dict[str, Any] = {**_ALWAYS, "thinking": ("adaptive", "disabled")}
# Off unless told so, and no system messages amid the others.
_OLD: dict[str, Any] = {"prefill": False, "mid_system": False}
_ADAPTIVE: dict[str, Any] = {**_OLD, "thinking": ("adaptive", "disabled"), "display": "summarized"}
_BUDGETED: dict[str, Any] = {**_OLD, "exclusive_sampling": True, "forced_tool": "send_without_thinking"}
_OLDEST: dict[str, Any] = {**_BUDGETED, "thinking": ("enabled", "disabled"), "prefill": True}


def _language(
    name: str,
    quirks: dict[str, Any],
    *aliases: str,
    efforts: tuple[str, ...] = _LADDER,
    sampling: bool = False,
    output: int | None = None,
    retires: str | None = None,
    successor: str | None = None,
) -> ModelConfig:
    return ModelConfig(
        id=name,
        provider="anthropic",
        home=True,
        aliases=aliases,
        output_tokens=output,
        input_modalities=("text", "image", "file"),
        capabilities=("streaming", "tools", "parallel_tools", "structured_output", "reasoning"),
        efforts=efforts,
        settings={} if sampling else _NO_SAMPLING,
        quirks=quirks,
        retires=retires,
        successor=successor,
    )


MODELS = (
    _language("claude-fable-5-2", _UNFORCED, "fable", "claude-fable", "claude-fable-5.2"),
    _language("claude-fable-5-1", _UNFORCED, "claude-fable-5.1", output=128_000),
    _language("claude-fable-5", _ALWAYS),
    _language("claude-mythos-5-2", _UNFORCED, "mythos", "claude-mythos", "claude-mythos-5.2"),
    _language("claude-mythos-5-1", _UNFORCED, "claude-mythos-5.1"),
    _language("claude-mythos-5", _ALWAYS),
    _language("claude-opus-5-5", _UNFORCED, "opus", "claude-opus", "claude-opus-5.5", output=128_000),
    _language(
        "claude-sonnet-5-5",
        {**_UNFORCED, "thinking": ("adaptive", "between_tools")},
        "claude",
        "sonnet",
        "claude-sonnet",
        "claude-sonnet-5.5",
        output=128_000,
    ),
    _language("claude-haiku-5-5", _SWITCHED, "haiku", "claude-haiku", "claude-haiku-5.5", output=128_000),
    _language("claude-opus-5", _SWITCHED, output=128_000),
    _language("claude-sonnet-5", _SWITCHED),
    _language("claude-opus-4-8", _ADAPTIVE, "claude-opus-4.8"),
    _language("claude-opus-4-7", _ADAPTIVE, "claude-opus-4.7", output=128_000),
    _language(
        "claude-opus-4-6",
        {**_BUDGETED, "thinking": ("adaptive", "enabled", "disabled")},
        "claude-opus-4.6",
        efforts=("low", "medium", "high", "max"),
        sampling=True,
        output=128_000,
    ),
    _language(
        "claude-sonnet-4-6",
        {**_BUDGETED, "thinking": ("adaptive", "enabled", "disabled")},
        "claude-sonnet-4.6",
        efforts=("low", "medium", "high"),
        sampling=True,
        output=64_000,
    ),
    _language("claude-haiku-4-5", _OLDEST, "claude-haiku-4.5", efforts=(), sampling=True, output=64_000),
    _language("claude-haiku-4-5-20251001", _OLDEST, efforts=(), sampling=True, output=64_000),
    _language("claude-opus-4-5", _OLDEST, "claude-opus-4.5", efforts=(), sampling=True, output=64_000),
    _language("claude-opus-4-5-20251101", _OLDEST, efforts=(), sampling=True, output=64_000),
    _language(
        "claude-sonnet-4-5",
        _OLDEST,
        "claude-sonnet-4.5",
        efforts=(),
        sampling=True,
        output=64_000,
        retires="2026-11-30",
        successor="claude-sonnet-5-5",
    ),
    _language(
        "claude-sonnet-4-5-20250929",
        _OLDEST,
        efforts=(),
        sampling=True,
        output=64_000,
        retires="2026-11-30",
        successor="claude-sonnet-5-5",
    ),
)
