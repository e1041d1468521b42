"""Any server that speaks OpenAI's Chat Completions at an address of one's own (vLLM, llama.cpp, LM Studio, a proxy).

A name in the configuration that no page bears, and that has a `base_url`, is such a provider too.
"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider

PROVIDER = Provider(
    name="openai_compatible",
    title="OpenAI-compatible server",
    base_url=None,
    base_url_env=("OPENAI_COMPATIBLE_BASE_URL",),
    env=("OPENAI_COMPATIBLE_API_KEY",),
    key="optional",
    operations={"generate": Endpoint("openai"), "models": Endpoint("openai")},
    # The servers of this kind all know the old name; not all know the new one.
    quirks={"openai": {"max_tokens_field": "max_tokens", "user_field": "user"}},
    links={"wire": "https://platform.openai.com/docs/api-reference/chat"},
)
