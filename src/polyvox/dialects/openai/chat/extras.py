"""What stands beside the text of an answer: citations, the tokens' probabilities, OpenRouter's reasoning items.

The rule: pure functions from the wire's JSON to our types; what they cannot read is left out or kept in meta, never
raised: an odd citation does not kill an answer.
"""

from __future__ import annotations

from typing import Any

from polyvox.dialects.openai.chat.fields import DIALECT
from polyvox.framing import json
from polyvox.types.parts import Source, TokenLogprob


def readable(item: Any) -> str:
    """Return the text that a reasoning item shows."""
    if not isinstance(item, dict):
        return ""
    text = item.get("text") or item.get("summary")
    return text if isinstance(text, str) else ""


class Details:
    """OpenRouter's `reasoning_details` as they come: the array has to go back unchanged and in order."""

    __slots__ = ("_items", "_pieces")

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._pieces: list[dict[str, list[str]]] = []  # beside each item: its texts, joined once at the end

    def feed(self, item: Any, *, whole: bool) -> None:
        """Add an item, or in a stream the next piece of the item with its index."""
        place = None if whole else self._find(item)
        if place is None:
            self._items.append(item)
            self._pieces.append({})
            return
        known, pieces = self._items[place], self._pieces[place]
        for name, value in item.items():
            if name in ("text", "summary", "data") and isinstance(value, str) and isinstance(known.get(name), str):
                pieces.setdefault(name, [known[name]]).append(value)
            elif value is not None:
                known[name] = value

    def _find(self, item: Any) -> int | None:
        if not isinstance(item, dict) or item.get("index") is None:
            return None
        for place in range(len(self._items) - 1, -1, -1):
            known = self._items[place]
            if isinstance(known, dict) and all(known.get(name) == item.get(name) for name in ("index", "type")):
                other = item.get("id") is not None and known.get("id") is not None and item["id"] != known["id"]
                return None if other else place
        return None

    def close(self) -> list[Any]:
        """Return the array, and begin anew."""
        items = [
            {**item, **{name: "".join(texts) for name, texts in pieces.items()}} if pieces else item
            for item, pieces in zip(self._items, self._pieces, strict=True)
        ]
        self._items, self._pieces = [], []
        return items


def arguments_text(arguments: Any) -> str:
    """Return arguments as text; some services send the object itself."""
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else json.encode(arguments).decode()


def decode_annotation(annotation: Any) -> Source | None:
    """Return a citation as a source, with what else it says in meta."""
    if not isinstance(annotation, dict):
        return None
    kind = annotation.get("type")
    held = annotation.get(kind) if isinstance(kind, str) else None
    if not isinstance(held, dict):
        held = {name: value for name, value in annotation.items() if name != "type"}
    if kind != "url_citation":
        return Source(meta={DIALECT: {"annotation": annotation}})
    known = ("url", "title", "content", "start_index", "end_index")
    rest = {name: value for name, value in held.items() if name not in known}
    return Source(
        url=_text(held.get("url")),
        title=_text(held.get("title")),
        text=_text(held.get("content")),
        start=_offset(held.get("start_index")),
        end=_offset(held.get("end_index")),
        meta={DIALECT: rest} if rest else {},
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _offset(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def decode_logprobs(logprobs: dict[str, Any] | None, name: str) -> tuple[TokenLogprob, ...] | None:
    """Return the probabilities of the tokens of `name` (`content`, `refusal`), `None` where there are none."""
    held = logprobs.get(name) if logprobs else None
    if not isinstance(held, list):
        return None
    return tuple(token for token in map(_token, held) if token is not None) or None


def _token(value: Any) -> TokenLogprob | None:
    if not isinstance(value, dict) or not isinstance(value.get("token"), str):
        return None
    logprob = value.get("logprob")
    raw = value.get("bytes")
    top = value.get("top_logprobs")
    return TokenLogprob(
        value["token"],
        float(logprob) if isinstance(logprob, int | float) else float("-inf"),
        tuple(raw) if isinstance(raw, list) else None,
        tuple(token for token in map(_token, top) if token is not None) if isinstance(top, list) else (),
    )
