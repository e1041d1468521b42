"""Bodies come out the same, however their bytes were cut."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvox.io.body import ChunkDecoder, Inflater

CHUNKED = b'5\r\nhello\r\n6;name="va;l"\r\n world\r\n 0A \r\n0123456789\r\n1\n!\n000\r\nx-trailer: y\r\n\r\n'
BODY = b"hello world0123456789!"


@given(st.lists(st.integers(0, len(CHUNKED)), max_size=12))
def test_any_cut_of_a_chunked_body_gives_the_same_bytes(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(CHUNKED)]
    decoder = ChunkDecoder()
    assert b"".join(decoder.feed(CHUNKED[start:end]) for start, end in pairwise(edges)) == BODY
    assert decoder.done
    assert decoder.rest == b""


def test_each_byte_of_a_chunk_is_handed_on_at_once() -> None:
    decoder = ChunkDecoder()
    assert decoder.feed(b"5\r\n") == b""
    assert [decoder.feed(bytes([byte])) for byte in b"hello"] == [b"h", b"e", b"l", b"l", b"o"]


def test_what_comes_after_the_end_is_kept_apart() -> None:
    decoder = ChunkDecoder()
    assert decoder.feed(b"1\r\na\r\n0\r\n\r\nHTTP/1.1 200 OK") == b"a"
    assert decoder.done
    assert decoder.rest == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "data", [b"\r\n", b"zz\r\n", b"-1\r\n", b"0x5\r\n", b"1_0\r\n", b"2\r\nabc\r\n", b"f" * 16 + b"\r\n", b"1" * 70_000]
)
def test_a_chunk_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="chunk"):
        ChunkDecoder().feed(data)


TEXT = b"The sky is blue because of Rayleigh scattering. " * 40
PACKED = {
    "gzip": gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]) + b"\0\0\0",
    "deflate": zlib.compress(TEXT),
    "raw": zlib.compress(TEXT)[2:-4],
}


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("step", [1, 2, 7, 10_000])
def test_any_cut_of_a_compressed_body_gives_the_same_bytes(kind: str, step: int) -> None:
    inflater = Inflater("gzip" if kind == "gzip" else "deflate")
    packed = PACKED[kind]
    assert b"".join(inflater.feed(packed[start : start + step]) for start in range(0, len(packed), step)) == TEXT
    assert inflater.done


def test_compressed_data_that_is_none_is_refused() -> None:
    for encoding in ("gzip", "deflate"):
        with pytest.raises(ValueError, match="compressed data"):
            Inflater(encoding).feed(b"\xff\xff\xff not compressed at all")


def test_a_compressed_body_cut_short_is_not_done() -> None:
    inflater = Inflater("gzip")
    inflater.feed(gzip.compress(TEXT)[:-1])
    assert not inflater.done
