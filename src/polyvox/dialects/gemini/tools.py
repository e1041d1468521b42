"""Tools and the choice among them, both directions.

The rule: a function's schema goes as JSON Schema (`parametersJsonSchema`); the wire's own kind of schema
(`parameters`) is read as JSON Schema too. A tool of the provider's bears the wire's member as its name (`googleSearch`,
`codeExecution`, `urlContext` …; `google_search` is understood), and its settings are what stands in that member.
https://ai.google.dev/api/caching#Tool, …#ToolConfig
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from polyvox.dialects._reading import JSONObject, read_list, read_object, read_text, read_texts, refuse, take
from polyvox.dialects.gemini.encoding import Encoding
from polyvox.dialects.gemini.fields import kept, marked
from polyvox.dialects.gemini.schemas import decode_schema
from polyvox.dialects.gemini.spelling import camel
from polyvox.errors import UnsupportedError
from polyvox.types.generate import GenerateRequest
from polyvox.types.tools import AllowedTools, NamedTool, Tool, ToolChoice

_FUNCTIONS: Final = "functionDeclarations"
_KNOWN: Final = ("name", "description", "parametersJsonSchema", "parameters")
_MODES: Final = ("AUTO", "ANY", "NONE", "VALIDATED")
# Enums come as numbers from clients that ask for them so. https://ai.google.dev/api/caching#Mode
_NUMBERS: Final = {0: None, 1: "AUTO", 2: "ANY", 3: "NONE", 4: "VALIDATED"}


# ours → wire


def encode_tools(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    """Write the tools and the choice among them."""
    said = _encode_tools(request.tools, encoding)
    if said:
        body["tools"] = said
    choice = request.tool_choice
    if choice is not None and encoding.sends("tool_choice"):
        if request.tools:
            body["toolConfig"] = {"functionCallingConfig": _encode_choice(choice)}
        else:
            encoding.note("dropped", "tool_choice", "there are no tools")
    if encoding.quirks.server_tool_parts and len({tool.kind for tool in request.tools}) > 1:
        body.setdefault("toolConfig", {})["includeServerSideToolInvocations"] = True
    # Several calls in a turn are what the wire gives anyway.
    if request.parallel_tools is False:
        encoding.sends("parallel_tools")


def _encode_tools(tools: Sequence[Tool], encoding: Encoding) -> list[JSONObject]:
    said: list[JSONObject] = []
    functions: list[JSONObject] = []
    for tool in tools:
        if tool.kind == "hosted":
            said.append(marked({camel(tool.name): tool.settings}, tool.meta))
            continue
        if not functions:
            said.append({_FUNCTIONS: functions})
        functions.append(_encode_function(tool, encoding))
    return said


def _encode_function(tool: Tool, encoding: Encoding) -> JSONObject:
    """Return a function's declaration. Raises `UnsupportedError` for a custom tool, which takes free text."""
    if tool.kind == "custom":
        raise UnsupportedError(f"the custom tool {tool.name!r} cannot be offered here: Gemini's functions take JSON")
    said: JSONObject = {"name": tool.name}
    if tool.description is not None:
        said["description"] = tool.description
    if tool.parameters is not None:
        said["parametersJsonSchema"] = tool.parameters
    if tool.strict:
        encoding.note("dropped", "tools.strict", "the wire holds no single function to its schema, only all: VALIDATED")
    return marked(said, tool.meta)


def _encode_choice(choice: ToolChoice) -> JSONObject:
    match choice:
        case NamedTool():
            if choice.kind != "function":
                raise UnsupportedError(f"the tool {choice.name!r} cannot be forced here: only functions can")
            return {"mode": "ANY", "allowedFunctionNames": [choice.name]}
        case AllowedTools():
            mode = "ANY" if choice.mode == "required" else "VALIDATED"
            return {"mode": mode, "allowedFunctionNames": list(choice.names)}
        case _:
            return {"mode": {"auto": "AUTO", "none": "NONE", "required": "ANY"}[choice]}


# wire → ours


def decode_tools(tools: Sequence[Any], path: str = "tools") -> tuple[Tool, ...]:
    """Return the tools. Raises `BadRequestError` naming the place that is wrong."""
    read: list[Tool] = []
    for place, given in enumerate(tools):
        where = f"{path}[{place}]"
        for name, held in read_object(given, where, "a tool").items():
            if held is None:
                continue
            if name == _FUNCTIONS:
                functions = read_list(held, f"{where}.{name}", "a list of functions")
                read += (
                    _decode_function(read_object(function, f"{where}.{name}[{number}]"), f"{where}.{name}[{number}]")
                    for number, function in enumerate(functions)
                )
            else:
                read.append(Tool(name, kind="hosted", settings=read_object(held, f"{where}.{name}")))
    return tuple(read)


def _decode_function(function: JSONObject, path: str) -> Tool:
    description, schema = function.get("description"), function.get("parametersJsonSchema")
    old = function.get("parameters")
    if schema is not None and old is not None:
        refuse(f"{path}.parameters", "stands beside parametersJsonSchema, but only one may be given")
    parameters: JSONObject | None
    if old is not None:
        parameters = decode_schema(read_object(old, f"{path}.parameters", "a schema"))
    else:
        wanted = "a JSON Schema object"
        parameters = None if schema is None else read_object(schema, f"{path}.parametersJsonSchema", wanted)
    return Tool(
        read_text(take(function, "name", path), f"{path}.name"),
        None if description is None else read_text(description, f"{path}.description"),
        parameters,
        meta=kept(function, _KNOWN),
    )


def decode_choice(value: object) -> tuple[ToolChoice | None, JSONObject]:
    """Return the choice, and what else the tools' configuration says."""
    config = read_object(value, "toolConfig")
    others = {name: held for name, held in config.items() if name != "functionCallingConfig" and held is not None}
    if config.get("functionCallingConfig") is None:
        return None, others
    path = "toolConfig.functionCallingConfig"
    calling = read_object(config["functionCallingConfig"], path)
    more = {
        name: held
        for name, held in calling.items()
        if name not in ("mode", "allowedFunctionNames") and held is not None
    }
    if more:
        others["functionCallingConfig"] = more
    mode = _decode_mode(calling.get("mode"), f"{path}.mode")
    given = calling.get("allowedFunctionNames")
    names = read_texts(given, f"{path}.allowedFunctionNames") if given is not None else ()
    if mode is None and names:
        others["functionCallingConfig"] = {**more, "allowedFunctionNames": list(names)}
    return _choice(mode, names), others


def _choice(mode: str | None, names: tuple[str, ...]) -> ToolChoice | None:
    match mode:
        case "ANY" if len(names) == 1:
            return NamedTool(names[0])
        case "ANY":
            return AllowedTools(names, "required") if names else "required"
        case "VALIDATED" if names:
            return AllowedTools(names)
        case "AUTO" | "VALIDATED":
            return "auto"
        case "NONE":
            return "none"
    return None


def _decode_mode(value: object, path: str) -> str | None:
    if value is None or value == "MODE_UNSPECIFIED":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value in _NUMBERS:
        return _NUMBERS[value]
    word = read_text(value, path, f"one of {', '.join(_MODES)}").upper()
    if word not in _MODES:
        refuse(path, f"is {value!r}, but must be one of {', '.join(_MODES)}")
    return word
