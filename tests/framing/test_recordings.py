"""Recorded streams: every frame is read, and the cuts of the reads do not matter."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from polyvox.framing.base import Framer
from polyvox.framing.eventstream import EventStreamFramer
from polyvox.framing.json import decode
from polyvox.framing.jsonarray import JSONArrayFramer
from polyvox.framing.ndjson import NDJSONFramer
from polyvox.framing.sse import SSEFramer
from tests.framing.cuts import byte_by_byte, framed, whole

pytestmark = pytest.mark.recordings

_FOLDER = Path(os.environ.get("POLYVOX_RECORDINGS") or Path(__file__).parents[3] / "shared" / "wire")
_BYTE_BY_BYTE = 6_000


def _streams(make: Callable[[], Framer]) -> list[tuple[str, bytes]]:
    """The recorded bodies that this framer is for."""
    found = [(name, body) for name, body, wanted in _all() if wanted is make]
    if not found:
        pytest.skip(f"no recorded streams for {make.__name__} in {_FOLDER}: set POLYVOX_RECORDINGS")
    return found


def _all() -> Iterator[tuple[str, bytes, Callable[[], Framer]]]:
    for path in sorted(_FOLDER.glob("*/*.json")):
        exchange = json.loads(path.read_bytes())
        response = exchange["response"]
        if "stream" not in exchange["features"] or response["status"] != 200:
            continue
        if "eventstream" in json.dumps(response["headers"]):
            yield path.stem, base64.b64decode(response["body_b64"]), EventStreamFramer
        elif response.get("body"):
            body = response["body"].encode("utf-8", "surrogatepass")
            yield path.stem, body, _framer(body)


def _framer(body: bytes) -> Callable[[], Framer]:
    match body.lstrip()[:1]:
        case b"[":
            return JSONArrayFramer
        case b"{":
            return NDJSONFramer
        case _:
            return SSEFramer


def _json_values(frames: list[Any]) -> list[Any]:
    return [decode(frame.data) for frame in frames if frame.data != b"[DONE]"]


@pytest.mark.parametrize("make", [SSEFramer, NDJSONFramer, JSONArrayFramer, EventStreamFramer])
def test_cuts_change_no_recorded_stream(make: Callable[[], Framer]) -> None:
    for name, body in _streams(make):
        frames = whole(make, body)
        assert frames, name
        assert framed(make, (body[at : at + 37] for at in range(0, len(body), 37))) == frames, name
        start = body[:_BYTE_BY_BYTE]
        assert byte_by_byte(make, start) == whole(make, start), name


def test_every_data_line_of_a_recorded_sse_stream_is_a_frame_of_json() -> None:
    """Against a plain reading of the same text, line by line."""
    for name, body in _streams(SSEFramer):
        lines = [line[5:].strip() for line in body.decode().replace("\r\n", "\n").split("\n") if line[:5] == "data:"]
        plain = [json.loads(line) for line in lines if line not in ("", "[DONE]")]
        assert _json_values(whole(SSEFramer, body)) == plain, name


def test_every_value_of_a_recorded_json_array_is_a_frame() -> None:
    for name, body in _streams(JSONArrayFramer):
        assert _json_values(whole(JSONArrayFramer, body)) == json.loads(body), name


def test_recorded_event_streams_are_whole_and_are_written_as_they_were() -> None:
    from polyvox.framing.eventstream import encode_message

    for name, body in _streams(EventStreamFramer):
        framer = EventStreamFramer()
        frames = framer.feed(body)
        assert framer.partial == b"", name
        assert b"".join(encode_message(frame.headers or {}, frame.data) for frame in frames) == body, name
