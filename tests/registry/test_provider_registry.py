"""Providers of one's own: registered at run time from any thread, or offered by an installed package."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from polyvox import ConfigError, ModelConfig
from polyvox.client.config import load_config
from polyvox.providers.base import Endpoint, Provider
from polyvox.registry.providers import ProviderRegistry
from polyvox.registry.target import Registry

PAGE = """
from polyvox.providers.base import Endpoint, Provider
from polyvox.types.models import ModelConfig

PROVIDER = Provider(
    name="house", title="House", base_url="http://127.0.0.1:9000/v1", key="none",
    operations={"generate": Endpoint("openai")},
    quirks={"openai": {"max_tokens_field": "max_tokens", "settings": {"seed": "drop"}}},
)
MODELS = (ModelConfig(id="big", provider="house", home=True, aliases=("house-big",), efforts=("low", "high")),)
"""


def install(folder: Path, name: str, module: str, *entries: str) -> None:
    """Put a package where pip would: its module, and what the installer says of it."""
    (folder / f"{name}.py").write_text(textwrap.dedent(module), encoding="utf-8")
    facts = folder / f"{name}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text("[polyvox.providers]\n" + "\n".join(entries) + "\n", encoding="utf-8")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if (folder / f"{name}.py").exists():
            del sys.modules[name]


def page(name: str) -> Provider:
    return Provider(name=name, title=name, base_url="http://h", key="none", operations={"generate": Endpoint("openai")})


def test_an_installed_package_adds_its_provider_and_models_in_a_fresh_program(packages: Path) -> None:
    install(packages, "housepages", PAGE, "house = housepages")
    script = """
from polyvox import Client
client = Client()
told = client.explain("house-big", "Hi", seed=1, max_tokens=5, reasoning="max")
assert told.url == "http://127.0.0.1:9000/v1/chat/completions", told.url
assert told.body["max_tokens"] == 5 and told.body["reasoning_effort"] == "high"
assert [one.setting for one in told.adjustments if one.kind == "dropped"] == ["seed"]
assert client.explain("big", "Hi").model == client.explain("house/big", "Hi").model == "house/big"
assert client.explain("house/unknown", "Hi").model == "house/unknown"
assert "house" in client.registry.models.provider_names()
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(packages), "PATH": ""},
        cwd=packages,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_command_line_lists_the_models_of_an_installed_package(packages: Path, capsys: Any) -> None:
    install(packages, "housepages", PAGE, "house = housepages")
    script = "import sys; from polyvox.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", script, "models", "-p", "house"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(packages), "PATH": "", "HOME": str(packages)},
        cwd=packages,
        check=False,
    )
    assert done.returncode == 0 and done.stdout.startswith("house/big\thouse-big\t"), done.stderr


def test_an_entry_point_may_name_the_provider_itself(packages: Path) -> None:
    install(packages, "plainpage", PAGE, "house = plainpage:PROVIDER")
    found = ProviderRegistry()
    house = found.get("house")
    assert house is not None and house.title == "House" and found.models("house") == ()


def test_a_page_that_is_registered_wins_over_an_installed_one(packages: Path) -> None:
    install(packages, "housepages", PAGE, "house = housepages")
    pages = ProviderRegistry()
    mine = page("house")
    pages.register(mine)
    assert pages.get("house") is mine and mine in pages.list()


@pytest.mark.parametrize(
    ("module", "entry", "words"),
    [
        ("raise OSError('no disk')", "broken = brokenpage", "OSError: no disk"),
        ("X = 1", "broken = brokenpage:X", "gives no Provider"),
        ("X = 1", "broken = nosuchmodule", "nosuchmodule"),
        (PAGE.replace('provider="house"', 'provider="other"'), "broken = brokenpage", "names the provider 'other'"),
    ],
)
def test_a_broken_package_is_named_and_harms_no_other(packages: Path, module: str, entry: str, words: str) -> None:
    install(packages, "brokenpage", module, entry)
    install(packages, "goodpage", PAGE.replace('"house"', '"good"'), "good = goodpage")
    pages = ProviderRegistry()
    assert pages.get("openai") is not None
    with pytest.warns(RuntimeWarning, match="'broken'"):
        names = {found.name for found in pages.list()}
    assert {"good", "openai"} <= names
    with pytest.raises(ConfigError, match=words):
        pages.get("broken")
    assert pages.get("good") is not None and pages.get("nobody") is None


def test_who_asks_while_another_thread_loads_the_packages_waits_for_them(packages: Path) -> None:
    install(packages, "slowpage", "import time; time.sleep(0.2)\n" + PAGE, "house = slowpage")
    pages = ProviderRegistry()
    barrier = threading.Barrier(4)
    found: list[Provider | None] = []

    def ask() -> None:
        barrier.wait()
        found.append(pages.get("house"))

    run([ask] * 4)
    assert len(found) == 4 and all(one is not None for one in found)


def run(functions: list[Any]) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_many_threads_register_resolve_and_list_at_once() -> None:
    pages = ProviderRegistry()
    known = Registry(load_config(), pages)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(15):
                name = f"p{number}x{turn}"
                pages.register(page(name), (ModelConfig(id=f"m-{name}", provider=name, aliases=(f"a-{name}",)),))
                assert known.resolve(f"a-{name}").name == f"{name}/m-{name}"
                assert known.models.split(f"m-{name}") == (name, f"m-{name}")
                assert pages.get(name) in pages.list()
                if turn % 2:
                    pages.unregister(name)
                    assert pages.get(name) is None
        except BaseException as error:
            failures.append(error)

    run([lambda number=number: work(number) for number in range(6)])
    assert failures == []
    assert sum(found.name.startswith("p") and "x" in found.name for found in pages.list()) >= 6 * 8


def test_a_client_that_has_asked_already_sees_what_is_registered_later(make_caller: Any) -> None:
    client = make_caller().client
    pages = client.registry.providers
    with pytest.raises(ConfigError, match="no provider 'latecomer'"):
        client.explain("latecomer/m", "Hi")
    try:
        pages.register(page("latecomer"))
        assert client.explain("latecomer/m", "Hi").url == "http://h/chat/completions"
        moved = Provider(
            name="latecomer",
            title="",
            base_url="http://elsewhere",
            key="none",
            operations={"generate": Endpoint("openai_responses")},
        )
        pages.register(moved)
        assert client.explain("latecomer/m", "Hi").url == "http://elsewhere/responses"
    finally:
        pages.unregister("latecomer")
    with pytest.raises(ConfigError, match="no provider 'latecomer'"):
        client.explain("latecomer/m", "Hi")


def test_a_provider_like_openai_is_twenty_lines_of_data() -> None:
    """The promise to whoever adds one: a page, and no other file."""
    folder = Path(__file__).parents[2] / "src" / "polyvox" / "providers"
    for name in ("together", "fireworks", "cerebras", "vllm", "lmstudio", "huggingface"):
        lines = [
            line
            for line in (folder / f"{name}.py").read_text(encoding="utf-8").partition('"""\n\n')[2].splitlines()
            if line.strip() and not line.lstrip().startswith("#")
        ]
        assert len(lines) <= 26, name
