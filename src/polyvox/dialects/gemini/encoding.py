"""What the encoder of one request carries along on this wire: what has no word there."""

from __future__ import annotations

from typing import Final

from polyvox.dialects._encoding import RequestEncoding
from polyvox.dialects.base import Fate
from polyvox.dialects.gemini.fields import DIALECT
from polyvox.dialects.gemini.quirks import GeminiQuirks

# What the wire has no word for. https://ai.google.dev/api/generate-content
_NO_WORD: Final[dict[str, Fate]] = {"user": "drop", "prompt_cache": "drop", "parallel_tools": "drop"}


class Encoding(RequestEncoding[GeminiQuirks]):
    """One request on its way to the wire."""

    __slots__ = ()

    dialect = DIALECT
    no_word = _NO_WORD
