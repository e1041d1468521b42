"""The in-process model: one loaded GGUF, one worker thread, and the queue before it.

The rules: `xllamacpp` is imported and the model loaded on the first call, in the worker; one engine a file is shared by
all clients of the process; it answers one call at a time, and stops at the next token (or the next slice of the
prompt) when nobody waits for the answer any more. The binding starts an HTTP server of its own that cannot be left
out: it listens on loopback only, and is locked with a random key that nobody is told.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import queue
import secrets
import threading
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from polyvox.errors import ConfigError, InterruptedCallError, PolyvoxError, ServerError
from polyvox.io.local_files import PATH_VARIABLE

# The prompt is read in slices of this many tokens, and between two of them an abandoned call ends. Measured: 64 cost no
# more time than 2048, and a call that is given up at 4 ms a token makes way within 0.3 s.
PROMPT_SLICE: Final = 64
# How long the interpreter's end waits for the call in hand: one slice, with room for a busy machine.
SHUTDOWN_SECONDS: Final = 10.0

_DONE: Final = b"[DONE]"
_OVERFLOW: Final = "exceed_context_size_error"


class LocalSettings(Struct, frozen=True):
    """How a model is loaded. More than one thread spins while it waits: slower, not faster, on a busy machine."""

    threads: int = 1
    context_tokens: int = 4096
    """The room for prompt and answer; a model trained for less gets less."""


class Failure(Struct, frozen=True):
    """The call was refused before the answer began: an HTTP status and the body that says why."""

    status: int
    body: bytes


class Sink(Protocol):
    """Takes an answer as it comes, in the worker's thread. Nothing here may block or raise."""

    def begin(self, failure: Failure | None) -> None:
        """The answer begins, or it was refused."""
        ...

    def piece(self, chunk: bytes) -> None:
        """One chunk of the answer: a JSON object."""
        ...

    def end(self, error: PolyvoxError | None) -> None:
        """The answer is over, or broke off."""
        ...


class Job:
    """One call: what is asked, and who takes the answer. `abandon` may be called at any time from any thread."""

    __slots__ = ("abandoned", "request", "sink")

    def __init__(self, request: dict[str, Any], sink: Sink) -> None:
        self.request = request
        self.sink = sink
        self.abandoned = False

    def abandon(self) -> None:
        """Nobody waits any more: leave the queue, or stop generating."""
        self.abandoned = True


class Engine:
    """One model file, loaded at the first job, and the thread that works for it."""

    def __init__(self, path: Path, settings: LocalSettings) -> None:
        self._path = path
        self._settings = settings
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._current: Job | None = None
        self._server: Any = None

    def submit(self, job: Job) -> None:
        """Put a job into the queue. The worker takes them in order."""
        with self._lock:
            if self._thread is None:
                # A daemon, since it must not keep the program alive; `Engines.close` ends it in good order at exit.
                self._thread = threading.Thread(target=self._work, name="polyvox-local-model", daemon=True)
                self._thread.start()
        self._jobs.put(job)

    def close(self, *, leak: bool = False) -> None:
        """End the worker and unload the model (or leave it in memory: `leak`). The call in hand breaks off."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None:
            return
        current = self._current
        if current is not None:
            current.abandon()
        with contextlib.suppress(queue.Empty):
            while (job := self._jobs.get_nowait()) is not None:
                job.sink.end(InterruptedCallError("the local model is being unloaded", provider="local"))
        self._jobs.put(None)
        thread.join(SHUTDOWN_SECONDS)
        if leak or thread.is_alive():
            # To unload it under the worker's feet would crash: the end of the process takes both.
            self.leak()
        self._server = None

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._server is not None

    def leak(self) -> None:
        """Keep the server from ever being taken down: its threads are not there (a forked child), or are in use."""
        if self._server is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._server))

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._current = job
            if not job.abandoned:
                self._answer(job)
            self._current = None

    def _answer(self, job: Job) -> None:
        try:
            if self._server is None:
                self._server = load(self._path, self._settings)
        except PolyvoxError as error:
            job.sink.end(error)
            return
        answer = _Answer(job)
        body = msgspec.json.encode(job.request)
        try:
            self._server.handle_chat_completions(body, answer.take)
        except MemoryError:
            answer.refuse(500, "server_error", "there is not enough memory for this call")
        except Exception as error:  # noqa: BLE001 - the binding raises what its request parser does not like, in any class
            answer.refuse(400, "invalid_request_error", str(error))
        answer.finish()


class _Answer:
    """What the binding says of one call, told to the sink. `take` runs in the worker, for every chunk."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._sink = job.sink
        self._begun = self._over = self._cut = False
        self._show_progress = bool(job.request.get("return_progress"))
        job.request["return_progress"] = True

    def take(self, chunk: bytes) -> bool:
        """Take a chunk; `True` stops the generation."""
        # An exception here would be swallowed by the binding, and stop it: what came so far must not look whole then.
        self._cut = True
        if self._job.abandoned:
            return True
        if not self._begun and chunk.startswith(b'{"error"'):
            self._refuse_as(chunk)
            return True
        if not self._begun:
            self._begun = True
            self._sink.begin(None)
        if chunk != _DONE and (self._show_progress or not is_progress(chunk)):
            self._sink.piece(chunk)
        self._cut = False
        return False

    def refuse(self, status: int, kind: str, message: str) -> None:
        """Say that the call failed: as a refusal where nothing was said yet, else as an answer that broke off."""
        if self._begun:
            self._end(InterruptedCallError(f"the local model broke off: {message}", provider="local"))
        else:
            error = {"message": message, "type": kind, "param": None, "code": kind}
            self._fail(Failure(status, msgspec.json.encode({"error": error})))

    def finish(self) -> None:
        """The binding has returned."""
        if self._cut or not self._begun:
            # The job was abandoned, or the model was unloaded under it.
            self._end(InterruptedCallError("the local model's answer broke off", provider="local"))
        self._end(None)

    def _refuse_as(self, chunk: bytes) -> None:
        """Say llama.cpp's refusal in the wire's shape: its `code` is the status, its `type` says what is wrong."""
        error = msgspec.json.decode(chunk)["error"]
        status = error.get("code")
        status = status if isinstance(status, int) and 400 <= status < 600 else 500
        error["code"] = "context_length_exceeded" if error.get("type") == _OVERFLOW else error.get("type")
        self._fail(Failure(status, msgspec.json.encode({"error": error})))

    def _fail(self, failure: Failure) -> None:
        self._begun = True
        self._sink.begin(failure)
        self._end(None)

    def _end(self, error: PolyvoxError | None) -> None:
        if not self._over:
            self._over = True
            self._sink.end(error)


def is_progress(chunk: bytes) -> bool:
    """Whether a chunk only tells how far the prompt is read: those are asked for to be able to stop there."""
    return b'"prompt_progress"' in chunk and "prompt_progress" in msgspec.json.decode(chunk)


def load(path: Path, settings: LocalSettings) -> Any:
    """Load the model and return the binding's server. Raises `ConfigError` where the binding or the file won't do."""
    try:
        import xllamacpp
    except ImportError as error:
        raise ConfigError(
            f"the local model needs its binding: pip install 'polyvox[local]' ({error})", provider="local"
        ) from None
    binding: Any = xllamacpp  # a compiled module, whose names no type checker sees
    parameters = binding.CommonParams()
    parameters.model.path = str(path)
    # Else the file's path is the name in every answer, and at the unlocked /models of the binding's own server.
    parameters.model_alias = {path.stem}
    parameters.n_ctx = settings.context_tokens
    parameters.n_parallel = 1
    parameters.n_batch = parameters.n_ubatch = PROMPT_SLICE
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = settings.threads
    parameters.n_gpu_layers = 0
    parameters.fit_params = False
    parameters.warmup = False
    parameters.cache_ram_mib = 0
    parameters.verbosity = -1
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [secrets.token_urlsafe(32)]
    parameters.cors_origins = ""
    parameters.n_threads_http = 1
    parameters.ui = parameters.endpoint_slots = False
    parameters.endpoint_metrics = True
    try:
        server = binding.Server(parameters)
        # The server is ready before its loop runs, and one that is unloaded in between waits for that loop for ever. To
        # answer this, the loop must run.
        server.handle_metrics()
        return server
    except MemoryError:
        raise ServerError(f"there is not enough memory to load {path}", provider="local") from None
    except Exception as error:  # noqa: BLE001 - whatever the binding raises, it means that this file will not do
        raise ConfigError(
            f"the model file {path} cannot be loaded: it is damaged, or no GGUF that this llama.cpp knows. "
            f"Run `polyvox local install` again, or set {PATH_VARIABLE} to another file ({error})",
            provider="local",
        ) from None


class Engines:
    """The engines of this process by model file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engines: dict[tuple[Path, LocalSettings], Engine] = {}
        self._registered = False
        self._inherited = False
        """Whether this process was forked from one that had a model loaded."""

    def get(self, path: Path, settings: LocalSettings) -> Engine:
        """Return the engine of this file, the same one for every caller. Nothing is loaded yet."""
        key = (path.resolve(), settings)
        with self._lock:
            if not self._registered:
                self._registered = True
                atexit.register(self.close)
                if hasattr(os, "register_at_fork"):
                    os.register_at_fork(after_in_child=self._forget)
            if key not in self._engines:
                self._engines[key] = Engine(path, settings)
            return self._engines[key]

    def close(self) -> None:
        """Unload every model. The next call loads anew."""
        with self._lock:
            engines = list(self._engines.values())
            self._engines.clear()
        for engine in engines:
            # In such a child the binding waits for a thread of the parent's when a model is unloaded, too.
            engine.close(leak=self._inherited)

    def _forget(self) -> None:
        """In a forked child the model's threads are gone: it loads its own, and never touches the parent's."""
        self._lock = threading.Lock()
        if not self._inherited and any(engine.loaded for engine in self._engines.values()):
            self._inherited = True
            skip_static_destructors()
        for engine in self._engines.values():
            engine.leak()
        self._engines.clear()


def skip_static_destructors() -> None:
    """Have this process end, after Python's own end, without the binding's static destructors.

    In a forked child they wait for the parent's threads for ever. glibc runs exit handlers last in, first out, and
    gives those of `on_exit` the exit code, so that `_exit` itself can be one. Other systems have no such thing.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):
        libc.on_exit(ctypes.cast(libc._exit, ctypes.c_void_p), None)


ENGINES: Final = Engines()
