"""Mends what needs no decision of a person. Only for the owner of the data directory, with nothing else at work."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from sqlalchemy import Column, Connection, delete, insert, select, update

from api.bootstrap import Encoders, LoadEncoder
from api.doctor import findings
from api.doctor.findings import WaitingVersion
from api.settings import Settings
from ingest.blobs import BlobStore
from ingest.catalogue import Catalogue, schema
from ingest.chunking import contextual_text
from ingest.clock import now
from ingest.documents import new_id
from ingest.errors import InvalidInput
from ingest.generations import load_generation
from ingest.jobs import queue_job, settle_job_counts
from retrieve import audit_stored, renew_stored

_KEYS = 500
_EMBEDDED_AT_ONCE = 32


def repair(catalogue: Catalogue, blobs: BlobStore, settings: Settings, load: LoadEncoder) -> list[str]:
    """Make every repair that is needed; returns what was done, a sentence each."""
    done = [
        (catalogue.write(_delete_strays), "stray chunks and vectors deleted"),
        (_embed_again(catalogue, settings, load), "chunks embedded again"),
        (catalogue.write(_requeue_versions), "documents put back into the queue"),
        (catalogue.write(_settle_documents), "documents given the state they are in"),
        (catalogue.write(_requeue_purges), "deletions put back into the queue"),
        (_remove_stray_originals(catalogue, blobs), "stray originals removed"),
        (_renew_indexes(catalogue, settings.data_dir / "indexes"), "indexes built again from the catalogue"),
    ]
    return [f"{count} {what}" for count, what in done if count]


def _delete_strays(connection: Connection) -> int:
    chunks, vectors = schema.chunks, schema.chunk_vectors
    deleted = _delete_by_key(connection, chunks.c.pk, findings.stray_chunks(connection))
    return deleted + _delete_by_key(connection, vectors.c.chunk_pk, findings.stray_vectors(connection))


def _delete_by_key(connection: Connection, column: Column[int], keys: Sequence[int]) -> int:
    for start in range(0, len(keys), _KEYS):
        connection.execute(delete(column.table).where(column.in_(keys[start : start + _KEYS])))
    return len(keys)


def _embed_again(catalogue: Catalogue, settings: Settings, load: LoadEncoder) -> int:
    """Give chunks with a missing or wrong vector the one that their text has."""
    with catalogue.read() as connection:
        keys = findings.chunks_without_good_vector(connection)
    encoders = Encoders(settings, load) if keys else None
    for start in range(0, len(keys), _EMBEDDED_AT_ONCE):
        assert encoders is not None
        _embed_some(catalogue, encoders, keys[start : start + _EMBEDDED_AT_ONCE])
    return len(keys)


def _embed_some(catalogue: Catalogue, encoders: Encoders, keys: Sequence[int]) -> None:
    chunks, versions, vectors = schema.chunks, schema.versions, schema.chunk_vectors
    query = (
        select(chunks.c.pk, chunks.c.generation_pk, chunks.c.heading, chunks.c.text, versions.c.title)
        .select_from(chunks.join(versions, versions.c.pk == chunks.c.version_pk))
        .where(chunks.c.pk.in_(keys))
        .order_by(chunks.c.generation_pk)
    )
    rows: list[dict[str, object]] = []
    with catalogue.read() as connection:
        for generation_pk, found in groupby(connection.execute(query), lambda row: row.generation_pk):
            group = list(found)
            encoder = encoders.of(load_generation(connection, generation_pk).spec)
            texts = [contextual_text(row.title, row.heading, row.text) for row in group]
            embedded = encoder.encode(texts, "document", fast=False).astype("<f4")
            rows += [
                {"chunk_pk": row.pk, "vector": vector.tobytes()} for row, vector in zip(group, embedded, strict=True)
            ]

    def change(connection: Connection) -> None:
        connection.execute(delete(vectors).where(vectors.c.chunk_pk.in_(keys)))
        connection.execute(insert(vectors), rows)

    catalogue.write(change)


def _requeue_versions(connection: Connection) -> int:
    versions = findings.abandoned_versions(connection)
    for collection_pk in sorted({version.collection_pk for version in versions}):
        _requeue(connection, collection_pk, [one for one in versions if one.collection_pk == collection_pk])
    return len(versions)


def _requeue(connection: Connection, collection_pk: int, versions: Sequence[WaitingVersion]) -> None:
    """Record a job that ingests these versions, as their upload did."""
    job_pk = queue_job(
        connection, new_id("job"), "ingest", collection_pk=collection_pk, key_id=None, payload={}, stage="parsing"
    )
    parts = [
        {
            "job_pk": job_pk,
            "document_pk": version.document_pk,
            "version_pk": version.pk,
            "document_id": version.document_id,
            "filename": version.filename,
            "kind": "file" if version.has_blob else "line",
            "stage": "parsing",
            "state": "queued",
        }
        for version in versions
    ]
    connection.execute(insert(schema.job_documents), parts)
    settle_job_counts(connection, job_pk)


def _settle_documents(connection: Connection) -> int:
    """Documents that no job works on and that wait for no version: ready where a version is live, else failed."""
    table = schema.documents
    keys = list(findings.abandoned_documents(connection))
    for start in range(0, len(keys), _KEYS):
        stuck = table.c.pk.in_(keys[start : start + _KEYS])
        ready = update(table).where(stuck, table.c.live_version_pk.is_not(None))
        connection.execute(ready.values(status="ready", updated_at=now()))
        lost = update(table).where(stuck, table.c.live_version_pk.is_(None))
        message = "its ingestion was interrupted; upload it again"
        connection.execute(
            lost.values(status="failed", error_code="interrupted", error_message=message, updated_at=now())
        )
    return len(keys)


def _requeue_purges(connection: Connection) -> int:
    jobs = schema.jobs
    incomplete = set(findings.abandoned_receipts(connection))
    ended = connection.execute(select(jobs.c.pk, jobs.c.payload).where(jobs.c.kind == "purge")).all()
    keys = [row.pk for row in ended if row.payload["receipt_id"] in incomplete]
    again = {"state": "queued", "attempts": 0, "cancel_requested": 0, "updated_at": now()}
    for key in keys:
        connection.execute(update(jobs).where(jobs.c.pk == key).values(**again))
    return len(keys)


def _remove_stray_originals(catalogue: Catalogue, blobs: BlobStore) -> int:
    with catalogue.read() as connection:
        stray = findings.stray_originals(connection, blobs, serving=False)
    return sum(blobs.remove(sha256) for sha256 in stray)


def _renew_indexes(catalogue: Catalogue, folder: Path) -> int:
    """Discard what is stored of the indexes that are damaged or differ from the catalogue, and store them afresh."""
    with catalogue.read() as connection:
        served = findings.served_indexes(connection)
    renewed = 0
    for index in served:
        try:
            found = audit_stored(catalogue, index.collection_pk, index.generation, folder)
            if found.damage is not None or not found.audit.agrees:
                renew_stored(catalogue, index.collection_pk, index.generation, folder)
                renewed += 1
        except (InvalidInput, ValueError):  # vectors that make no index: the check says so
            continue
    return renewed
