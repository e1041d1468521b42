"""llama.cpp server. https://github.com/ggml-org/llama.cpp/tree/master/tools/server"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider

PROVIDER = Provider(
    name="llamacpp",
    title="llama.cpp server",
    base_url="http://127.0.0.1:8080/v1",
    base_url_env=("LLAMACPP_BASE_URL",),
    env=("LLAMACPP_API_KEY",),
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
        },
        "openai_responses": {"full_answers": True, "custom_tools": False, "encrypted_reasoning": "never"},
    },
    links={"documentation": "https://github.com/ggml-org/llama.cpp/tree/master/tools/server"},
)
