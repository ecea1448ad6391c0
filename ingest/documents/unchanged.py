"""What is sent again as it was: found for many uploads in one query, and recorded in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection, Row, insert, select

from ingest.catalogue import schema
from ingest.collections import Collection
from ingest.documents.model import Upload


def present_documents(
    connection: Connection, collection: Collection, document_ids: Sequence[str]
) -> dict[str, Row[Any] | None]:
    """Those of a few hundred ids that exist, each with its newest version that is live or waits (columns None without
    one).
    """
    documents, versions = schema.documents, schema.versions
    joined = documents.outerjoin(
        versions, (versions.c.document_pk == documents.c.pk) & versions.c.state.in_(("live", "pending"))
    )
    query = (
        select(
            documents.c.pk,
            documents.c.document_id,
            documents.c.metadata,
            documents.c.origin,
            versions.c.pk.label("version_pk"),
            versions.c.state,
            versions.c.sha256,
            versions.c.media_type,
        )
        .select_from(joined)
        .where(
            documents.c.collection_pk == collection.pk,
            documents.c.document_id.in_(document_ids),
            documents.c.tombstoned_at.is_(None),
        )
        .order_by(versions.c.version)
    )
    return {row.document_id: cast("Row[Any]", row) for row in connection.execute(query)}


def changes_nothing(present: Row[Any], upload: Upload) -> bool:
    """The newest version is live and has these bytes, and there is nothing else to apply."""
    same = (present.state, present.sha256, present.media_type) == ("live", upload.blob.sha256, upload.media_type)
    known = upload.metadata in ({}, present.metadata) and upload.origin in (None, present.origin)
    return same and known and upload.access is None


def job_part(
    job_pk: int, upload: Upload, document_pk: int, version_pk: int, state: str, *, kind: str
) -> dict[str, Any]:
    """The row of an upload's part in a job."""
    return {
        "job_pk": job_pk,
        "document_pk": document_pk,
        "version_pk": version_pk,
        "document_id": upload.document_id,
        "filename": upload.filename,
        "kind": kind,
        "stage": "parsing",
        "state": state,
    }


def store_parts(connection: Connection, parts: Sequence[dict[str, Any]]) -> None:
    """Write such rows, in their order."""
    if parts:
        connection.execute(insert(schema.job_documents), list(parts))
