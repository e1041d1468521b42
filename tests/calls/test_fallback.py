"""What a user may expect of fallback: the next model answers, nothing is handed on twice, every attempt is told."""

from __future__ import annotations

from typing import Any

import pytest

from polyvox import (
    BadRequestError,
    BillingError,
    CallConfig,
    CallTimeoutError,
    Cancel,
    Cancelled,
    ConfigError,
    Fallback,
    Message,
    OverloadedError,
    ReasoningPart,
    Retry,
    TextPart,
    Timeout,
    user,
)
from polyvox.io.scripted import Answer, Pause, ScriptedIO
from tests.calls.wires import ERROR_FRAME, FIRST, ROLE_ONLY, answer, ask, failed, lab, streamed, whole

each_kind = pytest.mark.parametrize("kind", ["generate", "stream"])

ONCE = CallConfig(retry=False, fallback=["second/n", "third/o"])


def three(io: ScriptedIO, **settings: Any) -> dict[str, Any]:
    return lab(io, "first", "second", "third", **settings)


@each_kind
@pytest.mark.parametrize("failure", [failed(503), failed(401), failed(404), failed(402), failed(429)])
def test_the_next_model_answers(make_caller: Any, kind: str, failure: Answer) -> None:
    io = ScriptedIO([failure, answer(kind)])
    response = ask(make_caller(**three(io)), kind, "first/m", "Hi", call_config=ONCE)

    assert (response.text, response.provider, response.message.origin) == ("Hello", "second", "second/n")
    assert [request.url.split("/v1")[0] for request in io.requests] == ["http://first.test", "http://second.test"]
    assert [(attempt.provider, attempt.model) for attempt in response.attempts] == [("first", "m"), ("second", "n")]
    assert response.attempts[0].error and response.attempts[1].error is None


@each_kind
def test_the_last_models_error_is_raised_with_every_attempt(make_caller: Any, kind: str) -> None:
    io = ScriptedIO([failed(503), failed(503), failed(402, "no money")])
    with pytest.raises(BillingError, match="no money") as caught:
        ask(make_caller(**three(io)), kind, "first/m", "Hi", call_config=ONCE)
    assert caught.value.provider == "third"
    assert [attempt.provider for attempt in caught.value.attempts] == ["first", "second", "third"]


@each_kind
def test_a_request_that_is_wrong_in_itself_is_not_carried_on(make_caller: Any, kind: str) -> None:
    io = ScriptedIO([failed(400)])
    with pytest.raises(BadRequestError):
        ask(make_caller(**three(io)), kind, "first/m", "Hi", call_config=ONCE)
    assert len(io.requests) == 1


@each_kind
def test_unless_its_class_is_named(make_caller: Any, kind: str) -> None:
    io = ScriptedIO([failed(400), answer(kind)])
    config = CallConfig(fallback=Fallback(("second/n",), on=(BadRequestError,)))
    assert ask(make_caller(**three(io)), kind, "first/m", "Hi", call_config=config).provider == "second"
    io = ScriptedIO([failed(503)])
    config = CallConfig(retry=False, fallback=Fallback(("second/n",), on=(BadRequestError,)))
    with pytest.raises(OverloadedError):
        ask(make_caller(**three(io)), kind, "first/m", "Hi", call_config=config)


@each_kind
def test_retries_are_each_models_own(make_caller: Any, kind: str) -> None:
    io = ScriptedIO([failed(503)] * 4 + [answer(kind)])
    config = CallConfig(retry=Retry(max_attempts=2, jitter=0), fallback=["second/n", "third/o"])
    response = ask(make_caller(**three(io)), kind, "first/m", "Hi", call_config=config)
    assert [attempt.provider for attempt in response.attempts] == ["first"] * 2 + ["second"] * 2 + ["third"]


@each_kind
def test_an_answer_that_is_not_accepted_leads_on(make_caller: Any, kind: str) -> None:
    long = (
        [answer(kind, ""), answer(kind, "A long answer")] if kind == "stream" else [whole("Hm"), whole("A long answer")]
    )
    io = ScriptedIO(long)
    config = CallConfig(fallback=Fallback(("second/n",), accept=lambda response: len(response.text) > 5))
    response = ask(make_caller(**three(io)), kind, "first/m", "Hi", call_config=config)
    assert (response.text, response.provider) == ("A long answer", "second")


@each_kind
def test_the_last_answer_is_returned_whatever_it_is(make_caller: Any, kind: str) -> None:
    io = ScriptedIO([answer(kind, ""), answer(kind, "")])
    config = CallConfig(fallback=Fallback(("second/n",), accept=lambda response: False))
    assert ask(make_caller(**three(io)), kind, "first/m", "Hi", call_config=config).provider == "second"


@each_kind
def test_one_deadline_for_all_models(make_caller: Any, kind: str) -> None:
    io = ScriptedIO([Answer(head=[Pause(4)], status=503), Answer(head=[Pause(100)])])
    with pytest.raises(CallTimeoutError) as caught:
        ask(make_caller(**three(io)), kind, "first/m", "Hi", call_config=ONCE, timeout=10)
    assert (io.now(), caught.value.phase, len(io.requests)) == (10, "total", 2)


@each_kind
def test_a_silent_model_leads_on(make_caller: Any, kind: str) -> None:
    io = ScriptedIO([Answer(head=[Pause(100)]), answer(kind)])
    response = ask(
        make_caller(**three(io)),
        kind,
        "first/m",
        "Hi",
        call_config=CallConfig(fallback=["second/n"]),
        timeout=Timeout(first_event=3),
    )
    assert (response.provider, io.now()) == ("second", 3)


@each_kind
def test_an_abort_does_not_lead_on(make_caller: Any, kind: str) -> None:
    cancel = Cancel()
    io = ScriptedIO([Answer(503, {}, [cancel.set, b"{}"])])
    with pytest.raises(Cancelled):
        ask(make_caller(**three(io)), kind, "first/m", "Hi", call_config=ONCE, cancel=cancel)
    assert len(io.requests) == 1


@each_kind
def test_signatures_of_the_first_model_do_not_reach_the_second(make_caller: Any, kind: str) -> None:
    io = ScriptedIO([failed(503), answer(kind)])
    history = [
        user("Hi"),
        Message(
            "assistant",
            (ReasoningPart("", meta={"openai": {"reasoning_details": [{"data": "SIGNED"}]}}), TextPart("Hello")),
            origin="first/m",
        ),
        user("And?"),
    ]
    ask(make_caller(**three(io)), kind, "first/m", history, call_config=ONCE)
    assert b"SIGNED" not in io.requests[1].body


@each_kind
def test_an_unknown_model_in_the_list_is_told_before_anything_is_sent(make_caller: Any, kind: str) -> None:
    io = ScriptedIO([])
    with pytest.raises(ConfigError, match="secnd"):
        ask(make_caller(**three(io)), kind, "first/m", "Hi", call_config=CallConfig(fallback=["secnd/n"]))
    with pytest.raises(ConfigError, match="fallback"):
        ask(make_caller(**three(io)), kind, "first/m", "Hi", call_config=CallConfig(fallback="second/n"))
    assert not io.requests


class TestStreams:
    """What only a stream can show."""

    def test_only_before_the_first_content(self, make_caller: Any) -> None:
        io = ScriptedIO([streamed(FIRST, ERROR_FRAME)])
        with pytest.raises(OverloadedError) as caught:
            make_caller(**three(io)).stream("first/m", "Hi", call_config=ONCE).drain()
        assert caught.value.partial.text == "Hel" and len(io.requests) == 1

    def test_one_start_and_it_is_that_of_the_model_that_answered(self, make_caller: Any) -> None:
        io = ScriptedIO([streamed(ROLE_ONLY, ERROR_FRAME), streamed()])
        events = make_caller(**three(io)).stream("first/m", "Hi", call_config=ONCE).events()
        starts = [event for event in events if type(event).__name__ == "StreamStart"]
        assert [start.provider for start in starts] == ["second"]
