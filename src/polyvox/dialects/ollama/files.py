"""Files in a message: the wire knows pictures only, as base64, in a list beside the text.

The rule: a picture goes with the text of its message; a document that is text goes as text, with an adjustment;
whatever else is there raises `UnsupportedError`. https://docs.ollama.com/capabilities/vision
"""

from __future__ import annotations

from typing import Final

from polyvox.dialects._media import UNKNOWN, decode_data_url, encode_base64, essence, is_data_url, sniff
from polyvox.dialects.ollama.encoding import Encoding
from polyvox.errors import UnsupportedError
from polyvox.types.parts import FileId, FilePart, SourcePart, Url

_TEXTS: Final = frozenset(
    {"application/json", "application/xml", "application/yaml", "application/javascript", "application/x-yaml"}
)


def is_image(part: FilePart) -> bool:
    """Tell a picture from other files; where its type is not said, its first bytes tell."""
    kind = essence(part.media_type)
    if kind == UNKNOWN and isinstance(part.data, bytes):
        kind = sniff(part.data) or kind
    return kind.startswith("image/")


def encode_image(part: FilePart) -> str:
    """Return a picture's base64. Raises `UnsupportedError` for one that is not there itself."""
    data = part.data
    if isinstance(data, Url) and is_data_url(data.url):
        try:
            data = decode_data_url(data.url)[1]
        except ValueError:
            raise UnsupportedError("a picture's data: URL holds no valid base64") from None
    if isinstance(data, bytes):
        return encode_base64(data)
    what = "a file of another provider" if isinstance(data, FileId) else "an address, which Ollama does not fetch"
    raise UnsupportedError(f"a picture is given as {what}: give its bytes")


def encode_document(part: FilePart, encoding: Encoding) -> str:
    """Return a document's text. Raises `UnsupportedError` for one that is none."""
    kind = essence(part.media_type)
    if (kind.startswith("text/") or kind in _TEXTS) and isinstance(part.data, bytes):
        try:
            text = part.data.decode("utf-8")
        except UnicodeDecodeError:
            raise UnsupportedError(f"a document of type {part.media_type} is sent as text, but is no UTF-8") from None
        encoding.note("emulated", "messages", f"a document of type {kind} is sent as text")
        return f"{part.name}:\n{text}" if part.name else text
    raise UnsupportedError(f"a file of type {part.media_type} cannot be sent: Ollama takes pictures and text")


def encode_source_part(part: SourcePart, encoding: Encoding) -> str:
    """Return a source as text."""
    encoding.note("emulated", "messages", "a source is sent as text")
    return "\n".join(text for text in (part.title, part.url, part.text) if text)
