"""The arithmetic of usage on this wire.

The rule: our totals include everything (cache inside input, thoughts inside output), and what is not said is `None`.
https://ai.google.dev/api/generate-content#UsageMetadata
"""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

from polyvox.dialects.gemini import wire
from polyvox.types.usage import Usage

_AUDIO: Final = ("AUDIO", 4)


def decode_usage(usage: dict[str, Any]) -> Usage:
    """Return `usageMetadata` as our totals.

    - `promptTokenCount` includes what was read from a cache (`cachedContentTokenCount`), but not what tools of the
      provider's put before the model (`toolUsePromptTokenCount`): the whole input is both.
    - `candidatesTokenCount` leaves thoughts out: the whole output is it and `thoughtsTokenCount`.
    - A count of zero is not written: where the total is the input alone, the output was 0.
    - Sound among the tokens stands in the lists by modality.
    """
    prompt, tools = _count(usage, "promptTokenCount"), _count(usage, "toolUsePromptTokenCount")
    answered, thought = _count(usage, "candidatesTokenCount"), _count(usage, "thoughtsTokenCount")
    told = None if prompt is None and tools is None else (prompt or 0) + (tools or 0)
    output = None if answered is None and thought is None else (answered or 0) + (thought or 0)
    if output is None and told is not None and _count(usage, "totalTokenCount") == told:
        output = 0
    return Usage(
        input_tokens=told,
        output_tokens=output,
        cache_read_tokens=_count(usage, "cachedContentTokenCount"),
        reasoning_tokens=thought,
        audio_input_tokens=_sound(usage.get("promptTokensDetails")),
        audio_output_tokens=_sound(usage.get("candidatesTokensDetails")),
        raw=usage,
    )


def decode_counts(counts: wire.Counts) -> Usage:
    """Return the running totals of a chunk that is not the last: the same arithmetic, without what the lists tell."""
    prompt, answered, thought = counts.promptTokenCount, counts.candidatesTokenCount, counts.thoughtsTokenCount
    told = prompt if counts.toolUsePromptTokenCount is None else (prompt or 0) + counts.toolUsePromptTokenCount
    output = answered if thought is None else (answered or 0) + thought
    if output is None and told is not None and counts.totalTokenCount == told:
        output = 0
    return Usage(told, output, counts.cachedContentTokenCount, None, thought)


def encode_usage(usage: Usage) -> dict[str, Any]:
    """Return our totals as the wire's object. What this wire itself said, and nobody changed, goes back as it was."""
    raw = usage.raw
    ours = raw is not None and any(name == "trafficType" or name.endswith("TokenCount") for name in raw)
    if raw is not None and ours and decode_usage(raw) == usage:
        return raw
    said: dict[str, Any] = {}
    if usage.input_tokens is not None:
        said["promptTokenCount"] = usage.input_tokens
    thought = usage.reasoning_tokens
    if usage.output_tokens is not None:
        # Some services count more thought than output: the whole is what is paid for.
        thought = None if thought is None else min(thought, usage.output_tokens)
        said["candidatesTokenCount"] = usage.output_tokens - (thought or 0)
    if thought is not None:
        said["thoughtsTokenCount"] = thought
    if usage.cache_read_tokens is not None:
        said["cachedContentTokenCount"] = usage.cache_read_tokens
    if usage.total_tokens is not None:
        said["totalTokenCount"] = usage.total_tokens
    for name, count in (
        ("promptTokensDetails", usage.audio_input_tokens),
        ("candidatesTokensDetails", usage.audio_output_tokens),
    ):
        if count is not None:
            said[name] = [{"modality": "AUDIO", "tokenCount": count}]
    return said


def merge_usage(known: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    """Return the usage so far. Every chunk has running totals, the last of which count; one without any adds to it."""
    return update if "totalTokenCount" in update or "promptTokenCount" in update else {**known, **update}


def _count(owner: Any, name: str) -> int | None:
    count = owner.get(name) if isinstance(owner, dict) else None
    # Infinity is no count, and no whole number.
    if isinstance(count, bool) or not isinstance(count, int | float) or not isfinite(count):
        return None
    return int(count)


def _sound(details: Any) -> int | None:
    if not isinstance(details, list):
        return None
    counts = [
        _count(one, "tokenCount") or 0 for one in details if isinstance(one, dict) and one.get("modality") in _AUDIO
    ]
    return sum(counts) if counts else None
