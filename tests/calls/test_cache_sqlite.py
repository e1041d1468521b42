"""A cache in a file: it outlives the program, is shared by threads and processes, and keeps within its size."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyvox.calls.cache import Cache, cached, scope_of
from polyvox.calls.cache_sqlite import SQLiteStore
from polyvox.calls.generate import call
from polyvox.errors import ConfigError
from polyvox.io.base import Context
from polyvox.io.scripted import Clock, ScriptedIO
from tests.calls.runs import AsyncRunner, Facts, SyncRunner, lab_target
from tests.calls.wires import whole


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "cache.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    made = SQLiteStore(path)
    yield made
    made.close()


@pytest.mark.parametrize("run", [SyncRunner(), AsyncRunner()], ids=["sync", "async"])
def test_an_answer_outlives_the_program(path: Path, run: Any) -> None:
    target, io = lab_target(), ScriptedIO([whole("Hello")])
    for expected in (False, True):
        store = SQLiteStore(path)
        response = run(cached(call(target, stream=False), Cache(store, ttl=60), scope_of(target)), Context(io))
        store.close()
        assert (response.text, response.cached) == ("Hello", expected)
    assert len(io.requests) == 1


def test_entries_are_set_read_replaced_and_forgotten(store: SQLiteStore) -> None:
    assert store.get("a") is None
    store.set("a", b"\x00one", None)
    store.set("a", b"two\xff", None)
    store.set("b", b"", None)
    assert (store.get("a"), store.get("b"), len(store), store.size) == (b"two\xff", b"", 2, 4)
    store.delete("a")
    store.delete("a")
    assert (store.get("a"), len(store), store.size) == (None, 1, 0)
    store.set("c", b"three", None)
    store.clear()
    assert (store.get("c"), len(store), store.size) == (None, 0, 0)


def test_what_has_expired_is_not_read_and_goes_with_the_next_entry(path: Path) -> None:
    clock = Clock()
    store = SQLiteStore(path, clock=lambda: clock.now)
    store.set("a", b"1", 60)
    store.set("b", b"2", None)
    clock.advance(59.9)
    assert store.get("a") == b"1"
    clock.advance(0.1)
    assert store.get("a") is None and len(store) == 2
    store.set("c", b"3", None)
    assert len(store) == 2 and store.get("b") == b"2"
    store.close()


def test_the_oldest_go_where_there_is_no_room(path: Path) -> None:
    store = SQLiteStore(path, max_bytes=10)
    for name in "abc":
        store.set(name, b"1234", None)
    assert [store.get(name) for name in "abc"] == [None, b"1234", b"1234"]
    store.set("b", b"123456", None)  # written anew: now the youngest
    store.set("d", b"1234", None)
    assert [store.get(name) for name in "abcd"] == [None, b"123456", None, b"1234"]
    store.set("big", b"x" * 11, None)
    assert store.get("big") is None and store.size == 10
    store.close()


def test_an_entry_too_big_to_keep_replaces_none_and_leaves_none(path: Path) -> None:
    store = SQLiteStore(path, max_bytes=10)
    store.set("a", b"old", None)
    store.set("a", b"x" * 11, None)
    assert store.get("a") is None
    store.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 6)), max_size=20))
def test_the_file_never_holds_more_than_it_may(steps: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as folder, closing(SQLiteStore(f"{folder}/cache.db", max_bytes=8)) as store:
        kept: dict[str, int] = {}
        for key, size in steps:
            store.set(key, b"x" * size, None)
            kept.pop(key, None)
            kept[key] = size
            while sum(kept.values()) > 8:
                del kept[next(iter(kept))]
            assert store.size == sum(kept.values()) and len(store) == len(kept)


def test_the_file_does_not_grow_with_what_went_through_it(path: Path) -> None:
    store = SQLiteStore(path, max_bytes=200_000)
    sizes = []
    for number in range(400):
        store.set(str(number), os.urandom(5000), None)
        sizes.append(path.stat().st_size)
    store.close()
    assert max(sizes[200:]) < 2 * 200_000


def test_only_its_owner_may_read_the_file(path: Path, store: SQLiteStore) -> None:
    store.set("a", b"1", None)
    files = list(path.parent.iterdir())
    assert {file.name for file in files} == {"cache.db", "cache.db-wal", "cache.db-shm"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_file_is_write_ahead_logged(path: Path, store: SQLiteStore) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


# --- files that will not do ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"this is no database, but a text of some length" * 100, b"SQLite format 3\x00" + b"\xff" * 5000],
    ids=["text", "damaged"],
)
def test_a_file_that_is_no_database_is_refused_and_not_touched(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"cache\.db cannot be used.*another path"):
        SQLiteStore(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused_and_not_touched(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mail (text TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="another program"):
        SQLiteStore(path)
    assert path.read_bytes() == before


def test_a_file_of_another_version_is_refused(path: Path) -> None:
    SQLiteStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConfigError, match="another version"):
        SQLiteStore(path)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        SQLiteStore(tmp_path)


@pytest.mark.parametrize("bound", [0, -1, True, 1.5])
def test_a_bound_that_makes_no_sense_is_named(path: Path, bound: Any) -> None:
    with pytest.raises(ConfigError, match="max_bytes"):
        SQLiteStore(path, bound)


def test_a_file_damaged_while_in_use_costs_a_warning_and_never_the_call(path: Path) -> None:
    target, facts = lab_target(), Facts()
    store = SQLiteStore(path)
    for number in range(200):
        store.set(str(number), b"x" * 3000, None)
    store.close()
    data = bytearray(path.read_bytes())
    data[4096 : 4096 * 40] = os.urandom(4096 * 39)
    path.write_bytes(data)
    store = SQLiteStore(path)
    io = ScriptedIO([whole("Hello")])
    through = cached(call(target, stream=False), Cache(store), scope_of(target))
    assert SyncRunner()(through, Context(io, notify=facts)).text == "Hello"
    assert [kind for kind, _ in facts.all if kind == "cache_error"]
    store.close()


def test_a_closed_store_costs_a_warning_and_never_the_call(store: SQLiteStore) -> None:
    target, facts, io = lab_target(), Facts(), ScriptedIO([whole("Hello")])
    store.close()
    store.close()
    through = cached(call(target, stream=False), Cache(store), scope_of(target))
    assert SyncRunner()(through, Context(io, notify=facts)).text == "Hello"
    assert [fact.operation for kind, fact in facts.all if kind == "cache_error"] == ["get", "set"]


def test_a_full_disk_costs_a_warning_and_never_the_call(path: Path) -> None:
    target, facts, io = lab_target(), Facts(), ScriptedIO([whole("x" * 200_000), whole("small")])
    store = SQLiteStore(path)
    store._connect().execute("PRAGMA max_page_count = 12")
    through = cached(call(target, stream=False), Cache(store), scope_of(target))
    assert len(SyncRunner()(through, Context(io, notify=facts)).text) == 200_000
    errors = [fact for kind, fact in facts.all if kind == "cache_error"]
    assert [fact.operation for fact in errors] == ["set"] and "full" in errors[0].error
    # The store is as it was: smaller answers still find room.
    assert SyncRunner()(through, Context(io)).text == "small"
    assert SyncRunner()(through, Context(io)).cached
    store.close()


# --- many at once -------------------------------------------------------------------------------------------------


def test_many_threads_share_one_store(store: SQLiteStore) -> None:
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for step in range(40):
                store.set(f"{seed}-{step % 10}", f"{seed}:{step}".encode(), 60)
                assert store.get(f"{seed}-{step % 10}") == f"{seed}:{step}".encode()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(store) == 80


WORK = """
import sys
from polyvox.calls.cache_sqlite import SQLiteStore
path, seed = sys.argv[1:]
sys.stdin.readline()
store = SQLiteStore(path, max_bytes=2000)
for step in range(150):
    store.set(f"{seed}-{step}", b"x" * (step % 50), None)
    store.get(f"0-{step}")
store.close()
"""


def test_many_processes_make_and_share_one_file(path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORK, str(path), str(seed)], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for seed in range(4)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"go\n")
        worker.stdin.flush()
    outcomes = [worker.communicate(timeout=50) for worker in workers]
    assert [error.decode() for _, error in outcomes] == [""] * 4
    store = SQLiteStore(path, max_bytes=2000)
    with sqlite3.connect(path) as connection:
        [(bytes_, count)] = connection.execute("SELECT sum(length(value)), count(*) FROM entries").fetchall()
    connection.close()
    assert store.size == bytes_ <= 2000 and len(store) == count > 30
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_opens_the_file_for_itself(path: Path, store: SQLiteStore) -> None:
    store.set("a", b"parent", None)
    script = (
        "import os, sys\n"
        "from polyvox.calls.cache_sqlite import SQLiteStore\n"
        "store = SQLiteStore(sys.argv[1])\n"
        "store.set('b', b'before', None)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    store.set('c', b'child', None)\n"
        "    os._exit(0 if store.get('b') == b'before' else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert store.get('c') == b'child'\n"
        "store.set('d', b'after', None)\n"
        "store.close()\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=30)
    assert [store.get(key) for key in "abcd"] == [b"parent", b"before", b"child", b"after"]


def test_a_store_shows_its_file(store: SQLiteStore, path: Path) -> None:
    assert repr(store) == f"SQLiteStore({str(path)!r}, max_bytes={256 * 2**20})"
