"""`polyvox chat`: a conversation, line by line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from polyvox.cli import failures
from polyvox.errors import PolyvoxError


def chat(
    model: Annotated[str | None, typer.Option("-m", "--model", help="provider/model, an alias, or a bare id.")] = None,
    system: Annotated[str | None, typer.Option("-s", "--system", help="The system message.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Randomness.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="The longest answer.")] = None,
    reasoning: Annotated[str | None, typer.Option(help="none, minimal … max, or a budget in tokens.")] = None,
    show_reasoning: Annotated[bool, typer.Option("--show-reasoning", help="Show the reasoning, too.")] = False,
) -> None:
    """Talk with a model. /help lists the commands; Ctrl-C stops an answer, Ctrl-D leaves."""
    from polyvox.cli.client import make_client
    from polyvox.cli.conversation import Conversation
    from polyvox.cli.run import read_reasoning

    given: dict[str, Any] = {
        "temperature": temperature,
        "max_tokens": max_tokens,
        "reasoning": read_reasoning(reasoning),
    }
    settings = {name: value for name, value in given.items() if value is not None}
    with make_client() as client:
        name = client.registry.resolve(model or client.registry.default_model()).name
        conversation = Conversation(client, name, settings, show, system)
        terminal = sys.stdin.isatty() and sys.stdout.isatty()
        read = prompt_reader() if terminal else piped_reader()
        if terminal:
            show(f"{name} · /help lists the commands, Ctrl-D leaves")
        converse(conversation, read, show_reasoning=show_reasoning)


def show(line: str) -> None:
    """Show a line that is no part of an answer."""
    from polyvox.cli.screen import standard_error

    standard_error().print(line, style="dim", markup=False, soft_wrap=True)


def converse(conversation: Any, read: Callable[[], str | None], *, show_reasoning: bool) -> None:
    """Read and answer until the end. A failure is told, and the conversation goes on."""
    from polyvox.cli.screen import AnswerWriter

    while not conversation.over:
        line = read()
        if line is None:
            return
        line = line.strip()
        if not line:
            continue
        writer = AnswerWriter(show_reasoning=show_reasoning)
        try:
            if line.startswith("/"):
                conversation.command(line)
            else:
                conversation.ask(line, writer.write)
            writer.close()
        except KeyboardInterrupt:
            writer.close()
            show("(stopped)")
        except PolyvoxError as error:
            writer.close()
            failures.explain(error)


def piped_reader() -> Callable[[], str | None]:
    """Return a reader of lines from a pipe; a line that ends in a backslash goes on."""

    def read() -> str | None:
        gathered: list[str] = []
        while line := sys.stdin.readline():
            line = line.rstrip("\n")
            if not line.endswith("\\"):
                return "\n".join([*gathered, line])
            gathered.append(line[:-1])
        return "\n".join(gathered) if gathered else None

    return read


def prompt_reader() -> Callable[[], str | None]:
    """Return a reader at a terminal, with history; Ctrl-C clears the line, Ctrl-D leaves."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    from polyvox.cli.conversation import history_file

    path = history_file()
    path.parent.mkdir(parents=True, exist_ok=True)
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

    session: PromptSession[str] = PromptSession(history=FileHistory(str(path)), multiline=True, key_bindings=keys)

    def read() -> str | None:
        while True:
            try:
                return session.prompt("> ", prompt_continuation="  ")
            except KeyboardInterrupt:
                continue
            except EOFError:
                return None

    return read
