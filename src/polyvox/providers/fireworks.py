"""Fireworks. https://docs.fireworks.ai/api-reference/post-chatcompletions"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider

PROVIDER = Provider(
    name="fireworks",
    title="Fireworks",
    base_url="https://api.fireworks.ai/inference/v1",
    env=("FIREWORKS_API_KEY",),
    operations={"generate": Endpoint("openai"), "models": Endpoint("openai")},
    quirks={
        "openai": {
            "max_tokens_field": "max_tokens",
            "user_field": "user",
            "system_role": "system",
            "settings": {"top_k": "send"},
            "custom_tools": False,
        }
    },
    links={"keys": "https://app.fireworks.ai/settings/users/api-keys", "models": "https://fireworks.ai/models"},
)
