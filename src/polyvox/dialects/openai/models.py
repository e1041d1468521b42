"""The list of models of the OpenAI wires, `GET /models`, and what the services that speak it tell in it beyond OpenAI.

OpenAI itself tells an id, a day and an owner. The rest is each service's own, read here by its words alone:
OpenRouter (https://openrouter.ai/docs/api-reference/list-available-models), Mistral
(https://docs.mistral.ai/api/endpoint/models), Groq (https://console.groq.com/docs/api-reference), Together, whose list
is bare (https://docs.together.ai/reference/models), Fireworks, Moonshot, Azure, the Hugging Face router, Perplexity,
vLLM, LM Studio and llama.cpp (https://github.com/ggml-org/llama.cpp/tree/master/tools/server).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from polyvox.dialects import _listing as listing
from polyvox.dialects._listing import Row
from polyvox.dialects.base import ModelsCodec, WireRequest
from polyvox.dialects.openai.errors import error_of
from polyvox.types.models import ListedModel, ModelKind, Price

_CONTEXT: Final = ("context_length", "context_window", "max_context_length", "max_model_len")
_OUTPUT: Final = ("max_completion_tokens", "max_output_tokens")

_KINDS: Final[Mapping[str, ModelKind]] = {
    **dict.fromkeys(("chat", "language", "code", "llm", "vlm"), "language"),
    **dict.fromkeys(("embedding", "embeddings"), "embedder"),
    "image": "image",
    "speech": "speech",
    **dict.fromkeys(("transcribe", "transcription"), "transcription"),
}
"""What `type` says of a model: Together, LM Studio."""

_FLAGS: Final = {
    "function_calling": "tools",
    "reasoning": "reasoning",
    "supports_tools": "tools",
    "supports_structured_output": "structured_output",
    "supports_reasoning": "reasoning",
}
"""In `capabilities` (Mistral), in the row itself (Fireworks, Moonshot), in each host (Hugging Face)."""

_INPUT_FLAGS: Final = {
    "vision": "image",
    "audio": "audio",
    "supports_image_input": "image",
    "supports_image_in": "image",
    "supports_video_in": "video",
}

_PARAMETERS: Final = {
    "tools": "tools",
    "parallel_tool_calls": "parallel_tools",
    "structured_outputs": "structured_output",
    "reasoning": "reasoning",
}
"""OpenRouter's `supported_parameters`: it is the whole list, so that what it leaves out, the model lacks."""

_WORDS: Final = {"tool_use": "tools", "tools": "tools", "reasoning": "reasoning"}
"""Where `capabilities` is a list: LM Studio's."""

_MILLION: Final = 1_000_000


def encode_models(quirks: Any, page: str | None) -> WireRequest:
    """Ask for the list. It has no pages: https://platform.openai.com/docs/api-reference/models/list."""
    return WireRequest("GET", "/models")


def decode_models(body: bytes) -> tuple[list[ListedModel], str | None]:
    """Read the list. Raises `DecodeError` where there is none, a `ProviderError` where an error stands instead."""
    rows, around = listing.decode_rows(body, "data", error_of)
    beside = {str(row.get("name")): row for row in around.get("models") or () if isinstance(row, dict)}
    # A row without an id cannot be asked for.
    return [_decode(row, beside.get(str(row["id"]), {})) for row in rows if isinstance(row.get("id"), str)], None


def _decode(row: Row, beside: Row) -> ListedModel:
    """Read a row; `beside`: what llama.cpp says of the same model in Ollama's words."""
    name = row.pop("id")
    row.pop("object", None)
    has, lacks = _capabilities(row)
    inputs, outputs = _modalities(row, beside)
    title = listing.take_text(row, "display_name", "name")
    if beside:
        row["beside"] = beside
    return ListedModel(
        id=name,
        title=None if title == name else title,
        kind=_kind(row, beside),
        aliases=_aliases(row, name),
        context_tokens=_context(row),
        output_tokens=listing.take_whole(row, *_OUTPUT)
        or listing.whole(_object(row, "top_provider").get("max_completion_tokens")),
        input_modalities=inputs,
        output_modalities=outputs,
        capabilities=has,
        lacks=lacks,
        efforts=_efforts(row),
        price=_price(_object(row, "pricing")),
        created=listing.take_date(row, "created", "created_at"),
        retires=listing.take_date(row, "deprecation", "expiration_date")
        or listing.date_of(_object(row, "deprecation").get("inference")),
        owner=listing.take_text(row, "owned_by", "organization", "publisher"),
        meta=row,
    )


def _object(row: Row, member: str) -> Row:
    value = row.get(member)
    return value if isinstance(value, dict) else {}


def _objects(row: Row, member: str) -> list[Row]:
    value = row.get(member)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _aliases(row: Row, name: str) -> tuple[str, ...]:
    return tuple(alias for alias in listing.texts(row.get("aliases")) if alias != name)


def _context(row: Row) -> int | None:
    told = listing.take_whole(row, *_CONTEXT)
    if told is not None:
        return told
    # llama.cpp: what it was started with, else what the model was trained for.
    started = _object(row, "meta")
    told = listing.whole(started.get("n_ctx")) or listing.whole(started.get("n_ctx_train"))
    if told is not None:
        return told
    # The Hugging Face router: the most that one of the model's hosts offers.
    return (
        max((listing.whole(host.get("context_length")) or 0 for host in _objects(row, "providers")), default=0) or None
    )


def _capabilities(row: Row) -> tuple[tuple[str, ...], tuple[str, ...]]:
    said = row.get("capabilities")
    if isinstance(said, list):
        return tuple(sorted({_WORDS[word] for word in listing.texts(said) if word in _WORDS})), ()
    parameters = row.get("supported_parameters")
    if isinstance(parameters, list):
        told = {word: name in parameters for name, word in _PARAMETERS.items()}
        return tuple(sorted(w for w in told if told[w])), tuple(sorted(w for w in told if not told[w]))
    hosts = _objects(row, "providers")
    if hosts:
        # A model can what one of its hosts can.
        by_host = [listing.flagged(host, _FLAGS) for host in hosts]
        has = {word for found, _ in by_host for word in found}
        return tuple(sorted(has)), tuple(sorted({word for _, denied in by_host for word in denied} - has))
    return listing.flagged({**row, **_object(row, "capabilities")}, _FLAGS)


def _modalities(row: Row, beside: Row) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    architecture = _object(row, "architecture") or row
    inputs = listing.modalities(architecture.get("input_modalities"))
    outputs = listing.modalities(architecture.get("output_modalities"))
    if inputs is None:
        flags = {**row, **_object(row, "capabilities")}
        told = {flag: word for flag, word in _INPUT_FLAGS.items() if isinstance(flags.get(flag), bool)}
        seen = [word for flag, word in told.items() if flags[flag]]
        inputs = listing.modalities(["text", *seen]) if told else None
    if inputs is None and row.get("type") == "vlm":
        inputs = ("text", "image")
    return inputs, outputs


def _kind(row: Row, beside: Row) -> ModelKind | None:
    said = row.get("type")
    if isinstance(said, str) and said in _KINDS:
        return _KINDS[said]
    can = _object(row, "capabilities")
    if can.get("completion_chat") or can.get("chat_completion"):
        return "language"
    if can.get("embeddings"):
        return "embedder"
    if can.get("audio_transcription"):
        return "transcription"
    outputs = listing.texts(_object(row, "architecture").get("output_modalities"))
    if "embeddings" in outputs:
        return "embedder"
    if "text" in outputs or "completion" in listing.texts(beside.get("capabilities")):
        return "language"
    return None


def _efforts(row: Row) -> tuple[str, ...] | None:
    said = _object(row, "reasoning").get("supported_efforts")
    return listing.efforts(listing.texts(said)) or None


def _price(pricing: Row) -> Price | None:
    """Read a price, where the row says in which unit it is."""
    if "prompt" in pricing:
        # OpenRouter: decimal texts, US dollars a token.
        return _rates(pricing, ("prompt", "completion", "input_cache_read", "input_cache_write"), _MILLION)
    if pricing.get("unit") == "usd_per_1m_tokens":
        return _rates(pricing, ("input", "output", "cache_read", "cache_write"), 1)
    if "hourly" in pricing:
        # Together: US dollars a million tokens, beside those of an hour of a machine of one's own.
        return _rates(pricing, ("input", "output", "cached_input", ""), 1)
    return None


def _rates(pricing: Row, words: tuple[str, str, str, str], times: int) -> Price | None:
    into, out, read, write = (listing.dollars(pricing.get(word), times) for word in words)
    return None if into is None and out is None else Price(input=into, output=out, cache_read=read, cache_write=write)


MODELS: Final = ModelsCodec(encode_models=encode_models, decode_models=decode_models)
