"""A model near its end is named once, in time, with what to use instead."""

from __future__ import annotations

import datetime
import itertools
import warnings
from typing import Any

import pytest

from polyvox import AsyncClient, Client
from polyvox.client.config import load_config
from polyvox.errors import ModelRetirementWarning
from polyvox.providers.base import Endpoint, Provider
from polyvox.registry.config import Config, ModelOverride, ProviderConfig
from polyvox.registry.providers import ProviderRegistry
from polyvox.registry.target import Registry
from polyvox.secrets import Secret
from polyvox.types.models import ModelConfig

_numbers = itertools.count()


def registry(day: str, **facts: Any) -> tuple[Registry, str]:
    """A registry on that day, with a model of a name that nobody was warned of."""
    model = f"m{next(_numbers)}"
    page = Provider(
        name="house", title="House", base_url="http://h", key="none", operations={"generate": Endpoint("openai")}
    )
    pages = ProviderRegistry()
    pages.register(page, (ModelConfig(id=model, provider="house", **facts),))
    return Registry(load_config(), pages, today=lambda: datetime.date.fromisoformat(day)), f"house/{model}"


def caught(known: Registry, name: str) -> list[str]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        known.resolve(name)
    return [str(one.message) for one in seen if one.category is ModelRetirementWarning]


def test_sixty_days_before_there_is_no_warning_and_a_day_later_there_is_one() -> None:
    early, name = registry("2026-10-02", retires="2026-12-01")
    assert caught(early, name) == []
    late, name = registry("2026-10-03", retires="2026-12-01")
    assert caught(late, name) == [f"{name} retires on 2026-12-01 (in 59 days)"]


def test_it_is_said_once_in_a_process() -> None:
    known, name = registry("2026-11-30", retires="2026-12-01")
    assert caught(known, name) == [f"{name} retires on 2026-12-01 (in 1 day)"]
    assert caught(known, name) == []


def test_the_successor_is_named() -> None:
    known, name = registry("2027-01-05", retires="2026-12-01", successor="m-next")
    assert caught(known, name) == [f"{name} was retired on 2026-12-01: use house/m-next instead"]


def test_a_model_without_a_date_is_not_warned_of() -> None:
    known, name = registry("2099-01-01")
    assert caught(known, name) == []


def test_the_configuration_can_say_when_a_model_goes() -> None:
    known, name = registry("2026-11-21")
    block = ModelOverride(retires=datetime.date(2026, 12, 1))
    told = Registry(Config(models={name: block}), known.providers, today=known.today)

    assert caught(told, name) == [f"{name} retires on 2026-12-01 (in 10 days)"]


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_the_line_that_is_named_is_the_callers(kind: type[Client] | type[AsyncClient]) -> None:
    name = f"house/old{next(_numbers)}"
    house = ProviderConfig(base_url="http://127.0.0.1:9", api_key=Secret("k"))
    block = ModelOverride(retires=datetime.date(2020, 1, 1))
    client = kind(config=Config(providers={"house": house}, models={name: block}))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        client.model(name).explain("Hi")

    assert [one.filename for one in seen if one.category is ModelRetirementWarning] == [__file__]
