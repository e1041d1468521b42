"""One candidate of an answer, whole or in chunks: its parts become events.

The rules, each from real traffic: the first text of a chunk goes on with the text that is open, a further one is a part
of its own; a part with a signature is a part of its own too, so that it goes back as it came, and may be an empty text;
an empty text without one says nothing. A call's arguments may come in pieces. Where sources may come, texts stay open
until the end: sources come last.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import structs

from polyvox.dialects._parts import Parts
from polyvox.dialects._reading import JSONObject
from polyvox.dialects.gemini.arguments import PartialArguments
from polyvox.dialects.gemini.blocks import Calls, decode_part, is_sound_piece
from polyvox.dialects.gemini.fields import own
from polyvox.dialects.gemini.finishes import decode_finish
from polyvox.dialects.gemini.sources import CITATIONS, GROUNDING, Text, decode_sources
from polyvox.types.events import Event, FileDelta, ReasoningDelta, SourceDelta, TextDelta, ToolCallDelta
from polyvox.types.generate import Finish
from polyvox.types.parts import FilePart, Meta, Part, ReasoningPart, SourcePart, TextPart, TokenLogprob, ToolCall

LOGPROBS: Final = "logprobsResult"
_FIELDS: Final = frozenset({"content", "finishReason", "index"})


class CandidateReader:
    """Chunks of one candidate in, events out."""

    __slots__ = (
        "_calls",
        "_given",
        "_metas",
        "_open",
        "_partial",
        "_raw_finish",
        "_shut",
        "_sound",
        "_texts",
        "ended",
        "grounded",
        "meta",
        "parts",
        "text",
        "thought",
    )

    def __init__(self, answer: str | None = None) -> None:
        self.parts = Parts()
        self.text: int | None = None  # the text part that more text goes to; read by the decoder's fast path
        self.thought: int | None = None  # likewise
        self._open: int | None = None  # a text that has all its words, and may still get sources
        self._sound: tuple[int, str] | None = None
        self._texts: dict[int, Text] = {}
        self._shut: set[int] = set()  # texts that have ended
        self._metas: dict[int, Meta] = {}  # of parts that are open
        self._calls = Calls(answer)
        self._given = False  # it holds calls for the caller to run
        self._partial: PartialArguments | None = None
        self.grounded = False  # whether sources may come
        self._raw_finish: Any = None
        self.ended = False
        self.meta: JSONObject = {}

    def feed(self, candidate: JSONObject, arguments: list[str | None], events: list[Event]) -> None:
        """Take in a candidate, or a chunk of it. `arguments` are its calls' by place, as written, where known."""
        for name, value in candidate.items():
            if name not in _FIELDS and value is not None:
                self._keep(name, value)
        content = candidate.get("content")
        blocks = content.get("parts") if isinstance(content, dict) else None
        if isinstance(blocks, list):
            tokens = decode_logprobs(candidate.get(LOGPROBS))
            for place, block in enumerate(blocks):
                if isinstance(block, dict) and block:
                    written = arguments[place] if place < len(arguments) else None
                    tokens = self._feed_block(block, written, tokens, events, goes_on=place == 0)
        reason = candidate.get("finishReason")
        if reason is not None and reason != "":
            self.ended = True
            self._raw_finish = reason

    def _keep(self, name: str, value: Any) -> None:
        known = self.meta.get(name)
        if name in (GROUNDING, CITATIONS):
            self.grounded = True
        if name in (CITATIONS, LOGPROBS) and isinstance(known, dict) and isinstance(value, dict):
            value = _joined(known, value)
        elif name == GROUNDING and known and not value:
            return
        self.meta[name] = value

    def finish(self) -> Finish | None:
        """Return why it ended, `None` where that was not said."""
        return decode_finish(self._raw_finish, calls=self._given) if self.ended else None

    def close(self, events: list[Event]) -> None:
        """End what is open, and hand on the sources."""
        if self._partial is not None:
            self._end_partial(self._partial, events)
        texts = {index: str(text) for index, text in self._texts.items()}
        found = decode_sources(self.meta, texts)
        loose = list(found.loose)
        for part, source in found.placed:
            if part not in self._shut:
                events.append(SourceDelta(part, source))
            elif (loosened := SourcePart(source.url, source.title, source.text)) not in loose:
                loose.append(loosened)
        self.parts.end_all(events, self._metas)
        for result in loose:
            self.parts.whole(result, events)
        self.text = self.thought = self._open = self._sound = None

    # Parts

    def _feed_block(
        self,
        block: JSONObject,
        arguments: str | None,
        tokens: tuple[TokenLogprob, ...] | None,
        events: list[Event],
        *,
        goes_on: bool,
    ) -> tuple[TokenLogprob, ...] | None:
        """Take in a part. Return the tokens' probabilities as long as no text has taken them."""
        call = block.get("functionCall")
        if isinstance(call, dict) and (self._partial is not None or _is_partial(call)):
            self._feed_partial(block, call, events)
            return tokens
        part = decode_part(block, self._calls, arguments)
        match part:
            case TextPart():
                if part.text or tokens or _marks(part):
                    self.write_text(part, tokens, events, goes_on=goes_on)
                    return None
            case ReasoningPart():
                self._write_thought(part, events, goes_on=goes_on)
            case FilePart() if isinstance(part.data, bytes):
                self._write_file(part, part.data, events, goes_on=goes_on)
            case ToolCall(executed=False):
                self._given = True
                self._end_open(events)
                index = self.parts.start(structs.replace(part, arguments=""), events)
                if part.arguments:
                    events.append(ToolCallDelta(index, self.parts.join(index, part.arguments)))
                self.parts.end(index, events, part.meta)
            case _:
                self._end_open(events)
                self.parts.whole(part, events)
        return tokens

    def write_text(
        self, part: TextPart, tokens: tuple[TokenLogprob, ...] | None, events: list[Event], *, goes_on: bool
    ) -> None:
        """Take in a text."""
        marked = _marks(part)
        index = self.text if goes_on and not marked else None
        if index is None:
            if not part.text and self.text is not None and not tokens:
                # A signature after the text: the text has all its words, but not its sources.
                self._open, self.text = self.text, None
                self.parts.whole(part, events)
                return
            self._end_open(events)
            index = self._start(TextPart("", meta=part.meta), events)
            self._texts[index] = Text()
        text = self.parts.join(index, part.text)
        if text or tokens:
            self._texts[index].write(text)
            events.append(TextDelta(index, text, tokens))
        if marked:
            self._open, self.text = index, None
        else:
            self.text = index

    def write_more(self, text: str) -> None:
        """Take in more of the text that is open: the decoder's fast path gives out its event itself."""
        if self.text is not None:
            self._texts[self.text].write(text)

    def _write_thought(self, part: ReasoningPart, events: list[Event], *, goes_on: bool) -> None:
        marked = _marks(part)
        if not part.text and not marked:
            return
        index = self.thought if goes_on and not marked else None
        if index is None:
            self._end_open(events)
            index = self._start(structs.replace(part, text=""), events)
        text = self.parts.join(index, part.text)
        if text:
            events.append(ReasoningDelta(index, text))
        if marked:
            self._end(index, events)
        else:
            self.thought = index

    def _write_file(self, part: FilePart, data: bytes, events: list[Event], *, goes_on: bool) -> None:
        """Take in a file. Raw sound comes in pieces, as text does; a picture comes whole."""
        if goes_on and self._sound is not None and self._sound[1] == part.media_type and not own(part.meta):
            index = self._sound[0]
        else:
            self._end_open(events)
            index = self._start(structs.replace(part, data=b""), events)
        if data:
            events.append(FileDelta(index, data))
        if is_sound_piece(part) and not own(part.meta):
            self._sound = (index, part.media_type)
        else:
            self._end(index, events)

    def _end_open(self, events: list[Event]) -> None:
        """End the part that is open: something else comes."""
        if self.thought is not None:
            self._end(self.thought, events)
        if self._sound is not None:
            self._end(self._sound[0], events)
        for index in (self._open, self.text):
            if index is not None and not self.grounded:
                self._shut.add(index)
                self._end(index, events)
        self._open = self.text = self.thought = self._sound = None

    def _start(self, part: Part, events: list[Event]) -> int:
        index = self.parts.start(part, events)
        self._metas[index] = part.meta
        return index

    def _end(self, index: int, events: list[Event]) -> None:
        self.parts.end(index, events, self._metas.pop(index, None))

    # Calls whose arguments come in pieces

    def _feed_partial(self, block: JSONObject, call: JSONObject, events: list[Event]) -> None:
        if self._partial is not None and isinstance(call.get("name"), str) and call["name"]:
            self._end_partial(self._partial, events)
        partial = self._partial
        if partial is None:
            self._end_open(events)
            self._given = True
            partial = self._partial = PartialArguments()
        partial.feed(block, call)
        if partial.index is None and partial.name:
            self._start_partial(partial, events)
        if call.get("willContinue") is not True:
            self._end_partial(partial, events)

    def _start_partial(self, partial: PartialArguments, events: list[Event]) -> int:
        index = partial.index
        if index is None:
            part = decode_part(partial.block(), self._calls)
            index = self.parts.start(
                structs.replace(part, arguments="") if isinstance(part, ToolCall) else part, events
            )
            partial.index = index
        return index

    def _end_partial(self, partial: PartialArguments, events: list[Event]) -> None:
        self._partial = None
        index = self._start_partial(partial, events)
        whole = decode_part(partial.block(), Calls())
        if isinstance(whole, ToolCall):
            events.append(ToolCallDelta(index, whole.arguments))
        self.parts.end(index, events, whole.meta)


def _marks(part: TextPart | ReasoningPart) -> bool:
    """Tell whether a part bears more than its text: a signature, say."""
    return any(name != "thought" for name in own(part.meta))


def _is_partial(call: JSONObject) -> bool:
    return call.get("willContinue") is True or isinstance(call.get("partialArgs"), list)


def _joined(known: JSONObject, more: JSONObject) -> JSONObject:
    """Return two objects as one, their lists joined: what stands in both lists stands there once."""
    joined = dict(known)
    for name, value in more.items():
        was = known.get(name)
        joined[name] = [*was, *value] if isinstance(was, list) and isinstance(value, list) else value
    return joined


def decode_logprobs(result: Any) -> tuple[TokenLogprob, ...] | None:
    """Return the chosen tokens' probabilities, `None` where none are told."""
    chosen = result.get("chosenCandidates") if isinstance(result, dict) else None
    if not isinstance(chosen, list):
        return None
    tops = result.get("topCandidates")
    listed = tops if isinstance(tops, list) else []
    tokens: list[TokenLogprob] = []
    for place, token in enumerate(chosen):
        top = listed[place].get("candidates") if place < len(listed) and isinstance(listed[place], dict) else None
        others = [read for one in top if (read := _decode_token(one))] if isinstance(top, list) else []
        read = _decode_token(token)
        if read is not None:
            tokens.append(structs.replace(read, top=tuple(others)))
    return tuple(tokens)


def _decode_token(token: Any) -> TokenLogprob | None:
    if not isinstance(token, dict) or not isinstance(token.get("token"), str):
        return None
    probability = token.get("logProbability")
    known = isinstance(probability, int | float) and not isinstance(probability, bool)
    return TokenLogprob(token["token"], float(probability) if known else 0.0)  # type: ignore[arg-type]


def encode_logprobs(tokens: tuple[TokenLogprob, ...]) -> JSONObject:
    """Return the wire's two lists."""
    said: JSONObject = {"chosenCandidates": [_encode_token(token) for token in tokens]}
    if any(token.top for token in tokens):
        said["topCandidates"] = [{"candidates": [_encode_token(one) for one in token.top]} for token in tokens]
    return said


def _encode_token(token: TokenLogprob) -> JSONObject:
    return {"token": token.token, "logProbability": token.logprob}
