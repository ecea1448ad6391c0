"""Worker threads that work the queue off, and keep the leases of what they work on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

from ingest.errors import CitewellError
from ingest.jobs.model import Job, JobCancelled, JobHandler
from ingest.jobs.queue import Jobs

_LOG = logging.getLogger(__name__)
_RETRY_S = 1.0
_REPORT_S = 1.0


class JobRunner:
    """Worker threads that claim jobs and hand them to their handlers. `notify` wakes them.

    `close` stops each between two steps and puts its job back.
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
        context = _Context(self._jobs, job, self._lease_s, self._stopping)
        try:
            with context:
                state = self._handlers[job.kind].run(job, context)
            self._jobs.end(job.pk, state)
        except JobCancelled:
            self._end_or_release(job, "cancelled", None, None)
        except CitewellError as failure:
            self._end_or_release(job, "failed", failure.code, failure.message)
        except Exception as failure:  # noqa: BLE001 - the outermost boundary of a job, which must end whatever happens
            _LOG.exception("job %s failed", job.job_id)
            message = f"{type(failure).__name__} in the service; see its log"
            self._end_or_release(job, "failed", "internal_error", message)

    def _end_or_release(self, job: Job, state: str, code: str | None, message: str | None) -> None:
        """A job that a shutdown interrupts has not failed: the next start goes on with it."""
        if self._stopping.is_set():
            self._jobs.release(job.pk)
        else:
            self._jobs.end(job.pk, state, code, message)


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
