"""Usage and cost. The rule: `None` means "not said", never zero; totals are totals (cache inside input, reasoning
inside output), and each dialect's arithmetic to get there is one commented function.

The names are those of OpenTelemetry's GenAI conventions.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Usage(Struct, frozen=True, omit_defaults=True):
    """Tokens of a call.

    `input_tokens` includes cache reads and writes; `output_tokens` includes reasoning. `reported_cost` is the
    provider's own figure in US dollars, where it gives one. `raw` is the wire's usage object as received.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    reported_cost: float | None = None
    raw: dict[str, Any] | None = None

    @property
    def total_tokens(self) -> int | None:
        """Input and output together; `None` where neither is known."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        return (self.input_tokens or 0) + (self.output_tokens or 0)


class Cost(Struct, frozen=True, omit_defaults=True):
    """What a call cost. `source` says who says so: `provider`, or the price table's name; `date` is the table's."""

    amount: float
    currency: str = "USD"
    source: str = "provider"
    date: str | None = None


class RateLimits(Struct, frozen=True, omit_defaults=True):
    """What the provider's headers said of its limits. Resets are seconds from the answer."""

    limit_requests: int | None = None
    remaining_requests: int | None = None
    reset_requests: float | None = None
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    reset_tokens: float | None = None


class Timing(Struct, frozen=True, omit_defaults=True):
    """Seconds from the start of the call to the connection's answer head, the first event, and the end."""

    connect: float | None = None
    first_event: float | None = None
    total: float | None = None


class Attempt(Struct, frozen=True, omit_defaults=True):
    """One request that was sent upstream for a call, and how it ended (`error` is `None` where it went well).

    `endpoint` names which of a provider's keys or endpoints it went to, where there are several. `usage` is what a
    request used whose answer was not taken (the loser of a hedge), as far as it said so.
    """

    provider: str
    model: str
    started: float
    seconds: float | None = None
    error: str | None = None
    endpoint: str | None = None
    usage: Usage | None = None
