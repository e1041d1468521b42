"""Which wire is spoken at which path, and an answer of ours said in it, frame by frame.

The rule: nothing here knows a wire's JSON; each dialect's own server half reads the request and writes the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from msgspec import Struct, structs

from polyvox.dialects.base import Dialect
from polyvox.errors import BadRequestError, ConfigError, PolyvoxError
from polyvox.registry.target import find_dialect
from polyvox.testing.reply import Kind, Piece, Reply
from polyvox.types.events import Event, ReasoningDelta, StreamEnd, TextDelta, ToolCallDelta
from polyvox.types.fold import unfold
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.parts import TextPart
from polyvox.types.usage import Usage

Answer: TypeAlias = str | GenerateResponse[Any] | Callable[[GenerateRequest], "str | GenerateResponse[Any]"]
"""What is answered: a text, an answer, or a function from the request to one of them."""

_WORD: Final = re.compile(r"\S+\s*|\s+")
_CONTENT_TYPES: Final = {
    "sse": "text/event-stream; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "json": "application/json",
}


class Route(Struct, frozen=True):
    """The path of a wire. `prefix` is what a client's base URL ends with; `error_event` names its error frames."""

    dialect: str
    path: re.Pattern[str]
    prefix: str = ""
    error_event: str | None = None


ROUTES: Final = (
    Route("openai", re.compile(r"(?:/v1)?/chat/completions"), "/v1"),
    Route("anthropic", re.compile(r"(?:/v1)?/messages"), error_event="error"),
    Route("openai_responses", re.compile(r"(?:/v1)?/responses"), "/v1", error_event="error"),
    Route(
        "gemini",
        re.compile(r"(?:/v1(?:alpha|beta)?)?/models/(?P<model>[^/:]+):(?P<verb>(?:stream)?[gG]enerateContent)"),
        "/v1beta",
    ),
    Route("ollama", re.compile(r"/api/chat")),
)


class Question(Struct, frozen=True):
    """A request understood: the wire it came on, what it asks, and whether it wants a stream."""

    route: Route
    dialect: Dialect
    request: GenerateRequest
    stream: bool


def route_of(name: str) -> Route:
    """Return the route of a dialect. Raises `ConfigError` where the server has none."""
    for route in ROUTES:
        if route.dialect == name:
            find_dialect(name)
            return route
    raise ConfigError(f"no route for {name!r}; there are {', '.join(spoken())}")


def spoken() -> tuple[str, ...]:
    """Return the dialects that the server speaks."""
    return tuple(route.dialect for route in ROUTES if _dialect(route) is not None)


def _dialect(route: Route) -> Dialect | None:
    try:
        return find_dialect(route.dialect)
    except ConfigError:
        return None


def understand(method: str, path: str, body: bytes) -> Question | Reply:
    """Return what a request asks, or the reply that refuses it."""
    for route in ROUTES:
        match = route.path.fullmatch(path)
        dialect = _dialect(route) if match is not None and method == "POST" else None
        if match is None or dialect is None:
            continue
        named = match.groupdict()
        try:
            request, stream = dialect.generate.decode_request(body)
        except PolyvoxError as error:
            refused = BadRequestError(error.message)
            status, said = dialect.encode_error(refused)
            return _json_reply(status, said, path)
        if "model" in named:
            request = structs.replace(request, model=named["model"])
            stream = named["verb"].startswith("stream")
        return Question(route, dialect, request, stream)
    return _json_reply(404, b'{"error":{"message":"no such path","type":"invalid_request_error"}}', path)


def _json_reply(status: int, body: bytes, path: str) -> Reply:
    return Reply(status=status, headers={"content-type": "application/json"}, body=(Piece(body),), path=path)


def respond(question: Question, answer: Answer, path: str, number: int) -> Reply:
    """Return the reply that says `answer` on the question's wire. `number` counts the requests, for the ids."""
    response = _response(question.request, answer, number)
    codec = question.dialect.generate
    headers = {
        "content-type": _CONTENT_TYPES[codec.framing] if question.stream else "application/json",
        "x-request-id": f"req_{number}",
        "request-id": f"req_{number}",
    }
    body = _frames(question, response) if question.stream else (Piece(codec.encode_response(response), "event"),)
    return Reply(
        dialect=question.dialect,
        request=question.request,
        stream=question.stream,
        error_event=question.route.error_event,
        path=path,
        headers=headers,
        body=body,
        transfer="chunked" if question.stream else "length",
    )


def _response(request: GenerateRequest, answer: Answer, number: int) -> GenerateResponse[Any]:
    said = answer(request) if callable(answer) else answer
    if isinstance(said, str):
        words = len(said.split())
        usage = Usage(input_tokens=10, output_tokens=words)
        said = GenerateResponse(content=(TextPart(said),), finish=Finish("stop"), usage=usage)
    return structs.replace(
        said, id=said.id or f"answer_{number}", model=said.model or request.model, finish=said.finish or Finish("stop")
    )


def _frames(question: Question, response: GenerateResponse[Any]) -> tuple[Piece, ...]:
    encoder = question.dialect.generate.stream_encoder(question.request)
    pieces: list[Piece] = []
    for event in streamed(response):
        kind: Kind = "finish" if isinstance(event, StreamEnd) else "event"
        pieces += _apart(encoder.feed([event]), kind)
    return (*pieces, *_apart(encoder.close(), "end"))


def _apart(frames: Sequence[bytes], kind: Kind) -> list[Piece]:
    """Return each frame by itself: an encoder may write several at once."""
    ends = (b"\n\n", b"\n")
    pieces = []
    for data in frames:
        end = ends[0] if ends[0] in data else ends[1]
        pieces += [Piece(part + end, kind) for part in data.split(end) if part]
    return pieces


def streamed(response: GenerateResponse[Any]) -> list[Event]:
    """Return the events of an answer as a model gives them: word by word, arguments in pieces of eight characters."""
    events: list[Event] = []
    for event in unfold(response):
        match event:
            case TextDelta(logprobs=None):
                events += [TextDelta(event.index, word) for word in _WORD.findall(event.text)]
            case ReasoningDelta():
                events += [ReasoningDelta(event.index, word) for word in _WORD.findall(event.text)]
            case ToolCallDelta():
                text = event.arguments
                events += [ToolCallDelta(event.index, text[start : start + 8]) for start in range(0, len(text), 8)]
            case StreamEnd():
                events.append(structs.replace(event, response=None))
            case _:
                events.append(event)
    return events
