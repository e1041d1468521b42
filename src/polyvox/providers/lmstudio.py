"""LM Studio. https://lmstudio.ai/docs/app/api/endpoints/openai"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider

PROVIDER = Provider(
    name="lmstudio",
    title="LM Studio",
    base_url="http://127.0.0.1:1234/v1",
    base_url_env=("LMSTUDIO_BASE_URL",),
    env=("LMSTUDIO_API_KEY",),
    key="optional",
    operations={"generate": Endpoint("openai"), "models": Endpoint("openai")},
    quirks={
        "openai": {
            "max_tokens_field": "max_tokens",
            "user_field": "user",
            "system_role": "system",
            "settings": {"top_k": "send"},
            "reasoning_field": "reasoning_content",
            "custom_tools": False,
        }
    },
    links={"documentation": "https://lmstudio.ai/docs/app/api/endpoints/openai"},
)
