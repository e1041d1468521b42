"""What becomes of a setting, where that depends on the rest of the request. One rule for the dialects that need it."""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec import structs

from polyvox.types.generate import GenerateRequest

Q = TypeVar("Q")


def fit_fates(quirks: Q, request: GenerateRequest) -> Q:
    """Return the quirks that hold for this request: `thinking_settings` count unless reasoning is turned off."""
    held: Any = quirks
    if not held.thinking_settings or request.reasoning in ("none", 0):
        return quirks
    changed: Q = structs.replace(held, settings={**held.thinking_settings, **held.settings})
    return changed
