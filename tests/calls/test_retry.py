"""What a user may expect of retries: exactly so many requests, at exactly these instants, nothing handed on twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from polyvox import (
    CallConfig,
    CallTimeoutError,
    Cancel,
    Cancelled,
    ConfigError,
    ConnectError,
    DecodeError,
    InterruptedCallError,
    OverloadedError,
    PolyvoxError,
    RateLimitError,
    Retry,
    ServerError,
    TextDelta,
    Timeout,
)
from polyvox.io.scripted import Answer, Pause, ScriptedIO
from tests.calls.wires import END, ERROR_FRAME, FIRST, ROLE_ONLY, SECOND, answer, ask, failed, lab, streamed, whole

each_kind = pytest.mark.parametrize("kind", ["generate", "stream"])

STILL = CallConfig(retry=Retry(jitter=0))


@each_kind
def test_a_failed_call_is_made_again_with_growing_waits(make_caller: Any, kind: str) -> None:
    io = ScriptedIO([failed(503), failed(500), answer(kind)])
    response = ask(make_caller(**lab(io, call_config=STILL)), kind, "lab/m", "Hi")

    assert response.text == "Hello" and len(io.requests) == 3
    assert io.now() == 0.5 + 1.0
    assert [attempt.error for attempt in response.attempts] == ["OverloadedError", "ServerError", None]
    assert [attempt.started for attempt in response.attempts] == [0.0, 0.5, 1.5]


@each_kind
def test_by_default_a_call_is_made_three_times_and_the_last_error_is_raised(make_caller: Any, kind: str) -> None:
    io = ScriptedIO([failed(503, "one"), ConnectError("two"), failed(500, "three")])
    with pytest.raises(ServerError, match="three") as caught:
        ask(make_caller(**lab(io)), kind, "lab/m", "Hi")
    assert len(io.requests) == 3 and io.open_count == 0
    assert [attempt.error for attempt in caught.value.attempts] == ["OverloadedError", "ConnectError", "ServerError"]
    assert 1.5 <= io.now() <= 1.5 + 2 * 0.25


@each_kind
@pytest.mark.parametrize("off", [False, 1, Retry(max_attempts=1)])
def test_retries_can_be_turned_off(make_caller: Any, kind: str, off: Any) -> None:
    io = ScriptedIO([failed(503)])
    with pytest.raises(OverloadedError):
        ask(make_caller(**lab(io)), kind, "lab/m", "Hi", call_config=CallConfig(retry=off))
    assert len(io.requests) == 1


@each_kind
def test_a_call_says_more_of_it_than_its_client(make_caller: Any, kind: str) -> None:
    io = ScriptedIO([failed(503)] * 4 + [answer(kind)])
    caller = make_caller(**lab(io, call_config=CallConfig(retry=False)))
    assert ask(caller, kind, "lab/m", "Hi", call_config=CallConfig(retry=5)).text == "Hello"
    assert len(io.requests) == 5


@each_kind
@pytest.mark.parametrize(
    ("status", "error"),
    [(400, {}), (401, {}), (403, {}), (404, {}), (413, {}), (429, {"code": "insufficient_quota"})],
)
def test_what_cannot_go_better_is_not_tried_again(make_caller: Any, kind: str, status: int, error: Any) -> None:
    io = ScriptedIO([failed(status, **error)])
    with pytest.raises(PolyvoxError) as caught:
        ask(make_caller(**lab(io)), kind, "lab/m", "Hi")
    assert len(io.requests) == 1 and not caught.value.retryable


@each_kind
@pytest.mark.parametrize(
    ("headers", "wait"),
    [({"retry-after": "7"}, 7.0), ({"retry-after-ms": "250"}, 0.25), ({"Retry-After": "0"}, 0.0)],
)
def test_the_providers_own_wait_is_obeyed(make_caller: Any, kind: str, headers: dict[str, str], wait: float) -> None:
    io = ScriptedIO([failed(429, headers=headers), answer(kind)])
    assert ask(make_caller(**lab(io)), kind, "lab/m", "Hi").text == "Hello"
    assert io.now() == wait


@each_kind
def test_a_wait_until_a_date_is_obeyed(make_caller: Any, kind: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    io = ScriptedIO([failed(429, headers={"retry-after": date}), answer(kind)])
    ask(make_caller(**lab(io)), kind, "lab/m", "Hi")
    assert 35 < io.now() <= 41


@each_kind
def test_the_providers_word_on_retrying_goes_before_the_status(make_caller: Any, kind: str) -> None:
    io = ScriptedIO([failed(503, headers={"x-should-retry": "false"})])
    with pytest.raises(OverloadedError):
        ask(make_caller(**lab(io)), kind, "lab/m", "Hi")
    io = ScriptedIO([failed(400, headers={"x-should-retry": "true"}), answer(kind)])
    assert ask(make_caller(**lab(io)), kind, "lab/m", "Hi").text == "Hello"


@each_kind
def test_a_wait_longer_than_the_cap_is_not_begun(make_caller: Any, kind: str) -> None:
    io = ScriptedIO([failed(429, headers={"retry-after": "121"})])
    with pytest.raises(RateLimitError) as caught:
        ask(make_caller(**lab(io)), kind, "lab/m", "Hi")
    assert (io.now(), caught.value.retry_after, caught.value.retryable) == (0, 121, True)
    io = ScriptedIO([failed(429, headers={"retry-after": "121"}), answer(kind)])
    config = CallConfig(retry=Retry(max_retry_after=None))
    assert ask(make_caller(**lab(io, call_config=config)), kind, "lab/m", "Hi").text == "Hello"


@each_kind
def test_attempts_by_error_class(make_caller: Any, kind: str) -> None:
    policy = Retry(attempts={RateLimitError: 4, ServerError: 1, DecodeError: 2}, jitter=0)
    io = ScriptedIO([failed(429)] * 3 + [answer(kind)])
    assert ask(make_caller(**lab(io, call_config=CallConfig(retry=policy))), kind, "lab/m", "Hi").text == "Hello"
    io = ScriptedIO([failed(503)])
    with pytest.raises(OverloadedError):
        ask(make_caller(**lab(io, call_config=CallConfig(retry=policy))), kind, "lab/m", "Hi")
    page = Answer(200, {"content-type": "text/html"}, [b"<html>come back later</html>"])
    io = ScriptedIO([page, answer(kind)])
    assert ask(make_caller(**lab(io, call_config=CallConfig(retry=policy))), kind, "lab/m", "Hi").text == "Hello"


@each_kind
def test_any_wait_strategy_of_tenacity_serves(make_caller: Any, kind: str) -> None:
    import tenacity

    io = ScriptedIO([failed(503), failed(503), answer(kind)])
    policy = Retry(wait=tenacity.wait_fixed(3) + tenacity.wait_incrementing(1, 10))
    ask(make_caller(**lab(io, call_config=CallConfig(retry=policy))), kind, "lab/m", "Hi")
    assert io.now() == (3 + 1) + (3 + 11)


@each_kind
def test_a_limit_of_the_callers_own_is_no_reason_to_try_again(make_caller: Any, kind: str) -> None:
    io = ScriptedIO([Answer(head=[Pause(100)])])
    with pytest.raises(CallTimeoutError):
        ask(make_caller(**lab(io)), kind, "lab/m", "Hi", timeout=Timeout(first_event=10))
    assert (io.now(), len(io.requests)) == (10, 1)


@each_kind
def test_unless_told_so_and_then_each_attempt_has_the_whole_limit(make_caller: Any, kind: str) -> None:
    io = ScriptedIO([Answer(head=[Pause(100)]), answer(kind)])
    config = CallConfig(retry=Retry(attempts={CallTimeoutError: 2}, jitter=0))
    response = ask(make_caller(**lab(io)), kind, "lab/m", "Hi", timeout=Timeout(first_event=10), call_config=config)
    assert (response.text, io.now()) == ("Hello", 10.5)


@each_kind
def test_all_attempts_spend_from_one_deadline(make_caller: Any, kind: str) -> None:
    io = ScriptedIO([failed(503), Answer(head=[Pause(100)])])
    with pytest.raises(CallTimeoutError) as caught:
        ask(make_caller(**lab(io, call_config=STILL)), kind, "lab/m", "Hi", timeout=5)
    assert (caught.value.phase, io.now(), len(io.requests)) == ("total", 5, 2)


@each_kind
def test_a_wait_that_would_outlast_the_deadline_is_not_begun(make_caller: Any, kind: str) -> None:
    io = ScriptedIO([failed(429, headers={"retry-after": "30"})])
    with pytest.raises(RateLimitError):
        ask(make_caller(**lab(io)), kind, "lab/m", "Hi", timeout=20)
    assert io.now() == 0


@each_kind
def test_an_abort_ends_the_wait(make_caller: Any, kind: str) -> None:
    cancel = Cancel()
    io = ScriptedIO([Answer(503, {}, [cancel.set, b"{}"])])
    with pytest.raises(Cancelled):
        ask(make_caller(**lab(io)), kind, "lab/m", "Hi", cancel=cancel)
    assert (len(io.requests), io.open_count) == (1, 0)


@each_kind
@pytest.mark.parametrize("bad", ["often", 0, True, 1.5])
def test_a_word_that_says_nothing_is_refused(make_caller: Any, kind: str, bad: Any) -> None:
    with pytest.raises(ConfigError, match=r"retry|max_attempts"):
        ask(make_caller(**lab(ScriptedIO([]))), kind, "lab/m", "Hi", call_config=CallConfig(retry=bad))


class TestStreams:
    """What only a stream can show."""

    def test_start_up_events_of_a_failed_attempt_are_not_handed_on(self, make_caller: Any) -> None:
        io = ScriptedIO([streamed(ROLE_ONLY, ERROR_FRAME), streamed()])
        events = make_caller(**lab(io)).stream("lab/m", "Hi").events()
        assert [type(event).__name__ for event in events].count("StreamStart") == 1
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Hello"
        assert len(io.requests) == 2

    def test_after_the_first_content_nothing_is_repeated(self, make_caller: Any) -> None:
        io = ScriptedIO([streamed(FIRST, ERROR_FRAME)])
        with pytest.raises(OverloadedError) as caught:
            make_caller(**lab(io)).stream("lab/m", "Hi").drain()
        assert len(io.requests) == 1 and caught.value.partial.text == "Hel"

    def test_a_stream_cut_before_its_content_is_asked_for_again(self, make_caller: Any) -> None:
        io = ScriptedIO([streamed(ROLE_ONLY), streamed(InterruptedCallError("cut")), streamed()])
        assert make_caller(**lab(io)).stream("lab/m", "Hi").drain().text == "Hello"
        assert len(io.requests) == 3

    def test_what_had_arrived_stays_with_the_last_failure(self, make_caller: Any) -> None:
        io = ScriptedIO([streamed(ROLE_ONLY, ERROR_FRAME)] * 3)
        with pytest.raises(OverloadedError) as caught:
            make_caller(**lab(io)).stream("lab/m", "Hi").drain()
        assert caught.value.partial is not None and caught.value.partial.id == "chatcmpl-loopback"

    def test_timing_is_that_of_the_attempt_that_answered(self, make_caller: Any) -> None:
        slow = streamed(Pause(2), FIRST, SECOND, END, connect=[Pause(1)])
        io = ScriptedIO([failed(429, headers={"retry-after": "10"}), slow])
        timing = make_caller(**lab(io)).stream("lab/m", "Hi").drain().timing
        assert (timing.connect, timing.first_event, timing.total) == (11, 13, 13)

    def test_a_whole_answer_to_a_streamed_request_is_handed_on(self, make_caller: Any) -> None:
        io = ScriptedIO([failed(503), whole()])
        assert make_caller(**lab(io)).stream("lab/m", "Hi").texts() == ["Hello"]
