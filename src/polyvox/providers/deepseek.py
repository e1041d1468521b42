"""DeepSeek. https://api-docs.deepseek.com

Thinking is on by default. Prices double at peak hours, Monday to Friday 01:00 to 04:00 and 06:00 to 10:00 UTC; Chinese
holidays have none, and are not known here: a cost on such a day is an upper bound.
"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider
from polyvox.types.models import ModelConfig

PROVIDER = Provider(
    name="deepseek",
    title="DeepSeek",
    base_url="https://api.deepseek.com",
    env=("DEEPSEEK_API_KEY",),
    operations={"generate": Endpoint("openai"), "models": Endpoint("openai")},
    quirks={
        "openai": {
            "max_tokens_field": "max_tokens",
            "user_field": "user",
            "system_role": "system",
            "settings": {"n": "refuse", "seed": "refuse", "parallel_tools": "drop"},
            # Taken and ignored: https://api-docs.deepseek.com/guides/thinking_mode
            "thinking_settings": dict.fromkeys(("temperature", "presence_penalty", "frequency_penalty"), "drop"),
            "reasoning_form": "thinking",
            "reasoning_efforts": ("low", "high", "max"),
            "reasoning_field": "reasoning_content",
            # A turn with tool calls is refused without its reasoning, an empty one included.
            "reasoning_required": True,
            "text_content": "string",
            "json_schema": False,
            "custom_tools": False,
        }
    },
    default_model="deepseek-flash",
    links={
        "keys": "https://platform.deepseek.com/api_keys",
        "models": "https://api-docs.deepseek.com/quick_start/pricing",
    },
)

_CAPABILITIES = ("streaming", "tools", "parallel_tools", "reasoning")

MODELS = (
    ModelConfig(
        id="deepseek-flash",
        provider="deepseek",
        home=True,
        aliases=("deepseek",),
        context_tokens=1_000_000,
        output_tokens=384_000,
        input_modalities=("text", "image"),
        capabilities=_CAPABILITIES,
        efforts=("none", "low", "high", "max"),
    ),
    ModelConfig(
        id="deepseek-v4-pro",
        provider="deepseek",
        home=True,
        context_tokens=1_000_000,
        output_tokens=384_000,
        capabilities=_CAPABILITIES,
        efforts=("none", "low", "high", "max"),
    ),
)
