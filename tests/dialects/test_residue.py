"""The residue: what a request said otherwise comes back, and what was changed in between wins."""

from __future__ import annotations

import copy

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyvox.dialects._residue import difference, foreign_residue, restore
from polyvox.types.generate import Residue


def residue(ours, theirs):
    return Residue("openai", difference(ours, theirs))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["role", "type", "a", "b"]), JSON, max_size=4)
BODIES = st.dictionaries(st.sampled_from("abcd"), JSON | st.lists(OBJECTS, max_size=4), max_size=4)


@settings(max_examples=120, deadline=None)
@given(BODIES, BODIES)
def test_any_body_is_restored_from_any_other(ours, theirs):
    before = copy.deepcopy(ours)
    assert msgspec.json.encode(sorted_(restore(ours, residue(ours, theirs)))) == msgspec.json.encode(sorted_(theirs))
    assert ours == before, "what was built is not changed in place"


@settings(max_examples=120, deadline=None)
@given(BODIES, BODIES)
def test_a_residue_survives_storage(ours, theirs):
    kept = residue(ours, theirs)
    stored = msgspec.json.decode(msgspec.json.encode(kept), type=Residue)
    assert restore(ours, stored) == theirs


def sorted_(value):
    if isinstance(value, dict):
        return {name: sorted_(value[name]) for name in sorted(value)}
    return [sorted_(item) for item in value] if isinstance(value, list) else value


def test_true_is_not_one():
    ours, theirs = {"a": [True], "b": {"c": 1}, "d": 0}, {"a": [1], "b": {"c": True}, "d": False}
    assert msgspec.json.encode(restore(ours, residue(ours, theirs))) == msgspec.json.encode(theirs)


def test_equal_bodies_leave_nothing():
    assert difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}) == ()


@pytest.mark.parametrize(
    ("ours", "theirs", "now", "said"),
    [
        pytest.param({}, {"stream": False}, {"stream": True}, {"stream": True}, id="a member that is set since"),
        pytest.param({"x": 1}, {"x": 2}, {"x": 3}, {"x": 3}, id="a value that was changed"),
        pytest.param({"x": 1}, {}, {"x": 2}, {"x": 2}, id="a member of ours that was changed"),
        pytest.param(
            {"o": {"a": 1}}, {"o": {"a": 1, "b": 2}}, {"o": {"a": 9}}, {"o": {"a": 9, "b": 2}}, id="an addition stays"
        ),
        pytest.param({"o": {"a": 1}}, {"o": {"a": 1, "b": 2}}, {}, {}, id="an addition goes with its object"),
        pytest.param(
            {"c": {"type": "function", "function": {"name": "f"}}},
            {"c": {"type": "tool", "name": "f"}},
            {"c": {"type": "function", "function": {"name": "g"}}},
            {"c": {"type": "function", "function": {"name": "g"}}},
            id="another form is put back whole or not at all",
        ),
    ],
)
def test_what_was_changed_since_wins(ours, theirs, now, said):
    assert restore(now, residue(ours, theirs)) == said


def message(text, **more):
    return {"role": "user", "content": text, **more}


OURS = {"messages": [message("a"), message("b"), message("c")]}
THEIRS = {"messages": [message("a", x=1), message("b"), message("c", x=3)]}


@pytest.mark.parametrize(
    ("now", "said"),
    [
        pytest.param(
            [*OURS["messages"], message("d")],
            [message("a", x=1), message("b"), message("c", x=3), message("d")],
            id="appended",
        ),
        pytest.param(
            [message("0"), *OURS["messages"]],
            [message("0"), message("a", x=1), message("b"), message("c", x=3)],
            id="prepended",
        ),
        pytest.param(OURS["messages"][1:], [message("b"), message("c", x=3)], id="first removed"),
        pytest.param(
            [message("a"), message("B"), message("c")],
            [message("a", x=1), message("B"), message("c", x=3)],
            id="changed",
        ),
        pytest.param(
            [message("A"), message("b"), message("c")], [message("A"), message("b"), message("c", x=3)], id="its own"
        ),
        pytest.param([], [], id="all removed"),
    ],
)
def test_items_find_their_own_form_wherever_they_stand(now, said):
    assert restore({"messages": now}, residue(OURS, THEIRS)) == {"messages": said}


def test_a_run_of_another_length_is_put_back_whole_or_not_at_all():
    ours = {"messages": [message("s"), message(["a", "b"]), message("z")]}
    theirs = {"messages": [message("s"), message("a"), message("b"), message("z")]}
    kept = residue(ours, theirs)
    assert restore(ours, kept) == theirs
    changed = {"messages": [message("s"), message(["a", "B"]), message("z")]}
    assert restore(changed, kept) == changed, "no half of the old run comes back beside the change"
    moved = {"messages": [message("new"), *ours["messages"]]}
    assert restore(moved, kept) == {"messages": [message("new"), *theirs["messages"]]}


def test_an_item_that_only_they_had_stays_beside_its_neighbour():
    ours, theirs = {"m": [message("a"), message("b")]}, {"m": [message("a"), message("x"), message("b")]}
    kept = residue(ours, theirs)
    assert restore(ours, kept) == theirs
    assert restore({"m": [message("b")]}, kept) == {"m": [message("b")]}


def test_results_in_another_order_are_not_mixed_up_with_a_changed_one():
    def result(call, text):
        return {"role": "tool", "tool_call_id": call, "content": text}

    kept = residue({"m": [result("1", "a"), result("2", "b")]}, {"m": [result("2", "b"), result("1", "a")]})
    changed = {"m": [result("1", "secret removed"), result("2", "b")]}
    assert restore(changed, kept) == changed


def test_two_equal_items_get_one_form_each():
    ours = {"m": [message("a"), message("a")]}
    theirs = {"m": [message("a", x=1), message("a", x=2)]}
    assert restore(ours, residue(ours, theirs)) == theirs


def test_another_dialect_names_what_it_cannot_say_once():
    kept = residue(
        {"n": 1, "m": ["a"]}, {"n": 1, "m": ["b"], "logit_bias": {"1": 2}, "store": True, "stream": False, "x": None}
    )
    (adjustment,) = foreign_residue(kept, "anthropic")
    assert adjustment.kind == "dropped"
    assert "openai" in adjustment.detail and "logit_bias, store" in adjustment.detail
    assert "stream" not in adjustment.detail, "what says `not` is no loss"
    assert foreign_residue(kept, "openai") == () == foreign_residue(None, "anthropic")
    assert foreign_residue(residue({}, {"stream": False}), "anthropic") == ()
