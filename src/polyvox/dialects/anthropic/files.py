"""Pictures and documents, both directions.

The rule: a file goes as the block of its kind; what the wire takes no file of raises `UnsupportedError`. Text goes as
text, a document's name is its title, a picture has none.
https://docs.anthropic.com/en/docs/build-with-claude/vision, …/pdf-support, …/citations
"""

from __future__ import annotations

from typing import Any, Final

from polyvox.dialects._media import (
    ANY_IMAGE,
    UNKNOWN,
    decode_base64,
    encode_base64,
    essence,
    media_type_of_name,
    sniff,
)
from polyvox.dialects._reading import JSONObject
from polyvox.dialects.anthropic.encoding import Encoding
from polyvox.dialects.anthropic.fields import DIALECT, kept, marked, own
from polyvox.errors import UnsupportedError
from polyvox.types.parts import FileId, FilePart, OpaquePart, SourcePart, Url

PDF: Final = "application/pdf"
IMAGES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
_TEXTS: Final = frozenset(
    {"application/json", "application/xml", "application/yaml", "application/javascript", "application/x-yaml"}
)
_KNOWN: Final = ("type", "source", "title")


# ours → wire


def encode_file(part: FilePart, encoding: Encoding) -> JSONObject:
    """Return the block of a file."""
    marks = own(part.meta)
    if marks.get("type") == "container_upload" and isinstance(part.data, FileId):
        return marked({"type": "container_upload", "file_id": part.data.id}, part.meta)
    kind = essence(part.media_type)
    if kind.startswith("image/"):
        return marked({"type": "image", "source": _image_source(part)}, part.meta)
    if kind.startswith(("audio/", "video/")):
        raise UnsupportedError(f"Claude takes no {kind.partition('/')[0]}: {part.media_type} cannot be sent")
    block: JSONObject = {"type": "document", "source": _document_source(part, kind, encoding)}
    if part.name is not None:
        block["title"] = part.name
    block = marked(block, part.meta)
    source = marks.get("source")
    if source is not None and _joined(source.get("content")) != part.data:
        # Its text was changed since: the pieces it came in no longer say the same.
        block["source"] = _document_source(part, kind, encoding)
    return block


def _image_source(part: FilePart) -> JSONObject:
    if isinstance(part.data, Url):
        return {"type": "url", "url": part.data.url}
    if isinstance(part.data, FileId):
        return {"type": "file", "file_id": part.data.id}
    media_type = essence(part.media_type)
    if media_type not in IMAGES:
        media_type = sniff(part.data) or media_type
    if media_type not in IMAGES:
        raise UnsupportedError(f"a picture of type {media_type} cannot be sent: give one of {', '.join(IMAGES)}")
    return {"type": "base64", "media_type": media_type, "data": encode_base64(part.data)}


def _document_source(part: FilePart, kind: str, encoding: Encoding) -> JSONObject:
    if isinstance(part.data, Url):
        return {"type": "url", "url": part.data.url}
    if isinstance(part.data, FileId):
        return {"type": "file", "file_id": part.data.id}
    if kind == PDF or (kind in (UNKNOWN, "") and sniff(part.data) == PDF):
        return {"type": "base64", "media_type": PDF, "data": encode_base64(part.data)}
    if kind.startswith("text/") or kind in _TEXTS:
        try:
            text = part.data.decode("utf-8")
        except UnicodeDecodeError:
            raise UnsupportedError(f"a document of type {part.media_type} is sent as text, but is no UTF-8") from None
        if kind != "text/plain":
            encoding.note("renamed", "messages", f"a document of type {kind} is sent as text/plain")
        return {"type": "text", "media_type": "text/plain", "data": text}
    raise UnsupportedError(f"a document of type {part.media_type} cannot be sent: Claude takes PDF and text")


# wire → ours


def decode_file(block: JSONObject) -> FilePart | OpaquePart:
    """Return the file of a block; a source that we have no word for leaves the block as it is."""
    kind = block.get("type")
    if kind == "container_upload":
        file_id = block.get("file_id")
        if not isinstance(file_id, str):
            return OpaquePart("container_upload", {DIALECT: dict(block)})
        return FilePart(UNKNOWN, FileId(file_id), meta=kept(block, ("file_id",)))
    title = block.get("title")
    name = title if isinstance(title, str) and kind == "document" else None
    read = _decode_source(block.get("source"), "image" if kind == "image" else "document", name)
    if read is None:
        return OpaquePart(str(kind), {DIALECT: dict(block)})
    media_type, data = read
    known = _KNOWN if kind == "document" else _KNOWN[:2]
    meta = kept(block, known)
    source = block["source"]
    if source["type"] == "content":
        meta = {DIALECT: {**own(meta), "source": source}}
    return FilePart(media_type, data, name, meta)


def _decode_source(source: Any, kind: str, name: str | None) -> tuple[str, bytes | Url | FileId] | None:
    if not isinstance(source, dict):
        return None
    by_name = (media_type_of_name(name) if name else None) or PDF
    match source:
        case {"type": "base64", "media_type": str(media_type), "data": str(data)}:
            try:
                return media_type, decode_base64(data)
            except ValueError:
                return None
        case {"type": "url", "url": str(url)}:
            return (ANY_IMAGE if kind == "image" else PDF), Url(url)
        case {"type": "file", "file_id": str(file_id)}:
            return (ANY_IMAGE if kind == "image" else by_name), FileId(file_id)
        case {"type": "text", "data": str(text)}:
            return str(source.get("media_type") or "text/plain"), text.encode("utf-8", "surrogatepass")
        case {"type": "content", "content": content}:
            joined = _joined(content)
            return None if joined is None else ("text/plain", joined)
        case _:
            return None


def _joined(content: Any) -> bytes | None:
    """Return the text of a document that comes in pieces, `None` where not all of them are text."""
    if isinstance(content, str):
        return content.encode("utf-8", "surrogatepass")
    texts = [item.get("text") for item in content if isinstance(item, dict)] if isinstance(content, list) else [None]
    if any(not isinstance(text, str) for text in texts):
        return None
    return "\n\n".join(str(text) for text in texts).encode("utf-8", "surrogatepass")


# Search results that a caller gives, to be cited. https://docs.anthropic.com/en/docs/build-with-claude/search-results


def encode_source_part(part: SourcePart) -> JSONObject:
    """Return the `search_result` block of a source."""
    block: JSONObject = {
        "type": "search_result",
        "source": part.url or part.title or "",
        "title": part.title or part.url or "",
        "content": [{"type": "text", "text": part.text}] if part.text else [],
    }
    content = own(part.meta).get("content")
    block = marked(block, part.meta)
    if content is not None and _texts(content) != part.text:
        block["content"] = [{"type": "text", "text": part.text or ""}]
    return block


def decode_source_part(block: JSONObject) -> SourcePart:
    """Return the source of a `search_result` block."""
    url, title, content = block.get("source"), block.get("title"), block.get("content")
    text = _texts(content)
    plain = content in ([], [{"type": "text", "text": text}])
    known = ("type", "source", "title", "content") if plain else ("type", "source", "title")
    return SourcePart(
        url if isinstance(url, str) else None, title if isinstance(title, str) else None, text, kept(block, known)
    )


def _texts(content: Any) -> str | None:
    joined = _joined(content) if content else None
    return None if joined is None else joined.decode("utf-8", "surrogatepass")
