"""The durable job queue: jobs live in the catalogue, are claimed under a lease, and always end in a terminal state.

The queue knows no kind of job: layers offer handlers, `api` registers them. A handler may be stopped at any moment and called
again; it picks up what its documents' states say is left.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, Row, select, update

from ingest.catalogue import Catalogue, schema
from ingest.clock import in_future, now
from ingest.errors import CitewellError, Conflict, NotFound

_LOG = logging.getLogger(__name__)
TERMINAL_STATES = frozenset({"succeeded", "partial", "failed", "cancelled"})
_ATTEMPTS_MAX = 5


@dataclass(frozen=True, slots=True)
class Job:
    """A job as callers see it. `done` of `total` documents have ended, `failed` of them without success."""

    pk: int
    job_id: str
    kind: str
    collection_pk: int
    key_id: str | None
    state: str
    stage: str | None
    done: int
    total: int
    failed: int
    error_code: str | None
    error_message: str | None
    payload: Mapping[str, Any]
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class JobDocument:
    """One document's part in a job."""

    pk: int
    document_id: str
    filename: str
    stage: str | None
    state: str
    error_code: str | None
    error_message: str | None


class JobCancelled(Exception):
    """Raised inside a handler by `JobContext.check` after someone cancelled the job."""


class JobContext(Protocol):
    """What a running handler may ask and tell."""

    def check(self) -> None:
        """Raise `JobCancelled` when the job was cancelled; called between steps."""
        ...

    def report_stage(self, stage: str) -> None: ...


class JobHandler(Protocol):
    """Does one kind of job; returns the terminal state. May raise `CitewellError` to fail the job with its code."""

    def run(self, job: Job, context: JobContext) -> str: ...


class Jobs:
    """Looks jobs up and changes their state."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def get(self, job_id: str) -> Job:
        """Raises `NotFound` (`job_not_found`)."""
        with self._catalogue.read() as connection:
            return _load(connection, job_id)

    def documents(
        self, job_id: str, *, state: str | None = None, limit: int = 100, cursor: int = 0
    ) -> tuple[list[JobDocument], int | None]:
        """Up to `limit` documents of the job after `cursor`, in upload order, and the next cursor or None."""
        table = schema.job_documents
        with self._catalogue.read() as connection:
            job = _load(connection, job_id)
            query = select(table).where(table.c.job_pk == job.pk, table.c.pk > cursor)
            if state is not None:
                query = query.where(table.c.state == state)
            rows = connection.execute(query.order_by(table.c.pk).limit(limit + 1)).all()
        items = [
            JobDocument(row.pk, row.document_id, row.filename, row.stage, row.state, row.error_code, row.error_message)
            for row in rows[:limit]
        ]
        return items, items[-1].pk if len(rows) > limit else None

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop; a queued one stops at once. Raises `NotFound`, and `Conflict` when it has already ended."""

        def change(connection: Connection) -> None:
            job = _load(connection, job_id)
            if job.state in TERMINAL_STATES:
                raise Conflict(f"job {job_id} has already ended: {job.state}", code="job_ended")
            connection.execute(update(schema.jobs).where(schema.jobs.c.pk == job.pk).values(cancel_requested=1))
            if job.state == "queued":
                end_job(connection, job.pk, "cancelled")

        self._catalogue.write(change)
        return self.get(job_id)

    def recover(self) -> int:
        """Put back what a dead owner left running; returns how many. Only for the owner of the data directory, at start."""

        def change(connection: Connection) -> int:
            running = connection.execute(select(schema.jobs).where(schema.jobs.c.state == "running")).all()
            for row in running:
                if row.attempts >= _ATTEMPTS_MAX:
                    end_job(
                        connection,
                        row.pk,
                        "failed",
                        "job_crashed",
                        f"the service stopped during this job {row.attempts} times",
                    )
                else:
                    connection.execute(
                        update(schema.jobs).where(schema.jobs.c.pk == row.pk).values(state="queued", lease_owner=None)
                    )
            return len(running)

        return self._catalogue.write(change)

    def claim(self, kinds: Sequence[str], owner: str, lease_s: float) -> Job | None:
        """Take the oldest queued job of these kinds, or one whose lease ran out; None when there is none."""

        def change(connection: Connection) -> Job | None:
            table = schema.jobs
            ready = (table.c.state == "queued") | ((table.c.state == "running") & (table.c.lease_expires_at < now()))
            query = (
                select(table.c.pk, table.c.job_id).where(table.c.kind.in_(kinds), ready).order_by(table.c.pk).limit(1)
            )
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            connection.execute(
                update(table)
                .where(table.c.pk == row.pk)
                .values(
                    state="running",
                    lease_owner=owner,
                    lease_expires_at=in_future(lease_s),
                    attempts=table.c.attempts + 1,
                    updated_at=now(),
                )
            )
            return _load(connection, row.job_id)

        return self._catalogue.write(change)

    def heartbeat(self, job_pk: int, lease_s: float) -> bool:
        """Extend the lease; returns whether the job was cancelled."""

        def change(connection: Connection) -> bool:
            table = schema.jobs
            connection.execute(update(table).where(table.c.pk == job_pk).values(lease_expires_at=in_future(lease_s)))
            return bool(connection.execute(select(table.c.cancel_requested).where(table.c.pk == job_pk)).scalar())

        return self._catalogue.write(change)

    def is_cancelled(self, job_pk: int) -> bool:
        with self._catalogue.read() as connection:
            query = select(schema.jobs.c.cancel_requested).where(schema.jobs.c.pk == job_pk)
            return bool(connection.execute(query).scalar())

    def report_stage(self, job_pk: int, stage: str) -> None:
        statement = update(schema.jobs).where(schema.jobs.c.pk == job_pk).values(stage=stage, updated_at=now())
        self._catalogue.write(lambda connection: connection.execute(statement))

    def end(self, job_pk: int, state: str, code: str | None = None, message: str | None = None) -> None:
        self._catalogue.write(lambda connection: end_job(connection, job_pk, state, code, message))


def end_job(
    connection: Connection, job_pk: int, state: str, code: str | None = None, message: str | None = None
) -> None:
    """Write the terminal state; documents that had not ended share it (`cancelled` or `failed`)."""
    documents = schema.job_documents
    if state in ("cancelled", "failed"):
        connection.execute(
            update(documents)
            .where(documents.c.job_pk == job_pk, documents.c.state.in_(("queued", "running")))
            .values(state=state, error_code=code, error_message=message)
        )
    connection.execute(
        update(schema.jobs)
        .where(schema.jobs.c.pk == job_pk)
        .values(state=state, error_code=code, error_message=message, lease_owner=None, updated_at=now())
    )


class JobRunner:
    """Worker threads that claim jobs and hand them to their handlers. `notify` wakes them; `close` stops between steps."""

    def __init__(
        self, jobs: Jobs, handlers: Mapping[str, JobHandler], *, workers: int, lease_s: float, owner: str
    ) -> None:
        self._jobs = jobs
        self._handlers = handlers
        self._lease_s = lease_s
        self._owner = owner
        self._wake = threading.Condition()
        self._pending = True
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
            self._pending = True
            self._wake.notify_all()

    def close(self) -> None:
        self._stopping.set()
        self.notify()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            job = self._jobs.claim(list(self._handlers), self._owner, self._lease_s)
            if job is None:
                with self._wake:
                    if not self._pending:
                        self._wake.wait(self._lease_s)
                    self._pending = False
                continue
            self._run(job)

    def _run(self, job: Job) -> None:
        context = _Context(self._jobs, job, self._lease_s, self._stopping)
        try:
            with context:
                state = self._handlers[job.kind].run(job, context)
            self._jobs.end(job.pk, state)
        except JobCancelled:
            if not self._stopping.is_set():  # else the job stays running and is recovered at the next start
                self._jobs.end(job.pk, "cancelled")
        except CitewellError as failure:
            if not self._stopping.is_set():
                self._jobs.end(job.pk, "failed", failure.code, failure.message)
        except Exception as failure:
            _LOG.exception("job %s failed", job.job_id)
            self._jobs.end(job.pk, "failed", "internal_error", f"{type(failure).__name__} in the service; see its log")


class _Context:
    """Keeps the lease alive while the handler works."""

    def __init__(self, jobs: Jobs, job: Job, lease_s: float, stopping: threading.Event) -> None:
        self._jobs, self._job, self._lease_s = jobs, job, lease_s
        self._stopping = stopping
        self._ended = threading.Event()
        self._beat = threading.Thread(target=self._beat_on, name=f"heartbeat-{job.job_id}", daemon=True)

    def check(self) -> None:
        if self._stopping.is_set() or self._jobs.is_cancelled(self._job.pk):
            raise JobCancelled(self._job.job_id)

    def report_stage(self, stage: str) -> None:
        self._jobs.report_stage(self._job.pk, stage)

    def __enter__(self) -> _Context:
        self._beat.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._beat.join()

    def _beat_on(self) -> None:
        while not self._ended.wait(self._lease_s / 3):
            self._jobs.heartbeat(self._job.pk, self._lease_s)


def _load(connection: Connection, job_id: str) -> Job:
    row = connection.execute(select(schema.jobs).where(schema.jobs.c.job_id == job_id)).one_or_none()
    if row is None:
        raise NotFound(f"job {job_id[:80]!r} does not exist", code="job_not_found")
    return _job(row)


def _job(row: Row[Any]) -> Job:
    fields = row._mapping
    return Job(**{name: fields[name] for name in Job.__dataclass_fields__})
