"""Docstrings in three styles, and in none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvox.schema.docstring import read_docstring


@pytest.mark.parametrize(
    ("text", "summary", "parameters"),
    [
        (None, None, {}),
        ("", None, {}),
        ("Do it.", "Do it.", {}),
        ("\n    Do\n    it.\n\n    More.\n", "Do it.", {}),
        (
            "Do it.\nArgs:\n    a: one\n    *b (list[tuple[int, str]]): two\n\n    **c: three\nd: no",
            "Do it.",
            {"a": "one", "b": "two", "c": "three"},
        ),
        (
            "Do it.\n\nArgs:\n    a:\n        one\n\n        and more\n    b: two",
            "Do it.",
            {"a": "one and more", "b": "two"},
        ),
        ("Do it.\n\nArgs:\n    a: one\n\nKeyword Args:\n    b: two\n", "Do it.", {"a": "one", "b": "two"}),
        ("Do it.\n\nArgs:\n    words without a name\n    a: one", "Do it.", {"a": "one"}),
        ("Do it.\n\nArgs:\n    a: see http://x.y: there", "Do it.", {"a": "see http://x.y: there"}),
        ("Do it.\n:param a: one\n:param int | None b: two\n\nwords", "Do it.", {"a": "one", "b": "two"}),
        ("Parameters\n----------\na : int\n    one\n", None, {"a": "one"}),
        ("Do it.\n\nParameters\n----------\na\nb : int\n    two\nNotes\n-----\nc : d\n    no", "Do it.", {"b": "two"}),
        ("Args:", None, {}),
    ],
)
def test_summary_and_parameters(text: str | None, summary: str | None, parameters: dict[str, str]) -> None:
    assert read_docstring(text) == (summary, parameters)


@given(
    st.lists(
        st.sampled_from(["Args:", "Parameters", "----", "a: b", ":param a: b", "", "    x: y", "        z", ":"])
    ).map("\n".join)
    | st.text()
)
def test_no_docstring_fails(text: str) -> None:
    summary, parameters = read_docstring(text)
    assert summary is None or summary.strip()
    assert all(parameters.values())
