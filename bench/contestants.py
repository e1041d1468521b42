"""The contestants: the same five jobs, each done as that library's own documentation shows it.

Each function makes its client once, and returns what reads one answer and gives the number of characters of its text:
whoever skips work fails the count. Imports stand inside, so that a process holds one contestant only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

MODEL = "gpt-5.5"
KEY = "sk-bench"
QUESTION = "Why is the sky blue?"
MESSAGES = [{"role": "user", "content": QUESTION}]


class Sync(NamedTuple):
    call: Callable[[], int]
    stream: Callable[[], int]


class Async(NamedTuple):
    call: Callable[[], Awaitable[int]]
    stream: Callable[[], Awaitable[int]]
    close: Callable[[], Awaitable[object]]


def polyvox_sync(url: str) -> Sync:
    from polyvox import Client, TextDelta

    client = Client(providers={"openai": {"base_url": url, "api_key": KEY, "dialect": "openai"}})

    def call() -> int:
        return len(client.generate("openai/" + MODEL, QUESTION).text)

    def stream() -> int:
        count = 0
        with client.stream("openai/" + MODEL, QUESTION) as events:
            for event in events:
                if isinstance(event, TextDelta):
                    count += len(event.text)
        return count

    return Sync(call, stream)


def polyvox_async(url: str) -> Async:
    from polyvox import AsyncClient, TextDelta

    client = AsyncClient(providers={"openai": {"base_url": url, "api_key": KEY, "dialect": "openai"}})

    async def call() -> int:
        return len((await client.generate("openai/" + MODEL, QUESTION)).text)

    async def stream() -> int:
        count = 0
        async with client.stream("openai/" + MODEL, QUESTION) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    count += len(event.text)
        return count

    return Async(call, stream, client.close)


def openai_sync(url: str) -> Sync:
    from openai import OpenAI

    client = OpenAI(base_url=url, api_key=KEY)

    def call() -> int:
        answer = client.chat.completions.create(model=MODEL, messages=MESSAGES)
        return len(answer.choices[0].message.content)

    def stream() -> int:
        count = 0
        with client.chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        ) as chunks:
            for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    count += len(chunk.choices[0].delta.content)
        return count

    return Sync(call, stream)


def openai_async(url: str) -> Async:
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=url, api_key=KEY)

    async def call() -> int:
        answer = await client.chat.completions.create(model=MODEL, messages=MESSAGES)
        return len(answer.choices[0].message.content)

    async def stream() -> int:
        count = 0
        async with await client.chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        ) as chunks:
            async for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    count += len(chunk.choices[0].delta.content)
        return count

    return Async(call, stream, client.close)


def litellm_sync(url: str) -> Sync:
    import litellm

    facts = {"model": "openai/" + MODEL, "messages": MESSAGES, "api_base": url, "api_key": KEY}

    def call() -> int:
        return len(litellm.completion(**facts).choices[0].message.content)

    def stream() -> int:
        count = 0
        for chunk in litellm.completion(**facts, stream=True, stream_options={"include_usage": True}):
            if chunk.choices and chunk.choices[0].delta.content:
                count += len(chunk.choices[0].delta.content)
        return count

    return Sync(call, stream)


def litellm_async(url: str) -> Async:
    import litellm

    facts = {"model": "openai/" + MODEL, "messages": MESSAGES, "api_base": url, "api_key": KEY}

    async def call() -> int:
        return len((await litellm.acompletion(**facts)).choices[0].message.content)

    async def stream() -> int:
        count = 0
        async for chunk in await litellm.acompletion(**facts, stream=True, stream_options={"include_usage": True}):
            if chunk.choices and chunk.choices[0].delta.content:
                count += len(chunk.choices[0].delta.content)
        return count

    async def close() -> None:
        """It keeps its own clients, and has no close of its own to call."""

    return Async(call, stream, close)


def _request(stream: bool) -> dict[str, object]:
    body: dict[str, object] = {"model": MODEL, "messages": MESSAGES}
    return {**body, "stream": True, "stream_options": {"include_usage": True}} if stream else body


def _text_of(line: bytes) -> int:
    """The characters of one line of SSE, read with plain json."""
    import json

    if not line.startswith(b"data: ") or line == b"data: [DONE]":
        return 0
    choices = json.loads(line[6:])["choices"]
    return len(choices[0]["delta"].get("content") or "") if choices else 0


def raw_sync(url: str) -> Sync:
    import json

    import urllib3

    pool = urllib3.PoolManager()
    headers = {"authorization": "Bearer " + KEY, "content-type": "application/json"}

    def call() -> int:
        body = json.dumps(_request(stream=False))
        answer = pool.request("POST", url + "/chat/completions", body=body, headers=headers)
        return len(json.loads(answer.data)["choices"][0]["message"]["content"])

    def stream() -> int:
        body = json.dumps(_request(stream=True))
        answer = pool.request("POST", url + "/chat/completions", body=body, headers=headers, preload_content=False)
        count, rest = 0, b""
        for data in answer.stream(65536):
            *lines, rest = (rest + data).split(b"\n")
            count += sum(map(_text_of, lines))
        answer.release_conn()
        return count

    return Sync(call, stream)


def raw_async(url: str) -> Async:
    import json

    import aiohttp

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    headers = {"authorization": "Bearer " + KEY}

    async def call() -> int:
        async with session.post(url + "/chat/completions", json=_request(stream=False), headers=headers) as answer:
            return len(json.loads(await answer.read())["choices"][0]["message"]["content"])

    async def stream() -> int:
        count, rest = 0, b""
        async with session.post(url + "/chat/completions", json=_request(stream=True), headers=headers) as answer:
            async for data in answer.content.iter_any():
                *lines, rest = (rest + data).split(b"\n")
                count += sum(map(_text_of, lines))
        return count

    return Async(call, stream, session.close)


SYNC = {"polyvox": polyvox_sync, "raw": raw_sync, "openai": openai_sync, "litellm": litellm_sync}
ASYNC = {"polyvox": polyvox_async, "raw": raw_async, "openai": openai_async, "litellm": litellm_async}
# What `import` means for each; raw is what both its halves take.
IMPORTS = {
    "polyvox": "import polyvox",
    "raw": "import aiohttp, urllib3, json",
    "openai": "import openai",
    "litellm": "import litellm",
}
