"""A conversation at the command line: its messages, its model, and the commands that change them.

The rule: no terminal here; what is typed comes in as text, what is shown goes out through a function.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from polyvox.client.clients import Client
from polyvox.errors import ConfigError, PolyvoxError
from polyvox.types.events import Event
from polyvox.types.messages import Message, system, user

HELP = """\
/model NAME    ask another model from now on; the conversation goes with it (without NAME: which one)
/system TEXT   set the system message (without TEXT: take it away)
/save FILE     write the conversation to a file
/load FILE     go on with the conversation of a file
/clear         forget the conversation
/help          this
/exit          leave (or Ctrl-D)
Enter sends. Escape, then Enter begins a new line; so does a line that ends in \\. Ctrl-C stops an answer."""


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
        word, _, rest = line[1:].partition(" ")
        rest = rest.strip()
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
            Path(name).expanduser().write_bytes(msgspec.json.format(msgspec.json.encode(saved), indent=2) + b"\n")
        except OSError as error:
            raise ConfigError(f"cannot write {name}: {error.strerror or error}") from None
        self._show(f"saved {len(self.messages)} messages to {name}")

    def _load(self, name: str) -> None:
        if not name:
            raise ConfigError("/load needs a file's name")
        try:
            saved = msgspec.json.decode(Path(name).expanduser().read_bytes(), type=Saved)
        except OSError as error:
            raise ConfigError(f"cannot read {name}: {error.strerror or error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{name} is no saved conversation: {error}") from None
        self.model, self.messages, self.system = saved.model, list(saved.messages), saved.system
        self._show(f"loaded {len(self.messages)} messages; model: {self.model}")

    def ask(self, text: str, write: Callable[[Event], None]) -> None:
        """Send a message and hand on its answer. What had come of an answer that broke off stays in the conversation.

        Raises the error that ended it, or `KeyboardInterrupt`.
        """
        prompt = [system(self.system)] if self.system else []
        asked = user(text)
        stream = self.client.stream(self.model, [*prompt, *self.messages, asked], **self.settings)
        try:
            with stream:
                for event in stream:
                    write(event)
        except (PolyvoxError, KeyboardInterrupt):
            if stream.response.content:
                self.messages += [asked, stream.response.message]
            raise
        self.messages += [asked, stream.response.message]


def history_file() -> Path:
    """Return where the lines typed are kept."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "polyvox" / "history"
