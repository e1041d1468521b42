"""`polyvox chat`: a conversation, line by line."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyvox.cli import failures
from polyvox.cli.completion import ModelName

if TYPE_CHECKING:
    from polyvox.cli.conversation import Conversation
    from polyvox.types.generate import Adjustment

_IMPATIENCE = 2.0
"""Seconds after a Ctrl-C in which another one is the same wish."""


def chat(
    model: ModelName = None,
    system: Annotated[str | None, typer.Option("-s", "--system", help="The system message.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Randomness.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="The longest answer.")] = None,
    reasoning: Annotated[str | None, typer.Option(help="none, minimal … max, or a budget in tokens.")] = None,
    show_reasoning: Annotated[bool, typer.Option("--show-reasoning", help="Show the reasoning, too.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Tell tokens, cost, time, adjustments.")] = False,
) -> None:
    """Talk with a model. /help lists the commands; Ctrl-C stops an answer, Ctrl-D leaves."""
    from polyvox.cli.client import default_model, make_client
    from polyvox.cli.conversation import Conversation
    from polyvox.cli.run import read_reasoning
    from polyvox.cli.screen import tell

    given: dict[str, Any] = {
        "temperature": temperature,
        "max_tokens": max_tokens,
        "reasoning": read_reasoning(reasoning),
    }
    settings = {name: value for name, value in given.items() if value is not None}
    with make_client() as client:
        name = client.registry.resolve(model or default_model(client)).name
        conversation = Conversation(client, name, settings, tell, system)
        terminal = sys.stdin.isatty() and sys.stdout.isatty()
        read = prompt_reader() if terminal else piped_reader()
        if terminal:
            tell(f"{name} · /help lists the commands, Ctrl-D leaves")
        converse(conversation, read, show_reasoning=show_reasoning, verbose=verbose)


def converse(
    conversation: Conversation, read: Callable[[], str | None], *, show_reasoning: bool, verbose: bool = False
) -> None:
    """Read and answer until the end. A failure is told, and the conversation goes on."""
    from polyvox.cli.screen import tell

    told: set[Adjustment] = set()
    while not conversation.over:
        line = read()
        if line is None:
            return
        if not line.strip():
            continue
        with one_interrupt():
            try:
                answer(conversation, line, told, show_reasoning=show_reasoning, verbose=verbose)
            except KeyboardInterrupt:
                tell("(stopped)")
            except BrokenPipeError:
                raise
            except Exception as error:  # noqa: BLE001 - it is told; what was said so far is not thrown away for it
                failures.explain(error)


def answer(
    conversation: Conversation, line: str, told: set[Adjustment], *, show_reasoning: bool, verbose: bool
) -> None:
    """Carry out a line: a command where it begins with a slash, else a question."""
    from polyvox.cli.screen import AnswerWriter, print_notes

    if line.startswith("/"):
        conversation.command(line.strip())
        return
    writer = AnswerWriter(show_reasoning=show_reasoning)
    try:
        response = conversation.ask(line.strip(), writer.write)
    finally:
        writer.close()
    print_notes(response, verbose=verbose, told=told)


@contextmanager
def one_interrupt() -> Iterator[None]:
    """Take several Ctrl-C in a row as one: the second must not hit what cleans up after the first, and end us."""
    first: float | None = None

    def stop(number: int, frame: Any) -> None:
        nonlocal first
        now = time.monotonic()
        if first is None or now - first > _IMPATIENCE:
            first = now
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def piped_reader() -> Callable[[], str | None]:
    """Return a reader of lines from a pipe; a line that ends in a backslash goes on."""
    from polyvox.cli.inputs import read_text

    def read() -> str | None:
        gathered: list[str] = []
        while data := sys.stdin.buffer.readline():
            line = read_text(data, "this line").rstrip("\r\n")
            if not line.endswith("\\"):
                return "\n".join([*gathered, line])
            gathered.append(line[:-1])
        return "\n".join(gathered) if gathered else None

    return read


def prompt_reader() -> Callable[[], str | None]:
    """Return a reader at a terminal, with history; Ctrl-C clears the line, Ctrl-D leaves."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.char_before_cursor == "\\":
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    session: PromptSession[str] = PromptSession(history=open_history(), multiline=True, key_bindings=keys)

    def read() -> str | None:
        while True:
            try:
                return session.prompt("> ", prompt_continuation="  ")
            except KeyboardInterrupt:
                continue
            except EOFError:
                return None

    return read


def open_history() -> Any:
    """Return the history of lines typed: a file that only its owner reads, or memory where none can be written."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    from polyvox.cli.conversation import history_file
    from polyvox.cli.screen import tell

    try:
        path = history_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        with path.open("ab"):
            return FileHistory(str(path))
    except (OSError, RuntimeError) as error:
        tell(f"the lines you type are not kept: {error}")
        return InMemoryHistory()
