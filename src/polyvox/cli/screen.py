"""What a person sees: plain text where the output is piped, quiet colours where it is a terminal.

The rule: the answer itself is written as it comes, unchanged when piped; notes about it go to standard error. A
terminal gets no control characters but line ends and tabs: an answer or an error's text must not steer the screen.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from polyvox.types.events import Event, ReasoningDelta, TextDelta
from polyvox.types.generate import Adjustment, GenerateResponse
from polyvox.types.parts import FilePart

if TYPE_CHECKING:
    from rich.console import Console

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ENDINGS: Final = {
    "length": "the answer was cut off at its longest length (--max-tokens)",
    "content_filter": "the answer was held back by a content filter",
    "pause": "the answer pauses, and is not whole",
    "error": "the answer ended in an error",
}


def printable(text: str) -> str:
    """Return text without the control characters that steer a terminal."""
    return _CONTROLS.sub("", text)


def standard_error() -> Console:
    """Return the console of standard error as it is now (tests and pipes replace it)."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False)


def standard_output() -> Console:
    """Return the console of standard output as it is now."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False)


def tell(line: str, style: str = "dim", *, end: str = "\n") -> None:
    """Show words that are no part of an answer, on standard error."""
    console = standard_error()
    console.print(printable(line), style=style, markup=False, highlight=False, emoji=False, soft_wrap=True, end=end)


class AnswerWriter:
    """Writes a streamed answer as it comes; reasoning, where wanted, dimly before it (to standard error when piped)."""

    def __init__(self, *, show_reasoning: bool = False) -> None:
        self._show_reasoning = show_reasoning
        self._reasoned = False
        self._terminal = sys.stdout.isatty()
        self._last = "\n"

    def write(self, event: Event) -> None:
        """Show what an event brings."""
        if isinstance(event, TextDelta) and event.text:
            if self._reasoned:
                self._reasoned = False
                tell("")
            self.text(event.text)
        elif isinstance(event, ReasoningDelta) and self._show_reasoning and event.text:
            self._reasoned = True
            tell(event.text, end="")

    def text(self, text: str) -> None:
        """Show text of the answer."""
        shown = printable(text) if self._terminal else text
        # Noted first: a Ctrl-C right after the writing must still find a line to end.
        self._last = shown[-1:] or self._last
        sys.stdout.write(shown)
        sys.stdout.flush()

    def close(self) -> None:
        """End the line."""
        if self._reasoned:
            self._reasoned = False
            tell("")
        if self._last != "\n":
            sys.stdout.write("\n")
            sys.stdout.flush()


def print_notes(response: GenerateResponse[Any], *, verbose: bool, told: set[Adjustment] | None = None) -> None:
    """Say what is not on the screen, what was lost (at a terminal, or with `-v`), and with `-v` all that it took.

    `told` remembers what was said before in the same conversation, and is not said again.
    """
    for part in response.content:
        if isinstance(part, FilePart):
            size = f", {len(part.data)} bytes" if isinstance(part.data, bytes) else ""
            tell(f"the answer holds a file ({part.media_type}{size}), which is not shown: --json prints it", "yellow")
    loud = verbose or standard_error().is_terminal
    told = set() if told is None else told
    for adjustment in response.adjustments:
        # What is emulated, renamed or needed reached the model; only what did not is worth a warning unasked.
        if adjustment not in told and (verbose or (loud and adjustment.kind in ("dropped", "clamped"))):
            told.add(adjustment)
            detail = f": {adjustment.detail}" if adjustment.detail else ""
            tell(f"{adjustment.kind}: {adjustment.setting}{detail}", "yellow")
    if loud and response.finish is not None and response.finish.reason in _ENDINGS:
        tell(_ENDINGS[response.finish.reason], "yellow")
    if verbose:
        tell(" · ".join(_figures(response)))


def _figures(response: GenerateResponse[Any]) -> Iterable[str]:
    yield response.origin or response.model or ""
    usage = response.usage
    if usage.input_tokens is not None or usage.output_tokens is not None:
        yield f"{usage.input_tokens or 0} tokens in, {usage.output_tokens or 0} out"
    if response.cost is not None:
        yield f"{response.cost.amount:.6f} {response.cost.currency} ({response.cost.source})"
    if response.timing is not None and response.timing.total is not None:
        yield f"{response.timing.total:.1f} s"
    if response.finish is not None:
        yield response.finish.reason


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Show a table; piped, one line a row with tabs between."""
    console = standard_output()
    if not console.is_terminal:
        for row in rows:
            sys.stdout.write("\t".join(row) + "\n")
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table)
