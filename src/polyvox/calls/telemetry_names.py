"""The words of OpenTelemetry's GenAI conventions that Polyvox uses, and its own, in one place.

Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/ (status: development; read 2026-11). A convention that moves
is followed here and nowhere else.
"""

from __future__ import annotations

from typing import Final

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
CHAT: Final = "chat"

REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_CHOICES: Final = "gen_ai.request.choice.count"
REQUEST_SETTINGS: Final = {
    "max_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "seed": "gen_ai.request.seed",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
}
"""Our setting → its attribute."""
REQUEST_STOP: Final = "gen_ai.request.stop_sequences"
OUTPUT_TYPE: Final = "gen_ai.output.type"

RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH: Final = "gen_ai.response.finish_reasons"

USAGE: Final = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_creation.input_tokens",
}
"""Our figure → its attribute."""

INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"

SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR_TYPE: Final = "error.type"

TOKEN_USAGE: Final = "gen_ai.client.token.usage"  # noqa: S105 - tokens that are counted
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105
TOKEN_BUCKETS: Final = tuple(4**power for power in range(14))
DURATION: Final = "gen_ai.client.operation.duration"
DURATION_BUCKETS: Final = tuple(0.01 * 2**power for power in range(14))
FIRST_CHUNK: Final = "gen_ai.client.operation.time_to_first_chunk"
FIRST_CHUNK_BUCKETS: Final = (
    0.001,
    0.005,
    0.01,
    0.02,
    0.04,
    0.06,
    0.08,
    0.1,
    0.25,
    0.5,
    0.75,
    1.0,
    2.5,
    5.0,
    7.5,
    10.0,
)

# Ours: what the conventions have no word for.
ATTEMPTS: Final = "polyvox.attempts"
COST: Final = "polyvox.cost_usd"
CACHED: Final = "polyvox.cached"
EVENT: Final = "polyvox."
"""Before the kind of a fact (`polyvox.retry`), for span events."""
