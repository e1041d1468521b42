"""A whole request, both directions.

The rule: `encode_request(decode_request(body)) == body` as JSON, and what a processor changes in between wins. A
setting not given is not sent, save NEEDED; what cannot be said is refused, or named in the adjustments. The model and
the wish for a stream stand in the address. https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote, unquote

from msgspec import UNSET, structs

from polyvox.dialects._reading import JSONObject, read_list, read_object, read_text, refuse, take
from polyvox.dialects._residue import difference
from polyvox.dialects.base import Needed, WireRequest
from polyvox.dialects.gemini.encoding import Encoding
from polyvox.dialects.gemini.fields import DIALECT
from polyvox.dialects.gemini.messages import decode_messages, decode_system, encode_messages
from polyvox.dialects.gemini.quirks import GeminiQuirks
from polyvox.dialects.gemini.settings import CONFIG, MEMBERS, decode_settings, encode_settings
from polyvox.dialects.gemini.spelling import decode_spelling, encode_spelling
from polyvox.dialects.gemini.tools import decode_choice, decode_tools, encode_tools
from polyvox.errors import BadRequestError, DecodeError, UnsupportedError
from polyvox.framing import json
from polyvox.types.generate import Adjustment, GenerateRequest, Residue, ResidueChange

NEEDED: Final = (
    Needed(
        "alt",
        "sse",
        "a stream comes as one JSON array otherwise (in the address, and only there)",
        "https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent",
    ),
    Needed(
        "generationConfig.thinkingConfig.includeThoughts",
        True,
        "thoughts are not shown unless asked (only where reasoning was asked for)",
        "https://ai.google.dev/gemini-api/docs/thinking#summaries",
    ),
    Needed(
        "generationConfig.responseModalities",
        ["AUDIO"],
        "a voice says nothing where sound is not asked for (only where audio was asked for, and no modalities)",
        "https://ai.google.dev/gemini-api/docs/speech-generation",
    ),
    Needed(
        "toolConfig.includeServerSideToolInvocations",
        True,
        "functions and the provider's own tools are taken together only so (only where both are offered)",
        "https://ai.google.dev/gemini-api/docs/tool-combination",
    ),
)

# Members of the body that hold several things: what options say of them is added, not put in their place.
_SHARED: Final = (CONFIG, "toolConfig")
_IN_CACHE: Final = {"systemInstruction": "messages", "tools": "tools", "toolConfig": "tool_choice"}
_ADDRESS: Final = re.compile(r"(?:^|/)((?:tunedModels/)?[^/]+):([A-Za-z]+)$")
_KNOWN: Final = frozenset(
    {"model", "contents", "systemInstruction", "tools", "toolConfig", CONFIG, "serviceTier", "labels"}
)
_PLAIN_QUIRKS: Final = GeminiQuirks()


# ours → wire


def encode_request(request: GenerateRequest, quirks: GeminiQuirks, *, stream: bool) -> WireRequest:
    """Return the HTTP request that says `request` to a model with these quirks.

    Raises `UnsupportedError` for what the wire or the model cannot say, and for settings that are refused.
    """
    if stream and request.n is not None and request.n > 1:
        raise UnsupportedError(
            f"n={request.n} answers cannot be streamed at once: ask without streaming, or stream {request.n} times"
        )
    encoding = Encoding(quirks, request.residue)
    body = encode_body(request, encoding)
    adjustments = tuple(adjustment for adjustment in encoding.adjustments if not _is_said(adjustment, body))
    return WireRequest(
        "POST",
        encode_path(request.model, quirks, stream=stream),
        json.encode(body),
        headers={"Content-Type": "application/json"},
        query={"alt": "sse"} if stream and quirks.alt == "sse" else {},
        adjustments=adjustments,
    )


def encode_path(model: str, quirks: GeminiQuirks, *, stream: bool) -> str:
    """Return where a model is asked. A tuned one stands beside the others, not among them."""
    name = quote(model.removeprefix("models/"), safe="/@:.-_~")
    path = quirks.path.replace("models/{model}", "{model}") if name.startswith("tunedModels/") else quirks.path
    verb = "streamGenerateContent" if stream else "generateContent"
    return path.format(version=quirks.version, model=name, verb=verb)


def _is_said(adjustment: Adjustment, body: JSONObject) -> bool:
    """Tell whether what was dropped stands in the body after all: the residue or the options put it there."""
    if adjustment.kind != "dropped":
        return False
    if adjustment.setting in ("tools", "tool_choice"):
        return {"tools": "tools", "tool_choice": "toolConfig"}[adjustment.setting] in body
    return MEMBERS.get(adjustment.setting, adjustment.setting) in (body.get(CONFIG) or {})


def encode_body(request: GenerateRequest, encoding: Encoding) -> JSONObject:
    """Return the body as plain JSON, its residue restored."""
    body: JSONObject = {"model": request.model} if "model" in encoding.spelled else {}
    system, contents = encode_messages(request.messages, encoding)
    body["contents"] = contents
    if system:
        body["systemInstruction"] = {"parts": system}
    encode_tools(request, encoding, body)
    encode_settings(request, encoding, body)
    for name, block in request.options.items():
        if name == DIALECT:
            _add_options(body, decode_spelling(block)[0])
        else:
            encoding.note("dropped", f"options.{name}", "the Gemini wire does not bear this name")
    if body.get("cachedContent") is not None:
        _leave_to_cache(body, encoding)
    if encoding.spelled:
        body = encode_spelling(body, encoding.spelled)
    return encoding.complete(body, request.residue)


def _add_options(body: JSONObject, block: JSONObject) -> None:
    for name, value in block.items():
        if name in _SHARED:
            body[name] = _added(body.get(name), value)
        elif name == "tools" and isinstance(value, list):
            body[name] = [*body.get(name, ()), *value]
        else:
            body[name] = value


def _added(held: Any, more: Any) -> Any:
    """Return an object with the members of another added, down to the last."""
    if not isinstance(held, dict) or not isinstance(more, dict):
        return more
    return {**held, **{name: _added(held.get(name), value) for name, value in more.items()}}


def _leave_to_cache(body: JSONObject, encoding: Encoding) -> None:
    """Send nothing that stands in the cached content: the wire refuses it beside that.

    https://ai.google.dev/gemini-api/docs/caching
    """
    for member, setting in _IN_CACHE.items():
        if body.pop(member, None) is not None:
            encoding.note("dropped", setting, f"{member} is not taken beside cachedContent: it must stand in that")


# wire → ours


def decode_request(body: bytes, *, path: str = "") -> tuple[GenerateRequest, bool]:
    """Return the request that a client of this wire sent, and whether it asked for a stream.

    The model and the wish for a stream are told by `path`. Without one, the model is what the body says of it, else
    empty, and no stream is asked for. Raises `BadRequestError` naming the member that is wrong, what it is, and what
    it must be.
    """
    try:
        theirs = json.decode(body)
    except DecodeError as error:
        raise BadRequestError(f"the body: {error.message}", status=400, code="invalid_json") from None
    model, stream = decode_path(path)
    return decode_body(read_object(theirs, "the body", "a JSON object"), model), stream


def decode_path(path: str) -> tuple[str, bool]:
    """Return the model that an address names (empty where it names none), and whether it asks for a stream."""
    found = _ADDRESS.search(path.partition("?")[0])
    return (unquote(found[1]), found[2].startswith("stream")) if found else ("", False)


def decode_body(theirs: JSONObject, model: str = "") -> GenerateRequest:
    """Return the request of a body already read as plain JSON."""
    read, words = decode_spelling(theirs)
    told = read_list(take(read, "contents", ""), "contents", "a list of contents")
    if not told:
        refuse("contents", "is empty, but must hold at least one content")
    spelled = [*words]
    if read.get("model") is not None:
        named = read_text(read["model"], "model", "a model's name")
        model = model or named.removeprefix("models/")
        spelled.append("model")
    facts: dict[str, Any] = {
        "model": model,
        "messages": (*decode_system(read.get("systemInstruction")), *decode_messages(told)),
    }
    options = {name: value for name, value in read.items() if name not in _KNOWN and value is not None}
    if read.get("tools") is not None:
        facts["tools"] = decode_tools(read_list(read["tools"], "tools", "a list of tools"))
    if read.get("toolConfig") is not None:
        facts["tool_choice"], left = decode_choice(read["toolConfig"])
        if left:
            options["toolConfig"] = left
    options |= decode_settings(read, facts)
    plain = Residue(DIALECT, spelled=tuple(spelled)) if spelled else None
    request = GenerateRequest(**facts, options={DIALECT: options} if options else {}, residue=plain)
    try:
        ours = encode_body(request, Encoding(_PLAIN_QUIRKS, plain))
    except UnsupportedError as error:
        raise BadRequestError(error.message, status=400, code="invalid_value") from None
    changes = _difference(ours, theirs)
    return structs.replace(request, residue=Residue(DIALECT, changes, tuple(spelled))) if changes else request


def _difference(ours: JSONObject, theirs: JSONObject) -> tuple[ResidueChange, ...]:
    """Return the changes that make `theirs` of `ours`. The tools are one: any of their items may hold any function."""
    changes = difference(ours, theirs)
    others = tuple(change for change in changes if change.path[0] != "tools")
    if len(others) == len(changes):
        return changes
    return (*others, ResidueChange(("tools",), ours.get("tools", UNSET), theirs.get("tools", UNSET)))
