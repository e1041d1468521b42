"""A conversation at the command line: its messages, its model, and the commands that change them.

The rule: no terminal here; what is typed comes in as text, what is shown goes out through a function.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from polyvox.client.clients import Client
from polyvox.errors import ConfigError, PolyvoxError
from polyvox.types.events import Event
from polyvox.types.generate import GenerateResponse
from polyvox.types.messages import Message, system, user
from polyvox.types.parts import TextPart

HELP = """\
/model NAME    ask another model from now on; the conversation goes with it (without NAME: which one)
/system TEXT   set the system message (without TEXT: take it away)
/save FILE     write the conversation to a file
/load FILE     go on with the conversation of a file
/clear         forget the conversation
/help          this
/exit          leave (or Ctrl-D)
Enter sends. Escape, then Enter begins a new line; so does a line that ends in \\. Pasted lines stay together.
A space before a slash makes it part of a question. Ctrl-C stops an answer, and what had come of it stays."""


class Saved(Struct, forbid_unknown_fields=True):
    """A conversation in a file."""

    model: str
    messages: tuple[Message, ...]
    system: str | None = None


class Conversation:
    """The state of one chat. `show` takes a line for the person, `write` an event of an answer."""

    def __init__(
        self,
        client: Client,
        model: str,
        settings: dict[str, Any],
        show: Callable[[str], None],
        prompt: str | None = None,
    ) -> None:
        self.client = client
        self.model = model
        self.settings = settings
        self.system = prompt
        self.messages: list[Message] = []
        self.over = False
        self._show = show

    def command(self, line: str) -> None:
        """Carry out a line that begins with a slash. Raises `ConfigError` for one that is wrong."""
        word, rest = (*line[1:].split(None, 1), "", "")[:2]
        match word:
            case "model":
                self._set_model(rest)
            case "system":
                self.system = rest or None
                self._show("system message set" if rest else "no system message")
            case "save":
                self._save(rest)
            case "load":
                self._load(rest)
            case "clear":
                self.messages.clear()
                self._show("forgotten")
            case "help" | "?":
                self._show(HELP)
            case "exit" | "quit" | "bye":
                self.over = True
            case _:
                raise ConfigError(f"no command /{word}; /help lists them")

    def _set_model(self, name: str) -> None:
        if name:
            target = self.client.registry.resolve(name)
            self.model = target.name
        self._show(f"model: {self.model}")

    def _save(self, name: str) -> None:
        if not name:
            raise ConfigError("/save needs a file's name")
        saved = Saved(self.model, tuple(self.messages), self.system)
        try:
            _path(name).write_bytes(msgspec.json.format(msgspec.json.encode(saved), indent=2) + b"\n")
        except OSError as error:
            raise ConfigError(f"cannot write {name}: {error.strerror or error}") from None
        self._show(f"saved {len(self.messages)} messages to {name}")

    def _load(self, name: str) -> None:
        if not name:
            raise ConfigError("/load needs a file's name")
        try:
            saved = msgspec.json.decode(_path(name).read_bytes(), type=Saved)
        except OSError as error:
            raise ConfigError(f"cannot read {name}: {error.strerror or error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigError(f"{name} is no saved conversation: {error}") from None
        self.messages, self.system = list(saved.messages), saved.system
        try:
            self.model = self.client.registry.resolve(saved.model).name
        except PolyvoxError as error:
            # Its model may be out of reach here: the conversation goes on with the one at hand.
            self._show(f"its model cannot be asked: {error}")
        self._show(f"loaded {len(self.messages)} messages; model: {self.model}")

    def ask(self, text: str, write: Callable[[Event], None]) -> GenerateResponse[Any]:
        """Send a message, hand on its answer, and return it whole.

        Of an answer that broke off, the text that had come stays in the conversation: half a piece of reasoning or of
        a call is nothing that a provider takes back. Raises the error that ended it, or `KeyboardInterrupt`.
        """
        prompt = [system(self.system)] if self.system else []
        asked = user(text)
        stream = self.client.stream(self.model, [*prompt, *self.messages, asked], **self.settings)
        try:
            with stream:
                for event in stream:
                    write(event)
        except (PolyvoxError, KeyboardInterrupt):
            received = stream.response.message
            text_parts = tuple(part for part in received.content if isinstance(part, TextPart) and part.text)
            if text_parts:
                self.messages += [asked, structs.replace(received, content=text_parts)]
            raise
        self.messages += [asked, stream.response.message]
        return stream.response


def _path(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{name}: {error}") from None


def history_file() -> Path:
    """Return where the lines typed are kept."""
    named = os.environ.get("XDG_STATE_HOME", "")
    # The XDG specification: a path that is not absolute is to be ignored.
    base = Path(named) if Path(named).is_absolute() else Path.home() / ".local" / "state"
    return base / "polyvox" / "history"
