"""What the encoder of one request carries along: the quirks, the request's own spellings, the adjustments made.

The rule: a setting has three fates (send, drop with an adjustment, refuse); content that the wire cannot say raises.
"""

from __future__ import annotations

from typing import Final, Literal

from polyvox.dialects.base import Fate
from polyvox.dialects.ollama.fields import DIALECT
from polyvox.dialects.ollama.quirks import OllamaQuirks
from polyvox.errors import UnsupportedError
from polyvox.types.generate import Adjustment, Residue

# What the wire has no word for. https://docs.ollama.com/api/chat
_NO_WORD: Final[dict[str, Fate]] = {
    "user": "drop",
    "metadata": "drop",
    "service_tier": "drop",
    "prompt_cache": "drop",
    "audio": "drop",
    "parallel_tools": "drop",
    "tool_choice": "refuse",
    "n": "refuse",
    "modalities": "refuse",
}


class Encoding:
    """One request on its way to the wire."""

    __slots__ = ("adjustments", "quirks", "spelled")

    def __init__(self, quirks: OllamaQuirks, residue: Residue | None = None) -> None:
        self.quirks = quirks
        self.spelled = frozenset(residue.spelled) if residue is not None and residue.dialect == DIALECT else frozenset()
        self.adjustments: list[Adjustment] = []

    def note(
        self, kind: Literal["dropped", "clamped", "renamed", "emulated", "needed"], setting: str, detail: str
    ) -> None:
        """Name something that is not sent as asked: the same thing once, however often it occurs."""
        adjustment = Adjustment(kind, setting, detail)
        if adjustment not in self.adjustments:
            self.adjustments.append(adjustment)

    def sends(self, setting: str) -> bool:
        """Tell whether a setting that was given is sent.

        Raises `UnsupportedError` where it is refused, or dropped and the caller wants an error then.
        """
        fate = self.quirks.settings.get(setting)
        no_word = _NO_WORD.get(setting)
        if fate is None or (fate == "send" and no_word is not None):
            fate = no_word or "send"
        if fate == "send":
            return True
        why = "not taken by this model" if no_word is None else "this wire has no word for it"
        if fate == "refuse" or self.quirks.on_unsupported == "error":
            raise UnsupportedError(f"{setting}: {why}: leave it out")
        self.note("dropped", setting, why)
        return False
