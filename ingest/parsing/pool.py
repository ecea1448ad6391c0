"""Runs parsers in processes of their own, so that a hostile document costs its own job and nothing else.

Time is kept here, in the service: a process that is late is killed with everything it started, and replaced.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from ingest.errors import ExtractionFailed, Unavailable
from ingest.parsing import wire
from ingest.parsing.document import ParsedDocument, ParseLimits, SourceFile
from ingest.parsing.media_types import PDF

DOCUMENTS_PER_WORKER = 200
START_TIMEOUT_S = 60.0
_GIVEN_UP_LOOK_S = 0.2
_CHUNK_BYTES = 1 << 20
_ANSWER_BYTES_PER_CHAR = 16  # up to 4 in UTF-8, twice for titles of headings, and the frame around them
_INHERITED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TESSDATA_PREFIX", "TMPDIR", "VIRTUAL_ENV")
_WORKER = (sys.executable, "-m", "ingest.parsing.worker")


class _WorkerGoneError(Exception):
    """The process ended, or sent something that is no answer; `status` is its exit status if it has one."""

    def __init__(self, status: int | None) -> None:
        super().__init__(status)
        self.status = status


class _UndeliveredError(Exception):
    """The process was gone before it got the request."""


class _LateError(Exception):
    """The process did not answer in time."""


class _GivenUpError(Exception):
    """Nobody waits for the answer any more."""


class ParserPool:
    """At most `workers` parser processes, started when needed and kept for the next documents.

    `parse` may be called from any number of threads; calls beyond `workers` wait for their turn, and their
    time only starts then. `command` replaces the program of the workers, for tests.
    """

    def __init__(self, workers: int, limits: ParseLimits | None = None, *, command: Sequence[str] = _WORKER) -> None:
        self._limits = limits or ParseLimits()
        self._command = tuple(command)
        self._slots = threading.BoundedSemaphore(workers)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._closed = False
        # The kernel kills a worker when the *thread* that started it ends, so one lasting thread starts all.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="parser-starter")

    def __enter__(self) -> ParserPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def parse(
        self, source: SourceFile, limits: ParseLimits | None = None, *, given_up: threading.Event | None = None
    ) -> ParsedDocument:
        """Parse one file in a process of its own, which is killed soon after `given_up` is set.

        Limits may be tighter than the pool's for one document; memory cannot be looser. Raises
        `ExtractionFailed` with the parser's code, `parser_timeout` or `parser_crashed`, and `Unavailable`
        from a closed pool, where no process can be started, and when the document was given up.
        """
        limits = limits or self._limits
        try:
            with self._slot(given_up):
                answer = self._ask(source, limits, given_up)
        except _GivenUpError as error:
            raise Unavailable(f"nobody waits for {source.filename} any more") from error
        try:
            return wire.read_answer(answer, limits)
        except wire.GarbledMessageError as error:
            raise _crashed(source, "it sent a garbled answer") from error

    def close(self) -> None:
        """End all processes, also those at work; waits until they are gone."""
        with self._lock:
            self._closed = True
            workers = [*self._idle, *self._busy]
            self._idle.clear()
        for worker in workers:
            worker.kill()
        self._starter.shutdown()

    @contextlib.contextmanager
    def _slot(self, given_up: threading.Event | None) -> Iterator[None]:
        """A place among those at work. Raises `_GivenUpError`."""
        while not self._slots.acquire(timeout=_GIVEN_UP_LOOK_S):
            if _is_set(given_up):
                raise _GivenUpError
        try:
            if _is_set(given_up):
                raise _GivenUpError
            yield
        finally:
            self._slots.release()

    def _ask(self, source: SourceFile, limits: ParseLimits, given_up: threading.Event | None) -> wire.Message:
        """Ask a worker; ask a fresh one, once, if the first was gone before it got this document."""
        try:
            return self._ask_worker(self._take(), source, limits, given_up)
        except _UndeliveredError:
            return self._ask_worker(self._start(), source, limits, given_up)

    def _ask_worker(
        self, worker: _Worker, source: SourceFile, limits: ParseLimits, given_up: threading.Event | None
    ) -> wire.Message:
        healthy = False
        try:
            request = wire.pack(wire.request(source, limits))
            answer = worker.ask(request, limits, _answer_bytes_max(source, limits), given_up)
            healthy = "last" not in answer
        except _LateError as error:
            more = f" and {limits.ocr_page_s:g} for each of its scanned pages" if source.media_type == PDF else ""
            raise ExtractionFailed(
                f"{source.filename} was not read within {limits.timeout_s:g} seconds{more};"
                " split it, or ask the operator to raise the limit",
                code="parser_timeout",
            ) from error
        except _WorkerGoneError as error:
            raise _crashed(source, _describe(error.status)) from error
        finally:
            self._give_back(worker, healthy)
        return answer

    def _take(self) -> _Worker:
        """An idle worker that is alive and has been asked nothing yet, or a new one."""
        while True:
            with self._lock:
                if self._closed:
                    raise Unavailable("the parser pool is closed")
                worker = self._idle.pop() if self._idle else None
                if worker is not None:
                    self._busy.add(worker)
            if worker is None:
                return self._start()
            if worker.is_alive():
                return worker
            self._give_back(worker, healthy=False)

    def _start(self) -> _Worker:
        try:
            worker = self._starter.submit(_Worker, self._command, self._limits.memory_bytes).result()
        except (OSError, RuntimeError, _WorkerGoneError, _LateError) as error:
            raise Unavailable(f"no parser process can be started: {type(error).__name__} {error}") from error
        with self._lock:
            self._busy.add(worker)
            closed = self._closed
        if closed:
            self._give_back(worker, healthy=False)
            raise Unavailable("the parser pool is closed")
        return worker

    def _give_back(self, worker: _Worker, healthy: bool) -> None:
        with self._lock:
            self._busy.discard(worker)
            keep = healthy and not self._closed and worker.documents < DOCUMENTS_PER_WORKER
            if keep:
                self._idle.append(worker)
        if not keep:
            worker.kill()


class _Worker:
    """One parser process and the pipes to it. Used by one thread at a time, but `kill` may come from any."""

    def __init__(self, command: Sequence[str], memory_bytes: int) -> None:
        self.documents = 0
        self._lock = threading.Lock()
        self._process = subprocess.Popen(  # noqa: S603 - our own program, no shell
            [*command, "--memory-bytes", str(memory_bytes), "--parent", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            cwd=tempfile.gettempdir(),
            start_new_session=True,
        )
        try:
            if self._receive(time.monotonic() + START_TIMEOUT_S, _CHUNK_BYTES) != wire.READY:
                raise _WorkerGoneError(None)
        except (_LateError, _WorkerGoneError):
            self.kill()
            raise

    def is_alive(self) -> bool:
        """The process has not ended yet."""
        return self._process.poll() is None

    def ask(
        self, request: bytes, limits: ParseLimits, answer_bytes_max: int, given_up: threading.Event | None
    ) -> wire.Message:
        """Send a request and wait for its answer; each page that is recognised on the way gives it more time.

        Raises `_UndeliveredError`, `_LateError`, `_WorkerGoneError`, or `_GivenUpError` soon after `given_up` is set.
        """
        self.documents += 1
        deadline = time.monotonic() + limits.timeout_s
        try:
            self._stdin.write(request)  # a few hundred bytes: fits into the pipe whatever the process does
            self._stdin.flush()
        except (OSError, ValueError) as error:
            raise _UndeliveredError from error
        for _ in range(limits.ocr_pages_max + 1):
            answer = self._receive(deadline, answer_bytes_max, given_up)
            if answer != wire.PAGE_RECOGNISED:
                return answer
            deadline += limits.ocr_page_s
        raise _LateError

    def kill(self) -> None:
        """End the process and everything it started, and free its pipes. May be called more than once."""
        with self._lock:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _receive(self, deadline: float, bytes_max: int, given_up: threading.Event | None = None) -> wire.Message:
        head = self._read(wire.LENGTH.size, deadline, given_up)
        length: int = wire.LENGTH.unpack(head)[0]
        if length > bytes_max:
            raise _WorkerGoneError(None)
        try:
            return wire.unpack(self._read(length, deadline, given_up))
        except wire.GarbledMessageError as error:
            raise _WorkerGoneError(None) from error

    def _read(self, length: int, deadline: float, given_up: threading.Event | None) -> bytes:
        assert self._process.stdout is not None
        pieces = bytearray()
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._process.stdout, selectors.EVENT_READ)
                while len(pieces) < length:
                    if not selector.select(min(_GIVEN_UP_LOOK_S, max(0.0, deadline - time.monotonic()))):
                        if _is_set(given_up):
                            raise _GivenUpError
                        if self._process.stdout.closed:  # by `kill`, and nothing is told of a closed pipe
                            raise _WorkerGoneError(self._status())
                        if time.monotonic() >= deadline:
                            raise _LateError
                        continue
                    piece = os.read(self._process.stdout.fileno(), min(_CHUNK_BYTES, length - len(pieces)))
                    if not piece:
                        raise _WorkerGoneError(self._status())
                    pieces += piece
        except (OSError, ValueError) as error:  # closed from another thread
            raise _WorkerGoneError(self._status()) from error
        return bytes(pieces)

    def _status(self) -> int | None:
        try:
            return self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return None


def _is_set(given_up: threading.Event | None) -> bool:
    return given_up is not None and given_up.is_set()


def _answer_bytes_max(source: SourceFile, limits: ParseLimits) -> int:
    """More than any honest answer has: the text with its structure, and attachments in base64."""
    try:
        file_bytes = source.path.stat().st_size
    except OSError:  # the parser will say what is wrong with the file
        file_bytes = 0
    return limits.text_chars_max * _ANSWER_BYTES_PER_CHAR + 2 * file_bytes + _CHUNK_BYTES


def _environment() -> dict[str, str]:
    """Only what parsers need: the service's own secrets must not lie where a hostile document could read
    them.
    """
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | {
        "HF_HUB_OFFLINE": "1",
        "HOME": "/nonexistent",
        "OMP_THREAD_LIMIT": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "PYTHONSAFEPATH": "1",
        "PYTHONUTF8": "1",
    }


def _crashed(source: SourceFile, how: str) -> ExtractionFailed:
    return ExtractionFailed(
        f"the parser of {source.filename} ended unexpectedly ({how}); the file may be damaged or need more"
        " memory than a parser may use: save it again, or split it, and upload that",
        code="parser_crashed",
    )


def _describe(status: int | None) -> str:
    if status is None:
        return "its answer broke off"
    return f"signal {-status}" if status < 0 else f"exit status {status}"
