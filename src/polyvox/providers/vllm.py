"""vLLM. https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider

PROVIDER = Provider(
    name="vllm",
    title="vLLM",
    base_url="http://127.0.0.1:8000/v1",
    base_url_env=("VLLM_BASE_URL",),
    env=("VLLM_API_KEY",),
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
    links={"documentation": "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html"},
)
