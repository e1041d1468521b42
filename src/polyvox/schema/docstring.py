"""What a docstring says of a function and of its parameters, in Google's, NumPy's or Sphinx' style.

The rule: never fail. A docstring in no known style says what the function does, and nothing of its parameters.
"""

from __future__ import annotations

import inspect
import re
from typing import Final

_GOOGLE_SECTION: Final = re.compile(
    r"(?:Args|Arguments|Parameters|Params|Keyword Arg(?:uments|s)|Other Parameters):\s*$"
)
_GOOGLE_ENTRY: Final = re.compile(r"(\*{0,2}\w+)\s*(?:\((?:[^()]|\([^()]*\))*\))?\s*:(?:\s+(.*)|$)")
_NUMPY_SECTION: Final = re.compile(r"(?:Parameters|Other Parameters)\s*$")
_NUMPY_ENTRY: Final = re.compile(r"(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?$")
_RULE: Final = re.compile(r"-{3,}\s*$")
_SPHINX_ENTRY: Final = re.compile(
    r":(?:param|parameter|arg|argument|key|keyword)\s+(?:[^:]*\s)?(\*{0,2}\w+)\s*:\s*(.*)$"
)


def read_docstring(text: str | None) -> tuple[str | None, dict[str, str]]:
    """Return the first paragraph and the descriptions of the parameters by name."""
    lines = inspect.cleandoc(text or "").splitlines()
    parameters: dict[str, list[str]] = {}
    for at, line in enumerate(lines):
        after = lines[at + 1] if at + 1 < len(lines) else ""
        if _GOOGLE_SECTION.match(line.strip()):
            parameters.update(_google(lines[at + 1 :], _indent(line)))
        elif _NUMPY_SECTION.match(line) and _RULE.match(after):
            parameters.update(_numpy(lines[at + 2 :]))
        elif found := _SPHINX_ENTRY.match(line.strip()):
            parameters[found[1]] = [found[2], *_sphinx_rest(lines[at + 1 :])]
    described = {name.lstrip("*"): " ".join(" ".join(words).split()) for name, words in parameters.items()}
    return _summary(lines) or None, {name: words for name, words in described.items() if words}


def _summary(lines: list[str]) -> str:
    paragraph: list[str] = []
    for at, line in enumerate(lines):
        after = lines[at + 1] if at + 1 < len(lines) else ""
        if not line.strip() or _GOOGLE_SECTION.match(line) or line.startswith(":") or _RULE.match(after):
            break
        paragraph.append(line.strip())
    return " ".join(paragraph)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _google(lines: list[str], outer: int) -> dict[str, list[str]]:
    """Entries `name (type): words`, indented; what is indented deeper goes on with the words."""
    entries: dict[str, list[str]] = {}
    words: list[str] | None = None
    inner: int | None = None
    for line in lines:
        if not line.strip():
            continue
        if _indent(line) <= outer:
            break
        inner = _indent(line) if inner is None else inner
        found = _GOOGLE_ENTRY.match(line.strip()) if _indent(line) <= inner else None
        if found:
            words = entries[found[1]] = [found[2] or ""]
        elif words is not None:
            words.append(line)
    return entries


def _numpy(lines: list[str]) -> dict[str, list[str]]:
    """Entries `name : type`, the words indented below."""
    entries: dict[str, list[str]] = {}
    words: list[str] = []
    for at, line in enumerate(lines):
        after = lines[at + 1] if at + 1 < len(lines) else ""
        if _RULE.match(after):
            break
        if _indent(line):
            words.append(line)
        elif found := _NUMPY_ENTRY.match(line):
            words = []
            entries.update((name.strip(), words) for name in found[1].split(","))
    return entries


def _sphinx_rest(lines: list[str]) -> list[str]:
    """The indented lines that go on with an entry."""
    rest: list[str] = []
    for line in lines:
        if not line.strip() or not _indent(line) or line.strip().startswith(":"):
            break
        rest.append(line)
    return rest
