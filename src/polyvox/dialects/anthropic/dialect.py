"""The Anthropic dialect: its codec put together."""

from __future__ import annotations

from polyvox.dialects.anthropic.answer import StreamEncoder, encode_response
from polyvox.dialects.anthropic.errors import decode_error, decode_headers, encode_error
from polyvox.dialects.anthropic.models import MODELS
from polyvox.dialects.anthropic.quirks import AnthropicQuirks
from polyvox.dialects.anthropic.request import NEEDED, decode_request, encode_request
from polyvox.dialects.anthropic.response import decode_response
from polyvox.dialects.anthropic.stream import StreamDecoder
from polyvox.dialects.base import Codec, Dialect

ANTHROPIC = Dialect(
    name="anthropic",
    # Signatures are bound to the model that made them.
    replay="model",
    generate=Codec(
        encode_request=encode_request,
        decode_response=decode_response,
        stream_decoder=StreamDecoder,
        decode_request=decode_request,
        encode_response=encode_response,
        stream_encoder=StreamEncoder,
        framing="sse",
    ),
    decode_headers=decode_headers,
    decode_error=decode_error,
    encode_error=encode_error,
    quirks=AnthropicQuirks,
    needed=NEEDED,
    models=MODELS,
)
