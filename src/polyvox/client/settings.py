"""The words of a call, once: the keywords of `generate` and `stream`, and how they become a `GenerateRequest`.

The rule: a keyword that nobody reads is an error that suggests the right one, never ignored.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, Literal, TypeAlias, TypedDict, cast

import msgspec

from polyvox.calls.config import CallConfig, joined_options
from polyvox.errors import BadRequestError, ConfigError
from polyvox.io.base import Cancel
from polyvox.types.generate import (
    AudioOutput,
    GenerateRequest,
    Output,
    PromptCache,
    Reasoning,
)
from polyvox.types.messages import Message, system, user
from polyvox.types.models import Timeout
from polyvox.types.tools import AllowedTools, NamedTool, Tool

Messages: TypeAlias = str | Message | Sequence[Message | Mapping[str, Any]]
"""A question; one message; or a conversation of `Message` objects, our serial form, or the OpenAI chat shape."""

ToolLike: TypeAlias = Tool | Callable[..., Any] | Mapping[str, Any]
OutputLike: TypeAlias = Output | type | Mapping[str, Any] | Literal["json"]


class CommonSettings(TypedDict, total=False):
    """`GenerateSettings` less `output`, which decides the answer's type."""

    system: str
    tools: Sequence[ToolLike]
    tool_choice: str | NamedTool | AllowedTools
    parallel_tools: bool
    reasoning: Reasoning
    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    seed: int
    stop: str | Sequence[str]
    presence_penalty: float
    frequency_penalty: float
    logprobs: int
    n: int
    modalities: Sequence[str]
    audio: AudioOutput
    prompt_cache: PromptCache
    user: str
    service_tier: str
    metadata: Mapping[str, str]
    options: Mapping[str, Mapping[str, Any]]
    dialect: str
    timeout: Timeout | float
    cancel: Cancel
    headers: Mapping[str, str]
    on_unsupported: Literal["drop", "error"]
    call_config: CallConfig


class GenerateSettings(CommonSettings, total=False):
    """The keywords of `generate` and `stream`. What is not given is not sent.

    `system` is put before the messages. `tools` may be Python functions, `Tool` objects or OpenAI's shape; they are
    told to the model, and not run. `tool_choice` is `auto`, `none`, `required`, a tool's name, `NamedTool` or
    `AllowedTools`. `output` is a type (the answer is parsed into it), a JSON schema, `"json"`, or an `Output`.
    `logprobs` is how many alternatives to name beside each chosen token (0: none). `reasoning` is an effort
    (`none` … `max`) or a budget in tokens. `timeout` is a `Timeout`, or seconds for the whole call. `cancel` is a
    `Cancel` handle that aborts the call from anywhere. `dialect` overrides the wire; `headers` are added to the
    request.
    `on_unsupported="error"` raises where a setting would otherwise be dropped with an adjustment. `call_config` is what
    wraps the call (retries, fallback, callbacks …), merged over the client's.
    """

    output: OutputLike


_KNOWN = frozenset((*CommonSettings.__annotations__, *GenerateSettings.__annotations__))
_CALL_ONLY = frozenset({"dialect", "timeout", "cancel", "headers", "on_unsupported", "system", "call_config"})
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_CHOICES = ("auto", "none", "required")


def check_names(settings: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for a keyword that does not exist, with the nearest one that does."""
    for name in settings:
        if name not in _KNOWN:
            near = difflib.get_close_matches(name, _KNOWN, 1)
            hint = (
                f"did you mean {near[0]!r}?"
                if near
                else 'a provider\'s own setting goes into options={"provider": {…}}'
            )
            raise ConfigError(f"no setting {name!r}: {hint}")


def read_settings(settings: Mapping[str, Any]) -> GenerateSettings:
    """Return the keywords of a call, their names checked."""
    check_names(settings)
    return cast("GenerateSettings", settings)


def merged(first: GenerateSettings, second: GenerateSettings) -> GenerateSettings:
    """Return both, the second winning."""
    return cast("GenerateSettings", {**first, **second})


def build_request(
    model: str, messages: Messages, settings: GenerateSettings, options: Mapping[str, Mapping[str, Any]] | None = None
) -> GenerateRequest:
    """Return the request; `options` are those of the call's configuration, under the call's own.

    Raises `ConfigError` naming the setting that is wrong, what it was, what would be right.
    """
    conversation = read_messages(messages)
    said = settings.get("system")
    if said is not None:
        conversation = (system(said), *conversation)
    if not conversation:
        raise ConfigError("messages is empty: give a question, or a list of messages")
    facts: dict[str, Any] = {
        name: value for name, value in settings.items() if name not in _CALL_ONLY and value is not None
    }
    for name, read in _READERS.items():
        if name in facts:
            facts[name] = read(facts[name])
    if options:
        facts["options"] = joined_options(_read_options(options), facts.get("options", {}))
    if isinstance(facts.get("tool_choice"), str):
        facts["tool_choice"] = _tool_choice(facts["tool_choice"], facts.get("tools", ()))
    request = GenerateRequest(model=model, messages=conversation, **facts)
    _check(request)
    return request


def read_messages(messages: Messages) -> tuple[Message, ...]:
    """Return the conversation in our types. Raises `ConfigError` naming the place that is wrong."""
    if isinstance(messages, str):
        return (user(messages),)
    if isinstance(messages, Message):
        return (messages,)
    if isinstance(messages, Mapping):
        messages = [messages]
    read: list[Message] = []
    run: list[dict[str, Any]] = []  # dicts of OpenAI's shape are read together: a result names its call
    for place, message in enumerate(messages):
        if isinstance(message, Mapping) and not _is_ours(message):
            run.append(dict(message))
            continue
        read += _read_run(run, place)
        run = []
        if isinstance(message, Message):
            read.append(message)
        elif isinstance(message, Mapping):
            read.append(_read_ours(dict(message), place))
        else:
            raise ConfigError(
                f"messages[{place}] is {type(message).__name__}: give Message objects or dicts with role and content"
            )
    return (*read, *_read_run(run, len(messages)))


_OUR_PARTS = frozenset({"reasoning", "source", "tool_call", "tool_result", "opaque"})


def _is_ours(message: Mapping[str, Any]) -> bool:
    """Tell our serial form from OpenAI's shape, by what only ours has."""
    content = message.get("content")
    if "origin" in message or "meta" in message or content == []:
        return True
    return isinstance(content, list | tuple) and any(
        isinstance(part, dict) and (part.get("type") in _OUR_PARTS or "media_type" in part) for part in content
    )


def _read_ours(message: dict[str, Any], place: int) -> Message:
    try:
        return msgspec.convert(message, Message)
    except msgspec.ValidationError as error:
        raise ConfigError(f"messages[{place}]: {error}") from None


def _read_run(run: list[dict[str, Any]], end: int) -> tuple[Message, ...]:
    """Read messages of OpenAI's shape that stood one after another, before place `end`."""
    if not run:
        return ()
    from polyvox.dialects.openai.chat.request import decode_messages

    try:
        return decode_messages(run)
    except BadRequestError as error:
        first = end - len(run)
        message = re.sub(r"messages\[(\d+)\]", lambda match: f"messages[{int(match[1]) + first}]", error.message)
        raise ConfigError(message) from None


def _read_tools(tools: Sequence[ToolLike]) -> tuple[Tool, ...]:
    return tuple(_read_tool(tool, place) for place, tool in enumerate(tools))


def _read_tool(tool: ToolLike, place: int) -> Tool:
    if isinstance(tool, Tool):
        return tool
    if isinstance(tool, Mapping):
        if "type" not in tool and "name" in tool:
            try:
                return msgspec.convert(dict(tool), Tool)
            except msgspec.ValidationError as error:
                raise ConfigError(f"tools[{place}]: {error}") from None
        from polyvox.dialects.openai.chat.request import decode_tools

        try:
            return decode_tools([dict(tool)])[0]
        except BadRequestError as error:
            raise ConfigError(error.message.replace("tools[0]", f"tools[{place}]")) from None
    if callable(tool):
        from polyvox.schema import tool_from_function

        return tool_from_function(tool)
    raise ConfigError(f"tools[{place}] is {type(tool).__name__}: give a function, a Tool, or a dict of OpenAI's shape")


def _tool_choice(choice: str, tools: Sequence[Tool]) -> str | NamedTool:
    if choice in _CHOICES:
        return choice
    named = next((tool for tool in tools if tool.name == choice), None)
    if named is None:
        raise ConfigError(f"tool_choice {choice!r} is neither auto, none, required nor the name of a tool given")
    return NamedTool(named.name, named.kind)


def _read_output(output: OutputLike) -> Output:
    if isinstance(output, Output):
        return output
    if output == "json":
        return Output()
    if isinstance(output, Mapping):
        return Output(dict(output), name=str(output.get("title") or "answer"))
    from polyvox.schema import schema_of

    return Output(schema_of(output), name=getattr(output, "__name__", "answer"))


def _read_stop(stop: str | Sequence[str]) -> tuple[str, ...]:
    return (stop,) if isinstance(stop, str) else tuple(stop)


def _read_options(options: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    for name, block in options.items():
        if not isinstance(block, Mapping):
            raise ConfigError(
                f"options[{name!r}] is {type(block).__name__}: options are blocks by dialect or provider, as in "
                '{"openai": {"store": False}}'
            )
    return {name: dict(block) for name, block in options.items()}


_READERS: dict[str, Callable[[Any], Any]] = {
    "tools": _read_tools,
    "output": _read_output,
    "stop": _read_stop,
    "modalities": tuple,
    "metadata": dict,
    "options": _read_options,
}


def _check(request: GenerateRequest) -> None:
    """Check the values by the types' own annotations; a wrong one is named with what it is."""
    reasoning = request.reasoning
    if isinstance(reasoning, bool) or (isinstance(reasoning, str) and reasoning not in _EFFORTS):
        raise ConfigError(f"reasoning is {reasoning!r}: give one of {', '.join(_EFFORTS)}, or a budget in tokens")
    for name, low in (("max_tokens", 1), ("n", 1), ("logprobs", 0), ("top_k", 0)):
        value = getattr(request, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < low):
            raise ConfigError(f"{name} is {value!r}: give a whole number from {low}")
    for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
        value = getattr(request, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value)):
            raise ConfigError(f"{name} is {value!r}: give a number")
    for name in ("seed", "user", "service_tier", "parallel_tools"):
        kind = {"seed": int, "parallel_tools": bool}.get(name, str)
        value = getattr(request, name)
        if value is not None and not isinstance(value, kind):
            raise ConfigError(f"{name} is {value!r}: give {kind.__name__}")


def read_timeout(timeout: Timeout | float | None) -> Timeout | None:
    """Return a `Timeout`; a bare number is the seconds of the whole call."""
    if timeout is None or isinstance(timeout, Timeout):
        return timeout
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0:
        raise ConfigError(f"timeout is {timeout!r}: give a Timeout, or the seconds of the whole call")
    return Timeout(total=float(timeout))
