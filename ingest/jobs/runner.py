"""Worker threads that work the queue off, and keep the leases of what they work on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from ingest.errors import CitewellError, StorageFull
from ingest.jobs.model import Job, JobCancelled, JobHandler
from ingest.jobs.queue import Jobs

_LOG = logging.getLogger(__name__)
_RETRY_S = 1.0
_FULL_DISK_WAIT_S = 5.0
_REPORT_S = 1.0


class JobRunner:
    """Worker threads that claim jobs and hand them to their handlers. `notify` wakes them.

    `close` stops each between two steps and puts its job back. So does a full disk: what was accepted is not given up.
    """

    def __init__(
        self, jobs: Jobs, handlers: Mapping[str, JobHandler], *, workers: int, lease_s: float, owner: str
    ) -> None:
        self._jobs = jobs
        self._handlers = handlers
        self._lease_s = lease_s
        self._owner = owner
        self._wake = threading.Condition()
        self._notified = 0
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._serve, name=f"job-worker-{number}", daemon=True) for number in range(workers)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def notify(self) -> None:
        """A job was queued."""
        with self._wake:
            self._notified += 1
            self._wake.notify_all()

    def close(self) -> None:
        self._stopping.set()
        self.notify()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            seen = self._notified
            try:
                job = self._jobs.claim(list(self._handlers), self._owner, self._lease_s)
                if job is not None:
                    self._run(job)
                    continue
            except CitewellError:  # the catalogue: a full disk must not end the workers
                _LOG.exception("the job queue cannot be used; trying again in %g s", _RETRY_S)
                self._stopping.wait(_RETRY_S)
                continue
            self._await_notice(seen)

    def _await_notice(self, seen: int) -> None:
        """Wait for a notice after the `seen`-th: also for one that came while this worker looked for a job."""
        with self._wake:
            self._wake.wait_for(lambda: self._notified != seen, self._lease_s)

    def _run(self, job: Job) -> None:
        with _Context(self._jobs, job, self._lease_s, self._stopping) as context:
            try:
                ending = _Ending(self._handlers[job.kind].run(job, context))
            except JobCancelled:
                ending = _Ending("cancelled")
            except StorageFull as full:
                _LOG.warning("job %s waits for room on the disk: %s", job.job_id, full)
                self._stopping.wait(_FULL_DISK_WAIT_S)
                ending = None
            except CitewellError as failure:
                ending = _Ending("failed", failure.code, failure.message)
            except Exception as failure:  # noqa: BLE001 - the outermost boundary of a job, which must end whatever happens
                _LOG.exception("job %s failed", job.job_id)
                message = f"{type(failure).__name__} in the service; see its log"
                ending = _Ending("failed", "internal_error", message)
            self._conclude(job, ending)

    def _conclude(self, job: Job, ending: _Ending | None) -> None:
        """Write how the job ended, as soon as the catalogue can be written; without an ending it goes on later.

        A job that a shutdown interrupts has not failed: the next start goes on with it.
        """
        while True:
            try:
                if ending is None or (self._stopping.is_set() and ending.state in ("failed", "cancelled")):
                    self._jobs.release(job.pk)
                else:
                    self._jobs.end(job.pk, ending.state, ending.code, ending.message)
                return
            except CitewellError as failure:
                _LOG.warning("the end of job %s cannot be written yet: %s", job.job_id, failure)
                if self._stopping.wait(_RETRY_S):
                    return


@dataclass(frozen=True, slots=True)
class _Ending:
    """The terminal state of a job, with its error if it failed."""

    state: str
    code: str | None = None
    message: str | None = None


class _Context:
    """Keeps the lease alive while the handler works, and passes on what it reports."""

    def __init__(self, jobs: Jobs, job: Job, lease_s: float, stopping: threading.Event) -> None:
        self._jobs, self._job, self._lease_s = jobs, job, lease_s
        self._stopping = stopping
        self._ended = threading.Event()
        self._reporting = threading.Lock()
        self._stages: dict[str, int] = {}
        self._reported_at = time.monotonic()
        self._beat = threading.Thread(target=self._beat_on, name=f"heartbeat-{job.job_id}", daemon=True)

    def check(self) -> None:
        if self._stopping.is_set() or self._jobs.is_cancelled(self._job.pk):
            raise JobCancelled(self._job.job_id)

    def report_stage(self, stage: str) -> None:
        self._jobs.report_stage(self._job.pk, stage)

    def report_progress(self, stage: str, done: int) -> None:
        with self._reporting:
            self._stages[stage] = max(done, self._stages.get(stage, 0))
            if time.monotonic() - self._reported_at < _REPORT_S:
                return
            self._reported_at = time.monotonic()
            stages = dict(self._stages)
        self._jobs.report_progress(self._job.pk, stages)

    def __enter__(self) -> _Context:
        self._beat.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._beat.join()

    def _beat_on(self) -> None:
        while not self._ended.wait(self._lease_s / 3):
            try:
                self._jobs.heartbeat(self._job.pk, self._lease_s)
            except CitewellError as failure:  # one missed beat does no harm; the next may succeed
                _LOG.warning("no heartbeat for job %s: %s", self._job.job_id, failure)
