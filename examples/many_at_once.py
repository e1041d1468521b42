"""Ask many questions at once, over one pool of connections.

python examples/many_at_once.py [MODEL]
"""

from __future__ import annotations

import asyncio
import sys

from polyvox import AsyncClient, PolyvoxError

MODEL = sys.argv[1] if len(sys.argv) > 1 else "openai/gpt-5.5"
COLOURS = ("red", "green", "blue", "yellow", "violet")


async def main() -> None:
    async with AsyncClient() as client:

        async def ask(colour: str) -> str:
            try:
                reply = await client.generate(MODEL, f"Name one thing that is {colour}.", max_tokens=100, timeout=60)
            except PolyvoxError as error:
                return f"{colour}: {error}"
            return f"{colour}: {reply.text.strip()}"

        for line in await asyncio.gather(*map(ask, COLOURS)):
            print(line)


asyncio.run(main())
