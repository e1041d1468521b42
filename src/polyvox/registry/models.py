"""`ModelRegistry`: the model rows, and what a model's name means.

The rule: `provider/model` is split at the first `/`; an alias comes before a bare id; a bare id goes to its maker's own
provider, else to the only configured one that has it, else it is an error that lists the candidates.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import structs

from polyvox.errors import ConfigError
from polyvox.registry.config import Config
from polyvox.registry.providers import ProviderRegistry
from polyvox.types.models import CAPABILITY_WORDS, ModelConfig

# What a block of the configuration says instead of the row; the rest it says beside it.
_REPLACED: Final = (
    "kind",
    "dialect",
    "context_tokens",
    "output_tokens",
    "input_modalities",
    "output_modalities",
    "capabilities",
    "efforts",
    "emulate",
    "price",
)

_SNAPSHOT: Final = re.compile(r"-20\d\d-?\d\d-?\d\d$")
"""What a dated snapshot of a model has behind its id: `gpt-5.5-2026-04-23`, `claude-opus-5-5-20260801`."""


class ModelRegistry:
    """Models by name. Rows come from the providers' pages, with the configuration's overrides on top."""

    def __init__(self, providers: ProviderRegistry, config: Config) -> None:
        self._providers = providers
        self._config = config

    def list(self, provider: str | None = None, *, capability: str | Sequence[str] = ()) -> tuple[ModelConfig, ...]:
        """Return the rows of one provider, or of all, and of these the models that can do all that is asked.

        `capability`: words of `CAPABILITY_WORDS`. A model of which it is not known is left out. Raises `ConfigError`
        for another word, or an unknown provider, with the near misses.
        """
        wanted = (capability,) if isinstance(capability, str) else tuple(capability)
        for word in wanted:
            if word not in CAPABILITY_WORDS:
                raise ConfigError(f"no capability {word!r}{_near(word, {known: known for known in CAPABILITY_WORDS})}")
        if provider is not None and not self.knows_provider(provider):
            raise self._no_provider(provider)
        rows = [row for name in self._listed(provider) for row in self._rows(name)]
        return tuple(row for row in rows if all(row.can(word) for word in wanted))

    def _listed(self, provider: str | None) -> Sequence[str]:
        if provider is not None:
            return (provider,)
        pages = [page.name for page in self._providers.list()]
        return (*pages, *(name for name in self._config.providers if name not in pages))

    def _rows(self, provider: str) -> Sequence[ModelConfig]:
        """Return a provider's rows as the configuration has them, then those that only the configuration names."""
        found = {model: self.row(provider, model) for model in self._providers.rows(self._page_name(provider))}
        for full in self._config.models:
            owner, _, model = full.partition("/")
            if owner == provider and model not in found:
                found[model] = self.row(provider, model)
        return tuple(row for row in found.values() if row is not None)

    def row(self, provider: str, model: str, *, like: str | None = None) -> ModelConfig | None:
        """Return the row of that model, `None` for one we know nothing of. `like`: the page to look in instead.

        A dated snapshot without a row has its model's, less the day on which that retires.
        """
        rows = self._providers.rows(like or self._page_name(provider))
        row = rows.get(model)
        if row is None and _SNAPSHOT.search(model) and (whole := rows.get(_SNAPSHOT.sub("", model))) is not None:
            row = structs.replace(whole, id=model, aliases=(), home=False, retires=None, successor=None)
        if row is None:
            override = self._config.models.get(f"{provider}/{model}")
            return self._overridden(ModelConfig(id=model, provider=provider)) if override else None
        # A second address of a service is nobody's home, and answers to no bare alias.
        return self._overridden(
            row if row.provider == provider else structs.replace(row, provider=provider, home=False, aliases=())
        )

    def split(self, name: str) -> tuple[str, str]:
        """Return (provider, model id) for a name. Raises `ConfigError` with the near misses or the candidates."""
        name = self._config.aliases.get(name, name)
        head, slash, rest = name.partition("/")
        if slash:
            if not rest:
                raise ConfigError(f"{name!r} names no model: write provider/model, as in 'openai/gpt-5.5'")
            if self.knows_provider(head):
                return head, self._alias_of(head, rest)
            raise self._no_provider(head, name)
        return self._bare(name)

    def _no_provider(self, name: str, within: str | None = None) -> ConfigError:
        where = f" (in {within!r})" if within else ""
        return ConfigError(
            f"no provider {name!r}{where}{_near(name, {known: known for known in self.provider_names()})}"
        )

    def knows_provider(self, name: str) -> bool:
        """Whether there is such a provider, built in, registered or configured."""
        return name in self._config.providers or self._providers.get(name) is not None

    def provider_names(self) -> Sequence[str]:
        """Return every provider's name."""
        return sorted({page.name for page in self._providers.list()} | set(self._config.providers))

    def names(self) -> Sequence[str]:
        """Return every name a model can be called by: full names and aliases."""
        rows = self.list()
        full = [f"{row.provider}/{row.id}" for row in rows]
        aliases = [alias for row in rows for alias in row.aliases]
        return sorted({*full, *aliases, *self._config.aliases, *self._config.models})

    def _page_name(self, provider: str) -> str:
        given = self._config.providers.get(provider)
        return given.like if given is not None and given.like else provider

    def _alias_of(self, provider: str, name: str) -> str:
        """Read an alias behind a provider's name: `openai/gpt` is OpenAI's `gpt`."""
        page = self._page_name(provider)
        if name in self._providers.rows(page):
            return name
        own = self._own_aliases(name)
        return next((model for owner, model in own if owner == provider), self._providers.alias(page, name) or name)

    def _own_aliases(self, name: str) -> Sequence[tuple[str, str]]:
        """Return the models that the configuration calls so, in their blocks."""
        found = [full.partition("/") for full, block in self._config.models.items() if name in block.aliases]
        return [(owner, model) for owner, _, model in found]

    def _bare(self, name: str) -> tuple[str, str]:
        if not name:
            raise ConfigError("no model is named: write provider/model, as in 'openai/gpt-5.5'")
        own = self._own_aliases(name)
        if own:
            return own[0]
        index = self._providers.index()
        alias = index.aliases.get(name)
        if alias is not None:
            return alias.provider, alias.id
        by_id = index.ids.get(name) or index.ids.get(_SNAPSHOT.sub("", name), ())
        homes = [row for row in by_id if row.home]
        configured = [row for row in by_id if row.provider in self._config.providers]
        for candidates in (homes, configured, by_id):
            if len(candidates) == 1:
                return candidates[0].provider, name
        if by_id:
            choices = ", ".join(sorted(f"{row.provider}/{name}" for row in by_id))
            raise ConfigError(f"{name!r} is offered by several providers: say which one ({choices})")
        raise ConfigError(
            f"no model {name!r}{_near(name, self._suggestions())} A model we have no row for is named in full: "
            "provider/model."
        )

    def _suggestions(self) -> dict[str, str]:
        """Return what can be said without a provider, and what it stands for: of several, the maker's own."""
        found: dict[str, str] = {}
        for row in sorted(self.list(), key=lambda row: (not row.home, "/" in row.id)):
            full = f"{row.provider}/{row.id}"
            for word in (*row.aliases, row.id, row.id.rpartition("/")[2], full):
                found.setdefault(word, full)
        return found | {alias: alias for alias in self._config.aliases}

    def _overridden(self, row: ModelConfig) -> ModelConfig:
        override = self._config.models.get(f"{row.provider}/{row.id}")
        if override is None:
            return row
        given = {name: value for name in _REPLACED if (value := getattr(override, name)) is not None}
        if override.price is not None and override.price.source is None:
            given["price"] = structs.replace(override.price, source="configuration")
        if override.retires is not None:
            given["retires"] = override.retires.isoformat()
        # The row's quirks are words of the wire that it was written for.
        kept = row.quirks if override.dialect in (None, row.dialect or self._dialect(row.provider)) else {}
        return structs.replace(
            row,
            aliases=(*row.aliases, *override.aliases),
            settings={**row.settings, **override.settings},
            thinking_settings={**row.thinking_settings, **override.thinking_settings},
            quirks={**kept, **override.quirks},
            **given,
        )

    def _dialect(self, provider: str) -> str | None:
        page = self._providers.get(self._page_name(provider))
        endpoint = page.operations.get("generate") if page else None
        return endpoint.dialect if endpoint else None


def _near(name: str, known: Mapping[str, str]) -> str:
    """Say what may have been meant. `known`: a word, and what to write."""
    near = dict.fromkeys(known[word] for word in difflib.get_close_matches(name, known, 6, 0.6))
    if near:
        return ": did you mean " + " or ".join(repr(found) for found in [*near][:3]) + "?"
    return f"; there are {', '.join(known)}." if len(known) <= 30 else "."
