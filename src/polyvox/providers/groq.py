"""Groq. https://console.groq.com/docs/api-reference"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider
from polyvox.types.models import ModelConfig

PROVIDER = Provider(
    name="groq",
    title="Groq",
    base_url="https://api.groq.com/openai/v1",
    env=("GROQ_API_KEY",),
    operations={"generate": Endpoint("openai"), "models": Endpoint("openai")},
    quirks={
        "openai": {
            "user_field": "user",
            "system_role": "system",
            # Accepted and ignored, or not there at all: https://console.groq.com/docs/openai
            "settings": {
                "presence_penalty": "drop",
                "frequency_penalty": "drop",
                "logprobs": "drop",
                "metadata": "drop",
                "n": "refuse",
            },
            "reasoning_efforts": ("none", "low", "medium", "high"),
            "reasoning_field": "reasoning",
            "custom_tools": False,
        }
    },
    default_model="openai/gpt-oss-120b",
    links={"keys": "https://console.groq.com/keys", "models": "https://console.groq.com/docs/models"},
)

# https://console.groq.com/docs/reasoning: the steps are those of each model. Compound takes none, and Qwen 3 can only
# be told to leave off.
_EFFORTS: dict[str, tuple[str, ...]] = {
    "openai/gpt-oss-120b": ("low", "medium", "high"),
    "openai/gpt-oss-20b": ("low", "medium", "high"),
    "qwen/qwen3.8-27b": ("low", "medium", "high"),
    "qwen/qwen3-32b": ("none",),
    "groq/compound": (),
    "groq/compound-mini": (),
}

MODELS = tuple(
    ModelConfig(id=name, provider="groq", home=name.startswith("groq/"), efforts=efforts)
    for name, efforts in _EFFORTS.items()
)
