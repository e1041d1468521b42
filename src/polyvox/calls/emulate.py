"""Emulations: what the wire or the model behind it cannot do by itself, done by saying the request otherwise.

Each is a pair: request → request before the codec, events → events after it. A provider's page or a model's row names
the ones it needs. The rule: pure functions, and every change is named in an adjustment, at least one each.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from msgspec import Struct, structs

from polyvox.calls.texts import rebuild, without_response
from polyvox.calls.think_tags import ThinkTags
from polyvox.errors import ConfigError, UnsupportedError
from polyvox.types.events import (
    Event,
    PartEnd,
    PartStart,
    SourceDelta,
    StreamEnd,
    TextDelta,
    ToolCallDelta,
)
from polyvox.types.fold import unfold
from polyvox.types.generate import Adjustment, Alternative, Finish, GenerateRequest, GenerateResponse, Output
from polyvox.types.messages import Message, system
from polyvox.types.normalise import normalise
from polyvox.types.parts import Meta, Part, TextPart, ToolCall, ToolResult
from polyvox.types.tools import AllowedTools, NamedTool, Tool

DEFAULT_SYSTEM: Final = "You are a helpful assistant."

# The grammar writes the members in the schema's order, so the name is whole before the arguments begin.
_ENVELOPE: Final = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*')


class EventTransform(Protocol):
    """The second half of an emulation: a machine for the events of one answer."""

    def feed(self, events: list[Event]) -> list[Event]:
        """Return the events to hand on for these."""
        ...


class Emulated(Struct, frozen=True):
    """What an emulation made of a request. No adjustments: there was nothing to do."""

    request: GenerateRequest
    adjustments: tuple[Adjustment, ...] = ()
    transform: EventTransform | None = None


def apply_emulations(
    names: Iterable[str], request: GenerateRequest
) -> tuple[GenerateRequest, tuple[Adjustment, ...], tuple[EventTransform, ...]]:
    """Apply the named emulations in order. The transforms are to be fed in the order given.

    Raises `ConfigError` for a name that is none of ours.
    """
    adjustments: list[Adjustment] = []
    transforms: list[EventTransform] = []
    for name in names:
        request, made, transform = emulate(name, request)
        adjustments += made
        if transform is not None:
            # What was wrapped last is unwrapped first.
            transforms.insert(0, transform)
    return request, tuple(adjustments), tuple(transforms)


def emulate(
    name: str, request: GenerateRequest
) -> tuple[GenerateRequest, tuple[Adjustment, ...], EventTransform | None]:
    """Apply one emulation. A request that does not need it comes back as it is, with no adjustments."""
    function = EMULATIONS.get(name)
    if function is None:
        raise ConfigError(f"no emulation {name!r}; there are {', '.join(sorted(EMULATIONS))}")
    made = function(request)
    return made.request, made.adjustments, made.transform


def default_system(request: GenerateRequest) -> Emulated:
    """Say who the model is where the caller did not: some chat templates have a default of their own that harms."""
    if any(message.role == "system" for message in request.messages):
        return Emulated(request)
    said = structs.replace(request, messages=(system(DEFAULT_SYSTEM), *request.messages))
    return Emulated(
        said, (Adjustment("emulated", "messages", f"no system message was given: {DEFAULT_SYSTEM!r} is sent"),)
    )


def tools_as_text(request: GenerateRequest) -> Emulated:
    """For a chat template that knows no tools: earlier calls and results are told as text; a free choice is dropped."""
    adjustments: list[Adjustment] = []
    if any(isinstance(part, ToolCall | ToolResult) for message in request.messages for part in message.content):
        messages = normalise(tuple(_told(message) for message in request.messages))
        request = structs.replace(request, messages=messages)
        adjustments.append(Adjustment("emulated", "messages", "tool calls and their results are sent as text"))
    if request.tools:
        request = structs.replace(request, tools=(), tool_choice=None, parallel_tools=None)
        detail = "this model cannot choose a tool by itself: it calls one where tool_choice names or requires it"
        adjustments.append(Adjustment("dropped", "tools", detail))
    return Emulated(request, tuple(adjustments))


def _told(message: Message) -> Message:
    content: list[Part] = []
    for part in message.content:
        if isinstance(part, ToolCall):
            arguments = part.arguments if part.kind == "custom" else part.arguments or "{}"
            content.append(TextPart(f"Call of the tool {part.name}: {arguments}\n"))
        elif isinstance(part, ToolResult):
            content.append(
                TextPart(f"Result of the tool {part.name}: {'error: ' if part.is_error else ''}{part.text}\n")
            )
            content += [inner for inner in part.content if not isinstance(inner, TextPart)]
        else:
            content.append(part)
    role = "user" if message.role == "tool" else message.role
    return structs.replace(message, role=role, content=tuple(content))


def think_tags(request: GenerateRequest) -> Emulated:
    """Read the reasoning of a model that writes it into its text, between tags."""
    detail = "the model writes its reasoning into its text: what stands between <think> tags is taken out"
    return Emulated(request, (Adjustment("emulated", "reasoning", detail),), SplitThinking())


class SplitThinking:
    """Text between think tags becomes reasoning parts, in a stream and in a whole answer alike."""

    def __init__(self) -> None:
        self._machine = ThinkTags().start()

    def feed(self, events: list[Event]) -> list[Event]:
        """Return the events to hand on for these."""
        events, whole = without_response(events)
        events = self._machine.feed(events)
        if whole is None:
            return events
        end = events[-1]
        assert isinstance(end, StreamEnd)
        return [*events[:-1], structs.replace(end, response=rebuild(whole, events))]


def forced_tool(request: GenerateRequest) -> Emulated:
    """Force a call by a schema on the answer: the answer's JSON becomes the call's arguments."""
    choice = request.tool_choice
    if not (choice == "required" or isinstance(choice, NamedTool) or _requires(choice)):
        return Emulated(request)
    tools = _choosable(request)
    named = tools[0] if isinstance(choice, NamedTool) or len(tools) == 1 else None
    schema = _arguments_schema(named) if named else {"anyOf": [_call_schema(tool) for tool in tools]}
    adjustments = [Adjustment("emulated", "tool_choice", "the call is forced by a JSON schema on the answer")]
    adjustments += [Adjustment("dropped", setting, detail) for setting, detail in _outdone(request)]
    said = structs.replace(
        request,
        messages=_with_note(request.messages, _note(tools, named)),
        tools=(),
        tool_choice=None,
        parallel_tools=None,
        logprobs=None,
        output=Output(schema, name="tool_call", strict=True),
    )
    return Emulated(said, tuple(adjustments), ForcedTool(named.name if named else None))


def _requires(choice: object) -> bool:
    return isinstance(choice, AllowedTools) and choice.mode == "required"


def _choosable(request: GenerateRequest) -> Sequence[Tool]:
    choice = request.tool_choice
    tools = request.tools
    if isinstance(choice, NamedTool):
        tools = tuple(tool for tool in tools if tool.name == choice.name)
    elif isinstance(choice, AllowedTools):
        tools = tuple(tool for tool in tools if tool.name in choice.names)
    if not tools:
        known = ", ".join(tool.name for tool in request.tools) or "none"
        raise ConfigError(f"tool_choice forces a tool that is not among the tools given ({known})")
    for tool in tools:
        if tool.kind != "function":
            raise UnsupportedError(f"this model can only be made to call function tools; {tool.name!r} is {tool.kind}")
    return tools


def _outdone(request: GenerateRequest) -> Iterable[tuple[str, str]]:
    if request.output is not None:
        yield "output", "the answer is a forced tool call"
    if request.logprobs is not None:
        yield "logprobs", "a forced tool call has none"
    if request.parallel_tools:
        yield "parallel_tools", "a forced tool call is a single one"


def _arguments_schema(tool: Tool) -> dict[str, Any]:
    return tool.parameters or {"type": "object", "properties": {}, "additionalProperties": False}


def _call_schema(tool: Tool) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": tool.name}, "arguments": _arguments_schema(tool)},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _note(tools: Sequence[Tool], named: Tool | None) -> str:
    """Tell the model what it calls: the schema holds its pen, but only words say what to write."""
    if named is not None:
        about = f" ({named.description})" if named.description else ""
        schema = json.dumps(_arguments_schema(named), ensure_ascii=False)
        return (
            f"Answer only with the JSON arguments for a call of the tool {named.name}{about}, by this schema: {schema}"
        )
    listed = "\n".join(
        f"- {tool.name}{': ' + tool.description if tool.description else ''}; "
        f"arguments: {json.dumps(_arguments_schema(tool), ensure_ascii=False)}"
        for tool in tools
    )
    return f'Answer only with JSON, {{"name": tool, "arguments": {{…}}}}, that calls one of these tools:\n{listed}'


def _with_note(messages: tuple[Message, ...], note: str) -> tuple[Message, ...]:
    for place, message in enumerate(messages):
        if message.role == "system":
            noted = structs.replace(message, content=(*message.content, TextPart(f"\n\n{note}")))
            return (*messages[:place], noted, *messages[place + 1 :])
    return (system(note), *messages)


class ForcedTool:
    """The answer's text becomes a tool call; text that is none (cut off before the name) stays text."""

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._readers: dict[int, CallReader] = {}
        self._called = False

    def feed(self, events: list[Event]) -> list[Event]:
        """Return the events to hand on for these."""
        last = events[-1] if events else None
        if isinstance(last, StreamEnd) and last.response is not None:
            return unfold(self._whole(last.response))
        made: list[Event] = []
        for event in events:
            self._take(event, made)
        return made

    def _take(self, event: Event, made: list[Event]) -> None:
        match event:
            case PartStart(index, TextPart(refusal=False) as part):
                self._readers[index] = CallReader(index, self._name)
                made += self._readers[index].feed(part.text)
            case TextDelta() if event.index in self._readers:
                made += self._readers[event.index].feed(event.text)
            case SourceDelta() if event.index in self._readers:
                # A citation has no place in arguments, and no wire makes one in schema-bound text.
                pass
            case PartEnd() if event.index in self._readers:
                reader = self._readers.pop(event.index)
                made += reader.close(event.meta)
                self._called = self._called or reader.started
            case StreamEnd():
                finish = _called_finish(event.finish) if self._called else event.finish
                alternatives = tuple(self._alternative(alternative) for alternative in event.alternatives)
                made.append(structs.replace(event, finish=finish, alternatives=alternatives))
            case _:
                made.append(event)

    def _whole(self, response: GenerateResponse[Any]) -> GenerateResponse[Any]:
        content, called = self._parts(response.content)
        return structs.replace(
            response,
            content=content,
            finish=_called_finish(response.finish) if called else response.finish,
            alternatives=tuple(self._alternative(alternative) for alternative in response.alternatives),
        )

    def _alternative(self, alternative: Alternative) -> Alternative:
        content, called = self._parts(alternative.content)
        finish = _called_finish(alternative.finish) if called else alternative.finish
        return structs.replace(alternative, content=content, finish=finish)

    def _parts(self, content: tuple[Part, ...]) -> tuple[tuple[Part, ...], bool]:
        parts = tuple(self._part(part) for part in content)
        return parts, parts != content

    def _part(self, part: Part) -> Part:
        if not isinstance(part, TextPart) or part.refusal:
            return part
        reader = CallReader(0, self._name)
        events = reader.feed(part.text)
        if not reader.started:
            return part
        start = events[0]
        assert isinstance(start, PartStart)
        arguments = "".join(event.arguments for event in events if isinstance(event, ToolCallDelta))
        return structs.replace(start.part, arguments=arguments, meta=part.meta)


def _called_finish(finish: Finish | None) -> Finish | None:
    return Finish("tool_calls", finish.raw) if finish is not None and finish.reason == "stop" else finish


class CallReader:
    """Reads the JSON of one call out of a text as it comes, and hands its arguments on as they come.

    With a `name` the text is the arguments; without one it is `{"name": …, "arguments": …}`.
    """

    __slots__ = ("_depth", "_done", "_escaped", "_held", "_in_string", "_index", "_name", "started")

    def __init__(self, index: int, name: str | None) -> None:
        self._index = index
        self._name = name
        self._held = ""
        self._depth = 0
        self._in_string = self._escaped = self._done = False
        self.started = False

    def feed(self, text: str) -> list[Event]:
        """Return the events that this text brings."""
        if self.started:
            return self._arguments(text)
        self._held += text
        name, held = self._name, self._held
        if name is None:
            envelope = _ENVELOPE.match(held)
            if envelope is None:
                return []
            name, held = json.loads(envelope.group(1)), held[envelope.end() :]
        held = held.lstrip()
        if not held:
            return []
        self.started = True
        start = PartStart(self._index, ToolCall(f"call_{secrets.token_hex(12)}", name))
        return [start, *self._arguments(held)]

    def close(self, meta: Meta) -> list[Event]:
        """Return the events that end the part; a text that began no call is given back as text."""
        end = PartEnd(self._index, meta)
        if self.started:
            return [end]
        start = PartStart(self._index, TextPart(""))
        return [start, TextDelta(self._index, self._held), end] if self._held else [start, end]

    def _arguments(self, text: str) -> list[Event]:
        """Hand on the arguments' own value and nothing behind it: the envelope's closing brace is not theirs."""
        if self._done:
            return []
        end = self._value_end(text)
        piece = text[:end]
        return [ToolCallDelta(self._index, piece)] if piece else []

    def _value_end(self, text: str) -> int:
        for place, character in enumerate(text):
            if self._in_string:
                if self._escaped:
                    self._escaped = False
                elif character == "\\":
                    self._escaped = True
                elif character == '"':
                    self._in_string = False
            elif character == '"':
                self._in_string = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if self._depth == 0:
                    self._done = True
                    return place + 1
        return len(text)


EMULATIONS: Final[dict[str, Callable[[GenerateRequest], Emulated]]] = {
    "default_system": default_system,
    "forced_tool": forced_tool,
    "think_tags": think_tags,
    "tools_as_text": tools_as_text,
}
"""By the name that a provider's page or a model's row has for it."""
