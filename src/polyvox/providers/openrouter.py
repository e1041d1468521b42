"""OpenRouter. https://openrouter.ai/docs/api-reference/overview

A model is named vendor/model there: `openrouter/anthropic/claude-sonnet-5.5`. The real cost comes in the usage. What a
model's host does not take, the service drops in silence, unless told otherwise:
`options={"openrouter": {"provider": {"require_parameters": True}}}`.
"""

from __future__ import annotations

from polyvox.providers.base import Endpoint, Provider

PROVIDER = Provider(
    name="openrouter",
    title="OpenRouter",
    base_url="https://openrouter.ai/api/v1",
    base_url_env=("OPENROUTER_BASE_URL",),
    env=("OPENROUTER_API_KEY",),
    # Who asks, for its rankings.
    header_env={"HTTP-Referer": "OPENROUTER_HTTP_REFERER", "X-OpenRouter-Title": "OPENROUTER_APP_NAME"},
    operations={"generate": Endpoint("openai"), "models": Endpoint("openai")},
    quirks={
        "openai": {
            "max_tokens_field": "max_tokens",
            "user_field": "user",
            "settings": {"top_k": "send", "n": "refuse"},
            # Full usage always comes, in the last chunk; asking for it is deprecated.
            "include_usage": False,
            "reasoning_form": "reasoning",
            # The array goes back unchanged and in order.
            "reasoning_field": "reasoning_details",
            "tool_result_parts": True,
            "file_urls": "file_data",
            "audio_formats": ("wav", "mp3", "flac", "ogg", "m4a", "aac", "aiff", "pcm16"),
        },
        "openai_responses": {
            "user_field": "user",
            "settings": {"top_k": "send", "presence_penalty": "send", "frequency_penalty": "send"},
            "budgets": True,
            "input_audio": True,
        },
    },
    links={"keys": "https://openrouter.ai/settings/keys", "models": "https://openrouter.ai/models"},
)
