"""The Responses dialect: its codec put together."""

from __future__ import annotations

from polyvox.dialects.base import Codec, Dialect
from polyvox.dialects.openai.errors import decode_error, decode_headers, encode_error
from polyvox.dialects.openai.models import MODELS
from polyvox.dialects.openai_responses.answer import encode_response
from polyvox.dialects.openai_responses.events import StreamEncoder
from polyvox.dialects.openai_responses.quirks import ResponsesQuirks
from polyvox.dialects.openai_responses.request import NEEDED, decode_request, encode_request
from polyvox.dialects.openai_responses.response import decode_response
from polyvox.dialects.openai_responses.stream import StreamDecoder

OPENAI_RESPONSES = Dialect(
    name="openai_responses",
    # Encrypted reasoning is bound to the model that made it, and models that do not reason refuse any.
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
    quirks=ResponsesQuirks,
    needed=NEEDED,
    models=MODELS,
)
