"""The knobs of the OpenAI chat wire: what services that speak it want said otherwise.

The rule: a provider's page and a model's row set these as data; the codec reads them and never asks who is there. Every
default is OpenAI's own way. Providers are named below as examples of who needs a knob, as of 2026-11-21.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from polyvox.dialects.base import Fate

MaxTokensField = Literal["max_completion_tokens", "max_tokens"]
ReasoningField = Literal["reasoning_content", "reasoning", "reasoning_details", "thinking"]
ReasoningForm = Literal["reasoning_effort", "reasoning", "thinking", "enable_thinking"]


class OpenAIQuirks(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How a service deviates from OpenAI's own Chat Completions."""

    # Settings

    max_tokens_field: MaxTokensField | None = None
    """The word for `max_tokens`. `None`: `max_completion_tokens`, or what the decoded request itself said. Mistral,
    DeepSeek, Perplexity, Together, llama.cpp and most generic servers know only `max_tokens`."""

    user_field: Literal["safety_identifier", "user"] | None = None
    """The word for `user`. `None`: `safety_identifier` (OpenAI deprecates `user`), or what the decoded request said.
    Services other than OpenAI, Azure and xAI know only `user`."""

    settings: dict[str, Fate] = field(default_factory=dict)
    """The fate of a setting by its unified name: `send` it, `drop` it with an adjustment, or `refuse` it with an
    `UnsupportedError`. `top_k` is dropped unless said otherwise (DashScope, OpenRouter, Mistral, vLLM and llama.cpp
    take it: `send`); Groq drops the penalties and refuses `n`; DeepSeek refuses `n` and `seed`."""

    thinking_settings: dict[str, Fate] = field(default_factory=dict)
    """The same, of settings that the model does not take while it thinks: they count unless reasoning is turned off.
    OpenAI since GPT-5.1; DeepSeek, which ignores them in silence."""

    rename: dict[str, str] = field(default_factory=dict)
    """Other words for members of the body, wire's word → service's word: Mistral's `{"seed": "random_seed"}`."""

    on_unsupported: Literal["drop", "error"] = "drop"
    """What becomes of a setting whose fate is `drop`: dropped, or, where the caller says so, an `UnsupportedError`."""

    include_usage: bool = True
    """Ask for usage in streams (`stream_options.include_usage`). Mistral, OpenRouter and Perplexity send it unasked;
    Mistral refuses the member."""

    extra_body: dict[str, Any] = field(default_factory=dict)
    """Members added to every body that does not have them (Mistral's `{"safe_prompt": true}`, OpenRouter's
    `{"provider": {"require_parameters": true}}`)."""

    # Reasoning

    reasoning_form: ReasoningForm = "reasoning_effort"
    """How the `reasoning` setting is said. `reasoning_effort`: OpenAI, Groq, xAI, Mistral. `reasoning`: OpenRouter's
    `{"effort"}` or `{"max_tokens"}`. `thinking`: `{"type": "enabled"|"disabled"}`, with `reasoning_effort` beside it
    where the service has efforts (DeepSeek, Moonshot; Z.ai has none). `enable_thinking`: DashScope's switch, and
    `thinking_budget` for a budget in tokens."""

    reasoning_efforts: tuple[str, ...] | None = None
    """The steps of the ladder that are accepted; another is clamped to the nearest. `None`: all. `()`: no steps at all,
    with `thinking` only on and off. `("none",)`: it can only be told to leave off (Qwen 3 at Groq). DeepSeek:
    `("low", "high", "max")`; Groq: `("none", "low", "medium", "high")`."""

    reasoning_field: ReasoningField | None = None
    """Where an assistant message's reasoning goes back. `None`: where it came from. `reasoning_content`: DeepSeek,
    DashScope, Moonshot, Z.ai. `reasoning`: Groq, Cerebras, Ollama. `reasoning_details`: OpenRouter (text without a
    recorded array goes as `reasoning`). `thinking`: Mistral's chunks in the content."""

    reasoning_required: bool = False
    """Write the reasoning field, empty if need be, in every assistant message with tool calls: DeepSeek answers 400
    without it. Needs `reasoning_field`."""

    reasoning_history: Literal["omit", "text"] = "omit"
    """What becomes of reasoning of another origin: left out (with an adjustment), or sent as text."""

    # Messages

    system_role: Literal["system", "developer"] | None = None
    """The role of system messages. `None`: as the message's meta says, else `system`. Most services other than OpenAI
    know no `developer`: `system`."""

    mid_system: bool = True
    """Whether system messages may stand after the first other message. If not (Perplexity, many chat templates), later
    ones are sent as user text."""

    text_content: Literal["parts", "string"] = "parts"
    """How several texts in one message are sent: as a list of parts, or joined into a string where all are text
    (DeepSeek, Cerebras, old chat templates)."""

    empty_content: Literal["null", "string", "omit"] = "null"
    """The content of an assistant message that only calls tools. `string`: `""`, for services that refuse null (Ollama,
    some chat templates); `omit`: no member at all."""

    tool_call_ids: Literal["any", "alnum9"] = "any"
    """Whether call ids must be nine letters and digits (Mistral, and Mistral's models on Bedrock): others are replaced
    by nine of their hash, in calls and results alike."""

    tool_result_parts: bool = False
    """Whether a tool message may hold pictures and files (Ollama, OpenRouter, Mistral). If not, they are sent in a user
    message right after the results."""

    audio_formats: tuple[str, ...] = ("wav", "mp3")
    """The formats `input_audio` takes. OpenRouter takes `flac`, `ogg`, `m4a`, `aac` and others too."""

    file_urls: Literal["refuse", "file_data", "file_url", "document_url"] = "refuse"
    """How a document by address is sent. OpenAI's chat wire has no form for it. `file_data`: OpenRouter; `file_url`:
    Perplexity; `document_url`: Mistral."""

    # Tools and output

    custom_tools: bool = True
    """Whether tools of kind `custom` are known (OpenAI's newer models only)."""

    required_word: Literal["required", "any"] = "required"
    """The word for "some tool must be called". `any`: Mistral's older models."""

    json_schema: bool = True
    """Whether `response_format` takes a schema. If not (DeepSeek), `json_object` is asked for, with an adjustment."""
