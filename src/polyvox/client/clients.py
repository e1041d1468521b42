"""`Client` and `AsyncClient`: the same methods by the same names, and models bound to them.

The rule: a client only composes. A `Client` may be shared between threads; an `AsyncClient` belongs to the event loop
that first used it.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, overload

from polyvox.calls.config import DEFAULT, CallConfig
from polyvox.client.config import load_config
from polyvox.client.engine import Engine, Job, Running
from polyvox.client.listing import PlainSettings, list_models
from polyvox.client.settings import CommonSettings, GenerateSettings, Messages, check_names, merged, read_settings
from polyvox.client.streams import AsyncStream, Stream
from polyvox.errors import ConfigError, PolyvoxError
from polyvox.io.base import IO, drive
from polyvox.registry.config import Config, ProviderConfig
from polyvox.registry.target import Registry
from polyvox.types.generate import GenerateResponse
from polyvox.types.models import ListedModel, ModelConfig, Timeout

if TYPE_CHECKING:
    import ssl
    from typing import Unpack

    from polyvox.calls.estimate import PriceBound
    from polyvox.client.explain import Explanation
    from polyvox.registry.known import ConfiguredProvider

T = TypeVar("T")


class ClientSettings(TypedDict, total=False):
    """The keywords of `Client` and `AsyncClient`.

    `config` is a `Config`, or the path of a TOML file; not given, `polyvox.toml` is looked for. `providers` says things
    of single providers: `{"openai": {"api_key": …, "base_url": …}}`. `io` is an object of the seam to use instead of
    the network, or a function that is given the client's own and returns one (a cassette of `polyvox.testing`).
    `ssl_context` is used for every connection. `call_config` is what wraps every call: retries, fallback, callbacks and
    the rest.
    """

    config: Config | str | os.PathLike[str]
    providers: Mapping[str, Mapping[str, Any] | ProviderConfig]
    aliases: Mapping[str, str]
    default_model: str
    timeout: Timeout | float
    io: IO | Callable[[IO], IO]
    ssl_context: ssl.SSLContext
    call_config: CallConfig


class _Client:
    """What both clients know without asking anybody."""

    _engine: Engine

    @property
    def config(self) -> Config:
        """The configuration as read."""
        return self._engine.config

    @property
    def registry(self) -> Registry:
        """The providers and models this client knows."""
        return self._engine.registry

    def provider(self, name: str) -> ConfiguredProvider:
        """Return what this client knows of a provider: its address, whether it has a key, what it offers. No secret.

        Raises `ConfigError` for a name that no provider has.
        """
        from polyvox.registry.known import describe_provider

        return describe_provider(self._engine.registry, name)

    def explain(
        self, model: str, messages: Messages, *, stream: bool = False, **settings: Unpack[GenerateSettings]
    ) -> Explanation:
        """Return what `generate` (or `stream`) would send for these words, without sending it.

        Raises what the call would raise before anything is sent.
        """
        return self._engine.explain(model, messages, read_settings(settings), stream=stream)

    def estimate_tokens(self, model: str, messages: Messages, **settings: Unpack[GenerateSettings]) -> int:
        """Return about how many input tokens `generate` would send: messages, tools and the form of the answer.

        It asks nobody and needs no key. Texts of OpenAI's models are counted with their own vocabulary where the extra
        `tokens` is installed, all else by a rule of thumb; what was used stands in `response.usage`. Raises
        `ConfigError` for a name or a setting that means nothing.
        """
        return self._engine.estimate_tokens(model, messages, read_settings(settings))

    def estimate_cost(self, model: str, messages: Messages, **settings: Unpack[GenerateSettings]) -> PriceBound | None:
        """Return the most that one such call can cost, in US dollars: `amount`, of which `input_amount` for the input.

        The input is estimated, with a margin; the output is taken to be as long as `max_tokens`, else the model,
        allows, and each rate to be the dearest. `None` where the model's price or its longest answer is not known.
        Retries and fallbacks are not in it. It asks nobody and needs no key.
        """
        return self._engine.estimate_cost(model, messages, read_settings(settings))


class Client(_Client):
    """Every provider, from plain code. See `ClientSettings` for the keywords.

    Raises `ConfigError` for a configuration that is wrong; keys are looked for when a model is first called.
    """

    def __init__(self, **settings: Unpack[ClientSettings]) -> None:
        config, call_config, given_io, ssl_context = _read_settings(settings)
        for name, block in config.providers.items():
            if inspect.iscoroutinefunction(block.auth):
                raise ConfigError(f"providers[{name!r}] auth is async: a Client takes plain functions; use AsyncClient")

        def make_io(kind: str) -> IO:
            if given_io is not None and not callable(given_io):
                return given_io
            from polyvox.io.blocking import BlockingIO

            network = BlockingIO(pool_size=config.pool_size, ssl_context=ssl_context)
            made: IO = network
            if kind == "local":
                from polyvox.io.local import LocalIO

                made = LocalIO(network, asynchronous=False)
            return made if given_io is None else given_io(made)

        self._engine = Engine(config, make_io, call_config=call_config)

    @overload
    def generate(
        self, model: str, messages: Messages, *, output: type[T], **settings: Unpack[CommonSettings]
    ) -> GenerateResponse[T]: ...
    @overload
    def generate(
        self, model: str, messages: Messages, **settings: Unpack[GenerateSettings]
    ) -> GenerateResponse[Any]: ...
    def generate(self, model: str, messages: Messages, **settings: Any) -> GenerateResponse[Any]:
        """Ask `model`, and return its whole answer. See `GenerateSettings` for the keywords.

        Raises a `PolyvoxError`: `ConfigError` before anything is sent, `ProviderError` for the provider's refusal,
        `TransportError` where the bytes did not get through, `DecodeError` where `output=` could not be read.
        """
        return _run(self._engine.job(model, messages, read_settings(settings), stream=False))

    @overload
    def stream(
        self, model: str, messages: Messages, *, output: type[T], raw: bool = False, **settings: Unpack[CommonSettings]
    ) -> Stream[T]: ...
    @overload
    def stream(
        self, model: str, messages: Messages, *, raw: bool = False, **settings: Unpack[GenerateSettings]
    ) -> Stream[Any]: ...
    def stream(self, model: str, messages: Messages, *, raw: bool = False, **settings: Any) -> Stream[Any]:
        """Return the answer of `model` as a stream; nothing is sent until it is read. `raw` adds `RawFrame` events."""
        return Stream(self._engine.job(model, messages, read_settings(settings), stream=True, raw=raw))

    def list_models(
        self, provider: str, *, capability: str | Sequence[str] = (), **settings: Unpack[PlainSettings]
    ) -> tuple[ListedModel, ...]:
        """Ask the provider which models it has, all pages of its list, in its order.

        What the list leaves out, our registry's row of the model fills in, and is named in `from_registry`.
        `capability` keeps the models that can do all of that (`"tools"`, `"vision"` … the words of
        `ModelRegistry.list`); one of which it is not known is left out. See `PlainSettings` for the other keywords. An
        Ollama server is asked for the facts of each of its models, too.

        Raises `UnsupportedError` for a provider that has no such list, else what `generate` raises. Where the lists are
        described: https://platform.openai.com/docs/api-reference/models/list,
        https://docs.anthropic.com/en/api/models-list, https://ai.google.dev/api/models,
        https://github.com/ollama/ollama/blob/main/docs/api.md
        """
        return drive(list_models(self._engine, provider, capability, settings))

    def model(self, name: str, **settings: Unpack[GenerateSettings]) -> Model:
        """Return a bound model: the same verbs, with these settings unless a call says otherwise."""
        return Model(self, name, settings)

    def close(self) -> None:
        """Close the pooled connections. The client can be used again: it makes new ones."""
        for io in self._engine.opened:
            drive(io.close())

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {', '.join(self.config.providers) or 'the environment'}>"


class AsyncClient(_Client):
    """Every provider, from `async def`. The methods are `Client`'s; see `ClientSettings` for the keywords."""

    def __init__(self, **settings: Unpack[ClientSettings]) -> None:
        config, call_config, given_io, ssl_context = _read_settings(settings)

        def make_io(kind: str) -> IO:
            if given_io is not None and not callable(given_io):
                return given_io
            from polyvox.io.aio import AsyncIO

            network = AsyncIO(ssl_context=ssl_context)
            made: IO = network
            if kind == "local":
                from polyvox.io.local import LocalIO

                made = LocalIO(network, asynchronous=True)
            return made if given_io is None else given_io(made)

        self._engine = Engine(config, make_io, asynchronous=True, call_config=call_config)

    @overload
    async def generate(
        self, model: str, messages: Messages, *, output: type[T], **settings: Unpack[CommonSettings]
    ) -> GenerateResponse[T]: ...
    @overload
    async def generate(
        self, model: str, messages: Messages, **settings: Unpack[GenerateSettings]
    ) -> GenerateResponse[Any]: ...
    async def generate(self, model: str, messages: Messages, **settings: Any) -> GenerateResponse[Any]:
        """Ask `model`, and return its whole answer. Keywords and errors are those of `Client.generate`."""
        return await _run_async(self._engine.job(model, messages, read_settings(settings), stream=False))

    @overload
    def stream(
        self, model: str, messages: Messages, *, output: type[T], raw: bool = False, **settings: Unpack[CommonSettings]
    ) -> AsyncStream[T]: ...
    @overload
    def stream(
        self, model: str, messages: Messages, *, raw: bool = False, **settings: Unpack[GenerateSettings]
    ) -> AsyncStream[Any]: ...
    def stream(self, model: str, messages: Messages, *, raw: bool = False, **settings: Any) -> AsyncStream[Any]:
        """Return the answer of `model` as a stream; nothing is sent until it is read. `raw` adds `RawFrame` events."""
        return AsyncStream(self._engine.job(model, messages, read_settings(settings), stream=True, raw=raw))

    async def list_models(
        self, provider: str, *, capability: str | Sequence[str] = (), **settings: Unpack[PlainSettings]
    ) -> tuple[ListedModel, ...]:
        """Ask the provider which models it has. Keywords and errors are those of `Client.list_models`."""
        return await list_models(self._engine, provider, capability, settings)

    def model(self, name: str, **settings: Unpack[GenerateSettings]) -> AsyncModel:
        """Return a bound model: the same verbs, with these settings unless a call says otherwise."""
        return AsyncModel(self, name, settings)

    async def close(self) -> None:
        """Close the pooled connections. The client can be used again: it makes new ones."""
        for io in self._engine.opened:
            await io.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncClient of {', '.join(self.config.providers) or 'the environment'}>"


class _Bound:
    """What both bound models know."""

    def __init__(self, client: Client | AsyncClient, name: str, settings: GenerateSettings) -> None:
        check_names(settings)
        provider, model, row = client._engine.row(name)
        self.name = f"{provider}/{model}"
        """The full name, `provider/model id`, after aliases."""
        self.config: ModelConfig = row or ModelConfig(id=model, provider=provider)
        """What is known of the model; of one we have no row for, its name."""
        self.settings: GenerateSettings = settings
        self._engine = client._engine

    def explain(self, messages: Messages, *, stream: bool = False, **settings: Unpack[GenerateSettings]) -> Explanation:
        """Return what a call would send, without sending it. A setting given here wins over the model's own."""
        return self._engine.explain(self.name, messages, self._settings(settings), stream=stream)

    def estimate_tokens(self, messages: Messages, **settings: Unpack[GenerateSettings]) -> int:
        """Return about how many input tokens a call would send; see `Client.estimate_tokens`."""
        return self._engine.estimate_tokens(self.name, messages, self._settings(settings))

    def estimate_cost(self, messages: Messages, **settings: Unpack[GenerateSettings]) -> PriceBound | None:
        """Return the most that one such call can cost; see `Client.estimate_cost`."""
        return self._engine.estimate_cost(self.name, messages, self._settings(settings))

    def _settings(self, settings: GenerateSettings) -> GenerateSettings:
        return merged(self.settings, read_settings(settings))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class Model(_Bound):
    """A model of a `Client`, with settings of its own. Raises `ConfigError` for a name that means nothing."""

    def __init__(self, client: Client, name: str, settings: GenerateSettings) -> None:
        super().__init__(client, name, settings)
        self._client = client

    @overload
    def generate(
        self, messages: Messages, *, output: type[T], **settings: Unpack[CommonSettings]
    ) -> GenerateResponse[T]: ...
    @overload
    def generate(self, messages: Messages, **settings: Unpack[GenerateSettings]) -> GenerateResponse[Any]: ...
    def generate(self, messages: Messages, **settings: Any) -> GenerateResponse[Any]:
        """Ask the model. A setting given here wins over the model's own."""
        return self._client.generate(self.name, messages, **merged(self.settings, read_settings(settings)))

    @overload
    def stream(
        self, messages: Messages, *, output: type[T], raw: bool = False, **settings: Unpack[CommonSettings]
    ) -> Stream[T]: ...
    @overload
    def stream(self, messages: Messages, *, raw: bool = False, **settings: Unpack[GenerateSettings]) -> Stream[Any]: ...
    def stream(self, messages: Messages, *, raw: bool = False, **settings: Any) -> Stream[Any]:
        """Return the model's answer as a stream. A setting given here wins over the model's own."""
        return self._client.stream(self.name, messages, raw=raw, **merged(self.settings, read_settings(settings)))


class AsyncModel(_Bound):
    """A model of an `AsyncClient`, with settings of its own. Raises `ConfigError` for a name that means nothing."""

    def __init__(self, client: AsyncClient, name: str, settings: GenerateSettings) -> None:
        super().__init__(client, name, settings)
        self._client = client

    @overload
    async def generate(
        self, messages: Messages, *, output: type[T], **settings: Unpack[CommonSettings]
    ) -> GenerateResponse[T]: ...
    @overload
    async def generate(self, messages: Messages, **settings: Unpack[GenerateSettings]) -> GenerateResponse[Any]: ...
    async def generate(self, messages: Messages, **settings: Any) -> GenerateResponse[Any]:
        """Ask the model. A setting given here wins over the model's own."""
        return await self._client.generate(self.name, messages, **merged(self.settings, read_settings(settings)))

    @overload
    def stream(
        self, messages: Messages, *, output: type[T], raw: bool = False, **settings: Unpack[CommonSettings]
    ) -> AsyncStream[T]: ...
    @overload
    def stream(
        self, messages: Messages, *, raw: bool = False, **settings: Unpack[GenerateSettings]
    ) -> AsyncStream[Any]: ...
    def stream(self, messages: Messages, *, raw: bool = False, **settings: Any) -> AsyncStream[Any]:
        """Return the model's answer as a stream. A setting given here wins over the model's own."""
        return self._client.stream(self.name, messages, raw=raw, **merged(self.settings, read_settings(settings)))


def _read_settings(
    settings: ClientSettings,
) -> tuple[Config, CallConfig, IO | Callable[[IO], IO] | None, ssl.SSLContext | None]:
    given: dict[str, Any] = dict(settings)
    for name in given:
        if name not in ClientSettings.__annotations__:
            raise ConfigError(f"no setting {name!r} of a client; there are {', '.join(ClientSettings.__annotations__)}")
    io, ssl_context = given.pop("io", None), given.pop("ssl_context", None)
    call_config = given.pop("call_config", None) or DEFAULT
    return load_config(given.pop("config", None), **given), call_config, io, ssl_context


def _run(job: Job) -> GenerateResponse[Any]:
    return drive(_run_async(job))


async def _run_async(job: Job) -> GenerateResponse[Any]:
    running = Running(job)
    try:
        async with aclosing(running.events) as lists:
            async for events in lists:
                running.fold.feed(events)
        return running.parsed()
    except PolyvoxError as error:
        running.failed(error)
        raise
    finally:
        running.release()
