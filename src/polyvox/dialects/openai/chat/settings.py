"""Everything in a request that is neither message nor tool, both directions.

The rule: a setting not given is not sent, save NEEDED. Where the wire has two words for one thing, the request's own
word is kept in the residue's `spelled`; a form that we have no word for is left to the residue, an unknown member goes
to `options["openai"]`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from polyvox.dialects._efforts import LADDER, effort_of, nearest_effort
from polyvox.dialects._reading import (
    JSONObject,
    read_flag,
    read_number,
    read_object,
    read_text,
    read_texts,
    read_whole,
    take,
)
from polyvox.dialects.openai.chat.encoding import Encoding
from polyvox.types.generate import AudioOutput, GenerateRequest, Output, PromptCache, Reasoning

# ours → wire


def encode_settings(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    """Write the settings that were given, each by its fate."""
    _encode_form(request, encoding, body)
    if request.reasoning is not None and encoding.sends("reasoning"):
        _encode_reasoning(request.reasoning, encoding, body)
    _encode_plain(request, encoding, body)
    if request.stop and encoding.sends("stop"):
        body["stop"] = list(request.stop)
    if request.logprobs is not None and encoding.sends("logprobs"):
        body["logprobs"] = True
        if request.logprobs:
            body["top_logprobs"] = request.logprobs
    if request.modalities and encoding.sends("modalities"):
        body["modalities"] = list(request.modalities)
    if request.audio is not None and encoding.sends("audio"):
        said = {"voice": request.audio.voice, "format": request.audio.format}
        body["audio"] = {name: value for name, value in said.items() if value is not None}
    if request.prompt_cache is not None and encoding.sends("prompt_cache"):
        _encode_cache(request.prompt_cache, body)


def _encode_plain(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    quirks, spelled = encoding.quirks, encoding.spelled
    words = dict(_PLAIN)
    words["max_tokens"] = quirks.max_tokens_field or (
        "max_tokens" if "max_tokens" in spelled else "max_completion_tokens"
    )
    words["user"] = quirks.user_field or ("user" if "user" in spelled else "safety_identifier")
    for setting, word in words.items():
        value = getattr(request, setting)
        if value is None:
            continue
        if setting == "parallel_tools" and not request.tools:
            # "parallel_tool_calls" without tools is a 400 at OpenAI, and says nothing.
            encoding.note("dropped", setting, "there are no tools")
        elif encoding.sends(setting):
            body[word] = value


_PLAIN: Final = {
    # setting: member; max_tokens and user are added, their words are a matter of quirks
    "parallel_tools": "parallel_tool_calls",
    "max_tokens": "",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "n": "n",
    "user": "",
    "service_tier": "service_tier",
    "metadata": "metadata",
}


def _encode_form(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    output = request.output
    if output is None or not encoding.sends("output"):
        return
    if output.schema is None:
        body["response_format"] = {"type": "json_object"}
    elif not encoding.quirks.json_schema:
        encoding.note(
            "dropped", "output.schema", "this service holds to JSON, not to a schema: say the schema in words"
        )
        body["response_format"] = {"type": "json_object"}
    else:
        held: JSONObject = {"name": output.name}
        if output.description is not None:
            held["description"] = output.description
        held["schema"] = output.schema
        if output.strict is not None:
            held["strict"] = output.strict
        body["response_format"] = {"type": "json_schema", "json_schema": held}


def _encode_reasoning(reasoning: Reasoning, encoding: Encoding, body: JSONObject) -> None:
    quirks = encoding.quirks
    form = quirks.reasoning_form
    if form == "reasoning_effort" and "reasoning" in encoding.spelled:
        form = "reasoning"
    if form == "reasoning" and isinstance(reasoning, int):
        body["reasoning"] = {"max_tokens": reasoning}
        return
    if form == "enable_thinking":
        # https://www.alibabacloud.com/help/en/model-studio/deep-thinking: a switch and a budget, no steps.
        body["enable_thinking"] = reasoning not in ("none", 0)
        if isinstance(reasoning, int) and reasoning:
            body["thinking_budget"] = reasoning
        elif reasoning not in ("none", 0):
            encoding.note("clamped", "reasoning", f"{reasoning}: this service knows on and off, or a budget in tokens")
        return
    if form != "thinking" and not _has_a_step(reasoning, encoding):
        return
    effort = _effort(reasoning, encoding)
    if form == "thinking":
        body["thinking"] = {"type": "disabled" if effort == "none" else "enabled"}
        if quirks.reasoning_efforts == ():
            if effort != "none":
                encoding.note("clamped", "reasoning", f"{reasoning}: this service knows on and off")
        elif effort != "none":
            body["reasoning_effort"] = effort
    elif form == "reasoning":
        body["reasoning"] = {"effort": effort}
    else:
        body["reasoning_effort"] = effort


def _has_a_step(reasoning: Reasoning, encoding: Encoding) -> bool:
    """Tell whether there is a step to send: a model may take none at all, or only be told to leave off."""
    efforts = encoding.quirks.reasoning_efforts
    if efforts == () or (efforts == ("none",) and reasoning not in ("none", 0)):
        encoding.note("dropped", "reasoning", f"{reasoning}: this model has no steps, it thinks as much as it likes")
        return False
    return True


def _effort(reasoning: Reasoning, encoding: Encoding) -> str:
    """Return the accepted step of the ladder nearest to what was asked; of two equally near, the higher."""
    wanted: str = reasoning if isinstance(reasoning, str) else effort_of(reasoning)
    efforts = encoding.quirks.reasoning_efforts
    effort = nearest_effort(wanted, efforts) if efforts else wanted
    if effort != reasoning:
        encoding.note("clamped", "reasoning", f"{reasoning} is sent as {effort}")
    return effort


def _encode_cache(cache: PromptCache, body: JSONObject) -> None:
    if cache.key is not None:
        body["prompt_cache_key"] = cache.key
    said = {"mode": cache.mode, "ttl": cache.ttl}
    held = {name: value for name, value in said.items() if value is not None}
    if held:
        body["prompt_cache_options"] = held


# wire → ours


def decode_settings(body: JSONObject, facts: dict[str, Any], spelled: list[str]) -> set[str]:
    """Read the settings into `facts`; return the members that were understood, or are left to the residue."""
    known: set[str] = set()
    for member, (setting, read) in _READERS.items():
        known.add(member)
        value = body.get(member)
        if value is not None:
            facts[setting] = read(value, member)
    if "top_k" in facts:
        spelled.append("top_k")
    known |= _decode_words(body, facts, spelled)
    known |= _decode_reasoning(body, facts, spelled)
    known |= _decode_objects(body, facts)
    if body.get("logprobs") is not None and read_flag(body["logprobs"], "logprobs"):
        facts["logprobs"] = 0
    if body.get("top_logprobs") is not None:
        top = read_whole(body["top_logprobs"], "top_logprobs", 0)
        if "logprobs" in facts:
            facts["logprobs"] = top
    return known | {"logprobs", "top_logprobs"}


def _read_stop(value: object, path: str) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else read_texts(value, path)


def _read_metadata(value: object, path: str) -> dict[str, str]:
    held = read_object(value, path, "an object of strings")
    return {name: read_text(said, f"{path}.{name}") for name, said in held.items()}


_READERS: Final[dict[str, tuple[str, Callable[[Any, str], Any]]]] = {
    "parallel_tool_calls": ("parallel_tools", read_flag),
    "temperature": ("temperature", read_number),
    "top_p": ("top_p", read_number),
    "top_k": ("top_k", read_whole),
    "seed": ("seed", read_whole),
    "presence_penalty": ("presence_penalty", read_number),
    "frequency_penalty": ("frequency_penalty", read_number),
    "stop": ("stop", _read_stop),
    "n": ("n", lambda value, path: read_whole(value, path, 1)),
    "modalities": ("modalities", read_texts),
    "service_tier": ("service_tier", read_text),
    "metadata": ("metadata", _read_metadata),
}


def _decode_words(body: JSONObject, facts: dict[str, Any], spelled: list[str]) -> set[str]:
    """Read the settings that have an old word and a new one. Where both are given the old one is an option."""
    known = {"max_completion_tokens", "safety_identifier"}
    for setting, new, old, read in (
        ("max_tokens", "max_completion_tokens", "max_tokens", lambda value, path: read_whole(value, path, 1)),
        ("user", "safety_identifier", "user", read_text),
    ):
        if body.get(new) is not None:
            facts[setting] = read(body[new], new)
        elif body.get(old) is not None:
            facts[setting] = read(body[old], old)
            spelled.append(old)
            known.add(old)
        else:
            known.add(old)
    return known


def _decode_reasoning(body: JSONObject, facts: dict[str, Any], spelled: list[str]) -> set[str]:
    """Read `reasoning_effort`, or OpenRouter's `reasoning`; a step that is not on our ladder stays an option."""
    effort, held = body.get("reasoning_effort"), body.get("reasoning")
    known: set[str] = {"reasoning_effort"} if effort is None else set()
    if effort is not None and read_text(effort, "reasoning_effort") in LADDER:
        facts["reasoning"] = effort
        known.add("reasoning_effort")
    elif isinstance(held, dict):
        budget = held.get("max_tokens")
        if held.get("effort") in LADDER:
            facts["reasoning"] = held["effort"]
        elif isinstance(budget, int) and not isinstance(budget, bool) and "effort" not in held:
            facts["reasoning"] = budget
        if "reasoning" in facts:
            spelled.append("reasoning")
            known.add("reasoning")
    return known


def _decode_objects(body: JSONObject, facts: dict[str, Any]) -> set[str]:
    form, audio = body.get("response_format"), body.get("audio")
    if form is not None:
        output = _decode_form(read_object(form, "response_format"))
        if output is not None:
            facts["output"] = output
    if audio is not None:
        held = read_object(audio, "audio")
        voice, kind = held.get("voice"), held.get("format")
        facts["audio"] = AudioOutput(
            # A voice of the caller's own is an object with an id: the residue keeps it.
            voice if isinstance(voice, str) else None,
            None if kind is None else read_text(kind, "audio.format"),
        )
    cache = _decode_cache(body)
    if cache != PromptCache():
        facts["prompt_cache"] = cache
    return {"response_format", "audio", "prompt_cache_key", "prompt_cache_options"}


def _decode_form(form: JSONObject) -> Output | None:
    """Return what is asked of the answer's form; `text` asks nothing, and other types are left to the residue."""
    kind = read_text(take(form, "type", "response_format"), "response_format.type")
    if kind == "json_object":
        return Output()
    if kind != "json_schema":
        return None
    path = "response_format.json_schema"
    held = read_object(take(form, "json_schema", "response_format"), path)
    name, description, strict = held.get("name"), held.get("description"), held.get("strict")
    return Output(
        read_object(take(held, "schema", path), f"{path}.schema", "a JSON Schema object"),
        "answer" if name is None else read_text(name, f"{path}.name"),
        None if description is None else read_text(description, f"{path}.description"),
        None if strict is None else read_flag(strict, f"{path}.strict"),
    )


def _decode_cache(body: JSONObject) -> PromptCache:
    key, held = body.get("prompt_cache_key"), body.get("prompt_cache_options")
    held = {} if held is None else read_object(held, "prompt_cache_options")
    mode, ttl = held.get("mode"), held.get("ttl")
    return PromptCache(
        None if key is None else read_text(key, "prompt_cache_key"),
        mode if mode in ("implicit", "explicit") else None,
        None if ttl is None else read_text(ttl, "prompt_cache_options.ttl"),
    )
