"""A whole request, both directions.

The rule: `encode_request(decode_request(body)) == body` as JSON, and what a processor changes in between wins. A
setting not given is not sent, save NEEDED; what cannot be said is refused, or named in the adjustments.
https://docs.ollama.com/api/chat
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import structs

from polyvox.dialects._reading import JSONObject, read_flag, read_list, read_object, read_text, take
from polyvox.dialects._residue import difference
from polyvox.dialects.base import Needed, WireRequest
from polyvox.dialects.ollama.encoding import Encoding
from polyvox.dialects.ollama.fields import DIALECT
from polyvox.dialects.ollama.messages import decode_messages, encode_messages
from polyvox.dialects.ollama.quirks import OllamaQuirks
from polyvox.dialects.ollama.settings import MEMBERS, RUNNER_OPTIONS, decode_settings, encode_settings
from polyvox.dialects.ollama.tools import decode_tools, encode_tools
from polyvox.errors import BadRequestError, DecodeError, UnsupportedError
from polyvox.framing import json
from polyvox.types.generate import Adjustment, GenerateRequest, Residue

PATH: Final = "/api/chat"

NEEDED: Final = (
    Needed("stream", False, "the wire streams unless told otherwise", "https://docs.ollama.com/api/streaming"),
    Needed(
        "tools[].function.parameters",
        {"type": "object", "properties": {}},
        "a tool without a schema breaks the templates of many models",
        "https://docs.ollama.com/capabilities/tool-calling",
    ),
)

# A member of the body that holds several things: what options say of it is added, not put in its place.
_SHARED: Final = "options"
_PLAIN_QUIRKS: Final = OllamaQuirks(settings={"tool_choice": "drop"})


def encode_request(request: GenerateRequest, quirks: OllamaQuirks, *, stream: bool) -> WireRequest:
    """Return the HTTP request that says `request` to a model with these quirks.

    Raises `UnsupportedError` for what the wire or the model cannot say, and for settings that are refused.
    """
    encoding = Encoding(quirks, request.residue)
    body = encode_body(request, encoding, stream=stream)
    headers = {"Content-Type": "application/json"}
    adjustments = tuple(adjustment for adjustment in encoding.adjustments if not _is_said(adjustment, body))
    return WireRequest("POST", PATH, json.encode(body), headers=headers, adjustments=adjustments)


def _is_said(adjustment: Adjustment, body: JSONObject) -> bool:
    """Tell whether what was dropped stands in the body after all: the residue or the options put it there."""
    member = MEMBERS.get(adjustment.setting, adjustment.setting)
    if adjustment.kind != "dropped" or member in ("messages", "tools"):
        return False
    options = body.get(_SHARED)
    return member in body or (isinstance(options, dict) and member in options)


def encode_body(request: GenerateRequest, encoding: Encoding, *, stream: bool) -> JSONObject:
    """Return the body as plain JSON, its residue restored."""
    body: JSONObject = {"model": request.model, "messages": encode_messages(request.messages, encoding)}
    encode_tools(request, encoding, body)
    encode_settings(request, encoding, body)
    body["stream"] = stream
    for name, block in request.options.items():
        if name == DIALECT:
            _add_options(body, block)
        else:
            encoding.note("dropped", f"options.{name}", "the Ollama wire does not bear this name")
    return encoding.complete(body, request.residue)


def _add_options(body: JSONObject, block: JSONObject) -> None:
    """Add the caller's own members. One that counts in `options` only is put there, wherever it was said."""
    inner = {name: value for name, value in block.items() if name in RUNNER_OPTIONS}
    for name, value in block.items():
        if name == _SHARED and isinstance(value, dict):
            inner |= value
        elif name not in RUNNER_OPTIONS:
            body[name] = value
    if inner:
        body[_SHARED] = {**(body.get(_SHARED) or {}), **inner}


def decode_request(body: bytes) -> tuple[GenerateRequest, bool]:
    """Return the request that a client of this wire sent, and whether it asked for a stream, which is the default.

    Raises `BadRequestError` naming the member that is wrong, what it is, and what it must be. A request without
    messages, which only loads a model, is read too.
    """
    try:
        theirs = json.decode(body)
    except DecodeError as error:
        raise BadRequestError(f"the body: {error.message}", status=400, code="invalid_json") from None
    return decode_body(read_object(theirs, "the body", "a JSON object"))


def decode_body(theirs: JSONObject) -> tuple[GenerateRequest, bool]:
    """Return the request of a body already read as plain JSON, and whether it asks for a stream."""
    spelled: list[str] = []
    told = theirs.get("messages")
    facts: dict[str, Any] = {
        "model": read_text(take(theirs, "model", ""), "model", "a model's name"),
        "messages": decode_messages(read_list(told, "messages", "a list of messages")) if told is not None else (),
    }
    known = {"model", "messages", "stream", "tools"}
    if theirs.get("tools") is not None:
        facts["tools"] = decode_tools(read_list(theirs["tools"], "tools", "a list of tools"))
    understood, options = decode_settings(theirs, facts, spelled)
    stream = theirs.get("stream") is None or read_flag(theirs["stream"], "stream")
    known |= understood
    # What would count in `options` only and stands elsewhere says nothing: it goes back with the residue.
    others = {name: value for name, value in theirs.items() if name not in known and name not in RUNNER_OPTIONS}
    options = {**others, **options}
    plain = Residue(DIALECT, spelled=tuple(spelled)) if spelled else None
    request = GenerateRequest(**facts, options={DIALECT: options} if options else {}, residue=plain)
    try:
        ours = encode_body(request, Encoding(_PLAIN_QUIRKS, plain), stream=stream)
    except UnsupportedError as error:
        raise BadRequestError(error.message, status=400, code="invalid_value") from None
    changes = difference(ours, theirs)
    if changes:
        request = structs.replace(request, residue=Residue(DIALECT, changes, tuple(spelled)))
    return request, stream
