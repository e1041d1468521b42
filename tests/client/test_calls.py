"""`generate` and `stream` as a user sees them, on both clients, against a server on loopback."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Struct
from tests.loopback import (
    LoopbackServer,
    chat,
    chat_chunk,
    error,
    json_chat,
    respond,
    sse_chat,
    sse_frames,
    unused_url,
)

import polyvox
from polyvox import (
    Adjustment,
    AuthenticationError,
    BadRequestError,
    CallConfig,
    ConfigError,
    ConnectError,
    DecodeError,
    Finish,
    InterruptedCallError,
    Message,
    PartEnd,
    PartStart,
    RateLimitError,
    RawFrame,
    ServerError,
    StreamEnd,
    StreamStart,
    TextDelta,
    TextPart,
    Tool,
    UnsupportedError,
    UsageUpdate,
)

KEY = "sk-canary-0123456789abcdef"


def lab(url: str, **block: Any) -> dict[str, Any]:
    return {"lab": {"base_url": url, "api_key": KEY, **block}}


def test_generate_gives_one_typed_answer(make_caller: Any) -> None:
    with LoopbackServer(chat("The sky is blue.")) as server:
        reply = make_caller(providers=lab(server.url)).generate("lab/m", "Why?")

    assert reply.text == "The sky is blue."
    assert reply.finish == Finish("stop", "stop")
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.total_tokens) == (3, 2, 5)
    assert (reply.provider, reply.model, reply.origin) == ("lab", "test-model", "lab/m")
    assert reply.request_id == "req_loopback"
    assert reply.cost is None
    assert [attempt.error for attempt in reply.attempts] == [None]
    assert reply.timing is not None and 0 <= reply.timing.connect <= reply.timing.first_event <= reply.timing.total


def test_the_request_says_what_was_asked_and_nothing_else(make_caller: Any) -> None:
    with LoopbackServer(chat("ok")) as server:
        make_caller(providers=lab(server.url, headers={"X-Team": "blue"})).generate(
            "lab/m", "Hi", system="Be brief.", temperature=0, max_tokens=5, headers={"X-One": "1"}
        )
    request = server.requests[0]

    assert (request.method, request.path) == ("POST", "/chat/completions")
    assert request.json() == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "temperature": 0,
        "max_tokens": 5,
    } or request.json() == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "temperature": 0,
        "max_completion_tokens": 5,
    }
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert (request.headers["x-team"], request.headers["x-one"]) == ("blue", "1")


def test_a_stream_gives_typed_events_and_then_the_same_answer(make_caller: Any) -> None:
    with LoopbackServer(chat("Hello, you", pieces=2)) as server:
        caller = make_caller(providers=lab(server.url))
        stream = caller.stream("lab/m", "Hi")
        events = stream.events()
        whole = caller.generate("lab/m", "Hi")

    assert isinstance(events[0], StreamStart) and events[0].provider == "lab"
    assert [event.text for event in events if isinstance(event, TextDelta) and event.text] == ["Hello", ", you"]
    assert isinstance(events[-1], StreamEnd)
    assert {type(event) for event in events} == {StreamStart, PartStart, TextDelta, PartEnd, UsageUpdate, StreamEnd}
    reply = stream.response
    assert (reply.text, reply.finish, reply.origin) == (whole.text, whole.finish, whole.origin)
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (3, 2)
    assert reply.request_id == "req_loopback" and reply.message == Message("assistant", whole.content, "lab/m")


def test_stream_text_gives_the_pieces(make_caller: Any) -> None:
    with LoopbackServer(sse_chat(["Hel", "lo"])) as server:
        stream = make_caller(providers=lab(server.url)).stream("lab/m", "Hi")
        assert stream.texts() == ["Hel", "lo"]
        assert stream.response.text == "Hello"


def test_drain_reads_to_the_end(make_caller: Any) -> None:
    with LoopbackServer(sse_chat(["Hel", "lo"])) as server:
        assert make_caller(providers=lab(server.url)).stream("lab/m", "Hi").drain().text == "Hello"


def test_a_stream_sends_nothing_until_it_is_read(make_caller: Any) -> None:
    with LoopbackServer(chat("ok")) as server:
        stream = make_caller(providers=lab(server.url)).stream("lab/m", "Hi")
        assert server.accepted == 0
        stream.drain()
        assert server.accepted == 1


def test_raw_adds_the_frames(make_caller: Any) -> None:
    with LoopbackServer(sse_chat(["Hi"])) as server:
        events = make_caller(providers=lab(server.url)).stream("lab/m", "Hi", raw=True).events()

    frames = [event.data for event in events if isinstance(event, RawFrame)]
    assert frames[-1] == b"[DONE]" and json.loads(frames[1])["choices"][0]["delta"] == {"content": "Hi"}
    assert isinstance(events[0], RawFrame) and isinstance(events[1], StreamStart)
    assert events[1].provider == "lab"


def test_an_answer_that_was_asked_as_a_stream_and_came_whole_is_read_all_the_same(make_caller: Any) -> None:
    with LoopbackServer(json_chat("All at once.")) as server:
        stream = make_caller(providers=lab(server.url)).stream("lab/m", "Hi")
        texts = stream.texts()

    assert texts == ["All at once."] and stream.response.finish == Finish("stop", "stop")
    assert stream.response.provider == "lab" and stream.response.origin == "lab/m"


def test_messages_may_be_text_or_objects_or_openais_shape_or_our_serial_form(make_caller: Any) -> None:
    said: list[Any] = [
        "Hi",
        polyvox.user("Hi"),
        [polyvox.user("Hi")],
        [{"role": "user", "content": "Hi"}],
        [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        [{"role": "user", "content": [{"type": "text", "text": "Hi"}], "origin": None}],
    ]
    with LoopbackServer(chat("ok")) as server:
        caller = make_caller(providers=lab(server.url))
        for messages in said:
            caller.generate("lab/m", messages)
    bodies = [request.json()["messages"] for request in server.requests]

    assert [body[0]["content"] in ("Hi", [{"type": "text", "text": "Hi"}]) for body in bodies] == [True] * len(said)


def test_a_conversation_goes_on_with_the_answers_message(make_caller: Any) -> None:
    with LoopbackServer(chat("Blue.")) as server:
        caller = make_caller(providers=lab(server.url))
        first = caller.generate("lab/m", "What colour?")
        caller.generate("lab/m", [polyvox.user("What colour?"), first.message, polyvox.user("Why?")])

    assert server.requests[1].json()["messages"] == [
        {"role": "user", "content": "What colour?"},
        {"role": "assistant", "content": "Blue."},
        {"role": "user", "content": "Why?"},
    ]


def weather(city: str, *, days: int = 1) -> str:
    """Tell the weather.

    Args:
        city: where
        days: how many days ahead
    """
    return f"{city}: sun for {days}"


@pytest.mark.parametrize(
    "tool",
    [
        weather,
        {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}},
        Tool("weather", parameters={"type": "object", "properties": {}}),
        {"name": "weather", "parameters": {"type": "object", "properties": {}}},
    ],
)
def test_tools_may_be_functions_or_tools_or_dicts(make_caller: Any, tool: Any) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
    with LoopbackServer(json_chat("", finish="tool_calls", tool_calls=[call])) as server:
        reply = make_caller(providers=lab(server.url)).generate("lab/m", "Rome?", tools=[tool], tool_choice="weather")

    assert [(call.id, call.name, call.decode()) for call in reply.tool_calls] == [
        ("call_1", "weather", {"city": "Rome"})
    ]
    body = server.requests[0].json()
    assert body["tools"][0]["function"]["name"] == "weather"
    assert body["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


def test_a_functions_signature_becomes_its_schema(make_caller: Any) -> None:
    with LoopbackServer(chat("ok")) as server:
        make_caller(providers=lab(server.url)).generate("lab/m", "Rome?", tools=[weather])
    function = server.requests[0].json()["tools"][0]["function"]

    assert function["description"] == "Tell the weather."
    assert function["parameters"]["required"] == ["city"]
    assert function["parameters"]["properties"]["city"]["description"] == "where"


def test_output_is_parsed_into_the_type_asked_for(make_caller: Any) -> None:
    class City(Struct):
        name: str
        people: int

    with LoopbackServer(chat('{"name": "Rome", "people": 3}')) as server:
        caller = make_caller(providers=lab(server.url))
        reply = caller.generate("lab/m", "A city", output=City)
        streamed = caller.stream("lab/m", "A city", output=City).drain()

    assert reply.parsed == City(name="Rome", people=3) == streamed.parsed
    assert server.requests[0].json()["response_format"]["json_schema"]["schema"]["required"] == ["name", "people"]


def test_output_that_is_not_of_the_type_raises_and_keeps_the_answer(make_caller: Any) -> None:
    with LoopbackServer(chat("Sorry, no JSON today")) as server, pytest.raises(DecodeError) as caught:
        make_caller(providers=lab(server.url)).generate("lab/m", "A list", output=list[int])

    assert caught.value.partial is not None and caught.value.partial.text == "Sorry, no JSON today"


def test_several_answers_come_as_alternatives(make_caller: Any) -> None:
    choices = [
        {"index": place, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for place, text in enumerate(["one", "two"])
    ]
    body = json.dumps({"id": "x", "model": "m", "choices": choices}).encode()
    with LoopbackServer(respond(200, body, {"Content-Type": "application/json"})) as server:
        caller = make_caller(providers=lab(server.url))
        reply = caller.generate("lab/m", "Two, please", n=2)
        with pytest.raises(UnsupportedError, match="n"):
            caller.stream("lab/m", "Two, please", n=2).drain()

    assert (reply.text, [alternative.text for alternative in reply.alternatives]) == ("one", ["two"])
    assert len(server.requests) == 1


def test_what_is_not_sent_is_named_in_adjustments(make_caller: Any) -> None:
    with LoopbackServer(chat("ok")) as server:
        caller = make_caller(providers=lab(server.url, quirks={"settings": {"seed": "drop", "top_p": "refuse"}}))
        reply = caller.generate("lab/m", "Hi", seed=3, options={"anthropic": {"x": 1}})
        streamed = caller.stream("lab/m", "Hi", seed=3).drain()
        with pytest.raises(UnsupportedError, match="top_p"):
            caller.generate("lab/m", "Hi", top_p=0.5)
        with pytest.raises(UnsupportedError, match="seed"):
            caller.generate("lab/m", "Hi", seed=3, on_unsupported="error")

    dropped = [adjustment.setting for adjustment in reply.adjustments if adjustment.kind == "dropped"]
    assert sorted(dropped) == ["options.anthropic", "seed"]
    assert [a for a in streamed.adjustments if a.setting == "seed"] == [
        a for a in reply.adjustments if a.setting == "seed"
    ]
    assert all(isinstance(adjustment, Adjustment) for adjustment in streamed.adjustments)
    assert "seed" not in server.requests[0].json()


def test_options_of_the_wire_or_of_the_provider_go_into_the_body(make_caller: Any) -> None:
    with LoopbackServer(chat("ok")) as server:
        make_caller(providers=lab(server.url, options={"a": 1, "b": 1})).generate(
            "lab/m", "Hi", options={"openai": {"b": 2, "c": 2}, "lab": {"c": 3}}
        )

    body = server.requests[0].json()
    assert (body["a"], body["b"], body["c"]) == (1, 2, 3)


def test_a_bound_model_has_the_same_verbs_and_its_own_settings(make_caller: Any) -> None:
    with LoopbackServer(chat("ok")) as server:
        caller = make_caller(providers=lab(server.url))
        model = caller.bound("lab/m", temperature=0.5)
        caller.bound_generate(model, "Hi")
        caller.bound_generate(model, "Hi", temperature=0.9)

    assert model.name == "lab/m" and model.config.id == "m"
    assert [request.json()["temperature"] for request in server.requests] == [0.5, 0.9]


def test_a_signer_of_ones_own(make_caller: Any) -> None:
    def sign(request: polyvox.HttpRequest) -> polyvox.HttpRequest:
        return polyvox.HttpRequest(request.method, request.url, {**request.headers, "X-Signed": "yes"}, request.body)

    with LoopbackServer(chat("ok")) as server:
        make_caller(providers={"lab": {"base_url": server.url, "auth": sign}}).generate("lab/m", "Hi")

    assert server.requests[0].headers["x-signed"] == "yes" and "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"temprature": 1}, ["no setting 'temprature'", "did you mean 'temperature'"]),
        ({"zzz": 1}, ["no setting 'zzz'", "options="]),
        ({"reasoning": "very"}, ["reasoning is 'very'", "xhigh"]),
        ({"max_tokens": 0}, ["max_tokens is 0"]),
        ({"max_tokens": "5"}, ["max_tokens is '5'"]),
        ({"temperature": "hot"}, ["temperature is 'hot'"]),
        ({"temperature": float("nan")}, ["temperature is nan"]),
        ({"timeout": 0}, ["timeout is 0"]),
        ({"tool_choice": "nothing"}, ["tool_choice 'nothing'"]),
        ({"tools": [3]}, ["tools[0] is int"]),
        ({"options": {"openai": 3}}, ["options['openai'] is int"]),
    ],
)
def test_a_wrong_setting_is_one_sentence_before_anything_is_sent(
    make_caller: Any, settings: dict[str, Any], words: list[str]
) -> None:
    caller = make_caller(providers=lab(unused_url()))

    with pytest.raises(ConfigError) as caught:
        caller.generate("lab/m", "Hi", **settings)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("messages", [[], [3], [{"role": "king", "content": "x"}], [{"content": "x"}]])
def test_wrong_messages_are_named_by_their_place(make_caller: Any, messages: Any) -> None:
    with pytest.raises(ConfigError, match="messages"):
        make_caller(providers=lab(unused_url())).generate("lab/m", messages)


def test_a_refused_connection_says_which_host(make_caller: Any) -> None:
    caller = make_caller(providers=lab(unused_url()), call_config=CallConfig(retry=False))
    for call in (lambda: caller.generate("lab/m", "Hi"), lambda: caller.stream("lab/m", "Hi").drain()):
        with pytest.raises(ConnectError) as caught:
            call()
        assert "127.0.0.1" in str(caught.value) and caught.value.retryable
        assert (caught.value.provider, caught.value.model) == ("lab", "m")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}, AuthenticationError),
        (429, {"message": "slow down", "code": "rate_limit_exceeded"}, RateLimitError),
        (400, {"message": "bad", "type": "invalid_request_error"}, BadRequestError),
        (500, b"<html>Internal Server Error</html>", ServerError),
        (502, b"", ServerError),
    ],
)
def test_an_error_status_is_a_typed_error_without_the_key(make_caller: Any, status: int, body: Any, kind: type) -> None:
    with LoopbackServer(error(status, body, {"x-request-id": "req_9"})) as server:
        caller = make_caller(providers=lab(server.url), call_config=CallConfig(retry=False))
        for call in (lambda: caller.generate("lab/m", "Hi"), lambda: caller.stream("lab/m", "Hi").drain()):
            with pytest.raises(kind) as caught:
                call()
            assert (caught.value.status, caught.value.provider, caught.value.model) == (status, "lab", "m")
            assert caught.value.request_id == "req_9"
            assert KEY not in str(caught.value) + repr(caught.value) + caught.value.message


def test_a_key_that_does_not_look_like_one_is_masked_too(make_caller: Any) -> None:
    odd = "correct-horse-battery"
    with LoopbackServer(error(401, {"message": f"bad key {odd}"})) as server:
        caller = make_caller(providers={"lab": {"base_url": server.url, "api_key": odd}})
        with pytest.raises(AuthenticationError) as caught:
            caller.generate("lab/m", "Hi")
    assert odd not in str(caught.value)


def test_a_page_instead_of_an_answer_says_to_check_the_address(make_caller: Any) -> None:
    page = respond(200, b"<!doctype html><title>Welcome</title>", {"Content-Type": "text/html"})
    with LoopbackServer(page) as server:
        caller = make_caller(providers=lab(server.url))
        for call in (lambda: caller.generate("lab/m", "Hi"), lambda: caller.stream("lab/m", "Hi").drain()):
            with pytest.raises(DecodeError, match="base_url"):
                call()


@pytest.mark.parametrize("body", [b"", b"  \n", b'{"id": "x", "choi'])
def test_a_whole_answer_cut_short_is_no_answer(make_caller: Any, body: bytes) -> None:
    script = respond(200, body, {"Content-Type": "application/json"})
    with LoopbackServer(script) as server, pytest.raises((InterruptedCallError, DecodeError)):
        make_caller(providers=lab(server.url)).generate("lab/m", "Hi")


def test_a_truncated_stream_raises_and_keeps_what_came(make_caller: Any) -> None:
    with LoopbackServer(sse_frames([chat_chunk({"role": "assistant", "content": "Hel"})])) as server:
        stream = make_caller(providers=lab(server.url)).stream("lab/m", "Hi")
        with pytest.raises(InterruptedCallError) as caught:
            stream.drain()

    assert caught.value.partial is not None and caught.value.partial.text == "Hel" == stream.response.text
    assert caught.value.partial.finish is None


def test_an_error_in_the_stream_raises_after_what_came_before_it(make_caller: Any) -> None:
    frames = [
        chat_chunk({"role": "assistant", "content": "Hel"})
        + chat_chunk({"content": "lo"})
        + b'data: {"error": {"message": "overloaded", "code": 502}}\n\n'
    ]
    with LoopbackServer(sse_frames(frames)) as server:
        stream = make_caller(providers=lab(server.url)).stream("lab/m", "Hi")
        with pytest.raises(ServerError) as caught:
            stream.drain()

    assert caught.value.partial is not None and caught.value.partial.text == "Hello" == stream.response.text


def test_no_end_mark_is_needed_after_a_finish(make_caller: Any) -> None:
    frames = [chat_chunk({"role": "assistant", "content": "Hi"}), chat_chunk({}, finish="stop")]
    with LoopbackServer(sse_frames(frames)) as server:
        assert make_caller(providers=lab(server.url)).stream("lab/m", "Hi").drain().text == "Hi"


def test_usage_behind_the_finish_is_not_lost(make_caller: Any) -> None:
    with LoopbackServer(sse_chat(["Hi"], delay=0.02)) as server:
        assert make_caller(providers=lab(server.url)).stream("lab/m", "Hi").drain().usage.output_tokens == 2


def test_a_stream_is_read_once(make_caller: Any) -> None:
    with LoopbackServer(chat("ok")) as server:
        stream = make_caller(providers=lab(server.url)).stream("lab/m", "Hi")
        stream.drain()
        with pytest.raises(polyvox.Cancelled, match="read or closed already"):
            stream.events()
        assert stream.drain().text == "ok"


def test_empty_content_is_an_empty_answer(make_caller: Any) -> None:
    with LoopbackServer(json_chat("")) as server:
        reply = make_caller(providers=lab(server.url)).generate("lab/m", "Hi")
    assert reply.text == "" and reply.content in ((), (TextPart(""),))
