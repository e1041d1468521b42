"""Moonshot AI. https://platform.moonshot.ai/docs/api/chat"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider

PROVIDER = Provider(
    name="moonshot",
    title="Moonshot AI",
    base_url="https://api.moonshot.ai/v1",
    env=("MOONSHOT_API_KEY",),
    operations={"generate": Endpoint("openai")},
    quirks={
        "openai": {
            "max_tokens_field": "max_tokens",
            "user_field": "user",
            "system_role": "system",
            "reasoning_form": "thinking",
            "reasoning_efforts": (),
            "reasoning_field": "reasoning_content",
            "custom_tools": False,
        }
    },
    links={
        "keys": "https://platform.moonshot.ai/console/api-keys",
        "models": "https://platform.moonshot.ai/docs/pricing/chat",
    },
)
