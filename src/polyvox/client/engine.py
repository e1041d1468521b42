"""What the two clients share: a name and settings in, a call ready to be run out.

The rule: nothing here waits and nothing knows which of the two clients asks.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from polyvox.calls.config import DEFAULT, CallConfig, read_fallback
from polyvox.calls.generate import Call
from polyvox.calls.log import is_heard
from polyvox.calls.stack import Route, Shared, compose
from polyvox.client.settings import GenerateSettings, Messages, build_request, read_timeout
from polyvox.errors import ConfigError, DecodeError, PolyvoxError
from polyvox.io.base import IO, Cancel, Context
from polyvox.registry.config import Config
from polyvox.registry.target import Registry, Target
from polyvox.types.events import Event
from polyvox.types.fold import Fold
from polyvox.types.generate import GenerateRequest, GenerateResponse, Output
from polyvox.types.models import ModelConfig, Timeout

if TYPE_CHECKING:
    from polyvox.calls.estimate import PriceBound
    from polyvox.client.explain import Explanation


_OWN_CALL = ("call_config", "headers", "on_unsupported")
"""Settings of a call that ask for policies, or for a target, of its own."""


class Job(Struct, frozen=True):
    """A call ready to be run. `output` is the type that the answer is parsed into, `None` for none."""

    target: Target
    call: Call
    request: GenerateRequest
    timeout: Timeout
    cancel: Cancel | None
    output: Any
    io: IO


class Engine:
    """Configuration, registry and the `IO` objects of one client. `make_io(kind)` gives the seam for `http` or `local`.

    Targets are remembered: a key is looked for in the environment at the first call of a model.
    """

    def __init__(
        self,
        config: Config,
        make_io: Callable[[str], IO],
        *,
        asynchronous: bool = False,
        call_config: CallConfig = DEFAULT,
    ) -> None:
        self.config = config
        self.asynchronous = asynchronous
        self.call_config = self._checked(call_config)
        self.registry = Registry(config)
        self._make_io = make_io
        self._io: dict[str, IO] = {}
        self._targets: dict[tuple[str, str | None, int], Target] = {}
        self._routes: dict[tuple[str, str | None, int], Route] = {}
        self._calls: dict[tuple[str, str | None, int, bool, bool, bool], tuple[Target, Call, str]] = {}
        self._shared = Shared()

    def target(self, model: str, dialect: str | None = None) -> Target:
        """Return where a model's name leads."""
        key = (model, dialect, self.registry.providers.version)
        target = self._targets.get(key)
        if target is None:
            target = self._targets[key] = self.registry.resolve(model, dialect=dialect)
        return target

    def io(self, kind: str) -> IO:
        """Return the seam of that kind, made on first use."""
        found = self._io.get(kind)
        if found is None:
            # Two threads may both make one: the first to be stored is used by both, the other was never opened.
            found = self._io.setdefault(kind, self._make_io(kind))
        return found

    @property
    def opened(self) -> tuple[IO, ...]:
        """The seams that were used, to be closed."""
        return tuple(self._io.values())

    def job(
        self, model: str, messages: Messages, settings: GenerateSettings, *, stream: bool, raw: bool = False
    ) -> Job:
        """Return the call for these words. Raises `ConfigError` before anything is sent."""
        if not isinstance(model, str):
            raise ConfigError(f"model is {type(model).__name__}: give a name, as in 'openai/gpt-5.5'")
        config = self.config_of(settings.get("call_config"))
        request = build_request(model, messages, settings, config.options)
        target, call, kind = self._composed(model, settings, config, stream=stream, raw=raw)
        output = settings.get("output")
        return Job(
            target,
            call,
            request,
            self._timeout_of(target, settings, config),
            settings.get("cancel"),
            # A schema or a form has no type to be read into.
            None if isinstance(output, Output | Mapping | str) else output,
            self.io(kind),
        )

    def _composed(
        self, model: str, settings: GenerateSettings, config: CallConfig, *, stream: bool, raw: bool
    ) -> tuple[Target, Call, str]:
        """Return where a call leads, the call, and the kind of seam it needs; remembered for calls like it."""
        dialect = settings.get("dialect")
        key = (model, dialect, self.registry.providers.version, stream, raw, is_heard())
        is_like_others = not any(settings.get(name) for name in _OWN_CALL)
        found = self._calls.get(key) if is_like_others else None
        if found is None:
            routes = [self._route(model, settings, dialect)]
            falling = read_fallback(config.fallback)
            if falling is not None:
                routes += [self._route(name, settings, None) for name in falling.models]
            target = routes[0].target
            # The local model's seam reaches the network too; the network's does not reach the local model.
            kind = "local" if any(route.target.io == "local" for route in routes) else target.io
            found = target, compose(routes, config, stream=stream, raw=raw), kind
            if is_like_others:
                self._calls[key] = found
        return found

    def explain(self, model: str, messages: Messages, settings: GenerateSettings, *, stream: bool) -> Explanation:
        """Return what that call would send, without sending it."""
        from polyvox.client.explain import explain

        config = self.config_of(settings.get("call_config"))
        target = self._target_of(model, settings, settings.get("dialect"))
        request = build_request(model, messages, settings, config.options)
        return explain(target, request, config, self._timeout_of(target, settings, config), stream=stream)

    def estimate_tokens(self, model: str, messages: Messages, settings: GenerateSettings) -> int:
        """Return about how many input tokens that call would send, without a key."""
        from polyvox.calls.estimate import estimate_request

        return estimate_request(*self._planned(model, messages, settings))

    def estimate_cost(self, model: str, messages: Messages, settings: GenerateSettings) -> PriceBound | None:
        """Return the most that one such call can cost, without a key; `None` where that is not known."""
        from polyvox.calls.estimate import bound_of

        return bound_of(*self._planned(model, messages, settings))

    def row(self, model: str) -> tuple[str, str, ModelConfig | None]:
        """Return the provider and the id that a name means, and what is known of that model."""
        provider, name = self.registry.models.split(model)
        page, _ = self.registry.provider(provider)
        return provider, name, self.registry.models.row(provider, name, like=page.name)

    def _planned(
        self, model: str, messages: Messages, settings: GenerateSettings
    ) -> tuple[GenerateRequest, ModelConfig | None]:
        request = build_request(model, messages, settings, self.config_of(settings.get("call_config")).options)
        return request, self.row(model)[2]

    def config_of(self, given: CallConfig | None) -> CallConfig:
        """Return what wraps a call: its own words over the client's."""
        return self.call_config if given is None else self._checked(given).over(self.call_config)

    def _checked(self, config: CallConfig) -> CallConfig:
        if not isinstance(config, CallConfig):
            raise ConfigError(f"call_config is {type(config).__name__}: give a CallConfig")
        if config.callbacks:
            from polyvox.calls.hooks import check_callbacks

            check_callbacks(config.callbacks, self.asynchronous)
        if config.pre or config.post:
            from polyvox.calls.processors import check_processors

            check_processors(config.pre, config.post, self.asynchronous)
        return config

    @staticmethod
    def _timeout_of(target: Target, settings: GenerateSettings, config: CallConfig) -> Timeout:
        return read_timeout(settings.get("timeout")) or read_timeout(config.timeout) or target.timeout

    def _target_of(self, model: str, settings: GenerateSettings, dialect: str | None) -> Target:
        return _adapted(self.target(model, dialect), settings)

    def _route(self, model: str, settings: GenerateSettings, dialect: str | None) -> Route:
        """Return the way to a model, with what this call says of headers and of what is not supported."""
        key = (model, dialect, self.registry.providers.version)
        route = self._routes.get(key)
        if route is None:
            route = self._routes.setdefault(key, self._shared.route(self.registry, self.target(model, dialect)))
        if not settings.get("headers") and not settings.get("on_unsupported"):
            return route
        places = tuple(structs.replace(place, target=_adapted(place.target, settings)) for place in route.places)
        return Route(places, route.balancer)


def _adapted(target: Target, settings: GenerateSettings) -> Target:
    headers = settings.get("headers")
    if headers:
        target = structs.replace(target, headers={**target.headers, **headers})
    unsupported = settings.get("on_unsupported")
    if unsupported:
        target = structs.replace(target, quirks=structs.replace(target.quirks, on_unsupported=unsupported))
    return target


class Running:
    """One call under way: its context, its events, the answer so far. Used by one stream."""

    __slots__ = ("_release", "context", "events", "fold", "job")

    def __init__(self, job: Job) -> None:
        self.job = job
        # A handle of our own: closing this stream must not abort the other calls that share the caller's.
        cancel = Cancel()
        self._release = cancel.follow(job.cancel) if job.cancel is not None else None
        self.context = Context(job.io, job.timeout, cancel)
        # Known before the first attempt: the caller's own code runs before it, and may put a key into what it raises.
        self.context.secrets.extend(job.target.auth.secrets)
        self.fold = Fold()
        self.events: AsyncGenerator[list[Event], None] = job.call(self.context, job.request)

    @property
    def response(self) -> GenerateResponse[Any]:
        """The answer so far, with its identity."""
        return self.context.stamp(self.context, self.fold.response)

    def release(self) -> None:
        """Take our handle off the caller's."""
        if self._release is not None:
            self._release()
            self._release = None

    def failed(self, error: PolyvoxError) -> None:
        """Let an error carry what had arrived, and what was tried."""
        error.attempts = tuple(self.context.attempts)
        if error.partial is None and self.context.first_event is not None:
            error.partial = self.response

    def parsed(self) -> GenerateResponse[Any]:
        """Return the whole answer, parsed into the type asked for.

        Raises `DecodeError`, which carries the answer as `partial`, where its text is not of that type.
        """
        response = self.response
        kind = self.job.output
        if kind is None or response.finish is None or response.tool_calls or not response.text.strip():
            return response
        from polyvox.schema import decode_as

        try:
            return structs.replace(response, parsed=decode_as(kind, response.text))
        except DecodeError as error:
            error.partial = response
            error.provider, error.model = self.job.target.provider, self.job.target.model
            raise
