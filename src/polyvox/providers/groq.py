"""Groq. https://console.groq.com/docs/api-reference"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider

PROVIDER = Provider(
    name="groq",
    title="Groq",
    base_url="https://api.groq.com/openai/v1",
    env=("GROQ_API_KEY",),
    operations={"generate": Endpoint("openai")},
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
    links={"keys": "https://console.groq.com/keys", "models": "https://console.groq.com/docs/models"},
)
