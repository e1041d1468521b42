"""A plain reading of answers on the Ollama wire: `json` and dictionaries, none of the code under test.

`read` walks through the JSON values of an answer (the one body, or every line of a stream) and puts its message
together; `tell` says the same of our response. What both call by one name has to be equal.
"""

from __future__ import annotations

import json
from typing import Any

from msgspec import structs

from polyvox.types.generate import GenerateResponse
from polyvox.types.parts import FilePart, ReasoningPart, TextPart, ToolCall

NAME = "ollama"
METRICS = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)


def read(values: list[Any], streamed: bool) -> dict[str, Any]:
    """Return what an answer says: its texts, its calls, its metrics, why it ended, and who answered."""
    messages = [value["message"] for value in values if "message" in value]
    last = values[-1]
    assert last["done"] is True
    assert streamed or len(values) == 1
    return {
        "model": values[0]["model"],
        "text": "".join(message.get("content") or "" for message in messages),
        "thinking": "".join(message.get("thinking") or "" for message in messages),
        "calls": [
            (
                call.get("id"),
                call["function"]["name"],
                call["function"]["arguments"],
                call["function"].get("index"),
            )
            for message in messages
            for call in message.get("tool_calls") or []
        ],
        "metrics": {name: last[name] for name in METRICS if name in last},
        "ended": last.get("done_reason"),
        "when": last["created_at"],
    }


def tell(response: GenerateResponse[Any]) -> dict[str, Any]:
    """Return the same of our response."""
    return {
        "model": response.model,
        "text": response.text,
        "thinking": response.reasoning,
        "calls": [
            (
                None if call.id.startswith("made_") else call.id,
                call.name,
                json.loads(call.arguments),
                call.meta.get(NAME, {}).get("function", {}).get("index"),
            )
            for call in response.tool_calls
        ],
        "metrics": response.usage.raw or {},
        "ended": response.finish.raw if response.finish else None,
        "when": response.meta[NAME]["created_at"],
    }


# Law 5: nothing is lost on the way through this wire and back, but what never was on it.

_ORDER = (ReasoningPart, TextPart, ToolCall, FilePart)


def writable(response: GenerateResponse[Any]) -> Any:
    """Return the answer as this wire can say it: a body has no order of its members, and no ids that were made."""
    parts = sorted(response.content, key=lambda part: _ORDER.index(type(part)))
    content = tuple(
        structs.replace(part, id="") if isinstance(part, ToolCall) and part.id.startswith("made_") else part
        for part in parts
    )
    return structs.replace(response, content=content, raw=None)
