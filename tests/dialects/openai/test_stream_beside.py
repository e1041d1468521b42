"""What stands beside a plain piece of text in a chunk: the short way through the decoder may forget none of it."""

from __future__ import annotations

from typing import Any

import pytest

from polyvox.dialects.openai.chat import wire
from polyvox.errors import ServerError
from polyvox.types.events import PartStart, StreamEnd, TextDelta, ToolCallDelta
from polyvox.types.generate import GenerateResponse
from polyvox.types.parts import SourcePart, TextPart, ToolCall
from tests.dialects.openai.bodies import DONE, answer_of, chunk, events_of


def between(middle: Any) -> GenerateResponse[Any]:
    """The answer in which a chunk stands between plain pieces of text."""
    return answer_of(chunk({"content": "a"}), middle, chunk({"content": "c"}), chunk({}, finish="stop"))


KEPT = {"a": [1]}


# The same in each chunk: read from the first and the last.
CONSTANT = ("created", "provider", "service_tier", "system_fingerprint")


@pytest.mark.parametrize("name", [name for name in wire.ENVELOPE if name not in CONSTANT])
def test_members_of_the_envelope_are_kept(name: str) -> None:
    answer = between(chunk({"content": "b"}, **{name: KEPT}))
    assert answer.text == "abc"
    assert answer.meta["openai"][name] == KEPT


@pytest.mark.parametrize("name", wire.MESSAGE)
def test_members_of_the_message_are_kept(name: str) -> None:
    answer = between(chunk({"content": "b", name: KEPT}))
    assert answer.text == "abc"
    assert answer.meta["openai"][name] == KEPT


@pytest.mark.parametrize("name", ["native_finish_reason", "content_filter_results"])
def test_members_of_the_choice_are_kept(name: str) -> None:
    value: Any = "STOP" if name == "native_finish_reason" else KEPT
    answer = between(chunk({"content": "b"}, **{name: value}))
    assert answer.text == "abc"
    assert answer.meta["openai"][name] == value


@pytest.mark.parametrize(
    ("delta", "kind"),
    [
        ({"refusal": "no"}, "TextPart"),
        ({"reasoning_content": "r"}, "ReasoningPart"),
        ({"reasoning": "r"}, "ReasoningPart"),
        ({"reasoning_details": [{"type": "reasoning.encrypted", "data": "d"}]}, "ReasoningPart"),
        ({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": ""}}]}, "ToolCall"),
        ({"function_call": {"name": "f"}}, "ToolCall"),
        ({"audio": {"transcript": "t"}}, "TextPart"),
        ({"images": [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]}, "FilePart"),
        ({"executed_tools": [{"index": 0, "type": "search", "arguments": "{}", "output": "o"}]}, "ToolCall"),
    ],
)
def test_parts_beside_the_text_are_read(delta: dict[str, Any], kind: str) -> None:
    assert set(delta) <= set(wire.Message.__struct_fields__)
    answer = between(chunk({"content": "b", **delta}))
    assert answer.content[0] == TextPart("abc")
    assert type(answer.content[1]).__name__ == kind


def test_sources_beside_the_text_are_read() -> None:
    found = between(chunk({"content": "b"}, search_results=[{"url": "u"}]))
    assert found.content == (TextPart("abc"), SourcePart("u"))
    noted = between(chunk({"content": "b", "annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}]}))
    assert isinstance(noted.content[0], TextPart)
    assert [source.url for source in noted.content[0].sources] == ["u"]


def test_an_error_beside_the_text_is_raised() -> None:
    for facts in ({"error": {"code": 502, "message": "broken"}}, {"x_groq": {"error": {"message": "broken"}}}):
        with pytest.raises(ServerError, match="broken"):
            between(chunk({"content": "b"}, **facts))


# Calls whose pieces say little.


def call(**facts: Any) -> Any:
    function = {name: facts.pop(name) for name in ("name", "arguments") if name in facts}
    return chunk({"tool_calls": [{**facts, "function": function}]})


def test_an_id_may_come_after_the_name() -> None:
    events = events_of(call(index=0, name="f"), call(index=0, id="t0", arguments="{}"), DONE)
    assert events[1:3] == [PartStart(0, ToolCall("t0", "f")), ToolCallDelta(0, "{}")]


def test_a_call_without_id_and_arguments_is_told_at_the_end() -> None:
    (_, *events, end) = events_of(call(index=0, name="f"), DONE)
    assert events[0] == PartStart(0, ToolCall("", "f"))
    assert isinstance(end, StreamEnd)


def test_whole_calls_one_after_another_with_neither_index_nor_id_stay_apart() -> None:
    answer = answer_of(call(name="f", arguments="{}"), call(name="f", arguments='{"a":1}'), DONE)
    assert answer.tool_calls == (ToolCall("", "f", "{}"), ToolCall("", "f", '{"a":1}'))


def test_calls_of_other_names_under_one_index_stay_apart_though_they_have_no_id() -> None:
    answer = answer_of(
        call(index=0, name="f", arguments="{}"), call(index=0, name="g", arguments="{}"), call(index=0, name="h"), DONE
    )
    assert [one.name for one in answer.tool_calls] == ["f", "g", "h"]


def test_a_new_id_without_a_name_is_still_the_same_call() -> None:
    """Some services make a new id for each piece."""
    answer = answer_of(
        call(index=0, id="a", name="f", arguments=""),
        call(index=0, id="b", arguments="{"),
        call(index=0, id="c", name="", arguments="}"),
        DONE,
    )
    assert answer.tool_calls == (ToolCall("a", "f", "{}"),)


def test_a_name_said_again_in_each_piece_is_one_call() -> None:
    answer = answer_of(call(index=0, id="a", name="f", arguments="{"), call(index=0, name="f", arguments="}"), DONE)
    assert answer.tool_calls == (ToolCall("a", "f", "{}"),)


def test_content_may_be_a_single_item_or_a_list_with_plain_texts() -> None:
    events = events_of(
        chunk({"content": {"type": "text", "text": "a"}}),
        chunk({"content": ["b", {"type": "text", "text": "c"}]}),
        DONE,
    )
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["a", "b", "c"]
