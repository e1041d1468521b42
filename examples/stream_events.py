"""Stream an answer and look at its typed events.

python examples/stream_events.py [MODEL]
"""

from __future__ import annotations

import sys

from polyvox import Client, PartStart, ReasoningDelta, StreamStart, TextDelta

model = sys.argv[1] if len(sys.argv) > 1 else "openai/gpt-5.5"

with Client() as client, client.stream(model, "Why is the sky blue?") as stream:
    for event in stream:
        match event:
            case StreamStart(model=name, adjustments=adjustments):
                print(f"[{name} answers; adjusted: {len(adjustments)}]")
            case PartStart(index=index, part=part):
                print(f"[part {index}: {type(part).__name__}]")
            case TextDelta(text=text) | ReasoningDelta(text=text):
                print(text, end="", flush=True)
    print(f"\n[{stream.response.finish}, {stream.response.usage.total_tokens} tokens]")
