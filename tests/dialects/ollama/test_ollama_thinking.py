"""The one reasoning knob on the Ollama wire: what becomes of it by what a model takes, and how a server reads it."""

from __future__ import annotations

import json

import pytest
from msgspec import structs

from polyvox.dialects.ollama.quirks import OllamaQuirks
from polyvox.dialects.ollama.request import decode_request, encode_request
from polyvox.errors import BadRequestError, UnsupportedError
from polyvox.types.generate import GenerateRequest
from polyvox.types.messages import Message, user
from polyvox.types.parts import ReasoningPart, TextPart

GPT_OSS = ("low", "medium", "high")
UNSAID = "unsaid"
OURS = {"ollama": {"thinking": True}}


def encode(reasoning, **quirks):
    request = GenerateRequest(model="m", messages=(user("Hi"),), reasoning=reasoning)
    wire = encode_request(request, OllamaQuirks(**quirks), stream=False)
    return json.loads(wire.body).get("think", UNSAID), wire.adjustments


@pytest.mark.parametrize("efforts", [None, (), GPT_OSS])
def test_nothing_is_sent_where_nothing_is_said(efforts):
    assert encode(None, efforts=efforts) == (UNSAID, ())


@pytest.mark.parametrize(
    ("efforts", "reasoning", "think", "detail"),
    [
        # A model that thinks or does not.
        (None, "none", False, None),
        (None, 0, False, None),
        (None, "low", True, "low is sent as true: this model thinks or does not"),
        (None, "max", True, "max is sent as true: this model thinks or does not"),
        (None, 2000, True, "2000 is sent as true: this model thinks or does not"),
        (("none",), "high", True, "high is sent as true: this model thinks or does not"),
        # One with steps, which always thinks.
        (GPT_OSS, "medium", "medium", None),
        (GPT_OSS, "minimal", "low", "minimal is sent as low: the nearest that this model takes"),
        (GPT_OSS, "max", "high", "max is sent as high: the nearest that this model takes"),
        (GPT_OSS, 3000, "low", "3000 is sent as low: this wire takes no budget"),
        (GPT_OSS, 9000, "medium", "9000 is sent as medium: this wire takes no budget"),
        (GPT_OSS, 99000, "high", "99000 is sent as high: this wire takes no budget"),
        (GPT_OSS, "none", "low", "none is sent as low: this model always thinks"),
        # One with steps that can be told not to.
        (("none", "high", "max"), "none", False, None),
        (("none", "high", "max"), "low", "high", "low is sent as high: the nearest that this model takes"),
        # One that does not think at all: being told not to is no loss.
        ((), "none", False, None),
        ((), "high", UNSAID, "this model does not think"),
    ],
)
def test_what_is_asked_for_is_sent_as_the_model_takes_it(efforts, reasoning, think, detail):
    said, adjustments = encode(reasoning, efforts=efforts)
    assert said == think
    assert [(one.setting, one.detail) for one in adjustments] == ([] if detail is None else [("reasoning", detail)])


def test_a_setting_that_is_dropped_or_refused_by_the_row_is():
    assert encode("high", settings={"reasoning": "drop"})[0] == UNSAID
    with pytest.raises(UnsupportedError, match="reasoning is not taken by this model"):
        encode("high", settings={"reasoning": "refuse"})


def decode(**body):
    return decode_request(json.dumps({"model": "m", "messages": [], **body}).encode())[0]


@pytest.mark.parametrize(
    ("think", "reasoning"),
    [(True, "medium"), (False, "none"), ("low", "low"), ("high", "high"), ("max", "max"), (None, None)],
)
def test_a_server_reads_the_switch_and_the_word(think, reasoning):
    assert decode(think=think).reasoning == reasoning


@pytest.mark.parametrize("think", ["", "some", 1, {}, [], "none"])
def test_a_server_refuses_what_is_neither(think):
    with pytest.raises(BadRequestError, match=r"^think: is .*must be true, false, or one of low, medium, high"):
        decode(think=think)


@pytest.mark.parametrize(("think", "efforts", "said"), [(True, GPT_OSS, "medium"), ("max", GPT_OSS, "high")])
def test_a_request_that_passes_through_is_said_as_the_model_behind_takes_it(think, efforts, said):
    wire = encode_request(decode(think=think), OllamaQuirks(efforts=efforts), stream=False)
    assert json.loads(wire.body)["think"] == said


def test_a_switch_that_passes_through_needs_no_adjustment():
    assert encode_request(decode(think=True), OllamaQuirks(), stream=False).adjustments == ()


def thought(*parts, **quirks):
    request = GenerateRequest(model="m", messages=(Message("assistant", parts), user("Go on")))
    wire = encode_request(request, OllamaQuirks(**quirks), stream=False)
    return json.loads(wire.body)["messages"], [one.detail for one in wire.adjustments]


def test_thinking_of_this_model_goes_back_beside_the_text():
    (said, _), adjustments = thought(ReasoningPart("hm", meta=OURS), TextPart("2"))
    assert said == {"role": "assistant", "content": "2", "thinking": "hm"}
    assert adjustments == []


def test_reasoning_of_another_origin_is_left_out_or_sent_as_text():
    (said, _), adjustments = thought(ReasoningPart("hm"), TextPart("2"))
    assert said == {"role": "assistant", "content": "2"}
    assert adjustments == ["reasoning of another origin is not sent"]
    (said, _), adjustments = thought(ReasoningPart("hm "), TextPart("2"), reasoning_history="text")
    assert "hm" in said["content"] and said["content"].endswith("2") and "thinking" not in said
    assert adjustments == ["reasoning of another origin is sent as text"]


def test_a_message_of_nothing_but_foreign_reasoning_is_not_sent():
    messages, adjustments = thought(ReasoningPart("hm"))
    assert [message["role"] for message in messages] == ["user"]
    assert "a message without content is not sent" in adjustments


def test_thinking_of_a_request_is_read_and_changed_thinking_is_sent_changed():
    request = decode(messages=[{"role": "assistant", "content": "2", "thinking": "hm"}])
    assert request.messages[0].content == (ReasoningPart("hm", meta=OURS), TextPart("2"))
    part = structs.replace(request.messages[0].content[0], text="well")
    changed = structs.replace(request, messages=(Message("assistant", (part,)),))
    said = json.loads(encode_request(changed, OllamaQuirks(), stream=False).body)["messages"]
    assert said == [{"role": "assistant", "content": "", "thinking": "well"}]
