"""Azure OpenAI. https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle

The v1 API, with a key. `base_url` is the resource's address, https://RESOURCE.openai.azure.com; the model is the
deployment's name. The dated API and Entra tokens are not spoken yet.
"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, KeyHeader, Provider

PROVIDER = Provider(
    name="azure",
    title="Azure OpenAI",
    base_url=None,
    base_url_env=("AZURE_OPENAI_ENDPOINT",),
    base_path="/openai/v1",
    env=("AZURE_OPENAI_API_KEY",),
    key_header=KeyHeader("api-key", ""),
    operations={"generate": Endpoint("openai")},
    telemetry_name="azure.ai.openai",
    links={
        "keys": "https://portal.azure.com",
        "models": "https://learn.microsoft.com/azure/ai-foundry/openai/concepts/models",
    },
)
