"""Parts of a message's content, both directions: text, pictures, documents, sounds, films, and what is none of these.

The rule: a part that came from this wire goes back in its own form (`meta["openai"]["form"]`, where that is not the one
we would choose); what this wire cannot say raises `UnsupportedError`.
https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from msgspec import structs

from polyvox.dialects._media import (
    ANY_AUDIO,
    ANY_IMAGE,
    ANY_VIDEO,
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
from polyvox.dialects._reading import (
    JSONObject,
    read_list,
    read_object,
    read_text,
    refuse,
    take,
)
from polyvox.dialects.openai.chat.encoding import Encoding
from polyvox.dialects.openai.chat.fields import CUT, DIALECT, made, mark, own, rest
from polyvox.errors import UnsupportedError
from polyvox.types.parts import FileId, FilePart, OpaquePart, Part, ReasoningPart, SourcePart, TextPart, Url

PART_MARKS: Final = ("prompt_cache_breakpoint", "cache_control")
"""Members of a part that a caller may set through `meta["openai"]`."""


# ours → wire


def encode_content(parts: Iterable[Part], encoding: Encoding, *, glue: str = "\n\n") -> str | list[JSONObject]:
    """Return the content member: a string where one plain text says it all, else a list of parts."""
    kept = [part for part in parts if _is_content(part, encoding)]
    if not kept:
        return ""
    plain = [part.text for part in kept if isinstance(part, TextPart) and not part.refusal and _is_plain(part)]
    if len(plain) == len(kept) and (len(kept) == 1 or encoding.quirks.text_content == "string"):
        return glue.join(plain)
    return [encode_part(part, encoding) for part in kept]


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


def _is_plain(part: TextPart) -> bool:
    marks = own(part.meta)
    return not any(name in marks for name in (*PART_MARKS, "extra"))


def encode_part(part: Part, encoding: Encoding) -> JSONObject:
    """Return one item of a content list. Raises `UnsupportedError` for a part that has no place in one."""
    match part:
        case TextPart(text=text, refusal=True):
            said: JSONObject = {"type": "refusal", "refusal": text}
        case TextPart(text=text):
            said = {"type": "text", "text": text}
        case FilePart():
            said = _encode_file(part, encoding)
        case OpaquePart(kind=kind):
            if not own(part.meta):
                raise UnsupportedError(f"a part of kind {kind!r} cannot be said on the OpenAI chat wire")
            return {name: value for name, value in own(part.meta).items() if name != CUT}
        case _:
            raise UnsupportedError(f"a {type(part).__name__} has no place in the content of this message")
    if part.meta:
        mark(said, own(part.meta), PART_MARKS)
    return said


def _encode_file(part: FilePart, encoding: Encoding) -> JSONObject:
    form = own(part.meta).get("form") or _form(part)
    if form == "file_by_url":
        form = encoding.quirks.file_urls
        if form == "refuse":
            raise UnsupportedError(
                f"the OpenAI chat wire takes no {part.media_type} by address: give the bytes of {_address(part)}"
            )
    encode = _ENCODERS.get("file" if form == "file_data" else form)
    if encode is None:
        raise UnsupportedError(f"the OpenAI chat wire has no form {form!r} for a file")
    return {"type": "file" if form == "file_data" else form, **encode(part, encoding)}


def _form(part: FilePart) -> str:
    """Return the form that this wire has for a file of its kind."""
    if isinstance(part.data, FileId):
        return "file"
    match essence(part.media_type).partition("/")[0]:
        case "image":
            return "image_url"
        case "audio":
            return "input_audio"
        case "video":
            return "video_url"
        case _:
            return "file_by_url" if isinstance(part.data, Url) else "file"


def _address(part: FilePart) -> str:
    if isinstance(part.data, Url):
        return part.data.url
    if isinstance(part.data, FileId):
        raise UnsupportedError(
            f"the file {part.data.id!r} cannot be sent as {part.media_type}: this wire takes its bytes"
        )
    media_type = part.media_type
    if media_type.endswith("/*"):
        media_type = sniff(part.data) or ""
        if not media_type:
            raise UnsupportedError(f"say the exact media type of the file: {part.media_type} cannot be sent")
    return encode_data_url(media_type, part.data)


def _encode_image(part: FilePart, encoding: Encoding) -> JSONObject:
    detail = own(part.meta).get("detail")
    return {"image_url": {"url": _address(part), **({} if detail is None else {"detail": detail})}}


def _encode_audio(part: FilePart, encoding: Encoding) -> JSONObject:
    if own(part.meta).get("form") == "input_audio":
        # Mistral's form: https://docs.mistral.ai/capabilities/audio_transcription (seen 2026-11-21).
        return {"input_audio": encode_base64(part.data) if isinstance(part.data, bytes) else _address(part)}
    if not isinstance(part.data, bytes):
        raise UnsupportedError("the OpenAI chat wire takes audio as bytes only, not by address or id")
    word = own(part.meta).get("format")
    if word is None:
        word = audio_format(part.media_type) or audio_format(sniff(part.data) or "")
        if word not in encoding.quirks.audio_formats:
            known = ", ".join(encoding.quirks.audio_formats)
            raise UnsupportedError(f"audio of type {part.media_type} cannot be sent here: give one of {known}")
    return {"input_audio": {"data": encode_base64(part.data), "format": word}}


def _encode_document(part: FilePart, encoding: Encoding) -> JSONObject:
    name = {} if part.name is None else {"filename": part.name}
    if isinstance(part.data, FileId):
        return {"file": {"file_id": part.data.id, **name}}
    if isinstance(part.data, Url):
        return {"file": {"file_data": part.data.url, **name}}
    # Bytes are refused without a name (NEEDED).
    return {"file": {"file_data": _address(part), "filename": part.name or name_of_media_type(part.media_type)}}


def _encode_document_url(part: FilePart, encoding: Encoding) -> JSONObject:
    name = {} if part.name is None else {"document_name": part.name}
    return {"document_url": _address(part), **name}


def _encode_by_url(member: str) -> Callable[[FilePart, Encoding], JSONObject]:
    return lambda part, encoding: {member: {"url": _address(part)}}


_ENCODERS: Final[dict[str, Callable[[FilePart, Encoding], JSONObject]]] = {
    "image_url": _encode_image,
    "input_audio": _encode_audio,
    "file": _encode_document,
    "video_url": _encode_by_url("video_url"),
    "file_url": _encode_by_url("file_url"),
    "audio_url": _encode_by_url("audio_url"),
    "document_url": _encode_document_url,
}


# wire → ours


def decode_content(value: object, path: str) -> tuple[Part, ...]:
    """Return the parts of a content member. A `BadRequestError` names the place that is wrong."""
    if isinstance(value, str):
        return (TextPart(value),)
    items = read_list(value, path, "a string or a list of parts")
    return tuple(decode_part(item, f"{path}[{place}]") for place, item in enumerate(items))


def decode_part(value: object, path: str) -> Part:
    """Return the part of one item of a content list; a type that we have no word for is kept as it is."""
    item = read_object(value, path, 'a part, as in {"type": "text", "text": "…"}')
    kind = read_text(take(item, "type", path), f"{path}.type")
    if kind in ("text", "refusal"):
        marks = rest(item, ("type", kind), PART_MARKS)
        text = read_text(take(item, kind, path), f"{path}.{kind}")
        return TextPart(text, refusal=kind == "refusal", meta=made(**marks))
    decode = _DECODERS.get(kind)
    if decode is None:
        return OpaquePart(kind, {DIALECT: dict(item)})
    part, known = decode(take(item, kind, path), item, path)
    marks = {**own(part.meta), **rest(item, ("type", kind, *known), PART_MARKS)}
    if _form(part) != kind:
        marks["form"] = kind
    return FilePart(part.media_type, part.data, part.name, made(**marks))


def in_place(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Mark files that stood where OpenAI takes none but other services do: they go back there, not elsewhere."""
    return tuple(
        structs.replace(part, meta=made(**own(part.meta), place="content")) if isinstance(part, FilePart) else part
        for part in parts
    )


def _decode_address(value: object, path: str, fallback: str) -> tuple[str, bytes | Url]:
    """Return media type and data of an address, which may be a `data:` URL."""
    url = read_text(value, path, "an address")
    if not url:
        refuse(path, "is empty, but must be an address or a data: URL")
    if not is_data_url(url):
        return fallback, Url(url)
    try:
        media_type, data = decode_data_url(url)
    except ValueError as error:
        refuse(path, f"is a data: URL of {error}")
    if media_type.endswith("/*"):
        media_type = sniff(data) or refuse(path, f"is a data: URL of type {media_type}, but must say the exact type")
    return media_type, data


def _decode_by_url(member: str, fallback: str) -> Callable[[object, JSONObject, str], tuple[FilePart, tuple[str, ...]]]:
    """Return the decoder of `{member: {"url": …}}`; Mistral's bare `{member: "…"}` is read too."""

    def decode(value: object, item: JSONObject, path: str) -> tuple[FilePart, tuple[str, ...]]:
        place = f"{path}.{member}"
        marks: JSONObject = {}
        if not isinstance(value, str):
            holder = read_object(value, place, "an object with a url")
            value = take(holder, "url", place)
            place = f"{place}.url"
            marks = {name: holder[name] for name in ("detail",) if holder.get(name) is not None}
        media_type, data = _decode_address(value, place, fallback)
        return FilePart(media_type, data, meta=made(**marks)), ()

    return decode


def _decode_document_url(value: object, item: JSONObject, path: str) -> tuple[FilePart, tuple[str, ...]]:
    name = item.get("document_name")
    if name is not None:
        read_text(name, f"{path}.document_name")
    media_type, data = _decode_address(value, f"{path}.document_url", _named_type(name))
    return FilePart(media_type, data, name), ("document_name",)


def _named_type(name: str | None) -> str:
    return (media_type_of_name(name) if name else None) or UNKNOWN


def _decode_audio(value: object, item: JSONObject, path: str) -> tuple[FilePart, tuple[str, ...]]:
    place = f"{path}.input_audio"
    if isinstance(value, str):
        # Mistral's form: base64, or an address.
        if "://" in value[:10] or is_data_url(value):
            media_type, where = _decode_address(value, place, ANY_AUDIO)
            return FilePart(media_type, where, meta=made(form="input_audio")), ()
        data = _decode_bytes(value, place)
        return FilePart(sniff(data) or ANY_AUDIO, data, meta=made(form="input_audio")), ()
    holder = read_object(value, place, "an object with data and format")
    word = read_text(take(holder, "format", place), f"{place}.format")
    data = _decode_bytes(take(holder, "data", place), f"{place}.data")
    media_type = audio_media_type(word)
    # A word that OpenAI does not take, or that our types would spell otherwise, is the request's own.
    usual = word in ("wav", "mp3") and audio_format(media_type) == word
    return FilePart(media_type, data, meta=made(format=None if usual else word)), ()


def _decode_bytes(value: object, path: str) -> bytes:
    try:
        return decode_base64(read_text(value, path, "base64 text"))
    except ValueError:
        refuse(path, "is no valid base64")


def _decode_document(value: object, item: JSONObject, path: str) -> tuple[FilePart, tuple[str, ...]]:
    place = f"{path}.file"
    holder = read_object(value, place, "an object with file_id, or file_data and filename")
    name = holder.get("filename")
    if name is not None:
        read_text(name, f"{place}.filename")
    if holder.get("file_id") is not None:
        return FilePart(_named_type(name), FileId(read_text(holder["file_id"], f"{place}.file_id")), name), ()
    text = read_text(take(holder, "file_data", place), f"{place}.file_data", "base64 text or a data: URL")
    if is_data_url(text) or "://" in text[:10]:
        media_type, data = _decode_address(text, f"{place}.file_data", _named_type(name))
        return FilePart(media_type, data, name), ()
    data = _decode_bytes(text, f"{place}.file_data")
    media_type = _named_type(name)
    return FilePart(sniff(data) or UNKNOWN if media_type == UNKNOWN else media_type, data, name), ()


_DECODERS: Final[dict[str, Callable[[object, JSONObject, str], tuple[FilePart, tuple[str, ...]]]]] = {
    "image_url": _decode_by_url("image_url", ANY_IMAGE),
    "input_audio": _decode_audio,
    "file": _decode_document,
    "video_url": _decode_by_url("video_url", ANY_VIDEO),
    "audio_url": _decode_by_url("audio_url", ANY_AUDIO),
    "file_url": _decode_by_url("file_url", UNKNOWN),
    "document_url": _decode_document_url,
}
