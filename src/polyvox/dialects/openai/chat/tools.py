"""Tools and the choice among them, both directions.

The rule: a tool keeps the form it came in (`meta["openai"]["form"]` is `functions` for the old list); a schema goes as
it is, nothing is added to it or taken from it.
https://platform.openai.com/docs/guides/function-calling
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from polyvox.dialects._reading import (
    JSONObject,
    read_flag,
    read_list,
    read_object,
    read_text,
    read_word,
    take,
)
from polyvox.dialects.openai.chat.encoding import Encoding
from polyvox.dialects.openai.chat.fields import made, mark, own, rest
from polyvox.errors import UnsupportedError
from polyvox.types.tools import AllowedTools, Grammar, NamedTool, Tool, ToolChoice

TOOL_MARKS: Final = ("cache_control",)
_FUNCTION_KNOWN: Final = ("name", "description", "parameters", "strict")


# ours → wire


def encode_tools(tools: Sequence[Tool], choice: ToolChoice | None, encoding: Encoding, body: JSONObject) -> None:
    """Write the tools and the choice among them."""
    old = [tool for tool in tools if own(tool.meta).get("form") == "functions"]
    new = [encode_tool(tool, encoding) for tool in tools if own(tool.meta).get("form") != "functions"]
    if new:
        body["tools"] = new
    if old:
        body["functions"] = [encode_tool(tool, encoding)["function"] for tool in old]
    if choice is None or not encoding.sends("tool_choice"):
        return
    if old and not new and not isinstance(choice, AllowedTools):
        body["function_call"] = {"name": choice.name} if isinstance(choice, NamedTool) else choice
    else:
        body["tool_choice"] = _encode_choice(choice, tools, encoding)


def encode_tool(tool: Tool, encoding: Encoding) -> JSONObject:
    """Return a tool's definition. Raises `UnsupportedError` for a kind the service does not know."""
    match tool.kind:
        case "function":
            held: JSONObject = {"name": tool.name}
            if tool.description is not None:
                held["description"] = tool.description
            if tool.parameters is not None:
                held["parameters"] = tool.parameters
            if tool.strict is not None:
                held["strict"] = tool.strict
            mark(held, own(tool.meta).get("function") or {}, ())
            said: JSONObject = {"type": "function", "function": held}
        case "custom":
            if not encoding.quirks.custom_tools:
                raise UnsupportedError(
                    f"the custom tool {tool.name!r} cannot be offered here: this service has functions only"
                )
            said = {"type": "custom", "custom": _encode_custom(tool)}
        case "hosted":
            said = {"type": tool.name, **tool.settings}
    mark(said, own(tool.meta), TOOL_MARKS)
    return said


def _encode_custom(tool: Tool) -> JSONObject:
    held: JSONObject = {"name": tool.name}
    if tool.description is not None:
        held["description"] = tool.description
    if tool.grammar is not None:
        grammar = {"syntax": tool.grammar.syntax, "definition": tool.grammar.definition}
        held["format"] = {"type": "grammar", "grammar": grammar}
    return held


def _encode_choice(choice: ToolChoice, tools: Sequence[Tool], encoding: Encoding) -> Any:
    if isinstance(choice, str):
        return encoding.quirks.required_word if choice == "required" else choice
    if isinstance(choice, NamedTool):
        return _encode_named(choice.name, choice.kind)
    kinds = {tool.name: tool.kind for tool in tools}
    named = [_encode_named(name, kinds.get(name, "function")) for name in choice.names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": named}}


def _encode_named(name: str, kind: str) -> JSONObject:
    return {"type": name} if kind == "hosted" else {"type": kind, kind: {"name": name}}


# wire → ours


def decode_tools(tools: Sequence[Any], path: str = "tools") -> tuple[Tool, ...]:
    """Return OpenAI-shaped tools in our types. Raises `BadRequestError` naming the place that is wrong."""
    return tuple(
        _decode_tool(read_object(tool, f"{path}[{place}]", "a tool"), f"{path}[{place}]")
        for place, tool in enumerate(read_list(list(tools), path))
    )


def decode_functions(functions: object, path: str = "functions") -> tuple[Tool, ...]:
    """Return the tools of the old `functions` list."""
    return tuple(
        _decode_function(read_object(function, f"{path}[{place}]"), f"{path}[{place}]", {"form": "functions"})
        for place, function in enumerate(read_list(functions, path))
    )


def _decode_tool(tool: JSONObject, path: str) -> Tool:
    # Mistral leaves the type out.
    kind = read_text(tool["type"], f"{path}.type") if tool.get("type") is not None else "function"
    if kind == "function":
        held = read_object(take(tool, kind, path), f"{path}.{kind}")
        return _decode_function(held, f"{path}.{kind}", rest(tool, ("type", kind), TOOL_MARKS))
    if kind == "custom":
        return _decode_custom(tool, path)
    # A tool of the service's own: its type is its name, and all it says are its settings.
    return Tool(kind, kind="hosted", settings={name: value for name, value in tool.items() if name != "type"})


def _decode_function(held: JSONObject, path: str, marks: JSONObject) -> Tool:
    name = read_text(take(held, "name", path), f"{path}.name")
    description, parameters, strict = (held.get(member) for member in _FUNCTION_KNOWN[1:])
    further = rest(held, _FUNCTION_KNOWN, ())
    return Tool(
        name,
        None if description is None else read_text(description, f"{path}.description"),
        None if parameters is None else read_object(parameters, f"{path}.parameters", "a JSON Schema object"),
        None if strict is None else read_flag(strict, f"{path}.strict"),
        meta=made(function=further or None, **marks),
    )


def _decode_custom(tool: JSONObject, path: str) -> Tool:
    place = f"{path}.custom"
    held = read_object(take(tool, "custom", path), place)
    description, form = held.get("description"), held.get("format")
    return Tool(
        read_text(take(held, "name", place), f"{place}.name"),
        None if description is None else read_text(description, f"{place}.description"),
        kind="custom",
        grammar=None if form is None else _decode_grammar(read_object(form, f"{place}.format"), f"{place}.format"),
        meta=made(**rest(tool, ("type", "custom"), TOOL_MARKS)),
    )


def _decode_grammar(form: JSONObject, path: str) -> Grammar | None:
    if read_word(take(form, "type", path), f"{path}.type", ("text", "grammar")) == "text":
        return None
    held = read_object(take(form, "grammar", path), f"{path}.grammar")
    return Grammar(
        read_word(take(held, "syntax", f"{path}.grammar"), f"{path}.grammar.syntax", ("lark", "regex")),
        read_text(take(held, "definition", f"{path}.grammar"), f"{path}.grammar.definition"),
    )


def decode_tool_choice(value: object, path: str = "tool_choice") -> ToolChoice:
    """Return the choice. `any` is Mistral's `required`; another form that names a tool is read by that name."""
    if isinstance(value, str):
        word = read_word(value, path, ("none", "auto", "required", "any"))
        return "none" if word == "none" else "auto" if word == "auto" else "required"
    choice = read_object(value, path, "none, auto, required or an object that names a tool")
    return _decode_allowed(choice, path) if choice.get("type") == "allowed_tools" else _decode_named(choice, path)


def _decode_named(choice: JSONObject, path: str) -> NamedTool:
    kind = read_text(take(choice, "type", path), f"{path}.type")
    if kind in ("function", "custom", "tool"):
        held = choice if kind not in choice else read_object(choice[kind], f"{path}.{kind}")
        where = path if held is choice else f"{path}.{kind}"
        name = read_text(take(held, "name", where), f"{where}.name")
        return NamedTool(name, "custom" if kind == "custom" else "function")
    return NamedTool(kind, "hosted")


def _decode_allowed(choice: JSONObject, path: str) -> AllowedTools:
    place = f"{path}.allowed_tools"
    held = read_object(take(choice, "allowed_tools", path), place)
    mode = read_word(take(held, "mode", place), f"{place}.mode", ("auto", "required"))
    named = read_list(take(held, "tools", place), f"{place}.tools")
    names = tuple(_decode_named(read_object(tool, f"{place}.tools"), f"{place}.tools").name for tool in named)
    return AllowedTools(names, "required" if mode == "required" else "auto")


def decode_function_call(value: object, path: str = "function_call") -> ToolChoice:
    """Return the choice that the old `function_call` makes."""
    if isinstance(value, str):
        return "none" if read_word(value, path, ("none", "auto")) == "none" else "auto"
    held = read_object(value, path, "none, auto or an object with a name")
    return NamedTool(read_text(take(held, "name", path), f"{path}.name"))
