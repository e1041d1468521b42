"""Connections are kept and used again, in both clients; nothing is left open behind a client."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import pytest
from tests.loopback import LoopbackServer, chat, error, sequence

from polyvox import AsyncClient, BadRequestError, Client

DESCRIPTORS = Path("/proc/self/fd")


def lab(url: str) -> dict[str, Any]:
    return {"lab": {"base_url": url}}


def test_one_connection_serves_streams_and_whole_calls_in_turn(make_caller: Any) -> None:
    with LoopbackServer(chat("ok")) as server:
        caller = make_caller(providers=lab(server.url))
        caller.generate("lab/m", "Hi")
        stream = caller.stream("lab/m", "Hi")
        stream.drain()
        stream.close()
        caller.generate("lab/m", "Hi")
        assert (server.accepted, len(server.requests)) == (1, 3)


def test_an_error_answer_leaves_its_connection_in_the_pool(make_caller: Any) -> None:
    with LoopbackServer(sequence(error(400, {"message": "oops"}), chat("ok"))) as server:
        caller = make_caller(providers=lab(server.url))
        with pytest.raises(BadRequestError, match="oops"):
            caller.generate("lab/m", "Hi")
        assert caller.generate("lab/m", "Hi").text == "ok"
        assert server.accepted == 1


def test_closing_a_client_closes_its_connections(make_caller: Any) -> None:
    with LoopbackServer(chat("ok")) as server:
        caller = make_caller(providers=lab(server.url))
        caller.generate("lab/m", "Hi")
        assert server.connections == 1
        caller.client.close() if caller.kind == "sync" else caller.runner.run(caller.client.close())
        assert server.wait_connections(0)


@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="needs /proc/self/fd to count descriptors")
def test_many_streams_that_are_left_early_leave_no_descriptor_behind(make_caller: Any) -> None:
    with LoopbackServer(chat("one two three four five", pieces=5)) as server:
        caller = make_caller(providers=lab(server.url))
        caller.stream("lab/m", "Hi").break_loop(after=2)
        gc.collect()
        before = len(os.listdir(DESCRIPTORS))
        for _ in range(50):
            caller.stream("lab/m", "Hi").break_loop(after=2)
        # An answer that had arrived whole before it was left may give its connection back to the pool.
        assert server.wait_connections(0) or server.connections == 1
        assert len(os.listdir(DESCRIPTORS)) <= before + 2


def test_clients_say_who_they_are_without_a_key() -> None:
    given = {"openai": {"api_key": "sk-secret-0123456789"}}
    assert repr(Client(providers=given)) == "<Client of openai>"
    assert repr(AsyncClient(providers=given)) == "<AsyncClient of openai>"
