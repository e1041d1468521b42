"""Writes into the docs what the code knows better: providers, models, the command line's help.

    python docs/generate.py           rewrite the marked blocks
    python docs/generate.py --check   fail where one is out of date

The rule: a block stands between `<!-- begin: NAME -->` and `<!-- end: NAME -->`, and nobody edits it by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from polyvox.cli.app import app
from polyvox.registry.config import Config
from polyvox.registry.target import Registry

DOCS = Path(__file__).parent
BLOCK = re.compile(r"(<!-- begin: (?P<name>[^>]+?) -->\n).*?(<!-- end: (?P=name) -->)", re.DOTALL)


def rows(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    table = [head, ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in table)


def code(*words: str) -> str:
    return ", ".join(f"`{word}`" for word in words)


def providers() -> str:
    pages = sorted(Registry(Config()).providers.list(), key=lambda page: page.name)
    return rows(
        ("provider", "service", "address", "key", "other variables", "dialects"),
        [
            (
                code(page.name),
                page.title,
                "in this process" if page.io == "local" else code(page.base_url) if page.base_url else "yours",
                {"required": code(*page.env), "optional": f"{code(*page.env)}, optional", "none": "none"}[page.key],
                code(*page.base_url_env, *page.header_env.values()),
                ", ".join(f"{operation}: {code(endpoint.dialect)}" for operation, endpoint in page.operations.items()),
            )
            for page in pages
        ],
    )


def models() -> str:
    return rows(
        ("model", "aliases", "takes", "can"),
        [
            (
                code(f"{row.provider}/{row.id}"),
                code(*row.aliases),
                ", ".join(row.input_modalities),
                ", ".join(row.capabilities).replace("_", " "),
            )
            for row in Registry(Config()).models.list()
        ],
    )


def command(*words: str) -> str:
    """What a command does and takes, from its declaration: the look of `--help` is another library's affair."""
    found = typer.main.get_command(app)
    for word in words:
        assert isinstance(found, TyperGroup)
        found = found.commands[word]
    purpose = " ".join((found.help or "").split())
    if isinstance(found, TyperGroup):
        lines = [(code(f"polyvox {name}"), help_of(inner)) for name, inner in found.commands.items()]
        return f"{purpose}\n\n{rows(('command', 'what it does'), lines)}\n{' '.join((found.epilog or '').split())}\n"
    lines = [
        (
            code(*(parameter.opts if parameter.param_type_name == "option" else [parameter.name.upper()])),
            getattr(parameter, "help", None) or "",
        )
        for parameter in found.params
    ]
    return f"{purpose}\n" + (f"\n{rows(('argument or option', 'what it says'), lines)}" if lines else "")


def help_of(found: Any) -> str:
    return " ".join((found.help or "").split()).partition(". ")[0].removesuffix(".")


BLOCKS: dict[str, Callable[[], str]] = {"providers": providers, "models": models}


def block(name: str) -> str:
    if name.startswith("polyvox"):
        return command(*name.split()[1:])
    return BLOCKS[name]()


def stale(write: bool) -> list[Path]:
    """The pages whose blocks differ from the code; rewritten, if so asked."""
    found = []
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        fresh = BLOCK.sub(lambda match: f"{match[1]}{block(match['name'])}{match[3]}", text)
        if fresh != text:
            found.append(page)
            if write:
                page.write_text(fresh, encoding="utf-8")
    return found


def main() -> None:
    check = "--check" in sys.argv[1:]
    found = stale(write=not check)
    for page in found:
        print(f"docs: {page.name} {'is out of date: run `make docs`' if check else 'rewritten'}")
    sys.exit(1 if check and found else 0)


if __name__ == "__main__":
    main()
