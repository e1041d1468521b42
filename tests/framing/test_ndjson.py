"""Newline-delimited JSON: one frame a line, whatever the cuts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvox.framing.base import Frame
from polyvox.framing.ndjson import NDJSONFramer
from tests.framing.cuts import byte_by_byte, cut, framed, whole

CASES: dict[str, tuple[bytes, list[bytes]]] = {
    "lines": (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
    "CRLF": (b"1\r\n2\r\n", [b"1", b"2"]),
    "blank lines are keep-alives": (b"\n1\n\n \r\n2\n", [b"1", b"2"]),
    "no newline at the end": (b"1\n2", [b"1", b"2"]),
    "a line cut in the middle": (b'1\n{"a', [b"1", b'{"a']),
    "U+2028, U+0085 and a bare CR end no line": (
        '"\u2028"\n"\u0085"\n1\r2\n'.encode(),
        ['"\u2028"'.encode(), '"\u0085"'.encode(), b"1\r2"],
    ),
    "nothing": (b"", []),
}


@pytest.mark.parametrize("name", CASES)
def test_a_line_is_a_frame(name: str) -> None:
    body, lines = CASES[name]
    frames = [Frame(line) for line in lines]
    assert whole(NDJSONFramer, body) == frames
    assert byte_by_byte(NDJSONFramer, body) == frames


@given(cut(st.lists(st.sampled_from([b"1", b"\n", b"\r", b" ", "😀".encode(), b"{}"])).map(b"".join)))
def test_no_cut_changes_the_lines(pieces: list[bytes]) -> None:
    assert framed(NDJSONFramer, pieces) == whole(NDJSONFramer, b"".join(pieces))


def test_close_gives_a_rest_once() -> None:
    framer = NDJSONFramer()
    framer.feed(b"1")
    assert framer.close() == [Frame(b"1")]
    assert framer.close() == []
