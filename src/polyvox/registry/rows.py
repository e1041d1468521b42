"""A provider's model rows: those that come with the package as data, under those that its page says by hand.

The rule: a file is read when a row of that provider is first asked for, and never on import. Where both say something
of a model, the page wins, field by field; a field that the page leaves at its default is as the file says.
`scripts/generate_models.py` writes the files.
"""

from __future__ import annotations

import functools
import pkgutil
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import structs

from polyvox.errors import ConfigError
from polyvox.types.models import ModelConfig

Rows = Mapping[str, ModelConfig]
"""The rows of one provider by id."""

_BESIDE: Final = ("settings", "thinking_settings", "quirks")
"""Fields of which both sides' entries count."""
_EITHER: Final = ("aliases", "capabilities")
"""Fields of which the page adds to the file's."""


def built_in_rows(provider: str, by_hand: Iterable[ModelConfig]) -> Rows:
    """Return the rows of a built-in provider. The page's own come first, in its order."""
    generated = {row.id: row for row in generated_rows(provider)}
    rows = {row.id: overlay(generated[row.id], row) if row.id in generated else row for row in by_hand}
    return {**rows, **{name: row for name, row in generated.items() if name not in rows}}


@functools.cache
def generated_rows(provider: str) -> tuple[ModelConfig, ...]:
    """Return the rows that come with the package as data; none for a provider that has no file."""
    try:
        file = pkgutil.get_data("polyvox.providers", f"rows/{provider}.jsonl")
    except FileNotFoundError:
        return ()
    assert file is not None
    # The first line says where the rows are from.
    return tuple(msgspec.json.Decoder(ModelConfig).decode_lines(file.partition(b"\n")[2]))


def overlay(row: ModelConfig, over: ModelConfig) -> ModelConfig:
    """Return `row` with what `over` says."""
    said = {name: getattr(over, name) for name in ModelConfig.__struct_fields__}
    plain = _plain()
    changes = {name: value for name, value in said.items() if value != getattr(plain, name)}
    for name in _BESIDE:
        changes[name] = {**getattr(row, name), **said[name]}
    for name in _EITHER:
        changes[name] = tuple(dict.fromkeys((*getattr(row, name), *said[name])))
    # What the page says of thinking stands instead of a fate that the file knows no condition of.
    changes["settings"] = {
        name: fate
        for name, fate in changes["settings"].items()
        if name in over.settings or name not in over.thinking_settings
    }
    return structs.replace(row, **changes)


@functools.cache
def _plain() -> ModelConfig:
    return ModelConfig(id="", provider="")


def check_rows(provider: str, rows: Iterable[ModelConfig]) -> Rows:
    """Return a registered provider's rows by id. Raises `ConfigError` for one that is another provider's."""
    found = {}
    for row in rows:
        if row.provider != provider:
            raise ConfigError(f"model {row.id!r} names the provider {row.provider!r}, not {provider!r}")
        found[row.id] = row
    return found
