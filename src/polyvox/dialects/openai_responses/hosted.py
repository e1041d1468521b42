"""What the provider's own tools did, both directions: a search, a program, a picture, a tool of an MCP server.

The rule: such an item is an executed `ToolCall`, what it gave a `ToolResult` (a picture: a `FilePart`), and the item
itself stands in the marks and goes back as it came, with what was changed of its parts. Search results that belong to
no call (Perplexity) are `SourcePart`s.
https://platform.openai.com/docs/guides/tools
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from polyvox.dialects._media import ANY_IMAGE, decode_base64, encode_base64, sniff
from polyvox.dialects._reading import JSONObject
from polyvox.dialects.openai_responses.fields import text_of
from polyvox.errors import DecodeError
from polyvox.framing import json
from polyvox.types.parts import FilePart, Part, SourcePart, TextPart, ToolCall, ToolResult, Url

HOSTED: Final = {
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "image_generation_call": "image_generation",
    "mcp_call": "mcp",
}
"""Items of tools that the provider ran, and our name for the tool where the item has none."""

SOURCES: Final = {"search_results": "results", "fetch_url_results": "contents"}
"""Perplexity's items of search results, and the member that lists them. https://docs.perplexity.ai/docs/agent-api"""

_TEXTS: Final = ("snippet", "text", "content")


# wire → ours


def decode_hosted(item: JSONObject, kind: str) -> list[tuple[tuple[str, int], Part]]:
    """Return what a tool of the provider's was asked, and what it gave, each with its place."""
    call = _decode_call(item, kind)
    slots: list[tuple[tuple[str, int], Part]] = [(("call", 0), call)]
    if kind == "image_generation_call":
        picture = _decode_picture(item)
        if picture is not None:
            slots.append((("file", 0), picture))
        return slots
    content, failed = _decode_outcome(item, kind)
    if content or failed:
        slots.append((("result", 0), ToolResult(call.id, call.name, content, failed)))
    return slots


def start_hosted(item: JSONObject, kind: str) -> ToolCall:
    """Return a call whose arguments are still to come."""
    name = text_of(item, "name") or HOSTED[kind]
    custom = kind == "code_interpreter_call" and "arguments" not in item
    return ToolCall(text_of(item, "id"), name, kind="custom" if custom else "function", executed=True)


def _decode_call(item: JSONObject, kind: str) -> ToolCall:
    name, executed = text_of(item, "name") or HOSTED[kind], True
    call_id, arguments = text_of(item, "id"), item.get("arguments")
    if isinstance(arguments, str):
        return ToolCall(call_id, name, arguments, executed=executed)
    if kind == "code_interpreter_call" and arguments is None:
        # A program is free text.
        return ToolCall(call_id, name, text_of(item, "code"), "custom", executed)
    asked: Any = arguments
    if kind == "web_search_call":
        action = item.get("action")
        asked = {name: value for name, value in action.items() if name != "sources"} if isinstance(action, dict) else {}
    elif kind == "file_search_call":
        asked = {"queries": item.get("queries")}
    elif kind == "image_generation_call":
        prompt = item.get("revised_prompt") or item.get("prompt")
        asked = {"prompt": prompt} if prompt else {}
    return ToolCall(call_id, name, json.encode(asked).decode() if asked else "", executed=executed)


def _decode_outcome(item: JSONObject, kind: str) -> tuple[tuple[Part, ...], bool]:
    match kind:
        case "web_search_call":
            action = item.get("action")
            found = action.get("sources") if isinstance(action, dict) else None
            return (*_sources(found), *_sources(item.get("results"))), False
        case "file_search_call":
            return _sources(item.get("results")), False
        case "code_interpreter_call":
            outputs = item.get("outputs")
            return tuple(
                part for output in (outputs if isinstance(outputs, list) else ()) for part in _decode_printed(output)
            ), False
    error, output = item.get("error"), item.get("output")
    if error is not None:
        return (TextPart(_readable(error)),), True
    return ((TextPart(_readable(output)),) if output is not None else ()), False


def _readable(value: Any) -> str:
    if isinstance(value, dict) and isinstance(value.get("message"), str):
        return str(value["message"])
    return value if isinstance(value, str) else json.encode(value).decode()


def _decode_printed(output: Any) -> tuple[Part, ...]:
    match output:
        case {"logs": str(logs)}:
            return (TextPart(logs),)
        case {"url": str(url)}:
            return (FilePart(ANY_IMAGE, Url(url)),)
    return ()


def _decode_picture(item: JSONObject) -> FilePart | None:
    result = item.get("result")
    if not isinstance(result, str) or not result:
        return None
    try:
        data = decode_base64(result)
    except ValueError:
        return None
    word = text_of(item, "output_format")
    return FilePart(sniff(data) or (f"image/{word}" if word else "image/png"), data)


def decode_sources(item: JSONObject) -> tuple[SourcePart, ...]:
    """Return the search results that an item lists, nothing where it lists none."""
    for member in (SOURCES.get(text_of(item, "type")), "results", "contents"):
        found = _sources(item.get(member)) if member else ()
        if found:
            return found
    return ()


def _sources(found: Any) -> tuple[SourcePart, ...]:
    items = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    read = []
    for one in items:
        url, title = one.get("url"), one.get("title") or one.get("filename")
        text = next((one[name] for name in _TEXTS if isinstance(one.get(name), str)), None)
        if isinstance(url, str) or isinstance(title, str) or text is not None:
            read.append(
                SourcePart(url if isinstance(url, str) else None, title if isinstance(title, str) else None, text)
            )
    return tuple(read)


def hosted_marks(item: JSONObject) -> JSONObject:
    """Return the item itself, less a picture that our part holds."""
    marks = {name: value for name, value in item.items() if value is not None}
    if item.get("type") == "image_generation_call" and _decode_picture(item) is not None:
        del marks["result"]
    return marks


# ours → wire


def encode_hosted(parts: Sequence[Part], item: JSONObject) -> JSONObject:
    """Return the item as it came, with what was changed of its parts."""
    told = dict(item)
    kind = text_of(item, "type")
    if kind in SOURCES or kind.endswith("_results"):
        return _with_sources(told, parts)
    for part in parts:
        match part:
            case ToolCall():
                if part.arguments != _decode_call(item, kind).arguments:
                    _write_arguments(told, kind, part.arguments)
            case ToolResult():
                if (part.content, part.is_error) != _decode_outcome(item, kind):
                    _write_outcome(told, kind, part)
            case FilePart() if isinstance(part.data, bytes):
                told["result"] = encode_base64(part.data)
    return told


def _write_arguments(told: JSONObject, kind: str, arguments: str) -> None:
    if kind == "code_interpreter_call" and "arguments" not in told:
        told["code"] = arguments
    elif kind in ("mcp_call", "code_interpreter_call"):
        told["arguments"] = arguments
    else:
        asked = _asked(arguments)
        if kind == "web_search_call":
            sources = (told.get("action") or {}).get("sources")
            told["action"] = asked if sources is None else {**asked, "sources": sources}
        elif kind == "image_generation_call":
            told["revised_prompt" if "revised_prompt" in told else "prompt"] = asked.get("prompt")
        else:
            told["queries"] = asked.get("queries")


def _asked(arguments: str) -> JSONObject:
    """Return arguments as the object that the wire takes: what is none is `{}`."""
    try:
        held = json.decode(arguments)
    except DecodeError:
        return {}
    return held if isinstance(held, dict) else {}


def _write_outcome(told: JSONObject, kind: str, result: ToolResult) -> None:
    """Write what a tool gave anew: what the caller's part no longer holds is no longer said."""
    match kind:
        case "web_search_call":
            told.pop("results", None)
            told["action"] = {**(told.get("action") or {}), "sources": list(map(_encode_found, _found(result.content)))}
        case "file_search_call":
            told["results"] = [
                {"filename": source.title, "text": source.text or ""} for source in _found(result.content)
            ]
        case "code_interpreter_call":
            told["outputs"] = [
                {"type": "logs", "logs": part.text} for part in result.content if isinstance(part, TextPart)
            ]
        case _:
            told.pop("error" if not result.is_error else "output", None)
            told["error" if result.is_error else "output"] = result.text


def _found(content: Sequence[Part]) -> list[SourcePart]:
    return [part for part in content if isinstance(part, SourcePart)]


def _encode_found(source: SourcePart) -> JSONObject:
    return {"type": "url", "url": source.url or ""}


def encode_source(source: SourcePart) -> JSONObject:
    """Return a search result as Perplexity lists it."""
    told = {"url": source.url, "title": source.title, "snippet": source.text}
    return {name: value for name, value in told.items() if value is not None}


def _with_sources(told: JSONObject, parts: Sequence[Part]) -> JSONObject:
    member = SOURCES.get(text_of(told, "type"), "results")
    member = member if member in told else "results" if "results" in told else "contents"
    if decode_sources(told) != tuple(_bare(source) for source in _found(parts)):
        told[member] = [encode_source(source) for source in _found(parts)]
    return told


def _bare(source: SourcePart) -> SourcePart:
    return SourcePart(source.url, source.title, source.text)
