"""What the distribution promises: its size, its marks, its names, and the commands of the project."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import polyvox

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "polyvox"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def installed_with(name: str, found: set[str]) -> set[str]:
    """The distributions that `pip install NAME` brings on this Python, itself included."""
    found.add(canonicalize_name(name))
    for line in requires(name) or ():
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if canonicalize_name(requirement.name) not in found:
            installed_with(requirement.name, found)
    return found


def test_the_core_stays_small() -> None:
    """At most 14 distributions, itself included."""
    found = installed_with("polyvox", set())

    assert {"polyvox", "msgspec", "aiohttp", "urllib3"} <= found
    assert len(found) <= 14, sorted(found)


def import_cost(module: str) -> float:
    script = f"import time; start = time.process_time(); import {module}; print(time.process_time() - start)"
    return float(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)


def test_importing_costs_at_most_a_seventh_of_importing_the_openai_sdk() -> None:
    """CPU time, in turns, the best of three: noise only adds."""
    costs = [(import_cost("polyvox"), import_cost("openai")) for _ in range(3)]
    ours, theirs = (min(side) for side in zip(*costs, strict=True))

    assert ours * 7 <= theirs


def test_the_package_is_marked_as_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
    assert "Typing :: Typed" in PROJECT["classifiers"]


def test_type_checkers_and_programs_see_the_same_names() -> None:
    """The block for type checkers and the table of lazy names are written apart; they must agree."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname or alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert set(seen) == set(polyvox.__all__) - {"__version__"}
    for name, module in seen.items():
        assert getattr(polyvox, name) is getattr(__import__(module, fromlist=[name]), name)


def test_all_extras_are_there() -> None:
    assert {"cli", "local", "dev", "all", "bench"} <= set(PROJECT["optional-dependencies"])
    assert PROJECT["requires-python"] == ">=3.11"
    assert PROJECT["license"] == "Apache-2.0"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").lstrip().startswith("Apache License")


def test_make_has_every_task_by_name() -> None:
    targets = re.findall(r"^([a-z]+):.* ## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert {"run", "test", "check", "fmt", "lint", "types", "layers", "docs", "bench", "clean", "help"} <= set(targets)


def test_the_checks_before_landing_are_those_of_make_check() -> None:
    script = ROOT / ".ci" / "run"

    assert script.stat().st_mode & 0o111
    assert "set -euo pipefail" in script.read_text(encoding="utf-8")
    assert "make check" in script.read_text(encoding="utf-8").splitlines()[-1]


def test_every_link_between_our_pages_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\((?!https?://|#)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    ]

    assert len(links) > 10
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []


def test_the_changelog_knows_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert "## Unreleased" in text or f"## {polyvox.__version__}" in text
