"""xAI. https://docs.x.ai/docs/api-reference"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider

PROVIDER = Provider(
    name="xai",
    title="xAI",
    base_url="https://api.x.ai/v1",
    env=("XAI_API_KEY",),
    operations={"generate": Endpoint("openai")},
    quirks={
        "openai": {
            "system_role": "system",
            "reasoning_efforts": ("none", "low", "medium", "high", "xhigh"),
            "reasoning_field": "reasoning_content",
            "custom_tools": False,
        }
    },
    telemetry_name="x_ai",
    links={"keys": "https://console.x.ai", "models": "https://docs.x.ai/docs/models"},
)
