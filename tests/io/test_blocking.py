"""Plain calls: answers arrive whole, connections are reused and never leaked, failures are one clear sentence."""

from __future__ import annotations

import gzip
import http.client
import os
import socket
import threading
import time
import zlib
from collections.abc import Iterator

import pytest

from polyvox.errors import (
    ConfigError,
    ConnectError,
    DecodeError,
    InterruptedCallError,
    PolyvoxError,
    TransportError,
)
from polyvox.io.base import Context, HttpRequest, drive
from polyvox.io.blocking import BlockingIO
from tests.io.blocking_calls import KEY, PATIENT, Answer, call, make_io, make_request
from tests.loopback import (
    Exchange,
    LoopbackServer,
    Script,
    cut_chunked,
    cut_length,
    die_on_reuse,
    error,
    json_chat,
    reset_after,
    respond,
    sequence,
    sse_chat,
    stall_after,
    until_close,
    unused_url,
)

BOTH = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@pytest.fixture
def io() -> Iterator[BlockingIO]:
    made = BlockingIO()
    yield made
    drive(made.close())


def test_a_request_arrives_as_it_was_made(io: BlockingIO) -> None:
    with LoopbackServer(json_chat("Hello")) as server:
        answer = call(io, server.url, body=b'{"model":"m"}', path="/v1/models/a%3Ab:run?key=1&alt=sse")
    (exchange,) = server.requests
    assert (exchange.method, exchange.path) == ("POST", "/v1/models/a%3Ab:run?key=1&alt=sse")
    assert exchange.body == b'{"model":"m"}'
    assert exchange.headers["authorization"] == f"Bearer {KEY}"
    assert exchange.headers["accept-encoding"] == "identity"
    assert exchange.headers["content-length"] == "13"
    assert answer.status == 200
    assert answer.headers["x-request-id"] == "req_loopback"
    assert b"Hello" in answer.body


@BOTH
def test_calls_share_one_connection(tls: bool) -> None:
    """A stream, a whole answer and an error, one after another, over one connection."""
    with LoopbackServer(sequence(sse_chat(["Hel", "lo"]), json_chat("Hello"), error(429)), tls=tls) as server:
        io = make_io(server)
        answers = [call(io, server.url) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert answers[0].body.endswith(b"data: [DONE]\n\n")
        assert server.accepted == 1
        drive(io.close())
        assert server.wait_connections(0)


@BOTH
def test_bytes_are_handed_on_as_soon_as_there_are_any(tls: bool) -> None:
    """The second piece is sent only after the reader has the first: nothing waits for a full buffer."""
    got = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.send_head(200, chunked=True)
        exchange.send(b"7\r\nab")  # a piece of a chunk is handed on too
        assert got.wait(5)
        exchange.send(b"cdefg\r\n0\r\n\r\n")
        exchange.end()

    with LoopbackServer(script, tls=tls) as server:
        io = make_io(server)

        async def read() -> list[bytes]:
            context = Context(io, PATIENT)
            async with io.open(make_request(server.url), context) as response:
                reads = [await response.read(context.until)]
                got.set()
                while data := await response.read(context.until):
                    reads.append(data)
                return reads

        assert drive(read()) == [b"ab", b"cdefg"]
        drive(io.close())


@BOTH
def test_a_body_that_the_connection_ends_is_whole(tls: bool) -> None:
    with LoopbackServer(until_close(b"data: [DONE]\n\n"), tls=tls) as server:
        io = make_io(server)
        assert call(io, server.url).body == b"data: [DONE]\n\n"
        assert server.wait_connections(0)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("gzip", lambda data: gzip.compress(data[:5]) + gzip.compress(data[5:])),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data)[2:-4]),
    ],
    ids=["gzip", "gzip-members", "x-gzip", "deflate", "raw-deflate"],
)
def test_a_compressed_answer_is_unpacked(io: BlockingIO, encoding: str, pack: object) -> None:
    body = b"The sky is blue. " * 5000
    packed = pack(body)  # type: ignore[operator]
    with LoopbackServer(respond(200, packed, {"Content-Encoding": encoding})) as server:
        assert call(io, server.url).body == body


def test_a_compressed_answer_cut_short_is_an_interruption(io: BlockingIO) -> None:
    packed = gzip.compress(os.urandom(1000))
    with (
        LoopbackServer(respond(200, packed[:500], {"Content-Encoding": "gzip"})) as server,
        pytest.raises(InterruptedCallError),
    ):
        call(io, server.url)


def test_a_compression_nobody_asked_for_is_named(io: BlockingIO) -> None:
    with LoopbackServer(respond(200, b"xx", {"Content-Encoding": "br"})) as server:
        with pytest.raises(DecodeError, match="'br'"):
            call(io, server.url)
        assert server.wait_connections(0)


@BOTH
@pytest.mark.parametrize(
    ("script", "received"),
    [
        (cut_length(b"0123456789", 4), b"0123"),
        (cut_length(b"0123456789", 0), b""),
        (cut_chunked(b"abc", b"def"), b"abcdef"),
        (reset_after(b"abc"), b"abc"),
    ],
    ids=["length", "empty", "chunks", "reset"],
)
def test_a_body_that_breaks_off_is_an_interruption(tls: bool, script: Script, received: bytes) -> None:
    """What had arrived is handed on first; then one sentence, retryable, and the connection is gone."""
    with LoopbackServer(script, tls=tls) as server:
        io, answer = make_io(server), Answer()
        with pytest.raises(InterruptedCallError, match="broke off") as caught:
            call(io, server.url, answer=answer)
        assert answer.body == received
        assert caught.value.retryable
        assert server.wait_connections(0)


def test_a_tls_body_without_the_goodbye_of_tls_is_an_interruption() -> None:
    """Its only end is the connection's, and an end without close_notify may be anybody's doing."""
    with LoopbackServer(until_close(b"abc", clean=False), tls=True) as server, pytest.raises(InterruptedCallError):
        call(make_io(server), server.url)


def test_damaged_chunks_are_an_interruption(io: BlockingIO) -> None:
    def script(exchange: Exchange) -> None:
        exchange.send_head(200, chunked=True)
        exchange.send(b"3\r\nabc\r\nzz\r\n")
        exchange.close()

    with LoopbackServer(script) as server, pytest.raises(InterruptedCallError, match="without a size"):
        call(io, server.url)


@BOTH
def test_a_pooled_connection_found_dead_is_a_connect_error(tls: bool) -> None:
    """The server closes it when the next request comes: no byte of an answer, so it is worth another try."""
    with LoopbackServer(die_on_reuse(json_chat("x")), tls=tls) as server:
        io = make_io(server)
        call(io, server.url)
        with pytest.raises(ConnectError, match=r"pooled connection .* was dead") as caught:
            call(io, server.url)
        assert caught.value.retryable
        assert call(io, server.url).status == 200
        assert server.accepted == 2
        drive(io.close())


@BOTH
def test_a_pooled_connection_the_server_closed_meanwhile_is_replaced(tls: bool) -> None:
    def script(exchange: Exchange) -> None:
        json_chat("x")(exchange)
        exchange.end()

    with LoopbackServer(script, tls=tls) as server:
        io = make_io(server)
        for _ in range(2):
            assert call(io, server.url).status == 200
            assert server.wait_connections(0)
            time.sleep(0.02)
        assert server.accepted == 2
        drive(io.close())


@BOTH
def test_a_new_connection_closed_without_an_answer_is_an_interruption(tls: bool) -> None:
    """It may have been received: not the same as a connection that was never made."""
    with (
        LoopbackServer(lambda exchange: exchange.close(), tls=tls) as server,
        pytest.raises(InterruptedCallError, match="without an answer"),
    ):
        call(make_io(server), server.url)


def test_a_head_cut_short_is_no_answer(io: BlockingIO) -> None:
    """The standard library takes it for a whole head without a body."""

    def script(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Le", counted=False)
        exchange.close()

    with (
        LoopbackServer(script) as server,
        pytest.raises(InterruptedCallError, match="in the midst of the answer's head"),
    ):
        call(io, server.url)


def test_an_answer_before_the_end_of_the_upload_is_read(io: BlockingIO) -> None:
    """A server that refuses a large body answers and closes; the answer is what the user must see."""

    def script(exchange: Exchange) -> None:
        exchange.send_head(413, length=3, close=True)
        exchange.send(b"big")
        exchange.client_gone(1.0)  # reads the upload away: a close with unread bytes would be a reset

    with LoopbackServer(script, read_body=False) as server:
        answer = call(io, server.url, body=b"x" * 2_000_000)
    assert (answer.status, answer.body) == (413, b"big")


def test_wide_heads_early_hints_and_folded_headers_are_read(io: BlockingIO) -> None:
    """200 headers, one of 200 KB, a 103 before the answer, a header twice."""

    def script(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", counted=False)
        headers = {f"X-{index}": "v" for index in range(200)} | {"X-Long": "y" * 200_000, "X-Folded": "a\r\n b"}
        exchange.send(exchange.head_bytes(200, headers, length=2)[:-2] + b"x-0: w\r\n\r\nok")

    with LoopbackServer(script) as server:
        answer = call(io, server.url)
    assert answer.body == b"ok"
    assert answer.headers["x-199"] == "v"
    assert len(answer.headers["x-long"]) == 200_000
    assert answer.headers["x-folded"] == "a b"
    assert answer.headers["x-0"] == "v, w"


def test_a_redirect_is_an_answer_like_any_other(io: BlockingIO) -> None:
    """Nothing follows it: the key must not travel to a stranger."""
    with LoopbackServer(respond(307, b"", {"Location": "http://127.0.0.1:9/"})) as server:
        assert call(io, server.url).status == 307
        assert len(server.requests) == 1


def test_leaving_early_does_not_spoil_the_next_call(io: BlockingIO) -> None:
    with LoopbackServer(sequence(stall_after(b"abc"), json_chat("x"))) as server:
        assert call(io, server.url, reads=1).body == b"abc"
        assert server.client_left.wait(1)
        assert call(io, server.url).status == 200


def test_reading_after_the_with_says_so(io: BlockingIO) -> None:
    async def run(url: str) -> None:
        context = Context(io, PATIENT)
        async with io.open(make_request(url), context) as response:
            pass
        await response.read(None)

    with LoopbackServer(json_chat("x")) as server, pytest.raises(InterruptedCallError, match="was closed"):
        drive(run(server.url))


@BOTH
def test_two_hundred_calls_leak_no_descriptor_and_use_no_thread(tls: bool) -> None:
    """Read to the end, left early, cut short, timed out: after all of them as many descriptors as before."""
    scripts: list[Script] = [json_chat("x"), stall_after(b"abc"), cut_length(b"abc", 1), sse_chat(["a"])]

    def script(exchange: Exchange) -> None:
        scripts[exchange.number % len(scripts)](exchange)

    with LoopbackServer(script, tls=tls) as server:
        io = make_io(server)
        call(io, server.url)
        threads = {thread for thread in threading.enumerate() if not thread.name.startswith("loopback")}
        assert server.wait_connections(1)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(200):
            try:
                call(io, server.url, reads=1)
            except TransportError:
                continue
        assert not {thread for thread in threading.enumerate() if not thread.name.startswith("loopback")} - threads
        drive(io.close())
        assert server.wait_connections(0)
        assert len(os.listdir("/proc/self/fd")) <= before


def test_a_given_ssl_context_stays_an_ordinary_one_for_others() -> None:
    """Its sockets are of our class from then on, and behave like any other where no call of ours holds them."""
    with LoopbackServer(json_chat("Hello"), tls=True) as server:
        context = server.client_context()
        io = BlockingIO(ssl_context=context)
        assert call(io, server.url).status == 200
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=5)
        connection.request("POST", "/v1/chat/completions", body=b"{}")
        assert b"Hello" in connection.getresponse().read()
        connection.close()
        drive(io.close())


def test_many_threads_share_one_io() -> None:
    with LoopbackServer(json_chat("Hello")) as server:
        io = make_io(server)
        failures: list[BaseException] = []

        def work() -> None:
            try:
                for _ in range(10):
                    assert b"Hello" in call(io, server.url).body
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert len(server.requests) == 80
        drive(io.close())


# --- failures in one clear sentence -----------------------------------------------------------------------------------


def clear(error: PolyvoxError) -> None:
    """One sentence, no key and no address of an object, neither in the error nor in anything that hangs on it."""
    link: BaseException | None = error
    while link is not None:
        for text in (str(link), repr(link)):
            assert KEY not in text
            assert "0x" not in text
            assert "\n" not in text.strip()
        link = link.__cause__ or link.__context__


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_refused_connection_says_where_and_what_to_check(io: BlockingIO, scheme: str) -> None:
    url = unused_url().replace("http", scheme)
    with pytest.raises(ConnectError, match=r"127\.0\.0\.1:\d+ \(connection refused\): check the base URL") as caught:
        call(io, url, path="/v1?key=" + KEY)
    assert caught.value.retryable
    clear(caught.value)


def test_an_unknown_host_is_named(io: BlockingIO, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*arguments: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(ConnectError, match=r"the host api\.example\.invalid was not found") as caught:
        call(io, "https://api.example.invalid")
    clear(caught.value)


def test_the_next_address_of_a_host_is_tried(io: BlockingIO, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def two(host: str, port: int, *arguments: int) -> list[object]:
        dead = int(unused_url().rpartition(":")[2])
        return [*resolve("127.0.0.1", dead, *arguments), *resolve("127.0.0.1", port, *arguments)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with LoopbackServer(json_chat("x")) as server:
        assert call(io, server.url).status == 200


def test_an_untrusted_certificate_is_not_worth_another_try() -> None:
    io = BlockingIO()
    with LoopbackServer(json_chat("x"), tls=True) as server:
        with pytest.raises(ConnectError, match=r"TLS certificate of 127\.0\.0\.1:.* is not trusted") as caught:
            call(io, server.url)
        assert not caught.value.retryable
        clear(caught.value)


def test_a_server_that_speaks_no_tls_is_named() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(1000)
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    thread = threading.Thread(target=answer)
    thread.start()
    with listener, pytest.raises(ConnectError, match=r"no TLS connection to .* should be https") as caught:
        call(BlockingIO(), f"https://127.0.0.1:{listener.getsockname()[1]}")
    thread.join()
    clear(caught.value)


def test_what_does_not_speak_http_is_named(io: BlockingIO) -> None:
    with (
        LoopbackServer(lambda exchange: exchange.send(b"SSH-2.0-OpenSSH_9\r\n")) as server,
        pytest.raises(DecodeError, match="does not speak HTTP") as caught,
    ):
        call(io, server.url)
    clear(caught.value)


@pytest.mark.parametrize("url", ["ftp://example.org", "example.org", "", "http://[::1", "https://"])
def test_a_base_url_that_is_none_is_a_configuration_error(io: BlockingIO, url: str) -> None:
    with pytest.raises(ConfigError, match="base URL"):
        call(io, url)


def test_a_key_with_a_line_break_is_never_quoted(io: BlockingIO) -> None:
    async def run(url: str, value: str) -> None:
        async with io.open(HttpRequest("POST", url, {"authorization": value}, b"{}"), Context(io, PATIENT)):
            raise AssertionError("it was sent")

    with LoopbackServer(json_chat("x")) as server:
        for value in (f"Bearer {KEY}\nx: y", f"Bearer {KEY}…"):
            with pytest.raises(ConfigError, match="line break in the API key") as caught:
                drive(run(server.url, value))
            clear(caught.value)
            assert caught.value.__context__ is None
    assert not server.requests
