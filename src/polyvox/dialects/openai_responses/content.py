"""Parts of an item's content, both directions: text, refusals, pictures, documents, sounds, and what is none of these.

The rule: a part goes back with every member it came with; what this wire cannot say raises `UnsupportedError`.
https://platform.openai.com/docs/api-reference/responses/create#responses-create-input
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from polyvox.dialects._media import (
    ANY_AUDIO,
    ANY_IMAGE,
    UNKNOWN,
    audio_format,
    audio_media_type,
    decode_base64,
    decode_data_url,
    encode_base64,
    encode_data_url,
    essence,
    is_data_url,
    media_type_of_name,
    name_of_media_type,
    sniff,
)
from polyvox.dialects._reading import JSONObject
from polyvox.dialects.openai_responses.encoding import Encoding
from polyvox.dialects.openai_responses.fields import DIALECT, PLACE, marked, own, rest, said, text_of
from polyvox.dialects.openai_responses.sources import decode_annotation, decode_logprobs, encode_annotation
from polyvox.errors import UnsupportedError
from polyvox.types.parts import FileId, FilePart, OpaquePart, Part, ReasoningPart, SourcePart, TextPart, Url

TEXTS: Final = ("input_text", "output_text", "text")
_PDF: Final = "application/pdf"


# ours → wire


def encode_content(parts: Iterable[Part], encoding: Encoding, *, answered: bool = False) -> str | list[JSONObject]:
    """Return the content of an input item: a string where one plain text says it all, else a list of parts."""
    kept = [part for part in parts if _is_content(part, encoding)]
    if not kept:
        return ""
    if len(kept) == 1 and isinstance(kept[0], TextPart) and is_plain(kept[0]):
        return kept[0].text
    return [encode_part(part, encoding, answered=answered) for part in kept]


def _is_content(part: Part, encoding: Encoding) -> bool:
    """Leave out what says where a text came from, and thoughts that are nobody's on this wire."""
    if isinstance(part, SourcePart):
        encoding.note("dropped", "messages", "search results beside a text are not sent back")
        return False
    if isinstance(part, ReasoningPart):
        if part.text:
            encoding.note("dropped", "messages", "reasoning outside an assistant message is not sent")
        return False
    return True


def is_plain(part: TextPart) -> bool:
    """Tell whether a text is nothing but text."""
    marks = own(part.meta)
    return not part.refusal and not part.sources and not any(name not in ("item", "more") for name in marks)


def encode_part(part: Part, encoding: Encoding, *, answered: bool = False) -> JSONObject:
    """Return one item of a content list. Raises `UnsupportedError` for a part that has no place in one."""
    match part:
        case TextPart():
            return encode_text(part, encoding, answered=answered)
        case FilePart():
            return marked(_encode_file(part, encoding), part.meta)
        case OpaquePart(kind=kind):
            if not own(part.meta):
                raise UnsupportedError(f"a part of kind {kind!r} cannot be said on the Responses wire")
            return marked({}, part.meta)
        case _:
            raise UnsupportedError(f"a {type(part).__name__} has no place among the contents of a message")


def encode_text(part: TextPart, encoding: Encoding | None = None, *, answered: bool) -> JSONObject:
    """Return a text of the user's, or of an answer's, which has its citations with it."""
    if part.refusal:
        return marked({"type": "refusal", "refusal": part.text}, part.meta)
    if not answered:
        return marked({"type": "input_text", "text": part.text}, part.meta)
    foreign = encoding is None  # in an answer they are told as well as they can be
    told = (encode_annotation(source, foreign=foreign) for source in part.sources)
    held = [annotation for annotation in told if annotation is not None]
    if encoding is not None and len(held) < len(part.sources):
        encoding.note("dropped", "messages", "citations of another origin are not sent back; their text is")
    return marked({"type": "output_text", "text": part.text, "annotations": held}, part.meta)


def _encode_file(part: FilePart, encoding: Encoding) -> JSONObject:
    kind = essence(part.media_type)
    if own(part.meta).get("type") == "input_file":
        return _encode_document(part)  # whatever it holds
    if kind.startswith("video/"):
        raise UnsupportedError(f"the Responses wire takes no film: {part.media_type} cannot be sent")
    if kind.startswith("audio/"):
        return _encode_sound(part, encoding)
    if kind.startswith("image/"):
        match part.data:
            case bytes():
                exact = kind if not kind.endswith("/*") else sniff(part.data) or "image/png"
                return {"type": "input_image", "image_url": encode_data_url(exact, part.data)}
            case Url():
                return {"type": "input_image", "image_url": part.data.url}
            case FileId():
                return {"type": "input_image", "file_id": part.data.id}
    return _encode_document(part)


def _encode_document(part: FilePart) -> JSONObject:
    match part.data:
        case bytes():
            name = part.name or name_of_media_type(part.media_type)
            return {"type": "input_file", "filename": name, "file_data": encode_data_url(part.media_type, part.data)}
        case Url():
            block: JSONObject = {"type": "input_file", "file_url": part.data.url}
        case FileId():
            block = {"type": "input_file", "file_id": part.data.id}
    if part.name is not None:
        block["filename"] = part.name
    return block


def _encode_sound(part: FilePart, encoding: Encoding) -> JSONObject:
    if not encoding.quirks.input_audio:
        raise UnsupportedError(f"this service takes no sound on the Responses wire: {part.media_type} cannot be sent")
    if not isinstance(part.data, bytes):
        raise UnsupportedError("sound is sent as its bytes on this wire, not by address or id")
    word = audio_format(part.media_type) or audio_format(sniff(part.data) or "")
    if word is None:
        raise UnsupportedError(f"sound of type {part.media_type} cannot be sent: give wav or mp3")
    return {"type": "input_audio", "input_audio": {"data": encode_base64(part.data), "format": word}}


# wire → ours


def decode_part(part: JSONObject) -> Part:
    """Return a part of a content list. One that cannot be read in full stays as it is, as an opaque part."""
    kind = text_of(part, "type")
    if kind in TEXTS and isinstance(part.get("text"), str):
        return _decode_text(part, kind)
    if kind == "refusal" and isinstance(part.get("refusal"), str):
        return TextPart(part["refusal"], refusal=True, meta=said(rest(part, ("type", "refusal"))))
    read = None
    if kind == "input_image":
        read = _decode_image(part)
    elif kind == "input_file":
        read = _decode_document(part)
    elif kind == "input_audio":
        read = _decode_sound(part)
    return read or OpaquePart(kind or "unknown", {DIALECT: {**part, PLACE: "content"}})


def _decode_text(part: JSONObject, kind: str) -> TextPart:
    annotations = part.get("annotations")
    sources = tuple(map(decode_annotation, annotations)) if isinstance(annotations, list) else ()
    known = ["type", "text", "annotations"]
    logprobs = decode_logprobs(part.get("logprobs"))
    if logprobs is not None or part.get("logprobs") == []:
        known.append("logprobs")
    marks = rest(part, known)
    if kind == "text":
        marks["type"] = kind
    return TextPart(part["text"], sources, logprobs, meta=said(marks))


def _decode_image(part: JSONObject) -> FilePart | None:
    url, file_id = part.get("image_url"), part.get("file_id")
    if isinstance(url, str):
        marks = said(rest(part, ("type", "image_url")))
        if not is_data_url(url):
            return FilePart(ANY_IMAGE, Url(url), meta=marks)
        try:
            media_type, data = decode_data_url(url)
        except ValueError:
            return None
        return FilePart(media_type, data, meta=marks)
    if isinstance(file_id, str):
        return FilePart(ANY_IMAGE, FileId(file_id), meta=said(rest(part, ("type", "file_id"))))
    return None


def _decode_document(part: JSONObject) -> FilePart | None:
    name = part.get("filename")
    name = name if isinstance(name, str) else None
    by_name = media_type_of_name(name) if name else None
    data, url, file_id = part.get("file_data"), part.get("file_url"), part.get("file_id")
    if isinstance(data, str):
        try:
            if is_data_url(data):
                return _document(part, "file_data", *decode_data_url(data), name)
            content = decode_base64(data)
        except ValueError:
            return None
        return _document(part, "file_data", by_name or sniff(content) or UNKNOWN, content, name)
    if isinstance(url, str):
        by_url = media_type_of_name(url.partition("?")[0].rpartition("/")[2])
        return _document(part, "file_url", by_name or by_url or _PDF, Url(url), name)
    if isinstance(file_id, str):
        return _document(part, "file_id", by_name or UNKNOWN, FileId(file_id), name)
    return None


def _document(part: JSONObject, member: str, media_type: str, data: bytes | Url | FileId, name: str | None) -> FilePart:
    marks = rest(part, ("type", member, "filename"))
    if media_type.startswith(("image/", "audio/", "video/")):
        marks["type"] = "input_file"  # else it would go back as what it holds
    return FilePart(media_type, data, name, said(marks))


def _decode_sound(part: JSONObject) -> FilePart | None:
    held = part.get("input_audio")
    if not isinstance(held, dict) or set(held) != {"data", "format"}:
        return None
    try:
        data = decode_base64(text_of(held, "data"))
    except ValueError:
        return None
    word = text_of(held, "format")
    media_type: Any = audio_media_type(word) if word else ANY_AUDIO
    return FilePart(media_type, data, meta=said(rest(part, ("type", "input_audio"))))
