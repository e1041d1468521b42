"""`polyvox chat`: piped line by line, and at a real terminal (a pty), with Ctrl-C in the midst of an answer."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.loopback import LoopbackServer, chat, chat_chunk, error, sequence, stall_after


def configure(directory: Path, url: str) -> None:
    (directory / "polyvox.toml").write_text(
        f'default_model = "lab/m"\n[providers.lab]\nbase_url = "{url}"\n[providers.other]\nbase_url = "{url}/two"\n'
    )


def talk(directory: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "polyvox.cli", "chat"],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        cwd=directory,
        timeout=30,
    )


def test_a_conversation_goes_on_and_the_model_switches_in_its_midst(tmp_path: Path) -> None:
    with LoopbackServer(chat("Fine.")) as server:
        configure(tmp_path, server.url)
        done = talk(tmp_path, "/system Be brief.", "Hello", "/model other/n", "And \\", "you?", "/exit", "never sent")

    assert done.returncode == 0 and done.stdout == "Fine.\nFine.\n"
    first, second = server.requests
    assert (first.path, second.path) == ("/chat/completions", "/two/chat/completions")
    assert second.json()["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Fine."},
        {"role": "user", "content": "And \nyou?"},
    ]
    assert second.json()["model"] == "n"


def test_a_conversation_is_saved_and_loaded(tmp_path: Path) -> None:
    with LoopbackServer(chat("Fine.")) as server:
        configure(tmp_path, server.url)
        talk(tmp_path, "Hello", "/save talk.json")
        saved = json.loads((tmp_path / "talk.json").read_text())
        talk(tmp_path, "/load talk.json", "Again")

    assert [message["role"] for message in saved["messages"]] == ["user", "assistant"] and saved["model"] == "lab/m"
    assert [message["content"] for message in server.requests[1].json()["messages"]] == ["Hello", "Fine.", "Again"]


def test_what_is_wrong_is_told_and_the_conversation_goes_on(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{nonsense")
    with LoopbackServer(sequence(error(500, {"message": "oops"}), chat("Fine."))) as server:
        configure(tmp_path, server.url)
        done = talk(
            tmp_path, "/nonsense", "/load bad.json", "/load nowhere.json", "/model opnai/x", "/save", "Hello", "Hello"
        )

    assert done.returncode == 0 and done.stdout == "Fine.\n"
    for words in ("no command /nonsense", "no saved conversation", "nowhere.json", "did you mean", "oops"):
        assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(server.requests[1].json()["messages"]) == 1


class Terminal:
    """A `polyvox chat` at a pty."""

    def __init__(self, directory: Path) -> None:
        self.shown = ""
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.environ["TERM"] = "xterm"
            os.environ["XDG_STATE_HOME"] = str(directory / "state")
            os.execv(sys.executable, [sys.executable, "-m", "polyvox.cli", "chat"])

    def type(self, text: str) -> None:
        os.write(self.file, text.encode())

    def wait_for(self, words: str, seconds: float = 15.0) -> None:
        until = time.monotonic() + seconds
        while words not in self.plain:
            assert time.monotonic() < until, f"{words!r} was not shown; shown was {self.plain!r}"
            if select.select([self.file], [], [], 0.1)[0]:
                data = os.read(self.file, 65536)
                self.shown += data.decode("utf-8", "replace")
                if "\x1b[6n" in data.decode("utf-8", "replace"):
                    self.type("\x1b[1;1R")  # prompt_toolkit asks where the cursor is

    def settle(self, seconds: float = 0.5) -> None:
        """Read what is shown until nothing more comes: the next prompt stands."""
        while select.select([self.file], [], [], seconds)[0]:
            data = os.read(self.file, 65536).decode("utf-8", "replace")
            self.shown += data
            if "\x1b[6n" in data:
                self.type("\x1b[1;1R")

    @property
    def plain(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.shown)

    def end(self) -> int:
        for _ in range(100):
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            if select.select([self.file], [], [], 0.1)[0]:
                try:
                    os.read(self.file, 65536)
                except OSError:  # the other end is closed: the process is about to end
                    time.sleep(0.1)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        raise AssertionError("the chat did not end")


@contextmanager
def terminal(directory: Path) -> Iterator[Terminal]:
    made = Terminal(directory)
    try:
        yield made
    finally:
        os.close(made.file)


def test_ctrl_c_stops_the_answer_and_not_the_program(tmp_path: Path) -> None:
    slow = stall_after(chat_chunk({"role": "assistant", "content": "Half an ans"}))
    with LoopbackServer(sequence(slow, chat("Whole."))) as server:
        configure(tmp_path, server.url)
        with terminal(tmp_path) as chatting:
            chatting.wait_for("Ctrl-D leaves")
            chatting.settle()
            chatting.type("First\r")
            chatting.wait_for("Half an ans")
            chatting.type("\x03")
            chatting.wait_for("(stopped)")
            assert server.wait_connections(0)
            chatting.settle()
            chatting.type("Second\r")
            chatting.wait_for("Whole.")
            chatting.settle()
            chatting.type("\x04")
            assert chatting.end() == 0

    said = [message["content"] for message in server.requests[1].json()["messages"]]
    assert said == ["First", "Half an ans", "Second"]
    assert "First" in (tmp_path / "state" / "polyvox" / "history").read_text()
