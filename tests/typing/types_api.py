"""What type checkers see of types, framing and schemas: mypy and pyright read this file, nothing runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, assert_never, assert_type

import msgspec

from polyvox import (
    Adjustment,
    Alternative,
    CallTimeoutError,
    Cost,
    Event,
    FileId,
    FilePart,
    Finish,
    GenerateRequest,
    GenerateResponse,
    Message,
    OpaquePart,
    PartEnd,
    PartStart,
    PolyvoxError,
    RawFrame,
    ReasoningDelta,
    ReasoningPart,
    Secret,
    SourceDelta,
    SourcePart,
    StreamEnd,
    StreamStart,
    TextDelta,
    TextPart,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolResult,
    Url,
    Usage,
    UsageUpdate,
    user,
)
from polyvox.framing import json
from polyvox.framing.base import Frame, Framer
from polyvox.framing.eventstream import EventStreamFramer
from polyvox.framing.jsonarray import JSONArrayFramer
from polyvox.framing.multipart import FormPart, decode_multipart, encode_multipart
from polyvox.framing.ndjson import NDJSONFramer
from polyvox.framing.sse import SSEFramer
from polyvox.schema import decode_as, schema_of, strict_schema, tool_from_function
from polyvox.types.events import FileDelta, StepEnd, StepStart, ToolDone
from polyvox.types.fold import Fold, fold, unfold
from polyvox.types.normalise import normalise
from polyvox.types.parts import Part


class City(msgspec.Struct):
    name: str


def a_part_is_one_of_seven(part: Part) -> str:
    """A new kind of part fails here first."""
    match part:
        case TextPart() | ReasoningPart():
            return assert_type(part.text, str)
        case FilePart(data=data):
            assert_type(data, bytes | Url | FileId)
            return part.media_type
        case SourcePart():
            assert_type(part.url, str | None)
            return ""
        case ToolCall():
            assert_type(part.kind, Literal["function", "custom"])
            return part.arguments
        case ToolResult():
            assert_type(part.content, tuple[Part, ...])
            return part.text
        case OpaquePart():
            return part.kind
        case _:
            assert_never(part)


def an_event_is_one_of_fourteen(event: Event) -> None:
    """A new kind of event fails here first."""
    match event:
        case StreamStart():
            assert_type(event.adjustments, tuple[Adjustment, ...])
        case UsageUpdate():
            assert_type(event.usage, Usage)
        case PartStart():
            assert_type(event.part, Part)
        case TextDelta() | ReasoningDelta():
            assert_type(event.text, str)
        case ToolCallDelta():
            assert_type(event.arguments, str)
        case FileDelta() | RawFrame():
            assert_type(event.data, bytes)
        case SourceDelta() | PartEnd():
            assert_type(event.index, int)
        case StreamEnd():
            assert_type(event.finish, Finish | None)
            assert_type(event.response, GenerateResponse[Any] | None)
        case StepStart() | StepEnd():
            assert_type(event.step, int)
        case ToolDone():
            assert_type(event.result, ToolResult)
        case _:
            assert_never(event)


def an_answer(answer: GenerateResponse[City]) -> None:
    assert_type(answer.parsed, City | None)
    assert_type(answer.text, str)
    assert_type(answer.content, tuple[Part, ...])
    assert_type(answer.tool_calls, tuple[ToolCall, ...])
    assert_type(answer.alternatives, tuple[Alternative, ...])
    assert_type(answer.usage.total_tokens, int | None)
    assert_type(answer.cost, Cost | None)
    assert_type(answer.message, Message)
    answer.id = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue] - frozen


def messages_and_events() -> None:
    message = user(["hi", FilePart("image/png", b"")])
    assert_type(message, Message)
    assert_type(normalise([message]), tuple[Message, ...])
    request = GenerateRequest(model="m", messages=(message,))
    assert_type(request.temperature, float | None)
    GenerateRequest(model="m", messages=(message,), reasoning="hard")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Message("narrator")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    folding = Fold()
    folding.feed([TextDelta(0, "x")])
    assert_type(folding.response, GenerateResponse[Any])
    assert_type(unfold(fold([])), list[Event])


def frames(data: bytes) -> None:
    framers: Sequence[Framer] = [SSEFramer(), NDJSONFramer(), JSONArrayFramer(), EventStreamFramer()]
    for framer in framers:
        assert_type(framer.feed(data), list[Frame])
        assert_type(framer.close(), list[Frame])
    assert_type(json.decode(data, City), City)
    assert_type(json.decode(data, list[City]), list[City])
    assert_type(json.encode({"a": 1}), bytes)
    assert_type(encode_multipart([("a", "b")]), tuple[str, bytes])
    assert_type(decode_multipart("x", data), list[FormPart])


def schemas() -> None:
    assert_type(schema_of(City), dict[str, Any])
    assert_type(strict_schema(schema_of(City)), dict[str, Any])
    assert_type(tool_from_function(schemas), Tool)
    assert_type(decode_as(City, "{}"), City)


def errors_and_secrets(error: PolyvoxError, timeout: CallTimeoutError) -> None:
    assert_type(error.retryable, bool)
    assert_type(error.retry_after, float | None)
    assert_type(timeout.phase, Literal["connect", "first_event", "idle", "total"])
    assert_type(Secret("x").reveal(), str)
    "key: " + Secret("x")  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
