"""Which events say nothing yet of the answer. The rule: a call may be made again until its first content was handed on,
and what only starts an answer is no content: it is held back until some follows.
"""

from __future__ import annotations

from collections.abc import Iterable

from polyvox.types.events import Event, RawFrame, StreamStart, UsageUpdate

_STARTUP = frozenset({StreamStart, UsageUpdate, RawFrame})


def is_startup(events: Iterable[Event]) -> bool:
    """Whether nothing in these events is content: no part, no delta, no end."""
    # A plain loop: this runs for the first lists of every answer, in several layers.
    for event in events:  # noqa: SIM110
        if type(event) not in _STARTUP:
            return False
    return True
