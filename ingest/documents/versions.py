"""Versions: the newest is recorded as pending, and becomes live or fails; attributes belong to the document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from ingest.catalogue import schema
from ingest.clock import now
from ingest.collections import Collection
from ingest.credibility import FACTS_DUE, Credibility, mark
from ingest.documents.checks import check_access
from ingest.documents.model import Upload
from ingest.errors import CitewellError


def put_version(
    connection: Connection,
    collection: Collection,
    upload: Upload,
    job_pk: int,
    *,
    has_blob: bool,
    source_metadata: Mapping[str, Any] | None = None,
) -> tuple[int, int, bool]:
    """Record `upload` as the newest version of its document, pending until ingested.

    Returns (document key, version key, unchanged). Unchanged means that the newest version that did not fail has the
    same bytes and is live, or waits in this same job; metadata and access are applied all the same. One that waits in
    another job counts for nothing: that job may be cancelled.
    """
    document = find_or_none(connection, collection, upload.document_id)
    if document is None:
        document_pk, newest = _create_document(connection, collection, upload), 0
    else:
        document_pk = document.pk
        _apply_attributes(connection, collection, document, upload)
        newest = _newest_number(connection, document_pk)
        same = _same_version(connection, document_pk, upload, job_pk)
        if same is not None:
            return document_pk, same, True
    moment = now()
    version = connection.execute(
        insert(schema.versions).values(
            document_pk=document_pk,
            version=newest + 1,
            sha256=upload.blob.sha256,
            bytes=upload.blob.size_bytes,
            media_type=upload.media_type,
            filename=upload.filename,
            has_blob=int(has_blob),
            source_metadata=dict(source_metadata or {}),
            state="pending",
            page_spans=[],
            created_at=moment,
        )
    ).inserted_primary_key
    assert version is not None
    status = "queued" if document is None or document.live_version_pk is None else document.status
    connection.execute(
        update(schema.documents)
        .where(schema.documents.c.pk == document_pk)
        .values(status=status, error_code=None, error_message=None, updated_at=moment)
    )
    return document_pk, version[0], False


def _newest_number(connection: Connection, document_pk: int) -> int:
    versions = schema.versions
    query = select(func.max(versions.c.version)).where(versions.c.document_pk == document_pk)
    return int(connection.execute(query).scalar() or 0)


def _same_version(connection: Connection, document_pk: int, upload: Upload, job_pk: int) -> int | None:
    """The key of the version that makes `upload` superfluous."""
    versions, parts = schema.versions, schema.job_documents
    current = connection.execute(
        select(versions)
        .where(versions.c.document_pk == document_pk, versions.c.state.in_(("pending", "live")))
        .order_by(versions.c.version.desc())
        .limit(1)
    ).one_or_none()
    if current is None or (current.sha256, current.media_type) != (upload.blob.sha256, upload.media_type):
        return None
    own = select(parts.c.pk).where(
        parts.c.document_pk == document_pk, parts.c.version_pk == current.pk, parts.c.job_pk == job_pk
    )
    same = current.state == "live" or connection.execute(own).first() is not None
    return int(current.pk) if same else None


def fail_version(connection: Connection, document_pk: int, version_pk: int, error: CitewellError) -> None:
    """Record that a version could not be ingested.

    A document with a live version stays ready and keeps answering; one with a newer version, live or pending, does not
    show the error of the older one.
    """
    versions, document = schema.versions, schema.documents
    connection.execute(update(versions).where(versions.c.pk == version_pk).values(state="failed"))
    number = select(versions.c.version).where(versions.c.pk == version_pk).scalar_subquery()
    newer = select(versions.c.pk).where(
        versions.c.document_pk == document_pk,
        versions.c.version > number,
        versions.c.state.in_(("pending", "live")),
    )
    concerned = (document.c.pk == document_pk) & document.c.tombstoned_at.is_(None) & ~newer.exists()
    connection.execute(
        update(document).where(concerned).values(error_code=error.code, error_message=error.message, updated_at=now())
    )
    connection.execute(update(document).where(concerned, document.c.live_version_pk.is_(None)).values(status="failed"))


def _create_document(connection: Connection, collection: Collection, upload: Upload) -> int:
    moment = now()
    credibility = Credibility()
    pk = connection.execute(
        insert(schema.documents).values(
            collection_pk=collection.pk,
            document_id=upload.document_id,
            parent_document_id=upload.parent_document_id,
            status="queued",
            metadata=dict(upload.metadata),
            origin=upload.origin,
            media_type=upload.media_type,
            credibility=credibility.score,
            credibility_source=credibility.source,
            created_at=moment,
            updated_at=moment,
        )
    ).inserted_primary_key
    assert pk is not None
    _store_access(connection, pk[0], check_access(upload.access) or ())
    return int(pk[0])


def _apply_attributes(connection: Connection, collection: Collection, document: Row[Any], upload: Upload) -> None:
    """Metadata and tags as sent, also for what came attached: who may not read a mail, reads nothing of it."""
    access = check_access(upload.access)
    table = schema.documents
    if upload.origin is not None:
        connection.execute(update(table).where(table.c.pk == document.pk).values(origin=upload.origin))
    rows = [document]
    while rows:
        keys = [row.pk for row in rows]
        if upload.metadata:
            change = update(table).where(table.c.pk.in_(keys))
            connection.execute(change.values(metadata=dict(upload.metadata), updated_at=now()))
            mark(connection, table.c.pk.in_(keys), FACTS_DUE)
        if access is not None:
            tags = schema.document_access
            connection.execute(delete(tags).where(tags.c.document_pk.in_(keys)))
            for key in keys:
                _store_access(connection, key, access)
        attached = select(table).where(
            table.c.collection_pk == collection.pk,
            table.c.parent_document_id.in_([row.document_id for row in rows]),
            table.c.tombstoned_at.is_(None),
        )
        rows = list(connection.execute(attached))


def _store_access(connection: Connection, document_pk: int, access: Sequence[str]) -> None:
    if access:
        rows = [{"document_pk": document_pk, "tag": tag} for tag in access]
        connection.execute(insert(schema.document_access), rows)


def find_or_none(connection: Connection, collection: Collection, document_id: str) -> Row[Any] | None:
    table = schema.documents
    query = select(table).where(
        table.c.collection_pk == collection.pk,
        table.c.document_id == document_id,
        table.c.tombstoned_at.is_(None),
    )
    return connection.execute(query).one_or_none()
