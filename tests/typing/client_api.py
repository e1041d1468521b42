"""What type checkers see of the clients: mypy and pyright read this file, nothing runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_type

from polyvox import (
    AsyncClient,
    AsyncStream,
    Client,
    Event,
    GenerateResponse,
    ListedModel,
    Message,
    Model,
    PriceBound,
    Stream,
    ToolCall,
    Usage,
    user,
)
from polyvox.types.models import ModelConfig


@dataclass
class City:
    name: str


def sync() -> None:
    with Client(providers={"openai": {"api_key": "…"}}) as client:
        assert_type(client, Client)
        reply = client.generate("openai/gpt-5.5", "hello", temperature=0)
        assert_type(reply, GenerateResponse[Any])
        assert_type(reply.text, str)
        assert_type(reply.usage, Usage)
        assert_type(reply.usage.output_tokens, int | None)
        assert_type(reply.tool_calls, tuple[ToolCall, ...])
        assert_type(reply.message, Message)

        parsed = client.generate("openai/gpt-5.5", [user("hello"), reply.message], output=City)
        assert_type(parsed, GenerateResponse[City])
        assert_type(parsed.parsed, City | None)

        stream = client.stream("openai/gpt-5.5", "hello", output=City)
        assert_type(stream, Stream[City])
        assert_type(stream.response, GenerateResponse[City])
        for event in stream:
            assert_type(event, Event)
        for text in client.stream("openai/gpt-5.5", [{"role": "user", "content": "hello"}], raw=True).text:
            assert_type(text, str)

        assert_type(client.estimate_tokens("openai/gpt-5.5", "hello", tools=[sync]), int)
        assert_type(client.estimate_cost("openai/gpt-5.5", "hello", max_tokens=10), PriceBound | None)

        listed = client.list_models("openai", capability=["tools", "vision"], timeout=10)
        assert_type(listed, tuple[ListedModel, ...])
        assert_type(listed[0].context_tokens, int | None)

        model = client.model("openai/gpt-5.5", max_tokens=100)
        assert_type(model.estimate_tokens("hello"), int)
        assert_type(model.estimate_cost("hello", n=2), PriceBound | None)
        assert_type(model, Model)
        assert_type(model.config, ModelConfig)
        assert_type(model.generate("hello", output=City), GenerateResponse[City])


async def asynchronous() -> None:
    async with AsyncClient() as client:
        assert_type(client, AsyncClient)
        assert_type(await client.generate("openai/gpt-5.5", "hello"), GenerateResponse[Any])
        assert_type(await client.generate("openai/gpt-5.5", "hello", output=City), GenerateResponse[City])

        stream = client.stream("openai/gpt-5.5", "hello", output=City)
        assert_type(stream, AsyncStream[City])
        async for event in stream:
            assert_type(event, Event)
        assert_type(await stream.drain(), GenerateResponse[City])

        assert_type(await client.list_models("openai"), tuple[ListedModel, ...])


def wrong(client: Client) -> None:
    """Each line is an error to both checkers; an ignore that is not needed is an error itself."""
    client.generate("openai/gpt-5.5", "hello", temperatur=0)  # type: ignore[call-overload]
    client.generate("openai/gpt-5.5", "hello", temperature="warm")  # type: ignore[call-overload]
    client.list_models("openai", timout=3)  # type: ignore[call-arg]
    client.generate("openai/gpt-5.5", 3)  # type: ignore[call-overload]
    client.stream("openai/gpt-5.5")  # type: ignore[call-overload]
    Client(timeout="long")  # type: ignore[arg-type]
