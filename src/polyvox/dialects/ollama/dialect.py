"""The Ollama dialect: its codec put together."""

from __future__ import annotations

from polyvox.dialects.base import Codec, Dialect
from polyvox.dialects.ollama.answer import StreamEncoder, encode_response
from polyvox.dialects.ollama.errors import decode_error, decode_headers, encode_error
from polyvox.dialects.ollama.models import MODELS
from polyvox.dialects.ollama.quirks import OllamaQuirks
from polyvox.dialects.ollama.request import NEEDED, decode_request, encode_request
from polyvox.dialects.ollama.response import decode_response
from polyvox.dialects.ollama.stream import StreamDecoder

OLLAMA = Dialect(
    name="ollama",
    # Thinking means something to the template of the model that thought it.
    replay="model",
    generate=Codec(
        encode_request=encode_request,
        decode_response=decode_response,
        stream_decoder=StreamDecoder,
        decode_request=decode_request,
        encode_response=encode_response,
        stream_encoder=StreamEncoder,
        framing="ndjson",
    ),
    decode_headers=decode_headers,
    decode_error=decode_error,
    encode_error=encode_error,
    quirks=OllamaQuirks,
    needed=NEEDED,
    models=MODELS,
)
