"""What the encoder of one request carries along: the quirks, the request's own spellings, the adjustments made.

The rule: a setting has three fates (send, drop with an adjustment, refuse); content that the wire cannot say raises.
"""

from __future__ import annotations

from typing import Final, Literal

from polyvox.dialects.base import Fate
from polyvox.dialects.openai_responses.fields import DIALECT
from polyvox.dialects.openai_responses.quirks import ResponsesQuirks
from polyvox.errors import UnsupportedError
from polyvox.types.generate import Adjustment, Residue

# What OpenAI's wire has no word for; services that have one say `send`.
NO_WORD: Final[dict[str, Fate]] = {
    "top_k": "drop",
    "seed": "drop",
    "stop": "drop",
    "presence_penalty": "drop",
    "frequency_penalty": "drop",
    "audio": "drop",
    "n": "refuse",
    "modalities": "refuse",
}


class Encoding:
    """One request on its way to the wire."""

    __slots__ = ("adjustments", "customs", "quirks", "spelled", "stores")

    def __init__(self, quirks: ResponsesQuirks, residue: Residue | None = None, *, stores: bool = True) -> None:
        self.quirks = quirks
        self.spelled = frozenset(residue.spelled) if residue is not None and residue.dialect == DIALECT else frozenset()
        self.adjustments: list[Adjustment] = []
        self.customs: set[str] = set()
        """The ids of the calls of custom tools: their results have another name."""
        self.stores = stores
        """Whether the service keeps answers, so that an item can be told by its id alone."""

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
        if fate is None:
            # A request read off this wire that has the word comes from a service that knows it.
            fate = "send" if setting in self.spelled else NO_WORD.get(setting, "send")
        if fate == "send":
            return True
        if fate == "refuse" or self.quirks.on_unsupported == "error":
            raise UnsupportedError(f"{setting} is not taken by this model: leave it out")
        self.note("dropped", setting, "not taken by this model")
        return False
