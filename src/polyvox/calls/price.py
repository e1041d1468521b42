"""What an answer cost: the provider's own figure where it gives one, else the model row's price, else `None`.

The rule: never 0 for "unknown", and a cost says its source and date.
"""

from __future__ import annotations

from polyvox.types.models import ModelConfig
from polyvox.types.usage import Cost, Usage

_MILLION = 1_000_000


def cost_of(usage: Usage, row: ModelConfig | None) -> Cost | None:
    """Return the cost of a call, `None` where nobody says."""
    if usage.reported_cost is not None:
        return Cost(usage.reported_cost)
    price = row.price if row else None
    if price is None or price.input is None or price.output is None:
        return None
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    cached, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    # Where the table has no price for cached tokens, they count as plain input: an upper bound.
    cache_read = price.input if price.cache_read is None else price.cache_read
    cache_write = price.input if price.cache_write is None else price.cache_write
    plain = max(0, usage.input_tokens - cached - written)
    amount = plain * price.input + cached * cache_read + written * cache_write + usage.output_tokens * price.output
    return Cost(amount / _MILLION, source=price.source or "model row", date=price.date)
