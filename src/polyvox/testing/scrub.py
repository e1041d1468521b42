"""What is taken out of a recording before it is written: keys, tokens, and whose account it was.

The rule: what is written is what is compared, so a recording made with one key is played back with another.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

from polyvox.secrets import MASK, Secret, sanitize, sanitize_headers

_ACCOUNT_HEADERS: Final = frozenset(
    {
        "anthropic-organization-id",
        "anthropic-workspace-id",
        "openai-organization",
        "openai-project",
        "set-cookie",
    }
)


class Scrubber:
    """Takes secrets out. `known` are the call's own; `headers` further names of headers that are masked whole."""

    def __init__(self, known: Iterable[Secret | str] = (), headers: Iterable[str] = ()) -> None:
        texts = {secret.reveal() if isinstance(secret, Secret) else secret for secret in known}
        # As JSON writes it, and as a proxy's or a service's basic authentication does.
        texts |= {json.dumps(text)[1:-1] for text in texts}
        texts |= {base64.b64encode(text.encode()).decode() for text in texts}
        self._known = tuple(text for text in texts if len(text) >= 4)
        self._headers = _ACCOUNT_HEADERS | {name.lower() for name in headers}

    def text(self, text: str) -> str:
        """Return the text with every secret masked."""
        return sanitize(text, self._known)

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers by lower-case name, sorted, credentials masked."""
        masked = sanitize_headers({name.lower(): value for name, value in headers.items()}, self._known)
        return {name: MASK if name in self._headers else masked[name] for name in sorted(masked)}

    def binary(self, data: bytes) -> bytes:
        """Return bytes that are no text with the call's own secrets overwritten, as long as they were."""
        for text in sorted(self._known, key=len, reverse=True):
            data = data.replace(text.encode(), b"*" * len(text.encode()))
        return data

    def pieces(self, pieces: Sequence[bytes]) -> list[bytes]:
        """Return the pieces of a body with the secrets masked that stand in it, across pieces too."""
        whole = b"".join(pieces)
        try:
            text = whole.decode()
        except UnicodeDecodeError:
            whole = self.binary(whole)
        else:
            masked = self.text(text)
            if masked != text:
                # The cuts stay where they were, as far as the body now goes: they mean nothing.
                whole = masked.encode()
        places = [0]
        for piece in pieces:
            places.append(min(places[-1] + len(piece), len(whole)))
        if pieces:
            places[-1] = len(whole)
        return [whole[start:end] for start, end in pairwise(places)]
