"""Hugging Face router. https://huggingface.co/docs/inference-providers

A model is named owner/model there, with `:provider` behind it to choose who serves it.
"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider

PROVIDER = Provider(
    name="huggingface",
    title="Hugging Face router",
    base_url="https://router.huggingface.co/v1",
    env=("HF_TOKEN",),
    operations={"generate": Endpoint("openai"), "models": Endpoint("openai")},
    quirks={
        "openai": {
            "max_tokens_field": "max_tokens",
            "user_field": "user",
            "system_role": "system",
            "custom_tools": False,
        }
    },
    links={
        "keys": "https://huggingface.co/settings/tokens",
        "models": "https://huggingface.co/models?inference_provider=all",
    },
)
