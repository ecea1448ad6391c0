"""Versions that were replaced: kept for a time, so that answers given from them can be replayed, then emptied.

What is left of an expired version is its row: number, hash and dates, without text, chunks, vectors and original.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from ingest.blobs import BlobStore
from ingest.catalogue import Catalogue, schema
from ingest.clock import in_future, now
from ingest.documents import new_id
from ingest.index_log import IndexProgress, latest_seq
from ingest.jobs import TERMINAL_STATES, Job, JobContext, JobRunner, queue_job
from ingest.keeper import HOUR_S, Keeper
from ingest.originals import needed

_ENDED = ("retired", "superseded", "failed")
_VERSIONS = 200
_INDEX_POLL_S = 1.0


class HistoryHandler:
    """Handler of jobs of kind `history`: empties the versions of a collection that ended before the payload's moment.

    Killed at any moment it goes on at the next start. An original goes with the last version that needs it.
    """

    def __init__(self, *, catalogue: Catalogue, blobs: BlobStore, progress: IndexProgress) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._progress = progress

    def run(self, job: Job, context: JobContext) -> str:
        context.report_stage("indexing")
        self._await_index(job.collection_pk, context)
        context.report_stage("purging")
        before = str(job.payload["before"])
        while self._catalogue.write(lambda connection: self._expire_some(connection, job, before)):
            context.check()
        return "succeeded"

    def _await_index(self, collection_pk: int, context: JobContext) -> None:
        """No search may find a chunk any more whose text is about to go."""
        with self._catalogue.read() as connection:
            seq = latest_seq(connection, collection_pk)
        self._progress.notify(collection_pk)
        while not self._progress.wait(collection_pk, seq, _INDEX_POLL_S):
            context.check()

    def _expire_some(self, connection: Connection, job: Job, before: str) -> bool:
        """Empty up to 200 versions with their originals; the originals go before the commit, as in a purge."""
        versions, jobs = schema.versions, schema.jobs
        query = select(versions.c.pk, versions.c.sha256, versions.c.has_blob)
        rows = connection.execute(query.where(_due(job.collection_pk, before)).limit(_VERSIONS)).all()
        if not rows:
            return False
        keys = [row.pk for row in rows]
        connection.execute(delete(schema.version_texts).where(schema.version_texts.c.version_pk.in_(keys)))
        connection.execute(delete(schema.chunks).where(schema.chunks.c.version_pk.in_(keys)))
        empty = {"state": "expired", "has_blob": 0, "source_metadata": {}, "page_spans": []}
        connection.execute(update(versions).where(versions.c.pk.in_(keys)).values(**empty))
        originals = {row.sha256 for row in rows if row.has_blob}
        for sha256 in originals - needed(connection, originals):
            self._blobs.remove(sha256)
        emptied = jobs.c.done + len(keys)
        progress = update(jobs).where(jobs.c.pk == job.pk)
        connection.execute(progress.values(done=emptied, total=emptied, attempts=1, updated_at=now()))
        return True


class HistoryKeeper(Keeper):
    """Queues a `history` job wherever versions are past their time: at the start, and once an hour."""

    def __init__(self, catalogue: Catalogue, runner: JobRunner, *, retention_days: float) -> None:
        super().__init__("history-keeper", every_s=HOUR_S)
        self._catalogue = catalogue
        self._runner = runner
        self._retention_s = retention_days * 86_400

    def tend(self) -> None:
        self.queue_due()

    def queue_due(self) -> int:
        """Queue what is due; returns the number of collections concerned."""
        queued = self._catalogue.write(lambda connection: _queue_due(connection, in_future(-self._retention_s)))
        if queued:
            self._runner.notify()
        return queued


def _queue_due(connection: Connection, before: str) -> int:
    due = _collections_with_due_versions(connection, before)
    for collection_pk in due:
        payload = {"before": before}
        queue_job(
            connection,
            new_id("job"),
            "history",
            collection_pk=collection_pk,
            key_id=None,
            payload=payload,
            stage="indexing",
        )
    return len(due)


def _collections_with_due_versions(connection: Connection, before: str) -> Sequence[int]:
    """Those in which no such job waits already, and which are not being deleted."""
    collections, jobs, versions = schema.collections, schema.jobs, schema.versions
    open_jobs = select(jobs.c.pk).where(
        jobs.c.collection_pk == collections.c.pk, jobs.c.kind == "history", jobs.c.state.not_in(TERMINAL_STATES)
    )
    query = select(collections.c.pk).where(collections.c.tombstoned_at.is_(None), ~open_jobs.exists())
    return [
        pk
        for pk in connection.execute(query).scalars().all()
        if connection.execute(select(versions.c.pk).where(_due(pk, before)).limit(1)).first() is not None
    ]


def _due(collection_pk: int, before: str) -> ColumnElement[bool]:
    """Versions of living documents that ended before the moment; a deleted document is for its purge."""
    versions, documents = schema.versions, schema.documents
    living = select(documents.c.pk).where(
        documents.c.pk == versions.c.document_pk,
        documents.c.collection_pk == collection_pk,
        documents.c.tombstoned_at.is_(None),
    )
    return and_(versions.c.retired_at < before, versions.c.state.in_(_ENDED), living.exists())
