"""The exact response cache: a request that was answered before gets the same answer again, and nothing is sent.

The rules. Only whole, good answers are kept (see `Cache.finishes`): never a partial or failed one, never one that was
read only halfway, never one of another model than was asked, never one whose stored form would not say the same. A
streamed and a whole call share one entry; a stream gets it as a stream. A replayed answer says so: `cached` is true,
its cost is 0 (`source="cache"`), it has no attempts, its timing is this call's, and its usage is what it was. A store
that fails costs a warning and the saving, never the call.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Final, Literal, Protocol, TypeAlias, TypeVar

import msgspec
from msgspec import Struct, field, structs

from polyvox.calls.facts import CacheErrorFact, CacheFact
from polyvox.calls.flights import Flight, Flights
from polyvox.calls.generate import Call, Events
from polyvox.errors import CallTimeoutError, Cancelled, ConfigError
from polyvox.io.base import Context
from polyvox.registry.target import Target
from polyvox.secrets import sanitize, sanitize_headers
from polyvox.types.fold import Fold, unfold
from polyvox.types.generate import Finish, FinishReason, GenerateRequest, GenerateResponse
from polyvox.types.usage import Cost, Timing

R = TypeVar("R")

Mode: TypeAlias = Literal["use", "refresh", "bypass"]
Accept: TypeAlias = Callable[[GenerateResponse[Any]], bool]

VERSION: Final = 1
"""Of the key and of the stored form: a change of either makes old entries unreachable, never wrong."""

_MODES: Final = ("use", "refresh", "bypass")
_KEEPABLE: Final = frozenset({"stop", "tool_calls", "length", "content_filter"})
_DECODER: Final = msgspec.json.Decoder(GenerateResponse[Any])
_LOGGER: Final = logging.getLogger("polyvox.calls.cache")


class Store(Protocol):
    """Where entries are kept: plain functions, called from any thread. `blocking`: they wait for a disk or a network,
    and are run beside the event loop where there is one.

    What they raise never reaches the caller of the model. Their own time limits must be short: no deadline and no abort
    of a call reaches into them.
    """

    blocking: bool

    def get(self, key: str) -> bytes | None:
        """Return the entry, `None` where there is none (any more)."""
        ...

    def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Keep the entry for `ttl` seconds (`None`: for ever), in place of one of this key."""
        ...

    def delete(self, key: str) -> None:
        """Forget the entry; there need be none."""
        ...

    def clear(self) -> None:
        """Forget all entries."""
        ...

    def close(self) -> None:
        """Let go of files and connections. A second call does nothing."""
        ...


class Cache(Struct, frozen=True):
    """Where answers are kept and how. One object is given to many calls and clients.

    `ttl`: seconds that an answer is good for, `None` for ever. `mode`: `use` what is there, `refresh` it (call, and
    keep the new answer), or `bypass` it. `single_flight`: identical calls of one process that run at the same time wait
    for the first of them; where that fails, the next one tries. `finishes` are the finish reasons of answers that are
    kept; `length` and `content_filter` may be added, while answers that paused, failed or say nothing of how they ended
    are never kept.
    """

    store: Any
    ttl: float | None = None
    mode: Mode = "use"
    single_flight: bool = True
    finishes: tuple[FinishReason, ...] = ("stop", "tool_calls")
    flights: Flights = field(default_factory=Flights)

    def __post_init__(self) -> None:
        missing = [name for name in ("get", "set", "delete", "clear", "close") if not hasattr(self.store, name)]
        if missing:
            raise ConfigError(
                f"Cache(store={type(self.store).__name__}) has no {', '.join(missing)}: give a MemoryStore, a "
                "SQLiteStore, a RedisStore or an object with their methods"
            )
        ttl: Any = self.ttl
        if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, int | float) or not ttl > 0):
            raise ConfigError(f"Cache(ttl={ttl!r}): give seconds above 0, or None for ever")
        if self.mode not in _MODES:
            raise ConfigError(f"Cache(mode={self.mode!r}): give one of {', '.join(_MODES)}")
        wrong = [reason for reason in self.finishes if reason not in _KEEPABLE]
        if wrong:
            raise ConfigError(f"Cache(finishes=…): {wrong[0]!r} is none of {', '.join(sorted(_KEEPABLE))}")

    def with_mode(self, mode: Mode) -> Cache:
        """Return this cache in another mode, for one call. Both share the store and the flights."""
        return structs.replace(self, mode=mode)


class MemoryStore:
    """Entries in this process, least recently used first out. At most `max_entries`, and `max_bytes` of them."""

    blocking = False

    def __init__(
        self,
        max_entries: int = 1000,
        max_bytes: int | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, value in (("max_entries", max_entries), ("max_bytes", max_bytes)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ConfigError(f"MemoryStore({name}={value!r}): give a whole number from 1")
        self._max_entries, self._max_bytes, self._clock = max_entries, max_bytes, clock
        self._guard = threading.Lock()
        self._entries: OrderedDict[str, tuple[bytes, float | None]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """Bytes of all entries."""
        return self._size

    def get(self, key: str) -> bytes | None:
        """Return the entry, `None` where there is none (any more)."""
        with self._guard:
            entry = self._entries.get(key)
            if entry is None:
                return None
            value, expires = entry
            if expires is not None and self._clock() >= expires:
                self._drop(key)
                return None
            self._entries.move_to_end(key)
            return value

    def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Keep the entry; the ones used least recently go where there is no room."""
        with self._guard:
            self._drop(key)
            if self._max_bytes is not None and len(value) > self._max_bytes:
                return
            self._entries[key] = (value, None if ttl is None else self._clock() + ttl)
            self._size += len(value)
            while len(self._entries) > self._max_entries or self._size > (self._max_bytes or self._size):
                self._drop(next(iter(self._entries)))

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= len(entry[0])

    def delete(self, key: str) -> None:
        """Forget the entry; there need be none."""
        with self._guard:
            self._drop(key)

    def clear(self) -> None:
        """Forget all entries."""
        with self._guard:
            self._entries.clear()
            self._size = 0

    def close(self) -> None:
        """Forget all entries."""
        self.clear()


class Scope(Struct, frozen=True):
    """Whose answers: `name` is the target's `provider/model`, `digest` stands for what else of it shapes an answer."""

    name: str
    digest: str = ""


def scope_of(target: Target) -> Scope:
    """Return the identity of a target for the key: where it leads and how things are said there, without its secrets.

    A new key of the same account finds the old answers; another base URL, wire, header or provider setting does not.
    """
    facts = {
        "dialect": target.dialect.name,
        "base_url": sanitize(target.base_url),
        "path": target.endpoint.path,
        "headers": sanitize_headers({name.lower(): value for name, value in target.headers.items()}),
        "options": target.options,
        "quirks": target.quirks,
        "emulate": target.emulate,
    }
    return Scope(target.name, hashlib.sha256(_canonical(facts, enc_hook=repr)).hexdigest())


def cache_key(request: GenerateRequest, scope: Scope) -> str | None:
    """Return the key of a request, as it stands after the processors, at a target. `None`: it has no serial form.

    Everything that may shape the answer counts: messages with their meta, tools, all settings, options, the form of the
    output with the order of its schema's members (models write them in that order), and `user`, so that no answer
    passes from one of your users to another. What only labels the call does not: `metadata`, `prompt_cache`, and the
    word by which the model was asked for.
    """
    told = structs.replace(request, model="", metadata=None, prompt_cache=None)
    schemas = [tool.parameters for tool in request.tools] + [request.output.schema if request.output else None]
    try:
        parts = (str(VERSION).encode(), _canonical(scope), _canonical(told), msgspec.json.encode(schemas))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None
    return hashlib.sha256(b"\n".join(parts)).hexdigest()


def _canonical(value: Any, enc_hook: Callable[[Any], Any] | None = None) -> bytes:
    return msgspec.json.encode(value, enc_hook=enc_hook, order="deterministic")


def encode_entry(response: GenerateResponse[Any]) -> bytes | None:
    """Return the stored form of an answer, less what is of its own call alone and the body as received.

    `None` where the form would not say the same again (a number that JSON has no word for, half a character).
    """
    kept = _entry(response)
    try:
        data = msgspec.json.encode(kept)
        return data if _DECODER.decode(data) == kept else None
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None


def decode_entry(data: bytes) -> GenerateResponse[Any]:
    """Return the answer of a stored form. Raises `ValueError` for bytes that are none."""
    response = _DECODER.decode(data)
    if response.finish is None:
        raise ValueError("the entry has no finish reason: it is no whole answer")
    return response


def _entry(response: GenerateResponse[Any]) -> GenerateResponse[Any]:
    """Return what is kept: `parsed` is made again by the client, from the text."""
    return structs.replace(
        response, cost=None, attempts=(), timing=None, rate_limits=None, parsed=None, raw=None, cached=False
    )


def cached(inner: Call, cache: Cache, scope: Scope, *, accept: Accept | None = None, raw: bool = False) -> Call:
    """Return `inner` behind the cache.

    `accept` is asked about a whole, good answer before it is kept (false: it is handed on and not kept). `raw`: the
    call is to show the frames of the wire, which an entry has not; the cache is left aside.
    """
    if cache.mode == "bypass" or raw:
        return inner

    async def generate(context: Context, request: GenerateRequest) -> Events:
        key = cache_key(request, scope)
        if key is None:
            await _tell(context, "skipped", None)
            async with aclosing(inner(context, request)) as lists:
                async for events in lists:
                    yield events
            return
        visit = _Visit(cache, scope, context, request, key, accept)
        try:
            found = await visit.find() if cache.mode == "use" else None
            if found is not None:
                yield visit.replay(found)
                return
            async with aclosing(inner(context, request)) as lists:
                async for events in lists:
                    await visit.take(events)
                    yield events
                    visit.go_on()
        finally:
            visit.end()

    return generate


class _Visit:
    """One call's dealings with the cache."""

    def __init__(
        self, cache: Cache, scope: Scope, context: Context, request: GenerateRequest, key: str, accept: Accept | None
    ) -> None:
        self._cache, self._scope, self._context, self._request = cache, scope, context, request
        self._key = key
        self._accept = accept
        self._fold = Fold()
        self._flight: Flight | None = None
        self._kept = False

    async def find(self) -> GenerateResponse[Any] | None:
        """Return the answer that is there, or that another call is just bringing. `None`: this call is to be made."""
        context, flights = self._context, self._cache.flights
        context.check()
        if not self._cache.single_flight:
            return await self._load()
        while True:
            flight, leads = flights.join(self._key)
            if leads:
                # The lead is taken before the store is asked: what a flight brings is there before it ends.
                self._flight = flight
                found = await self._load()
                if found is not None:
                    flights.end(self._key, flight, "landed", found)
                return found
            if not await flight.wait(context) or flight.end == "unshared":
                await _tell(context, "miss", self._key)
                return None
            if flight.response is not None:
                await _tell(context, "hit", self._key)
                return flight.response

    async def _load(self) -> GenerateResponse[Any] | None:
        store = self._cache.store
        data = await self._ask("get", store.get, self._key)
        found = None
        if data is not None:
            try:
                found = decode_entry(data)
            except ValueError as error:
                await self._report("decode", error)
                await self._ask("delete", store.delete, self._key)
        await _tell(self._context, "miss" if found is None else "hit", self._key)
        return found

    def replay(self, found: GenerateResponse[Any]) -> list[Any]:
        """Return the events of a kept answer, and stamp the call as answered by it."""
        context = self._context
        context.connected, context.first_event = None, context.io.now()

        def stamp(context: Context, answer: GenerateResponse[Any]) -> GenerateResponse[Any]:
            first_event = None if context.first_event is None else context.first_event - context.started
            return structs.replace(
                answer,
                provider=found.provider,
                origin=found.origin,
                request_id=found.request_id,
                cost=Cost(0.0, source="cache"),
                attempts=tuple(context.attempts),
                timing=Timing(first_event=first_event, total=context.io.now() - context.started),
                cached=True,
            )

        context.stamp = stamp
        return unfold(found)

    async def take(self, events: list[Any]) -> None:
        """Take note of events that are about to be handed on. The answer is kept when its end is among them."""
        self._fold.feed(events)
        if self._fold.ended and not self._kept:
            self._kept = True
            await self._keep()
        if self._flight is not None:
            self._flight.hand()

    def go_on(self) -> None:
        """The reader asks for more."""
        if self._flight is not None:
            self._flight.go_on()

    def end(self) -> None:
        """The call is over. A flight that has not landed by now has failed, or was left by its reader."""
        if self._flight is not None:
            self._cache.flights.end(self._key, self._flight, "failed")

    async def _keep(self) -> None:
        response = self._context.stamp(self._context, self._fold.response)
        data = encode_entry(response) if self._is_good(response) else None
        if data is not None:
            store = self._cache.store
            stored = await self._ask("set", _set, store, self._key, data, self._cache.ttl)
            await _tell(self._context, "stored" if stored else "skipped", self._key)
        else:
            await _tell(self._context, "skipped", self._key)
        if self._flight is not None:
            # Where the store failed, those who wait have their answer all the same.
            kept = None if data is None else _entry(response)
            self._cache.flights.end(self._key, self._flight, "unshared" if kept is None else "landed", kept)

    def _is_good(self, response: GenerateResponse[Any]) -> bool:
        if response.origin not in (None, self._scope.name):
            return False  # a fallback's answer: the model that was asked for may answer better next time
        finishes = (response.finish, *(alternative.finish for alternative in response.alternatives))
        if not all(self._is_whole(finish) for finish in finishes):
            return False
        if not (response.content or response.alternatives):
            return False
        if self._request.output is not None and not response.tool_calls and not _is_json(response.text):
            return False
        return self._accept is None or self._accept(response)

    def _is_whole(self, finish: Finish | None) -> bool:
        return finish is not None and finish.reason in self._cache.finishes

    async def _ask(self, operation: str, function: Callable[..., R], *arguments: Any) -> R | None:
        """Run one operation of the store. What it raises is reported and answered by `None`."""
        try:
            if getattr(self._cache.store, "blocking", True):
                return await self._context.io.run(function, *arguments)
            return function(*arguments)
        except (Cancelled, CallTimeoutError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a store raises, the call does not die of it
            await self._report(operation, error)
            return None

    async def _report(self, operation: str, error: Exception) -> None:
        context = self._context
        text = sanitize(f"{type(error).__name__}: {error}", context.secrets)
        store = type(self._cache.store).__name__
        _LOGGER.warning("the call goes on without its cache: %s.%s failed: %s", store, operation, text)
        if context.notify is not None:
            await context.notify("cache_error", CacheErrorFact(operation, store, text))


def _set(store: Store, key: str, value: bytes, ttl: float | None) -> bool:
    store.set(key, value, ttl)
    return True


def _is_json(text: str) -> bool:
    """Whether an answer that must be JSON is: one that is not would fail its caller at each replay."""
    try:
        msgspec.json.decode(text)
    except ValueError:
        return False
    return True


async def _tell(context: Context, event: Literal["hit", "miss", "stored", "skipped"], key: str | None) -> None:
    if context.notify is not None:
        await context.notify("cache", CacheFact(event, key))
