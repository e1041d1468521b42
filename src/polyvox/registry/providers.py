"""`ProviderRegistry`: built-in pages, entry points, and what is registered at run time.

The rule: a page is imported on first use of its name, and a name registered by the caller wins over a built-in one.
"""

from __future__ import annotations

import importlib
import pkgutil
import threading

import polyvox.providers
from polyvox.errors import ConfigError
from polyvox.providers.base import Provider
from polyvox.types.models import ModelConfig

_ENTRY_POINTS = "polyvox.providers"
_NO_PAGES = frozenset({"base"})


class ProviderRegistry:
    """Providers by name. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: dict[str, tuple[Provider, tuple[ModelConfig, ...]] | None] = {}
        self._entry_points_read = False

    def register(self, provider: Provider, models: tuple[ModelConfig, ...] = ()) -> None:
        """Add a provider, or replace one of the same name."""
        for row in models:
            if row.provider != provider.name:
                raise ConfigError(f"model {row.id!r} names the provider {row.provider!r}, not {provider.name!r}")
        with self._lock:
            self._pages[provider.name] = (provider, models)

    def unregister(self, name: str) -> None:
        """Take a provider out, a built-in one too. Raises `ConfigError` for a name that is not there."""
        if self.get(name) is None:
            raise ConfigError(f"no provider {name!r} to unregister")
        with self._lock:
            self._pages[name] = None

    def get(self, name: str) -> Provider | None:
        """Return the provider of that name, `None` where there is none."""
        page = self._page(name)
        return page[0] if page else None

    def models(self, name: str) -> tuple[ModelConfig, ...]:
        """Return the model rows of that provider's page."""
        page = self._page(name)
        return page[1] if page else ()

    def list(self) -> tuple[Provider, ...]:
        """Return all providers by name. This imports every page."""
        names = {module.name for module in pkgutil.iter_modules(polyvox.providers.__path__)} - _NO_PAGES
        self._read_entry_points()
        pages = [self._page(name) for name in sorted(names | set(self._pages))]
        return tuple(page[0] for page in pages if page)

    def _page(self, name: str) -> tuple[Provider, tuple[ModelConfig, ...]] | None:
        with self._lock:
            if name in self._pages:
                return self._pages[name]
        page = self._built_in(name)
        if page is None:
            self._read_entry_points()
            with self._lock:
                return self._pages.get(name)
        with self._lock:
            return self._pages.setdefault(name, page)

    @staticmethod
    def _built_in(name: str) -> tuple[Provider, tuple[ModelConfig, ...]] | None:
        module_name = f"polyvox.providers.{name}"
        if not name.isidentifier() or name in _NO_PAGES:
            return None
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name != module_name:
                raise
            return None
        return module.PROVIDER, tuple(getattr(module, "MODELS", ()))

    def _read_entry_points(self) -> None:
        """Read third parties' pages: an entry point names a module with `PROVIDER` and `MODELS`, or a `Provider`."""
        with self._lock:
            if self._entry_points_read:
                return
            self._entry_points_read = True
        from importlib.metadata import entry_points

        for entry_point in entry_points(group=_ENTRY_POINTS):
            found = entry_point.load()
            provider = found if isinstance(found, Provider) else getattr(found, "PROVIDER", None)
            if not isinstance(provider, Provider):
                raise ConfigError(
                    f"the entry point {entry_point.name!r} of group {_ENTRY_POINTS!r} gives no Provider: name a "
                    "polyvox.providers.base.Provider, or a module with PROVIDER in it"
                )
            with self._lock:
                self._pages.setdefault(provider.name, (provider, tuple(getattr(found, "MODELS", ()))))
