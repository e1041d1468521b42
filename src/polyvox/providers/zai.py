"""Z.ai. https://docs.z.ai/api-reference/llm/chat-completion"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider
from polyvox.types.models import ModelConfig

PROVIDER = Provider(
    name="zai",
    title="Z.ai",
    base_url="https://api.z.ai/api/paas/v4",
    env=("ZAI_API_KEY",),
    operations={"generate": Endpoint("openai"), "models": Endpoint("openai")},
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
    default_model="glm-5.3",
    links={"keys": "https://z.ai/manage-apikey/apikey-list", "models": "https://docs.z.ai/guides/overview/overview"},
)

_CAPABILITIES = ("streaming", "tools", "reasoning")

MODELS = (
    ModelConfig(id="glm-5.3", provider="zai", home=True, aliases=("glm",), capabilities=_CAPABILITIES),
    ModelConfig(id="glm-5.3-flash", provider="zai", home=True, aliases=("glm-flash",), capabilities=_CAPABILITIES),
)
