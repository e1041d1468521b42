"""What the encoder of one request carries along: the quirks, the request's own spellings, the adjustments made.

The rule: a setting has three fates (send, drop with an adjustment, refuse); content that the wire cannot say raises.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from polyvox.dialects.openai.chat.fields import DIALECT
from polyvox.dialects.openai.quirks import OpenAIQuirks
from polyvox.errors import UnsupportedError
from polyvox.types.generate import Adjustment, Residue

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Encoding:
    """One request on its way to the wire."""

    def __init__(self, quirks: OpenAIQuirks, residue: Residue | None = None) -> None:
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
        # OpenAI has no top_k; a request read off this wire that has one comes from a service that does.
        default = "drop" if setting == "top_k" and "top_k" not in self.spelled else "send"
        fate = self.quirks.settings.get(setting, default)
        if fate == "send":
            return True
        if fate == "refuse" or self.quirks.on_unsupported == "error":
            raise UnsupportedError(f"{setting} is not taken by this model: leave it out")
        self.note("dropped", setting, "not taken by this model")
        return False

    def call_id(self, given: str) -> str:
        """Return a tool call's id in the form the service wants; the same id always gives the same."""
        if self.quirks.tool_call_ids == "any" or (len(given) == 9 and given.isascii() and given.isalnum()):
            return given
        number = int.from_bytes(hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest()[:8])
        return "".join(_ALPHABET[number // 62**place % 62] for place in range(9))
