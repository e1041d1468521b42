"""Where an answer's words come from, both directions: grounding and citations become sources.

The rule: the wire counts bytes of UTF-8, we count characters; a stream counts over all its text, a whole answer within
a part (`partIndex`): the segment's own words, which stand beside the numbers, tell which it is. A result that no
segment points to is a `SourcePart`. The metadata itself stays in the answer's meta.

https://ai.google.dev/api/generate-content#GroundingMetadata
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from polyvox.dialects._reading import JSONObject
from polyvox.types.parts import Source, SourcePart

GROUNDING: Final = "groundingMetadata"
CITATIONS: Final = "citationMetadata"
_KINDS: Final = ("web", "retrievedContext", "maps", "image")
_URLS: Final = ("uri", "sourceUri", "imageUri")


_BLOCK: Final = 512
"""So many pieces of text are joined at once."""


class Text:
    """The text of a part so far."""

    __slots__ = ("_blocks", "_pieces")

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._pieces: list[str] = []

    def write(self, text: str) -> None:
        """Take in a piece."""
        self._pieces.append(text)
        if len(self._pieces) >= _BLOCK:
            self._blocks.append("".join(self._pieces))
            self._pieces.clear()

    def __str__(self) -> str:
        return "".join([*self._blocks, *self._pieces])


class Placed(NamedTuple):
    """A source, and the index of the part whose text it stands on."""

    part: int
    source: Source


class Found(NamedTuple):
    """What metadata tell: sources on texts, and results bound to none."""

    placed: list[Placed]
    loose: list[SourcePart]


# Bytes and characters


def _to_characters(text: str, place: int) -> int:
    if text.isascii():
        return place
    data = text.encode("utf-8", "surrogatepass")
    # What lies beyond the text is as far beyond it afterwards.
    return len(data[:place].decode("utf-8", "ignore")) + max(0, place - len(data))


def _to_bytes(text: str, place: int) -> int:
    if text.isascii():
        return place
    return len(text[:place].encode("utf-8", "surrogatepass")) + max(0, place - len(text))


# wire → ours


def _text(owner: Any, *names: str) -> str | None:
    if not isinstance(owner, dict):
        return None
    return next((owner[name] for name in names if isinstance(owner.get(name), str)), None)


def _number(owner: Any, name: str) -> int | None:
    value = owner.get(name) if isinstance(owner, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _items(owner: Any, *names: str) -> list[Any]:
    """Return the first of these members that is a list."""
    if not isinstance(owner, dict):
        return []
    return next((owner[name] for name in names if isinstance(owner.get(name), list)), [])


def _decode_chunk(chunk: Any) -> Source:
    held = next((chunk[kind] for kind in _KINDS if isinstance(chunk.get(kind), dict)), chunk) if chunk else {}
    return Source(url=_text(held, *_URLS), title=_text(held, "title"), text=_text(held, "text"))


def decode_sources(metadata: Mapping[str, Any], texts: Mapping[int, str]) -> Found:
    """Return the sources that a candidate's metadata tell. `texts` are its text parts by index, in order."""
    grounding, citations = metadata.get(GROUNDING), metadata.get(CITATIONS)
    chunks = [_decode_chunk(one if isinstance(one, dict) else {}) for one in _items(grounding, "groundingChunks")]
    placed: list[Placed] = []
    cited: set[int] = set()
    for support in _items(grounding, "groundingSupports"):
        named = [place for place in _items(support, "groundingChunkIndices") if type(place) is int]
        spot = _place(support.get("segment") if isinstance(support, dict) else None, texts)
        for place in named:
            if spot is not None and 0 <= place < len(chunks):
                cited.add(place)
                placed.append(_at(spot, chunks[place]))
    for one in _items(citations, "citationSources", "citations"):
        spot = _place(one, texts)
        if spot is not None:
            placed.append(_at(spot, Source(url=_text(one, "uri"), title=_text(one, "title"))))
    loose = [
        SourcePart(source.url, source.title, source.text)
        for place, source in enumerate(chunks)
        if place not in cited and source != Source()
    ]
    return Found(placed, loose)


class _Spot(NamedTuple):
    part: int
    start: int | None
    end: int | None


def _at(spot: _Spot, source: Source) -> Placed:
    return Placed(
        spot.part, Source(url=source.url, title=source.title, text=source.text, start=spot.start, end=spot.end)
    )


def _place(segment: Any, texts: Mapping[int, str]) -> _Spot | None:
    """Return where a segment stands, `None` where there is no text for it to stand on."""
    if not texts:
        return None
    part = _number(segment, "partIndex") or 0
    start, end = _number(segment, "startIndex"), _number(segment, "endIndex")
    words = _text(segment, "text")
    first = next(iter(texts))
    if start is None and end is None:
        return _Spot(part if part in texts else first, None, None)
    spots = []
    if part in texts:
        spots.append(_spot(part, texts[part], start, end))
    spots.append(_spot_in_all(texts, start, end))
    if not words:
        return spots[0]
    right = next((spot for spot in spots if texts[spot.part][spot.start : spot.end] == words), None)
    if right is not None:
        return right
    for other, text in texts.items():
        at = text.find(words)
        if at >= 0:
            return _Spot(other, at, at + len(words))
    return spots[0]


def _spot(part: int, text: str, start: int | None, end: int | None) -> _Spot:
    return _Spot(part, _to_characters(text, start or 0), None if end is None else _to_characters(text, end))


def _spot_in_all(texts: Mapping[int, str], start: int | None, end: int | None) -> _Spot:
    """Return a span that is counted over all the texts: in the one where it begins, to that one's end at most."""
    whole = "".join(texts.values())
    begins = _to_characters(whole, start or 0)
    ends = None if end is None else _to_characters(whole, end)
    before = 0
    *others, (last, _) = texts.items()
    for part, text in others:
        if begins < before + len(text):
            return _Spot(part, begins - before, None if ends is None else ends - before)
        before += len(text)
    return _Spot(last, begins - before, None if ends is None else ends - before)


# ours → wire


class Cited(NamedTuple):
    """A text part of an answer with its sources. `place` is its number among the parts that are written."""

    place: int
    text: str
    sources: Sequence[Source]


def encode_sources(metadata: JSONObject, cited: Sequence[Cited], loose: Sequence[SourcePart]) -> JSONObject:
    """Return a candidate's metadata with the grounding that says these sources.

    The metadata goes back as it came where it says the same already.
    """
    told = decode_sources(metadata, {one.place: one.text for one in cited})
    if _same(told, cited, loose):
        return metadata
    chunks: list[JSONObject] = []
    places: dict[tuple[str | None, ...], int] = {}
    supports: list[JSONObject] = []
    first = next((one.place for one in cited), 0)
    for one in cited:
        for source in one.sources:
            key = (source.url, source.title, source.text)
            if key not in places:
                places[key] = len(chunks)
                chunks.append(_encode_chunk(*key))
            segment = _encode_segment(source, one, 0 if one.place == first else one.place)
            supports.append({"segment": segment, "groundingChunkIndices": [places[key]]})
    chunks.extend(_encode_chunk(part.url, part.title, part.text) for part in loose)
    given = metadata.get(GROUNDING)
    grounding = dict(given) if isinstance(given, dict) else {}
    for name, said in (("groundingChunks", chunks), ("groundingSupports", supports)):
        grounding.pop(name, None)
        if said:
            grounding[name] = said
    # Citations are told among the sources now: said twice they would be read twice.
    others = {name: value for name, value in metadata.items() if name not in (GROUNDING, CITATIONS)}
    return {**others, GROUNDING: grounding} if grounding else others


def _same(told: Found, cited: Sequence[Cited], loose: Sequence[SourcePart]) -> bool:
    given = [(one.place, _bare(source)) for one in cited for source in one.sources]
    found = sorted(((one.part, one.source) for one in told.placed), key=lambda pair: pair[0])
    plain = [SourcePart(part.url, part.title, part.text) for part in loose]
    return found == sorted(given, key=lambda pair: pair[0]) and told.loose == plain


def _bare(source: Source) -> Source:
    return Source(url=source.url, title=source.title, text=source.text, start=source.start, end=source.end)


def _encode_chunk(url: str | None, title: str | None, text: str | None) -> JSONObject:
    members: Iterable[tuple[str, str | None]] = (("uri", url), ("title", title), ("text", text))
    said = {name: value for name, value in members if value is not None}
    return {"web" if text is None else "retrievedContext": said}


def _encode_segment(source: Source, one: Cited, place: int) -> JSONObject:
    segment: JSONObject = {"partIndex": place} if place else {}
    if source.start is not None:
        segment["startIndex"] = _to_bytes(one.text, source.start)
    if source.end is not None:
        segment["endIndex"] = _to_bytes(one.text, source.end)
        words = one.text[source.start or 0 : source.end]
        if words:
            segment["text"] = words
    return segment
