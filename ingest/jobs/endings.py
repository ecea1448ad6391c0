"""How jobs end: a terminal state, with no document of theirs left waiting, and counts that add up."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, update

from ingest.catalogue import schema
from ingest.clock import now
from ingest.jobs.model import TERMINAL_STATES

_COUNTED_BY_DOCUMENTS = frozenset({"ingest"})


def is_counted_by_documents(kind: str) -> bool:
    """Whether the progress of such a job is that of the documents it lists."""
    return kind in _COUNTED_BY_DOCUMENTS


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
    if is_counted_by_documents(job.kind):
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
