"""The embedded default: SmolLM2-135M-Instruct, in process, with no key and no network.

`polyvox local install` fetches the model file once; `POLYVOX_LOCAL_MODEL` names another GGUF.
"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider
from polyvox.types.models import ModelConfig, Price

PROVIDER = Provider(
    name="local",
    title="Local model",
    base_url="local://model",
    key="none",
    io="local",
    operations={"generate": Endpoint("openai")},
    quirks={
        "openai": {
            "max_tokens_field": "max_tokens",
            "system_role": "system",
            "custom_tools": False,
            # What llama.cpp would pass over in silence.
            "settings": {
                "top_k": "send",
                "reasoning": "drop",
                "prompt_cache": "drop",
                "user": "drop",
                "service_tier": "drop",
                "metadata": "drop",
                "n": "refuse",
                "modalities": "refuse",
                "audio": "refuse",
            },
        }
    },
    # The chat template's own system message yields nonsense, and llama.cpp cannot force a call by name.
    emulate=("default_system", "forced_tool"),
    default_model="smollm2-135m",
    links={"model": "https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct"},
)

MODELS = (
    ModelConfig(
        id="smollm2-135m",
        provider="local",
        home=True,
        aliases=("smollm2", "local"),
        context_tokens=4096,
        # Its chat template passes over tools in silence.
        emulate=("tools_as_text",),
        capabilities=("streaming", "tools", "structured_output"),
        price=Price(input=0.0, output=0.0, source="local", date="2026-11-21"),
    ),
)
