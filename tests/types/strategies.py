"""Parts, messages and answers of every kind, made by hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from polyvox.types.generate import Adjustment, Alternative, Finish, GenerateResponse
from polyvox.types.messages import Message
from polyvox.types.parts import (
    FileId,
    FilePart,
    Meta,
    OpaquePart,
    Part,
    ReasoningPart,
    Source,
    SourcePart,
    TextPart,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Url,
)
from polyvox.types.usage import Usage

words = st.text(max_size=8)
maybe_words = st.none() | words
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)
metas: st.SearchStrategy[Meta] = st.dictionaries(
    st.sampled_from(["openai", "anthropic"]), st.dictionaries(words, values, max_size=2), max_size=2
)
sources = st.builds(
    Source, url=maybe_words, title=maybe_words, text=maybe_words, start=st.none() | st.integers(0, 9), meta=metas
)
logprobs = st.builds(
    TokenLogprob,
    words,
    st.floats(-9, 0),
    st.none() | st.lists(st.integers(0, 255), max_size=2).map(tuple),
    st.lists(st.builds(TokenLogprob, words, st.floats(-9, 0)), max_size=2).map(tuple),
)
texts = st.builds(
    TextPart,
    words,
    st.lists(sources, max_size=2).map(tuple),
    st.none() | st.lists(logprobs, max_size=2).map(tuple),
    st.booleans(),
    metas,
)
reasonings = st.builds(ReasoningPart, words, st.booleans(), metas)
files = st.builds(
    FilePart,
    st.sampled_from(["image/png", "image/*", "audio/wav"]),
    st.binary(max_size=5) | st.builds(Url, words) | st.builds(FileId, words),
    maybe_words,
    metas,
)
source_parts = st.builds(SourcePart, maybe_words, maybe_words, maybe_words, metas)
calls = st.builds(ToolCall, words, words, words, st.sampled_from(["function", "custom"]), st.booleans(), metas)
opaques = st.builds(OpaquePart, words, metas)
results = st.builds(ToolResult, words, words, st.lists(texts | files, max_size=2).map(tuple), st.booleans(), metas)
parts: st.SearchStrategy[Part] = st.one_of(texts, reasonings, files, source_parts, calls, results, opaques)
contents = st.lists(parts, max_size=4).map(tuple)
finishes = st.builds(
    Finish,
    st.sampled_from(["stop", "length", "tool_calls", "content_filter", "pause", "error", "other"]),
    maybe_words,
)
usages = st.builds(
    Usage,
    st.none() | st.integers(0, 9),
    st.none() | st.integers(0, 9),
    st.none() | st.integers(0, 9),
    raw=st.none() | st.dictionaries(words, values, max_size=2),
)
adjustments = st.builds(
    Adjustment, st.sampled_from(["dropped", "clamped", "renamed", "emulated", "needed"]), words, words
)
alternatives = st.builds(Alternative, st.integers(1, 3), contents, st.none() | finishes, metas)
answers: st.SearchStrategy[GenerateResponse[Any]] = st.builds(
    GenerateResponse,
    id=maybe_words,
    model=maybe_words,
    provider=maybe_words,
    content=contents,
    finish=st.none() | finishes,
    usage=usages,
    adjustments=st.lists(adjustments, max_size=2).map(tuple),
    alternatives=st.lists(alternatives, max_size=2).map(tuple),
    meta=metas,
)
"""Answers made of what a stream can say."""


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Messages in any order, with calls and results that find each other, cross, repeat or never meet."""
    ids = st.sampled_from(["a", "b", "c"])
    user_content = st.lists(st.builds(TextPart, words), max_size=2)
    assistant_content = st.lists(st.builds(ToolCall, ids, st.just("f")) | st.builds(TextPart, words), max_size=3)
    tool_content = st.lists(st.builds(ToolResult, ids | st.just("nobody's"), st.just("f")), max_size=3)
    by_role: dict[Any, Any] = {
        "system": user_content,
        "user": user_content,
        "assistant": assistant_content,
        "tool": tool_content | st.lists(st.builds(TextPart, words), max_size=1),
    }
    messages: list[Message] = []
    for role in draw(st.lists(st.sampled_from(list(by_role)), max_size=8)):
        origin = draw(st.sampled_from([None, "p/m"])) if role == "assistant" else None
        meta = draw(st.sampled_from([{}, {}, {"openai": {"name": "Ann"}}, {"openai": {"name": "Bob"}}]))
        messages.append(Message(role, tuple(draw(by_role[role])), origin, meta))
    return messages
