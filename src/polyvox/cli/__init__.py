"""The command line. One module a command; what a command needs is loaded when it runs.

The rule: a person gets one clear sentence for every failure, an exit code by the kind of error, and never a traceback
or a key. `polyvox --version` loads nothing.
"""

from __future__ import annotations

import sys

_NOT_INSTALLED = "polyvox: the command line needs typer, rich and prompt_toolkit: pip install 'polyvox[cli]'"


def main() -> None:
    """Run the command line with the process's own arguments, and exit."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        import polyvox

        print(f"polyvox {polyvox.__version__}")
        sys.exit(0)
    try:
        from polyvox.cli.app import run_app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("typer", "click", "rich"):
            raise
        print(_NOT_INSTALLED, file=sys.stderr)
        sys.exit(1)
    sys.exit(run_app(sys.argv[1:]))
