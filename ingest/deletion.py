"""Deleting: a tombstone that takes effect at once, a purge afterwards, a receipt that counts what is gone.

A purge is never given up: killed at any moment it goes on at the next start, and counts nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from ingest.blobs import BlobStore
from ingest.catalogue import Catalogue, schema
from ingest.clock import now
from ingest.collections import Collection
from ingest.credibility import mark_supported
from ingest.documents import check_collection, new_id
from ingest.errors import NotFound
from ingest.index_log import IndexProgress, append_change, latest_seq
from ingest.jobs import TERMINAL_STATES, Job, JobContext, end_job, queue_job
from ingest.near_duplicates import leave
from ingest.originals import needed, remove_spent_corpora

_INDEX_POLL_S = 1.0
_PURGE_DOCUMENTS = 200
_KEYS_PER_QUERY = 500
_COUNTS = (
    "versions",
    "chunks",
    "vectors",
    "postings",
    "cache_entries",
    "blobs",
    "blobs_kept",
    "answers_redacted",
    "conversation_turns",
    "evaluation_rows",
    "training_rows",
)

Redactor = Callable[[Connection, Sequence[int]], Mapping[str, int]]
"""Removes what a layer keeps of documents (by key), in the purge's transaction; returns counts by name."""

Evictor = Callable[[Sequence[int]], int]
"""Takes what a process remembers of documents (by key) out of its memory; returns how many entries that were."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of a deletion; `state` is `tombstoned` until everything is gone, then `purged`."""

    receipt_id: str
    collection: str
    state: str
    documents: int
    removed: Mapping[str, int]
    created_at: str
    purged_at: str | None


class Deletion:
    """Tombstones documents and looks receipts up."""

    def __init__(self, catalogue: Catalogue, evictors: Sequence[Evictor] = ()) -> None:
        self._catalogue = catalogue
        self._evictors = evictors

    def delete_documents(self, collection: Collection, document_ids: Sequence[str], *, key_id: str | None) -> Receipt:
        """Tombstone documents and, with them, what was attached to them. No search that begins afterwards returns them.

        Raises `NotFound` (`document_not_found`), naming the ids that do not exist; then nothing is deleted.
        """

        def change(connection: Connection) -> Receipt:
            check_collection(connection, collection)
            found = _live_documents(connection, collection, document_ids)
            missing = sorted(set(document_ids) - set(found.values()))
            if missing:
                named = ", ".join(repr(document_id[:200]) for document_id in missing[:10])
                raise NotFound(
                    f"collection {collection.name!r} has no document {named}; nothing was deleted",
                    code="document_not_found",
                )
            return self._tombstone(connection, collection, sorted(found), key_id, drop_collection=False)

        return self._catalogue.write(change)

    def delete_collection(self, collection: Collection, *, key_id: str | None, keep: bool = False) -> Receipt:
        """Tombstone the collection with every document; the purge removes it. Its name is free at once.

        With `keep` the collection stays, empty. Raises `NotFound` (`collection_not_found`) when it was deleted
        meanwhile.
        """

        def change(connection: Connection) -> Receipt:
            check_collection(connection, collection)
            documents = schema.documents
            query = select(documents.c.pk).where(
                documents.c.collection_pk == collection.pk, documents.c.tombstoned_at.is_(None)
            )
            keys = list(connection.execute(query).scalars())
            _cancel_jobs(connection, collection.pk)
            receipt = self._tombstone(connection, collection, keys, key_id, drop_collection=not keep)
            if not keep:
                _free_name(connection, collection, receipt.receipt_id)
            return receipt

        return self._catalogue.write(change)

    def _tombstone(
        self,
        connection: Connection,
        collection: Collection,
        keys: Sequence[int],
        key_id: str | None,
        *,
        drop_collection: bool,
    ) -> Receipt:
        """What a search under way remembers afterwards, the purge takes out of the memory."""
        receipt = tombstone(connection, collection, keys, key_id, drop_collection=drop_collection)
        _count(connection, receipt.receipt_id, {"cache_entries": _evict(self._evictors, keys)})
        return receipt

    def receipt(self, receipt_id: str) -> Receipt:
        """Raises `NotFound` (`receipt_not_found`)."""
        with self._catalogue.read() as connection:
            row = connection.execute(
                select(schema.receipts).where(schema.receipts.c.receipt_id == receipt_id)
            ).one_or_none()
        if row is None:
            raise NotFound(f"receipt {receipt_id[:80]!r} does not exist", code="receipt_not_found")
        return Receipt(*row)


class PurgeHandler:
    """Handler of jobs of kind `purge`: takes tombstoned documents out of index, catalogue and blob store."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        blobs: BlobStore,
        progress: IndexProgress,
        redactors: Sequence[Redactor],
        evictors: Sequence[Evictor],
        forget: Callable[[int], None],
    ) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._progress = progress
        self._redactors = redactors
        self._evictors = evictors
        self._forget = forget

    def run(self, job: Job, context: JobContext) -> str:
        context.report_stage("indexing")
        if job.payload["drop_collection"]:
            for receipt_id in self._open_receipts(job.collection_pk):
                self._purge(job, receipt_id, context)
            remove_spent_corpora(self._catalogue, self._blobs)
            self._catalogue.write(lambda connection: _drop_collection(connection, job.collection_pk))
            self._forget(job.collection_pk)
        else:
            receipt_id = str(job.payload["receipt_id"])
            self._purge(job, receipt_id, context)
            remove_spent_corpora(self._catalogue, self._blobs)
            self._catalogue.write(lambda connection: _close_receipt(connection, receipt_id))
        return "succeeded"

    def _purge(self, job: Job, receipt_id: str, context: JobContext) -> None:
        self._retire(job.collection_pk, receipt_id, context)
        while self._catalogue.write(lambda connection: self._purge_some(connection, job.pk, receipt_id)):
            context.check()

    def _open_receipts(self, collection_pk: int) -> list[str]:
        """With a collection go the documents that were deleted from it shortly before."""
        with self._catalogue.read() as connection:
            return _open_receipts(connection, collection_pk)

    def _retire(self, collection_pk: int, receipt_id: str, context: JobContext) -> None:
        """Take the live versions out of the published index before their rows go."""
        while self._catalogue.write(lambda connection: _retire_some(connection, collection_pk, receipt_id)):
            context.check()
        with self._catalogue.read() as connection:
            seq = latest_seq(connection, collection_pk)
        self._progress.notify(collection_pk)
        while not self._progress.wait(collection_pk, seq, _INDEX_POLL_S):
            context.check()

    def _purge_some(self, connection: Connection, job_pk: int, receipt_id: str) -> bool:
        """Purge up to 200 documents with their originals; returns whether there were any.

        The originals go before the commit: a kill in between repeats the whole step, with the same counts.
        """
        documents = schema.documents
        query = select(documents.c.pk).where(documents.c.receipt_id == receipt_id).limit(_PURGE_DOCUMENTS)
        keys = list(connection.execute(query).scalars())
        if not keys:
            return False
        originals = _originals(connection, keys)
        counts = _purge_rows(connection, keys, self._redactors)
        kept = needed(connection, originals)
        for sha256 in originals - kept:
            self._blobs.remove(sha256)
        counts["cache_entries"] = _evict(self._evictors, keys)
        counts["blobs"] = len(originals - kept)
        counts["blobs_kept"] = len(kept - _to_be_purged(connection, kept, receipt_id))
        _count(connection, receipt_id, counts)
        jobs = schema.jobs
        connection.execute(
            update(jobs).where(jobs.c.pk == job_pk).values(done=jobs.c.done + len(keys), attempts=1, updated_at=now())
        )
        return True


def _evict(evictors: Sequence[Evictor], keys: Sequence[int]) -> int:
    return sum(evict(keys) for evict in evictors)


def _retire_some(connection: Connection, collection_pk: int, receipt_id: str) -> bool:
    documents = schema.documents
    query = (
        select(documents.c.pk, documents.c.live_version_pk)
        .where(documents.c.receipt_id == receipt_id, documents.c.live_version_pk.is_not(None))
        .limit(_KEYS_PER_QUERY)
    )
    rows = connection.execute(query).all()
    for row in rows:
        append_change(connection, collection_pk, add=None, retire=row.live_version_pk)
    keys = [row.pk for row in rows]
    connection.execute(update(documents).where(documents.c.pk.in_(keys)).values(live_version_pk=None))
    return bool(rows)


def _live_documents(connection: Connection, collection: Collection, document_ids: Sequence[str]) -> dict[int, str]:
    documents = schema.documents
    found: dict[int, str] = {}
    for start in range(0, len(document_ids), _KEYS_PER_QUERY):
        query = select(documents.c.pk, documents.c.document_id).where(
            documents.c.collection_pk == collection.pk,
            documents.c.tombstoned_at.is_(None),
            documents.c.document_id.in_(document_ids[start : start + _KEYS_PER_QUERY]),
        )
        found.update((row.pk, row.document_id) for row in connection.execute(query))
    return found


def tombstone(
    connection: Connection,
    collection: Collection,
    keys: Sequence[int],
    key_id: str | None,
    *,
    drop_collection: bool,
) -> Receipt:
    """Tombstone the documents with what was attached to them, and queue their purge."""
    moment, receipt_id = now(), new_id("rcpt")
    total = 0
    gone: list[int] = []
    while keys:  # the documents, then what was attached to them, then what was attached to that
        total += len(keys)
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            page = keys[start : start + _KEYS_PER_QUERY]
            connection.execute(
                update(schema.documents)
                .where(schema.documents.c.pk.in_(page))
                .values(tombstoned_at=moment, receipt_id=receipt_id, status="deleted", updated_at=moment)
            )
        gone += keys
        keys = _attached(connection, collection.pk, keys)
    if not drop_collection:
        leave(connection, gone)
        mark_supported(connection, gone)
    connection.execute(
        insert(schema.receipts).values(
            receipt_id=receipt_id,
            collection=collection.name,
            state="tombstoned",
            documents=total,
            removed={},
            created_at=moment,
        )
    )
    queue_job(
        connection,
        new_id("job"),
        "purge",
        collection_pk=collection.pk,
        key_id=key_id,
        payload={"receipt_id": receipt_id, "drop_collection": drop_collection},
        stage="indexing",
        total=total,
    )
    return Receipt(receipt_id, collection.name, "tombstoned", total, {}, moment, None)


def _attached(connection: Connection, collection_pk: int, keys: Sequence[int]) -> list[int]:
    """Live documents that came as attachments of these."""
    documents, parents = schema.documents, schema.documents.alias()
    found: list[int] = []
    for start in range(0, len(keys), _KEYS_PER_QUERY):
        names = select(parents.c.document_id).where(parents.c.pk.in_(keys[start : start + _KEYS_PER_QUERY]))
        query = select(documents.c.pk).where(
            documents.c.collection_pk == collection_pk,
            documents.c.parent_document_id.in_(names),
            documents.c.tombstoned_at.is_(None),
        )
        found += connection.execute(query).scalars()
    return found


def _cancel_jobs(connection: Connection, collection_pk: int) -> None:
    """Nothing more is to be added to the collection; running jobs stop at their next step."""
    jobs = schema.jobs
    query = select(jobs.c.pk, jobs.c.state).where(
        jobs.c.collection_pk == collection_pk, jobs.c.kind != "purge", jobs.c.state.not_in(TERMINAL_STATES)
    )
    for row in connection.execute(query).all():
        connection.execute(update(jobs).where(jobs.c.pk == row.pk).values(cancel_requested=1))
        if row.state == "queued":
            end_job(connection, row.pk, "cancelled", "collection_deleted", "the collection was deleted")


def _free_name(connection: Connection, collection: Collection, receipt_id: str) -> None:
    """Until it is purged, the collection bears its receipt's id, marked as no valid name is."""
    for table, column in ((schema.collections, "name"), (schema.generations, "collection")):
        renamed = update(table).where(table.c[column] == collection.name).values({column: f"~{receipt_id}"})
        connection.execute(renamed)
    table = schema.collections
    connection.execute(update(table).where(table.c.pk == collection.pk).values(tombstoned_at=now()))


def _open_receipts(connection: Connection, collection_pk: int) -> list[str]:
    jobs = schema.jobs
    query = select(jobs.c.payload).where(
        jobs.c.collection_pk == collection_pk, jobs.c.kind == "purge", jobs.c.state != "succeeded"
    )
    return [payload["receipt_id"] for payload in connection.execute(query.order_by(jobs.c.pk)).scalars()]


def _drop_collection(connection: Connection, collection_pk: int) -> None:
    """Close the receipts and remove the collection, in one transaction; its jobs go with it, this purge among them."""
    for receipt_id in _open_receipts(connection, collection_pk):
        _close_receipt(connection, receipt_id)
    collections = schema.collections
    name = connection.execute(select(collections.c.name).where(collections.c.pk == collection_pk)).scalar_one()
    connection.execute(delete(schema.index_change).where(schema.index_change.c.collection_pk == collection_pk))
    connection.execute(delete(collections).where(collections.c.pk == collection_pk))
    connection.execute(delete(schema.generations).where(schema.generations.c.collection == name))


def _purge_rows(connection: Connection, keys: Sequence[int], redactors: Sequence[Redactor]) -> dict[str, int]:
    """Delete all rows of the documents; returns how many of each kind."""
    documents, versions, chunks, vectors = schema.documents, schema.versions, schema.chunks, schema.chunk_vectors
    own_versions = select(versions.c.pk).where(versions.c.document_pk.in_(keys))
    own_chunks = select(chunks.c.pk).where(chunks.c.version_pk.in_(own_versions))
    counts = {
        "versions": _number(connection, versions.c.document_pk.in_(keys)),
        "chunks": _number(connection, chunks.c.version_pk.in_(own_versions)),
        "vectors": _number(connection, vectors.c.chunk_pk.in_(own_chunks)),
    }
    counts["postings"] = counts["chunks"]
    for redactor in redactors:
        counts.update(redactor(connection, keys))
    connection.execute(delete(documents).where(documents.c.pk.in_(keys)))
    return counts


def _originals(connection: Connection, keys: Sequence[int]) -> set[str]:
    versions = schema.versions
    query = select(versions.c.sha256).where(versions.c.document_pk.in_(keys), versions.c.has_blob == 1)
    return set(connection.execute(query).scalars())


def _to_be_purged(connection: Connection, hashes: set[str], receipt_id: str) -> set[str]:
    """Those of the hashes that also a later step of this purge meets: it will count them."""
    versions, documents = schema.versions, schema.documents
    query = (
        select(versions.c.sha256)
        .select_from(versions.join(documents, documents.c.pk == versions.c.document_pk))
        .where(versions.c.sha256.in_(hashes), documents.c.receipt_id == receipt_id)
    )
    return set(connection.execute(query).scalars())


def _number(connection: Connection, condition: Any) -> int:
    return int(connection.execute(select(func.count()).where(condition)).scalar_one())


def _count(connection: Connection, receipt_id: str, counts: Mapping[str, int]) -> None:
    table = schema.receipts
    removed = dict(connection.execute(select(table.c.removed).where(table.c.receipt_id == receipt_id)).scalar_one())
    for name, count in counts.items():
        removed[name] = removed.get(name, 0) + count
    connection.execute(update(table).where(table.c.receipt_id == receipt_id).values(removed=removed))


def _close_receipt(connection: Connection, receipt_id: str) -> None:
    _count(connection, receipt_id, dict.fromkeys(_COUNTS, 0))
    table = schema.receipts
    connection.execute(update(table).where(table.c.receipt_id == receipt_id).values(state="purged", purged_at=now()))
