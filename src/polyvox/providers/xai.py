"""xAI. https://docs.x.ai/docs/api-reference

Responses is its main wire, and the models that are named here are asked on it: only there does their reasoning travel.
Chat Completions, which is marked deprecated, is asked for with `dialect="openai"`. Searching is done by hosted tools
(`web_search`, `x_search`) on Responses; `search_parameters` is gone.
"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider
from polyvox.types.models import ModelConfig

PROVIDER = Provider(
    name="xai",
    title="xAI",
    base_url="https://api.x.ai/v1",
    env=("XAI_API_KEY",),
    operations={"generate": Endpoint("openai"), "models": Endpoint("openai")},
    quirks={
        "openai": {
            "system_role": "system",
            "reasoning_efforts": ("none", "low", "medium", "high", "xhigh"),
            "reasoning_field": "reasoning_content",
            "custom_tools": False,
        },
        "openai_responses": {
            "settings": {"metadata": "drop", "prompt_cache": "drop"},
            "efforts": ("none", "low", "medium", "high", "xhigh"),
            "custom_tools": False,
        },
    },
    telemetry_name="x_ai",
    default_model="grok-4.7",
    links={"keys": "https://console.x.ai", "models": "https://docs.x.ai/docs/models"},
)

# Refused by models that reason: https://docs.x.ai/docs/guides/reasoning
_NO_STOP: dict[str, str] = dict.fromkeys(("presence_penalty", "frequency_penalty", "stop"), "drop")


# https://docs.x.ai/developers/model-capabilities/text/reasoning: which steps each one takes.
_STEPS = ("low", "medium", "high")
_WIDE = (*_STEPS, "xhigh")


def _reasoner(name: str, efforts: tuple[str, ...], *aliases: str) -> ModelConfig:
    return ModelConfig(
        id=name,
        provider="xai",
        home=True,
        aliases=aliases,
        dialect="openai_responses",
        input_modalities=("text", "image"),
        capabilities=("streaming", "tools", "parallel_tools", "structured_output", "reasoning"),
        efforts=efforts,
        settings=_NO_STOP,
        # They reason unasked, too.
        quirks={"encrypted_reasoning": "always"},
    )


MODELS = (
    _reasoner("grok-4.7", _WIDE, "grok"),
    _reasoner("grok-4.6", _WIDE),
    _reasoner("grok-4.5", _STEPS),
    _reasoner("grok-4.3", ("none", *_STEPS)),
    # These always reason, as much as they like.
    _reasoner("grok-4.20-0309-reasoning", ()),
    _reasoner("grok-build-0.1", ()),
)
