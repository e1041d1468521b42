"""The command line as a person and a script meet it: what is printed where, and the exit codes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.loopback import (
    LoopbackServer,
    chat,
    chat_chunk,
    error,
    json_chat,
    respond,
    sse_chat,
    sse_frames,
    stall_after,
    unused_url,
)

from polyvox.cli.app import run_app
from polyvox.cli.completion import complete_capability, complete_model
from polyvox.io.local_files import installed_path

KEY = "sk-canary-0123456789abcdef"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Configure a provider `lab` at a URL, in a directory of its own, with nothing piped in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))

    def configure(url: str) -> None:
        (tmp_path / "polyvox.toml").write_text(
            f'default_model = "lab/m"\n[providers.lab]\nbase_url = "{url}"\napi_key = "{KEY}"\n'
        )

    return configure


def test_run_streams_the_answer_to_standard_output_and_nothing_else(lab: Any, capsys: Any) -> None:
    with LoopbackServer(sse_chat(["Hel", "lo"])) as server:
        lab(server.url)
        assert run_app(["run", "Hi"]) == 0

    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("Hello\n", "")


def test_run_says_what_it_was_told(lab: Any, capsys: Any) -> None:
    with LoopbackServer(chat("ok")) as server:
        lab(server.url)
        options = ["--temperature", "0.5", "--top-p", "0.9", "--seed", "3", "--stop", "END", "--max-tokens", "9"]
        assert run_app(["run", "-m", "lab/other", "-s", "Be brief.", *options, "Hi"]) == 0

    body = server.requests[0].json()
    assert body["model"] == "other" and body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["temperature"], body["top_p"], body["seed"], body["stop"]) == (0.5, 0.9, 3, ["END"])
    assert body.get("max_tokens", body.get("max_completion_tokens")) == 9


def test_run_json_prints_the_whole_response(lab: Any, capsys: Any) -> None:
    with LoopbackServer(json_chat("Hello")) as server:
        lab(server.url)
        assert run_app(["run", "--json", "Hi"]) == 0

    answer = json.loads(capsys.readouterr().out)
    assert answer["content"] == [{"type": "text", "text": "Hello"}] and answer["finish"]["reason"] == "stop"
    assert answer["usage"]["input_tokens"] == 3 and "raw" not in answer


def test_run_no_stream_asks_for_a_whole_answer(lab: Any, capsys: Any) -> None:
    with LoopbackServer(chat("Hello")) as server:
        lab(server.url)
        assert run_app(["run", "--no-stream", "Hi"]) == 0
    assert capsys.readouterr().out == "Hello\n" and "stream" not in server.requests[0].json()


def test_run_verbose_tells_tokens_and_adjustments_on_standard_error(lab: Any, capsys: Any) -> None:
    with LoopbackServer(chat("ok")) as server:
        lab(server.url)
        assert run_app(["run", "-v", "Hi"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "ok\n" and "3 tokens in, 2 out" in captured.err and "lab/m" in captured.err


def test_run_with_a_schema_sends_it(lab: Any, capsys: Any, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    with LoopbackServer(chat('{"name": "Rome"}')) as server:
        lab(server.url)
        assert run_app(["run", "--schema", "schema.json", "A city"]) == 0
        assert run_app(["run", "--schema", json.dumps(schema), "A city"]) == 0
    sent = [request.json()["response_format"]["json_schema"]["schema"] for request in server.requests]
    assert sent == [schema, schema]


def test_files_are_context_or_attachments(lab: Any, capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("The code is 7.")
    (tmp_path / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 20)
    with LoopbackServer(chat("ok")) as server:
        lab(server.url)
        assert run_app(["run", "-f", "notes.txt", "-f", "dot.png", "What is it?"]) == 0
    picture, text = server.requests[0].json()["messages"][0]["content"]
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")
    assert "notes.txt" in text["text"] and "The code is 7." in text["text"] and text["text"].endswith("What is it?")


def polyvox(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "polyvox.cli", *arguments], capture_output=True, text=True, timeout=30, **options
    )


def test_what_is_piped_in_is_context_or_the_question_itself(lab: Any, tmp_path: Path) -> None:
    with LoopbackServer(chat("ok")) as server:
        lab(server.url)
        first = polyvox("run", "Sum up.", input="a long text\n", cwd=tmp_path)
        second = polyvox("run", input="Why?\n", cwd=tmp_path)
    assert (first.stdout, first.returncode, second.stdout) == ("ok\n", 0, "ok\n")
    said = [request.json()["messages"][0]["content"] for request in server.requests]
    assert said == ["a long text\n\nSum up.", "Why?"]


def test_nothing_to_ask_is_a_usage_error(lab: Any, capsys: Any) -> None:
    lab(unused_url())
    assert run_app(["run"]) == 2
    assert "nothing to ask" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (401, {"message": f"Incorrect API key: {KEY}", "code": "invalid_api_key"}, 3, "Incorrect API key"),
        (403, {"message": "no"}, 3, "no"),
        (429, {"message": "slow down", "code": "rate_limit_exceeded"}, 4, "slow down"),
        (429, {"message": "no money", "code": "insufficient_quota"}, 4, "no money"),
        (400, {"message": "bad"}, 5, "bad"),
        (404, {"message": "The model `m` does not exist", "code": "model_not_found"}, 5, "does not exist"),
        (500, b"<html><title>Oops</title></html>", 7, "Oops"),
    ],
)
def test_a_providers_error_is_one_sentence_and_an_exit_code(
    lab: Any, capsys: Any, status: int, body: Any, code: int, words: str
) -> None:
    with LoopbackServer(error(status, body)) as server:
        lab(server.url)
        assert run_app(["run", "Hi"]) == code
    said = capsys.readouterr()
    assert words in said.err and "Traceback" not in said.err and KEY not in said.err + said.out
    assert len(said.err.strip().splitlines()) == 1


def test_other_failures_have_their_codes_and_sentences(lab: Any, capsys: Any) -> None:
    lab(unused_url())
    cases = [
        (["run", "Hi"], 6, "127.0.0.1"),
        (["run", "-m", "opnai/gpt", "Hi"], 2, "did you mean 'openai'"),
        (["run", "-m", "openai/gpt-5.5", "Hi"], 2, "OPENAI_API_KEY"),
        (["run", "--reasoning", "very", "Hi"], 2, "reasoning is 'very'"),
        (["run", "-f", "nowhere.txt", "Hi"], 2, "nowhere.txt"),
        (["run", "--schema", "{", "Hi"], 2, "--schema"),
        (["run", "--temperature", "hot", "Hi"], 2, "temperature"),
        (["models", "-p", "nobody"], 2, "no provider 'nobody'"),
    ]
    for arguments, code, words in cases:
        assert run_app(arguments) == code, arguments
        said = capsys.readouterr().err
        assert words in said and "Traceback" not in said


def test_a_truncated_stream_shows_what_came_and_fails(lab: Any, capsys: Any) -> None:
    with LoopbackServer(sse_frames([chat_chunk({"role": "assistant", "content": "Hel"})])) as server:
        lab(server.url)
        assert run_app(["run", "Hi"]) == 6
    said = capsys.readouterr()
    assert said.out == "Hel\n" and "broke off" in said.err


def test_a_timeout_names_its_limit(lab: Any, capsys: Any) -> None:
    with LoopbackServer(lambda exchange: exchange.stall(5) and None) as server:
        lab(server.url)
        assert run_app(["run", "--timeout", "0.2", "Hi"]) == 6
    assert "within 0.2 s" in capsys.readouterr().err


def test_a_wrong_configuration_file_is_one_sentence(lab: Any, capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "polyvox.toml").write_text("[providers.openai]\napikey = 'sk-very-secret-0123456789'\n")
    assert run_app(["run", "Hi"]) == 2
    said = capsys.readouterr().err
    assert "no setting 'apikey'" in said and "sk-very-secret" not in said


def test_an_unexpected_error_is_one_sentence_and_a_hint(lab: Any, capsys: Any, monkeypatch: Any) -> None:
    def explode() -> None:
        raise RuntimeError(f"surprise with {KEY}")

    monkeypatch.setattr("polyvox.cli.client.make_client", explode)
    assert run_app(["run", "Hi"]) == 1
    said = capsys.readouterr().err
    assert "unexpected RuntimeError" in said and "POLYVOX_DEBUG" in said and KEY not in said
    monkeypatch.setenv("POLYVOX_DEBUG", "1")
    assert run_app(["run", "Hi"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said and KEY not in said


def test_providers_say_what_is_configured_and_never_the_key(lab: Any, capsys: Any, monkeypatch: Any) -> None:
    lab("http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert run_app(["providers"]) == 0
    plain = capsys.readouterr().out
    assert run_app(["providers", "--json"]) == 0
    found = {item["name"]: item for item in json.loads(capsys.readouterr().out)}

    assert KEY not in plain and "OPENAI_API_KEY" in plain
    assert (found["openai"]["configured"], found["openai"]["key"]) == (True, "from OPENAI_API_KEY")
    assert (found["lab"]["configured"], found["lab"]["key"]) == (True, "from polyvox.toml")
    assert found["local"]["key"] == "needs none" and not found["openai_compatible"]["configured"]


def test_models_are_listed_plain_and_as_json(lab: Any, capsys: Any) -> None:
    assert run_app(["models"]) == 0
    assert "openai/gpt-6.1-sol\tgpt, gpt-sol\t" in capsys.readouterr().out
    assert run_app(["models", "--provider", "local", "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == ["smollm2-135m"]


def test_models_are_looked_up_by_all_that_they_must_be_able_to_do(lab: Any, capsys: Any) -> None:
    def ids(*words: str) -> set[str]:
        given = [part for word in words for part in ("--capability", word)]
        assert run_app(["models", "-p", "deepseek", "--json", *given]) == 0
        return {row["id"] for row in json.loads(capsys.readouterr().out)}

    assert ids("tools") == {"deepseek-flash", "deepseek-v4-pro"}
    assert ids("tools", "vision") == {"deepseek-flash"}
    assert ids("tools", "vision", "audio_output") == set()
    assert run_app(["models", "-p", "deepseek", "-c", "audio_output"]) == 0
    assert "no model is known to have audio_output" in capsys.readouterr().err


def test_the_providers_own_list_is_asked_for(lab: Any, capsys: Any) -> None:
    rows = [
        {"id": "big", "object": "model", "context_length": 131072, "created": 1776945600, "supports_tools": True},
        {"id": "small", "object": "model", "family": "tiny"},
    ]
    listed = respond(200, json.dumps({"data": rows}).encode(), {"Content-Type": "application/json"})
    with LoopbackServer(listed) as server:
        lab(server.url)
        assert run_app(["models", "--live", "--provider", "lab"]) == 0
        assert capsys.readouterr().out == "lab/big\t131072\t\ttools\t2026-04-23\nlab/small\t\t\t\t\n"
        assert run_app(["models", "--live", "-p", "lab", "--json"]) == 0
        big, small = json.loads(capsys.readouterr().out)
        assert run_app(["models", "--live", "-p", "lab", "-c", "tools", "--json"]) == 0
        assert [row["name"] for row in json.loads(capsys.readouterr().out)] == ["lab/big"]
        assert run_app(["models", "--live", "-p", "lab", "-c", "vision"]) == 0
        assert "lab lists no model that is known to have vision" in capsys.readouterr().err

    assert (big["name"], big["context_tokens"], big["capabilities"]) == ("lab/big", 131_072, ["tools"])
    assert small == {"name": "lab/small", "id": "small", "provider": "lab", "meta": {"family": "tiny"}}


def test_of_a_live_list_our_own_word_stands_in_brackets(lab: Any, capsys: Any, monkeypatch: Any) -> None:
    rows = {"data": [{"id": "deepseek-flash", "context_length": 1000000}]}
    listed = respond(200, json.dumps(rows).encode(), {"Content-Type": "application/json"})
    with LoopbackServer(listed) as server:
        Path("polyvox.toml").write_text(f'[providers.deepseek]\nbase_url = "{server.url}"\napi_key = "{KEY}"\n')
        assert run_app(["models", "--live", "-p", "deepseek"]) == 0

    name, context, output, can, _ = capsys.readouterr().out.split("\t")
    assert (name, context, output) == ("deepseek/deepseek-flash", "1000000", "(384000)")
    assert "(tools)" in can


def test_a_live_list_that_cannot_be_had_says_why(lab: Any, capsys: Any) -> None:
    assert run_app(["models", "--live"]) == 2
    assert "--provider" in capsys.readouterr().err
    assert run_app(["models", "--live", "-p", "local"]) == 5
    assert "Local model offers no list of its models" in capsys.readouterr().err


def test_a_capability_that_is_no_word_is_told_with_what_was_meant(lab: Any, capsys: Any) -> None:
    assert run_app(["models", "--capability", "tool"]) == 2
    assert "no capability 'tool': did you mean 'tools'" in capsys.readouterr().err
    assert complete_capability("vis") == ["vision"] and "tools" in complete_capability("t")


def test_local_status_says_what_is_missing(lab: Any, capsys: Any, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("POLYVOX_DATA_DIR", str(tmp_path / "data"))
    assert run_app(["local", "status"]) == 2
    assert "polyvox local install" in capsys.readouterr().out


def test_with_no_key_and_no_configuration_the_local_model_is_asked(
    lab: Any, capsys: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("POLYVOX_DATA_DIR", str(tmp_path / "data"))
    assert run_app(["run", "Hi"]) == 2
    said = capsys.readouterr().err
    assert "polyvox local install" in said and "set a provider's key" in said


def test_version_loads_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['polyvox', '--version']\n"
        "import polyvox.cli\n"
        "try:\n    polyvox.cli.main()\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'aiohttp', 'urllib3', 'rich', 'typer', 'prompt_toolkit', 'asyncio', 'msgspec'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    version, heavy = done.stdout.splitlines()
    assert version.startswith("polyvox ") and heavy == "[]"


def test_without_the_extra_one_sentence_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['typer'] = None; sys.argv = ['polyvox', 'run', 'Hi']\n"
        "import polyvox.cli; polyvox.cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.strip().endswith("pip install 'polyvox[cli]'")
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_had_enough_ends_the_command_quietly(lab: Any, tmp_path: Path) -> None:
    with LoopbackServer(sse_chat(["line\n"] * 200, delay=0.005)) as server:
        lab(server.url)
        command = f"{sys.executable} -m polyvox.cli run Hi | head -n 1"
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, stdin=subprocess.DEVNULL, timeout=30
        )
        assert server.wait_connections(0)
    assert (done.stdout, done.stderr) == ("line\n", "")


def test_ctrl_c_ends_run_with_130_what_came_and_a_closed_connection(lab: Any, tmp_path: Path) -> None:
    with LoopbackServer(stall_after(chat_chunk({"role": "assistant", "content": "Half an ans"}))) as server:
        lab(server.url)
        running = subprocess.Popen(
            [sys.executable, "-m", "polyvox.cli", "run", "Hi"],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert running.stdout is not None
        came = running.stdout.read(len("Half an ans"))
        running.send_signal(signal.SIGINT)
        rest, said = running.communicate(timeout=10)
        assert server.wait_connections(0)
    assert (came + rest, running.returncode) == ("Half an ans\n", 130)
    assert said.strip() == ""


def test_options_of_the_providers_own_are_sent(lab: Any, capsys: Any) -> None:
    with LoopbackServer(chat("ok")) as server:
        lab(server.url)
        assert run_app(["run", "-o", "store=false", "-o", "verbosity=low", "Hi"]) == 0
        assert run_app(["run", "-o", "store", "Hi"]) == 2
    body = server.requests[0].json()
    assert (body["store"], body["verbosity"]) == (False, "low")
    assert "write name=value" in capsys.readouterr().err


def test_reasoning_is_shown_when_asked_for_streamed_or_not(lab: Any, capsys: Any) -> None:
    with LoopbackServer(json_chat("Four.", reasoning_content="Two and two.")) as server:
        lab(server.url)
        assert run_app(["run", "--no-stream", "--show-reasoning", "Hi"]) == 0
        shown = capsys.readouterr()
        assert run_app(["run", "--no-stream", "Hi"]) == 0
        hidden = capsys.readouterr()
    assert (shown.out, shown.err) == ("Four.\n", "Two and two.\n")
    assert (hidden.out, hidden.err) == ("Four.\n", "")


def test_what_a_file_holds_decides_not_its_ending(lab: Any, capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "main.mpeg").write_text("const x: number = 1")
    (tmp_path / "picture").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\x00" * 20)
    (tmp_path / "data.bin").write_bytes(b"\x00\x01\x02\xff")
    with LoopbackServer(chat("ok")) as server:
        lab(server.url)
        assert run_app(["run", "-f", "main.mpeg", "-f", "picture", "What is it?"]) == 0
        assert run_app(["run", "-f", "data.bin", "What is it?"]) == 2
    picture, text = server.requests[0].json()["messages"][0]["content"]
    assert picture["image_url"]["url"].startswith("data:image/png;base64,") and "const x" in text["text"]
    assert len(server.requests) == 1 and "data.bin is neither text" in capsys.readouterr().err


def test_what_is_no_text_is_refused_before_anything_is_sent(lab: Any, tmp_path: Path) -> None:
    with LoopbackServer(chat("ok")) as server:
        lab(server.url)
        command = [sys.executable, "-m", "polyvox.cli", "run"]
        piped = subprocess.run([*command, "What?"], input=b"caf\xe9", capture_output=True, cwd=tmp_path, timeout=30)
        asked = subprocess.run([*command, b"caf\xe9"], input=b"", capture_output=True, cwd=tmp_path, timeout=30)
    assert (piped.returncode, asked.returncode, server.requests) == (2, 2, [])
    assert b"what is piped in is no text in UTF-8" in piped.stderr and b"the question is no text" in asked.stderr


def test_a_character_the_output_cannot_show_is_no_failure(lab: Any, tmp_path: Path) -> None:
    with LoopbackServer(chat("caf\u00e9")) as server:
        lab(server.url)
        done = polyvox("run", "Hi", cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": "ascii"}, input="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "caf?\n", "")


def test_a_closed_output_is_no_failure(lab: Any, tmp_path: Path) -> None:
    with LoopbackServer(chat("Hello")) as server:
        lab(server.url)
        command = f"{sys.executable} -m polyvox.cli run Hi >&-"
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, stdin=subprocess.DEVNULL, timeout=30
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_piped_output_is_the_answer_unchanged_control_characters_too(lab: Any, capsys: Any) -> None:
    with LoopbackServer(chat("a\x1b[31mb\r\n")) as server:
        lab(server.url)
        assert run_app(["run", "Hi"]) == 0
    assert capsys.readouterr().out == "a\x1b[31mb\r\n"


def test_a_dropped_setting_and_a_cut_answer_are_told_with_v(lab: Any, capsys: Any, tmp_path: Path) -> None:
    with LoopbackServer(sse_chat(["Hel"], finish="length")) as server:
        (tmp_path / "polyvox.toml").write_text(
            f'[providers.lab]\nbase_url = "{server.url}"\nquirks = {{settings = {{seed = "drop"}}}}\n'
        )
        assert run_app(["run", "-v", "-m", "lab/m", "--seed", "1", "Hi"]) == 0
        loud = capsys.readouterr().err
        assert run_app(["run", "-m", "lab/m", "--seed", "1", "Hi"]) == 0
        quiet = capsys.readouterr().err
    assert "dropped: seed" in loud and "cut off at its longest length" in loud and quiet == ""


def test_models_show_the_configurations_own_names(lab: Any, capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "polyvox.toml").write_text(
        '[providers.lab]\nbase_url = "http://127.0.0.1:9/v1"\n[aliases]\nbest = "openai/gpt-5.5"\n'
        '[models."lab/own"]\ncontext_tokens = 1000\n'
    )
    assert run_app(["models"]) == 0
    shown = capsys.readouterr().out
    assert "openai/gpt-5.5\tbest\t" in shown and "lab/own\t\t1000\t" in shown
    assert run_app(["models", "-p", "openai_compatible"]) == 0
    assert "ask one by its full name" in capsys.readouterr().err


def test_local_status_knows_a_damaged_file(lab: Any, capsys: Any, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("POLYVOX_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("POLYVOX_LOCAL_MODEL", raising=False)
    path = installed_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"junk")
    assert run_app(["local", "status"]) == 2
    assert "is damaged: run polyvox local install" in capsys.readouterr().out


@pytest.mark.parametrize("terminal", [False, True])
def test_local_install_shows_how_far_it_is(
    lab: Any, capsys: Any, monkeypatch: Any, tmp_path: Path, terminal: bool
) -> None:
    monkeypatch.setenv("POLYVOX_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("POLYVOX_LOCAL_MODEL", raising=False)
    path = installed_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"junk")  # a damaged file is fetched again, with all that is shown
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")

    def fetch(progress: Callable[[int, int], None] | None = None) -> Path:
        assert (progress is not None) is terminal
        if progress is not None:
            progress(50, 200)
            progress(200, 200)
        return path

    monkeypatch.setattr("polyvox.io.local_files.install", fetch)
    monkeypatch.setattr("polyvox.io.local_files.binding_version", lambda: None)
    assert run_app(["local", "install"]) == 0
    said = capsys.readouterr()
    assert said.out == f"the local model stands at {path}\n" and "pip install 'polyvox[local]'" in said.err
    assert ("200/200 bytes" in said.err) is terminal and ("fetching" in said.err) is not terminal


def test_explain_shows_what_would_be_sent_and_sends_nothing(lab: Any, capsys: Any) -> None:
    with LoopbackServer(chat("never")) as server:
        lab(server.url)
        assert run_app(["run", "-m", "lab/m", "--explain", "--temperature", "0.5", "Hello?"]) == 0
        page = capsys.readouterr().out
        assert run_app(["run", "-m", "lab/m", "--explain", "--json", "Hello?"]) == 0
        assert not server.requests
    assert '"temperature": 0.5' in page and "POST http" in page and KEY not in page
    assert json.loads(capsys.readouterr().out)["body"]["messages"][0]["content"] == "Hello?"


def test_attach_is_another_word_for_file(lab: Any, capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    with LoopbackServer(chat("A picture.")) as server:
        lab(server.url)
        assert run_app(["run", "--attach", "picture.png", "What is it?"]) == 0
    assert [part["type"] for part in server.requests[0].json()["messages"][0]["content"]] == ["image_url", "text"]


@pytest.mark.parametrize(
    ("word", "found"),
    [("an", "anthropic/"), ("clau", "claude"), ("anthropic/claude-s", "anthropic/claude-sonnet-5-5"), ("zzz", None)],
)
def test_a_model_name_is_completed(word: str, found: str | None) -> None:
    names = complete_model(word)
    assert found in names if found else not list(names)


def test_the_shell_asks_for_completions() -> None:
    words = {"_POLYVOX_COMPLETE": "complete_bash", "COMP_WORDS": "polyvox run -m anth", "COMP_CWORD": "3"}
    command = Path(sys.executable).with_name("polyvox")  # the shell's function calls it by this name
    done = subprocess.run([command], capture_output=True, text=True, timeout=30, env={**os.environ, **words})
    assert done.stdout.split() == ["anthropic/"]
