"""What failures of every wire have in common: what a status means, when to come back, a body that is no JSON.

The rule: what a provider wrote is cut and masked before it stands in a message, and no figure of its makes a call wait
for ever.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from polyvox.errors import (
    AuthenticationError,
    BadRequestError,
    BillingError,
    ConflictError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
    ServerError,
    TooLargeError,
)
from polyvox.secrets import sanitize

_LONGEST: Final = 2_000

STATUSES: Final[dict[int, type[ProviderError]]] = {
    401: AuthenticationError,
    402: BillingError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: ServerError,
    409: ConflictError,
    410: NotFoundError,
    413: TooLargeError,
    429: RateLimitError,
    498: OverloadedError,  # Groq: no room in the tier that was asked for
    499: ServerError,
    503: OverloadedError,
    529: OverloadedError,
}


def kind_of_status(status: int) -> type[ProviderError]:
    """Return what an error status means where nothing else tells more."""
    return STATUSES.get(status) or (ServerError if status >= 500 else BadRequestError)


def shown(message: str) -> str:
    """Return a provider's words as they may be shown: masked, cut, and without halves of characters."""
    text = sanitize(message.encode("utf-8", "replace").decode())[:_LONGEST]
    return text or "the provider reported an error without saying why"


def shown_body(status: int, body: bytes) -> str:
    """Return what a body that is no JSON says; of a page, its title."""
    text = body[: 10 * _LONGEST].decode("utf-8", "replace").strip()
    if text[:1] == "<":
        title = re.search(r"(?is)<title[^>]*>(.*?)</title>", text)
        words = re.sub(r"(?s)<[^>]*>", " ", title.group(1) if title else text)
        text = f"the server answered with a web page: {' '.join(words.split())[:200]}"
    return shown(text) if text and text != "null" else f"the provider answered {status} without saying why"


def wait_of(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait: `retry-after-ms`, else `retry-after` in seconds or as an HTTP date.

    `headers` are by lower-case name. `None` where nothing is said, or nothing that is a time.
    """
    milliseconds = read_number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    said = headers.get("retry-after")
    seconds = read_number(said)
    if seconds is not None:
        return max(0.0, seconds)
    instant = read_date(said)
    return None if instant is None else max(0.0, instant - time.time())


def read_number(text: str | None) -> float | None:
    """Return the number that a header holds, `None` where it holds none that is finite."""
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and math.isfinite(number) else None


def read_date(text: str | None) -> float | None:
    """Return the instant, in seconds since 1970, that an HTTP date names, `None` where it names none."""
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except ValueError:
        return None
