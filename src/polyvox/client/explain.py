"""`explain`: what a call would send, and what became of the caller's words on the way, without sending it.

The rule: it is made by the very functions that make the call (`resolve`, `prepare`), so it cannot tell another story;
and it shows no secret, wherever one stands.
"""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from polyvox.calls.config import CallConfig, read_fallback, read_retry
from polyvox.calls.estimate import price_bound
from polyvox.calls.fallback import Fallback
from polyvox.calls.generate import prepare
from polyvox.calls.retry import Retry
from polyvox.dialects.base import Needed
from polyvox.registry.target import Target
from polyvox.secrets import sanitize, sanitize_headers
from polyvox.types.generate import Adjustment, GenerateRequest
from polyvox.types.models import Timeout


class Explanation(Struct, frozen=True, kw_only=True):
    """A call as it would be made. `str()` of it is a page to read.

    `model` is the full name after aliases; `headers` and `body` are what would be sent, secrets masked; `body` is the
    JSON as values. `adjustments` say what was dropped, clamped, renamed or emulated; `needed` what is sent though
    nobody asked for it, and why. `price_bound` is the most that one attempt can cost in US dollars, estimated by the
    length of the input and the limit of the output: `None` where a price or a limit is not known. `retry` and
    `fallback` are `None` where a failure ends the call.
    """

    model: str
    dialect: str
    method: str
    url: str
    headers: dict[str, str]
    body: Any
    timeout: Timeout
    adjustments: tuple[Adjustment, ...] = ()
    needed: tuple[Needed, ...] = ()
    price_bound: float | None = None
    retry: Retry | None = None
    fallback: Fallback | None = None

    def __str__(self) -> str:
        lines = [f"{self.model} by {self.dialect}", f"{self.method} {self.url}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += ["", json.dumps(self.body, indent=2, ensure_ascii=False), ""]
        lines += [f"{one.kind} {one.setting}: {one.detail}" for one in self.adjustments]
        lines += [f"needed {one.field}: {one.why} ({one.url})" for one in self.needed]
        limits = ", ".join(f"{name} {_seconds(getattr(self.timeout, name))}" for name in Timeout.__struct_fields__)
        lines.append(f"limits: {limits}")
        if self.retry is not None:
            lines.append(f"attempts: up to {self.retry.max_attempts}")
        if self.fallback is not None:
            lines.append(f"then: {', '.join(self.fallback.models)}")
        lines.append(f"price: {'not known' if self.price_bound is None else f'at most ${self.price_bound:.6f}'}")
        return "\n".join(lines)


def explain(
    target: Target, request: GenerateRequest, config: CallConfig, timeout: Timeout, *, stream: bool
) -> Explanation:
    """Return what a call to `target` would send. Raises what making the call would raise before it is sent."""
    prepared = prepare(target, request, stream=stream)
    known = target.auth.secrets
    body = json.loads(prepared.http.body) if prepared.http.body else None
    return Explanation(
        model=target.name,
        dialect=target.dialect.name,
        method=prepared.http.method,
        url=sanitize(prepared.http.url, known),
        headers={**sanitize_headers(prepared.http.headers, known), **target.auth.masked_headers()},
        body=_masked(body, known),
        timeout=timeout,
        adjustments=prepared.adjustments,
        needed=tuple(one for one in target.dialect.needed if _holds(body, one.field.split("."))),
        price_bound=price_bound(request, target.row),
        retry=read_retry(config.retry),
        fallback=read_fallback(config.fallback),
    )


def _seconds(value: float | None) -> str:
    return "none" if value is None else f"{value:g} s"


def _masked(value: Any, known: Any) -> Any:
    if isinstance(value, str):
        return sanitize(value, known)
    if isinstance(value, list):
        return [_masked(item, known) for item in value]
    if isinstance(value, dict):
        return {name: _masked(item, known) for name, item in value.items()}
    return value


def _holds(value: Any, path: list[str]) -> bool:
    """Whether the field at this path stands in the body; `name[]` looks into each item of a list."""
    if not path:
        return True
    name, is_list = path[0].removesuffix("[]"), path[0].endswith("[]")
    if not isinstance(value, dict) or name not in value:
        return False
    if not is_list:
        return _holds(value[name], path[1:])
    return isinstance(value[name], list) and any(_holds(item, path[1:]) for item in value[name])
