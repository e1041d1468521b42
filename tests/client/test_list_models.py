"""`list_models` as a user sees it, on both clients, against a server on loopback."""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.callers import in_background
from tests.loopback import LoopbackServer, error, never_answer, respond, sequence, unused_url
from tests.loopback_server import Exchange

from polyvox import (
    AuthenticationError,
    CallConfig,
    CallTimeoutError,
    Cancel,
    Cancelled,
    ConfigError,
    ConnectError,
    DecodeError,
    ListedModel,
    Price,
    Retry,
    ServerError,
    Timeout,
    UnsupportedError,
)

KEY = "sk-canary-0123456789abcdef"
JSON = {"Content-Type": "application/json"}


def say(value: Any) -> Any:
    return respond(200, json.dumps(value).encode(), JSON)


def listed(*names: str) -> Any:
    return say({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})


def lab(url: str, **block: Any) -> dict[str, Any]:
    return {"lab": {"base_url": url, "api_key": KEY, **block}}


def queries(server: LoopbackServer) -> list[dict[str, str]]:
    return [dict(parse_qsl(urlsplit(request.path).query)) for request in server.requests]


def test_an_openai_like_server_lists_its_models(make_caller: Any) -> None:
    with LoopbackServer(listed("one", "two")) as server:
        models = make_caller(providers=lab(f"{server.url}/v1")).list_models("lab", headers={"X-Team": "search"})
        (request,) = server.requests

    assert models == (ListedModel(id="one", provider="lab"), ListedModel(id="two", provider="lab"))
    assert [model.name for model in models] == ["lab/one", "lab/two"]
    assert (request.method, request.path, request.body) == ("GET", "/v1/models", b"")
    assert (request.headers["authorization"], request.headers["x-team"]) == (f"Bearer {KEY}", "search")


def test_our_registry_fills_in_what_openai_does_not_tell(make_caller: Any) -> None:
    with LoopbackServer(listed("gpt-5.5", "never-heard-of")) as server:
        caller = make_caller(providers={"openai": {"base_url": server.url, "api_key": KEY}})
        known, unknown = caller.list_models("openai")
        row = caller.client.registry.models.row("openai", "gpt-5.5")

    assert (known.kind, known.context_tokens, known.efforts) == ("language", row.context_tokens, row.efforts)
    assert known.capabilities == row.capabilities and known.price == row.price
    assert {"context_tokens", "efforts", "price", "tools", "reasoning"} <= set(known.from_registry)
    assert known.can("vision") and not known.can("audio_input")
    assert unknown == ListedModel(id="never-heard-of", provider="openai")


def test_the_providers_word_wins_over_ours(make_caller: Any) -> None:
    row = {
        "id": "deepseek-flash",
        "context_length": 123,
        "supports_reasoning": False,
        "pricing": {"input": 7, "output": 8, "unit": "usd_per_1m_tokens"},
    }
    with LoopbackServer(say({"data": [row]})) as server:
        caller = make_caller(providers={"deepseek": {"base_url": server.url, "api_key": KEY}})
        (model,) = caller.list_models("deepseek")
        today = caller.client.registry.today().isoformat()

    assert model.context_tokens == 123 and "context_tokens" not in model.from_registry
    assert model.lacks == ("reasoning",) and "reasoning" not in model.capabilities
    assert model.price == Price(input=7.0, output=8.0, source="deepseek's list of models", date=today)
    assert "tools" in model.capabilities and "tools" in model.from_registry


def test_a_second_address_of_a_service_has_its_rows(make_caller: Any) -> None:
    with LoopbackServer(listed("deepseek-flash")) as server:
        caller = make_caller(providers={"mirror": {"like": "deepseek", "base_url": server.url, "api_key": KEY}})
        (model,) = caller.list_models("mirror")

    assert (model.name, model.output_tokens) == ("mirror/deepseek-flash", 384_000)


def test_models_are_looked_up_by_what_they_can(make_caller: Any) -> None:
    rows = [{"id": "a", "supports_tools": True}, {"id": "b", "supports_tools": False}, {"id": "c"}]
    with LoopbackServer(say({"data": rows})) as server:
        caller = make_caller(providers=lab(server.url))
        assert [model.id for model in caller.list_models("lab", capability="tools")] == ["a"]
        assert caller.list_models("lab", capability=["tools", "vision"]) == ()


def test_anthropics_pages_are_followed_to_the_end(make_caller: Any) -> None:
    first = say({"data": [{"id": "c"}, {"id": "b"}], "has_more": True, "last_id": "b"})
    second = say({"data": [{"id": "b"}, {"id": "a"}], "has_more": False, "last_id": "a"})
    with LoopbackServer(sequence(first, second)) as server:
        caller = make_caller(providers={"anthropic": {"base_url": server.url, "api_key": KEY}})
        models = caller.list_models("anthropic")
        requests = server.requests

    # One that both pages tell is listed once.
    assert [model.id for model in models] == ["c", "b", "a"]
    assert [urlsplit(request.path).path for request in requests] == ["/v1/models"] * 2
    assert queries(server) == [{"limit": "1000"}, {"limit": "1000", "after_id": "b"}]
    assert {request.headers["x-api-key"] for request in requests} == {KEY}
    assert all(request.headers["anthropic-version"] for request in requests)


def test_geminis_pages_are_followed_to_the_end(make_caller: Any) -> None:
    first = say({"models": [{"name": "models/gemini-3.8-flash"}], "nextPageToken": "t/1"})
    with LoopbackServer(sequence(first, say({"models": [{"name": "models/other"}]}))) as server:
        caller = make_caller(providers={"gemini": {"base_url": server.url, "api_key": KEY}})
        models = caller.list_models("gemini")

    assert [model.name for model in models] == ["gemini/gemini-3.8-flash", "gemini/other"]
    assert models[0].output_tokens == 65_536 and "output_tokens" in models[0].from_registry
    assert [urlsplit(request.path).path for request in server.requests] == ["/v1beta/models"] * 2
    assert [query.get("pageToken") for query in queries(server)] == [None, "t/1"]


def test_a_list_that_goes_round_in_a_circle_is_an_error(make_caller: Any) -> None:
    with LoopbackServer(say({"models": [{"name": "models/a"}], "nextPageToken": "again"})) as server:
        caller = make_caller(providers={"gemini": {"base_url": server.url, "api_key": KEY}})
        with pytest.raises(DecodeError, match="circle") as caught:
            caller.list_models("gemini")

    assert caught.value.provider == "gemini" and len(server.requests) == 2


def test_an_ollama_server_is_asked_for_the_facts_of_each_model(make_caller: Any) -> None:
    def ollama(exchange: Exchange) -> None:
        if exchange.path == "/api/tags":
            say({"models": [{"model": name, "size": 1} for name in ("qwen3:4b", "gone:1b")]})(exchange)
        elif exchange.json()["model"] == "gone:1b":
            respond(404, b'{"error":"model \'gone:1b\' not found"}', JSON)(exchange)
        else:
            about = {"general.architecture": "qwen3", "qwen3.context_length": 40960}
            say({"capabilities": ["completion", "tools"], "model_info": about})(exchange)

    with LoopbackServer(ollama) as server:
        found, gone = make_caller(providers={"ollama": {"base_url": server.url}}).list_models("ollama")
        asked = [(request.method, request.path) for request in server.requests]

    assert asked == [("GET", "/api/tags"), ("POST", "/api/show"), ("POST", "/api/show")]
    assert (found.name, found.context_tokens, found.capabilities) == ("ollama/qwen3:4b", 40_960, ("tools",))
    # A model that went meanwhile is still one that was listed.
    assert gone.meta["size"] == 1 and "not found" in gone.meta["error"] and gone.kind is None


def test_a_provider_without_a_list_says_so(make_caller: Any) -> None:
    with pytest.raises(UnsupportedError, match="Local model offers no list of its models") as caught:
        make_caller().list_models("local")

    assert (caught.value.provider, caught.value.model) == ("local", None)


def test_the_list_is_asked_on_the_wire_that_the_provider_speaks(make_caller: Any) -> None:
    page = say({"data": [{"id": "m", "max_input_tokens": 5}], "has_more": False})
    with LoopbackServer(page) as server:
        (model,) = make_caller(providers=lab(f"{server.url}/anthropic", dialect="anthropic")).list_models("lab")

    assert (server.requests[0].path, model.context_tokens) == ("/anthropic/v1/models?limit=1000", 5)


def test_a_refused_key_is_typed_and_never_shown(make_caller: Any, caplog: pytest.LogCaptureFixture) -> None:
    with LoopbackServer(error(401, {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"})) as it:
        caller = make_caller(providers=lab(it.url))
        with caplog.at_level(logging.DEBUG, "polyvox"), pytest.raises(AuthenticationError) as caught:
            caller.list_models("lab", call_config=CallConfig(log_bodies=True))

    assert (caught.value.provider, caught.value.status, caught.value.model) == ("lab", 401, None)
    assert [attempt.error for attempt in caught.value.attempts] == ["AuthenticationError"]
    assert "GET" in caplog.text and "/models" in caplog.text
    assert KEY not in f"{caught.value!r} {caught.value} {caplog.text}"


def test_it_is_tried_again_as_the_policy_says(make_caller: Any) -> None:
    quick = CallConfig(retry=Retry(initial=0.001, jitter=0))
    failing = error(503, {"message": "later"})
    with LoopbackServer(sequence(failing, failing, listed("m"))) as server:
        caller = make_caller(providers=lab(server.url), call_config=quick)
        assert [model.id for model in caller.list_models("lab")] == ["m"]
        assert len(server.requests) == 3
    with LoopbackServer(failing) as server:
        caller = make_caller(providers=lab(server.url), call_config=quick)
        with pytest.raises(ServerError) as caught:
            caller.list_models("lab", call_config=CallConfig(retry=False))

    assert len(server.requests) == len(caught.value.attempts) == 1


def test_of_several_endpoints_each_attempt_goes_to_the_next(make_caller: Any) -> None:
    with LoopbackServer(error(500, {"message": "broken"})) as broken, LoopbackServer(listed("m")) as good:
        endpoints = [{"name": "a", "base_url": broken.url}, {"name": "b", "base_url": good.url, "api_key": "sk-b"}]
        block = lab(broken.url, endpoints=endpoints)
        caller = make_caller(providers=block, call_config=CallConfig(retry=Retry(initial=0.001, jitter=0)))
        assert [model.id for model in caller.list_models("lab")] == ["m"]

    assert (len(broken.requests), good.requests[0].headers["authorization"]) == (1, "Bearer sk-b")


def test_a_page_is_no_list(make_caller: Any) -> None:
    page = respond(200, b"<html>Welcome</html>", {"Content-Type": "text/html"})
    with LoopbackServer(page) as server, pytest.raises(DecodeError, match="check the base_url") as caught:
        make_caller(providers=lab(server.url)).list_models("lab")

    assert caught.value.provider == "lab"


def test_nobody_there_is_told(make_caller: Any) -> None:
    with pytest.raises(ConnectError) as caught:
        make_caller(providers=lab(unused_url())).list_models("lab", call_config=CallConfig(retry=False))

    assert caught.value.provider == "lab"


@pytest.mark.parametrize(("timeout", "phase"), [(Timeout(first_event=0.1), "first_event"), (0.1, "total")])
def test_it_takes_no_longer_than_its_limit(make_caller: Any, timeout: Any, phase: str) -> None:
    with LoopbackServer(never_answer) as server:
        caller = make_caller(providers=lab(server.url))
        with pytest.raises(CallTimeoutError) as caught:
            caller.list_models("lab", timeout=timeout)

    assert caught.value.phase == phase


def test_it_is_aborted_from_another_thread(make_caller: Any) -> None:
    cancel = Cancel()
    with LoopbackServer(never_answer) as server:
        caller = make_caller(providers=lab(server.url))
        join = in_background(lambda: caller.list_models("lab", cancel=cancel))
        assert server.wait_connections(1)
        cancel.set()
        with pytest.raises(Cancelled):
            join()


def test_a_wrong_word_is_told_before_anything_is_sent(make_caller: Any) -> None:
    caller = make_caller(providers=lab(unused_url()))
    for provider, settings, words in (
        ("lob", {}, "did you mean 'lab'"),
        ("lab", {"capability": "tool"}, "did you mean 'tools'"),
        ("lab", {"timout": 3}, "no setting 'timout' of list_models; there are timeout, cancel, headers, call_config"),
        ("openai", {}, "set OPENAI_API_KEY"),
    ):
        with pytest.raises(ConfigError, match=words):
            caller.list_models(provider, **settings)
