"""The cache as a user sees it: the same question costs nothing twice, and nothing but a whole, good answer is kept."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from polyvox.calls.cache import Cache, MemoryStore, Scope, cache_key, cached, decode_entry, encode_entry, scope_of
from polyvox.calls.fallback import Fallback, fallback
from polyvox.calls.generate import Call, Events, call
from polyvox.errors import (
    ConfigError,
    InterruptedCallError,
    OverloadedError,
    PolyvoxError,
    ServerError,
)
from polyvox.io.base import Context, iterate
from polyvox.io.scripted import Answer, Clock, ScriptedIO
from polyvox.types.events import Event, RawFrame, StreamEnd, StreamStart, TextDelta
from polyvox.types.fold import unfold
from polyvox.types.generate import (
    AudioOutput,
    Finish,
    GenerateRequest,
    GenerateResponse,
    Output,
    PromptCache,
    Residue,
)
from polyvox.types.messages import assistant, system, user
from polyvox.types.models import ModelConfig, Price
from polyvox.types.parts import FilePart, ReasoningPart, TextPart, ToolCall, Url
from polyvox.types.tools import NamedTool, Tool
from polyvox.types.usage import Cost, Usage
from tests.calls.runs import REQUEST, AsyncRunner, Facts, SyncRunner, answer_of, lab_target, run_sync
from tests.calls.wires import ERROR_FRAME, FIRST, SECOND, answer, failed, streamed, whole
from tests.loopback import chat_chunk, chat_usage
from tests.types.strategies import answers

each_runner = pytest.mark.parametrize("run", [SyncRunner(), AsyncRunner()], ids=["sync", "async"])
each_kind = pytest.mark.parametrize("kind", ["generate", "stream"])

SCOPE = Scope("lab/m")
TOTALS = chat_chunk(None, usage=chat_usage()) + b"data: [DONE]\n\n"
TARGET = lab_target(row=ModelConfig(id="m", provider="lab", price=Price(input=1.0, output=2.0, source="table")))


def _call(kind: str = "generate", **settings: Any) -> Call:
    return call(TARGET, stream=kind == "stream", **settings)


def _through(cache: Cache, kind: str = "generate", **settings: Any) -> Call:
    return cached(_call(kind), cache, scope_of(TARGET), **settings)


# --- what is replayed ---------------------------------------------------------------------------------------------


@each_runner
@each_kind
def test_the_same_question_is_sent_once_and_answered_twice(run: Any, kind: str) -> None:
    script = whole() if kind == "generate" else streamed(FIRST, SECOND, chat_chunk({}, finish="stop"), TOTALS)
    cache, io = Cache(MemoryStore()), ScriptedIO([script])
    first = run(_through(cache, kind), Context(io))
    again = run(_through(cache, kind), Context(io))

    assert len(io.requests) == 1
    assert (first.cached, again.cached) == (False, True)
    for name in ("text", "content", "usage", "finish", "id", "model", "provider", "origin", "adjustments", "meta"):
        assert getattr(again, name) == getattr(first, name), name
    assert first.cost == Cost(7e-6, source="table")
    assert again.cost == Cost(0.0, source="cache")
    assert len(first.attempts) == 1 and again.attempts == ()
    assert again.message == first.message


@each_runner
@pytest.mark.parametrize(("made", "asked"), [("generate", "stream"), ("stream", "generate")])
def test_streamed_and_whole_calls_share_one_entry(run: Any, made: str, asked: str) -> None:
    cache, io = Cache(MemoryStore()), ScriptedIO([answer(made)])
    run(_through(cache, made), Context(io))
    again = run(_through(cache, asked), Context(io))

    assert len(io.requests) == 1 and again.cached and again.text == "Hello"


def test_a_stream_is_replayed_as_the_events_of_a_stream() -> None:
    cache, io = Cache(MemoryStore()), ScriptedIO([streamed()])
    run_sync(_through(cache, "stream"), Context(io))
    [events] = run_sync(_through(cache, "stream"), Context(io))

    assert type(events[0]) is StreamStart and type(events[-1]) is StreamEnd
    assert "".join(event.text for event in events if type(event) is TextDelta) == "Hello"


def test_the_timing_of_a_replayed_answer_is_that_of_its_own_call() -> None:
    cache, io = Cache(MemoryStore()), ScriptedIO([whole()])
    run_sync(_through(cache), Context(io))
    io.clock.advance(100)
    context = Context(io)
    io.clock.advance(2)
    lists = run_sync(_through(cache), context)
    io.clock.advance(1)
    timing = answer_of(context, lists).timing

    assert timing is not None and (timing.connect, timing.first_event, timing.total) == (None, 2, 3)


def test_what_stands_above_the_cache_sees_the_first_event_of_a_replayed_answer() -> None:
    cache, io = Cache(MemoryStore()), ScriptedIO([whole()])
    run_sync(_through(cache), Context(io))
    context = Context(io)
    run_sync(_through(cache), context)
    assert context.first_event is not None


@each_runner
def test_hooks_are_told_of_misses_stores_and_hits(run: Any) -> None:
    cache, io, facts = Cache(MemoryStore()), ScriptedIO([whole()]), Facts()
    run(_through(cache), Context(io, notify=facts))
    run(_through(cache), Context(io, notify=facts))

    assert facts.events() == ["miss", "stored", "hit"]
    assert len({fact.key for _, fact in facts.all}) == 1


# --- modes --------------------------------------------------------------------------------------------------------


@each_runner
def test_refresh_asks_anew_and_keeps_the_new_answer(run: Any) -> None:
    cache, io = Cache(MemoryStore()), ScriptedIO([whole("old"), whole("new")])
    run(_through(cache), Context(io))

    assert run(_through(cache.with_mode("refresh")), Context(io)).text == "new"
    assert run(_through(cache), Context(io)).text == "new"
    assert len(io.requests) == 2


@each_runner
def test_bypass_neither_reads_nor_writes(run: Any) -> None:
    cache, io = Cache(MemoryStore()), ScriptedIO([whole("one"), whole("two"), whole("three")])
    run(_through(cache.with_mode("bypass")), Context(io))
    assert len(cache.store) == 0
    run(_through(cache), Context(io))
    assert run(_through(cache.with_mode("bypass")), Context(io)).text == "three"


def test_bypassing_costs_nothing_at_all() -> None:
    inner = _call()
    assert cached(inner, Cache(MemoryStore(), mode="bypass"), SCOPE) is inner


def test_a_stream_of_raw_frames_goes_past_the_cache() -> None:
    cache, io = Cache(MemoryStore()), ScriptedIO([streamed(), streamed()])
    for _ in range(2):
        inner = _call("stream", raw=True)
        lists = run_sync(cached(inner, cache, SCOPE, raw=True), Context(io))
        assert any(type(event) is RawFrame for events in lists for event in events)
    assert len(io.requests) == 2 and len(cache.store) == 0


def test_entries_are_good_for_their_time_to_live() -> None:
    clock = Clock()
    cache = Cache(MemoryStore(clock=lambda: clock.now), ttl=60)
    io = ScriptedIO([whole("old"), whole("new")], clock=clock)
    run_sync(_through(cache), Context(io))
    clock.advance(59)
    assert run_with(cache, io).text == "old"
    clock.advance(1)
    assert run_with(cache, io).text == "new"


def run_with(cache: Cache, io: ScriptedIO, kind: str = "generate", **settings: Any) -> GenerateResponse[Any]:
    return SyncRunner()(_through(cache, kind, **settings), Context(io))


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"ttl": 0}, "ttl"),
        ({"ttl": float("nan")}, "ttl"),
        ({"ttl": True}, "ttl"),
        ({"ttl": "1h"}, "ttl"),
        ({"mode": "on"}, "mode"),
        ({"finishes": ("stop", "pause")}, "pause"),
        ({"finishes": ("error",)}, "error"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        Cache(MemoryStore(), **settings)


def test_a_store_without_its_methods_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"dict.*set, delete"):
        Cache({})


# --- what is never kept -------------------------------------------------------------------------------------------


@each_runner
@pytest.mark.parametrize(
    ("script", "error"),
    [
        (failed(500), ServerError),
        (streamed(FIRST), InterruptedCallError),
        (streamed(FIRST, ERROR_FRAME), OverloadedError),
        (streamed(FIRST, InterruptedCallError("gone")), InterruptedCallError),
    ],
)
def test_a_failed_or_broken_answer_is_never_kept(run: Any, script: Answer, error: type[PolyvoxError]) -> None:
    cache, io = Cache(MemoryStore()), ScriptedIO([script, streamed()])
    with pytest.raises(error):
        run(_through(cache, "stream"), Context(io))
    assert len(cache.store) == 0 and len(cache.flights) == 0

    assert run(_through(cache, "stream"), Context(io)).cached is False
    assert len(io.requests) == 2


@each_runner
@each_kind
@pytest.mark.parametrize("finish", ["length", "content_filter", "something_new"])
def test_an_answer_that_did_not_end_by_itself_is_not_kept(run: Any, kind: str, finish: str) -> None:
    script = whole("Hello", finish) if kind == "generate" else streamed(FIRST, chat_chunk({}, finish=finish))
    cache, io, facts = Cache(MemoryStore()), ScriptedIO([script, script]), Facts()
    for _ in range(2):
        run(_through(cache, kind), Context(io, notify=facts))
    assert len(io.requests) == 2 and len(cache.store) == 0
    assert facts.events() == ["miss", "skipped"] * 2


def test_an_answer_cut_by_its_length_is_kept_where_that_is_asked_for() -> None:
    cache, io = Cache(MemoryStore(), finishes=("stop", "length")), ScriptedIO([whole("Hel", "length")])
    run_with(cache, io)
    assert run_with(cache, io).finish == Finish("length", "length")


@pytest.mark.parametrize("reason", ["pause", "error", "other"])
def test_a_turn_that_paused_or_failed_is_not_kept(reason: Any) -> None:
    cache = Cache(MemoryStore())
    events = unfold(GenerateResponse(content=(TextPart("so far"),), finish=Finish(reason)))
    run_sync(cached(_double(events), cache, SCOPE), Context(ScriptedIO()))
    assert len(cache.store) == 0


def test_an_answer_with_one_choice_cut_off_is_not_kept() -> None:
    from polyvox.types.generate import Alternative

    cache = Cache(MemoryStore())
    response = GenerateResponse(content=(TextPart("a"),), finish=Finish("stop"))
    cut = structs.replace(response, alternatives=(Alternative(1, (TextPart("b"),), Finish("length")),))
    run_sync(cached(_double(unfold(cut)), cache, SCOPE), Context(ScriptedIO()))
    assert len(cache.store) == 0

    good = structs.replace(response, alternatives=(Alternative(1, (TextPart("b"),), Finish("stop")),))
    run_sync(cached(_double(unfold(good)), cache, SCOPE), Context(ScriptedIO()))
    assert len(cache.store) == 1


def test_an_empty_answer_is_not_kept() -> None:
    cache = Cache(MemoryStore())
    run_sync(cached(_double(unfold(GenerateResponse(finish=Finish("stop")))), cache, SCOPE), Context(ScriptedIO()))
    assert len(cache.store) == 0


def _double(*lists: list[Event]) -> Call:
    async def generate(context: Context, request: GenerateRequest) -> Events:
        for events in lists:
            yield list(events)

    return generate


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_answer_read_only_halfway_is_not_kept(asynchronous: bool) -> None:
    cache, io = Cache(MemoryStore()), ScriptedIO([streamed(), streamed()])
    inner = _through(cache, "stream")
    if asynchronous:

        async def leave() -> None:
            async with aclosing(inner(Context(io), REQUEST)) as lists:
                async for _ in lists:
                    break

        asyncio.run(leave())
    else:
        reading = iterate(inner(Context(io), REQUEST))
        next(reading)
        reading.close()
    assert len(cache.store) == 0 and len(cache.flights) == 0 and io.open_count == 0
    assert run_with(cache, io, "stream").cached is False


def test_a_reader_that_stops_at_the_end_event_has_read_the_whole_answer() -> None:
    cache, io = Cache(MemoryStore()), ScriptedIO([streamed()])
    reading = iterate(_through(cache, "stream")(Context(io), REQUEST))
    for events in reading:
        if type(events[-1]) is StreamEnd:
            break
    reading.close()
    assert run_with(cache, io, "stream").cached is True


def test_a_fallbacks_answer_is_not_kept_as_that_of_the_model_asked_for() -> None:
    other = structs.replace(TARGET, model="spare")
    cache, io = Cache(MemoryStore()), ScriptedIO([failed(500), whole("spare"), whole("first")])
    routes = [("lab/m", _call()), ("lab/spare", call(other, stream=False))]
    falling = cached(fallback(routes, Fallback(("lab/spare",))), cache, scope_of(TARGET))

    assert SyncRunner()(falling, Context(io)).text == "spare"
    assert SyncRunner()(falling, Context(io)).text == "first"
    assert SyncRunner()(falling, Context(io)).cached is True


def test_an_answer_that_is_not_the_json_asked_for_is_not_kept() -> None:
    cache, io = Cache(MemoryStore()), ScriptedIO([whole('{"a":'), whole('{"a": 1}')])
    request = structs.replace(REQUEST, output=Output({"type": "object"}))
    inner = _through(cache)
    SyncRunner()(inner, Context(io), request)
    assert len(cache.store) == 0
    SyncRunner()(inner, Context(io), request)
    assert SyncRunner()(inner, Context(io), request).text == '{"a": 1}'


def test_an_answer_that_is_not_accepted_is_handed_on_and_not_kept() -> None:
    cache, io = Cache(MemoryStore()), ScriptedIO([whole("no"), whole("yes")])

    def accept(response: GenerateResponse[Any]) -> bool:
        return response.text == "yes"

    assert [run_with(cache, io, accept=accept).text for _ in range(3)] == ["no", "yes", "yes"]
    assert len(io.requests) == 2


# --- the key ------------------------------------------------------------------------------------------------------

FULL = GenerateRequest(
    model="m",
    messages=(system("s"), user(["hi", FilePart("image/png", b"\x00\xff")])),
    tools=(Tool("f", "Do it.", {"type": "object", "properties": {"a": {}, "b": {}}}),),
    output=Output({"properties": {"x": {}, "y": {}}}),
    options={"openai": {"store": False, "logit_bias": {"1": 2}}},
)
CHANGES: list[dict[str, Any]] = [
    {"messages": (system("s"), user("hi"))},
    {"messages": (system("s"), user(["hi", FilePart("image/png", b"\x00\xfe")]))},
    {"messages": (system("s"), user(["hi", FilePart("image/png", Url("http://x"))]))},
    {"messages": (system("s"), user([TextPart("hi", meta={"openai": {"a": 1}}), FilePart("image/png", b"\x00\xff")]))},
    {"messages": (*FULL.messages, assistant("yes"))},
    {"tools": ()},
    {"tools": (Tool("f", "Do it.", {"type": "object", "properties": {"b": {}, "a": {}}}),)},
    {"tool_choice": "required"},
    {"tool_choice": NamedTool("f")},
    {"parallel_tools": False},
    {"output": None},
    {"output": Output({"properties": {"y": {}, "x": {}}})},
    {"reasoning": "high"},
    {"reasoning": 1000},
    {"max_tokens": 5},
    {"temperature": 0.0},
    {"top_p": 0.5},
    {"top_k": 5},
    {"seed": 1},
    {"stop": ("x",)},
    {"presence_penalty": 0.5},
    {"frequency_penalty": 0.5},
    {"logprobs": 0},
    {"n": 2},
    {"modalities": ("text", "audio")},
    {"audio": AudioOutput("alloy")},
    {"user": "u"},
    {"service_tier": "flex"},
    {"options": {"openai": {"store": True, "logit_bias": {"1": 2}}}},
    {"options": {}},
    {"residue": Residue("openai")},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: ",".join(change))
def test_whatever_may_shape_the_answer_makes_another_key(change: dict[str, Any]) -> None:
    assert cache_key(structs.replace(FULL, **change), SCOPE) != cache_key(FULL, SCOPE)


def test_every_setting_of_a_request_was_thought_of() -> None:
    labels = {"model", "metadata", "prompt_cache"}
    assert {name for change in CHANGES for name in change} | labels == set(GenerateRequest.__struct_fields__)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "an-alias"},
        {"metadata": {"trace": "1"}},
        {"prompt_cache": PromptCache("k", "explicit", "1h")},
        {"options": {"openai": {"logit_bias": {"1": 2}, "store": False}}},
    ],
    ids=lambda change: ",".join(change),
)
def test_what_only_labels_the_call_leaves_the_key_as_it_is(change: dict[str, Any]) -> None:
    assert cache_key(structs.replace(FULL, **change), SCOPE) == cache_key(FULL, SCOPE)


def test_the_key_is_the_same_in_every_process() -> None:
    script = (
        "from polyvox.calls.cache import Scope, cache_key; from polyvox.types.messages import user; "
        "from polyvox.types.generate import GenerateRequest as G; "
        "print(cache_key(G(model='x', messages=(user('hi'),)), Scope('lab/m', 'd')))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout.decode()
        for seed in ("1", "2")
    }
    assert told == {f"{cache_key(REQUEST, Scope('lab/m', 'd'))}\n"}


@pytest.mark.parametrize(
    "facts",
    [
        {"base_url": "http://other.test/v1"},
        {"model": "other"},
        {"provider": "other"},
        {"headers": {"OpenAI-Organization": "org"}},
        {"options": {"store": False}},
        {"emulate": ("forced_tool",)},
    ],
    ids=lambda facts: ",".join(facts),
)
def test_another_target_is_another_key(facts: dict[str, Any]) -> None:
    other = structs.replace(TARGET, **facts)
    assert cache_key(REQUEST, scope_of(other)) != cache_key(REQUEST, scope_of(TARGET))


def test_a_new_key_of_the_same_account_finds_the_old_answers() -> None:
    from polyvox.auth.keys import KeyAuth
    from polyvox.secrets import Secret

    keyed = [structs.replace(TARGET, auth=KeyAuth(Secret(key))) for key in ("sk-one-one-one", "sk-two-two-two")]
    headed = [structs.replace(TARGET, headers={"X-Api-Key": key}) for key in ("one", "two")]
    for one, two in (keyed, headed):
        assert scope_of(one) == scope_of(two)


@pytest.mark.parametrize("options", [{"openai": {"x": object()}}, {"openai": {"x": "\ud800"}}, {"openai": {("a",): 1}}])
def test_a_request_without_a_serial_form_goes_past_the_cache(options: Any) -> None:
    cache, facts = Cache(MemoryStore()), Facts()
    request = structs.replace(REQUEST, options=options)
    good = unfold(GenerateResponse(content=(TextPart("a"),), finish=Finish("stop")))
    lists = run_sync(cached(_double(good), cache, SCOPE), Context(ScriptedIO(), notify=facts), request)
    assert lists == [good] and facts.events() == ["skipped"] and len(cache.store) == 0


# --- the stored form ----------------------------------------------------------------------------------------------


@given(answers)
def test_every_part_meta_usage_and_alternative_comes_back_as_it_was(response: GenerateResponse[Any]) -> None:
    response = structs.replace(response, finish=response.finish or Finish("stop"))
    data = encode_entry(response)
    assert data is not None
    gone = {"cost": None, "attempts": (), "timing": None, "rate_limits": None, "parsed": None, "raw": None}
    assert decode_entry(data) == structs.replace(response, **gone, cached=False)


@pytest.mark.parametrize(
    "part",
    [
        TextPart("half \ud800"),
        TextPart("x", meta={"openai": {"n": float("nan")}}),
        TextPart("x", meta={"openai": {"n": float("inf")}}),
        TextPart("x", meta={"openai": {"n": {1: 2}}}),
        TextPart("x", meta={"openai": {"n": b"bytes"}}),
        ReasoningPart("x", meta={"openai": {"n": object()}}),
    ],
    ids=["surrogate", "nan", "inf", "keys", "bytes", "object"],
)
def test_what_the_stored_form_would_not_say_again_is_not_kept(part: Any) -> None:
    response = GenerateResponse(content=(part,), finish=Finish("stop"))
    assert encode_entry(response) is None
    cache = Cache(MemoryStore())
    run_sync(cached(_double(unfold(response)), cache, SCOPE), Context(ScriptedIO()))
    assert len(cache.store) == 0


def test_numbers_of_any_length_come_back() -> None:
    response = GenerateResponse(
        content=(ToolCall("c", "f", "{}", meta={"openai": {"n": 2**80, "m": 0.1}}),),
        finish=Finish("tool_calls"),
        usage=Usage(2**40, 0, raw={"x": 2**70}),
    )
    data = encode_entry(response)
    assert data is None or decode_entry(data) == response


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b'{"content": 5}', b'{"finish": {"reason": "never"}}', b"\xff"]
)
def test_a_damaged_entry_is_told_of_deleted_and_asked_anew(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    cache, io, facts = Cache(MemoryStore()), ScriptedIO([whole()]), Facts()
    key = cache_key(REQUEST, scope_of(TARGET))
    assert key is not None
    cache.store.set(key, data, None)
    with caplog.at_level(logging.WARNING, "polyvox.calls.cache"):
        response = SyncRunner()(_through(cache), Context(io, notify=facts))

    assert response.text == "Hello" and not response.cached
    assert [fact.operation for kind, fact in facts.all if kind == "cache_error"] == ["decode"]
    assert len(caplog.records) == 1
    assert run_with(cache, io).cached


# --- a store that fails -------------------------------------------------------------------------------------------


class BrokenStore(MemoryStore):
    blocking = True

    def __init__(self, *broken: str) -> None:
        super().__init__()
        self.broken = broken

    def get(self, key: str) -> bytes | None:
        if "get" in self.broken:
            raise OSError("no server at redis://user:hunter2@cache.test")
        return super().get(key)

    def set(self, key: str, value: bytes, ttl: float | None) -> None:
        if "set" in self.broken:
            raise OSError("disk full")
        super().set(key, value, ttl)


@each_runner
@each_kind
@pytest.mark.parametrize("broken", [("get",), ("set",), ("get", "set")], ids="+".join)
def test_a_store_that_fails_costs_a_warning_and_never_the_call(
    run: Any, kind: str, broken: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    cache, io, facts = Cache(BrokenStore(*broken)), ScriptedIO([answer(kind), answer(kind)]), Facts()
    with caplog.at_level(logging.WARNING, "polyvox.calls.cache"):
        texts = [run(_through(cache, kind), Context(io, notify=facts)).text for _ in range(2)]

    assert texts == ["Hello", "Hello"] and len(io.requests) == 2
    told = [fact.operation for name, fact in facts.all if name == "cache_error"]
    assert told == list(broken) * 2
    assert len(caplog.records) == len(told)
    assert "BrokenStore" in caplog.text and "hunter2" not in caplog.text


# --- the memory store ---------------------------------------------------------------------------------------------


def test_the_least_recently_used_entry_goes_first() -> None:
    store = MemoryStore(max_entries=2)
    store.set("a", b"1", None)
    store.set("b", b"2", None)
    store.get("a")
    store.set("c", b"3", None)
    assert (store.get("a"), store.get("b"), store.get("c")) == (b"1", None, b"3")
    assert len(store) == 2 and store.size == 2


def test_the_memory_store_keeps_within_its_bytes() -> None:
    store = MemoryStore(max_bytes=10)
    for number in range(5):
        store.set(str(number), b"1234", None)
    assert len(store) == 2 and store.size == 8
    store.set("big", b"x" * 11, None)
    assert store.get("big") is None and len(store) == 2
    store.set("4", b"x" * 10, None)
    assert len(store) == 1 and store.size == 10


def test_the_memory_store_forgets() -> None:
    clock = Clock()
    store = MemoryStore(clock=lambda: clock.now)
    store.set("a", b"1", 5)
    store.set("b", b"1", None)
    clock.advance(5)
    assert store.get("a") is None and len(store) == 1
    store.delete("b")
    store.delete("b")
    assert len(store) == 0 and store.size == 0
    store.set("c", b"1", None)
    store.clear()
    store.close()
    assert store.get("c") is None


@pytest.mark.parametrize("settings", [{"max_entries": 0}, {"max_entries": True}, {"max_bytes": 0}, {"max_bytes": 1.5}])
def test_a_bound_that_makes_no_sense_is_named(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        MemoryStore(**settings)


def test_the_memory_store_holds_under_many_threads() -> None:
    store = MemoryStore(max_entries=50, max_bytes=400)

    def work(seed: int) -> None:
        for step in range(300):
            key = str((seed * 7 + step) % 80)
            store.set(key, b"x" * (step % 20 + 1), None)
            store.get(key)
            if step % 17 == 0:
                store.delete(key)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store) <= 50 and store.size <= 400
    assert store.size == sum(len(value) for value, _ in store._entries.values())


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 6)), max_size=30))
def test_the_memory_store_never_holds_more_than_it_may(steps: list[tuple[str, int]]) -> None:
    store = MemoryStore(max_entries=3, max_bytes=8)
    for key, size in steps:
        store.set(key, b"x" * size, None)
        assert len(store) <= 3 and store.size <= 8
        assert store.get(key) == b"x" * size
