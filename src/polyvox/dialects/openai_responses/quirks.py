"""The knobs of the Responses wire: what models differ in, and what services that speak it want said otherwise.

The rule: a provider's page and a model's row set these as data; the codec reads them and never asks who is there. Every
default is OpenAI's own way. https://platform.openai.com/docs/api-reference/responses/create, as of 2026-11-21.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from polyvox.dialects.base import Fate


class ResponsesQuirks(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How a model or a service deviates from OpenAI's own Responses."""

    # Settings

    settings: dict[str, Fate] = field(default_factory=dict)
    """The fate of a setting by its unified name: `send` it, `drop` it with an adjustment, or `refuse` it with an
    `UnsupportedError`. OpenAI's wire has no `top_k`, `stop`, `seed` and no penalties: they are dropped unless said to
    be sent (OpenRouter, xAI, llama.cpp take some); `n` above 1 is refused. Models that reason take no `temperature` and
    `top_p`; Perplexity takes neither, nor `tool_choice`."""

    thinking_settings: dict[str, Fate] = field(default_factory=dict)
    """The same, of settings that the model does not take while it thinks: they count unless reasoning is turned off.
    OpenAI since GPT-5.1."""

    on_unsupported: Literal["drop", "error"] = "drop"
    """What becomes of a setting whose fate is `drop`: dropped, or, where the caller says so, an `UnsupportedError`."""

    user_field: Literal["safety_identifier", "user"] | None = None
    """The word for `user`. `None`: `safety_identifier` (OpenAI deprecates `user`), or what the decoded request said."""

    output_field: Literal["text", "response_format"] = "text"
    """Where the form of the answer is asked for: `text.format`, or (Perplexity) `response_format` as on the chat
    wire."""

    extra_body: dict[str, Any] = field(default_factory=dict)
    """Members added to every body that does not have them."""

    # Reasoning

    efforts: tuple[str, ...] | None = None
    """The steps `reasoning.effort` takes; another is clamped to the nearest. `None`: all. `()`: the model does not
    reason, and the setting is dropped."""

    budgets: bool = False
    """Whether `reasoning.max_tokens` is known (OpenRouter). If not, a budget in tokens is sent as a step."""

    summary: Literal["auto", "concise", "detailed"] | None = None
    """The summary to ask for where reasoning is asked for: without one OpenAI's models show nothing of it. Some of them
    give one to verified organisations only, hence `None`."""

    encrypted_reasoning: Literal["asked", "always", "never"] = "asked"
    """Whether reasoning is wanted encrypted, so that it can travel back (NEEDED). `asked`: where the request asks for
    reasoning. `always`: for a model that reasons unasked. `never`: for a service that refuses the word. OpenAI answers
    400 where a model does not reason."""

    reasoning_history: Literal["omit", "text"] = "omit"
    """What becomes of reasoning of another origin: left out (with an adjustment), or sent as text."""

    # Messages and tools

    system: Literal["instructions", "input"] = "instructions"
    """Where the first system message goes: to `instructions`, or into the input like the later ones."""

    mid_system: bool = True
    """Whether system messages may stand in the input after the first other item. If not, later ones are sent as user
    text."""

    full_answers: bool = False
    """Whether the assistant's earlier texts must go as items of type `message` with `output_text` parts (llama.cpp). If
    not, those of another origin go in the short form."""

    plain_input: bool = False
    """Whether the input takes messages, calls and their results and no member beside what a caller must say
    (Perplexity, where an unknown one is a 400). Of earlier answers the texts and calls are then sent, a call with its
    `thought_signature`; results go as text, their files in a user message after them."""

    input_audio: bool = False
    """Whether sound can be sent (OpenRouter). OpenAI's text models take none on this wire."""

    custom_tools: bool = True
    """Whether tools of kind `custom` are known."""
