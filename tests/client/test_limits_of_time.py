"""Each time limit fires when it should, its phase named, the partial answer kept: on real sockets, both clients.

Exactness against a clock of our own is tested in test_scripted_clock.py.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.loopback import (
    Exchange,
    LoopbackServer,
    chat_chunk,
    cut_chunked,
    cut_length,
    drip_chunk_size,
    drip_head,
    never_answer,
    reset_after,
    sse_frames,
    stall_after,
    until_close,
)

from polyvox import CallTimeoutError, InterruptedCallError, Timeout

FIRST = chat_chunk({"role": "assistant", "content": "Hel"})
REST = chat_chunk({"content": "lo"}) + chat_chunk({}, finish="stop") + b"data: [DONE]\n\n"
LIMIT = 0.25
LATEST = 2.5  # seconds: a busy machine may be late, a limit that does not hold would be later still


def lab(url: str) -> dict[str, Any]:
    return {"lab": {"base_url": url, "api_key": "sk-x-not-a-real-one"}}


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def tls(request: pytest.FixtureRequest) -> bool:
    return request.param


def settings(server: LoopbackServer) -> dict[str, Any]:
    return {"providers": lab(server.url), **({"ssl_context": server.client_context()} if server.tls else {})}


def keep_alive(exchange: Exchange) -> None:
    """Send one event, then comments for ever."""
    exchange.send_head(200, {"Content-Type": "text/event-stream"}, chunked=True)
    exchange.send_chunk(FIRST)
    while not exchange.client_gone(0.03):
        exchange.send_chunk(b": keep-alive\n\n")


def only_comments(exchange: Exchange) -> None:
    exchange.send_head(200, {"Content-Type": "text/event-stream"}, chunked=True)
    while not exchange.client_gone(0.03):
        exchange.send_chunk(b": PROCESSING\n\n")


def steady(exchange: Exchange) -> None:
    """Send an event every now and then, for ever."""
    exchange.send_head(200, {"Content-Type": "text/event-stream"}, chunked=True)
    while not exchange.client_gone(0.05):
        exchange.send_chunk(FIRST)


CASES = {
    "no head": (never_answer, Timeout(first_event=LIMIT), "first_event", ""),
    "header drip": (drip_head, Timeout(first_event=LIMIT), "first_event", ""),
    "header drip, deadline": (drip_head, Timeout(total=LIMIT), "total", ""),
    "comments only": (only_comments, Timeout(first_event=LIMIT), "first_event", ""),
    "silence": (stall_after(FIRST), Timeout(idle=LIMIT), "idle", "Hel"),
    "keep-alives": (keep_alive, Timeout(idle=LIMIT), "idle", "Hel"),
    "chunk-size drip": (drip_chunk_size(FIRST), Timeout(idle=LIMIT), "idle", "Hel"),
    "steady, deadline": (steady, Timeout(idle=LIMIT, total=3 * LIMIT), "total", "Hel"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_streams_limit(make_caller: Any, tls: bool, case: str) -> None:
    script, timeout, phase, text = CASES[case]
    with LoopbackServer(script, tls=tls) as server:
        caller = make_caller(**settings(server))
        stream = caller.stream("lab/m", "Hi", timeout=timeout)
        started = time.monotonic()
        with pytest.raises(CallTimeoutError) as caught:
            stream.drain()
        took = time.monotonic() - started
        assert server.wait_connections(0)

    assert caught.value.phase == phase and f"Timeout({phase}=" in str(caught.value)
    assert took + 0.01 >= LIMIT and took < LATEST
    if text:
        assert caught.value.partial is not None and caught.value.partial.text.startswith(text)
    else:
        assert caught.value.partial is None


@pytest.mark.parametrize("case", ["no head", "header drip", "header drip, deadline"])
def test_a_whole_calls_limit(make_caller: Any, tls: bool, case: str) -> None:
    script, timeout, phase, _ = CASES[case]
    with LoopbackServer(script, tls=tls) as server:
        caller = make_caller(**settings(server))
        started = time.monotonic()
        with pytest.raises(CallTimeoutError) as caught:
            caller.generate("lab/m", "Hi", timeout=timeout)
        assert LIMIT <= time.monotonic() - started + 0.01 < LATEST
        assert server.wait_connections(0)
    assert caught.value.phase == phase


def test_a_stalled_upload_obeys_the_limit(make_caller: Any, tls: bool) -> None:
    def hold(exchange: Exchange) -> None:
        exchange.hold()

    with LoopbackServer(hold, tls=tls, read_body=False, receive_buffer=4096) as server:
        caller = make_caller(**settings(server))
        started = time.monotonic()
        with pytest.raises(CallTimeoutError) as caught:
            caller.generate("lab/m", "x" * 20_000_000, timeout=Timeout(first_event=LIMIT))
        assert time.monotonic() - started < LATEST
        server.release()
    assert caught.value.phase == "first_event"


def test_a_server_that_never_says_hello_is_a_connect_timeout(make_caller: Any) -> None:
    with LoopbackServer(never_answer, tls=True, handshake=False) as server:
        caller = make_caller(**settings(server))
        started = time.monotonic()
        with pytest.raises(CallTimeoutError) as caught:
            caller.generate("lab/m", "Hi", timeout=Timeout(connect=LIMIT))
        assert time.monotonic() - started < LATEST
    assert caught.value.phase == "connect"


def test_a_plain_number_is_the_deadline_of_the_whole_call(make_caller: Any) -> None:
    with LoopbackServer(never_answer) as server, pytest.raises(CallTimeoutError) as caught:
        make_caller(**settings(server)).generate("lab/m", "Hi", timeout=LIMIT)
    assert caught.value.phase == "total"


@pytest.mark.parametrize(
    "script",
    [
        cut_chunked(FIRST),
        until_close(FIRST),
        reset_after(FIRST),
        cut_chunked(FIRST, FIRST[:20]),
    ],
    ids=["chunked", "connection: close", "reset", "mid-frame"],
)
def test_a_stream_cut_short_is_interrupted_and_keeps_what_came(make_caller: Any, tls: bool, script: Any) -> None:
    with LoopbackServer(script, tls=tls) as server:
        stream = make_caller(**settings(server)).stream("lab/m", "Hi")
        with pytest.raises(InterruptedCallError) as caught:
            stream.drain()
    assert caught.value.partial is not None and caught.value.partial.text == "Hel"
    assert caught.value.retryable


def test_a_stream_cut_after_its_finish_has_lost_nothing(make_caller: Any, tls: bool) -> None:
    with LoopbackServer(cut_chunked(FIRST, chat_chunk({}, finish="stop")), tls=tls) as server:
        assert make_caller(**settings(server)).stream("lab/m", "Hi").drain().text == "Hel"


def test_a_whole_body_cut_short_is_interrupted(make_caller: Any, tls: bool) -> None:
    script = cut_length(b'{"id": "x", "choices": []}', 10)
    with LoopbackServer(script, tls=tls) as server, pytest.raises(InterruptedCallError):
        make_caller(**settings(server)).generate("lab/m", "Hi")


def test_a_body_that_ends_with_its_connection_is_whole(make_caller: Any, tls: bool) -> None:
    with LoopbackServer(until_close(FIRST + REST), tls=tls) as server:
        assert make_caller(**settings(server)).stream("lab/m", "Hi").drain().text == "Hello"


def test_bytes_cut_anywhere_give_the_same_text(make_caller: Any) -> None:
    text = "naïve — 日本語 🎉"
    body = b"".join(
        [chat_chunk({"role": "assistant", "content": text}), chat_chunk({}, finish="stop"), b"data: [DONE]\n\n"]
    )
    pieces = [body[place : place + 1] for place in range(len(body))]
    with LoopbackServer(sse_frames(pieces)) as server:
        assert make_caller(**settings(server)).stream("lab/m", "Hi").drain().text == text


def test_malformed_events_are_a_decode_error_that_keeps_what_came(make_caller: Any) -> None:
    from polyvox import DecodeError

    with LoopbackServer(sse_frames([FIRST, b"data: {nonsense\n\n"])) as server:
        stream = make_caller(**settings(server)).stream("lab/m", "Hi")
        with pytest.raises(DecodeError) as caught:
            stream.drain()
    assert caught.value.partial is not None and caught.value.partial.text == "Hel"
