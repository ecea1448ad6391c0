"""Finds where catalogue, vectors and originals disagree. Only reads; checks show what it finds, repairs mend it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sqlalchemy import ColumnElement, Connection, func, select

from ingest.blobs import BlobStore
from ingest.catalogue import schema
from ingest.generations import Generation, list_generations

_ROWS = 1_000
_LENGTH_TOLERANCE = 1e-3
_UPLOADING_S = 3_600.0
_ACTIVE = ("queued", "running")


@dataclass(frozen=True, slots=True)
class ServedIndex:
    """A generation of a collection that searches use, or may use again after a rollback."""

    collection_pk: int
    collection: str
    generation: Generation

    @property
    def is_live(self) -> bool:
        return self.generation.state == "live"


def served_indexes(connection: Connection) -> list[ServedIndex]:
    """The live generation of each collection, and those kept for a rollback."""
    table = schema.collections
    return [
        ServedIndex(row.pk, row.name, generation)
        for row in connection.execute(select(table.c.pk, table.c.name).order_by(table.c.pk)).all()
        for generation in list_generations(connection, row.name)
        if generation.state in ("live", "retired")
    ]


def count_live_documents(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).where(_is_live())).scalar_one())


def documents_without_text(connection: Connection) -> list[str]:
    """Documents whose live version, or its extracted text, is not there."""
    documents, versions, texts = schema.documents, schema.versions, schema.version_texts
    query = (
        select(documents.c.document_id)
        .select_from(
            documents.outerjoin(versions, versions.c.pk == documents.c.live_version_pk).outerjoin(
                texts, texts.c.version_pk == documents.c.live_version_pk
            )
        )
        .where(_is_live(), versions.c.pk.is_(None) | texts.c.version_pk.is_(None))
    )
    return list(connection.execute(query).scalars())


def documents_with_wrong_chunks(connection: Connection) -> list[str]:
    """Documents with text but without chunks, or with a chunk that is not `text[char_start:char_end]`."""
    documents, texts, collections = schema.documents, schema.version_texts, schema.collections
    query = (
        select(documents.c.document_id, documents.c.live_version_pk, collections.c.live_generation_pk, texts.c.text)
        .select_from(
            documents.join(texts, texts.c.version_pk == documents.c.live_version_pk).join(
                collections, collections.c.pk == documents.c.collection_pk
            )
        )
        .where(_is_live())
        .execution_options(yield_per=_ROWS)
    )
    return [
        row.document_id
        for row in connection.execute(query)
        if not _chunks_agree(connection, row.live_version_pk, row.live_generation_pk, row.text)
    ]


def _chunks_agree(connection: Connection, version_pk: int, generation_pk: int, text: str) -> bool:
    chunks = schema.chunks
    query = select(chunks.c.generation_pk, chunks.c.char_start, chunks.c.char_end, chunks.c.text)
    rows = connection.execute(query.where(chunks.c.version_pk == version_pk)).all()
    searchable = any(row.generation_pk == generation_pk for row in rows)
    return all(row.text == text[row.char_start : row.char_end] for row in rows) and (searchable or not text.strip())


def stray_chunks(connection: Connection) -> list[int]:
    """Chunks whose version does not exist."""
    chunks, versions = schema.chunks, schema.versions
    query = select(chunks.c.pk).where(chunks.c.version_pk.not_in(select(versions.c.pk)))
    return list(connection.execute(query).scalars())


def stray_vectors(connection: Connection) -> list[int]:
    """Chunk keys of vectors whose chunk does not exist."""
    vectors, chunks = schema.chunk_vectors, schema.chunks
    query = select(vectors.c.chunk_pk).where(vectors.c.chunk_pk.not_in(select(chunks.c.pk)))
    return list(connection.execute(query).scalars())


def chunks_without_good_vector(connection: Connection) -> list[int]:
    """Chunks with no vector, or one of wrong dimension or not of length 1."""
    chunks, vectors, generations = schema.chunks, schema.chunk_vectors, schema.generations
    query = (
        select(chunks.c.pk, vectors.c.vector, generations.c.dimensions)
        .select_from(
            chunks.outerjoin(vectors, vectors.c.chunk_pk == chunks.c.pk).join(
                generations, generations.c.pk == chunks.c.generation_pk
            )
        )
        .execution_options(yield_per=_ROWS)
    )
    return [row.pk for row in connection.execute(query) if not _is_unit(row.vector, row.dimensions)]


def _is_unit(stored: bytes | None, dimensions: int) -> bool:
    if stored is None or len(stored) != 4 * dimensions:
        return False
    length = float(np.linalg.norm(np.frombuffer(stored, dtype="<f4").astype(np.float64)))
    return abs(length - 1) <= _LENGTH_TOLERANCE  # false for infinities and NaN, too


def documents_without_original(connection: Connection, blobs: BlobStore) -> list[str]:
    """Documents whose present or coming version has no stored original."""
    documents, versions = schema.documents, schema.versions
    query = (
        select(documents.c.document_id, versions.c.sha256)
        .select_from(versions.join(documents, documents.c.pk == versions.c.document_pk))
        .where(versions.c.has_blob == 1, versions.c.state.in_(("live", "pending")))
    )
    return [row.document_id for row in connection.execute(query) if not blobs.path(row.sha256).is_file()]


def damaged_originals(blobs: BlobStore) -> Iterator[str]:
    """Names of stored originals whose bytes no longer have the SHA-256 that they are named by."""
    for sha256 in blobs:
        with blobs.path(sha256).open("rb") as original:
            if hashlib.file_digest(original, "sha256").hexdigest() != sha256:
                yield sha256


def stray_originals(connection: Connection, blobs: BlobStore, *, serving: bool) -> list[str]:
    """Stored originals that nothing refers to; while a server runs, those of the last hour may be uploads under way."""
    versions, parts = schema.versions, schema.job_documents
    used = set(connection.execute(select(versions.c.sha256).where(versions.c.has_blob == 1)).scalars())
    corpora = select(parts.c.payload).where(parts.c.kind == "corpus", parts.c.state.in_(_ACTIVE))
    used.update(payload["sha256"] for payload in connection.execute(corpora).scalars())
    newest = time.time() - _UPLOADING_S if serving else time.time()
    return [sha256 for sha256 in blobs if sha256 not in used and blobs.path(sha256).stat().st_mtime <= newest]


@dataclass(frozen=True, slots=True)
class WaitingVersion:
    """A version that waits to be ingested though no job will do it."""

    pk: int
    document_pk: int
    document_id: str
    collection_pk: int
    filename: str
    has_blob: bool


def abandoned_versions(connection: Connection) -> list[WaitingVersion]:
    """Pending versions without a queued or running job."""
    documents, versions = schema.documents, schema.versions
    query = (
        select(
            versions.c.pk,
            versions.c.document_pk,
            documents.c.document_id,
            documents.c.collection_pk,
            versions.c.filename,
            versions.c.has_blob,
        )
        .select_from(versions.join(documents, documents.c.pk == versions.c.document_pk))
        .where(
            versions.c.state == "pending",
            documents.c.tombstoned_at.is_(None),
            versions.c.pk.not_in(_in_work(schema.job_documents.c.version_pk)),
        )
        .order_by(versions.c.pk)
    )
    return [WaitingVersion(**{**row._mapping, "has_blob": bool(row.has_blob)}) for row in connection.execute(query)]


def abandoned_documents(connection: Connection) -> dict[int, str]:
    """Documents (key to id) called queued or indexing that no job works on and that have no pending version either."""
    documents, versions = schema.documents, schema.versions
    waiting = select(versions.c.document_pk).where(versions.c.state == "pending")
    query = select(documents.c.pk, documents.c.document_id).where(
        documents.c.status.in_(("queued", "indexing")),
        documents.c.tombstoned_at.is_(None),
        documents.c.pk.not_in(waiting),
        documents.c.pk.not_in(_in_work(schema.job_documents.c.document_pk)),
    )
    return {row.pk: row.document_id for row in connection.execute(query)}


def abandoned_receipts(connection: Connection) -> list[str]:
    """Deletions that are not complete and that no job will complete."""
    receipts, jobs = schema.receipts, schema.jobs
    purging = select(jobs.c.payload).where(jobs.c.kind == "purge", jobs.c.state.in_(_ACTIVE))
    in_work = {payload["receipt_id"] for payload in connection.execute(purging).scalars()}
    incomplete = select(receipts.c.receipt_id).where(receipts.c.state != "purged")
    return [receipt_id for receipt_id in connection.execute(incomplete).scalars() if receipt_id not in in_work]


def _in_work(column: ColumnElement[int | None]) -> ColumnElement[int]:
    """Values of a column of `job_documents` in the rows that a queued or running job has yet to end."""
    parts, jobs = schema.job_documents, schema.jobs
    query = (
        select(column)
        .select_from(parts.join(jobs, jobs.c.pk == parts.c.job_pk))
        .where(parts.c.state.in_(_ACTIVE), jobs.c.state.in_(_ACTIVE), column.is_not(None))
    )
    return query.scalar_subquery()


def _is_live() -> ColumnElement[bool]:
    documents = schema.documents
    return documents.c.live_version_pk.is_not(None) & documents.c.tombstoned_at.is_(None)
