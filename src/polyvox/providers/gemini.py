"""Google's Gemini, by its Developer API. https://ai.google.dev/gemini-api/docs

What each model takes: the thinking guide, the pages on what is new in each model, and the table of deprecations there,
as of 2026-11-21. A model that is not named here thinks by level, as all since Gemini 3 do.
"""

from __future__ import annotations

from typing import Any

from polyvox.providers.base import Endpoint, KeyHeader, Provider
from polyvox.types.models import ModelConfig

PROVIDER = Provider(
    name="gemini",
    title="Google Gemini",
    base_url="https://generativelanguage.googleapis.com",
    base_url_env=("GOOGLE_GEMINI_BASE_URL",),
    env=("GOOGLE_API_KEY", "GEMINI_API_KEY"),  # where both are set, the first counts, as in the official SDK
    key_header=KeyHeader("x-goog-api-key", ""),
    operations={"generate": Endpoint("gemini"), "models": Endpoint("gemini")},
    quirks={
        "gemini": {
            "thinking": ("level",),
            "efforts": ("low", "medium", "high"),
            "include_thoughts": True,
            # https://ai.google.dev/gemini-api/docs/thought-signatures: for calls that another model made.
            "dummy_signature": "skip_thought_signature_validator",
            "call_ids": "always",
            "server_tool_parts": True,
            # Only Vertex takes them.
            "file_names": False,
        }
    },
    telemetry_name="gcp.gemini",
    default_model="gemini-3.8-flash",
    links={
        "keys": "https://aistudio.google.com/apikey",
        "models": "https://ai.google.dev/gemini-api/docs/models",
        "status": "https://aistudio.google.com/status",
    },
)

_CAPABILITIES = ("streaming", "tools", "parallel_tools", "structured_output", "reasoning", "prompt_cache")
_INPUT = ("text", "image", "audio", "video", "file")
_LEVELS = ("low", "medium", "high")
_ALL_LEVELS = ("minimal", *_LEVELS)

# Several answers at once ended with Gemini 2.5.
_ONE_ANSWER = {"n": "refuse"}
# Since 3.6 Flash and 3.5 Flash-Lite these are fixed: what is sent is not heeded, or refused.
_NO_SAMPLING = {**_ONE_ANSWER, "temperature": "drop", "top_p": "drop", "top_k": "drop"}

# Since 3.6 Flash and 3.5 Flash-Lite: a conversation ends with the user.
_NEW: dict[str, Any] = {"prefill": False}
_THREE: dict[str, Any] = {"call_ids": "given"}
_TWO: dict[str, Any] = {
    "thinking": ("budget",),
    "dummy_signature": None,
    "call_ids": "given",
    "server_tool_parts": False,
    "result_files": False,
    "output_beside_tools": False,
}


def _language(
    name: str,
    quirks: dict[str, Any],
    *aliases: str,
    efforts: tuple[str, ...] | None = _LEVELS,
    sampling: bool = False,
    retires: str | None = None,
    successor: str | None = None,
) -> ModelConfig:
    return ModelConfig(
        id=name,
        provider="gemini",
        home=True,
        aliases=aliases,
        context_tokens=1_048_576,
        output_tokens=65_536,
        input_modalities=_INPUT,
        capabilities=_CAPABILITIES,
        efforts=efforts,
        settings=_ONE_ANSWER if sampling else _NO_SAMPLING,
        quirks=quirks,
        retires=retires,
        successor=successor,
    )


def _old(
    name: str, budget: tuple[int, int], *, off: bool, retires: str | None = None, successor: str | None = None
) -> ModelConfig:
    return ModelConfig(
        id=name,
        provider="gemini",
        home=True,
        input_modalities=_INPUT,
        capabilities=_CAPABILITIES,
        quirks={**_TWO, "budget": budget, "thinking_off": off},
        retires=retires,
        successor=successor,
    )


def _painter(name: str, *aliases: str, efforts: tuple[str, ...] | None = None) -> ModelConfig:
    """Return a model that answers with pictures. One without levels thinks as much as it likes."""
    return ModelConfig(
        id=name,
        provider="gemini",
        home=True,
        aliases=aliases,
        input_modalities=("text", "image"),
        output_modalities=("text", "image"),
        capabilities=("streaming",) if efforts is None else ("streaming", "reasoning"),
        efforts=efforts,
        settings=_ONE_ANSWER if efforts is not None else {**_ONE_ANSWER, "reasoning": "drop"},
    )


def _gemma(name: str, *aliases: str) -> ModelConfig:
    """Return a Gemma: it thinks as little or as much as it can, and knows no signatures."""
    return ModelConfig(
        id=name,
        provider="gemini",
        home=True,
        aliases=aliases,
        efforts=("minimal", "high"),
        quirks={"dummy_signature": None, "call_ids": "given", "server_tool_parts": False, "result_files": False},
    )


MODELS = (
    _language("gemini-4-argon", _NEW, "gemini-argon"),
    _language("gemini-3.8-flash", _NEW, "gemini", "gemini-flash"),
    _language("gemini-3.7-flash", _NEW, successor="gemini-3.8-flash"),
    _language("gemini-3.6-flash", _NEW, efforts=_ALL_LEVELS),
    _language("gemini-3.5-flash", _NEW, efforts=_ALL_LEVELS, successor="gemini-3.6-flash"),
    _language("gemini-3.5-flash-lite", _NEW, "gemini-flash-lite", efforts=_ALL_LEVELS),
    _language("gemini-flash-latest", _NEW),
    _language("gemini-flash-lite-latest", _NEW),
    _language("gemini-3.1-pro-preview", _THREE, "gemini-pro", "gemini-3.1-pro", sampling=True),
    _language("gemini-3.1-pro-preview-customtools", _THREE, sampling=True),
    _language("gemini-3.1-flash-lite", _THREE, efforts=_ALL_LEVELS, sampling=True, retires="2027-05-07"),
    _language("gemini-3-flash-preview", _THREE, efforts=_ALL_LEVELS, sampling=True),
    _old("gemini-2.5-pro", (128, 32_768), off=False, retires="2026-12-01", successor="gemini-3.8-flash"),
    _old("gemini-2.5-flash", (1, 24_576), off=True, retires="2026-12-01", successor="gemini-3.5-flash-lite"),
    _old("gemini-2.5-flash-lite", (512, 24_576), off=True),
    _painter("gemini-3-pro-image"),
    _painter("gemini-3.1-flash-image", efforts=("minimal", "high")),
    _painter("gemini-3.1-flash-lite-image"),
    _painter("gemini-nano-banana-2.1", "nano-banana"),
    _gemma("gemma-4-31b-it", "gemma"),
    _gemma("gemma-4-26b-a4b-it"),
)
