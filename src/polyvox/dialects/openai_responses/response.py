"""A whole answer: the body read, and what it shares with a streamed one.

The rule: items in their order; of the envelope everything said is kept in the answer's meta. Why an answer ended is
told by its status, `incomplete_details`, and by its items: calls to be run are no matter of status. An answer with
status 200 may have failed: that raises. https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NoReturn

from polyvox.dialects._reading import JSONObject
from polyvox.dialects.openai.errors import error_of
from polyvox.dialects.openai_responses.fields import said, text_of
from polyvox.dialects.openai_responses.items import decode_output
from polyvox.dialects.openai_responses.usage import decode_usage
from polyvox.errors import DecodeError, ServerError
from polyvox.framing import json
from polyvox.types.generate import Finish, FinishReason, GenerateResponse
from polyvox.types.parts import Meta, Part, TextPart, ToolCall
from polyvox.types.usage import Usage

INCOMPLETE: Final[dict[str, FinishReason]] = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}
UNDERWAY: Final = ("queued", "in_progress")
_FIELDS: Final = frozenset({"id", "object", "model", "output", "output_text", "status", "usage", "error"})


def decode_response(body: bytes) -> GenerateResponse[Any]:
    """Return the answer. Raises the `ProviderError` that a body with status 200 holds, `DecodeError` for no answer."""
    held = json.decode(body)
    if not isinstance(held, dict):
        raise DecodeError(f"this is no answer of the Responses wire: {json.excerpt(body)}")
    raise_failure(held)
    items, usage = held.get("output"), held.get("usage")
    if not isinstance(items, list) and not isinstance(held.get("status"), str):
        raise DecodeError(f"this is no answer of the Responses wire: it has no output: {json.excerpt(body)}")
    content = decode_output(items if isinstance(items, list) else ())
    return GenerateResponse(
        id=text_of(held, "id") or None,
        model=text_of(held, "model") or None,
        content=content,
        finish=decode_finish(held, content),
        usage=decode_usage(usage) if isinstance(usage, dict) else Usage(),
        meta=as_meta(held),
        raw=body,
    )


def raise_failure(held: JSONObject) -> None:
    """Raise the error that an answer is, or that stands in it."""
    if held.get("error") or held.get("type") == "error":
        raise_error(held)
    if held.get("status") == "failed":
        raise ServerError("the answer failed, and the provider did not say why")


def raise_error(held: JSONObject) -> NoReturn:
    """Raise the error of an error event, be it nested or flat, or of an answer that failed."""
    if not isinstance(held.get("error"), dict | str) and "message" in held:
        # Flat: the type of the event is none of the error's.
        held = {"error": {name: value for name, value in held.items() if name not in ("type", "error")}}
    raise error_of(held, status=None)


def decode_finish(held: JSONObject, content: Iterable[Part]) -> Finish | None:
    """Return why the answer ended, `None` for one that is under way (in the background)."""
    status = text_of(held, "status")
    if status in UNDERWAY:
        return None
    details = held.get("incomplete_details")
    reason = text_of(details, "reason") if isinstance(details, dict) else ""
    if status == "incomplete" or reason:
        return Finish(INCOMPLETE.get(reason, "other"), reason or status)
    if status not in ("completed", "requires_action", ""):
        return Finish("other", status)
    return Finish(_ended(content), status or None)


def _ended(content: Iterable[Part]) -> FinishReason:
    reason: FinishReason = "stop"
    for part in content:
        if isinstance(part, ToolCall) and not part.executed:
            return "tool_calls"
        if isinstance(part, TextPart) and part.refusal:
            reason = "content_filter"
    return reason


def as_meta(held: JSONObject) -> Meta:
    """Return what an answer says beside its fields, as a meta. A null says nothing."""
    marks = {name: value for name, value in held.items() if name not in _FIELDS and value is not None}
    if held.get("status") in UNDERWAY:
        marks["status"] = held["status"]
    details = marks.get("incomplete_details")
    if isinstance(details, dict) and set(details) <= {"reason"}:
        del marks["incomplete_details"]
    return said(marks)
