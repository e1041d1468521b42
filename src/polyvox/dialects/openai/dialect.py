"""The OpenAI dialect: its codec put together. Chat Completions today."""

from __future__ import annotations

from polyvox.dialects.base import Codec, Dialect
from polyvox.dialects.openai.chat.answer import encode_response
from polyvox.dialects.openai.chat.chunks import StreamEncoder
from polyvox.dialects.openai.chat.request import NEEDED, decode_request, encode_request
from polyvox.dialects.openai.chat.response import decode_response
from polyvox.dialects.openai.chat.stream import StreamDecoder
from polyvox.dialects.openai.errors import decode_error, decode_headers, encode_error
from polyvox.dialects.openai.models import MODELS
from polyvox.dialects.openai.quirks import OpenAIQuirks

OPENAI = Dialect(
    name="openai",
    # What goes back on this wire are names of members, item arrays and signatures that the same service made.
    replay="provider",
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
    quirks=OpenAIQuirks,
    needed=NEEDED,
    models=MODELS,
)
