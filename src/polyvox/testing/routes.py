"""Which wire is spoken at which path, and an answer of ours said in it, frame by frame.

The rule: nothing here knows a wire's JSON; each dialect's own client half says its path, and its own server half reads
the request and writes the answer. A dialect that there is, is spoken.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from msgspec import Struct, structs

from polyvox import dialects
from polyvox.dialects.base import Dialect
from polyvox.errors import BadRequestError, ConfigError, PolyvoxError
from polyvox.registry.target import find_dialect
from polyvox.testing.reply import Kind, Piece, Reply
from polyvox.types.events import Event, ReasoningDelta, StreamEnd, TextDelta, ToolCallDelta
from polyvox.types.fold import unfold
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.messages import user
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
    """The path of a wire, whole and streamed: one pattern where the body says which.

    `prefix` is what a client's base URL ends with; `error_event` names its error frames.
    """

    dialect: str
    path: re.Pattern[str]
    stream_path: re.Pattern[str]
    prefix: str = ""
    error_event: str | None = None


_PROBE: Final = GenerateRequest(model="probe-model", messages=(user("Hi"),))
_VERSION: Final = re.compile(r"/v\d+(?:alpha|beta)?(?=/)")
# Base URLs that end with a version, since the official SDKs' do.
_PREFIXES: Final = {"openai": "/v1", "openai_responses": "/v1", "gemini": "/v1beta"}
_ERROR_EVENTS: Final = {"anthropic": "error", "openai_responses": "error"}


@cache
def _names() -> tuple[str, ...]:
    return tuple(module.name for module in pkgutil.iter_modules(dialects.__path__) if module.ispkg)


@cache
def _route(name: str) -> Route:
    """Return the route of a dialect, as its own encoder says it. Raises `ConfigError` where there is none."""
    dialect = find_dialect(name)
    paths = [
        dialect.generate.encode_request(_PROBE, dialect.quirks(), stream=stream).path.partition("?")[0]
        for stream in (False, True)
    ]
    prefix = "" if _VERSION.match(paths[0]) else _PREFIXES.get(name, "")
    return Route(name, _pattern(paths[0]), _pattern(paths[1]), prefix, _ERROR_EVENTS.get(name))


def _pattern(path: str) -> re.Pattern[str]:
    """Return the pattern of a path: the version may be there or not, and the model is whatever is asked for."""
    rest = re.escape(_VERSION.sub("", path, count=1)).replace(re.escape(_PROBE.model), "(?P<model>.+)")
    return re.compile(f"(?:{_VERSION.pattern})?{rest}")


class Question(Struct, frozen=True):
    """A request understood: the wire it came on, what it asks, and whether it wants a stream."""

    route: Route
    dialect: Dialect
    request: GenerateRequest
    stream: bool


def route_of(name: str) -> Route:
    """Return the route of a dialect. Raises `ConfigError` where there is no such dialect."""
    if name not in spoken():
        raise ConfigError(f"no route for {name!r}; there are {', '.join(spoken())}")
    return _route(name)


def spoken() -> tuple[str, ...]:
    """Return the dialects that the server speaks: all that there are."""
    return tuple(name for name in _names() if _is_there(name))


def _is_there(name: str) -> bool:
    try:
        _route(name)
    except ConfigError:
        return False
    return True


def understand(method: str, path: str, body: bytes) -> Question | Reply:
    """Return what a request asks, or the reply that refuses it."""
    for name in spoken() if method == "POST" else ():
        route, dialect = _route(name), find_dialect(name)
        match, streamed_match = route.path.fullmatch(path), route.stream_path.fullmatch(path)
        found = match or streamed_match
        if found is None:
            continue
        try:
            request, stream = dialect.generate.decode_request(body)
        except PolyvoxError as error:
            refused = BadRequestError(error.message)
            status, said = dialect.encode_error(refused)
            return _json_reply(status, said, path)
        if model := found.groupdict().get("model"):
            request = structs.replace(request, model=unquote(model))
        if route.path != route.stream_path:
            stream = match is None
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
    framing = question.dialect.generate.framing
    for event in streamed(response):
        kind: Kind = "finish" if isinstance(event, StreamEnd) else "event"
        pieces += _apart(encoder.feed([event]), kind, framing)
    return (*pieces, *_apart(encoder.close(), "end", framing))


def _apart(frames: Sequence[bytes], kind: Kind, framing: str) -> list[Piece]:
    """Return each frame by itself: an encoder may write several at once."""
    end = {"sse": b"\n\n", "ndjson": b"\n"}.get(framing)
    if end is None:
        return [Piece(data, kind) for data in frames]
    return [Piece(part + end, kind) for data in frames for part in data.split(end) if part]


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
