"""A cassette: a JSON file of recorded exchanges, made to be read, compared and kept under version control.

The rules: no secret is written; text stands as text, and a request's JSON as JSON; a request is answered by an exchange
that is equal to it (method, URL, body less the fields declared to be ignored), equal ones in the order they were
recorded; a request that no exchange answers raises, and says how it differs.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from polyvox.errors import ConfigError, PolyvoxError
from polyvox.framing.json import encode
from polyvox.io.base import HttpRequest
from polyvox.testing.scrub import Scrubber

_VERSION: Final = 1
_SHOWN: Final = 5
_LONGEST: Final = 80


class CassetteError(PolyvoxError):
    """A recording does not fit what is asked. `differences` says each thing that differs, the nearest recording's."""

    def __init__(self, message: str, *, differences: Sequence[str] = (), **facts: Any) -> None:
        super().__init__(message, **facts)
        self.differences = tuple(differences)


class RecordedBody(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Bytes: as JSON where they are JSON (a request's), as text where they are text, else in base64.

    `after` is how many seconds after the piece before it a piece of an answer came.
    """

    json: Any | UnsetType = UNSET
    text: str | None = None
    base64: str | None = None
    after: float = 0.0

    @property
    def data(self) -> bytes:
        """The bytes. JSON is written anew."""
        if self.json is not UNSET:
            return encode(self.json)
        return base64.b64decode(self.base64) if self.base64 is not None else (self.text or "").encode()


class RecordedRequest(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A request as it is written, secrets masked."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: RecordedBody = RecordedBody()


class RecordedError(Struct, frozen=True, omit_defaults=True):
    """The failure that ended an exchange: the name of its class in `polyvox.errors`, and what it said."""

    kind: str
    message: str
    phase: str | None = None


class RecordedExchange(Struct, omit_defaults=True, kw_only=True):
    """A request and what came of it. `after`: seconds until the head. `complete`: the body was read to its end."""

    request: RecordedRequest
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: tuple[RecordedBody, ...] = ()
    after: float = 0.0
    complete: bool = False
    error: RecordedError | None = None


class _File(Struct, kw_only=True):
    version: int
    exchanges: list[RecordedExchange]


def read_body(data: bytes, scrubber: Scrubber) -> RecordedBody:
    """Return a request's body as it is written."""
    try:
        text = scrubber.text(data.decode())
    except UnicodeDecodeError:
        return RecordedBody(base64=base64.b64encode(scrubber.binary(data)).decode())
    try:
        return RecordedBody(json=json.loads(text)) if text else RecordedBody()
    except ValueError:
        return RecordedBody(text=text)


def read_request(request: HttpRequest, scrubber: Scrubber) -> RecordedRequest:
    """Return a request as it is written. The random boundary of a form is written as one that is not."""
    body, headers = request.body, dict(request.headers)
    for name, value in headers.items():
        if name.lower() == "content-type" and "boundary=" in value:
            boundary = value.partition("boundary=")[2].partition(";")[0].strip('"')
            body, headers[name] = body.replace(boundary.encode(), b"boundary"), value.replace(boundary, "boundary")
    return RecordedRequest(
        method=request.method,
        url=scrubber.text(request.url),
        headers=scrubber.headers(headers),
        body=read_body(body, scrubber),
    )


def read_piece(data: bytes, after: float) -> RecordedBody:
    """Return a piece of an answer as it is written."""
    try:
        return RecordedBody(text=data.decode(), after=after)
    except UnicodeDecodeError:
        return RecordedBody(base64=base64.b64encode(data).decode(), after=after)


class Tape:
    """The exchanges of one file. Thread-safe.

    `ignore` are fields of JSON bodies that are not compared, as paths: `metadata.user_id`, `messages.*.id`.
    """

    def __init__(self, path: Path, *, ignore: Iterable[str] = ()) -> None:
        self.path = path
        self._ignore = tuple(tuple(name.split(".")) for name in ignore)
        self._lock = threading.Lock()
        self._exchanges: list[RecordedExchange | None] = []
        self._used: set[int] = set()
        self.mismatched = False

    def load(self) -> None:
        """Read the file. Raises `ConfigError` where it is not there or is no cassette."""
        try:
            file = msgspec.json.decode(self.path.read_bytes(), type=_File)
        except OSError as error:
            raise ConfigError(f"no cassette {self.path} ({error.strerror}): record it first") from None
        except msgspec.MsgspecError as error:
            raise ConfigError(f"{self.path} is no cassette: {error}") from None
        if file.version != _VERSION:
            raise ConfigError(f"{self.path} is a cassette of version {file.version}; this Polyvox reads {_VERSION}")
        self._exchanges = list(file.exchanges)

    def reserve(self) -> int:
        """Return the place of an exchange that begins now."""
        with self._lock:
            self._exchanges.append(None)
            return len(self._exchanges) - 1

    def put(self, place: int, exchange: RecordedExchange) -> None:
        """Keep an exchange that has ended, and write the file."""
        with self._lock:
            self._exchanges[place] = exchange
            held = [each for each in self._exchanges if each is not None]
            # Keys are sorted, so that recordings of the same thing differ only where they do.
            value = msgspec.to_builtins(_File(version=_VERSION, exchanges=held))
            text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self.path.with_name(f".{self.path.name}.new")
            fresh.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
            fresh.replace(self.path)

    def find(self, asked: RecordedRequest) -> RecordedExchange:
        """Return the next exchange that answers this request. Raises `CassetteError` where there is none."""
        with self._lock:
            held = [(place, each) for place, each in enumerate(self._exchanges) if each is not None]
            told: list[tuple[int, list[str]]] = []
            for place, exchange in held:
                found = differences(exchange.request, asked, self._ignore)
                if not found and place not in self._used:
                    self._used.add(place)
                    return exchange
                told.append((place, found or ["it was played already"]))
            self.mismatched = True
        raise self._mismatch(asked, told)

    def _mismatch(self, asked: RecordedRequest, told: list[tuple[int, list[str]]]) -> CassetteError:
        what = f"no exchange of {self.path.name} answers {asked.method} {asked.url}"
        if not told:
            return CassetteError(f"{what}: the cassette is empty")
        # The nearest one: not played yet if possible, then with the fewest differences.
        place, nearest = min(told, key=lambda each: (each[0] in self._used, len(each[1])))
        more = f" … and {len(nearest) - _SHOWN} more" if len(nearest) > _SHOWN else ""
        said = "; ".join(nearest[:_SHOWN])
        return CassetteError(
            f"{what}. Exchange {place + 1} of {len(told)} comes nearest: {said}{more}. Record anew, or ignore a field",
            differences=nearest,
        )

    def unused(self) -> list[RecordedRequest]:
        """Return the requests that were recorded and have not been made."""
        with self._lock:
            return [
                each.request
                for place, each in enumerate(self._exchanges)
                if each is not None and place not in self._used
            ]


def differences(
    recorded: RecordedRequest, asked: RecordedRequest, ignore: tuple[tuple[str, ...], ...] = ()
) -> list[str]:
    """Return what differs between two requests, none where one answers for the other. Headers are not compared."""
    found = [
        f"{name} is {_shown(theirs)}, recorded {_shown(ours)}"
        for name, ours, theirs in (("method", recorded.method, asked.method), ("URL", recorded.url, asked.url))
        if ours != theirs
    ]
    ours, theirs = _comparable(recorded.body, ignore), _comparable(asked.body, ignore)
    _compare("body", ours, theirs, found)
    return found


def _comparable(body: RecordedBody, ignore: tuple[tuple[str, ...], ...]) -> Any:
    if body.json is UNSET:
        return body.text if body.base64 is None else body.base64
    value = body.json
    for path in ignore:
        value = _without(value, path)
    return value


def _without(value: Any, path: tuple[str, ...]) -> Any:
    name, rest = path[0], path[1:]
    if isinstance(value, list):
        return [
            _without(member, rest) if rest and name in ("*", str(place)) else member
            for place, member in enumerate(value)
            if rest or name not in ("*", str(place))
        ]
    if not isinstance(value, dict):
        return value
    if not rest:
        return {key: member for key, member in value.items() if name not in ("*", key)}
    return {key: _without(member, rest) if name in ("*", key) else member for key, member in value.items()}


def _compare(path: str, ours: Any, theirs: Any, found: list[str]) -> None:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in sorted(ours.keys() | theirs.keys()):
            if name not in theirs:
                found.append(f"{path}.{name} is missing, recorded {_shown(ours[name])}")
            elif name not in ours:
                found.append(f"{path}.{name} is {_shown(theirs[name])}, recorded without")
            else:
                _compare(f"{path}.{name}", ours[name], theirs[name], found)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            _compare(f"{path}[{place}]", one, other, found)
    elif ours != theirs or isinstance(ours, bool) != isinstance(theirs, bool):
        found.append(f"{path} is {_shown(theirs)}, recorded {_shown(ours)}")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"
