"""The warning before a model goes. The rule: once for each model in a process, and in time to do something about it."""

from __future__ import annotations

import datetime
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Final, TypeAlias

from polyvox.errors import ModelRetirementWarning
from polyvox.types.models import ModelConfig

NOTICE: Final = datetime.timedelta(days=60)

Today: TypeAlias = Callable[[], datetime.date]

_PACKAGE: Final = __name__.partition(".")[0]
_lock = threading.Lock()
_warned: set[str] = set()


def warn_of_retirement(row: ModelConfig, today: Today = datetime.date.today) -> None:
    """Warn where the model of that row is retired within sixty days, or has been."""
    if row.retires is None:
        return
    end, now = datetime.date.fromisoformat(row.retires), today()
    if end - now >= NOTICE:
        return
    name = f"{row.provider}/{row.id}"
    with _lock:
        if name in _warned:
            return
        _warned.add(name)
    days = (end - now).days
    when = f"retires on {end} (in {days} {'day' if days == 1 else 'days'})" if days > 0 else f"was retired on {end}"
    instead = f": use {row.provider}/{row.successor} instead" if row.successor else ""
    warnings.warn(f"{name} {when}{instead}", ModelRetirementWarning, stacklevel=_callers_level())


def _callers_level() -> int:
    """How far up the first frame is that is not ours: a warning is shown once for the line that it names."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        level, frame = level + 1, frame.f_back
    return level
