"""Cerebras. https://inference-docs.cerebras.ai/api-reference/chat-completions"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider
from polyvox.types.models import ModelConfig

PROVIDER = Provider(
    name="cerebras",
    title="Cerebras",
    base_url="https://api.cerebras.ai/v1",
    env=("CEREBRAS_API_KEY",),
    operations={"generate": Endpoint("openai"), "models": Endpoint("openai")},
    quirks={
        "openai": {
            "user_field": "user",
            "system_role": "system",
            "text_content": "string",
            "reasoning_field": "reasoning",
            "custom_tools": False,
        }
    },
    links={"keys": "https://cloud.cerebras.ai", "models": "https://inference-docs.cerebras.ai/models/overview"},
)

MODELS = (ModelConfig(id="gpt-oss-120b", provider="cerebras", efforts=("low", "medium", "high")),)
