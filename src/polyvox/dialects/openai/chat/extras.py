"""What stands beside the text of an answer: citations, the tokens' probabilities, OpenRouter's reasoning items.

The rule: pure functions from the wire's JSON to our types; what they cannot read is left out or kept in meta, never
raised: an odd citation does not kill an answer.
"""

from __future__ import annotations

from typing import Any, Final

from polyvox.framing import json
from polyvox.types.parts import Source, TokenLogprob

DIALECT: Final = "openai"


def readable(item: Any) -> str:
    """Return the text that a reasoning item shows."""
    if not isinstance(item, dict):
        return ""
    text = item.get("text") or item.get("summary")
    return text if isinstance(text, str) else ""


def merge_detail(details: list[Any], item: Any) -> None:
    """Add an item of `reasoning_details`, or the next piece of one that is there already."""
    index = item.get("index") if isinstance(item, dict) else None
    for known in reversed(details) if index is not None else ():
        if isinstance(known, dict) and known.get("index") == index and known.get("type") == item.get("type"):
            for name, value in item.items():
                if name in ("text", "summary", "data") and isinstance(value, str) and isinstance(known.get(name), str):
                    known[name] += value
                elif value is not None:
                    known[name] = value
            return
    details.append(dict(item) if isinstance(item, dict) else item)


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


def decode_logprobs(logprobs: dict[str, Any] | None) -> tuple[TokenLogprob, ...] | None:
    """Return the tokens' probabilities, `None` where there are none. Refusals' tokens are read as text's are."""
    if not logprobs:
        return None
    content = logprobs.get("content") or logprobs.get("refusal")
    if not isinstance(content, list):
        return None
    tokens = tuple(token for token in map(_token, content) if token is not None)
    return tokens or None


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
