"""What a question is made of: the words of the command, what is piped in, files.

The rule: text files stand in the question as text under their names; pictures, documents and sounds are attached.
"""

from __future__ import annotations

import mimetypes
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from polyvox.errors import ConfigError
from polyvox.types.messages import Message, user
from polyvox.types.parts import FilePart, Part, TextPart

_ATTACHED = ("image/", "audio/", "video/")


def read_question(question: str | None, files: Iterable[Path]) -> Message:
    """Return the user message. Raises `ConfigError` where there is nothing to ask."""
    piped = read_piped()
    parts: list[Part] = [read_file(path) for path in files]
    if piped.strip():
        parts.append(TextPart(f"{piped.rstrip()}\n\n" if question else piped.rstrip()))
    if question:
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
    return sys.stdin.read()


def read_file(path: Path) -> Part:
    """Return a file as a part of a question."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from None
    media_type = mimetypes.guess_type(path.name)[0] or ""
    if media_type.startswith(_ATTACHED) or media_type == "application/pdf":
        return FilePart(media_type, data, path.name)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(
            f"{path} is neither text in UTF-8 nor a picture, a PDF, a sound or a film by its ending"
        ) from None
    return TextPart(f"--- {path.name} ---\n{text.rstrip()}\n---\n\n")


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
