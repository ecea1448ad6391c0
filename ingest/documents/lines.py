"""Recording lines of a corpus: many at once where they are new, or just what they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert

from ingest.catalogue import schema
from ingest.clock import now
from ingest.collections import Collection
from ingest.credibility import Credibility
from ingest.documents.checks import check_access
from ingest.documents.model import Upload
from ingest.documents.unchanged import changes_nothing, job_part, present_documents, store_parts
from ingest.documents.versions import put_version


@dataclass(frozen=True, slots=True)
class LineUpload:
    """A line as the upload of a document without an original: its text, and what else it says."""

    upload: Upload
    text: str
    source: Mapping[str, Any]


def record_lines(connection: Connection, collection: Collection, job_pk: int, lines: Sequence[LineUpload]) -> None:
    """Record each line as `put_version` does, with its text and as a part of the job, in this order; a few hundred.

    New documents are recorded together, and lines that change nothing too; only the others take a statement or more of
    their own.
    """
    present = present_documents(connection, collection, [line.upload.document_id for line in lines])
    fresh: list[LineUpload] = []
    parts: list[dict[str, Any]] = []
    for line in lines:
        document_id = line.upload.document_id
        if document_id not in present:
            present[document_id] = None
            fresh.append(line)
            continue
        parts += _record_new(connection, collection, job_pk, fresh)
        fresh = []
        row = present[document_id]
        if row is not None and changes_nothing(row, line.upload):
            parts.append(job_part(job_pk, line.upload, row.pk, row.version_pk, "unchanged", kind="line"))
        else:
            present[document_id] = None
            store_parts(connection, parts)  # whether a version waits in this job is read there
            parts = [_put(connection, collection, job_pk, line)]
    store_parts(connection, [*parts, *_record_new(connection, collection, job_pk, fresh)])


def _record_new(
    connection: Connection, collection: Collection, job_pk: int, lines: Sequence[LineUpload]
) -> list[dict[str, Any]]:
    """Documents that do not exist yet, and their first versions; returns the parts of the job."""
    if not lines:
        return []
    moment = now()
    document_pks = _insert(
        connection, schema.documents, [_document_row(collection, line.upload, moment) for line in lines]
    )
    version_pks = _insert(
        connection,
        schema.versions,
        [_version_row(line, pk, moment) for line, pk in zip(lines, document_pks, strict=True)],
    )
    texts = [{"version_pk": pk, "text": line.text} for line, pk in zip(lines, version_pks, strict=True)]
    connection.execute(insert(schema.version_texts), texts)
    access = [
        {"document_pk": pk, "tag": tag}
        for line, pk in zip(lines, document_pks, strict=True)
        for tag in check_access(line.upload.access) or ()
    ]
    if access:
        connection.execute(insert(schema.document_access), access)
    return [
        job_part(job_pk, line.upload, document_pk, version_pk, "queued", kind="line")
        for line, document_pk, version_pk in zip(lines, document_pks, version_pks, strict=True)
    ]


def _document_row(collection: Collection, upload: Upload, moment: str) -> dict[str, Any]:
    credibility = Credibility()
    return {
        "collection_pk": collection.pk,
        "document_id": upload.document_id,
        "status": "queued",
        "metadata": dict(upload.metadata),
        "media_type": upload.media_type,
        "credibility": credibility.score,
        "credibility_source": credibility.source,
        "created_at": moment,
        "updated_at": moment,
    }


def _version_row(line: LineUpload, document_pk: int, moment: str) -> dict[str, Any]:
    upload = line.upload
    return {
        "document_pk": document_pk,
        "version": 1,
        "sha256": upload.blob.sha256,
        "bytes": upload.blob.size_bytes,
        "media_type": upload.media_type,
        "filename": upload.filename,
        "has_blob": 0,
        "source_metadata": dict(line.source),
        "state": "pending",
        "page_spans": [],
        "created_at": moment,
    }


def _insert(connection: Connection, table: Any, rows: Sequence[dict[str, Any]]) -> list[int]:
    """The keys of the rows, in their order."""
    statement = insert(table).returning(table.c.pk, sort_by_parameter_order=True)
    return list(connection.execute(statement, list(rows)).scalars())


def _put(connection: Connection, collection: Collection, job_pk: int, line: LineUpload) -> dict[str, Any]:
    """A document that exists, or comes a second time."""
    document_pk, version_pk, unchanged = put_version(
        connection, collection, line.upload, job_pk, has_blob=False, source_metadata=line.source
    )
    if not unchanged:
        connection.execute(insert(schema.version_texts).values(version_pk=version_pk, text=line.text))
    state = "unchanged" if unchanged else "queued"
    return job_part(job_pk, line.upload, document_pk, version_pk, state, kind="line")
