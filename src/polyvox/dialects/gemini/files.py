"""Pictures, sounds, films and documents, both directions.

The rule: bytes go as `inlineData`, an address as `fileData`; a file by id is one that was uploaded there (`files/…`).
Whether the model takes such a file is its own to say. https://ai.google.dev/api/caching#Part
"""

from __future__ import annotations

from typing import Final

from polyvox.dialects._media import UNKNOWN, decode_base64, encode_base64, media_type_of_name, sniff
from polyvox.dialects._reading import JSONObject
from polyvox.dialects.gemini.encoding import Encoding
from polyvox.dialects.gemini.fields import kept, marked, own
from polyvox.dialects.gemini.quirks import GeminiQuirks
from polyvox.errors import UnsupportedError
from polyvox.types.parts import FileId, FilePart, Url

_BLOB: Final = ("mimeType", "data", "displayName")
_LINK: Final = ("mimeType", "fileUri", "displayName")
_PLAIN: Final = GeminiQuirks()


# ours → wire


def encode_file(part: FilePart, encoding: Encoding | None) -> JSONObject:
    """Return the part of a file. Without an encoding, that of an answer: there everything is said as it is.

    Raises `UnsupportedError` for the id of a file that is somewhere else.
    """
    quirks = _PLAIN if encoding is None else encoding.quirks
    marks = own(part.meta)
    said: JSONObject = {}
    match part.data:
        case bytes():
            member = "inlineData"
            said["mimeType"] = _exact(part, part.data, refuse=encoding is not None)
            said["data"] = encode_base64(part.data)
        case Url() | FileId():
            member = "fileData"
            media_type = _told(part)
            if media_type is not None:
                said["mimeType"] = media_type
            said["fileUri"] = _address(part.data, quirks, refuse=encoding is not None)
    if part.name is not None:
        if quirks.file_names:
            said["displayName"] = part.name
        elif encoding is not None:
            encoding.note("dropped", "messages", "a file's name is not sent: this service takes none")
    more = marks.get(member)
    if isinstance(more, dict):
        said |= more
    return marked({member: said}, {"gemini": {name: mark for name, mark in marks.items() if name != member}})


def _exact(part: FilePart, data: bytes, *, refuse: bool) -> str:
    """Return the media type of bytes: the wire wants one, and an exact one."""
    if part.media_type and not part.media_type.endswith("/*") and part.media_type != UNKNOWN:
        return part.media_type
    found = sniff(data)
    if found is None and refuse and part.media_type.endswith("/*"):
        raise UnsupportedError(f"a file of type {part.media_type} cannot be sent: say its exact type")
    return found or part.media_type


def _told(part: FilePart) -> str | None:
    if part.media_type and not part.media_type.endswith("/*") and part.media_type != UNKNOWN:
        return part.media_type
    return media_type_of_name(part.data.url) if isinstance(part.data, Url) else None


def _address(data: Url | FileId, quirks: GeminiQuirks, *, refuse: bool) -> str:
    if isinstance(data, Url):
        return data.url
    if "://" in data.id or not refuse:
        return data.id
    if not data.id.startswith("files/"):
        raise UnsupportedError(f"the file {data.id!r} is not one of this provider's (files/…): give its bytes or a URL")
    return quirks.files_url + data.id


# wire → ours


def decode_file(block: JSONObject) -> FilePart | None:
    """Return the file of a part, `None` where it cannot be read."""
    blob, link = block.get("inlineData"), block.get("fileData")
    if isinstance(blob, dict):
        text, media_type = blob.get("data"), blob.get("mimeType")
        if not isinstance(text, str):
            return None
        try:
            data = decode_base64(text)
        except ValueError:
            return None
        media_type = media_type if isinstance(media_type, str) and media_type else sniff(data) or UNKNOWN
        return FilePart(media_type, data, _name(blob), _marks(block, "inlineData", blob, _BLOB))
    if isinstance(link, dict) and isinstance(link.get("fileUri"), str):
        url, media_type = link["fileUri"], link.get("mimeType")
        if not isinstance(media_type, str) or not media_type:
            media_type = media_type_of_name(url) or UNKNOWN
        return FilePart(media_type, Url(url), _name(link), _marks(block, "fileData", link, _LINK))
    return None


def _name(owner: JSONObject) -> str | None:
    name = owner.get("displayName")
    return name if isinstance(name, str) and name else None


def _marks(block: JSONObject, member: str, owner: JSONObject, known: tuple[str, ...]) -> dict[str, JSONObject]:
    more = {name: value for name, value in owner.items() if name not in known}
    meta = kept(block, (member,))
    return {"gemini": {**own(meta), member: more}} if more else meta
