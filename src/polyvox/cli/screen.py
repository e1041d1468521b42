"""What a person sees: plain text where the output is piped, quiet colours where it is a terminal.

The rule: the answer itself is written as it comes, unchanged; notes about it go to standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from polyvox.types.events import Event, ReasoningDelta, TextDelta
from polyvox.types.generate import GenerateResponse

if TYPE_CHECKING:
    from rich.console import Console


def standard_error() -> Console:
    """Return the console of standard error as it is now (tests and pipes replace it)."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False)


def standard_output() -> Console:
    """Return the console of standard output as it is now."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False)


class AnswerWriter:
    """Writes a streamed answer as it comes; reasoning, where wanted, dimly before it (to standard error when piped)."""

    def __init__(self, *, show_reasoning: bool = False) -> None:
        self._show_reasoning = show_reasoning
        self._reasoned = False
        self._last = "\n"

    def write(self, event: Event) -> None:
        """Show what an event brings."""
        if isinstance(event, TextDelta) and event.text:
            if self._reasoned:
                self._reasoned = False
                standard_error().print()
            self.text(event.text)
        elif isinstance(event, ReasoningDelta) and self._show_reasoning and event.text:
            self._reasoned = True
            standard_error().print(event.text, style="dim", end="", markup=False, soft_wrap=True)

    def text(self, text: str) -> None:
        """Show text of the answer."""
        sys.stdout.write(text)
        sys.stdout.flush()
        self._last = text[-1:]

    def close(self) -> None:
        """End the line."""
        if self._last != "\n":
            sys.stdout.write("\n")
            sys.stdout.flush()


def print_notes(response: GenerateResponse[Any], *, verbose: bool) -> None:
    """Say what was done otherwise than asked (at a terminal, or with `-v`), and with `-v` what it took."""
    console = standard_error()
    for adjustment in response.adjustments:
        loud = adjustment.kind in ("dropped", "clamped") and console.is_terminal
        if verbose or loud:
            said = f"{adjustment.kind}: {adjustment.setting}{': ' if adjustment.detail else ''}{adjustment.detail}"
            console.print(said, style="yellow", markup=False, soft_wrap=True)
    if verbose:
        console.print(" · ".join(_figures(response)), style="dim", markup=False, soft_wrap=True)


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

    table = Table(*heads, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    console.print(table)
