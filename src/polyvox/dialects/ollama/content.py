"""What a message says beside calls and thinking: one text and a list of pictures, both directions.

The rule: the wire has one string and, beside it, pictures as plain base64; so texts are joined, a text file is a text,
and a picture's place among texts is not said. What is neither text nor picture raises.
https://docs.ollama.com/capabilities/vision
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from polyvox.dialects._media import decode_data_url, encode_base64, essence, is_data_url, sniff
from polyvox.dialects._reading import JSONObject, read_list, read_text, refuse
from polyvox.dialects.ollama.encoding import Encoding
from polyvox.dialects.ollama.fields import with_marks
from polyvox.dialects.ollama.reader import decode_image
from polyvox.errors import UnsupportedError
from polyvox.types.parts import FileId, FilePart, OpaquePart, Part, ReasoningPart, SourcePart, TextPart, ToolCall, Url

BETWEEN: Final = "\n\n"
"""What stands between two texts of one message: Ollama's own templates join neighbours so."""

IN_PLACE: Final = "in_place"
"""This picture stood in a message that is no user's, and goes back there."""

_TEXTS: Final = frozenset(
    {
        "application/json",
        "application/xml",
        "application/yaml",
        "application/x-yaml",
        "application/toml",
        "application/javascript",
        "application/x-ndjson",
    }
)


# ours → wire


def encode_content(parts: Iterable[Part], encoding: Encoding) -> JSONObject:
    """Return `content`, and `images` where there are some, of a message that is not the assistant's."""
    texts: list[str] = []
    images: list[str] = []
    places: list[int] = []  # how many texts were there before each picture
    for part in parts:
        match part:
            case TextPart():
                texts.append(part.text)
            case FilePart():
                text = text_of_file(part, encoding)
                if text is None:
                    images.append(encode_image(part))
                    places.append(len(texts))
                else:
                    texts.append(text)
            case SourcePart():
                encoding.note("emulated", "messages", "search results that the caller gives are sent as text")
                texts.append("\n".join(line for line in (part.title, part.url, part.text) if line))
            case ReasoningPart():
                if part.text:
                    encoding.note("dropped", "messages", "reasoning outside an assistant message is not sent")
            case OpaquePart():
                raise UnsupportedError(f"a part of kind {part.kind!r} cannot be said on the Ollama wire")
            case ToolCall():
                raise UnsupportedError(f"the call of {part.name!r} stands in a message that is not the assistant's")
            case _:
                raise UnsupportedError(f"the result of {part.name!r} stands in a message that is not a tool's")
    if any(0 < place < len(texts) for place in places):
        encoding.note("emulated", "messages", "pictures amid texts are sent beside them: the wire has no place amid")
    said: JSONObject = {"content": BETWEEN.join(text for text in texts if text)}
    return {**said, "images": images} if images else said


def is_text_file(part: FilePart) -> bool:
    """Tell whether a file is text, which can be said in words."""
    media_type = essence(part.media_type)
    return isinstance(part.data, bytes) and (media_type.startswith("text/") or media_type in _TEXTS)


def text_of_file(part: FilePart, encoding: Encoding) -> str | None:
    """Return a text file as the text that is sent for it, `None` for a file of another kind."""
    if not isinstance(part.data, bytes) or not is_text_file(part):
        return None
    try:
        text = part.data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnsupportedError(f"the text file {part.name or 'given'} is not UTF-8: it cannot be sent") from None
    encoding.note("emulated", "messages", "a text file is sent as text")
    return f"{part.name}:\n{text}" if part.name else text


def encode_image(part: FilePart) -> str:
    """Return a picture as base64.

    Raises `UnsupportedError` for an address, a file by id, and a file that is no picture.
    """
    data = part.data
    if isinstance(data, FileId):
        raise UnsupportedError(f"the file {data.id!r} is not known here: this wire takes the bytes themselves")
    if isinstance(data, Url):
        if not is_data_url(data.url):
            raise UnsupportedError(f"the wire takes no addresses: give the bytes of {data.url}")
        try:
            _, data = decode_data_url(data.url)
        except ValueError:
            raise UnsupportedError("a data: URL holds no valid base64: it cannot be sent") from None
    if not essence(part.media_type).startswith("image/") and not (sniff(data) or "").startswith("image/"):
        raise UnsupportedError(f"a file of type {part.media_type} cannot be sent: this wire takes pictures and texts")
    return encode_base64(data)


# wire → ours


def decode_content(message: JSONObject, path: str, *, in_place: bool = False) -> tuple[Part, ...]:
    """Return the pictures and the text of a message: in the prompt pictures come first."""
    images = decode_images(message.get("images"), f"{path}.images", in_place=in_place)
    content = message.get("content")
    text = "" if content is None else read_text(content, f"{path}.content")
    return (*images, TextPart(text)) if text else images


def decode_images(value: object, path: str, *, in_place: bool = False) -> tuple[Part, ...]:
    """Return the pictures. Raises `BadRequestError` for what is no base64."""
    if value is None:
        return ()
    found: list[Part] = []
    for place, image in enumerate(read_list(value, path, "a list of pictures in base64")):
        part = decode_image(read_text(image, f"{path}[{place}]", "a picture in base64"))
        if part is None:
            refuse(f"{path}[{place}]", "is no valid base64")
        found.append(FilePart(part.media_type, part.data, meta=with_marks({}, **{IN_PLACE: True}) if in_place else {}))
    return tuple(found)
