"""What OpenTelemetry is told: one span a call, the conventions' metrics, no content unless asked, never a secret."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from polyvox import BadRequestError, Cache, Callbacks, CallConfig, ConfigError, MemoryStore, Telemetry
from polyvox.calls import telemetry_names as names
from polyvox.io.scripted import Pause, ScriptedIO
from tests.calls.wires import answer, ask, failed, lab, streamed

pytest.importorskip("opentelemetry.sdk", reason="the SDK of OpenTelemetry is not installed")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, get_current_span

KEY = "canary-key-0123456789"
each_kind = pytest.mark.parametrize("kind", ["generate", "stream"])


class Watch:
    """An SDK that keeps what it is told."""

    def __init__(self, **words: Any) -> None:
        self._spans = InMemorySpanExporter()
        traces = TracerProvider()
        traces.add_span_processor(SimpleSpanProcessor(self._spans))
        self._reader = InMemoryMetricReader()
        meters = MeterProvider([self._reader])
        self.config = CallConfig(telemetry=Telemetry(tracer_provider=traces, meter_provider=meters, **words))

    @property
    def span(self) -> Any:
        (span,) = self._spans.get_finished_spans()
        return span

    @property
    def spans(self) -> list[Any]:
        return list(self._spans.get_finished_spans())

    def points(self) -> dict[str, list[Any]]:
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        metrics = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics]
        return {metric.name: list(metric.data.data_points) for metric in metrics}


@each_kind
def test_a_call_is_one_span_by_the_conventions(make_caller: Any, kind: str) -> None:
    watch = Watch()
    caller = make_caller(**lab(ScriptedIO([answer(kind)]), call_config=watch.config))
    response = ask(caller, kind, "lab/m", "Hi", temperature=0.5, max_tokens=9, stop=["END"])

    span = watch.span
    told = dict(span.attributes)
    assert (span.name, span.kind.name, span.status.status_code) == ("chat m", "CLIENT", StatusCode.UNSET)
    assert (told[names.OPERATION], told[names.PROVIDER], told[names.REQUEST_MODEL]) == ("chat", "lab", "m")
    assert (told[names.SERVER_ADDRESS], told[names.SERVER_PORT]) == ("lab.test", 80)
    assert (told["gen_ai.request.temperature"], told["gen_ai.request.max_tokens"]) == (0.5, 9)
    assert told[names.REQUEST_STOP] == ("END",) and told[names.RESPONSE_FINISH] == ("stop",)
    assert told[names.RESPONSE_ID] == response.id and told[names.ATTEMPTS] == 1
    assert told.get(names.USAGE["input_tokens"]) == response.usage.input_tokens
    assert names.INPUT_MESSAGES not in told and names.OUTPUT_MESSAGES not in told


@each_kind
def test_the_metrics_of_the_conventions(make_caller: Any, kind: str) -> None:
    watch = Watch()
    make_caller(**lab(ScriptedIO([]), call_config=watch.config))
    body = answer("generate") if kind == "generate" else streamed()
    caller = make_caller(**lab(ScriptedIO([body]), call_config=watch.config))
    ask(caller, kind, "lab/m", "Hi")
    points = watch.points()
    assert points[names.DURATION][0].count == 1
    assert (names.FIRST_CHUNK in points) == (kind == "stream")
    if kind == "generate":
        assert {point.attributes[names.TOKEN_TYPE]: point.sum for point in points[names.TOKEN_USAGE]} == {
            "input": 3,
            "output": 2,
        }


@each_kind
def test_attempts_are_events_of_one_span(make_caller: Any, kind: str) -> None:
    watch = Watch()
    caller = make_caller(**lab(ScriptedIO([failed(503), answer(kind)]), call_config=watch.config))
    ask(caller, kind, "lab/m", "Hi")
    (event,) = watch.span.events
    assert event.name == "polyvox.retry"
    assert event.attributes["error"] == "OverloadedError" and event.attributes["attempt"] == 1
    assert watch.span.attributes[names.ATTEMPTS] == 2


@each_kind
def test_a_failure_is_told_without_a_secret(make_caller: Any, kind: str) -> None:
    watch = Watch(capture_content=True)
    block = {"base_url": "http://lab.test/v1", "api_key": KEY}
    caller = make_caller(
        io=ScriptedIO([failed(400, f"not with {KEY}")]), providers={"lab": block}, call_config=watch.config
    )
    with pytest.raises(BadRequestError):
        ask(caller, kind, "lab/m", f"my key is {KEY}")
    span = watch.span
    assert span.status.status_code is StatusCode.ERROR and "not with ***" in span.status.description
    assert span.attributes[names.ERROR_TYPE] == "BadRequestError"
    assert KEY not in span.to_json()
    assert watch.points()[names.DURATION][0].attributes[names.ERROR_TYPE] == "BadRequestError"


@each_kind
def test_content_is_told_when_asked_for(make_caller: Any, kind: str) -> None:
    watch = Watch(capture_content=True)
    caller = make_caller(**lab(ScriptedIO([answer(kind)]), call_config=watch.config))
    ask(caller, kind, "lab/m", "Why?")
    told = watch.span.attributes
    assert json.loads(told[names.INPUT_MESSAGES])[0]["content"][0]["text"] == "Why?"
    assert json.loads(told[names.OUTPUT_MESSAGES])[0]["content"][0]["text"] == "Hello"


def test_a_stream_that_is_left_ends_its_span(make_caller: Any) -> None:
    watch = Watch()
    caller = make_caller(**lab(ScriptedIO([streamed()]), call_config=watch.config))
    caller.stream("lab/m", "Hi").break_loop(2)
    assert watch.span.attributes[names.ERROR_TYPE] == "Cancelled"
    assert not get_current_span().is_recording()


def test_the_span_lasts_as_long_as_the_call(make_caller: Any) -> None:
    watch = Watch()
    io = ScriptedIO([streamed(Pause(2), *streamed().body)])
    make_caller(**lab(io, call_config=watch.config)).stream("lab/m", "Hi").drain()
    points = watch.points()
    assert points[names.DURATION][0].sum == points[names.FIRST_CHUNK][0].sum == 2


def test_a_cached_answer_uses_no_tokens(make_caller: Any) -> None:
    watch = Watch()
    config = CallConfig(cache=Cache(MemoryStore())).over(watch.config)
    caller = make_caller(**lab(ScriptedIO([answer("generate")]), call_config=config))
    for _ in range(2):
        caller.generate("lab/m", "Hi")
    assert [span.attributes.get(names.CACHED, False) for span in watch.spans] == [False, True]
    assert [point.count for point in watch.points()[names.TOKEN_USAGE]] == [1, 1]


def test_without_the_extra_a_sentence_says_what_to_install(make_caller: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    config = CallConfig(telemetry=Telemetry(tracer_provider=TracerProvider()))
    with pytest.raises(ConfigError, match=r"polyvox\[otel\]"):
        make_caller(**lab(ScriptedIO([answer("generate")]), call_config=config)).generate("lab/m", "Hi")


@pytest.mark.parametrize(("given", "shown"), [(True, False), (False, True)])
def test_captured_content_shows_what_only_looks_like_a_key_when_asked_for(
    make_caller: Any, given: bool, shown: bool
) -> None:
    watch, shaped = Watch(capture_content=True), "sk-proj-0123456789abcdef"
    block = {"base_url": "http://lab.test/v1", "api_key": KEY}
    io = ScriptedIO([answer("generate", f"No, {shaped} and {KEY} are none")])
    caller = make_caller(
        io=io, providers={"lab": block}, call_config=CallConfig(sanitize_secrets=given).over(watch.config)
    )
    caller.generate("lab/m", f"Is {shaped} a key?")
    told = dict(watch.span.attributes)

    for attribute in (names.INPUT_MESSAGES, names.OUTPUT_MESSAGES):
        assert (shaped in told[attribute]) is shown
        assert KEY not in told[attribute]


@each_kind
def test_a_call_is_a_child_of_the_programs_own_span_and_never_the_current_one(make_caller: Any, kind: str) -> None:
    watch, seen = Watch(), []
    telemetry = watch.config.telemetry
    assert isinstance(telemetry, Telemetry) and telemetry.tracer_provider is not None
    callbacks = Callbacks(on_content=lambda text, event: seen.append(get_current_span()))
    config = CallConfig(callbacks=callbacks).over(watch.config)
    caller = make_caller(**lab(ScriptedIO([answer(kind)]), call_config=config))
    tracer = telemetry.tracer_provider.get_tracer("program")

    async def work_within() -> Any:
        # Within the task: a runner's tasks do not see what is current outside of it.
        with tracer.start_as_current_span("work") as work:
            if kind == "generate":
                await caller.client.generate("lab/m", "Hi")
            else:
                await caller.client.stream("lab/m", "Hi").drain()
        return work

    if caller.kind == "async":
        work = caller.runner.run(work_within())
    else:
        with tracer.start_as_current_span("work") as work:
            ask(caller, kind, "lab/m", "Hi")
    call, program = sorted(watch.spans, key=lambda span: span.name)

    assert (call.name, program.name) == ("chat m", "work")
    assert call.parent is not None and call.parent.span_id == work.get_span_context().span_id
    assert seen and all(span is work for span in seen)
