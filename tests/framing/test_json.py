"""The one reader of JSON: a new spelling never kills an answer, and what is no JSON is said plainly."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, field

from polyvox.errors import DecodeError
from polyvox.framing.json import decode, encode, excerpt, join_halves


class Function(Struct):
    name: str | None = None
    arguments: str | None = None


class Call(Struct):
    index: int | None = None
    function: Function | None = None
    raw: msgspec.Raw = msgspec.Raw(b"null")


class Delta(Struct):
    content: str | None = None
    tool_calls: list[Call] | None = None


class Choice(Struct):
    index: int = 0
    delta: Delta = field(default_factory=Delta)
    finish: str | None = field(default=None, name="finish_reason")


class Usage(Struct):
    prompt_tokens: int | float | None = None
    details: dict[str, int] | None = None


class Chunk(Struct):
    id: str | None = None
    choices: list[Choice] = []
    usage: Usage | None = None
    tags: tuple[str, ...] = ()
    top: Annotated[list[Usage], msgspec.Meta(max_length=3)] = []


class Named(Struct):
    """A shape with a field that must be there."""

    name: str
    size: int = 0


class Cat(Struct, tag="cat"):
    lives: int = 9


class Dog(Struct, tag="dog"):
    tricks: list[str] = []


class House(Struct):
    pets: list[Cat | Dog] = []
    sizes: list[Named] = []
    pair: tuple[int, str] = (0, "")


def test_good_json_is_read_into_its_type() -> None:
    assert decode(b' \r\n\t{"id":"x","choices":[{"delta":{"content":"hi"}}]}\n\n ', Chunk) == Chunk(
        "x", [Choice(delta=Delta("hi"))]
    )
    assert decode('{"a":[1,2.5,null]}') == {"a": [1, 2.5, None]}
    assert decode(b"[1]", list[int]) == [1]


def test_one_surprising_field_falls_alone() -> None:
    lost: dict[str, Any] = {}
    chunk = decode(b'{"id":5,"choices":[{"index":1,"delta":{"content":"hi"},"finish_reason":"stop"}]}', Chunk, lost)
    assert chunk == Chunk(None, [Choice(1, Delta("hi"), "stop")])
    assert lost == {"id": 5}


def test_several_bad_fields_fall_each_at_its_own_place() -> None:
    lost: dict[str, Any] = {}
    body = {
        "id": "x",
        "choices": [
            {
                "index": 0,
                "delta": {"content": ["x"], "tool_calls": [{"index": 1, "function": {"name": 3, "arguments": "{}"}}]},
            },
            {"index": 1, "delta": "?", "finish_reason": {"type": "stop"}},
        ],
        "usage": {"prompt_tokens": "many", "details": {"a": 1, "b": "z"}},
    }
    assert decode(json.dumps(body), Chunk, lost) == Chunk(
        "x",
        [Choice(0, Delta(None, [Call(1, Function(None, "{}"))])), Choice(1)],
        Usage(None, {"a": 1}),
    )
    assert lost == {
        "choices[0].delta.content": ["x"],
        "choices[0].delta.tool_calls[0].function.name": 3,
        "choices[1].delta": "?",
        "choices[1].finish_reason": {"type": "stop"},
        "usage.prompt_tokens": "many",
        "usage.details.b": "z",
    }


def test_a_bad_element_without_a_default_is_left_out() -> None:
    lost: dict[str, Any] = {}
    assert decode(b'{"tags":["a",1,"b"],"choices":[7,{"index":1}]}', Chunk, lost) == Chunk(
        choices=[Choice(1)], tags=("a", "b")
    )
    assert lost == {"tags[1]": 1, "choices[0]": 7}


def test_an_element_whose_required_field_is_bad_is_left_out() -> None:
    house = decode(
        b'{"sizes":[{"name":"a","size":"big"},{"name":1},{"size":2},{"name":"b","size":1}],"pair":[1,2]}', House
    )
    assert house == House(sizes=[Named("a"), Named("b", 1)])


def test_a_bad_field_in_a_tagged_member_of_a_union_falls_alone() -> None:
    house = decode(
        b'{"pets":[{"type":"cat","lives":"all"},{"type":"dog","tricks":["sit",2]},{"type":"fish"},3]}', House
    )
    assert house == House(pets=[Cat(), Dog(["sit"])])


def test_null_for_a_field_that_has_no_null_is_the_default_and_no_loss() -> None:
    lost: dict[str, Any] = {}
    assert decode(b'{"choices":[{"index":null,"delta":null},null],"tags":null}', Chunk, lost) == Chunk(
        choices=[Choice()]
    )
    assert lost == {}


def test_a_number_in_quotes_is_the_number() -> None:
    assert decode(b'{"choices":[{"index":"3"}],"usage":{"details":{"a":"12"}}}', Chunk) == Chunk(
        choices=[Choice(3)], usage=Usage(None, {"a": 12})
    )


def test_a_constrained_list_is_still_saved_by_element() -> None:
    assert decode(b'{"top":[{"prompt_tokens":1},{"prompt_tokens":{}}]}', Chunk).top == [Usage(1), Usage()]


def test_raw_members_are_kept_beside_a_bad_one() -> None:
    chunk = decode(b'{"id":5,"choices":[{"delta":{"tool_calls":[{"raw":{"a":"\xc3\xa9"}}]}}]}', Chunk)
    calls = chunk.choices[0].delta.tool_calls
    assert calls is not None
    assert json.loads(bytes(calls[0].raw)) == {"a": "é"}


def test_nan_and_infinity_are_read() -> None:
    value = decode(b'{"a":NaN,"b":[Infinity,-Infinity,1e999]}')
    assert math.isnan(value["a"])
    assert value["b"] == [math.inf, -math.inf, math.inf]
    assert decode(b'{"id":"x","usage":{"prompt_tokens":NaN}}', Chunk).id == "x"


def test_surrogate_halves_survive_and_can_be_joined() -> None:
    halves = [decode(rb'{"content":"a\ud83d"}', Delta).content, decode(rb'{"content":"\ude00b"}', Delta).content]
    assert halves == ["a\ud83d", "\ude00b"]
    shown, held = join_halves("", "a\ud83d")
    assert (shown, held) == ("a", "\ud83d")
    assert join_halves(held, "\ude00b") == ("😀b", "")


@pytest.mark.parametrize(
    ("held", "text", "shown", "kept"),
    [
        ("", "", "", ""),
        ("", "abc", "abc", ""),
        ("", "grüß😀", "grüß😀", ""),
        ("\ud83d", "", "", "\ud83d"),
        ("\ud83d", "x", "\ufffdx", ""),
        ("", "\ude00", "\ufffd", ""),
        ("\ud83d", "\ud83d", "\ufffd", "\ud83d"),
    ],
)
def test_a_half_that_finds_no_other_is_shown_as_lost(held: str, text: str, shown: str, kept: str) -> None:
    assert join_halves(held, text) == (shown, kept)


@given(st.text(), st.data())
def test_a_text_cut_between_any_utf16_units_is_joined_again(text: str, data: st.DataObject) -> None:
    units = text.encode("utf-16-le")
    place = 2 * data.draw(st.integers(0, len(units) // 2))
    deltas = [part.decode("utf-16-le", "surrogatepass") for part in (units[:place], units[place:])]
    sent = [json.dumps({"content": delta}) for delta in deltas]
    held, shown = "", ""
    for delta in sent:
        ready, held = join_halves(held, decode(delta, Delta).content or "")
        shown += ready
    assert (shown, held) == (text, "")


def test_bytes_that_are_no_utf8_cost_their_characters_only() -> None:
    assert decode(b'{"id":"a\xffb","tags":["x"]}', Chunk) == Chunk("a\ufffdb", tags=("x",))


def test_a_byte_order_mark_and_raw_line_ends_in_text_are_read() -> None:
    assert decode(b'\xef\xbb\xbf{"id":"x"}', Chunk).id == "x"
    assert decode(b'{"id":"a\nb"}', Chunk).id == "a\nb"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is empty"),
        (b" \n ", "the body is empty"),
        (b"<!DOCTYPE html><html><title>502 Bad Gateway</title>", "a web page came where JSON was expected"),
        (b'{"id":"x"', "no valid JSON"),
        (b'{"id":"x"} trailing', "no valid JSON"),
        (b"Not Found", "'Not Found'"),
        (b"[" * 200_000, "nested too deeply"),
        (b"9" * 5000, "no valid JSON"),
        (b"[]", "another shape"),
        (b'"text"', "another shape"),
        (b"null", "another shape"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(body: bytes, words: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(body, Chunk)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400
    assert caught.value.__cause__ is None


def test_a_required_field_at_the_top_cannot_be_made_up() -> None:
    with pytest.raises(DecodeError, match="missing required field `name`"):
        decode(b'{"size":1}', Named)
    with pytest.raises(DecodeError, match="another shape"):
        decode(b'{"name":["x"]}', Named)


def test_the_message_shows_the_start_and_no_key() -> None:
    key = "sk-" + "a" * 40
    for padding in range(150, 230, 7):
        with pytest.raises(DecodeError) as caught:
            decode(b"x" * padding + b" " + key.encode() + b" rest" * 1000)
        assert "aaaa" not in str(caught.value)
    assert excerpt(b"short") == "'short'"
    assert excerpt("x" * 1000) == repr("x" * 200) + " …"
    excerpt("\ud83d").encode()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_whatever_is_written_is_read_again(value: Any) -> None:
    assert decode(encode(value)) == value


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-10, 10)
        | st.floats()
        | st.sampled_from(["", "x", "\ud83d", "1", "cat"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["id", "choices", "delta", "content", "tool_calls", "usage", "index", "type", "pets"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_object_of_any_shape_is_refused_where_every_field_has_a_default(value: Any) -> None:
    """The promise itself: with every field defaulted, any JSON object is an answer."""
    body = json.dumps({"choices": [value], "usage": value, "pets": [value], "id": value})
    assert isinstance(decode(body, Chunk), Chunk)
    assert isinstance(decode(body, House), House)


def test_structs_are_written_and_surrogates_never_break_a_request() -> None:
    assert encode(Usage(1)) == b'{"prompt_tokens":1,"details":null}'
    assert encode({"a": "é😀", "b": math.nan}) == '{"a":"é😀","b":null}'.encode()
    assert (
        encode({"\ud83d\ude00": ["\ud83d", Named("\ude00")]}) == '{"😀":["\ufffd",{"name":"\ufffd","size":0}]}'.encode()
    )
