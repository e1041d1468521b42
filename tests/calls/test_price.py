"""What an answer cost: the provider's own figure, else the row's price, else nothing is claimed."""

from __future__ import annotations

import pytest

from polyvox.calls.price import cost_of
from polyvox.types.models import ModelConfig, Price
from polyvox.types.usage import Cost, Usage

ROW = ModelConfig(
    id="m", provider="p", price=Price(input=2.0, output=10.0, cache_read=0.5, source="table", date="2026-11-01")
)


def test_the_providers_own_figure_wins() -> None:
    assert cost_of(Usage(1000, 1000, reported_cost=0.25), ROW) == Cost(0.25, source="provider")


def test_the_rows_price_counts_cached_tokens_at_their_own_rate() -> None:
    cost = cost_of(Usage(1_000_000, 100_000, cache_read_tokens=400_000), ROW)

    assert cost is not None and cost.amount == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.1 * 10)
    assert (cost.source, cost.date, cost.currency) == ("table", "2026-11-01", "USD")


def test_a_missing_cache_price_counts_as_plain_input() -> None:
    cost = cost_of(Usage(1_000_000, 0, cache_write_tokens=500_000), ROW)

    assert cost is not None and cost.amount == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("usage", "row"),
    [
        (Usage(10, 10), None),
        (Usage(10, 10), ModelConfig(id="m", provider="p")),
        (Usage(None, 10), ROW),
        (Usage(), ROW),
        (Usage(10, 10), ModelConfig(id="m", provider="p", price=Price(input=1.0))),
    ],
)
def test_unknown_is_none_and_never_zero(usage: Usage, row: ModelConfig | None) -> None:
    assert cost_of(usage, row) is None


def test_a_free_local_model_costs_nothing_and_says_so() -> None:
    row = ModelConfig(id="m", provider="local", price=Price(input=0.0, output=0.0, source="local"))

    assert cost_of(Usage(10, 10), row) == Cost(0.0, source="local")
