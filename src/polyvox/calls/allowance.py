"""What is left of a limit: an allowance that is taken from, and fills up again evenly.

The rules: arithmetic only; no lock, no clock, no waiting: `calls.limits` has those. What every call needs is one plain
loop over its `Needs`, since a call to a function for each of them costs more than the sums do.
"""

from __future__ import annotations

from typing import Final, TypeAlias

_MINUTE: Final = 60.0
# Enough is there when no more than this is missing: sums of fractions do not add up to the last bit.
_SLACK: Final = 1e-6


class Bucket:
    """An allowance of `capacity` that gains `rate` a second. It may be overdrawn; then it takes the longer."""

    __slots__ = ("at", "capacity", "level", "rate")

    def __init__(self, capacity: float, rate: float, level: float, at: float) -> None:
        self.capacity = capacity
        self.rate = rate
        self.level = level
        self.at = at

    def fill(self, now: float) -> None:
        """Bring the level up to date. Time that went back (another clock) fills nothing."""
        if now > self.at:
            level = self.level + (now - self.at) * self.rate
            self.level = level if level < self.capacity else self.capacity
            self.at = now

    def seconds(self, amount: float) -> float:
        """Return how long until `amount` is there; a full bucket is enough for what it could never hold."""
        missing = (amount if amount < self.capacity else self.capacity) - self.level
        return missing / self.rate if missing > _SLACK else 0.0


class Counter:
    """One limit, of the caller's own or of the provider's, with what is wanted of it. No bucket: no limit is known.

    `unit` is what is counted; `setting` names the caller's own limit, `None` is the provider's.
    """

    __slots__ = ("bucket", "queued", "setting", "unit", "unseen")

    def __init__(self, unit: str, setting: str | None = None, per_minute: float | None = None) -> None:
        self.unit = unit
        self.setting = setting
        self.bucket = None if per_minute is None else Bucket(per_minute, per_minute / _MINUTE, per_minute, 0.0)
        self.queued = 0.0
        """Wanted by those who wait."""
        self.unseen = 0.0
        """Reserved by requests whose answer has not begun: the provider's figures may not hold them yet."""

    def queue_seconds(self, amount: float, now: float) -> float:
        """Return how long one who comes now must wait at least, behind all who wait already."""
        bucket = self.bucket
        if bucket is None:
            return 0.0
        bucket.fill(now)
        return max(0.0, self.queued + min(amount, bucket.capacity) - bucket.level) / bucket.rate

    def hear(self, limit: int | None, remaining: int | None, reset: float | None, now: float) -> None:
        """Take in what the head of an answer says: so much is left, and all of it again in `reset` seconds.

        Taken as an even filling, which it is with most providers; with one that refills at once, at the end of a
        window, this is the cautious reading.
        """
        if remaining is None:
            return
        capacity = float(max(limit or 0, remaining, 1))
        used = capacity - remaining
        rate = used / reset if used and reset else capacity / _MINUTE
        self.bucket = Bucket(capacity, rate, remaining - self.unseen, now)

    def words(self) -> tuple[str, str]:
        """Return what to raise, and the words for this limit and what is left of it."""
        bucket = self.bucket
        left = f"{max(0.0, bucket.level):.0f} left" if bucket is not None else "unknown"
        queue = f", {self.queued:.0f} asked for before it" if self.queued else ""
        if self.setting is None or bucket is None:
            return "the limit at the provider", f"the provider's own limit of {self.unit} ({left}{queue})"
        setting = f"RateLimit({self.setting}={bucket.capacity:g})"
        return setting, f"the limit of {bucket.capacity:g} {self.unit} a minute ({left}{queue})"


Needs: TypeAlias = tuple[tuple[Counter, float], ...]
"""What a request takes of each limit."""


def seconds_for(needs: Needs, now: float) -> float:
    """Return how long until all of it may be taken."""
    seconds = 0.0
    for counter, amount in needs:
        bucket = counter.bucket
        if bucket is not None:
            bucket.fill(now)
            # Mostly there is enough, and nothing to be worked out.
            if amount > bucket.level:
                seconds = max(seconds, bucket.seconds(amount))
    return seconds


def take_at_once(needs: Needs, now: float) -> bool:
    """Reserve where all of it is there now; false where somebody must wait."""
    for counter, amount in needs:
        bucket = counter.bucket
        if bucket is not None:
            bucket.fill(now)
            # More than there is may still be enough: see `Bucket.seconds`.
            if amount > bucket.level and bucket.seconds(amount):
                return False
    for counter, amount in needs:
        counter.unseen += amount
        bucket = counter.bucket
        if bucket is not None:
            bucket.level -= amount
    return True


def take(needs: Needs) -> None:
    """Reserve."""
    for counter, amount in needs:
        counter.unseen += amount
        if counter.bucket is not None:
            counter.bucket.level -= amount


def settle(needs: Needs, requests: float, tokens: float, now: float, *, seen: bool) -> None:
    """Correct a reservation. What the provider has seen stands in its own figures, rightly or not."""
    for counter, reserved in needs:
        if not seen:
            counter.unseen -= reserved
        bucket = counter.bucket
        if bucket is not None and (counter.setting is not None or not seen):
            bucket.fill(now)
            level = bucket.level + reserved - (requests if counter.unit == "requests" else tokens)
            bucket.level = level if level < bucket.capacity else bucket.capacity
