"""`list_models`: what both clients do to ask a provider for its models.

The rule: a keyword that nobody reads is an error, as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from msgspec import structs

from polyvox.calls.config import CallConfig, read_retry
from polyvox.client.settings import read_timeout
from polyvox.errors import ConfigError
from polyvox.io.base import Cancel, Context
from polyvox.types.models import ListedModel, Timeout

if TYPE_CHECKING:
    from polyvox.client.engine import Engine


class PlainSettings(TypedDict, total=False):
    """The keywords of a call that asks no model.

    `timeout` is a `Timeout`, or seconds for the whole call, all its requests together. `cancel` is a `Cancel` handle
    that aborts it from anywhere. `headers` are added to each request. Of `call_config`, merged over the client's, the
    words `retry`, `timeout`, `log_bodies` and `sanitize_secrets` count here.
    """

    timeout: Timeout | float
    cancel: Cancel
    headers: Mapping[str, str]
    call_config: CallConfig


async def list_models(
    engine: Engine, provider: str, capability: str | Sequence[str], settings: Mapping[str, Any]
) -> tuple[ListedModel, ...]:
    """Return the models that the provider lists, and of these the ones that can do all that is asked."""
    from polyvox.calls.listing import list_models as listed
    from polyvox.calls.simple import Line
    from polyvox.registry.endpoints import EndpointTarget, endpoints_of

    for name in settings:
        if name not in PlainSettings.__annotations__:
            raise ConfigError(
                f"no setting {name!r} of list_models; there are {', '.join(PlainSettings.__annotations__)}"
            )
    wanted = (capability,) if isinstance(capability, str) else tuple(capability)
    registry = engine.registry
    # This knows the words, and what comes near to an unknown one.
    registry.models.list(provider, capability=wanted)
    config = engine.config_of(settings.get("call_config"))
    target = registry.resolve_service(provider, "models")
    headers = settings.get("headers")
    if headers:
        target = structs.replace(target, headers={**target.headers, **headers})
    line = Line(
        endpoints_of(registry, target) or (EndpointTarget("", 1.0, target),),
        retry=read_retry(config.retry),
        log_bodies=bool(config.log_bodies),
        sanitize_secrets=config.sanitize_secrets is not False,
    )
    timeout = read_timeout(settings.get("timeout")) or read_timeout(config.timeout) or target.timeout
    page, _ = registry.provider(provider)
    # A handle of our own: the end of this call must not touch the other calls that share the caller's.
    cancel, given = Cancel(), settings.get("cancel")
    release = given.add(cancel.set) if given is not None else None
    context = Context(engine.io(target.io), timeout, cancel)
    try:
        models = await listed(
            context,
            line,
            lambda model: registry.models.row(provider, model, like=page.name),
            today=registry.today().isoformat(),
        )
    finally:
        if release is not None:
            release()
    return tuple(model for model in models if all(model.can(word) for word in wanted))
