"""A whole request, both directions.

The rule: `encode_request(decode_request(body)) == body` as JSON, and what a processor changes in between wins. A
setting not given is not sent, save NEEDED; what cannot be said is refused, or named in the adjustments.
https://docs.ollama.com/api/chat
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import structs

from polyvox.dialects._reading import JSONObject, read_flag, read_list, read_object, read_text, take
from polyvox.dialects._residue import difference, foreign_residue, restore
from polyvox.dialects.base import Needed, WireRequest
from polyvox.dialects.ollama.encoding import Encoding
from polyvox.dialects.ollama.fields import DIALECT
from polyvox.dialects.ollama.messages import decode_messages, encode_messages
from polyvox.dialects.ollama.quirks import OllamaQuirks
from polyvox.dialects.ollama.settings import MEMBERS, OPTIONS, RUNNER_OPTIONS, decode_settings, encode_settings
from polyvox.dialects.ollama.tools import decode_tools, encode_tools
from polyvox.errors import BadRequestError, DecodeError, UnsupportedError
from polyvox.framing import json
from polyvox.types.generate import Adjustment, GenerateRequest, Residue

NEEDED: Final = (
    Needed(
        "stream",
        False,
        "it streams unless told otherwise, so it is always told whether to",
        "https://docs.ollama.com/api/streaming",
    ),
)

_KNOWN: Final = frozenset(
    {"model", "messages", "tools", "stream", "format", "think", "logprobs", "top_logprobs", OPTIONS}
)
_BESIDE: Final = {"output": "format", "reasoning": "think", "logprobs": "logprobs", "tools": "tools"}
_PLAIN_QUIRKS: Final = OllamaQuirks()


# ours → wire


def encode_request(request: GenerateRequest, quirks: OllamaQuirks, *, stream: bool) -> WireRequest:
    """Return the HTTP request that says `request` to a model with these quirks.

    Raises `UnsupportedError` for what the wire or the model cannot say, and for settings that are refused.
    """
    encoding = Encoding(quirks, request.residue)
    body = encode_body(request, encoding, stream=stream)
    return WireRequest(
        "POST",
        "/api/chat",
        json.encode(body),
        headers={"Content-Type": "application/json"},
        adjustments=tuple(adjustment for adjustment in encoding.adjustments if not _is_said(adjustment, body)),
    )


def _is_said(adjustment: Adjustment, body: JSONObject) -> bool:
    """Tell whether what was dropped stands in the body after all: the residue or the options put it there."""
    if adjustment.kind != "dropped":
        return False
    setting = adjustment.setting
    return setting in body or _BESIDE.get(setting, "") in body or MEMBERS.get(setting, "") in (body.get(OPTIONS) or {})


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
    if request.residue is not None:
        if request.residue.dialect == DIALECT:
            body = restore(body, request.residue)
        for adjustment in foreign_residue(request.residue, DIALECT):
            encoding.note(adjustment.kind, adjustment.setting, adjustment.detail)
    return _with_extras(body, encoding.quirks)


def _add_options(body: JSONObject, block: JSONObject) -> None:
    """Add the caller's own members. One that counts in `options` only is put there, wherever it was said."""
    inner: JSONObject = {}
    for name, value in block.items():
        if name == OPTIONS and isinstance(value, dict):
            inner |= value
        elif name in RUNNER_OPTIONS:
            inner.setdefault(name, value)
        elif name == "tools" and isinstance(value, list):
            body[name] = [*body.get(name, ()), *value]
        else:
            body[name] = value
    if inner:
        body[OPTIONS] = {**body.get(OPTIONS, {}), **inner}


def _with_extras(body: JSONObject, quirks: OllamaQuirks) -> JSONObject:
    """Return the body with what the quirks add where nobody says otherwise."""
    extra = dict(quirks.extra_options)
    if quirks.num_ctx is not None:
        extra["num_ctx"] = quirks.num_ctx
    if extra:
        body = {**body, OPTIONS: {**extra, **(body.get(OPTIONS) or {})}}
    return {**quirks.extra_body, **body} if quirks.extra_body else body


# wire → ours


def decode_request(body: bytes) -> tuple[GenerateRequest, bool]:
    """Return the request that a client of this wire sent, and whether it asked for a stream: it does unless it says no.

    Raises `BadRequestError` naming the member that is wrong, what it is, and what it must be.
    """
    try:
        theirs = json.decode(body)
    except DecodeError as error:
        raise BadRequestError(f"the body: {error.message}", status=400, code="invalid_json") from None
    return decode_body(read_object(theirs, "the body", "a JSON object"))


def decode_body(theirs: JSONObject) -> tuple[GenerateRequest, bool]:
    """Return the request of a body already read as plain JSON, and whether a stream is asked for."""
    given = theirs.get("stream")
    stream = True if given is None else read_flag(given, "stream")
    spelled: list[str] = []
    # Without messages the model is loaded, and nothing is said.
    told = theirs.get("messages")
    facts: dict[str, Any] = {
        "model": read_text(take(theirs, "model", ""), "model", "a model's name"),
        "messages": () if told is None else decode_messages(read_list(told, "messages", "a list of messages")),
    }
    if theirs.get("tools") is not None:
        facts["tools"] = decode_tools(read_list(theirs["tools"], "tools", "a list of tools"))
    options = {name: value for name, value in theirs.items() if name not in _KNOWN and value is not None}
    options |= decode_settings(theirs, facts, spelled)
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
