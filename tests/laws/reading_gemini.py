"""A plain reading of answers on the Gemini wire: `json` and dictionaries, none of the code under test.

`read` walks through the JSON values of an answer (the one body, every chunk of a stream, or a stream that came as one
array) and puts its parts together; `tell` says the same of our response. What both call by one name has to be equal.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from msgspec import structs

from polyvox.types.generate import Finish, GenerateResponse
from polyvox.types.parts import FilePart, OpaquePart, ReasoningPart, SourcePart, TextPart, ToolCall, ToolResult, Url

NAME = "gemini"

_WORDS = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"}
_JOINED = ("logprobsResult", "citationMetadata")
_BESIDE = ("candidates", "usageMetadata", "responseId", "modelVersion")


def read(values: list[Any], streamed: bool) -> dict[str, Any]:
    """Return what an answer says: its parts in order, its usage, why it ended, and who answered."""
    chunks = [chunk for value in values for chunk in (value if isinstance(value, list) else [value])]
    found: dict[int, dict[str, Any]] = {0: _nothing()}
    beside: dict[str, Any] = {}
    for chunk in chunks:
        beside |= {name: value for name, value in chunk.items() if name not in _BESIDE and value is not None}
        for candidate in chunk.get("candidates") or []:
            _read_candidate(candidate, found.setdefault(candidate.get("index") or 0, _nothing()))
    blocked = beside.get("promptFeedback", {}).get("blockReason")
    found[0]["finish"] = found[0]["finish"] or blocked
    return {
        "id": chunks[0].get("responseId"),
        "model": chunks[0].get("modelVersion"),
        "candidates": found,
        "beside": beside,
        "usage": _read_usage(chunks),
    }


def _nothing() -> dict[str, Any]:
    return {"parts": [], "finish": None, "beside": {}}


def _read_candidate(candidate: dict[str, Any], said: dict[str, Any]) -> None:
    reason = candidate.get("finishReason")
    said["finish"] = str(_WORDS.get(reason, reason)) if reason else said["finish"]
    for name, value in candidate.items():
        known = said["beside"].get(name)
        if name in ("content", "finishReason", "index") or value is None or (known and not value):
            continue
        if name in _JOINED and known:
            value = {**known, **{key: [*known.get(key, []), *more] for key, more in value.items()}}
        said["beside"][name] = value
    parts = said["parts"]
    for place, given in enumerate((candidate.get("content") or {}).get("parts") or []):
        part = _plain(given)
        if not part or part in ({"text": ""}, {"text": "", "thought": True}, {"text": "", "thought": False}):
            continue
        if place == 0 and parts and _goes_on(parts[-1], part):
            parts[-1] = _joined(parts[-1], part)
        else:
            parts.append(part)


def _plain(part: dict[str, Any]) -> dict[str, Any]:
    """Return a part with the number of a file's bytes in place of them, and an empty text where none is said."""
    said = {name: value for name, value in part.items() if value is not None}
    if said and set(said) <= {"thought", "thoughtSignature"}:
        said["text"] = ""
    if "inlineData" in said:
        data = said["inlineData"]["data"].replace("-", "+").replace("_", "/")
        said["inlineData"] = {**said["inlineData"], "data": len(base64.b64decode(data + "=="))}
    return said


def _goes_on(last: dict[str, Any], part: dict[str, Any]) -> bool:
    if set(part) <= {"text", "thought"} and set(last) <= {"text", "thought"}:
        return part.get("thought") is last.get("thought")
    if set(part) == set(last) == {"inlineData"}:
        kinds = [one["inlineData"].get("mimeType", "").lower() for one in (last, part)]
        return kinds[0] == kinds[1] and kinds[0].startswith(("audio/l16", "audio/l24", "audio/pcm"))
    return False


def _joined(last: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    if "text" in part:
        return {**last, "text": last["text"] + part["text"]}
    return {"inlineData": {**last["inlineData"], "data": last["inlineData"]["data"] + part["inlineData"]["data"]}}


def _read_usage(chunks: list[Any]) -> dict[str, Any] | None:
    """The last counts are the totals. The output is what was written and what was thought."""
    last: dict[str, Any] = {}
    for chunk in chunks:
        usage = chunk.get("usageMetadata") or {}
        counts = "promptTokenCount" in usage or "totalTokenCount" in usage
        last = usage if counts else {**last, **usage}
    if not last:
        return None
    output = last.get("candidatesTokenCount", 0) + last.get("thoughtsTokenCount", 0)
    given = last.get("promptTokenCount", 0) + last.get("toolUsePromptTokenCount", 0)
    return {"raw": last, "output": output, "input": given}


def tell(response: GenerateResponse[Any]) -> dict[str, Any]:
    """Return the same of our response."""
    marks = dict(response.meta.get(NAME, {}))
    candidate = marks.pop("candidate", {})
    found = {0: _tell_candidate(response.content, response.finish, candidate)}
    for other in response.alternatives:
        found[other.index] = _tell_candidate(other.content, other.finish, other.meta.get(NAME, {}))
    usage = response.usage
    told = {"raw": usage.raw, "output": usage.output_tokens or 0, "input": usage.input_tokens or 0}
    return {
        "id": response.id,
        "model": response.model,
        "candidates": found,
        "beside": marks,
        "usage": told if usage.raw else None,
    }


def _tell_candidate(content: tuple[Any, ...], finish: Finish | None, beside: dict[str, Any]) -> dict[str, Any]:
    _check_sources(content, beside.get("groundingMetadata", {}))
    return {
        "parts": [_tell_part(part) for part in content if not isinstance(part, SourcePart)],
        "finish": finish.raw if finish else None,
        "beside": beside,
    }


def _check_sources(content: tuple[Any, ...], grounding: dict[str, Any]) -> None:
    """Check that every segment's words are the span of its sources, and that every result is told."""
    words = [
        support["segment"]["text"]
        for support in grounding.get("groundingSupports") or []
        for _ in support.get("groundingChunkIndices") or []
        if "text" in support.get("segment", {})
    ]
    cited = [(part, source) for part in content if isinstance(part, TextPart) for source in part.sources]
    spans = [part.text[source.start : source.end] for part, source in cited if source.end is not None]
    assert [span for span in spans if span in words] == words
    told = {source.url or source.text for _, source in cited}
    told |= {part.url or part.text for part in content if isinstance(part, SourcePart)}
    chunks = [next(iter(chunk.values())) for chunk in grounding.get("groundingChunks") or [] if chunk]
    assert told >= {chunk.get("uri") or chunk.get("text") for chunk in chunks}


def _tell_part(part: Any) -> dict[str, Any]:
    marks = part.meta.get(NAME, {})
    match part:
        case TextPart() | ReasoningPart():
            assert isinstance(part, ReasoningPart) is (marks.get("thought") is True)
            return {"text": part.text, **marks}
        case ToolCall(executed=False):
            call = {"name": part.name, **({"args": json.loads(part.arguments)} if part.arguments else {})}
            call |= {} if part.id.startswith("polyvox_") else {"id": part.id}
            return {**marks, "functionCall": {**call, **marks.get("functionCall", {})}}
        case ToolCall() | ToolResult() | OpaquePart():
            return dict(marks)
        case FilePart(data=bytes(data)):
            return {"inlineData": {"mimeType": part.media_type, "data": len(data)}, **marks}
        case FilePart(data=Url(url)):
            return {"fileData": {"mimeType": part.media_type, "fileUri": url}, **marks}
    raise AssertionError(f"a part that no recording holds: {part!r}")


# Law 5: nothing is lost on the way through this wire and back, but what never was on it.


def writable(response: GenerateResponse[Any]) -> Any:
    """Return the answer as this wire can say it: an end that is not said is said to be unspecified.

    A frame is one line: of the arguments, which stand there as they were written, line ends become spaces.
    """
    finish = response.finish or Finish("other", "FINISH_REASON_UNSPECIFIED")
    content = tuple(_on_one_line(part) for part in response.content)
    meta = _without_logprobs(response.meta)
    return structs.replace(response, raw=None, content=content, finish=finish, meta=meta)


def _on_one_line(part: Any) -> Any:
    if not isinstance(part, ToolCall):
        return part
    return structs.replace(part, arguments=part.arguments.replace("\n", " "))


def _without_logprobs(meta: dict[str, Any]) -> dict[str, Any]:
    """Return a meta less the tokens' ids, which a stream that is written again does not tell."""
    marks = dict(meta.get(NAME, {}))
    candidate = {name: value for name, value in marks.pop("candidate", {}).items() if name != "logprobsResult"}
    marks = {**marks, "candidate": candidate} if candidate else marks
    return {NAME: marks} if marks else {}
