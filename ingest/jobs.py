"""The durable job queue: jobs live in the catalogue, are claimed under a lease, and always end in a terminal state.

The queue knows no kind of job: layers offer handlers, `api` registers them. A handler may be stopped at any moment and
called again; it picks up what its documents' states say is left.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, Row, Select, func, select, update

from ingest.catalogue import Catalogue, schema
from ingest.clock import in_future, now
from ingest.errors import CitewellError, Conflict, NotFound

_LOG = logging.getLogger(__name__)
TERMINAL_STATES = frozenset({"succeeded", "partial", "failed", "cancelled"})
_ATTEMPTS_MAX = 5
_UNSTOPPABLE = frozenset({"purge"})
_COUNTED_BY_DOCUMENTS = frozenset({"ingest"})
_RETRY_S = 1.0


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
        """Ask a job to stop; a queued one stops at once.

        Raises `NotFound`, and `Conflict` when it has already ended or is a purge: what was deleted has to go.
        """

        def change(connection: Connection) -> None:
            job = _load(connection, job_id)
            if job.state in TERMINAL_STATES:
                raise Conflict(f"job {job_id} has already ended: {job.state}", code="job_ended")
            if job.kind in _UNSTOPPABLE:
                raise Conflict(f"job {job_id} is a {job.kind}, which cannot be cancelled", code="job_not_cancellable")
            connection.execute(update(schema.jobs).where(schema.jobs.c.pk == job.pk).values(cancel_requested=1))
            if job.state == "queued":
                end_job(connection, job.pk, "cancelled")

        self._catalogue.write(change)
        return self.get(job_id)

    def retry(self, job_id: str) -> Job:
        """Queue an ended job again, with its failed and cancelled documents.

        A document is left as it is when it was deleted or uploaded anew meanwhile. Raises `NotFound`, and `Conflict`
        when the job has not ended or nothing of it is left to do.
        """

        def change(connection: Connection) -> None:
            job = _load(connection, job_id)
            if job.state not in TERMINAL_STATES:
                raise Conflict(f"job {job_id} has not ended: it is {job.state}", code="job_not_ended")
            by_documents = job.kind in _COUNTED_BY_DOCUMENTS
            requeued = _requeue_documents(connection, job.pk)
            if requeued == 0 and (by_documents or job.state == "succeeded"):
                raise Conflict(f"job {job_id} has nothing to retry", code="nothing_to_retry")
            fresh = {"error_code": None, "error_message": None, "attempts": 0, "cancel_requested": 0}
            connection.execute(
                update(schema.jobs).where(schema.jobs.c.pk == job.pk).values(state="queued", updated_at=now(), **fresh)
            )
            if by_documents:
                settle_job_counts(connection, job.pk)

        self._catalogue.write(change)
        return self.get(job_id)

    def recover(self) -> int:
        """Put back what a dead owner left running; returns how many.

        Only for the owner of the data directory, at start.
        """

        def change(connection: Connection) -> int:
            running = connection.execute(select(schema.jobs).where(schema.jobs.c.state == "running")).all()
            for row in running:
                if row.attempts >= _ATTEMPTS_MAX:
                    _end_crashed(connection, row)
                else:
                    _release(connection, row.pk)
            return len(running)

        return self._catalogue.write(change)

    def release(self, job_pk: int) -> None:
        """Put a job back that is stopped by a shutdown, which is no failed attempt."""

        def change(connection: Connection) -> None:
            _release(connection, job_pk, attempts=schema.jobs.c.attempts - 1)

        self._catalogue.write(change)

    def claim(self, kinds: Sequence[str], owner: str, lease_s: float) -> Job | None:
        """Take the oldest queued job of these kinds, or one whose lease ran out; None when there is none."""

        def change(connection: Connection) -> Job | None:
            table = schema.jobs
            while (row := connection.execute(_ready_job(kinds)).one_or_none()) is not None:
                if row.attempts >= _ATTEMPTS_MAX:
                    _end_crashed(connection, row)
                    continue
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
            return None

        return self._catalogue.write(change)

    def heartbeat(self, job_pk: int, lease_s: float) -> None:
        """Extend the lease."""
        beat = update(schema.jobs).where(schema.jobs.c.pk == job_pk).values(lease_expires_at=in_future(lease_s))
        self._catalogue.write(lambda connection: connection.execute(beat))

    def is_cancelled(self, job_pk: int) -> bool:
        """Someone asked the job to stop, or it went with its collection."""
        with self._catalogue.read() as connection:
            query = select(schema.jobs.c.cancel_requested).where(schema.jobs.c.pk == job_pk)
            return connection.execute(query).scalar() != 0

    def report_stage(self, job_pk: int, stage: str) -> None:
        statement = update(schema.jobs).where(schema.jobs.c.pk == job_pk).values(stage=stage, updated_at=now())
        self._catalogue.write(lambda connection: connection.execute(statement))

    def end(self, job_pk: int, state: str, code: str | None = None, message: str | None = None) -> None:
        self._catalogue.write(lambda connection: end_job(connection, job_pk, state, code, message))


def end_job(
    connection: Connection, job_pk: int, state: str, code: str | None = None, message: str | None = None
) -> None:
    """Write the terminal state, unless there is one already. Documents of the job that had not ended, end with it."""
    jobs = schema.jobs
    job = connection.execute(select(jobs.c.kind, jobs.c.state).where(jobs.c.pk == job_pk)).one_or_none()
    if job is None or job.state in TERMINAL_STATES:
        return
    if state in ("cancelled", "failed"):
        _settle_committed(connection, job_pk)
        _give_up_queued(connection, job_pk, state, code or state, message or f"its job was {state}")
    if job.kind in _COUNTED_BY_DOCUMENTS:
        settle_job_counts(connection, job_pk)
    connection.execute(
        update(jobs)
        .where(jobs.c.pk == job_pk)
        .values(state=state, error_code=code, error_message=message, lease_owner=None, updated_at=now())
    )


def settle_job_counts(connection: Connection, job_pk: int) -> None:
    """Recount `total`, `done` and `failed` of a job from its documents (a corpus counts through its lines)."""
    parts = schema.job_documents
    own = parts.c.job_pk == job_pk
    query = select(parts.c.state, func.count()).where(own).group_by(parts.c.state)
    counts: dict[str, int] = {row[0]: row[1] for row in connection.execute(query)}
    corpora = connection.execute(select(parts.c.state).where(own, schema.IS_CORPUS)).scalars().all()
    good_corpora = sum(state != "failed" for state in corpora)
    unended = sum(counts.get(state, 0) - corpora.count(state) for state in ("queued", "running"))
    total = sum(counts.values()) - good_corpora
    connection.execute(
        update(schema.jobs)
        .where(schema.jobs.c.pk == job_pk)
        .values(total=total, done=total - unended, failed=counts.get("failed", 0), updated_at=now())
    )


def _settle_committed(connection: Connection, job_pk: int) -> None:
    """What is committed is there, whatever becomes of the job: the index takes it in without the job's help."""
    parts, documents = schema.job_documents, schema.documents
    committed = (parts.c.job_pk == job_pk) & (parts.c.state == "running")
    connection.execute(
        update(documents)
        .where(documents.c.status == "indexing", documents.c.pk.in_(select(parts.c.document_pk).where(committed)))
        .values(status="ready")
    )
    connection.execute(update(parts).where(committed).values(state="succeeded"))


def _give_up_queued(connection: Connection, job_pk: int, state: str, code: str, message: str) -> None:
    """Versions that were never ingested fail, so that the same bytes can be sent again."""
    parts, documents, versions = schema.job_documents, schema.documents, schema.versions
    queued = (parts.c.job_pk == job_pk) & (parts.c.state == "queued")
    given_up = (versions.c.state == "pending") & versions.c.pk.in_(select(parts.c.version_pk).where(queued))
    connection.execute(update(versions).where(given_up).values(state="failed"))
    others = select(versions.c.pk).where(versions.c.document_pk == documents.c.pk, versions.c.state == "pending")
    connection.execute(
        update(documents)
        .where(
            documents.c.status == "queued",
            documents.c.pk.in_(select(parts.c.document_pk).where(queued)),
            ~others.exists(),
        )
        .values(status="failed", error_code=code, error_message=message, updated_at=now())
    )
    connection.execute(update(parts).where(queued).values(state=state, error_code=code, error_message=message))


def _requeue_documents(connection: Connection, job_pk: int) -> int:
    """Failed and cancelled documents whose failed version is still the newest wait again; returns how many."""
    parts, documents, versions = schema.job_documents, schema.documents, schema.versions
    newer = versions.alias()
    query = (
        select(parts.c.pk, parts.c.version_pk, parts.c.document_pk)
        .select_from(
            parts.join(versions, versions.c.pk == parts.c.version_pk).join(
                documents, documents.c.pk == parts.c.document_pk
            )
        )
        .where(
            parts.c.job_pk == job_pk,
            parts.c.state.in_(("failed", "cancelled")),
            versions.c.state == "failed",
            documents.c.tombstoned_at.is_(None),
            ~select(newer.c.pk)
            .where(newer.c.document_pk == versions.c.document_pk, newer.c.version > versions.c.version)
            .exists(),
        )
    )
    rows = connection.execute(query).all()
    clean = {"error_code": None, "error_message": None}
    for row in rows:
        connection.execute(update(parts).where(parts.c.pk == row.pk).values(state="queued", stage="parsing", **clean))
        connection.execute(update(versions).where(versions.c.pk == row.version_pk).values(state="pending"))
        document = update(documents).where(documents.c.pk == row.document_pk)
        connection.execute(document.values(updated_at=now(), **clean))
        connection.execute(document.where(documents.c.live_version_pk.is_(None)).values(status="queued"))
    return len(rows)


def _ready_job(kinds: Sequence[str]) -> Select[tuple[int, str, int]]:
    table = schema.jobs
    ready = (table.c.state == "queued") | ((table.c.state == "running") & (table.c.lease_expires_at < now()))
    return (
        select(table.c.pk, table.c.job_id, table.c.attempts)
        .where(table.c.kind.in_(kinds), ready)
        .order_by(table.c.pk)
        .limit(1)
    )


def _release(connection: Connection, job_pk: int, **values: Any) -> None:
    table = schema.jobs
    released = update(table).where(table.c.pk == job_pk, table.c.state == "running")
    connection.execute(released.values(state="queued", lease_owner=None, **values))


def _end_crashed(connection: Connection, row: Row[Any]) -> None:
    message = f"the service stopped {row.attempts} times during this job without any progress"
    end_job(connection, row.pk, "failed", "job_crashed", message)


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
            try:
                self._jobs.heartbeat(self._job.pk, self._lease_s)
            except CitewellError as failure:  # one missed beat does no harm; the next may succeed
                _LOG.warning("no heartbeat for job %s: %s", self._job.job_id, failure)


def _load(connection: Connection, job_id: str) -> Job:
    row = connection.execute(select(schema.jobs).where(schema.jobs.c.job_id == job_id)).one_or_none()
    if row is None:
        raise NotFound(f"job {job_id[:80]!r} does not exist", code="job_not_found")
    return _job(row)


def _job(row: Row[Any]) -> Job:
    fields = row._mapping
    return Job(**{name: fields[name] for name in Job.__dataclass_fields__})
