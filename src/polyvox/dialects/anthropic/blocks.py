"""Blocks of content, both directions, in requests and answers alike.

The rule: members that no field of ours holds go back from `meta` as they came; a block of a kind that we have no word
for is an `OpaquePart`. What the provider's own tools did is an executed `ToolCall` and its `ToolResult`, whose content
as it came stays in `meta` and goes back unless it was changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import structs

from polyvox.dialects._media import UNKNOWN
from polyvox.dialects._reading import JSONObject
from polyvox.dialects.anthropic.fields import DIALECT, kept, marked, own
from polyvox.dialects.anthropic.files import decode_file, decode_source_part
from polyvox.framing import json
from polyvox.types.parts import (
    FileId,
    FilePart,
    OpaquePart,
    Part,
    ReasoningPart,
    Source,
    SourcePart,
    TextPart,
    ToolCall,
    ToolResult,
)

CALLS: Final = ("tool_use", "server_tool_use", "mcp_tool_use")


# wire → ours


def decode_block(block: JSONObject, calls: dict[str, str], arguments: str | None = None) -> Part:
    """Return the part of a block.

    `calls` are the names of the calls read so far, by id: results bear none. `arguments` is a call's input as it was
    written, where that is known.
    """
    kind = str(block.get("type"))
    decode = _DECODERS.get(kind)
    if decode is not None:
        return decode(block)
    if kind in CALLS or (kind.endswith("_tool_use") and isinstance(block.get("id"), str)):
        call = _decode_call(block, kind, arguments)
        calls[call.id] = call.name
        return call
    if kind.endswith("tool_result") and isinstance(block.get("tool_use_id"), str):
        return _decode_result(block, kind, calls)
    return OpaquePart(kind, {DIALECT: dict(block)})


def _text_of(block: JSONObject, name: str) -> str:
    value = block.get(name)
    return value if isinstance(value, str) else ""


def _decode_text(block: JSONObject) -> TextPart:
    citations = block.get("citations")
    sources = tuple(map(decode_citation, citations)) if isinstance(citations, list) else ()
    return TextPart(_text_of(block, "text"), sources, meta=kept(block, ("type", "text", "citations")))


def _decode_thinking(block: JSONObject) -> ReasoningPart:
    meta = kept(block, ("type", "thinking"))
    # Without a signature only the type tells that it was a block of thinking.
    meta = meta if "signature" in own(meta) else {DIALECT: {**own(meta), "type": "thinking"}}
    return ReasoningPart(_text_of(block, "thinking"), meta=meta)


def _decode_redacted(block: JSONObject) -> ReasoningPart:
    return ReasoningPart(redacted=True, meta=kept(block, ("type",)))


_DECODERS: Final[dict[str, Callable[[JSONObject], Part]]] = {
    "text": _decode_text,
    "thinking": _decode_thinking,
    "redacted_thinking": _decode_redacted,
    "image": decode_file,
    "document": decode_file,
    "container_upload": decode_file,
    "search_result": decode_source_part,
}


def _decode_call(block: JSONObject, kind: str, arguments: str | None) -> ToolCall:
    executed = kind != "tool_use"
    if arguments is None:
        given = block.get("input")
        arguments = "{}" if given is None else json.encode(given).decode()
    known = ("id", "name", "input") if executed else ("type", "id", "name", "input")
    return ToolCall(
        _text_of(block, "id"), _text_of(block, "name"), arguments, executed=executed, meta=kept(block, known)
    )


def _decode_result(block: JSONObject, kind: str, calls: dict[str, str]) -> ToolResult:
    call = block["tool_use_id"]
    content = block.get("content")
    if kind == "tool_result":
        parts = _decode_content(content)
        meta = kept(block, ("type", "tool_use_id", "content", "is_error"))
        return ToolResult(call, calls.get(call, ""), parts, block.get("is_error") is True, meta)
    parts, failed = decode_outcome(content)
    meta = kept(block, ("tool_use_id",))
    return ToolResult(call, calls.get(call, ""), parts, failed or block.get("is_error") is True, meta)


def _decode_content(content: Any) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (TextPart(content),) if content else ()
    items = content if isinstance(content, list) else []
    return tuple(decode_block(item, {}) for item in items if isinstance(item, dict))


def decode_outcome(content: Any) -> tuple[tuple[Part, ...], bool]:
    """Return what a tool of the provider's gave, as parts, and whether it failed."""
    if isinstance(content, str):
        return ((TextPart(content),) if content else ()), False
    if isinstance(content, list):
        return tuple(_decode_found(item) for item in content if isinstance(item, dict)), False
    if not isinstance(content, dict):
        return (), False
    if "error_code" in content or str(content.get("type")).endswith("_error"):
        return (TextPart(str(content.get("error_message") or content.get("error_code") or "")),), True
    return _decode_report(content), False


def _decode_found(item: JSONObject) -> Part:
    if item.get("type") == "web_search_result":
        url, title = item.get("url"), item.get("title")
        return SourcePart(url if isinstance(url, str) else None, title if isinstance(title, str) else None)
    return decode_block(item, {})


def _decode_report(report: JSONObject) -> tuple[Part, ...]:
    """Read what is readable in a tool's one object: what a program printed, a page fetched, tools found, a file shown.

    The rest is not lost: the object stands in the result's meta.
    """
    if "stdout" in report or "stderr" in report:
        printed = [TextPart(text) for name in ("stdout", "stderr") if (text := report.get(name))]
        made = report.get("content")
        files = [item.get("file_id") for item in made if isinstance(item, dict)] if isinstance(made, list) else []
        return (*printed, *(FilePart(UNKNOWN, FileId(file)) for file in files if isinstance(file, str)))
    content = report.get("content")
    match report:
        case {"type": "web_fetch_result", "url": str(url)}:
            page = decode_block(content, {}) if isinstance(content, dict) else None
            text = page.data.decode("utf-8", "replace") if _is_text(page) else None  # type: ignore[union-attr]
            return (SourcePart(url, page.name if isinstance(page, FilePart) else None, text),)
        case {"tool_references": list(references)}:
            return tuple(TextPart(str(one.get("tool_name"))) for one in references if isinstance(one, dict))
    return (TextPart(content),) if isinstance(content, str) else (OpaquePart(str(report.get("type"))),)


def _is_text(page: Part | None) -> bool:
    return isinstance(page, FilePart) and page.media_type.startswith("text/") and isinstance(page.data, bytes)


# Citations. Their forms differ in where they point; what we have a word for is the address, the title and the words.

_URLS: Final = ("url", "source")
_TITLES: Final = ("title", "document_title")


def decode_citation(citation: Any) -> Source:
    """Return a citation. It is on the whole of its text part: `start` and `end` stay unsaid."""
    if not isinstance(citation, dict):
        return Source(meta={DIALECT: {"citation": citation}})
    url = next((citation[name] for name in _URLS if isinstance(citation.get(name), str)), None)
    title = next((citation[name] for name in _TITLES if isinstance(citation.get(name), str)), None)
    text = citation.get("cited_text")
    return Source(url=url, title=title, text=text if isinstance(text, str) else None, meta={DIALECT: citation})


def encode_citation(source: Source) -> JSONObject | None:
    """Return the citation as it came, with what was changed of it; `None` for one that is not of this wire."""
    citation = own(source.meta)
    if "type" not in citation:
        return None
    was = decode_citation(citation)
    if structs.replace(source, start=None, end=None) == was:
        return citation
    said = dict(citation)
    for value, old, names in ((source.url, was.url, _URLS), (source.title, was.title, _TITLES)):
        if value != old:
            said[next((name for name in names if name in citation), names[0])] = value
    if source.text != was.text:
        said["cited_text"] = source.text
    return said


# ours → wire: what requests and answers say alike


def encode_text(part: TextPart, citations: list[JSONObject]) -> JSONObject:
    """Return a text's block."""
    block: JSONObject = {"type": "text", "text": part.text}
    if citations:
        block["citations"] = citations
    return marked(block, part.meta)


def is_thinking(part: ReasoningPart) -> bool:
    """Tell whether reasoning is a block of this wire, to be said again as it came."""
    marks = own(part.meta)
    return "data" in marks or "signature" in marks or marks.get("type") == "thinking"


def encode_thinking_block(part: ReasoningPart) -> JSONObject:
    """Return the block of reasoning that came from this wire."""
    redacted = "data" in own(part.meta)
    return marked({"type": "redacted_thinking"} if redacted else {"type": "thinking", "thinking": part.text}, part.meta)


def encode_opaque(part: OpaquePart) -> JSONObject | None:
    """Return an opaque part's block, `None` for one of another wire."""
    return marked({}, part.meta) or None


def executed_content(result: ToolResult) -> Any:
    """Return what an executed tool gave, as it came where nobody changed it; `None` where it is of another wire."""
    marks = own(result.meta)
    if "content" not in marks:
        return None
    return marks["content"] if decode_outcome(marks["content"])[0] == result.content else None
