"""Tools and the choice among them, both directions.

The rule: a schema goes as it is, save that the wire wants one, and its type said. A hosted tool is named by its dated
type (`web_search_20260318`); the name it is called by follows from that, where the settings do not say it.
https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/overview
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, Literal

from polyvox.dialects._reading import JSONObject, read_flag, read_object, read_text, read_word, take
from polyvox.dialects.anthropic.encoding import Encoding
from polyvox.dialects.anthropic.fields import kept, marked
from polyvox.errors import UnsupportedError
from polyvox.types.generate import GenerateRequest
from polyvox.types.tools import AllowedTools, NamedTool, Tool, ToolChoice

_KNOWN: Final = ("name", "description", "input_schema", "strict")
_DATED: Final = re.compile(r"_\d{8}$")
# Types whose tools bear another name than their type less its date.
_NAMES: Final = {
    "text_editor_20250124": "str_replace_editor",
    "text_editor_20250429": "str_replace_based_edit_tool",
    "text_editor_20250728": "str_replace_based_edit_tool",
}
_NAMELESS: Final = ("mcp_toolset", "computer_toolset_", "browser_toolset_")


# ours → wire


def encode_tools(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    """Write the tools and the choice among them."""
    tools, choice = request.tools, request.tool_choice
    if isinstance(choice, AllowedTools):
        encoding.note("emulated", "tool_choice", "the other tools are left out: the wire has no choice among some")
        tools = tuple(tool for tool in tools if tool.name in choice.names)
        choice = "required" if choice.mode == "required" else "auto"
    if tools:
        body["tools"] = [encode_tool(tool) for tool in tools]
    if choice is not None and not encoding.sends("tool_choice"):
        choice = None
    parallel = request.parallel_tools
    if parallel is not None and not encoding.sends("parallel_tools"):
        parallel = None
    if choice is None and parallel is None:
        return
    if not tools:
        # A choice among no tools is a 400, and says nothing.
        setting = "tool_choice" if choice is not None else "parallel_tools"
        encoding.note("dropped", setting, "there are no tools")
        return
    said = _encode_choice(choice or "auto", tools, encoding)
    if parallel is not None:
        if said["type"] == "none":
            encoding.note("dropped", "parallel_tools", "no tool is to be called")
        else:
            said["disable_parallel_tool_use"] = not parallel
    body["tool_choice"] = said


def encode_tool(tool: Tool) -> JSONObject:
    """Return a tool's definition. Raises `UnsupportedError` for a custom tool, which takes free text."""
    if tool.kind == "custom":
        raise UnsupportedError(f"the custom tool {tool.name!r} cannot be offered here: Claude's tools take JSON")
    if tool.kind == "hosted":
        said: JSONObject = {"type": tool.name}
        if not tool.name.startswith(_NAMELESS):
            said["name"] = _called(tool)
        return marked({**said, **tool.settings}, tool.meta)
    said = {"name": tool.name}
    if tool.description is not None:
        said["description"] = tool.description
    parameters = tool.parameters
    if parameters is None:
        parameters = {"type": "object", "properties": {}}
    said["input_schema"] = parameters if "type" in parameters else {"type": "object", **parameters}
    if tool.strict is not None:
        said["strict"] = tool.strict
    return marked(said, tool.meta)


def _called(tool: Tool) -> str:
    """Return the name that a tool is called by."""
    if tool.kind != "hosted":
        return tool.name
    return str(tool.settings.get("name") or _NAMES.get(tool.name) or _DATED.sub("", tool.name))


def _encode_choice(choice: str | NamedTool, tools: Sequence[Tool], encoding: Encoding) -> JSONObject:
    if isinstance(choice, str):
        word = "any" if choice == "required" else choice
        said: JSONObject = {"type": word}
    else:
        names = {tool.name: _called(tool) for tool in tools if tool.kind == choice.kind}
        said = {"type": "tool", "name": names.get(choice.name, choice.name)}
    if said["type"] in ("any", "tool") and encoding.quirks.forced_tool == "refuse":
        raise UnsupportedError(
            "this model cannot be made to call a tool: leave tool_choice to auto, or ask for the form with output="
        )
    return said


# wire → ours


def decode_tools(tools: Sequence[Any], path: str = "tools") -> tuple[Tool, ...]:
    """Return the tools. Raises `BadRequestError` naming the place that is wrong."""
    return tuple(
        _decode_tool(read_object(tool, f"{path}[{place}]", "a tool"), f"{path}[{place}]")
        for place, tool in enumerate(tools)
    )


def _decode_tool(tool: JSONObject, path: str) -> Tool:
    kind = tool.get("type")
    if kind is not None and read_text(kind, f"{path}.type") != "custom":
        return Tool(kind, kind="hosted", settings={name: value for name, value in tool.items() if name != "type"})
    description, strict = tool.get("description"), tool.get("strict")
    return Tool(
        read_text(take(tool, "name", path), f"{path}.name"),
        None if description is None else read_text(description, f"{path}.description"),
        read_object(take(tool, "input_schema", path), f"{path}.input_schema", "a JSON Schema object"),
        None if strict is None else read_flag(strict, f"{path}.strict"),
        # `type: custom` is a function, said in other words.
        meta=kept(tool, _KNOWN),
    )


def decode_choice(value: object, tools: Sequence[Tool]) -> tuple[ToolChoice, bool | None]:
    """Return the choice, and whether calls may be parallel, where that is said."""
    choice = read_object(value, "tool_choice")
    word = read_word(take(choice, "type", "tool_choice"), "tool_choice.type", ("auto", "any", "tool", "none"))
    single = choice.get("disable_parallel_tool_use")
    parallel = None if single is None else not read_flag(single, "tool_choice.disable_parallel_tool_use")
    if word == "tool":
        name = read_text(take(choice, "name", "tool_choice"), "tool_choice.name")
        hosted = next((tool.name for tool in tools if tool.kind == "hosted" and _called(tool) == name), None)
        return (NamedTool(hosted, "hosted") if hosted else NamedTool(name)), parallel
    chosen: Literal["auto", "none", "required"] = "required" if word == "any" else "none" if word == "none" else "auto"
    return chosen, parallel
