"""The plain call: one request out, its whole body back. For what is asked beside `generate`: lists, counts, batches.

The rules are those of `calls.generate`: auth signs last, the limits in force are the context's, an error is typed by
the dialect and carries no secret, every attempt stands in `context.attempts`. It is made again as `Retry` says, and of
several endpoints each attempt goes to the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from polyvox.calls.facts import RetryFact
from polyvox.calls.generate import check_body, check_status, http_request, identify, read_body
from polyvox.calls.log import Logged, log_answer, log_failure, log_request
from polyvox.dialects.base import WireRequest
from polyvox.errors import PolyvoxError
from polyvox.io.base import Context, HttpResponse
from polyvox.registry.endpoints import EndpointTarget
from polyvox.registry.target import Target
from polyvox.types.usage import Attempt, RateLimits

if TYPE_CHECKING:
    from polyvox.calls.retry import Retry


class Reply(Struct, frozen=True):
    """The whole answer to a plain call. `request_id` and `rate_limits` as the provider's headers tell them."""

    status: int
    headers: dict[str, str]
    body: bytes
    request_id: str | None = None
    rate_limits: RateLimits | None = None


class Line(Struct, frozen=True):
    """Where plain calls go, and how: all of one operation go the same way.

    `endpoints` are those of one provider, one at least. `retry`: `None` never repeats. `log_bodies` has what is
    sent and received logged, too, where `sanitize_secrets` masks what only looks like a key as well.
    """

    endpoints: Sequence[EndpointTarget]
    retry: Retry | None = None
    log_bodies: bool = False
    sanitize_secrets: bool = True

    @property
    def target(self) -> Target:
        """The first endpoint's: in what the provider is, all are alike."""
        return self.endpoints[0].target

    async def ask(self, context: Context, wire: WireRequest) -> Reply:
        """Send the request and return the answer, within the context's limits.

        Raises a `ProviderError` for the provider's refusal, `TransportError` where the bytes did not get through,
        `DecodeError` for a page where an answer was expected, `Cancelled` where the call was aborted.
        """
        attempt = 0
        while True:
            endpoint = self.endpoints[attempt % len(self.endpoints)]
            attempt += 1
            try:
                return await self._attempt(context, endpoint, wire)
            except PolyvoxError as error:
                failure = error
            seconds = self._seconds_before_retry(context, failure, attempt)
            if seconds is None:
                failure.attempts = tuple(context.attempts)
                raise failure
            if context.notify is not None:
                await context.notify("retry", RetryFact(attempt, seconds, failure, failure.provider, failure.model))
            await context.io.sleep(seconds, context)

    def _seconds_before_retry(self, context: Context, failure: PolyvoxError, attempt: int) -> float | None:
        if self.retry is None:
            return None
        from polyvox.calls.retry import seconds_before_retry

        return seconds_before_retry(self.retry, context, failure, attempt)

    async def _attempt(self, context: Context, endpoint: EndpointTarget, wire: WireRequest) -> Reply:
        target, context.endpoint = endpoint.target, endpoint.name or None
        context.secrets.extend(target.auth.secrets)
        # Nothing of a request before this one is ours: not its limit in force, not how far it came.
        context.limit("total", None)
        context.connected = context.first_event = context.request_id = context.rate_limits = None
        place, started = len(context.attempts), context.io.now() - context.started
        attempt = Attempt(target.provider, target.model, started, endpoint=context.endpoint)
        context.attempts.append(attempt)
        try:
            context.check()
            http = await target.auth.sign(http_request(target, wire), context.io)
            log_request(context, target, http, bodies=self.log_bodies, shapes=self.sanitize_secrets)
            async with context.io.open(http, context) as response:
                context.connected = context.io.now()
                return await self._read(context, target, response)
        except PolyvoxError as error:
            identify(error, context, target)
            log_failure(context, target, error)
            attempt = structs.replace(attempt, error=type(error).__name__)
            raise
        finally:
            seconds = context.io.now() - context.started - attempt.started
            context.attempts[place] = structs.replace(attempt, seconds=seconds)

    async def _read(self, context: Context, target: Target, response: HttpResponse) -> Reply:
        context.request_id, context.rate_limits = target.dialect.decode_headers(response.headers)
        log_answer(context, target, response)
        if self.log_bodies:
            response = Logged(response, context, target, shapes=self.sanitize_secrets)
        await check_status(context, target, response)
        body = await read_body(context, response)
        check_body(response, body)
        context.first_event = context.io.now()
        return Reply(response.status, dict(response.headers), body, context.request_id, context.rate_limits)
