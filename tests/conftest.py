"""Fixtures of every test: both clients in turn, and an environment in which no key of the machine's owner is seen."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from polyvox.registry.providers import ProviderRegistry
from tests.callers import AsyncCaller, SyncCaller

# The same examples each time, so that a red run is red again. HYPOTHESIS_PROFILE=explore looks further.
settings.register_profile("steady", derandomize=True)
settings.register_profile("explore", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

_BUILT_IN = ProviderRegistry().list()
_OWN = ("POLYVOX_CONFIG", "POLYVOX_DEBUG")


def pytest_collection_finish() -> None:
    """The tests themselves are no garbage: looking through them costs a second, and a test of a time limit fails."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No keys, no configuration of the user's own, no proxies: each test says what it needs."""
    for provider in _BUILT_IN:
        for variable in (*provider.env, *provider.base_url_env, *provider.header_env.values()):
            monkeypatch.delenv(variable, raising=False)
    for variable in _OWN:
        monkeypatch.delenv(variable, raising=False)
    for variable in list(os.environ):
        if variable.lower().endswith("_proxy"):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture(params=[SyncCaller, AsyncCaller], ids=["sync", "async"])
def make_caller(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Make callers of one of the two kinds; each is closed at the end."""
    made: list[Any] = []

    def make(**settings: Any) -> Any:
        caller = request.param(**settings)
        made.append(caller)
        return caller

    yield make
    for caller in made:
        caller.close()
