"""The fault server as any client sees it: ours, the official SDKs, and a bare socket."""

from __future__ import annotations

import http.client
import json
import pkgutil
import socket
import threading
import time
from email.utils import parsedate_to_datetime
from typing import Any

import anthropic
import openai
import pytest

import polyvox.testing
from polyvox import Client, ConfigError, GenerateRequest, GenerateResponse, ReasoningPart, TextPart, ToolCall, Usage
from polyvox.calls.config import CallConfig
from polyvox.testing import catalogue, faults
from polyvox.testing.connection import Received
from polyvox.testing.entries import Entry
from polyvox.testing.faults import Fault
from polyvox.testing.reply import Piece, Reply, Reset, Sleep, Stall
from polyvox.testing.routes import Question, respond, understand
from polyvox.testing.server import FaultServer
from polyvox.types.generate import Finish

ASK: list[Any] = [{"role": "user", "content": "Hi"}]
RICH = GenerateResponse(
    content=(
        ReasoningPart("It must be blue."),
        TextPart("Let me look."),
        ToolCall(id="call_1", name="look", arguments='{"where":"up"}'),
    ),
    finish=Finish("tool_calls"),
    usage=Usage(input_tokens=5, output_tokens=7),
)


def reply_to(fault: Fault, *, stream: bool = True, text: str = "one two three") -> Reply:
    """What the server would do, without a socket."""
    asked = {"model": "m", "messages": ASK, "stream": stream, "stream_options": {"include_usage": True}}
    question = understand("POST", "/v1/chat/completions", json.dumps(asked).encode())
    assert isinstance(question, Question)
    return fault.apply(respond(question, text, "/v1/chat/completions", 0))


def test_the_openai_sdk_reads_a_whole_answer_and_a_stream() -> None:
    with FaultServer(RICH) as server, openai.OpenAI(base_url=server.base_url("openai"), api_key="any") as sdk:
        whole = sdk.chat.completions.create(model="m", messages=ASK)
        call = whole.choices[0].message.tool_calls[0]  # type: ignore[index]
        with sdk.chat.completions.stream(model="m", messages=ASK) as stream:
            streamed = stream.get_final_completion()

    assert (call.function.name, call.function.arguments) == ("look", '{"where":"up"}')  # type: ignore[union-attr]
    assert whole.usage and whole.usage.completion_tokens == 7
    assert streamed.choices[0].message.content == "Let me look."
    assert streamed.choices[0].finish_reason == "tool_calls"
    assert [(each.dialect, each.stream) for each in server.requests] == [("openai", False), ("openai", True)]


def test_the_anthropic_sdk_reads_a_whole_answer_and_a_stream() -> None:
    with FaultServer(RICH) as server, anthropic.Anthropic(base_url=server.base_url("anthropic"), api_key="any") as sdk:
        whole = sdk.messages.create(model="m", max_tokens=9, messages=ASK)
        with sdk.messages.stream(model="m", max_tokens=9, messages=ASK) as stream:
            streamed = stream.get_final_message()

    for message in (whole, streamed):
        kinds = [block.type for block in message.content]
        assert kinds == ["thinking", "text", "tool_use"]
        assert message.content[2].input == {"where": "up"}  # type: ignore[union-attr]
        assert (message.stop_reason, message.usage.output_tokens) == ("tool_use", 7)


def test_the_google_sdk_reads_a_whole_answer_and_a_stream() -> None:
    genai = pytest.importorskip("google.genai", reason="google-genai is not installed")
    with FaultServer(RICH) as server:
        sdk = genai.Client(api_key="any", http_options={"base_url": server.url})
        whole = sdk.models.generate_content(model="m", contents="Hi")
        streamed = list(sdk.models.generate_content_stream(model="m", contents="Hi"))
        sdk.close()

    parts = [part for chunk in streamed for part in chunk.candidates[0].content.parts]
    assert [part.text for part in whole.candidates[0].content.parts if part.text and not part.thought] == [
        "Let me look."
    ]
    assert "".join(part.text for part in parts if part.text and not part.thought) == "Let me look."
    for calls in (whole.function_calls, [part.function_call for part in parts if part.function_call]):
        assert [(call.name, call.args) for call in calls] == [("look", {"where": "up"})]
    assert whole.usage_metadata.total_token_count == 12
    assert [(each.dialect, each.stream) for each in server.requests] == [("gemini", False), ("gemini", True)]


def test_an_sdk_retries_a_rate_limit_as_often_as_it_says() -> None:
    with (
        FaultServer("There.", faults=[faults.RateLimited(0.01, "ms"), faults.ServerFault(503), None]) as server,
        openai.OpenAI(base_url=server.base_url("openai"), api_key="any", max_retries=2) as sdk,
    ):
        assert sdk.chat.completions.create(model="m", messages=ASK).choices[0].message.content == "There."
        assert server.request_count == 3


def test_an_sdk_meets_the_faults_as_errors_of_its_own() -> None:
    chosen: dict[str, Fault] = {
        "limit": faults.RateLimited(3),
        "money": faults.BillingExhausted(),
        "key": faults.Unauthorized(),
        "busy": faults.ServerFault(529),
        "overload": faults.OverloadMidStream(events=3),
    }
    with (
        FaultServer(faults=lambda received: chosen[received.headers["x-fault"]]) as server,
        anthropic.Anthropic(base_url=server.base_url("anthropic"), api_key="any", max_retries=0) as sdk,
    ):
        seen = {}
        for name in chosen:
            with (
                pytest.raises(anthropic.APIStatusError) as told,
                sdk.messages.stream(model="m", max_tokens=9, messages=ASK, extra_headers={"x-fault": name}) as stream,
            ):
                stream.get_final_message()
            seen[name] = (type(told.value).__name__, told.value.body["error"]["type"])  # type: ignore[index]

    assert seen["limit"] == ("RateLimitError", "rate_limit_error")
    assert seen["money"][1] == "billing_error"
    assert seen["key"] == ("AuthenticationError", "authentication_error")
    assert seen["busy"][1] == seen["overload"][1] == "overloaded_error"


def test_answers_may_be_a_sequence_or_made_from_the_request() -> None:
    def shout(request: GenerateRequest) -> str:
        part = request.messages[-1].content[0]
        return part.text.upper() if isinstance(part, TextPart) else ""

    with FaultServer(["first", shout]) as server, Client(providers={"lab": {"base_url": server.base_url()}}) as client:
        assert [client.generate("lab/m", word).text for word in ("a", "b", "c")] == ["first", "B", "C"]


def test_what_was_asked_is_kept() -> None:
    with FaultServer(keep=1) as server, Client(providers={"lab": {"base_url": server.base_url()}}) as client:
        client.generate("lab/m", "a")
        client.generate("lab/m", "b", headers={"X-Own": "yes"})

        (received,) = server.requests
        assert (received.method, received.path, received.headers["x-own"]) == ("POST", "/v1/chat/completions", "yes")
        assert received.request is not None
        assert received.request.messages[0].content == (TextPart("b"),)
        assert b'"b"' in received.body
        assert server.request_count == 2
        assert server.connection_count == server.open_connections == 1
        assert not server.wait_closed(0.05)
    assert server.wait_closed()


def test_a_fault_of_ones_own() -> None:
    class Teapot(Fault, frozen=True):
        def apply(self, reply: Reply) -> Reply:
            return reply.replace(status=418, body=(Piece(b"short and stout"),), transfer="length")

    with FaultServer(faults=Teapot()) as server:
        connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]))
        connection.request("POST", "/v1/messages", body=b'{"model":"m","messages":[]}')
        answer = connection.getresponse()

        assert (answer.status, answer.read()) == (418, b"short and stout")
        connection.close()


def test_what_is_no_request_of_a_wire_is_refused() -> None:
    with FaultServer() as server:
        connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]))
        statuses = []
        for method, path, body in (("GET", "/", b""), ("POST", "/v1/messages", b"{"), ("POST", "/v1/nothing", b"{}")):
            connection.request(method, path, body=body)
            answer = connection.getresponse()
            statuses.append(answer.status)
            assert b"error" in answer.read()
        connection.close()

    assert statuses == [404, 400, 404]
    assert [each.request for each in server.requests] == [None] * 3


def test_an_answer_that_fails_fails_the_test() -> None:
    def broken(request: GenerateRequest) -> str:
        raise ZeroDivisionError("the test's own")

    with pytest.raises(ZeroDivisionError, match="the test's own"), FaultServer(broken) as server:
        client = Client(providers={"lab": {"base_url": server.base_url()}}, call_config=CallConfig(retry=False))
        with client, pytest.raises(Exception, match="the test's answer failed"):
            client.generate("lab/m", "Hi")


def test_a_server_says_what_it_cannot() -> None:
    server = FaultServer()
    with pytest.raises(ConfigError, match="no route for 'latin'; there are anthropic,"):
        server.base_url("latin")
    with server, pytest.raises(ConfigError, match="runs already"):
        server.start()
    with pytest.raises(ConfigError, match="at least one"):
        FaultServer([])
    server.stop()


def test_leaving_the_server_ends_every_wait_and_its_thread() -> None:
    with FaultServer(faults=faults.HeaderStall()) as server:
        sockets = [socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) for _ in range(5)]
        for sock in sockets:
            sock.sendall(b"POST /v1/messages HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        while server.request_count < 5:
            time.sleep(0.005)
        started = time.monotonic()

    assert time.monotonic() - started < 1
    assert server.open_connections == 0
    assert "polyvox-fault-server" not in {thread.name for thread in threading.enumerate()}
    for sock in sockets:
        sock.close()


def test_a_hundred_requests_at_once() -> None:
    with FaultServer("word " * 20, faults=faults.SlowDrip(size=50, seconds=0.001)) as server:
        texts: list[str] = []

        def ask() -> None:
            with Client(providers={"lab": {"base_url": server.base_url()}}) as client:
                texts.append(client.stream("lab/m", "Hi").drain().text)

        threads = [threading.Thread(target=ask) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)

        assert texts == ["word " * 20] * 30
        assert server.wait_closed()


# What the faults do, seen without a socket


def test_faults_are_data_and_add_up() -> None:
    both = faults.SplitUTF8(seconds=0.5) & faults.StallAfter(200)
    reply = reply_to(both, text="héé")

    assert both == faults.SplitUTF8(seconds=0.5) & faults.StallAfter(200)
    assert hash(both) == hash(faults.Together((faults.SplitUTF8(seconds=0.5), faults.StallAfter(200))))
    assert reply.body[-1] == Stall()
    assert [piece for piece in reply.body if isinstance(piece, Piece) and len(piece.data) != 1] == []
    assert len(reply.data) == 200


@pytest.mark.parametrize("entry", catalogue(after=200), ids=lambda entry: entry.name)
def test_a_fault_does_the_same_each_time(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_760_000_000.0)

    assert reply_to(entry.fault) == reply_to(entry.fault)
    assert entry.sentence.endswith(".")


def test_a_cut_leaves_exactly_so_many_bytes() -> None:
    for fault in (faults.StallAfter(150), faults.ResetAfter(150), faults.CutAfter(150), faults.EndAfter(150)):
        assert len(reply_to(fault).data) == 150
    assert reply_to(faults.ResetAfter(150)).body[-2:] == (Sleep(0.05), Reset())
    assert reply_to(faults.CutAfter(0)).data == b""
    assert reply_to(faults.CutAfter(10**6)).data == reply_to(Fault()).data


def test_retry_after_in_its_three_forms() -> None:
    seconds = reply_to(faults.RateLimited(1.5)).headers
    date = reply_to(faults.RateLimited(60, "date")).headers["retry-after"]
    told = reply_to(faults.RateLimited(1.5, "ms")).headers

    assert seconds["retry-after"] == "1.5"
    assert 57 < parsedate_to_datetime(date).timestamp() - time.time() < 62
    assert told["retry-after-ms"] == "1500"
    assert "retry-after" not in reply_to(faults.RateLimited(None)).headers


def test_late_usage_comes_after_the_finish_in_a_frame_of_its_own() -> None:
    frames = [piece.data for piece in reply_to(faults.LateUsage(0.25)).body if isinstance(piece, Piece)]
    usage = [place for place, data in enumerate(frames) if b'"completion_tokens"' in data]
    finish = [place for place, data in enumerate(frames) if b'"finish_reason":"stop"' in data]

    assert usage > finish
    assert Sleep(0.25) in reply_to(faults.LateUsage(0.25)).body


def test_garbage_keeps_every_frame() -> None:
    plain, noisy = reply_to(Fault()).data, reply_to(faults.GarbageFrames()).data
    lines = [line for line in noisy.split(b"\r\n") if line.startswith(b"data:")]

    assert len(lines) == plain.count(b"data:")
    assert b": ping\r\n" in noisy


def test_a_received_request_knows_its_path() -> None:
    assert Received("GET", "/a?b=c", {}, b"").path == "/a"


def test_no_name_of_the_package_is_a_modules_too() -> None:
    """Which one a program got would depend on what was imported before."""
    modules = {module.name for module in pkgutil.iter_modules(polyvox.testing.__path__)}

    assert not modules & set(polyvox.testing.__all__)
    assert set(polyvox.testing.__all__) == {name for names in polyvox.testing._HOMES.values() for name in names}


def test_an_answer_is_not_held_back() -> None:
    """The head and the body are written apart; a system that waits for the first one's receipt takes 40 ms for each."""
    with FaultServer() as server, Client(providers={"lab": {"base_url": server.base_url()}}) as client:
        seconds = []
        for _ in range(20):
            started = time.monotonic()
            client.generate("lab/m", "Hi")
            seconds.append(time.monotonic() - started)

    assert min(seconds) < 0.03
