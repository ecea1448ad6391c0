"""Submitting only records: one transaction creates the documents, their pending versions and the job.

The blobs lie in the store already; the documents are visible from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from ingest.catalogue import schema
from ingest.collections import Collection
from ingest.corpus import CORPUS_MEDIA_TYPES
from ingest.documents.checks import new_id
from ingest.documents.model import Submission, SubmittedDocument, Upload
from ingest.documents.unchanged import changes_nothing, job_part, present_documents, store_parts
from ingest.documents.versions import fail_version, put_version
from ingest.errors import NotFound
from ingest.jobs import queue_job, settle_job_counts
from ingest.passwords import Passwords


def submit(
    connection: Connection,
    collection: Collection,
    uploads: Sequence[Upload],
    key_id: str | None,
    passwords: Passwords,
) -> Submission:
    job_id = new_id("job")
    job_pk = queue_job(
        connection, job_id, "ingest", collection_pk=collection.pk, key_id=key_id, payload={}, stage="parsing"
    )
    submitted = _submit_all(connection, collection, job_pk, uploads, passwords)
    settle_job_counts(connection, job_pk)
    if all(document.status != "queued" for document in submitted):
        failed = sum(document.status == "failed" for document in submitted)
        state = outcome(failed, len(submitted))
        connection.execute(update(schema.jobs).where(schema.jobs.c.pk == job_pk).values(state=state))
    return Submission(job_id, tuple(submitted))


def _submit_all(
    connection: Connection, collection: Collection, job_pk: int, uploads: Sequence[Upload], passwords: Passwords
) -> list[SubmittedDocument]:
    """Record each in its turn; those that are what they were take no statement of their own."""
    present = present_documents(connection, collection, [upload.document_id for upload in uploads])
    submitted: list[SubmittedDocument] = []
    parts: list[dict[str, Any]] = []
    for upload in uploads:
        row = present.pop(upload.document_id, None)
        if row is not None and changes_nothing(row, upload):
            parts.append(job_part(job_pk, upload, row.pk, row.version_pk, "unchanged", kind="file"))
            submitted.append(SubmittedDocument(upload.document_id, upload.filename, "unchanged"))
        else:
            store_parts(connection, parts)
            parts = []
            submitted.append(_submit_one(connection, collection, job_pk, upload, passwords))
    store_parts(connection, parts)
    return submitted


def _submit_one(
    connection: Connection, collection: Collection, job_pk: int, upload: Upload, passwords: Passwords
) -> SubmittedDocument:
    if upload.media_type in CORPUS_MEDIA_TYPES and upload.problem is None:
        payload = {
            "sha256": upload.blob.sha256,
            "media_type": upload.media_type,
            "metadata": dict(upload.metadata),
            "access": None if upload.access is None else list(upload.access),
            "line": 0,
        }
        _insert_job_document(connection, job_pk, upload, kind="corpus", state="queued", payload=payload)
        return SubmittedDocument(upload.document_id, upload.filename, "queued")
    document_pk, version_pk, unchanged = put_version(connection, collection, upload, job_pk, has_blob=True)
    if upload.password is not None and not unchanged:
        passwords.keep(version_pk, upload.password)
    state = "unchanged" if unchanged else "queued"
    _insert_job_document(
        connection, job_pk, upload, kind="file", state=state, document_pk=document_pk, version_pk=version_pk
    )
    if upload.problem is not None and not unchanged:
        fail_version(connection, document_pk, version_pk, upload.problem)
        connection.execute(
            update(schema.job_documents)
            .where(schema.job_documents.c.job_pk == job_pk, schema.job_documents.c.version_pk == version_pk)
            .values(state="failed", error_code=upload.problem.code, error_message=upload.problem.message)
        )
        return SubmittedDocument(upload.document_id, upload.filename, "failed")
    return SubmittedDocument(upload.document_id, upload.filename, state)


def _insert_job_document(connection: Connection, job_pk: int, upload: Upload, **values: Any) -> None:
    connection.execute(
        insert(schema.job_documents).values(
            job_pk=job_pk, document_id=upload.document_id, filename=upload.filename, stage="parsing", **values
        )
    )


def outcome(failed: int, total: int) -> str:
    """The terminal state of a job of which `failed` of `total` documents did not succeed."""
    if failed == 0:
        return "succeeded"
    return "failed" if failed == total else "partial"


def check_collection(connection: Connection, collection: Collection) -> None:
    """Raises `NotFound` when the collection was deleted since it was looked up."""
    table = schema.collections
    query = select(table.c.pk).where(table.c.pk == collection.pk, table.c.tombstoned_at.is_(None))
    if connection.execute(query).first() is None:
        raise NotFound(f"collection {collection.name!r} was deleted", code="collection_not_found")
