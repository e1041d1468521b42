"""Run a bare `Call` to its end, in both of the ways that the clients do."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, closing
from typing import Any

from msgspec import structs

from polyvox.calls.generate import Call
from polyvox.io.base import Context, iterate
from polyvox.registry.config import Config, ProviderConfig
from polyvox.registry.target import Registry, Target
from polyvox.types.events import Event
from polyvox.types.fold import Fold
from polyvox.types.generate import GenerateRequest, GenerateResponse
from polyvox.types.messages import user
from polyvox.types.models import ModelConfig

REQUEST = GenerateRequest(model="lab/m", messages=(user("hi"),))


def lab_target(base_url: str = "http://lab.test/v1", row: ModelConfig | None = None, **facts: Any) -> Target:
    """A model of a provider that speaks the chat wire."""
    config = Config(providers={"lab": ProviderConfig(base_url=base_url)})
    return structs.replace(Registry(config).resolve("lab/m"), row=row, **facts)


class Facts:
    """A channel to the hooks that keeps what it is told."""

    def __init__(self) -> None:
        self.all: list[tuple[str, Any]] = []

    async def __call__(self, kind: str, fact: Any) -> None:
        self.all.append((kind, fact))

    def events(self, kind: str = "cache") -> list[str]:
        return [fact.event for name, fact in self.all if name == kind]


def run_sync(call: Call, context: Context, request: GenerateRequest = REQUEST) -> list[list[Event]]:
    with closing(iterate(call(context, request))) as lists:
        return list(lists)


async def run_async(call: Call, context: Context, request: GenerateRequest = REQUEST) -> list[list[Event]]:
    async with aclosing(call(context, request)) as lists:
        return [events async for events in lists]


def answer_of(context: Context, lists: list[list[Event]]) -> GenerateResponse[Any]:
    """What a client would return."""
    folding = Fold()
    for events in lists:
        folding.feed(events)
    return context.stamp(context, folding.response)


class SyncRunner:
    kind = "sync"

    def __call__(self, call: Call, context: Context, request: GenerateRequest = REQUEST) -> GenerateResponse[Any]:
        return answer_of(context, run_sync(call, context, request))


class AsyncRunner:
    kind = "async"

    def __call__(self, call: Call, context: Context, request: GenerateRequest = REQUEST) -> GenerateResponse[Any]:
        return answer_of(context, asyncio.run(run_async(call, context, request)))
