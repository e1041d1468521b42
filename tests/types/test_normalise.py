"""The normal form of a conversation: results by their calls, neighbours merged, system kept, and no change twice."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from msgspec import structs

from polyvox.types.messages import Message, assistant, system, tool, user
from polyvox.types.normalise import normalise
from polyvox.types.parts import Part, TextPart, ToolCall, ToolResult
from tests.types.strategies import conversations


def call(name: str) -> ToolCall:
    return ToolCall(name, "f")


def result(name: str, text: str = "") -> ToolResult:
    return ToolResult(name, "f", (TextPart(text),))


CASES: dict[str, tuple[list[Message], list[Message]]] = {
    "nothing": ([], []),
    "neighbours of one role are one message": (
        [user("a"), user("b"), assistant("c"), assistant("d"), user("e")],
        [user(["a", "b"]), assistant(["c", "d"]), user("e")],
    ),
    "system messages stay apart and in place": (
        [system("a"), system("b"), user("c"), system("d"), user("e")],
        [system("a"), system("b"), user("c"), system("d"), user("e")],
    ),
    "results are one message in the order of the calls": (
        [assistant([call("a"), call("b"), call("c")]), tool(result("c")), tool([result("b"), result("a")])],
        [assistant([call("a"), call("b"), call("c")]), tool([result("a"), result("b"), result("c")])],
    ),
    "a late result comes to its call, past what stands between": (
        [assistant([call("a"), call("b")]), tool(result("b")), user("x"), system("y"), tool(result("a")), user("z")],
        [assistant([call("a"), call("b")]), tool([result("a"), result("b")]), user("x"), system("y"), user("z")],
    ),
    "neighbours that a late result kept apart are merged": (
        [assistant(call("a")), user("x"), tool(result("a")), user("y")],
        [assistant(call("a")), tool(result("a")), user(["x", "y"])],
    ),
    "one message of results for two turns is divided": (
        [assistant(call("a")), user("x"), assistant(call("b")), tool([result("b"), result("a")])],
        [assistant(call("a")), tool(result("a")), user("x"), assistant(call("b")), tool(result("b"))],
    ),
    "neighbouring assistant messages are one turn of calls": (
        [assistant(call("a")), assistant(call("b")), tool(result("b")), tool(result("a"))],
        [assistant([call("a"), call("b")]), tool([result("a"), result("b")])],
    ),
    "ids counted anew each turn belong to the latest": (
        [assistant(call("0")), tool(result("0", "one")), assistant(call("0")), user("x"), tool(result("0", "two"))],
        [assistant(call("0")), tool(result("0", "one")), assistant(call("0")), tool(result("0", "two")), user("x")],
    ),
    "two results of one call stay in order": (
        [assistant([call("a"), call("b")]), tool([result("b"), result("a", "1"), result("a", "2")])],
        [assistant([call("a"), call("b")]), tool([result("a", "1"), result("a", "2"), result("b")])],
    ),
    "a result without a call stays where it is": (
        [user("x"), tool(result("a")), assistant(call("a")), user("y"), tool(result("?"))],
        [user("x"), tool(result("a")), assistant(call("a")), user("y"), tool(result("?"))],
    ),
    "answers of two models stay apart": (
        [Message("assistant", (TextPart("a"),), "p/m"), Message("assistant", (TextPart("b"),), "p/n")],
        [Message("assistant", (TextPart("a"),), "p/m"), Message("assistant", (TextPart("b"),), "p/n")],
    ),
    "two speakers stay apart": (
        [
            Message("user", (), None, {"openai": {"name": "Ann"}}),
            Message("user", (), None, {"openai": {"name": "Bob"}}),
        ],
        [
            Message("user", (), None, {"openai": {"name": "Ann"}}),
            Message("user", (), None, {"openai": {"name": "Bob"}}),
        ],
    ),
    "what the results' messages are marked with is kept": (
        [
            assistant([call("a"), call("b")]),
            Message("tool", (result("a"),), None, {"openai": {"x": 1}}),
            Message("tool", (result("b"),), None, {"openai": {"y": 2}, "anthropic": {}}),
        ],
        [
            assistant([call("a"), call("b")]),
            Message("tool", (result("a"), result("b")), None, {"openai": {"x": 1, "y": 2}, "anthropic": {}}),
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_conversation_in_its_normal_form(name: str) -> None:
    messages, normal = CASES[name]
    assert list(normalise(messages)) == normal
    assert normalise(normal) == tuple(normal)


@settings(max_examples=300)
@given(conversations())
def test_normalising_twice_changes_nothing(messages: list[Message]) -> None:
    once = normalise(messages)
    assert normalise(once) == once


@settings(max_examples=300)
@given(conversations())
def test_no_part_is_lost_added_or_changed(messages: list[Message]) -> None:
    def parts(sequence: list[Message] | tuple[Message, ...]) -> Counter[tuple[str, str]]:
        return Counter((message.role, repr(part)) for message in sequence for part in message.content)

    assert parts(normalise(messages)) == parts(messages)


@settings(max_examples=300)
@given(conversations())
def test_every_result_stands_behind_its_call_in_call_order(messages: list[Message]) -> None:
    normal = normalise(messages)
    for place, message in enumerate(normal):
        if message.role != "tool":
            continue
        before = normal[place - 1] if place else None
        order = [part.id for part in before.tool_calls] if before is not None and before.role == "assistant" else []
        known = [order.index(part.id) for part in message.content if isinstance(part, ToolResult) and part.id in order]
        assert known == sorted(known)
        earlier = {part.id for other in normal[:place] for part in other.tool_calls}
        for part in message.content:
            assert not isinstance(part, ToolResult) or part.id in order or part.id not in earlier


@settings(max_examples=300)
@given(conversations())
def test_no_two_neighbours_that_could_be_one_are_left(messages: list[Message]) -> None:
    normal = normalise(messages)
    for first, second in pairwise(normal):
        same = first.role == second.role != "system" and first.origin == second.origin
        assert not same or (first.meta and second.meta and first.meta != second.meta)


@given(conversations())
def test_system_messages_and_the_order_of_the_rest_are_kept(messages: list[Message]) -> None:
    def told(sequence: list[Message] | tuple[Message, ...]) -> list[tuple[str, Part]]:
        return [(message.role, part) for message in sequence if message.role != "tool" for part in message.content]

    assert told(normalise(messages)) == told(messages)
    assert [m for m in normalise(messages) if m.role == "system"] == [m for m in messages if m.role == "system"]


def test_a_message_that_is_normal_already_is_the_same_object() -> None:
    """Long histories are normalised on every call: nothing is copied without need."""
    messages = (system("s"), user("a"), assistant(call("x")), user("b"))
    assert all(one is other for one, other in zip(normalise(messages), messages, strict=True))


def test_merging_many_neighbours_is_linear() -> None:
    """Shown by counting: the tuple of the parts is made once for a run, however long it is."""
    made = 0
    original = structs.replace

    def counting(message: Message, **changes: object) -> Message:
        nonlocal made
        made += len(changes.get("content", ()))  # type: ignore[arg-type]
        return original(message, **changes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("polyvox.types.normalise.structs.replace", counting)
        (message,) = normalise([user("x")] * 1000)
    assert len(message.content) == 1000
    assert made == 1000
