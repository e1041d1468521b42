"""`AsyncIO`: requests sent, answers read, failures said in one clear sentence. Plain and over TLS."""

from __future__ import annotations

import asyncio
import gzip
import os
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polyvox.errors import (
    CallTimeoutError,
    Cancelled,
    ConfigError,
    ConnectError,
    DecodeError,
    InterruptedCallError,
    PolyvoxError,
)
from polyvox.io.aio import AsyncIO
from polyvox.io.base import Cancel, Context, HttpRequest
from polyvox.secrets import Secret
from polyvox.types.models import Timeout
from tests import loopback
from tests.loopback import LoopbackServer

KEY = "sk-test-0123456789abcdef"


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def tls(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def post(server: LoopbackServer, body: bytes = b'{"model":"m"}', **headers: str) -> HttpRequest:
    return HttpRequest("POST", server.url + "/v1/chat", {"Authorization": f"Bearer {KEY}", **headers}, body)


def make(server: LoopbackServer) -> AsyncIO:
    return AsyncIO(ssl_context=server.client_context() if server.tls else None)


async def read_all(io: AsyncIO, request: HttpRequest, context: Context | None = None) -> bytes:
    context = context or Context(io)
    pieces = []
    async with io.open(request, context) as response:
        while data := await response.read(context.until):
            pieces.append(data)
    return b"".join(pieces)


def run(io: AsyncIO, request: HttpRequest, context: Context | None = None) -> bytes:
    async def main() -> bytes:
        return await read_all(io, request, context)

    return asyncio.run(main())


# --- what is sent and read ---------------------------------------------------------------------------------------


def test_a_request_arrives_as_it_was_written_and_its_answer_is_read(tls: bool) -> None:
    with LoopbackServer(loopback.respond(201, b"hello", {"X-Request-Id": "r1", "X-Two": "a"}), tls=tls) as server:
        io = make(server)

        async def main() -> None:
            request = HttpRequest("POST", server.url + "/a%2Fb?q=%20x", {"X-Custom": "1"}, b'{"k":1}')
            async with io.open(request, Context(io)) as response:
                assert response.status == 201
                assert response.headers["x-request-id"] == "r1"
                assert await response.read(None) == b"hello"
                assert await response.read(None) == b""
                assert await response.read(None) == b""

        asyncio.run(main())
        sent = server.requests[0]
        assert (sent.method, sent.path, sent.body) == ("POST", "/a%2Fb?q=%20x", b'{"k":1}')
        assert sent.headers["x-custom"] == "1"
        assert "content-type" not in sent.headers
        assert "cookie" not in sent.headers


def test_repeated_headers_are_joined_by_commas() -> None:
    def script(exchange: loopback.Exchange) -> None:
        exchange.send(loopback.encode_head(200, [("X-A", "1"), ("x-a", "2"), ("Content-Length", "0")]))
        exchange._complete = True

    with LoopbackServer(script) as server:
        io = make(server)

        async def main() -> dict[str, str]:
            async with io.open(post(server), Context(io)) as response:
                pass
            return dict(response.headers)  # the head stays known after the answer was left

        assert asyncio.run(main()) == {"x-a": "1, 2", "content-length": "0"}


def test_a_redirect_is_handed_back_and_not_followed() -> None:
    with LoopbackServer(loopback.respond(307, b"", {"Location": "/elsewhere"})) as server:
        io = make(server)

        async def main() -> int:
            async with io.open(post(server), Context(io)) as response:
                return response.status

        assert asyncio.run(main()) == 307
        assert len(server.requests) == 1


def test_cookies_are_not_kept() -> None:
    with LoopbackServer(loopback.respond(200, b"x", {"Set-Cookie": "a=1"})) as server:
        io = make(server)

        async def main() -> None:
            await read_all(io, post(server))
            await read_all(io, post(server))

        asyncio.run(main())
        assert "cookie" not in server.requests[1].headers


def test_a_compressed_body_is_read_in_clear() -> None:
    body = gzip.compress(b"clear text" * 100)
    with LoopbackServer(loopback.respond(200, body, {"Content-Encoding": "gzip"})) as server:
        assert run(make(server), post(server)) == b"clear text" * 100


def test_headers_of_forty_kilobytes_are_taken() -> None:
    with LoopbackServer(loopback.respond(200, b"x", {"X-Trace": "t" * 40_000})) as server:
        assert run(make(server), post(server)) == b"x"


def test_a_large_body_goes_up_whole_and_without_warnings(tls: bool) -> None:
    body = os.urandom(3 * 2**20)
    with LoopbackServer(loopback.respond(200, b"ok"), tls=tls) as server:
        assert run(make(server), post(server, body)) == b"ok"
        assert server.requests[0].body == body
        assert server.requests[0].headers["content-length"] == str(len(body))


def test_a_request_without_a_body_and_an_answer_without_one() -> None:
    with LoopbackServer(loopback.respond(204, b"")) as server:
        io = make(server)
        assert run(io, HttpRequest("GET", server.url + "/v1/models")) == b""


def test_bytes_that_came_before_the_break_are_read_first(tls: bool) -> None:
    with LoopbackServer(loopback.cut_chunked(b"one", b"two"), tls=tls) as server:
        io = make(server)

        async def main() -> None:
            async with io.open(post(server), Context(io)) as response:
                await asyncio.sleep(0.1)  # by now all of it, the break as well, has come
                assert await response.read(None) == b"onetwo"
                with pytest.raises(InterruptedCallError) as caught:
                    await response.read(None)
                assert caught.value.retryable

        asyncio.run(main())


@pytest.mark.parametrize(
    "script",
    [
        loopback.cut_length(b"0123456789", 4),
        loopback.cut_chunked(b"0123"),
        loopback.reset_after(b"0123"),
    ],
    ids=["content-length", "chunked", "reset"],
)
def test_a_body_that_breaks_off_is_interrupted_not_ended(script: loopback.Script, tls: bool) -> None:
    with (
        LoopbackServer(script, tls=tls) as server,
        pytest.raises(InterruptedCallError, match="broke off"),
    ):
        run(make(server), post(server))


def test_a_body_cut_on_a_connection_that_was_to_be_closed_is_interrupted(tls: bool) -> None:
    def script(exchange: loopback.Exchange) -> None:
        exchange.send_head(200, length=100, close=True)
        exchange.send(b"short")
        exchange.end()

    with LoopbackServer(script, tls=tls) as server, pytest.raises(InterruptedCallError):
        run(make(server), post(server))


def test_a_body_that_ends_with_its_connection_is_whole_but_not_after_a_reset() -> None:
    def script(exchange: loopback.Exchange) -> None:
        exchange.send_head(200, close=True)
        exchange.send(b"part")
        time.sleep(0.05)
        exchange.reset()

    with LoopbackServer(loopback.until_close(b"all of it")) as server:
        assert run(make(server), post(server)) == b"all of it"
    with LoopbackServer(script) as server, pytest.raises(InterruptedCallError):
        run(make(server), post(server))


@pytest.mark.parametrize("pause", [0.0, 0.05])
def test_a_broken_chunk_is_no_http_and_does_not_leave_the_reader_waiting(pause: float) -> None:
    def script(exchange: loopback.Exchange) -> None:
        exchange.send_head(200, chunked=True)
        exchange.send_chunk(b"ok")
        time.sleep(pause)
        exchange.send(b"zz not a size\r\n")
        exchange.stall()

    with LoopbackServer(script) as server:
        with pytest.raises(DecodeError, match="HTTP"):
            run(make(server), post(server))
        assert server.client_left.wait(1)


# --- the pool ----------------------------------------------------------------------------------------------------


def test_calls_one_after_another_share_a_connection(tls: bool) -> None:
    with LoopbackServer(loopback.sse_chat(["a", "b"]), tls=tls) as server:
        io = make(server)

        async def main() -> None:
            for _ in range(5):
                await read_all(io, post(server))
            await io.close()

        asyncio.run(main())
        assert server.accepted == 1
        assert server.wait_connections(0)


def test_a_pooled_connection_found_dead_is_a_retryable_connect_error(tls: bool) -> None:
    with LoopbackServer(loopback.die_on_reuse(loopback.respond(200, b"x")), tls=tls) as server:
        io = make(server)

        async def main() -> None:
            await read_all(io, post(server))
            with pytest.raises(ConnectError, match="try again") as caught:
                await read_all(io, post(server))
            assert caught.value.retryable
            assert await read_all(io, post(server)) == b"x"

        asyncio.run(main())


def test_a_new_connection_closed_without_an_answer_is_interrupted(tls: bool) -> None:
    with LoopbackServer(lambda exchange: exchange.close(), tls=tls) as server:
        with pytest.raises(
            InterruptedCallError, match=f"127.0.0.1:{server.port} closed the connection without an answer"
        ):
            run(make(server), post(server))
        assert len(server.requests) == 1


def test_a_get_is_not_repeated_behind_our_back() -> None:
    with LoopbackServer(lambda exchange: exchange.close()) as server:
        with pytest.raises(InterruptedCallError):
            run(make(server), HttpRequest("GET", server.url + "/v1/models"))
        assert len(server.requests) == 1


def test_two_hundred_calls_leave_no_task_and_no_socket() -> None:
    def script(exchange: loopback.Exchange) -> None:
        [loopback.respond(200, b"x"), loopback.cut_length(b"xx", 1), loopback.stall_after(b"x")][exchange.number % 3](
            exchange
        )

    def sockets() -> int:
        count = 0
        for fd in os.listdir("/proc/self/fd"):
            try:
                count += "socket:" in os.readlink(f"/proc/self/fd/{fd}")
            except FileNotFoundError:
                continue
        return count

    with LoopbackServer(script) as server:
        io = make(server)

        async def call() -> None:
            context = Context(io, Timeout(idle=0.05))
            try:
                async with io.open(post(server), context) as response:
                    context.limit("idle", context.timeout.idle)
                    while await response.read(context.until):
                        pass
            except PolyvoxError:
                pass

        async def main() -> None:
            await call()
            before = len(asyncio.all_tasks())
            await io.gather([call] * 200, limit=40)
            assert len(asyncio.all_tasks()) == before
            await io.close()
            await asyncio.sleep(0.01)

        if not Path("/proc/self/fd").exists():
            pytest.skip("open files are counted in /proc")
        before = sockets()
        asyncio.run(main())
        assert server.wait_connections(0)
        assert sockets() <= before
        assert len(server.requests) == 201


def test_a_session_that_nobody_closed_makes_no_noise(recwarn: pytest.WarningsRecorder) -> None:
    noise: list[dict[str, Any]] = []
    with LoopbackServer(loopback.respond(200, b"x")) as server:

        async def ends_with_its_loop(io: AsyncIO) -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _loop, facts: noise.append(facts))
            await read_all(io, post(server))

        async def dropped() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _loop, facts: noise.append(facts))
            io = make(server)
            await read_all(io, post(server))
            assert server.connections == 1
            del io
            for _ in range(5):
                await asyncio.sleep(0.01)
            assert await asyncio.to_thread(server.wait_connections, 0)

        kept = make(server)
        asyncio.run(ends_with_its_loop(kept))
        assert server.wait_connections(0)
        del kept
        asyncio.run(dropped())
    assert not noise
    assert not list(recwarn)


def test_another_event_loop_is_refused_in_plain_words() -> None:
    with LoopbackServer(loopback.respond(200, b"x")) as server:
        io = make(server)
        assert run(io, post(server)) == b"x"
        with pytest.raises(ConfigError, match="belongs to the event loop that first used it"):
            run(io, post(server))


def test_after_closing_it_may_be_used_in_another_loop() -> None:
    with LoopbackServer(loopback.respond(200, b"x")) as server:
        io = make(server)

        async def main() -> bytes:
            body = await read_all(io, post(server))
            await io.close()
            await io.close()
            return body

        assert asyncio.run(main()) == b"x"
        assert asyncio.run(main()) == b"x"


# --- proxies -----------------------------------------------------------------------------------------------------


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return monkeypatch.setenv


def test_the_proxy_of_the_environment_carries_the_call(no_proxies: Callable[[str, str], None]) -> None:
    with LoopbackServer(loopback.respond(200, b"through the proxy")) as proxy:
        no_proxies("HTTP_PROXY", f"http://user:pass@127.0.0.1:{proxy.port}")
        assert run(AsyncIO(), HttpRequest("POST", "http://provider.test/v1", {}, b"{}")) == b"through the proxy"
        assert proxy.requests[0].path == "http://provider.test/v1"
        assert proxy.requests[0].headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"


def test_an_https_call_goes_through_a_tunnel(no_proxies: Callable[[str, str], None]) -> None:
    with (
        LoopbackServer(loopback.respond(200, b"secret"), tls=True) as server,
        LoopbackServer(lambda exchange: exchange.tunnel()) as proxy,
    ):
        no_proxies("HTTPS_PROXY", f"http://user:pass@127.0.0.1:{proxy.port}")
        io = make(server)
        assert run(io, post(server)) == b"secret"
        assert proxy.requests[0].method == "CONNECT"
        assert proxy.requests[0].headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"
        assert "proxy-authorization" not in server.requests[0].headers


def test_no_proxy_is_obeyed(no_proxies: Callable[[str, str], None]) -> None:
    with LoopbackServer(loopback.respond(200, b"direct")) as server:
        no_proxies("HTTP_PROXY", loopback.unused_url())
        no_proxies("NO_PROXY", "127.0.0.1")
        assert run(make(server), post(server)) == b"direct"


def test_a_proxy_that_refuses_or_is_not_there_is_named(no_proxies: Callable[[str, str], None]) -> None:
    request = HttpRequest("POST", "https://provider.test/v1", {}, b"{}")
    with LoopbackServer(loopback.error(407)) as proxy:
        no_proxies("HTTPS_PROXY", f"http://user:hunter22@127.0.0.1:{proxy.port}")
        with pytest.raises(ConnectError, match=r"the proxy gave no connection \(HTTP 407 for provider.test:443\)"):
            run(AsyncIO(), request)
    no_proxies("HTTPS_PROXY", loopback.unused_url().replace("//", "//user:hunter22@"))
    with pytest.raises(
        ConnectError, match=r"the proxy 127.0.0.1:\d+ gave no connection \(connection refused\)"
    ) as caught:
        run(AsyncIO(), request)
    assert "hunter22" not in f"{caught.value} {caught.value.__cause__!r}"
    no_proxies("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(ConfigError, match="socks5 proxy"):
        run(AsyncIO(), request)


# --- failures ----------------------------------------------------------------------------------------------------


def test_a_refused_connection_names_the_host_and_what_to_check() -> None:
    url = loopback.unused_url()
    with pytest.raises(
        ConnectError, match=r"nothing listens at 127.0.0.1:\d+ \(connection refused\): check the base URL"
    ) as caught:
        run(AsyncIO(), HttpRequest("POST", url, {"Authorization": f"Bearer {KEY}"}, b"{}"))
    assert caught.value.retryable
    assert isinstance(caught.value.__cause__, OSError)


def test_an_unknown_host_name_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any, **_settings: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ConnectError, match=r"the host api\.nowhere.test was not found"):
        run(AsyncIO(), HttpRequest("POST", "http://api.nowhere.test/v1", {}, b"{}"))


def test_a_certificate_that_is_not_trusted_is_said() -> None:
    with (
        LoopbackServer(loopback.respond(200, b"x"), tls=True) as server,
        pytest.raises(ConnectError, match=r"the TLS certificate of 127.0.0.1:\d+ is not trusted"),
    ):
        run(AsyncIO(), post(server))


def test_https_spoken_to_a_plain_server_is_said() -> None:
    def script(exchange: loopback.Exchange) -> None:
        raise AssertionError("no request can arrive")

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    async def main() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(answer, sock=listener):
            io = AsyncIO()
            await read_all(io, HttpRequest("POST", f"https://127.0.0.1:{port}/", {}, b"{}"))

    with pytest.raises(ConnectError, match=r"no TLS connection to 127\.0\.0\.1"):
        asyncio.run(main())


def test_an_answer_that_is_not_http_is_said() -> None:
    with (
        LoopbackServer(lambda exchange: exchange.send(b"SSH-2.0-OpenSSH\r\n\r\n")) as server,
        pytest.raises(DecodeError, match="does not speak HTTP"),
    ):
        run(make(server), post(server))


@pytest.mark.parametrize("value", [f"Bearer {KEY}\n", f"Bearer {KEY}\r\nX: 1", f"{KEY}\0"])
def test_a_key_with_a_line_break_is_a_config_error_that_does_not_show_it(value: str) -> None:
    with LoopbackServer(loopback.respond(200, b"x")) as server:
        with pytest.raises(ConfigError, match="a line break in the API key") as caught:
            run(make(server), HttpRequest("POST", server.url, {"Authorization": value}, b"{}"))
        assert KEY not in f"{caught.value!r} {caught.value.__cause__!r}"
        assert not server.requests


@pytest.mark.parametrize("url", ["ftp://host/x", "nonsense", "http://"])
def test_a_url_that_is_none_is_a_config_error(url: str) -> None:
    with pytest.raises(ConfigError, match="the base URL is not an http"):
        run(AsyncIO(), HttpRequest("POST", url, {}, b"{}"))


def test_no_failure_shows_a_secret_of_the_call() -> None:
    secret = "odd-shaped-secret"
    url = loopback.unused_url() + f"/?token={secret}"
    io = AsyncIO()
    context = Context(io)
    context.secrets.append(Secret(secret))
    with pytest.raises(ConnectError) as caught:
        run(io, HttpRequest("POST", url, {"X-Key": secret}, b"{}"), context)
    link: BaseException | None = caught.value
    while link is not None:
        assert secret not in f"{link} {link!r} {link.args!r}"
        link = link.__cause__


# --- the rest of the seam ----------------------------------------------------------------------------------------


def test_gather_keeps_the_order_and_the_limit() -> None:
    io = AsyncIO()
    running = most = 0

    def call(index: int) -> Callable[[], Any]:
        async def work() -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.001 * (7 - index))
            running -= 1
            return index

        return work

    async def main() -> None:
        assert await io.gather([call(index) for index in range(7)], limit=3) == list(range(7))
        assert most == 3
        assert await io.gather([call(index) for index in range(7)]) == list(range(7))
        assert most == 7
        assert await io.gather([]) == []

    asyncio.run(main())


def test_gather_raises_the_first_failure_itself_and_cancels_the_rest() -> None:
    io = AsyncIO()
    cancelled: list[int] = []

    async def wait() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    async def fail() -> None:
        await asyncio.sleep(0.01)
        raise KeyError("mine")

    async def main() -> None:
        with pytest.raises(KeyError, match="mine"):
            await io.gather([wait, fail, wait])
        assert cancelled == [1, 1]
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_gather_never_hands_back_a_hole() -> None:
    async def gone() -> None:
        raise asyncio.CancelledError

    async def main() -> None:
        with pytest.raises(Cancelled):
            await AsyncIO().gather([gone])

    asyncio.run(main())


def test_cancelling_the_task_that_gathers_cancels_what_it_gathers() -> None:
    io = AsyncIO()

    async def main() -> None:
        task = asyncio.create_task(io.gather([lambda: asyncio.sleep(10)] * 3))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_run_uses_a_thread_and_the_loop_goes_on() -> None:
    import threading

    async def main() -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.005)

        ticker = asyncio.create_task(tick())
        name = await AsyncIO().run(lambda seconds: time.sleep(seconds) or threading.current_thread().name, 0.05)
        ticker.cancel()
        assert name != threading.main_thread().name
        assert ticks > 3

    asyncio.run(main())


def test_sleep_ends_at_the_deadline_and_on_abort() -> None:
    io = AsyncIO()

    async def main() -> None:
        start = io.now()
        await io.sleep(0.02)
        await io.sleep(0.02, Context(io))
        assert 0.04 <= io.now() - start < 0.5

        context = Context(io, Timeout(total=0.05))
        with pytest.raises(CallTimeoutError) as timed_out:
            await io.sleep(5, context)
        assert timed_out.value.phase == "total"

        context = Context(io, cancel=Cancel())
        asyncio.get_running_loop().call_later(0.02, context.cancel.set)
        with pytest.raises(Cancelled):
            await io.sleep(5, context)
        with pytest.raises(Cancelled):
            await io.sleep(5, context)
        assert io.now() - start < 1.0
        assert not context.cancel._wakers

    asyncio.run(main())


def test_a_context_of_the_callers_own_is_used_for_tls() -> None:
    with LoopbackServer(loopback.respond(200, b"x"), tls=True) as server:
        unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unverified.check_hostname = False
        unverified.verify_mode = ssl.CERT_NONE
        assert run(AsyncIO(ssl_context=unverified), post(server)) == b"x"
