"""xAI. https://docs.x.ai/docs/api-reference"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider
from polyvox.types.models import ModelConfig

PROVIDER = Provider(
    name="xai",
    title="xAI",
    base_url="https://api.x.ai/v1",
    env=("XAI_API_KEY",),
    operations={"generate": Endpoint("openai")},
    quirks={
        "openai": {
            "system_role": "system",
            "reasoning_efforts": ("none", "low", "medium", "high", "xhigh"),
            "reasoning_field": "reasoning_content",
            "custom_tools": False,
        }
    },
    telemetry_name="x_ai",
    default_model="grok-4.7",
    links={"keys": "https://console.x.ai", "models": "https://docs.x.ai/docs/models"},
)

# Refused by models that reason: https://docs.x.ai/docs/guides/reasoning
_NO_STOP = dict.fromkeys(("presence_penalty", "frequency_penalty", "stop"), "drop")


def _reasoner(name: str, *aliases: str) -> ModelConfig:
    return ModelConfig(
        id=name,
        provider="xai",
        home=True,
        aliases=aliases,
        input_modalities=("text", "image"),
        capabilities=("streaming", "tools", "parallel_tools", "structured_output", "reasoning"),
        settings=_NO_STOP,
    )


MODELS = (
    _reasoner("grok-4.7", "grok"),
    _reasoner("grok-4.6"),
    _reasoner("grok-4.5"),
    _reasoner("grok-4.3"),
)
