"""`polyvox run`: ask one question, stream the answer."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from msgspec import structs

from polyvox.cli.completion import ModelName
from polyvox.types.events import Event
from polyvox.types.generate import GenerateResponse

if TYPE_CHECKING:
    from polyvox.cli.screen import AnswerWriter


def run(
    question: Annotated[str | None, typer.Argument(help="What to ask. Without it, what is piped in is asked.")] = None,
    model: ModelName = None,
    system: Annotated[str | None, typer.Option("-s", "--system", help="The system message.")] = None,
    file: Annotated[
        list[Path] | None,
        typer.Option("-f", "--file", "--attach", help="A text file as context, or a picture or PDF to attach."),
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="Randomness.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Nucleus sampling.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="The longest answer.")] = None,
    seed: Annotated[int | None, typer.Option(help="Repeat an answer where the model can.")] = None,
    stop: Annotated[list[str] | None, typer.Option(help="End the answer before this text.")] = None,
    reasoning: Annotated[str | None, typer.Option(help="none, minimal … max, or a budget in tokens.")] = None,
    show_reasoning: Annotated[bool, typer.Option("--show-reasoning", help="Show the reasoning, too.")] = False,
    schema: Annotated[str | None, typer.Option(help="A JSON schema (file or text) the answer must follow.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("-o", "--option", help="name=value: a setting of the provider's own, as JSON.")
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds for the whole call.")] = None,
    stream: Annotated[bool, typer.Option("--stream/--no-stream", help="Show the answer as it comes.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole response as JSON.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show what would be sent, and send nothing.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Tell tokens, cost, time, adjustments.")] = False,
) -> None:
    """Ask a question and print the answer. Without -m: the configured model, or the local one where nothing is."""
    from polyvox.cli.client import default_model, make_client
    from polyvox.cli.inputs import read_options, read_question, read_schema
    from polyvox.cli.screen import AnswerWriter, print_notes
    from polyvox.types.fold import unfold

    given: dict[str, Any] = {
        "system": system,
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": max_tokens,
        "seed": seed,
        "stop": stop or None,
        "reasoning": read_reasoning(reasoning),
        "output": read_schema(schema) if schema else None,
        "timeout": timeout,
    }
    settings = {name: value for name, value in given.items() if value is not None}
    options = read_options(option or ())
    message = read_question(question, file or ())
    with make_client() as client:
        name = model or default_model(client)
        if options:
            settings["options"] = {client.registry.models.split(name)[0]: options}
        if explain:
            explanation = client.explain(name, message, stream=stream and not as_json, **settings)
            sys.stdout.write((_as_json(explanation) if as_json else str(explanation)) + "\n")
            return
        if as_json or not stream:
            response = client.generate(name, message, **settings)
            if as_json:
                print_response(response)
            else:
                show(unfold(response), AnswerWriter(show_reasoning=show_reasoning))
        else:
            with client.stream(name, message, **settings) as answer:
                show(answer, AnswerWriter(show_reasoning=show_reasoning))
            response = answer.response
        if verbose or not as_json:
            print_notes(response, verbose=verbose)


def show(events: Iterable[Event], writer: AnswerWriter) -> None:
    """Show an answer, and end its line whatever ends the answer."""
    try:
        for event in events:
            writer.write(event)
    finally:
        writer.close()


def read_reasoning(given: str | None) -> str | int | None:
    """Return an effort's word, or a budget as a number."""
    return int(given) if given is not None and given.isdigit() else given


def print_response(response: GenerateResponse[Any]) -> None:
    """Print a response as JSON, less the body as received."""
    sys.stdout.write(_as_json(structs.replace(response, raw=None)) + "\n")


def _as_json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=repr), indent=2).decode()
