"""A real server: llama.cpp's own, inside `xllamacpp`, speaks three wires over HTTP with the real model behind them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from polyvox import BadRequestError, Client, ConfigError, PolyvoxError, TextDelta, system, user
from polyvox.io.local_files import find_model

pytestmark = pytest.mark.local_model

WIRES = ["openai", "openai_responses", "anthropic"]
QUESTION = "What is the capital of France? Answer in one word."


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server that is stopped at the end."""
    binding = pytest.importorskip("xllamacpp", reason="the local model's binding is not installed")
    try:
        path = find_model()
    except ConfigError as error:
        pytest.skip(error.message)
    parameters = binding.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx = 2048
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.warmup = False
    parameters.verbosity = -1
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    running = binding.Server(parameters)
    yield running.listening_address
    del running  # its end closes the socket


@pytest.fixture
def caller(make_caller: Any, server: str) -> Any:
    return make_caller(providers={"llamacpp": {"base_url": f"{server}/v1"}})


@pytest.mark.parametrize("wire", WIRES)
def test_a_question_is_answered(caller: Any, wire: str) -> None:
    response = caller.generate("llamacpp/smollm2", QUESTION, dialect=wire, max_tokens=16, temperature=0)
    assert "Paris" in response.text
    assert response.finish.reason in ("stop", "length")
    assert response.usage.input_tokens and response.usage.output_tokens
    assert (response.provider, response.origin) == ("llamacpp", "llamacpp/smollm2")


def test_it_lists_its_model(caller: Any) -> None:
    (model,) = caller.list_models("llamacpp")
    assert model.name == f"llamacpp/{model.id}" and "smollm2" in model.id.lower()
    assert (model.kind, model.owner, model.context_tokens) == ("language", "llamacpp", 2048)
    # By that name it is asked.
    assert caller.generate(model.name, QUESTION, max_tokens=4).text


@pytest.mark.parametrize("wire", WIRES)
def test_it_streams_the_same_answer(caller: Any, wire: str) -> None:
    words: dict[str, Any] = {"dialect": wire, "max_tokens": 16, "temperature": 0}
    whole = caller.generate("llamacpp/smollm2", QUESTION, **words)
    stream = caller.stream("llamacpp/smollm2", QUESTION, **words)
    events = stream.events()
    texts = [event.text for event in events if isinstance(event, TextDelta)]
    assert len(texts) > 1 and "".join(texts) == whole.text == stream.response.text
    assert [type(event).__name__ for event in events].count("StreamStart") == 1
    assert stream.response.finish.reason == whole.finish.reason
    assert stream.response.usage.output_tokens == whole.usage.output_tokens


def test_a_conversation_goes_from_wire_to_wire(caller: Any) -> None:
    history = [system("Answer in one word."), user("My name is Ada.")]
    for wire in [*WIRES, WIRES[0]]:
        response = caller.generate("llamacpp/smollm2", history, dialect=wire, max_tokens=12, temperature=0)
        assert response.text
        history += [response.message, user("What is my name?")]
    # The whole history arrives whichever wire tells it: the model reads the same number of tokens.
    read = [
        caller.generate("llamacpp/smollm2", history, dialect=wire, max_tokens=1).usage.input_tokens for wire in WIRES
    ]
    assert read[0] and read == [read[0]] * len(WIRES)


@pytest.mark.parametrize("wire", WIRES)
def test_an_error_is_typed(caller: Any, wire: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        caller.generate("llamacpp/smollm2", "word " * 6000, dialect=wire, max_tokens=4)
    assert isinstance(caught.value, PolyvoxError) and caught.value.provider == "llamacpp"


@pytest.mark.parametrize("wire", WIRES)
def test_leaving_a_stream_stops_the_server(caller: Any, server: str, wire: str) -> None:
    caller.stream("llamacpp/smollm2", "Count to a thousand.", dialect=wire, max_tokens=1500).break_loop(5)
    # There is one slot: while it goes on generating, nobody else is answered.
    with Client(providers={"llamacpp": {"base_url": f"{server}/v1"}}) as client:
        assert client.generate("llamacpp/smollm2", QUESTION, max_tokens=4, timeout=10).text
