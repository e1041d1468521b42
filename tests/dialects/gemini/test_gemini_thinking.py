"""The one reasoning knob against what each model takes: nothing is sent that the model answers with an error."""

from __future__ import annotations

import json

import pytest

from polyvox.dialects.gemini.quirks import GeminiQuirks
from polyvox.dialects.gemini.request import encode_request
from polyvox.errors import UnsupportedError
from polyvox.types.generate import GenerateRequest
from polyvox.types.messages import user

ALL = GeminiQuirks()
LEVELS = GeminiQuirks(thinking=("level",), efforts=("low", "medium", "high"))
FEW = GeminiQuirks(thinking=("level",), efforts=("low", "high"))
BUDGETS = GeminiQuirks(thinking=("budget",), budget=(512, 24576))
ALWAYS = GeminiQuirks(thinking=("budget",), budget=(128, 32768), thinking_off=False)
SHOWN = GeminiQuirks(thinking=("budget",), include_thoughts=True)
NEVER = GeminiQuirks(thinking=())
NONE = GeminiQuirks(thinking=("level",), efforts=())


def said(reasoning, quirks):
    request = GenerateRequest(model="m", messages=(user("hi"),), reasoning=reasoning)
    wire = encode_request(request, quirks, stream=False)
    config = json.loads(wire.body).get("generationConfig", {})
    return config.get("thinkingConfig"), [adjustment.kind for adjustment in wire.adjustments]


def level(word):
    return {"thinkingLevel": word}


def budget(count):
    return {"thinkingBudget": count}


@pytest.mark.parametrize(
    ("quirks", "reasoning", "config", "noted"),
    [
        (ALL, None, None, []),
        (ALL, "none", budget(0), []),
        (ALL, 0, budget(0), []),
        (ALL, "minimal", level("MINIMAL"), []),
        (ALL, "xhigh", level("XHIGH"), []),
        (ALL, "max", level("XHIGH"), ["clamped"]),
        (ALL, 2000, budget(2000), []),
        (ALL, 10**6, budget(32768), ["clamped"]),
        (LEVELS, "none", level("LOW"), ["clamped"]),
        (LEVELS, "minimal", level("LOW"), ["clamped"]),
        (LEVELS, "medium", level("MEDIUM"), []),
        (LEVELS, "max", level("HIGH"), ["clamped"]),
        (LEVELS, 500, level("LOW"), ["clamped"]),
        (LEVELS, 8000, level("MEDIUM"), ["clamped"]),
        (LEVELS, 20_000, level("HIGH"), ["clamped"]),
        (FEW, "medium", level("HIGH"), ["clamped"]),
        (FEW, 8000, level("HIGH"), ["clamped"]),
        (BUDGETS, "none", budget(0), []),
        (BUDGETS, "low", budget(1024), ["clamped"]),
        (BUDGETS, "high", budget(24576), ["clamped"]),
        (BUDGETS, "max", budget(24576), ["clamped"]),
        (BUDGETS, 30_000, budget(24576), ["clamped"]),
        (BUDGETS, 0, budget(0), []),
        (BUDGETS, 5, budget(512), ["clamped"]),
        (ALWAYS, "none", budget(128), ["clamped"]),
        (ALWAYS, 5, budget(128), ["clamped"]),
        (ALWAYS, "max", budget(32768), ["clamped"]),
        (SHOWN, 2000, {"thinkingBudget": 2000, "includeThoughts": True}, []),
        (SHOWN, "none", budget(0), []),
        (SHOWN, None, None, []),
        (NEVER, "none", None, []),
        (NEVER, "high", None, ["dropped"]),
        (NEVER, 3000, None, ["dropped"]),
        (NONE, "high", None, ["dropped"]),
    ],
)
def test_each_step_and_budget_is_said_as_the_model_takes_it(quirks, reasoning, config, noted):
    assert said(reasoning, quirks) == (config, noted)


def test_the_knob_can_be_dropped_or_refused():
    assert said("high", GeminiQuirks(settings={"reasoning": "drop"})) == (None, ["dropped"])
    with pytest.raises(UnsupportedError, match="reasoning"):
        said("high", GeminiQuirks(settings={"reasoning": "refuse"}))
