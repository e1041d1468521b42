"""The list of models of the Gemini wire: `GET /v1beta/models`, in pages.

https://ai.google.dev/api/models
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from polyvox.dialects import _listing as listing
from polyvox.dialects._listing import Row
from polyvox.dialects.base import ModelsCodec, WireRequest
from polyvox.dialects.gemini.errors import error_of
from polyvox.dialects.gemini.quirks import GeminiQuirks
from polyvox.types.models import ListedModel, ModelKind

_PAGE_SIZE: Final = "1000"
"""The most that is given at once; unsaid, it is 50."""

_METHODS: Final = {
    "streamGenerateContent": "streaming",
    "createCachedContent": "prompt_cache",
    "batchGenerateContent": "batch",
}
"""What a method of `supportedGenerationMethods` means to us. What it leaves out need not be lacking: the list names no
method to stream by, though all that generate content do stream."""


def encode_models(quirks: GeminiQuirks, page: str | None) -> WireRequest:
    """Ask for a page of the list."""
    query = {"pageSize": _PAGE_SIZE} if page is None else {"pageSize": _PAGE_SIZE, "pageToken": page}
    return WireRequest("GET", f"/{quirks.version}/models", query=query)


def decode_models(body: bytes) -> tuple[list[ListedModel], str | None]:
    """Read a page. Raises `DecodeError` where there is no list, a `ProviderError` where an error stands instead."""
    # Beyond the last model there is a page without any: `{}`.
    rows, around = listing.decode_rows(body, "models", error_of, absent=True)
    page = around.get("nextPageToken")
    models = [_decode(row) for row in rows if isinstance(row.get("name"), str)]
    return models, page if isinstance(page, str) and page else None


def _decode(row: Row) -> ListedModel:
    name = row.pop("name").removeprefix("models/")
    methods = listing.texts(row.get("supportedGenerationMethods"))
    thinks, dull = listing.flagged(row, {"thinking": "reasoning"})
    row.pop("thinking", None)
    return ListedModel(
        id=name,
        title=listing.take_text(row, "displayName"),
        kind=_kind(methods),
        context_tokens=listing.take_whole(row, "inputTokenLimit"),
        output_tokens=listing.take_whole(row, "outputTokenLimit"),
        capabilities=tuple(sorted({*thinks, *(_METHODS[method] for method in methods if method in _METHODS)})),
        lacks=dull,
        meta=row,
    )


def _kind(methods: Collection[str]) -> ModelKind | None:
    """Tell what a model makes, where its methods do: pictures and speech, too, are generated as content."""
    return "embedder" if "embedContent" in methods and "generateContent" not in methods else None


MODELS: Final = ModelsCodec(encode_models=encode_models, decode_models=decode_models)
