"""OpenTelemetry: a span for each call, with all its attempts, and the metrics of the GenAI conventions.

The rules. The span covers the whole logical call, retries and fallbacks included, and lasts as long as the stream is
read. Prompts and answers are not recorded unless `capture_content` asks for it, and go through the sanitiser then. The
span is never made the current one: a generator that is suspended must not leave it so behind. An event of a stream
costs a look at its type; only `capture_content` folds the answer a second time.
"""

from __future__ import annotations

import json
from contextlib import aclosing
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, structs

from polyvox.calls import telemetry_names as names
from polyvox.calls.generate import Call, Events
from polyvox.calls.startup import is_startup
from polyvox.errors import Cancelled, ConfigError, PolyvoxError
from polyvox.io.base import Context
from polyvox.registry.target import Target
from polyvox.secrets import sanitize
from polyvox.types.events import Event, StreamEnd, StreamStart, UsageUpdate
from polyvox.types.fold import Fold
from polyvox.types.generate import GenerateRequest, GenerateResponse
from polyvox.types.messages import Message

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, MeterProvider
    from opentelemetry.trace import Span, Tracer, TracerProvider


class Telemetry(Struct, frozen=True, kw_only=True):
    """What of a call is told to OpenTelemetry (extra `otel`).

    The providers are those set globally where `None`. `capture_content` puts the messages of request and answer on the
    span: they may hold what people said in confidence.
    """

    tracer_provider: TracerProvider | None = None
    meter_provider: MeterProvider | None = None
    capture_content: bool = False


class _Instruments(Struct, frozen=True):
    tracer: Tracer
    tokens: Histogram
    duration: Histogram
    first_chunk: Histogram


@cache
def _instruments(tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None) -> _Instruments:
    try:
        from opentelemetry import metrics, trace
    except ModuleNotFoundError:
        raise ConfigError("Telemetry needs opentelemetry-api: pip install 'polyvox[otel]'") from None
    from polyvox import __version__

    meter = metrics.get_meter("polyvox", __version__, meter_provider=meter_provider)

    def histogram(name: str, unit: str, what: str, buckets: tuple[float, ...]) -> Histogram:
        return meter.create_histogram(name, unit, what, explicit_bucket_boundaries_advisory=list(buckets))

    return _Instruments(
        trace.get_tracer("polyvox", __version__, tracer_provider=tracer_provider),
        histogram(names.TOKEN_USAGE, "{token}", "Number of input and output tokens used.", names.TOKEN_BUCKETS),
        histogram(names.DURATION, "s", "GenAI operation duration.", names.DURATION_BUCKETS),
        histogram(names.FIRST_CHUNK, "s", "Time to the first chunk of a stream.", names.FIRST_CHUNK_BUCKETS),
    )


def traced(inner: Call, telemetry: Telemetry, target: Target, *, stream: bool, sanitize_secrets: bool = True) -> Call:
    """Return `inner` within a span. `target` is what the caller asked for; fallbacks show in the response's model.

    Without `sanitize_secrets`, content that is captured keeps what only looks like a key.
    """
    tools = _instruments(telemetry.tracer_provider, telemetry.meter_provider)
    common = _identity(target)

    async def generate(context: Context, request: GenerateRequest) -> Events:
        from opentelemetry.trace import SpanKind

        record = _Record(context, request, telemetry, tools, common, stream=stream, shapes=sanitize_secrets)
        record.span = tools.tracer.start_span(
            f"{names.CHAT} {target.model}",
            kind=SpanKind.CLIENT,
            attributes={**common, **_request_attributes(request)},
        )
        before = context.notify
        context.notify = record.notifying(before)
        try:
            async with aclosing(inner(context, request)) as lists:
                async for events in lists:
                    record.feed(events)
                    yield events
            record.end(None)
        except BaseException as error:
            record.end(error)
            raise
        finally:
            context.notify = before

    return generate


class _Record:
    """What one call tells."""

    span: Span

    def __init__(
        self,
        context: Context,
        request: GenerateRequest,
        telemetry: Telemetry,
        tools: _Instruments,
        common: dict[str, Any],
        *,
        stream: bool,
        shapes: bool,
    ) -> None:
        self._shapes = shapes
        self._context = context
        self._request = request
        self._telemetry = telemetry
        self._tools = tools
        self._common = common
        self._stream = stream
        self._fold = Fold() if telemetry.capture_content else None
        self._answer: GenerateResponse[Any] = GenerateResponse()
        self._began = context.io.now()
        self._first: float | None = None
        self._ended = False

    def feed(self, events: list[Event]) -> None:
        """Take note of events that are handed on."""
        if self._first is None and not is_startup(events):
            self._first = self._context.io.now() - self._began
        if self._fold is not None:
            self._fold.feed(events)
        for event in events:
            if type(event) in _TOLD:
                self._answer = _with(self._answer, event)

    def notifying(self, before: Any) -> Any:
        """Return the channel that puts the turns of a call on its span, and hands them on."""

        async def notify(kind: str, fact: Any) -> None:
            if self.span.is_recording():
                self.span.add_event(names.EVENT + kind, _flat(fact, self._context))
            if before is not None:
                await before(kind, fact)

        return notify

    def end(self, error: BaseException | None) -> None:
        """Close the span, once, and count."""
        if self._ended:
            return
        self._ended = True
        answer = self._answer if self._fold is None else self._fold.response
        response = self._context.stamp(self._context, answer)
        attributes = dict(self._common)
        if response.model:
            attributes[names.RESPONSE_MODEL] = response.model
        if error is not None:
            attributes[names.ERROR_TYPE] = type(_said(error)).__name__
        self._finish_span(response, attributes, error)
        seconds = self._context.io.now() - self._began
        self._tools.duration.record(seconds, attributes)
        if self._stream and self._first is not None:
            self._tools.first_chunk.record(self._first, attributes)
        if not response.cached:
            for kind, tokens in (("input", response.usage.input_tokens), ("output", response.usage.output_tokens)):
                if tokens is not None:
                    self._tools.tokens.record(tokens, {**attributes, names.TOKEN_TYPE: kind})

    def _finish_span(
        self, response: GenerateResponse[Any], attributes: dict[str, Any], error: BaseException | None
    ) -> None:
        from opentelemetry.trace import Status, StatusCode

        span = self.span
        if span.is_recording():
            span.set_attributes({**attributes, **_response_attributes(response)})
            span.set_attribute(names.ATTEMPTS, len(self._context.attempts))
            if self._telemetry.capture_content:
                # At the end: only a call that was made knows its secrets.
                span.set_attribute(names.INPUT_MESSAGES, self._text(self._request.messages))
                span.set_attribute(names.OUTPUT_MESSAGES, self._text((response.message,)))
            if error is not None:
                text = sanitize(str(_said(error)), self._context.secrets)
                span.set_status(Status(StatusCode.ERROR, text))
        span.end()

    def _text(self, messages: tuple[Message, ...]) -> str:
        shown = [structs.replace(message, meta={}) for message in messages]
        text = msgspec.json.encode(shown, enc_hook=repr).decode()
        return sanitize(text, self._context.secrets, shapes=self._shapes)


_TOLD = frozenset({StreamStart, UsageUpdate, StreamEnd})


def _with(answer: GenerateResponse[Any], event: Event) -> GenerateResponse[Any]:
    """Return what is known of an answer, its content left out, after this event."""
    if isinstance(event, StreamStart):
        return GenerateResponse(id=event.id, model=event.model)
    if isinstance(event, UsageUpdate):
        return structs.replace(answer, usage=event.usage)
    if not isinstance(event, StreamEnd):
        return answer
    if event.response is not None:
        return event.response
    return structs.replace(answer, finish=event.finish, usage=event.usage or answer.usage)


def _said(error: BaseException) -> BaseException:
    """A reader who leaves a stream aborts the call; the interpreter's own word for that says nothing to anybody."""
    if isinstance(error, PolyvoxError):
        return error
    return Cancelled("the reader left the answer") if isinstance(error, GeneratorExit) else error


def _identity(target: Target) -> dict[str, Any]:
    where = urlsplit(target.base_url)
    facts: dict[str, Any] = {
        names.OPERATION: names.CHAT,
        names.PROVIDER: target.telemetry_name or target.provider,
        names.REQUEST_MODEL: target.model,
    }
    if where.hostname:
        facts[names.SERVER_ADDRESS] = where.hostname
        facts[names.SERVER_PORT] = where.port or (443 if where.scheme == "https" else 80)
    return facts


def _request_attributes(request: GenerateRequest) -> dict[str, Any]:
    facts = {
        attribute: value
        for setting, attribute in names.REQUEST_SETTINGS.items()
        if (value := getattr(request, setting)) is not None
    }
    if request.stop:
        facts[names.REQUEST_STOP] = list(request.stop)
    if request.n is not None and request.n > 1:
        facts[names.REQUEST_CHOICES] = request.n
    facts[names.OUTPUT_TYPE] = "json" if request.output is not None else "text"
    return facts


def _response_attributes(response: GenerateResponse[Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        attribute: value
        for figure, attribute in names.USAGE.items()
        if (value := getattr(response.usage, figure)) is not None
    }
    if response.id:
        facts[names.RESPONSE_ID] = response.id
    if response.finish is not None:
        facts[names.RESPONSE_FINISH] = [response.finish.reason]
    if response.cost is not None:
        facts[names.COST] = response.cost.amount
    if response.cached:
        facts[names.CACHED] = True
    return facts


def _flat(fact: Any, context: Context) -> dict[str, Any]:
    """Return a fact's members as attributes: an error as its class, what has no plain form as JSON."""
    flat: dict[str, Any] = {}
    for name, value in structs.asdict(fact).items():
        if isinstance(value, BaseException):
            flat[name] = type(value).__name__
        elif isinstance(value, str):
            flat[name] = sanitize(value, context.secrets)
        elif isinstance(value, bool | int | float):
            flat[name] = value
        elif value is not None:
            flat[name] = json.dumps(value, default=repr)
    return flat
