"""A plain reading of answers on the Anthropic wire: `json` and dictionaries, none of the code under test.

`read` walks through the JSON values of an answer (the one body, or every frame of a stream) and puts its blocks
together; `tell` says the same of our response. What both call by one name has to be equal.
"""

from __future__ import annotations

import json
from typing import Any

from msgspec import structs

from polyvox.types.generate import GenerateResponse
from polyvox.types.parts import OpaquePart, ReasoningPart, TextPart, ToolCall, ToolResult

NAME = "anthropic"


def read(values: list[Any], streamed: bool) -> dict[str, Any]:
    """Return what an answer says: its blocks in order, its usage, why it ended, and who answered."""
    if not streamed:
        (body,) = values
        return _said(body, body["content"], body["usage"], body)
    message: dict[str, Any] = {}
    ending: dict[str, Any] = {}
    blocks: dict[int, Any] = {}
    usage: dict[str, Any] = {}
    for value in values:
        match value["type"]:
            case "message_start":
                message = value["message"]
                usage |= message["usage"]
            case "message_delta":
                ending |= value["delta"]
                usage |= {name: count for name, count in value["usage"].items() if count is not None}
            case "content_block_start":
                blocks[value["index"]] = {**value["content_block"], "pieces": ""}
            case "content_block_delta":
                _read_delta(value["delta"], blocks[value["index"]])
    for block in blocks.values():
        pieces = block.pop("pieces")
        if pieces:
            block["input"] = json.loads(pieces)
    return _said(message, list(blocks.values()), usage, ending)


def _read_delta(delta: dict[str, Any], block: dict[str, Any]) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "input_json_delta":
            block["pieces"] += delta["partial_json"]
        case "citations_delta":
            block["citations"] = [*(block.get("citations") or []), delta["citation"]]
        case "compaction_delta":
            block["content"] = (block["content"] or "") + delta["content"]
        case other:
            raise AssertionError(f"a delta that this reading does not know: {other}")


def _said(message: dict[str, Any], blocks: list[Any], usage: dict[str, Any], ending: dict[str, Any]) -> dict[str, Any]:
    # What is null, and a list of no citations, says nothing.
    said = [
        {name: value for name, value in block.items() if value is not None and (name, value) != ("citations", [])}
        for block in blocks
    ]
    return {
        "id": message["id"],
        "model": message["model"],
        "blocks": said,
        "usage": usage,
        "stop": (ending["stop_reason"], ending["stop_sequence"]),
    }


def tell(response: GenerateResponse[Any]) -> dict[str, Any]:
    """Return the same of our response."""
    finish = response.finish
    return {
        "id": response.id,
        "model": response.model,
        "blocks": [_tell_part(part) for part in response.content],
        "usage": response.usage.raw,
        "stop": (finish.raw if finish else None, response.meta.get(NAME, {}).get("stop_sequence")),
    }


def _tell_part(part: Any) -> dict[str, Any]:
    marks = part.meta.get(NAME, {})
    match part:
        case TextPart():
            cited = [source.meta[NAME] for source in part.sources]
            return {"type": "text", "text": part.text, **({"citations": cited} if cited else {}), **marks}
        case ReasoningPart(redacted=True):
            return {"type": "redacted_thinking", **marks}
        case ReasoningPart():
            return {"type": "thinking", "thinking": part.text, **marks}
        case ToolCall():
            told = {"type": "tool_use", "id": part.id, "name": part.name, "input": json.loads(part.arguments)}
            assert part.executed is (marks.get("type") is not None)
            return {**told, **marks}
        case ToolResult():
            return {"tool_use_id": part.id, **marks}
        case OpaquePart():
            return marks
    raise AssertionError(f"a part that no recording holds: {part!r}")


# Law 5: nothing is lost on the way through this wire and back, but what never was on it.


def writable(response: GenerateResponse[Any]) -> Any:
    """Return the answer as this wire can say it."""
    return structs.replace(response, raw=None)
