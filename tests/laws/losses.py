"""What of an answer another wire can carry: the meaning of an answer, and what each dialect declares that it loses.

The rule: a loss stands here only if the page of its dialect (`docs/dialects/`) names it; `test_crossing` looks.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from msgspec import structs

from polyvox.dialects._media import sniff
from polyvox.types.generate import GenerateResponse
from polyvox.types.parts import FilePart, SourcePart, TextPart, TokenLogprob, ToolCall, ToolResult

Gist = dict[str, Any]


class Losses(NamedTuple):
    """What a dialect loses: `page` is its page, `words` stand there, `lose` takes it out of what must come back."""

    page: str
    words: tuple[str, ...]
    lose: Callable[[Gist], None]


def gist(response: GenerateResponse[Any]) -> Gist:
    """Return what an answer says to a user, in plain words, without the bookkeeping of its wire."""
    usage = response.usage
    content = response.content
    return {
        "text": response.text,
        "reasoning": response.reasoning,
        "refusal": response.refusal or "",
        "calls": [(call.id, call.name, call.kind, _arguments(call.arguments)) for call in response.tool_calls],
        "executed": [part.name for part in content if isinstance(part, ToolCall) and part.executed],
        "results": [(part.name, part.text) for part in content if isinstance(part, ToolResult)],
        "files": [
            (part.media_type, part.data or part.url or part.file_id) for part in content if isinstance(part, FilePart)
        ],
        "cited": [
            (source.url or source.title or "", source.title or "", source.text or "", source.start, source.end)
            for part in content
            if isinstance(part, TextPart)
            for source in part.sources
        ],
        "sources": [part.url or part.title or "" for part in content if isinstance(part, SourcePart)],
        "finish": response.finish.reason if response.finish else None,
        "word": response.finish.raw if response.finish else None,
        "tokens": (usage.input_tokens, usage.output_tokens) if usage else (None, None),
        "cached": (usage.cache_read_tokens, usage.cache_write_tokens) if usage else (None, None),
        "reasoned": usage.reasoning_tokens if usage else None,
        "logprobs": [part.logprobs for part in content if isinstance(part, TextPart) and part.logprobs],
        "alternatives": [alternative.text for alternative in response.alternatives],
        "id": response.id,
        "model": response.model,
    }


def _arguments(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else {}
    except ValueError:
        return text


def _calls_as_objects(told: Gist) -> None:
    """Arguments are objects on the wire: a custom tool's text is one member, and what is no JSON is `{}`."""
    told["calls"] = [
        (name, tool, "function", {"input": said} if kind == "custom" else said if isinstance(said, dict) else {})
        for name, tool, kind, said in told["calls"]
    ]


def _refusal_as_text(told: Gist) -> None:
    told["text"] += told["refusal"]
    told["refusal"] = ""


def _spans(told: Gist) -> None:
    told["cited"] = [(*cited[:3], None, None) for cited in told["cited"]]


def _unknown_counts(told: Gist) -> None:
    """Of input and output, the one that is not known is 0 where the other is known."""
    if told["tokens"] != (None, None):
        told["tokens"] = tuple(count or 0 for count in told["tokens"])


def _lose_openai(told: Gist) -> None:
    if told["finish"] in ("pause", "other", None):
        told["finish"] = "stop"
    _unknown_counts(told)
    told["files"] = [("audio/*" if kind.startswith("audio/") else kind, data) for kind, data in told["files"]]


def _lose_anthropic(told: Gist) -> None:
    _refusal_as_text(told)
    _calls_as_objects(told)
    _spans(told)
    told["alternatives"] = told["logprobs"] = []
    if told["finish"] == "error" or (told["finish"] == "other" and told["word"] is None):
        told["finish"] = "stop"
    elif told["finish"] is None:
        told["finish"] = "other"
    told["tokens"] = tuple(count or 0 for count in told["tokens"])


def _lose_openai_responses(told: Gist) -> None:
    told["alternatives"] = []
    told["cited"] = [(url, title, "", start or 0, end or 0) for url, title, _, start, end in told["cited"]]
    if told["finish"] in ("pause", "error"):
        told["finish"] = "other"
    _unknown_counts(told)
    if told["tokens"] != (None, None):
        told["cached"] = (told["cached"][0] or 0, told["cached"][1])
        told["reasoned"] = told["reasoned"] or 0
    told["files"] = [file for file in told["files"] if file[0].startswith("image/")]
    told["executed"] += ["image_generation"] * len(told["files"])


def _lose_gemini(told: Gist) -> None:
    _refusal_as_text(told)
    _calls_as_objects(told)
    if told["finish"] is None:
        told["finish"] = "other"
    told["cached"] = (told["cached"][0], None)
    if told["reasoned"] is not None and told["tokens"][1] is not None:
        told["reasoned"] = min(told["reasoned"], told["tokens"][1])
    told["logprobs"] = [tuple(map(_without_bytes, tokens)) for tokens in told["logprobs"]]


def _lose_ollama(told: Gist) -> None:
    _refusal_as_text(told)
    _calls_as_objects(told)
    told["executed"], told["results"], told["cited"], told["sources"], told["alternatives"] = [], [], [], [], []
    told["files"] = [
        (sniff(data) or "image/*", data)
        for kind, data in told["files"]
        if kind.startswith("image/") and isinstance(data, bytes)
    ]
    told["cached"], told["reasoned"], told["id"] = (None, None), None, None
    if told["finish"] in ("stop", None) and told["calls"]:
        told["finish"] = "tool_calls"
    elif told["finish"] is None:
        told["finish"] = "other"


def _without_bytes(token: TokenLogprob) -> TokenLogprob:
    return structs.replace(token, bytes=None, top=tuple(map(_without_bytes, token.top)))


LOSSES: Final = {
    "openai": Losses(
        "openai-chat.md",
        ("`finish` `pause` and `other`", "of input and output tokens, the one that is not known |"),
        _lose_openai,
    ),
    "anthropic": Losses(
        "anthropic.md",
        (
            "a refusal's text reads back as text; `logprobs`, `alternatives`",
            "on the whole of its part",
            "arguments that are no object are `{}`",
            "a finish of `error`, or of `other` without a word, is `end_turn`",
            "usage that is not known is 0",
        ),
        _lose_anthropic,
    ),
    "openai_responses": Losses(
        "openai-responses.md",
        (
            "whose `text` is lost, and whose place is 0 where it is not known",
            "`alternatives`, an `OpaquePart` of another dialect",
            "a finish of `pause` or `error` is `incomplete` with that word, and reads back as `other`",
            "tokens that are not known are 0",
        ),
        _lose_openai_responses,
    ),
    "gemini": Losses(
        "gemini.md",
        (
            "a refusal's text reads back as text",
            "arguments that are no object are `{}`",
            "an end that is not said is `other`",
            "what was written to a cache, and the bytes of a token",
            "reasoning beyond the whole output is cut to it",
        ),
        _lose_gemini,
    ),
    "ollama": Losses(
        "ollama.md",
        (
            "the answer's id; a refusal's text reads back as text",
            "citations, `SourcePart`s, tools that a provider ran itself and their results",
            "files that are no pictures",
            "the type of a picture whose first bytes do not tell it",
            "`alternatives`; cache and reasoning tokens",
            "arguments that are no object are `{}`",
            "an end that is not said is `other`",
            "a finish of `stop` after calls reads back as `tool_calls`",
        ),
        _lose_ollama,
    ),
}
