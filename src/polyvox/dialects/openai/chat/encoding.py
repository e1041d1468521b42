"""What the encoder of one request carries along on this wire: the fate of `top_k`, the form of ids."""

from __future__ import annotations

import hashlib

from polyvox.dialects._encoding import RequestEncoding
from polyvox.dialects.base import Fate
from polyvox.dialects.openai.chat.fields import DIALECT
from polyvox.dialects.openai.quirks import OpenAIQuirks

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Encoding(RequestEncoding[OpenAIQuirks]):
    """One request on its way to the wire."""

    __slots__ = ()

    dialect = DIALECT

    def fate(self, setting: str) -> Fate:
        """Return what becomes of a setting."""
        # OpenAI has no top_k; a request read off this wire that has one comes from a service that does.
        default: Fate = "drop" if setting == "top_k" and "top_k" not in self.spelled else "send"
        return self.quirks.settings.get(setting, default)

    def call_id(self, given: str) -> str:
        """Return a tool call's id in the form the service wants; the same id always gives the same."""
        if self.quirks.tool_call_ids == "any" or (len(given) == 9 and given.isascii() and given.isalnum()):
            return given
        number = int.from_bytes(hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest()[:8])
        return "".join(_ALPHABET[number // 62**place % 62] for place in range(9))
