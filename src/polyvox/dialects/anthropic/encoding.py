"""What the encoder of one request carries along: the quirks, the request's own spellings, the adjustments made.

The rule: a setting has three fates (send, drop with an adjustment, refuse); content that the wire cannot say raises.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, Literal

from polyvox.dialects.anthropic.fields import DIALECT
from polyvox.dialects.anthropic.quirks import AnthropicQuirks
from polyvox.dialects.base import Fate
from polyvox.errors import UnsupportedError
from polyvox.types.generate import Adjustment, Residue

# What the wire has no word for. https://docs.anthropic.com/en/api/messages
_NO_WORD: Final[dict[str, Fate]] = {
    "seed": "drop",
    "presence_penalty": "drop",
    "frequency_penalty": "drop",
    "logprobs": "drop",
    "audio": "drop",
    "n": "refuse",
    "modalities": "refuse",
}
_CALL_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")


class Encoding:
    """One request on its way to the wire."""

    __slots__ = ("adjustments", "quirks", "searched", "spelled")

    def __init__(self, quirks: AnthropicQuirks, residue: Residue | None = None) -> None:
        self.quirks = quirks
        self.spelled = frozenset(residue.spelled) if residue is not None and residue.dialect == DIALECT else frozenset()
        self.adjustments: list[Adjustment] = []
        self.searched = False  # results of a search were said: citations may point to them

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
        if fate == "refuse" or self.quirks.on_unsupported == "error":
            raise UnsupportedError(f"{setting} is not taken by this model: leave it out")
        self.note("dropped", setting, "not taken by this model")
        return False

    @property
    def strict_version(self) -> bool:
        """Whether the version said is one with the rules of 2026-10-21. Versions are dates: they compare as text."""
        return self.quirks.version >= "2026-10-21"

    @staticmethod
    def call_id(given: str) -> str:
        """Return a call's id as this wire takes it: letters, digits, `_` and `-`. The same id gives the same."""
        if _CALL_ID.fullmatch(given):
            return given
        digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()
        return f"call_{digest[:24]}"
