"""An answer, whole or chunk by chunk, as plain JSON in and events out.

The rule: a whole answer is read as a stream of one chunk, so that the two cannot be understood differently.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from polyvox.dialects._reading import JSONObject
from polyvox.dialects.gemini import wire
from polyvox.dialects.gemini.candidate import CandidateReader
from polyvox.dialects.gemini.errors import error_of
from polyvox.dialects.gemini.fields import DIALECT, text_of
from polyvox.dialects.gemini.finishes import decode_block
from polyvox.dialects.gemini.usage import decode_counts, decode_usage, merge_usage
from polyvox.errors import DecodeError
from polyvox.framing import json
from polyvox.types.events import Event, StreamEnd, StreamStart, UsageUpdate
from polyvox.types.fold import fold
from polyvox.types.generate import Alternative
from polyvox.types.parts import Meta

_FIELDS: Final = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId"})
_ANSWERS: Final = ("candidates", "promptFeedback", "usageMetadata", "responseId", "modelVersion")

CANDIDATE: Final = "candidate"
"""The member of an answer's meta that holds what its first candidate said beside its content."""


class AnswerReader:
    """Chunks of one answer in, events out."""

    __slots__ = (
        "_aside",
        "_blocked",
        "_counts",
        "_id",
        "_meta",
        "_short",
        "_streamed",
        "_unread",
        "_usage",
        "begun",
        "main",
    )

    def __init__(self, *, streamed: bool = False) -> None:
        self._streamed = streamed
        self.begun = False
        self.main = CandidateReader()
        self._usage: JSONObject = {}
        self._counts: wire.Counts | None = None  # the last that were told
        self._unread: bytes | None = None  # the chunk whose totals are told, but not read in full
        self._short = False  # whether the totals told last are those of such a chunk
        self._id: str | None = None
        self._aside: dict[int, tuple[CandidateReader, list[Event]]] = {}
        self._meta: JSONObject = {}
        self._blocked: Any = None

    @property
    def ended(self) -> bool:
        """Whether it was said why the answer ended: by its first candidate, or by the block of the prompt."""
        return self.main.ended or self._blocked is not None

    def feed(self, data: bytes, events: list[Event]) -> None:
        """Take in a whole answer, a chunk, or an array of chunks. Raises the `ProviderError` that it may hold."""
        held = json.decode(data)
        if isinstance(held, list):
            chunks = json.decode(data, list[wire.Chunk]) if b'"args"' in data else []
            for place, one in enumerate(held):
                self._feed_chunk(one, chunks[place] if len(chunks) == len(held) else None, events)
        else:
            self._feed_chunk(held, json.decode(data, wire.Chunk) if b'"args"' in data else None, events)

    def _feed_chunk(self, chunk: Any, written: wire.Chunk | None, events: list[Event]) -> None:
        if not isinstance(chunk, dict):
            raise DecodeError(f"this is no answer of the Gemini wire: {json.excerpt(json.encode(chunk))}")
        if chunk.get("error"):
            raise error_of(chunk, status=None)
        if not self.begun:
            if not any(name in chunk for name in _ANSWERS):
                if self._streamed:
                    return  # an event of tomorrow; where nothing else comes, the end tells
                raise DecodeError(f"this is no answer of the Gemini wire: {json.excerpt(json.encode(chunk))}")
            self.begun = True
            self._id = text_of(chunk, "responseId") or None
            self.main = CandidateReader(self._id)
            events.append(StreamStart(self._id, text_of(chunk, "modelVersion") or None))
        self._meta.update((name, value) for name, value in chunk.items() if name not in _FIELDS and value is not None)
        feedback = chunk.get("promptFeedback")
        if isinstance(feedback, dict) and decode_block(feedback.get("blockReason")) is not None:
            self._blocked = feedback["blockReason"]
        candidates = chunk.get("candidates")
        calls = _written(written)
        for place, candidate in enumerate(candidates if isinstance(candidates, list) else ()):
            if isinstance(candidate, dict):
                arguments = calls[place] if written is not None and len(calls) == len(candidates) else []  # type: ignore[arg-type]
                self._feed_candidate(candidate, arguments, events)
        self._take_usage(chunk.get("usageMetadata"), events)

    def _feed_candidate(self, candidate: JSONObject, arguments: list[str | None], events: list[Event]) -> None:
        index = candidate.get("index")
        index = index if isinstance(index, int) and not isinstance(index, bool) and index > 0 else 0
        if index == 0:
            self.main.feed(candidate, arguments, events)
            return
        if index not in self._aside:
            name = f"{self._id}_{index}" if self._id else f"{index}"
            self._aside[index] = (CandidateReader(name), [])
        reader, made = self._aside[index]
        reader.feed(candidate, arguments, made)

    def keep(self, name: str, value: Any) -> None:
        """Keep what a chunk says of the whole answer."""
        self._meta[name] = value

    def take_counts(self, counts: wire.Counts, data: bytes, events: list[Event]) -> None:
        """Take in the running totals of the chunk `data`, which brings nothing else but text."""
        if counts.promptTokenCount is None and counts.totalTokenCount is None:
            if counts != self._counts:
                self._take_usage(json.decode(data).get("usageMetadata"), events)
        else:
            # Read in full once it is known to be the last.
            self._unread = data
            if counts != self._counts:
                self._short = True
                events.append(UsageUpdate(decode_counts(counts)))
        self._counts = counts

    def _take_usage(self, usage: Any, events: list[Event]) -> None:
        """Take in the running totals."""
        if not isinstance(usage, dict) or not usage:
            return
        known = self._usage
        self._read_usage()
        self._counts = None
        self._usage = merge_usage(self._usage, usage)
        if self._short or self._usage != known:
            self._short = False
            events.append(UsageUpdate(decode_usage(self._usage)))

    def _read_usage(self) -> None:
        """Read the totals of the last chunk that brought text alone."""
        data, self._unread = self._unread, None
        if data is not None:
            self._usage = merge_usage(self._usage, json.decode(data)["usageMetadata"])

    def close(self, events: list[Event]) -> StreamEnd:
        """End what is open, and return the end of the answer."""
        if not self.begun:
            events.append(StreamStart())
        self.main.close(events)
        finish = self.main.finish()
        if finish is None and self._blocked is not None:
            finish = decode_block(self._blocked)
        self._read_usage()
        said = {**self._meta, CANDIDATE: self.main.meta} if self.main.meta else self._meta
        return StreamEnd(
            finish,
            decode_usage(self._usage) if self._short else None,
            alternatives=tuple(self._alternative(index) for index in sorted(self._aside)),
            meta=as_meta(said),
        )

    def _alternative(self, index: int) -> Alternative:
        reader, events = self._aside[index]
        reader.close(events)
        return Alternative(index, fold(events).content, reader.finish(), as_meta(reader.meta))


def _written(chunk: wire.Chunk | None) -> list[list[str | None]]:
    """Return the arguments of a chunk's calls as they were written, by candidate and part."""
    if chunk is None:
        return []
    return [
        [_text(part.functionCall.args) if part.functionCall is not None else None for part in candidate.content.parts]
        if candidate.content is not None
        else []
        for candidate in chunk.candidates
    ]


def _text(args: msgspec.Raw) -> str | None:
    text = bytes(args).decode("utf-8", "replace")
    return text if text not in ("", "null") else None


def as_meta(said: JSONObject) -> Meta:
    """Return a `meta` of this wire."""
    return {DIALECT: said} if said else {}
