"""Ollama: a server of one's own, and ollama.com. https://docs.ollama.com/api/introduction

Which models think, and how they are told to: https://docs.ollama.com/capabilities/thinking, as of 2026-11-21. A model
that is not named here is asked to think by a switch, as most are.
"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, HostVariable, Provider
from polyvox.types.models import ModelConfig

PROVIDER = Provider(
    name="ollama",
    title="Ollama",
    base_url="http://127.0.0.1:11434",
    base_url_env=("OLLAMA_HOST",),
    # https://docs.ollama.com/faq: a host alone is enough. What is said in full (https://ollama.com) is taken as it is.
    host_variable=HostVariable(11434, https=("ollama.com",)),
    # For ollama.com, and for servers behind a proxy that asks for one. https://docs.ollama.com/api/authentication
    env=("OLLAMA_API_KEY",),
    key="optional",
    operations={"generate": Endpoint("ollama"), "models": Endpoint("ollama")},
    # What it speaks beside its own wire. https://docs.ollama.com/api/openai-compatibility, …/anthropic-compatibility
    paths={"openai": "/v1/chat/completions", "openai_responses": "/v1/responses"},
    quirks={
        "openai": {
            "max_tokens_field": "max_tokens",
            "user_field": "user",
            "system_role": "system",
            "reasoning_field": "reasoning",
            "custom_tools": False,
        },
        "openai_responses": {"full_answers": True, "custom_tools": False, "encrypted_reasoning": "never"},
    },
    # The wire has no word for a tool that must be called, but it can hold an answer to a schema.
    emulate=("forced_tool",),
    advice={
        "ConnectError": "is Ollama running? `ollama serve` starts it; OLLAMA_HOST says where it is",
        "NotFoundError": "a model must be fetched first: `ollama pull {model}`; and the base URL goes without /v1",
    },
    links={
        "documentation": "https://docs.ollama.com/api/introduction",
        "keys": "https://ollama.com/settings/keys",
        "models": "https://ollama.com/search",
    },
)


def _leveled(name: str) -> ModelConfig:
    """Return the row of a model that always thinks, and is told how hard."""
    return ModelConfig(
        id=name,
        provider="ollama",
        context_tokens=131_072,
        capabilities=("streaming", "tools", "structured_output", "reasoning"),
        efforts=("low", "medium", "high"),
    )


MODELS = tuple(
    _leveled(name)
    for name in (
        "gpt-oss",
        "gpt-oss:latest",
        "gpt-oss:20b",
        "gpt-oss:120b",
        "gpt-oss:20b-cloud",
        "gpt-oss:120b-cloud",
    )
)
