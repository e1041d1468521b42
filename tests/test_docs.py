"""Every example of the README and the docs is run, against a loopback server that plays the provider."""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from polyvox.client.config import read_file
from polyvox.errors import ConfigError
from polyvox.io.local_files import find_model
from polyvox.testing import FaultServer
from polyvox.testing.faults import Fault, ServerFault, Unauthorized
from polyvox.testing.server import Received
from polyvox.types.generate import Finish, GenerateRequest, GenerateResponse
from polyvox.types.parts import ToolCall
from tests.loopback import LoopbackServer, respond

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ANSWER = "Air scatters blue light more than red."
BLOCK = re.compile(
    r"^(?:<!-- needs: (?P<needs>\w+) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
# What is said where a type is asked for.
CITY = json.dumps({"name": "Lisbon", "country": "Portugal", "inhabitants": 545_796})

# A list of models, for who asks which there are.
MODELS = json.dumps(
    {"data": [{"id": "maker/model", "context_length": 131_072, "supported_parameters": ["tools"]}]}
).encode()


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """What an example changes of the log is undone."""
    logger = logging.getLogger("polyvox")
    handlers, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


def blocks(page: Path, language: str, needs: str | None = None) -> list[str]:
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [match["text"] for match in found if match["language"] == language and match["needs"] == needs]


def pages_with(language: str) -> Any:
    pages = [page for page in PAGES if blocks(page, language)]
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.relative_to(ROOT).as_posix())


def play(request: GenerateRequest) -> str | GenerateResponse[Any]:
    """Call the tool that is offered, once; give the type that is asked for; say the answer otherwise."""
    if request.tools and request.messages[-1].role == "user":
        call = ToolCall("call_1", request.tools[0].name, '{"city": "Lisbon"}')
        return GenerateResponse(content=(call,), finish=Finish("tool_calls"))
    return ANSWER if request.output is None else CITY


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FaultServer]:
    """A server that the great providers' variables point at, and a working directory with what the examples read."""
    (tmp_path / "notes.txt").write_text("The sky is blue. The sea is blue.\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with FaultServer(play) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-example")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url("openai"))
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-example")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url("anthropic"))
        with LoopbackServer(respond(200, MODELS, {"Content-Type": "application/json"})) as listing:
            monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-example")
            monkeypatch.setenv("OPENROUTER_BASE_URL", listing.url)
            yield server


@pages_with("python")
def test_the_python_of_a_page_runs_from_top_to_bottom(
    page: Path, provider: FaultServer, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {"__name__": "__example__"}
    for text in blocks(page, "python"):
        exec(compile(text, str(page), "exec"), names)

    assert not provider.requests or ANSWER in capsys.readouterr().out


def test_the_readme_shows_the_wire_at_work(provider: FaultServer) -> None:
    """Its examples ask, stream, and send a tool's result back."""
    names: dict[str, Any] = {"__name__": "__example__"}
    for text in blocks(ROOT / "README.md", "python"):
        exec(compile(text, "README.md", "exec"), names)
    bodies = [json.loads(one.body) for one in provider.requests]

    assert {True, False} == {bool(body.get("stream")) for body in bodies}
    items = [item for body in bodies for item in body.get("input", body.get("messages", ()))]
    assert any(item.get("type") == "function_call_output" or item.get("role") == "tool" for item in items)


def test_the_page_on_models_shows_those_that_a_provider_lists(
    provider: FaultServer, capsys: pytest.CaptureFixture[str]
) -> None:
    (text,) = blocks(ROOT / "docs" / "models.md", "python")
    exec(compile(text, "models.md", "exec"), {"__name__": "__example__"})

    assert capsys.readouterr().out == "openrouter/maker/model 131072 None ()\n"


@pytest.mark.local_model
def test_the_examples_of_the_local_model_run(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        find_model()
    except ConfigError as error:
        pytest.skip(error.message)
    for text in blocks(ROOT / "README.md", "python", needs="local"):
        exec(compile(text, "README.md", "exec"), {"__name__": "__example__"})

    assert capsys.readouterr().out.strip()


@pages_with("toml")
def test_the_configuration_of_a_page_is_understood(page: Path, tmp_path: Path) -> None:
    for text in blocks(page, "toml"):
        file = tmp_path / "polyvox.toml"
        file.write_text(text, encoding="utf-8")

        assert read_file(file).providers


def commands(page: Path) -> list[str]:
    """The lines of a page's shell blocks that call `polyvox`, and need no terminal and no download."""
    lines = [line.split("  #")[0].strip() for text in blocks(page, "sh") for line in text.splitlines()]
    return [line for line in lines if "polyvox " in line and not re.search(r"pip |polyvox (chat|local)", line)]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if commands(page)], ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_the_commands_of_a_page_run(page: Path, provider: FaultServer) -> None:
    script = "import sys; from polyvox.cli import main; sys.argv[0] = 'polyvox'; sys.exit(main())"
    polyvox = shlex.join([sys.executable, "-c", script]) + " "
    for line in commands(page):
        done = subprocess.run(
            ["sh", "-c", re.sub(r"\bpolyvox ", lambda _: polyvox, line, count=1)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=30,
            check=False,
        )

        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert done.stdout.strip()
        assert (
            ("polyvox run" not in line or ANSWER in done.stdout) if "--explain" not in line else "POST" in done.stdout
        )


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_an_example_runs(example: Path, provider: FaultServer) -> None:
    done = subprocess.run([sys.executable, example], capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 0, done.stderr
    assert ANSWER in done.stdout or "545,796" in done.stdout


def run_example(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    example = [sys.executable, str(ROOT / "examples" / name), *arguments]
    return subprocess.run(example, capture_output=True, text=True, timeout=30, check=False)


def test_the_example_of_reliability_survives_a_provider_that_is_down(
    provider: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three attempts at the first, one at the second. What the second said is not remembered as the first's."""
    with FaultServer(play, faults=ServerFault(503)) as down:
        monkeypatch.setenv("OPENAI_BASE_URL", down.base_url("openai"))
        done = run_example("reliable.py")
        asked = len(down.requests)

    assert done.returncode == 0, done.stderr
    assert (asked, len(provider.requests)) == (6, 2)
    assert done.stdout.count(", 4 attempts: " + ANSWER) == 2
    assert "RetryFact" in done.stderr and "FallbackFact" in done.stderr


def test_the_example_of_reliability_asks_once_and_remembers(provider: FaultServer) -> None:
    done = run_example("reliable.py")

    assert done.returncode == 0, done.stderr
    assert len(provider.requests) == 1
    assert f"from the cache: {ANSWER}" in done.stdout and "spent: 0.00" in done.stdout


def test_the_example_of_the_queue_goes_on_without_what_fails(
    provider: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_the_sea(received: Received) -> Fault | None:
        return Unauthorized() if b"sea" in received.body else None

    with FaultServer(play, faults=refuse_the_sea) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url("openai"))
        done = run_example("many_streams.py")

    assert done.returncode == 0, done.stderr
    assert f"sky: {ANSWER}" in done.stdout and f"ice: {ANSWER}" in done.stdout
    assert "sea: openai/gpt-5.5: " in done.stdout and "[sea]" not in done.stdout


def test_the_tables_in_the_docs_are_those_of_the_code() -> None:
    """`make docs` writes them."""
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_page_is_searched() -> None:
    assert len(blocks(ROOT / "README.md", "python")) >= 5
    assert blocks(ROOT / "README.md", "python", needs="local")
    assert blocks(ROOT / "README.md", "toml")
    assert commands(ROOT / "README.md")
