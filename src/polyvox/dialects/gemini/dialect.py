"""The Gemini dialect: its codec put together."""

from __future__ import annotations

from polyvox.dialects.base import Codec, Dialect
from polyvox.dialects.gemini.answer import StreamEncoder, encode_response
from polyvox.dialects.gemini.errors import decode_error, decode_headers, encode_error
from polyvox.dialects.gemini.models import MODELS
from polyvox.dialects.gemini.quirks import GeminiQuirks
from polyvox.dialects.gemini.request import NEEDED, decode_request, encode_request
from polyvox.dialects.gemini.response import decode_response
from polyvox.dialects.gemini.stream import StreamDecoder

GEMINI = Dialect(
    name="gemini",
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
    quirks=GeminiQuirks,
    needed=NEEDED,
    models=MODELS,
)
