"""Record and replay: a call made once is played back, without a network, on either client and every wire."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from polyvox import (
    CallTimeoutError,
    Cancel,
    Cancelled,
    Client,
    ConfigError,
    ConnectError,
    InterruptedCallError,
    RateLimitError,
    Timeout,
)
from polyvox.calls.config import CallConfig
from polyvox.io.base import IO
from polyvox.testing.cassette import CassetteError
from polyvox.testing.faults import CutAfter, RateLimited, RefuseConnection, SlowDrip, SplitUTF8
from polyvox.testing.recording import Cassette, record, record_replay, replay
from polyvox.testing.server import FaultServer

CANARY = "zz-canary-9f8e7d6c5b4a"  # of no shape that a sanitiser knows
TEXT = "Grüße aus Zürich 😀 und mehr."
ONCE = CallConfig(retry=False)


def settings(url: str, *, dialect: str = "openai", io: Any = None, key: str = CANARY) -> dict[str, Any]:
    return {
        "providers": {"lab": {"base_url": url, "dialect": dialect, "api_key": key}},
        "call_config": ONCE,
        **({} if io is None else {"io": io}),
    }


def recorded(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def close(caller: Any) -> None:
    """Close the client; the caller is closed after the test."""
    if caller.kind == "sync":
        caller.client.close()
    else:
        caller.runner.run(caller.client.close())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cassettes" / "talk.json"


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_what_was_recorded_is_played_back_by_either_client(make_caller: Any, path: Path, dialect: str) -> None:
    with FaultServer(TEXT) as server:
        url = server.base_url(dialect)
        caller = make_caller(**settings(url, dialect=dialect, io=record(path)))
        whole = caller.generate("lab/m", "Hi")
        events = caller.stream("lab/m", "Hi").events()
        close(caller)
        assert server.request_count == 2
    player = make_caller(**settings(url, dialect=dialect, io=replay(path), key="another-key"))

    again = player.generate("lab/m", "Hi")
    assert (again.text, again.usage, again.finish, again.request_id) == (TEXT, whole.usage, whole.finish, "req_0")
    assert player.stream("lab/m", "Hi").events() == events
    close(player)


def test_a_recording_of_one_client_is_played_by_the_other(path: Path) -> None:
    with FaultServer(TEXT) as server, Client(**settings(server.base_url(), io=record(path))) as client:
        url = server.base_url()
        client.stream("lab/m", "Hi").drain()

    async def play() -> str:
        from polyvox import AsyncClient

        async with AsyncClient(**settings(url, io=replay(path))) as other:
            return (await other.stream("lab/m", "Hi").drain()).text

    assert asyncio.run(play()) == TEXT


def test_no_secret_stands_in_a_recording(path: Path) -> None:
    """The key is planted in the URL, a header, the prompt, and what the server answers."""
    with FaultServer(f"You said {CANARY}! And {CANARY[:9]}, sk-ant-REDACTED") as server:
        url = server.base_url()
        provider = {"base_url": url, "api_key": CANARY, "headers": {"x-note": f"with {CANARY}"}}
        with Client(providers={"lab": provider}, io=record(path)) as client:
            client.generate("lab/m", f"My key is {CANARY}.")
            client.stream("lab/m", f"My key is {CANARY}.").drain()
    text = path.read_text(encoding="utf-8")

    assert CANARY not in text
    assert "sk-ant-REDACTED" not in text
    assert text.count('"authorization": "***"') == 2
    assert "My key is ***." in text
    provider["api_key"], provider["headers"] = "other-key-entirely", {"x-note": "other"}
    with Client(providers={"lab": provider}, io=replay(path)) as client, pytest.raises(CassetteError):
        # Another key in the prompt is masked as well, where it is the call's own.
        assert "***" in client.generate("lab/m", "My key is other-key-entirely.").text
        client.generate("lab/m", "My key is other-key-entirely.")


def test_a_secret_cut_in_two_by_the_network_is_masked(path: Path) -> None:
    drip = SlowDrip(size=3, seconds=0.001)
    with FaultServer(CANARY, faults=drip) as server, Client(**settings(server.base_url(), io=record(path))) as client:
        client.generate("lab/m", "Hi")
    (exchange,) = recorded(path)["exchanges"]
    assert len(exchange["body"]) > 10

    assert CANARY not in "".join(piece.get("text", "") for piece in exchange["body"])


def test_a_file_reads_well_and_keys_are_sorted(path: Path) -> None:
    with FaultServer(TEXT) as server, Client(**settings(server.base_url(), io=record(path))) as client:
        client.generate("lab/m", "Hi", temperature=0.5)
    text = path.read_text(encoding="utf-8")
    held = json.loads(text)

    assert held["exchanges"][0]["request"]["body"]["json"]["temperature"] == 0.5
    assert TEXT in text
    assert text == json.dumps(held, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    assert list(path.parent.iterdir()) == [path]


def test_bytes_cut_inside_a_character_come_back_as_they_were(path: Path) -> None:
    with FaultServer(TEXT, faults=SplitUTF8(seconds=0.002)) as server:
        url = server.base_url()
        with Client(**settings(url, io=record(path))) as client:
            client.stream("lab/m", "Hi").drain()

    with Client(**settings(url, io=replay(path))) as client:
        assert client.stream("lab/m", "Hi").drain().text == TEXT


def test_a_request_that_was_not_recorded_says_what_differs(make_caller: Any, path: Path) -> None:
    with FaultServer(TEXT) as server, Client(**settings(server.base_url(), io=record(path))) as client:
        url = server.base_url()
        client.generate("lab/m", "Hi", temperature=0.5)
    player = make_caller(**settings(url, io=replay(path)))

    with pytest.raises(CassetteError, match=r"talk\.json answers POST") as told:
        player.generate("lab/m", "Hello", temperature=1)
    assert told.value.differences == (
        'body.messages[0].content is "Hello", recorded "Hi"',
        "body.temperature is 1, recorded 0.5",
    )
    assert not told.value.retryable
    close(player)  # the mismatch was said: what is left over is no news


def test_fields_declared_to_be_ignored_are_not_compared(path: Path) -> None:
    with FaultServer(TEXT) as server, Client(**settings(server.base_url(), io=record(path))) as client:
        url = server.base_url()
        client.generate("lab/m", "Hi", user="ada", seed=1)

    with Client(**settings(url, io=replay(path, ignore=["user", "seed", "messages.*.content"]))) as client:
        assert client.generate("lab/m", "Ho", user="bob", seed=2).text == TEXT


def test_equal_requests_are_answered_in_their_order_and_once_each(path: Path) -> None:
    with FaultServer(["one", "two"]) as server, Client(**settings(server.base_url(), io=record(path))) as client:
        url = server.base_url()
        assert [client.generate("lab/m", "Hi").text for _ in range(2)] == ["one", "two"]

    with Client(**settings(url, io=replay(path))) as client:
        assert [client.generate("lab/m", "Hi").text for _ in range(2)] == ["one", "two"]
        with pytest.raises(CassetteError, match="it was played already"):
            client.generate("lab/m", "Hi")


def test_recorded_requests_that_are_not_made_are_told_at_the_end(make_caller: Any, path: Path) -> None:
    with FaultServer(TEXT) as server, Client(**settings(server.base_url(), io=record(path))) as client:
        url = server.base_url()
        client.generate("lab/m", "Hi")
        client.generate("lab/m", "Ho")
    player = make_caller(**settings(url, io=replay(path)))
    player.generate("lab/m", "Hi")

    with pytest.raises(CassetteError, match=r"1 recorded requests of .* were not made: POST"):
        close(player)
    with Client(**settings(url, io=replay(path, strict=False))) as client:
        client.generate("lab/m", "Hi")
    with pytest.raises(CassetteError, match="were not made"), replay(path) as cassette:
        Client(**settings(url, io=cassette)).close()
        with Client(**settings(url, io=cassette)) as client:
            client.generate("lab/m", "Hi")


def test_failures_are_recorded_too(make_caller: Any, path: Path) -> None:
    """A refused connection, a provider's refusal, an answer that broke off."""
    url = ""

    def talk(io: Cassette, at: str) -> list[Any]:
        caller = make_caller(**settings(at, io=io))
        seen: list[Any] = []
        for _ in range(2):
            try:
                caller.stream("lab/m", "Hi").drain()
            except (RateLimitError, InterruptedCallError) as error:
                seen.append((type(error), error.message, error.retry_after, error.partial and error.partial.text))
        close(caller)
        return seen

    with FaultServer(TEXT, faults=[RateLimited(7), CutAfter(700)]) as server:
        url = server.base_url()
        first = talk(record(path), url)
    assert [kind for kind, *_ in first] == [RateLimitError, InterruptedCallError]
    assert first[0][2] == 7
    assert first[1][3].startswith("Grüße")

    assert talk(replay(path), url) == first


def test_a_refused_connection_is_recorded(path: Path) -> None:
    with FaultServer(faults=RefuseConnection()) as server:
        url = server.base_url()
        for io in (record(path), replay(path)):
            with Client(**settings(url, io=io)) as client, pytest.raises(ConnectError, match="refused"):
                client.generate("lab/m", "Hi")

    assert recorded(path)["exchanges"][0]["error"]["kind"] == "ConnectError"


def test_a_recording_left_early_says_so_where_it_stops(path: Path) -> None:
    with FaultServer(TEXT, faults=SlowDrip(size=300, seconds=0.02)) as server:
        url = server.base_url()
        with Client(**settings(url, io=record(path))) as client, client.stream("lab/m", "Hi") as stream:
            next(iter(stream.text))

    with Client(**settings(url, io=replay(path))) as client, client.stream("lab/m", "Hi") as stream:
        assert next(iter(stream.text)) == "Grüße "
    with Client(**settings(url, io=replay(path))) as client, pytest.raises(CassetteError, match="stops here"):
        client.stream("lab/m", "Hi").drain()


def test_pauses_are_played_where_asked_for_and_obey_the_limits(make_caller: Any, path: Path) -> None:
    with FaultServer(TEXT, faults=SlowDrip(size=400, seconds=0.05)) as server:
        url = server.base_url()
        with Client(**settings(url, io=record(path))) as client:
            client.stream("lab/m", "Hi").drain()

    def seconds(timing: bool) -> float:
        caller = make_caller(**settings(url, io=replay(path, timing=timing)))
        started = time.monotonic()
        assert caller.stream("lab/m", "Hi").drain().text == TEXT
        close(caller)
        return time.monotonic() - started

    assert seconds(True) > 0.2 > seconds(False)
    caller = make_caller(**settings(url, io=replay(path, timing=True)))
    with pytest.raises(CallTimeoutError, match="silent"):
        caller.stream("lab/m", "Hi", timeout=Timeout(idle=0.02)).drain()


def test_an_abort_reaches_a_call_that_is_played(make_caller: Any, path: Path) -> None:
    with FaultServer(TEXT, faults=SlowDrip(size=300, seconds=0.01)) as server:
        url = server.base_url()
        with Client(**settings(url, io=record(path))) as client:
            client.stream("lab/m", "Hi").drain()
    cancel = Cancel()
    caller = make_caller(**settings(url, io=replay(path)))
    stream = caller.stream("lab/m", "Hi", cancel=cancel)
    stream.next()
    cancel.set()

    with pytest.raises(Cancelled):
        while True:
            stream.next()


def test_auto_records_once_and_plays_after(path: Path) -> None:
    with FaultServer(TEXT) as server:
        url = server.base_url()
        for _ in range(3):
            with Client(**settings(url, io=record_replay(path))) as client:
                assert client.generate("lab/m", "Hi").text == TEXT
        assert server.request_count == 1
        with Client(**settings(url, io=record_replay(path, "off"))) as client:
            client.generate("lab/m", "Hi")
        assert server.request_count == 2


def test_a_file_that_is_missing_or_is_none_says_so(path: Path) -> None:
    missing = Client(**settings("http://127.0.0.1:9", io=replay(path)))
    with missing, pytest.raises(ConfigError, match="record it first"):
        missing.generate("lab/m", "Hi")
    path.parent.mkdir()
    path.write_text("{}")
    broken = Client(**settings("http://127.0.0.1:9", io=replay(path)))
    with broken, pytest.raises(ConfigError, match="is no cassette"):
        broken.generate("lab/m", "Hi")
    with pytest.raises(ConfigError, match="mode is 'never'"):
        record_replay(path, "never")  # type: ignore[arg-type]


def test_any_io_can_be_recorded(path: Path) -> None:
    """A double of the network is wrapped as the network is."""
    from polyvox.io.scripted import Answer, ScriptedIO
    from polyvox.testing.recording import Recorder

    body = b'{"choices":[{"message":{"content":"scripted"},"finish_reason":"stop"}]}'
    io: IO = Recorder(ScriptedIO([Answer(body=[body])]), record(path))
    with Client(**settings("http://lab.invalid", io=io)) as client:
        assert client.generate("lab/m", "Hi").text == "scripted"

    with Client(**settings("http://lab.invalid", io=replay(path))) as client:
        assert client.generate("lab/m", "Hi").text == "scripted"
