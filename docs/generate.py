"""Writes into the docs what the code knows better: providers, models, the command line's help.

    python docs/generate.py           rewrite the marked blocks
    python docs/generate.py --check   fail where one is out of date

The rule: a block stands between `<!-- begin: NAME -->` and `<!-- end: NAME -->`, and nobody edits it by hand.
"""

from __future__ import annotations

import datetime
import importlib
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from polyvox.calls.generate import prepare
from polyvox.cli.app import app
from polyvox.errors import UnsupportedError
from polyvox.providers.base import Provider
from polyvox.registry.config import Config, ProviderConfig
from polyvox.registry.target import Registry, Target
from polyvox.secrets import Secret
from polyvox.types.generate import GenerateRequest, Output, PromptCache
from polyvox.types.messages import user
from polyvox.types.models import ModelConfig
from polyvox.types.tools import Tool

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


TOOL = (Tool("weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}}),)
# A setting, and a request that says it: what becomes of it is found out by preparing that request.
PROBES: dict[str, dict[str, Any]] = {
    "max_tokens": {"max_tokens": 100},
    "temperature": {"temperature": 0.5},
    "top_p": {"top_p": 0.9},
    "top_k": {"top_k": 5},
    "stop": {"stop": ("END",)},
    "seed": {"seed": 1},
    "presence_penalty": {"presence_penalty": 0.5},
    "frequency_penalty": {"frequency_penalty": 0.5},
    "logprobs": {"logprobs": 2},
    "n": {"n": 2},
    "reasoning": {"reasoning": "medium"},
    "output": {"output": Output({"type": "object"})},
    "tools": {"tools": TOOL},
    "tool_choice": {"tools": TOOL, "tool_choice": "required"},
    "parallel_tools": {"tools": TOOL, "parallel_tools": False},
    "prompt_cache": {"prompt_cache": PromptCache("key")},
    "user": {"user": "u"},
    "service_tier": {"service_tier": "flex"},
    "metadata": {"metadata": {"a": "b"}},
}
# What a reader looks for first; the rest goes without saying or stands in the second table.
FATES = ("sent", "otherwise", "dropped", "refused")


def registry() -> Registry:
    """A registry in which every provider can be resolved, long before any model goes."""
    keys = {
        page.name: ProviderConfig(api_key=Secret("key"), base_url=page.base_url or "https://address")
        for page in Registry(Config()).providers.list()
    }
    return Registry(Config(providers=keys), today=lambda: datetime.date(2020, 1, 1))


def fate(target: Target, setting: str) -> str:
    """What becomes of a setting that is given for this model: one of `FATES`."""
    request = GenerateRequest(model=target.model, messages=(user("Hi"),), **PROBES[setting])
    try:
        adjusted = prepare(target, request, stream=False).adjustments
    except UnsupportedError:
        return "refused"
    made = [one.kind for one in adjusted if one.setting.partition(".")[0] == setting]
    return "sent" if not made else "dropped" if "dropped" in made else "otherwise"


def targets(known: Registry, page: Provider) -> list[Target]:
    """One target for each way in which the provider's models are asked; any model, where none is known."""
    found = [row for row in known.models.list(page.name) if row.kind == "language"]
    names = [row.id for row in found] or ["any-model"]
    resolved = [known.resolve(f"{page.name}/{name}") for name in names]
    return [*{repr((target.dialect.name, target.quirks, target.emulate)): target for target in resolved}.values()]


def parameters() -> str:
    known = registry()
    signs = {"sent": "✓", "otherwise": "≈", "dropped": "–", "refused": "✗"}
    lines = []
    for page in known.providers.list():
        cells = []
        ways = targets(known, page)
        for setting in PROBES:
            fates = {fate(target, setting) for target in ways}
            cells.append(" ".join(signs[word] for word in FATES if word in fates))
        lines.append((code(page.name), *cells))
    return rows(("provider", *(code(setting) for setting in PROBES)), lines)


def models() -> str:
    known = registry()
    rows_of_makers = [row for row in known.models.list() if row.home and row.kind == "language"]
    return rows(
        ("model", "aliases", "wire", "context", "output", "steps of reasoning", "dropped or refused", "price in / out"),
        [
            (
                code(f"{row.provider}/{row.id}"),
                code(*row.aliases),
                code((target := known.resolve(f"{row.provider}/{row.id}")).dialect.name),
                tokens(row.context_tokens),
                tokens(row.output_tokens),
                steps(row),
                code(*(setting for setting in PROBES if fate(target, setting) in ("dropped", "refused"))),
                price(row),
            )
            for row in rows_of_makers
        ],
    )


def tokens(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def steps(row: ModelConfig) -> str:
    return "" if row.efforts is None else code(*row.efforts) or "none"


def price(row: ModelConfig) -> str:
    found = row.price
    return "" if found is None or found.input is None else f"{found.input:g} / {found.output or 0:g}"


def pages() -> str:
    """What each provider's page says of it."""
    told = []
    for page in Registry(Config()).providers.list():
        words = importlib.import_module(f"polyvox.providers.{page.name}").__doc__ or ""
        head, _, rest = words.strip().partition("\n")
        address = head.partition(" ")[2].rpartition(" ")[2] if "http" in head else None
        links = {"documentation": address, **page.links} if address else page.links
        lines = [f"### {page.title} (`{page.name}`)", "", " · ".join(f"[{word}]({at})" for word, at in links.items())]
        lines += ["", rest.strip()] if rest.strip() else []
        if page.default_model:
            lines += ["", f"Asked where no model is named: `{page.name}/{page.default_model}`."]
        told.append("\n".join(lines) + "\n")
    return "\n" + "\n".join(told) + "\n"


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


BLOCKS: dict[str, Callable[[], str]] = {
    "providers": providers,
    "parameters": parameters,
    "models": models,
    "pages": pages,
}


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
