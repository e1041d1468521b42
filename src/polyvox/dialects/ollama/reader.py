"""The lines of an answer put together: one text, one thinking, calls and pictures as they come.

The rule: a message of this wire has one text and one thinking, so each is one part, however the pieces alternate.
Logprobs of thinking stand before those of the text, as on the wire: a part of thinking has no place for them. Members
that nobody knows are kept in the answer's meta.
"""

from __future__ import annotations

from typing import Any, Final

from polyvox.dialects._media import ANY_IMAGE, decode_base64, sniff
from polyvox.dialects._parts import Parts
from polyvox.dialects._reading import JSONObject
from polyvox.dialects.ollama.calls import decode_call, written_arguments
from polyvox.dialects.ollama.fields import DIALECT, THINKING, as_meta, text_of
from polyvox.dialects.ollama.usage import METRICS, decode_usage
from polyvox.types.events import (
    Event,
    FileDelta,
    ReasoningDelta,
    StreamEnd,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    UsageUpdate,
)
from polyvox.types.generate import Finish, FinishReason
from polyvox.types.parts import FilePart, ReasoningPart, TextPart, TokenLogprob

FINISHES: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "load": "other",
    "unload": "other",
    # Our own words, where a server of ours says what this wire has no word for.
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "pause": "pause",
    "error": "error",
    "other": "other",
}

_FIELDS: Final = frozenset({"model", "message", "done", "done_reason", "logprobs", "error", *METRICS})
_IN_MESSAGE: Final = frozenset({"role", "content", "thinking", "tool_calls", "images"})
_MARKED: Final = {DIALECT: {THINKING: True}}


def decode_finish(reason: Any, called: bool) -> Finish:
    """Return why the answer ended: `stop` stands after calls too. A word that we do not know is kept."""
    raw = reason if isinstance(reason, str) and reason else None
    if called and raw in ("stop", None):
        return Finish("tool_calls", raw)
    return Finish(FINISHES.get(raw or "", "other"), raw)


class AnswerReader:
    """Lines of one answer in, events out."""

    __slots__ = ("_calls", "_held", "_meta", "_reason", "begun", "done", "parts", "text", "thinking")

    def __init__(self) -> None:
        self.begun = False
        self.done = False
        self.parts = Parts()
        self.text: int | None = None
        self.thinking: int | None = None
        self._reason: Any = None
        self._calls = 0
        self._held: list[TokenLogprob] = []  # of what was no text
        self._meta: JSONObject = {}

    def feed(self, held: JSONObject, data: bytes, events: list[Event]) -> None:
        """Take in a line. `data` is its text, for what has to be kept as it was written."""
        if not self.begun:
            self.begun = True
            events.append(StreamStart(model=text_of(held, "model") or None))
        self._meta.update({name: value for name, value in held.items() if name not in _FIELDS and value is not None})
        message = held.get("message")
        message = message if isinstance(message, dict) else {}
        self._feed_text(message, decode_logprobs(held.get("logprobs")), events)
        calls = message.get("tool_calls")
        if isinstance(calls, list) and calls:
            self._feed_calls(calls, text_of(held, "created_at"), data, events)
        images = message.get("images")
        if isinstance(images, list) and images:
            self._feed_images(images, events)
        self._keep_rest(message)
        if held.get("done") is True or isinstance(held.get("done_reason"), str):
            self._feed_end(held, events)

    def _feed_text(self, message: JSONObject, logprobs: list[TokenLogprob], events: list[Event]) -> None:
        thinking, content = text_of(message, "thinking"), text_of(message, "content")
        if thinking:
            if self.thinking is None:
                self.thinking = self.parts.start(ReasoningPart(meta=_MARKED), events)
            thinking = self.parts.join(self.thinking, thinking)
            if thinking:
                events.append(ReasoningDelta(self.thinking, thinking))
        self._held += logprobs
        if content:
            if self.text is None:
                self.text = self.parts.start(TextPart(""), events)
            content = self.parts.join(self.text, content)
            if content or self._held:
                events.append(TextDelta(self.text, content, tuple(self._held) or None))
                self._held.clear()

    def _feed_calls(self, calls: list[Any], when: str, data: bytes, events: list[Event]) -> None:
        texts = written_arguments(data, len(calls))
        for held, written in zip(calls, texts, strict=True):
            if not isinstance(held, dict):
                self._meta.setdefault("unread", []).append(held)
                continue
            call = decode_call(held, written, f"{when} {self._calls}")
            self._calls += 1
            arguments, start = call.arguments, type(call)(call.id, call.name)
            index = self.parts.start(start, events)
            events.append(ToolCallDelta(index, arguments))
            self.parts.end(index, events, call.meta)

    def _feed_images(self, images: list[Any], events: list[Event]) -> None:
        for image in images:
            part = decode_image(image)
            if part is None:
                self._meta.setdefault("unread", []).append(image)
                continue
            index = self.parts.start(FilePart(part.media_type, b""), events)
            assert isinstance(part.data, bytes)
            events.append(FileDelta(index, part.data))
            self.parts.end(index, events)

    def _keep_rest(self, message: JSONObject) -> None:
        """Keep what a message says beside its members, and members of a type that nobody knows."""
        rest = {name: value for name, value in message.items() if name not in _IN_MESSAGE and value is not None}
        if message.get("role") not in (None, "assistant"):
            rest["role"] = message["role"]
        for name, kind in (("content", str), ("thinking", str), ("tool_calls", list), ("images", list)):
            if message.get(name) is not None and not isinstance(message[name], kind):
                rest[name] = message[name]
        if rest:
            self._meta["message"] = {**self._meta.get("message", {}), **rest}

    def _feed_end(self, held: JSONObject, events: list[Event]) -> None:
        self.done = True
        # A line after the last one, as proxies write it, does not take back what was said.
        self._reason = held.get("done_reason") or self._reason
        usage = decode_usage(held)
        if usage.raw:
            events.append(UsageUpdate(usage))

    def close(self, events: list[Event]) -> None:
        """End the answer."""
        if not self.begun:
            events.append(StreamStart())
        if self._held:
            if self.text is None:
                self._meta["logprobs"] = [encode_logprob(token) for token in self._held]
            else:
                events.append(TextDelta(self.text, "", tuple(self._held)))
        metas = {} if self.thinking is None else {self.thinking: _MARKED}
        self.parts.end_all(events, metas)
        finish = decode_finish(self._reason, self._calls > 0) if self.done else None
        events.append(StreamEnd(finish, meta=as_meta(self._meta)))


# What requests and answers say alike


def decode_image(image: Any) -> FilePart | None:
    """Return a picture, whose kind its first bytes tell; `None` for what is no base64."""
    if not isinstance(image, str):
        return None
    try:
        data = decode_base64(image)
    except ValueError:
        return None
    return FilePart(sniff(data) or ANY_IMAGE, data)


def decode_logprobs(given: Any) -> list[TokenLogprob]:
    """Return the tokens of a list, those that are some."""
    tokens = [_decode_logprob(item) for item in given] if isinstance(given, list) else []
    return [token for token in tokens if token is not None]


def _decode_logprob(item: Any) -> TokenLogprob | None:
    match item:
        case {"token": str(token), "logprob": int() | float() as logprob} if not isinstance(logprob, bool):
            given = item.get("bytes")
            octets = tuple(given) if isinstance(given, list) and all(type(one) is int for one in given) else None
            return TokenLogprob(token, float(logprob), octets, tuple(decode_logprobs(item.get("top_logprobs"))))
    return None


def encode_logprob(token: TokenLogprob) -> JSONObject:
    """Return a token's object."""
    said: JSONObject = {"token": token.token, "logprob": token.logprob}
    if token.bytes is not None:
        said["bytes"] = list(token.bytes)
    if token.top:
        said["top_logprobs"] = [encode_logprob(other) for other in token.top]
    return said
