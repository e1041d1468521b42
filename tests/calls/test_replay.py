"""No signature reaches a stranger, and the caller's own marks are never stripped."""

from __future__ import annotations

from typing import Any, cast

import pytest

from polyvox.calls.replay import strip_foreign
from polyvox.dialects.base import Dialect
from polyvox.errors import UnsupportedError
from polyvox.types.messages import Message
from polyvox.types.parts import FileId, FilePart, OpaquePart, ReasoningPart, Source, TextPart


class FakeDialect:
    def __init__(self, replay: str) -> None:
        self.name, self.replay = "openai", replay


def strip(messages: list[Message], replay: str = "model", target: str = "lab/m") -> tuple[Any, Any]:
    return strip_foreign(messages, cast("Dialect", FakeDialect(replay)), target)


SIGNED = ReasoningPart("thought", meta={"openai": {"signature": "s"}, "anthropic": {"signature": "a"}})


@pytest.mark.parametrize(
    ("origin", "replay", "kept"),
    [
        ("lab/m", "model", True),
        ("lab/other", "model", False),
        ("lab/other", "provider", True),
        ("else/m", "provider", False),
        ("else/m", "dialect", True),
        (None, "model", True),
    ],
)
def test_meta_goes_back_as_far_as_the_dialect_allows(origin: str | None, replay: str, kept: bool) -> None:
    message = Message("assistant", (SIGNED,), origin, meta={"openai": {"id": "x"}})

    (stripped,), adjustments = strip([message], replay)

    assert ("openai" in stripped.content[0].meta, "openai" in stripped.meta) == (kept, kept)
    assert stripped.content[0].meta["anthropic"] == {"signature": "a"}
    assert adjustments == ()


def test_a_strangers_hidden_reasoning_is_left_out() -> None:
    hidden = ReasoningPart("", redacted=True, meta={"openai": {"data": "…"}})

    (stripped,), _ = strip([Message("assistant", (hidden, TextPart("hi")), "else/m")])

    assert stripped.content == (TextPart("hi"),)


def test_a_strangers_citation_keeps_its_place_and_loses_its_mark() -> None:
    cited = Source(url="https://a.example", title="A", start=0, end=2, meta={"openai": {"encrypted_index": "x" * 80}})

    (stripped,), adjustments = strip([Message("assistant", (TextPart("hi", sources=(cited,)),), "else/m")])

    assert stripped.content[0].sources == (Source(url="https://a.example", title="A", start=0, end=2),)
    assert adjustments == ()


def test_a_strangers_opaque_part_is_left_out_and_named() -> None:
    part = OpaquePart("compaction", meta={"openai": {"x": 1}})

    (stripped,), (adjustment,) = strip([Message("assistant", (part, TextPart("hi")), "else/m")])

    assert stripped.content == (TextPart("hi"),)
    assert adjustment.kind == "dropped" and "compaction of else/m" in adjustment.detail


def test_a_strangers_file_id_cannot_be_read_elsewhere() -> None:
    part = FilePart("application/pdf", FileId("file-1"))

    with pytest.raises(UnsupportedError, match=r"file-1.*else/m"):
        strip([Message("assistant", (part,), "else/m")])
