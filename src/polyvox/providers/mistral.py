"""Mistral. https://docs.mistral.ai/api"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider
from polyvox.types.models import ModelConfig

PROVIDER = Provider(
    name="mistral",
    title="Mistral",
    base_url="https://api.mistral.ai/v1",
    env=("MISTRAL_API_KEY",),
    operations={"generate": Endpoint("openai"), "models": Endpoint("openai")},
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
    default_model="mistral-large-4",
    links={"keys": "https://console.mistral.ai/api-keys", "models": "https://docs.mistral.ai/getting-started/models"},
)

_CAPABILITIES = ("streaming", "tools", "parallel_tools", "structured_output")


def _language(name: str, *aliases: str) -> ModelConfig:
    return ModelConfig(id=name, provider="mistral", home=True, aliases=aliases, capabilities=_CAPABILITIES)


MODELS = (
    _language("mistral-large-4", "mistral", "mistral-large"),
    _language("mistral-medium-3-5", "mistral-medium"),
    _language("mistral-small-2603", "mistral-small"),
    _language("codestral-2508", "codestral"),
)
