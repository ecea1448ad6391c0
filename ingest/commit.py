"""Committing a group of prepared documents: text, chunks, vectors and index-change rows, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from ingest.attachments import parents, record_attachments
from ingest.blobs import BlobStore
from ingest.catalogue import Catalogue, schema
from ingest.clock import now
from ingest.collections import Collection
from ingest.documents import fail_version
from ingest.errors import CitewellError, ExtractionFailed
from ingest.generations import check_live
from ingest.live_versions import Accepted, make_live
from ingest.models import FloatArray
from ingest.prepared import Prepared, Task
from ingest.reindexing import CommitLocks
from ingest.settings import IngestSettings

_Pair = tuple[Prepared, FloatArray]
"""A document with the vectors of its chunks."""


class Committer:
    """Commits groups of prepared documents. After a kill each document is there whole or not at all."""

    def __init__(self, catalogue: Catalogue, blobs: BlobStore, settings: IngestSettings, locks: CommitLocks) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._settings = settings
        self._locks = locks

    def commit(
        self,
        job_pk: int,
        collection: Collection,
        group: Sequence[Prepared],
        vectors: FloatArray,
        *,
        published: int,
    ) -> None:
        """Make the documents live, or record their failures; those of the job up to seq `published` are ready.

        `vectors` is of shape (chunks of the group, dimensions), in the order of documents and chunks. Raises
        `GenerationReplaced`, and commits nothing, when another generation is live by now than that of `collection`.
        """

        def change(connection: Connection) -> None:
            check_live(connection, collection.pk, collection.live_generation)
            self._commit_group(connection, job_pk, collection, group, vectors, published)

        with self._locks.of(collection.pk):
            self._catalogue.write(change)

    def _commit_group(
        self,
        connection: Connection,
        job_pk: int,
        collection: Collection,
        group: Sequence[Prepared],
        vectors: FloatArray,
        published: int,
    ) -> None:
        mails = parents(connection, collection, [prepared.task.document_id for prepared in group])
        ended, failed, attached = 0, 0, 0
        for batch in _batches(group, vectors, mails):
            states, extra = self._commit_batch(connection, job_pk, collection, batch, mails)
            ended += sum(state in ("failed", "succeeded", "unchanged") for state in states)
            failed += states.count("failed")
            attached += extra
        table = schema.jobs
        connection.execute(
            update(table)
            .where(table.c.pk == job_pk)
            .values(
                stage="embedding",
                total=table.c.total + attached,
                done=table.c.done + ended + settle_indexed(connection, job_pk, published),
                failed=table.c.failed + failed,
                attempts=1,  # there was progress: only attempts without any count towards the limit
                updated_at=now(),
            )
        )

    def _commit_batch(
        self, connection: Connection, job_pk: int, collection: Collection, batch: Sequence[_Pair], mails: set[str]
    ) -> tuple[list[str], int]:
        """Make what can be live, and record the other failures.

        Returns the states that parts of the job have now, and how many parts there are more, for attachments: `running`
        while the index has yet to follow; a part that was ended, or purged, meanwhile has none.
        """
        accepted, states = self._accepted(connection, batch)
        seqs = make_live(connection, collection, accepted, self._settings.freshness_half_life_days)
        if accepted:
            parts = schema.job_documents
            started = update(parts).where(parts.c.pk == bindparam("key"))
            connection.execute(
                started.values(state="running", stage="indexing", seq=bindparam("change")),
                [{"key": one.task.job_document_pk, "change": seq} for one, seq in zip(accepted, seqs, strict=True)],
            )
        attached: list[str] = []
        for one in accepted:
            if one.prepared.attachments or one.task.document_id in mails:
                attached += record_attachments(
                    connection, collection, job_pk, one.document, one.prepared.attachments, self._blobs
                )
        return [*states, *("running" for _ in accepted), *attached], len(attached)

    def _accepted(self, connection: Connection, batch: Sequence[_Pair]) -> tuple[list[Accepted], list[str]]:
        """Those that are to be live; the states of the others, which are recorded here."""
        tasks = [prepared.task for prepared, _ in batch]
        waiting = _waiting(connection, tasks)
        documents = _documents(connection, tasks)
        superseded = _superseded(connection, tasks, documents)
        accepted, states = [], []
        for prepared, vectors in batch:
            task, document = prepared.task, documents.get(prepared.task.document_pk)
            if document is None or task.job_document_pk not in waiting:
                continue
            error = document_deleted() if document.tombstoned_at is not None else prepared.error
            if error is not None:
                _record_failure(connection, task, error)
                states.append("failed")
            elif task.version_pk in superseded:
                _record_superseded(connection, task)
                states.append("succeeded")
            else:
                accepted.append(Accepted(prepared, document, vectors))
        return accepted, states


def document_deleted() -> ExtractionFailed:
    return ExtractionFailed("the document was deleted during its ingestion", code="document_deleted")


def settle_indexed(connection: Connection, job_pk: int, published: int) -> int:
    """Documents of the job up to seq `published` are searchable: they have succeeded, and are ready.

    Returns how many.
    """
    parts, documents = schema.job_documents, schema.documents
    indexed = (parts.c.job_pk == job_pk) & (parts.c.state == "running") & (parts.c.seq <= published)
    keys = list(connection.execute(select(parts.c.document_pk).where(indexed)).scalars())
    if keys:
        connection.execute(
            update(documents)
            .where(
                documents.c.status == "indexing",
                documents.c.pk.in_(select(parts.c.document_pk).where(indexed)),
            )
            .values(status="ready")
        )
        connection.execute(update(parts).where(indexed).values(state="succeeded"))
    return len(keys)


def _batches(group: Sequence[Prepared], vectors: FloatArray, mails: set[str]) -> Iterator[list[_Pair]]:
    """The group in runs in which no document comes twice. What has attachments, or had some, comes alone: they may be
    among the others.
    """
    batch: list[_Pair] = []
    keys: set[int] = set()
    offset = 0
    for prepared in group:
        rows = vectors[offset : offset + len(prepared.chunks)]
        offset += len(prepared.chunks)
        alone = bool(prepared.attachments) or prepared.task.document_id in mails
        if batch and (alone or prepared.task.document_pk in keys):
            yield batch
            batch, keys = [], set()
        batch.append((prepared, rows))
        keys.add(prepared.task.document_pk)
        if alone:
            yield batch
            batch, keys = [], set()
    if batch:
        yield batch


def _waiting(connection: Connection, tasks: Sequence[Task]) -> set[int]:
    """Keys of the parts that nobody has ended, or purged, meanwhile."""
    parts = schema.job_documents
    keys = [task.job_document_pk for task in tasks]
    query = select(parts.c.pk).where(parts.c.pk.in_(keys), parts.c.state == "queued")
    return set(connection.execute(query).scalars())


def _documents(connection: Connection, tasks: Sequence[Task]) -> dict[int, Row[Any]]:
    table = schema.documents
    query = select(table).where(table.c.pk.in_([task.document_pk for task in tasks]))
    return {row.pk: row for row in connection.execute(query)}


def _superseded(connection: Connection, tasks: Sequence[Task], documents: dict[int, Row[Any]]) -> set[int]:
    """Keys of versions that are older than the live one, from a job that was faster: they must never replace it."""
    live = {
        task.version_pk: documents[task.document_pk].live_version_pk for task in tasks if task.document_pk in documents
    }
    replaced = {version: present for version, present in live.items() if present is not None}
    if not replaced:
        return set()
    versions = schema.versions
    keys = [*replaced, *replaced.values()]
    query = select(versions.c.pk, versions.c.version).where(versions.c.pk.in_(keys))
    numbers: dict[int, int] = {row.pk: row.version for row in connection.execute(query)}
    return {version for version, present in replaced.items() if numbers.get(present, 0) > numbers.get(version, 0)}


def _record_failure(connection: Connection, task: Task, error: CitewellError) -> None:
    fail_version(connection, task.document_pk, task.version_pk, error)
    parts = schema.job_documents
    failed = update(parts).where(parts.c.pk == task.job_document_pk)
    connection.execute(failed.values(state="failed", error_code=error.code, error_message=error.message))


def _record_superseded(connection: Connection, task: Task) -> None:
    versions, parts = schema.versions, schema.job_documents
    retire = update(versions).where(versions.c.pk == task.version_pk)
    connection.execute(retire.values(state="superseded", retired_at=now()))
    connection.execute(update(parts).where(parts.c.pk == task.job_document_pk).values(state="succeeded"))
