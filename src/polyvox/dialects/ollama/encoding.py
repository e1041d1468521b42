"""What the encoder of one request carries along on this wire: what has no word there."""

from __future__ import annotations

from typing import Final

from polyvox.dialects._encoding import RequestEncoding
from polyvox.dialects.base import Fate
from polyvox.dialects.ollama.fields import DIALECT
from polyvox.dialects.ollama.quirks import OllamaQuirks

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


class Encoding(RequestEncoding[OllamaQuirks]):
    """One request on its way to the wire."""

    __slots__ = ()

    dialect = DIALECT
    no_word = _NO_WORD
