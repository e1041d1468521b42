r"""The one reader and writer of JSON.

The rule: a new spelling never kills an answer. A value is read by msgspec into its type; where one field has a
surprising type, that field alone falls to its default and the rest stands; where msgspec cannot read the text at all (a
surrogate half cut off between two deltas, `NaN`, bytes that are no UTF-8), the standard library's `json` reads it.

A lone surrogate half that was escaped in the wire's text (`"\ud83d"`) comes out as a lone surrogate in the `str`, so
that the caller can join it to the half in the next delta: see `join_halves`.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Final, TypeVar, overload

import msgspec

from polyvox.errors import DecodeError
from polyvox.framing.lenient import Lost, convert_lenient
from polyvox.secrets import sanitize

T = TypeVar("T")

_EXCERPT: Final = 200
_BYTE_ORDER_MARK: Final = "\ufeff"

_encoder: Final = msgspec.json.Encoder()
_any_decoder: Final = msgspec.json.Decoder()
# One decoder a type, made at its first use: a cache of pure objects, safe to fill from two threads.
_decoders: Final[dict[Any, msgspec.json.Decoder[Any]]] = {Any: _any_decoder}


@overload
def decode(data: bytes | str) -> Any: ...
@overload
def decode(data: bytes | str, type: type[T], lost: Lost | None = None) -> T: ...
@overload
def decode(data: bytes | str, type: Any, lost: Lost | None = None) -> Any: ...
def decode(data: bytes | str, type: Any = Any, lost: Lost | None = None) -> Any:  # noqa: A002 - as msgspec names it
    """Read JSON into `type`. White space around it is fine.

    `lost`, where given, gets path → value of each field that fell to its default (`choices[0].delta.content`).
    Raises `DecodeError` where it is not JSON, or is JSON of another shape altogether.
    """
    try:
        return _decoders[type].decode(data)
    except KeyError:
        _decoders[type] = msgspec.json.Decoder(type)
        return decode(data, type, lost)
    except (ValueError, RecursionError):  # every error of msgspec's, and of UTF-8
        return _decode_slowly(data, type, lost)


def _decode_slowly(data: bytes | str, type: Any, lost: Lost | None) -> Any:  # noqa: A002
    try:
        value = _any_decoder.decode(data)
    except (ValueError, RecursionError) as error:
        value = _decode_with_stdlib(data, error)
    if type is Any:
        return value
    try:
        return convert_lenient(value, type, lost)
    except msgspec.ValidationError as error:
        raise DecodeError(f"the JSON is of another shape than this wire's: {error}: {excerpt(data)}") from None


def _decode_with_stdlib(data: bytes | str, reason: Exception) -> Any:
    text = data if isinstance(data, str) else bytes(data).decode("utf-8", "replace")
    # The refusal is raised outside of the `except`: `json`'s own error holds the whole text, whatever stands in it.
    with suppress(ValueError):
        try:
            return json.loads(text.removeprefix(_BYTE_ORDER_MARK), strict=False)
        except RecursionError:
            raise DecodeError(f"the JSON is nested too deeply to be read: {excerpt(text)}") from None
    raise _refusal(text, reason) from None


def _refusal(text: str, reason: Exception) -> DecodeError:
    start = text.lstrip()[:15].lower()
    if not start:
        return DecodeError("the body is empty where JSON was expected")
    if start.startswith(("<!doctype", "<html", "<?xml")):
        return DecodeError(f"a web page came where JSON was expected: {excerpt(text)}")
    return DecodeError(f"this is no valid JSON ({reason}): {excerpt(text)}")


def excerpt(data: bytes | str) -> str:
    """Return the first 200 characters of what was received, quoted, with secrets masked: for a message."""
    start = data[: 4 * _EXCERPT]
    text = start if isinstance(start, str) else bytes(start).decode("utf-8", "replace")
    # Masked before it is cut, so that no key loses the tail by which it is known.
    text = sanitize(text.strip())
    return _quoted(text[:_EXCERPT]) + (" …" if len(text) > _EXCERPT or len(data) > len(start) else "")


def _quoted(text: str) -> str:
    # A lone surrogate would make the message itself unprintable.
    return repr(text.encode("utf-8", "replace").decode())


def encode(value: Any) -> bytes:
    """Write JSON, compact, in UTF-8. NaN becomes `null`; surrogate halves are joined, a lone one becomes U+FFFD."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return _encoder.encode(_mended(msgspec.to_builtins(value)))


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return _joined(value)
    if isinstance(value, dict):
        return {_mended(name): _mended(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_mended(member) for member in value]
    return value


def _joined(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def join_halves(held: str, text: str) -> tuple[str, str]:
    r"""Join the surrogate halves of a stream's text: return what can be shown, and the half to hold for the next delta.

    `held` is what the last call held (`""` at first). At the end of the stream a half that is still held is lost: show
    `"\ufffd"` for it.
    """
    text = held + text
    if not text:
        return "", ""
    held = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
    if held:
        text = text[:-1]
    return (text if text.isascii() else _joined(text)), held
