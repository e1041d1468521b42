"""Ollama's page: where the server is looked for, and what is sent to each model."""

from __future__ import annotations

import json

import pytest

from polyvox.calls.generate import prepare
from polyvox.providers.ollama import MODELS
from polyvox.registry.config import Config
from polyvox.registry.target import Registry
from polyvox.types.generate import GenerateRequest
from polyvox.types.messages import user


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for variable in ("OLLAMA_HOST", "OLLAMA_API_KEY"):
        monkeypatch.delenv(variable, raising=False)


def resolve(name="ollama/llama3.2"):
    return Registry(Config()).resolve(name)


def sent(name, **said):
    request = GenerateRequest(model=name, messages=(user("hi"),), **said)
    prepared = prepare(resolve(name), request, stream=False)
    return json.loads(prepared.http.body), [(made.kind, made.setting) for made in prepared.adjustments]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        (None, "http://127.0.0.1:11434"),
        (" ", "http://127.0.0.1:11434"),
        ("gpu-box", "http://gpu-box:11434"),
        ("10.0.0.7", "http://10.0.0.7:11434"),
        ("10.0.0.7:8080", "http://10.0.0.7:8080"),
        (":8080", "http://127.0.0.1:8080"),
        ("'gpu-box:8080'", "http://gpu-box:8080"),
        ("gpu-box:8080/ollama/", "http://gpu-box:8080/ollama"),
        ("gpu-box:many", "http://gpu-box:11434"),
        ("gpu-box:99999", "http://gpu-box:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("http://0.0.0.0:11434", "http://127.0.0.1:11434"),
        ("::", "http://[::1]:11434"),
        ("[::]:8080", "http://[::1]:8080"),
        ("fe80::1", "http://[fe80::1]:11434"),
        ("http://gpu-box", "http://gpu-box"),
        ("https://gpu-box:444/", "https://gpu-box:444"),
        ("ollama.com", "https://ollama.com"),
        ("https://ollama.com", "https://ollama.com"),
    ],
)
def test_the_address_is_read_as_its_own_tools_read_it(host, url, monkeypatch):
    if host is not None:
        monkeypatch.setenv("OLLAMA_HOST", host)
    assert resolve().base_url == url


def test_an_address_with_the_path_of_the_wire_is_not_given_it_twice(monkeypatch):
    monkeypatch.setenv("OLLAMA_HOST", "http://gpu-box:11434/api")
    request = GenerateRequest(model="ollama/llama3.2", messages=(user("hi"),))
    assert prepare(resolve(), request, stream=False).http.url == "http://gpu-box:11434/api/chat"


def test_a_key_is_taken_where_there_is_one(monkeypatch):
    assert resolve().auth.masked_headers() == {}
    monkeypatch.setenv("OLLAMA_API_KEY", "key")
    assert resolve().auth.masked_headers() == {"Authorization": "Bearer ***"}


def test_any_model_works_and_its_tag_belongs_to_its_name():
    body, adjusted = sent("ollama/hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M")
    assert body["model"] == "hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M" and adjusted == []


@pytest.mark.parametrize("row", MODELS, ids=lambda row: row.id)
@pytest.mark.parametrize(
    ("asked", "said", "adjusted"),
    [
        ("medium", "medium", []),
        ("max", "high", [("clamped", "reasoning")]),
        ("none", "low", [("clamped", "reasoning")]),
    ],
)
def test_a_model_that_always_thinks_is_told_how_hard(row, asked, said, adjusted):
    body, made = sent(f"ollama/{row.id}", reasoning=asked)
    assert body["think"] == said and made == adjusted


@pytest.mark.parametrize(
    ("asked", "said", "adjusted"), [("none", False, []), ("high", True, [("clamped", "reasoning")])]
)
def test_another_model_is_switched(asked, said, adjusted):
    body, made = sent("ollama/qwen3:4b", reasoning=asked)
    assert body["think"] is said and made == adjusted


def test_a_call_waits_for_the_model_to_be_loaded():
    assert resolve().timeout.first_event >= 300


@pytest.mark.parametrize("base", ["http://gpu-box:11434", "http://gpu-box:11434/v1"])
@pytest.mark.parametrize(
    ("dialect", "path"),
    [
        ("openai", "/v1/chat/completions"),
        ("openai_responses", "/v1/responses"),
        ("anthropic", "/v1/messages"),
    ],
)
def test_the_other_wires_that_it_speaks_stand_where_it_has_them(base, dialect, path, monkeypatch):
    monkeypatch.setenv("OLLAMA_HOST", base)
    target = Registry(Config()).resolve("ollama/llama3.2", dialect=dialect)
    request = GenerateRequest(model=target.name, messages=(user("hi"),), max_tokens=5)
    prepared = prepare(target, request, stream=False)
    assert prepared.http.url == f"http://gpu-box:11434{path}"
    assert 5 in json.loads(prepared.http.body).values()
