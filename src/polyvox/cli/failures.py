"""What a failure means at the command line: one sentence and an exit code.

The rule: every way out of a command leads through `explain`; only `POLYVOX_DEBUG=1` shows a traceback.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Final

from polyvox import errors
from polyvox.secrets import sanitize

OK: Final = 0
UNEXPECTED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130

# The first class that fits decides. Told in docs/cli.md and in `polyvox --help`.
EXIT_CODES: Final[tuple[tuple[type[errors.PolyvoxError], int], ...]] = (
    (errors.ConfigError, USAGE),
    (errors.AuthenticationError, 3),
    (errors.PermissionDeniedError, 3),
    (errors.RateLimitError, 4),
    (errors.BillingError, 4),
    (errors.LimitError, 4),
    (errors.BadRequestError, 5),
    (errors.NotFoundError, 5),
    (errors.ConflictError, 5),
    (errors.UnsupportedError, 5),
    (errors.TransportError, 6),
    (errors.ProviderError, 7),
    (errors.DecodeError, 7),
    (errors.Cancelled, INTERRUPTED),
)

EPILOG: Final = (
    "Exit codes: 0 done, 1 unexpected, 2 usage or configuration, 3 key or permission, 4 limit or money, 5 request "
    "refused, 6 no connection or timeout, 7 provider's failure, 130 interrupted."
)


def exit_code(error: BaseException) -> int:
    """Return the exit code of a failure."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), UNEXPECTED)


def sentence(error: BaseException) -> str:
    """Return the one sentence about a failure, without secrets."""
    said = " ".join(sanitize(str(error)).split())
    if isinstance(error, errors.PolyvoxError):
        return said
    return f"unexpected {type(error).__name__}{': ' if said else ''}{said} (POLYVOX_DEBUG=1 shows where)"


def explain(error: BaseException) -> int:
    """Say what went wrong on standard error, and return the exit code."""
    if os.environ.get("POLYVOX_DEBUG"):
        print(sanitize("".join(traceback.format_exception(error))), file=sys.stderr)
    if isinstance(error, KeyboardInterrupt):
        print(file=sys.stderr)
        return INTERRUPTED
    from polyvox.cli.screen import tell

    tell(f"polyvox: {sentence(error)}", "red")
    return exit_code(error)
