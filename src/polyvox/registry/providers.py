"""`ProviderRegistry`: built-in pages, entry points, and what is registered at run time.

The rule: a page is imported on first use of its name, its rows are read when one is asked for, and a name registered by
the caller wins over a built-in one.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

import polyvox.providers
from polyvox.errors import ConfigError
from polyvox.providers.base import Provider
from polyvox.registry.rows import Rows, built_in_rows, check_rows
from polyvox.types.models import ModelConfig

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_ENTRY_POINTS = "polyvox.providers"
_NO_PAGES = frozenset({"base", "rows"})


class _Page:
    """A provider and, once asked for, its rows."""

    def __init__(self, provider: Provider, read: Callable[[], Rows]) -> None:
        self.provider = provider
        self._read = read

    @functools.cached_property
    def rows(self) -> Rows:
        return self._read()

    @functools.cached_property
    def aliases(self) -> Mapping[str, str]:
        return {alias: row.id for row in self.rows.values() for alias in row.aliases}


class NameIndex(Struct, frozen=True):
    """What a name without a provider can mean: the row of an alias, the rows of an id."""

    aliases: dict[str, ModelConfig]
    ids: dict[str, tuple[ModelConfig, ...]]


class ProviderRegistry:
    """Providers by name. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: dict[str, _Page | None] = {}
        # Held while entry points are loaded: who asks meanwhile waits for them. A page may ask while it is loaded.
        self._loading = threading.RLock()
        self._entry_points_read = False
        self._broken: dict[str, ConfigError] = {}
        self._index: NameIndex | None = None
        self._version = 0

    @property
    def version(self) -> int:
        """A number that is another one after every `register` and `unregister`."""
        return self._version

    def register(self, provider: Provider, models: tuple[ModelConfig, ...] = ()) -> None:
        """Add a provider, or replace one of the same name."""
        rows = check_rows(provider.name, models)
        with self._lock:
            self._pages[provider.name] = _Page(provider, lambda: rows)
            self._index = None
            self._version += 1

    def unregister(self, name: str) -> None:
        """Take a provider out, a built-in one too. Raises `ConfigError` for a name that is not there."""
        if self.get(name) is None:
            raise ConfigError(f"no provider {name!r} to unregister")
        with self._lock:
            self._pages[name] = None
            self._index = None
            self._version += 1

    def get(self, name: str) -> Provider | None:
        """Return the provider of that name, `None` where there is none.

        Raises `ConfigError` where a third party's entry point of that name cannot be loaded.
        """
        page = self._page(name)
        return page.provider if page else None

    def models(self, name: str) -> tuple[ModelConfig, ...]:
        """Return the model rows of that provider."""
        return tuple(self.rows(name).values())

    def rows(self, name: str) -> Rows:
        """Return the model rows of that provider by id. This reads its file of rows, once."""
        page = self._page(name)
        return page.rows if page else {}

    def alias(self, name: str, alias: str) -> str | None:
        """Return the id of that provider's model of that alias, `None` where there is none."""
        page = self._page(name)
        return page.aliases.get(alias) if page else None

    def index(self) -> NameIndex:
        """Return what a name without a provider can mean. This reads the rows of all providers, once."""
        found, version = self._index, self._version
        if found is None:
            aliases: dict[str, ModelConfig] = {}
            ids: dict[str, tuple[ModelConfig, ...]] = {}
            for page in self.list():
                for row in self.rows(page.name).values():
                    ids[row.id] = (*ids.get(row.id, ()), row)
                    for alias in row.aliases:
                        aliases.setdefault(alias, row)
            found = NameIndex(aliases, ids)
            with self._lock:
                if version == self._version:
                    self._index = found
        return found

    def list(self) -> tuple[Provider, ...]:
        """Return all providers by name. This imports every page."""
        names = {module.name for module in pkgutil.iter_modules(polyvox.providers.__path__)} - _NO_PAGES
        self._read_entry_points()
        pages = [self._page(name) for name in sorted(names | set(self._pages))]
        return tuple(page.provider for page in pages if page)

    def _page(self, name: str) -> _Page | None:
        with self._lock:
            if name in self._pages:
                return self._pages[name]
        page = self._built_in(name)
        if page is None:
            self._read_entry_points()
            with self._lock:
                if name not in self._pages and name in self._broken:
                    raise self._broken[name]
                return self._pages.get(name)
        with self._lock:
            return self._pages.setdefault(name, page)

    @staticmethod
    def _built_in(name: str) -> _Page | None:
        module_name = f"polyvox.providers.{name}"
        if not name.isidentifier() or name in _NO_PAGES:
            return None
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name != module_name:
                raise
            return None
        by_hand: tuple[ModelConfig, ...] = getattr(module, "MODELS", ())
        return _Page(module.PROVIDER, lambda: built_in_rows(name, by_hand))

    def _read_entry_points(self) -> None:
        """Read third parties' pages: an entry point names a module with `PROVIDER` and `MODELS`, or a `Provider`.

        One that cannot be loaded is warned of once, and raises where its name is asked for; the others work.
        """
        with self._loading:
            if self._entry_points_read:
                return
            self._entry_points_read = True
            from importlib.metadata import entry_points

            for entry_point in entry_points(group=_ENTRY_POINTS):
                self._read_entry_point(entry_point)

    def _read_entry_point(self, entry_point: EntryPoint) -> None:
        try:
            found = entry_point.load()
            provider = found if isinstance(found, Provider) else getattr(found, "PROVIDER", None)
            if not isinstance(provider, Provider):
                raise ConfigError(
                    "it gives no Provider: name a polyvox.providers.base.Provider, or a module with PROVIDER in it"
                )
            rows = check_rows(provider.name, getattr(found, "MODELS", ()))
        except Exception as error:  # noqa: BLE001 - a stranger's module may raise anything; it is told, with its cause
            said = error.message if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
            broken = ConfigError(f"the entry point {entry_point.name!r} of group {_ENTRY_POINTS!r}: {said}")
            broken.__cause__ = error
            self._broken[entry_point.name] = broken
            warnings.warn(broken.message, RuntimeWarning, stacklevel=2)
            return
        with self._lock:
            self._pages.setdefault(provider.name, _Page(provider, lambda: rows))
