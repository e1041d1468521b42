"""Everything in a request that is neither message nor tool, both directions.

The rule: a setting not given is not sent. Most stand in `options`, with the words of the model file. A member that we
have no word for goes to `options["ollama"]`. https://docs.ollama.com/modelfile#valid-parameters-and-values
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
from polyvox.errors import UnsupportedError
from polyvox.types.generate import GenerateRequest, Output


def _read_whole(value: object, path: str) -> int:
    """Return a whole number. `4.0` is one, as it is to the server."""
    return read_whole(int(value) if isinstance(value, float) and value.is_integer() else value, path)


# Our word → the one in `options`, and how it is read.
_OPTIONS: Final[dict[str, tuple[str, Callable[[object, str], Any]]]] = {
    "max_tokens": ("num_predict", _read_whole),
    "temperature": ("temperature", read_number),
    "top_p": ("top_p", read_number),
    "top_k": ("top_k", _read_whole),
    "seed": ("seed", _read_whole),
    "presence_penalty": ("presence_penalty", read_number),
    "frequency_penalty": ("frequency_penalty", read_number),
}
MEMBERS: Final = {name: word for name, (word, _) in _OPTIONS.items()} | {"output": "format", "reasoning": "think"}
"""The wire's words for settings that have another name there, or stand in `options`."""

RUNNER_OPTIONS: Final = frozenset(
    {
        *(word for word, _ in _OPTIONS.values()),
        "stop",
        *("num_ctx", "num_keep", "num_batch", "num_gpu", "num_thread", "main_gpu", "draft_num_predict"),
        *("use_mmap", "use_mlock", "numa", "low_vram", "min_p", "typical_p", "tfs_z", "repeat_last_n"),
        *("repeat_penalty", "penalize_newline", "mirostat", "mirostat_tau", "mirostat_eta"),
    }
)
"""What counts in `options` only: beside the messages the server passes it over in silence."""

_MOST_LOGPROBS: Final = 20
"""https://docs.ollama.com/api/chat: `top_logprobs` is 0 to 20."""


# ours → wire


def encode_settings(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    """Write the settings that were given, each by its fate."""
    options: JSONObject = {}
    for setting, (word, _) in _OPTIONS.items():
        value = getattr(request, setting)
        if value is not None and encoding.sends(setting):
            options[word] = value
    if request.stop and encoding.sends("stop"):
        options["stop"] = list(request.stop)
    if encoding.quirks.num_ctx is not None:
        options["num_ctx"] = encoding.quirks.num_ctx
    options = {**encoding.quirks.extra_options, **options}
    if options:
        body["options"] = options
    encode_reasoning(request, encoding, body)
    _encode_output(request, encoding, body)
    _encode_logprobs(request, encoding, body)
    _name_wordless(request, encoding)


def _encode_output(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    output = request.output
    if output is None or not encoding.sends("output"):
        return
    body["format"] = "json" if output.schema is None else output.schema
    if output.description is not None:
        encoding.note("dropped", "output.description", "the wire has no place for it: say it in the schema")
    if output.strict is False:
        encoding.note("dropped", "output.strict", "this wire always holds to the schema")


def _encode_logprobs(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    most = request.logprobs
    if most is None or not encoding.sends("logprobs"):
        return
    body["logprobs"] = True
    if most > _MOST_LOGPROBS:
        encoding.note("clamped", "logprobs", f"{most} is sent as {_MOST_LOGPROBS}, the most")
    if most:
        body["top_logprobs"] = min(most, _MOST_LOGPROBS)


def _name_wordless(request: GenerateRequest, encoding: Encoding) -> None:
    """Name what was asked for and has no word here. One answer, in text, is what the wire gives anyway."""
    for setting in ("user", "metadata", "service_tier", "audio"):
        if getattr(request, setting):
            encoding.sends(setting)
    # What is not asked for by name is kept all the same, as long as the model is loaded.
    cache = request.prompt_cache
    if cache is not None and (cache.key is not None or cache.ttl is not None or cache.mode == "explicit"):
        encoding.sends("prompt_cache")
    if request.n is not None and request.n != 1:
        encoding.sends("n")
    if request.modalities and request.modalities != ("text",):
        raise UnsupportedError(f"Ollama answers in text only, not in {', '.join(request.modalities)}")


# wire → ours


def decode_settings(body: JSONObject, facts: dict[str, Any], spelled: list[str]) -> tuple[set[str], JSONObject]:
    """Read the settings into `facts`; return the members that were understood, and further options."""
    known = {"options", "think", "format", "logprobs", "top_logprobs"}
    options: JSONObject = {}
    if body.get("options") is not None:
        rest = _decode_options(dict(read_object(body["options"], "options")), facts)
        if rest:
            options["options"] = rest
    reasoning = decode_reasoning(body, spelled)
    if reasoning is not None:
        facts["reasoning"] = reasoning
    output = body.get("format")
    if isinstance(output, dict):
        facts["output"] = Output(output)
    elif output == "json":
        facts["output"] = Output()
    elif output not in (None, ""):
        refuse("format", f'is {output!r:.40}, but must be "json" or a JSON Schema object')
    asked = body.get("logprobs") is not None and read_flag(body["logprobs"], "logprobs")
    most = read_whole(body["top_logprobs"], "top_logprobs", 0) if body.get("top_logprobs") is not None else None
    if most is not None and most > _MOST_LOGPROBS:
        refuse("top_logprobs", f"is {most}, but must be at most {_MOST_LOGPROBS}")
    if asked:
        facts["logprobs"] = most or 0
    return known, options


def _decode_options(given: JSONObject, facts: dict[str, Any]) -> JSONObject:
    """Read the options that we have words for, and return the rest. A null says nothing."""
    for setting, (word, read) in _OPTIONS.items():
        if given.get(word) is None:
            continue
        value = read(given[word], f"options.{word}")
        # -1 and -2 tokens are words of this wire: without end, and until the context is full.
        if setting == "max_tokens" and value < 1:
            continue
        facts[setting] = value
        del given[word]
    stop = given.get("stop")
    if stop is not None:
        facts["stop"] = (stop,) if isinstance(stop, str) else read_texts(stop, "options.stop")
        del given["stop"]
    return {name: value for name, value in given.items() if value is not None}
