"""A server's half of an answer: our response as a `chat.completion` body. `chunks.py` writes streams in the same words.

The rule: what a client of this wire reads is written as OpenAI writes it; reasoning goes as `reasoning_content`, which
most of its clients know; what the wire's services said beside it goes back where it stood. What the wire has no place
for is listed as a loss in docs/dialects/openai-chat.md. https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from polyvox.dialects._media import encode_base64, encode_data_url
from polyvox.dialects.openai.chat import wire
from polyvox.dialects.openai.chat.fields import DIALECT
from polyvox.dialects.openai.chat.usage import encode_usage
from polyvox.framing import json
from polyvox.types.generate import Finish, GenerateResponse
from polyvox.types.parts import (
    FilePart,
    Meta,
    Part,
    ReasoningPart,
    Source,
    SourcePart,
    TextPart,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Url,
)

_FINISHES: Final = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "pause": "stop",
    "error": "error",
    "other": "stop",
}


def encode_finish(finish: Finish | None, *, legacy: bool = False) -> str:
    """Return the wire's word for why an answer ended; `legacy`: it has the old `function_call`."""
    word = _FINISHES[finish.reason] if finish is not None else "stop"
    return "function_call" if legacy and word == "tool_calls" else word


def encode_response(response: GenerateResponse[Any]) -> bytes:
    """Return a `chat.completion` body."""
    choices = [_choice(0, response.content, response.finish, response.meta)]
    choices += [_choice(other.index, other.content, other.finish, other.meta) for other in response.alternatives]
    body: dict[str, Any] = {
        "id": response.id or "",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": response.model or "",
        "choices": choices,
        **marks(response.meta, wire.ENVELOPE),
        **encode_search(part for part in response.content if isinstance(part, SourcePart)),
    }
    usage = encode_usage(response.usage)
    if usage is not None:
        body["usage"] = usage
    return json.encode(body)


def own(meta: Meta) -> dict[str, Any]:
    """Return what this wire said of something."""
    return meta.get(DIALECT, {})


def marks(meta: Meta, names: Iterable[str]) -> dict[str, Any]:
    """Return those members that a service of this wire said, and that go back where they stood."""
    said = own(meta)
    return {name: said[name] for name in names if name in said}


def _choice(index: int, content: Sequence[Part], finish: Finish | None, meta: Meta) -> dict[str, Any]:
    message = encode_message(content)
    return {
        "index": index,
        "message": {**message, **marks(meta, wire.MESSAGE)},
        "logprobs": encode_logprobs(content, meta),
        "finish_reason": encode_finish(finish, legacy="function_call" in message),
        **marks(meta, wire.CHOICE),
    }


def encode_message(content: Sequence[Part]) -> dict[str, Any]:
    """Return the assistant's message."""
    texts = [part for part in content if isinstance(part, TextPart)]
    said = [part.text for part in texts if not part.refusal and not is_transcript(part.meta)]
    refusals = [part.text for part in texts if part.refusal]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(said) if said else None,
        "refusal": "".join(refusals) if refusals else None,
    }
    reasoning = [part for part in content if isinstance(part, ReasoningPart)]
    if any(part.text for part in reasoning):
        message["reasoning_content"] = "\n\n".join(part.text for part in reasoning if part.text)
    calls = [part for part in content if isinstance(part, ToolCall) and not part.executed]
    for call in calls:
        if is_legacy(call.meta):
            message["function_call"] = {"name": call.name, "arguments": call.arguments}
    lists = {
        "reasoning_details": [item for part in reasoning for item in own(part.meta).get("reasoning_details", ())],
        "annotations": encode_annotations(texts),
        "tool_calls": [encode_call(call, call.arguments) for call in calls if not is_legacy(call.meta)],
        "executed_tools": encode_executed(content),
    }
    message.update((name, items) for name, items in lists.items() if items)
    _add_files(message, content, "".join(part.text for part in texts if is_transcript(part.meta)))
    return message


def _add_files(message: dict[str, Any], content: Sequence[Part], transcript: str) -> None:
    audio: dict[str, Any] = {}
    for part in content:
        if isinstance(part, TextPart) and is_transcript(part.meta):
            audio.update(own(part.meta).get("audio", {}))
        elif isinstance(part, FilePart) and part.media_type.startswith("audio/") and isinstance(part.data, bytes):
            audio |= {**own(part.meta).get("audio", {}), "data": encode_base64(part.data)}
        elif isinstance(part, FilePart) and (image := encode_image(part)) is not None:
            message.setdefault("images", []).append(image)
    if transcript:
        audio["transcript"] = transcript
    if audio:
        message["audio"] = audio


def encode_image(part: FilePart) -> dict[str, Any] | None:
    """Return a picture as OpenRouter writes it, `None` for a file that is only known by another service's id."""
    if isinstance(part.data, bytes):
        url = encode_data_url(part.media_type, part.data)
    elif isinstance(part.data, Url):
        url = part.data.url
    else:
        return None
    return {"type": "image_url", "image_url": {"url": url}, **own(part.meta)}


def is_transcript(meta: Meta) -> bool:
    """Tell whether a text is the transcript of a spoken answer."""
    return bool(own(meta).get("transcript"))


def is_legacy(meta: Meta) -> bool:
    """Tell whether a call is the old `function_call`."""
    return own(meta).get("form") == "function_call"


def encode_annotations(texts: Iterable[TextPart]) -> list[dict[str, Any]]:
    """Return citations as annotations; offsets count from the start of all the message's text."""
    said: list[dict[str, Any]] = []
    offset = 0
    for part in texts:
        if not part.refusal and not is_transcript(part.meta):
            said += [encode_source(source, offset) for source in part.sources]
            offset += len(part.text)
    return said


def encode_source(source: Source, offset: int) -> dict[str, Any]:
    """Return one annotation."""
    rest = own(source.meta)
    if "annotation" in rest:
        annotation: dict[str, Any] = rest["annotation"]
        return annotation
    held: dict[str, Any] = {"url": source.url or "", "title": source.title or ""}
    if source.text is not None:
        held["content"] = source.text
    if source.start is not None:
        held["start_index"] = source.start + offset
    if source.end is not None:
        held["end_index"] = source.end + offset
    return {"type": "url_citation", "url_citation": {**rest, **held}}


def encode_search(sources: Iterable[SourcePart]) -> dict[str, Any]:
    """Return search results bound to no text as members of the envelope, as Perplexity writes them."""
    results = []
    for part in sources:
        said = {"title": part.title, "url": part.url, "snippet": part.text}
        results.append({name: value for name, value in said.items() if value is not None} | own(part.meta))
    if not results:
        return {}
    urls = [result["url"] for result in results if "url" in result]
    if all(result.keys() == {"url"} for result in results):
        return {"citations": urls}
    return {"citations": urls, "search_results": results}


def encode_call(call: ToolCall, arguments: str) -> dict[str, Any]:
    """Return one tool call."""
    if call.kind == "custom":
        told: dict[str, Any] = {"type": "custom", "custom": {"name": call.name, "input": arguments}}
    else:
        told = {"type": "function", "function": {"name": call.name, "arguments": arguments}}
    return {"id": call.id, **told, **marks(call.meta, ("extra_content",))}


def encode_executed(content: Iterable[Part]) -> list[dict[str, Any]]:
    """Return the calls that a service ran itself, with what came of them, as Groq writes them."""
    said: dict[str, dict[str, Any]] = {}
    for part in content:
        if isinstance(part, ToolCall) and part.executed:
            made = {"index": len(said), "type": part.name, "arguments": part.arguments}
            said[part.id] = dict(own(part.meta).get("executed_tool", made))
        elif isinstance(part, ToolResult) and part.id in said:
            said[part.id].setdefault("output", part.text)
    return list(said.values())


def encode_logprobs(content: Iterable[Part], meta: Meta) -> dict[str, Any] | None:
    """Return the tokens' probabilities, `None` where there are none."""
    held: dict[str, list[Any]] = {"content": [], "refusal": []}
    for part in content:
        if isinstance(part, TextPart):
            held["refusal" if part.refusal else "content"] += map(encode_logprob, part.logprobs or ())
    for name, tokens in own(meta).get("logprobs", {}).items():
        held[name] = [*held.get(name, ()), *tokens]
    return {name: tokens or None for name, tokens in held.items()} if any(held.values()) else None


def encode_logprob(token: TokenLogprob) -> dict[str, Any]:
    """Return one token's probability."""
    return {
        "token": token.token,
        "logprob": token.logprob,
        "bytes": None if token.bytes is None else list(token.bytes),
        "top_logprobs": [encode_logprob(other) for other in token.top],
    }
