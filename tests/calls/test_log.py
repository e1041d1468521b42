"""What `logging` hears: useful lines, no bodies unless asked for, and never a secret."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from polyvox import Cache, CallConfig, MemoryStore, OverloadedError, Retry
from polyvox.io.scripted import ScriptedIO
from tests.calls.wires import answer, ask, failed, streamed, whole

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


def test_each_turn_and_the_end_of_a_call_are_told(make_caller: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Retries, fallbacks and the cache say what they did, and the last line how it ended."""
    caplog.set_level(logging.DEBUG, "polyvox")
    io = ScriptedIO([failed(503, "full"), failed(503, "full"), whole(), whole()])
    config = CallConfig(retry=Retry(max_attempts=2, initial=1), fallback=["lab/other"], cache=Cache(MemoryStore()))
    caller = caller_of(make_caller, io, call_config=config)
    for _ in range(3):
        caller.generate("lab/m", "Hi")
    told = [line for line in lines(caplog).splitlines() if "turn" in line or "attempts:" in line]

    turns = [line.partition("turn: ")[2].partition(", key=")[0] for line in told if "turn" in line]
    assert [turn.partition(" ")[0] for turn in turns[:3]] == ["cache", "retry", "fallback"]
    assert turns[3:] == ["cache event=skipped", "cache event=miss", "cache event=stored", "cache event=hit"]
    assert "error=OverloadedError" in told[1] and "to_model=lab/other" in told[2]
    assert "lab/m is done" in told[-1] and told[-1].endswith("attempts: 0")
    assert KEY not in lines(caplog)


@pytest.mark.parametrize("kind", ["generate", "stream"])
def test_a_failed_call_says_so_at_its_end(make_caller: Any, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "polyvox")
    caller = caller_of(make_caller, ScriptedIO([failed(503)]), call_config=CallConfig(retry=False))
    with pytest.raises(OverloadedError):
        ask(caller, kind, "lab/m", "Hi")
    assert "lab/m failed (OverloadedError)" in caplog.records[-1].getMessage()


def test_a_stream_that_is_left_says_so(make_caller: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "polyvox")
    caller_of(make_caller, ScriptedIO([streamed()])).stream("lab/m", "Hi").leave_with(2)
    assert "lab/m was left" in caplog.records[-1].getMessage()


def test_a_program_may_begin_to_listen_and_cease_at_any_time(
    make_caller: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caller, told = caller_of(make_caller, ScriptedIO([whole()] * 4)), []
    for level in (logging.INFO, logging.DEBUG, logging.INFO, logging.DEBUG):
        caplog.clear()
        caplog.set_level(level, "polyvox")
        caller.generate("lab/m", "Hi")
        told.append("lab/m is done" in lines(caplog))
    assert told == [False, True, False, True]


SHAPED = "sk-proj-0123456789abcdef"  # looks like a key, and is none of ours


@pytest.mark.parametrize(("given", "shown"), [(None, False), (True, False), (False, True)])
@pytest.mark.parametrize("kind", ["generate", "stream"])
def test_bodies_show_what_only_looks_like_a_key_when_asked_for(
    make_caller: Any, kind: str, caplog: pytest.LogCaptureFixture, given: bool | None, shown: bool
) -> None:
    """`sanitize_secrets=False` is for one's own eyes: the keys we know are masked all the same."""
    caplog.set_level(logging.DEBUG, "polyvox")
    config = CallConfig(log_bodies=True, sanitize_secrets=given)
    caller = caller_of(make_caller, ScriptedIO([answer(kind, f"It is {SHAPED}")]), call_config=config)
    response = ask(caller, kind, "lab/m", f"Is {SHAPED} or {KEY} a key?")
    told = lines(caplog)

    assert response.text == f"It is {SHAPED}"
    assert told.count(SHAPED) == (2 if shown else 0)
    assert KEY not in told


def test_errors_are_masked_whatever_was_asked_for(make_caller: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "polyvox")
    config = CallConfig(retry=False, sanitize_secrets=False)
    caller = caller_of(make_caller, ScriptedIO([failed(503, f"bad {SHAPED} {KEY}")]), call_config=config)
    with pytest.raises(OverloadedError) as caught:
        caller.generate("lab/m", "Hi")
    shown = lines(caplog) + repr(caught.value) + str(caught.value.__dict__)
    assert SHAPED not in shown and KEY not in shown and "***" in shown


def test_every_logger_is_under_polyvox_and_silent_by_itself() -> None:
    """No handler, no level: what is heard is the program's to say."""
    for name in ("polyvox", "polyvox.calls", "polyvox.calls.cache", "polyvox.hooks"):
        logger = logging.getLogger(name)
        assert logger.level == logging.NOTSET and logger.propagate and not logger.handlers
