"""Z.ai. https://docs.z.ai/api-reference/llm/chat-completion"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider

PROVIDER = Provider(
    name="zai",
    title="Z.ai",
    base_url="https://api.z.ai/api/paas/v4",
    env=("ZAI_API_KEY",),
    operations={"generate": Endpoint("openai")},
    quirks={
        "openai": {
            "max_tokens_field": "max_tokens",
            "user_field": "user",
            "system_role": "system",
            "reasoning_form": "thinking",
            "reasoning_efforts": (),
            "reasoning_field": "reasoning_content",
            "json_schema": False,
            "custom_tools": False,
        }
    },
    links={"keys": "https://z.ai/manage-apikey/apikey-list", "models": "https://docs.z.ai/guides/overview/overview"},
)
