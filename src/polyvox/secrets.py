"""Secrets and the one sanitiser.

The rule: a secret's text leaves a `Secret` only by `reveal()`, which is called where a request is signed and nowhere
else; whatever else is shown to a person (errors, logs, reprs, `explain`) goes through `sanitize`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

MASK: Final = "***"

# Key shapes of the providers, so that a key which we were never given (echoed by a server, pasted into a URL) is masked
# as well. Each needs a distinctive prefix and a run of characters that no ordinary word or model name has.
# No pattern may go back far over what it has read: the text is the server's, and may be long.
_KEY_SHAPES: Final = re.compile(
    r"""(?x)
    (?<![A-Za-z0-9])(?:
        sk-[A-Za-z0-9_\-]{12,}            # OpenAI, Anthropic, OpenRouter, DeepSeek, DashScope
      | (?:gsk|xai|pplx|hf|csk|fw|r8|co|key)[-_][A-Za-z0-9]{16,}   # Groq, xAI, Perplexity, Hugging Face, Cerebras …
      | (?:tgp_v1_|nvapi-)[A-Za-z0-9_\-]{16,}                      # Together, NVIDIA
      | AIza[A-Za-z0-9_\-]{20,}           # Google API key
      | AQ\.[A-Za-z0-9_\-]{20,}           # Google key of the newer kind
      | ya29\.[A-Za-z0-9_\-.]{12,}        # Google OAuth access token
      | (?:AKIA|ASIA)[A-Z0-9]{16}         # AWS access key id
      | ABSK[A-Za-z0-9+/=]{20,}           # Bedrock API key
      | [0-9a-f]{32}\.[A-Za-z0-9]{16}(?![A-Za-z0-9])   # Z.ai: id and secret
      | eyJ[A-Za-z0-9_\-]{8,4000}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{4,}   # JWT (Entra, Vertex)
    )"""
)
# "Bearer" and "basic" are words as well: what follows is a token where it has a digit or "=", or is very long.
_VALUE: Final = r"(?:(?=[A-Za-z._~+/\-]*[0-9=])[A-Za-z0-9._~+/=\-]{6,}|[A-Za-z._~+/\-]{24,})"
_BEARER: Final = re.compile(rf"(?i)\b(bearer|basic)\s+{_VALUE}")
_NAMES: Final = r"[a-z0-9_\-]{0,20}api[-_ ]?key|access[-_]token|auth[-_]token|client[-_]secret|password"
_NAMED: Final = re.compile(rf"(?i)\b((?:{_NAMES})[\"']?\s*[:=]\s*[\"']?){_VALUE}")
_QUERY: Final = re.compile(r"(?i)([?&](?:key|api[-_]?key|access_token|token|sig|signature|x-amz-[a-z-]+)=)[^&\s\"']+")
_USERINFO: Final = re.compile(r"(?i)\b([a-z][a-z0-9+.\-]{0,20}://)[^/\s:@]+(?::[^/\s@]*)?@")
_SECRET_HEADERS: Final = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "cookie",
        "set-cookie",
        "x-amz-security-token",
        "x-auth-token",
        "ocp-apim-subscription-key",
    }
)


class Secret:
    """A key or token whose `repr`, `str` and pickle never show it. `reveal()` gives the text, for signing only."""

    __slots__ = ("_text",)

    def __init__(self, text: str | Secret) -> None:
        self._text: str = text.reveal() if isinstance(text, Secret) else text

    def reveal(self) -> str:
        """Return the text itself. Call it where a request is signed, nowhere else."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(("polyvox.Secret", self._text))

    def __reduce__(self) -> Any:
        raise TypeError("a Secret is not pickled: pass the key again where it is needed")


def sanitize(text: str, known: Iterable[Secret | str] = (), *, shapes: bool = True) -> str:
    """Return `text` with every known secret, and everything shaped like a provider's key, replaced by `***`.

    `known` holds the secrets of the call at hand; ones shorter than four characters are not searched for, since they
    would mask ordinary words. Without `shapes` only the known ones are masked: for content that the caller asked to see
    as it is.
    """
    values = {secret.reveal() if isinstance(secret, Secret) else secret for secret in known}
    # A URL holds them percent-encoded. The longest go first: one may be the beginning of another.
    values |= {quote(value, safe="", errors="replace") for value in values}
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= 4:
            text = text.replace(value, MASK)
    if not shapes:
        return text
    text = _NAMED.sub(lambda match: match.group(1) + MASK, text)
    text = _BEARER.sub(lambda match: f"{match.group(1)} {MASK}", text)
    text = _QUERY.sub(lambda match: match.group(1) + MASK, text)
    text = _USERINFO.sub(lambda match: f"{match.group(1)}{MASK}@", text)
    return _KEY_SHAPES.sub(MASK, text)


def sanitize_headers(headers: dict[str, str], known: Iterable[Secret | str] = ()) -> dict[str, str]:
    """Return a copy of `headers` fit to be shown: credentials masked by header name, the rest through `sanitize`."""
    known = tuple(known)
    return {
        name: MASK if name.lower() in _SECRET_HEADERS else sanitize(value, known) for name, value in headers.items()
    }


def masked_repr(struct: Any, known: Iterable[Secret | str] = ()) -> str:
    """Return the `repr` of a struct with its headers masked by name, and every text through `sanitize`."""
    shown = []
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        shown.append(f"{name}={sanitize_headers(value) if name == 'headers' else value!r}")
    return sanitize(f"{type(struct).__name__}({', '.join(shown)})", known)
