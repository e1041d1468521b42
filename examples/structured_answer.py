"""Ask for an answer of a type of your own.

python examples/structured_answer.py [MODEL]
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from polyvox import Client


@dataclass
class City:
    name: str
    country: str
    inhabitants: int


model = sys.argv[1] if len(sys.argv) > 1 else "openai/gpt-5.5"
reply = Client().generate(model, "Tell me of Lisbon: name, country, inhabitants.", output=City)
assert reply.parsed is not None
print(f"{reply.parsed.name} in {reply.parsed.country} has {reply.parsed.inhabitants:,} inhabitants.")
