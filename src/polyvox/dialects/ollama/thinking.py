"""The one reasoning knob on this wire: `think`, a switch for most models, a word for some.

The rule: what the model does not take is never sent; what is sent instead is named in an adjustment.
https://docs.ollama.com/capabilities/thinking
"""

from __future__ import annotations

from typing import Final

from polyvox.dialects._efforts import LADDER, effort_of, nearest_effort
from polyvox.dialects._reading import JSONObject, refuse
from polyvox.dialects.ollama.encoding import Encoding
from polyvox.types.generate import Effort, GenerateRequest, Reasoning

SWITCHED_ON: Final[Effort] = "medium"
"""What `think: true` is read as: as hard as a model thinks by itself."""


def encode_reasoning(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    """Write `think`, where it was asked for."""
    reasoning = request.reasoning
    if reasoning is None or not encoding.sends("reasoning"):
        return
    efforts = encoding.quirks.efforts
    if reasoning in ("none", 0):
        _turn_off(efforts, encoding, body)
    elif efforts == ():
        encoding.note("dropped", "reasoning", "this model does not think")
    elif efforts is not None and efforts != ("none",):
        body["think"] = _nearest(reasoning, efforts, encoding)
    elif "level" in encoding.spelled and isinstance(reasoning, str):
        body["think"] = reasoning
    else:
        body["think"] = True
        if "switch" not in encoding.spelled:
            encoding.note("clamped", "reasoning", f"{reasoning} is sent as true: this model thinks or does not")


def _turn_off(efforts: tuple[str, ...] | None, encoding: Encoding, body: JSONObject) -> None:
    if efforts and "none" not in efforts and "level" not in encoding.spelled and "switch" not in encoding.spelled:
        least = min(efforts, key=LADDER.index)
        encoding.note("clamped", "reasoning", f"none is sent as {least}: this model always thinks")
        body["think"] = least
    else:
        body["think"] = False


def _nearest(reasoning: Reasoning, efforts: tuple[str, ...], encoding: Encoding) -> str:
    """Return the accepted step nearest to what was asked, which is not to be off."""
    asked = effort_of(reasoning) if isinstance(reasoning, int) else reasoning
    nearest = nearest_effort(asked, [step for step in efforts if step != "none"])
    if nearest != reasoning:
        why = "this wire takes no budget" if isinstance(reasoning, int) else "the nearest that this model takes"
        encoding.note("clamped", "reasoning", f"{reasoning} is sent as {nearest}: {why}")
    return nearest


def decode_reasoning(body: JSONObject, spelled: list[str]) -> Reasoning | None:
    """Return the knob's place, `None` where it is not said."""
    think = body.get("think")
    if think is None:
        return None
    if isinstance(think, bool):
        spelled.append("switch")
        return SWITCHED_ON if think else "none"
    if think in LADDER[1:]:
        spelled.append("level")
        return think  # type: ignore[no-any-return]
    return refuse("think", f"is {think!r:.40}, but must be true, false, or one of low, medium, high, max")
