"""What holds of every module of the source: its size, and words that may not stand in it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from polyvox.registry.config import Config
from polyvox.registry.target import Registry

SOURCE = Path(__file__).parent.parent / "src" / "polyvox"
MODULES = {path.relative_to(SOURCE).as_posix(): path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")}
TREES = {name: ast.parse(text) for name, text in MODULES.items()}
MODULE_LINES = 500
FUNCTION_LINES = 70
# These ask quirks what differs, never a name.
BLIND = ("dialects/", "calls/", "client/")
# Kinds of I/O bear the names of nobody, though one provider is called like its kind.
IO_KINDS = frozenset({"http", "local"})


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def offenders(fault: Callable[[str], object]) -> dict[str, object]:
    """The modules of which `fault` says something."""
    return {name: found for name in sorted(MODULES) if (found := fault(name))}


def test_the_source_is_found() -> None:
    assert len(MODULES) > 30


def test_every_module_keeps_its_budget() -> None:
    """A module that has outgrown its budget is split by noun before the feature lands."""
    assert not offenders(lambda name: lines if (lines := MODULES[name].count("\n")) > MODULE_LINES else None)


def test_every_function_keeps_its_budget() -> None:
    def fault(name: str) -> dict[str, int]:
        lines = {function.name: (function.end_lineno or 0) - function.lineno + 1 for function in functions(TREES[name])}
        return {function: count for function, count in lines.items() if count > FUNCTION_LINES}

    assert not offenders(fault)


def test_nothing_is_left_for_later() -> None:
    """No stub, no reminder: what is in the source works."""
    words = ("NotImplementedError", "TODO", "FIXME", "XXX", "HACK")

    assert not offenders(lambda name: [word for word in words if word in MODULES[name]])


def test_no_fault_is_swallowed() -> None:
    """A broad `except` whose body does nothing hides faults."""
    broad = {None, "Exception", "BaseException"}

    assert not offenders(
        lambda name: [
            node.lineno
            for node in ast.walk(TREES[name])
            if isinstance(node, ast.ExceptHandler)
            and (ast.unparse(node.type) if node.type else None) in broad
            and all(isinstance(line, ast.Pass) for line in node.body)
        ]
    )


def test_every_module_says_what_it_is() -> None:
    """An empty `__init__.py` needs no words."""
    assert not offenders(lambda name: MODULES[name].strip() and not ast.get_docstring(TREES[name]))


def words_compared(node: ast.AST) -> tuple[str, set[str]]:
    """What a comparison or a `match` is about, and the words it compares with."""
    if isinstance(node, ast.Compare):
        parts: list[ast.AST] = [node.left, *node.comparators]
        subject = ast.unparse(node)
    elif isinstance(node, ast.Match):
        parts = [case.pattern for case in node.cases]
        subject = ast.unparse(node.subject)
    else:
        return "", set()
    leaves = (leaf for part in parts for leaf in ast.walk(part) if isinstance(leaf, ast.Constant))
    return subject, {leaf.value for leaf in leaves if isinstance(leaf.value, str)}


def names_asked_for(tree: ast.AST, providers: frozenset[str], others: frozenset[str]) -> list[str]:
    """The comparisons with a provider's name. A word that names something else too counts where a provider is asked."""
    return [
        subject
        for subject, words in map(words_compared, ast.walk(tree))
        if any(word not in others or "provider" in subject for word in words & providers)
    ]


def test_shared_code_never_asks_who_the_provider_is() -> None:
    providers = frozenset(page.name for page in Registry(Config()).providers.list())
    others = IO_KINDS | {name.split("/")[1] for name in MODULES if name.startswith("dialects/")}

    assert not offenders(
        lambda name: names_asked_for(TREES[name], providers, others) if name.startswith(BLIND) else None
    )


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("provider == 'openai'", True),
        ("target.provider in ('x', 'groq')", True),
        ("name != 'groq'", True),
        ("match target.provider:\n    case 'openai': x", True),
        ("residue.dialect == 'openai'", False),
        ("word == 'unheard of'", False),
    ],
)
def test_the_search_for_names_sees_what_it_should(line: str, found: bool) -> None:
    asked = names_asked_for(ast.parse(line), frozenset({"openai", "groq"}), frozenset({"openai"}))

    assert bool(asked) is found


def test_threads_start_only_behind_the_seam() -> None:
    free = ("io/", "testing/", "cli/", "gateway/")

    assert not offenders(lambda name: "threading.Thread(" in MODULES[name] and not name.startswith(free))
