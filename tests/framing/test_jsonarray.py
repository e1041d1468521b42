"""A JSON array sent over time: each element comes as soon as it is whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvox.framing import jsonarray
from polyvox.framing.base import Frame
from polyvox.framing.jsonarray import JSONArrayFramer
from tests.framing.cuts import byte_by_byte, cut, framed, whole

CASES: dict[str, tuple[bytes, list[bytes]]] = {
    "objects": (b'[{"a":1}\n,\r\n{"b":2}]\n', [b'{"a":1}', b'{"b":2}']),
    "nested": (b'[{"a":[1,{"b":[]}],"c":2},[3,[4]]]', [b'{"a":[1,{"b":[]}],"c":2}', b"[3,[4]]"]),
    "brackets and quotes in text": (b'[{"a":"]},\\"{["},"x\\\\",""]', [b'{"a":"]},\\"{["}', b'"x\\\\"', b'""']),
    "plain values": (b"[1, true ,null]", [b"1", b"true", b"null"]),
    "empty": (b"[ ]", []),
    "an error object in place of the array": (b'{"error":{"code":400}}', [b'{"error":{"code":400}}']),
    "values one after another": (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
    "an element cut short": (b'[{"a":1},{"b":', [b'{"a":1}', b'{"b":']),
    "a web page": (b"<html></html>", [b"<html></html>"]),
    "a stray bracket": (b']{"a":1}', [b']{"a":1}']),
    "nothing": (b"", []),
}


@pytest.mark.parametrize("name", CASES)
def test_an_element_is_a_frame(name: str) -> None:
    body, elements = CASES[name]
    frames = [Frame(element) for element in elements]
    assert whole(JSONArrayFramer, body) == frames
    assert byte_by_byte(JSONArrayFramer, body) == frames


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='"\\[]{}, aé😀\u2028', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(_VALUES, max_size=5), st.booleans(), st.sampled_from([None, 1]))
def test_the_elements_of_any_array_come_out_as_they_went_in(
    values: list[Any], ascii_only: bool, indent: int | None
) -> None:
    body = json.dumps(values, ensure_ascii=ascii_only, indent=indent).encode()
    frames = byte_by_byte(JSONArrayFramer, body)
    assert [json.loads(frame.data) for frame in frames] == values


@given(cut(st.lists(st.sampled_from([b"[", b"]", b"{", b"}", b",", b'"', b"\\", b"1", b" "])).map(b"".join)))
def test_no_cut_changes_the_elements_of_even_a_broken_body(pieces: list[bytes]) -> None:
    assert framed(JSONArrayFramer, pieces) == whole(JSONArrayFramer, b"".join(pieces))


def test_an_object_is_given_with_its_last_bracket() -> None:
    framer = JSONArrayFramer()
    assert framer.feed(b'[{"a":1') == []
    assert framer.feed(b"}") == [Frame(b'{"a":1}')]
    assert framer.feed(b',{"b":2}') == [Frame(b'{"b":2}')]
    assert framer.feed(b"]") == []
    assert framer.close() == []


def test_every_byte_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linear, shown by counting: the bytes searched are the bytes fed."""
    searched = 0

    class Counting:
        def __init__(self, pattern: Any) -> None:
            self.pattern = pattern

        def search(self, data: bytes, position: int) -> Any:
            nonlocal searched
            found = self.pattern.search(data, position)
            searched += (found.end() if found else len(data)) - position
            return found

    monkeypatch.setattr(jsonarray, "_MEANS_OUTSIDE", Counting(jsonarray._MEANS_OUTSIDE))
    monkeypatch.setattr(jsonarray, "_MEANS_IN_TEXT", Counting(jsonarray._MEANS_IN_TEXT))
    body = json.dumps([{"text": "x" * 10_000, "list": list(range(500))}] * 5).encode()
    pieces = [body[at : at + 100] for at in range(0, len(body), 100)]
    assert len(framed(JSONArrayFramer, pieces)) == 5
    assert searched <= len(body)
