"""The request and the answer of the central operation. The rule: `None` means "not said" and is not sent."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeAlias, TypeVar

from msgspec import UNSET, Struct, UnsetType, field

from polyvox.types.messages import Message
from polyvox.types.parts import Meta, Part, ReasoningPart, SourcePart, TextPart, ToolCall
from polyvox.types.tools import Tool, ToolChoice
from polyvox.types.usage import Attempt, Cost, RateLimits, Timing, Usage

T = TypeVar("T")

Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Reasoning: TypeAlias = Effort | int
"""How hard to think: a step of the ladder, or a budget in tokens."""

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "pause", "error", "other"]


class Output(Struct, frozen=True, omit_defaults=True):
    """The form the answer must have: any JSON (`schema` is `None`) or JSON by a schema."""

    schema: dict[str, Any] | None = None
    name: str = "answer"
    description: str | None = None
    strict: bool | None = None


class AudioOutput(Struct, frozen=True, omit_defaults=True):
    """How a spoken answer should sound. `voice` is the provider's name; `format` is e.g. `wav`, `mp3`, `pcm16`."""

    voice: str | None = None
    format: str | None = None


class PromptCache(Struct, frozen=True, omit_defaults=True):
    """Hints for the provider's prompt cache. `key` groups calls with one prefix; `ttl` is e.g. `5m`, `1h`, `24h`."""

    key: str | None = None
    mode: Literal["implicit", "explicit"] | None = None
    ttl: str | None = None


class Residue(Struct, frozen=True, omit_defaults=True):
    """What `decode_request` saw in a wire request and Polyvox has no word for: the same dialect can say it again.

    `changes` are (path, ours, theirs): where the encoder would write `ours` at `path`, the request had `theirs`. A
    change is put back only where the encoder still writes `ours`, so that whatever a processor changes wins. `spelled`
    are the wire's other words for settings that the request used (`max_tokens` for `max_completion_tokens`): the
    encoder writes the setting under that word, whatever its value is by then.
    """

    dialect: str
    changes: tuple[ResidueChange, ...] = ()
    spelled: tuple[str, ...] = ()


class ResidueChange(Struct, frozen=True, omit_defaults=True):
    """One place where the wire said something else than our encoder would. `UNSET` stands for "no such member".

    A path that ends in a number names a place in a list: `ours` and `theirs` are then runs of items from there on, not
    always equally long, put back whole or not at all.
    """

    path: tuple[str | int, ...]
    ours: Any | UnsetType = UNSET
    theirs: Any | UnsetType = UNSET


class GenerateRequest(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A request for an answer. Every field but `model` and `messages` may be left unsaid.

    `logprobs`: 0 asks for the chosen tokens' probabilities, n for the n likeliest beside each. `n`: how many answers.
    `options` are a dialect's or provider's own settings, given as that wire names them: `{"openai": {"store": False}}`.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    output: Output | None = None
    reasoning: Reasoning | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: int | None = None
    n: int | None = None
    modalities: tuple[str, ...] = ()
    audio: AudioOutput | None = None
    prompt_cache: PromptCache | None = None
    user: str | None = None
    service_tier: str | None = None
    metadata: dict[str, str] | None = None
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    residue: Residue | None = None


class Finish(Struct, frozen=True, omit_defaults=True):
    """Why the answer ended. `pause`: the turn is not over, send it back. `raw` is the wire's own word."""

    reason: FinishReason
    raw: str | None = None


class Adjustment(Struct, frozen=True, omit_defaults=True):
    """Something that was asked for and done otherwise: what is not sent as asked is named here, never lost silently."""

    kind: Literal["dropped", "clamped", "renamed", "emulated", "needed"]
    setting: str
    detail: str = ""


class Alternative(Struct, frozen=True, omit_defaults=True):
    """A further answer to the same request (`n` above 1), with its place among the choices."""

    index: int
    content: tuple[Part, ...] = ()
    finish: Finish | None = None
    meta: Meta = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The text, its text parts joined."""
        return _text(self.content)


class GenerateResponse(Struct, Generic[T], frozen=True, omit_defaults=True, kw_only=True):
    """An answer, whole or so far.

    `model` is the model that answered, as the provider names it; `provider` is who was asked. `finish` is `None` while
    the answer is not complete. `parsed` is the answer in the type that was asked for with `output=`. `meta` holds what
    the dialect keeps of the envelope; `raw` is the body as received (`None` for a stream). `cached`: it was not asked
    for anew but comes from the response cache, with the usage that it had then.
    """

    id: str | None = None
    model: str | None = None
    provider: str | None = None
    content: tuple[Part, ...] = ()
    finish: Finish | None = None
    usage: Usage = Usage()
    cost: Cost | None = None
    adjustments: tuple[Adjustment, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    timing: Timing | None = None
    request_id: str | None = None
    rate_limits: RateLimits | None = None
    origin: str | None = None
    parsed: T | None = None
    meta: Meta = field(default_factory=dict)
    raw: bytes | None = None
    cached: bool = False

    @property
    def text(self) -> str:
        """The answer's text, its text parts joined; refusals and reasoning are not part of it."""
        return _text(self.content)

    @property
    def refusal(self) -> str:
        """The model's words of refusal, `""` where it did not refuse."""
        return "".join(part.text for part in self.content if isinstance(part, TextPart) and part.refusal)

    @property
    def reasoning(self) -> str:
        """The readable reasoning, its parts joined by blank lines."""
        return "\n\n".join(part.text for part in self.content if isinstance(part, ReasoningPart) and part.text)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls that the caller is to run; those the provider ran itself are in `content` only."""
        return tuple(part for part in self.content if isinstance(part, ToolCall) and not part.executed)

    @property
    def sources(self) -> tuple[SourcePart, ...]:
        """Search results bound to no text; citations on spans stand in the text parts' own `sources`."""
        return tuple(part for part in self.content if isinstance(part, SourcePart))

    @property
    def message(self) -> Message:
        """The answer as an assistant message that goes straight back into a request."""
        return Message("assistant", self.content, origin=self.origin)


def _text(content: tuple[Part, ...]) -> str:
    return "".join(part.text for part in content if isinstance(part, TextPart) and not part.refusal)
