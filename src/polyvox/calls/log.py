"""What `logging` hears of calls, under `polyvox.calls`: a line for each request, answer, failure and turn, and for the
end of a call, at level DEBUG.

The rules. No secret: every line goes through the sanitiser, with the call's own secrets known. No bodies unless
`CallConfig(log_bodies=True)` asks for them; in them `sanitize_secrets=False` leaves what only looks like a key. A level
that nobody listens to costs one comparison a request.
"""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from polyvox.errors import PolyvoxError
from polyvox.io.base import Context, HttpRequest, HttpResponse
from polyvox.registry.target import Target
from polyvox.secrets import sanitize, sanitize_headers
from polyvox.types.generate import GenerateRequest

if TYPE_CHECKING:
    from polyvox.calls.generate import Call, Events

LOGGER: Final = logging.getLogger("polyvox.calls")


def is_heard() -> bool:
    """Whether anybody listens to this log."""
    return LOGGER.isEnabledFor(logging.DEBUG)


def log_request(context: Context, target: Target, http: HttpRequest, *, bodies: bool, shapes: bool) -> None:
    """Say what is sent, and where. Without `shapes` a body keeps what only looks like a key."""
    if not is_heard():
        return
    number = len(context.attempts)
    where = sanitize(http.url, context.secrets)
    LOGGER.debug("%s attempt %d: %s %s, %d bytes", target.name, number, http.method, where, len(http.body))
    if bodies:
        headers = sanitize_headers(http.headers, context.secrets)
        text = sanitize(http.body.decode("utf-8", "replace"), context.secrets, shapes=shapes)
        LOGGER.debug("%s attempt %d sends %s %s", target.name, number, headers, text)


def log_answer(context: Context, target: Target, response: HttpResponse) -> None:
    """Say that an answer began."""
    if is_heard():
        LOGGER.debug(
            "%s answered %d after %.3f s, request id %s",
            *(target.name, response.status, context.io.now() - context.started),
            sanitize(context.request_id or "not given", context.secrets),
        )


def log_failure(context: Context, target: Target, error: PolyvoxError) -> None:
    """Say that an attempt failed, and how."""
    if is_heard():
        retryable = "retryable" if error.retryable else "final"
        after = context.io.now() - context.started
        text = sanitize(str(error), context.secrets)
        LOGGER.debug("%s failed after %.3f s (%s, %s): %s", target.name, after, type(error).__name__, retryable, text)


def logged(inner: Call, name: str) -> Call:
    """Return `inner`, saying which turns the call to `name` takes (retries, fallbacks, waits …), and how it ended."""

    async def generate(context: Context, request: GenerateRequest) -> Events:
        before = context.notify

        async def notify(kind: str, fact: Any) -> None:
            LOGGER.debug("%s takes a turn: %s %s", name, kind, sanitize(_facts(fact), context.secrets))
            if before is not None:
                await before(kind, fact)

        context.notify = notify
        outcome = "was left"
        try:
            async with aclosing(inner(context, request)) as lists:
                async for events in lists:
                    yield events
            outcome = "is done"
        except Exception as error:
            outcome = f"failed ({type(error).__name__})"
            raise
        finally:
            context.notify = before
            seconds = context.io.now() - context.started
            LOGGER.debug("%s %s after %.3f s, attempts: %d", name, outcome, seconds, len(context.attempts))

    return generate


def _facts(fact: Any) -> str:
    """Return a fact's members as words: an error by its class, since its text has a line of its own."""
    shown = ((name, value) for name, value in structs.asdict(fact).items() if value is not None)
    return ", ".join(
        f"{name}={type(value).__name__ if isinstance(value, BaseException) else value}" for name, value in shown
    )


class Logged:
    """An answer whose bytes are logged as they are read."""

    def __init__(self, response: HttpResponse, context: Context, target: Target, *, shapes: bool) -> None:
        self._response, self._context, self._target, self._shapes = response, context, target, shapes
        self.status = response.status
        self.headers = response.headers

    async def read(self, until: float | None) -> bytes:
        """Return the next bytes; see `HttpResponse.read`."""
        data = await self._response.read(until)
        if data and is_heard():
            text = sanitize(data.decode("utf-8", "replace"), self._context.secrets, shapes=self._shapes)
            LOGGER.debug("%s sent %s", self._target.name, text)
        return data
