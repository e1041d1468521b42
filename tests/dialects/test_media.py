"""Media types and their other spellings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvox.dialects._media import (
    audio_format,
    audio_media_type,
    decode_base64,
    decode_data_url,
    encode_base64,
    encode_data_url,
    is_data_url,
    media_type_of_name,
    name_of_media_type,
    sniff,
)


@pytest.mark.parametrize("word", ["wav", "mp3", "flac", "opus", "ogg", "aac", "m4a", "webm", "pcm16", "aiff"])
def test_a_wire_s_audio_word_and_its_media_type_are_a_pair(word):
    assert audio_format(audio_media_type(word)) == word


@pytest.mark.parametrize(
    ("media_type", "word"),
    [
        ("audio/x-wav", "wav"),
        ("Audio/MP3; rate=44100", "mp3"),
        ("audio/m4a", "m4a"),
        ("audio/x-unheard-of", None),
        ("image/png", None),
    ],
)
def test_other_spellings_of_audio_types(media_type, word):
    assert audio_format(media_type) == word


def test_an_audio_word_not_known_is_its_own_subtype():
    assert audio_media_type("mulaw") == "audio/mulaw"


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"%PDF-1.7", "application/pdf"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90\x00", "audio/mpeg"),
        (b"\xff\xf3\xc4\xc4", "audio/mpeg"),
        (b"OggS", "audio/ogg"),
        (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
        (b"\0\0\0\x20ftypisom", "video/mp4"),
        (b"hello", None),
        (b"\xff", None),
        (b"\xff\xff\xff", None),
        (b"", None),
    ],
)
def test_the_first_bytes_tell_what_a_file_is(data, media_type):
    assert sniff(data) == media_type


@given(st.binary(max_size=40))
def test_base64_is_read_as_it_was_written(data):
    text = encode_base64(data)
    assert decode_base64(text) == data
    assert decode_base64(text.rstrip("=")) == data, "without padding"
    assert decode_base64(text.replace("+", "-").replace("/", "_")) == data, "in the URL alphabet"
    assert decode_base64("\n".join(text)) == data, "in lines"
    assert decode_data_url(encode_data_url("image/png", data)) == ("image/png", data)


@pytest.mark.parametrize("text", ["A", "!!!!", "AAAA====A", "é"])
def test_what_is_no_base64_is_refused(text):
    with pytest.raises(ValueError, match="no valid base64"):
        decode_base64(text)


@pytest.mark.parametrize(
    ("url", "media_type", "data"),
    [
        ("data:,hello%20you", "text/plain", b"hello you"),
        ("data:text/plain;charset=utf-8,h%C3%A9", "text/plain;charset=utf-8", b"h\xc3\xa9"),
        ("DATA:image/png;BASE64,AAAA", "image/png", b"\0\0\0"),
        ("data:;base64,AAAA", "text/plain", b"\0\0\0"),
    ],
)
def test_data_urls_in_all_their_forms(url, media_type, data):
    assert is_data_url(url)
    assert decode_data_url(url) == (media_type, data)


@pytest.mark.parametrize("url", ["https://x.example/a,b", "data:image/png;base64"])
def test_what_is_no_data_url_is_refused(url):
    with pytest.raises(ValueError, match="no data: URL"):
        decode_data_url(url)


def test_names_and_types():
    assert media_type_of_name("a.b.PDF") == "application/pdf"
    assert media_type_of_name("noext") is None and media_type_of_name("a.unheard") is None
    assert name_of_media_type("application/pdf") == "document.pdf"
    assert name_of_media_type("image/jpeg", "picture") == "picture.jpg"
    assert name_of_media_type("application/x-odd") == "document.bin"
