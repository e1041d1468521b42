"""Together. https://docs.together.ai/reference/chat-completions"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider

PROVIDER = Provider(
    name="together",
    title="Together",
    base_url="https://api.together.ai/v1",
    env=("TOGETHER_API_KEY",),
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
    links={
        "keys": "https://api.together.ai/settings/api-keys",
        "models": "https://docs.together.ai/docs/serverless-models",
    },
)
