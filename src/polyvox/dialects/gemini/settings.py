"""Everything in a request that is neither message nor tool, both directions.

The rule: a setting not given is not sent. A member that we have no word for goes to `options["gemini"]`, and comes back
from there to where it stood.
https://ai.google.dev/api/generate-content#generationconfig
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from polyvox.dialects._reading import (
    JSONObject,
    read_flag,
    read_list,
    read_number,
    read_object,
    read_text,
    read_texts,
    read_whole,
)
from polyvox.dialects.gemini.encoding import Encoding
from polyvox.dialects.gemini.schemas import decode_schema
from polyvox.dialects.gemini.thinking import decode_reasoning, encode_reasoning
from polyvox.errors import UnsupportedError
from polyvox.types.generate import AudioOutput, GenerateRequest, Output

CONFIG: Final = "generationConfig"
JSON_TYPE: Final = "application/json"

# Settings that are one member of `generationConfig` as they are.
MEMBERS: Final[dict[str, str]] = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "n": "candidateCount",
    "max_tokens": "maxOutputTokens",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
_WHOLE: Final = ("top_k", "n", "max_tokens", "seed")
_TIERS: Final = {"default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}
_RAW_SOUND: Final = ("pcm", "pcm16")


# ours → wire


def encode_settings(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    """Write the settings that were given, each by its fate."""
    config: JSONObject = {}
    _encode_members(request, encoding, config)
    _encode_output(request, encoding, config)
    encode_reasoning(request, encoding, config)
    if request.modalities and encoding.sends("modalities"):
        config["responseModalities"] = [modality.upper() for modality in request.modalities]
    _encode_audio(request.audio, encoding, config)
    if config:
        body[CONFIG] = config
    if request.service_tier is not None and encoding.sends("service_tier"):
        _encode_tier(request.service_tier, encoding, body)
    if request.metadata is not None and encoding.sends("metadata"):
        body["labels"] = request.metadata
    if request.user is not None:
        encoding.sends("user")
    # What is not asked for by name is cached all the same, where it is long enough.
    cache = request.prompt_cache
    if cache is not None and (cache.key is not None or cache.ttl is not None or cache.mode == "explicit"):
        encoding.sends("prompt_cache")


def _encode_members(request: GenerateRequest, encoding: Encoding, config: JSONObject) -> None:
    for setting, member in MEMBERS.items():
        value = getattr(request, setting)
        if value is None:
            continue
        if setting == "n" and value == 1 and encoding.quirks.settings.get("n", "send") != "send":
            continue  # one answer is what the model gives anyway
        if encoding.sends(setting):
            config[member] = value
    if request.stop and encoding.sends("stop"):
        config["stopSequences"] = list(request.stop)
    if request.logprobs is not None and encoding.sends("logprobs"):
        config["responseLogprobs"] = True
        if request.logprobs:
            config["logprobs"] = request.logprobs


def _encode_output(request: GenerateRequest, encoding: Encoding, config: JSONObject) -> None:
    output = request.output
    if output is None or not encoding.sends("output"):
        return
    if request.tools and not encoding.quirks.output_beside_tools:
        raise UnsupportedError(
            "this model cannot be held to a form while it is offered tools: leave out output= or tools="
        )
    config["responseMimeType"] = JSON_TYPE
    if output.schema is None:
        return
    config["responseJsonSchema"] = output.schema
    if output.description is not None:
        encoding.note("dropped", "output.description", "the wire has no place for it: say it in the schema")
    if output.strict is False:
        encoding.note("dropped", "output.strict", "this wire always holds to the schema")


def _encode_audio(audio: AudioOutput | None, encoding: Encoding, config: JSONObject) -> None:
    if audio is None or not encoding.sends("audio"):
        return
    if audio.voice is not None:
        config["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": audio.voice}}}
    if "responseModalities" not in config:
        config["responseModalities"] = ["AUDIO"]
    if audio.format is not None and audio.format not in _RAW_SOUND:
        encoding.note("dropped", "audio.format", f"{audio.format}: the wire gives raw 16-bit PCM only")


def _encode_tier(tier: str, encoding: Encoding, body: JSONObject) -> None:
    word = _TIERS.get(tier)
    if word is None:
        encoding.note("dropped", "service_tier", f"{tier}: the wire knows standard, flex and priority")
        return
    if word != tier:
        encoding.note("renamed", "service_tier", f"{tier} is sent as {word}")
    body["serviceTier"] = word


# wire → ours


def decode_settings(body: JSONObject, facts: dict[str, Any]) -> JSONObject:
    """Read the settings into `facts`; return what is left of the body's own members as options."""
    options: JSONObject = {}
    if body.get("serviceTier") is not None:
        tier = read_text(body["serviceTier"], "serviceTier")
        if tier in _TIERS.values():
            facts["service_tier"] = tier
        else:
            options["serviceTier"] = tier
    if body.get("labels") is not None:
        labels = read_object(body["labels"], "labels")
        facts["metadata"] = {name: read_text(value, f"labels.{name}") for name, value in labels.items()}
    if body.get(CONFIG) is not None:
        left = _decode_config(read_object(body[CONFIG], CONFIG), facts)
        if left:
            options[CONFIG] = left
    return options


def _decode_config(config: JSONObject, facts: dict[str, Any]) -> JSONObject:
    """Read `generationConfig`; return what we have no word for."""
    left = {name: value for name, value in config.items() if value is not None}
    for setting, member in MEMBERS.items():
        if member in left:
            read: Callable[[object, str], Any] = _read_whole if setting in _WHOLE else read_number
            facts[setting] = read(left.pop(member), f"{CONFIG}.{member}")
    if "stopSequences" in left:
        facts["stop"] = read_texts(left.pop("stopSequences"), f"{CONFIG}.stopSequences")
    if "responseLogprobs" in left:
        wanted = read_flag(left.pop("responseLogprobs"), f"{CONFIG}.responseLogprobs")
        count = read_whole(left.pop("logprobs", 0), f"{CONFIG}.logprobs", 0)
        if wanted:
            facts["logprobs"] = count
    if "responseModalities" in left:
        words = read_list(left["responseModalities"], f"{CONFIG}.responseModalities", "a list of modalities")
        # Enums may come as numbers: those stay as they are.
        if not any(isinstance(word, int) and not isinstance(word, bool) for word in words):
            del left["responseModalities"]
            said = read_texts(words, f"{CONFIG}.responseModalities")
            facts["modalities"] = tuple(word.lower() for word in said)
    if "thinkingConfig" in left:
        reasoning, more = decode_reasoning(left.pop("thinkingConfig"))
        if reasoning is not None:
            facts["reasoning"] = reasoning
        if more:
            left["thinkingConfig"] = more
    _decode_output(left, facts)
    _decode_audio(left, facts)
    return left


def _read_whole(value: object, path: str) -> int:
    """Return a whole number. `4.0` is one: Google's own SDK writes `topK` so."""
    return read_whole(int(value) if isinstance(value, float) and value.is_integer() else value, path)


def _decode_output(left: JSONObject, facts: dict[str, Any]) -> None:
    if left.get("responseMimeType") != JSON_TYPE:
        return
    for name in ("responseJsonSchema", "responseSchema"):
        if name in left:
            schema = read_object(left.pop(name), f"{CONFIG}.{name}", "a schema")
            facts["output"] = Output(schema if name == "responseJsonSchema" else decode_schema(schema))
            break
    else:
        facts["output"] = Output()
    del left["responseMimeType"]


def _decode_audio(left: JSONObject, facts: dict[str, Any]) -> None:
    """Read the one voice that answers; several, and whatever else is said of speech, stay options."""
    match left.get("speechConfig"):
        case {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": str(voice), **more}, **others}, **rest}:
            if not more and not others and not rest:
                facts["audio"] = AudioOutput(voice)
                del left["speechConfig"]
