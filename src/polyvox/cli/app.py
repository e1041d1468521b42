"""The commands put together, and the one way out of them all."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, cast

import typer

from polyvox.cli import failures
from polyvox.cli.chat import chat
from polyvox.cli.listing import models, providers
from polyvox.cli.local import local
from polyvox.cli.run import run

app = typer.Typer(
    name="polyvox",
    help="One interface to every large-language-model provider.",
    epilog=failures.EPILOG,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(run)
app.command()(chat)
app.command()(models)
app.command()(providers)
app.add_typer(local, name="local")


# typer has click of its own from 0.26 on, and the installed one before: its own parameter error leads to the base.
UsageError: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def _print_version(wanted: bool) -> None:
    if wanted:
        import polyvox

        print(f"polyvox {polyvox.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """One interface to every large-language-model provider."""


def _ready_output() -> None:
    """Let no character of an answer be an error: one that the output's encoding has not becomes a question mark."""
    if sys.stdout is None:  # closed by whoever started us
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - it stands for the output
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(errors="replace")


def run_app(arguments: Sequence[str]) -> int:
    """Run a command and return the exit code; every failure becomes one sentence."""
    _ready_output()
    try:
        code = app(list(arguments), standalone_mode=False)
        sys.stdout.flush()
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort:
        return failures.explain(KeyboardInterrupt())
    except UsageError as error:
        cast(Any, error).show()
        return failures.USAGE
    except BrokenPipeError:
        # Whoever read us has had enough. Nothing may be written at the interpreter's end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return failures.OK
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the one place where everything is explained
        return failures.explain(error)
    return code if isinstance(code, int) else failures.OK
