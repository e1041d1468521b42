"""Everything in a request that is neither message nor tool, both directions.

The rule: a setting not given is not sent. The model's own settings stand in `options`, the call's beside the messages;
a member that we have no word for goes to `options["ollama"]`, and comes back from there to where it stood.
https://docs.ollama.com/api/chat, https://docs.ollama.com/modelfile#parameter
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from polyvox.dialects._reading import (
    JSONObject,
    read_flag,
    read_number,
    read_object,
    read_texts,
    read_whole,
    refuse,
)
from polyvox.dialects.ollama.encoding import Encoding
from polyvox.dialects.ollama.thinking import decode_reasoning, encode_reasoning
from polyvox.types.generate import GenerateRequest, Output

OPTIONS: Final = "options"

# Settings that are one member of `options` as they are.
MEMBERS: Final[dict[str, str]] = {
    "max_tokens": "num_predict",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
_WHOLE: Final = ("max_tokens", "top_k", "seed")
_MOST_LOGPROBS: Final = 20

# What stands in `options` only: said beside the messages, the server would pass it over in silence.
RUNNER_OPTIONS: Final = frozenset(
    {
        *MEMBERS.values(),
        "stop",
        "num_ctx",
        "num_keep",
        "num_batch",
        "num_gpu",
        "num_thread",
        "main_gpu",
        "use_mmap",
        "use_mlock",
        "numa",
        "low_vram",
        "min_p",
        "typical_p",
        "tfs_z",
        "repeat_last_n",
        "repeat_penalty",
        "penalize_newline",
        "mirostat",
        "mirostat_tau",
        "mirostat_eta",
        "draft_num_predict",
    }
)


# ours → wire


def encode_settings(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    """Write the settings that were given, each by its fate."""
    options: JSONObject = {}
    for setting, member in MEMBERS.items():
        value = getattr(request, setting)
        if value is not None and encoding.sends(setting):
            options[member] = value
    if request.stop and encoding.sends("stop"):
        options["stop"] = list(request.stop)
    if options:
        body[OPTIONS] = options
    _encode_output(request.output, encoding, body)
    encode_reasoning(request, encoding, body)
    if request.logprobs is not None and encoding.sends("logprobs"):
        _encode_logprobs(request.logprobs, encoding, body)
    _say_what_has_no_word(request, encoding)


def _encode_output(output: Output | None, encoding: Encoding, body: JSONObject) -> None:
    if output is None or not encoding.sends("output"):
        return
    body["format"] = "json" if output.schema is None else output.schema
    if output.description is not None:
        encoding.note("dropped", "output.description", "the wire has no place for it: say it in the schema")
    if output.strict is False:
        encoding.note("dropped", "output.strict", "this wire always holds to the schema")


def _encode_logprobs(count: int, encoding: Encoding, body: JSONObject) -> None:
    body["logprobs"] = True
    if count > _MOST_LOGPROBS:
        encoding.note("clamped", "logprobs", f"{count} is sent as {_MOST_LOGPROBS}, the most that the wire takes")
    if count:
        body["top_logprobs"] = min(count, _MOST_LOGPROBS)


def _say_what_has_no_word(request: GenerateRequest, encoding: Encoding) -> None:
    """Name, or refuse, what the wire has no word for."""
    if request.n is not None and request.n > 1:
        encoding.sends("n")
    if set(request.modalities) - {"text"}:
        encoding.sends("modalities")
    for setting in ("audio", "user", "service_tier", "metadata"):
        if getattr(request, setting) is not None:
            encoding.sends(setting)
    # What is not asked for by name is kept all the same, as long as the model is loaded.
    cache = request.prompt_cache
    if cache is not None and (cache.key is not None or cache.ttl is not None or cache.mode == "explicit"):
        encoding.sends("prompt_cache")


# wire → ours


def decode_settings(body: JSONObject, facts: dict[str, Any], spelled: list[str]) -> JSONObject:
    """Read the settings into `facts`; return what is left of the body's own members as options."""
    left: JSONObject = {}
    if body.get(OPTIONS) is not None:
        rest = _decode_options(read_object(body[OPTIONS], OPTIONS), facts)
        if rest:
            left[OPTIONS] = rest
    _decode_output(body.get("format"), facts)
    reasoning = decode_reasoning(body, spelled)
    if reasoning is not None:
        facts["reasoning"] = reasoning
    _decode_logprobs(body, facts)
    return left


def _decode_options(options: JSONObject, facts: dict[str, Any]) -> JSONObject:
    """Read `options`; return what we have no word for."""
    left = {name: value for name, value in options.items() if value is not None}
    for setting, member in MEMBERS.items():
        if member not in left:
            continue
        read: Callable[[object, str], Any] = _read_whole if setting in _WHOLE else read_number
        value = read(left[member], f"{OPTIONS}.{member}")
        if setting == "max_tokens" and value < 1:
            continue  # -1: without end, -2: to the end of the context. We have no word for either.
        facts[setting] = value
        del left[member]
    if "stop" in left:
        facts["stop"] = read_texts(left.pop("stop"), f"{OPTIONS}.stop")
    return left


def _read_whole(value: object, path: str) -> int:
    """Return a whole number. `4.0` is one, as it is to the server."""
    return read_whole(int(value) if isinstance(value, float) and value.is_integer() else value, path)


def _decode_output(value: object, facts: dict[str, Any]) -> None:
    """Read `format`. `""` says nothing, as in what older clients send."""
    if value is None or value == "":
        return
    if value == "json":
        facts["output"] = Output()
    elif isinstance(value, dict):
        facts["output"] = Output(value)
    else:
        refuse("format", 'must be "json" or a JSON Schema object', "invalid_type")


def _decode_logprobs(body: JSONObject, facts: dict[str, Any]) -> None:
    top = body.get("top_logprobs")
    count = 0 if top is None else read_whole(top, "top_logprobs", 0)
    if count > _MOST_LOGPROBS:
        refuse("top_logprobs", f"is {count}, but must be at most {_MOST_LOGPROBS}")
    if body.get("logprobs") is not None and read_flag(body["logprobs"], "logprobs"):
        facts["logprobs"] = count
