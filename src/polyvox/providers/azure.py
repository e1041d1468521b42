"""Azure OpenAI. https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle

The v1 API, with a key. `base_url` is the resource's address, https://RESOURCE.openai.azure.com or
https://RESOURCE.services.ai.azure.com; the model is the deployment's name. A deployment that bears the name of OpenAI's
model has that model's facts; for another, say what it is: `[models."azure/NAME"]` in polyvox.toml. All are asked on
Chat Completions but those that know only Responses. The dated API and Entra tokens are not spoken yet.
"""

from __future__ import annotations

from msgspec import structs

from polyvox.providers.base import Endpoint, KeyHeader, Provider
from polyvox.providers.openai import MODELS as _OPENAI

PROVIDER = Provider(
    name="azure",
    title="Azure OpenAI",
    base_url=None,
    base_url_env=("AZURE_OPENAI_ENDPOINT",),
    base_path="/openai/v1",
    env=("AZURE_OPENAI_API_KEY",),
    key_header=KeyHeader("api-key", ""),
    operations={"generate": Endpoint("openai"), "models": Endpoint("openai")},
    telemetry_name="azure.ai.openai",
    links={
        "keys": "https://portal.azure.com",
        "models": "https://learn.microsoft.com/azure/ai-foundry/openai/concepts/models",
    },
)

_OTHER_WIRE = {row.id for row in _OPENAI if "-pro" in row.id or "-codex" in row.id}

# When a deployment ends, Azure says itself.
MODELS = tuple(
    structs.replace(
        row,
        provider="azure",
        home=False,
        aliases=(),
        dialect=row.dialect if row.id in _OTHER_WIRE else None,
        quirks=row.quirks if row.id in _OTHER_WIRE else {},
        retires=None,
        successor=None,
    )
    for row in _OPENAI
    if row.efforts is not None
)
