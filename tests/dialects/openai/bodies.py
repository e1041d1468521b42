"""Short ways to write answers of the OpenAI chat wire by hand, and to read them."""

from __future__ import annotations

import json
from typing import Any

from polyvox.dialects.openai.chat.response import decode_response
from polyvox.dialects.openai.chat.stream import StreamDecoder
from polyvox.framing.base import Frame
from polyvox.types.events import Event
from polyvox.types.fold import fold
from polyvox.types.generate import GenerateResponse

DONE = Frame(b"[DONE]")


def chunk(delta: Any = None, *, index: int = 0, finish: str | None = None, **facts: Any) -> Frame:
    """One frame; members of the choice and of the envelope are told apart by name."""
    choice: dict[str, Any] = {"index": index, "finish_reason": finish}
    if delta is not None:
        choice["delta"] = delta
    for name in ("logprobs", "error", "message", "content_filter_results", "native_finish_reason"):
        if name in facts:
            choice[name] = facts.pop(name)
    return Frame(json.dumps({"id": "c1", "model": "m1", "choices": [choice], **facts}).encode())


def frame(value: Any, event: str | None = None) -> Frame:
    return Frame(json.dumps(value).encode(), event)


def events_of(*frames: Frame) -> list[Event]:
    """The events of a stream that ends well, with the end mark where the test gave none."""
    decoder = StreamDecoder()
    events = [event for one in frames for event in decoder.feed(one)]
    return events + decoder.close()


def answer_of(*frames: Frame) -> GenerateResponse[Any]:
    return fold(events_of(*frames))


def body(message: dict[str, Any], *, finish: str | None = "stop", **envelope: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return json.dumps({"id": "c1", "model": "m1", "choices": [choice], **envelope}).encode()


def read(message: dict[str, Any], **facts: Any) -> GenerateResponse[Any]:
    return decode_response(body(message, **facts))
