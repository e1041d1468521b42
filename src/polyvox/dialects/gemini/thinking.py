"""The one reasoning knob on this wire: `thinkingLevel` or `thinkingBudget`, by what the model takes.

The rule: never both (a 400), and never what the model does not take; what is sent instead is named in an adjustment.
Where both are taken, a step of the ladder is a level, and a number is a budget.
https://ai.google.dev/gemini-api/docs/thinking
"""

from __future__ import annotations

from typing import Any, Final

from polyvox.dialects._efforts import LADDER, nearest_effort
from polyvox.dialects._reading import JSONObject, read_object, read_whole
from polyvox.dialects.gemini.encoding import Encoding
from polyvox.types.generate import GenerateRequest, Reasoning

# https://ai.google.dev/gemini-api/docs/openai#thinking: what Google itself makes of a step. The two highest steps are
# the model's most.
_BUDGETS: Final = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
_LEVELS: Final = ((1024, "low"), (8192, "medium"))


# ours → wire


def encode_reasoning(request: GenerateRequest, encoding: Encoding, config: JSONObject) -> None:
    """Write `thinkingConfig`, where reasoning was asked for."""
    reasoning = request.reasoning
    if reasoning is None or not encoding.sends("reasoning"):
        return
    if not encoding.quirks.thinking or not (encoding.quirks.efforts or "budget" in encoding.quirks.thinking):
        if reasoning not in ("none", 0):
            encoding.note("dropped", "reasoning", "this model does not think")
        return
    if reasoning in ("none", 0):
        said = _turned_off(reasoning, encoding)
    elif isinstance(reasoning, int):
        said = _by_budget(reasoning, encoding)
    else:
        said = _by_effort(reasoning, encoding)
    if encoding.quirks.include_thoughts and said.get("thinkingBudget") != 0:
        said["includeThoughts"] = True
    config["thinkingConfig"] = said


def _turned_off(reasoning: Reasoning, encoding: Encoding) -> JSONObject:
    if "budget" in encoding.quirks.thinking:
        if encoding.quirks.thinking_off:
            return {"thinkingBudget": 0}
        least = encoding.quirks.budget[0]
        encoding.note("clamped", "reasoning", f"{reasoning} is sent as {least}: this model always thinks")
        return {"thinkingBudget": least}
    lowest = min(encoding.quirks.efforts, key=LADDER.index)
    encoding.note("clamped", "reasoning", f"{reasoning} is sent as {lowest}: this model always thinks")
    return {"thinkingLevel": lowest.upper()}


def _by_budget(budget: int, encoding: Encoding) -> JSONObject:
    if "budget" in encoding.quirks.thinking:
        least, most = encoding.quirks.budget
        held = min(max(budget, least), most)
        if held != budget:
            encoding.note("clamped", "reasoning", f"{budget} is sent as {held}, the {_end(held, most)} budget")
        return {"thinkingBudget": held}
    level = nearest_effort(next((level for most, level in _LEVELS if budget <= most), "high"), encoding.quirks.efforts)
    encoding.note("clamped", "reasoning", f"{budget} is sent as {level}: this model takes no budget")
    return {"thinkingLevel": level.upper()}


def _end(held: int, most: int) -> str:
    return "largest" if held == most else "least"


def _by_effort(effort: str, encoding: Encoding) -> JSONObject:
    if "level" in encoding.quirks.thinking and encoding.quirks.efforts:
        level = nearest_effort(effort, encoding.quirks.efforts)
        if level != effort:
            encoding.note("clamped", "reasoning", f"{effort} is sent as {level}")
        return {"thinkingLevel": level.upper()}
    least, most = encoding.quirks.budget
    budget = min(max(_BUDGETS.get(effort, most), least), most)
    encoding.note("clamped", "reasoning", f"{effort} is sent as a budget of {budget} tokens")
    return {"thinkingBudget": budget}


# wire → ours


def decode_reasoning(value: object) -> tuple[Reasoning | None, JSONObject]:
    """Return the knob's place, and what it does not say of `thinkingConfig`, which stays an option."""
    path = "generationConfig.thinkingConfig"
    said: dict[str, Any] = {name: held for name, held in read_object(value, path).items() if held is not None}
    level, budget = said.get("thinkingLevel"), said.get("thinkingBudget")
    if budget is not None:
        read_whole(budget, f"{path}.thinkingBudget", -1)
    step = level.lower() if isinstance(level, str) else None
    if level is not None and budget is not None:
        return None, said
    if step in LADDER and step != "none":
        return step, {name: held for name, held in said.items() if name != "thinkingLevel"}  # type: ignore[return-value]
    if isinstance(budget, int) and budget >= 0:
        return budget or "none", {name: held for name, held in said.items() if name != "thinkingBudget"}
    return None, said
