"""The official SDK as oracle: it reads the same recorded answers, and what it understands is what we understand.

Every body and stream goes through the SDK's own client and its own stream accumulator. It reads OpenAI's wire, not all
that speaks it: what it cannot read is named below, with the reason, and read by us all the same (tests/laws).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from polyvox.dialects.openai.chat.response import decode_response
from polyvox.dialects.openai.chat.stream import StreamDecoder
from polyvox.dialects.openai.errors import decode_error
from polyvox.errors import (
    AuthenticationError,
    BadRequestError,
    BillingError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
    ServerError,
)
from polyvox.framing.sse import SSEFramer
from polyvox.types.fold import fold
from polyvox.types.generate import GenerateResponse
from tests.recordings import Exchange, recordings

openai = pytest.importorskip("openai")
httpx2 = pytest.importorskip("httpx2")

pytestmark = pytest.mark.recordings

HI = [{"role": "user", "content": "hi"}]


def _ask(exchange: Exchange) -> Any:
    """What the SDK makes of the recorded answer: a completion, or what its accumulator made of the stream."""

    def answer(request: Any) -> Any:
        kind = "text/event-stream" if exchange.is_stream else "application/json"
        headers = {"content-type": kind}
        if "x-request-id" in exchange.headers:
            headers["x-request-id"] = exchange.headers["x-request-id"]
        return httpx2.Response(exchange.status, headers=headers, content=exchange.body)

    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    with openai.OpenAI(api_key="k", base_url="http://sdk.example/v1", max_retries=0, http_client=transport) as client:
        if not exchange.is_stream:
            return client.chat.completions.create(model="m", messages=HI)
        from openai.lib.streaming.chat import ChatCompletionStreamState

        state = ChatCompletionStreamState()
        for chunk in client.chat.completions.create(model="m", messages=HI, stream=True):
            state.handle_chunk(chunk)
        return state.current_completion_snapshot


def _ours(exchange: Exchange) -> GenerateResponse[Any]:
    if not exchange.is_stream:
        return decode_response(exchange.body)
    framer, decoder = SSEFramer(), StreamDecoder()
    frames = framer.feed(exchange.body) + framer.close()
    return fold([event for frame in frames for event in decoder.feed(frame)] + decoder.close())


def _theirs_as_facts(completion: Any) -> dict[str, Any]:
    choice = completion.choices[0]
    message = choice.message
    calls = []
    for call in message.tool_calls or []:
        held = call.custom if call.type == "custom" else call.function
        calls.append((call.id or "", held.name, (held.input if call.type == "custom" else held.arguments) or ""))
    if message.function_call is not None and message.function_call.name:
        calls.append(("function_call", message.function_call.name, message.function_call.arguments))
    usage = completion.usage
    return {
        "id": completion.id,
        "model": completion.model,
        "text": message.content or "",
        "refusal": message.refusal or "",
        "calls": calls,
        "finish": choice.finish_reason,
        "cited": [note.url_citation.url for note in message.annotations or []],
        "usage": None if usage is None else (usage.prompt_tokens, usage.completion_tokens),
    }


def _ours_as_facts(response: GenerateResponse[Any]) -> dict[str, Any]:
    usage = response.usage.raw
    return {
        "id": response.id,
        "model": response.model,
        "text": response.text,
        "refusal": response.refusal,
        "calls": [(call.id, call.name, call.arguments) for call in response.tool_calls],
        "finish": response.finish.raw if response.finish else None,
        "cited": [source.url for part in response.content for source in getattr(part, "sources", ())],
        "usage": None if usage is None else (usage["prompt_tokens"], usage["completion_tokens"]),
    }


UNREADABLE = {
    "azure-0be1b2d51b42b894": "a choice that the filter stopped has no message",
    "mistral-04fd306c95c821c9": "the content is a list in one chunk and a text in the next",
    "openrouter-2b5d7f8a1ed799bb": "a citation of a file has no url_citation",
    "openrouter-8e52db58df66f8c4": "citations have no index",
}
"""What the SDK fails to read, or to put together."""


def _answers() -> list[Exchange]:
    found = [exchange for exchange in recordings("openai.chat") if exchange.status == 200]
    return [exchange for exchange in found if exchange.id not in UNREADABLE]


def _holds_error(exchange: Exchange) -> bool:
    """Whether an error came under status 200: the SDK raises it from streams only."""
    return not exchange.is_stream and "error" in json.loads(exchange.body)


def test_every_answer_is_what_the_official_sdk_understands() -> None:
    read: set[str] = set()
    for exchange in _answers():
        if _holds_error(exchange):
            continue
        try:
            theirs = _theirs_as_facts(_ask(exchange))
        except openai.APIError as error:
            with pytest.raises(ProviderError) as caught:
                _ours(exchange)
            assert error.message in caught.value.message, exchange.id
            continue
        ours = _ours_as_facts(_ours(exchange))
        for name in ("id", "model"):
            # Azure's first chunk says neither, and the SDK does not look again.
            theirs[name] = theirs[name] or ours[name]
        if isinstance(theirs["text"], list):
            theirs["text"] = "".join(item["text"] for item in theirs["text"] if item["type"] == "text")  # Mistral
        assert ours == theirs, exchange.id
        read.add(exchange.provider)
    assert {"openai", "azure", "groq", "openrouter", "mistral"} <= read


def test_every_error_is_of_the_class_that_the_official_sdk_raises() -> None:
    """Ours may be finer (money, context, policy); it is never of another family."""
    families = {
        openai.BadRequestError: BadRequestError,
        openai.AuthenticationError: AuthenticationError,
        openai.PermissionDeniedError: PermissionDeniedError,
        openai.NotFoundError: NotFoundError,
        openai.RateLimitError: RateLimitError | BillingError,
        openai.InternalServerError: ServerError,
    }
    for exchange in recordings("openai.chat"):
        if exchange.status == 200:
            continue
        with pytest.raises(openai.APIStatusError) as caught:
            _ask(exchange)
        ours = decode_error(exchange.status, exchange.headers, exchange.body)
        assert isinstance(ours, families[type(caught.value)]), exchange.id
        assert ours.status == caught.value.status_code
        assert caught.value.request_id in (ours.request_id, None)


def test_what_the_sdk_cannot_read_we_read() -> None:
    for exchange in recordings("openai.chat"):
        if exchange.id in UNREADABLE:
            assert _ours(exchange).finish is not None
            with pytest.raises(Exception):  # noqa: B017 - each fails in its own way
                _theirs_as_facts(_ask(exchange))
