"""Several answers on one screen as they come, by a queue; Ctrl-C aborts them all.

python examples/many_streams.py [MODEL]
"""

from __future__ import annotations

import sys

from polyvox import Client, StreamQueue, TextDelta

MODEL = sys.argv[1] if len(sys.argv) > 1 else "openai/gpt-5.5"
QUESTIONS = {"sky": "Why is the sky blue?", "sea": "Why is the sea blue?", "ice": "Why is old ice blue?"}

with Client() as client, StreamQueue(concurrency=3, on_error="skip") as queue:
    for name, question in QUESTIONS.items():
        queue.add(client.stream(MODEL, question, max_tokens=200, timeout=60), key=name)
    queue.end()
    for item in queue:
        if isinstance(item.event, TextDelta):
            print(f"[{item.key}] {item.event.text}")

for name in QUESTIONS:
    failure = queue.errors.get(name)
    print(f"\n{name}: {failure if failure else queue.responses[name].text}")
