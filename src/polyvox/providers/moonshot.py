"""Moonshot AI. https://platform.moonshot.ai/docs/api/chat"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider
from polyvox.types.models import ModelConfig

PROVIDER = Provider(
    name="moonshot",
    title="Moonshot AI",
    base_url="https://api.moonshot.ai/v1",
    env=("MOONSHOT_API_KEY",),
    operations={"generate": Endpoint("openai"), "models": Endpoint("openai")},
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
    default_model="kimi-k3.1-pro",
    links={
        "keys": "https://platform.moonshot.ai/console/api-keys",
        "models": "https://platform.moonshot.ai/docs/pricing/chat",
    },
)

_CAPABILITIES = ("streaming", "tools", "reasoning")

MODELS = (
    ModelConfig(id="kimi-k3.1-pro", provider="moonshot", home=True, aliases=("kimi",), capabilities=_CAPABILITIES),
    ModelConfig(id="kimi-k3", provider="moonshot", home=True, capabilities=_CAPABILITIES),
)
