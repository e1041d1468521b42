"""What is left of a limit: an allowance that is taken from, and fills up again evenly.

The rule: arithmetic only; no lock, no clock, no waiting. `calls.limits` has those.
"""

from __future__ import annotations

from typing import Final

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
            self.level = min(self.capacity, self.level + (now - self.at) * self.rate)
            self.at = now

    def seconds(self, amount: float) -> float:
        """Return how long until `amount` is there; a full bucket is enough for what it could never hold."""
        missing = min(amount, self.capacity) - self.level
        return missing / self.rate if missing > _SLACK else 0.0

    def add(self, amount: float) -> None:
        """Put back (or, below 0, take)."""
        self.level = min(self.capacity, self.level + amount)


class Counter:
    """One limit, of the caller's own or of the provider's, with what is wanted of it. No bucket: no limit is known.

    `unit` is what is counted; `setting` names the caller's own limit, `None` is the provider's.
    """

    __slots__ = ("_unseen", "bucket", "queued", "setting", "unit")

    def __init__(self, unit: str, setting: str | None = None, per_minute: float | None = None) -> None:
        self.unit = unit
        self.setting = setting
        self.bucket = None if per_minute is None else Bucket(per_minute, per_minute / _MINUTE, per_minute, 0.0)
        self.queued = 0.0
        """Wanted by those who wait."""
        self._unseen = 0.0
        """Reserved by requests whose answer has not begun: the provider's figures may not hold them yet."""

    def seconds(self, amount: float, now: float) -> float:
        """Return how long until `amount` may be taken."""
        bucket = self.bucket
        if bucket is None:
            return 0.0
        bucket.fill(now)
        return bucket.seconds(amount)

    def queue_seconds(self, amount: float, now: float) -> float:
        """Return how long one who comes now must wait at least, behind all who wait already."""
        bucket = self.bucket
        if bucket is None:
            return 0.0
        bucket.fill(now)
        return max(0.0, self.queued + min(amount, bucket.capacity) - bucket.level) / bucket.rate

    def take(self, amount: float) -> None:
        """Reserve."""
        self._unseen += amount
        if self.bucket is not None:
            self.bucket.level -= amount

    def see(self, amount: float) -> None:
        """The answer to a request that reserved so much has begun: the provider's figures hold it from here on."""
        self._unseen -= amount

    def settle(self, reserved: float, used: float, now: float, *, seen: bool) -> None:
        """Correct a reservation. What the provider has seen stands in its own figures, rightly or not."""
        if not seen:
            self._unseen -= reserved
        if self.bucket is not None and (self.setting is not None or not seen):
            self.bucket.fill(now)
            self.bucket.add(reserved - used)

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
        self.bucket = Bucket(capacity, rate, remaining - self._unseen, now)

    def words(self) -> tuple[str, str]:
        """Return what to raise, and the words for this limit and what is left of it."""
        bucket = self.bucket
        left = f"{max(0.0, bucket.level):.0f} left" if bucket is not None else "unknown"
        queue = f", {self.queued:.0f} asked for before it" if self.queued else ""
        if self.setting is None or bucket is None:
            return "the limit at the provider", f"the provider's own limit of {self.unit} ({left}{queue})"
        setting = f"RateLimit({self.setting}={bucket.capacity:g})"
        return setting, f"the limit of {bucket.capacity:g} {self.unit} a minute ({left}{queue})"
