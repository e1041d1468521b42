"""Perplexity. https://docs.perplexity.ai/docs/agent-api

The Agent API, in the form of Responses: Sonar's Chat Completions ended on 2026-09-27. A model is named vendor/model
there: `perplexity/openai/gpt-5.5`, `perplexity/perplexity/sonar` (or `sonar` alone). What it searched for and found
comes as executed calls and sources; the real cost comes in the usage. A preset is asked for with
`options={"perplexity": {"preset": "fast"}}`: the tools and the rest are then its own, the
model is the one that is named.
"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider
from polyvox.types.models import ModelConfig

PROVIDER = Provider(
    name="perplexity",
    title="Perplexity",
    base_url="https://api.perplexity.ai/v1",
    env=("PERPLEXITY_API_KEY",),
    operations={"generate": Endpoint("openai_responses"), "models": Endpoint("openai")},
    quirks={
        "openai_responses": {
            # A member that it does not know is a 400.
            "settings": {
                **dict.fromkeys(("temperature", "top_p", "logprobs", "parallel_tools", "user"), "drop"),
                **dict.fromkeys(("prompt_cache", "service_tier", "metadata"), "drop"),
                "tool_choice": "refuse",
            },
            "output_field": "response_format",
            "efforts": ("minimal", "low", "medium", "high", "xhigh"),
            "encrypted_reasoning": "never",
            "custom_tools": False,
            "plain_input": True,
        },
        # Sonar's own wire, for whoever still has it, behind a proxy of theirs.
        "openai": {
            "max_tokens_field": "max_tokens",
            "system_role": "system",
            # Usage comes unasked, in every chunk.
            "include_usage": False,
            "mid_system": False,
            "custom_tools": False,
        },
    },
    default_model="perplexity/sonar",
    links={"keys": "https://console.perplexity.ai", "models": "https://docs.perplexity.ai/docs/agent-api/models"},
)

MODELS = (
    ModelConfig(
        id="perplexity/sonar",
        provider="perplexity",
        home=True,
        aliases=("sonar",),
        capabilities=("streaming", "tools", "structured_output"),
    ),
)
