"""A plain reading of answers on the Responses wire: `json` and dictionaries, none of the code under test.

`read` walks through the JSON values of an answer (the one body, or every frame of a stream) and gives its items; `tell`
puts the items together again of our response's parts. What both call by one name has to be equal.
"""

from __future__ import annotations

import base64
from typing import Any

from msgspec import structs

from polyvox.types.generate import GenerateResponse
from polyvox.types.parts import FilePart, OpaquePart, ReasoningPart, SourcePart, TextPart, ToolCall, ToolResult

NAME = "openai_responses"
ENVELOPE = ("id", "object", "model", "output", "status", "usage", "error", "incomplete_details")
DELTAS = (
    "response.output_text.delta",
    "response.refusal.delta",
    "response.reasoning_text.delta",
    "response.reasoning_summary_text.delta",
    "response.function_call_arguments.delta",
    "response.custom_tool_call_input.delta",
    "response.mcp_call_arguments.delta",
    "response.code_interpreter_call_code.delta",
)


def read(values: list[Any], streamed: bool) -> dict[str, Any]:
    """Return what an answer says: its items in order, its usage, why it ended, who answered, and all beside."""
    if not streamed:
        (body,) = values
        return _said(body, body["output"], body)
    begun: dict[str, Any] = {}
    items: list[Any] = []
    segment: list[Any] = []
    for value in values:
        # A body may hold the answers of several calls one after the other: each has its places anew.
        segment.append(value)
        if value["type"] == "response.created":
            begun = begun or value["response"]
        if value["type"] in ("response.completed", "response.incomplete"):
            ended = value["response"]
            items += _items(segment, ended)
            segment = []
    assert not segment
    return _said(begun, items, ended)


def _items(values: list[Any], ended: dict[str, Any]) -> list[Any]:
    items = {value["output_index"]: value["item"] for value in values if value["type"] == "response.output_item.done"}
    for item in ended["output"]:
        if item["id"] not in [known["id"] for known in items.values()]:
            items[len(items)] = item
    pieces: dict[Any, str] = {}
    for value in values:
        if value["type"] in DELTAS:
            at = (value["output_index"], value["type"], value.get("content_index", value.get("summary_index")))
            pieces[at] = pieces.get(at, "") + value["delta"]
        elif value["type"].endswith(".delta"):
            raise AssertionError(f"a delta that this reading does not know: {value['type']}")
    for (index, _, _), text in pieces.items():
        # Of one recording some pieces are missing: what came is a beginning of the whole.
        assert any(whole.startswith(text) for whole in _texts(items[index])), "what came in pieces was never whole"
    return [items[index] for index in sorted(items)]


def _texts(value: Any) -> Any:
    if isinstance(value, str):
        yield value
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for member in members:
        yield from _texts(member)


def _said(head: dict[str, Any], items: list[Any], ended: dict[str, Any]) -> dict[str, Any]:
    details = ended.get("incomplete_details")
    return {
        "id": head["id"],
        "model": head["model"],
        "items": [_spoken(item) for item in items],
        "usage": ended["usage"],
        "ended": details["reason"] if details else ended["status"],
        "beside": {name: value for name, value in ended.items() if name not in ENVELOPE and value is not None},
    }


def _spoken(item: dict[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing: nulls, and lists of nothing where one may be said or not."""
    told = {name: value for name, value in item.items() if value is not None}
    if told["type"] == "reasoning" and told.get("content") == []:
        del told["content"]
    if told["type"] == "message":
        told["content"] = [_quiet(part) for part in told["content"]]
    return told


def _quiet(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if (name, value) not in (("logprobs", []), ("annotations", []))}


def tell(response: GenerateResponse[Any]) -> dict[str, Any]:
    """Return the same of our response."""
    items: list[Any] = []
    group: list[Any] = []
    for part in response.content:
        marks = part.meta[NAME]
        group.append(part)
        if "more" not in marks:
            items.append(_tell_item(group))
            group = []
    assert not group
    beside = dict(response.meta.get(NAME, {}))
    underway = beside.pop("status", None)
    return {
        "id": response.id,
        "model": response.model,
        "items": items,
        "usage": response.usage.raw,
        "ended": response.finish.raw if response.finish else underway,
        "beside": beside,
    }


def _tell_item(group: list[Any]) -> dict[str, Any]:
    part, item = group[0], group[-1].meta[NAME].get("item")
    match part:
        case OpaquePart():
            return {name: value for name, value in part.meta[NAME].items() if value is not None}
        case TextPart():
            return {**item, "role": "assistant", "content": [_tell_text(text) for text in group]}
        case ReasoningPart():
            return {"type": "reasoning", **item, **_tell_thoughts(group)}
        case ToolCall(executed=False):
            kind, member = ("custom_tool_call", "input") if part.kind == "custom" else ("function_call", "arguments")
            return {"type": kind, **item, "call_id": part.id, "name": part.name, member: part.arguments}
        case ToolCall():
            return _tell_executed(group, item)
    raise AssertionError(f"a part that no recording holds: {part!r}")


def _tell_text(part: TextPart) -> dict[str, Any]:
    if part.refusal:
        return {"type": "refusal", "refusal": part.text}
    cited = [source.meta[NAME] for source in part.sources]
    told: dict[str, Any] = {"type": "output_text", "text": part.text, **({"annotations": cited} if cited else {})}
    if part.logprobs is not None:
        told["logprobs"] = [{"token": token.token, "logprob": token.logprob} for token in part.logprobs]
    return told


def _tell_thoughts(group: list[ReasoningPart]) -> dict[str, Any]:
    told: dict[str, Any] = {"summary": []}
    for part in group:
        kind = part.meta[NAME].get("type", "summary_text")
        if part.text:
            told.setdefault("summary" if kind == "summary_text" else "content", []).append(
                {"type": kind, "text": part.text}
            )
    return told


def _tell_executed(group: list[Any], item: dict[str, Any]) -> dict[str, Any]:
    """The item itself stands in the marks; what the parts show of it has to be in it."""
    told = dict(item)
    for part in group:
        match part:
            case ToolCall():
                assert part.id == item["id"]
                assert part.executed
            case ToolResult():
                shown = [text for one in part.content for text in _shown(one)]
                assert shown
                assert set(shown) <= set(_texts(item)), "what is shown was not said"
            case FilePart():
                assert isinstance(part.data, bytes)
                told["result"] = base64.b64encode(part.data).decode()
    return told


def _shown(part: Any) -> list[str]:
    match part:
        case TextPart():
            return [part.text]
        case SourcePart():
            return [text for text in (part.url, part.title, part.text) if text]
    raise AssertionError(f"a result that no recording holds: {part!r}")


# Law 5: nothing is lost on the way through this wire and back, but what never was on it.


def writable(response: GenerateResponse[Any]) -> Any:
    """Return the answer as this wire can say it."""
    return structs.replace(response, raw=None)
