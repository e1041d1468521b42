"""Cache entries in a Redis server, shared by machines. Needs the extra `redis`.

The rules. One synchronous client serves both `Client` and `AsyncClient`, in a thread where there is an event loop: its
connection pool then belongs to no loop and may be shared by all. Its time limits are short, since a cache is there to
save time: an operation that a server does not answer is given up after twice `timeout`, and the call goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from polyvox.errors import ConfigError

if TYPE_CHECKING:
    import redis

_BATCH: Final = 500


class RedisStore:
    """Entries in the Redis server at `url` (`redis://host:6379/0`, `rediss://…` for TLS, `unix:///path`).

    `prefix` stands before every key; `clear` forgets what bears it, and nothing else. `timeout`: seconds for connecting
    and for each answer. `client`: a `redis.Redis` of your own instead of `url`; it is yours to close. How much is kept
    is the server's setting (`maxmemory`, with a policy such as `allkeys-lru`). Nothing is sent until the first call.

    Raises `ConfigError` where the package `redis` is missing or the URL makes no sense.
    """

    blocking = True

    def __init__(
        self,
        url: str | None = None,
        *,
        prefix: str = "polyvox:",
        timeout: float = 2.0,
        client: redis.Redis | None = None,
    ) -> None:
        if (url is None) == (client is None):
            raise ConfigError("RedisStore: give a url, or a client of your own")
        if not isinstance(prefix, str) or not prefix:
            raise ConfigError(f"RedisStore(prefix={prefix!r}): give a word, or `clear` would empty the whole database")
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
            raise ConfigError(f"RedisStore(timeout={timeout!r}): give seconds above 0")
        self._prefix = prefix
        self._own = client is None
        self._client: Any = client if url is None else _connect(url, timeout)

    def __repr__(self) -> str:
        return f"RedisStore(prefix={self._prefix!r})"  # the URL may hold a password

    def get(self, key: str) -> bytes | None:
        """Return the entry, `None` where there is none (any more)."""
        value: bytes | str | None = self._client.get(self._prefix + key)
        return value.encode() if isinstance(value, str) else value  # a client of the user's own may decode

    def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Keep the entry."""
        milliseconds = None if ttl is None else max(1, round(ttl * 1000))
        self._client.set(self._prefix + key, value, px=milliseconds)

    def delete(self, key: str) -> None:
        """Forget the entry; there need be none."""
        self._client.unlink(self._prefix + key)

    def clear(self) -> None:
        """Forget all entries that bear the prefix."""
        pattern = "".join(f"\\{letter}" if letter in r"*?[]^\\" else letter for letter in self._prefix) + "*"
        batch: list[Any] = []
        for key in self._client.scan_iter(match=pattern, count=_BATCH):
            batch.append(key)
            if len(batch) >= _BATCH:
                self._client.unlink(*batch)
                batch.clear()
        if batch:
            self._client.unlink(*batch)

    def close(self) -> None:
        """Close the connections, unless the client is your own. A second call does nothing."""
        if self._own:
            self._client.close()


def _connect(url: str, timeout: float) -> redis.Redis:
    try:
        import redis
    except ImportError:
        raise ConfigError("RedisStore needs the package redis: pip install 'polyvox[redis]'") from None
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # One more try: a pooled connection may have been closed by the server meanwhile.
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError as error:
        raise ConfigError(f"RedisStore: {error}") from None
