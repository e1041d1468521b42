"""The caller's configuration, as data. The rule: these are the words of `polyvox.toml` and of `Client(...)` alike."""

from __future__ import annotations

import datetime
from typing import Any, Final, get_args

from msgspec import Struct, field

from polyvox.auth.keys import Auth, SignFunction
from polyvox.dialects.base import Fate
from polyvox.secrets import Secret, masked_repr
from polyvox.types.generate import Effort, GenerateRequest
from polyvox.types.models import CAPABILITIES, MODALITIES, ModelKind, Price, Timeout
from polyvox.types.policies import Balance, Breaker, RateLimit

_SETTINGS: Final = tuple(
    name
    for name in GenerateRequest.__struct_fields__
    if name not in {"model", "messages", "tools", "options", "residue"}
)
"""What a model may not take."""


class EndpointConfig(Struct, frozen=True, kw_only=True):
    """One of several keys or addresses of a provider. `name` is for people and for `response.attempts`.

    `weight` is its share where the balance is weighted. What is `None` is the provider's own.
    """

    name: str
    api_key: Secret | None = None
    api_key_env: str | None = None
    base_url: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    weight: float = 1.0

    def __repr__(self) -> str:
        return masked_repr(self, (self.api_key,) if self.api_key else ())


class ProviderConfig(Struct, frozen=True, kw_only=True):
    """What a caller says of one provider; `None` and empty mean "as the provider's page says".

    `like` names the page to start from, for a second address of a known service. `api_key_env` names the environment
    variable that holds the key. `headers` are added to every request. `quirks` are fields of the dialect's quirks.
    `endpoints` are several keys or addresses to spread the calls over, as `balance` says. `limits` and `breaker` hold
    for each endpoint by itself; `None`: no limit, no breaker.
    """

    api_key: Secret | None = None
    api_key_env: str | None = None
    base_url: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    timeout: Timeout | None = None
    dialect: str | None = None
    like: str | None = None
    quirks: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    auth: Auth | SignFunction | None = None
    endpoints: tuple[EndpointConfig, ...] = ()
    balance: Balance | None = None
    limits: RateLimit | None = None
    breaker: Breaker | None = None

    def __repr__(self) -> str:
        return masked_repr(self, (self.api_key,) if self.api_key else ())


class ModelOverride(Struct, frozen=True, kw_only=True):
    """What a caller says of one model, by its full name: another dialect, other quirks, other facts of its row.

    `None` means "as the row says". `aliases`, `settings`, `thinking_settings` and `quirks` are added to the row's, the
    others stand instead of them. `price` is in US dollars a million tokens. `retires` is the day on which the model
    goes.
    """

    kind: ModelKind | None = None
    dialect: str | None = None
    aliases: tuple[str, ...] = ()
    context_tokens: int | None = None
    output_tokens: int | None = None
    input_modalities: tuple[str, ...] | None = None
    output_modalities: tuple[str, ...] | None = None
    capabilities: tuple[str, ...] | None = None
    efforts: tuple[str, ...] | None = None
    settings: dict[str, str] = field(default_factory=dict)
    thinking_settings: dict[str, str] = field(default_factory=dict)
    quirks: dict[str, Any] = field(default_factory=dict)
    emulate: tuple[str, ...] | None = None
    price: Price | None = None
    retires: datetime.date | None = None

    def __post_init__(self) -> None:
        """Refuse a word that nothing would ever read."""
        for known, words in (
            (CAPABILITIES, self.capabilities),
            (MODALITIES, self.input_modalities),
            (MODALITIES, self.output_modalities),
            (get_args(Effort), self.efforts),
            (_SETTINGS, (*self.settings, *self.thinking_settings)),
            (get_args(Fate), (*self.settings.values(), *self.thinking_settings.values())),
        ):
            for word in words or ():
                if word not in known:
                    raise ValueError(f"no {word!r}; there are {', '.join(known)}")


class Config(Struct, frozen=True, kw_only=True):
    """A client's whole configuration.

    `default_model` is asked where no model is named. `aliases` are the caller's own names for models. `pool_size` is
    how many idle connections a host may keep (sync). `source` says which file was read, `None` for none.
    """

    providers: dict[str, ProviderConfig] = field(default_factory=dict)
    models: dict[str, ModelOverride] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    default_model: str | None = None
    timeout: Timeout = Timeout()
    pool_size: int = 10
    source: str | None = None
