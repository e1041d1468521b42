"""The in-process model behind the seam: to everything above it, it is an HTTP server."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from polyvox.errors import CallTimeoutError, Cancelled, ConfigError
from polyvox.io import local_files
from polyvox.io.base import Cancel, Context, HttpRequest, drive
from polyvox.io.blocking import BlockingIO
from polyvox.io.local import LocalIO
from polyvox.io.local_engine import ENGINES, LocalSettings
from polyvox.types.models import Timeout

pytestmark = [
    pytest.mark.local_model,
    pytest.mark.skipif(
        not local_files.model_path().is_file() or local_files.binding_version() is None,
        reason="the local model is not installed: run `polyvox local install` and pip install 'polyvox[local]'",
    ),
]

SYSTEM = {"role": "system", "content": "You are a helpful assistant."}
# A seed and a length that make an answer long enough to be stopped in the middle, whatever the model says.
ENDLESS: dict[str, Any] = {"ignore_eos": True, "max_tokens": 3500}


def body(text: str = "Why is the sky blue?", **settings: Any) -> bytes:
    asked = {"messages": [SYSTEM, {"role": "user", "content": text}], **settings}
    return json.dumps(asked).encode()


def post(content: bytes, path: str = "/chat/completions") -> HttpRequest:
    return HttpRequest("POST", f"local://model{path}", {}, content)


def sync_io(**settings: Any) -> LocalIO:
    return LocalIO(BlockingIO(), asynchronous=False, **settings)


async def exchange(io: Any, content: bytes, context: Context | None = None) -> tuple[int, dict[str, str], bytes]:
    context = context or Context(io)
    pieces = []
    async with io.open(post(content), context) as response:
        while piece := await response.read(context.until):
            pieces.append(piece)
        return response.status, dict(response.headers), b"".join(pieces)


def ask(content: bytes, **settings: Any) -> tuple[int, dict[str, str], bytes]:
    return drive(exchange(sync_io(**settings), content))


def chunks(stream: bytes) -> list[Any]:
    """The JSON of each SSE frame, read by hand."""
    frames = stream.decode().split("\n\n")
    assert frames.pop() == "", "the body ends with a whole frame"
    assert all(frame.startswith("data: ") for frame in frames)
    assert frames.pop() == "data: [DONE]"
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


def text_of(stream: bytes) -> str:
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks(stream) if chunk["choices"])


def test_a_streamed_answer_comes_as_server_sent_events() -> None:
    status, headers, stream = ask(body(stream=True, max_tokens=8, stream_options={"include_usage": True}))

    assert status == 200
    assert headers["content-type"] == "text/event-stream"
    got = chunks(stream)
    assert text_of(stream).strip()
    assert [chunk["choices"][0]["finish_reason"] for chunk in got if chunk["choices"]][-1] == "length"
    assert got[-1]["usage"]["completion_tokens"] == 8
    assert not any("prompt_progress" in chunk for chunk in got)


def test_the_pieces_come_while_the_model_is_still_writing() -> None:
    async def first_of_many() -> float:
        io = sync_io()
        context = Context(io)
        async with io.open(post(body(stream=True, **ENDLESS)), context) as response:
            started = time.monotonic()
            for _ in range(4):
                assert await response.read(context.until)
            return time.monotonic() - started

    # 3500 tokens would take 20 s and more.
    assert drive(first_of_many()) < 3


def test_a_seed_repeats_the_same_answer_whatever_was_asked_in_between() -> None:
    first = ask(body(stream=True, seed=7, max_tokens=16))
    ask(body("Why is the grass green?", stream=True, max_tokens=2))
    second = ask(body(stream=True, seed=7, max_tokens=16))
    other = ask(body(stream=True, seed=8, max_tokens=16))

    assert text_of(first[2]) == text_of(second[2])
    assert text_of(first[2]) != text_of(other[2])


def test_closing_a_stream_stops_the_model_at_once() -> None:
    async def leave_early(io: LocalIO) -> None:
        context = Context(io)
        async with io.open(post(body(stream=True, **ENDLESS)), context) as response:
            await response.read(context.until)

    io = sync_io()
    drive(leave_early(io))
    started = time.monotonic()
    drive(exchange(io, body(stream=True, max_tokens=1)))

    assert time.monotonic() - started < 3, "the next call waited for the answer nobody reads"


def test_a_stream_that_is_dropped_stops_the_model_too() -> None:
    io = sync_io()
    call = io.open(post(body(stream=True, **ENDLESS)), Context(io))
    drive(call.__aenter__())  # type: ignore[arg-type]
    del call
    gc.collect()
    started = time.monotonic()
    drive(exchange(io, body(stream=True, max_tokens=1)))

    assert time.monotonic() - started < 3


def test_a_long_prompt_is_given_up_in_the_middle() -> None:
    io = sync_io()
    context = Context(io, Timeout(first_event=0.3))

    with pytest.raises(CallTimeoutError) as caught:
        # 3500 tokens of prompt at some 4 ms each; a whole answer, so that nothing comes before its end.
        drive(exchange(io, body("word " * 3500, max_tokens=1), context))
    assert caught.value.phase == "first_event"
    started = time.monotonic()
    drive(exchange(io, body(stream=True, max_tokens=1)))
    assert time.monotonic() - started < 3


def test_an_abort_from_another_thread_ends_a_wait_for_the_turn_and_a_read() -> None:
    io = sync_io()
    in_hand, waiting = Cancel(), Cancel()
    outcomes: dict[str, BaseException] = {}
    reading = threading.Event()

    async def read_on(context: Context) -> None:
        async with io.open(post(body(stream=True, **ENDLESS)), context) as response:
            reading.set()
            while await response.read(context.until):
                pass

    def run(name: str, cancel: Cancel) -> None:
        try:
            drive(read_on(Context(io, cancel=cancel)))
        except BaseException as error:
            outcomes[name] = error

    threads = [threading.Thread(target=run, args=pair) for pair in (("in hand", in_hand), ("waiting", waiting))]
    threads[0].start()
    assert reading.wait(20)
    threads[1].start()
    time.sleep(0.1)
    waiting.set()
    threads[1].join(5)
    assert not threads[1].is_alive()
    assert threads[0].is_alive(), "the other call goes on"
    in_hand.set()
    threads[0].join(5)

    assert not threads[0].is_alive()
    assert {name: type(error) for name, error in outcomes.items()} == {"in hand": Cancelled, "waiting": Cancelled}


def test_a_call_that_waits_for_its_turn_obeys_its_limit() -> None:
    io = sync_io()

    async def two() -> None:
        context = Context(io)
        async with io.open(post(body(stream=True, **ENDLESS)), context) as response:
            await response.read(context.until)
            await exchange(io, body(stream=True), Context(io, Timeout(first_event=0.1)))

    with pytest.raises(CallTimeoutError) as caught:
        drive(two())
    assert caught.value.phase == "first_event"


def test_structured_output_holds_the_model_to_the_schema() -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}, "sunny": {"type": "boolean"}},
        "required": ["city", "sunny"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "weather", "strict": True, "schema": schema}}
    _, _, stream = ask(body("Weather?", stream=True, seed=1, max_tokens=60, response_format=form))

    answer = json.loads(text_of(stream))
    assert answer["city"] in ("Paris", "Rome")
    assert isinstance(answer["sunny"], bool)
    assert set(answer) == {"city", "sunny"}


@pytest.mark.parametrize("stream", [True, False])
def test_a_prompt_longer_than_the_context_is_refused_in_words_of_the_wire(stream: bool) -> None:
    status, headers, content = ask(body("word " * 9000, stream=stream))

    assert status == 400
    assert headers["content-type"] == "application/json"
    error = json.loads(content)["error"]
    assert error["code"] == "context_length_exceeded"
    assert "4096" in error["message"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{nope", "no JSON object"),
        (b"[]", "no JSON object"),
        (b'{"messages": "hello"}', "messages"),
        (body(temperature="hot"), "temperature"),
        (body(n=2), "'n'"),
        (
            json.dumps(
                {
                    "messages": [
                        {
                            "role": "user",
                            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}],
                        }
                    ]
                }
            ).encode(),
            "image input is not supported",
        ),
    ],
    ids=["no JSON", "no object", "messages", "temperature", "n", "image"],
)
def test_a_request_the_model_cannot_take_is_a_400_that_says_why(content: bytes, words: str) -> None:
    status, _, answer = ask(content)

    assert status == 400
    assert words in json.loads(answer)["error"]["message"]


def test_another_path_is_not_found() -> None:
    io = sync_io()

    async def elsewhere() -> int:
        async with io.open(post(b"{}", "/embeddings"), Context(io)) as response:
            return response.status

    assert drive(elsewhere()) == 404


def test_all_clients_of_a_process_share_one_loaded_model() -> None:
    ask(body(stream=True, max_tokens=1))
    ask(body(stream=True, max_tokens=1))
    path = local_files.model_path()

    assert ENGINES.get(path, LocalSettings()) is ENGINES.get(path, LocalSettings())
    assert len([engine for engine in ENGINES._engines.values() if engine.loaded]) == 1


def test_calls_from_many_threads_take_turns() -> None:
    answers: list[str] = []

    def run() -> None:
        answers.append(text_of(ask(body(stream=True, seed=3, max_tokens=6))[2]))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert len(answers) == 6
    assert len(set(answers)) == 1


def test_the_event_loop_stays_free_while_the_model_writes() -> None:
    async def main() -> tuple[str, int]:
        from polyvox.io.aio import AsyncIO

        io = LocalIO(AsyncIO(), asynchronous=True)
        turns = 0
        done = False

        async def watch() -> None:
            nonlocal turns
            while not done:
                await asyncio.sleep(0.001)
                turns += 1

        watching = asyncio.create_task(watch())
        _, _, stream = await exchange(io, body("word " * 200, stream=True, seed=3, max_tokens=30, ignore_eos=True))
        done = True
        await watching
        await io.close()
        return text_of(stream), turns

    text, turns = asyncio.run(main())
    assert text
    # A loop that the model held would turn about once a token, and there are 30.
    assert turns > 100


def test_cancelling_the_task_stops_the_model() -> None:
    async def main() -> float:
        from polyvox.io.aio import AsyncIO

        io = LocalIO(AsyncIO(), asynchronous=True)
        started = asyncio.Event()

        async def read_on() -> None:
            context = Context(io)
            async with io.open(post(body(stream=True, **ENDLESS)), context) as response:
                while await response.read(context.until):
                    started.set()

        reading = asyncio.create_task(read_on())
        await started.wait()
        waiting = asyncio.create_task(exchange(io, body(stream=True)))
        await asyncio.sleep(0.05)
        for task in (waiting, reading):
            task.cancel()
        results = await asyncio.gather(reading, waiting, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        before = time.monotonic()
        await exchange(io, body(stream=True, max_tokens=1))
        await io.close()
        return time.monotonic() - before

    assert asyncio.run(main()) < 3


def test_an_async_abort_and_an_async_limit_end_the_wait() -> None:
    async def main() -> tuple[BaseException, BaseException]:
        from polyvox.io.aio import AsyncIO

        io = LocalIO(AsyncIO(), asynchronous=True)
        cancel = Cancel()
        threading.Timer(0.2, cancel.set).start()
        aborted, late = await asyncio.gather(
            exchange(io, body(stream=True, **ENDLESS), Context(io, cancel=cancel)),
            exchange(io, body(stream=True), Context(io, Timeout(total=0.1))),
            return_exceptions=True,
        )
        await io.close()
        assert isinstance(aborted, BaseException)
        assert isinstance(late, BaseException)
        return aborted, late

    aborted, late = asyncio.run(main())
    assert isinstance(aborted, Cancelled)
    assert isinstance(late, CallTimeoutError)
    assert late.phase == "total"


def test_other_addresses_go_to_the_inner_io() -> None:
    class Inner(BlockingIO):
        def open(self, request: HttpRequest, context: Context) -> Any:
            return ("inner", request.url)

    io = LocalIO(Inner(), asynchronous=False)

    request = HttpRequest("POST", "http://127.0.0.1:1/chat/completions")
    assert io.open(request, Context(io)) == ("inner", request.url)  # type: ignore[comparison-overlap]


def test_a_missing_model_file_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POLYVOX_DATA_DIR", str(tmp_path))
    with pytest.raises(ConfigError, match="run `polyvox local install`"):
        ask(body())
    monkeypatch.setenv("POLYVOX_LOCAL_MODEL", str(tmp_path / "mine.gguf"))
    with pytest.raises(ConfigError, match=r"POLYVOX_LOCAL_MODEL names .*mine\.gguf"):
        ask(body())


def test_a_damaged_model_file_says_so_and_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    damaged = tmp_path / "damaged.gguf"
    with local_files.model_path().open("rb") as whole:
        damaged.write_bytes(whole.read(100_000))

    with pytest.raises(ConfigError, match="cannot be loaded"):
        ask(body(), path=damaged)
    captured = capfd.readouterr()
    assert captured.err == ""
    assert captured.out == ""


def test_without_the_binding_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    monkeypatch.setitem(sys.modules, "xllamacpp", None)

    with pytest.raises(ConfigError, match=r"pip install 'polyvox\[local\]'"):
        ask(body(), path=file)


def test_the_rows_context_is_the_one_the_model_is_loaded_with() -> None:
    from polyvox.providers.local import MODELS

    assert [row.context_tokens for row in MODELS] == [LocalSettings().context_tokens]


SCRIPT = """
import os, sys
from polyvox.io.base import Context, HttpRequest, drive
from polyvox.io.blocking import BlockingIO
from polyvox.io.local import LocalIO
assert "xllamacpp" not in sys.modules
io = LocalIO(BlockingIO(), asynchronous=False)
body = b'{"messages": [{"role": "user", "content": "hi"}], "stream": true, "ignore_eos": true, "max_tokens": 4000}'
context = Context(io)
call = io.open(HttpRequest("POST", "local://m/chat/completions", {}, body), context)
assert drive(call.__aenter__()).status == 200
"""
ENDINGS = {
    "while the model writes": "sys.exit(3)",
    "right after a request that was refused": """
drive(call.__aexit__(None, None, None))
body = b'{"messages": 1}'
call = io.open(HttpRequest("POST", "local://m/chat/completions", {}, body), context)
assert drive(call.__aenter__()).status == 400
sys.exit(3)
""",
    "in a forked child": "sys.exit(3 if os.fork() == 0 else os.waitstatus_to_exitcode(os.wait()[1]))",
    "in a forked child that asks again": """
if os.fork() != 0:
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
call = io.open(HttpRequest("POST", "local://m/chat/completions", {}, body), context)
assert drive(call.__aenter__()).status == 200
sys.exit(3)
""",
}


@pytest.fixture(params=ENDINGS, ids=list(ENDINGS))
def ending(request: pytest.FixtureRequest) -> Iterator[str]:
    if "fork" in request.param and not sys.platform.startswith("linux"):
        pytest.skip("forking with a loaded model is looked after on Linux")
    yield ENDINGS[request.param]


def test_the_process_ends_at_once_and_quietly(ending: str) -> None:
    ended = subprocess.run([sys.executable, "-c", SCRIPT + ending], capture_output=True, text=True, timeout=30)

    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "", "")


def test_the_bindings_own_server_is_locked() -> None:
    """The binding opens a port on loopback; nobody without the key gets an answer there."""
    import urllib.error
    import urllib.request

    ask(body(stream=True, max_tokens=1))
    engine = ENGINES.get(local_files.model_path(), LocalSettings())
    address = engine._server.listening_address
    assert address.startswith("http://127.0.0.1:")

    request = urllib.request.Request(f"{address}/v1/chat/completions", data=body(), method="POST")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)
    caught.value.close()
    assert caught.value.code == 401
