"""What is particular of each service, as a user meets it: a turn goes out as the service wants it, and its own answers,
costs and failures are understood. By scripted answers in the shapes that the services send, on both clients."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from polyvox import (
    AuthenticationError,
    BadRequestError,
    BillingError,
    CallConfig,
    ContentPolicyError,
    ContextLengthError,
    PolyvoxError,
    ProviderError,
    RateLimitError,
    ReasoningPart,
    Retry,
    TextPart,
    ToolCall,
    ToolResult,
    assistant,
    tool,
    user,
)
from polyvox.io.scripted import Answer, ScriptedIO
from polyvox.types.parts import SourcePart

SSE = {"content-type": "text/event-stream"}
WEATHER = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def chat(message: dict[str, Any], finish: str = "stop", **more: Any) -> Answer:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    body = {"id": "c1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": USAGE, **more}
    return Answer(200, {"content-type": "application/json"}, [json.dumps(body).encode()])


def responses(output: list[dict[str, Any]], status: str = "completed", **more: Any) -> Answer:
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    body = {"id": "r1", "object": "response", "status": status, "model": "m", "output": output, "usage": usage, **more}
    return Answer(200, {"content-type": "application/json"}, [json.dumps(body).encode()])


def stream(*pieces: dict[str, Any] | str) -> Answer:
    said = [piece if isinstance(piece, str) else f"data: {json.dumps(piece)}\n\n" for piece in pieces]
    return Answer(200, SSE, [piece.encode() for piece in said])


def delta(said: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": "c1", "model": "m", "choices": [{"index": 0, "delta": said, "finish_reason": finish}], **more}


def call_of(name: str = "call_1") -> dict[str, Any]:
    return {"id": name, "type": "function", "function": {"name": "weather", "arguments": '{"city": "Lisbon"}'}}


class Service:
    """A client of one service whose answers are scripted, and what it sent."""

    def __init__(self, make_caller: Any, answers: Sequence[Answer], **blocks: Any) -> None:
        self.io = ScriptedIO(list(answers))
        names = "openrouter deepseek mistral groq xai perplexity azure dashscope moonshot zai"
        keys: dict[str, dict[str, Any]] = {name: {"api_key": "sk-test"} for name in names.split()}
        keys["azure"]["base_url"] = "https://house.openai.azure.com"
        for name, block in blocks.items():
            keys[name] = {**keys[name], **block}
        once = CallConfig(retry=Retry(max_attempts=1))
        self.caller = make_caller(io=self.io, providers=keys, call_config=once)

    def ask(self, *arguments: Any, **settings: Any) -> Any:
        return self.caller.generate(*arguments, **settings)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.body) for request in self.io.requests]

    def two_turns(self, model: str, **settings: Any) -> Any:
        """Ask, answer the call that comes, and return the assistant's message as it went back."""
        question = user("Weather in Lisbon?")
        reply = self.ask(model, [question], tools=[WEATHER], **settings)
        results = [tool(ToolResult(call.id, call.name, (TextPart("mild"),))) for call in reply.tool_calls]
        self.ask(model, [question, reply.message, *results], tools=[WEATHER], **settings)
        return next(said for said in self.bodies[1]["messages"] if said["role"] == "assistant")


def fails(service: Service, model: str, kind: type[PolyvoxError], **settings: Any) -> Any:
    with pytest.raises(kind) as caught:
        service.ask(model, "Hi", **settings)
    assert type(caught.value) is kind
    return caught.value


def refusal(status: int, body: Any) -> Answer:
    return Answer(status, {"content-type": "application/json"}, [json.dumps(body).encode()])


# OpenRouter: https://openrouter.ai/docs

DETAILS = [
    {"type": "reasoning.summary", "summary": "Look it up.", "format": "openai-responses-v1", "index": 0},
    {"type": "reasoning.encrypted", "data": "gAAAAAB", "id": "rs_1", "format": "openai-responses-v1", "index": 0},
]


def test_openrouter_is_told_who_asks_by_the_environment_or_the_configuration(
    make_caller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENROUTER_HTTP_REFERER", "https://example.org")
    monkeypatch.setenv("OPENROUTER_APP_NAME", "Example")
    service = Service(make_caller, [chat({"content": "Hi"})] * 2, openrouter={"headers": {"X-Title": "Mine"}})
    service.ask("openrouter/openai/gpt-5.5", "Hi")
    service.ask("openrouter/openai/gpt-5.5", "Hi", headers={"X-OpenRouter-Title": "This call"})
    first, second = (request.headers for request in service.io.requests)
    assert (first["HTTP-Referer"], first["X-OpenRouter-Title"], first["X-Title"]) == (
        "https://example.org",
        "Example",
        "Mine",
    )
    assert second["X-OpenRouter-Title"] == "This call" and first["Authorization"] == "Bearer sk-test"


def test_openrouter_gets_its_reasoning_details_back_unchanged_and_in_order(make_caller: Any) -> None:
    message = {"content": None, "reasoning": "Look it up.", "reasoning_details": DETAILS, "tool_calls": [call_of()]}
    service = Service(make_caller, [chat(message, "tool_calls"), chat({"content": "Mild."})])
    back = service.two_turns("openrouter/openai/gpt-5.5", reasoning="low")
    assert back["reasoning_details"] == DETAILS and back["tool_calls"][0]["id"] == "call_1"
    assert service.bodies[0]["reasoning"] == {"effort": "low"}


def test_openrouter_gets_streamed_reasoning_details_back_too(make_caller: Any) -> None:
    pieces = [
        ": OPENROUTER PROCESSING\n\n",
        delta({"role": "assistant", "content": "", "reasoning": "Look it up.", "reasoning_details": DETAILS[:1]}),
        ": OPENROUTER PROCESSING\n\n",
        delta({"content": "", "reasoning": None, "reasoning_details": DETAILS[1:]}),
        delta({"tool_calls": [{"index": 0, **call_of()}]}),
        delta({}, "tool_calls"),
        delta({"content": ""}, "tool_calls", usage={**USAGE, "cost": 0.25}),
        "data: [DONE]\n\n",
    ]
    service = Service(make_caller, [stream(*pieces), chat({"content": "Mild."})])
    question = user("Weather?")
    reply = service.caller.stream("openrouter/openai/gpt-5.5", [question], tools=[WEATHER]).drain()
    assert reply.reasoning == "Look it up." and [call.id for call in reply.tool_calls] == ["call_1"]
    assert reply.cost.amount == 0.25
    service.ask("openrouter/openai/gpt-5.5", [question, reply.message, tool(ToolResult("call_1", "weather"))])
    assert service.bodies[1]["messages"][1]["reasoning_details"] == DETAILS


def test_openrouters_own_cost_is_the_cost(make_caller: Any) -> None:
    usage = {**USAGE, "cost": 0.0125, "is_byok": False, "cost_details": {"upstream_inference_cost": None}}
    service = Service(make_caller, [chat({"content": "Hi"}, usage=usage)])
    cost = service.ask("openrouter/openai/gpt-5.5", "Hi").cost
    assert (cost.amount, cost.source) == (0.0125, "provider")


def test_openrouter_fails_mid_stream_with_what_had_come(make_caller: Any) -> None:
    error = {"code": 502, "message": "Provider returned error", "metadata": {"provider_name": "Host"}}
    broken = {"id": "c1", "error": error, "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]}
    service = Service(make_caller, [stream(delta({"role": "assistant", "content": "Half"}), broken)])
    with pytest.raises(ProviderError) as caught:
        service.caller.stream("openrouter/openai/gpt-5.5", "Hi").drain()
    assert caught.value.partial is not None and caught.value.partial.text == "Half" and caught.value.retryable
    assert "Provider returned error" in caught.value.message


def test_openrouter_fails_under_a_status_of_200(make_caller: Any) -> None:
    padded = b"\n   \n" + json.dumps({"error": {"code": 502, "message": "No instances"}}).encode()
    service = Service(make_caller, [Answer(200, {"content-type": "application/json"}, [padded])])
    with pytest.raises(ProviderError, match="No instances"):
        service.ask("openrouter/openai/gpt-5.5", "Hi")


def test_openrouter_without_credits_is_money_and_not_a_rate(make_caller: Any) -> None:
    service = Service(make_caller, [refusal(402, {"error": {"code": 402, "message": "Insufficient credits"}})])
    assert not fails(service, "openrouter/openai/gpt-5.5", BillingError).retryable


def test_openrouters_own_members_go_through_options(make_caller: Any) -> None:
    service = Service(make_caller, [chat({"content": "Hi"})])
    routing = {"provider": {"require_parameters": True}, "models": ["a/b"]}
    service.ask("openrouter/openai/gpt-5.5", "Hi", options={"openrouter": routing}, top_k=3)
    body = service.bodies[0]
    assert body["provider"] == {"require_parameters": True} and body["models"] == ["a/b"] and body["top_k"] == 3
    assert body["model"] == "openai/gpt-5.5" and "stream_options" not in body


# DeepSeek: https://api-docs.deepseek.com


@pytest.mark.parametrize("thought", ["It is mild there.", ""])
def test_deepseek_gets_the_reasoning_of_a_turn_with_tools_back(make_caller: Any, thought: str) -> None:
    message = {"content": "", "reasoning_content": thought, "tool_calls": [call_of()]}
    service = Service(make_caller, [chat(message, "tool_calls"), chat({"content": "Mild."})])
    assert service.two_turns("deepseek/deepseek-flash")["reasoning_content"] == thought


def test_deepseek_gets_an_empty_reasoning_for_a_turn_of_another_model(make_caller: Any) -> None:
    service = Service(make_caller, [chat({"content": "Mild."})])
    turn = [
        user("Weather?"),
        {"role": "assistant", "content": None, "tool_calls": [call_of()]},
        {"role": "tool", "tool_call_id": "call_1", "content": "mild"},
    ]
    service.ask("deepseek/deepseek-flash", turn)
    assert service.bodies[0]["messages"][1]["reasoning_content"] == ""


def test_deepseek_keeps_the_line_alive_and_counts_its_cache(make_caller: Any) -> None:
    cached = {"prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 6}
    usage = {**USAGE, **cached, "completion_tokens_details": {"reasoning_tokens": 3}}
    pieces = [
        ": keep-alive\n\n",
        "\n",
        delta({"role": "assistant", "reasoning_content": "Hm."}),
        delta({"content": "Hi"}),
        delta({"content": ""}, "stop", usage=usage),
        "data: [DONE]\n\n",
    ]
    service = Service(make_caller, [stream(*pieces)])
    reply = service.caller.stream("deepseek/deepseek-flash", "Hi").drain()
    assert (reply.reasoning, reply.text) == ("Hm.", "Hi")
    assert (reply.usage.cache_read_tokens, reply.usage.reasoning_tokens) == (4, 3)


def test_deepseek_without_balance_is_money(make_caller: Any) -> None:
    said = {"error": {"message": "Insufficient Balance", "type": "unknown_error", "param": None, "code": "invalid"}}
    service = Service(make_caller, [refusal(402, said)])
    assert not fails(service, "deepseek/deepseek-flash", BillingError).retryable


# Mistral: https://docs.mistral.ai/api

THINKING = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "Look it up."}], "signature": "s1", "closed": True},
    {"type": "text", "text": "One moment."},
]


def test_mistrals_content_may_be_a_list_and_goes_back_as_one(make_caller: Any) -> None:
    message = {"content": THINKING, "tool_calls": [{"id": "D681PevKs", "function": call_of()["function"]}]}
    service = Service(make_caller, [chat(message, "tool_calls"), chat({"content": "Mild."})])
    back = service.two_turns("mistral/mistral-small-2603", reasoning="high")
    assert back["content"] == THINKING and back["tool_calls"][0]["id"] == "D681PevKs"
    assert service.bodies[0]["reasoning_effort"] == "high"


def test_mistrals_content_may_be_a_list_in_one_chunk_and_a_text_in_the_next(make_caller: Any) -> None:
    thought = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]
    pieces = [delta({"role": "assistant", "content": ""}), delta({"content": thought}), delta({"content": "Hi"})]
    service = Service(make_caller, [stream(*pieces, delta({"content": ""}, "stop", usage=USAGE), "data: [DONE]\n\n")])
    reply = service.caller.stream("mistral/mistral-small-2603", "Hi").drain()
    assert [type(part) for part in reply.content] == [ReasoningPart, TextPart]
    assert (reply.reasoning, reply.text) == ("Hm.", "Hi") and "stream_options" not in service.bodies[0]


def test_mistral_gets_ids_of_nine_letters_and_digits_that_still_match(make_caller: Any) -> None:
    service = Service(make_caller, [chat({"content": "Mild."})])
    calls = (ToolCall("toolu_01A", "weather", "{}"), ToolCall("toolu_01B", "weather", "{}"))
    results = [ToolResult(call.id, call.name, (TextPart("mild"),)) for call in calls]
    service.ask("mistral/mistral-large-4", [user("Weather?"), assistant([*calls]), tool(results)])
    said = service.bodies[0]["messages"]
    ids = [call["id"] for call in said[1]["tool_calls"]]
    assert all(re.fullmatch("[a-zA-Z0-9]{9}", name) for name in ids) and len(set(ids)) == 2
    assert [message["tool_call_id"] for message in said[2:]] == ids


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"detail": "Invalid API Key"}, AuthenticationError),
        (422, {"detail": [{"loc": ["body", "model"], "msg": "field required", "type": "missing"}]}, BadRequestError),
        (429, {"object": "error", "message": "Requests rate limit exceeded", "type": "rate_limited"}, RateLimitError),
    ],
)
def test_mistrals_errors_have_shapes_of_their_own(make_caller: Any, status: int, body: Any, kind: Any) -> None:
    error = fails(Service(make_caller, [refusal(status, body)]), "mistral/mistral-large-4", kind)
    assert error.message and error.provider == "mistral"


# Groq: https://console.groq.com/docs


def test_groqs_reasoning_comes_beside_the_text_and_goes_back(make_caller: Any) -> None:
    message = {"reasoning": "Look it up.", "tool_calls": [call_of()]}  # no content at all
    service = Service(make_caller, [chat(message, "tool_calls"), chat({"content": "Mild."})])
    back = service.two_turns("groq/openai/gpt-oss-120b", reasoning="low")
    assert back["reasoning"] == "Look it up." and service.bodies[0]["reasoning_effort"] == "low"


def test_groqs_usage_comes_twice_and_counts_once(make_caller: Any) -> None:
    end = delta({}, "stop", x_groq={"id": "req_1", "usage": {**USAGE, "queue_time": 0.1}}, usage=USAGE)
    last = {"id": "c1", "model": "m", "choices": [], "usage": USAGE}
    service = Service(
        make_caller, [stream(delta({"role": "assistant", "content": "Hi"}), end, last, "data: [DONE]\n\n")]
    )
    usage = service.caller.stream("groq/openai/gpt-oss-120b", "Hi").drain().usage
    assert (usage.input_tokens, usage.output_tokens) == (10, 5)


def test_groqs_error_inside_a_stream_names_what_the_model_made(make_caller: Any) -> None:
    error = {"message": "Failed to call a function.", "type": "invalid_request_error", "code": "tool_use_failed"}
    failed = {"error": {**error, "failed_generation": "<function=weather", "status_code": 400}}
    service = Service(make_caller, [stream(f"event: error\ndata: {json.dumps(failed)}\n\n")])
    with pytest.raises(BadRequestError) as caught:
        service.caller.stream("groq/openai/gpt-oss-120b", "Hi", tools=[WEATHER]).drain()
    assert caught.value.code == "tool_use_failed"


# xAI: https://docs.x.ai


def test_xais_reasoning_is_no_part_of_its_completion_on_chat_completions(make_caller: Any) -> None:
    usage = {
        "prompt_tokens": 470,
        "completion_tokens": 68,
        "total_tokens": 723,
        "prompt_tokens_details": {"cached_tokens": 192},
        "completion_tokens_details": {"reasoning_tokens": 185},
        "cost_in_usd_ticks": 4_389_400,
    }
    service = Service(make_caller, [chat({"content": "Hi", "reasoning_content": "Hm."}, usage=usage)])
    reply = service.ask("xai/grok-4.7", "Hi", dialect="openai")
    assert (reply.usage.output_tokens, reply.usage.reasoning_tokens) == (68 + 185, 185)
    assert reply.cost.amount == pytest.approx(0.00043894) and reply.reasoning == "Hm."
    assert service.io.requests[0].url == "https://api.x.ai/v1/chat/completions"


def test_xais_reasoning_travels_on_responses(make_caller: Any) -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "xyz"}
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": "{}"}
    said = {"type": "message", "id": "m_1", "role": "assistant", "content": [{"type": "output_text", "text": "Mild."}]}
    service = Service(make_caller, [responses([thought, call]), responses([said])])
    question = user("Weather?")
    reply = service.ask("xai/grok-4.7", [question], tools=[WEATHER])
    service.ask("xai/grok-4.7", [question, reply.message, tool(ToolResult("call_1", "weather"))], tools=[WEATHER])
    first, second = service.bodies
    assert first["include"] == ["reasoning.encrypted_content"]
    assert [item["encrypted_content"] for item in second["input"] if item.get("type") == "reasoning"] == ["xyz"]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"code": "invalid-argument", "error": "Incorrect API key provided."}, AuthenticationError),
        (400, {"code": "Client specified an invalid argument", "error": "no such parameter"}, BadRequestError),
        (400, {"error": "no such parameter"}, BadRequestError),
        (429, {"error": {"message": "slow down", "type": "rate_limit", "code": None, "param": None}}, RateLimitError),
    ],
)
@pytest.mark.parametrize("dialect", ["openai", "openai_responses"])
def test_xais_errors_have_three_shapes_and_a_bad_key_is_a_400(
    make_caller: Any, status: int, body: Any, kind: Any, dialect: str
) -> None:
    fails(Service(make_caller, [refusal(status, body)]), "xai/grok-4.7", kind, dialect=dialect)


# Azure: https://learn.microsoft.com/azure/ai-foundry/openai


@pytest.mark.parametrize(
    "address",
    [
        "https://house.openai.azure.com",
        "https://house.openai.azure.com/",
        "https://house.openai.azure.com/openai",
        "https://house.openai.azure.com/openai/v1/",
    ],
)
@pytest.mark.parametrize(("dialect", "path"), [("openai", "chat/completions"), ("openai_responses", "responses")])
def test_azure_is_asked_at_the_resource_with_the_key_in_its_own_header(
    make_caller: Any, address: str, dialect: str, path: str
) -> None:
    service = Service(make_caller, [chat({"content": "Hi"}), responses([])], azure={"base_url": address})
    told = service.caller.client.explain("azure/my-deployment", "Hi", dialect=dialect)
    assert told.url == f"https://house.openai.azure.com/openai/v1/{path}" and told.body["model"] == "my-deployment"
    service.ask("azure/my-deployment", "Hi", dialect="openai")
    headers = {name.lower(): value for name, value in service.io.requests[0].headers.items()}
    assert headers["api-key"] == "sk-test" and "authorization" not in headers


def test_azure_sends_what_its_filters_say_before_the_answer(make_caller: Any) -> None:
    filters = {"id": "", "model": "", "object": "", "created": 0, "choices": [], "prompt_filter_results": []}
    asynchronous = {
        "id": "",
        "model": "",
        "choices": [{"index": 0, "finish_reason": None, "content_filter_results": {}}],
    }
    pieces = [filters, delta({"role": "assistant", "content": "Hi"}), asynchronous, delta({}, "stop")]
    service = Service(make_caller, [stream(*pieces, "data: [DONE]\n\n")])
    reply = service.caller.stream("azure/my-deployment", "Hi").drain()
    assert (reply.text, reply.id, reply.model, reply.finish.reason) == ("Hi", "c1", "m", "stop")


def test_azures_filter_is_a_matter_of_policy(make_caller: Any) -> None:
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}}
    said = {"error": {"message": "filtered", "type": None, "param": "prompt", "code": "content_filter", "status": 400}}
    said["error"]["innererror"] = inner  # type: ignore[assignment]
    fails(Service(make_caller, [refusal(400, said)]), "azure/my-deployment", ContentPolicyError)


# Perplexity: https://docs.perplexity.ai/docs/agent-api

FOUND = {"id": 1, "title": "Lisbon", "url": "https://example.org/lisbon", "date": "2026-01-01", "snippet": "Mild."}


def test_perplexity_is_asked_on_the_agent_wire_with_nothing_that_it_refuses(make_caller: Any) -> None:
    service = Service(make_caller, [responses([])])
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    reply = service.ask(
        "perplexity/openai/gpt-5.5",
        "Weather?",
        temperature=0.2,
        stop="x",
        seed=1,
        user="u",
        output=schema,
        reasoning="high",
        options={"perplexity": {"preset": "fast"}},
    )
    body = service.bodies[0]
    assert service.io.requests[0].url == "https://api.perplexity.ai/v1/responses"
    assert body.keys() == {"model", "input", "response_format", "reasoning", "preset"}
    assert body["model"] == "openai/gpt-5.5" and body["reasoning"] == {"effort": "high"}
    assert body["response_format"]["json_schema"]["schema"] == schema
    assert {one.setting for one in reply.adjustments} == {"temperature", "stop", "seed", "user"}


def test_what_perplexity_found_comes_as_sources_with_its_own_cost(make_caller: Any) -> None:
    said = {
        "type": "message",
        "id": "m_1",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Mild [1]."}],
    }
    output = [{"type": "search_results", "queries": ["weather Lisbon"], "results": [FOUND]}, said]
    usage = {
        "input_tokens": 10,
        "output_tokens": 5,
        "total_tokens": 15,
        "cost": {"total_cost": 0.0071, "currency": "USD"},
    }
    service = Service(make_caller, [responses(output, usage=usage)])
    reply = service.ask("perplexity/sonar", "Weather?")
    found = [part for part in reply.content if isinstance(part, SourcePart)]
    assert reply.text == "Mild [1]." and [part.url for part in found] == [FOUND["url"]]
    assert reply.cost.amount == 0.0071


def test_a_run_that_failed_at_perplexity_is_an_error_under_a_status_of_200(make_caller: Any) -> None:
    failed = {"error": {"message": "the run failed", "type": "server_error", "code": "server_error"}}
    with pytest.raises(ProviderError, match="the run failed"):
        Service(make_caller, [responses([], "failed", **failed)]).ask("perplexity/sonar", "Hi")


def test_perplexity_says_that_a_prompt_is_too_long(make_caller: Any) -> None:
    said = {"error": {"message": "The total length of all messages is too long.", "type": "too_many_prompt_tokens"}}
    fails(Service(make_caller, [refusal(400, said)]), "perplexity/sonar", ContextLengthError)


# DashScope, Moonshot, Z.ai: thinking is a switch


@pytest.mark.parametrize(
    ("model", "asked", "said"),
    [
        ("dashscope/qwen3.6-plus", "none", {"enable_thinking": False}),
        ("dashscope/qwen3.6-plus", "high", {"enable_thinking": True}),
        ("dashscope/qwen3.6-plus", 2048, {"enable_thinking": True, "thinking_budget": 2048}),
        ("moonshot/kimi-k3.1-pro", "none", {"thinking": {"type": "disabled"}}),
        ("moonshot/kimi-k3.1-pro", "high", {"thinking": {"type": "enabled"}}),
        ("zai/glm-5.3", "none", {"thinking": {"type": "disabled"}}),
        ("zai/glm-5.3", "max", {"thinking": {"type": "enabled"}}),
        ("deepseek/deepseek-flash", "none", {"thinking": {"type": "disabled"}}),
        ("deepseek/deepseek-flash", "max", {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}),
    ],
)
def test_services_that_switch_thinking_on_and_off(make_caller: Any, model: str, asked: Any, said: Any) -> None:
    service = Service(make_caller, [])
    body = service.caller.client.explain(model, "Hi", reasoning=asked).body
    words = {"enable_thinking", "thinking_budget", "thinking", "reasoning_effort", "reasoning"}
    assert {name: value for name, value in body.items() if name in words} == said
