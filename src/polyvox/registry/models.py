"""`ModelRegistry`: the model rows, and what a model's name means.

The rule: `provider/model` is split at the first `/`; an alias comes before a bare id; a bare id goes to its maker's own
provider, else to the only configured one that has it, else it is an error that lists the candidates.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from msgspec import structs

from polyvox.errors import ConfigError
from polyvox.registry.config import Config
from polyvox.registry.providers import ProviderRegistry
from polyvox.types.models import ModelConfig


class ModelRegistry:
    """Models by name. Rows come from the providers' pages, with the configuration's overrides on top."""

    def __init__(self, providers: ProviderRegistry, config: Config) -> None:
        self._providers = providers
        self._config = config

    def list(self, provider: str | None = None) -> tuple[ModelConfig, ...]:
        """Return the rows of one provider, or of all."""
        names = [provider] if provider is not None else [page.name for page in self._providers.list()]
        return tuple(self._overridden(row) for name in names for row in self._providers.models(name))

    def row(self, provider: str, model: str, *, like: str | None = None) -> ModelConfig | None:
        """Return the row of that model, `None` for one we know nothing of. `like`: the page to look in instead."""
        for row in self._providers.models(like or provider):
            if row.id == model:
                return self._overridden(structs.replace(row, provider=provider))
        override = self._config.models.get(f"{provider}/{model}")
        return self._overridden(ModelConfig(id=model, provider=provider)) if override else None

    def split(self, name: str) -> tuple[str, str]:
        """Return (provider, model id) for a name. Raises `ConfigError` with the near misses or the candidates."""
        name = self._config.aliases.get(name, name)
        head, slash, rest = name.partition("/")
        if slash:
            if not rest:
                raise ConfigError(f"{name!r} names no model: write provider/model, as in 'openai/gpt-5.5'")
            if self.knows_provider(head):
                return head, self._alias_of(head, rest)
            raise ConfigError(f"no provider {head!r} (in {name!r}){self._near(head, self.provider_names())}")
        return self._bare(name)

    def knows_provider(self, name: str) -> bool:
        """Whether there is such a provider, built in, registered or configured."""
        return name in self._config.providers or self._providers.get(name) is not None

    def provider_names(self) -> Sequence[str]:
        """Return every provider's name."""
        return sorted({page.name for page in self._providers.list()} | set(self._config.providers))

    def names(self) -> Sequence[str]:
        """Return every name a model can be called by: full names and aliases."""
        full = [f"{row.provider}/{row.id}" for row in self.list()]
        aliases = [alias for row in self.list() for alias in row.aliases]
        return sorted({*full, *aliases, *self._config.aliases, *self._config.models})

    def _alias_of(self, provider: str, name: str) -> str:
        """Read an alias behind a provider's name: `openai/gpt` is OpenAI's `gpt`."""
        rows = self.list(provider)
        if any(row.id == name for row in rows):
            return name
        return next((row.id for row in rows if name in row.aliases), name)

    def _bare(self, name: str) -> tuple[str, str]:
        if not name:
            raise ConfigError("no model is named: write provider/model, as in 'openai/gpt-5.5'")
        rows = self.list()
        by_alias = [row for row in rows if name in row.aliases]
        if by_alias:
            return by_alias[0].provider, by_alias[0].id
        by_id = [row for row in rows if row.id == name]
        homes = [row for row in by_id if row.home]
        configured = [row for row in by_id if row.provider in self._config.providers]
        for candidates in (homes, configured, by_id):
            if len(candidates) == 1:
                return candidates[0].provider, candidates[0].id
        if by_id:
            choices = ", ".join(sorted(f"{row.provider}/{row.id}" for row in by_id))
            raise ConfigError(f"{name!r} is offered by several providers: say which one ({choices})")
        raise ConfigError(
            f"no model {name!r}{self._near(name, self.names())}. A model we have no row for is named in full: "
            "provider/model"
        )

    @staticmethod
    def _near(name: str, known: Iterable[str]) -> str:
        known = [*known]
        short = {candidate.partition("/")[2] or candidate: candidate for candidate in known}
        near = [*difflib.get_close_matches(name, known, 3, 0.6), *difflib.get_close_matches(name, short, 3, 0.6)]
        near = list(dict.fromkeys(short.get(found, found) for found in near))
        if near:
            return ": did you mean " + " or ".join(repr(found) for found in near[:3]) + "?"
        return f"; there are {', '.join(known)}" if len(known) <= 30 else ""

    def _overridden(self, row: ModelConfig) -> ModelConfig:
        override = self._config.models.get(f"{row.provider}/{row.id}")
        if override is None:
            return row
        return structs.replace(
            row,
            dialect=override.dialect or row.dialect,
            aliases=(*row.aliases, *override.aliases),
            context_tokens=override.context_tokens or row.context_tokens,
            output_tokens=override.output_tokens or row.output_tokens,
            settings={**row.settings, **override.settings},
            quirks={**row.quirks, **override.quirks},
        )
