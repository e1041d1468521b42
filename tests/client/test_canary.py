"""A key planted everywhere shows nowhere: for every provider, whatever goes wrong, in every place a person may look."""

from __future__ import annotations

import io
import logging
import os
import pickle
import traceback
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.calls.wires import answer, ask

from polyvox import (
    AsyncStreamQueue,
    Callbacks,
    CallConfig,
    ConnectError,
    PolyvoxError,
    Retry,
    StreamQueue,
    Telemetry,
    Timeout,
)
from polyvox.io.scripted import Answer, ScriptedIO
from polyvox.registry.providers import ProviderRegistry
from polyvox.testing import FaultServer, record
from polyvox.testing.faults import CutAfter, HeaderStall, HtmlErrorPage, ResetOnAccept, ServerFault, Unauthorized

KEY = "canary-7f3a9c2e51d84b60"
PAGES = [page for page in ProviderRegistry().list() if page.io == "http"]

ECHO = f'{{"error": {{"message": "the key {KEY} is wrong", "type": "{KEY}", "code": "{KEY}"}}}}'.encode()
HEADERS = {"content-type": "application/json", "x-request-id": KEY, "set-cookie": KEY, "www-authenticate": KEY}
FAILURES: dict[str, Any] = {
    "refused": Answer(401, HEADERS, [ECHO]),
    "limited": Answer(429, {**HEADERS, "retry-after": "0"}, [ECHO]),
    "failed": Answer(500, HEADERS, [ECHO]),
    "page": Answer(200, {"content-type": "text/html"}, [f"<html>{KEY}</html>".encode()]),
    "no json": Answer(200, {"content-type": "application/json"}, [f"{{ {KEY} ".encode()]),
    "text": Answer(502, {"content-type": "text/plain"}, [f"upstream said {KEY}".encode()]),
    "frame": Answer(200, {"content-type": "text/event-stream"}, [b"event: error\ndata: " + ECHO + b"\n\n"]),
    "connection": ConnectError(f"cannot reach http://user:{KEY}@proxy.test"),
}


def settings(name: str, answers: Any, **more: Any) -> dict[str, Any]:
    block = {
        "api_key": KEY,
        "base_url": f"https://user:{KEY}@{name.replace('_', '-')}.test/v1",
        "headers": {"X-Trace": f"t-{KEY}", "Cookie": KEY},
        "options": {"planted": KEY},
    }
    return {"io": answers, "providers": {name: block}, **more}


@pytest.mark.parametrize("kind", ["generate", "stream"])
@pytest.mark.parametrize("name", [page.name for page in PAGES])
def test_a_planted_key_shows_nowhere(
    make_caller: Any, kind: str, name: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    trace = pytest.importorskip("opentelemetry.sdk.trace", reason="the SDK of OpenTelemetry is not installed")
    export = pytest.importorskip("opentelemetry.sdk.trace.export")
    caplog.set_level(logging.DEBUG, "polyvox")
    spans = io.StringIO()
    tracing = trace.TracerProvider()
    tracing.add_span_processor(export.SimpleSpanProcessor(export.ConsoleSpanExporter(out=spans)))
    heard: list[str] = []

    def hear(told: Any) -> None:
        heard.append(repr(told) + str(told))

    config = CallConfig(
        retry=2,
        log_bodies=True,
        telemetry=Telemetry(tracer_provider=tracing, capture_content=True),
        callbacks=Callbacks(on_start=hear, on_usage=hear, on_retry=hear, on_error=hear, on_end=hear),
    )
    for number, failure in enumerate(FAILURES.values()):
        with record(tmp_path / f"{number}.jsonl") as cassette:
            caller = make_caller(**settings(name, cassette(ScriptedIO([failure, failure])), call_config=config))
            shown = [repr(caller.client), repr(caller.client.config), repr(caller.client.registry.resolve(f"{name}/m"))]
            explanation = caller.client.explain(f"{name}/m", "Hi")
            shown += [str(explanation), repr(explanation), repr(caller.client.stream(f"{name}/m", "Hi"))]
            with pytest.raises(PolyvoxError) as caught:
                ask(caller, kind, f"{name}/m", f"Is my key {KEY} right?")
        shown += faces(caught.value)
        shown += [file.read_text(encoding="utf-8") for file in tmp_path.iterdir()]
        where = [text for text in [*shown, *heard, caplog.text, spans.getvalue()] if KEY in text]
        assert not where, where[0][max(0, where[0].index(KEY) - 200) : where[0].index(KEY) + 60]
    assert "***" in caplog.text and "***" in spans.getvalue() and heard


def faces(error: BaseException) -> list[str]:
    """Every text in which a person may meet an error."""
    shown = ["".join(traceback.format_exception(error))]
    links: list[BaseException | None] = [error]
    while links:
        link = links.pop()
        if link is not None:
            shown += [str(link), repr(link), str(link.__dict__), str(link.args), *getattr(link, "__notes__", ())]
            # A context that is not shown is within reach of who reports errors, all the same.
            links += [link.__cause__, link.__context__]
    if isinstance(error, PolyvoxError):
        shown.append(repr(pickle.loads(pickle.dumps(error)).__dict__))
        if error.partial is not None:
            shown.append(msgspec.json.encode(error.partial).decode())
    return shown


def locals_of(error: BaseException) -> list[str]:
    """What a reporter of errors shows of every frame but the test's: the repr of each local."""
    shown = []
    link: BaseException | None = error
    while link is not None:
        for frame, _ in traceback.walk_tb(link.__traceback__):
            if not frame.f_code.co_filename.startswith(os.path.dirname(__file__)):
                shown += [f"{frame.f_code.co_qualname} {name} = {value!r}" for name, value in frame.f_locals.items()]
        link = link.__cause__ or link.__context__
    return shown


FAULTS = {
    "refused": Unauthorized(),
    "failed": ServerFault(),
    "cut": CutAfter(60),
    "reset": ResetOnAccept(),
    "silent": HeaderStall(),
    "page": HtmlErrorPage(),
    "unreachable": None,
}


@pytest.mark.parametrize("kind", ["generate", "stream"])
@pytest.mark.parametrize("what", FAULTS)
def test_no_frame_of_ours_holds_a_key_in_the_open(make_caller: Any, kind: str, what: str) -> None:
    """Over a real connection: reporters of errors show the locals of every frame."""
    with FaultServer("Hello", faults=FAULTS[what]) as server:
        url = server.base_url("openai") if FAULTS[what] is not None else "http://127.0.0.1:9/v1"
        block = {"api_key": KEY, "base_url": url, "dialect": "openai", "headers": {"X-Trace": KEY, "Cookie": KEY}}
        retry = Retry(max_attempts=2, initial=0, jitter=0)
        caller = make_caller(providers={"lab": block}, call_config=CallConfig(retry=retry))
        with pytest.raises(PolyvoxError) as caught:
            ask(caller, kind, "lab/m", "Hi", timeout=Timeout(first_event=0.2))
    found = [text for text in [*faces(caught.value), *locals_of(caught.value)] if KEY in text]
    assert not found, found[0][:2000]


@pytest.mark.parametrize("on_error", ["stop", "skip", "collect"])
def test_what_a_queue_tells_of_failures_shows_no_key(make_caller: Any, on_error: str) -> None:
    """Neither its errors, nor the group that `collect` raises."""
    answers = [FAILURES["refused"], FAILURES["page"], FAILURES["frame"]]
    caller = make_caller(**settings("openai", ScriptedIO(answers), call_config=CallConfig(retry=False)))
    streams = [caller.client.stream("openai/m", f"Is my key {KEY} right?") for _ in answers]
    shown: list[str] = []

    def tell(queue: Any, failure: BaseException | None) -> None:
        for error in [failure, *getattr(failure, "exceptions", ()), *queue.errors.values()]:
            shown.extend(faces(error) if error is not None else ())
        shown.append(repr(queue) + repr(queue.errors) + repr(queue.responses))

    def plain() -> None:
        with StreamQueue(on_error=on_error) as queue:
            failure = None
            for stream in streams:
                queue.add(stream)
            queue.end()
            try:
                for _ in queue:
                    pass
            except (PolyvoxError, ExceptionGroup) as error:
                failure = error
            tell(queue, failure)

    async def asynchronous() -> None:
        async with AsyncStreamQueue(on_error=on_error) as queue:
            failure = None
            for stream in streams:
                queue.add(stream)
            queue.end()
            try:
                async for _ in queue:
                    pass
            except (PolyvoxError, ExceptionGroup) as error:
                failure = error
            tell(queue, failure)

    if caller.kind == "sync":
        plain()
    else:
        caller.runner.run(asynchronous())
    assert not [text for text in shown if KEY in text]
    assert "***" in "".join(shown)


@pytest.mark.parametrize("kind", ["generate", "stream"])
def test_what_the_callers_own_code_raises_shows_no_key(
    make_caller: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A callback, a processor, a predicate that puts the key into its own error: reported without it."""

    def careless(*told: Any) -> Any:
        raise ValueError(f"lost {KEY}")

    def after_the_start(events: list[Any]) -> list[Any]:
        return careless() if any(type(event).__name__ == "TextDelta" for event in events) else events

    caplog.set_level(logging.DEBUG, "polyvox")
    for config in (
        CallConfig(callbacks=Callbacks(on_start=careless, on_end=careless)),
        CallConfig(post=[after_the_start]),
        CallConfig(pre=[careless]),
    ):
        caller = make_caller(**settings("lab", ScriptedIO([answer(kind)]), call_config=config))
        if config.callbacks:
            assert ask(caller, kind, "lab/m", "Hi").text == "Hello"
            continue
        with pytest.raises(PolyvoxError) as caught:
            ask(caller, kind, "lab/m", "Hi")
        assert not [text for text in faces(caught.value)[1:] if KEY in text]
    assert "raised ValueError: lost ***" in caplog.text and KEY not in caplog.text
