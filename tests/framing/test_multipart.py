"""Forms: files go out as browsers send them, come back unharmed, and no name can write a header."""

from __future__ import annotations

from email.parser import BytesParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvox.errors import DecodeError
from polyvox.framing import multipart
from polyvox.framing.multipart import FormPart, decode_multipart, encode_multipart


def test_fields_and_files_come_back_in_order() -> None:
    sound = FormPart("file", b"RIFF\r\n--\x00\xff", "grüß dich.wav", "audio/wav")
    content_type, body = encode_multipart([("model", "whisper-1"), ("raw", b"\xff"), ("model", "again")], [sound])
    assert content_type.startswith("multipart/form-data; boundary=")
    assert decode_multipart(content_type, body) == [
        FormPart("model", b"whisper-1"),
        FormPart("raw", b"\xff"),
        FormPart("model", b"again"),
        sound,
    ]
    assert FormPart("x", "é".encode()).text == "é"


def test_the_standard_library_reads_what_we_write() -> None:
    content_type, body = encode_multipart([("model", "m")], [FormPart("file", b"abc", "a b.txt", "text/plain")])
    form = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    parts = form.get_payload()
    assert isinstance(parts, list)
    field, file = parts
    assert field.get_param("name", header="content-disposition") == "m" or field.get_payload() == "m"
    assert file.get_filename() == "a b.txt"
    assert file.get_content_type() == "text/plain"
    assert file.get_payload(decode=True) == b"abc"


_NAMES = st.text().filter(lambda name: "%22" not in name and "%0" not in name.lower())


@given(
    st.lists(st.tuples(_NAMES, st.binary(max_size=30)), max_size=3),
    st.lists(st.builds(FormPart, _NAMES, st.binary(max_size=30), _NAMES, st.none() | st.just("image/png")), max_size=3),
)
def test_any_form_comes_back(fields: list[tuple[str, bytes]], files: list[FormPart]) -> None:
    content_type, body = encode_multipart(fields, files)
    assert decode_multipart(content_type, body) == [FormPart(name, data) for name, data in fields] + files


@pytest.mark.parametrize("name", ['a"\r\nX-Evil: 1\r\n\r\nbody', 'x"; filename="y', "a\\", '\\"'])
def test_a_name_cannot_write_a_header_or_another_parameter(name: str) -> None:
    content_type, body = encode_multipart([(name, "v")], [FormPart("file", b"", name, "text/plain")])
    assert b"\r\nX-Evil" not in body
    field, file = decode_multipart(content_type, body)
    assert field == FormPart(name, b"v")
    assert file.filename == name
    assert file.headers == {}


@pytest.mark.parametrize(
    "part",
    [
        FormPart("f", b"", "x", "text/plain\r\nX-Evil: 1"),
        FormPart("f", b"", "x", None, {"X": "1\r\nX-Evil: 1"}),
        FormPart("f", b"", "x", None, {"X\r\nY": "1"}),
        FormPart("f", b"", "x", None, {"": "1"}),
    ],
)
def test_a_header_with_a_line_end_is_refused(part: FormPart) -> None:
    with pytest.raises(ValueError, match="line end"):
        encode_multipart([], [part])


def test_the_boundary_is_another_each_time_and_not_in_the_content(monkeypatch: pytest.MonkeyPatch) -> None:
    assert encode_multipart([("a", "b")])[0] != encode_multipart([("a", "b")])[0]
    drawn = iter([b"\x00" * 16, b"\x01" * 16])
    monkeypatch.setattr(multipart.os, "urandom", lambda size: next(drawn))
    content_type, body = encode_multipart([("a", b"polyvox-" + b"00" * 16)])
    assert content_type.endswith("01" * 16)
    assert decode_multipart(content_type, body)[0].data == b"polyvox-" + b"00" * 16


def _form(*parts: str, end: str = "--b--\r\n") -> bytes:
    return ("".join(f"--b\r\n{part}\r\n" for part in parts) + end).encode()


@pytest.mark.parametrize(
    ("disposition", "name", "filename"),
    [
        ('form-data; name="a"; filename="b.txt"', "a", "b.txt"),
        ("form-data; name=a; filename=b.txt", "a", "b.txt"),
        ("form-data; filename*=UTF-8''gr%C3%BC%C3%9F.txt; name=a; filename=\"x\"", "a", "grüß.txt"),
        ("form-data; name=\"a\"; filename*=iso-8859-1'de'gr%FC%DF.txt", "a", "grüß.txt"),
        ('form-data; name="a"; filename="say \\"hi\\" \\\\ there"', "a", 'say "hi" \\ there'),
        ('form-data; name="a"; filename="C:\\new\\x.txt"', "a", "C:\\new\\x.txt"),
        ('form-data; name="a;b"; filename="x; name=y"', "a;b", "x; name=y"),
        ('form-data; name="größe"', "größe", None),
        ('form-data; name=""', "", None),
    ],
)
def test_names_are_read_in_every_spelling(disposition: str, name: str, filename: str | None) -> None:
    (part,) = decode_multipart("multipart/form-data; boundary=b", _form(f"Content-Disposition: {disposition}\r\n\r\nv"))
    assert part == FormPart(name, b"v", filename)


def test_preamble_epilogue_quoted_boundary_and_header_case_are_fine() -> None:
    body = (
        b"preamble\r\n"
        + _form("CONTENT-DISPOSITION: form-data; name=a\r\ncontent-TYPE: text/x\r\nX-Y: z\r\n\r\nv")
        + b"epilogue"
    )
    assert decode_multipart('Multipart/Form-Data; charset=utf-8; boundary="b"', body) == [
        FormPart("a", b"v", None, "text/x", {"x-y": "z"})
    ]


def test_a_longer_word_than_the_boundary_is_content() -> None:
    content = "x\r\n--bb\r\n--b x\r\n--b"
    body = _form(f"Content-Disposition: form-data; name=a\r\n\r\n{content}-y")
    assert decode_multipart("multipart/form-data; boundary=b", body)[0].text == content + "-y"


def test_empty_content_and_an_empty_form() -> None:
    body = _form("Content-Disposition: form-data; name=a\r\n\r\n")
    assert decode_multipart("multipart/form-data; boundary=b", body) == [FormPart("a", b"")]
    assert decode_multipart(*encode_multipart()) == []


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("application/json", b"{}", "no form"),
        ("multipart/form-data", b"", "no form"),
        (
            "multipart/form-data; boundary=b",
            _form("Content-Disposition: form-data; name=a\r\n\r\nv", end=""),
            "cut short",
        ),
        ("multipart/form-data; boundary=b", b"", "cut short"),
        ("multipart/form-data; boundary=b", _form("Content-Disposition: form-data; name=a"), "no blank line"),
        ("multipart/form-data; boundary=b", _form("Content-Disposition: form-data\r\n\r\nv"), "no name"),
        ("multipart/form-data; boundary=b", _form("\r\nv"), "no name"),
        (
            "multipart/form-data; boundary=b",
            _form("Content-Disposition: form-data; name*=klingon''x\r\n\r\nv"),
            "unknown character set",
        ),
    ],
)
def test_a_body_that_is_no_form_is_said_to_be_none(content_type: str, body: bytes, words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        decode_multipart(content_type, body)
