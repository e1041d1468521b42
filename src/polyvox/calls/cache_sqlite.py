"""Cache entries in a SQLite file, shared by threads and processes.

The rules. One connection a process, used under a lock; write-ahead logging, so that processes read while one writes.
The file is made for its owner's eyes only (0600): it holds what models answered. A file that is no cache of ours
is refused when it is opened, and not a byte of it is changed.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from polyvox.errors import ConfigError

_APPLICATION: Final = 0x504F4C59
"""`PRAGMA application_id` of our files ("POLY"): how another program's database is told from a cache."""
_SCHEMA_VERSION: Final = 1
_BUSY_SECONDS: Final = 5.0
_TABLES: Final = """
CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, expires REAL, place INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX entries_by_place ON entries (place);
CREATE INDEX entries_by_expiry ON entries (expires) WHERE expires IS NOT NULL;
CREATE TABLE totals (bytes INTEGER NOT NULL, last_place INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0);
CREATE TRIGGER entry_added AFTER INSERT ON entries BEGIN
    UPDATE totals SET bytes = bytes + length(NEW.value), last_place = NEW.place;
END;
CREATE TRIGGER entry_removed AFTER DELETE ON entries BEGIN
    UPDATE totals SET bytes = bytes - length(OLD.value);
END;
"""


class SQLiteStore:
    """Entries in the file `path`. At most `max_bytes` of them (`None`: no bound); the oldest go first.

    The file itself is a little larger than its entries, and does not shrink. Raises `ConfigError` where the file cannot
    be opened, is damaged or belongs to another program.
    """

    blocking = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        max_bytes: int | None = 256 * 2**20,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if max_bytes is not None and (isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1):
            raise ConfigError(f"SQLiteStore(max_bytes={max_bytes!r}): give a whole number from 1, or None for no bound")
        self._path = Path(path)
        self._max_bytes, self._clock = max_bytes, clock
        self._guard = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inherited: list[sqlite3.Connection] = []
        self._owner = 0
        self._closed = False
        try:
            self._connect()
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(
                f"the cache file {self._path} cannot be used: {error}. Give another path; a damaged file may be deleted"
            ) from None

    def __repr__(self) -> str:
        return f"SQLiteStore({str(self._path)!r}, max_bytes={self._max_bytes})"

    def _connect(self) -> sqlite3.Connection:
        """Return this process's connection. One that was made before a fork belongs to the parent."""
        if self._connection is not None and self._owner == os.getpid():
            return self._connection
        if self._connection is not None:
            self._inherited.append(self._connection)  # kept: closing it here could disturb the parent's locks
        if self._closed:
            raise sqlite3.ProgrammingError("the store was closed")
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # SQLite gives its side files the mode of the file itself.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=32
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._owner = connection, os.getpid()
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # Two processes may make the file at once: the second waits for the first, and finds it made.
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _number(connection, "PRAGMA application_id") != _APPLICATION:
                _make_tables(connection)
            version = _number(connection, "PRAGMA user_version")
            if version != _SCHEMA_VERSION:
                raise sqlite3.DatabaseError(f"it was made by another version of Polyvox (form {version})")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        _switch_to_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")

    @property
    def size(self) -> int:
        """Bytes of all entries."""
        with self._guard:
            return _number(self._connect(), "SELECT bytes FROM totals")

    def __len__(self) -> int:
        with self._guard:
            return _number(self._connect(), "SELECT count(*) FROM entries")

    def get(self, key: str) -> bytes | None:
        """Return the entry, `None` where there is none (any more)."""
        with self._guard:
            row = self._connect().execute("SELECT value, expires FROM entries WHERE key = ?", (key,)).fetchone()
        if row is None or (row[1] is not None and self._clock() >= row[1]):
            return None
        return bytes(row[0])

    def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Keep the entry; what has expired goes, and the oldest go where there is no room."""
        now = self._clock()
        expires = None if ttl is None else now + ttl
        with self._guard:
            connection = self._connect()
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute("DELETE FROM entries WHERE key = ? OR expires <= ?", (key, now))
                if self._max_bytes is None or len(value) <= self._max_bytes:
                    connection.execute(
                        "INSERT INTO entries SELECT ?, ?, ?, last_place + 1 FROM totals", (key, value, expires)
                    )
                    self._make_room(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # some failures (a full disk) have rolled back already
                    connection.execute("ROLLBACK")
                raise

    def _make_room(self, connection: sqlite3.Connection) -> None:
        while self._max_bytes is not None and _number(connection, "SELECT bytes FROM totals") > self._max_bytes:
            connection.execute("DELETE FROM entries WHERE place = (SELECT min(place) FROM entries)")

    def delete(self, key: str) -> None:
        """Forget the entry; there need be none."""
        with self._guard:
            self._connect().execute("DELETE FROM entries WHERE key = ?", (key,))

    def clear(self) -> None:
        """Forget all entries, and give their room on the disk back."""
        with self._guard:
            connection = self._connect()
            connection.execute("DELETE FROM entries")
            connection.execute("VACUUM")

    def close(self) -> None:
        """Close the file. A second call does nothing; other calls raise from then on."""
        with self._guard:
            self._closed = True
            connection, self._connection = self._connection, None
            if connection is not None and self._owner == os.getpid():
                connection.close()


def _number(connection: sqlite3.Connection, statement: str) -> int:
    return int(connection.execute(statement).fetchone()[0])


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging, which stays with the file. Another process may be at it: SQLite does not wait."""
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _make_tables(connection: sqlite3.Connection) -> None:
    if _number(connection, "SELECT count(*) FROM sqlite_master"):
        raise sqlite3.DatabaseError("it is the database of another program")
    # One by one: `executescript` would commit the transaction that guards them.
    for statement in _statements(_TABLES):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


def _statements(script: str) -> list[str]:
    """Split a script at the ends of its statements; a trigger holds semicolons of its own."""
    statements, current = [], ""
    for line in script.strip().splitlines():
        current += line + "\n"
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return statements
