"""A whole request, both directions.

The rule: `encode_request(decode_request(body)) == body` as JSON, and what a processor changes in between wins. A
setting not given is not sent, save NEEDED; what cannot be said is refused, or named in the adjustments.
https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import structs

from polyvox.dialects._reading import JSONObject, read_flag, read_list, read_object, read_text, refuse, take
from polyvox.dialects._residue import difference
from polyvox.dialects.anthropic.encoding import Encoding
from polyvox.dialects.anthropic.fields import DIALECT
from polyvox.dialects.anthropic.messages import decode_messages, decode_system, encode_messages
from polyvox.dialects.anthropic.quirks import AnthropicQuirks
from polyvox.dialects.anthropic.settings import SAMPLING, decode_settings, encode_settings
from polyvox.dialects.anthropic.tools import decode_choice, decode_tools, encode_tools
from polyvox.dialects.base import Needed, WireRequest
from polyvox.errors import BadRequestError, DecodeError, UnsupportedError
from polyvox.framing import json
from polyvox.types.generate import Adjustment, GenerateRequest, Residue

PATH: Final = "/v1/messages"

NEEDED: Final = (
    Needed(
        "max_tokens",
        "the model's output limit, else 8192",
        "the wire demands it",
        "https://docs.anthropic.com/en/api/messages#body-max-tokens",
    ),
    Needed(
        "thinking.display",
        "summarized",
        "the newest models think without showing it unless asked (only where reasoning was asked for)",
        "https://docs.anthropic.com/en/docs/build-with-claude/thinking",
    ),
    Needed(
        "tools[].input_schema",
        {"type": "object", "properties": {}},
        "a tool without a schema is refused",
        "https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/implement-tool-use",
    ),
)

# Members of the body that hold several things: what options say of them is added, not put in their place.
_SHARED: Final = ("output_config", "metadata")
# Settings whose member has another name: for telling whether what was dropped stands in the body after all.
_MEMBERS: Final = {"stop": "stop_sequences", "reasoning": "thinking", "prompt_cache": "cache_control"}
# Reads what any version takes.
_PLAIN_QUIRKS: Final = AnthropicQuirks(version="2023-06-01")


def encode_request(request: GenerateRequest, quirks: AnthropicQuirks, *, stream: bool) -> WireRequest:
    """Return the HTTP request that says `request` to a model with these quirks.

    Raises `UnsupportedError` for what the wire or the model cannot say, and for settings that are refused.
    """
    encoding = Encoding(quirks, request.residue)
    body = encode_body(request, encoding, stream=stream)
    said = body.pop("betas", ())
    betas = ",".join(dict.fromkeys((*quirks.betas, *(said if isinstance(said, list | tuple) else (str(said),)))))
    sampled = any(setting in body for setting in SAMPLING)
    version = quirks.sampling_version if sampled and encoding.strict_version else quirks.version
    headers = {"Content-Type": "application/json"}
    if quirks.version_in == "header":
        headers["anthropic-version"] = version
        if betas:
            headers["anthropic-beta"] = betas
    else:
        body.pop("model", None)
        body.setdefault("anthropic_version", version)
        if betas:
            body.setdefault("anthropic_beta", betas.split(","))
    adjustments = tuple(adjustment for adjustment in encoding.adjustments if not _is_said(adjustment, body))
    return WireRequest("POST", PATH, json.encode(body), headers=headers, adjustments=adjustments)


def _is_said(adjustment: Adjustment, body: JSONObject) -> bool:
    """Tell whether what was dropped stands in the body after all: the residue or the options put it there."""
    member = _MEMBERS.get(adjustment.setting, adjustment.setting)
    return adjustment.kind == "dropped" and member not in ("messages", "reasoning", "metadata") and member in body


def encode_body(request: GenerateRequest, encoding: Encoding, *, stream: bool) -> JSONObject:
    """Return the body as plain JSON, its residue restored."""
    body: JSONObject = {"model": request.model} if request.model else {}
    system, messages = encode_messages(request.messages, encoding)
    if system:
        body["system"] = system
    body["messages"] = messages
    encode_tools(request, encoding, body)
    encode_settings(request, encoding, body)
    if stream:
        body["stream"] = True
    for name, block in request.options.items():
        if name == DIALECT:
            _add_options(body, block)
        else:
            encoding.note("dropped", f"options.{name}", "the Anthropic wire does not bear this name")
    return encoding.complete(body, request.residue)


def _add_options(body: JSONObject, block: JSONObject) -> None:
    for name, value in block.items():
        held = body.get(name)
        shared = name in _SHARED and isinstance(held, dict) and isinstance(value, dict)
        body[name] = {**held, **value} if shared else value  # type: ignore[dict-item]


def decode_request(body: bytes) -> tuple[GenerateRequest, bool]:
    """Return the request that a client of this wire sent, and whether it asked for a stream.

    Raises `BadRequestError` naming the member that is wrong, what it is, and what it must be. A body without `model` is
    read too, with an empty one: where the address names the model (Vertex, Bedrock), the body does not.
    """
    try:
        theirs = json.decode(body)
    except DecodeError as error:
        raise BadRequestError(f"the body: {error.message}", status=400, code="invalid_json") from None
    return decode_body(read_object(theirs, "the body", "a JSON object"))


def decode_body(theirs: JSONObject) -> tuple[GenerateRequest, bool]:
    """Return the request of a body already read as plain JSON, and whether it asks for a stream."""
    spelled: list[str] = []
    told = read_list(take(theirs, "messages", ""), "messages", "a list of messages")
    if not told:
        refuse("messages", "is empty, but must hold at least one message")
    facts: dict[str, Any] = {
        "model": read_text(theirs["model"], "model", "a model's name") if "model" in theirs else "",
        "messages": (*decode_system(theirs.get("system")), *decode_messages(told)),
    }
    known = {"model", "messages", "system", "stream", "tools", "tool_choice"}
    if theirs.get("tools") is not None:
        facts["tools"] = decode_tools(read_list(theirs["tools"], "tools", "a list of tools"))
    if theirs.get("tool_choice") is not None:
        facts["tool_choice"], facts["parallel_tools"] = decode_choice(theirs["tool_choice"], facts.get("tools", ()))
    understood, options = decode_settings(theirs, facts, spelled)
    stream = theirs.get("stream") is not None and read_flag(theirs["stream"], "stream")
    known |= understood
    options = {**{name: value for name, value in theirs.items() if name not in known}, **options}
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
