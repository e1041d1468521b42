"""The dialects under the laws: a row each. What holds for one holds for all; a new dialect is a new row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from polyvox.dialects.anthropic.dialect import ANTHROPIC
from polyvox.dialects.base import Dialect
from polyvox.dialects.gemini.dialect import GEMINI
from polyvox.dialects.ollama.dialect import OLLAMA
from polyvox.dialects.openai.dialect import OPENAI
from polyvox.dialects.openai_responses.dialect import OPENAI_RESPONSES
from polyvox.errors import PolyvoxError
from polyvox.framing.base import Frame, Framer
from polyvox.framing.ndjson import NDJSONFramer
from polyvox.framing.sse import SSEFramer
from polyvox.types.events import Event, StreamEnd
from polyvox.types.fold import Fold
from polyvox.types.generate import GenerateRequest, GenerateResponse
from tests.laws import (
    reading_anthropic,
    reading_gemini,
    reading_ollama,
    reading_openai_chat,
    reading_openai_responses,
)
from tests.recordings import Exchange, recordings


class Row(NamedTuple):
    """A dialect, the endpoints that speak it, its framer, and the plain reading of law 9.

    `read(values, streamed)` gives what the JSON values of an answer say; `tell(response)` what ours says, in the same
    words. `writable(response)` takes away what the dialect declares it cannot write (law 5).
    """

    dialect: Dialect
    endpoints: tuple[str, ...]
    framer: Callable[[], Framer]
    read: Callable[[list[Any], bool], dict[str, Any]]
    tell: Callable[[GenerateResponse[Any]], dict[str, Any]]
    writable: Callable[[GenerateResponse[Any]], Any]

    def __repr__(self) -> str:
        return self.dialect.name

    def exchanges(self) -> Iterator[Exchange]:
        for endpoint in self.endpoints:
            yield from recordings(endpoint)

    def streams(self) -> list[Exchange]:
        return [exchange for exchange in self.exchanges() if exchange.status == 200 and exchange.is_stream]

    def wholes(self) -> list[Exchange]:
        return [exchange for exchange in self.exchanges() if exchange.status == 200 and not exchange.is_stream]

    def errors(self) -> list[Exchange]:
        return [exchange for exchange in self.exchanges() if exchange.status >= 400]

    def frames(self, pieces: Iterable[bytes]) -> list[Frame]:
        framer = self.framer()
        frames = [frame for piece in pieces for frame in framer.feed(piece)]
        return frames + framer.close()

    def decode(self, pieces: Iterable[bytes]) -> tuple[list[Event], PolyvoxError | None]:
        """Return the events of a streamed answer, and the error that ended it, if one did."""
        return self.decode_frames(self.frames(pieces))

    def decode_frames(self, frames: Iterable[Frame]) -> tuple[list[Event], PolyvoxError | None]:
        decoder = self.dialect.generate.stream_decoder()
        events: list[Event] = []
        try:
            for frame in frames:
                events += decoder.feed(frame)
            events += decoder.close()
        except PolyvoxError as error:
            return events, error
        return events, None

    def encode(self, events: list[Event], *, at_once: bool = False) -> list[bytes]:
        """Return the stream that a server would send for these events, one by one or all in one list."""
        encoder = self.dialect.generate.stream_encoder(GenerateRequest(model="m", messages=()))
        lists = [events] if at_once else [[event] for event in events]
        return [*(frame for one in lists for frame in encoder.feed(one)), *encoder.close()]

    def response(self, events: list[Event]) -> GenerateResponse[Any]:
        folding = Fold()
        folding.feed(events)
        return folding.response

    def answers(self) -> Iterator[tuple[Exchange, GenerateResponse[Any]]]:
        """Yield every answer that went well, streamed or whole."""
        for exchange in self.streams():
            events, error = self.decode(exchange.chunks)
            if error is None:
                yield exchange, self.response(events)
        for exchange in self.wholes():
            try:
                yield exchange, self.dialect.generate.decode_response(exchange.body)
            except PolyvoxError:
                continue  # test_nothing_lost looks into these


ROWS = [
    Row(
        OPENAI,
        ("openai.chat",),
        SSEFramer,
        reading_openai_chat.read,
        reading_openai_chat.tell,
        reading_openai_chat.writable,
    ),
    Row(
        ANTHROPIC,
        ("anthropic.messages", "anthropic.rawPredict", "anthropic.streamRawPredict"),
        SSEFramer,
        reading_anthropic.read,
        reading_anthropic.tell,
        reading_anthropic.writable,
    ),
    Row(
        OPENAI_RESPONSES,
        ("openai.responses",),
        SSEFramer,
        reading_openai_responses.read,
        reading_openai_responses.tell,
        reading_openai_responses.writable,
    ),
    Row(
        GEMINI,
        ("gemini.generateContent", "gemini.streamGenerateContent"),
        SSEFramer,
        reading_gemini.read,
        reading_gemini.tell,
        reading_gemini.writable,
    ),
    Row(
        OLLAMA,
        ("ollama.chat",),
        NDJSONFramer,
        reading_ollama.read,
        reading_ollama.tell,
        reading_ollama.writable,
    ),
]


def as_streamed(response: GenerateResponse[Any], events: list[Event]) -> list[Event]:
    """Return unfolded events without the decoded object itself, as if they had come one by one."""
    *inner, end = events
    assert isinstance(end, StreamEnd)
    return [*inner, StreamEnd(end.finish, end.usage, end.adjustments, end.alternatives, end.meta)]
