"""Policies together: exactly as many requests as attempts, each policy in its place, and what a configuration says."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from polyvox import (
    Budget,
    Cache,
    Callbacks,
    CallConfig,
    ConfigError,
    Hedge,
    LimitError,
    MemoryStore,
    OverloadedError,
    PolyvoxError,
    Retry,
)
from polyvox.client.config import read_file
from polyvox.io.scripted import ScriptedIO
from tests.calls.wires import answer, ask, failed, lab, whole
from tests.loopback import chat, error, never_answer, sequence
from tests.loopback_server import LoopbackServer

each_kind = pytest.mark.parametrize("kind", ["generate", "stream"])

TWO_KEYS = [{"name": "a", "api_key": "key-a"}, {"name": "b", "api_key": "key-b"}]
SWITCHES = {
    "retry": [False, Retry(max_attempts=3, jitter=0)],
    "fallback": [False, ["second/n"]],
    "hedge": [False, 30.0],
    "limits": [None, {"requests_per_minute": 6000, "concurrency": 2}],
    "endpoints": [(), TWO_KEYS],
    "around": [False, True],
}
COMBINATIONS = [dict(zip(SWITCHES, values, strict=True)) for values in itertools.product(*SWITCHES.values())]


def words_of(combination: dict[str, Any]) -> CallConfig:
    around: dict[str, Any] = {}
    if combination["around"]:
        around = {
            "cache": Cache(MemoryStore()),
            "budget": Budget(1.0),
            "callbacks": Callbacks(on_end=lambda told: None),
        }
    return CallConfig(**{name: combination[name] for name in ("retry", "fallback", "hedge")}, **around)


def names_of(combination: dict[str, Any]) -> str:
    return "+".join(name for name, value in combination.items() if value) or "none"


@each_kind
@pytest.mark.parametrize("combination", COMBINATIONS, ids=names_of)
def test_as_many_requests_as_attempts(make_caller: Any, kind: str, combination: dict[str, Any]) -> None:
    """Every attempt fails: the requests are attempts × models, whatever else is on."""
    with LoopbackServer(error(500, {"message": "oops"})) as server:
        block = {"base_url": server.url, "limits": combination["limits"], "endpoints": combination["endpoints"]}
        caller = make_caller(providers={"first": block, "second": block})
        waits = Retry(max_attempts=3, initial=0, jitter=0) if combination["retry"] else False
        with pytest.raises(PolyvoxError, match="oops") as caught:
            ask(caller, kind, "first/m", "Hi", call_config=words_of({**combination, "retry": waits}))
        expected = (3 if combination["retry"] else 1) * (2 if combination["fallback"] else 1)
        assert len(server.requests) == len(caught.value.attempts) == expected


@each_kind
@pytest.mark.parametrize("combination", COMBINATIONS, ids=names_of)
def test_one_request_where_nothing_goes_wrong(make_caller: Any, kind: str, combination: dict[str, Any]) -> None:
    with LoopbackServer(chat("Hello")) as server:
        block = {"base_url": server.url, "limits": combination["limits"], "endpoints": combination["endpoints"]}
        caller = make_caller(providers={"first": block, "second": block})
        response = ask(caller, kind, "first/m", "Hi", call_config=words_of(combination))
        assert (response.text, len(server.requests), len(response.attempts)) == ("Hello", 1, 1)


@each_kind
def test_a_silent_attempt_is_hedged_within_its_retry(make_caller: Any, kind: str) -> None:
    with LoopbackServer(sequence(error(503, {"message": "no room"}), never_answer, chat("Hello"))) as server:
        caller = make_caller(providers={"lab": {"base_url": server.url}})
        config = CallConfig(retry=Retry(initial=0, jitter=0), hedge=Hedge(0.1))
        response = ask(caller, kind, "lab/m", "Hi", call_config=config)
        assert response.text == "Hello" and len(server.requests) == 3
        assert [attempt.error for attempt in response.attempts] == ["OverloadedError", "Cancelled", None]


class TestEndpoints:
    """Several keys of one provider, from the configuration."""

    @staticmethod
    def caller(make_caller: Any, io: ScriptedIO, **words: Any) -> Any:
        block = {"base_url": "http://lab.test/v1", "endpoints": TWO_KEYS, **words}
        return make_caller(io=io, providers={"lab": block})

    def test_they_take_turns_and_are_told_apart(self, make_caller: Any) -> None:
        io = ScriptedIO([whole()] * 4)
        caller = self.caller(make_caller, io)
        used = [caller.generate("lab/m", "Hi").attempts[0].endpoint for _ in range(4)]
        assert used == ["a", "b", "a", "b"]
        assert [request.headers["Authorization"] for request in io.requests[:2]] == ["Bearer key-a", "Bearer key-b"]

    @pytest.mark.parametrize("status", [401, 402, 429])
    def test_a_refused_key_gives_way_to_the_next_at_once(self, make_caller: Any, status: int) -> None:
        io = ScriptedIO([failed(status), whole(), whole()])
        caller = self.caller(make_caller, io)
        response = caller.generate("lab/m", "Hi")
        assert [attempt.endpoint for attempt in response.attempts] == ["a", "b"] and io.now() == 0
        assert caller.generate("lab/m", "Hi").attempts[0].endpoint == "b"

    def test_an_address_of_its_own(self, make_caller: Any) -> None:
        io = ScriptedIO([whole(), whole()])
        endpoints = [{"name": "near"}, {"name": "far", "base_url": "http://far.test/v1/", "headers": {"X-Region": "f"}}]
        caller = self.caller(make_caller, io, endpoints=endpoints)
        for _ in range(2):
            caller.generate("lab/m", "Hi", headers={"X-Call": "1"})
        assert [request.url for request in io.requests] == [
            "http://lab.test/v1/chat/completions",
            "http://far.test/v1/chat/completions",
        ]
        assert (io.requests[1].headers["X-Region"], io.requests[1].headers["X-Call"]) == ("f", "1")

    def test_a_key_in_the_environment_and_one_that_is_missing(self, make_caller: Any, monkeypatch: Any) -> None:
        io = ScriptedIO([whole(), whole()])
        endpoints = [{"name": "a", "api_key_env": "LAB_A"}, {"name": "b", "api_key_env": "LAB_B"}]
        caller = self.caller(make_caller, io, endpoints=endpoints)
        monkeypatch.setenv("LAB_A", "from-a")
        with pytest.raises(ConfigError, match="LAB_B is not set"):
            caller.generate("lab/m", "Hi")
        monkeypatch.setenv("LAB_B", "from-b")
        caller.generate("lab/m", "Hi")
        assert io.requests[0].headers["Authorization"] == "Bearer from-a"


class TestLimitsAndBreaker:
    """From the configuration, shared by all calls of a client."""

    def test_requests_a_minute(self, make_caller: Any) -> None:
        io = ScriptedIO([whole()] * 3)
        caller = make_caller(
            io=io, providers={"lab": {"base_url": "http://lab.test/v1", "limits": {"requests_per_minute": 2}}}
        )
        for _ in range(3):
            caller.generate("lab/m", "Hi")
        assert io.now() == pytest.approx(30)
        with pytest.raises(LimitError, match="requests_per_minute"):
            caller.generate("lab/m", "Hi", timeout=1)

    def test_a_breaker_opens_for_all_calls_and_leads_to_the_fallback(self, make_caller: Any) -> None:
        io = ScriptedIO([failed(503), failed(503), whole(), whole()])
        blocks = lab(io, "first", "second")
        blocks["providers"]["first"]["breaker"] = {"failures": 2}
        caller = make_caller(**blocks)
        for _ in range(2):
            with pytest.raises(OverloadedError):
                caller.generate("first/m", "Hi", call_config=CallConfig(retry=False))
        with pytest.raises(LimitError, match="circuit"):
            caller.generate("first/m", "Hi")
        assert caller.generate("first/m", "Hi", call_config=CallConfig(fallback=["second/n"])).provider == "second"
        assert len(io.requests) == 3


class TestCacheAndBudget:
    """Given to a client, and taken back for a call."""

    @each_kind
    def test_an_answer_is_asked_for_once(self, make_caller: Any, kind: str) -> None:
        io = ScriptedIO([answer(kind), answer(kind)])
        caller = make_caller(**lab(io, call_config=CallConfig(cache=Cache(MemoryStore()))))
        first, second = ask(caller, kind, "lab/m", "Hi"), ask(caller, kind, "lab/m", "Hi")
        assert (first.cached, second.cached, second.text, len(io.requests)) == (False, True, "Hello", 1)
        assert not ask(caller, kind, "lab/m", "Hi", call_config=CallConfig(cache=False)).cached

    @each_kind
    def test_a_budget_ends_the_spending(self, make_caller: Any, kind: str) -> None:
        io = ScriptedIO([])
        caller = make_caller(**lab(io, call_config=CallConfig(budget=Budget(0.0))))
        with pytest.raises(LimitError, match="budget"):
            ask(caller, kind, "lab/m", "Hi")

    def test_hooks_see_cached_answers_too(self, make_caller: Any) -> None:
        heard: list[str] = []
        config = CallConfig(
            cache=Cache(MemoryStore()), callbacks=Callbacks(on_content=lambda text, event: heard.append(text))
        )
        caller = make_caller(**lab(ScriptedIO([whole()]), call_config=config))
        for _ in range(2):
            caller.generate("lab/m", "Hi")
        assert heard == ["Hello", "Hello"]


def test_an_async_callback_of_a_plain_client_is_refused(make_caller: Any) -> None:
    async def told(response: Any) -> None: ...

    config = CallConfig(callbacks=Callbacks(on_end=told))
    if make_caller(**lab(ScriptedIO([]))).kind == "async":
        caller = make_caller(**lab(ScriptedIO([whole()]), call_config=config))
        assert caller.generate("lab/m", "Hi").text == "Hello"
        return
    with pytest.raises(ConfigError, match="AsyncClient"):
        make_caller(**lab(ScriptedIO([]), call_config=config))
    with pytest.raises(ConfigError, match="AsyncClient"):
        make_caller(**lab(ScriptedIO([]))).generate("lab/m", "Hi", call_config=config)


def test_a_word_that_is_no_call_config_is_refused(make_caller: Any) -> None:
    with pytest.raises(ConfigError, match="CallConfig"):
        make_caller(**lab(ScriptedIO([]), call_config={"retry": 2}))


@pytest.mark.parametrize(
    "words", [{"cache": True}, {"budget": 5}, {"telemetry": True}, {"retry": "often"}, {"hedge": "soon"}]
)
def test_a_wrong_value_of_a_policy_is_told_with_what_would_be_right(make_caller: Any, words: dict[str, Any]) -> None:
    (name,) = words
    with pytest.raises(ConfigError, match=f"{name} is .*: give a {name.capitalize()}"):
        make_caller(**lab(ScriptedIO([]))).generate("lab/m", "Hi", call_config=CallConfig(**words))


def test_the_file_says_it_all(tmp_path: Path) -> None:
    file = tmp_path / "polyvox.toml"
    file.write_text(
        """
        [providers.openai]
        limits = { requests_per_minute = 500, tokens_per_minute = 200_000, concurrency = 20 }
        breaker = { failures = 3, cooldown = 10 }
        balance = { strategy = "weighted" }
        [[providers.openai.endpoints]]
        name = "main"
        api_key_env = "OPENAI_KEY_MAIN"
        weight = 3
        [[providers.openai.endpoints]]
        name = "spare"
        api_key = "sk-spare-0123456789"
        """
    )
    given = read_file(file).providers["openai"]
    assert given.limits is not None and given.limits.concurrency == 20
    assert given.breaker is not None and given.breaker.failures == 3
    assert given.balance is not None and given.balance.strategy == "weighted"
    assert [endpoint.weight for endpoint in given.endpoints] == [3, 1]
    assert given.endpoints[1].api_key is not None and "sk-spare" not in repr(given)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("limits = { requests = 5 }", "limits: no setting 'requests'"),
        ("limits = { concurrency = 0 }", "concurrency=0"),
        ("breaker = { failures = 'many' }", "failures"),
        ("balance = { strategy = 'random' }", "strategy"),
        ("endpoints = [{ api_key = 'x' }]", r"endpoints\[0\]"),
        ("endpoints = [{ name = 'a' }, { name = 'a' }]", "another endpoint is named 'a'"),
        ("endpoints = [{ name = 'a', key = 'x' }]", "no setting 'key'"),
        ("endpoints = 'a'", "list of tables"),
    ],
)
def test_a_wrong_word_of_the_file_is_named_with_its_place(tmp_path: Path, text: str, place: str) -> None:
    file = tmp_path / "polyvox.toml"
    file.write_text(f"[providers.lab]\nbase_url = 'http://lab.test'\n{text}\n")
    with pytest.raises(ConfigError, match=place):
        read_file(file)
