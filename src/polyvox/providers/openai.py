"""OpenAI. https://platform.openai.com/docs/api-reference"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider
from polyvox.types.models import ModelConfig

PROVIDER = Provider(
    name="openai",
    title="OpenAI",
    base_url="https://api.openai.com/v1",
    base_url_env=("OPENAI_BASE_URL",),
    env=("OPENAI_API_KEY",),
    header_env={"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"},
    operations={"generate": Endpoint("openai")},
    default_model="gpt-5.5",
    links={
        "keys": "https://platform.openai.com/api-keys",
        "models": "https://platform.openai.com/docs/models",
        "status": "https://status.openai.com",
    },
)

_LADDER = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_CAPABILITIES = ("streaming", "tools", "parallel_tools", "structured_output", "reasoning")


def _language(name: str, *aliases: str) -> ModelConfig:
    return ModelConfig(
        id=name,
        provider="openai",
        home=True,
        aliases=aliases,
        input_modalities=("text", "image", "file"),
        capabilities=_CAPABILITIES,
        efforts=_LADDER,
    )


MODELS = (
    _language("gpt-6.1-sol"),
    _language("gpt-6.1-terra"),
    _language("gpt-6-astra"),
    _language("gpt-6-sol"),
    _language("gpt-6-luna"),
    _language("gpt-5.6-sol"),
    _language("gpt-5.6-terra"),
    _language("gpt-5.6-luna"),
    _language("gpt-5.5", "gpt"),
    _language("gpt-5.4"),
    _language("gpt-5.4-mini", "gpt-mini"),
    _language("gpt-5.4-nano"),
    _language("gpt-5.2"),
    _language("gpt-5.1"),
    _language("gpt-5"),
)
