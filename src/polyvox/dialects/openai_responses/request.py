"""A whole request, both directions.

The rule: `encode_request(decode_request(body)) == body` as JSON, and what a processor changes in between wins. A
setting not given is not sent, save NEEDED; what cannot be said is refused, or named in the adjustments. `store`,
`previous_response_id`, `conversation`, `background` and the like are the caller's `options["openai_responses"]`.
https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import structs

from polyvox.dialects._fates import fit_fates
from polyvox.dialects._reading import JSONObject, read_flag, read_object, read_text
from polyvox.dialects._residue import difference
from polyvox.dialects.base import Needed, WireRequest
from polyvox.dialects.openai_responses.encoding import Encoding
from polyvox.dialects.openai_responses.fields import DIALECT
from polyvox.dialects.openai_responses.input import decode_input
from polyvox.dialects.openai_responses.messages import encode_input
from polyvox.dialects.openai_responses.quirks import ResponsesQuirks
from polyvox.dialects.openai_responses.settings import ENCRYPTED, ask_for_encrypted, decode_settings, encode_settings
from polyvox.dialects.openai_responses.tools import decode_choice, decode_tools, encode_tools
from polyvox.errors import BadRequestError, DecodeError, UnsupportedError
from polyvox.framing import json
from polyvox.types.generate import Adjustment, GenerateRequest, Residue

PATH: Final = "/responses"

NEEDED: Final = (
    Needed(
        "include[]",
        ENCRYPTED,
        "without it reasoning cannot travel back where answers are not stored (only where the model is to reason)",
        "https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items",
    ),
    Needed(
        "input[].content[].filename",
        "document.pdf",
        "the bytes of a file are refused without a name (the ending is that of its media type)",
        "https://platform.openai.com/docs/guides/pdf-files",
    ),
)

# Members of the body that hold several things: what options say of them is added, not put in their place.
_SHARED: Final = ("reasoning", "text", "include")
# Settings whose member has another name: for telling whether what was dropped stands in the body after all.
_MEMBERS: Final = {"parallel_tools": "parallel_tool_calls", "max_tokens": "max_output_tokens", "reasoning": ""}
# Reads what any service takes.
_PLAIN_QUIRKS: Final = ResponsesQuirks(input_audio=True)


def encode_request(request: GenerateRequest, quirks: ResponsesQuirks, *, stream: bool) -> WireRequest:
    """Return the HTTP request that says `request` to a service with these quirks.

    Raises `UnsupportedError` for what the wire cannot say, and for settings that are refused.
    """
    stores = (request.options.get(DIALECT) or {}).get("store") is not False
    encoding = Encoding(fit_fates(quirks, request), request.residue, stores=stores)
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
    instructions, items = encode_input(request.messages, encoding)
    if instructions is not None:
        body["instructions"] = instructions
    body["input"] = items
    encode_tools(request, encoding, body)
    encode_settings(request, encoding, body)
    if stream:
        body["stream"] = True
    for name, block in request.options.items():
        if name == DIALECT:
            _add_options(body, block)
        else:
            encoding.note("dropped", f"options.{name}", "the Responses wire does not bear this name")
    ask_for_encrypted(encoding, body)
    return encoding.complete(body, request.residue)


def _add_options(body: JSONObject, block: JSONObject) -> None:
    for name, value in block.items():
        held = body.get(name)
        if name in _SHARED and isinstance(held, dict) and isinstance(value, dict):
            body[name] = {**held, **value}
        elif name in _SHARED and isinstance(held, list) and isinstance(value, list | tuple):
            body[name] = [*value, *(one for one in held if one not in value)]
        else:
            body[name] = list(value) if isinstance(value, tuple) else value


def decode_request(body: bytes) -> tuple[GenerateRequest, bool]:
    """Return the request that a client of this wire sent, and whether it asked for a stream.

    Raises `BadRequestError` naming the member that is wrong, what it is, and what it must be. A body without `model` or
    without `input` is read too: a stored prompt may name both.
    """
    try:
        theirs = json.decode(body)
    except DecodeError as error:
        raise BadRequestError(f"the body: {error.message}", status=400, code="invalid_json") from None
    return decode_body(read_object(theirs, "the body", "a JSON object"))


def decode_body(theirs: JSONObject) -> tuple[GenerateRequest, bool]:
    """Return the request of a body already read as plain JSON, and whether it asks for a stream."""
    spelled: list[str] = []
    model = theirs.get("model")
    facts: dict[str, Any] = {
        "model": "" if model is None else read_text(model, "model", "a model's name"),
        "messages": decode_input(theirs.get("instructions"), theirs.get("input")),
    }
    known = {"model", "instructions", "input", "stream", "tools", "tool_choice"}
    if theirs.get("tools") is not None:
        facts["tools"] = decode_tools(theirs["tools"])
    if theirs.get("tool_choice") is not None:
        facts["tool_choice"] = decode_choice(theirs["tool_choice"])
    understood, options = decode_settings(theirs, facts, spelled)
    stream = theirs.get("stream") is not None and read_flag(theirs["stream"], "stream")
    if theirs.get("store") is not None:
        read_flag(theirs["store"], "store")
    known |= understood
    options = {**{name: value for name, value in theirs.items() if name not in known}, **options}
    plain = Residue(DIALECT, spelled=tuple(spelled)) if spelled else None
    request = GenerateRequest(**facts, options={DIALECT: options} if options else {}, residue=plain)
    stores = theirs.get("store") is not False
    try:
        ours = encode_body(request, Encoding(_PLAIN_QUIRKS, plain, stores=stores), stream=stream)
    except UnsupportedError as error:
        raise BadRequestError(error.message, status=400, code="invalid_value") from None
    changes = difference(ours, theirs)
    if changes:
        request = structs.replace(request, residue=Residue(DIALECT, changes, tuple(spelled)))
    return request, stream
