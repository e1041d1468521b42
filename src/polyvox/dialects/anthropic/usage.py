"""The arithmetic of usage on this wire.

The rule: our totals include everything (cache inside input, thinking inside output), and what is not said is `None`.
https://docs.anthropic.com/en/api/messages#response-usage
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from polyvox.types.usage import Usage


def decode_usage(usage: dict[str, Any]) -> Usage:
    """Return the usage object as our totals.

    - `input_tokens` leaves the cache out: the whole input is it, what was written to the cache and what was read.
    - `output_tokens` includes thinking; `output_tokens_details.thinking_tokens` tells how much.
    - Where the server sampled more than once (compaction, fallback), `iterations` lists each time, and the members at
      the top tell the last only: the totals are then the sums over the list.
    - `cost` is a proxy's own figure in dollars (OpenRouter).
    """
    iterations = usage.get("iterations")
    rounds = [one for one in iterations if isinstance(one, dict)] if isinstance(iterations, list) else []
    counted = rounds if len(rounds) > 1 else [usage]
    plain = _sum(counted, "input_tokens")
    read = _sum(counted, "cache_read_input_tokens")
    written = _sum(counted, "cache_creation_input_tokens")
    details = usage.get("output_tokens_details")
    cost = usage.get("cost")
    return Usage(
        input_tokens=None if plain is None else plain + (read or 0) + (written or 0),
        output_tokens=_sum(counted, "output_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=_sum([details], "thinking_tokens") if isinstance(details, dict) else None,
        reported_cost=float(cost) if isinstance(cost, int | float) and not isinstance(cost, bool) else None,
        raw=usage,
    )


def encode_usage(usage: Usage) -> dict[str, Any]:
    """Return our totals as the wire's object. What this wire itself said, and nobody changed, goes back as it was."""
    raw = usage.raw
    if raw and "input_tokens" in raw and "total_tokens" not in raw and decode_usage(raw) == usage:
        return raw
    read, written = usage.cache_read_tokens, usage.cache_write_tokens
    said: dict[str, Any] = {
        "input_tokens": max(0, (usage.input_tokens or 0) - (read or 0) - (written or 0)),
        "output_tokens": usage.output_tokens or 0,
    }
    if written is not None:
        said["cache_creation_input_tokens"] = written
    if read is not None:
        said["cache_read_input_tokens"] = read
    if usage.reasoning_tokens is not None:
        said["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    if usage.reported_cost is not None:
        said["cost"] = usage.reported_cost
    return said


def merge_usage(known: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    """Return the usage so far. Counts are cumulative: what is said later replaces; a null says nothing."""
    return {**known, **{name: value for name, value in update.items() if value is not None or name not in known}}


def _sum(owners: list[dict[str, Any]], name: str) -> int | None:
    counts = [owner.get(name) for owner in owners]
    # Infinity is no count, and no whole number.
    numbers = [count for count in counts if isinstance(count, int | float) and not isinstance(count, bool)]
    said = [int(number) for number in numbers if isfinite(number)]
    return sum(said) if said else None
