"""Queues over the streams of both clients, against a server that speaks the wire."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.loopback import LoopbackServer, chat_frames, error, sse_chat, stall_after
from tests.loopback_server import Exchange

from polyvox import AsyncClient, Client
from polyvox.calls.queue import QueueEvent
from polyvox.client.queue import AsyncStreamQueue, StreamQueue
from polyvox.errors import BadRequestError, Cancelled
from polyvox.types.events import TextDelta

QUESTIONS = 24


def answer(exchange: Exchange) -> None:
    """Say the question back, in pieces."""
    question = exchange.json()["messages"][0]["content"]
    sse_chat([f"{question}:", *[f" {word}" for word in range(10)]], delay=0.001)(exchange)


def settings(server: LoopbackServer) -> dict[str, Any]:
    return {"providers": {"openai": {"api_key": "sk-test", "base_url": f"{server.url}/v1"}}}


def ask(kind: str, server: LoopbackServer, names: list[str], each: Any = None, **queue_settings: Any) -> Any:
    """Ask all questions by one queue; return what was read, the queue, and what ended it."""
    items: list[QueueEvent] = []

    def take(item: QueueEvent, queue: Any) -> bool:
        items.append(item)
        return each is not None and each(item, queue) == "break"

    def plain() -> Any:
        with Client(**settings(server)) as client, StreamQueue(**queue_settings) as queue:
            for name in names:
                queue.add(client.stream("openai/test-model", name), key=name)
            queue.end()
            try:
                for item in queue:
                    if take(item, queue):
                        break
            except Exception as failure:
                return items, queue, failure
            return items, queue, None

    async def asynchronous() -> Any:
        async with AsyncClient(**settings(server)) as client, AsyncStreamQueue(**queue_settings) as queue:
            for name in names:
                queue.add(client.stream("openai/test-model", name), key=name)
            queue.end()
            try:
                async for item in queue:
                    if take(item, queue):
                        break
            except Exception as failure:
                return items, queue, failure
            return items, queue, None

    return plain() if kind == "sync" else asyncio.run(asynchronous())


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param
    assert not [thread.name for thread in threading.enumerate() if thread.name == "polyvox-worker"]


NAMES = [f"q{number}" for number in range(QUESTIONS)]


@pytest.mark.parametrize("concurrency", [1, 6])
def test_every_answer_arrives_whole_under_its_key(kind: str, concurrency: int) -> None:
    with LoopbackServer(answer) as server:
        items, queue, failure = ask(kind, server, NAMES, concurrency=concurrency, buffer=8)

    assert failure is None
    assert len(server.requests) == QUESTIONS
    for name in NAMES:
        text = f"{name}:" + "".join(f" {word}" for word in range(10))
        assert "".join(i.event.text for i in items if i.key == name and isinstance(i.event, TextDelta)) == text
        assert queue.responses[name].text == text
        assert queue.responses[name].usage.output_tokens == 2


@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_abort_closes_every_connection(kind: str, concurrency: int) -> None:
    with LoopbackServer(stall_after(*chat_frames(["Hel", "lo"])[:3])) as server:
        timer = threading.Timer(0.3, lambda: None)

        def abort(item: QueueEvent, queue: Any) -> None:
            nonlocal timer
            if isinstance(item.event, TextDelta) and not timer.is_alive():
                timer = threading.Timer(0.05, queue.abort)
                timer.start()

        items, queue, failure = ask(kind, server, NAMES[:8], abort, concurrency=concurrency)
        timer.join()

        assert isinstance(failure, Cancelled)
        assert len(server.requests) == concurrency
        assert server.wait_connections(0)
    assert all(answer.text in ("Hel", "Hello") for answer in queue.responses.values())
    assert items


@pytest.mark.parametrize("concurrency", [1, 4])
def test_leaving_closes_every_connection(kind: str, concurrency: int) -> None:
    with LoopbackServer(stall_after(*chat_frames(["Hel", "lo"])[:3])) as server:
        _, _, failure = ask(
            kind,
            server,
            NAMES[:8],
            lambda item, queue: "break" if isinstance(item.event, TextDelta) else None,
            concurrency=concurrency,
        )

        assert failure is None
        assert server.wait_connections(0)


def test_one_stream_that_fails_leaves_the_others_alone(kind: str) -> None:
    def script(exchange: Exchange) -> None:
        if exchange.json()["messages"][0]["content"] == "q3":
            error(400, {"error": {"message": "broken"}})(exchange)
        else:
            answer(exchange)

    with LoopbackServer(script) as server:
        _, queue, failure = ask(kind, server, NAMES[:6], concurrency=3, on_error="skip")

    assert failure is None
    assert [type(problem) for problem in queue.errors.values()] == [BadRequestError]
    assert sum(bool(answer.text) for answer in queue.responses.values()) == 5
