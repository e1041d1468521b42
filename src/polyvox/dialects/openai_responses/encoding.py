"""What the encoder of one request carries along on this wire: what has no word there, custom calls, storing."""

from __future__ import annotations

from typing import Final

from polyvox.dialects._encoding import RequestEncoding
from polyvox.dialects.base import Fate
from polyvox.dialects.openai_responses.fields import DIALECT
from polyvox.dialects.openai_responses.quirks import ResponsesQuirks
from polyvox.types.generate import Residue

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


class Encoding(RequestEncoding[ResponsesQuirks]):
    """One request on its way to the wire."""

    __slots__ = ("customs", "stores")

    dialect = DIALECT
    no_word = NO_WORD

    def __init__(self, quirks: ResponsesQuirks, residue: Residue | None = None, *, stores: bool = True) -> None:
        super().__init__(quirks, residue)
        self.customs: set[str] = set()
        """The ids of the calls of custom tools: their results have another name."""
        self.stores = stores
        """Whether the service keeps answers, so that an item can be told by its id alone."""

    def fate(self, setting: str) -> Fate:
        """Return what becomes of a setting. A service that has a word which OpenAI's wire has not says `send`."""
        # A request read off this wire that has the word comes from a service that knows it.
        default: Fate = "send" if setting in self.spelled else NO_WORD.get(setting, "send")
        return self.quirks.settings.get(setting, default)
