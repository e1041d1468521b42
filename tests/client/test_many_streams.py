"""Hundreds of streams open at the same moment on one client; `python -m bench.many_streams` has thousands."""

from __future__ import annotations

import asyncio

from polyvox import AsyncClient, GenerateRequest, TextPart
from polyvox.testing import FaultServer

STREAMS = 400


def test_each_of_many_streams_at_once_gets_its_own_answer() -> None:
    def echo(request: GenerateRequest) -> str:
        part = request.messages[-1].content[0]
        assert isinstance(part, TextPart)
        return f"{part.text} one two three"

    async def main(url: str) -> tuple[list[str], int]:
        all_open, opened = asyncio.Event(), 0

        async def read(number: int) -> str:
            nonlocal opened
            said = ""
            async with client.stream("lab/m", f"stream {number} says") as stream:
                async for text in stream.text:
                    said += text
                    if not all_open.is_set():
                        opened += 1
                        if opened == STREAMS:
                            all_open.set()
                        await all_open.wait()
            return said

        async with AsyncClient(providers={"lab": {"base_url": url}}) as client:
            said = await asyncio.gather(*(read(number) for number in range(STREAMS)))
        return said, len(asyncio.all_tasks()) - 1

    with FaultServer(echo) as server:
        said, tasks = asyncio.run(main(server.base_url()))
        assert server.connection_count == STREAMS  # they were open at the same moment
        assert server.wait_closed()

    assert said == [f"stream {number} says one two three" for number in range(STREAMS)]
    assert tasks == 0
