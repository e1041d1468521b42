"""Calls of tools, both directions, in requests and answers alike.

The rule: arguments are an object on the wire and are kept as they were written; a call without an id gets one that is
never sent. What else a call says (`index`, `type`) stands in its meta and goes back.
https://docs.ollama.com/capabilities/tool-calling
"""

from __future__ import annotations

from typing import Any

import msgspec

from polyvox.dialects._encoding import arguments_object
from polyvox.dialects._reading import JSONObject
from polyvox.dialects.ollama import wire
from polyvox.dialects.ollama.fields import as_meta, is_made, kept, make_id, own, text_of
from polyvox.framing import json
from polyvox.types.parts import ToolCall

# wire → ours


def decode_call(held: JSONObject, written: str | None, place: str) -> ToolCall:
    """Return the call of an item of `tool_calls`.

    `written` are its arguments as they stood there, where that is known; `place` says where in the conversation it
    stands, for the id that is made where there is none.
    """
    function = held.get("function")
    function = function if isinstance(function, dict) else {}
    arguments = _arguments(function.get("arguments"), written)
    name = text_of(function, "name")
    marks = own(kept(held, ("id", "function")))
    others = {key: value for key, value in function.items() if key not in ("name", "arguments") and value is not None}
    if others:
        marks = {**marks, "function": others}
    call_id = text_of(held, "id") or make_id(place, name, arguments)
    return ToolCall(call_id, name, arguments, meta=as_meta(marks))


def _arguments(given: Any, written: str | None) -> str:
    """Return a call's arguments as JSON text. Where a server forgot to write an object, text is taken as it is."""
    if given is None:
        return "{}"
    if isinstance(given, str):
        return given or "{}"
    return json.encode(given).decode() if written is None else written


def written_arguments(data: bytes, count: int) -> list[str | None]:
    """Return the arguments of each of the `count` calls of a line or a body, as they were written."""
    calls = json.decode(data, wire.Answer).message.tool_calls
    if len(calls) != count:
        return [None] * count
    return [bytes(call.function.arguments).decode("utf-8", "replace") for call in calls]


# ours → wire


def encode_call(call: ToolCall, *, exact: bool, ids: bool = True) -> JSONObject:
    """Return the item of `tool_calls`. `exact`: with the arguments as they were written, to be written as they are."""
    marks = dict(own(call.meta))
    others = marks.pop("function", None)
    arguments, valid = arguments_object(call)
    function: JSONObject = {"name": call.name, "arguments": arguments}
    if exact and valid and call.kind != "custom" and arguments and (written := _exact(call.arguments)):
        function["arguments"] = msgspec.Raw(written)
    if isinstance(others, dict):
        function |= others
    said: JSONObject = {"id": call.id} if ids and call.id and not is_made(call.id) else {}
    return {**said, **marks, "function": function}


def _exact(arguments: str) -> bytes | None:
    """Return arguments as they were written; `None` where no other reader would take them (`NaN`, half a character)."""
    try:
        written = arguments.encode()
        msgspec.json.decode(written)
    except ValueError:
        return None
    return written
