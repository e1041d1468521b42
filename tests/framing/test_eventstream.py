"""AWS event streams: messages whole, in order, with both checksums checked, however the bytes were cut."""

from __future__ import annotations

import uuid
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvox.errors import DecodeError
from polyvox.framing.base import Frame
from polyvox.framing.eventstream import EventStreamFramer, encode_message
from tests.framing.cuts import byte_by_byte, cut, framed, whole

# Written out by hand from the specification, so that a fault shared by encoder and decoder shows.
_HEADER = b"\x0b:event-type\x07\x00\x05chunk"
_PRELUDE = (16 + len(_HEADER) + 2).to_bytes(4, "big") + len(_HEADER).to_bytes(4, "big")
_HEAD = _PRELUDE + zlib.crc32(_PRELUDE).to_bytes(4, "big") + _HEADER + b"{}"
MESSAGE = _HEAD + zlib.crc32(_HEAD).to_bytes(4, "big")

EVERY_TYPE: dict[str, Any] = {
    "true": True,
    "false": False,
    "int": -5,
    "long": 1 << 40,
    "bytes": b"\x00\xff",
    "text": "größe",
    "time": datetime(2026, 11, 21, 12, 0, 0, 123_000, tzinfo=UTC),
    "uuid": uuid.UUID(int=1 << 100),
}


def test_a_message_is_read_as_the_specification_writes_it() -> None:
    assert whole(EventStreamFramer, MESSAGE) == [Frame(b"{}", "chunk", {":event-type": "chunk"})]
    assert encode_message({":event-type": "chunk"}, b"{}") == MESSAGE


def test_the_specification_s_own_empty_message() -> None:
    """The known bytes of a message with neither headers nor payload."""
    known = bytes.fromhex("00000010 00000000 05c248eb 7d98c8ff")
    assert encode_message({}, b"") == known
    assert whole(EventStreamFramer, known) == [Frame(b"", None, {})]


def test_every_type_of_header_comes_back() -> None:
    (frame,) = whole(EventStreamFramer, encode_message(EVERY_TYPE, b"payload"))
    assert frame == Frame(b"payload", None, EVERY_TYPE)
    assert {name: type(value) for name, value in (frame.headers or {}).items()} == {
        name: type(value) for name, value in EVERY_TYPE.items()
    }


def test_bytes_and_shorts_are_numbers() -> None:
    headers = b"\x01b\x02\xff" + b"\x01s\x03\x01\x00"
    prelude = (16 + len(headers)).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    head = prelude + zlib.crc32(prelude).to_bytes(4, "big") + headers
    (frame,) = whole(EventStreamFramer, head + zlib.crc32(head).to_bytes(4, "big"))
    assert frame.headers == {"b": -1, "s": 256}


@pytest.mark.parametrize("name", [":event-type", ":exception-type", ":error-code"])
def test_the_event_is_named_by_its_type_exception_or_error(name: str) -> None:
    (frame,) = whole(EventStreamFramer, encode_message({":message-type": "x", name: "throttlingException"}, b""))
    assert frame.event == "throttlingException"


_MESSAGES = st.lists(
    st.builds(
        encode_message,
        st.dictionaries(
            st.text(min_size=1, max_size=5),
            st.booleans()
            | st.integers(-(1 << 63), (1 << 63) - 1)
            | st.binary(max_size=5)
            | st.text(max_size=5)
            | st.uuids(),
            max_size=3,
        ),
        st.binary(max_size=40),
    ),
    max_size=5,
)


@given(cut(_MESSAGES.map(b"".join)))
def test_no_cut_changes_the_messages(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    assert framed(EventStreamFramer, pieces) == whole(EventStreamFramer, body) == byte_by_byte(EventStreamFramer, body)


def test_half_a_message_at_the_end_is_kept_to_be_looked_at() -> None:
    framer = EventStreamFramer()
    assert framer.feed(MESSAGE + MESSAGE[:20]) == [Frame(b"{}", "chunk", {":event-type": "chunk"})]
    assert framer.close() == []
    assert framer.partial == MESSAGE[:20]
    ended = EventStreamFramer()
    ended.feed(MESSAGE)
    assert ended.partial == b""


@pytest.mark.parametrize("place", range(len(MESSAGE)))
def test_a_damaged_byte_anywhere_is_an_error(place: int) -> None:
    damaged = bytearray(MESSAGE)
    damaged[place] ^= 0x10
    framer = EventStreamFramer()
    with pytest.raises(DecodeError, match="event-stream"):
        framer.feed(bytes(damaged))
    with pytest.raises(DecodeError):
        framer.feed(MESSAGE)
    with pytest.raises(DecodeError):
        framer.close()


def test_what_came_before_the_damage_is_given_first() -> None:
    framer = EventStreamFramer()
    assert len(framer.feed(MESSAGE + MESSAGE + b"\x00" * 16)) == 2
    with pytest.raises(DecodeError, match="wrong checksum"):
        framer.close()


@pytest.mark.parametrize(
    ("total", "headers"),
    [(15, 0), (16, 1), (30, 200), (16 + 129 * 1024, 129 * 1024), (17 + 24 * 1024 * 1024, 0), (0, 0)],
)
def test_impossible_lengths_are_an_error_at_once(total: int, headers: int) -> None:
    prelude = total.to_bytes(4, "big") + headers.to_bytes(4, "big")
    with pytest.raises(DecodeError, match="impossible lengths"):
        EventStreamFramer().feed(prelude + zlib.crc32(prelude).to_bytes(4, "big"))


@pytest.mark.parametrize(
    "headers",
    [
        b"\x05ab",
        b"\x01a\x07\x00\x09abc",
        b"\x01a\x63",
        b"\x01a",
        b"\x01a\x09\x00",
        b"\x01a\x04\x00",
        b"\x01\xff\x00",
        b"\x01a\x07\x00\x01\xff",
    ],
)
def test_headers_that_run_over_their_end_are_an_error(headers: bytes) -> None:
    prelude = (16 + len(headers)).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    head = prelude + zlib.crc32(prelude).to_bytes(4, "big") + headers
    with pytest.raises(DecodeError, match="headers are damaged"):
        EventStreamFramer().feed(head + zlib.crc32(head).to_bytes(4, "big"))


def test_a_time_beyond_the_calendar_stays_a_number() -> None:
    headers = b"\x01t\x08" + ((1 << 63) - 1).to_bytes(8, "big")
    prelude = (16 + len(headers)).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    head = prelude + zlib.crc32(prelude).to_bytes(4, "big") + headers
    (frame,) = EventStreamFramer().feed(head + zlib.crc32(head).to_bytes(4, "big"))
    assert frame.headers == {"t": (1 << 63) - 1}


@pytest.mark.parametrize(
    ("headers", "payload"),
    [
        ({"": "x"}, b""),
        ({"x" * 256: "x"}, b""),
        ({"x": "x" * 32768}, b""),
        ({"x": 1 << 63}, b""),
        ({str(place): "x" * 32767 for place in range(5)}, b""),
        ({}, b"x" * (24 * 1024 * 1024 + 1)),
    ],
)
def test_what_the_framing_cannot_hold_is_refused(headers: dict[str, Any], payload: bytes) -> None:
    with pytest.raises(ValueError, match="event-stream"):
        encode_message(headers, payload)


def test_a_time_without_a_zone_is_utc() -> None:
    moment = datetime(2026, 1, 1) + timedelta(milliseconds=1)
    (frame,) = whole(EventStreamFramer, encode_message({"t": moment}, b""))
    assert frame.headers == {"t": moment.replace(tzinfo=UTC)}
