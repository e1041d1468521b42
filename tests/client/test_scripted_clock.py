"""Every time limit at its exact instant, by a clock that moves only when something waits; both clients."""

from __future__ import annotations

from typing import Any

import pytest
from tests.loopback import chat_chunk

from polyvox import CallTimeoutError, Cancel, Cancelled, Timeout
from polyvox.io.scripted import Answer, Pause, ScriptedIO

FIRST = chat_chunk({"role": "assistant", "content": "Hel"})
SECOND = chat_chunk({"content": "lo"})
END = chat_chunk({}, finish="stop") + b"data: [DONE]\n\n"
COMMENT = b": keep-alive\n\n"
STREAM = {"content-type": "text/event-stream"}
LIMITS = Timeout(connect=10, first_event=600, idle=60)


def lab(io: ScriptedIO) -> dict[str, Any]:
    return {"io": io, "providers": {"lab": {"base_url": "http://lab.test/v1"}}}


def streamed(*pieces: Any, **facts: Any) -> Answer:
    return Answer(200, STREAM, pieces, **facts)


@pytest.mark.parametrize(
    ("answer", "timeout", "phase", "instant", "text"),
    [
        (streamed(connect=[Pause(11)]), LIMITS, "connect", 10, None),
        (streamed(head=[Pause(601)]), LIMITS, "first_event", 600, None),
        (streamed(Pause(599), Pause(2), FIRST), LIMITS, "first_event", 600, None),
        (streamed(*[COMMENT, Pause(250)] * 3), LIMITS, "first_event", 600, None),
        (streamed(Pause(100), FIRST, Pause(61)), LIMITS, "idle", 160, "Hel"),
        (streamed(FIRST, Pause(59), SECOND, Pause(61)), LIMITS, "idle", 119, "Hello"),
        (streamed(FIRST, *[Pause(50), COMMENT] * 2), LIMITS, "idle", 60, "Hel"),
        (streamed(FIRST, Pause(59), FIRST[:10], Pause(2)), LIMITS, "idle", 60, "Hel"),
        (streamed(FIRST, Pause(50), SECOND, Pause(50)), Timeout(idle=60, total=99), "total", 99, "Hello"),
        (streamed(connect=[Pause(9)], head=[Pause(9)]), Timeout(total=15), "total", 15, None),
        (streamed(connect=[Pause(9)]), Timeout(connect=10, total=5), "total", 5, None),
        (streamed(FIRST, Pause(10_000)), Timeout(idle=None, total=7_200), "total", 7_200, "Hel"),
    ],
)
def test_a_streams_limits(
    make_caller: Any, answer: Answer, timeout: Timeout, phase: str, instant: float, text: str | None
) -> None:
    io = ScriptedIO([answer])
    with pytest.raises(CallTimeoutError) as caught:
        make_caller(**lab(io)).stream("lab/m", "Hi", timeout=timeout).drain()

    assert (caught.value.phase, io.now()) == (phase, instant)
    assert (caught.value.partial.text if caught.value.partial else None) == text
    assert io.open_count == 0


def test_waiting_just_within_every_limit_is_fine(make_caller: Any) -> None:
    io = ScriptedIO(
        [streamed(Pause(560), FIRST, Pause(59), SECOND, Pause(59), END, connect=[Pause(10)], head=[Pause(20)])]
    )

    stream = make_caller(**lab(io)).stream("lab/m", "Hi", timeout=LIMITS)

    assert stream.drain().text == "Hello"
    timing = stream.response.timing
    assert (timing.connect, timing.first_event) == (30, 590)
    assert io.exchanges[0].complete


@pytest.mark.parametrize(
    ("answer", "timeout", "phase", "instant"),
    [
        (Answer(head=[Pause(601)]), LIMITS, "first_event", 600),
        (Answer(body=[b'{"id"', Pause(601)]), LIMITS, "first_event", 600),
        (Answer(body=[b'{"id"', Pause(100), b":"]), Timeout(total=50), "total", 50),
    ],
)
def test_a_whole_call_has_no_idle_and_its_body_belongs_to_the_first_event(
    make_caller: Any, answer: Answer, timeout: Timeout, phase: str, instant: float
) -> None:
    io = ScriptedIO([answer])
    with pytest.raises(CallTimeoutError) as caught:
        make_caller(**lab(io)).generate("lab/m", "Hi", timeout=timeout)

    assert (caught.value.phase, io.now()) == (phase, instant)


def test_the_clock_of_a_stream_begins_when_it_is_read(make_caller: Any) -> None:
    io = ScriptedIO([streamed(Pause(50), FIRST, END)])
    stream = make_caller(**lab(io)).stream("lab/m", "Hi", timeout=Timeout(total=60))
    io.clock.advance(1000)

    assert stream.drain().text == "Hel"


def test_an_abort_does_not_look_like_a_clean_end(make_caller: Any) -> None:
    cancel = Cancel()
    io = ScriptedIO([streamed(FIRST, cancel.set, END)])
    stream = make_caller(**lab(io)).stream("lab/m", "Hi", cancel=cancel)

    with pytest.raises(Cancelled) as caught:
        stream.drain()
    assert caught.value.partial is not None and caught.value.partial.text == "Hel"
    assert stream.response.finish is None
