"""What a question is made of: the words of the command, what is piped in, files.

The rule: what a file holds decides, then its name: text stands in the question under the file's name; pictures,
documents and sounds are attached.
"""

from __future__ import annotations

import mimetypes
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from polyvox.dialects import _media
from polyvox.errors import ConfigError
from polyvox.types.messages import Message, user
from polyvox.types.parts import FilePart, Part, TextPart

_ATTACHED = ("image/", "audio/", "video/")
_PDF = "application/pdf"


def read_question(question: str | None, files: Iterable[Path]) -> Message:
    """Return the user message. Raises `ConfigError` where there is nothing to ask."""
    piped = read_piped()
    parts: list[Part] = [read_file(path) for path in files]
    if piped.strip():
        parts.append(TextPart(f"{piped.rstrip()}\n\n" if question else piped.rstrip()))
    if question:
        if not question.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in question):
            raise ConfigError("the question is no text in UTF-8")
        parts.append(TextPart(question))
    if not any(isinstance(part, TextPart) for part in parts):
        raise ConfigError('nothing to ask: write polyvox run "question", or pipe it in')
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    attached = [part for part in parts if not isinstance(part, TextPart)]
    return user([*attached, TextPart("".join(texts))])


def read_piped() -> str:
    """Return what is piped into the command, `""` at a terminal."""
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        return ""
    # The bytes, not the text: in some locales what is no UTF-8 would come as characters that nothing can send.
    return read_text(sys.stdin.buffer.read(), "what is piped in")


def read_file(path: Path) -> Part:
    """Return a file as a part of a question."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from None
    text = _text_of(data)
    if text is not None:
        return TextPart(f"--- {path.name} ---\n{text.rstrip()}\n---\n\n")
    media_type = _media.sniff(data) or _media.media_type_of_name(path.name) or mimetypes.guess_type(path.name)[0] or ""
    if media_type.startswith(_ATTACHED) or media_type == _PDF:
        return FilePart(media_type, data, path.name)
    raise ConfigError(f"{path} is neither text in UTF-8 nor a picture, a PDF, a sound or a film")


def read_text(data: bytes, what: str) -> str:
    """Return bytes as text. Raises `ConfigError` for what is none."""
    text = _text_of(data)
    if text is None:
        raise ConfigError(f"{what} is no text in UTF-8: give a picture, PDF or sound with -f FILE")
    return text


def _text_of(data: bytes) -> str | None:
    """Return the text that these bytes are, `None` where they are none."""
    if b"\x00" in data or _media.sniff(data[:5]) == _PDF:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def read_schema(given: str) -> dict[str, Any]:
    """Return a JSON schema given as a file's path or as JSON itself."""
    text = given
    if not given.lstrip().startswith("{"):
        try:
            text = Path(given).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"--schema: cannot read {given}: {error.strerror or error}") from None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ConfigError(f"--schema is no JSON object: {error}") from None


def read_options(given: Iterable[str]) -> dict[str, Any]:
    """Return `name=value` pairs; a value is JSON, and text where it is none."""
    options: dict[str, Any] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise ConfigError(f"--option {pair!r}: write name=value")
        try:
            options[name] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            options[name] = value
    return options
