"""What the encoder of one request carries along on this wire: what has no word there, its version, its ids."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from polyvox.dialects._encoding import RequestEncoding
from polyvox.dialects.anthropic.fields import DIALECT
from polyvox.dialects.anthropic.quirks import AnthropicQuirks
from polyvox.dialects.base import Fate
from polyvox.types.generate import Residue

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


class Encoding(RequestEncoding[AnthropicQuirks]):
    """One request on its way to the wire."""

    __slots__ = ("searched",)

    dialect = DIALECT
    no_word = _NO_WORD

    def __init__(self, quirks: AnthropicQuirks, residue: Residue | None = None) -> None:
        super().__init__(quirks, residue)
        self.searched = False  # results of a search were said: citations may point to them

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
