r"""`multipart/form-data` (RFC 7578), both ways: uploads of files and audio.

The rules: the boundary is random and is looked for in the content first; names and file names are written as browsers
do (UTF-8 in quotes, `"`, CR and LF as `%22`, `%0D`, `%0A`), so that no name can end its header; reading is exact: only
CRLF ends a line, and a body without its last boundary was cut.

https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from msgspec import Struct, field

from polyvox.errors import DecodeError

_PARAMETER: Final = re.compile(r';\s*([\w!#$&+\-^`|~.*]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))', re.DOTALL)
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': "%22", "\r": "%0D", "\n": "%0A", "\0": "%00"})
_ESCAPED: Final = re.compile(r'\\(["\\])|%(22|0D|0A|00)', re.IGNORECASE)


class FormPart(Struct, frozen=True):
    """One part of a form. A plain field has no `filename`; `headers` are the part's others, by lower-case name."""

    name: str
    data: bytes
    filename: str | None = None
    content_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The data as text."""
        return self.data.decode("utf-8", "replace")


def encode_multipart(
    fields: Iterable[tuple[str, str | bytes]] = (), files: Iterable[FormPart] = ()
) -> tuple[str, bytes]:
    """Return the content type, with its boundary, and the body: the fields in order, then the files."""
    parts = [FormPart(name, value.encode() if isinstance(value, str) else value) for name, value in fields]
    parts += files
    boundary = _boundary(parts)
    pieces: list[bytes] = []
    for part in parts:
        pieces += (b"--", boundary, b"\r\n", _encode_head(part), b"\r\n", part.data, b"\r\n")
    pieces += (b"--", boundary, b"--\r\n")
    return f"multipart/form-data; boundary={boundary.decode()}", b"".join(pieces)


def _boundary(parts: Sequence[FormPart]) -> bytes:
    while True:
        boundary = b"polyvox-" + os.urandom(16).hex().encode()
        if not any(boundary in part.data for part in parts):
            return boundary


def _encode_head(part: FormPart) -> bytes:
    disposition = f'form-data; name="{part.name.translate(_ESCAPES)}"'
    if part.filename is not None:
        disposition += f'; filename="{part.filename.translate(_ESCAPES)}"'
    lines = {"Content-Disposition": disposition}
    if part.content_type is not None:
        lines["Content-Type"] = part.content_type
    lines.update(part.headers)
    for name, value in lines.items():
        if any(end in name + value for end in "\r\n\0") or not name or ":" in name:
            raise ValueError(f"the header {name!r} of the form part {part.name!r} holds a line end or is no header")
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode("utf-8", "replace")


def decode_multipart(content_type: str, body: bytes) -> list[FormPart]:
    """Return the parts of a form. Raises `DecodeError` where it is none, or was cut short."""
    kind = content_type.partition(";")[0].strip().lower()
    boundary = _parameters(content_type).get("boundary")
    if kind != "multipart/form-data" or not boundary:
        raise DecodeError(
            f"no form: the content type is {content_type[:100]!r}, not multipart/form-data with a boundary"
        )
    delimiter = re.compile(rb"(?:\A|\r\n)--" + re.escape(boundary.encode()) + rb"(--)?[ \t]*(?=\r\n|\Z)")
    parts: list[FormPart] = []
    start: int | None = None
    for found in delimiter.finditer(body):
        if start is not None:
            parts.append(_decode_part(body[start : found.start()]))
        if found.group(1):
            return parts
        start = found.end()
    raise DecodeError("the form is cut short: its last boundary is missing")


def _decode_part(part: bytes) -> FormPart:
    # The part begins with the CRLF that ends its boundary's line, so that a part without headers begins with two.
    head, blank_line, data = part.partition(b"\r\n\r\n")
    if not blank_line:
        raise DecodeError("a part of the form has no blank line between its headers and its content")
    headers: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    parameters = _parameters(headers.pop("content-disposition", ""))
    if "name" not in parameters:
        raise DecodeError("a part of the form has no name")
    return FormPart(parameters["name"], data, parameters.get("filename"), headers.pop("content-type", None), headers)


def _parameters(header: str) -> dict[str, str]:
    """Return the parameters of a header; `name*=UTF-8''…` (RFC 5987) goes before `name=`."""
    plain: dict[str, str] = {}
    extended: dict[str, str] = {}
    for name, quoted, token in _PARAMETER.findall(header):
        name = name.lower()
        if name.endswith("*") and token.count("'") >= 2:
            charset, _, value = token.split("'", 2)
            extended[name[:-1]] = _decode_extended(charset, value)
        else:
            plain[name] = token or _ESCAPED.sub(lambda found: found[1] or chr(int(found[2], 16)), quoted)
    return {**plain, **extended}


def _decode_extended(charset: str, value: str) -> str:
    try:
        return unquote_to_bytes(value).decode(charset, "replace")
    except LookupError:
        raise DecodeError(f"a name in the form is written in the unknown character set {charset[:40]!r}") from None
