"""DashScope. https://www.alibabacloud.com/help/en/model-studio/use-qwen-by-calling-api

The OpenAI-compatible mode, at the international address. Keys are per region: a mainland key needs `base_url`
https://dashscope.aliyuncs.com/compatible-mode/v1.
"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider
from polyvox.types.models import ModelConfig

PROVIDER = Provider(
    name="dashscope",
    title="DashScope",
    base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    base_url_env=("DASHSCOPE_BASE_URL",),
    env=("DASHSCOPE_API_KEY",),
    operations={"generate": Endpoint("openai")},
    quirks={
        "openai": {
            "max_tokens_field": "max_tokens",
            "user_field": "user",
            "system_role": "system",
            "settings": {"top_k": "send", "user": "drop"},
            "reasoning_form": "enable_thinking",
            "reasoning_field": "reasoning_content",
            "custom_tools": False,
        }
    },
    default_model="qwen3.6-plus",
    links={
        "keys": "https://modelstudio.console.alibabacloud.com",
        "models": "https://www.alibabacloud.com/help/en/model-studio/models",
    },
)

MODELS = (
    ModelConfig(id="qwen3.6-plus", provider="dashscope", home=True, aliases=("qwen",)),
    ModelConfig(id="qwen3-coder-plus", provider="dashscope", home=True, aliases=("qwen-coder",)),
)
