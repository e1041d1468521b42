"""The one reasoning knob against what each model takes: nothing is sent that the model answers with an error."""

from __future__ import annotations

import json

import pytest

from polyvox.dialects.anthropic.quirks import AnthropicQuirks
from polyvox.dialects.anthropic.request import encode_request
from polyvox.types.generate import GenerateRequest
from polyvox.types.messages import user

ALL = AnthropicQuirks()
ALWAYS = AnthropicQuirks(thinking=("adaptive",), display="summarized")
BETWEEN = AnthropicQuirks(thinking=("adaptive", "between_tools"))
SWITCHED = AnthropicQuirks(thinking=("adaptive", "disabled"))
BUDGETS = AnthropicQuirks(thinking=("enabled", "disabled"), efforts=())
NEVER = AnthropicQuirks(thinking=(), efforts=())
FEW = AnthropicQuirks(efforts=("low", "high"))


def said(reasoning, quirks, max_tokens=50_000):
    request = GenerateRequest(model="m", messages=(user("hi"),), reasoning=reasoning, max_tokens=max_tokens)
    wire = encode_request(request, quirks, stream=False)
    body = json.loads(wire.body)
    effort = body.get("output_config", {}).get("effort")
    return body.get("thinking"), effort, [adjustment.kind for adjustment in wire.adjustments]


@pytest.mark.parametrize(
    ("quirks", "reasoning", "thinking", "effort", "noted"),
    [
        (ALL, None, None, None, []),
        (ALL, "none", {"type": "disabled"}, None, []),
        (ALL, 0, {"type": "disabled"}, None, []),
        (ALL, "high", {"type": "adaptive"}, "high", []),
        (ALL, "minimal", {"type": "adaptive"}, "low", ["clamped"]),
        (ALL, 2000, {"type": "enabled", "budget_tokens": 2000}, None, []),
        (ALL, 5, {"type": "enabled", "budget_tokens": 1024}, None, ["clamped"]),
        (ALWAYS, "none", {"type": "adaptive", "display": "summarized"}, "low", ["clamped"]),
        (ALWAYS, "max", {"type": "adaptive", "display": "summarized"}, "max", []),
        (ALWAYS, 10_000, {"type": "adaptive", "display": "summarized"}, "medium", ["clamped"]),
        (ALWAYS, 10**6, {"type": "adaptive", "display": "summarized"}, "xhigh", ["clamped"]),
        (BETWEEN, "none", {"type": "between_tools"}, None, ["clamped"]),
        (SWITCHED, "none", {"type": "disabled"}, None, []),
        (SWITCHED, 1, {"type": "adaptive"}, "low", ["clamped"]),
        (BUDGETS, "medium", {"type": "enabled", "budget_tokens": 16384}, None, ["clamped"]),
        (BUDGETS, 3000, {"type": "enabled", "budget_tokens": 3000}, None, []),
        (BUDGETS, "none", {"type": "disabled"}, None, []),
        (NEVER, "none", None, None, []),
        (NEVER, "high", None, None, ["dropped"]),
        (NEVER, 3000, None, None, ["dropped"]),
        (FEW, "medium", {"type": "adaptive"}, "high", ["clamped"]),
        (FEW, "max", {"type": "adaptive"}, "high", ["clamped"]),
    ],
)
def test_each_step_and_budget_is_said_as_the_model_takes_it(quirks, reasoning, thinking, effort, noted):
    assert said(reasoning, quirks) == (thinking, effort, noted)


def test_a_budget_is_held_below_max_tokens():
    assert said(5000, ALL, 3000) == ({"type": "enabled", "budget_tokens": 2999}, None, ["clamped"])
    assert said(5000, ALL, 1024) == (None, None, ["dropped"])


def test_a_budget_adds_to_the_max_tokens_that_nobody_gave():
    request = GenerateRequest(model="m", messages=(user("hi"),), reasoning=20_000)
    body = json.loads(encode_request(request, ALL, stream=False).body)
    assert body["max_tokens"] == 28_192
