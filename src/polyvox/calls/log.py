"""What `logging` hears of calls, under `polyvox.calls`: a line for each request, answer and failure, at level DEBUG.

The rules. No secret: every line goes through the sanitiser, with the call's own secrets known. No bodies unless
`CallConfig(log_bodies=True)` asks for them. A level that nobody listens to costs one comparison a request.
"""

from __future__ import annotations

import logging
from typing import Final

from polyvox.errors import PolyvoxError
from polyvox.io.base import Context, HttpRequest, HttpResponse
from polyvox.registry.target import Target
from polyvox.secrets import sanitize, sanitize_headers

LOGGER: Final = logging.getLogger("polyvox.calls")


def log_request(context: Context, target: Target, http: HttpRequest, *, bodies: bool) -> None:
    """Say what is sent, and where."""
    if not LOGGER.isEnabledFor(logging.DEBUG):
        return
    number = len(context.attempts)
    where = sanitize(http.url, context.secrets)
    LOGGER.debug("%s attempt %d: %s %s, %d bytes", target.name, number, http.method, where, len(http.body))
    if bodies:
        headers = sanitize_headers(http.headers, context.secrets)
        text = sanitize(http.body.decode("utf-8", "replace"), context.secrets)
        LOGGER.debug("%s attempt %d sends %s %s", target.name, number, headers, text)


def log_answer(context: Context, target: Target, response: HttpResponse) -> None:
    """Say that an answer began."""
    if LOGGER.isEnabledFor(logging.DEBUG):
        LOGGER.debug(
            "%s answered %d after %.3f s, request id %s",
            *(target.name, response.status, context.io.now() - context.started),
            sanitize(context.request_id or "not given", context.secrets),
        )


def log_failure(context: Context, target: Target, error: PolyvoxError) -> None:
    """Say that an attempt failed, and how."""
    if LOGGER.isEnabledFor(logging.DEBUG):
        retryable = "retryable" if error.retryable else "final"
        after = context.io.now() - context.started
        text = sanitize(str(error), context.secrets)
        LOGGER.debug("%s failed after %.3f s (%s, %s): %s", target.name, after, type(error).__name__, retryable, text)


class Logged:
    """An answer whose bytes are logged as they are read."""

    def __init__(self, response: HttpResponse, context: Context, target: Target) -> None:
        self._response, self._context, self._target = response, context, target
        self.status = response.status
        self.headers = response.headers

    async def read(self, until: float | None) -> bytes:
        """Return the next bytes; see `HttpResponse.read`."""
        data = await self._response.read(until)
        if data and LOGGER.isEnabledFor(logging.DEBUG):
            text = sanitize(data.decode("utf-8", "replace"), self._context.secrets)
            LOGGER.debug("%s sent %s", self._target.name, text)
        return data
