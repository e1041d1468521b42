"""The one reasoning knob on this wire: `thinking` and `output_config.effort`, by what the model takes.

The rule: what the model does not take is never sent; what is sent instead is named in an adjustment. Where both forms
are taken, a step of the ladder is adaptive thinking with that effort, and a number is a budget.
https://docs.anthropic.com/en/docs/build-with-claude/adaptive-thinking, …/extended-thinking, …/effort
"""

from __future__ import annotations

from typing import Any, Final

from polyvox.dialects._efforts import LADDER, effort_of, nearest_effort
from polyvox.dialects._reading import JSONObject
from polyvox.dialects.anthropic.encoding import Encoding
from polyvox.types.generate import GenerateRequest, Reasoning

LEAST_BUDGET: Final = 1024
"""https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking: `budget_tokens` is at least this."""

# A step of the ladder as a budget in tokens, for models that take nothing else.
_BUDGETS: Final = {"minimal": 1024, "low": 4096, "medium": 16384, "high": 32768, "xhigh": 49152, "max": 65536}


def encode_reasoning(request: GenerateRequest, encoding: Encoding, body: JSONObject) -> None:
    """Write `thinking` and the effort, where they were asked for."""
    reasoning = request.reasoning
    if reasoning is None or not encoding.sends("reasoning"):
        return
    if "effort" in encoding.spelled and isinstance(reasoning, str) and reasoning != "none":
        _write_effort(reasoning, encoding, body)
    elif reasoning in ("none", 0):
        _turn_off(reasoning, encoding, body)
    elif isinstance(reasoning, int):
        _think_by_budget(reasoning, encoding, body)
    else:
        _think_by_effort(reasoning, encoding, body)


def _turn_off(reasoning: Reasoning, encoding: Encoding, body: JSONObject) -> None:
    types = encoding.quirks.thinking
    if "disabled" in types:
        body["thinking"] = {"type": "disabled"}
    elif "between_tools" in types:
        body["thinking"] = {"type": "between_tools"}
        encoding.note("clamped", "reasoning", f"{reasoning} is sent as between_tools: this model always thinks there")
    elif "adaptive" in types:
        _think(body, "adaptive", encoding)
        encoding.note("clamped", "reasoning", f"{reasoning} is sent as low: this model always thinks")
        _write_effort("low", encoding, body)
    elif types:
        encoding.note("clamped", "reasoning", f"{reasoning}: nothing is sent, as this model has no switch")


def _think_by_budget(budget: int, encoding: Encoding, body: JSONObject) -> None:
    types = encoding.quirks.thinking
    if "enabled" in types:
        if budget < LEAST_BUDGET:
            encoding.note("clamped", "reasoning", f"{budget} is sent as {LEAST_BUDGET}, the least budget")
        _think(body, "enabled", encoding, budget_tokens=max(budget, LEAST_BUDGET))
    elif "adaptive" in types:
        step = nearest_effort(effort_of(budget), encoding.quirks.efforts or LADDER)
        encoding.note("clamped", "reasoning", f"{budget} is sent as {step}: this model takes no budget")
        _think(body, "adaptive", encoding)
        _write_effort(step, encoding, body)
    else:
        encoding.note("dropped", "reasoning", "this model does not think")


def _think_by_effort(effort: str, encoding: Encoding, body: JSONObject) -> None:
    types = encoding.quirks.thinking
    if "adaptive" in types:
        _think(body, "adaptive", encoding)
        _write_effort(effort, encoding, body)
    elif "enabled" in types:
        budget = _BUDGETS[effort]
        encoding.note("clamped", "reasoning", f"{effort} is sent as a budget of {budget} tokens")
        _think(body, "enabled", encoding, budget_tokens=budget)
    else:
        encoding.note("dropped", "reasoning", "this model does not think")


def _think(body: JSONObject, kind: str, encoding: Encoding, **members: Any) -> None:
    body["thinking"] = {"type": kind, **members}
    if encoding.quirks.display is not None:
        body["thinking"]["display"] = encoding.quirks.display


def _write_effort(effort: str, encoding: Encoding, body: JSONObject) -> None:
    """Write the accepted step nearest to what was asked; of two equally near, the higher."""
    efforts = encoding.quirks.efforts
    if not efforts:
        encoding.note("dropped", "reasoning", f"{effort}: this model has no efforts, it thinks as much as it likes")
        return
    nearest = nearest_effort(effort, efforts)
    if nearest != effort:
        encoding.note("clamped", "reasoning", f"{effort} is sent as {nearest}")
    body.setdefault("output_config", {})["effort"] = nearest


def fit_budget(body: JSONObject, encoding: Encoding) -> None:
    """Hold the budget below `max_tokens`, which covers thinking and answer. Without room for both, do not think."""
    thinking, most = body.get("thinking") or {}, body["max_tokens"]
    budget = thinking.get("budget_tokens")
    if budget is None or budget < most:
        return
    if most > LEAST_BUDGET:
        thinking["budget_tokens"] = most - 1
        encoding.note("clamped", "reasoning", f"a budget of {budget} is sent as {most - 1}, below max_tokens")
    else:
        del body["thinking"]
        encoding.note("dropped", "reasoning", f"max_tokens of {most} leaves no room: thinking takes {LEAST_BUDGET}")


def is_thinking_on(body: JSONObject) -> bool:
    """Tell whether the body asks for thinking."""
    return (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")


def decode_reasoning(body: JSONObject, spelled: list[str]) -> tuple[Reasoning | None, set[str]]:
    """Return the knob's place, and the members that it says all of. What it does not say stays an option."""
    thinking, config = body.get("thinking"), body.get("output_config")
    effort = config.get("effort") if isinstance(config, dict) else None
    step = effort if effort in LADDER and effort != "none" else None
    if thinking is None:
        if step is not None:
            spelled.append("effort")
        return step, {"thinking", "effort"} if effort is None or step is not None else {"thinking"}
    if not isinstance(thinking, dict):
        return None, set()
    budget = thinking.get("budget_tokens")
    match thinking.get("type"):
        case "disabled" if effort is None:
            return "none", {"thinking", "effort"}
        case "enabled" if isinstance(budget, int) and not isinstance(budget, bool) and budget >= 1:
            return budget, {"thinking", "effort"} if effort is None else {"thinking"}
        case "adaptive" if step is not None:
            return step, {"thinking", "effort"}
    return None, {"effort"} if effort is None else set()
