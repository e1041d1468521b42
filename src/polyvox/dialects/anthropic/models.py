"""The list of models of the Anthropic wire: `GET /v1/models`, in pages.

https://docs.anthropic.com/en/api/models-list
"""

from __future__ import annotations

from typing import Any, Final

from polyvox.dialects import _listing as listing
from polyvox.dialects._listing import Row
from polyvox.dialects.anthropic.errors import error_of
from polyvox.dialects.anthropic.quirks import AnthropicQuirks
from polyvox.dialects.base import ModelsCodec, WireRequest
from polyvox.types.models import ListedModel

_PAGE_SIZE: Final = "1000"
"""The most that is given at once; unsaid, it is 20."""

_CAPABILITIES: Final = {"batch": "batch", "structured_outputs": "structured_output", "thinking": "reasoning"}


def encode_models(quirks: AnthropicQuirks, page: str | None) -> WireRequest:
    """Ask for the models that follow the one of the id `page`, the newest first."""
    query = {"limit": _PAGE_SIZE} if page is None else {"limit": _PAGE_SIZE, "after_id": page}
    return WireRequest("GET", "/v1/models", headers={"anthropic-version": quirks.version}, query=query)


def decode_models(body: bytes) -> tuple[list[ListedModel], str | None]:
    """Read a page. Raises `DecodeError` where there is no list, a `ProviderError` where an error stands instead."""
    rows, around = listing.decode_rows(body, "data", error_of)
    last = around.get("last_id")
    more = around.get("has_more") is True and isinstance(last, str)
    return [_decode(row) for row in rows if isinstance(row.get("id"), str)], last if more else None


def _decode(row: Row) -> ListedModel:
    name = row.pop("id")
    row.pop("type", None)
    can = _facts(row.get("capabilities"))
    told = {word: _supported(can.get(word)) for word in can}
    has, lacks = listing.flagged(told, _CAPABILITIES)
    inputs = [word for word, told_by in (("image", "image_input"), ("file", "pdf_input")) if told.get(told_by)]
    steps = [step for step, fact in _facts(can.get("effort")).items() if _supported(fact)]
    return ListedModel(
        id=name,
        title=listing.take_text(row, "display_name"),
        # Nothing else is to be had on this wire.
        kind="language",
        context_tokens=listing.take_whole(row, "max_input_tokens"),
        output_tokens=listing.take_whole(row, "max_tokens"),
        input_modalities=listing.modalities(["text", *inputs]) if can else None,
        output_modalities=("text",) if can else None,
        capabilities=has,
        lacks=lacks,
        efforts=listing.efforts(steps) if "effort" in can else None,
        created=listing.take_date(row, "created_at", "created"),
        retires=listing.take_date(row, "retires_at"),
        owner=listing.take_text(row, "owned_by"),
        meta=row,
    )


def _facts(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _supported(fact: object) -> bool | None:
    told = _facts(fact).get("supported")
    return told if isinstance(told, bool) else None


MODELS: Final = ModelsCodec(encode_models=encode_models, decode_models=decode_models)
