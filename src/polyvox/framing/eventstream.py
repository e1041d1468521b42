"""`application/vnd.amazon.eventstream`, the binary framing of Bedrock's streams, both ways.

    total length u32 | headers length u32 | CRC-32 of these 8 bytes | headers | payload | CRC-32 of all before

    header = name length u8, name, type u8, value

https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html (seen 2026-11); limits as in botocore. The rule:
both checksums are checked, and the lengths are believed only after theirs.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from polyvox.errors import DecodeError
from polyvox.framing.base import Frame

HeaderValue: TypeAlias = bool | int | bytes | str | datetime | uuid.UUID

_PRELUDE: Final = struct.Struct(">III")
_LEAST: Final = _PRELUDE.size + 4
_MOST_HEADERS: Final = 128 * 1024
_MOST_PAYLOAD: Final = 24 * 1024 * 1024
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES_OF_EVENT: Final = (":event-type", ":exception-type", ":error-code")
_INTEGERS: Final = {2: struct.Struct(">b"), 3: struct.Struct(">h"), 4: struct.Struct(">i"), 5: struct.Struct(">q")}


class EventStreamFramer:
    """AWS event-stream bytes in, messages out.

    `Frame.event` is the message's `:event-type` or `:exception-type` (`:error-code` for an error), `Frame.headers` are
    all of its headers. `feed` raises `DecodeError` for a message that is damaged; messages before it are given first.
    """

    __slots__ = ("_broken", "_rest", "_whole")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._whole = 0  # the length of the message at hand, once its prelude is read; 0 before
        self._broken: DecodeError | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """Return the messages that these bytes complete."""
        if self._broken is not None:
            raise self._broken
        self._rest += data
        frames: list[Frame] = []
        try:
            while self._has_message():
                frames.append(_decode_message(bytes(self._rest[: self._whole])))
                del self._rest[: self._whole]
                self._whole = 0
        except DecodeError as error:
            self._broken = error
            if not frames:
                raise
        return frames

    def close(self) -> list[Frame]:
        """Return nothing: half a message cannot be told. What is left of one is in `partial`."""
        if self._broken is not None:
            raise self._broken
        return []

    @property
    def partial(self) -> bytes:
        """The bytes of a message that has not ended; after the end of the body, what was cut short."""
        return bytes(self._rest)

    def _has_message(self) -> bool:
        if not self._whole and len(self._rest) >= _PRELUDE.size:
            self._whole = _message_length(self._rest)
        return 0 < self._whole <= len(self._rest)


def _message_length(data: bytes | bytearray) -> int:
    total, headers, checksum = _PRELUDE.unpack_from(data)
    if zlib.crc32(data[:8]) != checksum:
        raise DecodeError(
            "an event-stream message's prelude has a wrong checksum: the bytes are damaged or no event stream"
        )
    if headers > _MOST_HEADERS or total < _LEAST + headers or total - headers - _LEAST > _MOST_PAYLOAD:
        raise DecodeError(f"an event-stream message has impossible lengths: {total} bytes, {headers} of them headers")
    return int(total)


def _decode_message(message: bytes) -> Frame:
    _, header_length, _ = _PRELUDE.unpack_from(message)
    if zlib.crc32(message[:-4]) != int.from_bytes(message[-4:], "big"):
        raise DecodeError("an event-stream message has a wrong checksum: its bytes are damaged")
    end = _PRELUDE.size + header_length
    headers = _decode_headers(message[_PRELUDE.size : end])
    event = next((str(headers[name]) for name in _NAMES_OF_EVENT if name in headers), None)
    return Frame(message[end:-4], event, headers)


def _decode_headers(data: bytes) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    position = 0
    try:
        while position < len(data):
            name_end = position + 1 + data[position]
            name = data[position + 1 : name_end].decode()
            headers[name], position = _decode_value(data, data[name_end], name_end + 1)
    except (IndexError, struct.error, UnicodeDecodeError):
        position = -1
    if position != len(data):
        raise DecodeError("an event-stream message's headers are damaged")
    return headers


def _decode_value(data: bytes, kind: int, position: int) -> tuple[HeaderValue, int]:
    """Return the value at `position` and the position after it."""
    match kind:
        case 0 | 1:
            return kind == 0, position
        case 2 | 3 | 4 | 5:
            form = _INTEGERS[kind]
            return form.unpack_from(data, position)[0], position + form.size
        case 6 | 7:
            start = position + 2
            end = start + int.from_bytes(data[position:start], "big")
            if end > len(data):
                raise IndexError
            return data[start:end] if kind == 6 else data[start:end].decode(), end
        case 8:
            milliseconds = _INTEGERS[5].unpack_from(data, position)[0]
            try:
                return _EPOCH + timedelta(milliseconds=milliseconds), position + 8
            except OverflowError:
                return milliseconds, position + 8
        case 9 if position + 16 <= len(data):
            return uuid.UUID(bytes=data[position : position + 16]), position + 16
        case _:
            raise IndexError


def encode_message(headers: Mapping[str, HeaderValue], payload: bytes) -> bytes:
    """Return one message. Raises `ValueError` for a header that the framing cannot hold."""
    head = b"".join(_encode_header(name, value) for name, value in headers.items())
    if len(head) > _MOST_HEADERS or len(payload) > _MOST_PAYLOAD:
        raise ValueError("an event-stream message holds 128 KiB of headers and 24 MiB of payload at most")
    prelude = struct.pack(">II", _LEAST + len(head) + len(payload), len(head))
    message = prelude + zlib.crc32(prelude).to_bytes(4, "big") + head + payload
    return message + zlib.crc32(message).to_bytes(4, "big")


def _encode_header(name: str, value: HeaderValue) -> bytes:
    encoded = name.encode()
    if not 0 < len(encoded) < 256:
        raise ValueError(f"an event-stream header's name has 1 to 255 bytes, not {len(encoded)}")
    return bytes((len(encoded),)) + encoded + _encode_value(name, value)


def _encode_value(name: str, value: HeaderValue) -> bytes:
    if isinstance(value, bool):
        return b"\x00" if value else b"\x01"
    if isinstance(value, int):
        kind = 4 if -(1 << 31) <= value < 1 << 31 else 5
        if not -(1 << 63) <= value < 1 << 63:
            raise ValueError(f"the event-stream header {name!r} is a number of more than 64 bits")
        return bytes((kind,)) + _INTEGERS[kind].pack(value)
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return b"\x08" + _INTEGERS[5].pack((moment - _EPOCH) // timedelta(milliseconds=1))
    if isinstance(value, uuid.UUID):
        return b"\x09" + value.bytes
    encoded = value.encode() if isinstance(value, str) else value
    if len(encoded) > 0x7FFF:
        raise ValueError(f"the event-stream header {name!r} has more than 32,767 bytes")
    return (b"\x07" if isinstance(value, str) else b"\x06") + len(encoded).to_bytes(2, "big") + encoded
