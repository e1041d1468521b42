"""`polyvox chat`: piped line by line, and at a real terminal (a pty), with Ctrl-C in the midst of an answer."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.loopback import LoopbackServer, chat, chat_chunk, error, sequence, sse_frames, stall_after

from polyvox.cli.chat import one_interrupt


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
    with LoopbackServer(sequence(error(400, {"message": "oops"}), chat("Fine."))) as server:
        configure(tmp_path, server.url)
        done = talk(
            tmp_path, "/nonsense", "/load bad.json", "/load nowhere.json", "/model opnai/x", "/save", "Hello", "Hello"
        )

    assert done.returncode == 0 and done.stdout == "Fine.\n"
    for words in ("no command /nonsense", "no saved conversation", "nowhere.json", "did you mean", "oops"):
        assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(server.requests[1].json()["messages"]) == 1


def test_a_path_that_means_nothing_does_not_end_the_conversation(tmp_path: Path) -> None:
    with LoopbackServer(chat("Fine.")) as server:
        configure(tmp_path, server.url)
        done = talk(tmp_path, "/save ~no-such-user-here/x", "/load ~no-such-user-here/x", "Hello")
    assert (done.returncode, done.stdout) == (0, "Fine.\n")
    assert done.stderr.count("home directory") == 2 and "unexpected" not in done.stderr


def test_an_unexpected_failure_does_not_throw_the_conversation_away(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with LoopbackServer(chat("Fine.")) as server:
        configure(tmp_path, server.url)
        done = talk(tmp_path, "Hello", "/load deep.json", "Again")
    assert (done.returncode, done.stdout) == (0, "Fine.\nFine.\n") and "deep.json" in done.stderr
    assert [message["content"] for message in server.requests[1].json()["messages"]] == ["Hello", "Fine.", "Again"]


def test_a_conversation_whose_model_is_out_of_reach_goes_on_with_the_one_at_hand(tmp_path: Path) -> None:
    saved = {"model": "openai/gpt-5.5", "messages": [{"role": "user", "content": [{"type": "text", "text": "Old"}]}]}
    (tmp_path / "talk.json").write_text(json.dumps(saved))
    with LoopbackServer(chat("Fine.")) as server:
        configure(tmp_path, server.url)
        done = talk(tmp_path, "/load talk.json", "New")
    assert done.stdout == "Fine.\n" and "OPENAI_API_KEY" in done.stderr
    assert server.requests[0].json()["model"] == "m" and "Old" in json.dumps(server.requests[0].json()["messages"])


def test_only_text_of_a_broken_answer_goes_on(tmp_path: Path) -> None:
    thought = chat_chunk({"role": "assistant", "reasoning_content": "Let me"})
    half = chat_chunk({"role": "assistant", "reasoning_content": "Let me"}), chat_chunk({"content": "Half"})
    with LoopbackServer(sequence(sse_frames([thought]), sse_frames(half), chat("Fine."))) as server:
        configure(tmp_path, server.url)
        done = talk(tmp_path, "First", "Second", "Third", "/save talk.json")
    assert done.stderr.count("broke off") == 2
    assert [message["content"] for message in server.requests[1].json()["messages"]] == ["Second"]
    parts = json.loads((tmp_path / "talk.json").read_text())["messages"][1]["content"]
    assert parts == [{"type": "text", "text": "Half"}]


def test_a_space_before_a_slash_makes_it_part_of_a_question(tmp_path: Path) -> None:
    with LoopbackServer(chat("Fine.")) as server:
        configure(tmp_path, server.url)
        talk(tmp_path, " /etc/hosts: what is it?")
    assert server.requests[0].json()["messages"][0]["content"] == "/etc/hosts: what is it?"


class Terminal:
    """A `polyvox` at a pty."""

    def __init__(self, directory: Path, *arguments: str, **environment: str) -> None:
        self.shown = ""
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.environ["TERM"] = "xterm"
            os.environ["XDG_STATE_HOME"] = str(directory / "state")
            os.environ.update(environment)
            os.execv(sys.executable, [sys.executable, "-m", "polyvox.cli", *(arguments or ("chat",))])

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
def terminal(directory: Path, *arguments: str, **environment: str) -> Iterator[Terminal]:
    made = Terminal(directory, *arguments, **environment)
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


def test_several_ctrl_c_in_a_row_stop_the_answer_and_not_the_program(tmp_path: Path) -> None:
    slow = stall_after(chat_chunk({"role": "assistant", "content": "Half an ans"}))
    with LoopbackServer(sequence(slow, chat("Whole."))) as server:
        configure(tmp_path, server.url)
        with terminal(tmp_path) as chatting:
            chatting.wait_for("Ctrl-D leaves")
            chatting.settle()
            chatting.type("First\r")
            chatting.wait_for("Half an ans")
            for _ in range(3):
                os.kill(chatting.pid, signal.SIGINT)
                time.sleep(0.002)
            chatting.wait_for("(stopped)")
            chatting.settle()
            chatting.type("Second\r")
            chatting.wait_for("Whole.")
            chatting.settle()
            chatting.type("\x04")
            assert chatting.end() == 0


def test_a_second_interrupt_does_not_hit_what_cleans_up_after_the_first() -> None:
    cleaned = False
    with one_interrupt():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        except KeyboardInterrupt:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            cleaned = True
    assert cleaned and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_lines_are_written_over_several_and_sent_as_one(tmp_path: Path) -> None:
    with LoopbackServer(chat("Fine.")) as server:
        configure(tmp_path, server.url)
        with terminal(tmp_path) as chatting:
            chatting.wait_for("Ctrl-D leaves")
            chatting.settle()
            chatting.type("one\x1b\rtwo\\\rthree")
            chatting.type("\x1b[200~\nfour\nfive\x1b[201~\r")
            chatting.wait_for("Fine.")
            chatting.settle()
            chatting.type("/exit\r")
            assert chatting.end() == 0
    assert server.requests[0].json()["messages"][0]["content"] == "one\ntwo\nthree\nfour\nfive"


def test_where_no_history_can_be_kept_the_chat_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with LoopbackServer(chat("Fine.")) as server:
        configure(tmp_path, server.url)
        with terminal(tmp_path, XDG_STATE_HOME=str(tmp_path / "file")) as chatting:
            chatting.wait_for("are not kept")
            chatting.settle()
            chatting.type("Hello\r")
            chatting.wait_for("Fine.")
            chatting.settle()
            chatting.type("\x04")
            assert chatting.end() == 0


def test_an_answer_does_not_steer_the_terminal_and_no_color_is_kept(tmp_path: Path) -> None:
    with LoopbackServer(sequence(chat("a\x1b]0;title\x07b\x1b[2Jc"), error(400, {"message": "bad \x1b[2J"}))) as server:
        configure(tmp_path, server.url)
        with terminal(tmp_path, "run", "Hi", NO_COLOR="1") as running:
            running.wait_for("[2Jc")
        with terminal(tmp_path, "run", "Hi", NO_COLOR="1") as failing:
            failing.wait_for("bad [2J")
    assert "a]0;titleb[2Jc" in running.shown and "\x1b" not in running.shown + failing.shown


def test_what_was_lost_is_told_at_a_terminal_once_a_conversation(tmp_path: Path) -> None:
    with LoopbackServer(chat("Fine.")) as server:
        (tmp_path / "polyvox.toml").write_text(
            f'[providers.lab]\nbase_url = "{server.url}"\nquirks = {{settings = {{temperature = "drop"}}}}\n'
        )
        with terminal(tmp_path, "chat", "-m", "lab/m", "--temperature", "1") as chatting:
            chatting.wait_for("Ctrl-D leaves")
            chatting.settle()
            chatting.type("First\r")
            chatting.wait_for("dropped: temperature")
            chatting.settle()
            chatting.type("Second\r")
            chatting.settle()
            chatting.type("\x04")
            assert chatting.end() == 0
    assert len(server.requests) == 2 and chatting.plain.count("dropped: temperature") == 1
