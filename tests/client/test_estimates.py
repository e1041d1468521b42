"""What a call will be, before it is made: its tokens and the most that it can cost, without a key."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from polyvox import CallConfig, ConfigError, ModelConfig, PriceBound, user
from polyvox.calls.estimate import bound_of, estimate_request
from polyvox.io.scripted import ScriptedIO
from polyvox.registry.config import Config, ModelOverride
from polyvox.types.generate import GenerateRequest
from polyvox.types.models import Price

MODEL = "lab/m"
PRICED = ModelOverride(price=Price(input=3.0, output=15.0), output_tokens=1000)


@pytest.fixture
def caller(make_caller: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("LAB_API_KEY", raising=False)
    config = Config(models={MODEL: PRICED}, aliases={"mine": MODEL})
    return make_caller(config=config, io=ScriptedIO([]), providers={"lab": {"base_url": "http://lab.test/v1"}})


def get_weather(city: str) -> str:
    """Return the weather of a city."""
    return city


def test_tokens_are_estimated_of_messages_and_tools(caller: Any) -> None:
    few, more = (caller.client.estimate_tokens(MODEL, text) for text in ("Hi", "Hi there, how are you today?" * 20))
    with_tools = caller.client.estimate_tokens(MODEL, "Hi", tools=[get_weather])

    assert 0 < few < 20 < 100 < more
    assert with_tools > few
    assert few == estimate_request(
        GenerateRequest(model="m", messages=(user("Hi"),)), ModelConfig(id="m", provider="lab")
    )


def test_the_most_that_a_call_can_cost_is_by_its_limit_of_output(caller: Any) -> None:
    bound = caller.client.estimate_cost(MODEL, "Hi", max_tokens=100)

    assert isinstance(bound, PriceBound)
    assert bound.amount - bound.input_amount == pytest.approx(100 * 15 / 1_000_000)
    assert caller.client.estimate_cost(MODEL, "Hi").amount - bound.input_amount == pytest.approx(0.015)
    assert caller.client.estimate_cost(MODEL, "Hi", max_tokens=100, n=3).amount > 2 * bound.amount


def test_the_price_that_nobody_knows_is_none(caller: Any) -> None:
    assert caller.client.estimate_cost("lab/unknown", "Hi", max_tokens=100) is None


def test_an_alias_means_its_model(caller: Any) -> None:
    assert caller.client.estimate_cost("mine", "Hi") == caller.client.estimate_cost(MODEL, "Hi")


def test_a_bound_model_estimates_with_its_own_settings(caller: Any) -> None:
    model = caller.bound("mine", max_tokens=100, tools=[get_weather])

    assert model.estimate_tokens("Hi") == caller.client.estimate_tokens(MODEL, "Hi", tools=[get_weather])
    assert model.estimate_cost("Hi") == caller.client.estimate_cost(MODEL, "Hi", max_tokens=100, tools=[get_weather])
    assert model.estimate_cost("Hi", max_tokens=5).amount < model.estimate_cost("Hi").amount


def test_explain_and_a_budget_go_by_the_same_estimate(make_caller: Any, caller: Any) -> None:
    block = {"base_url": "http://lab.test/v1", "api_key": "k"}
    keyed = make_caller(config=Config(models={MODEL: PRICED}), io=ScriptedIO([]), providers={"lab": block})

    assert keyed.client.explain(MODEL, "Hi").price_bound == caller.client.estimate_cost(MODEL, "Hi").amount


def test_the_rows_of_known_models_are_used(caller: Any) -> None:
    row = caller.client.model("openai/gpt-5.5").config
    request = GenerateRequest(model=row.id, messages=(user("Hi"),), max_tokens=100)
    expected = bound_of(request, row)

    assert expected is not None
    assert caller.client.estimate_cost("openai/gpt-5.5", "Hi", max_tokens=100) == expected
    assert bound_of(structs.replace(request, max_tokens=200), row) != expected


@pytest.mark.parametrize(
    ("model", "settings"),
    [("nobody/m", {}), (MODEL, {"temprature": 1}), (MODEL, {"max_tokens": 0}), (MODEL, {"call_config": 3})],
)
def test_what_means_nothing_is_refused_as_a_call_would_be(caller: Any, model: str, settings: Any) -> None:
    for verb in (caller.client.estimate_tokens, caller.client.estimate_cost):
        with pytest.raises(ConfigError):
            verb(model, "Hi", **settings)


def test_options_of_a_call_config_are_no_hindrance(caller: Any) -> None:
    config = CallConfig(options={"lab": {"store": False}})

    assert caller.client.estimate_tokens(MODEL, "Hi", call_config=config) == caller.client.estimate_tokens(MODEL, "Hi")
