"""What `logging` hears: useful lines, no bodies unless asked for, and never a secret."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from polyvox import CallConfig, OverloadedError
from polyvox.io.scripted import ScriptedIO
from tests.calls.wires import failed, streamed, whole

KEY = "canary-0123456789"


def caller_of(make_caller: Any, io: ScriptedIO, **settings: Any) -> Any:
    block = {"base_url": f"http://lab.test/v1?key={KEY}", "api_key": KEY, "headers": {"X-Other": KEY}}
    return make_caller(io=io, providers={"lab": block}, **settings)


def lines(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records)


def test_each_attempt_its_answer_and_its_failure_are_told(make_caller: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "polyvox")
    io = ScriptedIO([failed(503, f"no room for {KEY}"), whole()])
    caller_of(make_caller, io).generate("lab/m", f"Hi {KEY}")
    told = lines(caplog)
    assert "lab/m attempt 1: POST" in told and "lab/m attempt 2: POST" in told
    assert "answered 503" in told and "answered 200" in told and "OverloadedError, retryable" in told
    assert KEY not in told and "Hi" not in told


def test_nothing_is_said_unless_somebody_listens(make_caller: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "polyvox")
    caller_of(make_caller, ScriptedIO([whole()])).generate("lab/m", "Hi", call_config=CallConfig(log_bodies=True))
    assert not caplog.records


def test_bodies_are_told_when_asked_for_and_masked(make_caller: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "polyvox")
    io = ScriptedIO([streamed()])
    caller = caller_of(make_caller, io, call_config=CallConfig(log_bodies=True))
    assert caller.stream("lab/m", f"Hi there, {KEY}").drain().text == "Hello"
    told = lines(caplog)
    assert "Hi there, ***" in told and "'X-Other': '***'" in told and '"content":"Hel"' in told.replace(" ", "")
    assert KEY not in told


def test_a_failure_is_told_without_the_key_that_the_provider_echoes(
    make_caller: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "polyvox")
    io = ScriptedIO([failed(503, f"bad key {KEY}", headers={"x-request-id": KEY})])
    with pytest.raises(OverloadedError) as caught:
        caller_of(make_caller, io, call_config=CallConfig(retry=False)).generate("lab/m", "Hi")
    assert KEY not in lines(caplog) + repr(caught.value) + str(caught.value.__dict__)
