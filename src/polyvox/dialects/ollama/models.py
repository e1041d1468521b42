"""The models of an Ollama server: `GET /api/tags` lists them, `POST /api/show` tells the facts of each.

https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import structs

from polyvox.dialects import _listing as listing
from polyvox.dialects._listing import Row
from polyvox.dialects.base import ModelsCodec, WireRequest
from polyvox.dialects.ollama.errors import error_of
from polyvox.framing import json
from polyvox.types.models import ListedModel, ModelKind

_CAPABILITIES: Final = {"tools": "tools", "thinking": "reasoning"}
_INPUTS: Final = {"vision": "image", "audio": "audio"}

_LEFT_OUT: Final = frozenset({"license", "modelfile", "template", "tensors"})
"""Long texts and tables about the file, not facts about the model: they do not go into `meta`."""


def encode_models(quirks: Any, page: str | None) -> WireRequest:
    """Ask for the list. It has no pages."""
    return WireRequest("GET", "/api/tags")


def decode_models(body: bytes) -> tuple[list[ListedModel], str | None]:
    """Read the list. Raises `DecodeError` where there is none, a `ProviderError` where an error stands instead."""
    rows, _ = listing.decode_rows(body, "models", error_of)
    return [_decode(row) for row in rows if isinstance(row.get("model") or row.get("name"), str)], None


def _decode(row: Row) -> ListedModel:
    name = row.pop("model", None) or row["name"]
    row.pop("name", None)
    return ListedModel(id=name, meta=row)


def encode_model(quirks: Any, model: str) -> WireRequest:
    """Ask for the facts of one model."""
    headers = {"Content-Type": "application/json"}
    return WireRequest("POST", "/api/show", json.encode({"model": model}), headers=headers)


def decode_model(body: bytes, model: ListedModel) -> ListedModel:
    """Return `model` with its facts. Its `meta` has all of them but the texts of license, template and model file.

    Raises `DecodeError` where the body is no object.
    """
    facts: Row = json.decode(body, dict[str, Any])
    about = facts.get("model_info")
    about = about if isinstance(about, dict) else {}
    can = facts.get("capabilities")
    told = listing.texts(can)
    # A server from before 2025-04 does not say what its models can.
    says = isinstance(can, list)
    inputs = [word for capability, word in _INPUTS.items() if capability in told]
    kind = _kind(told)
    return structs.replace(
        model,
        kind=kind,
        context_tokens=listing.whole(about.get(f"{about.get('general.architecture')}.context_length")),
        input_modalities=listing.modalities(["text", *inputs]) if says else None,
        output_modalities=("text",) if kind == "language" else None,
        capabilities=tuple(sorted(word for capability, word in _CAPABILITIES.items() if capability in told)),
        lacks=tuple(sorted(word for capability, word in _CAPABILITIES.items() if says and capability not in told)),
        meta={**model.meta, **{name: fact for name, fact in facts.items() if name not in _LEFT_OUT}},
    )


def _kind(told: tuple[str, ...]) -> ModelKind | None:
    if "completion" in told:
        return "language"
    return "embedder" if "embedding" in told else None


MODELS: Final = ModelsCodec(
    encode_models=encode_models, decode_models=decode_models, encode_model=encode_model, decode_model=decode_model
)
