"""What is known of a model and what a caller may set on time. The rule: facts are data; `None` means "not known"."""

from __future__ import annotations

from typing import Any, Literal

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


class Price(Struct, frozen=True, omit_defaults=True):
    """US dollars a million tokens. `source` and `date` say where the figures come from and of when they are."""

    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None
    source: str | None = None
    date: str | None = None


class ModelConfig(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A row of the model registry.

    `dialect` overrides the provider's wire for this model. `settings` says for a setting that the model does not take
    whether to `drop` it (with an adjustment) or to `refuse` it. `emulate` names the emulations that the model needs.
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
    efforts: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    quirks: dict[str, Any] = field(default_factory=dict)
    emulate: tuple[str, ...] = ()
    price: Price | None = None
    released: str | None = None
    retires: str | None = None
