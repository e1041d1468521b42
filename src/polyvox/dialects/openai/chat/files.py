"""Files of an answer: speech in pieces of base64, pictures whole.

The rule: base64 may be cut anywhere, and each piece may have its own padding; only whole groups of four can be read.
"""

from __future__ import annotations

import re
from typing import Any, Final

from polyvox.dialects._media import ANY_AUDIO, ANY_IMAGE, decode_base64, decode_data_url, is_data_url, sniff
from polyvox.dialects._parts import Parts
from polyvox.dialects.openai.chat import wire
from polyvox.dialects.openai.chat.fields import DIALECT
from polyvox.errors import DecodeError
from polyvox.types.events import Event, FileDelta, TextDelta
from polyvox.types.parts import FilePart, Meta, TextPart, Url

TRANSCRIPT: Final[Meta] = {DIALECT: {"transcript": True}}

_PADDED: Final = re.compile(r"[^=]+=*")
_KNOWN_BY: Final = 16
"""So many characters of base64 tell what kind of sound it is."""


class FileReader:
    """Files of one choice in, events out."""

    __slots__ = ("_audio", "_parts", "_rest", "_spoken", "_transcript")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._audio: int | None = None
        self._rest = ""
        self._spoken: dict[str, Any] = {}
        self._transcript: int | None = None

    def feed_audio(self, audio: wire.Audio, events: list[Event]) -> None:
        """Take in a spoken answer, or a piece of one."""
        for name in ("id", "expires_at"):
            value = getattr(audio, name)
            if value:
                self._spoken[name] = value
        if audio.data:
            self._feed_data(audio.data, events)
        if audio.transcript:
            if self._transcript is None:
                self._transcript = self._parts.start(TextPart("", meta=TRANSCRIPT), events)
            text = self._parts.join(self._transcript, audio.transcript)
            if text:
                events.append(TextDelta(self._transcript, text))

    def _feed_data(self, data: str, events: list[Event], *, last: bool = False) -> None:
        data = self._rest + data
        if self._audio is None and len(data) < _KNOWN_BY and not last:
            self._rest = data
            return
        whole = len(data) if last else len(data) - len(data) % 4
        self._rest = data[whole:]
        try:
            piece = b"".join(decode_base64(run) for run in _PADDED.findall(data[:whole]))
        except ValueError:
            raise DecodeError("the sound of the answer is no valid base64") from None
        if self._audio is None:
            self._audio = self._parts.start(FilePart(sniff(piece) or ANY_AUDIO, b""), events)
        if piece:
            events.append(FileDelta(self._audio, piece))

    def feed_image(self, image: Any, events: list[Event]) -> None:
        """Take in a picture: `{"type": "image_url", "image_url": {"url": …}}`, with a `data:` URL or an address."""
        held = image.get("image_url") if isinstance(image, dict) else None
        url = held.get("url") if isinstance(held, dict) else held
        if not isinstance(url, str):
            return
        marks = {name: value for name, value in image.items() if name not in ("type", "image_url")}
        meta: Meta = {DIALECT: marks} if marks else {}
        self._parts.whole(_picture(url, meta), events)

    def close(self, events: list[Event], metas: dict[int, Meta]) -> None:
        """Hand on the last bytes, and say in `metas` what is kept of a spoken answer."""
        if self._rest:
            self._feed_data("", events, last=True)
        if self._audio is None and self._transcript is not None and self._spoken:
            # Words without their sound: the id is what goes back.
            metas[self._transcript] = {DIALECT: {"transcript": True, "audio": self._spoken}}
        elif self._transcript is not None:
            metas[self._transcript] = TRANSCRIPT
        if self._audio is not None and self._spoken:
            metas[self._audio] = {DIALECT: {"audio": self._spoken}}


def _picture(url: str, meta: Meta) -> FilePart:
    if is_data_url(url):
        try:
            return FilePart(*decode_data_url(url), meta=meta)
        except ValueError:
            return FilePart(ANY_IMAGE, Url(url), meta=meta)  # no base64: kept as it came
    return FilePart(ANY_IMAGE, Url(url), meta=meta)
