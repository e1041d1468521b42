"""Signing by key: a key in a header, as most providers take it.

The rule: a signer is a function of a request; it holds a `Secret`, and reveals it into the header at the last moment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias, runtime_checkable

from msgspec import structs

from polyvox.errors import ConfigError
from polyvox.io.base import IO, HttpRequest
from polyvox.secrets import MASK, Secret

SignFunction: TypeAlias = Callable[[HttpRequest], HttpRequest | Awaitable[HttpRequest]]
"""What a caller may give as `auth=`: request → signed request, plain or `async def`."""


@runtime_checkable
class Auth(Protocol):
    """What signs requests."""

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets it would reveal, for the sanitiser."""
        ...

    def masked_headers(self) -> dict[str, str]:
        """Return the headers that signing adds, fit to be shown, without asking anyone."""
        ...

    async def sign(self, request: HttpRequest, io: IO) -> HttpRequest:
        """Return the request with its credentials."""
        ...


def _usable(secret: Secret) -> str:
    text = secret.reveal().strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError(
            "the API key has characters no key has (a space, a line break, a typographic quote): copy it again"
        )
    return text


class KeyAuth:
    """A key in one header, after an optional scheme word (`Bearer`)."""

    __slots__ = ("_header", "_scheme", "_secret")

    def __init__(self, secret: Secret | str, header: str = "Authorization", scheme: str = "Bearer") -> None:
        self._secret = Secret(secret)
        self._header = header
        self._scheme = scheme

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The key."""
        return (self._secret,)

    def masked_headers(self) -> dict[str, str]:
        """The header, the key masked."""
        return {self._header: f"{self._scheme} {MASK}" if self._scheme else MASK}

    async def sign(self, request: HttpRequest, io: IO) -> HttpRequest:
        """Return the request with the key in its header. Raises `ConfigError` for a key that cannot stand in one."""
        key = _usable(self._secret)
        headers = {**request.headers, self._header: f"{self._scheme} {key}" if self._scheme else key}
        return structs.replace(request, headers=headers)


class NoAuth:
    """No credentials: a server of one's own."""

    __slots__ = ()

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """None."""
        return ()

    def masked_headers(self) -> dict[str, str]:
        """None."""
        return {}

    async def sign(self, request: HttpRequest, io: IO) -> HttpRequest:
        """Return the request as it is."""
        return request


class CallableAuth:
    """A caller's own function, request → signed request."""

    __slots__ = ("_function",)

    def __init__(self, function: SignFunction) -> None:
        self._function = function

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """None that we know of."""
        return ()

    def masked_headers(self) -> dict[str, str]:
        """The one that such functions set; what else they do is theirs to know."""
        return {"Authorization": f"{MASK} (by the function given as auth)"}

    async def sign(self, request: HttpRequest, io: IO) -> HttpRequest:
        """Return what the function gives. Raises `ConfigError` where that is no request."""
        signed = self._function(request)
        if not isinstance(signed, HttpRequest):
            signed = await signed
        if not isinstance(signed, HttpRequest):
            raise ConfigError("auth= must return the signed HttpRequest (polyvox.HttpRequest)")
        return signed
