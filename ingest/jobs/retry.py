"""Failed and cancelled documents of a job wait once more."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from ingest.catalogue import schema
from ingest.clock import now


def requeue_documents(connection: Connection, job_pk: int) -> list[int]:
    """Failed and cancelled documents whose failed version is still the newest wait again.

    Returns the keys of their versions.
    """
    parts, documents, versions = schema.job_documents, schema.documents, schema.versions
    newer = versions.alias()
    query = (
        select(parts.c.pk, parts.c.version_pk, parts.c.document_pk)
        .select_from(
            parts.join(versions, versions.c.pk == parts.c.version_pk).join(
                documents, documents.c.pk == parts.c.document_pk
            )
        )
        .where(
            parts.c.job_pk == job_pk,
            parts.c.state.in_(("failed", "cancelled")),
            versions.c.state == "failed",
            documents.c.tombstoned_at.is_(None),
            ~select(newer.c.pk)
            .where(newer.c.document_pk == versions.c.document_pk, newer.c.version > versions.c.version)
            .exists(),
        )
    )
    rows = connection.execute(query).all()
    clean = {"error_code": None, "error_message": None}
    for row in rows:
        connection.execute(update(parts).where(parts.c.pk == row.pk).values(state="queued", stage="parsing", **clean))
        connection.execute(update(versions).where(versions.c.pk == row.version_pk).values(state="pending"))
        document = update(documents).where(documents.c.pk == row.document_pk)
        connection.execute(document.values(updated_at=now(), **clean))
        connection.execute(document.where(documents.c.live_version_pk.is_(None)).values(status="queued"))
    return [row.version_pk for row in rows]
