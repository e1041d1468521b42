"""`polyvox local`: the embedded model's file."""

from __future__ import annotations

import sys

import typer

_INSTALL = "not installed: run polyvox local install"

local = typer.Typer(help="The embedded model: no key, no network.", no_args_is_help=True)


@local.command()
def install() -> None:
    """Fetch the model's file once (98 MB), check it, and put it in the user's data directory."""
    from polyvox.cli.screen import standard_error
    from polyvox.io.local_files import install as fetch
    from polyvox.io.local_files import status as look

    found = look()
    if found.installed and found.origin == "environment":
        print(f"POLYVOX_LOCAL_MODEL names {found.path}: nothing to install")
        return
    console = standard_error()
    whole = found.origin == "installed" and found.sha256_ok
    if whole or not console.is_terminal:
        # One that is there is only checked, which takes no time worth showing.
        if not whole:
            print("fetching the local model (98 MB) …", file=sys.stderr)
        path = fetch()
    else:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("local model"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("local model")
            path = fetch(lambda done, total: progress.update(task, completed=done, total=total))
    print(f"the local model stands at {path}")
    if found.origin == "environment":
        print(f"but POLYVOX_LOCAL_MODEL names {found.path}, which is not there: unset it", file=sys.stderr)
    if not found.binding:
        print("its binding is missing: pip install 'polyvox[local]'", file=sys.stderr)


@local.command()
def status() -> None:
    """Say whether the model and its binding are there."""
    from polyvox.io.local_files import status as look

    found = look()
    size = f" ({found.size / 1e6:.0f} MB)" if found.size else ""
    if not found.installed:
        named = found.origin == "environment"
        missing = f"POLYVOX_LOCAL_MODEL names {found.path}, which is not there" if named else _INSTALL
        print(f"model:   {missing}")
    elif found.sha256_ok is False:
        print(f"model:   {found.path} is damaged: run polyvox local install")
    else:
        print(f"model:   {found.path}{size}")
    print(f"binding: xllamacpp {found.binding}" if found.binding else "binding: missing: pip install 'polyvox[local]'")
    if not (found.installed and found.sha256_ok is not False and found.binding):
        raise typer.Exit(2)
