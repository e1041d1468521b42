"""What a dialect is: a pure codec between one wire's JSON and our types, usable from both ends.

A codec is a *module of functions*; only the two stream machines are classes. The names say the direction: `encode_*` is
ours → wire, `decode_*` is wire → ours. A client encodes requests and decodes answers; a gateway decodes requests and
encodes answers; both use the same code, so every case is a round trip.

The rules: no I/O; decoders are blind (they know neither request, provider nor quirks); a codec never asks who the
provider is, only what the quirks say; nothing is lost silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

from msgspec import Struct, field

from polyvox.errors import PolyvoxError
from polyvox.framing.base import Frame as Frame
from polyvox.types.events import Event
from polyvox.types.generate import Adjustment, GenerateRequest, GenerateResponse
from polyvox.types.models import ListedModel
from polyvox.types.usage import RateLimits

Framing: TypeAlias = Literal["sse", "ndjson", "eventstream", "json"]
Replay: TypeAlias = Literal["model", "provider", "dialect"]
Fate: TypeAlias = Literal["send", "drop", "refuse"]


class WireRequest(Struct, frozen=True):
    """An HTTP request less its host and its credentials. `path` is relative to the provider's base URL."""

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    adjustments: tuple[Adjustment, ...] = ()


class Needed(Struct, frozen=True):
    """A field that we send though the caller did not ask for it, since the wire needs it to answer in full."""

    field: str
    value: Any
    why: str
    url: str


class StreamDecoder(Protocol):
    """Frames of one answer → events. One object an answer.

    `feed` raises a `ProviderError` for an error frame. `close` is called at the end of the body: it gives the last
    events, `StreamEnd` among them, or raises `InterruptedCallError` where neither a finish reason nor the wire's end
    mark was seen.
    """

    def feed(self, frame: Frame) -> list[Event]:
        """Return the events that this frame brings, none for a keep-alive."""
        ...

    def close(self) -> list[Event]:
        """Return the events that end the answer."""
        ...


class StreamEncoder(Protocol):
    """Events → frames of the wire, for a server that speaks this dialect."""

    def feed(self, events: Sequence[Event]) -> list[bytes]:
        """Return the bytes to send for these events."""
        ...

    def close(self) -> list[bytes]:
        """Return the bytes that end the stream well."""
        ...


class Codec(Struct, frozen=True):
    """The functions of one dialect for `generate`. See DESIGN.md section 5 for each one's contract."""

    encode_request: Callable[..., WireRequest]
    """`(request, quirks, *, stream) -> WireRequest`"""
    decode_response: Callable[[bytes], GenerateResponse[Any]]
    stream_decoder: Callable[[], StreamDecoder]
    decode_request: Callable[[bytes], tuple[GenerateRequest, bool]]
    """`(body) -> (request, whether a stream was asked for)`. Where the address names the model and the wish for a
    stream, not the body (Gemini), it takes that too: `(body, *, path="")`."""
    encode_response: Callable[[GenerateResponse[Any]], bytes]
    stream_encoder: Callable[[GenerateRequest], StreamEncoder]
    framing: Framing = "sse"


class ModelsCodec(Struct, frozen=True):
    """The functions of one dialect for the list of a service's models.

    What the list says of a model is read into a `ListedModel`, less its `provider`; its `meta` keeps the rest.
    """

    encode_models: Callable[[Any, str | None], WireRequest]
    """`(quirks, page) -> WireRequest`: ask for the first page (`None`), or for the one that the last answer named."""
    decode_models: Callable[[bytes], tuple[list[ListedModel], str | None]]
    """`(body) -> (models, the next page, None at the end)`"""
    encode_model: Callable[[Any, str], WireRequest] | None = None
    """`(quirks, model id) -> WireRequest`, where a wire tells the facts of a model one by one."""
    decode_model: Callable[[bytes, ListedModel], ListedModel] | None = None
    """`(body, the model as listed) -> the model with its facts`"""


class Dialect(Struct, frozen=True):
    """One wire. An operation the wire does not have is `None`: that is the whole support check.

    `replay` says how far a part's `meta` may travel back: to the same model only, to any model of the same provider, or
    to anyone who speaks the dialect.
    """

    name: str
    replay: Replay
    generate: Codec
    decode_headers: Callable[[Mapping[str, str]], tuple[str | None, RateLimits | None]]
    decode_error: Callable[[int, Mapping[str, str], bytes], PolyvoxError]
    encode_error: Callable[[PolyvoxError], tuple[int, bytes]]
    quirks: type[Any]
    """The frozen struct of this dialect's documented knobs; every knob has a default."""
    needed: tuple[Needed, ...] = ()
    models: ModelsCodec | None = None
