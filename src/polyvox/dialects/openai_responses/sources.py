"""What stands beside the text of an answer: citations, and the tokens' probabilities. Both directions.

The rule: what cannot be read is kept in meta or left out, never raised: an odd citation does not kill an answer.
https://platform.openai.com/docs/guides/tools-web-search#output-and-citations
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec import structs

from polyvox.dialects._reading import JSONObject
from polyvox.dialects.openai_responses.fields import DIALECT, own
from polyvox.types.parts import Source, TokenLogprob

_TITLES: Final = ("title", "filename")
_FIELDS: Final = (("url", "url"), ("start", "start_index"), ("end", "end_index"))


def decode_annotation(annotation: Any) -> Source:
    """Return a citation: of a page, a file that was searched, a file in a container. It is kept whole in its meta."""
    if not isinstance(annotation, dict):
        return Source(meta={DIALECT: {"annotation": annotation}})
    url = annotation.get("url")
    title = next((annotation[name] for name in _TITLES if isinstance(annotation.get(name), str)), None)
    return Source(
        url=url if isinstance(url, str) else None,
        title=title,
        start=_offset(annotation.get("start_index")),
        end=_offset(annotation.get("end_index")),
        meta={DIALECT: annotation},
    )


def _offset(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def encode_annotation(source: Source, *, foreign: bool = False) -> Any:
    """Return the citation as it came, with what was changed of it; `None` for one that is not of this wire.

    `foreign`: return such a one as a `url_citation`, as well as it can be said.
    """
    annotation = own(source.meta)
    if set(annotation) == {"annotation"}:
        return annotation["annotation"]
    if "type" not in annotation:
        return _encode_foreign(source) if foreign else None
    was = decode_annotation(annotation)
    if structs.replace(source, text=None) == was:
        return annotation
    told = dict(annotation)
    for field, name in _FIELDS:
        if getattr(source, field) != getattr(was, field):
            told[name] = getattr(source, field)
    if source.title != was.title:
        told[next((name for name in _TITLES if name in annotation), "title")] = source.title
    return told


def _encode_foreign(source: Source) -> JSONObject:
    return {
        "type": "url_citation",
        "start_index": source.start or 0,
        "end_index": source.end or 0,
        "url": source.url or "",
        "title": source.title or "",
    }


def decode_logprobs(logprobs: Any) -> tuple[TokenLogprob, ...] | None:
    """Return the tokens' probabilities, `None` where there are none."""
    if not isinstance(logprobs, list):
        return None
    return tuple(token for token in map(_token, logprobs) if token is not None) or None


def _token(value: Any) -> TokenLogprob | None:
    if not isinstance(value, dict) or not isinstance(value.get("token"), str):
        return None
    logprob, raw, top = value.get("logprob"), value.get("bytes"), value.get("top_logprobs")
    known = isinstance(logprob, int | float) and not isinstance(logprob, bool)
    readable = isinstance(raw, list) and all(type(one) is int for one in raw)
    return TokenLogprob(
        value["token"],
        float(logprob) if known else float("-inf"),  # type: ignore[arg-type]
        tuple(raw) if readable else None,  # type: ignore[arg-type]
        tuple(token for token in map(_token, top) if token is not None) if isinstance(top, list) else (),
    )


def encode_logprobs(tokens: Iterable[TokenLogprob]) -> list[JSONObject]:
    """Return the tokens' probabilities as the wire says them."""
    return [{**_encode_token(token), "top_logprobs": list(map(_encode_token, token.top))} for token in tokens]


def _encode_token(token: TokenLogprob) -> JSONObject:
    told: JSONObject = {"token": token.token, "logprob": max(token.logprob, -9999.0)}
    if token.bytes is not None:
        told["bytes"] = list(token.bytes)
    return told
