"""Tools and the choice among them, both directions.

The rule: a schema goes as it is, nothing is added to it or taken from it; a hosted tool's name is its type, and all
else that it says are its settings. https://platform.openai.com/docs/guides/function-calling
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from polyvox.dialects._reading import JSONObject, read_flag, read_list, read_object, read_text, read_word, take
from polyvox.dialects.openai_responses.encoding import Encoding
from polyvox.dialects.openai_responses.fields import marked, rest, said
from polyvox.errors import UnsupportedError
from polyvox.types.generate import GenerateRequest
from polyvox.types.tools import AllowedTools, Grammar, NamedTool, Tool, ToolChoice

_FUNCTION: Final = ("type", "name", "description", "parameters", "strict")
_CUSTOM: Final = ("type", "name", "description", "format")


# ours → wire


def encode_tools(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    """Write the tools and the choice among them."""
    if request.tools:
        body["tools"] = [encode_tool(tool, encoding) for tool in request.tools]
    if request.tool_choice is not None and encoding.sends("tool_choice"):
        body["tool_choice"] = _encode_choice(request.tool_choice, request.tools)
    if request.parallel_tools is not None:
        if not request.tools and "parallel_tools" not in encoding.spelled:
            encoding.note("dropped", "parallel_tools", "there are no tools")
        elif encoding.sends("parallel_tools"):
            body["parallel_tool_calls"] = request.parallel_tools


def encode_tool(tool: Tool, encoding: Encoding) -> JSONObject:
    """Return a tool's definition. Raises `UnsupportedError` for a kind the service does not know."""
    if tool.kind == "hosted":
        return marked({"type": tool.name, **tool.settings}, tool.meta)
    told: JSONObject = {"type": tool.kind, "name": tool.name}
    if tool.description is not None:
        told["description"] = tool.description
    if tool.kind == "custom":
        if not encoding.quirks.custom_tools:
            raise UnsupportedError(
                f"the custom tool {tool.name!r} cannot be offered here: this service has functions only"
            )
        if tool.grammar is not None:
            grammar = tool.grammar
            told["format"] = {"type": "grammar", "syntax": grammar.syntax, "definition": grammar.definition}
        return marked(told, tool.meta)
    if tool.parameters is not None:
        told["parameters"] = tool.parameters
    if tool.strict is not None:
        told["strict"] = tool.strict
    return marked(told, tool.meta)


def _encode_choice(choice: ToolChoice, tools: Sequence[Tool]) -> Any:
    if isinstance(choice, str):
        return choice
    if isinstance(choice, NamedTool):
        return _encode_named(choice.name, choice.kind)
    kinds = {tool.name: tool.kind for tool in tools}
    named = [_encode_named(name, kinds.get(name, "function")) for name in choice.names]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": named}


def _encode_named(name: str, kind: str) -> JSONObject:
    return {"type": name} if kind == "hosted" else {"type": kind, "name": name}


# wire → ours


def decode_tools(tools: object, path: str = "tools") -> tuple[Tool, ...]:
    """Return the tools. Raises `BadRequestError` naming the place that is wrong."""
    return tuple(
        _decode_tool(read_object(tool, f"{path}[{place}]", "a tool"), f"{path}[{place}]")
        for place, tool in enumerate(read_list(tools, path, "a list of tools"))
    )


def _decode_tool(tool: JSONObject, path: str) -> Tool:
    kind = read_text(take(tool, "type", path), f"{path}.type")
    if kind not in ("function", "custom"):
        return Tool(kind, kind="hosted", settings={name: value for name, value in tool.items() if name != "type"})
    name = read_text(take(tool, "name", path), f"{path}.name")
    description = tool.get("description")
    description = None if description is None else read_text(description, f"{path}.description")
    if kind == "custom":
        form = tool.get("format")
        grammar = None if form is None else _decode_grammar(read_object(form, f"{path}.format"), f"{path}.format")
        return Tool(name, description, kind="custom", grammar=grammar, meta=said(rest(tool, _CUSTOM)))
    parameters, strict = tool.get("parameters"), tool.get("strict")
    return Tool(
        name,
        description,
        None if parameters is None else read_object(parameters, f"{path}.parameters", "a JSON Schema object"),
        None if strict is None else read_flag(strict, f"{path}.strict"),
        meta=said(rest(tool, _FUNCTION)),
    )


def _decode_grammar(form: JSONObject, path: str) -> Grammar | None:
    if read_word(take(form, "type", path), f"{path}.type", ("text", "grammar")) == "text":
        return None
    return Grammar(
        read_word(take(form, "syntax", path), f"{path}.syntax", ("lark", "regex")),
        read_text(take(form, "definition", path), f"{path}.definition"),
    )


def decode_choice(value: object, path: str = "tool_choice") -> ToolChoice:
    """Return the choice."""
    if isinstance(value, str):
        word = read_word(value, path, ("none", "auto", "required"))
        return "none" if word == "none" else "auto" if word == "auto" else "required"
    choice = read_object(value, path, "none, auto, required or an object that names a tool")
    if choice.get("type") != "allowed_tools":
        return _decode_named(choice, path)
    mode = read_word(take(choice, "mode", path), f"{path}.mode", ("auto", "required"))
    named = read_list(take(choice, "tools", path), f"{path}.tools")
    names = tuple(_decode_named(read_object(tool, f"{path}.tools"), f"{path}.tools").name for tool in named)
    return AllowedTools(names, "required" if mode == "required" else "auto")


def _decode_named(choice: JSONObject, path: str) -> NamedTool:
    kind = read_text(take(choice, "type", path), f"{path}.type")
    if kind not in ("function", "custom"):
        return NamedTool(kind, "hosted")
    name = read_text(take(choice, "name", path), f"{path}.name")
    return NamedTool(name, "custom" if kind == "custom" else "function")
