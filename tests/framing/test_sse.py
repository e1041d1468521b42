"""Server-sent events: what reaches a decoder, whatever the line ends, comments and cuts of the body."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvox.framing.base import Frame
from polyvox.framing.sse import SSEFramer
from tests.framing.cuts import byte_by_byte, cut, framed, whole

CASES: dict[str, tuple[bytes, list[Frame]]] = {
    "a data line": (b"data: {}\n\n", [Frame(b"{}")]),
    "no space after the colon": (b"data:{}\n\n", [Frame(b"{}")]),
    "only one space is taken off": (b"data:  x \n\n", [Frame(b" x ")]),
    "several events": (b"data: 1\n\ndata: 2\n\ndata: [DONE]\n\n", [Frame(b"1"), Frame(b"2"), Frame(b"[DONE]")]),
    "repeated data is joined by a newline": (b'data: {"a":\ndata:1\ndata: }\n\n', [Frame(b'{"a":\n1\n}')]),
    "CRLF": (b"event: x\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n", [Frame(b"1", "x"), Frame(b"2")]),
    "CR alone": (b"event: x\rdata: 1\r\rdata: 2\r\r", [Frame(b"1", "x"), Frame(b"2")]),
    "mixed line ends": (b"data: 1\r\n\ndata: 2\n\rdata: 3\r\r\n", [Frame(b"1"), Frame(b"2"), Frame(b"3")]),
    "comments are skipped": (b": OPENROUTER PROCESSING\n\n:\n\ndata: 1\n: in between\n\n", [Frame(b"1")]),
    "DashScope's status comment": (
        b'id:1\nevent:result\n:HTTP_STATUS/200\ndata:{"output":{}}\n\n',
        [Frame(b'{"output":{}}', "result", {"id": "1"})],
    ),
    "id and retry": (b"id: 7\nretry: 3000\ndata: 1\n\n", [Frame(b"1", None, {"id": "7", "retry": "3000"})]),
    "fields belong to one event only": (
        b"event: a\nid: 1\ndata: 1\n\ndata: 2\n\n",
        [Frame(b"1", "a", {"id": "1"}), Frame(b"2")],
    ),
    "unknown fields are skipped": (b"dato: 0\nda: 0\ndata: 1\n\n", [Frame(b"1")]),
    "a field without a colon": (b"data\ndata: 1\n\nevent\ndata: 2\n\n", [Frame(b"\n1"), Frame(b"2")]),
    "an event without data is none": (b"event: ping\n\ndata: 1\n\n", [Frame(b"1")]),
    "a keep-alive of empty data is none": (b"data:\n\ndata: \n\ndata\n\ndata: 1\n\n", [Frame(b"1")]),
    "a named event of empty data is one": (b"event: done\ndata:\n\n", [Frame(b"", "done")]),
    "a byte order mark": (b"\xef\xbb\xbfdata: 1\n\n", [Frame(b"1")]),
    "a byte order mark is one at the start only": (b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n", [Frame(b"1")]),
    "blank lines between": (b"\n\n\ndata: 1\n\n\n\n", [Frame(b"1")]),
    "U+2028, U+2029, U+0085, FF and VT are text": (
        'data: {"a":"\u2028\u2029\u0085\x0c\x0b\x1c"}\n\n'.encode(),
        [Frame('{"a":"\u2028\u2029\u0085\x0c\x0b\x1c"}'.encode())],
    ),
    "characters of several bytes": ("data: grüß 😀\n\n".encode(), [Frame("grüß 😀".encode())]),
    "no blank line at the end": (b"data: 1\n\ndata: 2\n", [Frame(b"1"), Frame(b"2")]),
    "no line end at the end": (b"event: x\ndata: 1\n\nevent: y\ndata: 2", [Frame(b"1", "x"), Frame(b"2", "y")]),
    "a line cut in the middle": (b'data: 1\n\ndata: {"a', [Frame(b"1"), Frame(b'{"a')]),
    "only a byte order mark": (b"\xef\xbb\xbf", []),
    "one line with a byte order mark and no end": (b"\xef\xbb\xbfdata: 1", [Frame(b"1")]),
    "an event's name that is no UTF-8": (b"event: \xff\ndata: 1\n\n", [Frame(b"1", "\ufffd")]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize("name", CASES)
def test_an_event_is_read_as_the_standard_says(name: str) -> None:
    body, frames = CASES[name]
    assert whole(SSEFramer, body) == frames


@pytest.mark.parametrize("name", CASES)
def test_bytes_one_at_a_time_give_the_same_events(name: str) -> None:
    body, frames = CASES[name]
    assert byte_by_byte(SSEFramer, body) == frames


@pytest.mark.parametrize("name", CASES)
def test_two_reads_cut_anywhere_give_the_same_events(name: str) -> None:
    body, frames = CASES[name]
    for place in range(len(body) + 1):
        assert framed(SSEFramer, [body[:place], body[place:]]) == frames, place


_LINES = st.one_of(
    st.sampled_from(
        [b"data: 1", b"data:", b"data: {", b"data", b"event: x", b"event:", b"id:1", b": c", b"", b"", b"\xef\xbb\xbf"]
    ),
    st.binary(max_size=6),
)
_BODIES = st.lists(st.tuples(_LINES, st.sampled_from([b"\n", b"\r\n", b"\r"]))).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


@given(cut(_BODIES))
def test_no_cut_changes_the_events(pieces: list[bytes]) -> None:
    assert framed(SSEFramer, pieces) == whole(SSEFramer, b"".join(pieces))


@given(
    st.lists(
        st.tuples(st.dictionaries(st.text(), st.text()), st.sampled_from([None, "delta", "größe"])),
        max_size=6,
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_any_json_that_is_sent_comes_out_unharmed(values: list[tuple[dict[str, str], str | None]], end: str) -> None:
    sent = [(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"), event) for value, event in values]
    body = b"".join(
        (f"event: {event}{end}".encode() if event else b"") + b"data: " + data + 2 * end.encode()
        for data, event in sent
    )
    assert [(frame.data, frame.event) for frame in byte_by_byte(SSEFramer, body)] == sent


def test_an_event_is_given_as_soon_as_its_blank_line_is_there() -> None:
    framer = SSEFramer()
    assert framer.feed(b"data: 1\n") == []
    assert framer.feed(b"\n") == [Frame(b"1")]
    assert framer.feed(b"data: 2\r\n\r") == [Frame(b"2")]
    assert framer.feed(b"\ndata: 3\n\n") == [Frame(b"3")]


def test_close_gives_a_rest_once() -> None:
    framer = SSEFramer()
    assert framer.feed(b"data: 1") == []
    assert framer.close() == [Frame(b"1")]
    assert framer.close() == []


class CountingBuffer(bytearray):
    """A buffer that counts the bytes read out of it."""

    read = 0

    def __bytes__(self) -> bytes:
        type(self).read += len(self)
        return bytes(memoryview(self))


def test_a_long_line_in_many_reads_is_copied_once() -> None:
    """Linear, shown by counting: 10,000 reads of one line are put together a single time."""
    framer = SSEFramer()
    framer._rest = CountingBuffer()
    for _ in range(10_000):
        assert framer.feed(b"data: x" if not framer._rest else b"x" * 100) == []
    assert CountingBuffer.read == 0
    (frame,) = framer.feed(b"\n\n")
    assert len(frame.data) == 1 + 9_999 * 100
    assert CountingBuffer.read == len(b"data: ") + len(frame.data)
