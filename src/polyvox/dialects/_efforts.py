"""The ladder of the one reasoning knob, and the nearest step of it that a model takes.

The rule: off is not a little of on. It is chosen only where it was asked for, or where a model takes nothing else.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, get_args

from polyvox.types.generate import Effort

LADDER: Final[tuple[str, ...]] = get_args(Effort)
"""The steps from `none` to `max`."""

# A budget in tokens as a step of the ladder: up to so many tokens.
_BUDGETS: Final = ((0, "none"), (1024, "minimal"), (4096, "low"), (16384, "medium"), (32768, "high"))


def effort_of(budget: int) -> str:
    """Return the step that a budget in tokens is, for wires that take none."""
    return next((step for most, step in _BUDGETS if budget <= most), "xhigh")


def nearest_effort(effort: str, accepted: Collection[str]) -> str:
    """Return the accepted step nearest to what was asked; of two equally near, the higher."""
    if effort in accepted:
        return effort
    place = LADDER.index(effort)
    steps = [step for step in accepted if step != "none"] or accepted
    return min(steps, key=lambda step: (abs(LADDER.index(step) - place), -LADDER.index(step)))
