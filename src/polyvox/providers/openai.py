"""OpenAI. https://platform.openai.com/docs/api-reference

Models that reason are asked on the Responses wire: only there their reasoning comes back and can be sent again, and
`*-pro` and `*-codex` know no other. The older ones, and models that are not named here, are asked on Chat Completions.
What models that reason refuse and which steps they take: the reasoning guide; when models end: the deprecations page;
both as of 2026-11-21. A model that is not named here has the rows' facts alone.
"""

from __future__ import annotations

from typing import Any

from polyvox.providers.base import Endpoint, Provider
from polyvox.types.models import ModelConfig, ModelKind

PROVIDER = Provider(
    name="openai",
    title="OpenAI",
    base_url="https://api.openai.com/v1",
    base_url_env=("OPENAI_BASE_URL",),
    env=("OPENAI_API_KEY",),
    header_env={"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"},
    operations={"generate": Endpoint("openai"), "models": Endpoint("openai")},
    default_model="gpt-6.1-sol",
    links={
        "keys": "https://platform.openai.com/api-keys",
        "models": "https://platform.openai.com/docs/models",
        "status": "https://status.openai.com",
    },
)

_REASONER = ("streaming", "tools", "parallel_tools", "structured_output", "reasoning")
# https://platform.openai.com/docs/guides/reasoning: which steps each generation takes.
_FIRST = ("minimal", "low", "medium", "high")
_SWITCHED = ("none", "low", "medium", "high")
_WIDE = ("none", "low", "medium", "high", "xhigh")
_WIDEST = ("none", "low", "medium", "high", "xhigh", "max")
_ALWAYS = ("low", "medium", "high", "xhigh", "max")
# Refused by models that reason; the first ones taken where reasoning can be turned off, and is.
_SAMPLING: dict[str, str] = dict.fromkeys(("temperature", "top_p", "logprobs"), "drop")
_NEVER: dict[str, str] = dict.fromkeys(("presence_penalty", "frequency_penalty", "stop"), "drop")


def _reasoner(
    name: str,
    efforts: tuple[str, ...],
    *aliases: str,
    retires: str | None = None,
    successor: str | None = None,
    **facts: Any,
) -> ModelConfig:
    return ModelConfig(
        id=name,
        provider="openai",
        home=True,
        aliases=aliases,
        dialect="openai_responses",
        input_modalities=("text", "image", "file"),
        capabilities=_REASONER,
        efforts=efforts,
        settings=_NEVER if "none" in efforts else {**_SAMPLING, **_NEVER},
        thinking_settings=_SAMPLING if "none" in efforts else {},
        # They reason unasked, too.
        quirks={"encrypted_reasoning": "always"},
        retires=retires,
        successor=successor,
        **facts,
    )


def _ending(name: str, retires: str, successor: str | None, *, kind: ModelKind = "language") -> ModelConfig:
    """Say of a generated row when it ends: https://platform.openai.com/docs/deprecations."""
    tools = ("parallel_tools",) if kind == "language" else ()
    return ModelConfig(
        id=name, provider="openai", home=True, kind=kind, capabilities=tools, retires=retires, successor=successor
    )


# What all models of the newest generations share; the tables do not know it yet.
_NEW: dict[str, Any] = {"context_tokens": 1_050_000, "output_tokens": 128_000}

MODELS = (
    _reasoner("gpt-6.2-sol", _ALWAYS, **_NEW),
    _reasoner("gpt-6.1-sol", _ALWAYS, "gpt", "gpt-sol", **_NEW),
    _reasoner("gpt-6.1-terra", _ALWAYS, "gpt-terra", **_NEW),
    _reasoner("gpt-6-astra", _WIDEST, "gpt-astra", **_NEW),
    _reasoner("gpt-6-sol", _WIDEST, **_NEW),
    _reasoner("gpt-6-luna", _WIDEST, "gpt-luna", **_NEW),
    _reasoner("gpt-5.6-sol", _WIDEST, "gpt-5.6", **_NEW),
    _reasoner("gpt-5.6-terra", _WIDEST, **_NEW),
    _reasoner("gpt-5.6-luna", _WIDEST, **_NEW),
    _reasoner("gpt-5.5", _WIDE),
    _reasoner("gpt-5.5-pro", ("medium", "high", "xhigh")),
    _reasoner("gpt-5.4", _WIDE),
    _reasoner("gpt-5.4-mini", _WIDE, "gpt-mini"),
    _reasoner("gpt-5.4-nano", _WIDE, "gpt-nano", retires="2027-04-01"),
    _reasoner("gpt-5.4-pro", ("medium", "high", "xhigh")),
    _reasoner("gpt-5.3-codex", ("low", "medium", "high", "xhigh"), retires="2027-04-01"),
    _reasoner("gpt-5.3-codex-spark", ("low", "medium", "high", "xhigh")),
    _reasoner("gpt-5.2", _WIDE),
    _reasoner("gpt-5.2-pro", ("medium", "high", "xhigh")),
    _reasoner("gpt-5.1", _SWITCHED, retires="2027-04-01"),
    _reasoner("gpt-5", _FIRST, retires="2026-12-11", successor="gpt-5.6-sol"),
    _reasoner("gpt-5-mini", _FIRST, retires="2026-12-11", successor="gpt-5.6-terra"),
    _reasoner("gpt-5-nano", _FIRST, retires="2026-12-11", successor="gpt-5.6-luna"),
    _reasoner("gpt-5-pro", ("high",), retires="2026-12-11", successor="gpt-5.6-sol"),
    _reasoner("o3", ("low", "medium", "high"), retires="2026-12-11", successor="gpt-5.6-sol"),
    _reasoner("o3-pro", ("low", "medium", "high"), retires="2026-12-11", successor="gpt-5.6-sol"),
    _ending("gpt-4.1", "2027-01-14", "gpt-6-luna"),
    _ending("gpt-4.1-mini", "2027-01-14", "gpt-6-luna"),
    _ending("gpt-4o", "2027-01-14", "gpt-6-luna"),
    _ending("gpt-4o-mini", "2027-01-14", "gpt-6-luna"),
    ModelConfig(
        id="gpt-audio",
        provider="openai",
        home=True,
        input_modalities=("text", "audio"),
        output_modalities=("text", "audio"),
        capabilities=("streaming", "tools"),
        settings={"reasoning": "drop"},
        retires="2027-01-20",
    ),
    _ending("gpt-image-1.5", "2026-12-01", "gpt-image-2.5-sunburst", kind="image"),
    _ending("gpt-image-1-mini", "2026-12-01", "gpt-image-2.5-flare", kind="image"),
    _ending("chatgpt-image-latest", "2026-12-01", "gpt-image-2.5-sunburst", kind="image"),
    _ending("tts-1", "2027-01-06", None, kind="speech"),
    _ending("tts-1-hd", "2027-01-06", None, kind="speech"),
    _ending("gpt-4o-mini-tts", "2027-01-06", None, kind="speech"),
    _ending("whisper-1", "2027-02-26", "gpt-transcribe", kind="transcription"),
    _ending("gpt-4o-transcribe", "2027-02-26", "gpt-transcribe", kind="transcription"),
    _ending("gpt-4o-mini-transcribe", "2027-02-26", "gpt-transcribe", kind="transcription"),
)
