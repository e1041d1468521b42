"""Mistral. https://docs.mistral.ai/api"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider

PROVIDER = Provider(
    name="mistral",
    title="Mistral",
    base_url="https://api.mistral.ai/v1",
    env=("MISTRAL_API_KEY",),
    operations={"generate": Endpoint("openai")},
    quirks={
        "openai": {
            "max_tokens_field": "max_tokens",
            "system_role": "system",
            "settings": {"top_k": "send", "user": "drop"},
            "rename": {"seed": "random_seed"},
            # Usage comes unasked; the member that asks for it is refused.
            "include_usage": False,
            "reasoning_field": "thinking",
            "tool_call_ids": "alnum9",
            "tool_result_parts": True,
            "file_urls": "document_url",
            "custom_tools": False,
        }
    },
    telemetry_name="mistral_ai",
    links={"keys": "https://console.mistral.ai/api-keys", "models": "https://docs.mistral.ai/getting-started/models"},
)
