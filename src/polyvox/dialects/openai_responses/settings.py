"""Everything in a request that is neither message nor tool, both directions.

The rule: a setting not given is not sent, save NEEDED. Where the wire has two words for one thing, the request's own
word is kept in the residue's `spelled`; a form that we have no word for is left to the residue, an unknown member goes
to `options["openai_responses"]`. https://platform.openai.com/docs/api-reference/responses/create
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
from polyvox.dialects.openai_responses.encoding import NO_WORD, Encoding
from polyvox.errors import UnsupportedError
from polyvox.types.generate import GenerateRequest, Output, PromptCache, Reasoning

ENCRYPTED: Final = "reasoning.encrypted_content"
LOGPROBS: Final = "message.output_text.logprobs"
_PLAIN: Final = {
    # setting: member
    "max_tokens": "max_output_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "service_tier": "service_tier",
    "metadata": "metadata",
}


# ours → wire


def encode_settings(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    """Write the settings that were given, each by its fate."""
    if request.output is not None and encoding.sends("output"):
        _encode_form(request.output, encoding, body)
    if request.reasoning is not None and encoding.sends("reasoning"):
        _encode_reasoning(request.reasoning, encoding, body)
    for setting, member in _PLAIN.items():
        value = getattr(request, setting)
        if value is not None and encoding.sends(setting):
            body[member] = value
    if request.stop and encoding.sends("stop"):
        body["stop"] = list(request.stop)
    if request.logprobs is not None and encoding.sends("logprobs"):
        body["top_logprobs"] = request.logprobs
        body["include"] = [LOGPROBS]
    if request.user is not None and encoding.sends("user"):
        word = encoding.quirks.user_field or ("user" if "user" in encoding.spelled else "safety_identifier")
        body[word] = request.user
    if request.prompt_cache is not None and encoding.sends("prompt_cache"):
        _encode_cache(request.prompt_cache, body)
    _refuse_wordless(request, encoding)


def _refuse_wordless(request: GenerateRequest, encoding: Encoding) -> None:
    """Name what was asked for and has no word here. One answer, in text, is what the wire gives anyway."""
    if request.audio is not None:
        encoding.sends("audio")
    if request.n is not None and request.n != 1:
        encoding.sends("n")
    if request.modalities and request.modalities != ("text",):
        raise UnsupportedError(
            f"the Responses wire answers in text, not in {', '.join(request.modalities)}: a picture is made by the "
            "hosted tool image_generation"
        )


def _encode_form(output: Output, encoding: Encoding, body: JSONObject) -> None:
    form: JSONObject = {"type": "json_object"}
    if output.schema is not None:
        held: JSONObject = {"name": output.name}
        if output.description is not None:
            held["description"] = output.description
        held["schema"] = output.schema
        if output.strict is not None:
            held["strict"] = output.strict
        nested = encoding.quirks.output_field == "response_format"
        form = {"type": "json_schema", "json_schema": held} if nested else {"type": "json_schema", **held}
    if encoding.quirks.output_field == "response_format":
        body["response_format"] = form
    else:
        body["text"] = {"format": form}


def _encode_reasoning(reasoning: Reasoning, encoding: Encoding, body: JSONObject) -> None:
    quirks = encoding.quirks
    if quirks.efforts == ():
        encoding.note("dropped", "reasoning", "this model does not reason")
        return
    if isinstance(reasoning, int) and (quirks.budgets or "reasoning.max_tokens" in encoding.spelled):
        told: JSONObject = {"max_tokens": reasoning}
    else:
        told = {"effort": _effort(reasoning, encoding)}
    if quirks.summary is not None and reasoning not in ("none", 0):
        told["summary"] = quirks.summary
    body["reasoning"] = told


def _effort(reasoning: Reasoning, encoding: Encoding) -> str:
    """Return the accepted step of the ladder nearest to what was asked; of two equally near, the higher."""
    wanted: str = reasoning if isinstance(reasoning, str) else effort_of(reasoning)
    efforts = encoding.quirks.efforts
    effort = nearest_effort(wanted, efforts) if efforts else wanted
    if effort != reasoning:
        encoding.note("clamped", "reasoning", f"{reasoning} is sent as {effort}")
    return effort


def _encode_cache(cache: PromptCache, body: JSONObject) -> None:
    if cache.key is not None:
        body["prompt_cache_key"] = cache.key
    told = {"mode": cache.mode, "ttl": cache.ttl}
    held = {name: value for name, value in told.items() if value is not None}
    if held:
        body["prompt_cache_options"] = held


def ask_for_encrypted(encoding: Encoding, body: JSONObject) -> None:
    """Ask for reasoning encrypted (NEEDED), where the model is to reason; once is enough."""
    wanted = encoding.quirks.encrypted_reasoning
    reasoning = body.get("reasoning")
    effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
    asked = bool(reasoning) and effort != "none"
    if wanted == "never" or (wanted == "asked" and not asked) or effort == "none":
        return
    include = body.get("include")
    held = include if isinstance(include, list) else []
    if ENCRYPTED not in held:
        body["include"] = [*held, ENCRYPTED]


# wire → ours


def decode_settings(body: JSONObject, facts: dict[str, Any], spelled: list[str]) -> tuple[set[str], JSONObject]:
    """Read the settings into `facts`; return the members that were understood, and further options."""
    options: JSONObject = {}
    known: set[str] = set()
    for member, (setting, read) in _READERS.items():
        known.add(member)
        value = body.get(member)
        if value is not None:
            facts[setting] = read(value, member)
            if setting in NO_WORD or setting == "parallel_tools":
                spelled.append(setting)
    if body.get("safety_identifier") is not None:
        facts["user"] = read_text(body["safety_identifier"], "safety_identifier")
        known.add("safety_identifier")
    elif body.get("user") is not None:
        facts["user"] = read_text(body["user"], "user")
        spelled.append("user")
        known.add("user")
    known |= _decode_reasoning(body, facts, spelled, options)
    known |= _decode_form(body, facts, options)
    cache = _decode_cache(body)
    if cache != PromptCache():
        facts["prompt_cache"] = cache
    known |= {"prompt_cache_key", "prompt_cache_options", "include", "top_logprobs"}
    _decode_include(body, facts, options)
    return known, options


def _read_stop(value: object, path: str) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else read_texts(value, path)


def _read_metadata(value: object, path: str) -> dict[str, str]:
    held = read_object(value, path, "an object of strings")
    return {name: read_text(text, f"{path}.{name}") for name, text in held.items()}


_READERS: Final[dict[str, tuple[str, Callable[[Any, str], Any]]]] = {
    "parallel_tool_calls": ("parallel_tools", read_flag),
    "max_output_tokens": ("max_tokens", lambda value, path: read_whole(value, path, 1)),
    "temperature": ("temperature", read_number),
    "top_p": ("top_p", read_number),
    "top_k": ("top_k", read_whole),
    "seed": ("seed", read_whole),
    "presence_penalty": ("presence_penalty", read_number),
    "frequency_penalty": ("frequency_penalty", read_number),
    "stop": ("stop", _read_stop),
    "service_tier": ("service_tier", read_text),
    "metadata": ("metadata", _read_metadata),
}


def _decode_reasoning(body: JSONObject, facts: dict[str, Any], spelled: list[str], options: JSONObject) -> set[str]:
    """Read the effort, or OpenRouter's budget; what else is said of reasoning is an option."""
    if body.get("reasoning") is None:
        return {"reasoning"}
    held = read_object(body["reasoning"], "reasoning")
    effort, budget = held.get("effort"), held.get("max_tokens")
    left = dict(held)
    if effort is not None and read_text(effort, "reasoning.effort") in LADDER:
        facts["reasoning"] = left.pop("effort")
    elif effort is None and isinstance(budget, int) and not isinstance(budget, bool):
        facts["reasoning"] = left.pop("max_tokens")
        spelled.append("reasoning.max_tokens")
    if any(value is not None for value in left.values()) or not facts.get("reasoning"):
        options["reasoning"] = left
    return {"reasoning"}


def _decode_form(body: JSONObject, facts: dict[str, Any], options: JSONObject) -> set[str]:
    """Read the form asked of the answer; `text` asks nothing, and is left to the options with all else."""
    if body.get("text") is None:
        return {"text"}
    held = read_object(body["text"], "text")
    left = dict(held)
    form = held.get("format")
    if form is not None:
        output = _decode_output(read_object(form, "text.format"), "text.format")
        if output is not None:
            facts["output"] = output
            del left["format"]
    if left or "output" not in facts:
        options["text"] = left
    return {"text"}


def _decode_output(form: JSONObject, path: str) -> Output | None:
    kind = read_text(take(form, "type", path), f"{path}.type")
    if kind == "json_object":
        return Output()
    if kind != "json_schema":
        return None
    name, description, strict = form.get("name"), form.get("description"), form.get("strict")
    return Output(
        read_object(take(form, "schema", path), f"{path}.schema", "a JSON Schema object"),
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


def _decode_include(body: JSONObject, facts: dict[str, Any], options: JSONObject) -> None:
    """Read what is to be included. Probabilities are asked for by two members at once."""
    include = body.get("include")
    held = [] if include is None else list(read_texts(include, "include"))
    top = body.get("top_logprobs")
    if LOGPROBS in held:
        facts["logprobs"] = 0 if top is None else read_whole(top, "top_logprobs", 0)
        held.remove(LOGPROBS)
    elif top is not None:
        options["top_logprobs"] = read_whole(top, "top_logprobs", 0)
    if held:
        options["include"] = held
