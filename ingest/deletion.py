"""Deleting: a tombstone that takes effect at once, a purge afterwards, a receipt that counts what is gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from ingest.blobs import BlobStore
from ingest.catalogue import Catalogue, schema
from ingest.clock import now
from ingest.collections import Collection, load_collection_by_key
from ingest.documents import new_id
from ingest.errors import NotFound, Unavailable
from ingest.index_log import IndexProgress, append_change
from ingest.jobs import Job, JobContext

_INDEX_WAIT_S = 600.0
_PURGE_DOCUMENTS = 200

Redactor = Callable[[Connection, Sequence[int]], Mapping[str, int]]
"""Removes what a layer keeps of documents (their keys are given), in the purge's transaction; returns counts by name."""


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

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def delete_documents(self, collection: Collection, document_ids: Sequence[str], *, key_id: str | None) -> Receipt:
        """Tombstone documents and, with them, what was attached to them. No search that begins afterwards returns them.

        Raises `NotFound` (`document_not_found`), naming the ids that do not exist; then nothing is deleted.
        """

        def change(connection: Connection) -> Receipt:
            found = _live_documents(connection, collection, document_ids)
            missing = sorted(set(document_ids) - set(found.values()))
            if missing:
                raise NotFound(
                    f"collection {collection.name!r} has no document {missing[0][:200]!r}",
                    code="document_not_found",
                )
            return _tombstone(connection, collection, sorted(found), key_id, drop_collection=False)

        return self._catalogue.write(change)

    def delete_collection(self, collection: Collection, *, key_id: str | None, keep: bool = False) -> Receipt:
        """Tombstone every document; the purge removes the collection itself, unless it is to `keep` it, empty."""

        def change(connection: Connection) -> Receipt:
            query = select(schema.documents.c.pk).where(
                schema.documents.c.collection_pk == collection.pk, schema.documents.c.tombstoned_at.is_(None)
            )
            return _tombstone(
                connection,
                collection,
                list(connection.execute(query).scalars()),
                key_id,
                drop_collection=not keep,
            )

        return self._catalogue.write(change)

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
        forget: Callable[[int], None],
    ) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._progress = progress
        self._redactors = redactors
        self._forget = forget

    def run(self, job: Job, context: JobContext) -> str:
        receipt_id = str(job.payload["receipt_id"])
        context.report_stage("indexing")
        self._retire(job.collection_pk, receipt_id)
        while self._purge_some(job, receipt_id):
            context.check()
        self._catalogue.write(lambda connection: _close_receipt(connection, receipt_id))
        if job.payload["drop_collection"]:
            self._drop_collection(job.collection_pk)
        return "succeeded"

    def _retire(self, collection_pk: int, receipt_id: str) -> None:
        """Take the live versions out of the published index before their rows go."""

        def change(connection: Connection) -> int:
            documents = schema.documents
            query = select(documents.c.live_version_pk).where(
                documents.c.receipt_id == receipt_id, documents.c.live_version_pk.is_not(None)
            )
            seq = 0
            for version_pk in list(connection.execute(query).scalars()):
                seq = append_change(connection, collection_pk, add=None, retire=version_pk)
            connection.execute(
                update(documents).where(documents.c.receipt_id == receipt_id).values(live_version_pk=None)
            )
            return seq

        seq = self._catalogue.write(change)
        self._progress.notify(collection_pk)
        if not self._progress.wait(collection_pk, seq, _INDEX_WAIT_S):
            raise Unavailable("the index did not take the deletion in; see the service's log", code="index_unavailable")

    def _purge_some(self, job: Job, receipt_id: str) -> bool:
        """Purge up to 200 documents in one transaction, then their blobs; returns whether any were left."""
        documents = schema.documents

        def change(connection: Connection) -> list[str] | None:
            query = select(documents.c.pk).where(documents.c.receipt_id == receipt_id).limit(_PURGE_DOCUMENTS)
            keys = list(connection.execute(query).scalars())
            return _purge_rows(connection, receipt_id, keys, self._redactors) if keys else None

        orphans = self._catalogue.write(change)
        if orphans is None:
            return False
        removed = sum(self._remove_blob(sha256) for sha256 in orphans)
        self._catalogue.write(
            lambda connection: _count(connection, receipt_id, {"blobs": removed, "blobs_kept": len(orphans) - removed})
        )
        return True

    def _remove_blob(self, sha256: str) -> bool:
        """Remove an original unless another document still has the same bytes (decided on the writer thread)."""

        def change(connection: Connection) -> bool:
            versions, parts = schema.versions, schema.job_documents
            used = select(versions.c.pk).where(versions.c.sha256 == sha256).limit(1)
            queued = select(parts.c.pk).where(
                parts.c.kind == "corpus",
                parts.c.state == "queued",
                parts.c.payload["sha256"].as_string() == sha256,
            )
            if connection.execute(used).first() or connection.execute(queued.limit(1)).first():
                return False
            return self._blobs.remove(sha256)

        return self._catalogue.write(change)

    def _drop_collection(self, collection_pk: int) -> None:
        def change(connection: Connection) -> None:
            collection = load_collection_by_key(connection, collection_pk)
            connection.execute(delete(schema.index_change).where(schema.index_change.c.collection_pk == collection_pk))
            connection.execute(delete(schema.collections).where(schema.collections.c.pk == collection_pk))
            connection.execute(delete(schema.generations).where(schema.generations.c.collection == collection.name))

        self._catalogue.write(change)
        self._forget(collection_pk)


def _live_documents(connection: Connection, collection: Collection, document_ids: Sequence[str]) -> dict[int, str]:
    documents = schema.documents
    found: dict[int, str] = {}
    for start in range(0, len(document_ids), 500):
        query = select(documents.c.pk, documents.c.document_id).where(
            documents.c.collection_pk == collection.pk,
            documents.c.tombstoned_at.is_(None),
            documents.c.document_id.in_(document_ids[start : start + 500]),
        )
        found.update((row.pk, row.document_id) for row in connection.execute(query))
    return found


def _tombstone(
    connection: Connection,
    collection: Collection,
    keys: Sequence[int],
    key_id: str | None,
    *,
    drop_collection: bool,
) -> Receipt:
    documents, moment = schema.documents, now()
    receipt = Receipt(new_id("rcpt"), collection.name, "tombstoned", len(keys), {}, moment, None)
    marked = {
        "tombstoned_at": moment,
        "receipt_id": receipt.receipt_id,
        "status": "deleted",
        "updated_at": moment,
    }
    for start in range(0, len(keys), 500):
        page = keys[start : start + 500]
        own = select(documents.c.document_id).where(documents.c.pk.in_(page))
        attached = documents.c.parent_document_id.in_(own) & (documents.c.collection_pk == collection.pk)
        connection.execute(
            update(documents)
            .where(or_(documents.c.pk.in_(page), attached), documents.c.tombstoned_at.is_(None))
            .values(**marked)
        )
    counted = select(func.count()).select_from(documents).where(documents.c.receipt_id == receipt.receipt_id)
    total = connection.execute(counted).scalar_one()
    connection.execute(
        insert(schema.receipts).values(
            receipt_id=receipt.receipt_id,
            collection=collection.name,
            state="tombstoned",
            documents=total,
            removed={},
            created_at=moment,
        )
    )
    connection.execute(
        insert(schema.jobs).values(
            job_id=new_id("job"),
            kind="purge",
            collection_pk=collection.pk,
            key_id=key_id,
            state="queued",
            stage="indexing",
            done=0,
            total=total,
            failed=0,
            payload={"receipt_id": receipt.receipt_id, "drop_collection": drop_collection},
            attempts=0,
            cancel_requested=0,
            created_at=moment,
            updated_at=moment,
        )
    )
    return Receipt(receipt.receipt_id, collection.name, "tombstoned", total, {}, moment, None)


def _purge_rows(
    connection: Connection, receipt_id: str, keys: Sequence[int], redactors: Sequence[Redactor]
) -> list[str]:
    """Delete the documents' rows, count them into the receipt, and return the originals that they used."""
    documents, versions, chunks, vectors = (
        schema.documents,
        schema.versions,
        schema.chunks,
        schema.chunk_vectors,
    )
    own_versions = select(versions.c.pk).where(versions.c.document_pk.in_(keys))
    own_chunks = select(chunks.c.pk).where(chunks.c.version_pk.in_(own_versions))
    counts: dict[str, int] = {
        "versions": _number(connection, versions.c.document_pk.in_(keys)),
        "chunks": _number(connection, chunks.c.version_pk.in_(own_versions)),
        "vectors": _number(connection, vectors.c.chunk_pk.in_(own_chunks)),
    }
    counts["postings"] = counts["chunks"]
    for redactor in redactors:
        counts.update(redactor(connection, keys))
    blobs = select(versions.c.sha256).where(versions.c.document_pk.in_(keys), versions.c.has_blob == 1).distinct()
    originals = list(connection.execute(blobs).scalars())
    connection.execute(delete(documents).where(documents.c.pk.in_(keys)))
    _count(connection, receipt_id, counts)
    return originals


def _number(connection: Connection, condition: Any) -> int:
    return int(connection.execute(select(func.count()).where(condition)).scalar_one())


def _count(connection: Connection, receipt_id: str, counts: Mapping[str, int]) -> None:
    table = schema.receipts
    removed = dict(connection.execute(select(table.c.removed).where(table.c.receipt_id == receipt_id)).scalar_one())
    for name, count in counts.items():
        removed[name] = removed.get(name, 0) + count
    connection.execute(update(table).where(table.c.receipt_id == receipt_id).values(removed=removed))


def _close_receipt(connection: Connection, receipt_id: str) -> None:
    names = (
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
    _count(connection, receipt_id, dict.fromkeys(names, 0))
    table = schema.receipts
    connection.execute(update(table).where(table.c.receipt_id == receipt_id).values(state="purged", purged_at=now()))
