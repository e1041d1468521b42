"""A whole request, both directions.

The rule: `encode_request(decode_request(body)) == body` as JSON, and what a processor changes in between wins. A
setting not given is not sent, save NEEDED; what cannot be said is refused, or named in the adjustments.
https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import structs

from polyvox.dialects._fates import fit_fates
from polyvox.dialects._reading import (
    JSONObject,
    read_flag,
    read_list,
    read_object,
    read_text,
    refuse,
    take,
)
from polyvox.dialects._residue import difference
from polyvox.dialects.base import Needed, WireRequest
from polyvox.dialects.openai.chat.encoding import Encoding
from polyvox.dialects.openai.chat.fields import DIALECT
from polyvox.dialects.openai.chat.messages import decode_messages, encode_messages
from polyvox.dialects.openai.chat.settings import decode_settings, encode_settings
from polyvox.dialects.openai.chat.tools import (
    decode_function_call,
    decode_functions,
    decode_tool_choice,
    decode_tools,
    encode_tools,
)
from polyvox.dialects.openai.quirks import OpenAIQuirks
from polyvox.errors import BadRequestError, DecodeError, UnsupportedError
from polyvox.framing import json
from polyvox.types.generate import Adjustment, GenerateRequest, Residue

__all__ = ["NEEDED", "PATH", "decode_messages", "decode_request", "decode_tools", "encode_body", "encode_request"]

PATH: Final = "/chat/completions"

NEEDED: Final = (
    Needed(
        "stream_options.include_usage",
        True,
        "a stream tells its usage only when asked",
        "https://platform.openai.com/docs/api-reference/chat/create#chat_create-stream_options",
    ),
    Needed(
        "messages[].content[].file.filename",
        "document.pdf",
        "the bytes of a file are refused without a name (the ending is that of its media type)",
        "https://platform.openai.com/docs/guides/pdf-files",
    ),
)

# Settings whose member has another name: for telling whether what was dropped stands in the body after all.
_MEMBERS: Final = {"parallel_tools": "parallel_tool_calls", "output.schema": ""}


def encode_request(request: GenerateRequest, quirks: OpenAIQuirks, *, stream: bool) -> WireRequest:
    """Return the HTTP request that says `request` to a service with these quirks.

    Raises `UnsupportedError` for what the wire cannot say, and for settings that are refused.
    """
    if stream and request.n is not None and request.n > 1:
        raise UnsupportedError(
            f"n={request.n} answers cannot be streamed at once: ask without streaming, or stream {request.n} times"
        )
    encoding = Encoding(fit_fates(quirks, request), request.residue)
    body = encode_body(request, encoding, stream=stream)
    adjustments = tuple(adjustment for adjustment in encoding.adjustments if not _is_said(adjustment, body))
    return WireRequest(
        "POST", PATH, json.encode(body), headers={"Content-Type": "application/json"}, adjustments=adjustments
    )


def _is_said(adjustment: Adjustment, body: JSONObject) -> bool:
    """Tell whether what was dropped stands in the body after all: the residue or the options put it there."""
    member = _MEMBERS.get(adjustment.setting, adjustment.setting)
    return adjustment.kind == "dropped" and member != "messages" and member in body


def encode_body(request: GenerateRequest, encoding: Encoding, *, stream: bool) -> JSONObject:
    """Return the body as plain JSON, its residue restored."""
    body: JSONObject = {"model": request.model} if request.model else {}
    body["messages"] = encode_messages(request.messages, encoding)
    encode_tools(request.tools, request.tool_choice, encoding, body)
    encode_settings(request, encoding, body)
    if stream:
        body["stream"] = True
        if encoding.quirks.include_usage:
            body["stream_options"] = {"include_usage": True}
    for old, new in encoding.quirks.rename.items():
        if old in body:
            body[new] = body.pop(old)
    for name, block in request.options.items():
        if name == DIALECT:
            body |= block
        else:
            encoding.note("dropped", f"options.{name}", "the OpenAI chat wire does not bear this name")
    return encoding.complete(body, request.residue)


def decode_request(body: bytes) -> tuple[GenerateRequest, bool]:
    """Return the request that a client of this wire sent, and whether it asked for a stream.

    Raises `BadRequestError` naming the member that is wrong, what it is, and what it must be. A body without `model` is
    read too, with an empty one: where the address names the model (Azure's dated API), the body does not.
    """
    try:
        theirs = json.decode(body)
    except DecodeError as error:
        raise BadRequestError(f"the body: {error.message}", status=400, code="invalid_json") from None
    return decode_body(read_object(theirs, "the body", "a JSON object"))


def decode_body(theirs: JSONObject) -> tuple[GenerateRequest, bool]:
    """Return the request of a body already read as plain JSON, and whether it asks for a stream."""
    spelled: list[str] = []
    facts: dict[str, Any] = {
        "model": read_text(theirs["model"], "model", "a model's name") if "model" in theirs else "",
        "messages": decode_messages(_messages(theirs)),
    }
    known = {"model", "messages", "stream", "stream_options"}
    known |= _decode_tools(theirs, facts)
    known |= decode_settings(theirs, facts, spelled)
    stream = theirs.get("stream") is not None and read_flag(theirs["stream"], "stream")
    if theirs.get("stream_options") is not None:
        usage = read_object(theirs["stream_options"], "stream_options").get("include_usage")
        if usage is not None:
            read_flag(usage, "stream_options.include_usage")
    options = {name: value for name, value in theirs.items() if name not in known}
    request = GenerateRequest(**facts, options={DIALECT: options} if options else {})
    plain = Residue(DIALECT, spelled=tuple(spelled)) if spelled else None
    request = structs.replace(request, residue=plain)
    ours = encode_body(request, Encoding(_PLAIN_QUIRKS, plain), stream=stream)
    changes = difference(ours, theirs)
    if changes:
        request = structs.replace(request, residue=Residue(DIALECT, changes, tuple(spelled)))
    return request, stream


_PLAIN_QUIRKS: Final = OpenAIQuirks()


def _messages(theirs: JSONObject) -> list[Any]:
    messages = read_list(take(theirs, "messages", ""), "messages", "a list of messages")
    if not messages:
        refuse("messages", "is empty, but must hold at least one message")
    return messages


def _decode_tools(theirs: JSONObject, facts: dict[str, Any]) -> set[str]:
    tools, functions = theirs.get("tools"), theirs.get("functions")
    if tools is not None:
        facts["tools"] = decode_tools(read_list(tools, "tools", "a list of tools"))
    if functions is not None:
        facts["tools"] = (*facts.get("tools", ()), *decode_functions(functions))
    if theirs.get("tool_choice") is not None:
        facts["tool_choice"] = decode_tool_choice(theirs["tool_choice"])
    elif theirs.get("function_call") is not None:
        facts["tool_choice"] = decode_function_call(theirs["function_call"])
    return {"tools", "functions", "tool_choice", "function_call"}
