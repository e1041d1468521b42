"""How the tests here say an answer of the Responses wire: whole, and as the frames of a stream."""

from __future__ import annotations

import json

from polyvox.dialects.openai_responses.response import decode_response
from polyvox.dialects.openai_responses.stream import StreamDecoder
from polyvox.framing.base import Frame
from polyvox.types.fold import fold

OWN = "openai_responses"
USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 14,
}
HEAD = {"id": "resp_1", "object": "response", "created_at": 7, "model": "m"}


def envelope(*items, **said):
    return {**HEAD, "status": "completed", "error": None, "output": list(items), "usage": USAGE, **said}


def whole(*items, **said):
    """Return our reading of a whole answer with these items."""
    return decode_response(json.dumps(envelope(*items, **said)).encode())


def text_part(text, **said):
    return {"type": "output_text", "text": text, "annotations": [], **said}


def message(*parts, **said):
    content = [text_part(part) if isinstance(part, str) else part for part in parts]
    return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content, **said}


def reasoning(*summary, **said):
    return {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": text} for text in summary],
        **said,
    }


def call(arguments="{}", **said):
    return {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "f",
        "arguments": arguments,
        "status": "completed",
        **said,
    }


CREATED = {"type": "response.created", "response": {**HEAD, "status": "in_progress", "output": []}}


def added(item, at=0):
    return {"type": "response.output_item.added", "output_index": at, "item": item}


def done(item, at=0):
    return {"type": "response.output_item.done", "output_index": at, "item": item}


def text(delta, at=0, place=0, **said):
    place_said = {"item_id": "msg_1", "output_index": at, "content_index": place}
    return {"type": "response.output_text.delta", **place_said, "delta": delta, "logprobs": [], **said}


def piece(kind, delta, at=0, **said):
    return {"type": f"response.{kind}.delta", "output_index": at, "delta": delta, **said}


def completed(*items, **said):
    return {"type": "response.completed", "response": envelope(*items, **said)}


def frame(said, event=None):
    return Frame(said if isinstance(said, bytes) else json.dumps(said).encode(), event)


def events_of(*frames):
    """Return the events of these frames, and those of the end."""
    decoder = StreamDecoder()
    events = []
    for said in frames:
        events += decoder.feed(said if isinstance(said, Frame) else frame(said))
    return events + decoder.close()


def streamed(*frames):
    """Return the answer that these frames make."""
    return fold(events_of(*frames))
