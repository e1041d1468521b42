"""What is known of a model and what a caller may set on time. The rule: facts are data; `None` means "not known"."""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec import Struct, field

ModelKind = Literal["language", "embedder", "image", "speech", "transcription"]


class Timeout(Struct, frozen=True, omit_defaults=True):
    """Seconds that each phase of a call may take; `None` means no limit.

    `connect`: until a connection stands. `first_event`: from then until the first decoded event (or the whole answer's
    head). `idle`: between two decoded events of a stream; comments and pings do not count. `total`: the whole call,
    retries included. A whole call has no idle.
    """

    connect: float | None = 10.0
    first_event: float | None = 600.0
    idle: float | None = 600.0
    total: float | None = None


class Rates(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """US dollars a million tokens. `None`: no rate of its own is known.

    `cache_write_1h`: what is to be kept for an hour or longer. `audio_input`, `audio_output`: sound among the tokens.
    `tiers` are in ascending order; a request of more than `above` input tokens pays the tier's rates for all its
    tokens.
    """

    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None
    audio_input: float | None = None
    audio_output: float | None = None
    tiers: tuple[PriceTier, ...] = ()


class PriceTier(Rates, frozen=True, omit_defaults=True, kw_only=True):
    """The rates of a request with more than `above` input tokens. What it leaves out costs as below."""

    above: int


class PeakRates(Rates, frozen=True, omit_defaults=True, kw_only=True):
    """The rates of some hours of the day, `start` to `end` in UTC as `HH:MM`, the end not included."""

    start: str
    end: str
    weekdays: bool = False
    """Monday to Friday only. Holidays are not known: on those the peak's rates are an upper bound."""


class Price(Rates, frozen=True, omit_defaults=True):
    """What a model costs. `source` and `date` say where the figures come from and of when they are.

    `peaks`: other rates at some hours. `tariffs`: other rates by how a call is served: `batch`, or a `service_tier`
    (`flex`, `priority`, `fast`); each is complete.
    """

    source: str | None = None
    date: str | None = None
    peaks: tuple[PeakRates, ...] = ()
    tariffs: dict[str, Rates] = field(default_factory=dict)


CAPABILITIES: Final = (
    "streaming",
    "tools",
    "parallel_tools",
    "structured_output",
    "reasoning",
    "prompt_cache",
    "batch",
)
"""What a row may say that a model can. `streaming`: answers in pieces. `tools`: calls functions; `parallel_tools`:
several in one turn. `structured_output`: holds to a JSON schema. `reasoning`: thinks before it answers.
`prompt_cache`: has a price of its own for input seen before. `batch`: is offered in batches, at a price of its own.
What a row does not name is not known."""

MODALITIES: Final = ("text", "image", "audio", "video", "file")

_OTHER_WORDS: Final = {"vision": "image_input"}

CAPABILITY_WORDS: Final = (
    *CAPABILITIES,
    *(f"{modality}_{side}" for side in ("input", "output") for modality in MODALITIES[1:]),
    *_OTHER_WORDS,
)
"""What models can be looked up by: the capabilities, `image_input`, `file_input`, `audio_output` … for what the
modalities say, and `vision`, which is `image_input`."""


class ModelConfig(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A row of the model registry.

    `home`: this provider is the model's maker, so that its bare id leads here. `dialect` overrides the provider's wire
    for this model. `context_tokens` is what goes in and comes out together, `output_tokens` the most that comes out.
    `capabilities` are words of `CAPABILITIES`. `efforts` are the steps of the reasoning ladder that it takes: `None`
    not known, `()` none. `settings` says for a setting that the model does not take whether to `drop` it (with an
    adjustment) or to `refuse` it; `thinking_settings` says it of those that it does not take while it thinks, that is,
    unless reasoning is turned off. `emulate` names the emulations that the model needs. `released` and `retires` are
    dates, YYYY-MM-DD; `successor` is the model that its maker names for the time after.
    """

    id: str
    provider: str
    kind: ModelKind = "language"
    aliases: tuple[str, ...] = ()
    home: bool = False
    dialect: str | None = None
    context_tokens: int | None = None
    output_tokens: int | None = None
    input_modalities: tuple[str, ...] = ("text",)
    output_modalities: tuple[str, ...] = ("text",)
    capabilities: tuple[str, ...] = ()
    efforts: tuple[str, ...] | None = None
    settings: dict[str, str] = field(default_factory=dict)
    thinking_settings: dict[str, str] = field(default_factory=dict)
    quirks: dict[str, Any] = field(default_factory=dict)
    emulate: tuple[str, ...] = ()
    price: Price | None = None
    released: str | None = None
    retires: str | None = None
    successor: str | None = None

    def can(self, word: str) -> bool:
        """Whether the row says so: a word of `CAPABILITY_WORDS`."""
        return _can(word, self.capabilities, self.input_modalities, self.output_modalities)


class ListedModel(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A model as its provider's own list has it; `None` means that nobody says.

    What the provider leaves out, our registry's row of the model fills in; `from_registry` names these fields, and by
    their own words the single capabilities: all else is the provider's word. `title` is its name for people, `kind` and
    the facts down to `retires` are as in `ModelConfig`. `capabilities` are words of `CAPABILITIES`, and `lacks` those
    of which the provider says that the model does not have them. `price` is in US dollars a million tokens. `created`
    and `retires` are dates, YYYY-MM-DD. `owner` is who made the model, or whose it is, in the provider's words. `meta`
    keeps whatever else the provider said, in its own words.
    """

    id: str
    provider: str = ""
    title: str | None = None
    kind: ModelKind | None = None
    aliases: tuple[str, ...] = ()
    context_tokens: int | None = None
    output_tokens: int | None = None
    input_modalities: tuple[str, ...] | None = None
    output_modalities: tuple[str, ...] | None = None
    capabilities: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    efforts: tuple[str, ...] | None = None
    price: Price | None = None
    created: str | None = None
    retires: str | None = None
    owner: str | None = None
    from_registry: tuple[str, ...] = ()
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`provider/model id`: what to ask the model by."""
        return f"{self.provider}/{self.id}"

    def can(self, word: str) -> bool:
        """Whether the provider, or our row, says so: a word of `CAPABILITY_WORDS`."""
        return _can(word, self.capabilities, self.input_modalities or (), self.output_modalities or ())


def _can(word: str, capabilities: tuple[str, ...], inputs: tuple[str, ...], outputs: tuple[str, ...]) -> bool:
    modality, _, side = _OTHER_WORDS.get(word, word).rpartition("_")
    if modality in MODALITIES and side in ("input", "output"):
        return modality in (inputs if side == "input" else outputs)
    return word in capabilities
