"""The durable queue in the catalogue: claims under a lease, progress, cancelling, retries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, update

from ingest.catalogue import Catalogue, schema
from ingest.clock import in_future, now
from ingest.errors import Conflict, NotFound
from ingest.jobs.endings import end_job, is_counted_by_documents, settle_job_counts
from ingest.jobs.model import INGEST_STAGES, TERMINAL_STATES, Job, JobDocument
from ingest.jobs.retry import requeue_documents
from ingest.passwords import Passwords

_ATTEMPTS_MAX = 5
_UNSTOPPABLE = frozenset({"purge"})


class Jobs:
    """Looks jobs up and changes their state. `passwords` are those that the ingestion takes."""

    def __init__(self, catalogue: Catalogue, passwords: Passwords | None = None) -> None:
        self._catalogue = catalogue
        self._passwords = passwords or Passwords()

    def get(self, job_id: str) -> Job:
        """Raises `NotFound` (`job_not_found`)."""
        with self._catalogue.read() as connection:
            return _load(connection, job_id)

    def page(
        self,
        *,
        collections: Collection[str] | None = None,
        key_id: str | None = None,
        states: Collection[str] | None = None,
        limit: int = 100,
        cursor: int = 0,
    ) -> tuple[list[Job], int | None]:
        """Up to `limit` jobs, newest first, and the next cursor or None; those older than `cursor`, unless it is 0.

        Only those on `collections` (names), queued with the key `key_id`, and in `states`, each unless None.
        """
        jobs = schema.jobs
        query = _jobs_query().order_by(jobs.c.pk.desc()).limit(limit + 1)
        if collections is not None:
            query = query.where(schema.collections.c.name.in_(collections))
        if key_id is not None:
            query = query.where(jobs.c.key_id == key_id)
        if states is not None:
            query = query.where(jobs.c.state.in_(states))
        if cursor:
            query = query.where(jobs.c.pk < cursor)
        with self._catalogue.read() as connection:
            found = [_job(row) for row in connection.execute(query)]
        return found[:limit], found[limit - 1].pk if len(found) > limit else None

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

    def documents_pending(self, collection_pk: int) -> int:
        """Documents that jobs have yet to ingest into the collection; a corpus that was not read yet counts as one."""
        jobs = schema.jobs
        query = select(func.sum(jobs.c.total - jobs.c.done)).where(
            jobs.c.state.in_(("queued", "running")), jobs.c.kind == "ingest", jobs.c.collection_pk == collection_pk
        )
        with self._catalogue.read() as connection:
            return int(connection.execute(query).scalar() or 0)

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

    def retry(self, job_id: str, *, password: str | None = None) -> Job:
        """Queue an ended job again, with its failed and cancelled documents, which `password` opens where encrypted.

        A document is left as it is when it was deleted or uploaded anew meanwhile. Raises `NotFound`, and `Conflict`
        when the job has not ended or nothing of it is left to do.
        """

        def change(connection: Connection) -> None:
            job = _load(connection, job_id)
            if job.state not in TERMINAL_STATES:
                raise Conflict(f"job {job_id} has not ended: it is {job.state}", code="job_not_ended")
            by_documents = is_counted_by_documents(job.kind)
            requeued = requeue_documents(connection, job.pk)
            if not requeued and (by_documents or job.state == "succeeded"):
                raise Conflict(f"job {job_id} has nothing to retry", code="nothing_to_retry")
            if password is not None:
                for version_pk in requeued:
                    self._passwords.keep(version_pk, password)
            fresh: dict[str, Any] = {"error_code": None, "error_message": None, "attempts": 0, "cancel_requested": 0}
            if by_documents:  # bars begin again with those that wait
                fresh |= {"stage": INGEST_STAGES[0], "stages": None}
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

    def report_progress(self, job_pk: int, stages: Mapping[str, int]) -> None:
        """How many documents have passed each stage."""
        statement = update(schema.jobs).where(schema.jobs.c.pk == job_pk)
        statement = statement.values(stages=dict(stages), updated_at=now())
        self._catalogue.write(lambda connection: connection.execute(statement))

    def end(self, job_pk: int, state: str, code: str | None = None, message: str | None = None) -> None:
        self._catalogue.write(lambda connection: end_job(connection, job_pk, state, code, message))


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


def _load(connection: Connection, job_id: str) -> Job:
    row = connection.execute(_jobs_query().where(schema.jobs.c.job_id == job_id)).one_or_none()
    if row is None:
        raise NotFound(f"job {job_id[:80]!r} does not exist", code="job_not_found")
    return _job(row)


def _jobs_query() -> Select[Any]:
    """Jobs with the names of their collections."""
    return select(schema.jobs, schema.collections.c.name.label("collection")).join_from(schema.jobs, schema.collections)


def _job(row: Row[Any]) -> Job:
    fields = row._mapping
    return Job(**{name: fields[name] for name in Job.__dataclass_fields__})
