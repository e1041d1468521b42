"""The arithmetic of usage on this wire, for everyone who speaks it.

The rule: our totals include everything (cache inside input, reasoning inside output), and what is not said is `None`.
"""

from __future__ import annotations

import math
from typing import Any, Final

from polyvox.types.usage import Usage

# https://docs.x.ai/docs/api-reference: `cost_in_usd_ticks`, 10^10 of them a dollar.
_TICKS: Final = 10_000_000_000
# Other places of cached tokens: DeepSeek's, Mistral's, Moonshot's, Anthropic's behind a proxy.
_CACHED: Final = ("prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens", "cache_read_input_tokens")


def decode_usage(usage: dict[str, Any]) -> Usage:
    """Return the usage object as our totals.

    - OpenAI and most others: `prompt_tokens` includes cached and audio tokens, `completion_tokens` includes reasoning.
    - xAI: `completion_tokens` excludes reasoning. It is told without a name: only there does the total equal prompt,
      completion and reasoning together. Its cached tokens may exceed its prompt tokens: then they stand beside them.
    - Mistral: `prompt_tokens` excludes those of sound, told in the same way.
    - Gemini's OpenAI endpoint: thinking is counted in the total alone, and nowhere named.
    - Cached tokens stand in `prompt_tokens_details`, or (DeepSeek) as `prompt_cache_hit_tokens`, (Mistral, Moonshot) as
      `num_cached_tokens` or `cached_tokens`, (Anthropic behind a proxy) as `cache_read_input_tokens`.
    - The cost in dollars stands in `cost` (OpenRouter: a number; Perplexity: an object), or (xAI) in ticks.
    """
    prompt = _count(usage, "prompt_tokens")
    completion, total = _count(usage, "completion_tokens"), _count(usage, "total_tokens")
    told, made = _details(usage, "prompt_tokens_details"), _details(usage, "completion_tokens_details")
    reasoning = _first(made, "reasoning_tokens", usage, "reasoning_tokens")
    cached = _first(told, "cached_tokens", usage, *_CACHED)
    heard = _first(told, "audio_tokens", usage, "audio_prompt_tokens")
    if prompt is not None and completion is not None and total is not None and total > prompt + completion:
        beside = total - prompt - completion
        if beside == heard and beside != reasoning:
            prompt += beside
        elif beside == reasoning or not reasoning:
            completion += beside
    if prompt is not None and cached is not None and cached > prompt:
        prompt += cached
    return Usage(
        input_tokens=prompt,
        output_tokens=completion,
        cache_read_tokens=cached,
        cache_write_tokens=_first(told, "cache_write_tokens", usage, "cache_creation_input_tokens")
        if "cache_creation_input_tokens" not in told
        else _count(told, "cache_creation_input_tokens"),
        reasoning_tokens=reasoning,
        audio_input_tokens=heard,
        audio_output_tokens=_count(made, "audio_tokens"),
        reported_cost=_reported_cost(usage),
        raw=usage,
    )


def encode_usage(usage: Usage) -> dict[str, Any] | None:
    """Return our totals as the wire's object, `None` where nothing is known. Made of our totals: a client reads them
    as OpenAI's, whoever answered."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    said: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens or 0,
        "completion_tokens": usage.output_tokens or 0,
        "total_tokens": usage.total_tokens,
    }
    told = {
        "cached_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "audio_tokens": usage.audio_input_tokens,
    }
    made = {"reasoning_tokens": usage.reasoning_tokens, "audio_tokens": usage.audio_output_tokens}
    for name, details in (("prompt_tokens_details", told), ("completion_tokens_details", made)):
        known = {member: count for member, count in details.items() if count is not None}
        if known:
            said[name] = known
    if usage.reported_cost is not None:
        said["cost"] = usage.reported_cost
    return said


def _details(usage: dict[str, Any], name: str) -> dict[str, Any]:
    details = usage.get(name)
    return details if isinstance(details, dict) else {}


def _count(owner: dict[str, Any], name: str) -> int | None:
    value = owner.get(name)
    if type(value) is int:
        return value
    return int(value) if isinstance(value, float) and math.isfinite(value) else None


def _first(inner: dict[str, Any], name: str, outer: dict[str, Any], *names: str) -> int | None:
    """Return the count in the details, else the first of its other places that has one."""
    count = _count(inner, name) if inner else None
    if count is not None:
        return count
    for other in names:
        if other in outer and (count := _count(outer, other)) is not None:
            return count
    return None


def _reported_cost(usage: dict[str, Any]) -> float | None:
    cost = usage.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    if isinstance(cost, int | float):
        return float(cost)
    ticks = usage.get("cost_in_usd_ticks")
    return ticks / _TICKS if isinstance(ticks, int | float) else None
