"""The list of a provider's models: all its pages, the facts of each model, and our registry's rows beside them.

The rule: the provider's word comes first, and what is ours is named as ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import structs

from polyvox.calls.simple import Line
from polyvox.dialects.base import ModelsCodec
from polyvox.errors import DecodeError, ProviderError, UnsupportedError
from polyvox.io.base import Context
from polyvox.types.models import ListedModel, ModelConfig

FindRow = Callable[[str], ModelConfig | None]
"""Our row of the model of that id, `None` where there is none."""

_FACTS: Final = (
    "kind",
    "context_tokens",
    "output_tokens",
    "input_modalities",
    "output_modalities",
    "efforts",
    "price",
    "retires",
)
"""What our row says where the provider does not."""


async def list_models(context: Context, line: Line, find_row: FindRow, *, today: str) -> tuple[ListedModel, ...]:
    """Return the models in the provider's order. `today`, YYYY-MM-DD, is the date of the prices that it tells.

    Raises what `Line.ask` raises, `UnsupportedError` where the wire has no list, `DecodeError` for a body that is none.
    """
    target = line.target
    codec = target.dialect.models
    if codec is None:
        raise UnsupportedError(f"the wire {target.dialect.name} has no list of models", provider=target.provider)
    try:
        models = await _pages(context, line, codec)
        if codec.encode_model is not None:
            models = [await _with_facts(context, line, codec, model) for model in models]
    except DecodeError as error:
        error.provider = error.provider or target.provider
        raise
    return tuple(_joined(model, find_row(model.id), target.provider, today) for model in models)


async def _pages(context: Context, line: Line, codec: ModelsCodec) -> list[ListedModel]:
    found: dict[str, ListedModel] = {}
    seen: set[str] = set()
    page: str | None = None
    while True:
        reply = await line.ask(context, codec.encode_models(line.target.quirks, page))
        models, page = codec.decode_models(reply.body)
        for model in models:
            # A list that changes while it is read may tell a model twice.
            found.setdefault(model.id, model)
        if page is None:
            return list(found.values())
        if page in seen:
            raise DecodeError(f"the list of models leads round in a circle: page {page!r} comes again")
        seen.add(page)


async def _with_facts(context: Context, line: Line, codec: ModelsCodec, model: ListedModel) -> ListedModel:
    """Ask for the facts of one model. One of which there are none (it went meanwhile, it is broken) stays listed."""
    assert codec.encode_model is not None and codec.decode_model is not None
    try:
        reply = await line.ask(context, codec.encode_model(line.target.quirks, model.id))
    except ProviderError as error:
        return structs.replace(model, meta={**model.meta, "error": error.message})
    return codec.decode_model(reply.body, model)


def _joined(model: ListedModel, row: ModelConfig | None, provider: str, today: str) -> ListedModel:
    changes: dict[str, Any] = {"provider": provider}
    if model.price is not None:
        changes["price"] = structs.replace(model.price, source=f"{provider}'s list of models", date=today)
    if row is None:
        return structs.replace(model, **changes)
    ours: list[str] = []
    for name in _FACTS:
        said = getattr(row, name)
        if getattr(model, name) is None and said is not None:
            changes[name] = said
            ours.append(name)
    if row.aliases:
        more = _beside(row.aliases, (model.id, *model.aliases))
        changes["aliases"] = (*model.aliases, *more)
        ours += ["aliases"] if more else []
    added = _beside(row.capabilities, (*model.capabilities, *model.lacks))
    changes["capabilities"] = (*model.capabilities, *added)
    return structs.replace(model, **changes, from_registry=(*ours, *added))


def _beside(words: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in known)
