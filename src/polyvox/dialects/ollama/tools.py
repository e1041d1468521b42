"""Tools, both directions. The wire has no choice among them: the model always may call, and never must.

The rule: a schema goes as it is; what the wire has no place for is named. A tool of another kind than a function is
refused: the server runs none itself. https://docs.ollama.com/capabilities/tool-calling
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from polyvox.dialects._reading import JSONObject, read_object, read_text, take
from polyvox.dialects.ollama.encoding import Encoding
from polyvox.dialects.ollama.fields import as_meta, own
from polyvox.errors import UnsupportedError
from polyvox.types.generate import GenerateRequest
from polyvox.types.tools import AllowedTools, NamedTool, Tool

_KNOWN: Final = ("name", "description", "parameters")


# ours → wire


def encode_tools(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    """Write the tools that the model may call."""
    tools, choice = request.tools, request.tool_choice
    if choice == "none":
        if tools:
            encoding.note("emulated", "tool_choice", "no tools are sent: the wire cannot forbid a call")
        tools = ()
    elif isinstance(choice, AllowedTools):
        encoding.note("emulated", "tool_choice", "the other tools are left out: the wire has no choice among some")
        tools = tuple(tool for tool in tools if tool.name in choice.names)
    if choice == "required" or isinstance(choice, NamedTool) or _must(choice):
        # Raises, unless it is to be dropped.
        encoding.sends("tool_choice")
    if request.parallel_tools is False:
        encoding.sends("parallel_tools")
    if tools:
        body["tools"] = [encode_tool(tool, encoding) for tool in tools]


def _must(choice: object) -> bool:
    return isinstance(choice, AllowedTools) and choice.mode == "required"


def encode_tool(tool: Tool, encoding: Encoding) -> JSONObject:
    """Return a tool's definition. Raises `UnsupportedError` for a tool that is no function."""
    if tool.kind == "custom":
        raise UnsupportedError(f"the custom tool {tool.name!r} cannot be offered here: Ollama's tools take JSON")
    if tool.kind == "hosted":
        if "type" not in own(tool.meta):
            raise UnsupportedError(f"the tool {tool.name!r} cannot be offered here: Ollama runs no tools of its own")
        return dict(own(tool.meta))
    if tool.strict:
        encoding.note("dropped", "tools", "the wire cannot hold a call to its schema (`strict`)")
    function: JSONObject = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    marks = dict(own(tool.meta))
    others = marks.pop("function", None)
    if isinstance(others, dict):
        function |= others
    return {"type": "function", **marks, "function": function}


# wire → ours


def decode_tools(tools: Sequence[Any], path: str = "tools") -> tuple[Tool, ...]:
    """Return the tools. Raises `BadRequestError` naming the place that is wrong."""
    return tuple(
        _decode_tool(read_object(tool, f"{path}[{place}]", "a tool"), f"{path}[{place}]")
        for place, tool in enumerate(tools)
    )


def _decode_tool(tool: JSONObject, path: str) -> Tool:
    kind = tool.get("type")
    if kind not in (None, "", "function") and "function" not in tool:
        # A kind of tomorrow: it goes back as it came, and to nobody else.
        return Tool(read_text(kind, f"{path}.type"), kind="hosted", meta=as_meta(dict(tool)))
    function = read_object(take(tool, "function", path), f"{path}.function", "a function")
    description, parameters = function.get("description"), function.get("parameters")
    others = {name: value for name, value in function.items() if name not in _KNOWN and value is not None}
    marks = {name: value for name, value in tool.items() if name not in ("type", "function") and value is not None}
    if others:
        marks["function"] = others
    return Tool(
        read_text(take(function, "name", f"{path}.function"), f"{path}.function.name"),
        None if description is None else read_text(description, f"{path}.function.description"),
        None if parameters is None else read_object(parameters, f"{path}.function.parameters", "a JSON Schema object"),
        meta=as_meta(marks),
    )
