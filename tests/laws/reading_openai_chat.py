"""A plain reading of answers on the OpenAI chat wire: `json` and dictionaries, none of the code under test.

`read` walks through the JSON values of an answer (the one body, or every frame of a stream) and joins what it finds for
each choice; `tell` says the same of our response. What both call by one name has to be equal.
"""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from typing import Any

from msgspec import structs

from polyvox.types.generate import Finish, GenerateResponse
from polyvox.types.parts import (
    FilePart,
    Meta,
    OpaquePart,
    Part,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCall,
    ToolResult,
)

NAME = "openai"


def read(values: list[Any], streamed: bool) -> dict[str, Any]:
    """Return what an answer says."""
    said: dict[Any, dict[str, Any]] = defaultdict(lambda: defaultdict(str))
    urls: list[str] = []
    results: list[str] = []
    usage: dict[str, Any] = {}
    for value in values:
        for choice in value.get("choices") or []:
            # Perplexity's streams hold the message so far beside each delta.
            message = choice.get("delta") if streamed else choice.get("message")
            _read_message(message or {}, said[choice.get("index", 0)])
        usage = value.get("usage") or (value.get("x_groq") or {}).get("usage") or usage
        urls += _urls(value.get("choices") or [])
        found = [result["url"] for result in value.get("search_results") or []] or value.get("citations")
        results = found or results
    return {
        "choices": {index: _finished(found) for index, found in said.items()},
        "citations": urls,
        "results": results,
        "usage": usage,
    }


def _read_message(message: dict[str, Any], found: dict[str, Any]) -> None:
    found["text"] += "".join(_texts(message.get("content"), "text"))
    found["refusal"] += message.get("refusal") or ""
    reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
    reasoning += "".join(_texts(message.get("content"), "thinking"))
    if not reasoning:
        for item in message.get("reasoning_details") or []:
            reasoning += item.get("text") or item.get("summary") or ""
    found["reasoning"] += reasoning
    for item in message.get("reasoning_details") or []:
        found["sealed"] += item.get("data") or item.get("signature") or ""
    audio = message.get("audio") or {}
    found["transcript"] += audio.get("transcript") or ""
    found["audio"] += audio.get("data") or ""
    calls = found.setdefault("calls", {})
    for place, call in enumerate(message.get("tool_calls") or []):
        held = call.get("function") or call.get("custom") or {}
        call_index = call.get("index")
        if call_index is None:
            call_index = f"{call.get('id')} {place}"
        entry = calls.setdefault(call_index, {"id": "", "name": "", "arguments": ""})
        entry["id"] = call.get("id") or entry["id"]
        entry["name"] += held.get("name") or ""
        arguments = held.get("arguments") or held.get("input") or ""
        entry["arguments"] += arguments if isinstance(arguments, str) else json.dumps(arguments)
    legacy = message.get("function_call") or {}
    if legacy.get("name") or legacy.get("arguments"):  # Snowflake fills in every member it knows with empty text
        entry = calls.setdefault("function_call", {"id": "function_call", "name": "", "arguments": ""})
        entry["name"] += legacy.get("name") or ""
        entry["arguments"] += legacy.get("arguments") or ""


def _texts(content: Any, kind: str) -> list[str]:
    """Find the texts of one kind in a content: a string is text, a list may hold both, at any depth."""
    if isinstance(content, str):
        return [content] if kind == "text" else []
    found: list[str] = []
    for item in content or []:
        if item.get("type") == "thinking" and kind == "thinking":
            inner = item["thinking"]
            found += [inner] if isinstance(inner, str) else _texts(inner, "text")
        elif item.get("type") == "text" and kind == "text":
            found.append(item["text"])
    return found


def _urls(value: Any) -> list[str]:
    """Find the addresses of citations, wherever they stand."""
    if isinstance(value, dict):
        if value.get("type") == "url_citation":
            return [(value.get("url_citation") or value)["url"]]
        return [url for member in value.values() for url in _urls(member)]
    return [url for member in value for url in _urls(member)] if isinstance(value, list) else []


def _finished(found: dict[str, Any]) -> dict[str, Any]:
    calls = list(found.pop("calls", {}).values())
    audio = base64.b64decode(found.pop("audio", ""))
    return {**{name: text for name, text in found.items() if text}, "calls": calls, "audio": audio}


def tell(response: GenerateResponse[Any]) -> dict[str, Any]:
    """Return the same of our response."""
    choices: dict[int, Any] = {0: _tell_content(response.content)}
    choices |= {other.index: _tell_content(other.content) for other in response.alternatives}
    contents = [response.content, *(other.content for other in response.alternatives)]
    cited = [
        source.url
        for content in contents
        for part in content
        if isinstance(part, TextPart)
        for source in part.sources
        if source.url is not None
    ]
    return {
        "choices": choices,
        "citations": cited,
        "results": [source.url for source in response.sources],
        "usage": response.usage.raw or {},
    }


def _tell_content(content: tuple[Part, ...]) -> dict[str, Any]:
    texts = [part for part in content if isinstance(part, TextPart)]
    spoken = [part for part in texts if part.meta.get(NAME, {}).get("transcript")]
    details = [item for part in content for item in part.meta.get(NAME, {}).get("reasoning_details", ())]
    told = {
        "text": "".join(part.text for part in texts if not part.refusal and part not in spoken),
        "refusal": "".join(part.text for part in texts if part.refusal),
        "reasoning": "".join(part.text for part in content if isinstance(part, ReasoningPart)),
        "transcript": "".join(part.text for part in spoken),
        "sealed": "".join(item.get("data") or item.get("signature") or "" for item in details),
    }
    return {
        **{name: text for name, text in told.items() if text},
        "calls": [
            {"id": part.id, "name": part.name, "arguments": part.arguments}
            for part in content
            if isinstance(part, ToolCall)
        ],
        "audio": b"".join(
            part.data for part in content if isinstance(part, FilePart) and part.media_type.startswith("audio/")
        ),
    }


# Law 5: the losses that docs/dialects/openai-chat.md declares under "Answers", taken away.

_NO_WORD = {"pause": "stop", "other": "stop"}
_PLACES = (ReasoningPart, TextPart, FilePart, ToolCall, ToolResult, SourcePart)


def writable(response: GenerateResponse[Any]) -> Any:
    """Return the answer as this wire can say it."""
    return structs.replace(
        response,
        content=_writable_content(response.content),
        finish=_writable_finish(response.finish),
        usage=structs.replace(response.usage, raw=None),
        alternatives=tuple(
            structs.replace(other, content=_writable_content(other.content), finish=_writable_finish(other.finish))
            for other in response.alternatives
        ),
        meta=_without(response.meta, "created", "unread"),
        raw=None,
    )


def _without(meta: Meta, *names: str) -> Meta:
    own = {name: value for name, value in meta.get(NAME, {}).items() if name not in names}
    return {NAME: own} if own else {}


def _writable_finish(finish: Finish | None) -> Finish | None:
    return None if finish is None else Finish(_NO_WORD.get(finish.reason, finish.reason))


def _writable_content(content: tuple[Part, ...]) -> list[Part]:
    """Texts of a kind joined, in the order in which the wire has room for the kinds."""
    texts = [part for part in content if isinstance(part, TextPart) and not part.refusal]
    refusals = [part for part in content if isinstance(part, TextPart) and part.refusal]
    thoughts = [part for part in content if isinstance(part, ReasoningPart)]
    rest = [part for part in content if not isinstance(part, TextPart | ReasoningPart | OpaquePart)]
    joined: list[Part] = [_join_thoughts(thoughts)] if thoughts else []
    spoken = [part for part in texts if part.meta.get(NAME, {}).get("transcript")]
    for group in ([part for part in texts if part not in spoken], refusals, spoken):
        joined += [_join(group)] if group else []
    return joined + sorted(rest, key=lambda part: _PLACES.index(type(part)))


def _join(texts: list[TextPart]) -> TextPart:
    sources, offset = [], 0
    for part in texts:
        for source in part.sources:
            start, end = (None if at is None else at + offset for at in (source.start, source.end))
            sources.append(structs.replace(source, start=start, end=end))
        offset += len(part.text)
    tokens = [token for part in texts for token in part.logprobs or ()]
    return structs.replace(
        texts[0],
        text="".join(part.text for part in texts),
        sources=tuple(sources),
        logprobs=tuple(tokens) or None,
        meta=_without(texts[0].meta),
    )


def _join_thoughts(thoughts: list[ReasoningPart]) -> ReasoningPart:
    details = [item for part in thoughts for item in part.meta.get(NAME, {}).get("reasoning_details", ())]
    return ReasoningPart(
        "\n\n".join(part.text for part in thoughts if part.text),
        redacted=all(part.redacted for part in thoughts),
        meta={NAME: {"reasoning_details": details}} if details else {},
    )
