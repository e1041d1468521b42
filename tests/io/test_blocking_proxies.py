"""Proxies of the environment are used and bypassed as it says, in plain calls."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from polyvox.errors import CallTimeoutError, Cancelled, ConfigError, ConnectError
from polyvox.io.base import Cancel, drive
from polyvox.types.models import Timeout
from tests.io.blocking_calls import KEY, PATIENT, SHORT, call, make_io, soon, within
from tests.loopback import Exchange, LoopbackServer, error, json_chat, never_answer, sequence, unused_url


def tunnel(exchange: Exchange) -> None:
    exchange.tunnel()


def test_a_plain_call_goes_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with LoopbackServer(json_chat("from the proxy")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//user:p%40ss@"))
        io = make_io()
        for _ in range(2):
            assert b"from the proxy" in call(io, "http://api.example.invalid", path="/v1/chat?x=1").body
        assert proxy.accepted == 1
        drive(io.close())
    exchange = proxy.requests[0]
    assert exchange.path == "http://api.example.invalid/v1/chat?x=1"
    assert exchange.headers["host"] == "api.example.invalid"
    assert exchange.headers["proxy-authorization"] == "Basic " + base64.b64encode(b"user:p@ss").decode()
    assert exchange.headers["authorization"] == f"Bearer {KEY}"


def test_a_tls_call_goes_through_a_tunnel_and_shows_the_proxy_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with LoopbackServer(json_chat("Hello"), tls=True) as server, LoopbackServer(tunnel) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url.removeprefix("http://"))  # the scheme may be left out
        io = make_io(server)
        for _ in range(2):
            assert b"Hello" in call(io, server.url).body
        assert (server.accepted, proxy.accepted) == (1, 1)
        drive(io.close())
    (connect,) = proxy.requests
    assert (connect.method, connect.path) == ("CONNECT", f"127.0.0.1:{server.port}")
    assert "authorization" not in connect.headers


def test_a_tls_proxy_is_spoken_to_over_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    with LoopbackServer(json_chat("Hello"), tls=True) as server, LoopbackServer(json_chat("p"), tls=True) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        io = make_io(server)
        for _ in range(2):
            assert call(io, "http://api.example.invalid").status == 200
        assert proxy.accepted == 1
        drive(io.close())


def test_a_tls_call_goes_through_a_tls_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS within TLS: limits and aborts reach the outer socket."""
    scripts = sequence(json_chat("Hello"), json_chat("Hello"), never_answer)
    with LoopbackServer(scripts, tls=True) as server, LoopbackServer(tunnel, tls=True) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        io = make_io(server)
        for _ in range(2):
            assert b"Hello" in call(io, server.url).body
        assert (server.accepted, proxy.accepted) == (1, 1)
        with within(0.24, 1.0), pytest.raises(CallTimeoutError):
            call(io, server.url, SHORT)
        assert server.client_left.wait(0.5)


@pytest.mark.parametrize("bypass", ["127.0.0.1", "*", "example.org,127.0.0.1"])
def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch, bypass: str) -> None:
    monkeypatch.setenv("http_proxy", unused_url())
    monkeypatch.setenv("no_proxy", bypass)
    with LoopbackServer(json_chat("Hello")) as server:
        assert call(make_io(), server.url).status == 200


def test_no_proxy_may_name_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with LoopbackServer(json_chat("direct")) as server, LoopbackServer(json_chat("proxied")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", f"127.0.0.1:{server.port}")
        io = make_io()
        assert b"direct" in call(io, server.url).body
        assert b"proxied" in call(io, "http://127.0.0.1:9").body
        drive(io.close())


def test_a_proxy_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = unused_url()
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, proxy.replace("//", "//user:hunter22@"))
    for scheme in ("http", "https"):
        with pytest.raises(
            ConnectError, match=f"the proxy {proxy.removeprefix('http://')} gave no connection"
        ) as caught:
            call(make_io(), f"{scheme}://api.example.invalid")
        assert "hunter22" not in str(caught.value) + repr(caught.value.__cause__)


def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with LoopbackServer(error(407)) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        with pytest.raises(
            ConnectError, match=r"the proxy .* gave no connection \(.*407.*\): check the proxy settings"
        ):
            call(make_io(), "https://api.example.invalid")


def test_a_tunnel_that_is_never_granted_ends_at_the_connect_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    with LoopbackServer(never_answer) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        with within(0.24, 1.0), pytest.raises(CallTimeoutError) as caught:
            call(make_io(), "https://api.example.invalid", Timeout(connect=0.25))
        assert caught.value.phase == "connect"
        assert proxy.client_left.wait(0.5)


def test_a_call_through_a_tunnel_is_aborted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cancel = Cancel()
    with LoopbackServer(never_answer, tls=True) as server, LoopbackServer(tunnel) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        with soon(cancel.set, 0.15), within(0.1, 0.5), pytest.raises(Cancelled):
            call(make_io(server), server.url, PATIENT, cancel)
        assert server.client_left.wait(0.5)


def test_a_socks_proxy_is_refused_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1080")
    with pytest.raises(ConfigError, match="socks5 proxy"):
        call(make_io(), "http://api.example.invalid")


def test_the_source_of_no_module_above_reads_proxies() -> None:
    """One place decides: the I/O. A second reader would disagree with it sooner or later."""
    import polyvox

    root = Path(polyvox.__file__).parent
    readers = {path.relative_to(root).parts[0] for path in root.rglob("*.py") if "getproxies" in path.read_text()}
    assert readers == {"io"}
