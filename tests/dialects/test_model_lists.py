"""The lists of models as each service words them: what is read, what is kept, what is never guessed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from polyvox import AuthenticationError, DecodeError, ListedModel, NotFoundError, Price, RateLimitError
from polyvox.dialects.base import ModelsCodec
from polyvox.registry.target import find_dialect
from tests.recordings import recordings


def codec(wire: str) -> ModelsCodec:
    found = find_dialect(wire).models
    assert found is not None
    return found


def read(wire: str, body: Any) -> list[ListedModel]:
    return codec(wire).decode_models(json.dumps(body).encode())[0]


def one(row: dict[str, Any], **around: Any) -> ListedModel:
    """The model that an OpenAI-like list with this one row tells of."""
    (model,) = read("openai", {"object": "list", "data": [{"id": "m", "object": "model", **row}], **around})
    return model


@pytest.mark.parametrize("wire", ["openai", "openai_responses"])
def test_openai_tells_a_day_and_an_owner(wire: str) -> None:
    row = {"id": "gpt-5.5", "object": "model", "created": 1776945600, "owned_by": "openai"}
    (model,) = read(wire, {"object": "list", "data": [row]})

    assert model == ListedModel(id="gpt-5.5", created="2026-04-23", owner="openai")


OPENROUTER = {
    "id": "anthropic/claude-sonnet-5.5",
    "canonical_slug": "anthropic/claude-5.5-sonnet-20260801",
    "name": "Anthropic: Claude Sonnet 5.5",
    "created": 1785542400,
    "context_length": 1000000,
    "architecture": {
        "modality": "text+image+file->text",
        "input_modalities": ["text", "image", "file"],
        "output_modalities": ["text"],
        "tokenizer": "Claude",
    },
    "pricing": {
        "prompt": "0.000003",
        "completion": "0.000015",
        "input_cache_read": "0.0000003",
        "input_cache_write": "0.00000375",
        "web_search": "0.01",
    },
    "top_provider": {"context_length": 1000000, "max_completion_tokens": 128000, "is_moderated": True},
    "supported_parameters": ["max_tokens", "reasoning", "tool_choice", "tools"],
    "reasoning": {"mandatory": True, "supported_efforts": ["max", "low", "medium", "high", "unheard-of"]},
    "expiration_date": "2027-09-01",
}


def test_openrouters_rich_rows() -> None:
    (model,) = read("openai", {"data": [OPENROUTER]})

    assert (model.id, model.title) == ("anthropic/claude-sonnet-5.5", "Anthropic: Claude Sonnet 5.5")
    assert (model.kind, model.context_tokens, model.output_tokens) == ("language", 1_000_000, 128_000)
    assert (model.input_modalities, model.output_modalities) == (("text", "image", "file"), ("text",))
    assert (model.capabilities, model.lacks) == (("reasoning", "tools"), ("parallel_tools", "structured_output"))
    assert model.efforts == ("low", "medium", "high", "max")
    assert model.price == Price(input=3.0, output=15.0, cache_read=0.3, cache_write=3.75)
    assert (model.created, model.retires) == ("2026-08-01", "2027-09-01")
    # What is read in part stands there whole; what is read whole is gone.
    assert model.meta["pricing"]["web_search"] == "0.01" and model.meta["architecture"]["tokenizer"] == "Claude"
    assert model.meta["canonical_slug"] == "anthropic/claude-5.5-sonnet-20260801"
    assert "context_length" not in model.meta and "id" not in model.meta


def test_a_variable_price_is_none_and_a_free_one_is_zero() -> None:
    assert one({"pricing": {"prompt": "-1", "completion": "-1"}}).price is None
    assert one({"pricing": {"prompt": "0", "completion": "0"}}).price == Price(input=0.0, output=0.0)
    assert one({"pricing": {"input": 3, "output": 15}}).price is None  # in which unit, the row does not say


def test_mistrals_capabilities() -> None:
    model = one(
        {
            "name": "mistral-small-2603",
            "owned_by": "mistralai",
            "capabilities": {
                "completion_chat": True,
                "completion_fim": False,
                "function_calling": True,
                "fine_tuning": False,
                "vision": True,
                "audio": False,
            },
            "max_context_length": 262144,
            "aliases": ["mistral-small-latest", "m"],
            "deprecation": "2027-03-31T12:00:00Z",
            "type": "base",
        }
    )

    assert (model.kind, model.context_tokens, model.capabilities) == ("language", 262_144, ("tools",))
    assert (model.input_modalities, model.aliases) == (("text", "image"), ("mistral-small-latest",))
    assert (model.retires, model.title) == ("2027-03-31", "mistral-small-2603")
    assert model.meta["capabilities"]["completion_fim"] is False and model.meta["type"] == "base"


def test_a_capability_that_is_denied_is_lacking_and_one_that_is_not_named_is_not_known() -> None:
    model = one({"capabilities": {"function_calling": False, "completion_chat": False, "audio_transcription": True}})

    assert (model.capabilities, model.lacks, model.kind) == ((), ("tools",), "transcription")
    assert one({}).lacks == () and one({}).kind is None and one({}).input_modalities is None


def test_groqs_window() -> None:
    model = one({"active": True, "context_window": 131072, "max_completion_tokens": 65536, "public_apps": None})

    assert (model.context_tokens, model.output_tokens) == (131_072, 65_536)
    assert model.meta == {"active": True, "public_apps": None}


def test_togethers_bare_list() -> None:
    rows = [
        {
            "id": "zai-org/GLM-5",
            "object": "model",
            "created": 0,
            "type": "chat",
            "display_name": "GLM 5",
            "organization": "Z.ai",
            "context_length": 202752,
            "pricing": {"hourly": 0, "input": 1, "output": 3.2, "base": 0, "finetune": 0},
        },
        {"id": "BAAI/bge-large-en-v1.5", "object": "model", "type": "embedding"},
    ]
    chat, embedder = read("openai", rows)

    assert (chat.title, chat.owner, chat.kind) == ("GLM 5", "Z.ai", "language")
    assert (chat.context_tokens, chat.created) == (202_752, None)
    assert chat.price == Price(input=1.0, output=3.2)
    assert embedder.kind == "embedder"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        pytest.param(
            {"owned_by": "vllm", "root": "/models/m", "max_model_len": 32768},
            {"owner": "vllm", "context_tokens": 32_768},
            id="vLLM",
        ),
        pytest.param(
            {"type": "vlm", "publisher": "google", "max_context_length": 131072, "capabilities": ["tool_use"]},
            {
                "kind": "language",
                "owner": "google",
                "context_tokens": 131_072,
                "input_modalities": ("text", "image"),
                "capabilities": ("tools",),
            },
            id="LM Studio",
        ),
        pytest.param(
            {
                "context_length": 262144,
                "supports_image_in": True,
                "supports_video_in": False,
                "supports_reasoning": True,
            },
            {"context_tokens": 262_144, "input_modalities": ("text", "image"), "capabilities": ("reasoning",)},
            id="Moonshot",
        ),
        pytest.param(
            {"context_length": 131072, "supports_chat": True, "supports_image_input": False, "supports_tools": True},
            {"context_tokens": 131_072, "input_modalities": ("text",), "capabilities": ("tools",)},
            id="Fireworks",
        ),
        pytest.param(
            {
                "created_at": 1776945600,
                "capabilities": {"fine_tune": False, "inference": True, "chat_completion": False, "embeddings": True},
                "deprecation": {"inference": 1806451200},
            },
            {"created": "2026-04-23", "retires": "2027-03-31", "kind": "embedder"},
            id="Azure",
        ),
        pytest.param(
            {
                "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
                "providers": [
                    {"provider": "one", "context_length": 32768, "supports_tools": False},
                    {"provider": "two", "context_length": 131072, "supports_tools": True},
                    {"provider": "three", "supports_structured_output": False},
                ],
            },
            {"context_tokens": 131_072, "capabilities": ("tools",), "lacks": ("structured_output",)},
            id="Hugging Face",
        ),
        pytest.param(
            {"owned_by": "llamacpp", "meta": {"n_ctx": 4096, "n_ctx_train": 40960}},
            {"owner": "llamacpp", "context_tokens": 4096},
            id="llama.cpp",
        ),
    ],
)
def test_what_other_services_add(row: dict[str, Any], told: dict[str, Any]) -> None:
    model = one(row)

    assert {name: getattr(model, name) for name in told} == told


def test_llamacpp_says_more_of_a_model_beside_the_list() -> None:
    beside = {"name": "m", "model": "m", "capabilities": ["completion", "multimodal"]}
    model = one({"meta": {"n_ctx_train": 40960}}, models=[beside])

    assert (model.kind, model.context_tokens, model.meta["beside"]) == ("language", 40_960, beside)


@pytest.mark.parametrize(
    "row",
    [
        {"context_length": "131072", "created": "yesterday", "owned_by": None, "aliases": "x"},
        {"context_length": -1, "created": 1e30, "pricing": [], "capabilities": 3, "providers": {"a": 1}},
        {"context_length": True, "architecture": {"input_modalities": "text"}, "pricing": {"prompt": "dear"}},
        {"meta": None, "reasoning": 1, "top_provider": [], "type": ["chat"], "name": 5, "deprecation": {}},
    ],
)
def test_a_surprising_value_is_kept_and_not_read(row: dict[str, Any]) -> None:
    model = one(row)

    assert model == ListedModel(id="m", meta=row)


def test_rows_that_are_none_are_passed_over() -> None:
    assert [model.id for model in read("openai", {"data": [None, {"object": "model"}, {"id": 3}, {"id": "m"}]})] == [
        "m"
    ]
    assert read("openai", {"object": "list", "data": None}) == read("openai", []) == []


@pytest.mark.parametrize("wire", ["openai", "anthropic", "ollama"])
@pytest.mark.parametrize("body", [b"{}", b'"models"', b'{"data": 3, "models": 3}', b"no JSON"])
def test_what_is_no_list_is_an_error(wire: str, body: bytes) -> None:
    with pytest.raises(DecodeError):
        codec(wire).decode_models(body)


def test_an_error_under_a_good_status_is_that_error() -> None:
    with pytest.raises(RateLimitError, match="slow down"):
        read("openai", {"error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}})
    with pytest.raises(AuthenticationError):
        read("anthropic", {"type": "error", "error": {"type": "authentication_error", "message": "no key"}})
    with pytest.raises(NotFoundError):
        read("gemini", {"error": {"code": 404, "status": "NOT_FOUND", "message": "no such version"}})


ANTHROPIC = {
    "type": "model",
    "id": "claude-opus-5-5",
    "display_name": "Claude Opus 5.5",
    "created_at": "2026-09-01T00:00:00Z",
    "max_input_tokens": 1000000,
    "max_tokens": 128000,
    "lifecycle": "active",
    "retires_at": None,
    "capabilities": {
        "batch": {"supported": True},
        "structured_outputs": {"supported": False},
        "image_input": {"supported": True},
        "pdf_input": {"supported": False},
        "thinking": {"supported": True, "types": {"adaptive": {"supported": True}}},
        "effort": {"supported": True, "max": {"supported": True}, "low": {"supported": True}},
    },
}


def test_anthropic_tells_what_a_model_can() -> None:
    (model,) = read("anthropic", {"data": [ANTHROPIC], "has_more": False, "last_id": "claude-opus-5-5"})

    assert (model.title, model.created, model.retires) == ("Claude Opus 5.5", "2026-09-01", None)
    assert (model.context_tokens, model.output_tokens) == (1_000_000, 128_000)
    assert (model.capabilities, model.lacks) == (("batch", "reasoning"), ("structured_output",))
    assert (model.input_modalities, model.efforts) == (("text", "image"), ("low", "max"))
    assert model.meta["lifecycle"] == "active" and model.meta["capabilities"] == ANTHROPIC["capabilities"]


def test_anthropic_leaves_open_what_it_does_not_tell() -> None:
    """A list of an older version of the service, and its day for "not known"."""
    (model,) = read("anthropic", {"data": [{"id": "m", "type": "model", "created_at": "1970-01-01T00:00:00Z"}]})

    assert (model.created, model.efforts, model.input_modalities, model.capabilities) == (None, None, None, ())


def test_anthropics_pages_follow_the_last_id() -> None:
    quirks = find_dialect("anthropic").quirks(version="2023-06-01")
    first = codec("anthropic").encode_models(quirks, None)
    _, page = codec("anthropic").decode_models(b'{"data": [{"id": "b"}], "has_more": true, "last_id": "b"}')
    second = codec("anthropic").encode_models(quirks, page)

    assert (first.method, first.path, first.query) == ("GET", "/v1/models", {"limit": "1000"})
    assert first.headers == {"anthropic-version": "2023-06-01"}
    assert second.query == {"limit": "1000", "after_id": "b"}


def test_gemini_tells_limits_methods_and_thinking() -> None:
    rows = [
        {
            "name": "models/gemini-3.8-flash",
            "version": "3.8",
            "displayName": "Gemini 3.8 Flash",
            "inputTokenLimit": 1048576,
            "outputTokenLimit": 65536,
            "supportedGenerationMethods": ["generateContent", "countTokens", "createCachedContent"],
            "thinking": True,
            "temperature": 1,
        },
        {"name": "models/gemini-embedding-2", "supportedGenerationMethods": ["embedContent"], "thinking": False},
        {"name": "tunedModels/mine"},
    ]
    flash, embedder, tuned = read("gemini", {"models": rows})

    assert (flash.id, flash.title) == ("gemini-3.8-flash", "Gemini 3.8 Flash")
    assert (flash.context_tokens, flash.output_tokens) == (1_048_576, 65_536)
    assert (flash.capabilities, flash.lacks, flash.kind) == (("prompt_cache", "reasoning"), (), None)
    assert flash.meta["version"] == "3.8" and "countTokens" in flash.meta["supportedGenerationMethods"]
    assert (embedder.kind, embedder.lacks) == ("embedder", ("reasoning",))
    assert tuned == ListedModel(id="tunedModels/mine")


def test_geminis_pages_follow_the_token() -> None:
    quirks = find_dialect("gemini").quirks()
    first = codec("gemini").encode_models(quirks, None)
    models, page = codec("gemini").decode_models(b'{"models": [{"name": "models/a"}], "nextPageToken": "t"}')
    second = codec("gemini").encode_models(quirks, page)

    assert (first.method, first.path, first.query) == ("GET", "/v1beta/models", {"pageSize": "1000"})
    assert ([model.id for model in models], second.query["pageToken"]) == (["a"], "t")
    assert codec("gemini").decode_models(b"{}") == ([], None)


SHOWN = {
    "license": "very long",
    "modelfile": "FROM /x",
    "template": "{{ .Prompt }}",
    "tensors": [],
    "parameters": "stop <|end|>",
    "details": {"family": "qwen3", "parameter_size": "4.0B"},
    "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40960},
    "capabilities": ["completion", "tools", "thinking", "vision"],
    "remote_host": "https://ollama.com",
}


def test_ollama_lists_names_and_tells_facts_one_by_one() -> None:
    row = {"name": "qwen3:4b", "model": "qwen3:4b", "size": 2497293931, "digest": "359d", "modified_at": "2026-06-19"}
    (listed,) = read("ollama", {"models": [row]})
    asked = codec("ollama")
    assert asked.encode_model is not None and asked.decode_model is not None
    wire = asked.encode_model(None, listed.id)
    model = asked.decode_model(json.dumps(SHOWN).encode(), listed)

    assert listed.meta == {"size": 2497293931, "digest": "359d", "modified_at": "2026-06-19"}
    assert (wire.method, wire.path, json.loads(wire.body)) == ("POST", "/api/show", {"model": "qwen3:4b"})
    assert (model.kind, model.context_tokens, model.capabilities) == ("language", 40_960, ("reasoning", "tools"))
    assert (model.input_modalities, model.output_modalities, model.lacks) == (("text", "image"), ("text",), ())
    assert model.meta["remote_host"] == "https://ollama.com" and model.meta["size"] == 2497293931
    assert not {"license", "modelfile", "template", "tensors"} & model.meta.keys()


def test_an_ollama_model_that_only_embeds_lacks_the_rest() -> None:
    told = codec("ollama").decode_model
    assert told is not None
    model = told(b'{"capabilities": ["embedding"], "model_info": {}}', ListedModel(id="m"))

    assert (model.kind, model.context_tokens) == ("embedder", None)
    assert (model.capabilities, model.lacks) == ((), ("reasoning", "tools"))


@pytest.mark.parametrize(
    ("endpoint", "wire"), [("openai.models", "openai"), ("anthropic.models", "anthropic"), ("ollama.tags", "ollama")]
)
def test_recorded_lists_are_read_whole(endpoint: str, wire: str) -> None:
    """Every model of a recorded list is there, and every member of its row is a fact of ours or in `meta`."""
    answered = [exchange for exchange in recordings(endpoint) if exchange.status == 200]
    assert answered
    for exchange in answered:
        held = json.loads(exchange.body)
        rows = held.get("data") or held["models"]
        models, page = codec(wire).decode_models(exchange.body)
        assert page is None
        assert [model.id for model in models] == [row.get("id") or row["model"] for row in rows]
        for model, row in zip(models, rows, strict=True):
            told = {model.id, model.title, model.owner, model.context_tokens, model.output_tokens, "model"}
            days = {"created": model.created, "created_at": model.created}
            for member, value in row.items():
                known = value in told if isinstance(value, str | int) else False
                assert member in model.meta or known or days.get(member), (exchange, member)


def test_recorded_refusals_are_typed() -> None:
    for endpoint, wire in (("openai.models", "openai"), ("anthropic.models", "anthropic"), ("gemini.models", "gemini")):
        refused = [exchange for exchange in recordings(endpoint) if exchange.status >= 400]
        assert refused
        for exchange in refused:
            error = find_dialect(wire).decode_error(exchange.status, exchange.headers, exchange.body)
            assert isinstance(error, AuthenticationError), exchange


def test_recorded_facts_of_ollamas_models_are_read() -> None:
    told = codec("ollama").decode_model
    assert told is not None
    for exchange in recordings("ollama.show"):
        model = told(exchange.body, ListedModel(id="m"))
        assert model.context_tokens == 131_072 and model.meta["details"]["family"] == "llama"
        assert model.lacks == () and model.input_modalities is None
