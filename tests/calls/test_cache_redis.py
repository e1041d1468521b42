"""A cache in a Redis server, tested against a real one: shared by machines, and never the death of a call."""

from __future__ import annotations

import logging
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from polyvox.calls.cache import Cache, cached, scope_of
from polyvox.calls.cache_redis import RedisStore
from polyvox.calls.generate import Call, call
from polyvox.errors import ConfigError
from polyvox.io.base import Context
from polyvox.io.scripted import ScriptedIO
from tests.callers import in_background
from tests.calls.runs import AsyncRunner, Facts, SyncRunner, lab_target
from tests.calls.wires import answer, whole

redis = pytest.importorskip("redis", reason="the extra `redis` is not installed")
PROGRAM = shutil.which("redis-server")
needs_server = pytest.mark.skipif(PROGRAM is None, reason="there is no program redis-server (Debian: redis-server)")

TARGET = lab_target()


class Server:
    """A real server on a socket file of its own, which keeps nothing."""

    def __init__(self, folder: str, *settings: str) -> None:
        self.socket = f"{folder}/redis.sock"
        self.url = f"unix://{self.socket}"
        self._folder, self._settings = folder, settings
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        assert PROGRAM is not None
        where = ["--port", "0", "--unixsocket", self.socket, "--dir", self._folder, "--save", ""]
        self._process = subprocess.Popen([PROGRAM, *where, *self._settings], stdout=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not self._listens():
            assert self._process.poll() is None and time.monotonic() < end, "redis-server did not start"
            time.sleep(0.01)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(self.socket) == 0

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)
        Path(self.socket).unlink(missing_ok=True)


@pytest.fixture(scope="module")
def lasting_server() -> Iterator[Server]:
    with TemporaryDirectory() as folder:
        server = Server(folder)
        yield server
        server.stop()


@pytest.fixture
def server(lasting_server: Server) -> Server:
    with redis.Redis.from_url(lasting_server.url) as client:
        client.flushall()
    return lasting_server


@pytest.fixture
def store(server: Server) -> Iterator[RedisStore]:
    made = RedisStore(server.url)
    yield made
    made.close()


def through(store: Any, kind: str = "generate", **settings: Any) -> Call:
    return cached(call(TARGET, stream=kind == "stream"), Cache(store, **settings), scope_of(TARGET))


@needs_server
@pytest.mark.parametrize("run", [SyncRunner(), AsyncRunner()], ids=["sync", "async"])
@pytest.mark.parametrize("kind", ["generate", "stream"])
def test_an_answer_of_one_machine_serves_another(server: Server, run: Any, kind: str) -> None:
    io = ScriptedIO([answer(kind)])
    for expected in (False, True):
        store = RedisStore(server.url)
        response = run(through(store, kind, ttl=60), Context(io))
        store.close()
        assert (response.text, response.cached) == ("Hello", expected)
    assert len(io.requests) == 1


@needs_server
def test_entries_are_set_read_replaced_and_forgotten(store: RedisStore) -> None:
    assert store.get("a") is None
    store.set("a", b"\x00one", None)
    store.set("a", b"two\xff", None)
    store.set("b", b"", None)
    assert (store.get("a"), store.get("b")) == (b"two\xff", b"")
    store.delete("a")
    store.delete("a")
    assert store.get("a") is None


@needs_server
def test_what_has_expired_is_gone(store: RedisStore, server: Server) -> None:
    store.set("a", b"1", 0.05)
    store.set("b", b"2", 1000)
    with redis.Redis.from_url(server.url) as client:
        assert 990_000 < client.pttl("polyvox:b") <= 1_000_000
    assert store.get("a") == b"1"
    time.sleep(0.08)
    assert (store.get("a"), store.get("b")) == (None, b"2")


@needs_server
def test_clearing_forgets_our_entries_and_no_others(server: Server) -> None:
    ours, theirs = RedisStore(server.url, prefix="a*[b]?:"), RedisStore(server.url, prefix="axb:")
    for number in range(1200):
        ours.set(str(number), b"1", None)
    theirs.set("x", b"1", None)
    ours.clear()
    with redis.Redis.from_url(server.url) as client:
        assert client.keys("*") == [b"axb:x"]
    ours.clear()
    ours.close()
    theirs.close()


@needs_server
@pytest.mark.parametrize("decode", [False, True])
def test_a_client_of_ones_own_is_used_and_left_open(server: Server, decode: bool) -> None:
    with redis.Redis.from_url(server.url, decode_responses=decode) as client:
        store, io = RedisStore(client=client), ScriptedIO([whole("Grüße")])
        for _ in range(2):
            assert SyncRunner()(through(store), Context(io)).text == "Grüße"
        store.close()
        assert client.ping() and len(io.requests) == 1


@needs_server
def test_many_threads_share_one_store(store: RedisStore) -> None:
    def work(seed: int) -> None:
        for step in range(50):
            store.set(f"{seed}-{step}", f"{step}".encode(), 60)
            assert store.get(f"{seed}-{step}") == f"{step}".encode()

    for join in [in_background(lambda seed=seed: work(seed)) for seed in range(8)]:
        join(20)


# --- servers that fail --------------------------------------------------------------------------------------------


def _operations(facts: Facts) -> list[str]:
    return [fact.operation for kind, fact in facts.all if kind == "cache_error"]


@pytest.mark.parametrize("run", [SyncRunner(), AsyncRunner()], ids=["sync", "async"])
def test_a_server_that_is_not_there_costs_a_warning_and_never_the_call(
    run: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, io, facts = RedisStore(f"unix://:hunter2@{tmp_path}/none.sock"), ScriptedIO([whole()]), Facts()
    with caplog.at_level(logging.WARNING, "polyvox.calls.cache"):
        assert run(through(store), Context(io, notify=facts)).text == "Hello"
    assert _operations(facts) == ["get", "set"] and len(caplog.records) == 2
    assert "RedisStore" in caplog.text and "hunter2" not in caplog.text + repr(store) + repr(facts.all)
    store.close()


@needs_server
def test_a_server_that_goes_and_comes_back_is_used_again() -> None:
    with TemporaryDirectory() as folder:
        server = Server(folder)
        store, io, facts = RedisStore(server.url), ScriptedIO([whole("1"), whole("2"), whole("3")]), Facts()
        try:
            texts = [SyncRunner()(through(store), Context(io, notify=facts)).text for _ in range(2)]
            server.stop()
            texts.append(SyncRunner()(through(store), Context(io, notify=facts)).text)
            assert _operations(facts) == ["get", "set"]
            server.start()
            texts += [SyncRunner()(through(store), Context(io, notify=facts)).text for _ in range(2)]
            assert texts == ["1", "1", "2", "3", "3"] and _operations(facts) == ["get", "set"]
        finally:
            store.close()
            server.stop()


@needs_server
def test_a_server_that_hangs_costs_no_more_than_its_time_limit() -> None:
    with TemporaryDirectory() as folder:
        server = Server(folder)
        store, io, facts = RedisStore(server.url, timeout=0.1), ScriptedIO([whole(), whole()]), Facts()
        try:
            store.get("warm")
            server.signal(signal.SIGSTOP)
            begun = time.monotonic()
            assert SyncRunner()(through(store), Context(io, notify=facts)).text == "Hello"
            assert time.monotonic() - begun < 2
            assert _operations(facts) == ["get", "set"]
        finally:
            server.signal(signal.SIGCONT)
            store.close()
            server.stop()


@needs_server
def test_a_server_that_is_full_or_shut_costs_a_warning_and_never_the_call() -> None:
    with TemporaryDirectory() as folder:
        server = Server(folder, "--requirepass", "hunter2", "--maxmemory", "1", "--maxmemory-policy", "noeviction")
        try:
            for url, operations in (
                (server.url, ["get", "set"]),
                (f"unix://:wrong@{server.socket}", ["get", "set"]),
                (f"unix://:hunter2@{server.socket}", ["set"]),
            ):
                store, facts = RedisStore(url), Facts()
                through_it = through(store)
                assert SyncRunner()(through_it, Context(ScriptedIO([whole()]), notify=facts)).text == "Hello"
                assert _operations(facts) == operations
                store.close()
        finally:
            server.stop()


# --- what is asked for wrongly ------------------------------------------------------------------------------------


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigError, match=r"pip install 'polyvox\[redis\]'"):
        RedisStore("redis://127.0.0.1")


@pytest.mark.parametrize(
    ("url", "settings", "word"),
    [
        (None, {}, "url"),
        ("redis://127.0.0.1", {"client": object()}, "url"),
        ("http://127.0.0.1", {}, "redis://"),
        ("redis://127.0.0.1", {"prefix": ""}, "prefix"),
        ("redis://127.0.0.1", {"timeout": 0}, "timeout"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(url: str | None, settings: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        RedisStore(url, **settings)
