"""The wire's two spellings: members in camel case, or with underscores, as protobuf's JSON takes both.

The rule: a request is read in camel case; each word that it wrote with underscores is remembered, and written so again.
What is the caller's own (arguments, responses, schemas, labels) is never respelled.
https://protobuf.dev/programming-guides/json/
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

from polyvox.dialects._reading import JSONObject

# Members whose names inside are the caller's, not the wire's.
_FREE: Final = frozenset(
    {
        "args",
        "response",
        "parameters",
        "parametersJsonSchema",
        "responseSchema",
        "responseJsonSchema",
        "labels",
        "headers",
        "partMetadata",
        "responseFormat",
    }
)
_SNAKE: Final = re.compile(r"_([a-z0-9])")
_HUMP: Final = re.compile(r"([A-Z])")


def camel(name: str) -> str:
    """Return a word in camel case: `google_search` as `googleSearch`."""
    return _SNAKE.sub(lambda match: match.group(1).upper(), name)


def _snake(name: str) -> str:
    return _HUMP.sub(lambda match: f"_{match.group(1).lower()}", name)


def decode_spelling(body: JSONObject) -> tuple[JSONObject, tuple[str, ...]]:
    """Return the body in camel case, and the words (in camel case) that it wrote with underscores."""
    spelled: dict[str, None] = {}
    read = _respelled(body, spelled)
    return (read, tuple(spelled)) if spelled else (body, ())


def _respelled(value: Any, spelled: dict[str, None]) -> Any:
    if isinstance(value, list):
        return [_respelled(item, spelled) for item in value]
    if not isinstance(value, dict):
        return value
    read: JSONObject = {}
    for name, member in value.items():
        word = camel(name) if "_" in name else name
        if word != name:
            if word in value or _snake(word) != name:
                word = name  # said both ways, or no word of the wire's
            else:
                spelled[word] = None
        read[word] = member if word in _FREE else _respelled(member, spelled)
    return read


def encode_spelling(value: Any, spelled: Collection[str]) -> Any:
    """Return `value` with these words written with underscores."""
    if isinstance(value, list):
        return [encode_spelling(item, spelled) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        (_snake(name) if name in spelled else name): (member if name in _FREE else encode_spelling(member, spelled))
        for name, member in value.items()
    }
