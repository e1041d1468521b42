"""`explain` says what would be sent, and sends nothing; both clients."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.calls.wires import lab, whole

from polyvox import CallConfig, ConfigError, HttpRequest, Price, Retry, Timeout, UnsupportedError, assistant, user
from polyvox.io.scripted import ScriptedIO

KEY = "a-secret-without-any-shape"


def client(make_caller: Any, io: ScriptedIO | None = None, **block: Any) -> Any:
    io = io or ScriptedIO([])
    return make_caller(io=io, providers={"lab": {"base_url": "http://lab.test/v1", "api_key": KEY, **block}}).client


def test_the_body_is_the_one_that_is_sent(make_caller: Any) -> None:
    io = ScriptedIO([whole()])
    caller = make_caller(**lab(io))
    words: dict[str, Any] = {"temperature": 0.5, "max_tokens": 9, "system": "Be brief."}
    told = caller.client.explain("lab/m", "Hi", **words)
    assert not io.requests

    caller.generate("lab/m", "Hi", **words)
    assert told.body == json.loads(io.requests[0].body)
    assert (told.method, told.url) == (io.requests[0].method, io.requests[0].url)
    assert (told.model, told.dialect) == ("lab/m", "openai")


def test_a_stream_is_told_apart_with_what_its_wire_needs(make_caller: Any) -> None:
    told = client(make_caller).explain("lab/m", "Hi", stream=True)
    assert told.body["stream"] is True
    assert [one.field for one in told.needed] == ["stream_options.include_usage"]
    assert client(make_caller).explain("lab/m", "Hi").needed == ()


def test_no_secret_shows_wherever_it_stands(make_caller: Any) -> None:
    told = client(
        make_caller,
        headers={"X-Mine": f"token {KEY}", "Cookie": "abc"},
        options={"note": {"deep": [KEY]}},
        base_url=f"http://me:{KEY}@lab.test/v1",
    ).explain("lab/m", f"my key is {KEY}, another is sk-proj-abcdefghijklmnop")
    shown = str(told) + repr(told)
    assert KEY not in shown and "sk-proj" not in shown and "abc" not in told.headers["Cookie"]
    assert told.headers["Authorization"] == "Bearer ***"
    assert "my key is ***" in shown


def test_a_signer_of_ones_own_is_not_asked(make_caller: Any) -> None:
    def sign(request: HttpRequest) -> HttpRequest:
        raise AssertionError("explain sends nothing and asks nobody")

    told = client(make_caller, auth=sign).explain("lab/m", "Hi")
    assert told.headers["Authorization"].startswith("***")


def test_limits_attempts_and_adjustments_are_told(make_caller: Any) -> None:
    caller = make_caller(
        **lab(ScriptedIO([]), call_config=CallConfig(retry=Retry(max_attempts=4), fallback=["lab/n"], timeout=60))
    )
    told = caller.client.explain("lab/m", "Hi", top_k=5, timeout=Timeout(idle=7), options={"other": {"x": 1}})
    assert told.timeout.idle == 7 and told.retry.max_attempts == 4 and told.fallback.models == ("lab/n",)
    assert {one.setting for one in told.adjustments} >= {"options.other"}
    page = str(told)
    assert "idle 7 s" in page and "attempts: up to 4" in page and "then: lab/n" in page and "price: not known" in page


def test_the_price_bound_is_that_of_the_longest_answer(make_caller: Any) -> None:
    caller = make_caller(**lab(ScriptedIO([])))
    from polyvox import ModelConfig
    from polyvox.providers.base import Endpoint, Provider

    page = Provider(
        name="priced",
        title="Priced",
        base_url="http://priced.test",
        key="none",
        operations={"generate": Endpoint("openai")},
    )
    row = ModelConfig(id="m", provider="priced", price=Price(input=1.0, output=10.0))
    registry = caller.client.registry.providers
    registry.register(page, (row,))
    try:
        told = caller.client.explain("priced/m", "Hi", max_tokens=1_000_000)
        assert 10.0 < told.price_bound < 10.01
        assert "at most $10.00" in str(told)
        assert caller.client.explain("priced/m", "Hi").price_bound is None
    finally:
        registry.unregister("priced")


def test_what_the_call_would_raise_is_raised(make_caller: Any) -> None:
    with pytest.raises(ConfigError, match="temprature"):
        client(make_caller).explain("lab/m", "Hi", temprature=1)
    with pytest.raises(UnsupportedError):
        client(make_caller).explain("lab/m", "Hi", n=2, stream=True)


def test_a_bound_model_explains_with_its_own_settings(make_caller: Any) -> None:
    model = client(make_caller).model("lab/m", temperature=0.1, seed=3)
    body = model.explain("Hi", seed=4).body
    assert (body["temperature"], body["seed"]) == (0.1, 4)


@pytest.mark.parametrize(
    ("base_url", "dialect", "address"),
    [
        ("http://host/v1", "openai", "http://host/v1/chat/completions"),
        ("http://host/v1", "openai_responses", "http://host/v1/responses"),
        ("http://host/v1", "anthropic", "http://host/v1/messages"),
        ("http://host", "anthropic", "http://host/v1/messages"),
        ("http://host/myv1", "anthropic", "http://host/myv1/v1/messages"),
    ],
)
def test_one_base_url_serves_every_wire_of_a_server(
    make_caller: Any, base_url: str, dialect: str, address: str
) -> None:
    """Local servers speak several wires below `/v1`; a wire that says `/v1` itself does not say it twice."""
    caller = make_caller(providers={"llamacpp": {"base_url": base_url}})
    assert caller.client.explain("llamacpp/m", "hi", dialect=dialect, max_tokens=5).url == address


def test_a_server_that_knows_only_full_items_is_told_of_earlier_answers_so(make_caller: Any) -> None:
    history = [user("a"), assistant("b"), user("c")]
    caller = make_caller(providers={"llamacpp": {}})
    said = caller.client.explain("llamacpp/m", history, dialect="openai_responses").body["input"][1]
    assert said == {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "b", "annotations": []}],
    }
