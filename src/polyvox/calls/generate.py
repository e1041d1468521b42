"""The one call: a request out, an answer in, streamed or whole, one shape.

The rules. Only a *decoded event* moves the idle limit: pings and comments do not. No timeout scope stands round a
`yield`: each read is given the instant it may wait for. Leaving the generator early, in whatever way, leaves the
`async with` below and so closes the connection at once. Identity (`provider`, `origin`) is stamped here, never by a
dialect.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, TypeAlias
from urllib.parse import urlencode

from msgspec import Struct, structs

from polyvox.calls.emulate import EventTransform, apply_emulations
from polyvox.calls.log import Logged, log_answer, log_failure, log_request
from polyvox.calls.price import cost_of
from polyvox.calls.replay import strip_foreign
from polyvox.dialects.base import StreamDecoder, WireRequest
from polyvox.errors import ConfigError, DecodeError, InterruptedCallError, PolyvoxError
from polyvox.framing.base import Framer
from polyvox.framing.sse import SSEFramer
from polyvox.io.base import Context, HttpRequest, HttpResponse, Stamp
from polyvox.registry.target import Target
from polyvox.secrets import sanitize
from polyvox.types.events import Event, RawFrame, StreamEnd, StreamStart
from polyvox.types.fold import unfold
from polyvox.types.generate import Adjustment, GenerateRequest, GenerateResponse
from polyvox.types.normalise import normalise
from polyvox.types.usage import Attempt, Cost, Timing, Usage

Events: TypeAlias = AsyncGenerator[list[Event], None]
Call: TypeAlias = Callable[[Context, GenerateRequest], Events]

_MARKUP_TYPES = ("text/html", "application/xml", "text/xml")
# No SSE line of any service begins with one of these: a JSON object or list, a page.
_NOT_SSE = (b"{", b"[", b"<")


class Prepared(Struct, frozen=True):
    """A request said in its wire's words, ready to be signed, with what became of it on the way."""

    wire: WireRequest
    http: HttpRequest
    adjustments: tuple[Adjustment, ...]
    transforms: tuple[EventTransform, ...]


def prepare(target: Target, request: GenerateRequest, *, stream: bool) -> Prepared:
    """Return what will be sent for `request`, unsigned. Pure: it sends nothing.

    Raises `UnsupportedError` for what the model or the wire cannot do, `ConfigError` for a setting that makes no sense.
    """
    options, ignored = _own_options(target, request.options)
    messages, left_out = strip_foreign(request.messages, target.dialect, target.name)
    request = structs.replace(request, model=target.model, messages=normalise(messages), options=options)
    request, emulated, transforms = apply_emulations(target.emulate, request)
    wire = target.dialect.generate.encode_request(request, target.quirks, stream=stream)
    return Prepared(wire, http_request(target, wire), (*ignored, *left_out, *emulated, *wire.adjustments), transforms)


def http_request(target: Target, wire: WireRequest) -> HttpRequest:
    """Return what a codec said, with its whole address and the target's headers: unsigned."""
    query = f"?{urlencode(wire.query)}" if wire.query else ""
    url = f"{_address(target.base_url, target.endpoint.path or wire.path)}{query}"
    return HttpRequest(wire.method, url, {**wire.headers, **target.headers}, wire.body)


def _address(base_url: str, path: str) -> str:
    """Join the two. A base that ends with the path's first segment (`…/v1`, `/v1/messages`) has said it already."""
    first, slash, rest = path[1:].partition("/")
    return f"{base_url}/{rest}" if slash and base_url.endswith(f"/{first}") else f"{base_url}{path}"


def _own_options(
    target: Target, options: dict[str, dict[str, Any]]
) -> tuple[dict[str, dict[str, Any]], tuple[Adjustment, ...]]:
    """Give the dialect one block: the configuration's, the dialect's, the provider's options, the last one winning."""
    if not options and not target.options:
        return options, ()
    spoken = target.dialect.name
    own = {**target.options, **options.get(spoken, {}), **options.get(target.provider, {})}
    ignored = tuple(
        Adjustment("dropped", f"options.{name}", f"neither the wire ({spoken}) nor {target.provider} bears this name")
        for name in options
        if name not in (spoken, target.provider)
    )
    return ({spoken: own} if own else {}), ignored


def call(
    target: Target, *, stream: bool, raw: bool = False, log_bodies: bool = False, sanitize_secrets: bool = True
) -> Call:
    """Return the call that sends a request to `target`.

    `raw` adds a `RawFrame` before each frame's events. `log_bodies` has what is sent and received logged, too, where
    `sanitize_secrets` masks what only looks like a key as well.
    """

    async def generate(context: Context, request: GenerateRequest) -> Events:
        prepared = prepare(target, request, stream=stream)
        context.secrets.extend(target.auth.secrets)
        # Nothing of an attempt before this one is ours: not its limit in force, not how far it came.
        context.limit("total", None)
        context.connected = context.first_event = context.request_id = context.rate_limits = None
        started = context.io.now() - context.started
        attempt = running = Attempt(target.provider, target.model, started, endpoint=context.endpoint)
        context.attempts.append(attempt)
        try:
            context.check()
            http = await target.auth.sign(prepared.http, context.io)
            log_request(context, target, http, bodies=log_bodies, shapes=sanitize_secrets)
            async with context.io.open(http, context) as response:
                context.connected = context.io.now()
                context.request_id, context.rate_limits = target.dialect.decode_headers(response.headers)
                log_answer(context, target, response)
                if log_bodies:
                    response = Logged(response, context, target, shapes=sanitize_secrets)
                if not stream:
                    yield _stamp_events(await _whole(context, target, response), target, prepared)
                    return
                async with aclosing(_streamed(context, target, response, raw=raw)) as answer:
                    async for events in answer:
                        stamped = _stamp_events(events, target, prepared)
                        if stamped:
                            yield stamped
        except PolyvoxError as error:
            identify(error, context, target)
            log_failure(context, target, error)
            attempt = structs.replace(attempt, error=type(error).__name__)
            raise
        finally:
            seconds = context.io.now() - context.started - attempt.started
            # By identity: attempts of branches that run beside this one share the list.
            place = next(place for place, other in enumerate(context.attempts) if other is running)
            context.attempts[place] = structs.replace(attempt, seconds=seconds)

    return generate


def _stamp_events(events: list[Event], target: Target, prepared: Prepared) -> list[Event]:
    for transform in prepared.transforms:
        events = transform.feed(events)
    for place, event in enumerate(events):
        # The start is the first event of an answer, or stands right behind its raw frame.
        if type(event) is StreamStart:
            events[place] = structs.replace(
                event, provider=target.provider, adjustments=(*prepared.adjustments, *event.adjustments)
            )
            break
        if type(event) is not RawFrame:
            break
    last = events[-1] if events else None
    if type(last) is StreamEnd and last.response is not None:
        response = structs.replace(
            last.response, adjustments=(*prepared.adjustments, *last.response.adjustments), provider=target.provider
        )
        events[-1] = structs.replace(last, response=response)
    return events


def _stamper(context: Context, target: Target) -> Stamp:
    # Of this answer, whatever the context is used for later.
    request_id, rate_limits = context.request_id, context.rate_limits
    # An answer is stamped by several layers, and its cost need not be worked out by each.
    origin = target.name
    priced: Usage | None = None
    cost: Cost | None = None

    def stamp(context: Context, answer: GenerateResponse[Any]) -> GenerateResponse[Any]:
        nonlocal priced, cost
        now = context.io.now()
        if answer.usage is not priced:
            priced, cost = answer.usage, cost_of(answer.usage, target.row)
        return structs.replace(
            answer,
            provider=target.provider,
            origin=origin,
            request_id=request_id,
            rate_limits=rate_limits,
            cost=cost,
            attempts=tuple(context.attempts),
            timing=Timing(
                connect=None if context.connected is None else context.connected - context.started,
                first_event=None if context.first_event is None else context.first_event - context.started,
                total=now - context.started,
            ),
        )

    return stamp


async def read_body(context: Context, response: HttpResponse) -> bytes:
    """Return what is left of the body, read within the limit in force."""
    pieces = []
    while piece := await response.read(context.until):
        pieces.append(piece)
    return b"".join(pieces)


async def check_status(context: Context, target: Target, response: HttpResponse) -> None:
    """Raise the error that an answer with an error status is."""
    if 200 <= response.status < 300:
        return
    body = await read_body(context, response)
    raise target.dialect.decode_error(response.status, response.headers, body)


def no_answer(response: HttpResponse, body: bytes) -> DecodeError:
    """Return the error for a body that is no answer of any wire: a page, mostly."""
    kind = response.headers.get("content-type", "no content type")
    excerpt = sanitize(body[:200].decode("utf-8", "replace")).strip()
    return DecodeError(
        f"the server answered {response.status} with {kind} that is no answer of this wire: check the base_url. "
        f"It begins: {excerpt!r}",
        status=response.status,
    )


def check_body(response: HttpResponse, body: bytes) -> None:
    """Raise for a body that cannot be a whole answer: a page, or nothing."""
    if response.headers.get("content-type", "").startswith(_MARKUP_TYPES) or body.lstrip()[:1] == b"<":
        raise no_answer(response, body)
    if not body.strip():
        raise InterruptedCallError("the server answered with an empty body", status=response.status)


async def _whole(context: Context, target: Target, response: HttpResponse) -> list[Event]:
    await check_status(context, target, response)
    return _decoded_whole(context, target, response, await read_body(context, response))


def _decoded_whole(context: Context, target: Target, response: HttpResponse, body: bytes) -> list[Event]:
    check_body(response, body)
    answer = target.dialect.generate.decode_response(body)
    context.first_event = context.io.now()
    context.stamp = _stamper(context, target)
    return unfold(answer)


async def _streamed(context: Context, target: Target, response: HttpResponse, *, raw: bool) -> Events:
    await check_status(context, target, response)
    codec = target.dialect.generate
    framing = target.endpoint.framing or codec.framing
    head = await _first_bytes(context, response)
    if framing == "sse" and head.lstrip()[:1] in _NOT_SSE:
        # Some services answer a streamed request whole, or with an error under a 200; a proxy, with a page of its own.
        yield _decoded_whole(context, target, response, head + await read_body(context, response))
        return
    framer, decoder = _framer(framing), codec.stream_decoder()
    context.stamp = _stamper(context, target)
    idle, data, failure = context.timeout.idle, head, None
    while True:
        events: list[Event] = []
        failure = _decode(framer, data, decoder, events, raw=raw)
        if not data and (failure is None or isinstance(failure, DecodeError)):
            # A last frame that cannot be read was cut off with its body: that is an interruption, or nothing.
            failure = _close(decoder, events, context, response, head)
        if events:
            if context.first_event is None:
                context.first_event = context.io.now()
            yield events
            # Set anew when the next read begins: the reader's own time is no silence of the provider's.
            context.limit("idle", idle)
        if failure is not None:
            raise failure
        if not data:
            return
        try:
            data = await response.read(context.until)
        except InterruptedCallError as error:
            # A connection that breaks after the finish has lost nothing; before it, `close` says so.
            events = []
            if _close(decoder, events, context, response, b"") is not None:
                raise error from None
            yield events
            return


async def _first_bytes(context: Context, response: HttpResponse) -> bytes:
    """Read until something else than white space has come: keep-alive padding says nothing of what follows."""
    head = b""
    while not head.strip():
        piece = await response.read(context.until)
        if not piece:
            break
        head += piece
    return head


def _decode(
    framer: Framer, data: bytes, decoder: StreamDecoder, events: list[Event], *, raw: bool
) -> PolyvoxError | None:
    """Decode bytes (none: the end) into `events`; return an error instead of raising it, so that those go first."""
    try:
        for frame in framer.feed(data) if data else framer.close():
            if raw:
                events.append(RawFrame(frame.data))
            events += decoder.feed(frame)
    except PolyvoxError as error:
        return error
    return None


def _close(
    decoder: StreamDecoder, events: list[Event], context: Context, response: HttpResponse, head: bytes
) -> PolyvoxError | None:
    """End the answer. Bytes that came and held no event at all are no answer of this wire."""
    try:
        events += decoder.close()
    except InterruptedCallError as error:
        if head.strip() and not events and context.first_event is None:
            return no_answer(response, head)
        return error
    return None


def _framer(framing: str) -> Framer:
    match framing:
        case "sse":
            return SSEFramer()
        case "ndjson":
            from polyvox.framing.ndjson import NDJSONFramer

            return NDJSONFramer()
        case "eventstream":
            from polyvox.framing.eventstream import EventStreamFramer

            return EventStreamFramer()
        case "json":
            from polyvox.framing.jsonarray import JSONArrayFramer

            return JSONArrayFramer()
        case _:
            raise ConfigError(f"no framing {framing!r}; there are sse, ndjson, eventstream and json")


def identify(error: PolyvoxError, context: Context, target: Target) -> None:
    """Say who failed and what helps there, and mask the call's own secrets in what the provider said."""
    error.provider = error.provider or target.provider
    error.model = error.model or target.model or None
    advice = target.advice.get(type(error).__name__)
    speaks = advice is not None and (bool(target.model) or "{model}" not in advice)
    if advice is not None and speaks and advice not in error.message:
        error.message = f"{error.message} ({advice.replace('{model}', target.model)})"
    error.message = sanitize(error.message, context.secrets)
    error.args = (error.message,)
    error.code = error.code and sanitize(error.code, context.secrets)
    error.request_id = error.request_id and sanitize(error.request_id, context.secrets)
