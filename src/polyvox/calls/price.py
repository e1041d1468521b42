"""What an answer cost: the provider's own figure where it gives one, else the model row's price, else `None`.

The rule: never 0 for "unknown", and a cost says its source and date. Where the table has no rate for a kind of token,
the plain rate of its side counts; where the row has no rate for how the call was served, nothing is claimed.
"""

from __future__ import annotations

import time
from typing import Final, Literal

from polyvox.types.models import ModelConfig, PeakRates, Price, PriceTier, Rates
from polyvox.types.usage import Cost, Usage

Side = Literal["input", "output"]

_MILLION: Final = 1_000_000
# The words that ask for nothing special: https://platform.openai.com/docs/guides/flex-processing and its like.
_PLAIN_TARIFFS: Final = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand"})
_RATES: Final = {
    "input": ("input", "cache_read", "cache_write", "cache_write_1h", "audio_input"),
    "output": ("output", "audio_output"),
}


def cost_of(
    usage: Usage, row: ModelConfig | None, *, tariff: str | None = None, at: float | None = None
) -> Cost | None:
    """Return the cost of a call, `None` where nobody says.

    `tariff` is how it was served: `batch`, or the service tier that was asked for. `at` is when, in seconds since the
    epoch (`None`: now): some services cost more at some hours.
    """
    if usage.reported_cost is not None:
        return Cost(usage.reported_cost)
    price = row.price if row else None
    if price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    rates = rates_of(price, tariff=tariff, at=at)
    if rates is None:
        return None
    tier = _tier(rates, usage.input_tokens) if rates.tiers else None
    plain, out = _rate(tier, rates, "input"), _rate(tier, rates, "output")
    if plain is None or (out is None and usage.output_tokens):
        return None
    amount = _input_amount(usage, rates, tier, plain) + _output_amount(usage, rates, tier, out or 0.0)
    return Cost(amount / _MILLION, source=price.source or "model row", date=price.date)


def rates_of(price: Price, *, tariff: str | None = None, at: float | None = None) -> Rates | None:
    """Return the rates that hold for how and when a call is served, `None` where that tariff's are not known."""
    if tariff is not None and tariff not in _PLAIN_TARIFFS:
        return price.tariffs.get(tariff)
    if price.peaks:
        moment = time.gmtime(at)
        for peak in price.peaks:
            if _is_peak(peak, moment):
                return peak
    return price


def dearest_rate(price: Price, side: Side) -> float | None:
    """Return the highest rate that a token of that side can cost, at any hour and length; `None` where none is known.

    The tariffs are left out: they are asked for by name.
    """
    tables: list[Rates] = [price, *price.peaks]
    tables += [tier for table in tables for tier in table.tiers]
    found = [rate for table in tables for name in _RATES[side] if (rate := getattr(table, name)) is not None]
    return max(found, default=None)


def _input_amount(usage: Usage, rates: Rates, tier: PriceTier | None, plain: float) -> float:
    # The kinds are told apart as if none overlapped, and never add up to more than the total.
    left = usage.input_tokens or 0
    amount = 0.0
    for count, name in (
        (usage.cache_read_tokens, "cache_read"),
        (usage.cache_write_tokens, "cache_write"),
        (usage.audio_input_tokens, "audio_input"),
    ):
        if not count:
            continue
        taken = min(count, left)
        left -= taken
        rate = _rate(tier, rates, name)
        amount += taken * (plain if rate is None else rate)
    return amount + left * plain


def _output_amount(usage: Usage, rates: Rates, tier: PriceTier | None, plain: float) -> float:
    total = usage.output_tokens or 0
    if not usage.audio_output_tokens:
        return total * plain
    sound = min(usage.audio_output_tokens, total)
    rate = _rate(tier, rates, "audio_output")
    return sound * (plain if rate is None else rate) + (total - sound) * plain


def _tier(rates: Rates, input_tokens: int) -> PriceTier | None:
    reached = [tier for tier in rates.tiers if input_tokens > tier.above]
    return max(reached, key=lambda tier: tier.above) if reached else None


def _rate(tier: PriceTier | None, rates: Rates, name: str) -> float | None:
    rate: float | None = getattr(tier, name) if tier is not None else None
    return getattr(rates, name) if rate is None else rate


def _is_peak(peak: PeakRates, moment: time.struct_time) -> bool:
    if peak.weekdays and moment.tm_wday >= 5:
        return False
    now = f"{moment.tm_hour:02}:{moment.tm_min:02}"
    if peak.start <= peak.end:
        return peak.start <= now < peak.end
    return now >= peak.start or now < peak.end
