"""Closing the blocking I/O closes its pooled connections at once, whatever still refers to them."""

from __future__ import annotations

import pytest

from polyvox import Client, InterruptedCallError
from polyvox.testing.faults import BadGzip
from polyvox.testing.server import FaultServer


def test_an_error_that_is_kept_keeps_no_socket_open() -> None:
    with FaultServer("Hello there. " * 20, faults=BadGzip()) as server:
        with Client(providers={"lab": {"base_url": server.base_url("openai")}}) as client:
            with pytest.raises(InterruptedCallError, match="damaged") as kept:
                client.generate("lab/m", "Hi")
            assert server.open_connections == 1  # the body was read whole: its connection went back to the pool

        assert server.wait_closed()
        assert kept.value.retryable
