"""The arithmetic of usage on this wire, for everyone who speaks it.

The rule: our totals include everything (cache inside input, reasoning inside output), and what is not said is `None`.
https://platform.openai.com/docs/api-reference/responses/object#responses/object-usage
"""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

from polyvox.types.usage import Usage

# https://docs.x.ai/docs/api-reference: `cost_in_usd_ticks`, 10^10 of them a dollar.
_TICKS: Final = 10_000_000_000


def decode_usage(usage: dict[str, Any]) -> Usage:
    """Return the usage object as our totals.

    - `input_tokens` includes cached ones and those written to the cache, `output_tokens` includes reasoning: at every
      service, xAI included (unlike on the chat wire).
    - Cached tokens stand in `input_tokens_details.cached_tokens`, those written beside them as `cache_write_tokens`;
      Perplexity says `cache_read_input_tokens` and `cache_creation_input_tokens`.
    - The cost in dollars stands in `cost` (OpenRouter: a number; Perplexity: an object), or (xAI) in ticks.
    - What hosted tools used stands outside, in `tool_usage`: it is kept in the answer's meta.
    """
    told, made = _details(usage, "input_tokens_details"), _details(usage, "output_tokens_details")
    return Usage(
        input_tokens=_count(usage, "input_tokens"),
        output_tokens=_count(usage, "output_tokens"),
        cache_read_tokens=_first(told, "cached_tokens", "cache_read_input_tokens"),
        cache_write_tokens=_first(told, "cache_write_tokens", "cache_creation_input_tokens"),
        reasoning_tokens=_count(made, "reasoning_tokens"),
        audio_input_tokens=_count(told, "audio_tokens"),
        audio_output_tokens=_count(made, "audio_tokens"),
        reported_cost=_reported_cost(usage),
        raw=usage,
    )


def encode_usage(usage: Usage) -> dict[str, Any] | None:
    """Return our totals as the wire's object, `None` where nothing is known.

    What this wire itself said, and nobody changed, goes back as it was.
    """
    raw = usage.raw
    if raw and "input_tokens" in raw and "total_tokens" in raw and decode_usage(raw) == usage:
        return raw
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    told = {
        "cached_tokens": usage.cache_read_tokens or 0,
        "cache_write_tokens": usage.cache_write_tokens,
        "audio_tokens": usage.audio_input_tokens,
    }
    made = {"reasoning_tokens": usage.reasoning_tokens or 0, "audio_tokens": usage.audio_output_tokens}
    said: dict[str, Any] = {
        "input_tokens": usage.input_tokens or 0,
        "input_tokens_details": {name: count for name, count in told.items() if count is not None},
        "output_tokens": usage.output_tokens or 0,
        "output_tokens_details": {name: count for name, count in made.items() if count is not None},
        "total_tokens": usage.total_tokens,
    }
    if usage.reported_cost is not None:
        said["cost"] = usage.reported_cost
    return said


def _details(usage: dict[str, Any], name: str) -> dict[str, Any]:
    details = usage.get(name)
    return details if isinstance(details, dict) else {}


def _number(value: Any) -> float | None:
    # Infinity is no count, and no whole number.
    number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    return value if number else None


def _count(owner: dict[str, Any], name: str) -> int | None:
    number = _number(owner.get(name))
    return None if number is None else int(number)


def _first(owner: dict[str, Any], *names: str) -> int | None:
    return next((count for name in names if (count := _count(owner, name)) is not None), None)


def _reported_cost(usage: dict[str, Any]) -> float | None:
    cost = usage.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    number = _number(cost)
    if number is not None:
        return float(number)
    ticks = _number(usage.get("cost_in_usd_ticks"))
    return None if ticks is None else ticks / _TICKS
