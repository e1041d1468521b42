"""The arithmetic of usage on this wire.

The rule: what is not said is `None`. Counts and durations stand side by side in the last line; both are kept.
https://docs.ollama.com/api/usage
"""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

from polyvox.dialects._reading import JSONObject
from polyvox.types.usage import Usage

COUNTS: Final = ("prompt_eval_count", "eval_count")
DURATIONS: Final = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
"""Nanoseconds."""

METRICS: Final = (*COUNTS, *DURATIONS)


def decode_usage(held: JSONObject) -> Usage:
    """Return the metrics of an answer's last line as our totals.

    - `prompt_eval_count` is the whole prompt. Where the prompt was cached older servers leave it out: not known then,
      not zero.
    - `eval_count` is the whole answer, thinking included; how much of it was thinking is not told.
    - `raw` holds the counts and the durations, the latter in nanoseconds.
    """
    said = {name: held[name] for name in METRICS if held.get(name) is not None}
    if not said:
        return Usage()
    return Usage(
        input_tokens=_count(said.get("prompt_eval_count")), output_tokens=_count(said.get("eval_count")), raw=said
    )


def encode_usage(usage: Usage) -> dict[str, Any]:
    """Return our totals as the wire's members. What this wire itself said, and nobody changed, goes back as it was."""
    raw = usage.raw
    if raw and raw.keys() <= set(METRICS) and decode_usage(raw) == usage:
        return raw
    counts = zip(COUNTS, (usage.input_tokens, usage.output_tokens), strict=True)
    return {name: count for name, count in counts if count is not None}


def _count(value: Any) -> int | None:
    # Infinity is no count, and no whole number.
    known = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    return int(value) if known else None
