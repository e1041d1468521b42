"""Everything in a request that is neither message nor tool, both directions.

The rule: a setting not given is not sent, save `max_tokens`, which the wire demands. A member that we have no word for
goes to `options["anthropic"]`.
https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

from typing import Any, Final

from polyvox.dialects._reading import (
    JSONObject,
    read_number,
    read_object,
    read_text,
    read_texts,
    read_whole,
    take,
)
from polyvox.dialects.anthropic.encoding import Encoding
from polyvox.dialects.anthropic.thinking import decode_reasoning, encode_reasoning, fit_budget, is_thinking_on
from polyvox.errors import UnsupportedError
from polyvox.types.generate import GenerateRequest, Output, PromptCache

FALLBACK_MAX_TOKENS: Final = 8192
"""What every Claude since 3.5 can answer."""

SAMPLING: Final = ("temperature", "top_p", "top_k")
_TIERS: Final = {
    "auto": "auto",
    "standard_only": "standard_only",
    "default": "standard_only",
    "standard": "standard_only",
}
_TTLS: Final = ("5m", "1h")


# ours → wire


def encode_settings(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    """Write the settings that were given, each by its fate."""
    encode_reasoning(request, encoding, body)
    _yield_to_forced_tool(encoding, body)
    _encode_max_tokens(request, encoding, body)
    _encode_output(request, encoding, body)
    _encode_sampling(request, encoding, body)
    if request.stop and encoding.sends("stop"):
        body["stop_sequences"] = list(request.stop)
    _encode_user(request, encoding, body)
    if request.service_tier is not None and encoding.sends("service_tier"):
        _encode_tier(request.service_tier, encoding, body)
    if request.prompt_cache is not None and encoding.sends("prompt_cache"):
        _encode_cache(request.prompt_cache, encoding, body)
    _refuse_wordless(request, encoding)


def _yield_to_forced_tool(encoding: Encoding, body: JSONObject) -> None:
    """Think not where a tool is forced on a model that cannot do both: the tool is what the caller must have."""
    forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")
    if forced and encoding.quirks.forced_tool == "send_without_thinking" and is_thinking_on(body):
        del body["thinking"]
        encoding.note("dropped", "reasoning", "this model cannot think where it is made to call a tool")


def _encode_max_tokens(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    most = request.max_tokens
    if most is None:
        most = encoding.quirks.default_max_tokens
        if most is None:
            most = FALLBACK_MAX_TOKENS + (body.get("thinking") or {}).get("budget_tokens", 0)
            encoding.note("needed", "max_tokens", f"the wire demands one, and none was given: {most} is sent")
    body["max_tokens"] = most
    fit_budget(body, encoding)


def _encode_output(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    output = request.output
    if output is None or not encoding.sends("output"):
        return
    if output.schema is None:
        encoding.note("dropped", "output", "the wire holds to a schema, not to any JSON: give one, or say it in words")
        return
    said: JSONObject = {"type": "json_schema", "schema": output.schema}
    if "output_format" in encoding.spelled:
        body["output_format"] = said
    else:
        body.setdefault("output_config", {})["format"] = said
    if output.description is not None:
        encoding.note("dropped", "output.description", "the wire has no place for it: say it in the schema")
    if output.strict is False:
        encoding.note("dropped", "output.strict", "this wire always holds to the schema")


def _encode_sampling(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    for setting in SAMPLING:
        value = getattr(request, setting)
        if value is None or not encoding.sends(setting):
            continue
        if (
            is_thinking_on(body)
            and not (setting == "temperature" and value == 1)
            and not (setting == "top_p" and value >= 0.95)
        ):
            # https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking#feature-compatibility
            encoding.note("dropped", setting, "not taken while the model thinks")
        elif setting == "top_p" and "temperature" in body and encoding.quirks.exclusive_sampling:
            encoding.note("dropped", setting, "this model takes temperature or top_p, not both")
        elif setting == "temperature" and value > 1:
            encoding.note("clamped", setting, f"{value} is sent as 1, the highest")
            body[setting] = 1
        else:
            body[setting] = value


def _encode_user(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    if request.user is not None and encoding.sends("user"):
        body["metadata"] = {"user_id": request.user}
    if request.metadata and encoding.sends("metadata"):
        encoding.note("dropped", "metadata", "the wire takes a user's id only: use user=")


def _encode_tier(tier: str, encoding: Encoding, body: JSONObject) -> None:
    word = _TIERS.get(tier)
    if word is None:
        encoding.note("dropped", "service_tier", f"{tier}: the wire knows auto and standard_only")
        return
    if word != tier:
        encoding.note("renamed", "service_tier", f"{tier} is sent as {word}")
    body["service_tier"] = word


def _encode_cache(cache: PromptCache, encoding: Encoding, body: JSONObject) -> None:
    """Say the hints as the one mark at the top, which marks the last block that can be cached.

    `explicit` leaves the marking to the caller, by `meta["anthropic"]["cache_control"]` on parts, messages and tools.
    """
    if cache.key is not None:
        encoding.note("dropped", "prompt_cache.key", "the wire knows a prompt by its beginning, not by a key")
    if cache.mode == "explicit":
        if cache.ttl is not None:
            encoding.note("dropped", "prompt_cache.ttl", "with explicit marks each says its own")
        return
    said: JSONObject = {"type": "ephemeral"}
    if cache.ttl is not None:
        said["ttl"] = cache.ttl if cache.ttl in _TTLS else "1h"
        if cache.ttl not in _TTLS:
            encoding.note("clamped", "prompt_cache.ttl", f"{cache.ttl} is sent as 1h: the wire knows 5m and 1h")
    body["cache_control"] = said


def _refuse_wordless(request: GenerateRequest, encoding: Encoding) -> None:
    """Name what was asked for and has no word here. One answer, in text, is what the wire gives anyway."""
    for setting in ("seed", "presence_penalty", "frequency_penalty", "logprobs", "audio"):
        if getattr(request, setting) is not None:
            encoding.sends(setting)
    if request.n is not None and request.n != 1:
        encoding.sends("n")
    if request.modalities and request.modalities != ("text",):
        raise UnsupportedError(f"Claude answers in text only, not in {', '.join(request.modalities)}")


# wire → ours


def decode_settings(body: JSONObject, facts: dict[str, Any], spelled: list[str]) -> tuple[set[str], JSONObject]:
    """Read the settings into `facts`; return the members that were understood, and further options."""
    options: JSONObject = {}
    most = take(body, "max_tokens", "")
    facts["max_tokens"] = read_whole(most, "max_tokens", 0)
    for setting, read in (("temperature", read_number), ("top_p", read_number), ("top_k", read_whole)):
        if body.get(setting) is not None:
            facts[setting] = read(body[setting], setting)
    if body.get("stop_sequences") is not None:
        facts["stop"] = read_texts(body["stop_sequences"], "stop_sequences")
    if body.get("service_tier") is not None:
        facts["service_tier"] = read_text(body["service_tier"], "service_tier")
    if body.get("metadata") is not None:
        user = read_object(body["metadata"], "metadata").get("user_id")
        if user is not None:
            facts["user"] = read_text(user, "metadata.user_id")
    if body.get("cache_control") is not None:
        ttl = read_object(body["cache_control"], "cache_control").get("ttl")
        facts["prompt_cache"] = PromptCache(ttl=None if ttl is None else read_text(ttl, "cache_control.ttl"))
    known = {"max_tokens", *SAMPLING, "stop_sequences", "service_tier", "metadata", "cache_control"}
    reasoning, understood = decode_reasoning(body, spelled)
    if reasoning is not None:
        facts["reasoning"] = reasoning
    known |= {"thinking"} & understood
    known.add("output_config")
    _decode_output(body, facts, spelled, known)
    config = body.get("output_config")
    if config is not None and "effort" not in understood:
        options["output_config"] = {"effort": read_object(config, "output_config").get("effort")}
    return known, options


def _decode_output(body: JSONObject, facts: dict[str, Any], spelled: list[str], known: set[str]) -> None:
    """Read the form asked of the answer, from `output_config.format` or the beta's `output_format`."""
    config = body.get("output_config")
    form = None if config is None else read_object(config, "output_config").get("format")
    path = "output_config.format"
    if form is None and body.get("output_format") is not None:
        form, path = body["output_format"], "output_format"
        if isinstance(form, dict) and isinstance(form.get("schema"), dict):
            spelled.append("output_format")
            known.add("output_format")
    if form is None:
        known.add("output_format")
        return
    schema = read_object(form, path).get("schema")
    if schema is not None:
        facts["output"] = Output(read_object(schema, f"{path}.schema", "a JSON Schema object"))
