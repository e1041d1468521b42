"""Media types and their other spellings: format words of wires, `data:` URLs, file names, the first bytes of a file.

The rule: pure tables and functions that every dialect shares; what is not known is `None`, never a guess.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final
from urllib.parse import unquote_to_bytes

UNKNOWN: Final = "application/octet-stream"
ANY_IMAGE: Final = "image/*"
ANY_AUDIO: Final = "audio/*"
ANY_VIDEO: Final = "video/*"

_AUDIO: Final = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "opus": "audio/opus",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "aiff": "audio/aiff",
    "m4a": "audio/mp4",
    "webm": "audio/webm",
    "pcm16": "audio/pcm",
}
_AUDIO_FORMATS: Final = {media_type: word for word, media_type in _AUDIO.items()} | {
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/mp3": "mp3",
    "audio/x-flac": "flac",
    "audio/x-m4a": "m4a",
    "audio/m4a": "m4a",
    "audio/x-aac": "aac",
    "audio/x-aiff": "aiff",
    "audio/l16": "pcm16",
}

# The first spelling of a media type is the extension we write.
_EXTENSIONS: Final = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "csv": "text/csv",
    "json": "application/json",
    "xml": "application/xml",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "rtf": "application/rtf",
    "zip": "application/zip",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "svg": "image/svg+xml",
    "bmp": "image/bmp",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mpeg": "video/mpeg",
} | {word: media_type for word, media_type in _AUDIO.items() if word not in ("webm", "pcm16")}
_EXTENSION_OF: Final = {media_type: word for word, media_type in reversed(_EXTENSIONS.items())}

_MAGIC: Final = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
    (0, b"%PDF-", "application/pdf"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"PK\x03\x04", "application/zip"),
)


def audio_format(media_type: str) -> str | None:
    """Return the short word that wires use for an audio type (`audio/mpeg` → `mp3`), `None` where there is none."""
    return _AUDIO_FORMATS.get(essence(media_type))


def audio_media_type(word: str) -> str:
    """Return the media type of a wire's audio word (`mp3` → `audio/mpeg`); a word not known is its own subtype."""
    return _AUDIO.get(word) or f"audio/{word}"


def essence(media_type: str) -> str:
    """Return the type without its parameters, in small letters (`Text/Plain; charset=utf-8` → `text/plain`)."""
    return media_type.partition(";")[0].strip().lower()


def media_type_of_name(name: str) -> str | None:
    """Return the media type that a file name's extension tells, `None` where it tells none."""
    return _EXTENSIONS.get(name.rpartition(".")[2].lower()) if "." in name else None


def name_of_media_type(media_type: str, stem: str = "document") -> str:
    """Return a file name for a file that has none (`application/pdf` → `document.pdf`)."""
    extension = _EXTENSION_OF.get(essence(media_type), "bin")
    return f"{stem}.{extension}"


def sniff(data: bytes) -> str | None:
    """Return the media type that the first bytes tell, `None` where they tell none."""
    for offset, magic, media_type in _MAGIC:
        if data.startswith(magic, offset):
            return media_type
    # An MPEG audio frame: eleven set bits, then layer III.
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2:
        return "audio/mpeg"
    return None


def encode_base64(data: bytes) -> str:
    """Return the bytes as base64 text."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Return the bytes of base64 text: line breaks, the URL alphabet and missing padding are read too.

    Raises `ValueError` for what is no base64.
    """
    if "\n" in text or "\r" in text or " " in text:
        text = "".join(text.split())
    if "-" in text or "_" in text:
        text = text.replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("no valid base64") from None


def encode_data_url(media_type: str, data: bytes) -> str:
    """Return a `data:` URL of the bytes."""
    return f"data:{media_type};base64,{encode_base64(data)}"


def decode_data_url(url: str) -> tuple[str, bytes]:
    """Return media type and bytes of a `data:` URL; a type not said is `text/plain`, as RFC 2397 has it.

    Raises `ValueError` for a URL that is none.
    """
    head, comma, body = url.partition(",")
    if head[:5].lower() != "data:" or not comma:
        raise ValueError("no data: URL")
    media_type = head[5:]
    if media_type.lower().endswith(";base64"):
        return media_type[:-7] or "text/plain", decode_base64(body)
    return media_type or "text/plain", unquote_to_bytes(body)


def is_data_url(url: str) -> bool:
    """Tell a `data:` URL from an address."""
    return url[:5].lower() == "data:"
